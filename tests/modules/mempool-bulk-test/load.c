// SPDX-License-Identifier: GPL-2.0-only
/* Many threads at once: all are served, none waits longer than its turn, no page gets lost. */
#include <linux/cpumask.h>
#include <linux/prandom.h>
#include "fixture.h"

/* A request, by array or by list: half of the threads use each. */
static void take(struct worker *w, struct list_head *list)
{
	struct mempool_pages_bulk *pool = &w->f->pool;
	unsigned int claimed;
	bool ret;

	if (w->id % 2) {
		ret = mempool_alloc_pages_bulk_list(pool, w->gfp, w->nr, list);
		claimed = claim_list(list);
	} else {
		ret = mempool_alloc_pages_bulk_array(pool, w->gfp, w->nr, w->pages);
		claimed = claim_array(w->pages, w->nr);
	}
	if (!ret)
		w->error = "request failed";
	else if (claimed != w->nr)
		w->error = "page missing or delivered twice";
}

static void request_and_free(struct worker *w)
{
	struct fixture *f = w->f;
	LIST_HEAD(list);

	while (!w->error && !READ_ONCE(f->stop) && w->rounds < f->rounds) {
		take(w, &list);
		/* Now and then, long enough for all the others to come and wait. */
		if (w->rounds % 8 == 0)
			usleep_range(20, 100);
		give_list(&f->pool, &list);
		give_array(&f->pool, w->pages, w->nr);
		w->rounds++;
	}
}

/*
 * Let the threads make @total requests, and expect that all are served: nobody waits for ever, and
 * nobody who waits sees more grants than there can be requests before his.
 */
static void run_load(struct fixture *f, const unsigned int *sizes, unsigned int nr_sizes,
		     unsigned long total)
{
	unsigned long start = jiffies, each = max(total / threads, 1UL);
	struct kunit *test = f->test;
	unsigned int i;

	f->rounds = each;
	for (i = 0; i < threads; i++)
		start_worker(f, sizes[i % nr_sizes], request_and_free);
	KUNIT_ASSERT_TRUE(test, wait_for_workers(f, load_timeout));

	for (i = 0; i < threads; i++) {
		expect_no_error(f->workers[i]);
		KUNIT_EXPECT_EQ(test, f->workers[i]->rounds, each);
	}
	kunit_info(test, "%u threads, %lu requests each, in %u ms; %lu waited, each for at most %lu others",
		   threads, each, jiffies_to_msecs(jiffies - start), queue_waits(),
		   queue_most_overtaken());
	KUNIT_EXPECT_GT(test, queue_waits(), 0UL);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).waits, (u64)queue_waits());
	KUNIT_EXPECT_LT(test, queue_most_overtaken(), (unsigned long)threads);
}

void full_pool_requests_all_served(struct kunit *test)
{
	static const unsigned int sizes[] = { FULL };
	struct fixture *f = test->priv;
	struct mempool_bulk_stats stats;
	u64 pages;

	mempool_fail_pages_bulk(&f->pool, NO_ALLOCATOR);
	run_load(f, sizes, ARRAY_SIZE(sizes), rounds);
	pages = (u64)f->rounds * threads * FULL;

	stats = fixture_stats(f);
	KUNIT_EXPECT_EQ(test, stats.pages[MEMPOOL_BULK_NOWAIT], 0ULL);
	KUNIT_EXPECT_EQ(test, stats.pages[MEMPOOL_BULK_SLEEP], 0ULL);
	KUNIT_EXPECT_EQ(test, stats.pages[MEMPOOL_BULK_RESERVE] + stats.pages[MEMPOOL_BULK_WAIT],
			pages);
	KUNIT_EXPECT_EQ(test, stats.refilled, pages);
	KUNIT_EXPECT_EQ(test, stats.released, 0ULL);
}

void mixed_requests_all_served(struct kunit *test)
{
	/* With the threads' two ways to request, each size comes as array and as list. */
	static const unsigned int sizes[] = { 1, FULL, 17, 255, FULL, 1, 255, 17 };
	struct fixture *f = test->priv;

	mempool_fail_pages_bulk(&f->pool, NO_ALLOCATOR);
	run_load(f, sizes, ARRAY_SIZE(sizes), rounds);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).released, 0ULL);
}

/* What the pool's counter may not see: a batch on each CPU. */
static unsigned long limit_slack(void)
{
	return (unsigned long)num_online_cpus() * percpu_counter_batch;
}

