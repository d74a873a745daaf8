// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bio's sectors through the cipher.
 *
 * Most ciphers finish a request at once, and then one request serves a whole bio: it is prepared
 * when the conversion starts, and from sector to sector only the place of the data and the IV
 * change. A driver that finishes later keeps its request, and the next sector gets a fresh one.
 *
 * How a unit gets from the bio into a request, and what else is done to it, is the matter of the
 * mapping's way (struct cbulk_way).
 */
#include <linux/bvec.h>
#include <linux/mm.h>
#include "crypt-bulk.h"

/* The request that lives in the per-bio data, behind the io. */
static struct cbulk_request *first_request(struct cbulk_io *io)
{
	return PTR_ALIGN((void *)(io + 1), CRYPTO_MINALIGN);
}

/**
 * cbulk_io_size() - how much per-bio data does a mapping need?
 * @ct: the mapping, after cbulk_convert_init()
 *
 * Return: bytes, for an io and its first request.
 */
unsigned int cbulk_io_size(const struct cbulk_target *ct)
{
	return ALIGN(sizeof(struct cbulk_io) + CRYPTO_MINALIGN - 1 + ct->request_size,
		     CBULK_IO_ALIGN);
}

/**
 * cbulk_convert_layout() - lay out a request in memory
 * @ct: the mapping; gets request_size, iv_start and iv_align
 * @size: bytes of the way's own structure, at whose end the cipher's request begins its context
 * @ivs: how many IVs follow
 * @align: what IVs are to be aligned to at least, a power of two
 */
void cbulk_convert_layout(struct cbulk_target *ct, unsigned int size, unsigned int ivs,
			  unsigned int align)
{
	const struct cbulk_cipher *cipher = &ct->cipher;
	unsigned int context = 0, mask = align - 1, i;

	if (cipher->aead) {
		context = crypto_aead_reqsize(cipher->aead);
		mask |= crypto_aead_alignmask(cipher->aead);
	} else {
		/* A better driver may have come up between the first transform and the last. */
		for (i = 0; i < cipher->tfms_count; i++) {
			context = max(context, crypto_skcipher_reqsize(cipher->tfms[i]));
			mask |= crypto_skcipher_alignmask(cipher->tfms[i]);
			if (!cipher->direct)
				continue;
			context = max(context, crypto_skcipher_reqsize(cipher->direct[i]));
			mask |= crypto_skcipher_alignmask(cipher->direct[i]);
		}
	}
	ct->iv_start = size + context;
	ct->iv_align = mask;
	ct->request_size = ct->iv_start + mask + ivs * ALIGN(cipher->iv_size, mask + 1);
}

/**
 * cbulk_convert_init() - choose the way of a mapping and lay out its requests
 * @ct: the mapping, its cipher complete
 *
 * Return: 0 or -ENOMEM.
 */
int cbulk_convert_init(struct cbulk_target *ct)
{
	if (cbulk_blocks_possible(&ct->cipher))
		ct->way = &cbulk_way_blocks;
	else if (cbulk_cipher_is_plain(&ct->cipher))
		ct->way = &cbulk_way_run;
	else
		ct->way = &cbulk_way_unit;
	ct->way->layout(ct);
	return mempool_init_kmalloc_pool(&ct->requests, CBULK_MIN_IOS, ct->request_size);
}

/**
 * cbulk_convert_exit() - free what cbulk_convert_init() took
 * @ct: the mapping; also where cbulk_convert_init() failed or was not called
 */
void cbulk_convert_exit(struct cbulk_target *ct)
{
	mempool_exit(&ct->requests);
}

static void prepare_request(struct cbulk_io *io, struct cbulk_request *rq)
{
	rq->io = io;
	io->ct->way->prepare(io, rq);
	io->cv.rq = rq;
}

static unsigned int total_units(const struct cbulk_io *io)
{
	return io->cv.in->bi_iter.bi_size >> (SECTOR_SHIFT + io->ct->cipher.unit_shift);
}

static void free_request(struct cbulk_io *io, struct cbulk_request *rq)
{
	if (rq != first_request(io))
		mempool_free(rq, &io->ct->requests);
}

/**
 * cbulk_convert_start() - prepare to convert a bio
 * @io: the io the bio belongs to
 * @in: the bio to read from; its size is a multiple of the unit's
 * @out: the bio to write to, as large, all its segments whole pages but for the end of the last;
 *	NULL for in place
 * @done: as in struct cbulk_convert
 *
 * Context: any. To be followed by cbulk_convert().
 */
void cbulk_convert_start(struct cbulk_io *io, struct bio *in, struct bio *out,
			 void (*done)(struct cbulk_io *io))
{
	const struct cbulk_target *ct = io->ct;
	struct cbulk_convert *cv = &io->cv;

	cv->in = in;
	cv->out = out;
	cv->encrypt = bio_data_dir(io->base) == WRITE;
	cv->in_iter = in->bi_iter;
	if (out)
		cv->out_iter = out->bi_iter;
	cv->sector = io->sector + ct->iv_offset;
	cv->tuple = io->tags;
	cv->async = 0;
	atomic_set(&cv->pending, total_units(io) + 1);
	init_completion(&cv->restart);
	cv->backlogged = false;
	cv->done = done;
	prepare_request(io, first_request(io));
}

/**
 * cbulk_gather_unit() - describe where the next unit of the input lies
 * @io: the io
 * @sg: gets the segments, at most CBULK_MAX_SEGMENTS; has been through sg_init_table()
 *
 * Return: the number of segments, or -EIO for segments that the queue limits do not allow and no
 * device has to take.
 */
