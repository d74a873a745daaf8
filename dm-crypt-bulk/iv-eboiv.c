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

static int eboiv_ctr(struct cbulk_cipher *cipher, char **error)
{
	struct crypto_skcipher *tfm = cipher->tfms[0];
	struct crypto_sync_skcipher *twin;

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

static void eboiv_dtr(struct cbulk_cipher *cipher)
{
	if (cipher->eboiv_tfm)
		crypto_free_sync_skcipher(cipher->eboiv_tfm);
	cipher->eboiv_tfm = NULL;
}

static int eboiv_set_key(struct cbulk_cipher *cipher)
{
	return crypto_sync_skcipher_setkey(cipher->eboiv_tfm, cipher->key,
					   cipher->key_size / cipher->tfms_count);
}

/* One block of zeros, encrypted under the byte offset as IV: in CBC that is the offset itself. */
static int eboiv_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
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
	.ctr = eboiv_ctr,
	.dtr = eboiv_dtr,
	.set_key = eboiv_set_key,
	.generate = eboiv_generate,
};
