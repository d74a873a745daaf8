// SPDX-License-Identifier: GPL-2.0-only
/*
 * elephant: eboiv, and between the data and CBC a sector key and the two diffusers of BitLocker,
 * which make every bit of a sector depend on every other.
 *
 * From "AES-CBC + Elephant diffuser: A Disk Encryption Algorithm for Windows Vista", Niels
 * Ferguson, Microsoft, 2006; the names of the variables are that paper's where they are short.
 */
#include <crypto/algapi.h>
#include <linux/bitops.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crypt-bulk.h"

#define SECTOR_KEY_SIZE	(2 * AES_BLOCK_SIZE)

/**
 * struct cbulk_iv_elephant - state of the mode beyond eboiv's
 * @aes: the key that sector keys are made with
 */
struct cbulk_iv_elephant {
	cbulk_aes_t aes;
};

/* The paper's tables R(a) and R(b), and how often each diffuser goes round */
static const u8 rotate_a[4] = { 9, 0, 13, 0 };
static const u8 rotate_b[4] = { 0, 10, 0, 25 };

#define CYCLES_A	5
#define CYCLES_B	3

/* What a diffuser adds to word i; n is a power of two. A looks back, B ahead. */
static u32 mix_a(const __le32 *d, unsigned int n, unsigned int i)
{
	return le32_to_cpu(d[(i - 2) & (n - 1)]) ^
	       rol32(le32_to_cpu(d[(i - 5) & (n - 1)]), rotate_a[i % 4]);
}

static u32 mix_b(const __le32 *d, unsigned int n, unsigned int i)
{
	return le32_to_cpu(d[(i + 2) & (n - 1)]) ^
	       rol32(le32_to_cpu(d[(i + 5) & (n - 1)]), rotate_b[i % 4]);
}

/* The diffusers are defined by their decryption, which goes through the words from the first. */
static void diffuse_decrypt(__le32 *d, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < CYCLES_B * n; i++)
		le32_add_cpu(&d[i & (n - 1)], mix_b(d, n, i & (n - 1)));
	for (i = 0; i < CYCLES_A * n; i++)
		le32_add_cpu(&d[i & (n - 1)], mix_a(d, n, i & (n - 1)));
}

static void diffuse_encrypt(__le32 *d, unsigned int n)
{
	unsigned int i;

	for (i = CYCLES_A * n; i--;)
		le32_add_cpu(&d[i & (n - 1)], -mix_a(d, n, i & (n - 1)));
	for (i = CYCLES_B * n; i--;)
		le32_add_cpu(&d[i & (n - 1)], -mix_b(d, n, i & (n - 1)));
}

static int elephant_layout(struct cbulk_cipher *cipher, char **error)
{
	cipher->key_parts = 2;
	cipher->key_extra_size = cipher->key_size / 2;
	if (cipher->key_extra_size <= AES_MAX_KEY_SIZE)
		return 0;
	*error = "Wrong key size for Elephant";
	return -EINVAL;
}

static int elephant_ctr(struct cbulk_cipher *cipher, char **error)
{
	cipher->elephant = kzalloc(sizeof(*cipher->elephant), GFP_KERNEL);
	if (!cipher->elephant)
		return -ENOMEM;
	return cbulk_eboiv_ctr(cipher, error);
}

static void elephant_dtr(struct cbulk_cipher *cipher)
{
	cbulk_eboiv_dtr(cipher);
	kfree_sensitive(cipher->elephant);
	cipher->elephant = NULL;
}

static int elephant_set_key(struct cbulk_cipher *cipher)
{
	const u8 *key = cipher->key + cipher->key_size - cipher->key_extra_size;
	int ret = cbulk_eboiv_set_key(cipher);

	if (ret)
		return ret;
	return cbulk_aes_set_key(&cipher->elephant->aes, key, cipher->key_extra_size);
}

/* The sector key is the byte offset encrypted, and again with a bit set in its last byte. */
static void add_sector_key(const struct cbulk_cipher *cipher, u64 iv_sector, u8 *data)
{
	__le64 offset[2] = { cpu_to_le64(iv_sector * cipher->unit_size) };
	u8 sector_key[SECTOR_KEY_SIZE];
	unsigned int i;

	aes_encrypt(&cipher->elephant->aes, sector_key, (u8 *)offset);
	((u8 *)offset)[AES_BLOCK_SIZE - 1] = 0x80;
	aes_encrypt(&cipher->elephant->aes, sector_key + AES_BLOCK_SIZE, (u8 *)offset);

	for (i = 0; i < cipher->unit_size; i += SECTOR_KEY_SIZE)
		crypto_xor(data + i, sector_key, SECTOR_KEY_SIZE);
	memzero_explicit(sector_key, sizeof(sector_key));
}

static int elephant_before(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector, u8 *data,
			   bool encrypt)
{
	if (encrypt) {
		add_sector_key(cipher, iv_sector, data);
		diffuse_encrypt((__le32 *)data, cipher->unit_size / sizeof(__le32));
	}
	return 0;
}

static int elephant_after(const struct cbulk_cipher *cipher, u64 iv_sector, u8 *data, bool encrypt)
{
	if (!encrypt) {
		diffuse_decrypt((__le32 *)data, cipher->unit_size / sizeof(__le32));
		add_sector_key(cipher, iv_sector, data);
	}
	return 0;
}

const struct cbulk_iv_ops cbulk_iv_elephant_ops = {
	.name = "elephant",
	.layout = elephant_layout,
	.ctr = elephant_ctr,
	.dtr = elephant_dtr,
	.set_key = elephant_set_key,
	.wipe = elephant_set_key,
	.generate = cbulk_eboiv_generate,
	.before = elephant_before,
	.after = elephant_after,
};
