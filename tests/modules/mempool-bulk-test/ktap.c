// SPDX-License-Identifier: GPL-2.0-only
/* Runs the cases of a suite, each in a thread of its own, and reports as KUnit does. */
#define pr_fmt(fmt) fmt

#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/glob.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "ktap.h"

#define RESULTS_SIZE SZ_64K

static char *filter;
module_param(filter, charp, 0400);
MODULE_PARM_DESC(filter, "Run only the cases whose names match this glob (default all)");

static unsigned int case_timeout = 600;
module_param(case_timeout, uint, 0400);
MODULE_PARM_DESC(case_timeout, "Seconds after which a case is given up (default 600)");

/**
 * struct ktap_run - one case with the thread that runs it
 * @test: what the case sees
 * @suite: whose set-up it needs
 * @run_case: the case
 * @done: completed as the last thing that the thread does
 */
struct ktap_run {
	struct kunit test;
	const struct kunit_suite *suite;
	void (*run_case)(struct kunit *test);
	struct completion done;
};

/* What was printed so far, readable through debugfs while the suite still runs. */
static struct dentry *results_root;
static char *results;
static size_t results_len;
static DEFINE_MUTEX(results_lock);

static void emit(const char *fmt, ...) __printf(1, 2);

static void emit(const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_info("%pV\n", &vaf);
	va_end(args);

	va_start(args, fmt);
	mutex_lock(&results_lock);
	results_len += vscnprintf(results + results_len, RESULTS_SIZE - results_len, fmt, args);
	results_len += scnprintf(results + results_len, RESULTS_SIZE - results_len, "\n");
	mutex_unlock(&results_lock);
	va_end(args);
}

/**
 * ktap_fail() - record that a case failed, and print where and why
 * @test: the case
 * @file: where
 * @line: where in @file
 * @fmt: why, for printk()
 *
 * Context: the thread of the case.
 */
void ktap_fail(struct kunit *test, const char *file, int line, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	emit("    # %s: %s:%d: %pV", test->name, kbasename(file), line, &vaf);
	va_end(args);
	test->status = KTAP_FAILED;
}

/**
 * ktap_note() - print a line about a case that does not change its verdict
 * @test: the case
 * @fmt: the line, for printk()
 *
 * Context: may sleep.
 */
void ktap_note(struct kunit *test, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	emit("    # %s: %pV", test->name, &vaf);
	va_end(args);
}

/**
 * ktap_end_case() - undo what was set up for a case
 * @test: the case
 *
 * Context: the thread of the case, which has to exit now.
 * Return: what the thread completes when it does.
 */
struct completion *ktap_end_case(struct kunit *test)
{
	struct ktap_run *run = container_of(test, struct ktap_run, test);

	if (run->suite->exit)
		run->suite->exit(test);
	return &run->done;
}

/**
 * ktap_skip() - note that a case makes no sense here; kunit_skip() then ends it
 * @test: the case
 * @fmt: why, for printk()
 */
void ktap_skip(struct kunit *test, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(test->reason, sizeof(test->reason), fmt, args);
	va_end(args);
	if (test->status == KTAP_PASSED)
		test->status = KTAP_SKIPPED;
}

static int case_thread(void *data)
{
	struct ktap_run *run = data;
	int ret = run->suite->init ? run->suite->init(&run->test) : 0;

	if (ret) {
		KUNIT_FAIL(&run->test, "could not be set up: %d", ret);
		kthread_complete_and_exit(&run->done, 0);
	}
	run->run_case(&run->test);
	ktap_abort(&run->test);
	return 0;
}

/*
 * Return: false when the case did not end. Its thread then still runs in this module, which must
 * stay loaded for good, with @run.
 */
static bool wait_for_case(struct ktap_run *run)
{
	unsigned long deadline = jiffies + case_timeout * HZ;

	/* In short waits: the hung task detector is to look at the pool's waiters, not at us. */
	while (!wait_for_completion_timeout(&run->done, HZ)) {
		if (time_before(jiffies, deadline))
			continue;
		emit("    # %s: did not end in %u s", run->test.name, case_timeout);
		__module_get(THIS_MODULE);
		return false;
	}
	return true;
}

static enum ktap_status run_case(const struct kunit_suite *suite, const struct kunit_case *one,
				 unsigned int number)
{
	struct ktap_run *run = kzalloc(sizeof(*run), GFP_KERNEL);
	enum ktap_status status = KTAP_FAILED;
	struct task_struct *thread;

	if (!run)
		goto report;
	run->test.name = one->name;
	run->suite = suite;
	run->run_case = one->run_case;
	init_completion(&run->done);

	thread = kthread_run(case_thread, run, "ktap");
	if (!IS_ERR(thread)) {
		if (!wait_for_case(run)) {
			run = NULL;
			goto report;
		}
		status = run->test.status;
	}
report:
	emit("    %sok %u %s%s%s", status == KTAP_FAILED ? "not " : "", number, one->name,
	     status == KTAP_SKIPPED ? " # SKIP " : "",
	     status == KTAP_SKIPPED ? run->test.reason : "");
	kfree(run);
	return status;
}

static bool selected(const struct kunit_case *one)
{
	return !filter || glob_match(filter, one->name);
}

static void run_cases(const struct kunit_suite *suite)
{
	unsigned int total = 0, number = 0, count[KTAP_SKIPPED + 1] = {};
	const struct kunit_case *one;

	for (one = suite->test_cases; one->run_case; one++)
		total += selected(one);

	emit("KTAP version 1");
	emit("1..1");
	emit("    KTAP version 1");
	emit("    # Subtest: %s", suite->name);
	emit("    1..%u", total);
	for (one = suite->test_cases; one->run_case; one++)
		if (selected(one))
			count[run_case(suite, one, ++number)]++;
	emit("# %s: pass:%u fail:%u skip:%u total:%u", suite->name, count[KTAP_PASSED],
	     count[KTAP_FAILED], count[KTAP_SKIPPED], total);
	emit("%sok 1 %s", count[KTAP_FAILED] ? "not " : "", suite->name);
}

static ssize_t read_results(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	ssize_t ret;

	mutex_lock(&results_lock);
	ret = simple_read_from_buffer(to, size, pos, results, results_len);
	mutex_unlock(&results_lock);
	return ret;
}

static const struct file_operations results_fops = {
	.owner = THIS_MODULE,
	.read = read_results,
	.llseek = default_llseek,
};

/*
 * The module has no other life than its suite: loading runs it, and loading succeeds whatever the
 * verdict, so that the results can be read.
 */
static int __init ktap_init(void)
{
	struct dentry *dir;

	results = vzalloc(RESULTS_SIZE);
	if (!results)
		return -ENOMEM;

	results_root = debugfs_create_dir("kunit", NULL);
	dir = debugfs_create_dir(ktap_suite->name, results_root);
	debugfs_create_file("results", 0400, dir, NULL, &results_fops);
	run_cases(ktap_suite);
	return 0;
}
module_init(ktap_init);

static void __exit ktap_exit(void)
{
	debugfs_remove_recursive(results_root);
	vfree(results);
}
module_exit(ktap_exit);
