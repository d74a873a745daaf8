// SPDX-License-Identifier: GPL-2.0-only
/* The four steps of an allocation: each is reached, in its order, and says so in the counters. */
#include "fixture.h"

static bool take_full(struct fixture *f, gfp_t gfp)
{
	bool ret = mempool_alloc_pages_bulk_array(&f->pool, gfp, FULL, f->pages);

	KUNIT_EXPECT_EQ(f->test, claim_array(f->pages, FULL), FULL);
	return ret;
}

static void expect_steps(struct fixture *f, u64 nowait, u64 reserve, u64 sleep, u64 wait)
{
	struct mempool_bulk_stats stats = fixture_stats(f);

	KUNIT_EXPECT_EQ(f->test, stats.pages[MEMPOOL_BULK_NOWAIT], nowait);
	KUNIT_EXPECT_EQ(f->test, stats.pages[MEMPOOL_BULK_RESERVE], reserve);
	KUNIT_EXPECT_EQ(f->test, stats.pages[MEMPOOL_BULK_SLEEP], sleep);
	KUNIT_EXPECT_EQ(f->test, stats.pages[MEMPOOL_BULK_WAIT], wait);
	KUNIT_EXPECT_EQ(f->test, stats.partial, 0ULL);
}

void step_1_page_allocator(struct kunit *test)
{
	struct fixture *f = test->priv;

	KUNIT_EXPECT_TRUE(test, take_full(f, GFP_NOIO));
	expect_steps(f, FULL, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, FULL);
	KUNIT_EXPECT_EQ(test, mempool_held_pages_bulk(&f->pool), (s64)(2 * FULL));
	give_array(&f->pool, f->pages, FULL);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).released, (u64)FULL);
}

void step_2_reserve(struct kunit *test)
{
	struct fixture *f = test->priv;

	/* The reserve comes before sleeping, even for those who may sleep. */
	mempool_fail_pages_bulk(&f->pool, BIT(MEMPOOL_BULK_NOWAIT));
	KUNIT_EXPECT_TRUE(test, take_full(f, GFP_NOIO));
	expect_steps(f, 0, FULL, 0, 0);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 0U);
	KUNIT_EXPECT_EQ(test, mempool_held_pages_bulk(&f->pool), (s64)FULL);
	give_array(&f->pool, f->pages, FULL);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).refilled, (u64)FULL);
}

void step_3_sleeping_page_allocator(struct kunit *test)
{
	struct fixture *f = test->priv;

	/* With the reserve failing, and then with the reserve empty. */
	mempool_fail_pages_bulk(&f->pool, BIT(MEMPOOL_BULK_NOWAIT) | BIT(MEMPOOL_BULK_RESERVE));
	KUNIT_EXPECT_TRUE(test, take_full(f, GFP_NOIO));
	expect_steps(f, 0, 0, FULL, 0);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, FULL);
	give_array(&f->pool, f->pages, FULL);

	fixture_empty_reserve(f);
	mempool_fail_pages_bulk(&f->pool, BIT(MEMPOOL_BULK_NOWAIT));
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOIO, FULL, &f->list));
	KUNIT_EXPECT_EQ(test, claim_list(&f->list), FULL);
	expect_steps(f, 0, FULL, 2 * FULL, 0);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).waits, 0ULL);
}

/* Start a request for the full reserve, and wait until it is queued. */
static struct worker *start_waiter(struct fixture *f, void (*run)(struct worker *w))
{
	struct worker *w = start_worker(f, FULL, run);

	KUNIT_ASSERT_TRUE(f->test, wait_until(fixture_waiters(f) == 1, 10));
	return w;
}

void step_4_waits_for_frees(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *w;

	fixture_empty_reserve(f);
	w = start_waiter(f, take_and_give);
	/* A request is in the queue a moment before it is counted. */
	wait_until(fixture_stats(f).waits, 10);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).waits, 1ULL);

	/* All but one page are not enough. The last one is, and it is the free that serves. */
	give_array(&f->pool, f->pages, FULL - 1);
	KUNIT_EXPECT_FALSE(test, wait_for_worker(w, 1));
	expect_steps(f, 0, FULL, 0, 0);
	give_one(&f->pool, f->pages[FULL - 1]);
	f->pages[FULL - 1] = NULL;
	KUNIT_EXPECT_EQ(test, fixture_waiters(f), 0U);
	KUNIT_ASSERT_TRUE(test, wait_for_worker(w, 10));
	expect_no_error(w);
	expect_steps(f, 0, FULL, 0, FULL);

	/* The same with a list. */
	KUNIT_ASSERT_TRUE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOWAIT, FULL,
							      &f->list));
	KUNIT_EXPECT_EQ(test, claim_list(&f->list), FULL);
	w = start_waiter(f, take_and_give);
	give_list(&f->pool, &f->list);
	KUNIT_EXPECT_EQ(test, fixture_waiters(f), 0U);
	KUNIT_ASSERT_TRUE(test, wait_for_worker(w, 10));
	expect_no_error(w);
}

void step_4_returns_to_step_1(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *w;

	/* Nobody frees anything, but the page allocator recovers. */
	fixture_empty_reserve(f);
	w = start_waiter(f, take_and_give);
	mempool_fail_pages_bulk(&f->pool, 0);
	KUNIT_ASSERT_TRUE(test, wait_for_worker(w, 20));
	expect_no_error(w);
	expect_steps(f, FULL, FULL, 0, 0);
	KUNIT_EXPECT_EQ(test, fixture_waiters(f), 0U);

	/* The same, when it recovers only for those who sleep. */
	give_array(&f->pool, f->pages, FULL);
	fixture_empty_reserve(f);
	w = start_waiter(f, take_and_give);
	mempool_fail_pages_bulk(&f->pool, BIT(MEMPOOL_BULK_NOWAIT));
	KUNIT_ASSERT_TRUE(test, wait_for_worker(w, 20));
	expect_no_error(w);
	expect_steps(f, FULL, 2 * FULL, FULL, 0);
}

