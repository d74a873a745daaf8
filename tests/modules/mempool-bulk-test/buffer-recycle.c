// SPDX-License-Identifier: GPL-2.0-only
/* What is kept of freed buffers: when, how much, and that it serves the next ones. */
#include <linux/cpumask.h>
#include <linux/highmem.h>
#include <linux/slab.h>
#include "fixture.h"

/* Enough for a magazine or the depot to be two of the largest buffers. */
#define TWO_FULL_KIB (2 * FULL_BYTES / 1024)

static const struct pool_knobs two_full = {
	.recycle = true,
	.recycle_kib = TWO_FULL_KIB,
	.recycle_seconds = 3600,
	.chunk_order = 5,
};

/* Take so many of the largest buffers at a time, and give them back. */
static void use_at_once(struct fixture *f, unsigned int nr)
{
	while (nr--)
		KUNIT_EXPECT_NE(f->test, hold(f, GFP_NOIO, FULL_BYTES), 0U);
	let_go(f);
}

void freed_buffer_is_used_again(struct kunit *test)
{
	static const unsigned int sizes[] = {
		512, 4096, 12288, 65536, 131072, 700000, FULL_BYTES
	};
	struct fixture *f = test->priv;
	unsigned int i, turn;

	fixture_with_buffers(f);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int bytes = sizes[i] & ~511U;
		u64 recycled;
		long calls;

		hold(f, GFP_NOIO, bytes);
		let_go(f);
		calls = allocator_calls();
		recycled = buffer_stats(f).recycled;
		for (turn = 0; turn < 10; turn++) {
			KUNIT_EXPECT_NE(test, hold(f, GFP_NOIO, bytes), 0U);
			let_go(f);
		}
		KUNIT_EXPECT_EQ(test, allocator_calls(), calls);
		KUNIT_EXPECT_EQ(test, buffer_stats(f).recycled - recycled,
				10ULL * DIV_ROUND_UP(bytes, PAGE_SIZE));
	}
}

void referenced_page_is_not_kept(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int turn;

	fixture_with_buffers(f);
	/* Large blocks, and single pages. */
	for (turn = 0; turn < 2; turn++) {
		struct page *page;

		allocator_set_largest(turn ? 0 : ALLOCATOR_ANY_ORDER);
		hold(f, GFP_NOIO, FULL_BYTES);
		page = f->held[0]->pieces[f->held[0]->nr / 2].bv_page;
		get_page(page);
		let_go(f);
		KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
		KUNIT_EXPECT_EQ(test, page_count(page), 1);
		put_page(page);
		fixture_check_buffers(f);
	}
}

/* Fill a buffer, have it discarded, and look at each page; we keep them from going away. */
static void discard_and_look(struct fixture *f)
{
	struct held_buffer *held = f->held[--f->nr_held];
	struct kunit *test = f->test;
	unsigned int i, dirty = 0;

	for (i = 0; i < held->nr; i++) {
		memset(page_address(held->pieces[i].bv_page), 0xee,
		       round_up(held->pieces[i].bv_len, PAGE_SIZE));
		get_page(held->pieces[i].bv_page);
	}
	discard_buffer(f, held->pieces, held->nr);
	for (i = 0; i < held->nr; i++) {
		dirty += !!memchr_inv(page_address(held->pieces[i].bv_page), 0,
				      round_up(held->pieces[i].bv_len, PAGE_SIZE));
		put_page(held->pieces[i].bv_page);
	}
	KUNIT_EXPECT_EQ(test, dirty, 0U);
	kfree(held);
}

void discarded_buffer_is_wiped(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	fixture_with_buffers(f);
	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_TRUE(test, hold(f, GFP_NOIO, FULL_BYTES - 512));
		discard_and_look(f);
		KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
	}
	/* What came from the reserve goes back there. */
	allocator_set_budget(0);
	KUNIT_ASSERT_TRUE(test, hold(f, GFP_NOIO, FULL_BYTES));
	discard_and_look(f);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
	KUNIT_EXPECT_EQ(test, buffer_stats(f).refilled, (u64)FULL);
	allocator_set_budget(ALLOCATOR_UNLIMITED);
}

void recycle_off_keeps_nothing(struct kunit *test)
{
	struct pool_knobs knobs = POOL_KNOBS_DEFAULT;
	struct fixture *f = test->priv;
	long calls;

	fixture_with_buffers(f);
	knobs.recycle = false;
	knobs_set(&knobs);
	use_at_once(f, 2);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
	calls = allocator_calls();
	use_at_once(f, 2);
	KUNIT_EXPECT_GT(test, allocator_calls(), calls);
	KUNIT_EXPECT_EQ(test, buffer_stats(f).recycled, 0ULL);
	/* It can be switched at any time. */
	knobs_reset();
	use_at_once(f, 1);
	KUNIT_EXPECT_EQ(test, idle_pages(f), (s64)FULL);
}

void single_page_takes_one_at_a_time(struct kunit *test)
{
	struct pool_knobs knobs = POOL_KNOBS_DEFAULT;
	struct fixture *f = test->priv;
	long calls;

	knobs.single_page = true;
	fixture_with_knobs(f, &knobs);
	calls = allocator_calls();
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), FULL);
	KUNIT_EXPECT_EQ(test, allocator_calls() - calls, (long)FULL);
	KUNIT_EXPECT_EQ(test, allocator_bulk_calls(), 0L);
	let_go(f);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
	KUNIT_EXPECT_EQ(test, allocator_calls() - calls, 2L * FULL);
}

