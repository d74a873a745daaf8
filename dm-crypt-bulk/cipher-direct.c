// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver behind a wrapper.
 *
 * Drivers that compute in vector registers cannot be used where these are somebody else's. On older
 * kernels the crypto API therefore puts a wrapper around them (crypto/simd.c), which for every
 * request looks where it is, copies the request, and gives it to the driver or to a thread. We know
 * where we are for a whole bio, and ask the driver ourselves.
 *
 * The wrapper of "__NAME" is called "NAME", both as drivers. Where there is no wrapper, or nothing
 * behind it that works at once, there is nothing to gain and nothing lost.
 */
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/* The same goes for the names of what they compute: nobody else's "__NAME" is taken for it. */
static bool is_behind(const struct crypto_alg *direct, const struct crypto_alg *wrapper)
{
	const size_t prefix = str_has_prefix(direct->cra_name, "__");

	return prefix && !strcmp(direct->cra_name + prefix, wrapper->cra_name);
}

static struct crypto_skcipher *alloc_direct(struct crypto_skcipher *wrapper)
{
	/* A wrapper may finish later, which is how it is told from the drivers that need none. */
	const u32 mask = CRYPTO_ALG_INTERNAL | CRYPTO_ALG_ASYNC | CRYPTO_ALG_ALLOCATES_MEMORY;
	const struct crypto_alg *alg = crypto_skcipher_tfm(wrapper)->__crt_alg;
	struct crypto_skcipher *direct;
	char name[CRYPTO_MAX_ALG_NAME];

	if (!(alg->cra_flags & CRYPTO_ALG_ASYNC) ||
	    snprintf(name, sizeof(name), "__%s", alg->cra_driver_name) >= (int)sizeof(name))
		return NULL;
	direct = crypto_alloc_skcipher(name, CRYPTO_ALG_INTERNAL, mask);
	if (IS_ERR(direct))
		return NULL;
	if (is_behind(crypto_skcipher_tfm(direct)->__crt_alg, alg) &&
	    crypto_skcipher_ivsize(direct) == crypto_skcipher_ivsize(wrapper) &&
	    crypto_skcipher_blocksize(direct) == crypto_skcipher_blocksize(wrapper))
		return direct;
	crypto_free_skcipher(direct);
	return NULL;
}

/**
 * cbulk_direct_init() - look for the drivers behind the transforms of a cipher
 * @cipher: the cipher, with its transforms, before they get their keys
 *
 * Fills cipher->direct for all transforms, or leaves it NULL. What sets keys sets them there too.
 *
 * Context: process context, may sleep, may load modules.
 */
void cbulk_direct_init(struct cbulk_cipher *cipher)
{
	unsigned int i;

	cipher->direct = kcalloc(cipher->tfms_count, sizeof(*cipher->direct), GFP_KERNEL);
	for (i = 0; cipher->direct && i < cipher->tfms_count; i++) {
		cipher->direct[i] = alloc_direct(cipher->tfms[i]);
		if (!cipher->direct[i])
			cbulk_direct_exit(cipher);
	}
}

/**
 * cbulk_direct_exit() - free the drivers, and with them their keys
 * @cipher: the cipher; cipher->tfms_count is still what it was
 */
void cbulk_direct_exit(struct cbulk_cipher *cipher)
{
	unsigned int i;

	for (i = 0; cipher->direct && i < cipher->tfms_count; i++)
		crypto_free_skcipher(cipher->direct[i]);
	kfree(cipher->direct);
	cipher->direct = NULL;
}
