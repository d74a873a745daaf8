/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The block layer, device-mapper and the rest of what the target is made of, in user space: enough
 * for it to compile, and for tables and messages to work. No bio ever comes.
 */
#ifndef FUZZ_BLOCK_H
#define FUZZ_BLOCK_H

/* Things that are only named */
struct page;
struct list_head {
	struct list_head *next;
};

struct hlist_node {
	struct hlist_node *next;
};

struct llist_node {
	struct llist_node *next;
};

struct llist_head {
	struct llist_node *first;
};

struct work_struct {
	int unused;
};

struct delayed_work {
	int unused;
};

struct completion {
	int unused;
};

struct cbulk_payload {
	int unused;
};

struct bio_set {
	int unused;
};

struct percpu_counter {
	int unused;
};

struct fuzz_atomic {
	int value;
};

struct mempool {
	int unused;
};

#define spinlock_t struct fuzz_atomic
#define atomic_t struct fuzz_atomic
#define atomic_long_t struct fuzz_atomic
#define ATOMIC_INIT(first) { first }
#define atomic_fetch_inc(atomic) ((atomic)->value++)
#define mempool_t struct mempool
#define cbulk_crypto_done_t void

/* Bios */
#define blk_status_t u8
#define blk_opf_t u32
#define BLK_STS_OK 0
#define BLK_STS_RESOURCE 9
#define REQ_OP_DISCARD 3
#define REQ_OP_MASK 255
#define REQ_PREFLUSH BIT(8)
#define REQ_ATOMIC BIT(9)
#define BIO_MAX_VECS 256
#define WRITE 1

struct bvec_iter {
	sector_t bi_sector;
	unsigned int bi_size;
};

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len;
	unsigned int bv_offset;
};

struct block_device {
	bool zoned;
};

struct bio {
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	blk_status_t bi_status;
	struct bvec_iter bi_iter;
};

#define bio_op(bio) ((bio)->bi_opf & REQ_OP_MASK)
#define bio_sectors(bio) ((bio)->bi_iter.bi_size >> SECTOR_SHIFT)
#define bio_data_dir(bio) ((int)((bio)->bi_opf & WRITE))
#define bio_set_dev(bio, bdev) ((bio)->bi_bdev = (bdev))
#define bio_endio(bio) ((void)(bio))
#define op_is_write(op) ((op) & WRITE)
#define bdev_logical_block_size(bdev) ((void)(bdev), (unsigned int)SECTOR_SIZE)
#define bdev_is_zoned(bdev) ((bdev)->zoned)

struct queue_limits {
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int io_min;
	unsigned int dma_alignment;
	unsigned int max_segment_size;
	unsigned int max_hw_sectors;
	unsigned int max_zone_append_sectors;
};

/* Device-mapper */
#define DMERR(...) fuzz_log(__VA_ARGS__)
#define DMWARN(...) fuzz_log(__VA_ARGS__)
#define DMDEBUG_LIMIT(...) fuzz_log(__VA_ARGS__)
#define DMEMIT(...) \
	(sz += sz < maxlen ? scnprintf(result + sz, maxlen - sz, __VA_ARGS__) : 0)
#define DMEMIT_TARGET_NAME_VERSION(type)				\
	DMEMIT("target_name=%s,target_version=%u.%u.%u", (type)->name,	\
	       (type)->version[0], (type)->version[1], (type)->version[2])
#define DM_MAPIO_SUBMITTED 0
#define DM_MAPIO_REMAPPED 1
#define DM_MAPIO_KILL 4
#define DM_TARGET_ZONED_HM 1
#define CBULK_TARGET_FEATURES DM_TARGET_ZONED_HM
#define CBULK_TARGET_MINOR 28
#define CBULK_DEFAULT_MAX_REQUEST 131072
#define CBULK_MAX_SEGMENT_SIZE UINT_MAX
#define CBULK_STOCK_HAS_HIGH_PRIORITY true
#define CBULK_HAVE_ZONE_WRITE_PLUGS true
#define CBULK_HAVE_ZONE_WRITE_SPLIT true
#define CBULK_WQ_SYSFS 0
#define CBULK_VERSION "0"
#define AUDIT_DM_CTRL 0
#define dm_audit_log_ti(type, prefix, op, ti, result) fuzz_log("%s %d", op, result)
#define cbulk_flush_soon() ((void)0)
#define cbulk_limit_atomic_writes(limits, bytes) ((void)(bytes))

