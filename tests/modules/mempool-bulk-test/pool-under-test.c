// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool, compiled once more for its tests. Its sources are included as they are; what they call
 * to allocate and free is replaced, so that tests can make any allocation fail and can account for
 * every page without asking the pool. So is what they call to wait and wake up, to see who waited
 * for whom: from outside, a request that waits looks like one whose thread was not scheduled.
 *
 * A pool that starts to call something else fails the tests at once: its pages then come without
 * a mark or go without having been counted, and nobody was seen waiting.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpuhotplug.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/percpu_counter.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "pool-under-test.h"

/* Entries of the largest array that any test asks to be filled. */
#define LARGEST_ARRAY 1024

static atomic_long_t budget = ATOMIC_LONG_INIT(ALLOCATOR_UNLIMITED);
static atomic_t fail_countdown, smallest;
static atomic_t largest = ATOMIC_INIT(ALLOCATOR_ANY_ORDER);
static atomic_long_t pages_out, pages_peak, calls, bulk_calls;
static atomic_t objects_out, bad_frees, gfp_seen;

/* What is to be done in the middle of an allocation. @interposed_data is set before it. */
static void (*interposed)(void *data);
static void *interposed_data;

/* Requests of the pool that can wait at a time. */
#define MOST_WAITS 32

/**
 * struct observed_wait - a request seen waiting
 * @granted: what it waits for; NULL for an unused entry
 * @since: grants made before it was first seen
 */
struct observed_wait {
	const struct completion *granted;
	unsigned long since;
};

/* All under waits_lock. */
static DEFINE_SPINLOCK(waits_lock);
static struct observed_wait waits[MOST_WAITS];
static unsigned long nr_grants, nr_waits, most_overtaken;

void surroundings_reset(void)
{
	unsigned long flags;

	atomic_long_set(&budget, ALLOCATOR_UNLIMITED);
	atomic_set(&fail_countdown, 0);
	atomic_set(&smallest, 0);
	allocator_set_largest(ALLOCATOR_ANY_ORDER);
	atomic_long_set(&calls, 0);
	atomic_long_set(&bulk_calls, 0);
	atomic_long_set(&pages_out, 0);
	atomic_long_set(&pages_peak, 0);
	atomic_set(&objects_out, 0);
	atomic_set(&bad_frees, 0);
	allocator_forget_gfp();
	WRITE_ONCE(interposed, NULL);

	spin_lock_irqsave(&waits_lock, flags);
	memset(waits, 0, sizeof(waits));
	nr_grants = 0;
	nr_waits = 0;
	most_overtaken = 0;
	spin_unlock_irqrestore(&waits_lock, flags);
}

void allocator_set_budget(long nr_pages)
{
	atomic_long_set(&budget, nr_pages);
}

void allocator_set_smallest(unsigned int nr_pages)
{
	atomic_set(&smallest, nr_pages);
}

void allocator_set_largest(unsigned int order)
{
	atomic_set(&largest, order);
}

long allocator_calls(void)
{
	return atomic_long_read(&calls);
}

long allocator_bulk_calls(void)
{
	return atomic_long_read(&bulk_calls);
}

void allocator_interpose(void (*act)(void *data), void *data)
{
	interposed_data = data;
	/* Pairs with xchg() in take_pages(): who sees @act sees @data. */
	smp_store_release(&interposed, act);
}

void allocator_fail_nth(unsigned int nth)
{
	atomic_set(&fail_countdown, nth);
}

long allocator_pages_out(void)
{
	return atomic_long_read(&pages_out);
}

long allocator_pages_peak(void)
{
	return atomic_long_read(&pages_peak);
}

int allocator_objects_out(void)
{
	return atomic_read(&objects_out);
}

int allocator_bad_frees(void)
{
	return atomic_read(&bad_frees);
}

gfp_t allocator_gfp_seen(void)
{
	return (__force gfp_t)atomic_read(&gfp_seen);
}

void allocator_forget_gfp(void)
{
	atomic_set(&gfp_seen, 0);
}

/* Count one allocation. Return: is it the one that has to fail? */
static bool must_fail(void)
{
	return atomic_read(&fail_countdown) && atomic_dec_and_test(&fail_countdown);
}

static bool take_from_budget(long nr)
{
	long left = atomic_long_read(&budget);

	do {
		if (left == ALLOCATOR_UNLIMITED)
			return true;
		if (left < nr)
			return false;
	} while (!atomic_long_try_cmpxchg(&budget, &left, left - nr));
	return true;
}

static void count_out(long nr)
{
	long out = atomic_long_add_return(nr, &pages_out);
	long peak = atomic_long_read(&pages_peak);

	while (out > peak && !atomic_long_try_cmpxchg(&pages_peak, &peak, out))
		;
}

