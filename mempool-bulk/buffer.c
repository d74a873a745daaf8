// SPDX-License-Identifier: GPL-2.0-only
/* Buffers in few pieces: the order in which their memory is looked for. */
#include <linux/bitops.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <xen/xen.h>
#include "internal.h"

/*
 * Larger pieces once hung machines whose DMA goes through Xen's bounce buffers; elsewhere 128 KiB
 * are as much as a write that is split for several CPUs has.
 */
#define DEFAULT_ORDER		5
#define DEFAULT_ORDER_XEN	3

/* Memory stays fragmented for a while: how long not to ask for what it did not have */
#define FRAGMENTED_INTERVAL	(HZ / 10)

static int chunk_order = -1;
module_param(chunk_order, int, 0644);
MODULE_PARM_DESC(chunk_order,
		 "Largest piece of memory to take for new mappings, log2 of pages, 0 to 8 (default -1: 5, or 3 on Xen PV)");

static bool single_page;
module_param(single_page, bool, 0644);
MODULE_PARM_DESC(single_page,
		 "Testing: let new mappings take the pages of writes one at a time, and keep none (default N)");

static unsigned int largest_order(void)
{
	int order = READ_ONCE(chunk_order);

	if (order >= 0)
		return min_t(unsigned int, order, MEMPOOL_BULK_ORDERS - 1);
	return xen_pv_domain() ? DEFAULT_ORDER_XEN : DEFAULT_ORDER;
}

/**
 * mempool_init_buffers_bulk() - make a source of buffers in memory that the caller provides
 * @buffers: zeroed or uninitialised memory
 * @max_pages: of the largest buffer, and of the reserve
 *
 * A bound can be set with mempool_limit_pages_bulk() on @buffers->pages.
 *
 * Context: process context, may sleep, allocates with GFP_KERNEL.
 * Return: 0 or a negative errno. On error nothing is left to undo, and
 * mempool_exit_buffers_bulk() is still allowed.
 */
int mempool_init_buffers_bulk(struct mempool_buffers_bulk *buffers, unsigned int max_pages)
{
	int ret;

	*buffers = (struct mempool_buffers_bulk){
		.single = READ_ONCE(single_page),
		.max_order = largest_order(),
	};
	buffers->order = buffers->max_order;
	ret = mempool_init_pages_bulk(&buffers->pages, max_pages);
	if (ret || buffers->single)
		return ret;
	ret = mempool_bulk_recycler_init(&buffers->recycler, &buffers->pages);
	if (ret)
		mempool_exit_pages_bulk(&buffers->pages);
	return ret;
}

/**
 * mempool_exit_buffers_bulk() - unmake what mempool_init_buffers_bulk() made
 * @buffers: all buffers of it have been freed; also zeroed memory, and after a failed init
 *
 * Context: process context, may sleep. Nobody else may use it any more.
 */
void mempool_exit_buffers_bulk(struct mempool_buffers_bulk *buffers)
{
	mempool_bulk_recycler_exit(&buffers->recycler);
	mempool_exit_pages_bulk(&buffers->pages);
}

/* The fewest pieces that @pages can be made of when none is larger than @order. */
static unsigned int fewest_pieces(unsigned int pages, unsigned int order)
{
	return (pages >> order) + hweight32(pages & ((1U << order) - 1));
}

/* How large a piece to ask for: after a failure, not the largest for a while. */
static unsigned int promising_order(struct mempool_buffers_bulk *buffers)
{
	unsigned int order = READ_ONCE(buffers->order);

	if (likely(order == buffers->max_order))
		return order;
	if (time_before(jiffies, READ_ONCE(buffers->order_until)))
		return order;
	WRITE_ONCE(buffers->order, buffers->max_order);
	return buffers->max_order;
}

static void note_fragmented(struct mempool_buffers_bulk *buffers, unsigned int order)
{
	WRITE_ONCE(buffers->order_until, jiffies + FRAGMENTED_INTERVAL);
	WRITE_ONCE(buffers->order, order);
}

