// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fast way through the cipher: units that lie side by side go through one prepared request,
 * in which only the place of the data and the IV change from one to the next.
 */
#include <asm/simd.h>
#include <linux/bvec.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include "crypt-bulk.h"

/* How much goes through the cipher before others may have the CPU: some 10 microseconds */
#define RESCHED_BYTES	32768

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
	cbulk_convert_layout(ct, sizeof(struct run_request), 1, __alignof__(u64));
}

/* A table of one entry, without the cost of sg_init_table() for each bio. */
static void init_single(struct scatterlist *sg, unsigned int length)
{
	*sg = (struct scatterlist){ .length = length };
	sg_mark_end(sg);
}

static void run_prepare(struct cbulk_io *io, struct cbulk_request *base)
{
	struct run_request *rq = container_of(base, struct run_request, base);
	const struct cbulk_target *ct = io->ct;

	init_single(rq->src, ct->cipher.unit_size);
	init_single(rq->dst, ct->cipher.unit_size);
	skcipher_request_set_callback(&rq->req, CRYPTO_TFM_REQ_MAY_BACKLOG, cbulk_convert_done,
				      base);
	skcipher_request_set_crypt(&rq->req, rq->src, io->cv.out ? rq->dst : rq->src,
				   ct->cipher.unit_size,
				   PTR_ALIGN((void *)rq + ct->iv_start, ct->iv_align + 1));
}

/**
 * struct engine - what puts the units of a bio through the cipher
 * @cipher: the cipher
 * @tfms: its transforms, one for each key
 * @driver: the function of the driver, for a cipher of one key
 * @encrypt: which direction
 * @beside: the driver may work beside the CPU
 */
struct engine {
	const struct cbulk_cipher *cipher;
	struct crypto_skcipher **tfms;
	int (*driver)(struct skcipher_request *req);
	bool encrypt;
	bool beside;
};

/*
 * What crypto_skcipher_encrypt() and crypto_skcipher_decrypt() would call, after having looked for
 * every unit whether there is a key. That is known: there is no I/O without.
 */
static void find_driver(struct engine *engine)
{
	struct crypto_skcipher *tfm = engine->tfms[0];
	const struct skcipher_alg *alg = crypto_skcipher_alg(tfm);
	u32 type = crypto_skcipher_tfm(tfm)->__crt_alg->cra_flags & CRYPTO_ALG_TYPE_MASK;

	/* Other types work as skciphers too, through functions of another kind. */
	if (type == CRYPTO_ALG_TYPE_SKCIPHER)
		engine->driver = engine->encrypt ? alg->encrypt : alg->decrypt;
}

/* Whether a driver may use its registers here does not change while we are at work. */
static void choose_engine(struct engine *engine, const struct cbulk_io *io)
{
	const struct cbulk_cipher *cipher = &io->ct->cipher;
	bool direct = cipher->direct && may_use_simd();

	engine->cipher = cipher;
	engine->tfms = direct ? cipher->direct : cipher->tfms;
	engine->driver = NULL;
	engine->encrypt = io->cv.encrypt;
	engine->beside = cbulk_cipher_asynchronous(engine->tfms[0]);
	if (cipher->tfms_count == 1)
		find_driver(engine);
}

/* Give the cipher the unit that the request describes. Return: what the cipher returns. */
static int submit_unit(const struct engine *engine, struct skcipher_request *req, u64 sector)
{
	const struct cbulk_cipher *cipher = engine->cipher;
	int ret;

	if (cipher->tfms_count > 1)
		skcipher_request_set_tfm(req, engine->tfms[sector & (cipher->tfms_count - 1)]);
	if (cipher->iv_ops) {
		ret = cipher->iv_ops->generate(cipher, req->iv, sector >> cipher->iv_shift);
		if (unlikely(ret))
			return ret;
	}
	return engine->encrypt ? crypto_skcipher_encrypt(req) : crypto_skcipher_decrypt(req);
}

/*
 * The entry of a request's table is also where the conversion keeps how far it has come: its length
 * is what is left of the segment, of which the cipher takes no more than a unit.
 */
