// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mistakes on purpose, to see that a kernel built to find them does.
 *
 * The name of one, written to the parameter make, makes it. On other kernels some do damage.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#define OBJECT_SIZE 64

static DEFINE_MUTEX(first_lock);
static DEFINE_MUTEX(second_lock);
static DEFINE_SPINLOCK(atomic_lock);
static int raced;

/* Memory of which the compiler knows nothing, so that it neither warns nor leaves anything out. */
static u8 *new_object(void)
{
	u8 *object = kzalloc(OBJECT_SIZE, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(object);
	return object;
}

static void read_freed(void)
{
	u8 *object = new_object();

	kfree(object);
	OPTIMIZER_HIDE_VAR(object);
	if (object)
		(void)READ_ONCE(object[1]);
}

static void write_beyond_end(void)
{
	u8 *object = new_object();

	if (object)
		WRITE_ONCE(object[OBJECT_SIZE + 1], 1);
	kfree(object);
}

static void shift_too_far(void)
{
	unsigned int bits = 40;

	OPTIMIZER_HIDE_VAR(bits);
	pr_info("mistakes: shifted to %u\n", 1U << bits);
}

static void remove_twice(void)
{
	LIST_HEAD(list);
	struct list_head entry;

	list_add(&entry, &list);
	list_del(&entry);
	list_del(&entry);
}

static void nothing_to_do(struct work_struct *work)
{
}

static void free_pending_work(void)
{
	struct delayed_work *work = kzalloc(sizeof(*work), GFP_KERNEL);

	if (!work)
		return;
	INIT_DELAYED_WORK(work, nothing_to_do);
	schedule_delayed_work(work, 60 * HZ);
	kfree(work);
}

static void sleep_in_atomic(void)
{
	spin_lock(&atomic_lock);
	might_sleep();
	spin_unlock(&atomic_lock);
}

static void dereference_unlocked(void)
{
	static int number;
	static int __rcu *pointer = (int __rcu *)&number;

	(void)rcu_dereference(pointer);
}

static void lock_in_both_orders(void)
{
	mutex_lock(&first_lock);
	mutex_lock(&second_lock);
	mutex_unlock(&second_lock);
	mutex_unlock(&first_lock);

	mutex_lock(&second_lock);
	mutex_lock(&first_lock);
	mutex_unlock(&first_lock);
	mutex_unlock(&second_lock);
}

static void forget_object(void)
{
	int i;

	/* Several, since a stale register or stack slot may still hold the last one's address. */
	for (i = 0; i < 16; i++)
		new_object();
}

static int count_without_lock(void *unused)
{
	while (!kthread_should_stop()) {
		raced++;
		barrier();
		cond_resched();
	}
	return 0;
}

static void race(void)
{
	struct task_struct *threads[2];
	int i;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		threads[i] = kthread_run(count_without_lock, NULL, "mistakes/%d", i);
	msleep(3000);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		if (!IS_ERR(threads[i]))
			kthread_stop(threads[i]);
}

static const struct {
	const char *name;
	void (*make)(void);
} mistakes[] = {
	{ "read_freed", read_freed },
	{ "write_beyond_end", write_beyond_end },
	{ "shift_too_far", shift_too_far },
	{ "remove_twice", remove_twice },
	{ "free_pending_work", free_pending_work },
	{ "sleep_in_atomic", sleep_in_atomic },
	{ "dereference_unlocked", dereference_unlocked },
	{ "lock_in_both_orders", lock_in_both_orders },
	{ "forget_object", forget_object },
	{ "race", race },
};

static int set_make(const char *value, const struct kernel_param *kp)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(mistakes); i++) {
		if (sysfs_streq(value, mistakes[i].name)) {
			mistakes[i].make();
			return 0;
		}
	}
	return -EINVAL;
}

static const struct kernel_param_ops make_ops = { .set = set_make };
module_param_cb(make, &make_ops, NULL, 0200);
MODULE_PARM_DESC(make, "The mistake to make");

static int __init mistakes_init(void)
{
	return 0;
}
module_init(mistakes_init);

static void __exit mistakes_exit(void)
{
}
module_exit(mistakes_exit);

MODULE_DESCRIPTION("Mistakes on purpose, for kernels that find them");
MODULE_LICENSE("GPL");
