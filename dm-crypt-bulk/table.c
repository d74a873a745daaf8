// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a table line to the settings of a mapping, and back.
 *
 *   <cipher> <key> <iv_offset> <device path> <offset> [<#opt_params> <opt_params>]
 *
 * The syntax is the stock target's, described in
 * Documentation/admin-guide/device-mapper/dm-crypt.rst.
 */
#include <linux/blkdev.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crypt-bulk.h"

/* The largest tuple that a table line may ask for, in bytes */
#define MAX_TAG_SIZE 480

static bool hide_keys = true;
module_param(hide_keys, bool, 0644);
MODULE_PARM_DESC(hide_keys, "Print - in place of keys in table lines of crypt-bulk (default Y)");

static const struct {
	const char *name;
	enum cbulk_flag flag;
} flag_options[] = {
	/* In the order in which the stock target prints them. */
	{ "same_cpu_crypt", CBULK_SAME_CPU_CRYPT },
	{ "high_priority", CBULK_HIGH_PRIORITY },
	{ "submit_from_crypt_cpus", CBULK_SUBMIT_FROM_CRYPT_CPUS },
	{ "no_read_workqueue", CBULK_NO_READ_WORKQUEUE },
	{ "no_write_workqueue", CBULK_NO_WRITE_WORKQUEUE },
};

/**
 * cbulk_table_number() - parse a decimal number, and nothing else
 * @text: the number; unlike for sscanf(), one that does not fit is an error
 * @max: the largest that does
 * @value: gets it
 *
 * Return: 0 or a negative errno.
 */
int cbulk_table_number(const char *text, u64 max, u64 *value)
{
	/* kstrtou64() lets a sign pass in front, and the end of a line behind. */
	if (!*text || strspn(text, "0123456789") != strlen(text))
		return -EINVAL;
	if (kstrtou64(text, 10, value) || *value > max)
		return -ERANGE;
	return 0;
}

/**
 * cbulk_table_number_before() - parse a decimal number that something follows
 * @text: the number
 * @end: what follows it
 * @max: the largest that does
 * @value: gets it
 *
 * Return: 0 or a negative errno.
 */
int cbulk_table_number_before(const char *text, const char *end, u64 max, u64 *value)
{
	char digits[24];

	if (end - text >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, text, end - text);
	digits[end - text] = '\0';
	return cbulk_table_number(digits, max, value);
}

static int parse_unit_size(struct dm_target *ti, struct cbulk_cipher *cipher, const char *text)
{
	u64 size;

	if (cbulk_table_number(text, 4096, &size) || size < SECTOR_SIZE || !is_power_of_2(size)) {
		ti->error = "Invalid feature value for sector_size";
		return -EINVAL;
	}
	if (ti->len & ((size >> SECTOR_SHIFT) - 1)) {
		ti->error = "Device size is not multiple of sector_size feature";
		return -EINVAL;
	}
	cipher->unit_size = size;
	cipher->unit_shift = ilog2(size) - SECTOR_SHIFT;
	return 0;
}

/* <bytes>:<type> */
static int parse_integrity(struct dm_target *ti, struct cbulk_cipher *cipher, const char *text)
{
	const char *type = strchr(text, ':');
	u64 size;

	ti->error = "Invalid integrity arguments";
	if (!type || cbulk_table_number_before(text, type, MAX_TAG_SIZE, &size) || !size)
		return -EINVAL;

	type++;
	if (strcasecmp(type, "aead") && strcasecmp(type, "none")) {
		ti->error = "Unknown integrity profile";
		return -EINVAL;
	}
	/* As in the stock target: asked for once, it stays when the option comes again. */
	cipher->authenticated |= !strcasecmp(type, "aead");
	cipher->used_tag_size = size;
	kfree(cipher->tag_type);
	cipher->tag_type = kstrdup(type, GFP_KERNEL);
	return cipher->tag_type ? 0 : -ENOMEM;
}

static int parse_mac_size(struct dm_target *ti, struct cbulk_cipher *cipher, const char *text)
{
	u64 size;

	if (cbulk_table_number(text, UINT_MAX, &size) || !size) {
		ti->error = "Invalid integrity_key_size argument";
		return -EINVAL;
	}
	cipher->mac_size = size;
	cipher->mac_size_set = true;
	return 0;
}

static int parse_option(struct dm_target *ti, struct cbulk_target *ct, const char *option)
{
	size_t prefix, i;

	for (i = 0; i < ARRAY_SIZE(flag_options); i++) {
		if (!strcasecmp(option, flag_options[i].name)) {
			__set_bit(flag_options[i].flag, &ct->flags);
			return 0;
		}
	}
	if (!strcasecmp(option, "allow_discards")) {
		ti->num_discard_bios = 1;
		return 0;
	}
	if (!strcasecmp(option, "iv_large_sectors")) {
		__set_bit(CBULK_IV_LARGE_SECTORS, &ct->flags);
		return 0;
	}
	prefix = str_has_prefix(option, "sector_size:");
	if (prefix)
		return parse_unit_size(ti, &ct->cipher, option + prefix);

	prefix = str_has_prefix(option, "integrity:");
	if (prefix)
		return parse_integrity(ti, &ct->cipher, option + prefix);
	prefix = str_has_prefix(option, "integrity_key_size:");
	if (prefix)
		return parse_mac_size(ti, &ct->cipher, option + prefix);

	ti->error = "Invalid feature arguments";
	return -EINVAL;
}

/**
 * cbulk_table_parse_options() - parse what follows the five fixed arguments
 * @ti: the target under construction; ti->error says what was wrong
 * @ct: its mapping; gets flags and the sizes of the cipher's unit
 * @argc: number of arguments in @argv, may be 0
 * @argv: "<#opt_params>" and the options
 *
 * Return: 0 or a negative errno.
 */
int cbulk_table_parse_options(struct dm_target *ti, struct cbulk_target *ct, unsigned int argc,
			      char **argv)
{
	static const struct dm_arg count = { 0, 9, "Invalid number of feature args" };
	struct dm_arg_set args = { .argc = argc, .argv = argv };
	unsigned int options = 0;
	int ret = 0;

	ct->cipher.unit_size = SECTOR_SIZE;
	ct->cipher.unit_shift = 0;
	if (argc)
		ret = dm_read_arg_group(&count, &args, &options, &ti->error);

	while (!ret && options--)
		ret = parse_option(ti, ct, dm_shift_arg(&args));
	if (test_bit(CBULK_IV_LARGE_SECTORS, &ct->flags))
		ct->cipher.iv_shift = ct->cipher.unit_shift;
	return ret;
}

/*
 * A zone is written from its start to its end, so no write may overtake another on its way through
 * us. An append names the zone and learns only afterwards where it went, too late for the IV:
 * device-mapper makes it a write to where the zone ends.
 */
static void set_zoned(struct dm_target *ti, struct cbulk_target *ct)
{
	__set_bit(CBULK_NO_WRITE_WORKQUEUE, &ct->flags);
	__set_bit(CBULK_WRITE_INLINE, &ct->flags);
	ti->emulate_zone_append = true;
}

/**
 * cbulk_table_parse_device() - parse where the mapping lies
 * @ti: the target under construction; ti->error says what was wrong
 * @ct: its mapping, its options known; gets the device, which device-mapper keeps for it
 * @argv: "<iv_offset> <device path> <offset>"
 *
 * Return: 0 or a negative errno.
 */
int cbulk_table_parse_device(struct dm_target *ti, struct cbulk_target *ct, char **argv)
{
	u64 start;
	int ret;

	if (cbulk_table_number(argv[0], U64_MAX, &ct->iv_offset) ||
	    (ct->iv_offset & ((1U << ct->cipher.unit_shift) - 1))) {
		ti->error = "Invalid iv_offset sector";
		return -EINVAL;
	}

	ret = dm_get_device(ti, argv[1], dm_table_get_mode(ti->table), &ct->dev);
	if (ret) {
		ti->error = "Device lookup failed";
		return ret;
	}

	if (cbulk_table_number(argv[2], (sector_t)-1, &start)) {
		ti->error = "Invalid device sector";
		return -EINVAL;
	}
	ct->start = start;
	if (bdev_is_zoned(ct->dev->bdev))
		set_zoned(ti, ct);
	return 0;
}

/*
 * The bytes of a key appear in a table line only if the administrator asked for them. Under the
 * stock target's name dmsetup asks him, and cryptsetup has to find them.
 */
static bool hides_key(const struct dm_target *ti)
{
	return READ_ONCE(hide_keys) && strcmp(ti->type->name, CBULK_STOCK_NAME);
}

static unsigned int print_key(const struct dm_target *ti, const struct cbulk_cipher *cipher,
			      char *result, unsigned int maxlen)
{
	unsigned int sz = 0, i;

	if (cipher->key_name) {
		DMEMIT(":%u:%s", cipher->key_size, cipher->key_name);
		return sz;
	}
	if (!cipher->key_size || hides_key(ti)) {
		DMEMIT("-");
		return sz;
	}
	for (i = 0; i < cipher->key_size; i++)
		DMEMIT("%02x", cipher->key[i]);
	return sz;
}

static unsigned int print_options(const struct dm_target *ti, const struct cbulk_target *ct,
				  char *result, unsigned int maxlen)
{
	bool sector_size = ct->cipher.unit_size != SECTOR_SIZE;
	bool large = test_bit(CBULK_IV_LARGE_SECTORS, &ct->flags);
	unsigned int count = !!ti->num_discard_bios + sector_size + large +
			     !!ct->cipher.tag_type + ct->cipher.mac_size_set;
	unsigned int sz = 0, i;

	for (i = 0; i < ARRAY_SIZE(flag_options); i++)
		count += test_bit(flag_options[i].flag, &ct->flags);
	if (!count)
		return sz;

	DMEMIT(" %u", count);
	if (ti->num_discard_bios)
		DMEMIT(" allow_discards");
	for (i = 0; i < ARRAY_SIZE(flag_options); i++)
		if (test_bit(flag_options[i].flag, &ct->flags))
			DMEMIT(" %s", flag_options[i].name);
	if (ct->cipher.tag_type)
		DMEMIT(" integrity:%u:%s", ct->cipher.used_tag_size, ct->cipher.tag_type);
	if (sector_size)
		DMEMIT(" sector_size:%u", ct->cipher.unit_size);
	if (large)
		DMEMIT(" iv_large_sectors");
	if (ct->cipher.mac_size_set)
		DMEMIT(" integrity_key_size:%u", ct->cipher.mac_size);
	return sz;
}

/**
 * cbulk_table_print() - write the table line of a mapping
 * @ti: the target
 * @result: where to
 * @maxlen: bytes of @result; device-mapper asks again with more if they are all used
 *
 * Context: process context, while the table is live.
 */
void cbulk_table_print(struct dm_target *ti, char *result, unsigned int maxlen)
{
	struct cbulk_target *ct = ti->private;
	unsigned int sz = 0;

	DMEMIT("%s ", ct->cipher.spec);
	mutex_lock(&ct->key_lock);
	sz += print_key(ti, &ct->cipher, result + sz, maxlen - sz);
	mutex_unlock(&ct->key_lock);
	DMEMIT(" %llu %s %llu", ct->iv_offset, ct->dev->name, (unsigned long long)ct->start);
	sz += print_options(ti, ct, result + sz, maxlen - sz);
}

static bool stock_knows(enum cbulk_flag flag)
{
	return flag != CBULK_HIGH_PRIORITY || CBULK_STOCK_HAS_HIGH_PRIORITY;
}

static char yes_or_no(bool value)
{
	return value ? 'y' : 'n';
}

/**
 * cbulk_table_print_ima() - write what integrity measurement records of a mapping
 * @ti: the target
 * @result: where to
 * @maxlen: bytes of @result
 *
 * Attestation compares this with what it expects of the kernel's own target: the same fields in
 * the same order, but for what that target does not know on this kernel and the table asked for.
 *
 * Context: process context, while the table is loaded.
 */
void cbulk_table_print_ima(struct dm_target *ti, char *result, unsigned int maxlen)
{
	const struct cbulk_target *ct = ti->private;
	const struct cbulk_cipher *cipher = &ct->cipher;
	unsigned int sz = 0, i;

	DMEMIT_TARGET_NAME_VERSION(ti->type);
	DMEMIT(",allow_discards=%c", yes_or_no(ti->num_discard_bios));
	for (i = 0; i < ARRAY_SIZE(flag_options); i++) {
		bool set = test_bit(flag_options[i].flag, &ct->flags);

		if (set || stock_knows(flag_options[i].flag))
			DMEMIT(",%s=%c", flag_options[i].name, yes_or_no(set));
	}
	DMEMIT(",iv_large_sectors=%c",
	       yes_or_no(test_bit(CBULK_IV_LARGE_SECTORS, &ct->flags)));

	if (cipher->used_tag_size)
		DMEMIT(",integrity_tag_size=%u,cipher_auth=%s", cipher->used_tag_size,
		       cipher->tag_type);
	if (cipher->unit_size != SECTOR_SIZE)
		DMEMIT(",sector_size=%u", cipher->unit_size);
	DMEMIT(",cipher_string=%s", cipher->spec);
	DMEMIT(",key_size=%u", cipher->key_size);
	DMEMIT(",key_parts=%u", cipher->key_parts);
	DMEMIT(",key_extra_size=%u", cipher->key_extra_size);
	DMEMIT(",key_mac_size=%u", cipher->mac_size);
	DMEMIT(";");
}
