// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures what it costs to get pages and to give them back, in several ways.
 *
 * Loading the module measures; the parameter results then has a line for each way and number of
 * pages: "WAY PAGES GET GIVE_BACK", the last two in nanoseconds, which under a clock that counts
 * instructions are these. What reading the clock costs has been subtracted.
 *
 *   mempool	the kernel's mempool of pages, a page at a time
 *   array	mempool-bulk, into an array
 *   list	mempool-bulk, onto a list
 *   compound	the page allocator, in pieces as large as fit
 *   recycled	mempool-bulk's buffers, which keep what was given back
 *
 * Pages are got and given back again and again, so that each way has what it keeps: the page
 * allocator its lists of each CPU too.
 */
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "../../../mempool-bulk/internal.h"

#define MOST_PAGES	256
#define TURNS		32
#define LOOPS		5

#define GFP		(GFP_NOIO | __GFP_HIGHMEM)
/* As a user of larger pieces asks who can also do with smaller ones. */
#define GFP_LIGHT	((GFP & ~__GFP_DIRECT_RECLAIM) | __GFP_NORETRY | __GFP_NOMEMALLOC | \
			 __GFP_NOWARN)

/**
 * struct bench - what the ways need, and where they put what they got
 * @mempool: the kernel's
 * @buffers: ours; its pool of single pages is what array and list use
 * @pages: of mempool and array
 * @list: of list
 * @pieces: of compound and recycled
 * @nr_pieces: how many of these there are
 */
struct bench {
	mempool_t *mempool;
	struct mempool_buffers_bulk buffers;
	struct page *pages[MOST_PAGES];
	struct list_head list;
	struct bio_vec pieces[MOST_PAGES];
	unsigned int nr_pieces;
};

/**
 * struct way - one way to get pages
 * @name: as in the results
 * @get: false when there are not enough; what there was is given back by @give_back
 * @give_back: all of what the last @get got
 */
struct way {
	const char *name;
	bool (*get)(struct bench *bench, unsigned int nr);
	void (*give_back)(struct bench *bench, unsigned int nr);
};

static bool mempool_get(struct bench *bench, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		bench->pages[i] = mempool_alloc(bench->mempool, GFP);
	return true;
}

static void mempool_give_back(struct bench *bench, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		mempool_free(bench->pages[i], bench->mempool);
}

static bool array_get(struct bench *bench, unsigned int nr)
{
	memset(bench->pages, 0, nr * sizeof(*bench->pages));
	return mempool_alloc_pages_bulk_array(&bench->buffers.pages, GFP, nr, bench->pages);
}

static void array_give_back(struct bench *bench, unsigned int nr)
{
	mempool_free_pages_bulk_array(&bench->buffers.pages, nr, bench->pages);
}

static bool list_get(struct bench *bench, unsigned int nr)
{
	return mempool_alloc_pages_bulk_list(&bench->buffers.pages, GFP, nr, &bench->list);
}

static void list_give_back(struct bench *bench, unsigned int nr)
{
	mempool_free_pages_bulk_list(&bench->buffers.pages, &bench->list);
}

static bool compound_get(struct bench *bench, unsigned int nr)
{
	unsigned int order = ilog2(nr);

	bench->nr_pieces = 0;
	while (nr) {
		struct page *page;

		order = min_t(unsigned int, order, ilog2(nr));
		page = alloc_pages(order ? GFP_LIGHT | __GFP_COMP : GFP, order);
		if (!page && !order)
			return false;
		if (!page) {
			order--;
			continue;
		}
		bvec_set_page(&bench->pieces[bench->nr_pieces++], page, PAGE_SIZE << order, 0);
		nr -= 1U << order;
	}
	return true;
}

static void compound_give_back(struct bench *bench, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < bench->nr_pieces; i++)
		__free_pages(bench->pieces[i].bv_page, get_order(bench->pieces[i].bv_len));
}

static bool recycled_get(struct bench *bench, unsigned int nr)
{
	bench->nr_pieces = mempool_alloc_buffer_bulk(&bench->buffers, GFP, nr * PAGE_SIZE,
						     bench->pieces, MOST_PAGES);
	return bench->nr_pieces;
}

static void recycled_give_back(struct bench *bench, unsigned int nr)
{
	mempool_free_buffer_bulk(&bench->buffers, bench->pieces, bench->nr_pieces);
}

