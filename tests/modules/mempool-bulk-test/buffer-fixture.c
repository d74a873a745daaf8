// SPDX-License-Identifier: GPL-2.0-only
/* A source of buffers, and the check that nobody else has what it delivers. */
#include <linux/bitops.h>
#include <linux/cpumask.h>
#include <linux/highmem.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "fixture.h"

/**
 * fixture_with_knobs() - have a source of buffers of at most FULL_BYTES
 * @f: the fixture
 * @knobs: the module parameters, from now to the end of the case
 *
 * The calling thread stays on the first CPU from then on.
 */
void fixture_with_knobs(struct fixture *f, const struct pool_knobs *knobs)
{
	knobs_set(knobs);
	KUNIT_ASSERT_EQ(f->test, mempool_bulk_start(), 0);
	if (mempool_init_buffers_bulk(&f->buffers, FULL)) {
		mempool_bulk_stop();
		KUNIT_ASSERT_TRUE(f->test, false);
	}
	f->has_buffers = true;
	/* What is kept is each CPU's: the case's own thread moves only when it says so. */
	on_cpu(f, cpumask_first(cpu_online_mask));
}

/**
 * fixture_with_buffers() - have a source of buffers of at most FULL_BYTES, by the usual parameters
 * @f: the fixture
 */
void fixture_with_buffers(struct fixture *f)
{
	static const struct pool_knobs usual = POOL_KNOBS_DEFAULT;

	fixture_with_knobs(f, &usual);
}

/**
 * fixture_check_buffers() - expect that all buffers are back, by every count there is
 * @f: the fixture; nobody uses its buffers
 */
void fixture_check_buffers(struct fixture *f)
{
	struct mempool_pages_bulk *pages = &f->buffers.pages;
	struct kunit *test = f->test;

	KUNIT_EXPECT_TRUE(test, list_empty(&pages->waiters));
	KUNIT_EXPECT_EQ(test, pages->curr_nr, pages->min_nr);
	KUNIT_EXPECT_EQ(test, mempool_held_pages_bulk(pages), pages->min_nr + idle_pages(f));
	KUNIT_EXPECT_EQ(test, (s64)allocator_pages_out(), FULL + mempool_held_pages_bulk(pages));
	KUNIT_EXPECT_EQ(test, allocator_bad_frees(), 0);
}

/**
 * fixture_drop_buffers() - check that all buffers are back, and be without a source of them
 * @f: the fixture; nobody but the caller has buffers
 */
void fixture_drop_buffers(struct fixture *f)
{
	if (!f->has_buffers)
		return;
	let_go(f);
	fixture_check_buffers(f);
	mempool_exit_buffers_bulk(&f->buffers);
	KUNIT_EXPECT_EQ(f->test, allocator_pages_out(), (long)FULL);
	KUNIT_EXPECT_EQ(f->test, ask_shrinker(), SHRINK_EMPTY);
	mempool_bulk_stop();
	f->has_buffers = false;
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}

/**
 * buffer_stats() - the counters of the pages beneath the buffers
 * @f: the fixture
 *
 * Return: the counters, summed up.
 */
struct mempool_bulk_stats buffer_stats(struct fixture *f)
{
	struct mempool_bulk_stats stats;

	mempool_stats_pages_bulk(&f->buffers.pages, &stats);
	return stats;
}

/**
 * idle_pages() - pages kept for the next buffers
 * @f: the fixture
 *
 * Return: how many.
 */
s64 idle_pages(struct fixture *f)
{
	return mempool_idle_pages_bulk(&f->buffers);
}

static unsigned int pages_of(const struct bio_vec *piece)
{
	return DIV_ROUND_UP(piece->bv_len, PAGE_SIZE);
}

/* The first bytes of each page say where it is. Return: do they? */
static bool are_stamped(const struct bio_vec *pieces, unsigned int nr)
{
	unsigned int i, page;

	for (i = 0; i < nr; i++)
		for (page = 0; page < pages_of(&pieces[i]); page++) {
			const void **at = page_address(pieces[i].bv_page + page);

			if (at[0] != pieces || at[1] != at)
				return false;
		}
	return true;
}

static void stamp(const struct bio_vec *pieces, unsigned int nr)
{
	unsigned int i, page;

	for (i = 0; i < nr; i++)
		for (page = 0; page < pages_of(&pieces[i]); page++) {
			const void **at = page_address(pieces[i].bv_page + page);

			at[0] = pieces;
			at[1] = at;
		}
}

