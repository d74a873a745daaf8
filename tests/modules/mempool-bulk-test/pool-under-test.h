/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the pool under test has around it: the kernel's page allocator, which can be made to run
 * out or fail and which counts every page that goes in and out; and a witness of its queue.
 */
#ifndef POOL_UNDER_TEST_H
#define POOL_UNDER_TEST_H

#include <linux/gfp.h>
#include <linux/mm.h>

/**
 * enum page_mark - what a page's private field says while the page belongs to the pool under test
 * @PAGE_NOT_OURS: it does not
 * @PAGE_WITH_POOL: in the reserve, or on its way to or from a test
 * @PAGE_WITH_TEST: claimed by a test
 */
enum page_mark {
	PAGE_NOT_OURS = 0,
	PAGE_WITH_POOL = 0x706f6f6c,
	PAGE_WITH_TEST = 0x74657374,
};

#define ALLOCATOR_UNLIMITED (-1L)
#define ALLOCATOR_ANY_ORDER 64

/* Forget everything counted here, let everything succeed. The pool must own nothing. */
void surroundings_reset(void);

/* Deliver @nr_pages more pages, and none after them. */
void allocator_set_budget(long nr_pages);

/* Deliver nothing to those who ask for an array of fewer than @nr_pages; 0 for no such rule. */
void allocator_set_smallest(unsigned int nr_pages);

/* Deliver no block of more than 2^@order pages; ALLOCATOR_ANY_ORDER for no such rule. */
void allocator_set_largest(unsigned int order);

/* Calls of the page allocator, to allocate or to free; and of those, to allocate many pages. */
long allocator_calls(void);
long allocator_bulk_calls(void);

/* Call @act once, when an array was filled and the pool does not know it yet. */
void allocator_interpose(void (*act)(void *data), void *data);

/* Fail the @nth allocation from now, of pages or of anything else; 0 for none. */
void allocator_fail_nth(unsigned int nth);

/* Pages that the pool took and did not give back: now, and at most at any time. */
long allocator_pages_out(void);
long allocator_pages_peak(void);

/* Other things that it allocated and did not free: structures, counters, per-CPU memory. */
int allocator_objects_out(void);

/* Pages given back twice, or while a test had them, or that never came from here. */
int allocator_bad_frees(void);

/* All gfp flags that any request for pages carried since the last allocator_forget_gfp(). */
gfp_t allocator_gfp_seen(void);
void allocator_forget_gfp(void);

/* Requests that were seen waiting in the queue. */
unsigned long queue_waits(void);

/* Of all requests that waited, the most grants to others that one saw from its place there. */
unsigned long queue_most_overtaken(void);

/**
 * struct pool_knobs - the pool's module parameters
 * @recycle: keep what is freed
 * @recycle_kib: so much
 * @recycle_seconds: so long
 * @chunk_order: the largest block, for pools made from here on
 * @single_page: one page at a time, for pools made from here on
 */
struct pool_knobs {
	bool recycle;
	unsigned int recycle_kib;
	unsigned int recycle_seconds;
	int chunk_order;
	bool single_page;
};

/* What cases start with: as by default, but blocks of one size everywhere, and no ageing. */
#define POOL_KNOBS_DEFAULT {		\
	.recycle = true,		\
	.recycle_kib = 4096,		\
	.recycle_seconds = 3600,	\
	.chunk_order = 5,		\
}

void knobs_reset(void);
void knobs_set(const struct pool_knobs *knobs);

/* What memory pressure does: the pages given back; and how many there may be. */
unsigned long call_shrinker(unsigned long nr_to_scan);
unsigned long ask_shrinker(void);

#endif /* POOL_UNDER_TEST_H */
