/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The map of the crypt-bulk target: its data and, by file, the functions that the files offer each
 * other. Dependencies point down this list, never up:
 *
 *   target.c         the device-mapper target: life of a mapping, map, status
 *   table.c          from a table line to a mapping's settings, and back
 *   message.c        messages to a mapping: another key, or none
 *   read.c, write.c  the two ways of a bio
 *   handoff.c        who does the work of a bio: who brings it, or a work queue
 *   recheck.c        the second try of a read that failed its authentication
 *   order.c          the thread that submits writes in order of their sectors
 *   convert.c        a bio's sectors through the cipher, by one of three ways:
 *   convert-run.c    the fast one, for ciphers whose IV is a function of the sector's number
 *   convert-blocks.c the one for ciphers without an IV that work block by block
 *   convert-unit.c   the general one: IVs that touch the data, stored IVs, authentication
 *   buffers.c        the pages of writes on their way
 *   tags.c           what a sector has on the device beside its data
 *   cipher.c, key.c  the cipher of a mapping and its key
 *   cipher-direct.c  the cipher's driver without the wrapper around it
 *   key-keyring.c    keys that the kernel's keyring keeps
 *   iv.c, iv-*.c     the IV of a sector, one file a family
 *
 * Units: a sector_t and what is called "sector" counts 512-byte sectors. An encryption sector
 * ("unit" where the two could be confused) is cipher.unit_size bytes, 512 to 4096.
 */
#ifndef CBULK_CRYPT_BULK_H
#define CBULK_CRYPT_BULK_H

#include <crypto/aead.h>
#include <crypto/skcipher.h>
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/device-mapper.h>
#include <linux/llist.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/workqueue.h>
#include "buffer.h"

#define DM_MSG_PREFIX "crypt-bulk"

/* The name of the stock target, which the module also takes when loaded with replace_stock. */
#define CBULK_STOCK_NAME "crypt"

/* Bios and crypto requests that a mapping can always get, as many as the stock target keeps. */
#define CBULK_MIN_IOS 64

/*
 * Memory segments that one encryption sector may lie in: a 4096-byte sector made of segments of
 * one 512-byte sector, the shortest that a block device has to accept.
 */
#define CBULK_MAX_SEGMENTS 8

/*
 * For memory as large as words of a table line or message are, or say. Nothing bounds these, so
 * that it is no fault of the kernel's if there is no such memory, and nothing to warn of.
 */
#define CBULK_GFP_USER_SIZED (GFP_KERNEL | __GFP_NOWARN)

/*
 * Pieces of memory that the buffer of a write has room for in struct cbulk_io: 1 MiB, the most, in
 * pieces of 128 KiB.
 */
#define CBULK_FEW_PIECES 8

struct cbulk_cipher;
struct cbulk_io;
struct cbulk_iv_elephant;
struct cbulk_iv_lmk;
struct cbulk_iv_tcw;
struct cbulk_target;

/* Settings of a mapping, fixed by its table line (bits of cbulk_target.flags) */
enum cbulk_flag {
	CBULK_SAME_CPU_CRYPT,
	CBULK_HIGH_PRIORITY,
	CBULK_SUBMIT_FROM_CRYPT_CPUS,
	CBULK_NO_READ_WORKQUEUE,
	CBULK_NO_WRITE_WORKQUEUE,
	CBULK_IV_LARGE_SECTORS,
	CBULK_WRITE_INLINE,	/* zoned device: writes are submitted by who issued them */
};

/**
 * struct cbulk_iv_ops - how the IV of a sector is made
 * @name: as it stands in the table line
 * @le64: @generate puts the sector's number in the first 64 bits, little endian, and zeros behind
 * @stored: the IV of a write is drawn at random and kept beside the data, where reads find it
 * @layout: say what of the key is the IV mode's, in cipher->key_parts and key_extra_size; called
 *	before there is a key. Optional.
 * @ctr: check that the cipher suits, take memory; sets *error where it knows better than "Error
 *	creating IV". Optional.
 * @dtr: free what @ctr took; called after a failed @ctr too. Optional.
 * @set_key: called with the cipher's new key in cipher->key. Optional.
 * @wipe: replace what @set_key took from the key; cipher->key is random then, and wiped after it.
 *	Called again if the transforms refused that random key. Optional.
 * @generate: write cipher->iv_size bytes for the IV sector to iv. May be called in softirq and
 *	must not sleep. iv is aligned as the cipher asks. Returns 0 or a negative errno.
 * @before: for modes that touch the data: called after @generate with the unit_size bytes that are
 *	about to go through the cipher, may change them and the IV. As @generate. Optional.
 * @after: called with the data that came out of the cipher, may change it. As @generate. Optional.
 */
