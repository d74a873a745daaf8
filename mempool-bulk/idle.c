// SPDX-License-Identifier: GPL-2.0-only
/*
 * When kept pieces go back: after some idle seconds, under memory pressure, when their CPU goes
 * offline; and the budget that all recyclers share.
 */
#include <linux/atomic.h>
#include <linux/cpuhotplug.h>
#include <linux/moduleparam.h>
#include <linux/shrinker.h>
#include "internal.h"

/* What all recyclers together may keep, as a part of memory */
#define BUDGET_DIVISOR	100

static unsigned int recycle_seconds = 3;
module_param(recycle_seconds, uint, 0644);
MODULE_PARM_DESC(recycle_seconds,
		 "Give such pages back when they were not needed for this long, seconds (default 3)");

static DEFINE_MUTEX(recyclers_lock); /* recyclers; nothing is allocated under it */
static LIST_HEAD(recyclers);
static atomic_long_t shared_out;
static struct shrinker *shrinker;
static enum cpuhp_state hotplug_state;

/**
 * mempool_bulk_get_share() - ask for a part of the budget
 * @recycler: who asks
 * @pages: how much
 *
 * Context: any.
 * Return: false when the budget of all, or half of the pool's limit, would be exceeded.
 */
bool mempool_bulk_get_share(struct mempool_bulk_recycler *recycler, unsigned int pages)
{
	const unsigned long *limit = recycler->pool->limit;
	unsigned long own = limit ? READ_ONCE(*limit) / 2 : ULONG_MAX;

	if (atomic_long_add_return(pages, &recycler->share) > own)
		goto too_much;
	if (atomic_long_add_return(pages, &shared_out) <= totalram_pages() / BUDGET_DIVISOR)
		return true;
	atomic_long_sub(pages, &shared_out);
too_much:
	atomic_long_sub(pages, &recycler->share);
	return false;
}

/**
 * mempool_bulk_put_share() - give a part of the budget back
 * @recycler: who had it
 * @pages: how much
 *
 * Context: any.
 */
void mempool_bulk_put_share(struct mempool_bulk_recycler *recycler, unsigned int pages)
{
	if (!pages)
		return;
	atomic_long_sub(pages, &recycler->share);
	atomic_long_sub(pages, &shared_out);
}

/**
 * mempool_bulk_age_later() - have what is kept looked through in a while
 * @recycler: whose
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT.
 */
void mempool_bulk_age_later(struct mempool_bulk_recycler *recycler)
{
	unsigned long seconds = max(READ_ONCE(recycle_seconds), 1U);

	WRITE_ONCE(recycler->aging, true);
	schedule_delayed_work(&recycler->age, seconds * HZ);
}

static void age_work(struct work_struct *work)
{
	struct mempool_bulk_recycler *recycler =
		container_of(to_delayed_work(work), struct mempool_bulk_recycler, age);

	/*
	 * Before looking: whoever puts a piece into a magazine after we had its lock finds this
	 * and schedules the next look himself.
	 */
	WRITE_ONCE(recycler->aging, false);
	if (mempool_bulk_age(recycler))
		mempool_bulk_age_later(recycler);
}

/* An estimate that is never too low: what the magazines may hold. */
static unsigned long count_idle(struct shrinker *unused, struct shrink_control *sc)
{
	return atomic_long_read(&shared_out) ?: SHRINK_EMPTY;
}

static unsigned long give_back_idle(struct shrinker *unused, struct shrink_control *sc)
{
	struct mempool_bulk_recycler *recycler;
	unsigned long freed = 0;

	/* Held by one who is looking for memory as well: he does what we would. */
	if (!mutex_trylock(&recyclers_lock))
		return SHRINK_STOP;
	list_for_each_entry(recycler, &recyclers, node) {
		if (freed >= sc->nr_to_scan)
			break;
		freed += mempool_bulk_drain(recycler);
	}
	mutex_unlock(&recyclers_lock);
	sc->nr_scanned = max(freed, sc->nr_to_scan);
	return freed ?: SHRINK_STOP;
}

static int cpu_is_dead(unsigned int cpu, struct hlist_node *node)
{
	struct mempool_bulk_recycler *recycler =
		hlist_entry(node, struct mempool_bulk_recycler, hotplug);

	mempool_bulk_drain_cpu(recycler, cpu);
	return 0;
}

/**
 * mempool_bulk_watch() - have a recycler drained when there is reason to
 * @recycler: the recycler, ready for use
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno.
 */
int mempool_bulk_watch(struct mempool_bulk_recycler *recycler)
{
	int ret;

	INIT_DELAYED_WORK(&recycler->age, age_work);
	ret = cpuhp_state_add_instance_nocalls(hotplug_state, &recycler->hotplug);
	if (ret)
		return ret;
	mutex_lock(&recyclers_lock);
	list_add(&recycler->node, &recyclers);
	mutex_unlock(&recyclers_lock);
	return 0;
}

/**
 * mempool_bulk_unwatch() - undo mempool_bulk_watch()
 * @recycler: nothing is put into it any more
 *
 * Context: process context, may sleep.
 */
void mempool_bulk_unwatch(struct mempool_bulk_recycler *recycler)
{
	mutex_lock(&recyclers_lock);
	list_del(&recycler->node);
	mutex_unlock(&recyclers_lock);
	cpuhp_state_remove_instance_nocalls(hotplug_state, &recycler->hotplug);
	cancel_delayed_work_sync(&recycler->age);
}

/**
 * mempool_bulk_start() - make ready what all pools share
 *
 * Context: process context, may sleep. To be called once, before any pool is made.
 * Return: 0 or a negative errno.
 */
int mempool_bulk_start(void)
{
	int ret;

	ret = cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "mempool-bulk:dead", NULL, cpu_is_dead);
	if (ret < 0)
		return ret;
	hotplug_state = ret;

	ret = -ENOMEM;
	shrinker = shrinker_alloc(0, "mempool-bulk");
	if (!shrinker)
		goto remove_state;
	shrinker->count_objects = count_idle;
	shrinker->scan_objects = give_back_idle;
	ret = cbulk_shrinker_register(shrinker, "mempool-bulk");
	if (!ret)
		return 0;
	shrinker_free(shrinker);
remove_state:
	cpuhp_remove_multi_state(hotplug_state);
	return ret;
}

/**
 * mempool_bulk_stop() - undo mempool_bulk_start()
 *
 * Context: process context, may sleep. All pools are gone.
 */
void mempool_bulk_stop(void)
{
	shrinker_free(shrinker);
	cpuhp_remove_multi_state(hotplug_state);
}
