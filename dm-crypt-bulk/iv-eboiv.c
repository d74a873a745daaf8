// SPDX-License-Identifier: GPL-2.0-only
/*
 * eboiv: the byte offset of the sector, encrypted with the data key, as BitLocker does it in its
 * CBC mode (see "AES-CBC + Elephant diffuser", Niels Ferguson, Microsoft, 2006).
 */
#include <crypto/algapi.h>
#include <linux/err.h>
#include <linux/scatterlist.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/**
 * cbulk_eboiv_ctr() - make the twin of the cipher that encrypts offsets
 * @cipher: the cipher
 * @error: what is wrong with it
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno; cbulk_eboiv_dtr() undoes whatever was done.
 */
int cbulk_eboiv_ctr(struct cbulk_cipher *cipher, char **error)
{
	struct crypto_sync_skcipher *twin;
	struct crypto_skcipher *tfm;

	if (cipher->aead) {
		*error = "AEAD transforms not supported for EBOIV";
		return -EINVAL;
	}
	tfm = cipher->tfms[0];
	if (crypto_skcipher_blocksize(tfm) != cipher->iv_size ||
	    cipher->iv_size > MAX_CIPHER_BLOCKSIZE) {
		*error = "Block size of EBOIV cipher does not match IV size of block cipher";
		return -EINVAL;
	}

	/*
	 * IVs are also needed in softirq, where an asynchronous driver cannot be waited for. Any
	 * driver of the same algorithm gives the same result, so take one that works at once.
	 */
	twin = crypto_alloc_sync_skcipher(crypto_skcipher_alg(tfm)->base.cra_name, 0,
					  CRYPTO_ALG_ALLOCATES_MEMORY);
	if (IS_ERR(twin)) {
		*error = "EBOIV needs a synchronous driver of the cipher";
		return PTR_ERR(twin);
	}
	cipher->eboiv_tfm = twin;
	return 0;
}

/**
 * cbulk_eboiv_dtr() - free the twin
 * @cipher: the cipher; may be without a twin
 */
void cbulk_eboiv_dtr(struct cbulk_cipher *cipher)
{
	if (cipher->eboiv_tfm)
		crypto_free_sync_skcipher(cipher->eboiv_tfm);
	cipher->eboiv_tfm = NULL;
}

/**
 * cbulk_eboiv_set_key() - give the twin the key of the first transform
 * @cipher: the cipher, its key set
 *
 * Return: 0 or what the twin says of the key.
 */
int cbulk_eboiv_set_key(struct cbulk_cipher *cipher)
{
	return crypto_sync_skcipher_setkey(cipher->eboiv_tfm, cipher->key,
					   cbulk_subkey_size(cipher));
}

/**
 * cbulk_eboiv_generate() - encrypt the byte offset of a sector
 * @cipher: the cipher
 * @iv: gets cipher->iv_size bytes
 * @iv_sector: what the offset is computed from
 *
 * One block of zeros is encrypted under the byte offset as IV: in CBC that is the offset itself.
 *
 * Context: any but hard interrupts.
 * Return: 0 or a negative errno of the cipher.
 */
int cbulk_eboiv_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
{
	SYNC_SKCIPHER_REQUEST_ON_STACK(req, cipher->eboiv_tfm);
	u8 offset[MAX_CIPHER_BLOCKSIZE] __aligned(MAX_CIPHER_BLOCKSIZE) = {};
	struct scatterlist zeros, dst;
	int ret;

	*(__le64 *)offset = cpu_to_le64(iv_sector * cipher->unit_size);
	sg_init_table(&zeros, 1);
	sg_set_page(&zeros, ZERO_PAGE(0), cipher->iv_size, 0);
	sg_init_one(&dst, iv, cipher->iv_size);

	skcipher_request_set_sync_tfm(req, cipher->eboiv_tfm);
	skcipher_request_set_callback(req, 0, NULL, NULL);
	skcipher_request_set_crypt(req, &zeros, &dst, cipher->iv_size, offset);
	ret = crypto_skcipher_encrypt(req);
	skcipher_request_zero(req);
	return ret;
}

const struct cbulk_iv_ops cbulk_iv_eboiv_ops = {
	.name = "eboiv",
	.ctr = cbulk_eboiv_ctr,
	.dtr = cbulk_eboiv_dtr,
	.set_key = cbulk_eboiv_set_key,
	.wipe = cbulk_eboiv_set_key,
	.generate = cbulk_eboiv_generate,
};