struct cbulk_iv_ops {
	const char *name;
	bool le64;
	bool stored;
	int (*layout)(struct cbulk_cipher *cipher, char **error);
	int (*ctr)(struct cbulk_cipher *cipher, char **error);
	void (*dtr)(struct cbulk_cipher *cipher);
	int (*set_key)(struct cbulk_cipher *cipher);
	int (*wipe)(struct cbulk_cipher *cipher);
	int (*generate)(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector);
	int (*before)(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector, u8 *data,
		      bool encrypt);
	int (*after)(const struct cbulk_cipher *cipher, u64 iv_sector, u8 *data, bool encrypt);
};

/**
 * struct cbulk_cipher - the cipher of a mapping
 * @spec: the cipher argument of the table line
 * @tfms: one transform for each key; NULL for an authenticated cipher
 * @tfms_count: number of keys, a power of two; 1 for an authenticated cipher
 * @direct: for each of these, the driver behind the wrapper that makes it usable everywhere; NULL
 *	if there is none
 * @aead: the transform of an authenticated cipher
 * @authenticated: the table line says integrity:<bytes>:aead
 * @tag_type: "aead" or "none", as the table line has it; NULL without the integrity option
 * @used_tag_size: the bytes of that option, 0 without it
 * @mac_size: authenc(): bytes of the key that are the MAC's
 * @mac_size_set: the table line gave @mac_size
 * @iv_size: bytes of an IV, 0 for a cipher without
 * @iv_ops: how the IV is made, NULL for a cipher without
 * @iv_is_le64: the IV is the sector's number, 64 bits little endian, and 8 bytes of zeros
 * @benbi_shift: benbi: log2 of cipher blocks in a 512-byte sector
 * @lmk: lmk: hash and seed
 * @tcw: tcw: IV seed and whitening
 * @eboiv_tfm: eboiv, elephant: synchronous twin of @tfms[0], with the same key
 * @elephant: elephant: AES with the second half of the key
 * @unit_size: bytes that are encrypted with one IV
 * @unit_shift: log2 of 512-byte sectors in a unit
 * @iv_shift: log2 of 512-byte sectors that the IV counts as one
 * @key_size: bytes of @key
 * @key_parts: keys in @key, those of the IV mode included
 * @key_extra_size: bytes at the end of @key that are the IV mode's
 * @key: all keys, one after the other; zeros if they are in the keyring or have been wiped
 * @key_name: "<type>:<description>" of a key in the kernel's keyring, or NULL
 * @key_valid: the transforms have the mapping's key; without it no I/O is done
 *
 * From @key on, changed by messages and protected by cbulk_target.key_lock; @key_valid is also
 * read without it.
 */
struct cbulk_cipher {
	char *spec;
	struct crypto_skcipher **tfms;
	unsigned int tfms_count;
	struct crypto_skcipher **direct;
	struct crypto_aead *aead;
	bool authenticated;
	char *tag_type;
	unsigned int used_tag_size;
	unsigned int mac_size;
	bool mac_size_set;
	unsigned int iv_size;
	const struct cbulk_iv_ops *iv_ops;
	bool iv_is_le64;
	union {
		unsigned int benbi_shift;
		struct cbulk_iv_lmk *lmk;
		struct cbulk_iv_tcw *tcw;
		struct {
			struct crypto_sync_skcipher *eboiv_tfm;
			struct cbulk_iv_elephant *elephant;
		};
	};
	unsigned int unit_size;
	unsigned int unit_shift;
	unsigned int iv_shift;
	unsigned int key_size;
	unsigned int key_parts;
	unsigned int key_extra_size;
	u8 *key;
	char *key_name;
	bool key_valid;
};

/**
 * struct cbulk_key_source - the key that the argument of a table line or message stands for
 * @text: the argument
 * @name: "<type>:<description>" of a key in the kernel's keyring, or NULL if @text is the key in
 *	hexadecimal digits
 * @payload: what that key holds, cipher.key_size bytes
 */
