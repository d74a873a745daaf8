// SPDX-License-Identifier: GPL-2.0-only
/*
 * Submits bios that user space cannot: of any layout in memory and with any flags.
 *
 * Open /sys/kernel/debug/bio-layout for reading and writing, write one line, read one line; as
 * often as you like. Each opener is on his own, so that several can have bios under way.
 *
 *	OPERATION DEVICE SECTOR SEED FLAGS [SEGMENT ...]
 *
 *	OPERATION	read, write, flush (an empty bio), discard, zeroes, append (to the zone that
 *			starts at SECTOR; its data is that of SECTOR)
 *	DEVICE		path of a block device
 *	SECTOR		where to start, in units of 512 bytes
 *	SEED		selects the data: see pattern.c. A read compares with it.
 *	FLAGS		- for none, or with commas: fua, preflush, sync, nowait, rahead, nomerge;
 *			and head, which is not the bio's: its bio_vecs then refer to the first page
 *			of their memory, with offsets beyond a page
 *	SEGMENT		LENGTH@OFFSET or LENGTH@OFFSETxCOUNT: bio_vecs of LENGTH bytes, each at byte
 *			OFFSET of adjacent pages of its own, as many as that takes; up to 256 in
 *			all. Of a discard and of zeroes, only LENGTH and COUNT matter.
 *
 *	A sector of 4096 bytes in eight pieces, and 4 MiB in nine segments:
 *	write /dev/dm-0 0 1 - 512@1536x8
 *	write /dev/dm-0 8 1 fua 524288@512x7 520192@512 4096@0
 *
 * The line read is
 *
 *	error=E sector=N bytes=N segments=S wrong=W wanted=B found=B trespassed=T
 *
 * E is 0 or the negative errno that the bio ended with, sector where an append went. W is the first
 * byte of the bio that differs from the data, after a read and no less after a write, or -1; B say
 * how. T is the first segment around which memory was changed, or -1. When no bio could be made of
 * the line, write() fails and the line read says why.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "bio-layout.h"

#define LONGEST_LINE 16384

/**
 * struct session - the state of an opener
 * @lock: protects @answer, while a line is being answered
 * @answer: to the last line
 */
struct session {
	struct mutex lock; /* one line at a time */
	char answer[200];
};

static struct dentry *debugfs_file;

static int session_open(struct inode *inode, struct file *file)
{
	struct session *session = kzalloc(sizeof(*session), GFP_KERNEL);

	if (!session)
		return -ENOMEM;
	mutex_init(&session->lock);
	file->private_data = session;
	return 0;
}

static int session_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static int answer_line(char *line, char *answer, size_t size)
{
	struct request *req = vzalloc(sizeof(*req));
	const char *problem;
	int ret;

	if (!req)
		return -ENOMEM;

	problem = parse_request(line, req);
	if (problem) {
		ret = -EINVAL;
		scnprintf(answer, size, "%s\n", problem);
		goto free;
	}
	ret = run_request(req);
	if (ret) {
		scnprintf(answer, size, "%s: error %d before there was a bio\n", req->path, ret);
		goto free;
	}
	scnprintf(answer, size,
		  "error=%d sector=%llu bytes=%llu segments=%u wrong=%lld wanted=%u found=%u trespassed=%d\n",
		  req->error, req->ended_at, req->bytes, req->nr_segments, req->wrong,
		  req->wanted, req->found, req->trespassed);
free:
	vfree(req);
	return ret;
}

static ssize_t session_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	struct session *session = file->private_data;
	char *line;
	int ret;

	if (size > LONGEST_LINE)
		return -E2BIG;
	line = memdup_user_nul(from, size);
	if (IS_ERR(line))
		return PTR_ERR(line);

	mutex_lock(&session->lock);
	ret = answer_line(strim(line), session->answer, sizeof(session->answer));
	mutex_unlock(&session->lock);
	kfree(line);
	return ret ?: size;
}

/* From the beginning each time: there is no place in a conversation to seek to. */
static ssize_t session_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	struct session *session = file->private_data;
	loff_t start = 0;
	ssize_t ret;

	mutex_lock(&session->lock);
	ret = simple_read_from_buffer(to, size, &start, session->answer, strlen(session->answer));
	session->answer[0] = '\0';
	mutex_unlock(&session->lock);
	return ret;
}

static const struct file_operations session_fops = {
	.owner = THIS_MODULE,
	.open = session_open,
	.release = session_release,
	.read = session_read,
	.write = session_write,
	.llseek = noop_llseek,
};

static int __init bio_layout_init(void)
{
	debugfs_file = debugfs_create_file("bio-layout", 0600, NULL, NULL, &session_fops);
	return PTR_ERR_OR_ZERO(debugfs_file);
}
module_init(bio_layout_init);

static void __exit bio_layout_exit(void)
{
	debugfs_remove(debugfs_file);
}
module_exit(bio_layout_exit);

MODULE_DESCRIPTION("Submits bios of any layout, for tests");
MODULE_LICENSE("GPL");
