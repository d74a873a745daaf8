// SPDX-License-Identifier: GPL-2.0-only
/* The life of a pool: making, resizing and unmaking it, its reserve and its accounts. */
#include <linux/bitops.h>
#include <linux/kstrtox.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include "internal.h"

/* The steps that can be made to fail: all but the last, which the promise rests on. */
#define FAILABLE_STEPS	(BIT(MEMPOOL_BULK_WAIT) - 1)

unsigned long mempool_bulk_pool_fail;

static int set_pool_fail(const char *text, const struct kernel_param *param)
{
	unsigned long steps;
	int ret = kstrtoul(text, 0, &steps);

	if (ret)
		return ret;
	if (steps & ~FAILABLE_STEPS)
		return -EINVAL;
	WRITE_ONCE(mempool_bulk_pool_fail, steps);
	return 0;
}

static const struct kernel_param_ops pool_fail_ops = {
	.set = set_pool_fail,
	.get = param_get_ulong,
};

module_param_cb(pool_fail, &pool_fail_ops, &mempool_bulk_pool_fail, 0600);
MODULE_PARM_DESC(pool_fail,
		 "Testing: steps of every page allocation that fail, a mask (1: bulk allocator, 2: reserve without waiting, 4: bulk allocator with sleeping; default 0)");

/**
 * mempool_fail_pages_bulk() - make steps of the allocation fail, for testing
 * @pool: the pool
 * @steps: a mask of BIT(enum mempool_bulk_step); 0 makes all of them work again. %MEMPOOL_BULK_WAIT
 *	is ignored.
 *
 * Context: any.
 */
void mempool_fail_pages_bulk(struct mempool_pages_bulk *pool, unsigned long steps)
{
	WRITE_ONCE(pool->fail, steps);
}

/**
 * mempool_limit_pages_bulk() - bound what a pool takes from the page allocator
 * @pool: the pool
 * @limit: where the bound is kept, in pages; it may change at any time and must outlive the pool.
 *	NULL removes the bound.
 *
 * A request that would take the pool beyond the bound is served from the reserve only, and waits
 * for it if it may sleep. The reserve itself is counted, but always allowed. The count that is
 * compared is approximate: on N CPUs the bound can be exceeded by N batches of the percpu counter.
 *
 * Context: before the pool is used by others.
 */
void mempool_limit_pages_bulk(struct mempool_pages_bulk *pool, const unsigned long *limit)
{
	pool->limit = limit;
}

/**
 * mempool_stats_pages_bulk() - sum up the counters of a pool
 * @pool: the pool
 * @sum: filled with the sums over all CPUs; exact only while nobody uses the pool
 *
 * Context: any.
 */
void mempool_stats_pages_bulk(struct mempool_pages_bulk *pool, struct mempool_bulk_stats *sum)
{
	int cpu, step;

	*sum = (struct mempool_bulk_stats){};
	for_each_possible_cpu(cpu) {
		const struct mempool_bulk_stats *one = per_cpu_ptr(pool->stats, cpu);

		for (step = 0; step < MEMPOOL_BULK_STEPS; step++)
			sum->pages[step] += READ_ONCE(one->pages[step]);
		sum->waits += READ_ONCE(one->waits);
		sum->partial += READ_ONCE(one->partial);
		sum->recycled += READ_ONCE(one->recycled);
		sum->refilled += READ_ONCE(one->refilled);
		sum->released += READ_ONCE(one->released);
	}
}

/**
 * mempool_held_pages_bulk() - how many pages of the page allocator does a pool hold?
 * @pool: the pool
 *
 * Context: any; takes the lock of the counter.
 * Return: pages in the reserve plus pages that callers have not yet freed.
 */
s64 mempool_held_pages_bulk(struct mempool_pages_bulk *pool)
{
	return percpu_counter_sum(&pool->nr_pages);
}

void mempool_bulk_account(struct mempool_pages_bulk *pool, long nr_pages)
{
	percpu_counter_add(&pool->nr_pages, nr_pages);
}

/**
 * mempool_bulk_claim() - account pages that are about to be asked of the page allocator
 * @pool: the pool
 * @nr_pages: how many; the caller takes back with mempool_bulk_account() what he then did not get
 *
 * They are accounted before they are there, so that requests made at the same time cannot all
 * find room for themselves and together exceed the limit. Instead each may find the other in its
 * way, and go on to the reserve as if there were no room.
 *
 * Context: any.
 * Return: false, with nothing accounted, when the pool's limit does not allow them.
 */
