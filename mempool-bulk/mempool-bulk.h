/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pool of order-0 pages that hands them out many at a time.
 *
 * The pool owns a reserve of @min_nr pages. A caller asks for up to @min_nr pages in one call and
 * gets them from, in this order:
 *
 *   1. the kernel's bulk page allocator, without sleeping;
 *   2. the reserve, for what is then still missing;
 *   3. the bulk page allocator once more, with the caller's own (sleeping) gfp flags;
 *   4. the reserve again, after waiting until others have given back enough pages; while it waits
 *      the caller goes back to 1 from time to time.
 *
 * Steps 3 and 4 are for callers that may sleep (%__GFP_DIRECT_RECLAIM in the gfp flags). For them
 * an allocation of at most @min_nr pages always succeeds in the end, provided that pages handed
 * out earlier are freed without needing new ones from the same pool.
 *
 * The reserve is given out all or nothing and in order of arrival: one request gets everything it
 * lacks in one step, and holds no page of the reserve while it waits. Two callers can therefore
 * never sit on half of the reserve each, and a large request cannot be starved by small ones.
 *
 * Ownership: a page belongs to the caller from the moment it appears in his array or on his list
 * until he gives it to one of the free functions of the same pool. A freed page refills the
 * reserve before it goes back to the page allocator. Pages are neither zeroed nor cleared: they
 * hold whatever the page allocator or the previous user left there.
 *
 * This is a library: crypt-bulk uses part of it, and nothing in it knows of crypt-bulk.
 */
#ifndef MEMPOOL_BULK_H
#define MEMPOOL_BULK_H

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu_counter.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/**
 * enum mempool_bulk_step - where a batch of pages came from, and what can be made to fail
 * @MEMPOOL_BULK_NOWAIT: step 1, the bulk page allocator without sleeping
 * @MEMPOOL_BULK_RESERVE: step 2, the reserve without waiting
 * @MEMPOOL_BULK_SLEEP: step 3, the bulk page allocator with sleeping allowed
 * @MEMPOOL_BULK_WAIT: step 4, the reserve after waiting
 * @MEMPOOL_BULK_STEPS: number of steps
 */
enum mempool_bulk_step {
	MEMPOOL_BULK_NOWAIT,
	MEMPOOL_BULK_RESERVE,
	MEMPOOL_BULK_SLEEP,
	MEMPOOL_BULK_WAIT,
	MEMPOOL_BULK_STEPS,
};

/**
 * struct mempool_bulk_stats - what a pool has done since it was made
 * @pages: pages delivered, by step
 * @waits: times that a request had to queue for the reserve
 * @partial: requests that returned false with only part of their pages, or none
 * @recycled: pages delivered that had been kept from freed buffers (see buffer.h)
 * @refilled: freed pages that went to the reserve
 * @released: pages that went back to the page allocator
 *
 * All fields count since initialisation and only grow.
 */
struct mempool_bulk_stats {
	u64 pages[MEMPOOL_BULK_STEPS];
	u64 waits;
	u64 partial;
	u64 recycled;
	u64 refilled;
	u64 released;
};

/**
 * struct mempool_pages_bulk - a pool of pages with bulk allocation; treat it as opaque
 * @lock: protects @min_nr, @curr_nr, @reserve and @waiters; taken with interrupts off, never held
 *	while the page allocator is called
 * @min_nr: size of the reserve when full, in pages
 * @curr_nr: pages in the reserve now
 * @reserve: these pages, linked through page->lru
 * @waiters: requests waiting for the reserve, oldest first
 * @resize_lock: serialises mempool_resize_pages_bulk()
 * @nr_pages: pages taken from the page allocator and not yet given back to it, whether they are
 *	in the reserve or with a caller
 * @limit: where the bound on @nr_pages is kept, or NULL for none
 * @fail: steps made to fail for testing, a mask of BIT(enum mempool_bulk_step)
 * @stats: counters of each CPU
 */
struct mempool_pages_bulk {
	spinlock_t lock; /* the four that follow */
	unsigned int min_nr;
	unsigned int curr_nr;
	struct list_head reserve;
	struct list_head waiters;
	struct mutex resize_lock; /* changes of min_nr */
	struct percpu_counter nr_pages;
	const unsigned long *limit;
	unsigned long fail;
	struct mempool_bulk_stats __percpu *stats;
};

/* pool.c: the life of a pool */
int mempool_init_pages_bulk(struct mempool_pages_bulk *pool, unsigned int min_nr);
void mempool_exit_pages_bulk(struct mempool_pages_bulk *pool);
struct mempool_pages_bulk *mempool_create_pages_bulk(unsigned int min_nr);
void mempool_destroy_pages_bulk(struct mempool_pages_bulk *pool);
int mempool_resize_pages_bulk(struct mempool_pages_bulk *pool, unsigned int new_min_nr);
void mempool_limit_pages_bulk(struct mempool_pages_bulk *pool, const unsigned long *limit);
void mempool_fail_pages_bulk(struct mempool_pages_bulk *pool, unsigned long steps);
void mempool_stats_pages_bulk(struct mempool_pages_bulk *pool, struct mempool_bulk_stats *sum);
s64 mempool_held_pages_bulk(struct mempool_pages_bulk *pool);

/* alloc.c: the four steps */
bool mempool_alloc_pages_bulk_array(struct mempool_pages_bulk *pool, gfp_t gfp,
				    unsigned int nr_pages, struct page **page_array);
bool mempool_alloc_pages_bulk_list(struct mempool_pages_bulk *pool, gfp_t gfp,
				   unsigned int nr_pages, struct list_head *page_list);

/* free.c: giving pages back */
void mempool_free_page_bulk(struct mempool_pages_bulk *pool, struct page *page);
void mempool_free_pages_bulk_array(struct mempool_pages_bulk *pool, unsigned int nr_pages,
				   struct page **page_array);
void mempool_free_pages_bulk_list(struct mempool_pages_bulk *pool, struct list_head *page_list);

#endif /* MEMPOOL_BULK_H */
