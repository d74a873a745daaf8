// SPDX-License-Identifier: GPL-2.0-only
/* Makes a bio of a request, submits it, and looks at the memory afterwards. */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include "bio-layout.h"

/* What memory around a segment holds, and the segments of a read before it. */
#define UNTOUCHED 0x5a

static u8 *segment_data(const struct segment *segment)
{
	return (u8 *)page_address(segment->mem) + segment->offset;
}

static u64 request_offset(const struct request *req)
{
	return (u64)req->sector << SECTOR_SHIFT;
}

static void free_segments(struct request *req)
{
	unsigned int i;

	for (i = 0; i < req->nr_segments; i++)
		if (req->segments[i].mem)
			__free_pages(req->segments[i].mem, req->segments[i].order);
}

static int prepare_segments(struct request *req)
{
	u64 offset = request_offset(req);
	unsigned int i;

	for (i = 0; i < req->nr_segments; i++) {
		struct segment *segment = &req->segments[i];

		segment->mem = alloc_pages(GFP_KERNEL | __GFP_COMP, segment->order);
		if (!segment->mem)
			return -ENOMEM;
		memset(page_address(segment->mem), UNTOUCHED, PAGE_SIZE << segment->order);
		if (brings_data(req))
			pattern_fill(segment_data(segment), req->seed, offset, segment->len);
		offset += segment->len;
	}
	return 0;
}

static void check_data(struct request *req)
{
	u64 offset = request_offset(req), done = 0;
	unsigned int i;

	for (i = 0; i < req->nr_segments; i++) {
		const struct segment *segment = &req->segments[i];
		const u8 *data = segment_data(segment);
		size_t right = pattern_match(data, req->seed, offset + done, segment->len);

		if (right < segment->len) {
			req->wrong = done + right;
			req->wanted = pattern_byte(req->seed, offset + req->wrong);
			req->found = data[right];
			return;
		}
		done += segment->len;
	}
}

static bool surroundings_intact(const struct segment *segment)
{
	const u8 *mem = page_address(segment->mem);
	size_t end = segment->offset + segment->len;
	size_t behind = (PAGE_SIZE << segment->order) - end;

	return !memchr_inv(mem, UNTOUCHED, segment->offset) &&
	       !memchr_inv(mem + end, UNTOUCHED, behind);
}

static void check_surroundings(struct request *req)
{
	unsigned int i;

	for (i = 0; i < req->nr_segments; i++)
		if (!surroundings_intact(&req->segments[i])) {
			req->trespassed = i;
			return;
		}
}

/* As asked for: bio_add_page() would merge segments that happen to be adjacent in memory. */
static void add_segments(struct bio *bio, const struct request *req)
{
	unsigned int i;

	for (i = 0; i < req->nr_segments; i++) {
		const struct segment *segment = &req->segments[i];
		unsigned int skipped = req->head_pages ? 0 : segment->offset >> PAGE_SHIFT;

		__bio_add_page(bio, segment->mem + skipped, segment->len,
			       segment->offset - (skipped << PAGE_SHIFT));
	}
}

static int submit(struct block_device *bdev, struct request *req)
{
	struct bio *bio = bio_alloc(bdev, req->nr_segments, req->op | req->flags, GFP_KERNEL);
	int ret;

	bio->bi_iter.bi_sector = req->sector;
	if (req->nr_segments)
		add_segments(bio, req);
	else
		bio->bi_iter.bi_size = req->bytes;
	ret = submit_bio_wait(bio);
	req->ended_at = bio->bi_iter.bi_sector;
	bio_put(bio);
	return ret;
}

/*
 * Through the file system, since the functions that open a block device by path change with the
 * kernel.
 */
static struct file *open_device(const struct request *req)
{
	struct file *file = filp_open(req->path, req->op == REQ_OP_READ ? O_RDONLY : O_RDWR, 0);

	if (!IS_ERR(file) && !S_ISBLK(file_inode(file)->i_mode)) {
		filp_close(file, NULL);
		file = ERR_PTR(-ENOTBLK);
	}
	return file;
}

/**
 * run_request() - do what a request asks for, and fill in what became of it
 * @req: the request
 *
 * Return: 0 when a bio was submitted, however it ended; an errno otherwise.
 */
int run_request(struct request *req)
{
	struct file *file = open_device(req);
	int ret;

	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = prepare_segments(req);
	if (ret)
		goto free;

	req->error = submit(I_BDEV(file->f_mapping->host), req);

	/* What is read must be right; what is written must still be, even if that failed. */
	req->wrong = -1;
	req->trespassed = -1;
	if (!req->error || brings_data(req))
		check_data(req);
	check_surroundings(req);
free:
	free_segments(req);
	filp_close(file, NULL);
	return ret;
}
