// SPDX-License-Identifier: GPL-2.0-only
/* The key of a mapping: from a table line or message into the cipher, and wiped from memory. */
#include <crypto/authenc.h>
#include <linux/ctype.h>
#include <linux/random.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/* How often a key that is to displace another is drawn anew when the cipher refuses it. */
#define WIPE_TRIES 4

/* The size in ":<size>:<type>:<description>", without the first colon; a size that fits. */
static int parse_keyring_size(const char *text)
{
	const char *end = strchr(text, ':');
	u64 size;

	if (!IS_ENABLED(CONFIG_KEYS) || !end ||
	    cbulk_table_number_before(text, end, INT_MAX, &size))
		return -EINVAL;
	return size;
}

/**
 * cbulk_key_size() - how long is the key of a table line or message?
 * @text: the key argument: hexadecimal digits, ":<size>:<type>:<description>" of a key in the
 *	kernel's keyring, or "-" for a cipher that takes no key
 * @error: what was wrong with it
 *
 * Whether there is such a key is not looked at.
 *
 * Return: bytes, 0 for no key, -EINVAL for a size that is none, -ENOMEM for one that nothing in
 * the kernel could hold.
 */
int cbulk_key_size(const char *text, char **error)
{
	size_t size;

	if (*text == ':') {
		int ret = parse_keyring_size(text + 1);

		if (ret < 0) {
			*error = "Cannot parse key size";
			return ret;
		}
		size = ret;
	} else {
		size = strlen(text) / 2;
	}

	/* Nothing but the line says that there are so many bytes. */
	if (size > KMALLOC_MAX_SIZE) {
		*error = "Cannot allocate encryption context";
		return -ENOMEM;
	}
	return size;
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

	blob = kmalloc(sizeof(*blob) + key_size, CBULK_GFP_USER_SIZED);
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

	if (cipher->key_extra_size > cipher->key_size)
		return -EINVAL;
	if (cipher->aead && cipher->mac_size)
		return set_authenc_key(cipher);
	if (cipher->aead)
		return crypto_aead_setkey(cipher->aead, cipher->key, subkey_size);

	for (i = 0; i < cipher->tfms_count; i++) {
		const u8 *key = cipher->key + i * subkey_size;
		int ret = crypto_skcipher_setkey(cipher->tfms[i], key, subkey_size);

		if (!ret && cipher->direct)
			ret = crypto_skcipher_setkey(cipher->direct[i], key, subkey_size);
		if (ret)
			return ret;
	}
	return 0;
}

/* The name of a key is printed in the table line, in which spaces separate arguments. */
static int check_name(const char *name)
{
	for (; *name; name++) {
		if (isspace(*name)) {
			DMERR("whitespace chars not allowed in key string");
			return -EINVAL;
		}
	}
	return 0;
}

/* A key of the kernel's keyring: its name, and a copy of what it holds. */
static int fetch_key(struct cbulk_key_source *source, const char *name, unsigned int size)
{
	int ret;

	source->name = kstrdup(name, CBULK_GFP_USER_SIZED);
	source->payload = kmalloc(size, CBULK_GFP_USER_SIZED);
	if (!source->name || !source->payload)
		return -ENOMEM;
	ret = check_name(source->name);
	if (ret)
		return ret;
	return cbulk_keyring_get(source->name, source->payload, size);
}

/**
 * cbulk_key_source_init() - find the key that an argument stands for
 * @source: gets it; @text belongs to the caller and has to outlive it
 * @text: the key argument
 * @size: what cbulk_key_size() said of it
 *
 * Context: process context, may sleep; may wait for a key that somebody is about to make. Not under
 * a lock that a resume takes.
 * Return: 0 or a negative errno; cbulk_key_source_exit() undoes it only after 0.
 */
int cbulk_key_source_init(struct cbulk_key_source *source, const char *text, unsigned int size)
{
	int ret = 0;

	/* A size of 0 means that there is no key, which is written in one way only. */
	if (!size && strcmp(text, "-"))
		return -EINVAL;

	*source = (struct cbulk_key_source){ .text = text };
	/* Its size has been parsed, so there is a second colon. */
	if (*text == ':')
		ret = fetch_key(source, strchr(text + 1, ':') + 1, size);
	if (ret)
		cbulk_key_source_exit(source);
	return ret;
}

/**
 * cbulk_key_source_exit() - let go of a key that was found
 * @source: the key
 */
void cbulk_key_source_exit(struct cbulk_key_source *source)
{
	kfree_sensitive(source->payload);
	kfree(source->name);
}

