// SPDX-License-Identifier: GPL-2.0-only
/*
 * LUKS2: what its header says, and its key, which libcryptsetup puts into the keyring of this
 * thread without showing it.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt-bulk.h"

/* What is at a path of names, which ends in NULL; NULL if it is not there. */
static struct json_object *find(struct json_object *at, const char *const *names)
{
	for (; at && *names; names++)
		at = json_object_object_get(at, *names);
	return at;
}

#define FIND(at, ...)	find(at, (const char *const []){ __VA_ARGS__, NULL })

static const char *find_text(struct json_object *at, const char *name)
{
	struct json_object *found = json_object_object_get(at, name);

	return found ? json_object_get_string(found) : "";
}

static const char *text_at(struct json_object *array, size_t place)
{
	return json_object_get_string(json_object_array_get_idx(array, place));
}

/* Numbers of 64 bits are strings in the header. */
static uint64_t find_number(struct json_object *at, const char *name)
{
	return strtoull(find_text(at, name), NULL, 10);
}

/* The digest that vouches for the key of the first segment: its number is in the key's name. */
static int find_digest(struct json_object *header)
{
	struct json_object *digests = FIND(header, "digests");
	size_t i;

	if (!digests)
		return -1;
	json_object_object_foreach(digests, number, digest) {
		struct json_object *segments = FIND(digest, "segments");

		for (i = 0; segments && i < json_object_array_length(segments); i++)
			if (!strcmp(text_at(segments, i), "0"))
				return atoi(number);
	}
	return -1;
}

static void read_flags(struct volume *volume, struct json_object *header)
{
	struct json_object *words = FIND(header, "config", "flags");
	unsigned int flag;
	size_t i;

	for (i = 0; words && i < json_object_array_length(words); i++) {
		flag = flags_of_header(text_at(words, i));
		volume->flags |= flag;
		volume->has_unknown_flags |= !flag;
	}
}

static int check_requirements(struct json_object *header)
{
	struct json_object *needs = FIND(header, "config", "requirements", "mandatory");
	struct json_object *segments = FIND(header, "segments");
	const char *need;

	if (needs && json_object_array_length(needs)) {
		need = text_at(needs, 0);
		if (strstr(need, "reencrypt"))
			return say_error(-EINVAL, "the volume is being reencrypted: end that "
					 "first, with cryptsetup reencrypt --resume-only");
		return say_error(-EINVAL, "the header requires \"%s\", which is not known here: "
				 "use cryptsetup open", need);
	}
	if (!segments || json_object_object_length(segments) != 1 ||
	    strcmp(find_text(FIND(segments, "0"), "type"), "crypt"))
		return say_error(-EINVAL, "the volume is not in one piece that the kernel "
				 "encrypts: use cryptsetup open");
	return 0;
}

static int read_segment(struct volume *volume, struct json_object *header)
{
	struct json_object *segment = FIND(header, "segments", "0");
	struct json_object *integrity = FIND(segment, "integrity");
	struct crypt_params_integrity params = { 0 };
	const char *size = find_text(segment, "size");
	int digest = find_digest(header);
	int ret;

	if (digest < 0)
		return say_error(-EINVAL, "the header has no digest for its key");
	ret = volume_set_cipher(volume, find_text(segment, "encryption"));
	if (ret)
		return ret;
	volume->offset = find_number(segment, "offset") / SECTOR;
	volume->iv_offset = find_number(segment, "iv_tweak");
	volume->sector_size = find_number(segment, "sector_size");
	volume->sectors = strcmp(size, "dynamic") ? strtoull(size, NULL, 10) / SECTOR : 0;
	snprintf(volume->key.name, sizeof(volume->key.name), "logon:cryptsetup:%s-d%d",
		 volume->uuid, digest);
	if (!integrity)
		return 0;
	if (snprintf(volume->integrity, sizeof(volume->integrity), "%s",
		     find_text(integrity, "type")) >= (int)sizeof(volume->integrity))
		return say_error(-EINVAL, "the header's kind of integrity is too long");
	if (crypt_get_integrity_info(volume->cd, &params))
		return say_error(-EINVAL, "the header does not tell its checksums' size");
	volume->tag_size = params.tag_size;
	volume->integrity_key_size = find_number(integrity, "key_size");
	return 0;
}

/**
 * luks2_describe() - learn what the header says
 * @volume: the volume, its header loaded
 */
int luks2_describe(struct volume *volume)
{
	struct json_object *header;
	const char *text;
	int ret;

	ret = crypt_dump_json(volume->cd, &text, 0);
	if (ret)
		return say_error(ret, "the LUKS2 header cannot be read");
	header = json_tokener_parse(text);
	if (!header)
		return say_error(-EINVAL, "the LUKS2 header is not valid");
	read_flags(volume, header);
	ret = check_requirements(header);
	if (!ret)
		ret = read_segment(volume, header);
	json_object_put(header);
	return ret;
}

/* What libcryptsetup said of an activation without a name, which leaves the key in the keyring. */
static int loaded(const struct volume *volume, int ret, bool test)
{
	if (ret < 0)
		return ret;
	if (!test && !keyring_has("logon", strchr(volume->key.name, ':') + 1))
		return -EOPNOTSUPP;
	return 0;
}

/**
 * luks2_load_key() - put the volume key into the keyring
 * @volume: the volume
 * @slot: its key slot, or CRYPT_ANY_SLOT
 * @passphrase: what unlocks it
 * @test: only see whether it does
 *
 * Return: 0, or what libcryptsetup says: -EPERM for a wrong passphrase.
 */
int luks2_load_key(struct volume *volume, int slot, const struct secret *passphrase, bool test)
{
	/* A slot that is asked for by its number need not be one of the data's key. */
	uint32_t of_test = slot == CRYPT_ANY_SLOT ? 0 : CRYPT_ACTIVATE_ALLOW_UNBOUND_KEY;
	int ret = crypt_activate_by_passphrase(volume->cd, NULL, slot, passphrase->data,
					       passphrase->size,
					       test ? of_test : CRYPT_ACTIVATE_KEYRING_KEY);

	return loaded(volume, ret, test);
}

/**
 * luks2_load_token() - put the volume key into the keyring, with what a token provides
 * @volume: the volume
 * @token: its token, or CRYPT_ANY_TOKEN
 * @test: only see whether it unlocks
 *
 * Return: 0, or what libcryptsetup says.
 */
int luks2_load_token(struct volume *volume, int token, bool test)
{
	int ret = crypt_activate_by_token_pin(volume->cd, NULL, NULL, token, NULL, 0, NULL,
					      test ? 0 : CRYPT_ACTIVATE_KEYRING_KEY);

	return loaded(volume, ret, test);
}

/**
 * luks2_load_volume_key() - put a volume key into the keyring that is known already
 * @volume: the volume
 * @raw: its key, which the header has vouched for
 * @test: do nothing
 */
int luks2_load_volume_key(struct volume *volume, const struct secret *raw, bool test)
{
	int ret = test ? 0 : keyring_add(strchr(volume->key.name, ':') + 1, raw);

	return ret ? say_error(ret, "the kernel's keyring does not take the key: %s",
			       strerror(-ret)) : 0;
}
