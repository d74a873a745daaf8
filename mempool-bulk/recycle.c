// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pieces of freed buffers, kept for the next ones: a magazine for each CPU, and behind all of them
 * a depot.
 *
 * After the magazines and the depot of J. Bonwick and J. Adams, "Magazines and Vmem" (USENIX 2001):
 * a CPU works with its own magazine; one that frees more than it allocates hands half a magazine
 * to the depot at a time, and one that allocates more than it frees takes as much from there, so
 * that completions on another CPU than the submitter's cost the shared lock only now and then.
 *
 * A magazine has a lock of its own, which nobody but its CPU normally takes. So others can empty
 * it, and it does no harm to be moved to another CPU on the way to it.
 */
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/page_ref.h>
#include <linux/percpu.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "internal.h"

/* Pages by which a magazine grows and shrinks, a power of two */
#define ROOM_STEP	(SZ_1M >> PAGE_SHIFT)

static bool recycle = true;
module_param(recycle, bool, 0644);
MODULE_PARM_DESC(recycle, "Keep pages of completed writes for the next ones (default Y)");

static unsigned int recycle_kib = 4096;
module_param(recycle_kib, uint, 0644);
MODULE_PARM_DESC(recycle_kib,
		 "Most that a mapping keeps so for each CPU, and once more for all, KiB (default 4096)");

static void push(struct mempool_bulk_stacks *stacks, unsigned int order, struct page *page)
{
	struct mempool_bulk_stack *stack = &stacks->order[order];

	set_page_private(page, (unsigned long)stack->top);
	stack->top = page;
	stack->nr++;
	stacks->pages += 1U << order;
}

static struct page *pop(struct mempool_bulk_stacks *stacks, unsigned int order)
{
	struct mempool_bulk_stack *stack = &stacks->order[order];
	struct page *page = stack->top;

	stack->top = (struct page *)page_private(page);
	/* Not every kernel clears it when a page is freed, and the next owner may believe it. */
	set_page_private(page, 0);
	stack->nr--;
	if (stack->nr < stack->low)
		stack->low = stack->nr;
	stacks->pages -= 1U << order;
	return page;
}

/* Move pieces of at least @pages in all, or all there are up to @max_order; the largest first. */
static void move(struct mempool_bulk_stacks *from, struct mempool_bulk_stacks *to,
		 unsigned int max_order, unsigned int pages)
{
	unsigned int order = max_order + 1, moved = 0;

	while (order--) {
		while (moved < pages && from->order[order].nr) {
			push(to, order, pop(from, order));
			moved += 1U << order;
		}
	}
}

/* Give pieces to the reserve if it lacks pages, and else to the page allocator. */
static void release(struct mempool_pages_bulk *pool, struct mempool_bulk_stacks *stacks)
{
	unsigned int order;
	LIST_HEAD(singles);
	long released = 0;

	while (stacks->order[0].nr)
		list_add(&pop(stacks, 0)->lru, &singles);
	mempool_free_pages_bulk_list(pool, &singles);

	for (order = 1; order < MEMPOOL_BULK_ORDERS; order++) {
		while (stacks->order[order].nr) {
			__free_pages(pop(stacks, order), order);
			released += 1L << order;
		}
	}
	if (!released)
		return;
	mempool_bulk_account(pool, -released);
	this_cpu_add(pool->stats->released, released);
}

static bool may_grow(const struct mempool_bulk_magazine *magazine)
{
	return magazine->room + ROOM_STEP <= READ_ONCE(recycle_kib) >> (PAGE_SHIFT - 10);
}

/*
 * Refill @magazine, which is not locked, with @pages of the depot, or what it has. The room they
 * had there goes with them, as far as the magazine has none for them: what is kept stays within the
 * budget also where a CPU only allocates. What then is too much is taken off by the next put.
 */
static void take_from_depot(struct mempool_bulk_recycler *recycler,
			    struct mempool_bulk_magazine *magazine, unsigned int max_order,
			    unsigned int pages)
{
	struct mempool_bulk_magazine *depot = recycler->depot;
	struct mempool_bulk_stacks fresh = {};
	unsigned int room;
	unsigned long flags;

	spin_lock_irqsave(&depot->lock, flags);
	move(&depot->full, &fresh, max_order, max(pages, depot->room / 2));
	room = min(depot->room, round_down(fresh.pages, ROOM_STEP));
	WRITE_ONCE(depot->room, depot->room - room);
	spin_unlock_irqrestore(&depot->lock, flags);
	if (!fresh.pages)
		return;

	spin_lock_irqsave(&magazine->lock, flags);
	move(&fresh, &magazine->full, max_order, fresh.pages);
	for (; room && magazine->room < magazine->full.pages && may_grow(magazine);
	     room -= ROOM_STEP)
		WRITE_ONCE(magazine->room, magazine->room + ROOM_STEP);
	spin_unlock_irqrestore(&magazine->lock, flags);
	mempool_bulk_put_share(recycler, room);
}

