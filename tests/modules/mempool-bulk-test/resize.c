// SPDX-License-Identifier: GPL-2.0-only
/* A reserve that changes its size, with pages in it, with pages out, and with requests waiting. */
#include <linux/prandom.h>
#include "fixture.h"

void resize_up_and_down(struct kunit *test)
{
	static const unsigned int sizes[] = { 1, 2 * FULL, 2 * FULL, 10, FULL, FULL - 1 };
	struct fixture *f = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int nr = sizes[i];

		KUNIT_EXPECT_EQ(test, mempool_resize_pages_bulk(&f->pool, nr), 0);
		KUNIT_EXPECT_EQ(test, f->pool.min_nr, nr);
		fixture_check_idle(f);

		/* The reserve really has so many, and a request may ask for so many and no more. */
		mempool_fail_pages_bulk(&f->pool, NO_ALLOCATOR);
		KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOIO, nr,
								       f->pages));
		KUNIT_EXPECT_EQ(test, claim_array(f->pages, nr), nr);
		give_array(&f->pool, f->pages, nr);
		KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOIO, nr + 1,
								       &f->list));
		KUNIT_EXPECT_TRUE(test, list_empty(&f->list));
		fixture_check_idle(f);
	}
	KUNIT_EXPECT_EQ(test, mempool_resize_pages_bulk(&f->pool, 0), -EINVAL);
	fixture_check_idle(f);
}

void resize_down_while_pages_are_out(struct kunit *test)
{
	struct fixture *f = test->priv;

	fixture_empty_reserve(f);
	KUNIT_EXPECT_EQ(test, mempool_resize_pages_bulk(&f->pool, 100), 0);
	KUNIT_EXPECT_EQ(test, f->pool.min_nr, 100U);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 0U);

	/* 90 go in, then 10 of the rest, and 156 go back. */
	give_array(&f->pool, f->pages, 90);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 90U);
	give_array(&f->pool, f->pages + 90, FULL - 90);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).refilled, 100ULL);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).released, FULL - 100ULL);
	fixture_check_idle(f);

	/* Up while pages are out: what lacks comes back with the frees, what is new is new. */
	mempool_alloc_pages_bulk_array(&f->pool, GFP_NOWAIT, 60, f->pages);
	KUNIT_EXPECT_EQ(test, claim_array(f->pages, 60), 60U);
	KUNIT_EXPECT_EQ(test, mempool_resize_pages_bulk(&f->pool, FULL), 0);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, FULL - 60);
	give_array(&f->pool, f->pages, 60);
	fixture_check_idle(f);
}

void resize_below_waiter_is_busy(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *first, *second;

	fixture_empty_reserve(f);
	first = start_worker(f, 10, take_and_give);
	KUNIT_ASSERT_TRUE(test, wait_until(fixture_waiters(f) == 1, 10));
	second = start_worker(f, 200, take_and_give);
	KUNIT_ASSERT_TRUE(test, wait_until(fixture_waiters(f) == 2, 10));

	KUNIT_EXPECT_EQ(test, mempool_resize_pages_bulk(&f->pool, 199), -EBUSY);
	KUNIT_EXPECT_EQ(test, f->pool.min_nr, FULL);
	KUNIT_EXPECT_EQ(test, mempool_resize_pages_bulk(&f->pool, 200), 0);
	KUNIT_EXPECT_EQ(test, f->pool.min_nr, 200U);

	give_array(&f->pool, f->pages, FULL);
	KUNIT_EXPECT_TRUE(test, wait_for_worker(first, 10));
	KUNIT_EXPECT_TRUE(test, wait_for_worker(second, 10));
	expect_no_error(first);
	expect_no_error(second);
}

void resize_up_serves_waiter(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *w;

	fixture_empty_reserve(f);
	w = start_worker(f, 100, take_and_give);
	KUNIT_ASSERT_TRUE(test, wait_until(fixture_waiters(f) == 1, 10));

	/* It must be served by the growth itself: it will find nothing when it looks around. */
	KUNIT_EXPECT_EQ(test, mempool_resize_pages_bulk(&f->pool, FULL + 99), 0);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 99U);
	KUNIT_EXPECT_EQ(test, mempool_resize_pages_bulk(&f->pool, FULL + 100), 0);
	KUNIT_EXPECT_EQ(test, fixture_waiters(f), 0U);
	KUNIT_EXPECT_TRUE(test, wait_for_worker(w, 10));
	expect_no_error(w);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 100U);
}

void failed_resize_changes_nothing(struct kunit *test)
{
	static const long budgets[] = { 0, 1, 99 };
	struct fixture *f = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(budgets); i++) {
		allocator_set_budget(budgets[i]);
		KUNIT_EXPECT_EQ(test, mempool_resize_pages_bulk(&f->pool, FULL + 100), -ENOMEM);
		KUNIT_EXPECT_EQ(test, f->pool.min_nr, FULL);
		fixture_check_idle(f);
	}
}

/* The largest request in the case below; the reserve never gets smaller. */
#define LOAD_NR 128U

static void request_without_end(struct worker *w)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, w->id + 1);
	while (!READ_ONCE(w->f->stop) && !w->error) {
		unsigned int nr = 1 + prandom_u32_state(&rnd) % LOAD_NR;

		if (!mempool_alloc_pages_bulk_array(&w->f->pool, w->gfp, nr, w->pages))
			w->error = "request failed";
		else if (claim_array(w->pages, nr) != nr)
			w->error = "page missing or delivered twice";
		if (prandom_u32_state(&rnd) % 4 == 0)
			cond_resched();
		give_array(&w->f->pool, w->pages, nr);
		w->rounds++;
	}
}

void resize_under_load(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, nr, sizes = rounds / 4;
	unsigned long served = 0;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 1);
	mempool_fail_pages_bulk(&f->pool, NO_ALLOCATOR);
	for (i = 0; i < threads; i++)
		start_worker(f, LOAD_NR, request_without_end);

	for (i = 0; i < sizes; i++) {
		nr = LOAD_NR + prandom_u32_state(&rnd) % (2 * FULL);
		if (mempool_resize_pages_bulk(&f->pool, nr) || READ_ONCE(f->pool.min_nr) != nr)
			break;
		/* Now and then, requests have the page allocator as well. */
		mempool_fail_pages_bulk(&f->pool, i % 8 ? NO_ALLOCATOR : 0);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, i, sizes);

	WRITE_ONCE(f->stop, true);
	KUNIT_ASSERT_TRUE(test, wait_for_workers(f, load_timeout));
	for (i = 0; i < threads; i++) {
		expect_no_error(f->workers[i]);
		KUNIT_EXPECT_GT(test, f->workers[i]->rounds, 0UL);
		served += f->workers[i]->rounds;
	}
	kunit_info(test, "%u sizes, %lu requests", sizes, served);
	fixture_check_idle(f);
}
