// SPDX-License-Identifier: GPL-2.0-only
/*
 * The key of a mapping in use: in its table, in a keyring of the caller, or to be had with the
 * passphrase only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "convert.h"

#define LUKS_PREFIX	"CRYPT-LUKS"
#define LUKS2_PREFIX	"CRYPT-LUKS2-"
#define UUID_DIGITS	32

/* A LUKS header's UUID out of the mapping's, with its dashes; false if there is none. */
static bool header_uuid(char *to, const struct map *live)
{
	const char *from = live->uuid + strlen(LUKS2_PREFIX);
	size_t i;

	if (strncmp(live->uuid, LUKS_PREFIX, strlen(LUKS_PREFIX)) ||
	    strspn(from, "0123456789abcdef") < UUID_DIGITS)
		return false;
	for (i = 0; i < UUID_DIGITS; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			*to++ = '-';
		*to++ = from[i];
	}
	*to = '\0';
	return true;
}

static bool is_luks2(const struct map *live)
{
	return !strncmp(live->uuid, LUKS2_PREFIX, strlen(LUKS2_PREFIX));
}

/* What a key that is not in the keyring yet is to be called there. */
static void name_key(struct key *key, const struct map *live)
{
	char uuid[64];

	if (!header_uuid(uuid, live))
		snprintf(key->name, sizeof(key->name), "logon:cryptsetup:%.100s", live->name);
	else
		snprintf(key->name, sizeof(key->name), "logon:cryptsetup:%s%s", uuid,
			 is_luks2(live) ? "-d0" : "");
}

/* ":<size>:<type>:<description>", if the caller can use that key; else false. */
static bool find_in_keyring(struct key *key, const struct line *line)
{
	const char *name = strchr(line->key + 1, ':');
	const char *description = name ? strchr(name + 1, ':') : NULL;
	char type[32];

	if (!description || strlen(name + 1) >= sizeof(key->name))
		return false;
	snprintf(type, sizeof(type), "%.*s", (int)(description - name - 1), name + 1);
	if (!keyring_has(type, description + 1))
		return false;
	key->size = line_key_size(line);
	snprintf(key->name, sizeof(key->name), "%s", name + 1);
	return true;
}

/* The device that has the header: below dm-integrity, if that is in between. */
static int find_device(const struct line *line, char *path, size_t room)
{
	char number[64], name[NAME_ROOM];
	unsigned int major, minor;
	struct map below;
	int ret;

	snprintf(number, sizeof(number), "%s", line->device);
	if (line_option(line, "integrity:") && sscanf(number, "%u:%u", &major, &minor) == 2 &&
	    !map_name_of(major, minor, name) && !map_get(&below, name)) {
		if (!strcmp(below.target, "integrity"))
			snprintf(number, sizeof(number), "%.*s",
				 (int)strcspn(below.params.data, " "), below.params.data);
		map_free(&below);
	}
	ret = device_name(number, path, room);
	return ret ? say_error(-ENODEV, "the device %s below has no name", number) : 0;
}

static int unlock_luks(struct volume *volume, const struct map *live, const char *path,
		       const struct options *options)
{
	struct options luks = *options;
	char uuid[64];
	int ret;

	luks.type = is_luks2(live) ? "luks2" : "luks1";
	ret = volume_load(volume, path, &luks);
	if (ret)
		return ret;
	if (!header_uuid(uuid, live) || strcmp(uuid, volume->uuid))
		return say_error(-EINVAL, "the header on %s is not that of %s: it has another UUID",
				 options->header ? options->header : path, live->name);
	return volume_unlock(volume, &luks);
}

/* A key without a header: what is typed, hashed, or the contents of a file. */
static int unlock_plain(struct volume *volume, const struct map *live, const struct line *line,
			const char *path, const struct options *options)
{
	*volume = (struct volume){ .type = CRYPT_PLAIN, .device = path };
	name_key(&volume->key, live);
	volume->key.size = options->key_size > 0 ? options->key_size / 8 : line_key_size(line);
	if (!volume->key.size)
		return say_error(-EINVAL, "the table of %s does not tell the size of its key: give "
				 "--key-size", live->name);
	if (!options->volume_key_file && !options->key_file && !options->hash)
		return say_error(-EINVAL, "%s has no header: give --hash for a passphrase, "
				 "--key-file, or the key itself with --volume-key-file",
				 live->name);
	return plain_unlock(volume, options);
}

static int unlock(struct key *key, const struct map *live, const struct line *line,
		  const struct options *options)
{
	struct volume volume;
	char path[PATH_ROOM];
	int ret;

	ret = find_device(line, path, sizeof(path));
	if (ret)
		return ret;
	if (!strncmp(live->uuid, LUKS_PREFIX, strlen(LUKS_PREFIX)))
		ret = unlock_luks(&volume, live, path, options);
	else
		ret = unlock_plain(&volume, live, line, path, options);
	if (!ret) {
		*key = volume.key;
		volume.key = (struct key){ .size = 0 };
	}
	volume_free(&volume);
	return ret;
}

/**
 * convert_find_key() - find the key of a mapping in use
 * @key: gets it; no bytes if the cipher has no key
 * @live: the mapping
 * @line: its table
 * @options: where a passphrase comes from, if need be
 */
int convert_find_key(struct key *key, const struct map *live, const struct line *line,
		     const struct options *options)
{
	int ret;

	if (line_key_hidden(line)) {
		/* crypt-bulk prints that for every key that is in the table itself. */
		if (!strcmp(live->target, TARGET_STOCK) || strstr(line->cipher, "cipher_null"))
			return 0;
		return unlock(key, live, line, options);
	}
	if (line_key_named(line))
		return find_in_keyring(key, line) ? 0 : unlock(key, live, line, options);

	ret = secret_from_hex(&key->raw, line->key);
	if (ret)
		return ret;
	key->size = key->raw.size;
	name_key(key, live);
	return 0;
}

/**
 * convert_key_is_named() - is a key in the keyring for a target, and not in its table?
 * @key: the key
 * @live: the mapping
 * @target: the target
 *
 * crypt gets it where cryptsetup would put it: in the keyring for LUKS2, else in the table.
 */
bool convert_key_is_named(const struct key *key, const struct map *live, const char *target)
{
	return !key->raw.size || !strcmp(target, TARGET_BULK) || is_luks2(live);
}
