/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What older kernels lack of the interfaces that this module is written against, and the only
 * file that knows kernel versions. It is included before everything else in every file.
 *
 * What a kernel's headers have, Kbuild.compat looks up, since distributions move code between
 * versions. A version is asked for only where it is about how that version's dm-crypt behaves.
 */
#ifndef CBULK_COMPAT_H
#define CBULK_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0) || LINUX_VERSION_CODE >= KERNEL_VERSION(7, 4, 0)
#error dm-crypt-bulk supports Linux 6.1 up to and including 7.3; this kernel is outside that range
#endif

#include <crypto/aes.h>
#include <crypto/hash.h>
#include <crypto/md5.h>
#include <linux/audit.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/crypto.h>
#include <linux/err.h>
#include <linux/fips.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

/* Headers that moved: Kbuild looks which of them there are. */
#ifdef CBULK_HAVE_HEX_H
#include <linux/hex.h>
#endif
#ifdef CBULK_HAVE_BIO_INTEGRITY_H
#include <linux/bio-integrity.h>
#endif
#ifdef CBULK_HAVE_UNALIGNED_H
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* So that a device can write into the memory of a bio beside that of another. */
#ifdef ARCH_DMA_MINALIGN
#define CBULK_IO_ALIGN ARCH_DMA_MINALIGN
#else
#define CBULK_IO_ALIGN ARCH_KMALLOC_MINALIGN
#endif

/* 6.14 gave the array form of the bulk page allocator its present name. */
#ifndef alloc_pages_bulk
#define alloc_pages_bulk(gfp, nr_pages, page_array) \
	alloc_pages_bulk_array((gfp), (nr_pages), (page_array))
#endif

/* 6.3 sets bio_vecs with a function. */
#ifndef CBULK_HAVE_BVEC_SET_PAGE
static inline void bvec_set_page(struct bio_vec *bv, struct page *page, unsigned int len,
				 unsigned int offset)
{
	*bv = (struct bio_vec){ .bv_page = page, .bv_len = len, .bv_offset = offset };
}
#endif

/* 6.7 allocates shrinkers. Before, a shrinker was the user's memory. */
#ifndef CBULK_HAVE_SHRINKER_ALLOC
static inline struct shrinker *shrinker_alloc(unsigned int flags, const char *name)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (!shrinker)
		return NULL;
	shrinker->seeks = DEFAULT_SEEKS;
	return shrinker;
}

static inline int cbulk_shrinker_register(struct shrinker *shrinker, const char *name)
{
	return register_shrinker(shrinker, "%s", name);
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(shrinker);
}
#else
static inline int cbulk_shrinker_register(struct shrinker *shrinker, const char *name)
{
	shrinker_register(shrinker);
	return 0;
}
#endif

/* 6.3 passes a completed crypto request's data, not the request. */
#ifndef CBULK_HAVE_CRYPTO_DONE_DATA
#define cbulk_crypto_done_t struct crypto_async_request
static inline void *cbulk_crypto_done_data(cbulk_crypto_done_t *areq)
{
	return areq->data;
}
#else
#define cbulk_crypto_done_t void
static inline void *cbulk_crypto_done_data(cbulk_crypto_done_t *data)
{
	return data;
}
#endif

/* 6.17 asks for per-CPU workqueues by name; before, they were what one got. */
#ifndef CBULK_HAVE_WQ_PERCPU
#define WQ_PERCPU 0
#endif

/* 6.9 has a workqueue whose work runs in softirq context: what tasklets were for. */
#ifdef CBULK_HAVE_WQ_BH
static inline bool cbulk_queue_soon(struct work_struct *work)
{
	return queue_work(system_bh_wq, work);
}

static inline void cbulk_flush_soon(void)
{
	flush_workqueue(system_bh_wq);
}
#else
static inline bool cbulk_queue_soon(struct work_struct *work)
{
	return false;
}

static inline void cbulk_flush_soon(void)
{
}
#endif

/* 7.3 asks whether a device rotates; before, one asked whether it does not. */
#ifndef CBULK_HAVE_BDEV_ROT
static inline bool bdev_rot(struct block_device *bdev)
{
	return !bdev_nonrot(bdev);
}
#endif

/* 6.11 began to split requests, at 128 KiB unless told otherwise. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define CBULK_DEFAULT_MAX_REQUEST UINT_MAX
#else
#define CBULK_DEFAULT_MAX_REQUEST 131072
#endif

/* AES for single blocks: later kernels have a key of its own for encryption only. */
#ifdef CBULK_HAVE_AES_ENCKEY
#define cbulk_aes_t struct aes_enckey
#define cbulk_aes_set_key aes_prepareenckey
#else
#define cbulk_aes_t struct crypto_aes_ctx
#define cbulk_aes_set_key aes_expandkey
#endif

