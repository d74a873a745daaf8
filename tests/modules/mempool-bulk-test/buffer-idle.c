// SPDX-License-Identifier: GPL-2.0-only
/* When what was kept goes back to the page allocator. */
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include "fixture.h"

static const struct pool_knobs short_lived = {
	.recycle = true,
	.recycle_kib = 4096,
	.recycle_seconds = 1,
	.chunk_order = 5,
};

static void use(struct fixture *f, unsigned int cpu, unsigned int nr)
{
	on_cpu(f, cpu);
	while (nr--)
		KUNIT_EXPECT_NE(f->test, hold(f, GFP_NOIO, FULL_BYTES), 0U);
	let_go(f);
}

void unused_pages_age(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long start = jiffies;

	fixture_with_knobs(f, &short_lived);
	/* Into the magazines of two CPUs, where there are so many, and into the depot. */
	use(f, cpumask_last(cpu_online_mask), 2);
	use(f, cpumask_first(cpu_online_mask), 6);
	KUNIT_EXPECT_GE(test, idle_pages(f), 6LL * FULL);
	KUNIT_EXPECT_TRUE(test, wait_until(!idle_pages(f), 10));
	kunit_info(test, "gone after %u ms", jiffies_to_msecs(jiffies - start));
	/* At the second look, a second after the first; the third would be after 3 s. */
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - start), 3000U);
	/* Pages are counted off after they have left the magazines. */
	flush_work(&f->buffers.recycler.age.work);
	fixture_check_buffers(f);
}

void used_pages_do_not_age(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long end = jiffies + 3 * HZ;

	fixture_with_knobs(f, &short_lived);
	use(f, cpumask_first(cpu_online_mask), 6);
	while (time_before(jiffies, end)) {
		use(f, cpumask_first(cpu_online_mask), 2);
		msleep(20);
	}
	/* The depot's are gone, and of the magazine's what was not used. */
	KUNIT_EXPECT_EQ(test, idle_pages(f), 2LL * FULL);
	KUNIT_EXPECT_EQ(test, buffer_stats(f).pages[MEMPOOL_BULK_NOWAIT], 6ULL * FULL);
}

void shrinker_gives_all_back(struct kunit *test)
{
	struct fixture *f = test->priv;
	s64 kept;

	fixture_with_buffers(f);
	use(f, cpumask_last(cpu_online_mask), 2);
	use(f, cpumask_first(cpu_online_mask), 6);
	kept = idle_pages(f);
	KUNIT_EXPECT_GE(test, kept, 6LL * FULL);
	KUNIT_EXPECT_GE(test, (s64)ask_shrinker(), kept);
	KUNIT_EXPECT_EQ(test, (s64)call_shrinker(1), kept);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 0LL);
	fixture_check_buffers(f);
	KUNIT_EXPECT_EQ(test, call_shrinker(1), SHRINK_STOP);
}

void dead_cpu_gives_all_back(struct kunit *test)
{
	const unsigned int cpu = other_cpu(test), first = cpumask_first(cpu_online_mask);
	struct fixture *f = test->priv;
	int ret;

	fixture_with_buffers(f);
	use(f, first, 1);
	use(f, cpu, 2);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 3LL * FULL);
	on_cpu(f, first);
	ret = remove_cpu(cpu);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, idle_pages(f), (s64)FULL);
	fixture_check_buffers(f);
	if (!ret)
		KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);
	use(f, cpu, 2);
	KUNIT_EXPECT_EQ(test, idle_pages(f), 3LL * FULL);
}
