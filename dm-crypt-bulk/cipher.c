// SPDX-License-Identifier: GPL-2.0-only
/* From the cipher argument of a table line to transforms that have their keys. */
#include <crypto/hash.h>
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/stdarg.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/* Without a key there is nothing else to bound the number of keys of a keyless cipher by. */
#define MAX_KEYLESS_TFMS 64

/*
 * The size of a key in the keyring is not known to be true before the key is looked up, which
 * comes later. No such key has more than 32767 bytes.
 */
#define MAX_TFMS 16384

/* The notation of the crypto API has no place for a number of keys; Loop-AES has always 64. */
#define LMK_KEYS 64

/**
 * struct spec - a cipher argument taken apart; the strings point into the caller's copy of it
 * @algorithm: name of the algorithm for the crypto API, in @composed or in that copy
 * @composed: room for a name that has to be put together
 * @keys: number of keys
 * @iv_mode: name of the IV mode, or NULL
 * @iv_options: what follows it after a colon, or NULL
 */
struct spec {
	const char *algorithm;
	char composed[CRYPTO_MAX_ALG_NAME];
	unsigned int keys;
	const char *iv_mode;
	const char *iv_options;
};

static bool is_essiv(const struct spec *spec)
{
	return spec->iv_mode && !strcmp(spec->iv_mode, "essiv");
}

static int check_essiv_digest(const struct spec *spec, char **error)
{
	if (!is_essiv(spec) || spec->iv_options)
		return 0;
	*error = "Digest algorithm missing for ESSIV mode";
	return -EINVAL;
}

static __printf(2, 3) int compose_algorithm(struct spec *spec, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(spec->composed, sizeof(spec->composed), format, args);
	va_end(args);
	spec->algorithm = spec->composed;
	return len < (int)sizeof(spec->composed) ? 0 : -ENOMEM;
}

/*
 * capi:<crypto API algorithm>-<iv mode>[:<iv options>], parsed from its end because the name of
 * an algorithm may itself contain a dash.
 */
static int parse_capi(struct spec *spec, char *text, char **error)
{
	char *options = strrchr(text, ':');
	char *mode;
	int ret;

	if (options)
		*options++ = '\0';
	mode = strrchr(text, '-');
	if (mode)
		*mode++ = '\0';

	spec->keys = mode && !strcmp(mode, "lmk") ? LMK_KEYS : 1;
	spec->iv_mode = mode;
	spec->iv_options = options;
	ret = check_essiv_digest(spec, error);
	if (ret)
		return ret;

	spec->algorithm = text;
	if (is_essiv(spec))
		ret = compose_algorithm(spec, "essiv(%s,%s)", text, options);
	if (ret)
		*error = "Cannot allocate cipher string";
	return ret;
}

static int parse_key_count(struct spec *spec, const char *text, char **error)
{
	u64 keys = 1;

	if (!text || (!cbulk_table_number(text, UINT_MAX, &keys) && is_power_of_2(keys))) {
		spec->keys = keys;
		return 0;
	}
	*error = "Bad cipher key count specification";
	return -EINVAL;
}

/* <cipher>[:<keys>]-<chain mode>-<iv mode>[:<iv options>] */
static int parse_classic(struct spec *spec, char *text, char **error)
{
	const char *cipher, *chain_mode;
	char *keys;
	int ret;

	if (strchr(text, '(')) {
		*error = "Bad cipher specification";
		return -EINVAL;
	}

	keys = strsep(&text, "-");
	cipher = strsep(&keys, ":");
	chain_mode = strsep(&text, "-");
	spec->iv_mode = strsep(&text, ":");
	spec->iv_options = text;

	ret = parse_key_count(spec, keys, error);
	if (ret)
		return ret;

	/* The oldest lines name nothing but the cipher, or "plain" for the IV behind it. */
	if (!chain_mode || (!strcmp(chain_mode, "plain") && !spec->iv_mode)) {
		chain_mode = "cbc";
		spec->iv_mode = "plain";
	}
	if (strcmp(chain_mode, "ecb") && !spec->iv_mode) {
		*error = "IV mechanism required";
		return -EINVAL;
	}
	ret = check_essiv_digest(spec, error);
	if (ret)
		return ret;

	if (is_essiv(spec))
		ret = compose_algorithm(spec, "essiv(%s(%s),%s)", chain_mode, cipher,
					spec->iv_options);
	else
		ret = compose_algorithm(spec, "%s(%s)", chain_mode, cipher);
	if (ret)
		*error = "Cannot allocate cipher strings";
	return ret;
}