enum status_type { STATUSTYPE_INFO, STATUSTYPE_TABLE, STATUSTYPE_IMA };
#define status_type_t enum status_type

struct dm_dev {
	struct block_device *bdev;
	char name[16];
};

struct target_type;
struct dm_target {
	const struct target_type *type;
	void *table;
	sector_t begin;
	sector_t len;
	void *private;
	char *error;
	unsigned int num_discard_bios;
	unsigned int num_flush_bios;
	unsigned int per_io_data_size;
	bool limit_swap_bios;
	bool accounts_remapped_io;
	bool emulate_zone_append;
};

typedef int iterate_devices_callout_fn(struct dm_target *ti, struct dm_dev *dev, sector_t start,
				       sector_t len, void *data);

struct target_type {
	const char *name;
	unsigned int version[3];
	void *module;
	unsigned int features;
	int (*ctr)(struct dm_target *ti, unsigned int argc, char **argv);
	void (*dtr)(struct dm_target *ti);
	int (*map)(struct dm_target *ti, struct bio *bio);
	void *report_zones;
	void (*status)(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
		       unsigned int maxlen);
	void (*postsuspend)(struct dm_target *ti);
	int (*preresume)(struct dm_target *ti);
	void (*resume)(struct dm_target *ti);
	int (*message)(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		       unsigned int maxlen);
	int (*iterate_devices)(struct dm_target *ti, iterate_devices_callout_fn *fn, void *data);
	void (*io_hints)(struct dm_target *ti, struct queue_limits *limits);
};

struct dm_arg_set {
	unsigned int argc;
	char **argv;
};

struct dm_arg {
	unsigned int min;
	unsigned int max;
	char *error;
};

int dm_read_arg_group(const struct dm_arg *arg, struct dm_arg_set *set, unsigned int *count,
		      char **error);
const char *dm_shift_arg(struct dm_arg_set *set);
int dm_get_device(struct dm_target *ti, const char *path, unsigned int mode, struct dm_dev **dev);
void dm_put_device(struct dm_target *ti, struct dm_dev *dev);
int dm_register_target(struct target_type *type);
void dm_unregister_target(struct target_type *type);
#define dm_table_get_mode(table) 0
#define dm_table_device_name(table) "252:0"
#define dm_target_offset(ti, sector) ((sector) - (ti)->begin)
#define dm_per_bio_data(bio, size) ((void *)((u8 *)(bio) - (size)))
#define dm_accept_partial_bio(bio, sectors) ((bio)->bi_iter.bi_size = (sectors) << SECTOR_SHIFT)

/* Work queues and their numbers */
#define WQ_MEM_RECLAIM 0
#define WQ_CPU_INTENSIVE 0
#define WQ_UNBOUND 0
#define WQ_HIGHPRI 0
#define WQ_PERCPU 0
#define num_online_cpus() 2
#define alloc_workqueue(format, flags, active, ...) fuzz_alloc_queue(format, __VA_ARGS__)
#define destroy_workqueue(queue) kfree(queue)
struct workqueue_struct;
struct workqueue_struct *fuzz_alloc_queue(const char *format, ...) __printf(1, 2);

/* The module: what the harness gets at of what is static in it. */
#define THIS_MODULE NULL
#define module_param(name, type, mode) type *const fuzz_param_##name = &(name)
#define MODULE_PARM_DESC(name, text) struct fuzz_described_##name
#define MODULE_AUTHOR(text) struct fuzz_author
#define MODULE_DESCRIPTION(text) struct fuzz_description
#define MODULE_VERSION(text) struct fuzz_version
#define MODULE_LICENSE(text) struct fuzz_license
#define module_init(function) int (*const fuzz_module_init)(void) = (function)
#define module_exit(function) void (*const fuzz_module_exit)(void) = (function)

extern int (*const fuzz_module_init)(void);
extern void (*const fuzz_module_exit)(void);
extern bool *const fuzz_param_hide_keys;

/* The target that the module registered. */
extern const struct target_type *fuzz_target;

#endif /* FUZZ_BLOCK_H */
