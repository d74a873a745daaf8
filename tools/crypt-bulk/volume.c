// SPDX-License-Identifier: GPL-2.0-only
/* A volume: what its header says of it, and its key. What is LUKS1's only is here too. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "crypt-bulk.h"

/* Bytes: what the library reads at once, more than LUKS1's header has and less than LUKS2's */
#define LEAST_HEADER	4096

static const struct {
	const char *option;
	const char *type;
} luks_types[] = {
	{ "luks", CRYPT_LUKS },
	{ "luks1", CRYPT_LUKS1 },
	{ "luks2", CRYPT_LUKS2 },
};

/* What the library would call a missing block device, or an I/O error. */
static int check_header(const char *header)
{
	struct stat found;

	if (stat(header, &found))
		return say_error(errno == EACCES ? -EINVAL : -ENODEV, "--header %s: %s", header,
				 strerror(errno));
	if (!S_ISBLK(found.st_mode) && !S_ISREG(found.st_mode))
		return say_error(-ENOTBLK, "--header %s is neither a block device nor a file",
				 header);
	if (S_ISREG(found.st_mode) && found.st_size < LEAST_HEADER)
		return say_error(-EINVAL, "--header %s is too short for a LUKS header: %lld bytes",
				 header, (long long)found.st_size);
	return 0;
}

static int load_header(struct volume *volume, const char *type, const struct options *options)
{
	const char *header = options->header ? options->header : volume->device;
	int ret = options->header ? check_header(header) : 0;

	if (ret)
		return ret;
	if (options->header)
		ret = crypt_init_data_device(&volume->cd, header, volume->device);
	else
		ret = crypt_init(&volume->cd, header);
	if (ret)
		return say_error(ret == -ENOENT ? -ENODEV : ret, "%s cannot be used: %s", header,
				 strerror(-ret));
	ret = crypt_load(volume->cd, type, NULL);
	if (!ret)
		return 0;
	if (ret == -EINVAL || ret == -ENOENT)
		return say_error(-EINVAL, "%s is not a %s device%s", header, type ? type : "LUKS",
				 options->header ? "" : "; where is its --header, if it has one?");
	return say_error(ret, "the header of %s cannot be read: %s", header, strerror(-ret));
}

/* One device, whatever paths lead to it */
static bool is_same_device(const char *one, const char *other)
{
	struct stat first, second;

	return !stat(one, &first) && !stat(other, &second) && S_ISBLK(first.st_mode) &&
	       S_ISBLK(second.st_mode) && first.st_rdev == second.st_rdev;
}

/*
 * A header that was made to be on another device has its data at the start of theirs: opened
 * without --header, the first write would destroy the key slots.
 */
static int check_detached(const struct volume *volume, const struct options *options)
{
	const bool is_luks2 = !strcmp(volume->type, CRYPT_LUKS2);
	uint64_t area, slots;

	if (options->test_passphrase ||
	    (options->header && !is_same_device(options->header, volume->device)))
		return 0;
	if (crypt_get_metadata_size(volume->cd, &area, &slots))
		return say_error(-EINVAL, "the header of %s does not tell its size",
				 volume->device);
	/* LUKS2 has its area twice. */
	if (volume->offset >= ((is_luks2 ? 2 : 1) * area + slots) / SECTOR)
		return 0;
	return say_error(-EINVAL, "the data of %s would begin within its LUKS header: the header "
			 "is one for another device, to be given with --header", volume->device);
}

/**
 * volume_set_cipher() - note a volume's cipher
 * @volume: the volume
 * @cipher: in dm-crypt's notation
 */
int volume_set_cipher(struct volume *volume, const char *cipher)
{
	if (strlen(cipher) >= sizeof(volume->cipher))
		return say_error(-EINVAL, "the cipher is too long: %s", cipher);
	strcpy(volume->cipher, cipher);
	return 0;
}

static int describe_luks1(struct volume *volume)
{
	char cipher[2 * sizeof(volume->cipher)];
	int ret;

	snprintf(cipher, sizeof(cipher), "%s-%s", crypt_get_cipher(volume->cd),
		 crypt_get_cipher_mode(volume->cd));
	ret = volume_set_cipher(volume, cipher);
	if (ret)
		return ret;
	volume->offset = crypt_get_data_offset(volume->cd);
	volume->sector_size = SECTOR;
	snprintf(volume->key.name, sizeof(volume->key.name), "logon:cryptsetup:%s", volume->uuid);
	return 0;
}

static int luks_load(struct volume *volume, const char *type, const struct options *options)
{
	int ret;

	ret = load_header(volume, type, options);
	if (ret)
		return ret;
	volume->type = crypt_get_type(volume->cd);
	snprintf(volume->uuid, sizeof(volume->uuid), "%s", crypt_get_uuid(volume->cd));
	volume->key.size = crypt_get_volume_key_size(volume->cd);
	ret = strcmp(volume->type, CRYPT_LUKS2) ? describe_luks1(volume) : luks2_describe(volume);
	return ret ? ret : check_detached(volume, options);
}

static int refuse_plain_options(const struct options *options)
{
	if (options->cipher || options->hash || options->key_size >= 0 || options->offset >= 0 ||
	    options->skip >= 0 || options->size >= 0 || options->sector_size >= 0 ||
	    options->iv_large_sectors || options->shared)
		return say_error(-EINVAL, "cipher, hash, sizes and offsets are in the LUKS header: "
				 "these options are for --type plain");
	return 0;
}

