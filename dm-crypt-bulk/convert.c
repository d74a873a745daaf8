// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bio's sectors through the cipher.
 *
 * Most ciphers finish a request at once, and then one request serves a whole bio: it is prepared
 * when the conversion starts, and from sector to sector only the place of the data and the IV
 * change. A driver that finishes later keeps its request, and the next sector gets a fresh one.
 */
#include <linux/bvec.h>
#include <linux/mm.h>
#include "crypt-bulk.h"

/* What submitting one unit came to, when it is not a negative errno */
enum { UNIT_DONE, UNIT_ASYNC };

static void unit_done_async(cbulk_crypto_done_t *data, int error);

static void *request_iv(const struct cbulk_target *ct, struct cbulk_request *rq)
{
	return PTR_ALIGN((void *)rq + ct->iv_start, ct->iv_align + 1);
}

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
		     ARCH_KMALLOC_MINALIGN);
}

/**
 * cbulk_convert_init() - lay out the requests of a mapping
 * @ct: the mapping, its cipher complete
 *
 * Return: 0 or -ENOMEM.
 */
int cbulk_convert_init(struct cbulk_target *ct)
{
	struct crypto_skcipher *tfm = ct->cipher.tfms[0];

	ct->iv_start = sizeof(struct cbulk_request) + crypto_skcipher_reqsize(tfm);
	ct->iv_align = crypto_skcipher_alignmask(tfm);
	ct->request_size = ct->iv_start + ct->iv_align + ct->cipher.iv_size;

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
	const struct cbulk_target *ct = io->ct;

	rq->io = io;
	sg_init_table(rq->src, 1);
	sg_init_table(rq->dst, 1);
	skcipher_request_set_tfm(&rq->req, ct->cipher.tfms[0]);
	skcipher_request_set_callback(&rq->req, CRYPTO_TFM_REQ_MAY_BACKLOG,
				      unit_done_async, rq);
	skcipher_request_set_crypt(&rq->req, rq->src, io->cv.out ? rq->dst : rq->src,
				   ct->cipher.unit_size, request_iv(ct, rq));
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
 * @out: the bio to write to, as large, all its segments multiples of a unit; NULL for in place
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
	cv->in_iter = in->bi_iter;
	if (out)
		cv->out_iter = out->bi_iter;
	cv->sector = io->sector + ct->iv_offset;
	cv->async = 0;
	atomic_set(&cv->pending, total_units(io) + 1);
	init_completion(&cv->restart);
	cv->backlogged = false;
	cv->done = done;
	prepare_request(io, first_request(io));
}

/*
 * Describe a unit that lies in several segments of the input.
 * Return: 0, or -EIO for segments that the queue limits do not allow and no device has to take.
 */
static int gather_unit(const struct cbulk_io *io, struct cbulk_request *rq)
{
	const struct cbulk_convert *cv = &io->cv;
	struct bvec_iter iter = cv->in_iter;
	unsigned int left = io->ct->cipher.unit_size;
	unsigned int i;

	sg_init_table(rq->src, CBULK_MAX_SEGMENTS);
	for (i = 0; left; i++) {
		struct bio_vec bv = bio_iter_iovec(cv->in, iter);
		unsigned int len = min(bv.bv_len, left);

		/* So a unit cannot have more segments than rq->src has room for. */
		if (!len || (len & (SECTOR_SIZE - 1))) {
			DMERR_LIMIT("memory segment of %u bytes: not a multiple of %u", bv.bv_len,
				    SECTOR_SIZE);
			return -EIO;
		}
		sg_set_page(&rq->src[i], bv.bv_page, len, bv.bv_offset);
		bio_advance_iter_single(cv->in, &iter, len);
		left -= len;
	}
	sg_mark_end(&rq->src[i - 1]);
	return 0;
}

/*
 * Give the cipher the unit that rq->src and rq->dst describe. The request is gone afterwards
 * unless the unit was finished at once.
 * Return: UNIT_DONE, UNIT_ASYNC, or a negative errno of the cipher.
 */
