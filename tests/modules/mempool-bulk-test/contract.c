// SPDX-License-Identifier: GPL-2.0-only
/* What the functions promise about their arguments and results, without other users of the pool. */
#include "fixture.h"

void partial_failure_leaks_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, delivered = 0;

	/* 90 pages from the page allocator; the 10 in the reserve are not the 166 that lack. */
	fixture_empty_reserve(f);
	for (i = 0; i < 10; i++) {
		give_one(&f->pool, f->pages[i]);
		f->pages[i] = NULL;
	}
	mempool_fail_pages_bulk(&f->pool, 0);
	allocator_set_budget(90);
	KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_ATOMIC, FULL,
								f->pages + FULL));
	for (i = FULL; i < 2 * FULL; i++)
		delivered += !!f->pages[i];
	KUNIT_EXPECT_EQ(test, delivered, 90U);
	KUNIT_EXPECT_EQ(test, claim_array(f->pages + FULL, FULL), 90U);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 10U);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).partial, 1ULL);

	/* The same onto a list. */
	allocator_set_budget(90);
	KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOWAIT, FULL,
							       &f->list));
	KUNIT_EXPECT_EQ(test, claim_list(&f->list), 90U);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).partial, 2ULL);

	/* Freed as they are, holes and all. fixture_check_idle() sees what does not come back. */
	give_array(&f->pool, f->pages + FULL, FULL);
	give_list(&f->pool, &f->list);
	KUNIT_EXPECT_TRUE(test, list_empty(&f->list));
	give_array(&f->pool, f->pages, FULL);
	fixture_check_idle(f);
}

void reserve_gives_all_or_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct page *page;

	fixture_empty_reserve(f);
	give_array(&f->pool, f->pages, 99);

	/* 99 pages are nothing to somebody who wants 100. */
	KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOWAIT, 100,
							       &f->list));
	KUNIT_EXPECT_TRUE(test, list_empty(&f->list));
	KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOWAIT, 100,
								f->pages + FULL));
	KUNIT_EXPECT_PTR_EQ(test, f->pages[FULL], NULL);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 99U);

	/* The caller already has the last of these 100, which leaves 99 that lack. */
	page = f->pages[99];
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOWAIT, 100,
							       f->pages));
	KUNIT_EXPECT_EQ(test, claim_array(f->pages, 100), 99U);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 0U);
	KUNIT_EXPECT_PTR_EQ(test, f->pages[99], page);
}

static unsigned int list_length(struct fixture *f)
{
	const struct list_head *node;
	unsigned int nr = 0;

	list_for_each(node, &f->list)
		nr++;
	return nr;
}

void list_and_array_agree(struct kunit *test)
{
	static const unsigned long fail[] = { 0, BIT(MEMPOOL_BULK_NOWAIT),
		BIT(MEMPOOL_BULK_NOWAIT) | BIT(MEMPOOL_BULK_RESERVE) };
	/* 15, 16 and 17 are at the edge of the list form's batch. */
	static const unsigned int sizes[] = { 1, 2, 15, 16, 17, 127, 128 };
	struct fixture *f = test->priv;
	unsigned int i, nr, step;

	for (step = 0; step < ARRAY_SIZE(fail); step++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct mempool_bulk_stats before = fixture_stats(f), after;

			nr = sizes[i];
			mempool_fail_pages_bulk(&f->pool, fail[step]);
			KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOIO,
									       nr, f->pages));
			KUNIT_EXPECT_EQ(test, claim_array(f->pages, nr), nr);
			KUNIT_EXPECT_PTR_EQ(test, f->pages[nr], NULL);
			KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOIO,
									      nr, &f->list));
			KUNIT_EXPECT_EQ(test, claim_list(&f->list), nr);
			KUNIT_EXPECT_EQ(test, list_length(f), nr);

			after = fixture_stats(f);
			KUNIT_EXPECT_EQ(test, after.pages[step] - before.pages[step], 2ULL * nr);
			give_list(&f->pool, &f->list);
			give_array(&f->pool, f->pages, nr);
			fixture_check_idle(f);
		}
	}
}

static void check_filled_entries(struct fixture *f, unsigned long fail)
{
	static const unsigned int filled[] = { 0, 1, 7, 8, 100, 254, 255 };
	struct mempool_bulk_stats before = fixture_stats(f), after;
	struct page *mine[ARRAY_SIZE(filled)];
	struct kunit *test = f->test;
	unsigned int i, lacking = FULL - ARRAY_SIZE(filled);
	u64 delivered = 0;

	for (i = 0; i < ARRAY_SIZE(filled); i++) {
		mine[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_PTR_NE(test, mine[i], NULL);
		f->pages[filled[i]] = mine[i];
	}

	mempool_fail_pages_bulk(&f->pool, fail);
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOIO, FULL, f->pages));
	KUNIT_EXPECT_EQ(test, claim_array(f->pages, FULL), lacking);
	after = fixture_stats(f);
	for (i = 0; i < MEMPOOL_BULK_STEPS; i++)
		delivered += after.pages[i] - before.pages[i];
	KUNIT_EXPECT_EQ(test, delivered, (u64)lacking);

	for (i = 0; i < ARRAY_SIZE(filled); i++) {
		KUNIT_EXPECT_PTR_EQ(test, f->pages[filled[i]], mine[i]);
		f->pages[filled[i]] = NULL;
		__free_page(mine[i]);
	}
	give_array(&f->pool, f->pages, FULL);
	fixture_check_idle(f);
}