static int parse_spec(struct spec *spec, char *text, bool authenticated, char **error)
{
	size_t prefix = str_has_prefix(text, "capi:");

	if (prefix)
		return parse_capi(spec, text + prefix, error);
	if (!authenticated)
		return parse_classic(spec, text, error);
	*error = "Bad cipher specification";
	return -EINVAL;
}

static int alloc_tfms(struct cbulk_cipher *cipher, const struct spec *spec, char **error)
{
	const char *name = spec->algorithm;
	unsigned int i;

	/* Every key takes a byte at least, so the key bounds what is allocated here. */
	if (spec->keys > max_t(unsigned int, cipher->key_size, MAX_KEYLESS_TFMS) ||
	    spec->keys > MAX_TFMS) {
		*error = "Bad cipher key count specification";
		return -EINVAL;
	}

	*error = "Error allocating crypto tfm";
	cipher->tfms = kcalloc(spec->keys, sizeof(*cipher->tfms), GFP_KERNEL);
	if (!cipher->tfms)
		return -ENOMEM;

	for (i = 0; i < spec->keys; i++) {
		struct crypto_skcipher *tfm;

		/* A driver that allocates memory for a request could deadlock writeback. */
		tfm = crypto_alloc_skcipher(name, 0, CRYPTO_ALG_ALLOCATES_MEMORY);
		if (IS_ERR(tfm))
			return PTR_ERR(tfm);
		cipher->tfms[i] = tfm;
		cipher->tfms_count = i + 1;
		/* Also if a better one comes meanwhile: choose_engine() looks at the first only. */
		name = crypto_skcipher_alg(cipher->tfms[0])->base.cra_driver_name;
	}

	/* Performance differs tenfold between drivers: say which one it is. */
	DMDEBUG_LIMIT("%s using implementation \"%s\"", spec->algorithm, name);
	cipher->iv_size = crypto_skcipher_ivsize(cipher->tfms[0]);
	return 0;
}

/* How much of the key is the MAC's: as much as it puts out, unless the table line said. */
static int find_mac_size(struct cbulk_cipher *cipher, const char *algorithm)
{
	size_t prefix = str_has_prefix(algorithm, "authenc(");
	const char *end = strchr(algorithm, ',');
	struct crypto_ahash *mac;
	char *name;

	if (!prefix)
		return cipher->mac_size_set ? -EINVAL : 0;
	if (!end)
		return -EINVAL;

	name = kmemdup_nul(algorithm + prefix, end - algorithm - prefix, CBULK_GFP_USER_SIZED);
	if (!name)
		return -ENOMEM;
	mac = crypto_alloc_ahash(name, 0, CRYPTO_ALG_ALLOCATES_MEMORY);
	kfree(name);
	if (IS_ERR(mac))
		return PTR_ERR(mac);
	if (!cipher->mac_size_set)
		cipher->mac_size = crypto_ahash_digestsize(mac);
	crypto_free_ahash(mac);
	return 0;
}

static int alloc_aead(struct cbulk_cipher *cipher, const struct spec *spec, const char *bare,
		      char **error)
{
	struct crypto_aead *aead;
	int ret = find_mac_size(cipher, bare);

	if (ret) {
		*error = "Invalid AEAD cipher spec";
		return ret;
	}
	if (spec->keys > 1) {
		*error = "AEAD transforms not supported for LMK";
		return -EINVAL;
	}

	aead = crypto_alloc_aead(spec->algorithm, 0, CRYPTO_ALG_ALLOCATES_MEMORY);
	if (IS_ERR(aead)) {
		*error = "Error allocating crypto tfm";
		return PTR_ERR(aead);
	}
	DMDEBUG_LIMIT("%s using implementation \"%s\"", spec->algorithm,
		      crypto_tfm_alg_driver_name(crypto_aead_tfm(aead)));
	cipher->aead = aead;
	cipher->tfms_count = 1;
	cipher->iv_size = crypto_aead_ivsize(aead);
	/* The stock target's layout has a piece of no length then, at which hashing ends. */
	if (!cipher->iv_size) {
		*error = "AEAD transforms without an IV not supported";
		return -EINVAL;
	}
	return 0;
}

