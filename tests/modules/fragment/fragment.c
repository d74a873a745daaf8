// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fragments memory while it is loaded: about half of what was free stays free, in single pages.
 *
 * Takes all free blocks of more than one page, without making the kernel reclaim any; splits them;
 * gives back the pages of even number and keeps those of odd number. A page that is given back
 * cannot be joined with its neighbour then, which the page allocator does by pairs of an even page
 * and the odd one that follows. Blocks that become free later are taken in the same way, 50 times
 * a second: a benchmark's processes come and go, and the kernel compacts memory.
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

/*
 * Short, since what the kernel's compaction makes of movable pages would otherwise serve a steady
 * writer for long.
 */
#define SWEEP_INTERVAL	(HZ / 50)

static LIST_HEAD(kept);
static unsigned long nr_kept;
module_param(nr_kept, ulong, 0444);
MODULE_PARM_DESC(nr_kept, "Pages that are being kept");

static unsigned long most_found;
module_param(most_found, ulong, 0644);
MODULE_PARM_DESC(most_found,
		 "Most pages that one look found in free blocks above one page; write 0 to start anew");

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

/* Until there are no more. Returns how many pages there were. */
static unsigned long take_blocks(gfp_t gfp, unsigned int order)
{
	LIST_HEAD(pages);
	struct page *page;
	unsigned long found = 0;
	unsigned int i;

	while ((page = alloc_pages(gfp, order))) {
		found += 1UL << order;
		split_page(page, order);
		for (i = 0; i < 1U << order; i++)
			list_add(&page[i].lru, &pages);
		cond_resched();
	}
	keep_odd_free_even(&pages);
	return found;
}

/* The small zone for old devices is a zone of its own, which others fall back to. */
static unsigned long take_all(void)
{
	static const gfp_t zones[] = { TAKE_GFP, TAKE_GFP | GFP_DMA };
	unsigned long found = 0;
	unsigned int i, order;

	for (i = 0; i < ARRAY_SIZE(zones); i++)
		for (order = HIGHEST_ORDER; order > 0; order--)
			found += take_blocks(zones[i], order);
	return found;
}

static void sweep(struct work_struct *work);
static DECLARE_DELAYED_WORK(sweep_work, sweep);

static void sweep(struct work_struct *work)
{
	most_found = max(most_found, take_all());
	schedule_delayed_work(&sweep_work, SWEEP_INTERVAL);
}

static int __init fragment_init(void)
{
	int tries;

	/* What the first round gives back lets the allocator hand out what it held back before. */
	for (tries = 0; tries < 10 && take_all(); tries++)
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
