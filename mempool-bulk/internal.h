/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of mempool-bulk share with each other and with nobody else. */
#ifndef MEMPOOL_BULK_INTERNAL_H
#define MEMPOOL_BULK_INTERNAL_H

#include <linux/completion.h>
#include <linux/mm.h>
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

/* pool.c: the testing knob */
bool mempool_bulk_must_fail(struct mempool_pages_bulk *pool, enum mempool_bulk_step step);

/* free.c */
void mempool_bulk_release_list(struct mempool_pages_bulk *pool, struct list_head *page_list);

#endif /* MEMPOOL_BULK_INTERNAL_H */