int cbulk_gather_unit(const struct cbulk_io *io, struct scatterlist *sg)
{
	const struct cbulk_convert *cv = &io->cv;
	struct bvec_iter iter = cv->in_iter;
	unsigned int left = io->ct->cipher.unit_size;
	unsigned int i;

	for (i = 0; left; i++) {
		struct bio_vec bv = bio_iter_iovec(cv->in, iter);
		unsigned int len = min(bv.bv_len, left);

		/* So a unit cannot have more segments than there is room for. */
		if (!len || (len & (SECTOR_SIZE - 1))) {
			DMERR_LIMIT("memory segment of %u bytes: not a multiple of %u", bv.bv_len,
				    SECTOR_SIZE);
			return -EIO;
		}
		sg_set_page(&sg[i], bv.bv_page, len, bv.bv_offset);
		bio_advance_iter_single(cv->in, &iter, len);
		left -= len;
	}
	return i;
}

/**
 * cbulk_convert_submitted() - what has become of the request given to the cipher?
 * @cv: the conversion, with @cv->rq the request; the driver keeps it if it went asynchronous
 * @ret: what the cipher returned
 *
 * Return: %CBULK_UNIT_DONE, %CBULK_UNIT_ASYNC, or a negative errno of the cipher.
 */
int cbulk_convert_submitted(struct cbulk_convert *cv, int ret)
{
	if (likely(!ret))
		return CBULK_UNIT_DONE;
	if (ret == -EBUSY)
		cv->backlogged = true;
	else if (ret != -EINPROGRESS)
		return ret;
	cv->rq = NULL;
	cv->async++;
	return CBULK_UNIT_ASYNC;
}

/*
 * The driver's queue was full: wait until it has taken the last request in. This is waited for
 * after the last unit too, since until then the driver may still call back about it.
 * Return: false when that needs a context that may sleep.
 */
static bool wait_for_driver(struct cbulk_convert *cv, bool may_sleep)
{
	if (likely(!cv->backlogged))
		return true;
	if (!may_sleep)
		return false;
	wait_for_completion(&cv->restart);
	reinit_completion(&cv->restart);
	cv->backlogged = false;
	return true;
}

/*
 * Make sure that there is a request for the next unit.
 * Return: false when that needs a context that may sleep.
 */
static bool have_request(struct cbulk_io *io, bool may_sleep)
{
	struct cbulk_request *rq;

	rq = mempool_alloc(&io->ct->requests, may_sleep ? GFP_NOIO : GFP_NOWAIT | __GFP_NOWARN);
	if (!rq)
		return false;
	prepare_request(io, rq);
	return true;
}

/*
 * Nothing is left to submit, or nothing more will be because of an error: drop the submitter's
 * share, which is everything but the units that went asynchronous.
 */
static enum cbulk_converted finish(struct cbulk_io *io)
{
	struct cbulk_convert *cv = &io->cv;
	unsigned int share = total_units(io) + 1 - cv->async;

	if (cv->rq)
		free_request(io, cv->rq);
	/* Without any asynchronous unit nobody else knows of this io. */
	if (!cv->async || atomic_sub_and_test(share, &cv->pending))
		return CBULK_CONVERTED;
	return CBULK_CONVERTING;
}

static void note_error(struct cbulk_request *rq, int error)
{
	struct cbulk_io *io = rq->io;

	if (error == -EBADMSG && io->ct->way->failed)
		io->ct->way->failed(rq);
	WRITE_ONCE(io->error, error == -EBADMSG ? BLK_STS_PROTECTION : BLK_STS_IOERR);
}

/**
 * cbulk_convert() - put a bio's units through the cipher
 * @io: the io, after cbulk_convert_start()
 * @may_sleep: the context allows to sleep
 *
 * Context: softirq when @may_sleep is false, else process context.
 * Return: who owns the io now. After %CBULK_CONVERT_AGAIN, never returned when @may_sleep, call
 * again from process context, with the same io. After %CBULK_CONVERTED, io->error is set if the
 * cipher failed for any unit: BLK_STS_PROTECTION if its tag did not match.
 */
enum cbulk_converted cbulk_convert(struct cbulk_io *io, bool may_sleep)
{
	int (*const run)(struct cbulk_io *io, bool may_sleep) = io->ct->way->run;
	struct cbulk_convert *cv = &io->cv;

	if (!wait_for_driver(cv, may_sleep))
		return CBULK_CONVERT_AGAIN;
	while (cv->in_iter.bi_size) {
		int ret;

		if (unlikely(!cv->rq) && !have_request(io, may_sleep))
			return CBULK_CONVERT_AGAIN;
		ret = run(io, may_sleep);
		if (unlikely(ret < 0)) {
			note_error(cv->rq, ret);
			break;
		}
		if (!wait_for_driver(cv, may_sleep))
			return CBULK_CONVERT_AGAIN;
	}
	return finish(io);
}

/**
 * cbulk_convert_done() - the callback of every request
 * @data: the struct cbulk_request
 * @error: 0, or why the cipher failed, or -EINPROGRESS when a request of which it was said that
 *	the driver's queue is full has got into the queue
 *
 * Context: as the driver likes: may be softirq, and before the submitter has returned.
 */
void cbulk_convert_done(cbulk_crypto_done_t *data, int error)
{
	struct cbulk_request *rq = cbulk_crypto_done_data(data);
	struct cbulk_io *io = rq->io;
	struct cbulk_convert *cv = &io->cv;

	if (error == -EINPROGRESS) {
		/* Not the end: a backlogged request has moved up into the driver's queue. */
		complete(&cv->restart);
		return;
	}
	if (!error && io->ct->way->finish)
		error = io->ct->way->finish(rq);
	if (error)
		note_error(rq, error);

	/* The last to drop the count hands the io on, so nothing of it is touched after that. */
	free_request(io, rq);
	if (atomic_dec_and_test(&cv->pending))
		cv->done(io);
}
