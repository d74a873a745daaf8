// SPDX-License-Identifier: GPL-2.0-only
/*
 * lmk: the IV of Loop-AES, see http://loop-aes.sourceforge.net/. A hash of all of a 512-byte sector
 * but its first cipher block, and of the sector's number.
 *
 * Reading, the sector is decrypted with an IV of zeros. That gets all but the first block right,
 * and from these the IV is computed, with which the first block is put right.
 *
 * Version 1 has one key and is not this mode; version 2 has 64; version 3 has 65, the last of
 * which goes into the hash as a seed.
 */
#include <crypto/algapi.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>
#include "crypt-bulk.h"

#define FIRST_BLOCK	16
#define SEED_SIZE	64

/**
 * struct cbulk_iv_lmk - state of the mode
 * @md5: the hash
 * @seeded: version 3
 * @seed: its last key, padded with zeros
 */
struct cbulk_iv_lmk {
	struct cbulk_md5 md5;
	bool seeded;
	u8 seed[SEED_SIZE];
};

static int lmk_layout(struct cbulk_cipher *cipher, char **error)
{
	if (cipher->key_size % cipher->key_parts) {
		cipher->key_parts++;
		cipher->key_extra_size = cipher->key_size / cipher->key_parts;
	}
	return 0;
}

static int lmk_ctr(struct cbulk_cipher *cipher, char **error)
{
	if (cipher->unit_size != SECTOR_SIZE) {
		*error = "Unsupported sector size for LMK";
		return -EINVAL;
	}
	/* The hash is all that the IV is made of. */
	if (cipher->iv_size > MD5_DIGEST_SIZE) {
		*error = "Unsupported IV size for LMK";
		return -EINVAL;
	}

	cipher->lmk = kzalloc(sizeof(*cipher->lmk), GFP_KERNEL);
	if (!cipher->lmk) {
		*error = "Error kmallocing seed storage in LMK";
		return -ENOMEM;
	}
	cipher->lmk->seeded = cipher->key_parts != cipher->tfms_count;
	return cbulk_md5_init(&cipher->lmk->md5, error);
}

static void lmk_dtr(struct cbulk_cipher *cipher)
{
	if (cipher->lmk)
		cbulk_md5_exit(&cipher->lmk->md5);
	kfree_sensitive(cipher->lmk);
	cipher->lmk = NULL;
}

static int lmk_set_key(struct cbulk_cipher *cipher)
{
	unsigned int subkey_size = cipher->key_size / cipher->key_parts;
	unsigned int offset = cipher->tfms_count * subkey_size;

	/* A cipher with short keys has a seed shorter than the hash. */
	if (cipher->lmk->seeded)
		memcpy(cipher->lmk->seed, cipher->key + offset,
		       min_t(unsigned int, cipher->key_size - offset, MD5_DIGEST_SIZE));
	return 0;
}

static int lmk_wipe(struct cbulk_cipher *cipher)
{
	memzero_explicit(cipher->lmk->seed, sizeof(cipher->lmk->seed));
	return 0;
}

static int hash_sector(const struct cbulk_iv_lmk *lmk, u64 iv_sector, u8 *data, u8 *hash)
{
	/*
	 * The end of the message, as an implementation sees it that counts its blocks itself: 56
	 * bits of the sector's number with a 1 after them, and the length in bits.
	 */
	__le32 end[4] = {
		cpu_to_le32(lower_32_bits(iv_sector)),
		cpu_to_le32((upper_32_bits(iv_sector) & 0x00ffffff) | 0x80000000),
		cpu_to_le32(8 * (SECTOR_SIZE - FIRST_BLOCK + 7)),
		0,
	};
	const struct kvec parts[] = {
		{ (void *)lmk->seed, lmk->seeded ? SEED_SIZE : 0 },
		{ data + FIRST_BLOCK, SECTOR_SIZE - FIRST_BLOCK },
		{ end, sizeof(end) },
	};

	return cbulk_md5_whole_blocks(&lmk->md5, parts, ARRAY_SIZE(parts), hash);
}

static int lmk_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
{
	memset(iv, 0, cipher->iv_size);
	return 0;
}

static int lmk_before(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector, u8 *data,
		      bool encrypt)
{
	u8 hash[MD5_DIGEST_SIZE];
	int ret;

	if (!encrypt)
		return 0;
	ret = hash_sector(cipher->lmk, iv_sector, data, hash);
	if (!ret)
		memcpy(iv, hash, cipher->iv_size);
	return ret;
}

static int lmk_after(const struct cbulk_cipher *cipher, u64 iv_sector, u8 *data, bool encrypt)
{
	u8 hash[MD5_DIGEST_SIZE];
	int ret;

	if (encrypt)
		return 0;
	ret = hash_sector(cipher->lmk, iv_sector, data, hash);
	if (!ret)
		crypto_xor(data, hash, cipher->iv_size);
	return ret;
}

const struct cbulk_iv_ops cbulk_iv_lmk_ops = {
	.name = "lmk",
	.layout = lmk_layout,
	.ctr = lmk_ctr,
	.dtr = lmk_dtr,
	.set_key = lmk_set_key,
	.wipe = lmk_wipe,
	.generate = lmk_generate,
	.before = lmk_before,
	.after = lmk_after,
};
