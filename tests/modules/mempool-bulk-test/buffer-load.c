// SPDX-License-Identifier: GPL-2.0-only
/* Buffers taken and given by many threads: all are served, and nothing gets lost. */
#include <linux/cpumask.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "fixture.h"

/* Buffers on their way from the producer to the consumer, at most. */
#define IN_FLIGHT 16U

#define CROSS_BYTES 65536U
#define CROSS_ROUNDS 100000UL
#define WARM_UP 2000UL

/**
 * struct crossing - buffers that are allocated on one CPU and freed on another
 * @ring: these buffers; those from @freed to @taken, modulo IN_FLIGHT, are on their way
 * @taken: how many have been allocated
 * @freed: how many have been freed
 * @calls: of the page allocator until the pool was warm
 * @most_held: pages that it had at most
 */
struct crossing {
	struct held_buffer ring[IN_FLIGHT];
	unsigned long taken;
	unsigned long freed;
	long calls;
	s64 most_held;
};

static struct crossing *crossing;

/* A moment later, and somebody else's turn. */
static void pause_a_little(void)
{
	cpu_relax();
	cond_resched();
}

static void produce(struct worker *w)
{
	struct fixture *f = w->f;

	set_cpus_allowed_ptr(current, cpumask_of(cpumask_first(cpu_online_mask)));
	while (!w->error && w->rounds < CROSS_ROUNDS && !READ_ONCE(f->stop)) {
		struct held_buffer *held = &crossing->ring[w->rounds % IN_FLIGHT];

		/* Pairs with the release in consume(): the entry is no longer used. */
		if (w->rounds - smp_load_acquire(&crossing->freed) == IN_FLIGHT) {
			pause_a_little();
			continue;
		}
		if (w->rounds == WARM_UP)
			crossing->calls = allocator_calls();
		w->error = take_buffer(f, GFP_NOIO, CROSS_BYTES, held->pieces, FULL, &held->nr);
		if (!held->nr)
			w->error = "no buffer";
		if (w->rounds % 256 == 0)
			crossing->most_held = max(crossing->most_held,
						  mempool_held_pages_bulk(&f->buffers.pages));
		/* Pairs with the acquire in consume(): who sees the count sees the buffer. */
		smp_store_release(&crossing->taken, ++w->rounds);
	}
}

static void consume(struct worker *w)
{
	struct fixture *f = w->f;

	set_cpus_allowed_ptr(current, cpumask_of(cpumask_last(cpu_online_mask)));
	while (!w->error && w->rounds < CROSS_ROUNDS && !READ_ONCE(f->stop)) {
		struct held_buffer *held = &crossing->ring[w->rounds % IN_FLIGHT];

		/* Pairs with the release in produce(). */
		if (smp_load_acquire(&crossing->taken) == w->rounds) {
			pause_a_little();
			continue;
		}
		w->error = give_buffer(f, held->pieces, held->nr);
		/* Pairs with the acquire in produce(). */
		smp_store_release(&crossing->freed, ++w->rounds);
	}
}

void consumer_feeds_producer(struct kunit *test)
{
	struct pool_knobs knobs = POOL_KNOBS_DEFAULT;
	struct fixture *f = test->priv;
	long calls;

	other_cpu(test);
	/* Magazines smaller than what goes to and fro. */
	knobs.recycle_kib = 1024;
	fixture_with_knobs(f, &knobs);
	crossing = kzalloc(sizeof(*crossing), GFP_KERNEL);
	KUNIT_ASSERT_PTR_NE(test, crossing, NULL);
	start_worker(f, 1, produce);
	start_worker(f, 1, consume);
	KUNIT_ASSERT_TRUE(test, wait_for_workers(f, load_timeout));
	expect_no_error(f->workers[0]);
	expect_no_error(f->workers[1]);
	KUNIT_EXPECT_EQ(test, f->workers[1]->rounds, CROSS_ROUNDS);

	calls = allocator_calls() - crossing->calls;
	kunit_info(test, "%ld calls of the page allocator, %lld pages at most", calls,
		   crossing->most_held);
	KUNIT_EXPECT_LE(test, calls, (long)CROSS_ROUNDS / 1000);
	/* The reserve, what is on its way, two magazines, and the depot. */
	KUNIT_EXPECT_LE(test, crossing->most_held, (s64)FULL + FULL + 3 * FULL + FULL / 8);
	kfree(crossing);
}

