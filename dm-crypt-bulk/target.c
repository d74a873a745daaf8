// SPDX-License-Identifier: GPL-2.0-only
/* The device-mapper target crypt-bulk: the life of a mapping, and where its bios go. */
#include <linux/atomic.h>
#include <linux/blkdev.h>
#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crypt-bulk.h"

static unsigned int max_read_size;
module_param(max_read_size, uint, 0644);
MODULE_PARM_DESC(max_read_size,
		 "Maximum size of a read request, bytes (default 0: as the kernel's own dm-crypt)");

static unsigned int max_write_size;
module_param(max_write_size, uint, 0644);
MODULE_PARM_DESC(max_write_size,
		 "Maximum size of a write request, bytes (default 0: as the kernel's own dm-crypt)");

static bool replace_stock;
module_param(replace_stock, bool, 0444);
MODULE_PARM_DESC(replace_stock, "Be the target \"crypt\" as well, in place of dm_crypt (default N)");

/*
 * What makes the names of work queues unique, as sysfs wants them to be. The stock target counts
 * from 1, and has queues for the same device while a mapping moves from one target to the other.
 * Numbers are not used again: an IDA would take memory, and loses some where that is short.
 */
#define FIRST_QUEUE_ID 10000
static atomic_t next_queue_id = ATOMIC_INIT(FIRST_QUEUE_ID);

static struct workqueue_struct *alloc_queue(const struct cbulk_target *ct, const char *kind,
					    const char *whose, unsigned int flags, int max_active)
{
	if (test_bit(CBULK_HIGH_PRIORITY, &ct->flags))
		flags |= WQ_HIGHPRI;
	return alloc_workqueue("%s%s", flags | WQ_MEM_RECLAIM | CBULK_WQ_SYSFS, max_active, kind,
			       whose);
}

static int alloc_queues(struct cbulk_target *ct, const char *device, char **error)
{
	char whose[32];

	if (CBULK_WQ_SYSFS)
		scnprintf(whose, sizeof(whose), "-%s-%u", device,
			  (unsigned int)atomic_fetch_inc(&next_queue_id));
	else
		scnprintf(whose, sizeof(whose), "/%s", device);

	ct->io_queue = alloc_queue(ct, "kcryptd_io", whose, WQ_PERCPU, 1);
	if (!ct->io_queue) {
		*error = "Couldn't create kcryptd io queue";
		return -ENOMEM;
	}

	if (test_bit(CBULK_SAME_CPU_CRYPT, &ct->flags))
		ct->crypt_queue = alloc_queue(ct, "kcryptd", whose,
					      WQ_PERCPU | WQ_CPU_INTENSIVE, 1);
	else
		ct->crypt_queue = alloc_queue(ct, "kcryptd", whose, WQ_UNBOUND,
					      num_online_cpus());
	if (!ct->crypt_queue) {
		*error = "Couldn't create kcryptd queue";
		return -ENOMEM;
	}
	return 0;
}

static void destroy_queues(struct cbulk_target *ct)
{
	if (ct->io_queue)
		destroy_workqueue(ct->io_queue);
	if (ct->crypt_queue)
		destroy_workqueue(ct->crypt_queue);
}

static void audit(struct dm_target *ti, const char *op, bool success)
{
	dm_audit_log_ti(AUDIT_DM_CTRL, DM_MSG_PREFIX, op, ti, success);
}

static void target_dtr(struct dm_target *ti)
{
	struct cbulk_target *ct = ti->private;

	ti->private = NULL;
	if (!ct)
		return;

	/* First whatever runs: a work item may still be on its way out of a bio it completed. */
	destroy_queues(ct);
	cbulk_order_exit(ct);
	cbulk_handoff_exit(ct);
	cbulk_tags_exit(ct);
	cbulk_convert_exit(ct);
	cbulk_buffers_exit(&ct->buffers);
	cbulk_cipher_exit(&ct->cipher);
	if (ct->dev)
		dm_put_device(ti, ct->dev);
	kfree_sensitive(ct);
	audit(ti, "dtr", true);
}

static int start_threads(struct dm_target *ti, struct cbulk_target *ct)
{
	const char *name = dm_table_device_name(ti->table);
	int ret;

	ret = alloc_queues(ct, name, &ti->error);
	if (ret)
		return ret;
	ret = cbulk_order_init(ct, name);
	if (ret)
		ti->error = "Couldn't spawn write thread";
	return ret;
}

