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
 */
struct engine {
	const struct cbulk_cipher *cipher;
	struct crypto_skcipher **tfms;
	int (*driver)(struct skcipher_request *req);
	bool encrypt;
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

/**
 * struct cursor - where the next unit of a bio lies
 * @bv: the segment
 * @page: the page
 * @offset: in @page
 * @left: bytes from there to the end of the segment
 */
struct cursor {
	const struct bio_vec *bv;
	struct page *page;
	unsigned int offset;
	unsigned int left;
};

static __always_inline void cursor_set(struct cursor *cursor, const struct bio_vec *bv)
{
	cursor->page = bv->bv_page + (bv->bv_offset >> PAGE_SHIFT);
	cursor->offset = offset_in_page(bv->bv_offset);
	cursor->left = bv->bv_len;
}

static __always_inline void cursor_start(struct cursor *cursor, const struct bio *bio,
					 struct bvec_iter iter)
{
	struct bio_vec bv = mp_bvec_iter_bvec(bio->bi_io_vec, iter);

	cursor_set(cursor, &bv);
	cursor->bv = bio->bi_io_vec + iter.bi_idx;
}

/* Go on by bytes that lie in the cursor's page. There is more behind them. */
static __always_inline void cursor_advance(struct cursor *cursor, unsigned int bytes)
{
	cursor->left -= bytes;
	cursor->offset += bytes;
	if (!cursor->left) {
		cursor_set(cursor, ++cursor->bv);
	} else if (cursor->offset == PAGE_SIZE) {
		cursor->page++;
		cursor->offset = 0;
	}
}

/* Describe the unit at a cursor. Return: bytes that lie side by side from there, in one page. */
static __always_inline unsigned int place(struct scatterlist *sg, const struct cursor *cursor)
{
	sg_assign_page(sg, cursor->page);
	sg->offset = cursor->offset;
	return min_t(unsigned int, cursor->left, PAGE_SIZE - cursor->offset);
}

/*
 * Convert units that lie in one page of the input and, where there is one, of the output; up to the
 * first that does not, or that the cipher does not finish at once. With small units, what is done
 * here for each of them is a good part of the whole: @le64 is known to the compiler, and says that
 * there is one key, a driver that may be called, and an IV that is the sector's number.
 * Return: as cbulk_convert_submitted().
 */
static __always_inline int convert_pages(struct cbulk_io *io, const struct engine *engine,
					 bool may_sleep, const bool le64)
{
	const unsigned int unit_size = engine->cipher->unit_size;
	const unsigned int iv_shift = engine->cipher->iv_shift;
	struct run_request *rq = current_request(io);
	__le64 *iv = (__le64 *)rq->req.iv;
	struct cbulk_convert *cv = &io->cv;
	unsigned int total = cv->in_iter.bi_size, left = total;
	u64 sector = cv->sector;
	struct cursor in, out;
	int ret = 0;

	cursor_start(&in, cv->in, cv->in_iter);
	if (cv->out)
		cursor_start(&out, cv->out, cv->out_iter);

	for (;;) {
		unsigned int len = place(rq->src, &in), end;

		if (cv->out)
			len = min(len, place(rq->dst, &out));
		if (unlikely(len < unit_size))
			break;
		/* What is left in the bio is whole units, and so is what is done of the page. */
		len = min(len & -unit_size, left);
		end = left - len;

		for (;;) {
			if (le64) {
				/* Sectors wrap at 2^64, and what the IV counts wraps with them. */
				iv[0] = cpu_to_le64(sector >> iv_shift);
				iv[1] = 0;
				sector += unit_size >> SECTOR_SHIFT;
				ret = engine->driver(&rq->req);
			} else {
				ret = submit_unit(engine, &rq->req,
						  cv->sector + ((total - left) >> SECTOR_SHIFT));
			}
			left -= unit_size;
			if (left == end || unlikely(ret))
				break;
			rq->src->offset += unit_size;
			rq->dst->offset += unit_size;
		}

		if (!left || unlikely(ret))
			break;
		cursor_advance(&in, len);
		if (cv->out)
			cursor_advance(&out, len);
		/* Past a multiple, not at it: not every bio is whole pages, or begins with one. */
		if (((left ^ (left + len)) & -RESCHED_BYTES) && may_sleep)
			cond_resched();
	}

	cv->sector += (total - left) >> SECTOR_SHIFT;
	if (likely(!left)) {
		/* Where an iterator stands that has nothing left does not matter. */
		cv->in_iter.bi_size = 0;
	} else {
		bvec_iter_advance(cv->in->bi_io_vec, &cv->in_iter, total - left);
		if (cv->out)
			bvec_iter_advance(cv->out->bi_io_vec, &cv->out_iter, total - left);
	}
	return cbulk_convert_submitted(cv, ret);
}

/* Convert a unit that does not lie in one page of the input. */
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

static int run_run(struct cbulk_io *io, bool may_sleep)
{
	struct run_request *rq = current_request(io);
	struct cbulk_convert *cv = &io->cv;
	struct engine engine;
	int ret;

	choose_engine(&engine, io);
	skcipher_request_set_tfm(&rq->req, engine.tfms[0]);
	for (;;) {
		if (likely(engine.driver && engine.cipher->iv_is_le64))
			ret = convert_pages(io, &engine, may_sleep, true);
		else
			ret = convert_pages(io, &engine, may_sleep, false);
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
