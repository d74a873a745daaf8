// SPDX-License-Identifier: GPL-2.0-only
/*
 * The thread that submits writes in order of their sectors.
 *
 * Encryption on many CPUs finishes writes in any order. Rotational disks, and whatever merges
 * neighbouring requests, fare better when what has piled up goes out sorted.
 */
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/list_sort.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include "crypt-bulk.h"

static int compare_sectors(void *unused, const struct list_head *a, const struct list_head *b)
{
	sector_t sector_a = list_entry(a, struct cbulk_io, sorted)->sector;
	sector_t sector_b = list_entry(b, struct cbulk_io, sorted)->sector;

	return sector_a > sector_b;
}

/* Take over what is in the inbox, in order of sectors, and of arrival where these are the same. */
static void take_batch(struct cbulk_order *order, struct list_head *batch)
{
	struct llist_node *node = llist_reverse_order(llist_del_all(&order->inbox));
	struct cbulk_io *io, *next;

	/* The two links share their memory: next has been read before the second is written. */
	llist_for_each_entry_safe(io, next, node, pushed)
		list_add_tail(&io->sorted, batch);
	list_sort(NULL, batch, compare_sectors);
}

static void submit_batch(struct list_head *batch)
{
	struct cbulk_io *io, *next;
	struct blk_plug plug;

	blk_start_plug(&plug);
	list_for_each_entry_safe(io, next, batch, sorted) {
		/* The lower device owns the io from here on, and may have freed it. */
		dm_submit_bio_remap(io->base, &io->own);
		cond_resched();
	}
	blk_finish_plug(&plug);
}

static int order_thread(void *data)
{
	struct cbulk_order *order = data;

	for (;;) {
		LIST_HEAD(batch);

		/* The state is set before the inbox is looked at: a push after that wakes us. */
		set_current_state(TASK_IDLE);
		if (llist_empty(&order->inbox)) {
			if (kthread_should_stop())
				break;
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);

		take_batch(order, &batch);
		submit_batch(&batch);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/**
 * cbulk_order_push() - hand an encrypted write to the thread
 * @io: the io, which the thread owns from here on
 *
 * Context: any.
 */
void cbulk_order_push(struct cbulk_io *io)
{
	struct cbulk_order *order = &io->ct->order;
	struct task_struct *thread;

	/*
	 * The thread may be awake and take the io at once; the mapping can then be gone before we
	 * are done here. RCU keeps the task to be woken in memory.
	 */
	rcu_read_lock();
	thread = READ_ONCE(order->thread);
	/* Only who finds the inbox empty has to wake the thread: it takes all there is. */
	if (llist_add(&io->pushed, &order->inbox))
		wake_up_process(thread);
	rcu_read_unlock();
}

/**
 * cbulk_order_init() - start the thread of a mapping
 * @ct: the mapping
 * @name: of the mapping's device, for the name of the thread
 *
 * Return: 0 or a negative errno.
 */
int cbulk_order_init(struct cbulk_target *ct, const char *name)
{
	struct task_struct *thread;

	init_llist_head(&ct->order.inbox);
	thread = kthread_run(order_thread, &ct->order, "dmcrypt_write/%s", name);
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	if (test_bit(CBULK_HIGH_PRIORITY, &ct->flags))
		set_user_nice(thread, MIN_NICE);
	ct->order.thread = thread;
	return 0;
}

/**
 * cbulk_order_exit() - stop the thread
 * @ct: the mapping, idle; also where the thread was never started
 */
void cbulk_order_exit(struct cbulk_target *ct)
{
	if (ct->order.thread)
		kthread_stop(ct->order.thread);
	ct->order.thread = NULL;
}