static int find_iv(struct cbulk_cipher *cipher, const struct spec *spec, char **error)
{
	int ret;

	cipher->key_parts = cipher->tfms_count;
	if (!cipher->iv_size) {
		if (spec->iv_mode)
			DMWARN("Selected cipher does not support IVs");
		return 0;
	}

	/* Every mode may store a 64-bit number, whatever the cipher then reads of it. */
	cipher->iv_size = max_t(unsigned int, cipher->iv_size, sizeof(u64));
	/* The IV would be what memory held before: what is written so can never be read again. */
	if (!spec->iv_mode) {
		*error = "IV mechanism required";
		return -EINVAL;
	}
	ret = cbulk_iv_find(spec->iv_mode, &cipher->iv_ops, error);
	if (ret)
		return ret;
	cipher->iv_is_le64 = cipher->iv_ops->le64 && cipher->iv_size == 2 * sizeof(u64);
	return cipher->iv_ops->layout ? cipher->iv_ops->layout(cipher, error) : 0;
}

static int construct_iv(struct cbulk_cipher *cipher, char **error)
{
	const struct cbulk_iv_ops *ops = cipher->iv_ops;
	int ret = 0;

	if (ops && ops->ctr) {
		*error = "Error creating IV";
		ret = ops->ctr(cipher, error);
	}
	if (!ret && ops && ops->set_key) {
		*error = "Error initialising IV";
		ret = ops->set_key(cipher);
	}
	return ret;
}

static int init_from_spec(struct cbulk_cipher *cipher, char *text, char *key, char **error)
{
	struct spec spec = {};
	int ret;

	ret = parse_spec(&spec, text, cipher->authenticated, error);
	if (ret)
		return ret;
	ret = cipher->authenticated ? alloc_aead(cipher, &spec, text + strlen("capi:"), error) :
				      alloc_tfms(cipher, &spec, error);
	if (ret)
		return ret;
	ret = find_iv(cipher, &spec, error);
	if (ret)
		return ret;
	if (cbulk_cipher_is_plain(cipher))
		cbulk_direct_init(cipher);

	ret = cbulk_key_set(cipher, key);
	if (ret) {
		*error = "Error decoding and setting key";
		return ret;
	}
	ret = construct_iv(cipher, error);
	if (!ret)
		cbulk_key_settle(cipher);
	return ret;
}

/**
 * cbulk_cipher_init() - make the cipher of a mapping ready for use
 * @cipher: zeroed but for key_size and the settings that the options of the table line made
 * @text: the cipher argument of the table line
 * @key: its key argument
 * @error: what was wrong with them
 *
 * Context: process context, may sleep, may load modules.
 * Return: 0 or a negative errno; cbulk_cipher_exit() undoes whatever was done.
 */
int cbulk_cipher_init(struct cbulk_cipher *cipher, const char *text, char *key, char **error)
{
	char *copy;
	int ret;

	*error = "Cannot allocate cipher strings";
	cipher->key = kzalloc(max_t(size_t, cipher->key_size, 1), CBULK_GFP_USER_SIZED);
	cipher->spec = kstrdup(text, CBULK_GFP_USER_SIZED);
	copy = kstrdup(text, CBULK_GFP_USER_SIZED);
	if (!cipher->key || !cipher->spec || !copy)
		ret = -ENOMEM;
	else
		ret = init_from_spec(cipher, copy, key, error);
	kfree(copy);
	return ret;
}

/**
 * cbulk_cipher_exit() - free a cipher and wipe its key
 * @cipher: the cipher, complete or as far as cbulk_cipher_init() came
 */
void cbulk_cipher_exit(struct cbulk_cipher *cipher)
{
	unsigned int i;

	if (cipher->iv_ops && cipher->iv_ops->dtr)
		cipher->iv_ops->dtr(cipher);
	cipher->iv_ops = NULL;

	cbulk_direct_exit(cipher);
	for (i = 0; cipher->tfms && i < cipher->tfms_count; i++)
		crypto_free_skcipher(cipher->tfms[i]);
	kfree(cipher->tfms);
	cipher->tfms = NULL;
	cipher->tfms_count = 0;
	crypto_free_aead(cipher->aead);
	cipher->aead = NULL;

	kfree(cipher->spec);
	cipher->spec = NULL;
	kfree(cipher->tag_type);
	cipher->tag_type = NULL;
	cbulk_key_exit(cipher);
}
