// SPDX-License-Identifier: GPL-2.0-only
/* The key of a mapping: from the table line into the cipher, and wiped from memory. */
#include <crypto/authenc.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/**
 * cbulk_key_size() - how long is the key of a table line?
 * @key: the key argument: hexadecimal digits, or "-" for a cipher that takes no key
 * @error: what was wrong with it
 *
 * Return: bytes, 0 for no key, or -EINVAL.
 */
int cbulk_key_size(const char *key, char **error)
{
	if (*key == ':') {
		*error = "Keyring keys are not supported by crypt-bulk yet, use the crypt target";
		return -EINVAL;
	}
	return strlen(key) / 2;
}

/* authenc() takes both keys in one, in the form that crypto/authenc.h describes. */
static int set_authenc_key(const struct cbulk_cipher *cipher)
{
	unsigned int key_size = cbulk_subkey_size(cipher);
	unsigned int cipher_size = key_size - cipher->mac_size;
	struct {
		struct rtattr header;
		struct crypto_authenc_key_param param;
	} *blob;
	u8 *keys;
	int ret;

	static_assert(sizeof(*blob) == RTA_SPACE(sizeof(struct crypto_authenc_key_param)));
	if (key_size < cipher->mac_size)
		return -EINVAL;

	blob = kmalloc(sizeof(*blob) + key_size, GFP_KERNEL);
	if (!blob)
		return -ENOMEM;
	blob->header.rta_len = RTA_LENGTH(sizeof(blob->param));
	blob->header.rta_type = CRYPTO_AUTHENC_KEYA_PARAM;
	blob->param.enckeylen = cpu_to_be32(cipher_size);
	keys = (u8 *)(blob + 1);
	memcpy(keys, cipher->key + cipher_size, cipher->mac_size);
	memcpy(keys + cipher->mac_size, cipher->key, cipher_size);

	ret = crypto_aead_setkey(cipher->aead, (u8 *)blob, sizeof(*blob) + key_size);
	kfree_sensitive(blob);
	return ret;
}

static int set_tfm_keys(struct cbulk_cipher *cipher)
{
	unsigned int subkey_size = cbulk_subkey_size(cipher);
	unsigned int i;

	if (cipher->aead && cipher->mac_size)
		return set_authenc_key(cipher);
	if (cipher->aead)
		return crypto_aead_setkey(cipher->aead, cipher->key, subkey_size);

	for (i = 0; i < cipher->tfms_count; i++) {
		int ret = crypto_skcipher_setkey(cipher->tfms[i], cipher->key + i * subkey_size,
						 subkey_size);

		if (ret)
			return ret;
	}
	return 0;
}

/**
 * cbulk_key_set() - give the cipher its key
 * @cipher: the cipher, with its transforms and room for the key
 * @key: the key argument of the table line, of which cbulk_key_size() told the size
 *
 * Context: process context, may sleep; no I/O may be under way.
 * Return: 0, -EINVAL for anything that is no key, or what the cipher says of it.
 */
int cbulk_key_set(struct cbulk_cipher *cipher, const char *key)
{
	if (!cipher->key_size && strcmp(key, "-"))
		return -EINVAL;
	if (hex2bin(cipher->key, key, cipher->key_size))
		return -EINVAL;
	return set_tfm_keys(cipher);
}

/**
 * cbulk_key_exit() - wipe and free the key
 * @cipher: the cipher; may be without a key
 */
void cbulk_key_exit(struct cbulk_cipher *cipher)
{
	kfree_sensitive(cipher->key);
	cipher->key = NULL;
}
