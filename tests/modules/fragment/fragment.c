// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fragments memory while it is loaded: about half of what was free stays free, in single pages.
 *
 * Takes free memory in blocks, from single pages to the largest, without making the kernel reclaim
 * any; splits them; gives back the pages of even number and keeps those of odd number. A page that
 * is given back cannot be joined with its neighbour then, which the page allocator does by pairs
 * of an even page and the odd one that follows. Blocks that others free later are taken in the
 * same way, ten times a second: a benchmark's processes come and go.
 *
 * Meant for a virtual machine. An allocation of several pages still succeeds where the kernel can
 * move or write out what is in the way, as on any machine whose memory is fragmented; one that may
 * not wait for that fails.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

/* The largest block that the page allocator has on x86: 4 MiB. */
#define HIGHEST_ORDER	10

/* Taken from the kernel's own reserves are none, and nobody is woken to reclaim. */
#define TAKE_GFP	(__GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC)

#define SWEEP_INTERVAL	(HZ / 10)

static LIST_HEAD(kept);
static unsigned long nr_kept;
module_param(nr_kept, ulong, 0444);
MODULE_PARM_DESC(nr_kept, "Pages that are being kept");

static void keep_odd_free_even(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		if (page_to_pfn(page) & 1) {
			list_move(&page->lru, &kept);
			nr_kept++;
		} else {
			list_del(&page->lru);
			__free_page(page);
		}
	}
}

/* Until there are no more. Returns whether there was one. */
static bool take_blocks(gfp_t gfp, unsigned int order)
{
	LIST_HEAD(pages);
	struct page *page;
	bool found = false;
	unsigned int i;

	while ((page = alloc_pages(gfp, order))) {
		found = true;
		split_page(page, order);
		for (i = 0; i < 1U << order; i++)
			list_add(&page[i].lru, &pages);
		cond_resched();
	}
	keep_odd_free_even(&pages);
	return found;
}

/* The small zone for old devices is a zone of its own, which others fall back to. */
static bool take_all_above(unsigned int lowest)
{
	static const gfp_t zones[] = { TAKE_GFP, TAKE_GFP | GFP_DMA };
	bool found = false;
	unsigned int i, order;

	for (i = 0; i < ARRAY_SIZE(zones); i++)
		for (order = HIGHEST_ORDER + 1; order-- > lowest; )
			found |= take_blocks(zones[i], order);
	return found;
}

static void sweep(struct work_struct *work);
static DECLARE_DELAYED_WORK(sweep_work, sweep);

static void sweep(struct work_struct *work)
{
	take_all_above(1);
	schedule_delayed_work(&sweep_work, SWEEP_INTERVAL);
}

static int __init fragment_init(void)
{
	int tries;

	/* What the first round gives back lets the allocator hand out what it held back before. */
	for (tries = 0; tries < 10 && take_all_above(1); tries++)
		;
	schedule_delayed_work(&sweep_work, SWEEP_INTERVAL);
	return 0;
}
module_init(fragment_init);

static void __exit fragment_exit(void)
{
	struct page *page, *next;

	cancel_delayed_work_sync(&sweep_work);
	list_for_each_entry_safe(page, next, &kept, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}
module_exit(fragment_exit);

MODULE_DESCRIPTION("Fragments memory, for benchmarks and tests");
MODULE_LICENSE("GPL");