struct cbulk_key_source {
	const char *text;
	char *name;
	u8 *payload;
};

/**
 * struct cbulk_tags - what every unit has on the device beside its data
 * @tuple_size: bytes that the device keeps for a unit, 0 for a mapping without
 * @auth_size: bytes of the authentication tag, which come first
 * @iv_size: bytes of the stored IV, which comes second; the rest is zero
 * @pool: where the tuples of a bio go when there is no memory
 * @pool_units: units that an element of @pool can serve
 * @payloads: where bios have their integrity payloads from, on kernels with a pool for these;
 *	else they are in the io
 */
struct cbulk_tags {
	unsigned int tuple_size;
	unsigned int auth_size;
	unsigned int iv_size;
	mempool_t pool;
	unsigned int pool_units;
	struct bio_set payloads;
};

/**
 * struct cbulk_request - what the two ways through the cipher have in common of a request
 * @io: the bio it belongs to; the request of the way that the mapping takes goes on from here
 */
struct cbulk_request {
	struct cbulk_io *io;
};

/**
 * struct cbulk_way - a way through the cipher, chosen once for a mapping
 * @in_place: the data is converted where it is: a write is copied into its buffer first
 * @layout: set ct->request_size and what else depends on the cipher
 * @prepare: make a request ready for its first unit
 * @run: submit the next unit, or as many as finish at once, and advance io->cv; lets others have
 *	the CPU now and then if it may sleep. Returns as cbulk_convert_submitted(), or a negative
 *	errno.
 * @finish: a unit came back from an asynchronous driver without error. Optional. Context: the
 *	driver's callback, may be softirq. Returns 0 or a negative errno.
 * @failed: the tag of a unit did not match: note which. Optional. Context: as @finish.
 */
struct cbulk_way {
	bool in_place;
	void (*layout)(struct cbulk_target *ct);
	void (*prepare)(struct cbulk_io *io, struct cbulk_request *rq);
	int (*run)(struct cbulk_io *io, bool may_sleep);
	int (*finish)(struct cbulk_request *rq);
	void (*failed)(struct cbulk_request *rq);
};

/**
 * struct cbulk_convert - how far the conversion of a bio has come
 * @in: the bio to read from
 * @out: the bio to write to, or NULL to convert @in in place
 * @encrypt: which direction
 * @in_iter: the next unit in @in; bi_size is what is left to submit
 * @out_iter: the next unit in @out
 * @sector: 512-byte sector of the next unit, iv_offset included; chooses key and IV
 * @tuple: the next unit's tuple in io->tags
 * @rq: prepared request for the next unit, NULL when the last one went asynchronous
 * @async: units that went asynchronous; only the submitter counts them
 * @pending: units not known to be finished, and one for the submitter
 * @restart: completed when a driver that was full accepts requests again
 * @backlogged: @restart has to be waited for before the next unit
 * @done: called when the last unit finished asynchronously; the io is the callee's. Called in
 *	the context of the cipher's callback: may be softirq.
 */
struct cbulk_convert {
	struct bio *in;
	struct bio *out;
	bool encrypt;
	struct bvec_iter in_iter;
	struct bvec_iter out_iter;
	u64 sector;
	u8 *tuple;
	struct cbulk_request *rq;
	unsigned int async;
	atomic_t pending;
	struct completion restart;
	bool backlogged;
	void (*done)(struct cbulk_io *io);
};

/**
 * struct cbulk_io - what a mapping keeps for each bio, in the bio's own per-bio data
 * @ct: the mapping
 * @base: the bio as device-mapper gave it to us; completing it ends the life of the io
 * @sector: its first sector, relative to the mapping
 * @error: what @base will be completed with
 * @own: our bio to the device: a read's clone of @base, or one with a buffer of ours
 * @pieces: the pieces of that buffer, in @few_pieces or in an array of cbulk_buffers.arrays
 * @pieces_nr: how many
 * @few_pieces: room for them
 * @payload: what @own carries @tags in, on kernels without a pool for that
 * @tags: the tuples of its units, for a mapping that has them
 * @tags_from_pool: they came from the pool of last resort
 * @rechecked: read: completed when a second try, after a tag that did not match, is decrypted
 * @bad_sector: where the tag did not match, relative to the mapping
 * @work: to go on in a workqueue
 * @pushed: write: link in the order thread's inbox
 * @sorted: write: link in the order thread's batch
 * @cv: state of the conversion
 *
 * An io has one owner at a time: map, a work item, the lower device (until endio), the cipher
 * (until its last callback) or the order thread. Each hands it on with its last touch, so that
 * there is nothing to count and nothing to lock. The first request follows in the same memory.
 */
