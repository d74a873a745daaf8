// SPDX-License-Identifier: GPL-2.0-only
/* The IV modes by name. */
#include <linux/string.h>
#include "crypt-bulk.h"

static const struct cbulk_iv_ops *const iv_modes[] = {
	&cbulk_iv_plain_ops,
	&cbulk_iv_plain64_ops,
	&cbulk_iv_plain64be_ops,
	&cbulk_iv_essiv_ops,
	&cbulk_iv_benbi_ops,
	&cbulk_iv_null_ops,
	&cbulk_iv_eboiv_ops,
	&cbulk_iv_elephant_ops,
	&cbulk_iv_lmk_ops,
	&cbulk_iv_tcw_ops,
	&cbulk_iv_random_ops,
};

/**
 * cbulk_iv_find() - look up an IV mode
 * @name: as it stands in the table line
 * @ops: where the mode goes
 * @error: what was wrong with @name
 *
 * Return: 0 or -EINVAL.
 */
int cbulk_iv_find(const char *name, const struct cbulk_iv_ops **ops, char **error)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(iv_modes); i++) {
		if (!strcmp(name, iv_modes[i]->name)) {
			*ops = iv_modes[i];
			return 0;
		}
	}
	*error = "Invalid IV mode";
	return -EINVAL;
}
