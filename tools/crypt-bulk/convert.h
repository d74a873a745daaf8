/* SPDX-License-Identifier: GPL-2.0-only */
/* Where crypt-bulk convert gets the key from. */
#ifndef TOOLS_CRYPT_BULK_CONVERT_H
#define TOOLS_CRYPT_BULK_CONVERT_H

#include "crypt-bulk.h"

int convert_find_key(struct key *key, const struct map *live, const struct line *line,
		     const struct options *options);
bool convert_key_is_named(const struct key *key, const struct map *live, const char *target);

#endif /* TOOLS_CRYPT_BULK_CONVERT_H */
