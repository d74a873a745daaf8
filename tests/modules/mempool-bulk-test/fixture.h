/* SPDX-License-Identifier: GPL-2.0-only */
/* What the cases share: a pool with its surroundings, threads that use it, and the cases' names. */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include "buffer.h"
#include "ktap.h"
#include "mempool-bulk.h"
#include "pool-under-test.h"

/* The reserve of the fixture's pool, and with it the largest request: a bio's worth of pages. */
#define FULL 256U

/* The page allocator fails, as far as the pool is concerned. */
#define NO_ALLOCATOR (BIT(MEMPOOL_BULK_NOWAIT) | BIT(MEMPOOL_BULK_SLEEP))

#define MAX_WORKERS 16

/* The largest buffer, and how many a case has at a time. */
#define FULL_BYTES (FULL * (unsigned int)PAGE_SIZE)
#define MAX_HELD 64

/**
 * struct held_buffer - a buffer in use
 * @nr: pieces
 * @pieces: the pieces
 */
struct held_buffer {
	unsigned int nr;
	struct bio_vec pieces[FULL];
};

struct fixture;

/**
 * struct worker - a thread that uses the pool at the side of the case's own thread
 * @f: the fixture
 * @id: 0 for the first
 * @run: what it does
 * @nr: pages a request
 * @gfp: flags of its requests
 * @pages: room for @nr pages
 * @pieces: room for a buffer
 * @rounds: requests that were served, or place in the order in which they were, as @run defines it
 * @error: what went wrong, or NULL
 * @done: completed as the last thing that the thread does
 */
struct worker {
	struct fixture *f;
	unsigned int id;
	void (*run)(struct worker *w);
	unsigned int nr;
	gfp_t gfp;
	struct page *pages[FULL];
	struct bio_vec pieces[FULL];
	unsigned long rounds;
	const char *error;
	struct completion done;
};

/**
 * struct fixture - set up before each case, checked and undone after it
 * @test: the case
 * @pool: a pool with a reserve of FULL pages
 * @buffers: the same for buffers, after fixture_with_buffers()
 * @has_buffers: that was called
 * @held: buffers that the case's own thread has
 * @nr_held: how many
 * @held_elsewhere: one of these, put aside
 * @pages: room for pages that the case's own thread takes
 * @list: the same
 * @grants: for the workers to count requests that were served
 * @rounds: how many requests each worker makes
 * @stop: tells them to end
 * @nr_workers: entries used in @workers
 * @workers: threads that were started
 */
struct fixture {
	struct kunit *test;
	struct mempool_pages_bulk pool;
	struct mempool_buffers_bulk buffers;
	bool has_buffers;
	struct held_buffer *held[MAX_HELD];
	unsigned int nr_held;
	struct held_buffer *held_elsewhere;
	struct page *pages[2 * FULL];
	struct list_head list;
	atomic_long_t grants;
	unsigned long rounds;
	bool stop;
	unsigned int nr_workers;
	struct worker *workers[MAX_WORKERS];
};

/* main.c: how much the cases under load do */
extern unsigned int threads;
extern unsigned int rounds;
extern unsigned int load_timeout;

/* fixture.c */
int fixture_init(struct kunit *test);
void fixture_exit(struct kunit *test);
struct mempool_bulk_stats fixture_stats(struct fixture *f);
unsigned int fixture_waiters(struct fixture *f);
void fixture_empty_reserve(struct fixture *f);
void fixture_check_idle(struct fixture *f);

/*
 * fixture.c: allocation and freeing with every page checked. A page that is delivered twice, to one
 * or to two requests, is not claimed by the second; the claim functions return how many were.
 */
unsigned int claim_array(struct page **pages, unsigned int nr);
unsigned int claim_list(struct list_head *list);
void give_array(struct mempool_pages_bulk *pool, struct page **pages, unsigned int nr);
void give_list(struct mempool_pages_bulk *pool, struct list_head *list);
void give_one(struct mempool_pages_bulk *pool, struct page *page);
void unclaim_array(struct page **pages, unsigned int nr);

/* buffer-fixture.c: a source of buffers, and buffers with every piece checked and claimed */
void fixture_with_buffers(struct fixture *f);
void fixture_with_knobs(struct fixture *f, const struct pool_knobs *knobs);
void fixture_check_buffers(struct fixture *f);
void fixture_drop_buffers(struct fixture *f);
struct mempool_bulk_stats buffer_stats(struct fixture *f);
s64 idle_pages(struct fixture *f);
const char *take_buffer(struct fixture *f, gfp_t gfp, unsigned int bytes, struct bio_vec *pieces,
			unsigned int max_pieces, unsigned int *nr);
