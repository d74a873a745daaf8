// SPDX-License-Identifier: GPL-2.0-only
/* The pool where nobody may sleep: interrupts off, softirq, hard interrupt. */
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/spinlock.h>
#include "fixture.h"

#define SOME 64U

/**
 * struct visit - something to do in another context, and what came of it
 * @f: the fixture
 * @act: what to do
 * @in_context: was it done there, and were we still there afterwards?
 * @step_1: a request that the page allocator served
 * @step_2: a request that the reserve served
 * @refused: a request that neither served
 * @claimed: pages delivered to all three
 * @done: completed when @act returned
 */
struct visit {
	struct fixture *f;
	void (*act)(struct visit *v);
	bool in_context;
	bool step_1;
	bool step_2;
	bool refused;
	unsigned int claimed;
	struct completion done;
};

static void take_there(struct visit *v)
{
	struct fixture *f = v->f;
	struct mempool_pages_bulk *pool = &f->pool;

	v->step_1 = mempool_alloc_pages_bulk_array(pool, GFP_ATOMIC, SOME, f->pages);
	v->claimed = claim_array(f->pages, SOME);
	mempool_fail_pages_bulk(pool, NO_ALLOCATOR);
	v->step_2 = mempool_alloc_pages_bulk_list(pool, GFP_ATOMIC, SOME, &f->list);
	v->claimed += claim_list(&f->list);
	v->refused = !mempool_alloc_pages_bulk_array(pool, GFP_ATOMIC, FULL, f->pages + FULL);
	v->claimed += claim_array(f->pages + FULL, FULL);

	give_one(pool, f->pages[0]);
	f->pages[0] = NULL;
	give_list(pool, &f->list);
	give_array(pool, f->pages, SOME);
}

/* Wakes a thread that waits for all of the reserve. */
static void give_there(struct visit *v)
{
	give_array(&v->f->pool, v->f->pages, FULL);
}

/* Let @visit_context take v->act somewhere, first for allocation, then for freeing. */
static void check_context(struct fixture *f, void (*visit_context)(struct visit *v))
{
	struct visit v = { .f = f, .act = take_there };
	struct kunit *test = f->test;
	struct worker *w;

	init_completion(&v.done);
	visit_context(&v);
	KUNIT_EXPECT_TRUE(test, v.in_context);
	KUNIT_EXPECT_TRUE(test, v.step_1);
	KUNIT_EXPECT_TRUE(test, v.step_2);
	KUNIT_EXPECT_TRUE(test, v.refused);
	KUNIT_EXPECT_EQ(test, v.claimed, 2 * SOME);
	fixture_check_idle(f);

	fixture_empty_reserve(f);
	w = start_worker(f, FULL, take_and_give);
	KUNIT_ASSERT_TRUE(test, wait_until(fixture_waiters(f) == 1, 10));
	v.act = give_there;
	v.in_context = false;
	reinit_completion(&v.done);
	visit_context(&v);
	KUNIT_EXPECT_TRUE(test, v.in_context);
	KUNIT_EXPECT_EQ(test, fixture_waiters(f), 0U);
	KUNIT_EXPECT_TRUE(test, wait_for_worker(w, 10));
	expect_no_error(w);
}

static void visit_irqs_off(struct visit *v)
{
	static DEFINE_SPINLOCK(lock);
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	v->in_context = irqs_disabled();
	v->act(v);
	v->in_context = v->in_context && irqs_disabled();
	spin_unlock_irqrestore(&lock, flags);
}

void usable_with_interrupts_off(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		kunit_skip(test, "spinlocks leave interrupts on here");
	check_context(test->priv, visit_irqs_off);
}

/**
 * struct softirq_visit - a visit by tasklet
 * @tasklet: the tasklet
 * @v: the visit
 */
struct softirq_visit {
	struct tasklet_struct tasklet;
	struct visit *v;
};

static void in_tasklet(struct tasklet_struct *tasklet)
{
	struct visit *v = container_of(tasklet, struct softirq_visit, tasklet)->v;

	v->in_context = in_serving_softirq();
	v->act(v);
	v->in_context = v->in_context && in_serving_softirq();
	complete(&v->done);
}

static void visit_softirq(struct visit *v)
{
	struct softirq_visit softirq = { .v = v };

	tasklet_setup(&softirq.tasklet, in_tasklet);
	tasklet_schedule(&softirq.tasklet);
	wait_for_completion(&v->done);
	tasklet_kill(&softirq.tasklet);
}

void usable_in_softirq(struct kunit *test)
{
	check_context(test->priv, visit_softirq);
}

/**
 * struct hardirq_visit - a visit by interrupt
 * @work: raises the interrupt, one that PREEMPT_RT makes a thread's work, as those of devices
 * @v: the visit
 */
struct hardirq_visit {
	struct irq_work work;
	struct visit *v;
};

static void in_interrupt_handler(struct irq_work *work)
{
	struct visit *v = container_of(work, struct hardirq_visit, work)->v;

	v->in_context = in_hardirq() && irqs_disabled();
	v->act(v);
	v->in_context = v->in_context && in_hardirq() && irqs_disabled();
	complete(&v->done);
}

static void visit_hardirq(struct visit *v)
{
	struct hardirq_visit hardirq = {
		.work = IRQ_WORK_INIT(in_interrupt_handler),
		.v = v,
	};

	irq_work_queue(&hardirq.work);
	wait_for_completion(&v->done);
	irq_work_sync(&hardirq.work);
}

void usable_in_hardirq(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		kunit_skip(test, "no spinlock may be taken in hard interrupts here");
	check_context(test->priv, visit_hardirq);
}
