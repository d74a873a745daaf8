// SPDX-License-Identifier: GPL-2.0-only
/*
 * The second try of a read whose tag did not match.
 *
 * One worker does all of it, from getting the pages to giving them back. Would it hand the bio on
 * with pages of the reserve, the next worker could stand in line behind writes which wait for
 * just these pages.
 */
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/sched/mm.h>
#include "crypt-bulk.h"

static void reread_endio(struct bio *bio)
{
	complete(bio->bi_private);
}

static void decrypt_done(struct cbulk_io *io)
{
	complete(io->rechecked);
}

static void report(struct cbulk_io *io)
{
	/* The audit subsystem allocates as it likes. */
	unsigned int noio = memalloc_noio_save();

	DMERR_LIMIT("%pg: INTEGRITY AEAD ERROR, sector %llu", io->ct->dev->bdev,
		    (unsigned long long)io->bad_sector);
	dm_audit_log_bio(DM_MSG_PREFIX, "integrity-aead", &io->own, io->bad_sector, 0);
	memalloc_noio_restore(noio);
}

/* Read what io->base asks for into our own pages, and decrypt it there. */
static void reread(struct cbulk_io *io)
{
	struct bio *own = &io->own;
	const struct bvec_iter whole = own->bi_iter;
	DECLARE_COMPLETION_ONSTACK(done);

	own->bi_private = &done;
	own->bi_end_io = reread_endio;
	own->bi_iter.bi_sector = io->ct->start + io->sector;
	dm_submit_bio_remap(io->base, own);
	wait_for_completion_io(&done);
	io->error = own->bi_status;
	own->bi_iter = whole;
	if (io->error)
		return;

	reinit_completion(&done);
	io->rechecked = &done;
	cbulk_convert_start(io, own, NULL, decrypt_done);
	if (cbulk_convert(io, true) == CBULK_CONVERTING)
		wait_for_completion(&done);
	if (io->error == BLK_STS_PROTECTION)
		report(io);
}

/**
 * cbulk_recheck_work() - read again what failed its authentication, and report it if it does so too
 * @work: of an io that owns itself, with io->error set
 *
 * Context: work item of the mapping's io_queue.
 */
void cbulk_recheck_work(struct work_struct *work)
{
	struct cbulk_io *io = container_of(work, struct cbulk_io, work);

	if (!cbulk_buffer_alloc(io)) {
		io->error = BLK_STS_RESOURCE;
		cbulk_io_end(io);
		return;
	}
	if (cbulk_tags_attach(io, GFP_NOIO)) {
		reread(io);
		if (!io->error)
			bio_copy_data(io->base, &io->own);
	} else {
		io->error = BLK_STS_RESOURCE;
	}
	/* It holds what was decrypted. */
	cbulk_buffer_discard(io);
	cbulk_io_end(io);
}