/*
 * Take compound pages, as long as what is left can still be had in @max_pieces. Pieces of a single
 * page are left to the bulk allocator, but for the last one.
 * Return: how many pieces.
 */
static unsigned int take_compound(struct mempool_buffers_bulk *buffers, gfp_t gfp,
				  unsigned int *left, struct bio_vec *pieces,
				  unsigned int max_pieces)
{
	struct mempool_pages_bulk *pool = &buffers->pages;
	unsigned int order = min_t(unsigned int, promising_order(buffers), ilog2(*left));
	unsigned int wanted = *left, nr = 0;

	if (fewest_pieces(*left, order) > max_pieces || (!order && *left > 1) ||
	    !mempool_bulk_claim(pool, wanted))
		return 0;

	while (*left && nr + fewest_pieces(*left, order) <= max_pieces) {
		struct page *page = alloc_pages(order ? gfp | __GFP_COMP : gfp, order);

		if (likely(page)) {
			bvec_set_page(&pieces[nr++], page, PAGE_SIZE << order, 0);
			*left -= 1U << order;
			if (*left)
				order = min_t(unsigned int, order, ilog2(*left));
			continue;
		}
		if (!order)
			break;
		note_fragmented(buffers, --order);
		if (!order && *left > 1)
			break;
	}
	this_cpu_add(pool->stats->pages[MEMPOOL_BULK_NOWAIT], wanted - *left);
	if (unlikely(*left))
		mempool_bulk_account(pool, -(long)*left);
	return nr;
}

/*
 * Take single pages of the pool beneath; the end of @pieces holds their pointers meanwhile. A
 * pointer takes half the room of a bio_vec, so that bio_vec i can be written as soon as pointer i
 * was read.
 */
static_assert(sizeof(struct bio_vec) >= 2 * sizeof(struct page *));

static bool take_singles(struct mempool_buffers_bulk *buffers, gfp_t gfp, unsigned int nr,
			 struct bio_vec *pieces)
{
	struct mempool_pages_bulk *pool = &buffers->pages;
	struct page **pages = (struct page **)(pieces + nr) - nr;
	unsigned int i;

	memset(pages, 0, nr * sizeof(*pages));
	for (i = 0; buffers->single && i < nr; i++) {
		if (mempool_alloc_pages_bulk_array(pool, gfp & ~__GFP_DIRECT_RECLAIM, 1, &pages[i]))
			continue;
		/* Some may be the reserve's: nobody waits for more of it with these in hand. */
		mempool_free_pages_bulk_array(pool, i, pages);
		memset(pages, 0, i * sizeof(*pages));
		break;
	}
	if (!mempool_alloc_pages_bulk_array(pool, gfp & ~__GFP_DIRECT_RECLAIM, nr, pages)) {
		/* What is kept may be what is missing, or what the limit has no room for. */
		if (buffers->recycler.magazines)
			mempool_bulk_drain(&buffers->recycler);
		if (!mempool_alloc_pages_bulk_array(pool, gfp, nr, pages)) {
			mempool_free_pages_bulk_array(pool, nr, pages);
			return false;
		}
	}
	for (i = 0; i < nr; i++) {
		struct page *page = pages[i];

		bvec_set_page(&pieces[i], page, PAGE_SIZE, 0);
	}
	return true;
}

static unsigned int count_pages(const struct bio_vec *pieces, unsigned int nr)
{
	unsigned int pages = 0;

	while (nr--)
		pages += mempool_bulk_piece_pages(pieces++);
	return pages;
}

