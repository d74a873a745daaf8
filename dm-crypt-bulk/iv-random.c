// SPDX-License-Identifier: GPL-2.0-only
/* random: an IV drawn anew for each write of a sector, and stored beside its data. */
#include <linux/random.h>
#include "crypt-bulk.h"

static int random_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector)
{
	get_random_bytes(iv, cipher->iv_size);
	return 0;
}

const struct cbulk_iv_ops cbulk_iv_random_ops = {
	.name = "random",
	.stored = true,
	.generate = random_generate,
};