static int load_keyring_key(struct cbulk_cipher *cipher, struct cbulk_key_source *source)
{
	int ret;

	memcpy(cipher->key, source->payload, cipher->key_size);
	ret = set_tfm_keys(cipher);
	/* As in the stock target, the last name that was any good goes on being printed. */
	if (!ret)
		swap(cipher->key_name, source->name);
	return ret;
}

static int load_hex_key(struct cbulk_cipher *cipher, const char *digits)
{
	kfree(cipher->key_name);
	cipher->key_name = NULL;
	if (hex2bin(cipher->key, digits, cipher->key_size))
		return -EINVAL;
	return set_tfm_keys(cipher);
}

/* The key into cipher->key and into the transforms, but not yet into the IV mode. */
static int load_key(struct cbulk_cipher *cipher, struct cbulk_key_source *source)
{
	WRITE_ONCE(cipher->key_valid, false);
	return source->payload ? load_keyring_key(cipher, source) :
				 load_hex_key(cipher, source->text);
}

/**
 * cbulk_key_set() - give a new cipher its key
 * @cipher: the cipher, with its transforms and room for the key
 * @text: the key argument of the table line, of which cbulk_key_size() told the size
 *
 * The IV mode has still to be given the key, and cbulk_key_settle() to be called.
 *
 * Context: process context, may sleep; no I/O may be under way.
 * Return: 0, -EINVAL for anything that is no key, or what the keyring or the cipher says of it.
 */
int cbulk_key_set(struct cbulk_cipher *cipher, const char *text)
{
	struct cbulk_key_source source;
	int ret;

	ret = cbulk_key_source_init(&source, text, cipher->key_size);
	if (ret)
		return ret;
	ret = load_key(cipher, &source);
	cbulk_key_source_exit(&source);
	if (ret && !strcmp(text, "-"))
		DMERR("the key is missing; while %s is Y, - is printed in its place",
		      "/sys/module/dm_crypt_bulk/parameters/hide_keys");
	return ret;
}

/**
 * cbulk_key_settle() - the cipher and its IV mode have taken the key
 * @cipher: the cipher, which may be used from now on
 */
void cbulk_key_settle(struct cbulk_cipher *cipher)
{
	/* A key that the keyring keeps needs no second copy to print it from. */
	if (cipher->key_name)
		memzero_explicit(cipher->key, cipher->key_size);
	WRITE_ONCE(cipher->key_valid, true);
}

/*
 * Take the key out of the cipher. A transform cannot be told to forget its key: it gets a random
 * one that nobody knows.
 */
static int forget_key(struct cbulk_cipher *cipher)
{
	const struct cbulk_iv_ops *ops = cipher->iv_ops;
	int tries = WIPE_TRIES, ret;

	/* A weak key is refused, and would leave the old one in place: there are few of them. */
	do {
		int iv_ret = 0;

		get_random_bytes(cipher->key, cipher->key_size);
		ret = set_tfm_keys(cipher);
		if (ops && ops->wipe)
			iv_ret = ops->wipe(cipher);
		ret = ret ?: iv_ret;
	} while (ret && --tries);

	memzero_explicit(cipher->key, cipher->key_size);
	return ret;
}

/**
 * cbulk_key_replace() - give a cipher another key
 * @cipher: the cipher of a mapping
 * @source: the key, of the same size
 *
 * If the cipher refuses the key, or its digits are none, the cipher is left without one.
 *
 * Context: process context, may sleep, under key_lock; no I/O may be under way.
 * Return: 0, -EINVAL for anything that is no key, or what the cipher says of it.
 */
int cbulk_key_replace(struct cbulk_cipher *cipher, struct cbulk_key_source *source)
{
	const struct cbulk_iv_ops *ops = cipher->iv_ops;
	int ret;

	ret = load_key(cipher, source);
	if (!ret && ops && ops->set_key)
		ret = ops->set_key(cipher);
	if (ret)
		forget_key(cipher);
	else
		cbulk_key_settle(cipher);
	return ret;
}

/**
 * cbulk_key_wipe() - take the key from a cipher
 * @cipher: the cipher of a mapping
 *
 * Context: process context, may sleep, under key_lock; no I/O may be under way.
 * Return: 0, or what the cipher or the IV mode says of the last of several random keys that took
 * the place of its own.
 */
int cbulk_key_wipe(struct cbulk_cipher *cipher)
{
	WRITE_ONCE(cipher->key_valid, false);
	kfree(cipher->key_name);
	cipher->key_name = NULL;
	return forget_key(cipher);
}

/**
 * cbulk_key_exit() - wipe and free the key
 * @cipher: the cipher; may be without a key
 */
void cbulk_key_exit(struct cbulk_cipher *cipher)
{
	kfree_sensitive(cipher->key);
	cipher->key = NULL;
	kfree(cipher->key_name);
	cipher->key_name = NULL;
	cipher->key_valid = false;
}