bool mempool_bulk_claim(struct mempool_pages_bulk *pool, unsigned int nr_pages)
{
	mempool_bulk_account(pool, nr_pages);
	if (!pool->limit ||
	    percpu_counter_read_positive(&pool->nr_pages) <= READ_ONCE(*pool->limit))
		return true;
	mempool_bulk_account(pool, -(long)nr_pages);
	return false;
}

/**
 * mempool_bulk_take() - move pages out of the reserve
 * @pool: the pool
 * @nr: how many; at most pool->curr_nr
 * @to: list they are appended to; its owner owns them from here on
 *
 * Context: pool->lock held.
 */
void mempool_bulk_take(struct mempool_pages_bulk *pool, unsigned int nr, struct list_head *to)
{
	lockdep_assert_held(&pool->lock);

	WRITE_ONCE(pool->curr_nr, pool->curr_nr - nr);
	while (nr--)
		list_move_tail(pool->reserve.next, to);
}

/**
 * mempool_bulk_grant() - serve waiting requests from the reserve, oldest first
 * @pool: the pool
 *
 * Stops at the first request that the reserve cannot satisfy whole, so that it cannot be
 * overtaken.
 *
 * Context: pool->lock held.
 * Return: true when at least one request was granted, and the reserve has room again.
 */
bool mempool_bulk_grant(struct mempool_pages_bulk *pool)
{
	bool granted = false;

	lockdep_assert_held(&pool->lock);

	while (!list_empty(&pool->waiters)) {
		struct mempool_bulk_waiter *waiter =
			list_first_entry(&pool->waiters, struct mempool_bulk_waiter, node);

		if (waiter->need > pool->curr_nr)
			break;
		mempool_bulk_take(pool, waiter->need, &waiter->pages);
		list_del_init(&waiter->node);
		/* The waiter returns only after complete() let go of it: nothing follows this. */
		complete(&waiter->granted);
		granted = true;
	}
	return granted;
}

/* Allocate @nr pages onto @to, and account them like every other page; all or nothing. */
static int alloc_reserve(struct mempool_pages_bulk *pool, unsigned int nr, struct list_head *to)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct page *page = alloc_page(GFP_KERNEL);

		if (!page)
			break;
		list_add_tail(&page->lru, to);
	}
	mempool_bulk_account(pool, i);
	if (i == nr)
		return 0;
	mempool_bulk_release_list(pool, to);
	return -ENOMEM;
}

/**
 * mempool_init_pages_bulk() - make a pool in memory that the caller provides
 * @pool: zeroed or uninitialised memory
 * @min_nr: size of the reserve and of the largest request, in pages; at least 1
 *
 * Context: process context, may sleep, allocates with GFP_KERNEL.
 * Return: 0, -EINVAL for an empty reserve, -ENOMEM. On error nothing is left to undo, and
 * mempool_exit_pages_bulk() is still allowed.
 */
int mempool_init_pages_bulk(struct mempool_pages_bulk *pool, unsigned int min_nr)
{
	int ret;

	*pool = (struct mempool_pages_bulk){};
	if (!min_nr)
		return -EINVAL;

	pool->stats = alloc_percpu(struct mempool_bulk_stats);
	if (!pool->stats)
		return -ENOMEM;

	spin_lock_init(&pool->lock);
	mutex_init(&pool->resize_lock);
	INIT_LIST_HEAD(&pool->reserve);
	INIT_LIST_HEAD(&pool->waiters);
	pool->min_nr = min_nr;

	ret = percpu_counter_init(&pool->nr_pages, 0, GFP_KERNEL);
	if (ret)
		goto free_stats;

	ret = alloc_reserve(pool, min_nr, &pool->reserve);
	if (ret)
		goto destroy_counter;
	pool->curr_nr = min_nr;
	return 0;

destroy_counter:
	percpu_counter_destroy(&pool->nr_pages);
free_stats:
	free_percpu(pool->stats);
	pool->stats = NULL;
	return ret;
}

/**
 * mempool_exit_pages_bulk() - unmake a pool made by mempool_init_pages_bulk()
 * @pool: the pool; all of its pages must have been freed. Zeroed memory, a pool whose
 *	initialisation failed and a pool already unmade are left as they are.
 *
 * Context: process context. Nobody else may use the pool any more.
 */
