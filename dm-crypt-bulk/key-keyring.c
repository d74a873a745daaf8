// SPDX-License-Identifier: GPL-2.0-only
/* Keys that the kernel's keyring keeps: "<type>:<description>". */
#include <keys/encrypted-type.h>
#include <keys/trusted-type.h>
#include <keys/user-type.h>
#include <linux/err.h>
#include <linux/key.h>
#include <linux/rwsem.h>
#include <linux/string.h>
#include "crypt-bulk.h"

static const u8 *user_payload(const struct key *key, unsigned int *size)
{
	const struct user_key_payload *payload = user_key_payload_locked(key);

	if (!payload)
		return NULL;
	*size = payload->datalen;
	return payload->data;
}

static const u8 __maybe_unused *encrypted_payload(const struct key *key, unsigned int *size)
{
	const struct encrypted_key_payload *payload = key->payload.data[0];

	if (!payload)
		return NULL;
	*size = payload->decrypted_datalen;
	return payload->decrypted_data;
}

static const u8 __maybe_unused *trusted_payload(const struct key *key, unsigned int *size)
{
	const struct trusted_key_payload *payload = key->payload.data[0];

	if (!payload)
		return NULL;
	*size = payload->key_len;
	return payload->key;
}

/*
 * Types that are modules in this kernel's configuration are linked against, as the stock target
 * does: they are in the kernel's own package, and whoever loads this module gets them loaded.
 */
static const struct keyring_type {
	const char *prefix;
	struct key_type *type;
	const u8 *(*payload)(const struct key *key, unsigned int *size);
} keyring_types[] = {
	{ "logon:", &key_type_logon, user_payload },
	{ "user:", &key_type_user, user_payload },
#if IS_ENABLED(CONFIG_ENCRYPTED_KEYS)
	{ "encrypted:", &key_type_encrypted, encrypted_payload },
#endif
#if IS_ENABLED(CONFIG_TRUSTED_KEYS)
	{ "trusted:", &key_type_trusted, trusted_payload },
#endif
};

/**
 * cbulk_keyring_find() - look up a key in the keyrings of the calling process
 * @name: "<type>:<description>"
 * @key: where the key goes; the caller gives it back with cbulk_keyring_put()
 *
 * Context: process context, may sleep until a key that is being made is there. Not under a lock
 * that a resume takes: what makes the key may need the mapping.
 * Return: 0, -EINVAL for what is no name, or what the keyring says: -ENOKEY, -EKEYREVOKED, ...
 */
int cbulk_keyring_find(const char *name, struct key **key)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keyring_types); i++) {
		size_t prefix = str_has_prefix(name, keyring_types[i].prefix);
		struct key *found;

		if (!prefix)
			continue;
		if (!name[prefix])
			return -EINVAL;
		found = request_key(keyring_types[i].type, name + prefix, NULL);
		if (IS_ERR(found))
			return PTR_ERR(found);
		*key = found;
		return 0;
	}
	return -EINVAL;
}

/**
 * cbulk_keyring_read() - copy what a key holds
 * @key: the key
 * @to: where to
 * @size: bytes that it has to hold
 *
 * Context: process context, takes the key's semaphore.
 * Return: 0, -EINVAL for another size, -EKEYREVOKED; @to is changed only if 0.
 */
int cbulk_keyring_read(struct key *key, u8 *to, unsigned int size)
{
	const u8 *payload = NULL;
	unsigned int found = 0;
	int ret = -EKEYREVOKED;
	size_t i;

	down_read(&key->sem);
	for (i = 0; i < ARRAY_SIZE(keyring_types); i++)
		if (keyring_types[i].type == key->type)
			payload = keyring_types[i].payload(key, &found);
	if (payload) {
		ret = -EINVAL;
		if (found == size) {
			memcpy(to, payload, size);
			ret = 0;
		}
	}
	up_read(&key->sem);
	return ret;
}

/**
 * cbulk_keyring_put() - give back a key
 * @key: the key from cbulk_keyring_find()
 */
void cbulk_keyring_put(struct key *key)
{
	key_put(key);
}