/* As in the stock target, what fails so early leaves no audit record. */
static int alloc_target(struct dm_target *ti, const char *key)
{
	int key_size = cbulk_key_size(key, &ti->error);
	struct cbulk_target *ct;

	if (key_size < 0)
		return key_size;
	ct = kzalloc(sizeof(*ct), GFP_KERNEL);
	if (!ct) {
		ti->error = "Cannot allocate encryption context";
		return -ENOMEM;
	}
	ct->cipher.key_size = key_size;
	mutex_init(&ct->key_lock);
	ti->private = ct;
	return 0;
}

static int construct(struct dm_target *ti, struct cbulk_target *ct, unsigned int argc, char **argv)
{
	int ret;

	ret = cbulk_table_parse_options(ti, ct, argc - 5, argv + 5);
	if (ret)
		return ret;
	ret = cbulk_cipher_init(&ct->cipher, argv[0], argv[1], &ti->error);
	if (ret)
		return ret;
	ret = cbulk_convert_init(ct);
	if (ret) {
		ti->error = "Cannot allocate crypt request mempool";
		return ret;
	}
	ret = cbulk_buffers_init(&ct->buffers, &ti->error);
	if (ret)
		return ret;
	ret = cbulk_table_parse_device(ti, ct, argv + 2);
	if (ret)
		return ret;
	ret = cbulk_tags_init(ct, &ti->error);
	if (ret)
		return ret;
	ret = cbulk_handoff_init(ct);
	if (ret) {
		ti->error = "Cannot allocate counters";
		return ret;
	}
	return start_threads(ti, ct);
}

static int target_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	int ret;

	ti->error = "Not enough arguments";
	ret = argc < 5 ? -EINVAL : alloc_target(ti, argv[1]);
	if (!ret) {
		ret = construct(ti, ti->private, argc, argv);
		audit(ti, "ctr", !ret);
	}
	/* The key has been taken over, or is not wanted: no copy stays in the argument. */
	if (argc > 1)
		memzero_explicit(argv[1], strlen(argv[1]));
	if (ret) {
		target_dtr(ti);
		return ret;
	}

	ti->per_io_data_size = cbulk_io_size(ti->private);
	ti->num_flush_bios = 1;
	ti->limit_swap_bios = true;
	ti->accounts_remapped_io = true;
	return 0;
}

/* Pages that one bio of ours can have, and the reserve */
#define MAX_REQUEST_SIZE ((unsigned int)BIO_MAX_VECS << PAGE_SHIFT)

/*
 * Whether it is one says the mapping, not the device below: that of conventional zones alone is a
 * device without zones, and its writes are of any size.
 */
static bool is_zone_write(const struct bio *bio)
{
	return op_is_write(bio_op(bio)) && bdev_is_zoned(bio->bi_bdev);
}

/*
 * Parts of an atomic write would not be one. Of a write to a zone, the block layer may be waiting
 * for the first part before it lets the rest come.
 */
static bool is_indivisible(const struct bio *bio, bool to_zone)
{
	return (bio->bi_opf & REQ_ATOMIC) || (CBULK_HAVE_ZONE_WRITE_SPLIT && to_zone);
}

/*
 * The largest request that is not split, or not refused if it must not be split, in sectors. To be
 * @large, it may be as large as can be, whatever size was asked for.
 */
static unsigned int max_request_sectors(const struct cbulk_target *ct, const struct bio *bio,
					bool large)
{
	unsigned int align = max(bdev_logical_block_size(ct->dev->bdev), ct->cipher.unit_size);
	bool write = op_is_write(bio_op(bio));
	unsigned int bytes = write ? READ_ONCE(max_write_size) : READ_ONCE(max_read_size);

	if (unlikely(large))
		return MAX_REQUEST_SIZE >> SECTOR_SHIFT;
	bytes = min_not_zero(bytes, CBULK_DEFAULT_MAX_REQUEST);
	/* A write, and the second try of a read, must fit into one bio and into the reserve. */
	if (write || ct->cipher.used_tag_size)
		bytes = min(bytes, MAX_REQUEST_SIZE);
	return max(round_down(bytes, align), align) >> SECTOR_SHIFT;
}