const char *give_buffer(struct fixture *f, struct bio_vec *pieces, unsigned int nr);
void discard_buffer(struct fixture *f, struct bio_vec *pieces, unsigned int nr);
unsigned int hold(struct fixture *f, gfp_t gfp, unsigned int bytes);
void let_go(struct fixture *f);
void on_cpu(struct fixture *f, unsigned int cpu);
unsigned int other_cpu(struct kunit *test);

/* workers.c */
struct worker *start_worker(struct fixture *f, unsigned int nr, void (*run)(struct worker *w));
bool wait_for_worker(struct worker *w, unsigned int seconds);
bool wait_for_workers(struct fixture *f, unsigned int seconds);
void expect_no_error(const struct worker *w);
bool rescue_workers(struct fixture *f);
void take_and_give(struct worker *w);
void take_and_hold(struct worker *w);

/* Wait up to @seconds for @condition. Return: whether it came true. */
#define wait_until(condition, seconds)					\
({									\
	unsigned long wait_deadline = jiffies + (seconds) * HZ;		\
	bool wait_met, wait_last = false;				\
									\
	while (!(wait_met = (condition)) && !wait_last) {		\
		usleep_range(500, 1000);				\
		wait_last = time_after(jiffies, wait_deadline);		\
	}								\
	wait_met;							\
})

/* The cases, by file */
void step_1_page_allocator(struct kunit *test);
void step_2_reserve(struct kunit *test);
void step_3_sleeping_page_allocator(struct kunit *test);
void step_4_waits_for_frees(struct kunit *test);
void step_4_returns_to_step_1(struct kunit *test);
void steps_add_up(struct kunit *test);
void steps_add_up_after_waiting(struct kunit *test);
void waiter_needs_only_what_it_lacks(struct kunit *test);
void surplus_grant_goes_back(struct kunit *test);
void gfp_flags_are_honoured(struct kunit *test);

void partial_failure_leaks_nothing(struct kunit *test);
void reserve_gives_all_or_nothing(struct kunit *test);
void list_and_array_agree(struct kunit *test);
void filled_entries_are_kept(struct kunit *test);
void list_is_appended_to(struct kunit *test);
void frees_refill_reserve_first(struct kunit *test);
void too_large_is_refused(struct kunit *test);
void nothing_wanted_is_delivered(struct kunit *test);

void waiter_holds_no_reserve_page(struct kunit *test);
void nobody_overtakes_a_waiter(struct kunit *test);
void granted_in_order_of_arrival(struct kunit *test);
void withdrawn_waiter_lets_others_go_on(struct kunit *test);

void full_pool_requests_all_served(struct kunit *test);
void mixed_requests_all_served(struct kunit *test);
void limit_bounds_what_is_held(struct kunit *test);
void limited_requests_all_served(struct kunit *test);
void no_page_lost_under_load(struct kunit *test);

void init_exit_are_harmless(struct kunit *test);
void failed_init_leaves_nothing(struct kunit *test);
void exit_frees_every_page(struct kunit *test);

void resize_up_and_down(struct kunit *test);
void resize_down_while_pages_are_out(struct kunit *test);
void resize_below_waiter_is_busy(struct kunit *test);
void resize_up_serves_waiter(struct kunit *test);
void failed_resize_changes_nothing(struct kunit *test);
void resize_under_load(struct kunit *test);

void usable_with_interrupts_off(struct kunit *test);
void usable_in_softirq(struct kunit *test);
void usable_in_hardirq(struct kunit *test);

void buffers_of_every_size(struct kunit *test);
void compound_pages_come_first(struct kunit *test);
void smaller_pieces_when_large_fail(struct kunit *test);
void fragmented_memory_is_asked_again(struct kunit *test);
void single_pages_come_in_bulk(struct kunit *test);
void reserve_comes_last(struct kunit *test);
void too_many_pieces_are_refused(struct kunit *test);
void failed_buffers_init_leaves_nothing(struct kunit *test);

void freed_buffer_is_used_again(struct kunit *test);
void referenced_page_is_not_kept(struct kunit *test);
void discarded_buffer_is_wiped(struct kunit *test);
void recycle_off_keeps_nothing(struct kunit *test);
void single_page_takes_one_at_a_time(struct kunit *test);
void kept_pages_are_bounded(struct kunit *test);
void half_of_limit_is_kept(struct kunit *test);
void reached_limit_drains_others(struct kunit *test);
void small_buffers_leave_large_ones(struct kunit *test);
void waiting_comes_before_keeping(struct kunit *test);
void consumer_feeds_producer(struct kunit *test);

void unused_pages_age(struct kunit *test);
void used_pages_do_not_age(struct kunit *test);
void shrinker_gives_all_back(struct kunit *test);
void shrinker_knows_of_all(struct kunit *test);
void dead_cpu_gives_all_back(struct kunit *test);

void limited_buffers_all_served(struct kunit *test);
void no_buffer_lost_under_load(struct kunit *test);

#endif /* TEST_FIXTURE_H */
