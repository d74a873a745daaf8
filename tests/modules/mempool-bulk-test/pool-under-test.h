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

/* Forget everything counted here, let everything succeed. The pool must own nothing. */
void surroundings_reset(void);

/* Deliver @nr_pages more pages, and none after them. */
void allocator_set_budget(long nr_pages);

/* Deliver nothing to those who ask for an array of fewer than @nr_pages; 0 for no such rule. */
void allocator_set_smallest(unsigned int nr_pages);

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

#endif /* POOL_UNDER_TEST_H */