/* The flag says that the page came from here: its private field is the pool's while it keeps it. */
static void mark(struct page *page)
{
	SetPagePrivate(page);
	set_page_private(page, PAGE_WITH_POOL);
}

static struct page *take_block(gfp_t gfp, unsigned int order)
{
	struct page *page = NULL;

	atomic_long_inc(&calls);
	atomic_or((__force int)gfp, &gfp_seen);
	if (order <= atomic_read(&largest) && !must_fail() && take_from_budget(1L << order))
		page = alloc_pages(gfp, order);
	if (page) {
		mark(page);
		count_out(1L << order);
	}
	return page;
}

static struct page *take_page(gfp_t gfp)
{
	return take_block(gfp, 0);
}

/* As the kernel's: fills the empty entries, and stops at the first that it cannot fill. */
static unsigned long take_pages_singly(gfp_t gfp, unsigned long nr_pages, struct page **array)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i++) {
		if (!array[i])
			array[i] = take_page(gfp);
		if (!array[i])
			break;
	}
	return i;
}

/* While nothing is to fail, this is the kernel's own bulk allocator with all its habits. */
static unsigned long take_pages(gfp_t gfp, unsigned long nr_pages, struct page **array)
{
	DECLARE_BITMAP(kept, LARGEST_ARRAY);
	unsigned long i, done, taken = 0;
	void (*act)(void *data);

	if (WARN_ON_ONCE(nr_pages > LARGEST_ARRAY))
		return 0;
	atomic_long_inc(&calls);
	atomic_long_inc(&bulk_calls);
	if (atomic_read(&smallest) > nr_pages)
		return 0;
	if (atomic_long_read(&budget) != ALLOCATOR_UNLIMITED || atomic_read(&fail_countdown))
		return take_pages_singly(gfp, nr_pages, array);

	atomic_or((__force int)gfp, &gfp_seen);
	for (i = 0; i < nr_pages; i++)
		__assign_bit(i, kept, array[i]);
	done = alloc_pages_bulk(gfp, nr_pages, array);
	for (i = 0; i < nr_pages; i++) {
		if (!array[i] || test_bit(i, kept))
			continue;
		mark(array[i]);
		taken++;
	}
	count_out(taken);

	/* xchg() pairs with smp_store_release() in allocator_interpose(). */
	act = READ_ONCE(interposed) ? xchg(&interposed, NULL) : NULL;
	if (act)
		act(interposed_data);
	return done;
}

static void give_block(struct page *page, unsigned int order)
{
	atomic_long_inc(&calls);
	if (!PagePrivate(page) || page_private(page) == PAGE_WITH_TEST ||
	    compound_order(page) != order) {
		/* Whose page this is cannot be known: it is lost rather than freed twice. */
		atomic_inc(&bad_frees);
		return;
	}
	ClearPagePrivate(page);
	set_page_private(page, PAGE_NOT_OURS);
	atomic_long_sub(1L << order, &pages_out);
	__free_pages(page, order);
}

static void give_page(struct page *page)
{
	give_block(page, 0);
}

static void __percpu *take_percpu(size_t size, size_t align)
{
	void __percpu *mem = must_fail() ? NULL : __alloc_percpu(size, align);

	if (mem)
		atomic_inc(&objects_out);
	return mem;
}

static void give_percpu(void __percpu *mem)
{
	if (mem)
		atomic_dec(&objects_out);
	free_percpu(mem);
}

static int take_counter(struct percpu_counter *counter, s64 value, gfp_t gfp)
{
	int ret = must_fail() ? -ENOMEM : percpu_counter_init(counter, value, gfp);

	if (!ret)
		atomic_inc(&objects_out);
	return ret;
}

static void give_counter(struct percpu_counter *counter)
{
	atomic_dec(&objects_out);
	percpu_counter_destroy(counter);
}

static void *take_memory(size_t size, gfp_t gfp)
{
	void *mem = must_fail() ? NULL : kmalloc(size, gfp);

	if (mem) {
		/* A pool that relies on zeroed memory is to be found out. */
		memset(mem, 0xa5, size);
		atomic_inc(&objects_out);
	}
	return mem;
}

static void *take_zeroed_memory(size_t size, gfp_t gfp)
{
	void *mem = take_memory(size, gfp);

	if (mem)
		memset(mem, 0, size);
	return mem;
}

static void give_memory(const void *mem)
{
	if (mem)
		atomic_dec(&objects_out);
	kfree(mem);
}

unsigned long queue_waits(void)
{
	return READ_ONCE(nr_waits);
}

