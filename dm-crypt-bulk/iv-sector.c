// SPDX-License-Identifier: GPL-2.0-only
/*
 * IVs that are the sector's number in one form or another.
 *
 * Formats: Documentation/admin-guide/device-mapper/dm-crypt.rst and the on-disk results of the
 * stock target; benbi as IEEE P1619 (LRW) counts its blocks.
 */
#include <linux/log2.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/* The low 32 bits, little endian: repeats every 2 TiB of 512-byte sectors. */
static int plain_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
{
	memset(iv, 0, cipher->iv_size);
	put_unaligned_le32(lower_32_bits(iv_sector), iv);
	return 0;
}

const struct cbulk_iv_ops cbulk_iv_plain_ops = {
	.name = "plain",
	.generate = plain_generate,
};

static int plain64_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
{
	memset(iv, 0, cipher->iv_size);
	put_unaligned_le64(iv_sector, iv);
	return 0;
}

const struct cbulk_iv_ops cbulk_iv_plain64_ops = {
	.name = "plain64",
	.le64 = true,
	.generate = plain64_generate,
};

/*
 * The encryption with the key's hash, which gives ESSIV its name, is done by the crypto API's
 * essiv template around the cipher (see cipher.c). What it expects is the plain sector number.
 */
const struct cbulk_iv_ops cbulk_iv_essiv_ops = {
	.name = "essiv",
	.le64 = true,
	.generate = plain64_generate,
};

static int plain64be_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
{
	memset(iv, 0, cipher->iv_size);
	put_unaligned_be64(iv_sector, iv + cipher->iv_size - sizeof(u64));
	return 0;
}

const struct cbulk_iv_ops cbulk_iv_plain64be_ops = {
	.name = "plain64be",
	.generate = plain64be_generate,
};

static int benbi_ctr(struct cbulk_cipher *cipher, char **error)
{
	unsigned int block_size = cipher->aead ? crypto_aead_blocksize(cipher->aead) :
						 crypto_skcipher_blocksize(cipher->tfms[0]);

	if (!is_power_of_2(block_size)) {
		*error = "cypher blocksize is not a power of 2";
		return -EINVAL;
	}
	if (block_size > SECTOR_SIZE) {
		*error = "cypher blocksize is > 512";
		return -EINVAL;
	}
	cipher->benbi_shift = SECTOR_SHIFT - ilog2(block_size);
	return 0;
}

/* The number of the sector's first cipher block, counted from 1, big endian. */
static int benbi_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
{
	memset(iv, 0, cipher->iv_size);
	put_unaligned_be64((iv_sector << cipher->benbi_shift) + 1,
			   iv + cipher->iv_size - sizeof(u64));
	return 0;
}

const struct cbulk_iv_ops cbulk_iv_benbi_ops = {
	.name = "benbi",
	.ctr = benbi_ctr,
	.generate = benbi_generate,
};

static int null_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
{
	memset(iv, 0, cipher->iv_size);
	return 0;
}

const struct cbulk_iv_ops cbulk_iv_null_ops = {
	.name = "null",
	.generate = null_generate,
};