static int submit_unit(struct cbulk_io *io, struct cbulk_request *rq)
{
	const struct cbulk_cipher *cipher = &io->ct->cipher;
	struct cbulk_convert *cv = &io->cv;
	int ret;

	if (cipher->tfms_count > 1)
		skcipher_request_set_tfm(&rq->req,
					 cipher->tfms[cv->sector & (cipher->tfms_count - 1)]);
	if (cipher->iv_ops) {
		ret = cipher->iv_ops->generate(cipher, rq->req.iv, cv->sector >> cipher->iv_shift);
		if (unlikely(ret))
			return ret;
	}
	cv->sector += 1U << cipher->unit_shift;

	if (cv->out)
		ret = crypto_skcipher_encrypt(&rq->req);
	else
		ret = crypto_skcipher_decrypt(&rq->req);

	if (likely(!ret))
		return UNIT_DONE;
	if (ret == -EBUSY)
		cv->backlogged = true;
	else if (ret != -EINPROGRESS)
		return ret;
	cv->rq = NULL;
	cv->async++;
	return UNIT_ASYNC;
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

/* Convert a unit that lies in several segments of the input. */
static int convert_scattered(struct cbulk_io *io)
{
	const unsigned int unit_size = io->ct->cipher.unit_size;
	struct cbulk_convert *cv = &io->cv;
	struct cbulk_request *rq = cv->rq;
	int ret;

	if (cv->out) {
		struct bio_vec out = bio_iter_iovec(cv->out, cv->out_iter);

		sg_set_page(rq->dst, out.bv_page, unit_size, out.bv_offset);
		bio_advance_iter_single(cv->out, &cv->out_iter, unit_size);
	}
	ret = gather_unit(io, rq);
	if (ret)
		return ret;
	bio_advance_iter(cv->in, &cv->in_iter, unit_size);

	ret = submit_unit(io, rq);
	if (cv->rq)
		sg_init_table(rq->src, 1);
	return ret;
}

/*
 * Convert the units that lie side by side in one page of the input and, where there is one, of the
 * output, up to the first that the cipher does not finish at once.
 */
static int convert_run(struct cbulk_io *io)
{
	const unsigned int unit_size = io->ct->cipher.unit_size;
	struct cbulk_convert *cv = &io->cv;
	struct bio_vec in = bio_iter_iovec(cv->in, cv->in_iter);
	struct bio_vec out = cv->out ? bio_iter_iovec(cv->out, cv->out_iter) : in;
	unsigned int len = min(in.bv_len, out.bv_len);
	struct cbulk_request *rq = cv->rq;
	unsigned int done = 0;
	int ret;

	if (unlikely(len < unit_size))
		return convert_scattered(io);

	do {
		sg_set_page(rq->src, in.bv_page, unit_size, in.bv_offset + done);
		if (cv->out)
			sg_set_page(rq->dst, out.bv_page, unit_size, out.bv_offset + done);
		ret = submit_unit(io, rq);
		done += unit_size;
	} while (ret == UNIT_DONE && len - done >= unit_size);

	bio_advance_iter_single(cv->in, &cv->in_iter, done);
	if (cv->out)
		bio_advance_iter_single(cv->out, &cv->out_iter, done);
	return ret;
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

/**
 * cbulk_convert() - put a bio's units through the cipher
 * @io: the io, after cbulk_convert_start()
 * @may_sleep: the context allows to sleep
 *
 * Context: softirq when @may_sleep is false, else process context.
 * Return: who owns the io now. After %CBULK_CONVERT_AGAIN, never returned when @may_sleep, call
 * again from process context, with the same io. After %CBULK_CONVERTED, io->error is set if the
 * cipher failed for any unit.
 */
enum cbulk_converted cbulk_convert(struct cbulk_io *io, bool may_sleep)
{
	struct cbulk_convert *cv = &io->cv;

	if (!wait_for_driver(cv, may_sleep))
		return CBULK_CONVERT_AGAIN;
	while (cv->in_iter.bi_size) {
		if (unlikely(!cv->rq) && !have_request(io, may_sleep))
			return CBULK_CONVERT_AGAIN;
		if (unlikely(convert_run(io) < 0)) {
			WRITE_ONCE(io->error, BLK_STS_IOERR);
			break;
		}
		if (!wait_for_driver(cv, may_sleep))
			return CBULK_CONVERT_AGAIN;
		if (may_sleep)
			cond_resched();
	}
	return finish(io);
}

/* The cipher's callback. May be called in softirq, and before the submitter has returned. */
static void unit_done_async(cbulk_crypto_done_t *data, int error)
{
	struct cbulk_request *rq = cbulk_crypto_done_data(data);
	struct cbulk_io *io = rq->io;
	struct cbulk_convert *cv = &io->cv;

	if (error == -EINPROGRESS) {
		/* Not the end: a backlogged request has moved up into the driver's queue. */
		complete(&cv->restart);
		return;
	}
	if (error)
		WRITE_ONCE(io->error, BLK_STS_IOERR);

	/* The last to drop the count hands the io on, so nothing of it is touched after that. */
	free_request(io, rq);
	if (atomic_dec_and_test(&cv->pending))
		cv->done(io);
}
