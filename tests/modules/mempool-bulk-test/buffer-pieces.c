// SPDX-License-Identifier: GPL-2.0-only
/* What buffers are made of, and where it is looked for. */
#include <linux/slab.h>
#include "fixture.h"

/* The largest block in these cases, see POOL_KNOBS_DEFAULT. */
#define LARGE 32U

static const struct pool_knobs nothing_kept = {
	.recycle = false,
	.recycle_seconds = 3600,
	.chunk_order = 5,
};

/* What is behind the room that was given must stay as it is. */
static bool is_untouched(const struct bio_vec *pieces)
{
	return !memchr_inv(pieces, 0x5a, sizeof(*pieces));
}

static void take_every_size(struct fixture *f, struct bio_vec *pieces, unsigned int max_pieces)
{
	struct kunit *test = f->test;
	unsigned int bytes, nr, refused = 0;
	const char *error;

	memset(pieces, 0x5a, (FULL + 1) * sizeof(*pieces));
	for (bytes = 512; bytes <= FULL_BYTES; bytes += 512) {
		error = take_buffer(f, GFP_NOIO, bytes, pieces, max_pieces, &nr);
		if (error)
			KUNIT_FAIL(test, "%u bytes in %u pieces: %s", bytes, nr, error);
		if (!is_untouched(&pieces[max_pieces])) {
			KUNIT_FAIL(test, "%u bytes in %u pieces: wrote behind them", bytes, nr);
			memset(&pieces[max_pieces], 0x5a, sizeof(*pieces));
		}
		refused += !nr;
		error = give_buffer(f, pieces, nr);
		if (error)
			KUNIT_FAIL(test, "%u bytes: %s", bytes, error);
	}
	/* Who has room for all pages is not refused. */
	if (max_pieces == FULL)
		KUNIT_EXPECT_EQ(test, refused, 0U);
	else
		KUNIT_EXPECT_LT(test, refused, FULL_BYTES / 512);
	fixture_check_buffers(f);
}

void buffers_of_every_size(struct kunit *test)
{
	struct bio_vec *pieces = kcalloc(FULL + 1, sizeof(*pieces), GFP_KERNEL);
	static const struct pool_knobs usual = POOL_KNOBS_DEFAULT;
	struct fixture *f = test->priv;

	KUNIT_ASSERT_PTR_NE(test, pieces, NULL);
	fixture_with_buffers(f);
	take_every_size(f, pieces, FULL);
	take_every_size(f, pieces, 16);
	knobs_set(&nothing_kept);
	take_every_size(f, pieces, FULL);
	/* With small pieces only, kept and not. */
	allocator_set_largest(1);
	take_every_size(f, pieces, FULL);
	knobs_set(&usual);
	take_every_size(f, pieces, FULL);
	take_every_size(f, pieces, 16);
	kfree(pieces);
}

void compound_pages_come_first(struct kunit *test)
{
	struct fixture *f = test->priv;

	fixture_with_knobs(f, &nothing_kept);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), FULL / LARGE);
	/* 16 + 4 + 2 + 1 pages, the last not whole. */
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, 23 * PAGE_SIZE - 512), 4U);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, 512), 1U);
	KUNIT_EXPECT_EQ(test, buffer_stats(f).pages[MEMPOOL_BULK_NOWAIT], FULL + 24ULL);
	KUNIT_EXPECT_EQ(test, allocator_bulk_calls(), 0L);
}

void smaller_pieces_when_large_fail(struct kunit *test)
{
	struct fixture *f = test->priv;

	fixture_with_knobs(f, &nothing_kept);
	allocator_set_largest(2);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), FULL / 4);
	KUNIT_EXPECT_EQ(test, buffer_stats(f).pages[MEMPOOL_BULK_NOWAIT], (u64)FULL);
	KUNIT_EXPECT_EQ(test, allocator_bulk_calls(), 0L);
}

void fragmented_memory_is_asked_again(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long start, until;
	long calls;

	fixture_with_knobs(f, &nothing_kept);
	allocator_set_largest(0);
	start = jiffies;
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), FULL);
	until = READ_ONCE(f->buffers.order_until);
	KUNIT_EXPECT_TRUE(test, time_in_range(until, start + HZ / 20, jiffies + HZ));
	/* It is not asked in vain for each buffer, however long this thread gets no processor, */
	WRITE_ONCE(f->buffers.order_until, until + 600 * HZ);
	calls = allocator_calls();
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), FULL);
	KUNIT_EXPECT_EQ(test, allocator_calls() - calls, 1L);
	/* but again after a while. */
	WRITE_ONCE(f->buffers.order_until, until);
	allocator_set_largest(ALLOCATOR_ANY_ORDER);
	KUNIT_ASSERT_TRUE(test, wait_until(time_after(jiffies, until), 10));
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), FULL / LARGE);
}