struct cbulk_io {
	struct cbulk_target *ct;
	struct bio *base;
	sector_t sector;
	blk_status_t error;
	u8 *tags;
	bool tags_from_pool;
	struct completion *rechecked;
	sector_t bad_sector;
	struct work_struct work;
	union {
		struct llist_node pushed;
		struct list_head sorted;
	};
	struct cbulk_convert cv;
	struct bio own;
	unsigned int pieces_nr;
	struct bio_vec *pieces;
	struct bio_vec few_pieces[CBULK_FEW_PIECES];
	struct cbulk_payload payload;
};

/**
 * struct cbulk_buffers - where the memory of a mapping's writes comes from
 * @memory: the pages of writes, and of second tries of reads; its reserve is one of the largest
 * @arrays: arrays for the pieces of a buffer in fragmented memory
 * @client: this mapping counts as one of those who share the memory bound
 */
struct cbulk_buffers {
	struct mempool_buffers_bulk memory;
	mempool_t arrays;
	bool client;
};

/* Who does the work of a bio */
enum cbulk_place {
	CBULK_HERE,	/* who brings it, at once */
	CBULK_SOON,	/* this CPU, when it may: it is in a hard interrupt, or has them off */
	CBULK_QUEUED,	/* a work queue */
};

/**
 * struct cbulk_counters - how many bios were decided how
 * @writes_inline: writes encrypted by who brought them
 * @writes_queued: writes encrypted by the work queue
 * @reads_inline: reads decrypted where they completed
 * @reads_queued: reads decrypted by the work queue
 */
struct cbulk_counters {
	u64 writes_inline;
	u64 writes_queued;
	u64 reads_inline;
	u64 reads_queued;
};

/**
 * struct cbulk_handoff - how the bios of a mapping are decided on
 * @sample_ns: nanoseconds that the cipher takes for 4096 bytes; 0 where it is not for the single
 *	bio to decide, but for the table line's options
 * @counters: what was decided, for each CPU
 */
struct cbulk_handoff {
	unsigned int sample_ns;
	struct cbulk_counters __percpu *counters;
};

/**
 * struct cbulk_order - the thread that submits writes in order of their sectors
 * @inbox: encrypted writes, last come first
 * @thread: the thread
 */
struct cbulk_order {
	struct llist_head inbox;
	struct task_struct *thread;
};

/**
 * struct cbulk_target - one mapping
 * @dev: the device below
 * @start: first sector of the mapping on @dev
 * @iv_offset: added to the sector that keys and IVs are computed from
 * @flags: bits of enum cbulk_flag
 * @cipher: the cipher and its key
 * @key_lock: orders whatever changes or prints the key, and @suspended. Nothing under it may wait
 *	for the mapping's I/O: a resume takes it.
 * @suspended: device-mapper holds back I/O, and none is under way
 * @buffers: memory of writes
 * @tags: what units have beside their data
 * @order: ordering of writes
 * @handoff: which bios go through the work queue
 * @way: how its bios go through the cipher
 * @request_size: bytes of a request with the cipher's context and the IV
 * @iv_start: bytes from the start of a request to where the IV may begin, before alignment
 * @iv_align: alignment of the IV, less one
 * @requests: further requests for a cipher that works asynchronously
 * @io_queue: for reads that found no memory, and second tries of reads
 * @crypt_queue: for encryption and decryption
 */
struct cbulk_target {
	struct dm_dev *dev;
	sector_t start;
	u64 iv_offset;
	unsigned long flags;
	struct cbulk_cipher cipher;
	struct mutex key_lock; /* the key's part of @cipher, and @suspended */
	bool suspended;
	struct cbulk_buffers buffers;
	struct cbulk_tags tags;
	struct cbulk_order order;
	struct cbulk_handoff handoff;
	const struct cbulk_way *way;
	unsigned int request_size;
	unsigned int iv_start;
	unsigned int iv_align;
	mempool_t requests;
	struct workqueue_struct *io_queue;
	struct workqueue_struct *crypt_queue;
};

