// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a unit has on the device beside its data: the tag of an authenticated cipher, and a stored
 * IV. The device below keeps a tuple of so many bytes for each unit, and takes and gives the tuples
 * of a bio as that bio's integrity payload.
 *
 * Tuples have no format of their own: tag, IV, and zeros up to the size of the device's tuple.
 */
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/* Bytes of an element of the pool of last resort, unless a single tuple needs more */
#define POOL_ELEMENT_SIZE 512

static int check_profile(struct cbulk_target *ct, char **error)
{
	const struct blk_integrity *profile = bdev_get_integrity(ct->dev->bdev);
	const struct cbulk_cipher *cipher = &ct->cipher;
	unsigned int size;

	/* The device must keep tuples as they are, and not compute or check anything in them. */
	if (!profile || !cbulk_integrity_opaque(profile)) {
		*error = "Integrity profile not supported.";
		return -EINVAL;
	}
	size = cbulk_integrity_size(profile);
	if (size < cipher->used_tag_size ||
	    (CBULK_INTEGRITY_EXACT && size != cipher->used_tag_size)) {
		*error = "Integrity profile tag size mismatch.";
		return -EINVAL;
	}
	if (1U << profile->interval_exp != cipher->unit_size) {
		*error = "Integrity profile sector size mismatch.";
		return -EINVAL;
	}
	ct->tags.tuple_size = size;
	return 0;
}

static int share_out(struct cbulk_target *ct, char **error)
{
	const struct cbulk_cipher *cipher = &ct->cipher;
	struct cbulk_tags *tags = &ct->tags;
	unsigned int used;

	if (cipher->iv_ops && cipher->iv_ops->stored)
		tags->iv_size = cipher->iv_size;
	if (cipher->aead) {
		if (cipher->used_tag_size < tags->iv_size ||
		    crypto_aead_setauthsize(cipher->aead,
					    cipher->used_tag_size - tags->iv_size)) {
			*error = "Integrity AEAD auth tag size is not supported.";
			return -EINVAL;
		}
		tags->auth_size = cipher->used_tag_size - tags->iv_size;
	}
	used = tags->auth_size + tags->iv_size;
	if (used > tags->tuple_size || (CBULK_INTEGRITY_EXACT && used != tags->tuple_size)) {
		*error = "Not enough space for integrity tag in the profile.";
		return -EINVAL;
	}
	return 0;
}

/**
 * cbulk_tags_init() - find out where tags and stored IVs go, if the mapping has any
 * @ct: the mapping, its cipher and its device known
 * @error: what was wrong
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno; cbulk_tags_exit() undoes whatever was done.
 */
int cbulk_tags_init(struct cbulk_target *ct, char **error)
{
	const struct cbulk_cipher *cipher = &ct->cipher;
	struct cbulk_tags *tags = &ct->tags;
	int ret;

	if (!cipher->aead && !(cipher->iv_ops && cipher->iv_ops->stored))
		return 0;

	ret = check_profile(ct, error);
	if (!ret)
		ret = share_out(ct, error);
	if (ret)
		return ret;

	tags->pool_units = max(POOL_ELEMENT_SIZE / tags->tuple_size, 1U);
	ret = mempool_init_kmalloc_pool(&tags->pool, CBULK_MIN_IOS,
					tags->pool_units * tags->tuple_size);
	if (!ret)
		ret = cbulk_payload_pool_init(&tags->payloads, CBULK_MIN_IOS);
	if (ret)
		*error = "Cannot allocate integrity tags mempool";
	return ret;
}

/**
 * cbulk_tags_exit() - free what cbulk_tags_init() took
 * @ct: the mapping, idle; also where cbulk_tags_init() failed or was not called
 */
void cbulk_tags_exit(struct cbulk_target *ct)
{
	bioset_exit(&ct->tags.payloads);
	mempool_exit(&ct->tags.pool);
}

static unsigned int tags_bytes(const struct cbulk_io *io)
{
	return (bio_sectors(io->base) >> io->ct->cipher.unit_shift) * io->ct->tags.tuple_size;
}

/**
 * cbulk_tags_alloc() - get memory for the tuples of a bio
 * @io: the io, in map
 * @whole: its bio must not be made smaller, which it else is when there is no memory
 *
 * The io owns the memory until cbulk_io_end().
 *
 * Context: map, may sleep, does not recurse into I/O. Waits for other bios of the mapping to
 * complete when there is no memory.
 * Return: false, only possible with @whole, when there is no memory.
 */
bool cbulk_tags_alloc(struct cbulk_io *io, bool whole)
{
	const gfp_t opportune = GFP_NOIO | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN;
	struct cbulk_tags *tags = &io->ct->tags;
	unsigned int unit_shift = io->ct->cipher.unit_shift;
	unsigned int bytes = tags_bytes(io);

	if (bytes <= KMALLOC_MAX_SIZE)
		io->tags = kmalloc(bytes, opportune);
	if (unlikely(!io->tags)) {
		bool large = bio_sectors(io->base) >> unit_shift > tags->pool_units;

		if (large && whole) {
			io->tags = kmalloc(bytes, GFP_NOIO | __GFP_NOWARN);
			if (!io->tags)
				return false;
		} else {
			if (large)
				dm_accept_partial_bio(io->base, tags->pool_units << unit_shift);
			io->tags = mempool_alloc(&tags->pool, GFP_NOIO);
			io->tags_from_pool = true;
			bytes = tags_bytes(io);
		}
	}
	/* What is left of a tuple goes to the device too, and must not be what memory held. */
	if (bio_data_dir(io->base) == WRITE && tags->auth_size + tags->iv_size < tags->tuple_size)
		memset(io->tags, 0, bytes);
	return true;
}

/**
 * cbulk_tags_free() - give the memory of the tuples back
 * @io: the io, with tuples
 *
 * Context: any.
 */
void cbulk_tags_free(struct cbulk_io *io)
{
	if (unlikely(io->tags_from_pool))
		mempool_free(io->tags, &io->ct->tags.pool);
	else
		kfree(io->tags);
	io->tags = NULL;
}

/**
 * cbulk_tags_attach() - let an io's own bio carry the tuples of its units to or from the device
 * @io: the io; io->own is as large as io->base, and has the payload until cbulk_bio_uninit()
 * @gfp: allocation flags
 *
 * Context: process context; sleeps if @gfp allows it.
 * Return: false when there was no memory. true for a mapping without tuples.
 */
bool cbulk_tags_attach(struct cbulk_io *io, gfp_t gfp)
{
	struct bio_integrity_payload *payload;
	struct bio *bio = &io->own;
	unsigned int bytes;

	if (likely(!io->tags))
		return true;

	if (!cbulk_payload_attach(bio, &io->payload, &io->ct->tags.payloads, gfp))
		return false;
	payload = bio_integrity(bio);
	bytes = tags_bytes(io);
	payload->bip_iter.bi_sector = io->ct->start + io->sector;
	if (bio_integrity_add_page(bio, virt_to_page(io->tags), bytes,
				   offset_in_page(io->tags)) != bytes)
		return false;
	/* Not every kernel counts what was added. */
	payload->bip_iter.bi_size = bytes;
	return true;
}

/**
 * cbulk_bio_uninit() - end an io's own bio, and what it carries tuples in
 * @io: the io; its pages and its tuples stay as they are
 *
 * Context: any.
 */
void cbulk_bio_uninit(struct cbulk_io *io)
{
	cbulk_payload_detach(&io->own, &io->payload);
	bio_uninit(&io->own);
}