/* How many pieces would @left pages take from @stacks? What they lack is taken off *@left. */
static unsigned int count_pieces(const struct mempool_bulk_stacks *stacks, unsigned int max_order,
				 unsigned int *left)
{
	unsigned int order = max_order + 1, pieces = 0;

	while (order-- && *left) {
		unsigned int nr = min(stacks->order[order].nr, *left >> order);

		pieces += nr;
		*left -= nr << order;
	}
	return pieces;
}

static unsigned int take_pieces(struct mempool_bulk_stacks *stacks, unsigned int max_order,
				unsigned int *left, struct bio_vec *pieces)
{
	unsigned int order = max_order + 1, nr = 0;

	while (order-- && *left) {
		while (*left >> order && stacks->order[order].nr) {
			bvec_set_page(&pieces[nr++], pop(stacks, order), PAGE_SIZE << order, 0);
			*left -= 1U << order;
		}
	}
	return nr;
}

/* Take one piece, as large as one that was freed before: what most buffers are. */
static struct page *take_one(struct mempool_bulk_magazine *magazine, unsigned int order)
{
	struct page *page = NULL;
	unsigned long flags;

	spin_lock_irqsave(&magazine->lock, flags);
	if (likely(magazine->full.order[order].nr))
		page = pop(&magazine->full, order);
	spin_unlock_irqrestore(&magazine->lock, flags);
	return page;
}

static noinline unsigned int take_several(struct mempool_bulk_recycler *recycler,
					  unsigned int *left, unsigned int max_order,
					  struct bio_vec *pieces, unsigned int max_pieces)
{
	struct mempool_bulk_magazine *magazine = raw_cpu_ptr(recycler->magazines);
	unsigned int nr, lacking;
	unsigned long flags;
	bool tried = false;

	for (;;) {
		spin_lock_irqsave(&magazine->lock, flags);
		lacking = *left;
		nr = count_pieces(&magazine->full, max_order, &lacking);
		if (likely(!lacking) || tried || !READ_ONCE(recycler->depot->full.pages))
			break;
		/* The count holds only as long as the lock is held: it is made anew after this. */
		spin_unlock_irqrestore(&magazine->lock, flags);
		take_from_depot(recycler, magazine, max_order, *left);
		tried = true;
	}
	if (likely(nr <= max_pieces))
		nr = take_pieces(&magazine->full, max_order, left, pieces);
	else
		nr = 0;
	spin_unlock_irqrestore(&magazine->lock, flags);
	return nr;
}

/**
 * mempool_bulk_recycle_get() - take pieces that were kept
 * @recycler: where they are
 * @left: pages wanted; the pages got are subtracted
 * @max_order: of a piece
 * @pieces: gets the pieces
 * @max_pieces: how many there is room for, those included which @left will then still take
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT.
 * Return: how many pieces; 0 when they would be too many.
 */
unsigned int mempool_bulk_recycle_get(struct mempool_bulk_recycler *recycler, unsigned int *left,
				      unsigned int max_order, struct bio_vec *pieces,
				      unsigned int max_pieces)
{
	unsigned int order = min_t(unsigned int, max_order, ilog2(*left));

	if (likely(*left == 1U << order)) {
		struct page *page = take_one(raw_cpu_ptr(recycler->magazines), order);

		if (likely(page)) {
			bvec_set_page(pieces, page, PAGE_SIZE << order, 0);
			*left = 0;
			return 1;
		}
	}
	return take_several(recycler, left, order, pieces, max_pieces);
}

/* A page to which somebody still holds a reference is not ours to overwrite. */
static bool are_all_ours(const struct bio_vec *pieces, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (unlikely(page_ref_count(pieces[i].bv_page) != 1))
			return false;
	return true;
}

/*
 * Let a magazine, or the depot, grow until @pages more fit or it has its full size or the budget is
 * spent. Context: its lock held.
 */
