/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers for data on its way: some kilobytes to a megabyte, in as few pieces as memory allows.
 *
 * A piece is 1, 2, 4, ... pages that lie side by side, described by a bio_vec. The pieces of a
 * buffer come from, in this order:
 *
 *   1. pieces of buffers that were freed before: a magazine of the CPU, then the depot that all
 *      CPUs share. Neither the page allocator nor its zeroing is touched.
 *   2. compound pages, the largest that fit first, without sleeping;
 *   3. the pool of single pages beneath (mempool-bulk.h): its bulk allocation, for what
 *      fragmentation leaves, and in the end its reserve.
 *
 * What the last of these promises holds for the buffer: with a gfp that may sleep, an allocation
 * succeeds in the end, provided that other buffers are freed without needing new ones.
 *
 * Kept pieces are idle memory, and bounded: each CPU's magazine and the depot have a size; these
 * sizes count against a budget of all pools, 1 % of memory, and of a pool, half of its limit; and
 * the pages count against the limit as those in use do. They go back to the page allocator when
 * they have not been used for some seconds, under memory pressure, when the limit needs them, when
 * their CPU goes offline, and with the pool.
 *
 * Ownership: the pieces belong to the caller until he gives all of a buffer back, with the same
 * bio_vecs. Their contents are stale. What must not be seen by the next user, or by who reads the
 * memory of the machine, goes back through mempool_discard_buffer_bulk(), which wipes it.
 */
#ifndef MEMPOOL_BULK_BUFFER_H
#define MEMPOOL_BULK_BUFFER_H

#include <linux/bvec.h>
#include <linux/list.h>
#include <linux/workqueue.h>
#include "mempool-bulk.h"

/* Orders that a piece can have: up to 256 pages. */
#define MEMPOOL_BULK_ORDERS 9

struct mempool_bulk_magazine;

/**
 * struct mempool_bulk_recycler - pieces kept for the next buffer
 * @pool: the pages' account
 * @magazines: one for each CPU
 * @depot: what did not fit into these
 * @share: pages that magazines and depot may hold together now, at most half of the pool's limit
 * @aging: @age is going to run
 * @age: gives back what has not been used for a while
 * @node: link in the list of all recyclers
 * @hotplug: link in the list of those that want to know when a CPU goes offline
 */
struct mempool_bulk_recycler {
	struct mempool_pages_bulk *pool;
	struct mempool_bulk_magazine __percpu *magazines;
	struct mempool_bulk_magazine *depot;
	atomic_long_t share;
	bool aging;
	struct delayed_work age;
	struct list_head node;
	struct hlist_node hotplug;
};

/**
 * struct mempool_buffers_bulk - a source of buffers; treat it as opaque
 * @pages: single pages, and the account of all
 * @recycler: pieces kept; all zero where none are
 * @max_order: log2 of the pages of the largest piece
 * @order: as @max_order, or less for a while after memory was found to be fragmented
 * @order_until: when that ends, in jiffies
 * @single: for testing: one page at a time, none kept
 */
struct mempool_buffers_bulk {
	struct mempool_pages_bulk pages;
	struct mempool_bulk_recycler recycler;
	unsigned int max_order;
	unsigned int order;
	unsigned long order_until;
	bool single;
};

/* buffer.c */
int mempool_init_buffers_bulk(struct mempool_buffers_bulk *buffers, unsigned int max_pages);
void mempool_exit_buffers_bulk(struct mempool_buffers_bulk *buffers);
unsigned int mempool_alloc_buffer_bulk(struct mempool_buffers_bulk *buffers, gfp_t gfp,
				       unsigned int bytes, struct bio_vec *pieces,
				       unsigned int max_pieces);
void mempool_free_buffer_bulk(struct mempool_buffers_bulk *buffers, struct bio_vec *pieces,
			      unsigned int nr);
void mempool_discard_buffer_bulk(struct mempool_buffers_bulk *buffers, struct bio_vec *pieces,
				 unsigned int nr);

/* recycle.c */
s64 mempool_idle_pages_bulk(struct mempool_buffers_bulk *buffers);

/* idle.c: once for the module, before the first pool and after the last */
int mempool_bulk_start(void);
void mempool_bulk_stop(void);

#endif /* MEMPOOL_BULK_BUFFER_H */
