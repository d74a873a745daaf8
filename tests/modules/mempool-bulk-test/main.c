// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of mempool-bulk: loading the module runs them. One case proves one property.
 *
 * Results: /sys/kernel/debug/kunit/mempool-bulk/results.
 */
#include <linux/module.h>
#include "fixture.h"

unsigned int threads = 8;
module_param(threads, uint, 0400);
MODULE_PARM_DESC(threads, "Threads in the cases under load, 2 to 16 (default 8)");

unsigned int rounds = 10000;
module_param(rounds, uint, 0400);
MODULE_PARM_DESC(rounds, "Requests that these threads make, all together (default 10000)");

unsigned int load_timeout = 300;
module_param(load_timeout, uint, 0400);
MODULE_PARM_DESC(load_timeout, "Seconds after which they count as stuck (default 300)");

static struct kunit_case cases[] = {
	KUNIT_CASE(step_1_page_allocator),
	KUNIT_CASE(step_2_reserve),
	KUNIT_CASE(step_3_sleeping_page_allocator),
	KUNIT_CASE(step_4_waits_for_frees),
	KUNIT_CASE(step_4_returns_to_step_1),
	KUNIT_CASE(steps_add_up),
	KUNIT_CASE(steps_add_up_after_waiting),
	KUNIT_CASE(waiter_needs_only_what_it_lacks),
	KUNIT_CASE(surplus_grant_goes_back),
	KUNIT_CASE(gfp_flags_are_honoured),

	KUNIT_CASE(partial_failure_leaks_nothing),
	KUNIT_CASE(reserve_gives_all_or_nothing),
	KUNIT_CASE(list_and_array_agree),
	KUNIT_CASE(filled_entries_are_kept),
	KUNIT_CASE(list_is_appended_to),
	KUNIT_CASE(frees_refill_reserve_first),
	KUNIT_CASE(too_large_is_refused),
	KUNIT_CASE(nothing_wanted_is_delivered),

	KUNIT_CASE(waiter_holds_no_reserve_page),
	KUNIT_CASE(nobody_overtakes_a_waiter),
	KUNIT_CASE(granted_in_order_of_arrival),
	KUNIT_CASE(withdrawn_waiter_lets_others_go_on),

	KUNIT_CASE(init_exit_are_harmless),
	KUNIT_CASE(failed_init_leaves_nothing),
	KUNIT_CASE(exit_frees_every_page),

	KUNIT_CASE(resize_up_and_down),
	KUNIT_CASE(resize_down_while_pages_are_out),
	KUNIT_CASE(resize_below_waiter_is_busy),
	KUNIT_CASE(resize_up_serves_waiter),
	KUNIT_CASE(failed_resize_changes_nothing),

	KUNIT_CASE(usable_with_interrupts_off),
	KUNIT_CASE(usable_in_softirq),
	KUNIT_CASE(usable_in_hardirq),

	KUNIT_CASE(buffers_of_every_size),
	KUNIT_CASE(compound_pages_come_first),
	KUNIT_CASE(smaller_pieces_when_large_fail),
	KUNIT_CASE(fragmented_memory_is_asked_again),
	KUNIT_CASE(single_pages_come_in_bulk),
	KUNIT_CASE(reserve_comes_last),
	KUNIT_CASE(too_many_pieces_are_refused),
	KUNIT_CASE(failed_buffers_init_leaves_nothing),

	KUNIT_CASE(freed_buffer_is_used_again),
	KUNIT_CASE(referenced_page_is_not_kept),
	KUNIT_CASE(discarded_buffer_is_wiped),
	KUNIT_CASE(recycle_off_keeps_nothing),
	KUNIT_CASE(single_page_takes_one_at_a_time),
	KUNIT_CASE(kept_pages_are_bounded),
	KUNIT_CASE(half_of_limit_is_kept),
	KUNIT_CASE(reached_limit_drains_others),
	KUNIT_CASE(small_buffers_leave_large_ones),
	KUNIT_CASE(waiting_comes_before_keeping),
	KUNIT_CASE_SLOW(consumer_feeds_producer),

	KUNIT_CASE(unused_pages_age),
	KUNIT_CASE(used_pages_do_not_age),
	KUNIT_CASE(shrinker_gives_all_back),
	KUNIT_CASE(shrinker_knows_of_all),
	KUNIT_CASE(dead_cpu_gives_all_back),

	KUNIT_CASE(limit_bounds_what_is_held),
	KUNIT_CASE_SLOW(full_pool_requests_all_served),
	KUNIT_CASE_SLOW(mixed_requests_all_served),
	KUNIT_CASE_SLOW(limited_requests_all_served),
	KUNIT_CASE_SLOW(resize_under_load),
	KUNIT_CASE_SLOW(no_page_lost_under_load),
	KUNIT_CASE_SLOW(limited_buffers_all_served),
	KUNIT_CASE_SLOW(no_buffer_lost_under_load),
	{}
};

static struct kunit_suite suite = {
	.name = "mempool-bulk",
	.init = fixture_init,
	.exit = fixture_exit,
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("Tests of mempool-bulk");
MODULE_LICENSE("GPL");