static void make_room(struct mempool_bulk_recycler *recycler,
		      struct mempool_bulk_magazine *magazine, unsigned int pages)
{
	while (magazine->full.pages + pages > magazine->room && may_grow(magazine) &&
	       mempool_bulk_get_share(recycler, ROOM_STEP))
		WRITE_ONCE(magazine->room, magazine->room + ROOM_STEP);
}

/* Give the depot what it has room for; the rest stays in @surplus. */
static void give_to_depot(struct mempool_bulk_recycler *recycler,
			  struct mempool_bulk_stacks *surplus)
{
	struct mempool_bulk_magazine *depot = recycler->depot;
	unsigned long flags;
	unsigned int order;

	spin_lock_irqsave(&depot->lock, flags);
	make_room(recycler, depot, surplus->pages);
	for (order = 0; order < MEMPOOL_BULK_ORDERS; order++)
		while (surplus->order[order].nr && depot->full.pages + (1U << order) <= depot->room)
			push(&depot->full, order, pop(surplus, order));
	spin_unlock_irqrestore(&depot->lock, flags);
}

/*
 * Make a magazine that is full ready to take @pages more: enlarge it, or move half of it away.
 * Return: false when it cannot be made so large.
 */
static noinline bool make_ready(struct mempool_bulk_recycler *recycler,
				struct mempool_bulk_magazine *magazine, unsigned int pages)
{
	struct mempool_bulk_stacks surplus = {};
	unsigned long flags;
	bool fits;

	spin_lock_irqsave(&magazine->lock, flags);
	make_room(recycler, magazine, pages);
	fits = pages <= magazine->room;
	if (fits && magazine->full.pages + pages > magazine->room)
		move(&magazine->full, &surplus, MEMPOOL_BULK_ORDERS - 1,
		     max(magazine->full.pages + pages - magazine->room, magazine->room / 2));
	spin_unlock_irqrestore(&magazine->lock, flags);

	if (surplus.pages) {
		give_to_depot(recycler, &surplus);
		release(recycler->pool, &surplus);
	}
	return fits;
}

static void push_pieces(struct mempool_bulk_stacks *stacks, const struct bio_vec *pieces,
			unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		push(stacks, ilog2(mempool_bulk_piece_pages(&pieces[i])), pieces[i].bv_page);
}

/**
 * mempool_bulk_recycle_put() - keep the pieces of a freed buffer
 * @recycler: where
 * @pieces: the pieces, as they were got
 * @nr: how many
 * @pages: how many pages they have in all
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT.
 * Return: false, with the pieces still the caller's, when they cannot be kept.
 */
bool mempool_bulk_recycle_put(struct mempool_bulk_recycler *recycler, const struct bio_vec *pieces,
			      unsigned int nr, unsigned int pages)
{
	struct mempool_bulk_magazine *magazine = raw_cpu_ptr(recycler->magazines);
	unsigned long flags;

	/* Administrators who want freed memory wiped want it at once. */
	if (!READ_ONCE(recycle) || want_init_on_free() || !are_all_ours(pieces, nr))
		return false;

	if (unlikely(READ_ONCE(magazine->full.pages) + pages > READ_ONCE(magazine->room)) &&
	    !make_ready(recycler, magazine, pages))
		return false;
	/* A put that came between may make it too full by a buffer: the next moves that away. */
	spin_lock_irqsave(&magazine->lock, flags);
	push_pieces(&magazine->full, pieces, nr);
	spin_unlock_irqrestore(&magazine->lock, flags);

	if (unlikely(!READ_ONCE(recycler->aging)))
		mempool_bulk_age_later(recycler);
	return true;
}

/* Take all pieces of a magazine, or only those that were not needed since the last time. */
static unsigned long shrink(struct mempool_bulk_recycler *recycler,
			    struct mempool_bulk_magazine *magazine, bool all)
{
	struct mempool_bulk_stacks surplus = {};
	unsigned int order, share;
	unsigned long flags, pages;

	/*
	 * Not without the lock for the one who ages: a put that he misses has to see, by having had
	 * the lock after him, that nobody is going to age what it put.
	 */
	if (all && !READ_ONCE(magazine->room) && !READ_ONCE(magazine->full.pages))
		return 0;

	spin_lock_irqsave(&magazine->lock, flags);
	for (order = 0; order < MEMPOOL_BULK_ORDERS; order++) {
		struct mempool_bulk_stack *stack = &magazine->full.order[order];
		unsigned int nr = all ? stack->nr : stack->low;

		while (nr--)
			push(&surplus, order, pop(&magazine->full, order));
		stack->low = stack->nr;
	}
	share = magazine->room;
	WRITE_ONCE(magazine->room,
		   min(magazine->room, round_up(magazine->full.pages, ROOM_STEP)));
	share -= magazine->room;
	spin_unlock_irqrestore(&magazine->lock, flags);