static __always_inline void place(struct scatterlist *sg, const struct bio_vec *bv)
{
	sg_assign_page(sg, bv->bv_page + (bv->bv_offset >> PAGE_SHIFT));
	sg->offset = offset_in_page(bv->bv_offset);
	sg->length = bv->bv_len;
}

/* Begin where an iterator stands. Return: the segment there, as the bio has it. */
static __always_inline const struct bio_vec *place_first(struct scatterlist *sg,
							 const struct bio *bio,
							 struct bvec_iter iter)
{
	const struct bio_vec bv = mp_bvec_iter_bvec(bio->bi_io_vec, iter);

	place(sg, &bv);
	return bio->bi_io_vec + iter.bi_idx;
}

/*
 * How many bytes, of @max at most, to convert before the entries have to be looked at again: whole
 * units up to the end of a page or of the input's segment, or one unit that goes beyond the page.
 * Segments of the output do not end before a page of it does.
 */
static __always_inline unsigned int reach(const struct run_request *rq, bool out, unsigned int max,
					  unsigned int unit_size)
{
	unsigned int offset = rq->src->offset, len;

	if (unit_size == PAGE_SIZE)
		return PAGE_SIZE;
	if (out)
		offset = max(offset, rq->dst->offset);
	len = min3(max, rq->src->length, (unsigned int)PAGE_SIZE - offset) & -unit_size;
	return len ?: unit_size;
}

/*
 * Make up for so many bytes that were added to the offset; there is more of the bio behind them.
 * Return: does the next unit lie in one segment?
 */
static __always_inline bool settle(struct scatterlist *sg, const struct bio_vec **bv,
				   unsigned int bytes, unsigned int unit_size)
{
	sg->length -= bytes;
	if (sg->length >= unit_size) {
		if (sg->offset >= PAGE_SIZE) {
			sg->offset -= PAGE_SIZE;
			/* The mark of the last entry, in the lowest bits, stays as it is. */
			sg->page_link += sizeof(struct page);
		}
		return true;
	}
	if (sg->length)
		return false;
	place(sg, ++*bv);
	return sg->length >= unit_size;
}

/*
 * Convert units that each lie in one segment of the input; up to the first that does not, or that
 * the cipher does not finish at once. What is done here for each unit is a good part of the whole,
 * so that the compiler gets to know what it can: @le64, which says that there is one key, a driver
 * that may be called, and an IV that is the sector's number, which does not wrap in this bio; and
 * @unit_size, if it is a page.
 * Return: as cbulk_convert_submitted().
 */
static __always_inline int convert_segments(struct cbulk_io *io, const struct engine *engine,
					    bool may_sleep, const bool le64,
					    const unsigned int unit_size)
{
	const unsigned int shift = SECTOR_SHIFT + (le64 ? engine->cipher->iv_shift : 0);
	struct run_request *rq = current_request(io);
	__le64 *iv = (__le64 *)rq->req.iv;
	struct cbulk_convert *cv = &io->cv;
	const unsigned int total = cv->in_iter.bi_size;
	const u64 first = cv->sector >> (shift - SECTOR_SHIFT);
	const unsigned int step = unit_size >> shift;
	unsigned int left = total, len;
	const struct bio_vec *in, *out = NULL;
	u64 number = first, end;
	int ret = 0;

	in = place_first(rq->src, cv->in, cv->in_iter);
	if (cv->out)
		out = place_first(rq->dst, cv->out, cv->out_iter);
	if (unlikely(rq->src->length < unit_size))
		return CBULK_UNIT_DONE;

	for (;;) {
		len = reach(rq, out, left, unit_size);
		end = number + (len >> shift);
		do {
			if (le64) {
				iv[0] = cpu_to_le64(number);
				iv[1] = 0;
				ret = engine->driver(&rq->req);
			} else {
				ret = submit_unit(engine, &rq->req, number);
			}
			number += step;
			/* A driver that finishes later has the request, and the entries with it. */
			if (unlikely(ret))
				goto stop;
			/* In place, nobody looks at the second. */
			rq->src->offset += unit_size;
			rq->dst->offset += unit_size;
		} while (number != end);

		left -= len;
		if (!left)
			break;
		/* Past a multiple, not at it: not every bio is whole pages, or begins with one. */
		if (((left ^ (left + len)) & -RESCHED_BYTES) && may_sleep)
			cond_resched();
		if (out)
			settle(rq->dst, &out, len, unit_size);
		if (!settle(rq->src, &in, len, unit_size))
			break;
	}
stop:
	len = (number - first) << shift;
	cv->sector += len >> SECTOR_SHIFT;
	if (likely(len == total)) {
		/* Where an iterator stands that has nothing left does not matter. */
		cv->in_iter.bi_size = 0;
	} else {
		bvec_iter_advance(cv->in->bi_io_vec, &cv->in_iter, len);
		if (cv->out)
			bvec_iter_advance(cv->out->bi_io_vec, &cv->out_iter, len);
	}
	return likely(!ret) ? CBULK_UNIT_DONE : cbulk_convert_submitted(cv, ret);
}