/*
 * MD5 without the padding at the end. Later kernels have it as a library, which shows its state;
 * before, a hash's exported state begins with it.
 */
#ifdef CBULK_HAVE_MD5_CTX
struct cbulk_md5 {
};

static inline int cbulk_md5_init(struct cbulk_md5 *md5, char **error)
{
	if (!fips_enabled)
		return 0;
	*error = "LMK support is disabled due to FIPS";
	return -EINVAL;
}

static inline void cbulk_md5_exit(struct cbulk_md5 *md5)
{
}

static inline int cbulk_md5_whole_blocks(const struct cbulk_md5 *md5, const struct kvec *parts,
					 unsigned int nr, u8 *hash)
{
	struct md5_ctx ctx;
	unsigned int i;

	md5_init(&ctx);
	for (i = 0; i < nr; i++)
		md5_update(&ctx, parts[i].iov_base, parts[i].iov_len);
	for (i = 0; i < MD5_HASH_WORDS; i++)
		put_unaligned_le32(ctx.state.h[i], hash + i * sizeof(u32));
	memzero_explicit(&ctx, sizeof(ctx));
	return 0;
}
#else
struct cbulk_md5 {
	struct crypto_shash *tfm;
};

/* Some kernels keep the last block outside of the state proper, and export it behind. */
union cbulk_md5_exported {
	struct md5_state md5;
	u8 room[sizeof(struct md5_state) + MD5_HMAC_BLOCK_SIZE + 1];
};

static inline int cbulk_md5_init(struct cbulk_md5 *md5, char **error)
{
	struct crypto_shash *tfm = crypto_alloc_shash("md5", 0, CRYPTO_ALG_ALLOCATES_MEMORY);

	if (IS_ERR(tfm)) {
		*error = "Error initializing LMK hash";
		return PTR_ERR(tfm);
	}
	md5->tfm = tfm;
	if (crypto_shash_statesize(tfm) <= sizeof(union cbulk_md5_exported))
		return 0;
	*error = "LMK needs another driver of MD5";
	return -EINVAL;
}

static inline void cbulk_md5_exit(struct cbulk_md5 *md5)
{
	crypto_free_shash(md5->tfm);
}

static inline int cbulk_md5_whole_blocks(const struct cbulk_md5 *md5, const struct kvec *parts,
					 unsigned int nr, u8 *hash)
{
	SHASH_DESC_ON_STACK(desc, md5->tfm);
	union cbulk_md5_exported state;
	unsigned int i;
	int ret;

	desc->tfm = md5->tfm;
	ret = crypto_shash_init(desc);
	for (i = 0; !ret && i < nr; i++)
		ret = crypto_shash_update(desc, parts[i].iov_base, parts[i].iov_len);
	if (!ret)
		ret = crypto_shash_export(desc, &state);
	for (i = 0; !ret && i < MD5_HASH_WORDS; i++)
		put_unaligned_le32(state.md5.hash[i], hash + i * sizeof(u32));
	memzero_explicit(&state, sizeof(state));
	shash_desc_zero(desc);
	return ret;
}
#endif

/*
 * Profiles of integrity payloads that nobody but their user looks into. At first only dm-integrity
 * had them, known by name, and their size had to be the user's to the byte.
 */
#ifdef CBULK_HAVE_METADATA_SIZE
#define cbulk_integrity_size(bi) ((bi)->metadata_size)
#else
#define cbulk_integrity_size(bi) ((bi)->tuple_size)
#endif

#ifdef CBULK_HAVE_CSUM_TYPE
#define cbulk_integrity_opaque(bi) ((bi)->csum_type == BLK_INTEGRITY_CSUM_NONE)
#define CBULK_INTEGRITY_EXACT false
#else
#define cbulk_integrity_opaque(bi) \
	(!strcasecmp((bi)->profile->name, "DM-DIF-EXT-TAG"))
#define CBULK_INTEGRITY_EXACT true
#endif

/*
 * Earlier kernels take the integrity payload of a bio from a pool of the bio's set, to which
 * bio_uninit() gives it back. Later ones have no pool; but there a payload can be anybody's memory,
 * as long as it is off the bio by then.
 */
#ifdef CBULK_HAVE_BIOSET_INTEGRITY
struct cbulk_payload {
};

static inline int cbulk_payload_pool_init(struct bio_set *bios, int nr)
{
	const int ret = bioset_init(bios, nr, 0, 0);

	if (ret)
		return ret;
	/* What it returns when there is no memory is no errno. */
	return bioset_integrity_create(bios, nr) ? -ENOMEM : 0;
}

