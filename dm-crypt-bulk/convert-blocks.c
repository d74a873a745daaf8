// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way through a cipher without an IV that encrypts each of its blocks for itself: what comes
 * out does not depend on where an encryption sector begins, so that one request can hold many.
 */
#include <linux/build_bug.h>
#include <linux/bvec.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/* The most of a request, in bytes and segments: others may have the CPU between two of them. */
#define REQUEST_BYTES 65536
#define REQUEST_SEGMENTS 16

/**
 * struct blocks_request - units on their way through the cipher
 * @base: what all requests have in common
 * @src: where they lie; also where they go when they are converted in place
 * @dst: where they go otherwise
 * @req: the cipher's request; its context follows in the same memory
 */
struct blocks_request {
	struct cbulk_request base;
	struct scatterlist src[REQUEST_SEGMENTS];
	struct scatterlist dst[REQUEST_SEGMENTS];
	struct skcipher_request req;
};

/* A unit in the shortest segments that there are fits in a request. */
static_assert(REQUEST_SEGMENTS >= CBULK_MAX_SEGMENTS);

/**
 * cbulk_blocks_possible() - can one request of a cipher hold many units?
 * @cipher: the cipher, complete
 *
 * It can in ECB mode (NIST SP 800-38A, 6.1), if all units have the same key. A driver that finishes
 * later would keep the one request while it works on it, so it goes another way.
 *
 * Return: true if cbulk_way_blocks serves it.
 */
bool cbulk_blocks_possible(const struct cbulk_cipher *cipher)
{
	struct crypto_skcipher *tfm;

	if (cipher->aead || cipher->iv_ops || cipher->iv_size || cipher->tfms_count != 1)
		return false;
	tfm = cipher->tfms[0];
	return strstarts(crypto_tfm_alg_name(crypto_skcipher_tfm(tfm)), "ecb(") &&
	       !cbulk_cipher_asynchronous(tfm);
}

static void blocks_layout(struct cbulk_target *ct)
{
	cbulk_convert_layout(ct, sizeof(struct blocks_request), 1, __alignof__(u64));
}

static void blocks_prepare(struct cbulk_io *io, struct cbulk_request *base)
{
	struct blocks_request *rq = container_of(base, struct blocks_request, base);

	sg_init_table(rq->src, REQUEST_SEGMENTS);
	sg_init_table(rq->dst, REQUEST_SEGMENTS);
	skcipher_request_set_tfm(&rq->req, io->ct->cipher.tfms[0]);
	skcipher_request_set_callback(&rq->req, 0, NULL, NULL);
}

/*
 * Describe what lies at an iterator, up to so many bytes and as many segments as there is room for.
 * Return: how many bytes; more than @max when the last segment is longer.
 */
static unsigned int describe(struct scatterlist *sg, const struct bio *bio, struct bvec_iter iter,
			     unsigned int max)
{
	unsigned int i, bytes = 0;

	for (i = 0; i < REQUEST_SEGMENTS && bytes < max; i++) {
		struct bio_vec bv = mp_bvec_iter_bvec(bio->bi_io_vec, iter);

		sg_unmark_end(&sg[i]);
		sg_set_page(&sg[i], bv.bv_page, bv.bv_len, bv.bv_offset);
		bytes += bv.bv_len;
		bvec_iter_advance_single(bio->bi_io_vec, &iter, bv.bv_len);
	}
	sg_mark_end(&sg[i - 1]);
	return bytes;
}

static int blocks_run(struct cbulk_io *io, bool may_sleep)
{
	struct blocks_request *rq = container_of(io->cv.rq, struct blocks_request, base);
	struct cbulk_convert *cv = &io->cv;

	for (;;) {
		unsigned int len = min_t(unsigned int, cv->in_iter.bi_size, REQUEST_BYTES);
		int ret;

		len = min(len, describe(rq->src, cv->in, cv->in_iter, len));
		if (cv->out)
			len = min(len, describe(rq->dst, cv->out, cv->out_iter, len));
		len &= -io->ct->cipher.unit_size;
		if (unlikely(!len)) {
			DMERR_LIMIT("memory segments shorter than %u bytes", SECTOR_SIZE);
			return -EIO;
		}
		skcipher_request_set_crypt(&rq->req, rq->src, cv->out ? rq->dst : rq->src, len,
					   NULL);
		ret = cv->encrypt ? crypto_skcipher_encrypt(&rq->req) :
				    crypto_skcipher_decrypt(&rq->req);
		if (unlikely(ret))
			return ret;
		cv->sector += len >> SECTOR_SHIFT;
		bvec_iter_advance(cv->in->bi_io_vec, &cv->in_iter, len);
		if (cv->out)
			bvec_iter_advance(cv->out->bi_io_vec, &cv->out_iter, len);
		if (!cv->in_iter.bi_size)
			return CBULK_UNIT_DONE;
		if (may_sleep)
			cond_resched();
	}
}

const struct cbulk_way cbulk_way_blocks = {
	.layout = blocks_layout,
	.prepare = blocks_prepare,
	.run = blocks_run,
};