	pages = surplus.pages;
	mempool_bulk_put_share(recycler, share);
	release(recycler->pool, &surplus);
	return pages;
}

/**
 * mempool_bulk_drain_cpu() - give back what a CPU's magazine holds
 * @recycler: whose
 * @cpu: the CPU, on or off line
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT.
 * Return: pages given back.
 */
unsigned long mempool_bulk_drain_cpu(struct mempool_bulk_recycler *recycler, unsigned int cpu)
{
	return shrink(recycler, per_cpu_ptr(recycler->magazines, cpu), true);
}

/**
 * mempool_bulk_drain() - give back all that is kept
 * @recycler: whose
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT.
 * Return: pages given back.
 */
unsigned long mempool_bulk_drain(struct mempool_bulk_recycler *recycler)
{
	unsigned long pages;
	unsigned int cpu;

	pages = shrink(recycler, recycler->depot, true);
	for_each_possible_cpu(cpu)
		pages += mempool_bulk_drain_cpu(recycler, cpu);
	return pages;
}

/**
 * mempool_bulk_age() - give back what was not needed since the last call
 * @recycler: whose
 *
 * Context: process context.
 * Return: true when something is still kept.
 */
bool mempool_bulk_age(struct mempool_bulk_recycler *recycler)
{
	bool kept;
	int cpu;

	shrink(recycler, recycler->depot, false);
	kept = READ_ONCE(recycler->depot->room);
	for_each_possible_cpu(cpu) {
		struct mempool_bulk_magazine *magazine = per_cpu_ptr(recycler->magazines, cpu);

		shrink(recycler, magazine, false);
		kept |= READ_ONCE(magazine->room) || READ_ONCE(magazine->full.pages);
	}
	return kept;
}

/**
 * mempool_idle_pages_bulk() - how many pages are kept for the next buffers?
 * @buffers: whose
 *
 * Context: any. Exact only while nobody uses @buffers.
 * Return: pages, which mempool_held_pages_bulk() counts too.
 */
s64 mempool_idle_pages_bulk(struct mempool_buffers_bulk *buffers)
{
	struct mempool_bulk_recycler *recycler = &buffers->recycler;
	s64 pages;
	int cpu;

	if (!recycler->magazines)
		return 0;
	pages = READ_ONCE(recycler->depot->full.pages);
	for_each_possible_cpu(cpu)
		pages += READ_ONCE(per_cpu_ptr(recycler->magazines, cpu)->full.pages);
	return pages;
}

/**
 * mempool_bulk_recycler_init() - be ready to keep pieces
 * @recycler: zeroed
 * @pool: where their pages are accounted; outlives the recycler
 *
 * Context: process context, may sleep, allocates with GFP_KERNEL.
 * Return: 0 or a negative errno; then nothing is left to undo.
 */
int mempool_bulk_recycler_init(struct mempool_bulk_recycler *recycler,
			       struct mempool_pages_bulk *pool)
{
	int cpu, ret = -ENOMEM;

	recycler->pool = pool;
	recycler->magazines = alloc_percpu(struct mempool_bulk_magazine);
	recycler->depot = kzalloc(sizeof(*recycler->depot), GFP_KERNEL);
	if (!recycler->magazines || !recycler->depot)
		goto free;
	spin_lock_init(&recycler->depot->lock);
	for_each_possible_cpu(cpu)
		spin_lock_init(&per_cpu_ptr(recycler->magazines, cpu)->lock);

	ret = mempool_bulk_watch(recycler);
	if (!ret)
		return 0;
free:
	free_percpu(recycler->magazines);
	kfree(recycler->depot);
	*recycler = (struct mempool_bulk_recycler){};
	return ret;
}

/**
 * mempool_bulk_recycler_exit() - give back all that is kept, and be gone
 * @recycler: as mempool_bulk_recycler_init() left it, or zeroed; nobody else uses it any more
 *
 * Context: process context, may sleep.
 */
void mempool_bulk_recycler_exit(struct mempool_bulk_recycler *recycler)
{
	if (!recycler->magazines)
		return;
	mempool_bulk_unwatch(recycler);
	mempool_bulk_drain(recycler);
	free_percpu(recycler->magazines);
	kfree(recycler->depot);
	*recycler = (struct mempool_bulk_recycler){};
}
