/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of mempool-bulk share with each other and with nobody else. */
#ifndef MEMPOOL_BULK_INTERNAL_H
#define MEMPOOL_BULK_INTERNAL_H

#include <linux/completion.h>
#include <linux/mm.h>
#include "buffer.h"
#include "mempool-bulk.h"

/**
 * struct mempool_bulk_waiter - a request that waits for the reserve, on its caller's stack
 * @node: link in pool->waiters, under pool->lock; empty once the request was granted or withdrawn
 * @need: pages that it still lacks, under pool->lock while @node is linked
 * @pages: the pages granted, owned by the waiter from the moment @granted completes
 * @granted: completed by whoever filled @pages
 */
struct mempool_bulk_waiter {
	struct list_head node;
	unsigned int need;
	struct list_head pages;
	struct completion granted;
};

/* pool.c: the reserve, all under pool->lock */
void mempool_bulk_take(struct mempool_pages_bulk *pool, unsigned int nr, struct list_head *to);
bool mempool_bulk_grant(struct mempool_pages_bulk *pool);

/* pool.c: accounting of pages that came from or went to the page allocator, a batch at a time */
void mempool_bulk_account(struct mempool_pages_bulk *pool, long nr_pages);
bool mempool_bulk_claim(struct mempool_pages_bulk *pool, unsigned int nr_pages);

/* pool.c: the testing knob, the module's parameter pool_fail */
extern unsigned long mempool_bulk_pool_fail;

/**
 * mempool_bulk_must_fail() - is a step of the allocation switched off for testing?
 * @pool: the pool
 * @step: the step about to be tried; step 4 never fails, it is what the promise rests on
 *
 * Context: any.
 * Return: true when the caller has to act as if @step had delivered nothing.
 */
static inline bool mempool_bulk_must_fail(const struct mempool_pages_bulk *pool,
					  enum mempool_bulk_step step)
{
	return unlikely((READ_ONCE(mempool_bulk_pool_fail) | READ_ONCE(pool->fail)) & BIT(step));
}

/* free.c */
void mempool_bulk_release_list(struct mempool_pages_bulk *pool, struct list_head *page_list);
bool mempool_bulk_reserve_lacks(struct mempool_pages_bulk *pool);

/**
 * struct mempool_bulk_stack - free pieces of one order
 * @top: first page of the last one put; each links to the one below it through page_private()
 * @nr: how many
 * @low: the fewest that there were since the last look of the one that ages them
 */
struct mempool_bulk_stack {
	struct page *top;
	unsigned int nr;
	unsigned int low;
};

/**
 * struct mempool_bulk_stacks - free pieces of all orders
 * @pages: how many pages they have in all
 * @order: the stacks
 */
struct mempool_bulk_stacks {
	unsigned int pages;
	struct mempool_bulk_stack order[MEMPOOL_BULK_ORDERS];
};

/**
 * struct mempool_bulk_magazine - free pieces within reach of one CPU, or of all
 * @lock: protects all of it; taken with interrupts off, and never together with another's
 * @room: pages that it may hold; 0 until it got that much of the budget
 * @full: the pieces
 */
struct mempool_bulk_magazine {
	spinlock_t lock; /* what follows */
	unsigned int room;
	struct mempool_bulk_stacks full;
};

/* recycle.c */
int mempool_bulk_recycler_init(struct mempool_bulk_recycler *recycler,
			       struct mempool_pages_bulk *pool);
void mempool_bulk_recycler_exit(struct mempool_bulk_recycler *recycler);
unsigned int mempool_bulk_recycle_get(struct mempool_bulk_recycler *recycler, unsigned int *left,
				      unsigned int max_order, struct bio_vec *pieces,
				      unsigned int max_pieces);
bool mempool_bulk_recycle_put(struct mempool_bulk_recycler *recycler, const struct bio_vec *pieces,
			      unsigned int nr, unsigned int pages);
unsigned long mempool_bulk_drain_cpu(struct mempool_bulk_recycler *recycler, unsigned int cpu);
unsigned long mempool_bulk_drain(struct mempool_bulk_recycler *recycler);
bool mempool_bulk_age(struct mempool_bulk_recycler *recycler);

/* idle.c */
int mempool_bulk_watch(struct mempool_bulk_recycler *recycler);
void mempool_bulk_unwatch(struct mempool_bulk_recycler *recycler);
void mempool_bulk_age_later(struct mempool_bulk_recycler *recycler);
bool mempool_bulk_get_share(struct mempool_bulk_recycler *recycler, unsigned int pages);
void mempool_bulk_put_share(struct mempool_bulk_recycler *recycler, unsigned int pages);

static inline unsigned int mempool_bulk_piece_pages(const struct bio_vec *piece)
{
	return DIV_ROUND_UP(piece->bv_len, PAGE_SIZE);
}

#endif /* MEMPOOL_BULK_INTERNAL_H */