static inline bool cbulk_payload_attach(struct bio *bio, struct cbulk_payload *own,
					struct bio_set *bios, gfp_t gfp)
{
	/* Nobody else looks at the set of a bio that is never given to bio_put(). */
	bio->bi_pool = bios;
	return !IS_ERR(bio_integrity_alloc(bio, gfp, 1));
}

static inline void cbulk_payload_detach(struct bio *bio, struct cbulk_payload *own)
{
}
#else
struct cbulk_payload {
	struct bio_vec piece;
	struct bio_integrity_payload payload;
};

static inline int cbulk_payload_pool_init(struct bio_set *bios, int nr)
{
	return 0;
}

static inline bool cbulk_payload_attach(struct bio *bio, struct cbulk_payload *own,
					struct bio_set *bios, gfp_t gfp)
{
#ifdef CONFIG_BLK_DEV_INTEGRITY
	own->payload = (struct bio_integrity_payload){
		.bip_vec = &own->piece,
		.bip_max_vcnt = 1,
	};
	bio->bi_integrity = &own->payload;
	bio->bi_opf |= REQ_INTEGRITY;
#endif
	return IS_ENABLED(CONFIG_BLK_DEV_INTEGRITY);
}

static inline void cbulk_payload_detach(struct bio *bio, struct cbulk_payload *own)
{
#ifdef CONFIG_BLK_DEV_INTEGRITY
	if (bio_integrity(bio) == &own->payload) {
		bio->bi_integrity = NULL;
		bio->bi_opf &= ~REQ_INTEGRITY;
	}
#endif
}
#endif

/*
 * 6.10 began to queue the writes of a zone in the block layer, which can no longer wait for a write
 * that is split on the way. Appends are kept to the queue's limits since then; other writes are
 * split to them by device-mapper since a later fix, which also came to older kernels. Without it,
 * what is larger than a bio of ours can be has to be split here all the same.
 */
#ifdef CBULK_HAVE_ZONE_WPLUGS
#define CBULK_HAVE_ZONE_WRITE_PLUGS true
#else
#define CBULK_HAVE_ZONE_WRITE_PLUGS false
#endif
#ifdef CBULK_HAVE_ZONE_SPLIT
#define CBULK_HAVE_ZONE_WRITE_SPLIT true
#else
#define CBULK_HAVE_ZONE_WRITE_SPLIT false
#endif

/*
 * What 6.10 changed in what users see of dm-crypt: its work queues are in sysfs, segments may be
 * larger than a page, and the option high_priority is there.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define CBULK_WQ_SYSFS 0
#define CBULK_MAX_SEGMENT_SIZE PAGE_SIZE
#define CBULK_STOCK_HAS_HIGH_PRIORITY false
#else
#define CBULK_WQ_SYSFS WQ_SYSFS
#define CBULK_MAX_SEGMENT_SIZE UINT_MAX
#define CBULK_STOCK_HAS_HIGH_PRIORITY true
#endif

/* Writes that reach the device whole or not at all: since 6.11, in dm-crypt since 6.19. */
#ifndef REQ_ATOMIC
#define REQ_ATOMIC ((__force blk_opf_t)0)
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define CBULK_TARGET_FEATURES DM_TARGET_ZONED_HM
#define CBULK_TARGET_MINOR 28
static inline void cbulk_limit_atomic_writes(struct queue_limits *limits, unsigned int bytes)
{
}
#else
#define CBULK_TARGET_FEATURES (DM_TARGET_ZONED_HM | DM_TARGET_ATOMIC_WRITES)
#define CBULK_TARGET_MINOR 29
static inline void cbulk_limit_atomic_writes(struct queue_limits *limits, unsigned int bytes)
{
	limits->atomic_write_hw_max = min(limits->atomic_write_hw_max, bytes);
	limits->atomic_write_hw_unit_max = min(limits->atomic_write_hw_unit_max, bytes);
}
#endif

/*
 * Audit records: exported by dm-mod for all targets, and declared in a header that packages of
 * kernel headers do not have. Both may sleep.
 */
struct dm_target;
#ifdef CONFIG_DM_AUDIT
void dm_audit_log_ti(int audit_type, const char *dm_msg_prefix, const char *op,
		     struct dm_target *ti, int result);
void dm_audit_log_bio(const char *dm_msg_prefix, const char *op, struct bio *bio, sector_t sector,
		      int result);
#else
static inline void dm_audit_log_ti(int audit_type, const char *dm_msg_prefix, const char *op,
				   struct dm_target *ti, int result)
{
}

static inline void dm_audit_log_bio(const char *dm_msg_prefix, const char *op, struct bio *bio,
				    sector_t sector, int result)
{
}
#endif

#endif /* CBULK_COMPAT_H */
