// SPDX-License-Identifier: GPL-2.0-only
/* The four steps by which a request gets its pages, into an array or onto a list. */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include "internal.h"

/* How long a queued request waits for a grant before it tries the page allocator again. */
#define RETRY_INTERVAL	HZ

/* Pages that the list form asks the page allocator for at a time: 128 bytes of stack. */
#define LIST_CHUNK	16

/**
 * struct page_request - one call of an allocation function
 * @pool: the pool
 * @array: where the pages go, or NULL
 * @list: where they go when @array is NULL
 * @nr: pages wanted
 * @have: pages delivered, or found in @array at the start
 */
struct page_request {
	struct mempool_pages_bulk *pool;
	struct page **array;
	struct list_head *list;
	unsigned int nr;
	unsigned int have;
};

static unsigned int missing(const struct page_request *req)
{
	return req->nr - req->have;
}

static unsigned int count_filled(struct page **array, unsigned int nr)
{
	unsigned int i, filled = 0;

	for (i = 0; i < nr; i++)
		filled += !!array[i];
	return filled;
}

static void fill_array_from_allocator(struct page_request *req, gfp_t gfp)
{
	if (req->nr == 1) {
		/* The bulk allocator would come to the same call, the long way round. */
		req->array[0] = alloc_page(gfp);
		req->have = !!req->array[0];
		return;
	}
	if (alloc_pages_bulk(gfp, req->nr, req->array) == req->nr)
		req->have = req->nr;
	else
		/* What it returns then does not count the filled entries behind a hole. */
		req->have = count_filled(req->array, req->nr);
}

static void fill_list_from_allocator(struct page_request *req, gfp_t gfp)
{
	while (missing(req)) {
		struct page *chunk[LIST_CHUNK] = {};
		unsigned int want = min_t(unsigned int, missing(req), LIST_CHUNK);
		unsigned int got = alloc_pages_bulk(gfp, want, chunk);
		unsigned int i;

		for (i = 0; i < got; i++)
			list_add_tail(&chunk[i]->lru, req->list);
		req->have += got;
		if (got < want)
			return;
	}
}

/* Steps 1 and 3. Return: true when nothing is missing any more. */
static bool from_allocator(struct page_request *req, enum mempool_bulk_step step, gfp_t gfp)
{
	struct mempool_pages_bulk *pool = req->pool;
	unsigned int before = req->have;

	if (mempool_bulk_must_fail(pool, step) || !mempool_bulk_claim(pool, missing(req)))
		return false;

	if (req->array)
		fill_array_from_allocator(req, gfp);
	else
		fill_list_from_allocator(req, gfp);

	this_cpu_add(pool->stats->pages[step], req->have - before);
	if (likely(!missing(req)))
		return true;
	mempool_bulk_account(pool, -(long)missing(req));
	return false;
}

/* Hand pages of the reserve to the caller, as many as he lacks; what is too many stays in @pages */
static void deliver(struct page_request *req, enum mempool_bulk_step step, struct list_head *pages)
{
	unsigned int before = req->have, i = 0;

	while (missing(req) && !list_empty(pages)) {
		struct page *page = list_first_entry(pages, struct page, lru);

		if (req->array) {
			while (req->array[i])
				i++;
			list_del(&page->lru);
			req->array[i] = page;
		} else {
			list_move_tail(&page->lru, req->list);
		}
		req->have++;
	}
	this_cpu_add(req->pool->stats->pages[step], req->have - before);
}

/* Step 2. Those who queue for the reserve were here first: it is theirs even if it would do now. */
static bool from_reserve(struct page_request *req)
{
	struct mempool_pages_bulk *pool = req->pool;
	unsigned long flags;
	LIST_HEAD(pages);

	if (mempool_bulk_must_fail(pool, MEMPOOL_BULK_RESERVE))
		return false;

	spin_lock_irqsave(&pool->lock, flags);
	if (list_empty(&pool->waiters) && pool->curr_nr >= missing(req))
		mempool_bulk_take(pool, missing(req), &pages);
	spin_unlock_irqrestore(&pool->lock, flags);

	deliver(req, MEMPOOL_BULK_RESERVE, &pages);
	return !missing(req);
}

static bool refused(const struct page_request *req)
{
	if (likely(req->nr <= READ_ONCE(req->pool->min_nr)))
		return false;
	pr_warn_ratelimited("mempool-bulk: a request for %u pages exceeds the reserve of %u\n",
			    req->nr, READ_ONCE(req->pool->min_nr));
	return true;
}

/*
 * Queue for the reserve, behind those who already wait.
 * Return: false when the reserve was made smaller than what the request lacks.
 */
static bool enqueue(struct page_request *req, struct mempool_bulk_waiter *waiter)
{
	struct mempool_pages_bulk *pool = req->pool;
	unsigned long flags;
	bool queued;

	INIT_LIST_HEAD(&waiter->node);
	INIT_LIST_HEAD(&waiter->pages);
	init_completion(&waiter->granted);
	waiter->need = missing(req);

	spin_lock_irqsave(&pool->lock, flags);
	queued = waiter->need <= pool->min_nr;
	if (queued) {
		list_add_tail(&waiter->node, &pool->waiters);
		/* The reserve may do, if the pages came back since step 2. */
		mempool_bulk_grant(pool);
	}
	spin_unlock_irqrestore(&pool->lock, flags);
	return queued;
}

