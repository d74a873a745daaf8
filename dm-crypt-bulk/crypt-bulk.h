/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The map of the crypt-bulk target: its data and, by file, the functions that the files offer each
 * other. Dependencies point down this list, never up:
 *
 *   target.c         the device-mapper target: life of a mapping, map, status
 *   table.c          from a table line to a mapping's settings, and back
 *   read.c, write.c  the two ways of a bio
 *   order.c          the thread that submits writes in order of their sectors
 *   convert.c        a bio's sectors through the cipher
 *   buffers.c        the pages and bios of writes on their way
 *   cipher.c, key.c  the cipher of a mapping and its key
 *   iv.c, iv-*.c     the IV of a sector, one file a family
 *
 * Units: a sector_t and what is called "sector" counts 512-byte sectors. An encryption sector
 * ("unit" where the two could be confused) is cipher.unit_size bytes, 512 to 4096.
 */
#ifndef CBULK_CRYPT_BULK_H
#define CBULK_CRYPT_BULK_H

#include <crypto/skcipher.h>
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/device-mapper.h>
#include <linux/llist.h>
#include <linux/mempool.h>
#include <linux/scatterlist.h>
#include <linux/workqueue.h>
#include "mempool-bulk.h"

#define DM_MSG_PREFIX "crypt-bulk"

/* Bios and crypto requests that a mapping can always get, as many as the stock target keeps. */
#define CBULK_MIN_IOS 64

/*
 * Memory segments that one encryption sector may lie in: a 4096-byte sector made of segments of
 * one 512-byte sector, the shortest that a block device has to accept.
 */
#define CBULK_MAX_SEGMENTS 8

struct cbulk_cipher;
struct cbulk_io;
struct cbulk_target;

/* Settings of a mapping, fixed by its table line (bits of cbulk_target.flags) */
enum cbulk_flag {
	CBULK_SAME_CPU_CRYPT,
	CBULK_HIGH_PRIORITY,
	CBULK_SUBMIT_FROM_CRYPT_CPUS,
	CBULK_NO_READ_WORKQUEUE,
	CBULK_NO_WRITE_WORKQUEUE,
	CBULK_IV_LARGE_SECTORS,
};

/**
 * struct cbulk_iv_ops - how the IV of a sector is made
 * @name: as it stands in the table line
 * @ctr: check that the cipher suits, take memory; sets *error where it knows better than "Error
 *	creating IV". Optional.
 * @dtr: free what @ctr took; called after a failed @ctr too. Optional.
 * @set_key: called with the cipher's new key in cipher->key. Optional.
 * @generate: write cipher->iv_size bytes for the IV sector to iv. May be called in softirq and
 *	must not sleep. iv is aligned as the cipher asks. Returns 0 or a negative errno.
 */
struct cbulk_iv_ops {
	const char *name;
	int (*ctr)(struct cbulk_cipher *cipher, char **error);
	void (*dtr)(struct cbulk_cipher *cipher);
	int (*set_key)(struct cbulk_cipher *cipher);
	int (*generate)(const struct cbulk_cipher *cipher, u8 *iv, u64 iv_sector);
};

/**
 * struct cbulk_cipher - the cipher of a mapping
 * @spec: the cipher argument of the table line
 * @tfms: one transform for each key
 * @tfms_count: number of keys, a power of two
 * @iv_size: bytes of an IV, 0 for a cipher without
 * @iv_ops: how the IV is made, NULL for a cipher without
 * @benbi_shift: benbi: log2 of cipher blocks in a 512-byte sector
 * @eboiv_tfm: eboiv: synchronous twin of @tfms[0], with the same key
 * @unit_size: bytes that are encrypted with one IV
 * @unit_shift: log2 of 512-byte sectors in a unit
 * @iv_shift: log2 of 512-byte sectors that the IV counts as one
 * @key_size: bytes of @key
 * @key: all keys, one after the other; wiped with the mapping
 */
struct cbulk_cipher {
	char *spec;
	struct crypto_skcipher **tfms;
	unsigned int tfms_count;
	unsigned int iv_size;
	const struct cbulk_iv_ops *iv_ops;
	union {
		unsigned int benbi_shift;
		struct crypto_sync_skcipher *eboiv_tfm;
	};
	unsigned int unit_size;
	unsigned int unit_shift;
	unsigned int iv_shift;
	unsigned int key_size;
	u8 *key;
};