void filled_entries_are_kept(struct kunit *test)
{
	struct fixture *f = test->priv;

	/* In step 1, 2 and 3, and when step 1 stops half way and step 2 goes on. */
	check_filled_entries(f, 0);
	check_filled_entries(f, BIT(MEMPOOL_BULK_NOWAIT));
	check_filled_entries(f, BIT(MEMPOOL_BULK_NOWAIT) | BIT(MEMPOOL_BULK_RESERVE));
	allocator_set_budget(50);
	check_filled_entries(f, 0);
}

void list_is_appended_to(struct kunit *test)
{
	static const unsigned long fail[] = { 0, BIT(MEMPOOL_BULK_NOWAIT) };
	struct fixture *f = test->priv;
	struct page *first, *second;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fail); i++) {
		mempool_fail_pages_bulk(&f->pool, fail[i]);
		KUNIT_ASSERT_TRUE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOIO, 2,
								      &f->list));
		KUNIT_EXPECT_EQ(test, claim_list(&f->list), 2U);
		first = list_first_entry(&f->list, struct page, lru);
		second = list_next_entry(first, lru);

		/* What is on the list is not counted, and stays in front. */
		KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOIO, 20,
								      &f->list));
		KUNIT_EXPECT_EQ(test, claim_list(&f->list), 20U);
		KUNIT_EXPECT_PTR_EQ(test, list_first_entry(&f->list, struct page, lru), first);
		KUNIT_EXPECT_PTR_EQ(test, list_next_entry(first, lru), second);
		give_list(&f->pool, &f->list);
		fixture_check_idle(f);
	}
}

void frees_refill_reserve_first(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct mempool_bulk_stats stats;

	/* 256 pages of the reserve and 230 of the page allocator are out. */
	fixture_empty_reserve(f);
	mempool_fail_pages_bulk(&f->pool, 0);
	KUNIT_ASSERT_TRUE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOIO, 200,
							       f->pages + FULL));
	KUNIT_EXPECT_EQ(test, claim_array(f->pages + FULL, 200), 200U);
	KUNIT_ASSERT_TRUE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOIO, 30, &f->list));
	KUNIT_EXPECT_EQ(test, claim_list(&f->list), 30U);

	/* Whatever a page was first, it goes to the reserve while that is not full. */
	give_array(&f->pool, f->pages + FULL, 200);
	give_list(&f->pool, &f->list);
	give_one(&f->pool, f->pages[0]);
	f->pages[0] = NULL;
	stats = fixture_stats(f);
	KUNIT_EXPECT_EQ(test, stats.refilled, 231ULL);
	KUNIT_EXPECT_EQ(test, stats.released, 0ULL);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 231U);

	/* 25 more fit; the rest of the same call goes back, and all of the next. */
	give_array(&f->pool, f->pages, 100);
	stats = fixture_stats(f);
	KUNIT_EXPECT_EQ(test, stats.refilled, 256ULL);
	KUNIT_EXPECT_EQ(test, stats.released, 99ULL - 25);
	give_array(&f->pool, f->pages + 100, FULL - 100);
	stats = fixture_stats(f);
	KUNIT_EXPECT_EQ(test, stats.refilled, 256ULL);
	KUNIT_EXPECT_EQ(test, stats.released, 99ULL - 25 + FULL - 100);
}

void too_large_is_refused(struct kunit *test)
{
	static const gfp_t gfp[] = { GFP_NOWAIT, GFP_NOIO };
	struct fixture *f = test->priv;
	unsigned long start = jiffies;
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(gfp); i++) {
		KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_array(&f->pool, gfp[i], FULL + 1,
									f->pages));
		KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_list(&f->pool, gfp[i], FULL + 1,
								       &f->list));
		KUNIT_EXPECT_FALSE(test, mempool_alloc_pages_bulk_list(&f->pool, gfp[i], UINT_MAX,
								       &f->list));
	}
	for (nr = 0; nr <= FULL; nr++)
		KUNIT_EXPECT_PTR_EQ(test, f->pages[nr], NULL);
	KUNIT_EXPECT_TRUE(test, list_empty(&f->list));
	KUNIT_EXPECT_EQ(test, fixture_stats(f).partial, 6ULL);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).waits, 0ULL);
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, start + HZ));
}

void nothing_wanted_is_delivered(struct kunit *test)
{
	struct fixture *f = test->priv;

	/* Even with nothing to give: no request for nothing ever fails or waits. */
	fixture_empty_reserve(f);
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOIO, 0,
							       f->pages + FULL));
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_list(&f->pool, GFP_NOIO, 0, &f->list));
	KUNIT_EXPECT_TRUE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOIO, FULL, f->pages));
	KUNIT_EXPECT_TRUE(test, list_empty(&f->list));
	KUNIT_EXPECT_PTR_EQ(test, f->pages[FULL], NULL);
	KUNIT_EXPECT_EQ(test, fixture_stats(f).waits, 0ULL);

	mempool_free_pages_bulk_list(&f->pool, &f->list);
	mempool_free_pages_bulk_array(&f->pool, 0, NULL);
	mempool_free_pages_bulk_array(&f->pool, FULL, f->pages + FULL);
	KUNIT_EXPECT_EQ(test, f->pool.curr_nr, 0U);
}