void single_pages_come_in_bulk(struct kunit *test)
{
	struct fixture *f = test->priv;

	fixture_with_knobs(f, &nothing_kept);
	allocator_set_largest(0);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), FULL);
	KUNIT_EXPECT_EQ(test, allocator_bulk_calls(), 1L);
	KUNIT_EXPECT_EQ(test, buffer_stats(f).pages[MEMPOOL_BULK_NOWAIT], (u64)FULL);
	KUNIT_EXPECT_EQ(test, buffer_stats(f).pages[MEMPOOL_BULK_RESERVE], 0ULL);
}

void reserve_comes_last(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct mempool_bulk_stats stats;

	fixture_with_buffers(f);
	/* Three large blocks, one of 4 pages, and then the reserve for what is missing. */
	allocator_set_budget(3 * LARGE + 4);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), 3 + 1 + FULL - 3 * LARGE - 4);
	stats = buffer_stats(f);
	KUNIT_EXPECT_EQ(test, stats.pages[MEMPOOL_BULK_NOWAIT], 3ULL * LARGE + 4);
	KUNIT_EXPECT_EQ(test, stats.pages[MEMPOOL_BULK_RESERVE], FULL - 3ULL * LARGE - 4);
	/* There is too little left, and what there is stays whole. */
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOWAIT, FULL_BYTES), 0U);
	KUNIT_EXPECT_EQ(test, f->buffers.pages.curr_nr, 3 * LARGE + 4);

	/* The reserve is filled before anything is kept. */
	let_go(f);
	KUNIT_EXPECT_EQ(test, buffer_stats(f).refilled, FULL - 3ULL * LARGE - 4);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
	allocator_set_budget(ALLOCATOR_UNLIMITED);
}

void too_many_pieces_are_refused(struct kunit *test)
{
	struct bio_vec *pieces = kcalloc(FULL, sizeof(*pieces), GFP_KERNEL);
	struct fixture *f = test->priv;
	unsigned int most, i;

	KUNIT_ASSERT_PTR_NE(test, pieces, NULL);
	fixture_with_buffers(f);
	most = FULL / LARGE;
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, mempool_alloc_buffer_bulk(&f->buffers, GFP_NOIO, FULL_BYTES,
								pieces, most - 1), 0U);
		fixture_check_buffers(f);
		KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), most);
		let_go(f);
	}

	/* The first would be few enough, but then come smaller ones. */
	call_shrinker(1);
	allocator_set_largest(2);
	memset(pieces, 0x5a, FULL * sizeof(*pieces));
	KUNIT_EXPECT_EQ(test, mempool_alloc_buffer_bulk(&f->buffers, GFP_NOIO, FULL_BYTES, pieces,
							most), 0U);
	KUNIT_EXPECT_TRUE(test, is_untouched(&pieces[most]));
	allocator_set_largest(ALLOCATOR_ANY_ORDER);
	call_shrinker(1);
	fixture_check_buffers(f);
	msleep(300);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), most);
	let_go(f);

	/* What is kept is too little, and memory got fragmented meanwhile. */
	KUNIT_EXPECT_EQ(test, idle_pages(f), (s64)FULL);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES / 2), most / 2);
	allocator_set_largest(0);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, mempool_alloc_buffer_bulk(&f->buffers, GFP_NOIO, FULL_BYTES,
								pieces, FULL / 2), 0U);
	KUNIT_EXPECT_EQ(test, idle_pages(f), FULL / 2LL);
	KUNIT_EXPECT_EQ(test, hold(f, GFP_NOIO, FULL_BYTES), most / 2 + FULL / 2);
	let_go(f);
	fixture_check_buffers(f);
	kfree(pieces);
}

void failed_buffers_init_leaves_nothing(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct mempool_buffers_bulk *buffers = kmalloc(sizeof(*buffers), GFP_KERNEL);
	unsigned int nth;
	int ret = -ENOMEM, objects;

	KUNIT_ASSERT_PTR_NE(test, buffers, NULL);
	fixture_with_buffers(f);
	objects = allocator_objects_out();
	for (nth = 1; ret && nth < 100; nth++) {
		memset(buffers, 0xa5, sizeof(*buffers));
		allocator_fail_nth(nth);
		ret = mempool_init_buffers_bulk(buffers, 8);
		allocator_fail_nth(0);
		if (ret) {
			KUNIT_ASSERT_EQ(test, ret, -ENOMEM);
			KUNIT_ASSERT_EQ(test, allocator_objects_out(), objects);
			KUNIT_ASSERT_EQ(test, allocator_pages_out(), 2L * FULL);
		}
		mempool_exit_buffers_bulk(buffers);
	}
	/* Pages, counters, magazines and depot. */
	KUNIT_EXPECT_GT(test, nth, 8U + 4);
	KUNIT_EXPECT_EQ(test, ret, 0);
	kfree(buffers);
}