/**
 * struct cbulk_request - one unit on its way through the cipher
 * @io: the bio it belongs to
 * @src: where the unit lies; also where it goes when it is converted in place
 * @dst: where it goes otherwise
 * @req: the cipher's request; its context and the IV follow in the same memory
 */
struct cbulk_request {
	struct cbulk_io *io;
	struct scatterlist src[CBULK_MAX_SEGMENTS];
	struct scatterlist dst[1];
	struct skcipher_request req;
};

/**
 * struct cbulk_convert - how far the conversion of a bio has come
 * @in: the bio to read from
 * @out: the bio to write to, or NULL to convert @in in place
 * @in_iter: the next unit in @in; bi_size is what is left to submit
 * @out_iter: the next unit in @out
 * @sector: 512-byte sector of the next unit, iv_offset included; chooses key and IV
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
	struct bvec_iter in_iter;
	struct bvec_iter out_iter;
	u64 sector;
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
 * @out: write: the bio with the ciphertext
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
	struct bio *out;
	struct work_struct work;
	union {
		struct llist_node pushed;
		struct list_head sorted;
	};
	struct cbulk_convert cv;
};

/**
 * struct cbulk_buffers - where the pages and bios of a mapping come from
 * @pages: the pages of writes; its reserve is one write of the largest size
 * @bios: bios of writes, and clones of reads
 * @client: this mapping counts as one of those who share the memory bound
 */
struct cbulk_buffers {
	struct mempool_pages_bulk pages;
	struct bio_set bios;
	bool client;
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
 * @buffers: memory of writes
 * @order: ordering of writes
 * @request_size: bytes of a struct cbulk_request with the cipher's context and the IV
 * @iv_start: bytes from the start of a request to where the IV may begin, before alignment
 * @iv_align: alignment of the IV, less one
 * @requests: further requests for a cipher that works asynchronously
 * @io_queue: for reads that found no memory
 * @crypt_queue: for encryption and decryption
 */
struct cbulk_target {
	struct dm_dev *dev;
	sector_t start;
	u64 iv_offset;
	unsigned long flags;
	struct cbulk_cipher cipher;
	struct cbulk_buffers buffers;
	struct cbulk_order order;
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
void cbulk_table_print(struct dm_target *ti, char *result, unsigned int maxlen);

/* read.c */
void cbulk_read(struct cbulk_io *io);

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

int cbulk_convert_init(struct cbulk_target *ct);
void cbulk_convert_exit(struct cbulk_target *ct);
void cbulk_convert_start(struct cbulk_io *io, struct bio *in, struct bio *out,
			 void (*done)(struct cbulk_io *io));
enum cbulk_converted cbulk_convert(struct cbulk_io *io, bool may_sleep);
unsigned int cbulk_io_size(const struct cbulk_target *ct);

/* buffers.c */
int cbulk_buffers_init(struct cbulk_buffers *buffers, char **error);
void cbulk_buffers_exit(struct cbulk_buffers *buffers);
struct bio *cbulk_buffer_alloc(struct cbulk_target *ct, struct bio *base);
void cbulk_buffer_free(struct cbulk_target *ct, struct bio *out);

/* cipher.c */
int cbulk_cipher_init(struct cbulk_cipher *cipher, const char *spec, char *key, char **error);
void cbulk_cipher_exit(struct cbulk_cipher *cipher);

/* key.c */
int cbulk_key_size(const char *key, char **error);
int cbulk_key_set(struct cbulk_cipher *cipher, const char *key);
void cbulk_key_exit(struct cbulk_cipher *cipher);

/* iv.c */
int cbulk_iv_find(const char *name, const struct cbulk_iv_ops **ops, char **error);

/* iv-sector.c, iv-eboiv.c */
extern const struct cbulk_iv_ops cbulk_iv_plain_ops;
extern const struct cbulk_iv_ops cbulk_iv_plain64_ops;
extern const struct cbulk_iv_ops cbulk_iv_plain64be_ops;
extern const struct cbulk_iv_ops cbulk_iv_essiv_ops;
extern const struct cbulk_iv_ops cbulk_iv_benbi_ops;
extern const struct cbulk_iv_ops cbulk_iv_null_ops;
extern const struct cbulk_iv_ops cbulk_iv_eboiv_ops;

/**
 * cbulk_io_end() - complete the bio that an io belongs to
 * @io: the io; gone when this returns
 *
 * Context: any.
 */
static inline void cbulk_io_end(struct cbulk_io *io)
{
	struct bio *base = io->base;

	base->bi_status = io->error;
	bio_endio(base);
}

#endif /* CBULK_CRYPT_BULK_H */