unsigned long queue_most_overtaken(void)
{
	return READ_ONCE(most_overtaken);
}

static struct observed_wait *find_wait(const struct completion *granted)
{
	unsigned int i;

	lockdep_assert_held(&waits_lock);

	for (i = 0; i < MOST_WAITS; i++)
		if (waits[i].granted == granted)
			return &waits[i];
	return NULL;
}

static void forget_wait(const struct completion *granted)
{
	struct observed_wait *wait;
	unsigned long flags;

	spin_lock_irqsave(&waits_lock, flags);
	wait = find_wait(granted);
	if (wait)
		wait->granted = NULL;
	spin_unlock_irqrestore(&waits_lock, flags);
}

/* A request that will queue: on its stack there may have been another that went without a grant. */
static void init_grant(struct completion *granted)
{
	forget_wait(granted);
	init_completion(granted);
}

/* A request that is queued, or was until just now. */
static unsigned long wait_for_grant(struct completion *granted, unsigned long timeout)
{
	struct observed_wait *wait;
	unsigned long flags, ret;

	spin_lock_irqsave(&waits_lock, flags);
	if (!find_wait(granted)) {
		nr_waits++;
		wait = find_wait(NULL);
		if (!WARN_ON_ONCE(!wait))
			*wait = (struct observed_wait){ .granted = granted, .since = nr_grants };
	}
	spin_unlock_irqrestore(&waits_lock, flags);

	ret = wait_for_completion_io_timeout(granted, timeout);
	if (ret)
		forget_wait(granted);
	return ret;
}

/* A request that is granted. */
static void grant(struct completion *granted)
{
	struct observed_wait *wait;
	unsigned long flags;

	spin_lock_irqsave(&waits_lock, flags);
	wait = find_wait(granted);
	if (wait) {
		most_overtaken = max(most_overtaken, nr_grants - wait->since);
		wait->granted = NULL;
	}
	nr_grants++;
	spin_unlock_irqrestore(&waits_lock, flags);
	complete(granted);
}

#undef alloc_page
#undef alloc_pages_bulk
#undef alloc_pages
#undef __free_page
#undef __free_pages
#undef alloc_percpu
#undef free_percpu
#undef percpu_counter_init
#undef percpu_counter_destroy
#undef kmalloc
#undef kzalloc
#undef kfree
#undef init_completion
#undef wait_for_completion_io_timeout
#undef complete

#define alloc_page(gfp) take_page(gfp)
#define alloc_pages_bulk(gfp, nr_pages, array) take_pages(gfp, nr_pages, array)
#define alloc_pages(gfp, order) take_block(gfp, order)
#define __free_page(page) give_page(page)
#define __free_pages(page, order) give_block(page, order)
#define alloc_percpu(type) ((typeof(type) __percpu *)take_percpu(sizeof(type), __alignof__(type)))
#define free_percpu(mem) give_percpu(mem)
#define percpu_counter_init(counter, value, gfp) take_counter(counter, value, gfp)
#define percpu_counter_destroy(counter) give_counter(counter)
#define kmalloc(size, gfp) take_memory(size, gfp)
#define kzalloc(size, gfp) take_zeroed_memory(size, gfp)
#define kfree(mem) give_memory(mem)
#define init_completion(granted) init_grant(granted)
#define wait_for_completion_io_timeout(granted, timeout) wait_for_grant(granted, timeout)
#define complete(granted) grant(granted)

#include "../../../mempool-bulk/pool.c"
#include "../../../mempool-bulk/alloc.c"
#include "../../../mempool-bulk/free.c"
#include "../../../mempool-bulk/buffer.c"
/* Two files have a function of this name for themselves. */
#define release release_stacks
#include "../../../mempool-bulk/recycle.c"
#undef release
#include "../../../mempool-bulk/idle.c"

void knobs_reset(void)
{
	const struct pool_knobs defaults = POOL_KNOBS_DEFAULT;

	knobs_set(&defaults);
}

void knobs_set(const struct pool_knobs *knobs)
{
	WRITE_ONCE(recycle, knobs->recycle);
	WRITE_ONCE(recycle_kib, knobs->recycle_kib);
	WRITE_ONCE(recycle_seconds, knobs->recycle_seconds);
	WRITE_ONCE(chunk_order, knobs->chunk_order);
	WRITE_ONCE(single_page, knobs->single_page);
}

unsigned long call_shrinker(unsigned long nr_to_scan)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nr_to_scan = nr_to_scan };

	return shrinker->scan_objects(shrinker, &sc);
}

unsigned long ask_shrinker(void)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };

	return shrinker->count_objects(shrinker, &sc);
}