void limit_bounds_what_is_held(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct mempool_pages_bulk *pool = &f->pool;
	unsigned long limit = 1000;
	unsigned int taken = 0;

	mempool_limit_pages_bulk(pool, &limit);
	while (taken < 4000 && mempool_alloc_pages_bulk_list(pool, GFP_NOWAIT, 20, &f->list))
		taken += 20;
	/* All that is allowed is used, to the last request and what the counter may be off. */
	KUNIT_EXPECT_LE(test, (unsigned long)allocator_pages_peak(), limit + limit_slack());
	KUNIT_EXPECT_GE(test, (unsigned long)allocator_pages_peak(), limit - 20 - limit_slack());
	/* The reserve is part of it, but was given out too. */
	KUNIT_EXPECT_LT(test, f->pool.curr_nr, 20U);

	/* The limit may change at any time. */
	WRITE_ONCE(limit, 2000);
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_list(pool, GFP_NOWAIT, FULL, &f->list));
	WRITE_ONCE(limit, 0);
	KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_list(pool, GFP_NOWAIT, FULL, &f->list));
	claim_list(&f->list);
	give_list(pool, &f->list);

	/* The reserve is always allowed. */
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_array(pool, GFP_NOWAIT, FULL, f->pages));
	KUNIT_EXPECT_EQ(test, claim_array(f->pages, FULL), FULL);
	KUNIT_EXPECT_EQ(test, pool->curr_nr, 0U);
	mempool_limit_pages_bulk(pool, NULL);
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_list(pool, GFP_NOWAIT, FULL, &f->list));
	claim_list(&f->list);
}

void limited_requests_all_served(struct kunit *test)
{
	static const unsigned int sizes[] = { FULL };
	static const unsigned long limit = 2 * FULL + 10;
	struct fixture *f = test->priv;

	/* The page allocator has plenty, but two requests at a time are all that is allowed. */
	mempool_limit_pages_bulk(&f->pool, &limit);
	run_load(f, sizes, ARRAY_SIZE(sizes), rounds / 2);
	kunit_info(test, "%ld pages at most, limit %lu", allocator_pages_peak(), limit);
	KUNIT_EXPECT_LE(test, (unsigned long)allocator_pages_peak(), limit + limit_slack());
}

/* Free in any of the three ways, whichever way the pages came. */
static void give_somehow(struct worker *w, unsigned int nr, struct list_head *list, u32 how)
{
	struct mempool_pages_bulk *pool = &w->f->pool;
	unsigned int i;

	give_list(pool, list);
	for (i = 0; how % 3 == 0 && i < nr; i++)
		if (w->pages[i]) {
			give_one(pool, w->pages[i]);
			w->pages[i] = NULL;
		}
	for (i = 0; how % 3 == 1 && i < nr; i++)
		if (w->pages[i]) {
			list_add(&w->pages[i]->lru, list);
			w->pages[i] = NULL;
		}
	give_list(pool, list);
	give_array(pool, w->pages, nr);
}

static void do_anything(struct worker *w)
{
	struct fixture *f = w->f;
	struct rnd_state rnd;
	LIST_HEAD(list);

	prandom_seed_state(&rnd, w->id + 1);
	for (; !w->error && !READ_ONCE(f->stop); w->rounds++) {
		u32 what = prandom_u32_state(&rnd);
		unsigned int claimed, nr = 1 + what % FULL;
		gfp_t gfp = what & BIT(30) ? GFP_NOIO : GFP_NOWAIT;
		bool ret;

		if (what & BIT(31)) {
			ret = mempool_alloc_pages_bulk_array(&f->pool, gfp, nr, w->pages);
			claimed = claim_array(w->pages, nr);
		} else {
			ret = mempool_alloc_pages_bulk_list(&f->pool, gfp, nr, &list);
			claimed = claim_list(&list);
		}
		if (gfp == GFP_NOIO && !ret)
			w->error = "request failed";
		if (claimed > nr || (ret && claimed < nr))
			w->error = "page missing or delivered twice";
		give_somehow(w, nr, &list, prandom_u32_state(&rnd));
	}
}

void no_page_lost_under_load(struct kunit *test)
{
	static const long budgets[] = { 1000, 0, 100000, ALLOCATOR_UNLIMITED };
	struct fixture *f = test->priv;
	struct mempool_bulk_stats stats;
	u64 delivered = 0;
	unsigned int i;

	for (i = 0; i < threads; i++)
		start_worker(f, FULL, do_anything);

	/*
	 * The page allocator comes and goes, and what it has runs out in the middle of requests.
	 * Whatever fails, each of the budgets is seen.
	 */
	for (i = 0; i < 32 + rounds / 50; i++) {
		mempool_fail_pages_bulk(&f->pool, i / 4 % 8);
		allocator_set_budget(budgets[i % ARRAY_SIZE(budgets)]);
		msleep(20);
	}
	WRITE_ONCE(f->stop, true);
	KUNIT_ASSERT_TRUE(test, wait_for_workers(f, load_timeout));
	for (i = 0; i < threads; i++)
		expect_no_error(f->workers[i]);

	stats = fixture_stats(f);
	for (i = 0; i < MEMPOOL_BULK_STEPS; i++) {
		KUNIT_EXPECT_GT(test, stats.pages[i], 0ULL);
		delivered += stats.pages[i];
	}
	KUNIT_EXPECT_EQ(test, delivered, stats.refilled + stats.released);
	fixture_check_idle(f);
}
