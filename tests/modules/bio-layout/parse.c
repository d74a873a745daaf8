// SPDX-License-Identifier: GPL-2.0-only
/* From a line of text to a request; the grammar is in main.c. */
#include <linux/kernel.h>
#include <linux/string.h>
#include "bio-layout.h"

struct operation {
	const char *name;
	enum req_op op;
	blk_opf_t flags;
	bool has_segments;
};

static const struct operation operations[] = {
	{ "read", REQ_OP_READ, 0, true },
	{ "write", REQ_OP_WRITE, 0, true },
	{ "flush", REQ_OP_WRITE, REQ_PREFLUSH, false },
	{ "discard", REQ_OP_DISCARD, 0, true },
	{ "zeroes", REQ_OP_WRITE_ZEROES, 0, true },
	{ "append", REQ_OP_ZONE_APPEND, 0, true },
};

struct flag {
	const char *name;
	blk_opf_t flag;
};

static const struct flag flags[] = {
	{ "fua", REQ_FUA },
	{ "preflush", REQ_PREFLUSH },
	{ "sync", REQ_SYNC },
	{ "nowait", REQ_NOWAIT },
	{ "rahead", REQ_RAHEAD },
	{ "nomerge", REQ_NOMERGE },
};

static const struct operation *find_operation(const char *name)
{
	unsigned int i;

	for (i = 0; name && i < ARRAY_SIZE(operations); i++)
		if (!strcmp(name, operations[i].name))
			return &operations[i];
	return NULL;
}

static bool parse_flag(const char *name, struct request *req)
{
	unsigned int i;

	if (!strcmp(name, "head")) {
		req->head_pages = true;
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (!strcmp(name, flags[i].name)) {
			req->flags |= flags[i].flag;
			return true;
		}
	return false;
}

static bool parse_flags(char *names, struct request *req)
{
	char *name;

	if (!names)
		return false;
	if (!strcmp(names, "-"))
		return true;
	while ((name = strsep(&names, ",")))
		if (!parse_flag(name, req))
			return false;
	return true;
}

/* LENGTH@OFFSET[xCOUNT] */
static const char *parse_segment(char *word, struct request *req)
{
	const bool has_data = req->op == REQ_OP_READ || brings_data(req);
	char *offset = word, *len = strsep(&offset, "@"), *count = offset;
	struct segment segment = {};
	unsigned int nr = 1;

	offset = strsep(&count, "x");
	if (!offset || kstrtouint(len, 10, &segment.len) ||
	    kstrtouint(offset, 10, &segment.offset) || (count && kstrtouint(count, 10, &nr)))
		return "a segment is LENGTH@OFFSET or LENGTH@OFFSETxCOUNT";
	if (!segment.len || !nr)
		return "a segment is empty";

	if (!has_data) {
		req->bytes += (u64)segment.len * nr;
		return NULL;
	}
	if (segment.offset > PAGE_SIZE << MOST_ORDER || segment.len > PAGE_SIZE << MOST_ORDER)
		return "a segment reaches beyond 4 MiB";
	segment.order = get_order(segment.offset + segment.len);
	if (segment.order > MOST_ORDER)
		return "a segment reaches beyond 4 MiB";
	if (nr > BIO_MAX_VECS - req->nr_segments)
		return "a bio has at most 256 segments";
	while (nr--) {
		req->segments[req->nr_segments++] = segment;
		req->bytes += segment.len;
	}
	return NULL;
}

/**
 * parse_request() - parse a line
 * @line: the line, which is changed; the request refers to it afterwards
 * @req: zeroed memory for the result
 *
 * Return: NULL, or a sentence that says what is wrong.
 */
const char *parse_request(char *line, struct request *req)
{
	const struct operation *operation = find_operation(strsep(&line, " "));
	const char *problem, *sector, *seed;
	char *word;

	if (!operation)
		return "the operation is read, write, flush, discard or zeroes";
	req->op = operation->op;
	req->flags = operation->flags;

	req->path = strsep(&line, " ");
	sector = strsep(&line, " ");
	if (!sector || kstrtou64(sector, 0, &req->sector))
		return "the sector is a number";
	seed = strsep(&line, " ");
	if (!seed || kstrtou64(seed, 0, &req->seed))
		return "the seed is a number";
	if (!parse_flags(strsep(&line, " "), req))
		return "the flags are - or names with commas, see main.c";

	while ((word = strsep(&line, " "))) {
		if (!*word)
			continue;
		problem = parse_segment(word, req);
		if (problem)
			return problem;
	}
	if (!!req->bytes != operation->has_segments)
		return "all operations but flush have segments";
	if (req->bytes > UINT_MAX)
		return "a bio is smaller than 4 GiB";
	return NULL;
}