static int target_map(struct dm_target *ti, struct bio *bio)
{
	struct cbulk_target *ct = ti->private;
	sector_t sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	bool to_zone = is_zone_write(bio);
	bool whole = is_indivisible(bio, to_zone);
	unsigned int max_sectors;
	struct cbulk_io *io;

	/*
	 * Nothing to encrypt: flushes, discards, and operations on zones, which have a place but
	 * no size. Device-mapper sends a flush when what it covers has completed.
	 */
	if (unlikely(bio->bi_opf & REQ_PREFLUSH || bio_op(bio) == REQ_OP_DISCARD ||
		     !bio_sectors(bio))) {
		bio_set_dev(bio, ct->dev->bdev);
		if (bio_sectors(bio) || !(bio->bi_opf & REQ_PREFLUSH))
			bio->bi_iter.bi_sector = ct->start + sector;
		return DM_MAPIO_REMAPPED;
	}

	/* A write to a zone may be an append: split, that could not say where it went. */
	max_sectors = max_request_sectors(ct, bio, whole || to_zone);
	if (unlikely(bio_sectors(bio) > max_sectors)) {
		if (whole)
			return DM_MAPIO_KILL;
		dm_accept_partial_bio(bio, max_sectors);
	}

	/* A message that wiped the key just before this resume, too late to stop it. */
	if (unlikely(!READ_ONCE(ct->cipher.key_valid)))
		return DM_MAPIO_KILL;

	/* The queue limits ask for whole units; who ignores them gets an error. */
	if (unlikely((bio->bi_iter.bi_sector & ((1U << ct->cipher.unit_shift) - 1)) ||
		     (bio->bi_iter.bi_size & (ct->cipher.unit_size - 1))))
		return DM_MAPIO_KILL;

	io = dm_per_bio_data(bio, ti->per_io_data_size);
	io->ct = ct;
	io->base = bio;
	io->sector = sector;
	io->error = BLK_STS_OK;
	io->tags = NULL;
	io->tags_from_pool = false;
	if (ct->tags.tuple_size && !cbulk_tags_alloc(io, whole)) {
		io->error = BLK_STS_RESOURCE;
		cbulk_io_end(io);
		return DM_MAPIO_SUBMITTED;
	}

	if (bio_data_dir(bio) == WRITE)
		cbulk_write(io);
	else
		cbulk_read(io);
	return DM_MAPIO_SUBMITTED;
}

static void target_status(struct dm_target *ti, status_type_t type, unsigned int status_flags,
			  char *result, unsigned int maxlen)
{
	result[0] = '\0';
	if (type == STATUSTYPE_TABLE)
		cbulk_table_print(ti, result, maxlen);
	else if (type == STATUSTYPE_IMA)
		cbulk_table_print_ima(ti, result, maxlen);
}

static void target_postsuspend(struct dm_target *ti)
{
	struct cbulk_target *ct = ti->private;

	mutex_lock(&ct->key_lock);
	WRITE_ONCE(ct->suspended, true);
	mutex_unlock(&ct->key_lock);
}

static int target_preresume(struct dm_target *ti)
{
	struct cbulk_target *ct = ti->private;
	bool valid;

	mutex_lock(&ct->key_lock);
	valid = ct->cipher.key_valid;
	mutex_unlock(&ct->key_lock);
	if (valid)
		return 0;
	DMERR("aborting resume - crypt key is not set.");
	return -EAGAIN;
}

/* Comes before I/O: a message that changes the key has ended then, or finds that it may not. */
static void target_resume(struct dm_target *ti)
{
	struct cbulk_target *ct = ti->private;

	mutex_lock(&ct->key_lock);
	WRITE_ONCE(ct->suspended, false);
	mutex_unlock(&ct->key_lock);
}

static int target_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
			  unsigned int maxlen)
{
	return cbulk_message(ti->private, argc, argv, result, maxlen);
}

#ifdef CONFIG_BLK_DEV_ZONED
static int target_report_zones(struct dm_target *ti, struct dm_report_zones_args *args,
			       unsigned int nr_zones)
{
	struct cbulk_target *ct = ti->private;
	sector_t first = ct->start + dm_target_offset(ti, args->next_sector);

	return dm_report_zones(ct->dev->bdev, ct->start, first, args, nr_zones);
}
#else
#define target_report_zones NULL
#endif