void kept_pages_are_bounded(struct kunit *test)
{
	const s64 budget = totalram_pages() / 100;
	struct pool_knobs knobs = POOL_KNOBS_DEFAULT;
	struct fixture *f = test->priv;

	/* A magazine and the depot. */
	fixture_with_buffers(f);
	knobs_set(&two_full);
	use_at_once(f, 10);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 2LL * 2 * FULL);

	/* All pools together, which here is this one. */
	knobs.recycle_kib = UINT_MAX;
	knobs_set(&knobs);
	use_at_once(f, min_t(unsigned int, budget / FULL + 2, MAX_HELD));
	KUNIT_EXPECT_LE(test, idle_pages(f), budget);
	/* What is full gives half of it away. */
	KUNIT_EXPECT_GT(test, idle_pages(f), budget / 2 - FULL);
	KUNIT_EXPECT_GT(test, call_shrinker(1), 0UL);

	/* Too little for any. */
	knobs.recycle_kib = 0;
	knobs_set(&knobs);
	use_at_once(f, 2);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
}

/*
 * Pages in both CPUs' magazines and the depot, which is full each time that one CPU takes a little
 * from there and does not give it back.
 */
static void spread_out(struct fixture *f, unsigned int other)
{
	unsigned int first = cpumask_first(cpu_online_mask);

	use_at_once(f, 6);
	on_cpu(f, other);
	hold(f, GFP_NOIO, FULL_BYTES / 8);
	on_cpu(f, first);
	f->held_elsewhere = f->held[--f->nr_held];
	use_at_once(f, 5);
	f->held[f->nr_held++] = f->held_elsewhere;
}

void half_of_limit_is_kept(struct kunit *test)
{
	const unsigned int other = other_cpu(test);
	static const unsigned long limit = 8 * FULL;
	struct fixture *f = test->priv;

	/* Where there is room for more than that, */
	fixture_with_buffers(f);
	mempool_limit_pages_bulk(&f->buffers.pages, &limit);
	use_at_once(f, 6);
	KUNIT_EXPECT_LE(test, idle_pages(f), (s64)limit / 2);
	KUNIT_EXPECT_GE(test, idle_pages(f), (s64)limit / 2 - FULL);

	/* and where some of it is on another CPU. */
	call_shrinker(1);
	knobs_set(&two_full);
	spread_out(f, other);
	KUNIT_EXPECT_LE(test, idle_pages(f), (s64)limit / 2);
	KUNIT_EXPECT_GE(test, idle_pages(f), (s64)limit / 2 - FULL);
}

void shrinker_knows_of_all(struct kunit *test)
{
	const unsigned int other = other_cpu(test);
	struct fixture *f = test->priv;

	fixture_with_knobs(f, &two_full);
	KUNIT_EXPECT_EQ(test, ask_shrinker(), SHRINK_EMPTY);
	spread_out(f, other);
	KUNIT_EXPECT_GE(test, (s64)ask_shrinker(), idle_pages(f));
}

void small_buffers_leave_large_ones(struct kunit *test)
{
	const unsigned int other = other_cpu(test);
	struct fixture *f = test->priv;
	unsigned int i;
	long calls;

	fixture_with_knobs(f, &two_full);
	use_at_once(f, 5);
	on_cpu(f, other);
	for (i = 0; i < 10; i++)
		hold(f, GFP_NOIO, 4096);
	on_cpu(f, cpumask_first(cpu_online_mask));
	calls = allocator_calls();
	for (i = 0; i < 4; i++)
		hold(f, GFP_NOIO, FULL_BYTES);
	KUNIT_EXPECT_EQ(test, allocator_calls(), calls);
}

void reached_limit_drains_others(struct kunit *test)
{
	const unsigned int other = other_cpu(test);
	/* Four of the largest buffers, with what the pool's counter may be off. */
	const unsigned long limit = 4 * FULL + num_online_cpus() * percpu_counter_batch;
	struct fixture *f = test->priv;
	unsigned int i;

	fixture_with_knobs(f, &two_full);
	mempool_limit_pages_bulk(&f->buffers.pages, &limit);
	use_at_once(f, 2);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 2LL * FULL);

	on_cpu(f, other);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_NE(test, hold(f, GFP_NOWAIT, FULL_BYTES), 0U);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOWAIT, FULL_BYTES), 0U);
	let_go(f);
	mempool_limit_pages_bulk(&f->buffers.pages, NULL);
}

static void take_and_give_buffer(struct worker *w)
{
	unsigned int nr;

	w->error = take_buffer(w->f, GFP_NOIO, FULL_BYTES, w->pieces, FULL, &nr);
	if (!w->error && !nr)
		w->error = "no buffer";
	w->rounds = nr;
	if (!w->error)
		w->error = give_buffer(w->f, w->pieces, nr);
}

void waiting_comes_before_keeping(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct worker *w;

	fixture_with_buffers(f);
	allocator_set_budget(0);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), FULL);
	w = start_worker(f, FULL, take_and_give_buffer);
	KUNIT_EXPECT_TRUE(test, wait_until(!list_empty(&f->buffers.pages.waiters), 10));
	let_go(f);
	KUNIT_ASSERT_TRUE(test, wait_for_worker(w, 10));
	expect_no_error(w);
	KUNIT_EXPECT_EQ(test, w->rounds, (unsigned long)FULL);
	KUNIT_EXPECT_EQ(test, buffer_stats(f).pages[MEMPOOL_BULK_WAIT], (u64)FULL);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
	allocator_set_budget(ALLOCATOR_UNLIMITED);
}