/* Buffers of all a thread's size, until it had its rounds. */
static void take_and_give_many(struct worker *w)
{
	struct fixture *f = w->f;
	unsigned int nr;

	while (!w->error && !READ_ONCE(f->stop) && w->rounds < f->rounds) {
		w->error = take_buffer(f, GFP_NOIO, w->nr * PAGE_SIZE, w->pieces, FULL, &nr);
		if (!nr)
			w->error = "no buffer";
		if (w->error)
			break;
		if (w->rounds % 8 == 0)
			usleep_range(20, 100);
		w->error = give_buffer(f, w->pieces, nr);
		w->rounds++;
	}
}

void limited_buffers_all_served(struct kunit *test)
{
	static const unsigned long limit = 2 * FULL + 10;
	struct fixture *f = test->priv;
	unsigned long start = jiffies;
	struct mempool_bulk_stats stats;
	unsigned int i;

	fixture_with_buffers(f);
	mempool_limit_pages_bulk(&f->buffers.pages, &limit);
	f->rounds = max(rounds / 2 / threads, 1U);
	for (i = 0; i < threads; i++)
		start_worker(f, FULL, take_and_give_many);
	KUNIT_ASSERT_TRUE(test, wait_for_workers(f, load_timeout));
	for (i = 0; i < threads; i++) {
		expect_no_error(f->workers[i]);
		KUNIT_EXPECT_EQ(test, f->workers[i]->rounds, f->rounds);
	}
	stats = buffer_stats(f);
	kunit_info(test, "%u threads, %lu buffers each, in %u ms; %llu waited, %llu pages recycled",
		   threads, f->rounds, jiffies_to_msecs(jiffies - start), stats.waits,
		   stats.recycled);
	KUNIT_EXPECT_LT(test, queue_most_overtaken(), (unsigned long)threads);
	KUNIT_EXPECT_LE(test, (unsigned long)allocator_pages_peak(),
			FULL + limit + num_online_cpus() * percpu_counter_batch);
	mempool_limit_pages_bulk(&f->buffers.pages, NULL);
}

static void do_anything(struct worker *w)
{
	struct fixture *f = w->f;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, w->id + 1);
	for (; !w->error && !READ_ONCE(f->stop); w->rounds++) {
		u32 what = prandom_u32_state(&rnd);
		unsigned int nr, bytes = 512 * (1 + what % (FULL_BYTES / 512));
		gfp_t gfp = what & BIT(30) ? GFP_NOIO : GFP_NOWAIT;
		unsigned int room = what & BIT(29) ? FULL : 16;

		w->error = take_buffer(f, gfp, bytes, w->pieces, room, &nr);
		if (!nr && gfp == GFP_NOIO && room == FULL)
			w->error = "no buffer";
		if (w->error || !nr)
			continue;
		if (what & BIT(28))
			cond_resched();
		if (what & BIT(31))
			w->error = give_buffer(f, w->pieces, nr);
		else
			discard_buffer(f, w->pieces, nr);
	}
}

void no_buffer_lost_under_load(struct kunit *test)
{
	static const long budgets[] = { 1000, 0, 100000, ALLOCATOR_UNLIMITED };
	struct pool_knobs knobs = POOL_KNOBS_DEFAULT;
	struct fixture *f = test->priv;
	struct mempool_bulk_stats stats;
	unsigned int i;

	knobs.recycle_seconds = 1;
	fixture_with_knobs(f, &knobs);
	for (i = 0; i < threads; i++)
		start_worker(f, FULL, do_anything);
	/* Whatever is there to fail fails, and what is kept is asked back all the time. */
	for (i = 0; i < 32 + rounds / 50; i++) {
		mempool_fail_pages_bulk(&f->buffers.pages, i / 4 % 8);
		allocator_set_largest(i / 2 % 7);
		allocator_set_budget(budgets[i % ARRAY_SIZE(budgets)]);
		knobs.recycle = i % 16;
		knobs.recycle_kib = i % 8 * 1024;
		knobs_set(&knobs);
		if (i % 3 == 0)
			call_shrinker(1);
		msleep(20);
	}
	WRITE_ONCE(f->stop, true);
	KUNIT_ASSERT_TRUE(test, rescue_workers(f));
	for (i = 0; i < threads; i++)
		expect_no_error(f->workers[i]);

	/* Pages are counted off after they have left the magazines. */
	flush_work(&f->buffers.recycler.age.work);
	stats = buffer_stats(f);
	for (i = 0; i < MEMPOOL_BULK_STEPS; i++)
		KUNIT_EXPECT_GT(test, stats.pages[i], 0ULL);
	KUNIT_EXPECT_GT(test, stats.recycled, 0ULL);
	fixture_check_buffers(f);
}
