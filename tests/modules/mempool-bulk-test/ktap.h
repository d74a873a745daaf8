/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of KUnit's interface that our cases use, for kernels built without KUnit, which is what
 * distributions ship. Cases include this header only and run under either.
 *
 * Results are where KUnit has them, so that whoever reads them need not know which of the two ran:
 * in the kernel log and in /sys/kernel/debug/kunit/SUITE/results, as KTAP indented by four spaces.
 */
#ifndef KTAP_H
#define KTAP_H

#include <linux/kconfig.h>

#if IS_ENABLED(CONFIG_KUNIT)

#include <kunit/test.h>

#else

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/types.h>

enum ktap_status {
	KTAP_PASSED,
	KTAP_FAILED,
	KTAP_SKIPPED,
};

/**
 * struct kunit - one run of one case
 * @priv: for the suite's own use
 * @name: of the case
 * @status: its verdict so far; only the thread of the case changes it
 * @reason: why it was skipped
 */
struct kunit {
	void *priv;
	const char *name;
	enum ktap_status status;
	char reason[80];
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
};

/**
 * struct kunit_suite - cases that share what is to be set up before and undone after each
 * @name: name of the suite
 * @init: called before each case; the case fails when this returns an error
 * @exit: called after each case, however it ended, except when it did not end at all
 * @test_cases: the cases, up to one without a function
 */
struct kunit_suite {
	const char name[64];
	int (*init)(struct kunit *test);
	void (*exit)(struct kunit *test);
	struct kunit_case *test_cases;
};

void ktap_fail(struct kunit *test, const char *file, int line, const char *fmt, ...) __printf(4, 5);
void ktap_note(struct kunit *test, const char *fmt, ...) __printf(2, 3);
void ktap_skip(struct kunit *test, const char *fmt, ...) __printf(2, 3);
struct completion *ktap_end_case(struct kunit *test);

/* Inline, because objtool knows which functions do not return, and would not know this one. */
static inline void ktap_abort(struct kunit *test)
{
	kthread_complete_and_exit(ktap_end_case(test), 0);
}

#define KUNIT_CASE(function) { .run_case = function, .name = #function }
#define KUNIT_CASE_SLOW(function) KUNIT_CASE(function)

#define kunit_info(test, fmt, ...) ktap_note(test, fmt, ##__VA_ARGS__)
#define kunit_skip(test, fmt, ...)							\
do {											\
	struct kunit *ktap_test = (test);						\
											\
	ktap_skip(ktap_test, fmt, ##__VA_ARGS__);					\
	ktap_abort(ktap_test);								\
} while (0)

#define KUNIT_FAIL(test, fmt, ...) ktap_fail(test, __FILE__, __LINE__, fmt, ##__VA_ARGS__)

/* The texts come from the outermost macro: further in, what they name would be expanded. */
#define KTAP_COMPARE(test, left, left_text, op, right, right_text, fatal)		\
do {											\
	struct kunit *ktap_test = (test);						\
	typeof(left) ktap_left = (left);						\
	typeof(right) ktap_right = (right);						\
											\
	if (ktap_left op ktap_right)							\
		break;									\
	ktap_fail(ktap_test, __FILE__, __LINE__, "%s is %lld, not " #op " %s, %lld",	\
		  left_text, (long long)ktap_left, right_text, (long long)ktap_right);	\
	if (fatal)									\
		ktap_abort(ktap_test);							\
} while (0)

#define KTAP_COMPARE_PTR(test, left, left_text, op, right, right_text, fatal)		\
do {											\
	struct kunit *ktap_test = (test);						\
	const void *ktap_left = (left), *ktap_right = (right);				\
											\
	if (ktap_left op ktap_right)							\
		break;									\
	ktap_fail(ktap_test, __FILE__, __LINE__, "%s is %p, not " #op " %s, %p",	\
		  left_text, ktap_left, right_text, ktap_right);			\
	if (fatal)									\
		ktap_abort(ktap_test);							\
} while (0)

#define KTAP_BOOL(test, condition, text, wanted, fatal)					\
do {											\
	struct kunit *ktap_test = (test);						\
											\
	if ((!!(condition)) == (wanted))						\
		break;									\
	ktap_fail(ktap_test, __FILE__, __LINE__, "%s is not " #wanted, text);	\
	if (fatal)									\
		ktap_abort(ktap_test);							\
} while (0)

/* An expectation that does not hold fails the case, which goes on. */
#define KUNIT_EXPECT_TRUE(test, condition) \
	KTAP_BOOL(test, condition, #condition, true, false)
#define KUNIT_EXPECT_FALSE(test, condition) \
	KTAP_BOOL(test, condition, #condition, false, false)
#define KUNIT_EXPECT_EQ(test, left, right) \
	KTAP_COMPARE(test, left, #left, ==, right, #right, false)
#define KUNIT_EXPECT_NE(test, left, right) \
	KTAP_COMPARE(test, left, #left, !=, right, #right, false)
#define KUNIT_EXPECT_LT(test, left, right) \
	KTAP_COMPARE(test, left, #left, <, right, #right, false)
#define KUNIT_EXPECT_LE(test, left, right) \
	KTAP_COMPARE(test, left, #left, <=, right, #right, false)
#define KUNIT_EXPECT_GT(test, left, right) \
	KTAP_COMPARE(test, left, #left, >, right, #right, false)
#define KUNIT_EXPECT_GE(test, left, right) \
	KTAP_COMPARE(test, left, #left, >=, right, #right, false)
#define KUNIT_EXPECT_PTR_EQ(test, left, right) \
	KTAP_COMPARE_PTR(test, left, #left, ==, right, #right, false)

/* An assertion that does not hold ends the case as well; in the thread of the case only. */
#define KUNIT_ASSERT_TRUE(test, condition) \
	KTAP_BOOL(test, condition, #condition, true, true)
#define KUNIT_ASSERT_FALSE(test, condition) \
	KTAP_BOOL(test, condition, #condition, false, true)
#define KUNIT_ASSERT_EQ(test, left, right) \
	KTAP_COMPARE(test, left, #left, ==, right, #right, true)
#define KUNIT_ASSERT_PTR_NE(test, left, right) \
	KTAP_COMPARE_PTR(test, left, #left, !=, right, #right, true)

/* ktap.c makes the module's life of it: see there. */
extern struct kunit_suite *const ktap_suite;
#define kunit_test_suite(suite) struct kunit_suite *const ktap_suite = &(suite)

#endif /* CONFIG_KUNIT */

/* 6.5 marks slow cases. */
#ifndef KUNIT_CASE_SLOW
#define KUNIT_CASE_SLOW(function) KUNIT_CASE(function)
#endif

#endif /* KTAP_H */
