// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcw: TrueCrypt before version 4.1, see "TrueCrypt On Disk Format" in the cryptsetup wiki. The IV
 * is the sector's number combined with a secret, and the ciphertext is whitened with 8 bytes made
 * of another secret and the number. Insecure by today's measure; for reading old containers.
 *
 * The key is followed by the IV's secret and the 16 bytes that whitening is made of.
 */
#include <crypto/algapi.h>
#include <linux/crc32.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crypt-bulk.h"

#define WHITENING_SIZE	16
#define MAX_IV_SIZE	16

/**
 * struct cbulk_iv_tcw - state of the mode
 * @iv_seed: secret of the IV
 * @whitening: secret of the whitening
 */
struct cbulk_iv_tcw {
	u8 iv_seed[MAX_IV_SIZE];
	u8 whitening[WHITENING_SIZE];
};

static int tcw_layout(struct cbulk_cipher *cipher, char **error)
{
	cipher->key_parts += 2;
	cipher->key_extra_size = cipher->iv_size + WHITENING_SIZE;
	return 0;
}

static int tcw_ctr(struct cbulk_cipher *cipher, char **error)
{
	if (cipher->unit_size != SECTOR_SIZE) {
		*error = "Unsupported sector size for TCW";
		return -EINVAL;
	}
	if (cipher->key_size <= cipher->key_extra_size) {
		*error = "Wrong key size for TCW";
		return -EINVAL;
	}
	/* The sector's number is repeated once. */
	if (cipher->iv_size > MAX_IV_SIZE) {
		*error = "Unsupported IV size for TCW";
		return -EINVAL;
	}

	cipher->tcw = kzalloc(sizeof(*cipher->tcw), GFP_KERNEL);
	if (!cipher->tcw) {
		*error = "Error allocating seed storage in TCW";
		return -ENOMEM;
	}
	return 0;
}

static void tcw_dtr(struct cbulk_cipher *cipher)
{
	kfree_sensitive(cipher->tcw);
	cipher->tcw = NULL;
}

static int tcw_set_key(struct cbulk_cipher *cipher)
{
	const u8 *secrets = cipher->key + cipher->key_size - cipher->key_extra_size;

	memcpy(cipher->tcw->iv_seed, secrets, cipher->iv_size);
	memcpy(cipher->tcw->whitening, secrets + cipher->iv_size, WHITENING_SIZE);
	return 0;
}

static int tcw_wipe(struct cbulk_cipher *cipher)
{
	memzero_explicit(cipher->tcw, sizeof(*cipher->tcw));
	return 0;
}

static int tcw_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
{
	const __le64 number[2] = { cpu_to_le64(iv_sector), cpu_to_le64(iv_sector) };

	crypto_xor_cpy(iv, cipher->tcw->iv_seed, (const u8 *)number, cipher->iv_size);
	return 0;
}

/* Four checksums, each of a quarter of the secret with the number in it, folded into 8 bytes. */
static void whiten(const struct cbulk_iv_tcw *tcw, u64 iv_sector, u8 *data)
{
	const __le64 number[2] = { cpu_to_le64(iv_sector), cpu_to_le64(iv_sector) };
	__le32 words[WHITENING_SIZE / sizeof(__le32)];
	unsigned int i;

	crypto_xor_cpy((u8 *)words, tcw->whitening, (const u8 *)number, WHITENING_SIZE);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = cpu_to_le32(crc32_le(0, (const u8 *)&words[i], sizeof(words[i])));
	words[0] ^= words[3];
	words[1] ^= words[2];

	for (i = 0; i < SECTOR_SIZE; i += sizeof(u64))
		crypto_xor(data + i, (const u8 *)words, sizeof(u64));
	memzero_explicit(words, sizeof(words));
}

static int tcw_before(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector, u8 *data,
		      bool encrypt)
{
	if (!encrypt)
		whiten(cipher->tcw, iv_sector, data);
	return 0;
}

static int tcw_after(const struct cbulk_cipher *cipher, u64 iv_sector, u8 *data, bool encrypt)
{
	if (encrypt)
		whiten(cipher->tcw, iv_sector, data);
	return 0;
}

const struct cbulk_iv_ops cbulk_iv_tcw_ops = {
	.name = "tcw",
	.layout = tcw_layout,
	.ctr = tcw_ctr,
	.dtr = tcw_dtr,
	.set_key = tcw_set_key,
	.wipe = tcw_wipe,
	.generate = tcw_generate,
	.before = tcw_before,
	.after = tcw_after,
};