static bool nothing_get(struct bench *bench, unsigned int nr)
{
	return true;
}

static void nothing_give_back(struct bench *bench, unsigned int nr)
{
}

/* The first one is what the clock and the calls cost. */
static const struct way ways[] = {
	{ "nothing", nothing_get, nothing_give_back },
	{ "mempool", mempool_get, mempool_give_back },
	{ "array", array_get, array_give_back },
	{ "list", list_get, list_give_back },
	{ "compound", compound_get, compound_give_back },
	{ "recycled", recycled_get, recycled_give_back },
};

static const unsigned int sizes[] = { 1, 32, MOST_PAGES };

struct cost {
	u64 get;
	u64 give_back;
};

static struct cost costs[ARRAY_SIZE(ways)][ARRAY_SIZE(sizes)];

/* Once the module is there: all but the first way, less the first way's. */
static int print_results(char *buffer, const struct kernel_param *kp)
{
	int way, size, len = 0;

	for (way = 1; way < ARRAY_SIZE(ways); way++)
		for (size = 0; size < ARRAY_SIZE(sizes); size++)
			len += scnprintf(buffer + len, PAGE_SIZE - len, "%s %u %lld %lld\n",
					 ways[way].name, sizes[size],
					 costs[way][size].get - costs[0][size].get,
					 costs[way][size].give_back - costs[0][size].give_back);
	return len;
}

static const struct kernel_param_ops results_ops = { .get = print_results };
module_param_cb(results, &results_ops, NULL, 0444);
MODULE_PARM_DESC(results, "Lines of: way, pages, nanoseconds to get them, and to give them back");

static int run_turn(struct bench *bench, const struct way *way, unsigned int nr, struct cost *cost)
{
	u64 start = ktime_get_ns(), got, end;
	bool enough = way->get(bench, nr);

	got = ktime_get_ns();
	way->give_back(bench, nr);
	end = ktime_get_ns();
	cost->get += got - start;
	cost->give_back += end - got;
	return enough ? 0 : -ENOMEM;
}

/* The least of several loops: an interrupt only makes one longer. The first is a warm-up. */
static int measure(struct bench *bench, const struct way *way, unsigned int nr, struct cost *least)
{
	int loop, turn, ret;

	*least = (struct cost){ U64_MAX, U64_MAX };
	for (loop = 0; loop <= LOOPS; loop++) {
		struct cost cost = {};

		for (turn = 0; turn < TURNS; turn++) {
			ret = run_turn(bench, way, nr, &cost);
			if (ret)
				return ret;
		}
		if (loop) {
			least->get = min(least->get, cost.get / TURNS);
			least->give_back = min(least->give_back, cost.give_back / TURNS);
		}
		cond_resched();
	}
	return 0;
}

static int measure_all(struct bench *bench)
{
	int way, size, ret;

	for (way = 0; way < ARRAY_SIZE(ways); way++) {
		for (size = 0; size < ARRAY_SIZE(sizes); size++) {
			ret = measure(bench, &ways[way], sizes[size], &costs[way][size]);
			if (ret)
				return ret;
		}
	}
	return 0;
}

static int run(struct bench *bench)
{
	int ret;

	INIT_LIST_HEAD(&bench->list);
	bench->mempool = mempool_create_page_pool(MOST_PAGES, 0);
	if (!bench->mempool)
		return -ENOMEM;
	ret = mempool_init_buffers_bulk(&bench->buffers, MOST_PAGES);
	if (!ret) {
		ret = measure_all(bench);
		mempool_exit_buffers_bulk(&bench->buffers);
	}
	mempool_destroy(bench->mempool);
	return ret;
}

static int __init pool_bench_init(void)
{
	struct bench *bench = kvzalloc(sizeof(*bench), GFP_KERNEL);
	int ret;

	if (!bench)
		return -ENOMEM;
	ret = mempool_bulk_start();
	if (!ret) {
		ret = run(bench);
		mempool_bulk_stop();
	}
	kvfree(bench);
	return ret;
}
module_init(pool_bench_init);

static void __exit pool_bench_exit(void)
{
}
module_exit(pool_bench_exit);

MODULE_DESCRIPTION("Measures ways to get pages and to give them back");
MODULE_LICENSE("GPL");
