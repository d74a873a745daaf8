// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fast way through the cipher: units that lie side by side go through one prepared request,
 * in which only the place of the data and the IV change from one to the next.
 */
#include <linux/bvec.h>
#include <linux/mm.h>
#include "crypt-bulk.h"

/**
 * struct run_request - a unit on its way through the cipher
 * @base: what all requests have in common
 * @src: where the unit lies; also where it goes when it is converted in place
 * @dst: where it goes otherwise
 * @req: the cipher's request; its context and the IV follow in the same memory
 */
struct run_request {
	struct cbulk_request base;
	struct scatterlist src[CBULK_MAX_SEGMENTS];
	struct scatterlist dst[1];
	struct skcipher_request req;
};

static struct run_request *current_request(const struct cbulk_io *io)
{
	return container_of(io->cv.rq, struct run_request, base);
}

static void run_layout(struct cbulk_target *ct)
{
	cbulk_convert_layout(ct, sizeof(struct run_request), 1, 1);
}

static void run_prepare(struct cbulk_io *io, struct cbulk_request *base)
{
	struct run_request *rq = container_of(base, struct run_request, base);
	const struct cbulk_target *ct = io->ct;

	sg_init_table(rq->src, 1);
	sg_init_table(rq->dst, 1);
	skcipher_request_set_tfm(&rq->req, ct->cipher.tfms[0]);
	skcipher_request_set_callback(&rq->req, CRYPTO_TFM_REQ_MAY_BACKLOG, cbulk_convert_done,
				      base);
	skcipher_request_set_crypt(&rq->req, rq->src, io->cv.out ? rq->dst : rq->src,
				   ct->cipher.unit_size,
				   PTR_ALIGN((void *)rq + ct->iv_start, ct->iv_align + 1));
}

/*
 * Give the cipher the unit that rq->src and rq->dst describe. The request is gone afterwards
 * unless the unit was finished at once.
 * Return: as cbulk_convert_submitted().
 */
static int submit_unit(struct cbulk_io *io, struct run_request *rq)
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

	if (cv->encrypt)
		ret = crypto_skcipher_encrypt(&rq->req);
	else
		ret = crypto_skcipher_decrypt(&rq->req);
	return cbulk_convert_submitted(cv, ret);
}

/* Convert a unit that lies in several segments of the input. */
static int convert_scattered(struct cbulk_io *io)
{
	const unsigned int unit_size = io->ct->cipher.unit_size;
	struct run_request *rq = current_request(io);
	struct cbulk_convert *cv = &io->cv;
	int ret;

	if (cv->out) {
		struct bio_vec out = bio_iter_iovec(cv->out, cv->out_iter);

		sg_set_page(rq->dst, out.bv_page, unit_size, out.bv_offset);
		bio_advance_iter_single(cv->out, &cv->out_iter, unit_size);
	}
	sg_init_table(rq->src, CBULK_MAX_SEGMENTS);
	ret = cbulk_gather_unit(io, rq->src);
	if (ret < 0)
		return ret;
	sg_mark_end(&rq->src[ret - 1]);
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
static int run_run(struct cbulk_io *io)
{
	const unsigned int unit_size = io->ct->cipher.unit_size;
	struct run_request *rq = current_request(io);
	struct cbulk_convert *cv = &io->cv;
	struct bio_vec in = bio_iter_iovec(cv->in, cv->in_iter);
	struct bio_vec out = cv->out ? bio_iter_iovec(cv->out, cv->out_iter) : in;
	unsigned int len = min(in.bv_len, out.bv_len);
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
	} while (ret == CBULK_UNIT_DONE && len - done >= unit_size);

	bio_advance_iter_single(cv->in, &cv->in_iter, done);
	if (cv->out)
		bio_advance_iter_single(cv->out, &cv->out_iter, done);
	return ret;
}

const struct cbulk_way cbulk_way_run = {
	.layout = run_layout,
	.prepare = run_prepare,
	.run = run_run,
};