/*
 * Adjust the claim of a queued request to what it still lacks, or withdraw it when that is
 * nothing. Those behind it may be served then.
 */
static void update_claim(struct page_request *req, struct mempool_bulk_waiter *waiter)
{
	struct mempool_pages_bulk *pool = req->pool;
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	if (!list_empty(&waiter->node)) {
		waiter->need = missing(req);
		if (!waiter->need)
			list_del_init(&waiter->node);
		mempool_bulk_grant(pool);
	}
	spin_unlock_irqrestore(&pool->lock, flags);
}

/*
 * Step 4. The request keeps its place in the queue while it goes through steps 1 and 3 again, so
 * that going back costs it nothing.
 */
static bool wait_for_reserve(struct page_request *req, gfp_t nowait, gfp_t sleeping)
{
	struct mempool_bulk_waiter waiter;

	if (!enqueue(req, &waiter))
		return false;
	this_cpu_add(req->pool->stats->waits, 1);

	while (missing(req) && !wait_for_completion_io_timeout(&waiter.granted, RETRY_INTERVAL)) {
		if (!from_allocator(req, MEMPOOL_BULK_NOWAIT, nowait))
			from_allocator(req, MEMPOOL_BULK_SLEEP, sleeping);
		update_claim(req, &waiter);
	}

	/*
	 * The waiter is off the queue: either it was granted, or it was withdrawn with nothing
	 * missing. A grant that came while the page allocator was delivering is too many.
	 */
	deliver(req, MEMPOOL_BULK_WAIT, &waiter.pages);
	if (!list_empty(&waiter.pages))
		mempool_free_pages_bulk_list(req->pool, &waiter.pages);
	return !missing(req);
}

static bool fill(struct page_request *req, gfp_t gfp)
{
	const gfp_t sleeping = (gfp & ~__GFP_ZERO) | __GFP_NORETRY | __GFP_NOMEMALLOC |
			       __GFP_NOWARN;
	const gfp_t nowait = sleeping & ~__GFP_DIRECT_RECLAIM;
	const bool may_sleep = gfpflags_allow_blocking(gfp);

	might_sleep_if(may_sleep);
	/* A page of the reserve is not zero, so nobody may rely on it. */
	WARN_ON_ONCE(gfp & __GFP_ZERO);

	if (!missing(req))
		return true;
	if (!refused(req)) {
		if (from_allocator(req, MEMPOOL_BULK_NOWAIT, nowait) || from_reserve(req))
			return true;
		if (may_sleep && (from_allocator(req, MEMPOOL_BULK_SLEEP, sleeping) ||
				  wait_for_reserve(req, nowait, sleeping)))
			return true;
	}
	this_cpu_add(req->pool->stats->partial, 1);
	return false;
}

/**
 * mempool_alloc_pages_bulk_array() - fill the empty entries of an array with pages
 * @pool: the pool
 * @gfp: allocation flags; with %__GFP_DIRECT_RECLAIM the call may sleep and delivers everything.
 *	Callers in the path of writeback pass GFP_NOIO. %__GFP_ZERO is not supported.
 * @nr_pages: entries of @page_array; at most the size of the reserve
 * @page_array: entries that are not NULL are kept and count as delivered, as with the kernel's
 *	alloc_pages_bulk(); the others are filled
 *
 * Context: any with the matching @gfp; with GFP_ATOMIC hard interrupts too, but on PREEMPT_RT,
 * where a spinlock may sleep.
 * Return: true when all @nr_pages entries are filled. false, without %__GFP_DIRECT_RECLAIM or when
 * @nr_pages exceeds the reserve, leaves what was delivered in @page_array: it is the caller's.
 */
bool mempool_alloc_pages_bulk_array(struct mempool_pages_bulk *pool, gfp_t gfp,
				    unsigned int nr_pages, struct page **page_array)
{
	struct page_request req = {
		.pool = pool,
		.array = page_array,
		.nr = nr_pages,
		.have = count_filled(page_array, nr_pages),
	};

	return fill(&req, gfp);
}

/**
 * mempool_alloc_pages_bulk_list() - append pages to a list
 * @pool: the pool
 * @gfp: as for mempool_alloc_pages_bulk_array()
 * @nr_pages: how many to append; at most the size of the reserve
 * @page_list: the list, linked through page->lru; what is on it already is not counted
 *
 * Context: as for mempool_alloc_pages_bulk_array().
 * Return: true when @nr_pages pages were appended. false, without %__GFP_DIRECT_RECLAIM or when
 * @nr_pages exceeds the reserve, leaves what was appended on @page_list: it is the caller's.
 */
bool mempool_alloc_pages_bulk_list(struct mempool_pages_bulk *pool, gfp_t gfp,
				   unsigned int nr_pages, struct list_head *page_list)
{
	struct page_request req = {
		.pool = pool,
		.list = page_list,
		.nr = nr_pages,
	};

	return fill(&req, gfp);
}
