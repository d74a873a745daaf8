// SPDX-License-Identifier: GPL-2.0-only
/* Threads that use the pool at the side of a case. They report; only the case judges. */
#include <linux/kthread.h>
#include <linux/slab.h>
#include "fixture.h"

/* How long a thread may take to end once nothing keeps it any more. */
#define RESCUE_SECONDS 30

static int worker_thread(void *data)
{
	struct worker *w = data;

	w->run(w);
	kthread_complete_and_exit(&w->done, 0);
}

/**
 * start_worker() - start a thread
 * @f: the fixture
 * @nr: pages that it requests at a time
 * @run: what it does
 *
 * Return: the worker, which lives as long as the fixture. Without memory the case is aborted.
 */
struct worker *start_worker(struct fixture *f, unsigned int nr, void (*run)(struct worker *w))
{
	struct worker *w = kzalloc(sizeof(*w), GFP_KERNEL);
	struct task_struct *thread;

	KUNIT_ASSERT_PTR_NE(f->test, w, NULL);
	w->f = f;
	w->id = f->nr_workers;
	w->nr = nr;
	w->gfp = GFP_NOIO;
	w->run = run;
	init_completion(&w->done);

	thread = kthread_run(worker_thread, w, "pool-test-%u", w->id);
	if (IS_ERR(thread))
		kfree(w);
	KUNIT_ASSERT_FALSE(f->test, IS_ERR(thread));
	f->workers[f->nr_workers++] = w;
	return w;
}

/**
 * wait_for_worker() - wait for a thread to end
 * @w: the thread
 * @seconds: for so long
 *
 * Return: whether it did.
 */
bool wait_for_worker(struct worker *w, unsigned int seconds)
{
	return wait_until(completion_done(&w->done), seconds);
}

/**
 * wait_for_workers() - wait for all threads to end
 * @f: the fixture
 * @seconds: for so long, all together
 *
 * Return: whether they did.
 */
bool wait_for_workers(struct fixture *f, unsigned int seconds)
{
	unsigned long deadline = jiffies + seconds * HZ;
	unsigned int i;

	for (i = 0; i < f->nr_workers; i++)
		while (!completion_done(&f->workers[i]->done)) {
			if (time_after(jiffies, deadline))
				return false;
			msleep(20);
		}
	return true;
}

/**
 * expect_no_error() - fail the case if something went wrong in a thread
 * @w: the thread, which ended
 *
 * Context: the thread of the case.
 */
void expect_no_error(const struct worker *w)
{
	if (w->error)
		KUNIT_FAIL(w->f->test, "thread %u, %u pages: %s", w->id, w->nr, w->error);
}

/**
 * rescue_workers() - get threads out of a pool that does not serve them
 * @f: the fixture
 *
 * What waits in a pool goes back to the page allocator from time to time: lets that succeed.
 *
 * Return: false when some are still in there.
 */
bool rescue_workers(struct fixture *f)
{
	mempool_limit_pages_bulk(&f->pool, NULL);
	mempool_fail_pages_bulk(&f->pool, 0);
	mempool_limit_pages_bulk(&f->buffers.pages, NULL);
	mempool_fail_pages_bulk(&f->buffers.pages, 0);
	allocator_set_budget(ALLOCATOR_UNLIMITED);
	allocator_set_smallest(0);
	allocator_set_largest(ALLOCATOR_ANY_ORDER);
	return wait_for_workers(f, RESCUE_SECONDS);
}

static bool take(struct worker *w)
{
	if (!mempool_alloc_pages_bulk_array(&w->f->pool, w->gfp, w->nr, w->pages))
		w->error = "request failed";
	else if (claim_array(w->pages, w->nr) != w->nr)
		w->error = "page missing or delivered twice";
	return !w->error;
}

/**
 * take_and_give() - request once, note the place among all that were served, and free
 * @w: the thread
 */
void take_and_give(struct worker *w)
{
	if (take(w))
		w->rounds = atomic_long_inc_return(&w->f->grants);
	give_array(&w->f->pool, w->pages, w->nr);
}

/**
 * take_and_hold() - request once and keep the pages until the case is over or says stop
 * @w: the thread
 */
void take_and_hold(struct worker *w)
{
	if (take(w))
		w->rounds = atomic_long_inc_return(&w->f->grants);
	while (!READ_ONCE(w->f->stop))
		usleep_range(500, 1000);
	give_array(&w->f->pool, w->pages, w->nr);
}
