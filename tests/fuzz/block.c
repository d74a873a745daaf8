// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-mapper in user space, and in the place of those files of the module that are about I/O,
 * functions that take an allocation where theirs take some.
 */
#include "crypt-bulk.h"

const struct target_type *fuzz_target;
static struct block_device plain_device, zoned_device = { .zoned = true };

/* An argument group is its size and what it counts. */
int dm_read_arg_group(const struct dm_arg *arg, struct dm_arg_set *set, unsigned int *count,
		      char **error)
{
	const char *text = dm_shift_arg(set);
	char behind;

	if (!text || sscanf(text, "%u%c", count, &behind) != 1 || *count < arg->min ||
	    *count > arg->max || set->argc < *count) {
		*error = arg->error;
		return -EINVAL;
	}
	return 0;
}

const char *dm_shift_arg(struct dm_arg_set *set)
{
	if (!set->argc)
		return NULL;
	set->argc--;
	return *set->argv++;
}

int dm_get_device(struct dm_target *ti, const char *path, unsigned int mode, struct dm_dev **dev)
{
	const bool zoned = !strcmp(path, "ZONED");
	struct dm_dev *found;

	if (!zoned && strcmp(path, "DEV"))
		return -ENODEV;
	found = kzalloc(sizeof(*found), GFP_KERNEL);
	if (!found)
		return -ENOMEM;
	found->bdev = zoned ? &zoned_device : &plain_device;
	snprintf(found->name, sizeof(found->name), "%s", path);
	*dev = found;
	return 0;
}

void dm_put_device(struct dm_target *ti, struct dm_dev *dev)
{
	kfree(dev);
}

int dm_register_target(struct target_type *type)
{
	fuzz_target = type;
	return 0;
}

void dm_unregister_target(struct target_type *type)
{
	fuzz_target = NULL;
}

struct workqueue_struct *fuzz_alloc_queue(const char *format, ...)
{
	va_list args;
	char name[24];

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	return kmalloc(1, GFP_KERNEL);
}

/* What an init function of a file that is not here holds until its exit function. */
static int hold(void **held)
{
	*held = kmalloc(1, GFP_KERNEL);
	return *held ? 0 : -ENOMEM;
}

static void release(void **held)
{
	kfree(*held);
	*held = NULL;
}

int cbulk_convert_init(struct cbulk_target *ct)
{
	ct->way = NULL;
	return hold((void **)&ct->way);
}

void cbulk_convert_exit(struct cbulk_target *ct)
{
	release((void **)&ct->way);
}

unsigned int cbulk_io_size(const struct cbulk_target *ct)
{
	return sizeof(struct cbulk_io);
}

int cbulk_buffers_init(struct cbulk_buffers *buffers, char **error)
{
	static const unsigned long limit = 256;

	*error = "Cannot allocate page mempool";
	buffers->memory.pages.limit = &limit;
	return hold((void **)&buffers->memory.recycler.depot);
}

void cbulk_buffers_exit(struct cbulk_buffers *buffers)
{
	release((void **)&buffers->memory.recycler.depot);
}

/* As tags.c, where the device has no metadata. */
int cbulk_tags_init(struct cbulk_target *ct, char **error)
{
	const struct cbulk_cipher *cipher = &ct->cipher;

	if (!cipher->aead && !(cipher->iv_ops && cipher->iv_ops->stored))
		return 0;
	/* ZONED stands for a device that has what is asked for, whatever that is. */
	if (!ct->dev->bdev->zoned) {
		*error = "Integrity profile not supported.";
		return -EINVAL;
	}
	ct->tags.tuple_size = cipher->used_tag_size;
	return 0;
}

void cbulk_tags_exit(struct cbulk_target *ct)
{
}

bool cbulk_tags_alloc(struct cbulk_io *io, bool whole)
{
	return false;
}

void cbulk_tags_free(struct cbulk_io *io)
{
}

int cbulk_handoff_init(struct cbulk_target *ct)
{
	return hold((void **)&ct->handoff.counters);
}

void cbulk_handoff_exit(struct cbulk_target *ct)
{
	release((void **)&ct->handoff.counters);
}

bool cbulk_handoff_adapts(const struct cbulk_target *ct)
{
	return true;
}

void cbulk_handoff_count(const struct cbulk_target *ct, struct cbulk_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
}

int cbulk_order_init(struct cbulk_target *ct, const char *name)
{
	return hold((void **)&ct->order.thread);
}

void cbulk_order_exit(struct cbulk_target *ct)
{
	release((void **)&ct->order.thread);
}

void cbulk_read(struct cbulk_io *io)
{
}

void cbulk_write(struct cbulk_io *io)
{
}

void mempool_stats_pages_bulk(struct mempool_pages_bulk *pool, struct mempool_bulk_stats *sum)
{
	memset(sum, 0, sizeof(*sum));
}

s64 mempool_held_pages_bulk(struct mempool_pages_bulk *pool)
{
	return 0;
}

s64 mempool_idle_pages_bulk(struct mempool_buffers_bulk *buffers)
{
	return 0;
}

int mempool_bulk_start(void)
{
	return 0;
}

void mempool_bulk_stop(void)
{
}