/* table.c */
int cbulk_table_parse_options(struct dm_target *ti, struct cbulk_target *ct, unsigned int argc,
			      char **argv);
int cbulk_table_parse_device(struct dm_target *ti, struct cbulk_target *ct, char **argv);
int cbulk_table_number(const char *text, u64 max, u64 *value);
int cbulk_table_number_before(const char *text, const char *end, u64 max, u64 *value);
void cbulk_table_print(struct dm_target *ti, char *result, unsigned int maxlen);
void cbulk_table_print_ima(struct dm_target *ti, char *result, unsigned int maxlen);

/* message.c */
int cbulk_message(struct cbulk_target *ct, unsigned int argc, char **argv, char *result,
		  unsigned int maxlen);

/* read.c */
void cbulk_read(struct cbulk_io *io);

/* handoff.c */
int cbulk_handoff_init(struct cbulk_target *ct);
void cbulk_handoff_exit(struct cbulk_target *ct);
bool cbulk_handoff_adapts(const struct cbulk_target *ct);
enum cbulk_place cbulk_handoff_write(const struct cbulk_io *io);
enum cbulk_place cbulk_handoff_read(const struct cbulk_io *io);
bool cbulk_handoff_submits(const struct cbulk_target *ct);
void cbulk_handoff_count(const struct cbulk_target *ct, struct cbulk_counters *sum);

/* recheck.c */
void cbulk_recheck_work(struct work_struct *work);

/* write.c */
void cbulk_write(struct cbulk_io *io);

/* order.c */
int cbulk_order_init(struct cbulk_target *ct, const char *name);
void cbulk_order_exit(struct cbulk_target *ct);
void cbulk_order_push(struct cbulk_io *io);

/* convert.c */
enum cbulk_converted {
	CBULK_CONVERTED,	/* finished, see io->error; the io is the caller's */
	CBULK_CONVERTING,	/* the cipher owns the io and will call cv.done() */
	CBULK_CONVERT_AGAIN,	/* the io is the caller's, who calls again where it may sleep */
};

/* What submitting a unit came to, when it is not a negative errno */
enum cbulk_submitted { CBULK_UNIT_DONE, CBULK_UNIT_ASYNC };

int cbulk_convert_init(struct cbulk_target *ct);
void cbulk_convert_exit(struct cbulk_target *ct);
void cbulk_convert_start(struct cbulk_io *io, struct bio *in, struct bio *out,
			 void (*done)(struct cbulk_io *io));
enum cbulk_converted cbulk_convert(struct cbulk_io *io, bool may_sleep);
unsigned int cbulk_io_size(const struct cbulk_target *ct);
void cbulk_convert_layout(struct cbulk_target *ct, unsigned int size, unsigned int ivs,
			  unsigned int align);
int cbulk_convert_submitted(struct cbulk_convert *cv, int ret);
void cbulk_convert_done(cbulk_crypto_done_t *data, int error);
int cbulk_gather_unit(const struct cbulk_io *io, struct scatterlist *sg);

/* convert-blocks.c, convert-run.c, convert-unit.c */
bool cbulk_blocks_possible(const struct cbulk_cipher *cipher);
extern const struct cbulk_way cbulk_way_blocks;
extern const struct cbulk_way cbulk_way_run;
extern const struct cbulk_way cbulk_way_unit;

/* tags.c */
int cbulk_tags_init(struct cbulk_target *ct, char **error);
void cbulk_tags_exit(struct cbulk_target *ct);
bool cbulk_tags_alloc(struct cbulk_io *io, bool whole);
void cbulk_tags_free(struct cbulk_io *io);
bool cbulk_tags_attach(struct cbulk_io *io, gfp_t gfp);
void cbulk_bio_uninit(struct cbulk_io *io);

/* buffers.c */
int cbulk_buffers_init(struct cbulk_buffers *buffers, char **error);
void cbulk_buffers_exit(struct cbulk_buffers *buffers);
bool cbulk_buffer_alloc(struct cbulk_io *io);
void cbulk_buffer_free(struct cbulk_io *io);
void cbulk_buffer_discard(struct cbulk_io *io);

