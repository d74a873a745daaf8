// SPDX-License-Identifier: GPL-2.0-only
/* The key of a mapping: from the table line into the cipher, and wiped from memory. */
#include <linux/log2.h>
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

static int set_tfm_keys(struct cbulk_cipher *cipher)
{
	unsigned int subkey_size = cipher->key_size >> ilog2(cipher->tfms_count);
	unsigned int i;

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