/* Return: what is wrong with a buffer, or NULL. */
static const char *inspect(const struct bio_vec *pieces, unsigned int nr, unsigned int bytes)
{
	unsigned int i, sum = 0;

	for (i = 0; i < nr; i++) {
		const struct bio_vec *piece = &pieces[i];
		struct page *page = piece->bv_page;

		if (piece->bv_offset || !piece->bv_len)
			return "piece starts off its page, or is empty";
		if (i + 1 < nr && piece->bv_len % PAGE_SIZE)
			return "piece before the last is not whole pages";
		if (1U << compound_order(page) != pages_of(piece))
			return "piece is not one block of the page allocator";
		if (page_count(page) != 1)
			return "somebody else has a reference";
		if (xchg(&page->private, PAGE_WITH_TEST) == PAGE_WITH_TEST)
			return "piece delivered twice";
		sum += piece->bv_len;
	}
	return sum == bytes ? NULL : "pieces do not sum to the size";
}

/**
 * take_buffer() - get a buffer, look at it, claim it and write into every page of it
 * @f: the fixture
 * @gfp: how
 * @bytes: its size
 * @pieces: gets the pieces
 * @max_pieces: at most so many
 * @nr: gets how many; 0 when there was no buffer
 *
 * Context: any.
 * Return: what is wrong with what was delivered, or NULL.
 */
const char *take_buffer(struct fixture *f, gfp_t gfp, unsigned int bytes, struct bio_vec *pieces,
			unsigned int max_pieces, unsigned int *nr)
{
	const char *error;

	*nr = mempool_alloc_buffer_bulk(&f->buffers, gfp, bytes, pieces, max_pieces);
	if (!*nr)
		return NULL;
	if (*nr > max_pieces)
		return "too many pieces";
	error = inspect(pieces, *nr, bytes);
	if (!error)
		stamp(pieces, *nr);
	return error;
}

/**
 * give_buffer() - look whether somebody wrote into a buffer, and give it back
 * @f: the fixture
 * @pieces: the pieces
 * @nr: how many; 0 is allowed
 *
 * Context: any.
 * Return: what is wrong with it, or NULL.
 */
const char *give_buffer(struct fixture *f, struct bio_vec *pieces, unsigned int nr)
{
	bool intact = are_stamped(pieces, nr);
	unsigned int i;

	for (i = 0; i < nr; i++)
		set_page_private(pieces[i].bv_page, PAGE_WITH_POOL);
	mempool_free_buffer_bulk(&f->buffers, pieces, nr);
	return intact ? NULL : "somebody else wrote into a buffer";
}

/**
 * discard_buffer() - have a buffer wiped
 * @f: the fixture
 * @pieces: the pieces
 * @nr: how many
 */
void discard_buffer(struct fixture *f, struct bio_vec *pieces, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		set_page_private(pieces[i].bv_page, PAGE_WITH_POOL);
	mempool_discard_buffer_bulk(&f->buffers, pieces, nr);
}

/**
 * hold() - take a buffer until let_go()
 * @f: the fixture
 * @gfp: how
 * @bytes: its size
 *
 * Return: its number of pieces, 0 when there was none.
 */
unsigned int hold(struct fixture *f, gfp_t gfp, unsigned int bytes)
{
	struct held_buffer *held;
	struct kunit *test = f->test;
	const char *error;

	KUNIT_ASSERT_TRUE(test, f->nr_held < MAX_HELD);
	held = kmalloc(sizeof(*held), GFP_KERNEL);
	KUNIT_ASSERT_PTR_NE(test, held, NULL);
	error = take_buffer(f, gfp, bytes, held->pieces, FULL, &held->nr);
	if (error)
		KUNIT_FAIL(test, "%u bytes: %s", bytes, error);
	if (!held->nr) {
		kfree(held);
		return 0;
	}
	f->held[f->nr_held++] = held;
	return held->nr;
}

/**
 * let_go() - give back what was taken with hold()
 * @f: the fixture
 */
void let_go(struct fixture *f)
{
	while (f->nr_held) {
		struct held_buffer *held = f->held[--f->nr_held];
		const char *error = give_buffer(f, held->pieces, held->nr);

		if (error)
			KUNIT_FAIL(f->test, "%s", error);
		kfree(held);
	}
}

/**
 * on_cpu() - go to a CPU and stay there
 * @f: the fixture
 * @cpu: which
 */
void on_cpu(struct fixture *f, unsigned int cpu)
{
	KUNIT_ASSERT_EQ(f->test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);
}

/**
 * other_cpu() - a CPU that is not the first, or the end of the case
 * @test: the case
 *
 * Return: its number.
 */
unsigned int other_cpu(struct kunit *test)
{
	if (num_online_cpus() < 2)
		kunit_skip(test, "there is one CPU only");
	return cpumask_last(cpu_online_mask);
}