/**
 * volume_load() - learn what a volume is, without its key
 * @volume: gets it; volume_free() has to follow, whatever this returns
 * @device: its data device
 * @options: type, header, and for a plain volume all else
 */
int volume_load(struct volume *volume, const char *device, const struct options *options)
{
	const char *type = options->type ? options->type : "luks";
	bool read_only;
	int64_t bytes;
	size_t i;
	int ret;

	*volume = (struct volume){ .device = device, .read_only = options->read_only };
	bytes = device_bytes(device, &read_only);
	if (bytes == -ENOTBLK)
		return say_error(-ENOTBLK, "%s is no block device; for a file make one: "
				 "losetup --find --show %s", device, device);
	if (bytes < 0)
		return say_error(bytes == -EACCES ? -EINVAL : -ENODEV, "%s cannot be used: %s",
				 device, strerror(-(int)bytes));
	volume->device_sectors = bytes / SECTOR;
	volume->read_only |= read_only;
	if (!strcmp(type, "plain"))
		return plain_load(volume, options);
	ret = refuse_plain_options(options);
	if (ret)
		return ret;
	for (i = 0; i < ARRAY_SIZE(luks_types); i++)
		if (!strcmp(type, luks_types[i].option))
			return luks_load(volume, luks_types[i].type, options);
	return say_error(-EINVAL, "type %s is not known here: open it with cryptsetup, then "
			 "crypt-bulk convert NAME", type);
}

/* The key of a LUKS1 volume; 0, or what libcryptsetup says. */
static int luks1_load_key(struct volume *volume, int slot, const struct secret *passphrase)
{
	size_t size = volume->key.size;
	int ret;

	ret = secret_alloc(&volume->key.raw, size);
	if (ret)
		return ret;
	ret = crypt_volume_key_get(volume->cd, slot, volume->key.raw.data, &size, passphrase->data,
				   passphrase->size);
	if (ret < 0) {
		secret_free(&volume->key.raw);
		return ret;
	}
	volume->key.raw.size = size;
	return 0;
}

static int load_key(struct volume *volume, const struct options *options,
		    const struct secret *passphrase)
{
	int slot = options->key_slot >= 0 ? (int)options->key_slot : CRYPT_ANY_SLOT;

	if (!strcmp(volume->type, CRYPT_LUKS2))
		return luks2_load_key(volume, slot, passphrase, options->test_passphrase);
	return luks1_load_key(volume, slot, passphrase);
}

/* The volume key itself, as an administrator may have kept it; a LUKS header knows it. */
static int use_volume_key_file(struct volume *volume, const struct options *options)
{
	struct secret raw;
	int ret;

	ret = key_file_read(&raw, options->volume_key_file, -1, volume->key.size);
	if (ret)
		return ret;
	if (crypt_volume_key_verify(volume->cd, raw.data, raw.size) < 0)
		ret = say_error(-EPERM, "this is not the volume key of %s", volume->device);
	else if (!strcmp(volume->type, CRYPT_LUKS2))
		ret = luks2_load_volume_key(volume, &raw, options->test_passphrase);
	if (ret || !strcmp(volume->type, CRYPT_LUKS2))
		secret_free(&raw);
	else
		volume->key.raw = raw;
	return ret;
}

static int try_tokens(struct volume *volume, const struct options *options)
{
	int token = options->token_id >= 0 ? (int)options->token_id : CRYPT_ANY_TOKEN;

	if (strcmp(volume->type, CRYPT_LUKS2))
		return -ENOENT;
	return luks2_load_token(volume, token, options->test_passphrase);
}

static int try_passphrases(struct volume *volume, const struct options *options)
{
	int tries = passphrase_tries(options);
	struct secret passphrase;
	int ret;

	for (;;) {
		ret = passphrase_read(&passphrase, options, volume->device);
		if (ret)
			return ret;
		ret = load_key(volume, options, &passphrase);
		secret_free(&passphrase);
		if (ret != -EPERM)
			break;
		say("No key available with this passphrase.");
		if (!--tries)
			return ret;
	}
	if (ret == -ENOENT)
		return say_error(-EINVAL, "there is no such key slot, or none at all");
	return ret ? say_error(ret, "the volume key cannot be had: %s", strerror(-ret)) : 0;
}

/**
 * volume_unlock() - get the key of a volume
 * @volume: the volume
 * @options: where a passphrase comes from, which slot or token; with test_passphrase the key is
 *	not kept
 *
 * -EPERM for a wrong passphrase.
 */
int volume_unlock(struct volume *volume, const struct options *options)
{
	int ret;

	if (!strcmp(volume->type, CRYPT_PLAIN))
		return plain_unlock(volume, options);
	if (options->volume_key_file)
		return use_volume_key_file(volume, options);
	if (options->token_only || options->token_id >= 0 ||
	    (!options->key_file && options->key_slot < 0)) {
		ret = try_tokens(volume, options);
		if (!ret)
			return 0;
		if (options->token_only)
			return say_error(ret == -ENOENT ? -EINVAL : -EPERM,
					 "no token of %s unlocks it", volume->device);
	}
	return try_passphrases(volume, options);
}

/**
 * volume_free() - let go of a volume, and wipe its key
 * @volume: the volume
 */
void volume_free(struct volume *volume)
{
	key_free(&volume->key);
	if (volume->cd)
		crypt_free(volume->cd);
	volume->cd = NULL;
}
