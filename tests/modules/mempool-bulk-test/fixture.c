// SPDX-License-Identifier: GPL-2.0-only
/* A pool for each case, and the check that every page of it is accounted for afterwards. */
#include <linux/module.h>
#include <linux/slab.h>
#include "fixture.h"

/**
 * fixture_init() - set up what a case finds in test->priv
 * @test: the case
 *
 * Return: 0 or an error, which fails the case.
 */
int fixture_init(struct kunit *test)
{
	struct fixture *f = kzalloc(sizeof(*f), GFP_KERNEL);
	int ret;

	if (!f)
		return -ENOMEM;
	threads = clamp(threads, 2U, (unsigned int)MAX_WORKERS);
	surroundings_reset();
	knobs_reset();
	f->test = test;
	INIT_LIST_HEAD(&f->list);

	ret = mempool_init_pages_bulk(&f->pool, FULL);
	if (ret) {
		kfree(f);
		return ret;
	}
	test->priv = f;
	return 0;
}

/**
 * fixture_stats() - the counters of the fixture's pool
 * @f: the fixture
 *
 * Return: the counters, summed up.
 */
struct mempool_bulk_stats fixture_stats(struct fixture *f)
{
	struct mempool_bulk_stats stats;

	mempool_stats_pages_bulk(&f->pool, &stats);
	return stats;
}

/**
 * fixture_waiters() - how many requests wait for the reserve?
 * @f: the fixture
 *
 * Return: the number, which the pool does not tell by itself.
 */
unsigned int fixture_waiters(struct fixture *f)
{
	const struct list_head *node;
	unsigned int nr = 0;
	unsigned long flags;

	spin_lock_irqsave(&f->pool.lock, flags);
	list_for_each(node, &f->pool.waiters)
		nr++;
	spin_unlock_irqrestore(&f->pool.lock, flags);
	return nr;
}

/**
 * fixture_empty_reserve() - take the whole reserve into the first entries of f->pages
 * @f: the fixture; its page allocator fails from now on
 */
void fixture_empty_reserve(struct fixture *f)
{
	struct kunit *test = f->test;

	mempool_fail_pages_bulk(&f->pool, NO_ALLOCATOR);
	KUNIT_ASSERT_TRUE(test, mempool_alloc_pages_bulk_array(&f->pool, GFP_NOWAIT, FULL,
							       f->pages));
	KUNIT_ASSERT_EQ(test, claim_array(f->pages, FULL), FULL);
	KUNIT_ASSERT_EQ(test, f->pool.curr_nr, 0U);
}

static unsigned int reserve_length(struct mempool_pages_bulk *pool)
{
	struct page *page;
	unsigned int nr = 0;

	list_for_each_entry(page, &pool->reserve, lru)
		nr += page_private(page) == PAGE_WITH_POOL && page_count(page) == 1;
	return nr;
}

/**
 * fixture_check_idle() - expect that all pages are back, by every count there is
 * @f: the fixture; nobody uses its pool
 */
void fixture_check_idle(struct fixture *f)
{
	struct mempool_pages_bulk *pool = &f->pool;
	struct kunit *test = f->test;

	KUNIT_EXPECT_TRUE(test, list_empty(&pool->waiters));
	KUNIT_EXPECT_EQ(test, pool->curr_nr, pool->min_nr);
	KUNIT_EXPECT_EQ(test, reserve_length(pool), pool->min_nr);
	KUNIT_EXPECT_EQ(test, mempool_held_pages_bulk(pool), (s64)pool->min_nr);
	KUNIT_EXPECT_EQ(test, allocator_pages_out(), (long)pool->min_nr);
	KUNIT_EXPECT_EQ(test, allocator_bad_frees(), 0);
}

static void free_leftovers(struct fixture *f)
{
	give_list(&f->pool, &f->list);
	give_array(&f->pool, f->pages, ARRAY_SIZE(f->pages));
}

/**
 * fixture_exit() - check that a case left the pool as it should, and undo fixture_init()
 * @test: the case
 */
void fixture_exit(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	/* KUnit comes here even when there was not enough memory to set up. */
	if (!f)
		return;

	WRITE_ONCE(f->stop, true);
	free_leftovers(f);
	if (!rescue_workers(f)) {
		KUNIT_FAIL(test, "threads are stuck in the pool: it and this module stay for good");
		__module_get(THIS_MODULE);
		return;
	}

	fixture_drop_buffers(f);
	fixture_check_idle(f);
	mempool_exit_pages_bulk(&f->pool);
	KUNIT_EXPECT_EQ(test, allocator_pages_out(), 0L);
	KUNIT_EXPECT_EQ(test, allocator_objects_out(), 0);
	KUNIT_EXPECT_EQ(test, allocator_bad_frees(), 0);

	for (i = 0; i < f->nr_workers; i++)
		kfree(f->workers[i]);
	kfree(f);
}

static bool change_mark(struct page *page, unsigned long from, unsigned long to)
{
	return cmpxchg(&page->private, from, to) == from;
}

/**
 * claim_array() - mark freshly delivered pages as the caller's
 * @pages: entries, which may be NULL or claimed already
 * @nr: how many
 *
 * Return: pages that became the caller's by this.
 */
unsigned int claim_array(struct page **pages, unsigned int nr)
{
	unsigned int i, claimed = 0;

	for (i = 0; i < nr; i++)
		claimed += pages[i] && change_mark(pages[i], PAGE_WITH_POOL, PAGE_WITH_TEST);
	return claimed;
}

/**
 * claim_list() - mark freshly delivered pages as the caller's
 * @list: of pages, some of which may be claimed already
 *
 * Return: pages that became the caller's by this.
 */
unsigned int claim_list(struct list_head *list)
{
	unsigned int claimed = 0;
	struct page *page;

	list_for_each_entry(page, list, lru)
		claimed += change_mark(page, PAGE_WITH_POOL, PAGE_WITH_TEST);
	return claimed;
}

/**
 * unclaim_array() - mark pages as the pool's, before they are freed
 * @pages: entries, which may be NULL
 * @nr: how many
 */
void unclaim_array(struct page **pages, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (pages[i])
			change_mark(pages[i], PAGE_WITH_TEST, PAGE_WITH_POOL);
}

/**
 * give_array() - free claimed pages to a pool
 * @pool: the pool
 * @pages: entries, which may be NULL, and are afterwards
 * @nr: how many
 */
void give_array(struct mempool_pages_bulk *pool, struct page **pages, unsigned int nr)
{
	unclaim_array(pages, nr);
	mempool_free_pages_bulk_array(pool, nr, pages);
	memset(pages, 0, nr * sizeof(*pages));
}

/**
 * give_list() - free claimed pages to a pool
 * @pool: the pool
 * @list: the pages
 */
void give_list(struct mempool_pages_bulk *pool, struct list_head *list)
{
	struct page *page;

	list_for_each_entry(page, list, lru)
		change_mark(page, PAGE_WITH_TEST, PAGE_WITH_POOL);
	mempool_free_pages_bulk_list(pool, list);
}

/**
 * give_one() - free a claimed page to a pool
 * @pool: the pool
 * @page: the page
 */
void give_one(struct mempool_pages_bulk *pool, struct page *page)
{
	change_mark(page, PAGE_WITH_TEST, PAGE_WITH_POOL);
	mempool_free_page_bulk(pool, page);
}
