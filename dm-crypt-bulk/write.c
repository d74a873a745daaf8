// SPDX-License-Identifier: GPL-2.0-only
/* The way of a write: encrypted into a buffer of ours, and from there to the device. */
#include <linux/blkdev.h>
#include "crypt-bulk.h"

static void write_endio(struct bio *out)
{
	struct cbulk_io *io = out->bi_private;

	io->error = out->bi_status;
	cbulk_buffer_free(io);
	cbulk_io_end(io);
}

/* The buffer holds the ciphertext, or what an error left of it, which nobody may see. */
static void encrypted(struct cbulk_io *io, bool may_sleep)
{
	if (unlikely(io->error)) {
		cbulk_buffer_discard(io);
		cbulk_io_end(io);
	} else if (may_sleep && cbulk_handoff_submits(io->ct)) {
		dm_submit_bio_remap(io->base, &io->own);
	} else {
		cbulk_order_push(io);
	}
}

/* Submitting a bio may sleep, and the cipher's callback may not: leave it to the thread. */
static void encrypted_async(struct cbulk_io *io)
{
	encrypted(io, false);
}

/* Cipher's callback: who issued the write waits for it, see encrypt(). */
static void encrypted_inline(struct cbulk_io *io)
{
	complete(&io->cv.restart);
}

static void encrypt(struct cbulk_io *io)
{
	struct cbulk_target *ct = io->ct;
	bool waits = test_bit(CBULK_WRITE_INLINE, &ct->flags);
	void (*done)(struct cbulk_io *io) = waits ? encrypted_inline : encrypted_async;
	struct bio *out = &io->own;

	if (!cbulk_buffer_alloc(io)) {
		io->error = BLK_STS_RESOURCE;
		cbulk_io_end(io);
		return;
	}
	if (!cbulk_tags_attach(io, GFP_NOIO)) {
		cbulk_buffer_free(io);
		io->error = BLK_STS_RESOURCE;
		cbulk_io_end(io);
		return;
	}
	out->bi_private = io;
	out->bi_end_io = write_endio;
	out->bi_iter.bi_sector = ct->start + io->sector;

	if (ct->way->in_place) {
		bio_copy_data(out, io->base);
		cbulk_convert_start(io, out, NULL, done);
	} else {
		cbulk_convert_start(io, io->base, out, done);
	}
	if (cbulk_convert(io, true) != CBULK_CONVERTED) {
		if (!waits)
			return;
		/* Whatever was backlogged has restarted before: this is encrypted_inline()'s. */
		wait_for_completion(&io->cv.restart);
	}
	encrypted(io, true);
}

static void encrypt_work(struct work_struct *work)
{
	encrypt(container_of(work, struct cbulk_io, work));
}

/**
 * cbulk_write() - serve a write
 * @io: the io, with nothing done yet
 *
 * Context: map, process context; may sleep where the write is encrypted at once. A submitter holds
 * at most one buffer that was not yet handed to the device, so that waiting for memory here cannot
 * wait for itself.
 */
void cbulk_write(struct cbulk_io *io)
{
	if (cbulk_handoff_write(io) == CBULK_HERE) {
		encrypt(io);
		return;
	}
	INIT_WORK(&io->work, encrypt_work);
	queue_work(io->ct->crypt_queue, &io->work);
}
