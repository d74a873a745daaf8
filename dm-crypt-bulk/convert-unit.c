// SPDX-License-Identifier: GPL-2.0-only
/*
 * The general way through the cipher, one unit at a time: for IVs that depend on the data or
 * change it, for IVs that are stored beside the data, and for ciphers that authenticate.
 *
 * It converts in place. A write is therefore copied into its buffer first, so that whoever changes
 * the data while it is being written cannot make the tag or the IV disagree with the ciphertext.
 *
 * An authenticated cipher gets, as the stock target lays it out:
 *
 *	associated data				data	tag
 *	sector (64 bits, little endian)   IV	unit	tuple
 *
 * The sector there counts 512-byte sectors of the mapping, without iv_offset.
 */
#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/* Associated data: the sector and the IV; then the unit; then the tag */
#define MAX_AEAD_SEGMENTS (2 + CBULK_MAX_SEGMENTS + 1)

/**
 * struct unit_request - a unit on its way through the cipher
 * @base: what all requests have in common
 * @sector: first sector of the unit, relative to the mapping, as it is authenticated
 * @iv_sector: what the IV is made of
 * @data: the page of the unit, for an IV mode that touches the data
 * @offset: where in @data the unit lies
 * @sg: associated data, unit and tag, or the unit alone
 * @req: the request of a cipher that does not authenticate, or
 * @aead_req: that of one that does; the cipher's context and two copies of the IV follow in the
 *	same memory: one for the cipher to change, and one that is authenticated
 */
struct unit_request {
	struct cbulk_request base;
	__le64 sector;
	u64 iv_sector;
	struct page *data;
	unsigned int offset;
	struct scatterlist sg[MAX_AEAD_SEGMENTS];
	union {
		struct skcipher_request req;
		struct aead_request aead_req;
	};
};

static u8 *working_iv(const struct cbulk_target *ct, struct unit_request *rq)
{
	return PTR_ALIGN((void *)rq + ct->iv_start, ct->iv_align + 1);
}

static u8 *original_iv(const struct cbulk_target *ct, struct unit_request *rq)
{
	return working_iv(ct, rq) + ALIGN(ct->cipher.iv_size, ct->iv_align + 1);
}

static void unit_layout(struct cbulk_target *ct)
{
	/* An IV mode may write to the second IV as to the first. */
	cbulk_convert_layout(ct, sizeof(struct unit_request), 2, __alignof__(u64));
}

static void unit_prepare(struct cbulk_io *io, struct cbulk_request *base)
{
	struct unit_request *rq = container_of(base, struct unit_request, base);
	const struct cbulk_cipher *cipher = &io->ct->cipher;

	if (cipher->aead) {
		aead_request_set_tfm(&rq->aead_req, cipher->aead);
		aead_request_set_callback(&rq->aead_req, CRYPTO_TFM_REQ_MAY_BACKLOG,
					  cbulk_convert_done, base);
		aead_request_set_ad(&rq->aead_req, sizeof(rq->sector) + cipher->iv_size);
	} else {
		skcipher_request_set_callback(&rq->req, CRYPTO_TFM_REQ_MAY_BACKLOG,
					      cbulk_convert_done, base);
	}
}

/* Describe the next unit in rq->sg, with all that goes into the cipher with it. */
static int describe_unit(struct cbulk_io *io, struct unit_request *rq)
{
	const struct cbulk_cipher *cipher = &io->ct->cipher;
	unsigned int first = 0;
	int segments;

	sg_init_table(rq->sg, cipher->aead ? MAX_AEAD_SEGMENTS : CBULK_MAX_SEGMENTS);
	if (cipher->aead) {
		sg_set_buf(&rq->sg[first++], &rq->sector, sizeof(rq->sector));
		sg_set_buf(&rq->sg[first++], original_iv(io->ct, rq), cipher->iv_size);
	}
	segments = cbulk_gather_unit(io, &rq->sg[first]);
	if (segments < 0)
		return segments;
	rq->data = sg_page(&rq->sg[first]);
	rq->offset = rq->sg[first].offset;
	/* Who touches the data wants it in one piece; the queue limits see to that. */
	if (segments > 1 && cipher->iv_ops && (cipher->iv_ops->before || cipher->iv_ops->after))
		return -EIO;

	if (cipher->aead)
		sg_set_buf(&rq->sg[first + segments++], io->cv.tuple, io->ct->tags.auth_size);
	sg_mark_end(&rq->sg[first + segments - 1]);
	return 0;
}

