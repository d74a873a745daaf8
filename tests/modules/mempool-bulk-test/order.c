// SPDX-License-Identifier: GPL-2.0-only
/* Who gets the reserve, and when: in order of arrival, and nobody holds any of it before. */
#include "fixture.h"

/* Longer than the pool's own interval between looks at the page allocator. */
#define RETRY_MSECS 2500

/* Start a request and wait until it is @place'th in the queue. */
static struct worker *start_waiter(struct fixture *f, unsigned int nr, unsigned int place)
{
	struct worker *w = start_worker(f, nr, take_and_give);

	KUNIT_ASSERT_TRUE(f->test, wait_until(fixture_waiters(f) == place, 10));
	return w;
}

void waiter_holds_no_reserve_page(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *w;

	fixture_empty_reserve(f);
	give_array(&f->pool, f->pages, 200);
	w = start_waiter(f, FULL, 1);

	/* Not when it queues, nor when pages come in, nor when it looks elsewhere meanwhile. */
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 200U);
	give_array(&f->pool, f->pages + 200, 10);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 210U);
	msleep(RETRY_MSECS);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 210U);
	KUNIT_EXPECT_EQ(test, fixture_waiters(f), 1U);
	KUNIT_EXPECT_EQ(test, mempool_held_pages_bulk(&f->pool), (s64)FULL);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).pages[MEMPOOL_BULK_WAIT], 0ULL);

	give_array(&f->pool, f->pages + 210, FULL - 210);
	KUNIT_EXPECT_TRUE(test, wait_for_worker(w, 10));
	expect_no_error(w);
}

void nobody_overtakes_a_waiter(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *large, *small;

	fixture_empty_reserve(f);
	give_array(&f->pool, f->pages, 200);
	large = start_waiter(f, FULL, 1);

	/* There is a page for each of these, but a larger request was here first. */
	KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_ATOMIC, 1, &f->list));
	KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOWAIT, 1, f->pages));
	KUNIT_EXPECT_TRUE(test, list_empty(&f->list));
	small = start_waiter(f, 1, 2);
	KUNIT_EXPECT_FALSE(test, wait_for_worker(small, 2));

	give_array(&f->pool, f->pages + 200, FULL - 200);
	KUNIT_EXPECT_TRUE(test, wait_for_worker(large, 10));
	KUNIT_EXPECT_TRUE(test, wait_for_worker(small, 10));
	KUNIT_EXPECT_EQ(test, large->rounds, 1UL);
	KUNIT_EXPECT_EQ(test, small->rounds, 2UL);
}

void granted_in_order_of_arrival(struct kunit *test)
{
	/* No two fit into the reserve together, so that each grant waits for the one before. */
	static const unsigned int sizes[] = { 256, 129, 200, 255, 130, 256, 199, 131 };
	struct fixture *f = test->priv;
	unsigned int i;

	fixture_empty_reserve(f);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		start_waiter(f, sizes[i], i + 1);

	/* Going back to the page allocator costs nobody his place. */
	msleep(RETRY_MSECS);
	KUNIT_EXPECT_EQ(test, fixture_waiters(f), (unsigned int)ARRAY_SIZE(sizes));

	for (i = 0; i < FULL; i += 32)
		give_array(&f->pool, f->pages + i, 32);
	KUNIT_ASSERT_TRUE(test, wait_for_workers(f, 20));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		KUNIT_EXPECT_EQ(test, f->workers[i]->rounds, i + 1UL);
		expect_no_error(f->workers[i]);
	}
}

void withdrawn_waiter_lets_others_go_on(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *large, *small;
	unsigned long asked;

	/*
	 * The page allocator delivers what the large request lacks, and that only. The small one
	 * behind it has its pages in the reserve: it must get them when the large one leaves the
	 * queue, not when it looks for itself half an interval later.
	 */
	fixture_empty_reserve(f);
	give_array(&f->pool, f->pages, 100);
	large = start_worker(f, FULL, take_and_hold);
	KUNIT_ASSERT_TRUE(test, wait_until(fixture_waiters(f) == 1, 10));
	msleep(500);
	asked = jiffies;
	small = start_waiter(f, 100, 2);
	allocator_set_smallest(FULL);
	mempool_fail_pages_bulk(&f->pool, 0);

	KUNIT_EXPECT_TRUE(test, wait_until(READ_ONCE(large->rounds), 10));
	KUNIT_EXPECT_TRUE(test, wait_for_worker(small, 10));
	/* The interval at which it looks */
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - asked), 1000U);
	expect_no_error(small);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).pages[MEMPOOL_BULK_WAIT], 100ULL);
}
