// SPDX-License-Identifier: GPL-2.0-only
/* The way of a read: from the device into the reader's own pages, and there decrypted in place. */
#include <linux/blkdev.h>
#include "crypt-bulk.h"

static void decrypt(struct cbulk_io *io, bool may_sleep);

static void decrypt_work(struct work_struct *work)
{
	decrypt(container_of(work, struct cbulk_io, work), true);
}

static void queue_decrypt(struct cbulk_io *io)
{
	INIT_WORK(&io->work, decrypt_work);
	queue_work(io->ct->crypt_queue, &io->work);
}

/*
 * A tag that does not match may mean that the reader changed his pages while they were being
 * decrypted: read again, into pages that he does not see, before telling him of it.
 */
static void decrypted(struct cbulk_io *io)
{
	if (likely(io->error != BLK_STS_PROTECTION)) {
		cbulk_io_end(io);
		return;
	}
	INIT_WORK(&io->work, cbulk_recheck_work);
	queue_work(io->ct->io_queue, &io->work);
}

static void decrypt(struct cbulk_io *io, bool may_sleep)
{
	switch (cbulk_convert(io, may_sleep)) {
	case CBULK_CONVERTED:
		decrypted(io);
		break;
	case CBULK_CONVERT_AGAIN:
		queue_decrypt(io);
		break;
	case CBULK_CONVERTING:
		break;
	}
}

/* In softirq context */
static void decrypt_soon(struct work_struct *work)
{
	decrypt(container_of(work, struct cbulk_io, work), false);
}

static void read_endio(struct bio *clone)
{
	struct cbulk_io *io = clone->bi_private;

	io->error = clone->bi_status;
	cbulk_bio_uninit(io);
	if (unlikely(io->error)) {
		cbulk_io_end(io);
		return;
	}

	cbulk_convert_start(io, io->base, NULL, decrypted);
	switch (cbulk_handoff_read(io)) {
	case CBULK_HERE:
		decrypt(io, false);
		break;
	case CBULK_SOON:
		INIT_WORK(&io->work, decrypt_soon);
		if (cbulk_queue_soon(&io->work))
			break;
		fallthrough;
	case CBULK_QUEUED:
		queue_decrypt(io);
		break;
	}
}

/* Return: false when there was no memory for what the clone carries with it. */
static bool submit_read(struct cbulk_io *io, gfp_t gfp)
{
	struct cbulk_target *ct = io->ct;
	struct bio *clone = &io->own;

	if (bio_init_clone(ct->dev->bdev, clone, io->base, gfp))
		return false;
	if (!cbulk_tags_attach(io, gfp)) {
		cbulk_bio_uninit(io);
		return false;
	}
	/* Who polls does so for io->base: nobody would ask the device for ours. */
	clone->bi_opf &= ~REQ_POLLED;
	clone->bi_private = io;
	clone->bi_end_io = read_endio;
	clone->bi_iter.bi_sector = ct->start + io->sector;
	dm_submit_bio_remap(io->base, clone);
	return true;
}

static void read_work(struct work_struct *work)
{
	struct cbulk_io *io = container_of(work, struct cbulk_io, work);

	if (!submit_read(io, GFP_NOIO)) {
		io->error = BLK_STS_RESOURCE;
		cbulk_io_end(io);
	}
}

/**
 * cbulk_read() - serve a read
 * @io: the io, with nothing done yet
 *
 * Context: map, process context. Does not wait for memory here, because what would free it may
 * stand behind this bio in the submitter's own list: a workqueue waits instead.
 */
void cbulk_read(struct cbulk_io *io)
{
	if (likely(submit_read(io, GFP_NOWAIT)))
		return;
	INIT_WORK(&io->work, read_work);
	queue_work(io->ct->io_queue, &io->work);
}