void mempool_exit_pages_bulk(struct mempool_pages_bulk *pool)
{
	s64 lost;

	if (!pool->stats)
		return;

	WARN_ON_ONCE(!list_empty(&pool->waiters));
	mempool_bulk_release_list(pool, &pool->reserve);
	pool->curr_nr = 0;

	lost = mempool_held_pages_bulk(pool);
	WARN_ONCE(lost, "mempool-bulk: %lld pages were not given back\n", lost);

	percpu_counter_destroy(&pool->nr_pages);
	free_percpu(pool->stats);
	pool->stats = NULL;
}

/**
 * mempool_create_pages_bulk() - allocate and make a pool
 * @min_nr: as for mempool_init_pages_bulk()
 *
 * Context: process context, may sleep, allocates with GFP_KERNEL.
 * Return: the pool, to be given to mempool_destroy_pages_bulk(), or NULL.
 */
struct mempool_pages_bulk *mempool_create_pages_bulk(unsigned int min_nr)
{
	struct mempool_pages_bulk *pool = kmalloc(sizeof(*pool), GFP_KERNEL);

	if (pool && mempool_init_pages_bulk(pool, min_nr)) {
		kfree(pool);
		pool = NULL;
	}
	return pool;
}

/**
 * mempool_destroy_pages_bulk() - unmake and free a pool made by mempool_create_pages_bulk()
 * @pool: the pool, or NULL
 *
 * Context: process context. Nobody else may use the pool any more.
 */
void mempool_destroy_pages_bulk(struct mempool_pages_bulk *pool)
{
	if (!pool)
		return;
	mempool_exit_pages_bulk(pool);
	kfree(pool);
}

static int shrink_reserve(struct mempool_pages_bulk *pool, unsigned int new_min_nr)
{
	const struct mempool_bulk_waiter *waiter;
	unsigned long flags;
	LIST_HEAD(surplus);
	int ret = 0;

	spin_lock_irqsave(&pool->lock, flags);
	list_for_each_entry(waiter, &pool->waiters, node)
		if (waiter->need > new_min_nr)
			ret = -EBUSY;
	if (!ret) {
		WRITE_ONCE(pool->min_nr, new_min_nr);
		if (pool->curr_nr > new_min_nr)
			mempool_bulk_take(pool, pool->curr_nr - new_min_nr, &surplus);
	}
	spin_unlock_irqrestore(&pool->lock, flags);

	mempool_bulk_release_list(pool, &surplus);
	return ret;
}

static int grow_reserve(struct mempool_pages_bulk *pool, unsigned int new_min_nr)
{
	unsigned int more = new_min_nr - pool->min_nr;
	unsigned long flags;
	LIST_HEAD(fresh);
	int ret;

	ret = alloc_reserve(pool, more, &fresh);
	if (ret)
		return ret;

	spin_lock_irqsave(&pool->lock, flags);
	WRITE_ONCE(pool->min_nr, new_min_nr);
	/* Pairs with the barrier in mempool_bulk_reserve_lacks(). */
	smp_wmb();
	list_splice_tail(&fresh, &pool->reserve);
	WRITE_ONCE(pool->curr_nr, pool->curr_nr + more);
	mempool_bulk_grant(pool);
	spin_unlock_irqrestore(&pool->lock, flags);
	return 0;
}

/**
 * mempool_resize_pages_bulk() - change the size of the reserve
 * @pool: the pool; it may be in use
 * @new_min_nr: the new size and the new largest request, in pages; at least 1
 *
 * Pages beyond a smaller size go back to the page allocator, at once or when they are freed. The
 * caller must not go below the largest request that may still be made.
 *
 * Context: process context, may sleep, allocates with GFP_KERNEL. Calls are serialised.
 * Return: 0, -EINVAL for an empty reserve, -ENOMEM, or -EBUSY when a request that waits needs
 * more than @new_min_nr pages. On error nothing has changed.
 */
int mempool_resize_pages_bulk(struct mempool_pages_bulk *pool, unsigned int new_min_nr)
{
	int ret = 0;

	if (!new_min_nr)
		return -EINVAL;

	mutex_lock(&pool->resize_lock);
	if (new_min_nr < pool->min_nr)
		ret = shrink_reserve(pool, new_min_nr);
	else if (new_min_nr > pool->min_nr)
		ret = grow_reserve(pool, new_min_nr);
	mutex_unlock(&pool->resize_lock);
	return ret;
}
