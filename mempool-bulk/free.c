// SPDX-License-Identifier: GPL-2.0-only
/* Giving pages back: the reserve is refilled first, the rest goes to the page allocator. */
#include <linux/percpu.h>
#include "internal.h"

/**
 * mempool_bulk_release_list() - give pages to the page allocator, past the reserve
 * @pool: the pool they are accounted to
 * @page_list: the pages, linked through page->lru; empty afterwards
 *
 * Context: any.
 */
void mempool_bulk_release_list(struct mempool_pages_bulk *pool, struct list_head *page_list)
{
	struct page *page, *next;
	long nr = 0;

	list_for_each_entry_safe(page, next, page_list, lru) {
		list_del(&page->lru);
		__free_page(page);
		nr++;
	}
	if (!nr)
		return;
	mempool_bulk_account(pool, -nr);
	this_cpu_add(pool->stats->released, nr);
}

static void release_array(struct mempool_pages_bulk *pool, unsigned int nr, struct page **pages)
{
	long released = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!pages[i])
			continue;
		__free_page(pages[i]);
		released++;
	}
	mempool_bulk_account(pool, -released);
	this_cpu_add(pool->stats->released, released);
}

/*
 * Does the reserve lack pages? Read without the lock.
 *
 * A page that came out of the reserve reaches its freer together with the fact that the reserve
 * shrank: curr_nr was lowered, under the lock, before the page was handed out, and whatever
 * carried the page to the freer ordered the two. A stale "full" can therefore be seen only for a
 * page that was handed out while the reserve was full. Such a page owes the reserve nothing:
 * the pages that do are still in somebody's hands, and their freers will see that they are
 * missed, with every request that waits for them.
 *
 * A reserve that grows must not look full either, as its new pages would beside its old size.
 */
bool mempool_bulk_reserve_lacks(struct mempool_pages_bulk *pool)
{
	unsigned int curr_nr = READ_ONCE(pool->curr_nr);

	/* Pairs with the barrier in grow_reserve(): who sees the new pages sees the new size. */
	smp_rmb();
	return unlikely(curr_nr < READ_ONCE(pool->min_nr));
}

static void put_in_reserve(struct mempool_pages_bulk *pool, struct page *page)
{
	list_add_tail(&page->lru, &pool->reserve);
	WRITE_ONCE(pool->curr_nr, pool->curr_nr + 1);
}

/*
 * Refill the reserve from @pages and serve those who wait for it.
 * Return: how many entries of @pages were used up or empty.
 */
static unsigned int refill_from_array(struct mempool_pages_bulk *pool, unsigned int nr,
				      struct page **pages)
{
	unsigned int used = 0, refilled = 0;
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	do {
		for (; used < nr && pool->curr_nr < pool->min_nr; used++) {
			if (!pages[used])
				continue;
			put_in_reserve(pool, pages[used]);
			refilled++;
		}
	} while (mempool_bulk_grant(pool) && used < nr);
	spin_unlock_irqrestore(&pool->lock, flags);

	this_cpu_add(pool->stats->refilled, refilled);
	return used;
}

/**
 * mempool_free_pages_bulk_array() - give back the pages of an array
 * @pool: the pool they came from
 * @nr_pages: entries of @page_array to look at
 * @page_array: the pages; NULL entries are skipped, so that an array filled in part can be freed
 *	as it is. The entries are not cleared.
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT, where a spinlock may sleep.
 */
void mempool_free_pages_bulk_array(struct mempool_pages_bulk *pool, unsigned int nr_pages,
				   struct page **page_array)
{
	unsigned int used = 0;

	if (mempool_bulk_reserve_lacks(pool))
		used = refill_from_array(pool, nr_pages, page_array);
	if (used < nr_pages)
		release_array(pool, nr_pages - used, page_array + used);
}

/**
 * mempool_free_page_bulk() - give back one page
 * @pool: the pool it came from
 * @page: the page
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT, where a spinlock may sleep.
 */
void mempool_free_page_bulk(struct mempool_pages_bulk *pool, struct page *page)
{
	mempool_free_pages_bulk_array(pool, 1, &page);
}

/**
 * mempool_free_pages_bulk_list() - give back the pages of a list
 * @pool: the pool they came from
 * @page_list: the pages, linked through page->lru; empty afterwards
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT, where a spinlock may sleep.
 */
void mempool_free_pages_bulk_list(struct mempool_pages_bulk *pool, struct list_head *page_list)
{
	unsigned int refilled = 0;
	unsigned long flags;

	if (mempool_bulk_reserve_lacks(pool)) {
		spin_lock_irqsave(&pool->lock, flags);
		do {
			while (!list_empty(page_list) && pool->curr_nr < pool->min_nr) {
				struct page *page = list_first_entry(page_list, struct page, lru);

				list_del(&page->lru);
				put_in_reserve(pool, page);
				refilled++;
			}
		} while (mempool_bulk_grant(pool) && !list_empty(page_list));
		spin_unlock_irqrestore(&pool->lock, flags);
		this_cpu_add(pool->stats->refilled, refilled);
	}
	mempool_bulk_release_list(pool, page_list);
}
