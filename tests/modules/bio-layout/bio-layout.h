/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of bio-layout share; the interface to user space is described in main.c. */
#ifndef BIO_LAYOUT_H
#define BIO_LAYOUT_H

#include <linux/bio.h>
#include <linux/blk_types.h>
#include <linux/types.h>

/* The largest allocation of adjacent pages that a segment may lie in: 4 MiB. */
#define MOST_ORDER 10

/**
 * struct segment - one bio_vec to be, with the memory around it
 * @mem: 2^@order adjacent pages that belong to this segment alone
 * @order: see @mem
 * @offset: where it starts in @mem
 * @len: in bytes
 */
struct segment {
	struct page *mem;
	unsigned int order;
	unsigned int offset;
	unsigned int len;
};

/**
 * struct request - one bio, as asked for, and what became of it
 * @op: what the bio is to do
 * @flags: its other flags
 * @head_pages: do its bio_vecs refer to the first page of their memory, however far they start
 *	behind it? Otherwise to the page in which they start.
 * @path: of the block device
 * @sector: where it starts
 * @seed: selects the data
 * @bytes: how much it covers
 * @nr_segments: entries used in @segments
 * @segments: where the data lies; none for operations without data
 * @ended_at: where the bio says it started, after it ended: where an append went
 * @error: how the bio ended, 0 or a negative errno
 * @wrong: first byte of the bio that is not as it should be after it ended, -1 for none
 * @wanted: what that byte should be
 * @found: what it is
 * @trespassed: first segment around which memory was changed, -1 for none
 */
struct request {
	enum req_op op;
	blk_opf_t flags;
	bool head_pages;
	char *path;
	sector_t sector;
	u64 seed;
	u64 bytes;
	unsigned int nr_segments;
	struct segment segments[BIO_MAX_VECS];

	u64 ended_at;
	int error;
	s64 wrong;
	u8 wanted;
	u8 found;
	int trespassed;
};

/* Does the bio carry data to the device? */
static inline bool brings_data(const struct request *req)
{
	return req->op == REQ_OP_WRITE || req->op == REQ_OP_ZONE_APPEND;
}

/* parse.c */
const char *parse_request(char *line, struct request *req);

/* submit.c */
int run_request(struct request *req);

/* pattern.c */
void pattern_fill(u8 *to, u64 seed, u64 offset, size_t len);
size_t pattern_match(const u8 *data, u64 seed, u64 offset, size_t len);
u8 pattern_byte(u64 seed, u64 offset);

#endif /* BIO_LAYOUT_H */