/* cipher.c */
int cbulk_cipher_init(struct cbulk_cipher *cipher, const char *spec, char *key, char **error);
void cbulk_cipher_exit(struct cbulk_cipher *cipher);

/* cipher-direct.c */
void cbulk_direct_init(struct cbulk_cipher *cipher);
void cbulk_direct_exit(struct cbulk_cipher *cipher);

/* key.c */
int cbulk_key_size(const char *text, char **error);
int cbulk_key_set(struct cbulk_cipher *cipher, const char *text);
void cbulk_key_settle(struct cbulk_cipher *cipher);
int cbulk_key_source_init(struct cbulk_key_source *source, const char *text, unsigned int size);
void cbulk_key_source_exit(struct cbulk_key_source *source);
int cbulk_key_replace(struct cbulk_cipher *cipher, struct cbulk_key_source *source);
int cbulk_key_wipe(struct cbulk_cipher *cipher);
void cbulk_key_exit(struct cbulk_cipher *cipher);

/* key-keyring.c */
#ifdef CONFIG_KEYS
int cbulk_keyring_get(const char *name, u8 *to, unsigned int size);
#else
static inline int cbulk_keyring_get(const char *name, u8 *to, unsigned int size)
{
	return -EINVAL;
}
#endif

/* iv.c */
int cbulk_iv_find(const char *name, const struct cbulk_iv_ops **ops, char **error);

/* iv-eboiv.c, for iv-elephant.c too */
int cbulk_eboiv_ctr(struct cbulk_cipher *cipher, char **error);
void cbulk_eboiv_dtr(struct cbulk_cipher *cipher);
int cbulk_eboiv_set_key(struct cbulk_cipher *cipher);
int cbulk_eboiv_generate(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector);

/* iv-*.c */
extern const struct cbulk_iv_ops cbulk_iv_plain_ops;
extern const struct cbulk_iv_ops cbulk_iv_plain64_ops;
extern const struct cbulk_iv_ops cbulk_iv_plain64be_ops;
extern const struct cbulk_iv_ops cbulk_iv_essiv_ops;
extern const struct cbulk_iv_ops cbulk_iv_benbi_ops;
extern const struct cbulk_iv_ops cbulk_iv_null_ops;
extern const struct cbulk_iv_ops cbulk_iv_eboiv_ops;
extern const struct cbulk_iv_ops cbulk_iv_elephant_ops;
extern const struct cbulk_iv_ops cbulk_iv_lmk_ops;
extern const struct cbulk_iv_ops cbulk_iv_random_ops;
extern const struct cbulk_iv_ops cbulk_iv_tcw_ops;

/**
 * cbulk_subkey_size() - how long is the key of one transform?
 * @cipher: the cipher
 *
 * Return: bytes, 0 when the IV mode needs more than the whole key.
 */
static inline unsigned int cbulk_subkey_size(const struct cbulk_cipher *cipher)
{
	if (cipher->key_extra_size > cipher->key_size)
		return 0;
	return (cipher->key_size - cipher->key_extra_size) / cipher->tfms_count;
}

/**
 * cbulk_cipher_is_plain() - is a unit done when it has been through the cipher, with a computed IV?
 * @cipher: the cipher
 */
static inline bool cbulk_cipher_is_plain(const struct cbulk_cipher *cipher)
{
	const struct cbulk_iv_ops *ops = cipher->iv_ops;

	return !cipher->aead && !(ops && (ops->stored || ops->before || ops->after));
}

/**
 * cbulk_cipher_asynchronous() - may a driver finish a request after the call that submits it?
 * @tfm: a transform of that driver
 */
static inline bool cbulk_cipher_asynchronous(struct crypto_skcipher *tfm)
{
	return crypto_skcipher_tfm(tfm)->__crt_alg->cra_flags & CRYPTO_ALG_ASYNC;
}

/**
 * cbulk_io_end() - complete the bio that an io belongs to
 * @io: the io; gone when this returns
 *
 * Context: any.
 */
static inline void cbulk_io_end(struct cbulk_io *io)
{
	struct bio *base = io->base;

	if (unlikely(io->tags))
		cbulk_tags_free(io);
	base->bi_status = io->error;
	bio_endio(base);
}

#endif /* CBULK_CRYPT_BULK_H */