/* Convert a unit that does not lie in one segment of the input. */
static int convert_scattered(struct cbulk_io *io, const struct engine *engine)
{
	const unsigned int unit_size = engine->cipher->unit_size;
	struct run_request *rq = current_request(io);
	struct cbulk_convert *cv = &io->cv;
	int ret;

	if (cv->out) {
		struct bio_vec out = bio_iter_iovec(cv->out, cv->out_iter);

		sg_set_page(rq->dst, out.bv_page, unit_size, out.bv_offset);
	}
	sg_init_table(rq->src, CBULK_MAX_SEGMENTS);
	ret = cbulk_gather_unit(io, rq->src);
	if (ret < 0)
		return ret;
	sg_mark_end(&rq->src[ret - 1]);

	ret = submit_unit(engine, &rq->req, cv->sector);
	cv->sector += unit_size >> SECTOR_SHIFT;
	bio_advance_iter(cv->in, &cv->in_iter, unit_size);
	if (cv->out)
		bio_advance_iter(cv->out, &cv->out_iter, unit_size);
	ret = cbulk_convert_submitted(cv, ret);
	if (cv->rq)
		init_single(rq->src, unit_size);
	return ret;
}

/* Is the IV of each unit one more than that of the unit before it, as 64-bit numbers? */
static bool counts_up(const struct engine *engine, const struct cbulk_convert *cv)
{
	const u64 end = cv->sector + (cv->in_iter.bi_size >> SECTOR_SHIFT);

	/* Sectors wrap at 2^64, and larger units that an IV counts wrap with them. */
	return engine->driver && engine->cipher->iv_is_le64 && end >= cv->sector;
}

static int run_run(struct cbulk_io *io, bool may_sleep)
{
	struct run_request *rq = current_request(io);
	const unsigned int unit_size = io->ct->cipher.unit_size;
	struct cbulk_convert *cv = &io->cv;
	struct engine engine;
	int ret;

	choose_engine(&engine, io);
	skcipher_request_set_tfm(&rq->req, engine.tfms[0]);
	for (;;) {
		/* Such a driver may map all of an entry for itself: no other unit must be in it. */
		if (unlikely(engine.beside))
			ret = CBULK_UNIT_DONE;
		else if (unlikely(!counts_up(&engine, cv)))
			ret = convert_segments(io, &engine, may_sleep, false, unit_size);
		else if (unit_size == PAGE_SIZE)
			ret = convert_segments(io, &engine, may_sleep, true, PAGE_SIZE);
		else
			ret = convert_segments(io, &engine, may_sleep, true, unit_size);
		if (likely(!cv->in_iter.bi_size || ret != CBULK_UNIT_DONE))
			return ret;
		ret = convert_scattered(io, &engine);
		if (!cv->in_iter.bi_size || ret != CBULK_UNIT_DONE)
			return ret;
		if (may_sleep)
			cond_resched();
	}
}

const struct cbulk_way cbulk_way_run = {
	.layout = run_layout,
	.prepare = run_prepare,
	.run = run_run,
};
