// SPDX-License-Identifier: GPL-2.0-only
/* A volume key, on its way from a header into a table line. */
#include <errno.h>
#include <string.h>

#include "crypt-bulk.h"

/**
 * key_free() - wipe a key
 * @key: the key; may be none
 */
void key_free(struct key *key)
{
	secret_free(&key->raw);
	*key = (struct key){ .size = 0 };
}

/**
 * key_print_named() - write the table line's word for a key that is in the keyring
 * @to: gets it; secret_free() has to follow
 * @key: the key; is put into the keyring, unless it is only there
 */
int key_print_named(struct secret *to, const struct key *key)
{
	int ret;

	if (key->raw.size) {
		ret = keyring_add(strchr(key->name, ':') + 1, &key->raw);
		if (ret)
			return say_error(ret, "the kernel's keyring does not take the key: %s",
					 strerror(-ret));
	}
	ret = secret_alloc(to, sizeof(key->name) + 32);
	return ret ? ret : secret_print(to, ":%u:%s", key->size, key->name);
}

/**
 * key_print_inline() - write the table line's word for a key that is in the line itself
 * @to: gets it; secret_free() has to follow
 * @key: the key, with its bytes
 */
int key_print_inline(struct secret *to, const struct key *key)
{
	int ret;

	ret = secret_alloc(to, 2 * key->size);
	return ret ? ret : secret_append_hex(to, &key->raw);
}
