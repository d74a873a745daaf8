// SPDX-License-Identifier: GPL-2.0-only
/* Making and unmaking a pool, also when memory runs out half way. */
#include <linux/slab.h>
#include "fixture.h"

void init_exit_are_harmless(struct kunit *test)
{
	struct mempool_pages_bulk *pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	struct mempool_pages_bulk *made;

	KUNIT_ASSERT_PTR_NE(test, pool, NULL);
	mempool_exit_pages_bulk(pool);

	KUNIT_EXPECT_EQ(test, mempool_init_pages_bulk(pool, 0), -EINVAL);
	mempool_exit_pages_bulk(pool);

	/* Memory with anything in it will do. */
	memset(pool, 0xa5, sizeof(*pool));
	KUNIT_EXPECT_EQ(test, mempool_init_pages_bulk(pool, 1), 0);
	KUNIT_EXPECT_EQ(test, pool->min_nr, 1U);
	KUNIT_EXPECT_EQ(test, pool->curr_nr, 1U);
	KUNIT_EXPECT_EQ(test, mempool_held_pages_bulk(pool), 1LL);
	mempool_exit_pages_bulk(pool);
	mempool_exit_pages_bulk(pool);
	kfree(pool);

	mempool_destroy_pages_bulk(NULL);
	KUNIT_EXPECT_PTR_EQ(test, mempool_create_pages_bulk(0), NULL);
	made = mempool_create_pages_bulk(7);
	KUNIT_ASSERT_PTR_NE(test, made, NULL);
	KUNIT_EXPECT_EQ(test, made->curr_nr, 7U);
	mempool_destroy_pages_bulk(made);
}

void failed_init_leaves_nothing(struct kunit *test)
{
	struct mempool_pages_bulk *pool = kmalloc(sizeof(*pool), GFP_KERNEL), *made = NULL;
	const int objects = allocator_objects_out();
	const long pages = allocator_pages_out();
	const unsigned int nr = 8;
	unsigned int nth;
	int ret = -ENOMEM;

	KUNIT_ASSERT_PTR_NE(test, pool, NULL);

	/* Let the first allocation fail, then the second, and so on until none is left to fail. */
	for (nth = 1; ret && nth < 100; nth++) {
		memset(pool, 0xa5, sizeof(*pool));
		allocator_fail_nth(nth);
		ret = mempool_init_pages_bulk(pool, nr);
		allocator_fail_nth(0);
		if (ret) {
			/* Asserted: what was left behind may still refer to this memory. */
			KUNIT_ASSERT_EQ(test, ret, -ENOMEM);
			KUNIT_ASSERT_EQ(test, allocator_objects_out(), objects);
			KUNIT_ASSERT_EQ(test, allocator_pages_out(), pages);
		}
		mempool_exit_pages_bulk(pool);
	}
	/* Pages and at least the counters. */
	KUNIT_EXPECT_GT(test, nth, nr + 2);
	KUNIT_EXPECT_EQ(test, ret, 0);

	for (nth = 1; !made && nth < 100; nth++) {
		allocator_fail_nth(nth);
		made = mempool_create_pages_bulk(nr);
		allocator_fail_nth(0);
		if (!made) {
			KUNIT_EXPECT_EQ(test, allocator_objects_out(), objects);
			KUNIT_EXPECT_EQ(test, allocator_pages_out(), pages);
		}
	}
	KUNIT_EXPECT_GT(test, nth, nr + 3);
	mempool_destroy_pages_bulk(made);
	KUNIT_EXPECT_EQ(test, allocator_objects_out(), objects);
	KUNIT_EXPECT_EQ(test, allocator_pages_out(), pages);
	kfree(pool);
}

void exit_frees_every_page(struct kunit *test)
{
	struct mempool_pages_bulk *pool = mempool_create_pages_bulk(FULL);
	struct fixture *f = test->priv;
	struct page *page;
	unsigned int i = 0;

	/* A reference of our own keeps each page, so that we can see the pool's go. */
	KUNIT_ASSERT_PTR_NE(test, pool, NULL);
	list_for_each_entry(page, &pool->reserve, lru) {
		if (i == FULL)
			break;
		get_page(page);
		f->pages[i++] = page;
	}
	KUNIT_EXPECT_EQ(test, i, FULL);
	KUNIT_EXPECT_EQ(test, allocator_pages_out(), 2L * FULL);

	mempool_destroy_pages_bulk(pool);
	KUNIT_EXPECT_EQ(test, allocator_pages_out(), (long)FULL);
	while (i--) {
		KUNIT_EXPECT_EQ(test, page_count(f->pages[i]), 1);
		put_page(f->pages[i]);
		f->pages[i] = NULL;
	}
}
