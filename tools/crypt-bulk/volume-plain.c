// SPDX-License-Identifier: GPL-2.0-only
/* Plain volumes: no header, all is on the command line, and any passphrase makes a key. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypt-bulk.h"

static int check_options(const struct options *options)
{
	int64_t unit = options->sector_size;

	if (!options->cipher || options->key_size <= 0)
		return say_error(-EINVAL, "a plain volume needs --cipher and --key-size, as they "
				 "were when it was made: cryptsetup's defaults have changed");
	if (options->key_size % 8 || options->key_size > 4096)
		return say_error(-EINVAL, "--key-size: a multiple of 8 bits, up to 4096");
	if (unit >= 0 && (unit < SECTOR || unit > 4096 || unit & (unit - 1)))
		return say_error(-EINVAL, "--sector-size: 512, 1024, 2048 or 4096");
	if (options->header || options->token_only || options->token_id >= 0 ||
	    options->key_slot >= 0 || options->persistent || options->no_journal)
		return say_error(-EINVAL, "a plain volume has no header, slots, tokens, journal "
				 "or flags kept in it");
	if (options->test_passphrase)
		return say_error(-EINVAL, "a plain volume cannot tell a wrong passphrase");
	return 0;
}

/**
 * plain_load() - take from the command line what a plain volume is
 * @volume: gets it
 * @options: the command line
 */
int plain_load(struct volume *volume, const struct options *options)
{
	int ret;

	ret = check_options(options);
	if (ret)
		return ret;
	volume->type = CRYPT_PLAIN;
	ret = volume_set_cipher(volume, options->cipher);
	if (ret)
		return ret;
	volume->key.size = options->key_size / 8;
	volume->sector_size = options->sector_size > 0 ? options->sector_size : SECTOR;
	volume->offset = options->offset > 0 ? options->offset : 0;
	volume->iv_offset = options->skip > 0 ? options->skip : 0;
	volume->sectors = options->size > 0 ? options->size : 0;
	if (options->size == 0)
		return say_error(-EINVAL, "--size: 0 sectors are no volume");
	return 0;
}

static int read_key(struct volume *volume, const char *path, int64_t offset)
{
	return key_file_read(&volume->key.raw, path, offset, volume->key.size);
}

static int hash_passphrase(struct volume *volume, const char *hash,
			   const struct secret *passphrase)
{
	struct crypt_params_plain params = { .hash = hash, .sector_size = SECTOR };
	size_t size = volume->key.size;
	struct crypt_device *cd;
	int ret;

	/* The cipher does not enter into it, so one that libcryptsetup surely takes will do. */
	ret = crypt_init(&cd, NULL);
	if (!ret) {
		ret = crypt_format(cd, CRYPT_PLAIN, "aes", "xts-plain64", NULL, NULL, size,
				   &params);
		if (!ret)
			ret = secret_alloc(&volume->key.raw, size);
		if (!ret)
			ret = crypt_volume_key_get(cd, CRYPT_ANY_SLOT, volume->key.raw.data, &size,
						   passphrase->data, passphrase->size);
		crypt_free(cd);
	}
	if (ret < 0) {
		secret_free(&volume->key.raw);
		return say_error(-EINVAL, "no key of %u bits from hash %s", volume->key.size * 8,
				 hash);
	}
	volume->key.raw.size = size;
	return 0;
}

/**
 * plain_unlock() - make the key
 * @volume: the volume, of which the key's size is known
 * @options: a key file is the key, as it is; a passphrase goes through the hash
 */
int plain_unlock(struct volume *volume, const struct options *options)
{
	struct secret passphrase;
	int ret;

	if (options->volume_key_file)
		return read_key(volume, options->volume_key_file, -1);
	if (options->key_file && strcmp(options->key_file, "-"))
		return read_key(volume, options->key_file, options->keyfile_offset);
	if (!options->hash)
		return say_error(-EINVAL, "a passphrase needs --hash, as it was when the volume "
				 "was made: cryptsetup's defaults have changed");
	ret = passphrase_read(&passphrase, options, volume->device);
	if (ret)
		return ret;
	ret = hash_passphrase(volume, options->hash, &passphrase);
	secret_free(&passphrase);
	return ret;
}