static int touch_before(const struct cbulk_io *io, struct unit_request *rq, u8 *iv)
{
	const struct cbulk_cipher *cipher = &io->ct->cipher;
	u8 *page = kmap_local_page(rq->data);
	int ret = cipher->iv_ops->before(cipher, iv, rq->iv_sector, page + rq->offset,
					 io->cv.encrypt);

	kunmap_local(page);
	return ret;
}

static int touch_after(const struct cbulk_io *io, struct unit_request *rq)
{
	const struct cbulk_cipher *cipher = &io->ct->cipher;
	u8 *page = kmap_local_page(rq->data);
	int ret = cipher->iv_ops->after(cipher, rq->iv_sector, page + rq->offset, io->cv.encrypt);

	kunmap_local(page);
	return ret;
}

/* Make the IV, or fetch it from where the write of this unit stored it. */
static int make_iv(struct cbulk_io *io, struct unit_request *rq)
{
	const struct cbulk_target *ct = io->ct;
	const struct cbulk_cipher *cipher = &ct->cipher;
	const struct cbulk_iv_ops *ops = cipher->iv_ops;
	u8 *stored = io->cv.tuple + ct->tags.auth_size;
	u8 *iv = original_iv(ct, rq);
	int ret = 0;

	if (!ops)
		return 0;
	if (ops->stored && !io->cv.encrypt) {
		memcpy(iv, stored, cipher->iv_size);
	} else {
		ret = ops->generate(cipher, iv, rq->iv_sector);
		if (!ret && ops->before)
			ret = touch_before(io, rq, iv);
		if (!ret && ops->stored)
			memcpy(stored, iv, cipher->iv_size);
	}
	memcpy(working_iv(ct, rq), iv, cipher->iv_size);
	return ret;
}

static int call_aead(struct cbulk_io *io, struct unit_request *rq)
{
	unsigned int size = io->ct->cipher.unit_size;

	if (!io->cv.encrypt)
		size += io->ct->tags.auth_size;
	aead_request_set_crypt(&rq->aead_req, rq->sg, rq->sg, size, working_iv(io->ct, rq));
	return io->cv.encrypt ? crypto_aead_encrypt(&rq->aead_req) :
				crypto_aead_decrypt(&rq->aead_req);
}

static int call_skcipher(struct cbulk_io *io, struct unit_request *rq, u64 sector)
{
	const struct cbulk_cipher *cipher = &io->ct->cipher;

	skcipher_request_set_tfm(&rq->req, cipher->tfms[sector & (cipher->tfms_count - 1)]);
	skcipher_request_set_crypt(&rq->req, rq->sg, rq->sg, cipher->unit_size,
				   working_iv(io->ct, rq));
	return io->cv.encrypt ? crypto_skcipher_encrypt(&rq->req) :
				crypto_skcipher_decrypt(&rq->req);
}

static int unit_finish(struct cbulk_request *base)
{
	struct unit_request *rq = container_of(base, struct unit_request, base);
	const struct cbulk_iv_ops *ops = base->io->ct->cipher.iv_ops;

	return ops && ops->after ? touch_after(base->io, rq) : 0;
}

static void unit_failed(struct cbulk_request *base)
{
	struct unit_request *rq = container_of(base, struct unit_request, base);

	WRITE_ONCE(base->io->bad_sector, le64_to_cpu(rq->sector));
}

static int unit_run(struct cbulk_io *io, bool may_sleep)
{
	struct cbulk_convert *cv = &io->cv;
	struct unit_request *rq = container_of(cv->rq, struct unit_request, base);
	const struct cbulk_target *ct = io->ct;
	const struct cbulk_cipher *cipher = &ct->cipher;
	u64 sector = cv->sector;
	int ret;

	rq->sector = cpu_to_le64(sector - ct->iv_offset);
	rq->iv_sector = sector >> cipher->iv_shift;
	ret = describe_unit(io, rq);
	if (!ret)
		ret = make_iv(io, rq);
	if (ret)
		return ret;

	/* From here on the request, and with it the unit, may already be another's. */
	bio_advance_iter(cv->in, &cv->in_iter, cipher->unit_size);
	cv->sector += 1U << cipher->unit_shift;
	cv->tuple += ct->tags.tuple_size;

	ret = cipher->aead ? call_aead(io, rq) : call_skcipher(io, rq, sector);
	if (!ret)
		ret = unit_finish(&rq->base);
	if (may_sleep)
		cond_resched();
	return cbulk_convert_submitted(cv, ret);
}

const struct cbulk_way cbulk_way_unit = {
	.in_place = true,
	.layout = unit_layout,
	.prepare = unit_prepare,
	.run = unit_run,
	.finish = unit_finish,
	.failed = unit_failed,
};