static int target_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct cbulk_target *ct = ti->private;

	return fn(ti, ct->dev, ct->start, ti->len, data);
}

static void target_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	const struct cbulk_target *ct = ti->private;
	unsigned int unit_size = ct->cipher.unit_size;

	limits->logical_block_size = max(limits->logical_block_size, unit_size);
	limits->physical_block_size = max(limits->physical_block_size, unit_size);
	limits->io_min = max(limits->io_min, unit_size);
	limits->dma_alignment = limits->logical_block_size - 1;
	limits->max_segment_size = min_t(unsigned int, limits->max_segment_size,
					 CBULK_MAX_SEGMENT_SIZE);
	/* What must not be split has to fit. */
	cbulk_limit_atomic_writes(limits, MAX_REQUEST_SIZE);
	if (bdev_is_zoned(ct->dev->bdev)) {
		limits->max_zone_append_sectors = min(limits->max_zone_append_sectors,
						      MAX_REQUEST_SIZE >> SECTOR_SHIFT);
		if (CBULK_HAVE_ZONE_WRITE_PLUGS)
			limits->max_hw_sectors = min(limits->max_hw_sectors,
						     MAX_REQUEST_SIZE >> SECTOR_SHIFT);
	}
}

static struct target_type crypt_bulk_target = {
	.name = "crypt-bulk",
	/*
	 * Programs read features off the stock target's numbering: 1.22 no_*_workqueue, 1.26
	 * high_priority, 1.28 integrity_key_size. These work here on every kernel, also where stock
	 * has a lower number; 1.29, atomic writes, on kernels that have them. Metadata in the
	 * device's own sectors (1.27) depends on the kernel too, but is asked of the device and not
	 * read off this number.
	 */
	.version = { 1, CBULK_TARGET_MINOR, 0 },
	.module = THIS_MODULE,
	.features = CBULK_TARGET_FEATURES,
	.report_zones = target_report_zones,
	.ctr = target_ctr,
	.dtr = target_dtr,
	.map = target_map,
	.status = target_status,
	.postsuspend = target_postsuspend,
	.preresume = target_preresume,
	.resume = target_resume,
	.message = target_message,
	.iterate_devices = target_iterate_devices,
	.io_hints = target_io_hints,
};

/* The same target under the name that cryptsetup, systemd and initramfs know. */
static struct target_type replacing_target;

static int __init register_replacing(void)
{
	int ret;

	replacing_target = crypt_bulk_target;
	replacing_target.name = CBULK_STOCK_NAME;
	ret = dm_register_target(&replacing_target);
	if (ret != -EEXIST && ret != -EBUSY)
		return ret;
	DMERR("crypt is already registered: unload dm_crypt first (modprobe -r dm-crypt)");
	/* Some kernels say -EEXIST, which modprobe takes for "the module is loaded already". */
	return -EBUSY;
}

/*
 * A target can be used from its registration on, also by a module whose init then fails. So the
 * name that may be taken goes first: when it is, nothing was registered.
 */
static int __init crypt_bulk_init(void)
{
	int ret = mempool_bulk_start();

	if (ret)
		return ret;
	if (replace_stock)
		ret = register_replacing();
	if (ret)
		goto stop;
	ret = dm_register_target(&crypt_bulk_target);
	if (!ret)
		return 0;
	if (replace_stock)
		dm_unregister_target(&replacing_target);
stop:
	mempool_bulk_stop();
	return ret;
}

static void __exit crypt_bulk_exit(void)
{
	/* Work of a read that has completed may still be on its way out of our code. */
	cbulk_flush_soon();
	dm_unregister_target(&crypt_bulk_target);
	if (replace_stock)
		dm_unregister_target(&replacing_target);
	mempool_bulk_stop();
}

module_init(crypt_bulk_init);
module_exit(crypt_bulk_exit);

MODULE_AUTHOR("the dm-crypt-bulk developers");
MODULE_DESCRIPTION(DM_NAME " target for transparent encryption, with bulk allocation of pages");
MODULE_VERSION(CBULK_VERSION);
MODULE_LICENSE("GPL");
