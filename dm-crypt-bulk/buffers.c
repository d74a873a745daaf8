// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for writes on their way: the bio that carries the ciphertext, and its pages.
 *
 * What all mappings together may take from the page allocator is bounded, as in the stock target,
 * by 2 % of memory, shared equally between the mappings, with a floor for each. A mapping at its
 * bound still makes progress, out of its reserve.
 */
#include <linux/blkdev.h>
#include <linux/mm.h>
#include "crypt-bulk.h"

#define MEMORY_PERCENT		2
#define MIN_PAGES_PER_CLIENT	(BIO_MAX_VECS * 16)

static DEFINE_SPINLOCK(clients_lock);
static unsigned int clients;
/* Written under clients_lock, read without by every mapping's pool. */
static unsigned long pages_per_client;

static void count_client(int change)
{
	unsigned long pages = (totalram_pages() - totalhigh_pages()) * MEMORY_PERCENT / 100;

	spin_lock(&clients_lock);
	clients += change;
	if (clients)
		WRITE_ONCE(pages_per_client,
			   max_t(unsigned long, pages / clients, MIN_PAGES_PER_CLIENT));
	spin_unlock(&clients_lock);
}

/**
 * cbulk_buffers_init() - make the memory of a mapping's writes available
 * @buffers: zeroed
 * @error: what went wrong
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno; cbulk_buffers_exit() undoes whatever was done.
 */
int cbulk_buffers_init(struct cbulk_buffers *buffers, char **error)
{
	int ret;

	count_client(1);
	buffers->client = true;

	/* A write is never larger than BIO_MAX_VECS pages, so the reserve can serve any. */
	ret = mempool_init_pages_bulk(&buffers->pages, BIO_MAX_VECS);
	if (ret) {
		*error = "Cannot allocate page mempool";
		return ret;
	}
	mempool_limit_pages_bulk(&buffers->pages, &pages_per_client);

	ret = bioset_init(&buffers->bios, CBULK_MIN_IOS, 0, BIOSET_NEED_BVECS);
	if (ret)
		*error = "Cannot allocate crypt bioset";
	return ret;
}

/**
 * cbulk_buffers_exit() - give the memory back
 * @buffers: as cbulk_buffers_init() left it, or zeroed; everything from it has been freed
 *
 * Context: process context, may sleep.
 */
void cbulk_buffers_exit(struct cbulk_buffers *buffers)
{
	bioset_exit(&buffers->bios);
	mempool_exit_pages_bulk(&buffers->pages);
	if (buffers->client)
		count_client(-1);
	buffers->client = false;
}

/*
 * While a buffer is being filled, the second half of the bio's own vector holds the page
 * pointers: a pointer takes half the room of a bio_vec, so that entry i of the vector can be
 * written as soon as pointer i was read. Emptying goes the same way from the first half.
 */
static_assert(sizeof(struct bio_vec) >= 2 * sizeof(struct page *));

static struct page **page_slots(struct bio *out, unsigned int nr)
{
	return (struct page **)(out->bi_io_vec + nr) - nr;
}

static void attach_pages(struct bio *out, unsigned int nr, unsigned int size)
{
	struct page **pages = page_slots(out, nr);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct page *page = pages[i];

		out->bi_io_vec[i] = (struct bio_vec){
			.bv_page = page,
			.bv_len = min_t(unsigned int, size - i * PAGE_SIZE, PAGE_SIZE),
		};
	}
	out->bi_vcnt = nr;
	out->bi_iter.bi_size = size;
}

/**
 * cbulk_buffer_alloc() - get a bio with room for the ciphertext of another
 * @ct: the mapping
 * @base: the write to be encrypted, or the read to be tried again; at most BIO_MAX_VECS pages
 *
 * Context: process context, may sleep, does not recurse into I/O. Waits for others who have a
 * buffer of the mapping when there is no memory.
 * Return: the bio, owned by the caller until he gives it to cbulk_buffer_free(), directed at the
 * device but to no sector yet; its pages hold stale data. NULL only for what is too large.
 */
struct bio *cbulk_buffer_alloc(struct cbulk_target *ct, struct bio *base)
{
	unsigned int size = base->bi_iter.bi_size;
	unsigned int nr = DIV_ROUND_UP(size, PAGE_SIZE);
	struct page **pages;
	struct bio *out;

	if (WARN_ON_ONCE(nr > BIO_MAX_VECS))
		return NULL;

	out = bio_alloc_bioset(ct->dev->bdev, nr, base->bi_opf, GFP_NOIO, &ct->buffers.bios);
	out->bi_ioprio = base->bi_ioprio;

	pages = page_slots(out, nr);
	memset(pages, 0, nr * sizeof(*pages));
	if (!mempool_alloc_pages_bulk_array(&ct->buffers.pages, GFP_NOIO | __GFP_HIGHMEM, nr,
					    pages)) {
		mempool_free_pages_bulk_array(&ct->buffers.pages, nr, pages);
		bio_put(out);
		return NULL;
	}
	attach_pages(out, nr, size);
	return out;
}

/**
 * cbulk_buffer_free() - give back a bio with its pages
 * @ct: the mapping
 * @out: a bio from cbulk_buffer_alloc() that nobody uses any more
 *
 * Context: any, hard interrupts included.
 */
void cbulk_buffer_free(struct cbulk_target *ct, struct bio *out)
{
	struct page **pages = (struct page **)out->bi_io_vec;
	unsigned int nr = out->bi_vcnt;
	unsigned int i;

	for (i = 0; i < nr; i++)
		pages[i] = out->bi_io_vec[i].bv_page;
	mempool_free_pages_bulk_array(&ct->buffers.pages, nr, pages);
	bio_put(out);
}