void steps_add_up(struct kunit *test)
{
	struct fixture *f = test->priv;

	/* Step 1 delivers 100 pages and no more; the reserve has the other 156. */
	allocator_set_budget(100);
	KUNIT_EXPECT_TRUE(test, take_full(f, GFP_ATOMIC));
	expect_steps(f, 100, FULL - 100, 0, 0);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 100U);
	KUNIT_EXPECT_EQ(test, mempool_held_pages_bulk(&f->pool), (s64)(FULL + 100));

	/* Now the reserve has 100, and 130 of 256 come from step 1: too little for step 2. */
	allocator_set_budget(130);
	KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_ATOMIC, FULL,
							       &f->list));
	KUNIT_EXPECT_EQ(test, claim_list(&f->list), 130U);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 100U);
}

void steps_add_up_after_waiting(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *w;
	unsigned int i;

	/* 100 pages can be had: the request keeps them, and waits for the other 156 only. */
	fixture_empty_reserve(f);
	mempool_fail_pages_bulk(&f->pool, 0);
	allocator_set_budget(100);
	w = start_waiter(f, take_and_give);
	KUNIT_EXPECT_EQ(test, mempool_held_pages_bulk(&f->pool), (s64)(FULL + 100));
	expect_steps(f, 100, FULL, 0, 0);

	for (i = 0; i < FULL - 100; i++) {
		KUNIT_EXPECT_FALSE(test, completion_done(&w->done));
		give_one(&f->pool, f->pages[i]);
		f->pages[i] = NULL;
	}
	KUNIT_ASSERT_TRUE(test, wait_for_worker(w, 10));
	expect_no_error(w);
	expect_steps(f, 100, FULL, 0, FULL - 100);
}

void waiter_needs_only_what_it_lacks(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *w;

	/* While it waits for 256 pages, 100 can be had elsewhere: 156 then serve it. */
	fixture_empty_reserve(f);
	w = start_waiter(f, take_and_give);
	allocator_set_budget(100);
	mempool_fail_pages_bulk(&f->pool, 0);
	KUNIT_ASSERT_TRUE(test, wait_until(fixture_stats(f).pages[MEMPOOL_BULK_NOWAIT] == 100, 10));
	/* Until it has noted them, and before it looks again. */
	msleep(500);
	KUNIT_EXPECT_EQ(test, fixture_waiters(f), 1U);
	give_array(&f->pool, f->pages, FULL - 100);
	KUNIT_EXPECT_EQ(test, fixture_waiters(f), 0U);
	KUNIT_ASSERT_TRUE(test, wait_for_worker(w, 10));
	expect_no_error(w);
	expect_steps(f, 100, FULL, 0, FULL - 100);
}

static void give_reserve(void *data)
{
	struct fixture *f = data;

	give_array(&f->pool, f->pages, FULL);
}

void surplus_grant_goes_back(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *w;

	/* The request is granted while the page allocator serves it: it needs one of the two. */
	fixture_empty_reserve(f);
	w = start_waiter(f, take_and_hold);
	allocator_interpose(give_reserve, f);
	mempool_fail_pages_bulk(&f->pool, 0);
	KUNIT_ASSERT_TRUE(test, wait_until(READ_ONCE(w->rounds), 10));
	expect_no_error(w);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, FULL);
	KUNIT_EXPECT_EQ(test, mempool_held_pages_bulk(&f->pool), (s64)(2 * FULL));
	expect_steps(f, FULL, FULL, 0, 0);
}

void gfp_flags_are_honoured(struct kunit *test)
{
	struct fixture *f = test->priv;

	/* Nobody sleeps who may not, nor in step 1. */
	allocator_forget_gfp();
	KUNIT_EXPECT_TRUE(test, take_full(f, GFP_NOIO));
	KUNIT_EXPECT_FALSE(test, !!(allocator_gfp_seen() & __GFP_DIRECT_RECLAIM));
	give_array(&f->pool, f->pages, FULL);
	allocator_set_budget(0);
	KUNIT_EXPECT_TRUE(test, take_full(f, GFP_ATOMIC));
	KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOWAIT, 1, &f->list));
	KUNIT_EXPECT_FALSE(test, !!(allocator_gfp_seen() & __GFP_DIRECT_RECLAIM));

	/* Step 3 sleeps, but does no I/O for those who may be in its path. */
	allocator_set_budget(ALLOCATOR_UNLIMITED);
	mempool_fail_pages_bulk(&f->pool, BIT(MEMPOOL_BULK_NOWAIT));
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOIO, FULL, &f->list));
	KUNIT_EXPECT_EQ(test, claim_list(&f->list), FULL);
	KUNIT_EXPECT_TRUE(test, !!(allocator_gfp_seen() & __GFP_DIRECT_RECLAIM));
	KUNIT_EXPECT_FALSE(test, !!(allocator_gfp_seen() & (__GFP_IO | __GFP_FS)));

	/* The last reserves of the system are for others: this pool has its own. */
	KUNIT_EXPECT_TRUE(test, !!(allocator_gfp_seen() & __GFP_NOMEMALLOC));
}
