// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for data on its way: the pages of the bio that carries a write's ciphertext.
 *
 * The bio itself is in struct cbulk_io, with room for as many pieces of memory as a write has when
 * memory is not fragmented.
 *
 * What all mappings together may take from the page allocator is bounded, as in the stock target,
 * by 2 % of memory, shared equally between the mappings, with a floor for each. A mapping at its
 * bound still makes progress, out of its reserve.
 */
#include <linux/blkdev.h>
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

/* Arrays of the most pieces that a buffer can have, which a mapping can always get */
#define MIN_ARRAYS	4

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
	*error = "Cannot allocate page mempool";

	/* A write is never larger than BIO_MAX_VECS pages, so the reserve can serve any. */
	ret = mempool_init_buffers_bulk(&buffers->memory, BIO_MAX_VECS);
	if (ret)
		return ret;
	mempool_limit_pages_bulk(&buffers->memory.pages, &pages_per_client);
	return mempool_init_kmalloc_pool(&buffers->arrays, MIN_ARRAYS,
					 BIO_MAX_VECS * sizeof(struct bio_vec));
}

/**
 * cbulk_buffers_exit() - give the memory back
 * @buffers: as cbulk_buffers_init() left it, or zeroed; everything from it has been freed
 *
 * Context: process context, may sleep.
 */
void cbulk_buffers_exit(struct cbulk_buffers *buffers)
{
	mempool_exit(&buffers->arrays);
	mempool_exit_buffers_bulk(&buffers->memory);
	if (buffers->client)
		count_client(-1);
	buffers->client = false;
}

/*
 * Fragmented memory, and an array for its many pieces. Who has one waits for pages, which come back
 * from those who have both: nobody waits for an array with pages in his hands.
 */
static noinline bool alloc_fragmented(struct cbulk_io *io, unsigned int size)
{
	struct cbulk_buffers *buffers = &io->ct->buffers;

	io->pieces = mempool_alloc(&buffers->arrays, GFP_NOIO);
	io->pieces_nr = mempool_alloc_buffer_bulk(&buffers->memory, GFP_NOIO | __GFP_HIGHMEM, size,
						  io->pieces, BIO_MAX_VECS);
	if (likely(io->pieces_nr))
		return true;
	mempool_free(io->pieces, &buffers->arrays);
	return false;
}

/**
 * cbulk_buffer_alloc() - give an io a bio with room for what its base has
 * @io: the io of a write to be encrypted, or a read to be tried again; at most BIO_MAX_VECS pages
 *
 * io->own is made ready, directed at the device but to no sector yet; its pages hold stale data.
 * They are the io's until cbulk_buffer_free() or cbulk_buffer_discard().
 *
 * Context: process context, may sleep, does not recurse into I/O. Waits for others who have a
 * buffer of the mapping when there is no memory.
 * Return: false only for what is too large.
 */
bool cbulk_buffer_alloc(struct cbulk_io *io)
{
	unsigned int size = io->base->bi_iter.bi_size;
	struct cbulk_target *ct = io->ct;

	if (WARN_ON_ONCE(DIV_ROUND_UP(size, PAGE_SIZE) > BIO_MAX_VECS))
		return false;

	io->pieces = io->few_pieces;
	io->pieces_nr = mempool_alloc_buffer_bulk(&ct->buffers.memory, GFP_NOIO | __GFP_HIGHMEM,
						  size, io->few_pieces, CBULK_FEW_PIECES);
	if (unlikely(!io->pieces_nr) && !alloc_fragmented(io, size))
		return false;

	/* Who polls does so for io->base: nobody would ask the device for ours. */
	bio_init(&io->own, ct->dev->bdev, io->pieces, io->pieces_nr,
		 io->base->bi_opf & ~REQ_POLLED);
	io->own.bi_vcnt = io->pieces_nr;
	io->own.bi_iter.bi_size = size;
	io->own.bi_ioprio = io->base->bi_ioprio;
	return true;
}

static void free_array(struct cbulk_io *io)
{
	cbulk_bio_uninit(io);
	if (unlikely(io->pieces != io->few_pieces))
		mempool_free(io->pieces, &io->ct->buffers.arrays);
}

/**
 * cbulk_buffer_free() - give back the buffer of an io, which holds nothing but ciphertext
 * @io: the io; nobody uses its buffer any more
 *
 * Context: any; hard interrupts too, but on PREEMPT_RT.
 */
void cbulk_buffer_free(struct cbulk_io *io)
{
	mempool_free_buffer_bulk(&io->ct->buffers.memory, io->pieces, io->pieces_nr);
	free_array(io);
}

/**
 * cbulk_buffer_discard() - wipe and give back the buffer of an io, which may hold plaintext
 * @io: the io; nobody uses its buffer any more
 *
 * Context: as cbulk_buffer_free().
 */
void cbulk_buffer_discard(struct cbulk_io *io)
{
	mempool_discard_buffer_bulk(&io->ct->buffers.memory, io->pieces, io->pieces_nr);
	free_array(io);
}
