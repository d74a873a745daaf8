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

static int copy_payload(const struct keyring_type *type, struct key *key, u8 *to,
			unsigned int size)
{
	unsigned int found = 0;
	const u8 *payload;
	int ret = 0;

	down_read(&key->sem);
	payload = type->payload(key, &found);
	if (!payload)
		ret = -EKEYREVOKED;
	else if (found != size)
		ret = -EINVAL;
	else
		memcpy(to, payload, size);
	up_read(&key->sem);
	return ret;
}

/**
 * cbulk_keyring_get() - copy what a key in the keyrings of the calling process holds
 * @name: "<type>:<description>"
 * @to: where to; the caller wipes it
 * @size: bytes that it has to hold
 *
 * Context: process context, may sleep until a key that is being made is there. Not under a lock
 * that a resume takes: what makes the key may need the mapping.
 * Return: 0, -EINVAL for what is no name and for a key of another size, or what the keyring says:
 * -ENOKEY, -EKEYREVOKED, ...
 */
int cbulk_keyring_get(const char *name, u8 *to, unsigned int size)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keyring_types); i++) {
		size_t prefix = str_has_prefix(name, keyring_types[i].prefix);
		struct key *key;
		int ret;

		if (!prefix)
			continue;
		if (!name[prefix])
			return -EINVAL;
		key = request_key(keyring_types[i].type, name + prefix, NULL);
		if (IS_ERR(key))
			return PTR_ERR(key);
		ret = copy_payload(&keyring_types[i], key, to, size);
		key_put(key);
		return ret;
	}
	return -EINVAL;
}