/* To the reserve what it lacks, and to the page allocator the rest. */
static void release(struct mempool_buffers_bulk *buffers, const struct bio_vec *pieces,
		    unsigned int nr)
{
	long compound = 0;
	LIST_HEAD(singles);

	for (; nr--; pieces++) {
		unsigned int pages = mempool_bulk_piece_pages(pieces);

		if (pages == 1) {
			list_add_tail(&pieces->bv_page->lru, &singles);
		} else {
			__free_pages(pieces->bv_page, ilog2(pages));
			compound += pages;
		}
	}
	if (compound) {
		mempool_bulk_account(&buffers->pages, -compound);
		this_cpu_add(buffers->pages.stats->released, compound);
	}
	mempool_free_pages_bulk_list(&buffers->pages, &singles);
}

/**
 * mempool_alloc_buffer_bulk() - get a buffer
 * @buffers: where from
 * @gfp: allocation flags; with %__GFP_DIRECT_RECLAIM the call may sleep, and only fails for lack
 *	of room in @pieces. Callers in the path of writeback pass GFP_NOIO.
 * @bytes: its size, more than 0; at most that of the reserve
 * @pieces: gets the pieces, which belong to the caller from here on; together @bytes long, each
 *	but the last made of whole pages
 * @max_pieces: how many there is room for; one for each page is always enough
 *
 * Context: any with the matching @gfp; with GFP_ATOMIC hard interrupts too, but on PREEMPT_RT.
 * Return: how many pieces; 0 when there would be more than @max_pieces, or no memory.
 */
unsigned int mempool_alloc_buffer_bulk(struct mempool_buffers_bulk *buffers, gfp_t gfp,
				       unsigned int bytes, struct bio_vec *pieces,
				       unsigned int max_pieces)
{
	unsigned int pages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	unsigned int left = pages, nr = 0;

	if (likely(!buffers->single &&
		   !mempool_bulk_must_fail(&buffers->pages, MEMPOOL_BULK_NOWAIT))) {
		nr = mempool_bulk_recycle_get(&buffers->recycler, &left, buffers->max_order,
					      pieces, max_pieces);
		this_cpu_add(buffers->pages.stats->recycled, pages - left);
		if (unlikely(left)) {
			const gfp_t light = (gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_NORETRY |
					    __GFP_NOMEMALLOC | __GFP_NOWARN;

			nr += take_compound(buffers, light, &left, pieces + nr, max_pieces - nr);
		}
	}
	if (unlikely(left)) {
		if (nr + left > max_pieces ||
		    !take_singles(buffers, gfp, left, pieces + nr)) {
			mempool_free_buffer_bulk(buffers, pieces, nr);
			return 0;
		}
		nr += left;
	}
	pieces[nr - 1].bv_len -= (pages << PAGE_SHIFT) - bytes;
	return nr;
}

/**
 * mempool_free_buffer_bulk() - give a buffer back
 * @buffers: where it came from
 * @pieces: its pieces, as they were got
 * @nr: how many, 0 included
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT, where a spinlock may sleep.
 */
void mempool_free_buffer_bulk(struct mempool_buffers_bulk *buffers, struct bio_vec *pieces,
			      unsigned int nr)
{
	/* Those who wait for the reserve go first. */
	if (likely(buffers->recycler.magazines && nr &&
		   !mempool_bulk_reserve_lacks(&buffers->pages) &&
		   mempool_bulk_recycle_put(&buffers->recycler, pieces, nr,
					    count_pages(pieces, nr))))
		return;
	release(buffers, pieces, nr);
}

/**
 * mempool_discard_buffer_bulk() - wipe a buffer and give it back
 * @buffers: where it came from
 * @pieces: its pieces, as they were got
 * @nr: how many
 *
 * For buffers that may hold what was not encrypted: their pages are not kept for others, and what
 * goes to the reserve is zero.
 *
 * Context: as mempool_free_buffer_bulk().
 */
void mempool_discard_buffer_bulk(struct mempool_buffers_bulk *buffers, struct bio_vec *pieces,
				 unsigned int nr)
{
	unsigned int i, page;

	for (i = 0; i < nr; i++)
		for (page = 0; page < mempool_bulk_piece_pages(&pieces[i]); page++)
			clear_highpage(pieces[i].bv_page + page);
	release(buffers, pieces, nr);
}
