// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to a mapping.
 *
 *   key set <key>	another key, of the same size
 *   key wipe		no key
 *   stats		what the mapping has done and holds, a "name value" line each
 *
 * The key only while the mapping is suspended, when device-mapper holds back its I/O; it can be
 * resumed when it has a key again. Device-mapper does not order messages with a resume, nor with
 * each other: key_lock does.
 */
#include <linux/sched/mm.h>
#include <linux/string.h>
#include "crypt-bulk.h"

static int refuse_running(void)
{
	DMWARN("not suspended during key manipulation.");
	return -EINVAL;
}

/* Another key, or none if source is NULL. */
static int change_key(struct cbulk_target *ct, struct cbulk_key_source *source)
{
	int ret;

	mutex_lock(&ct->key_lock);
	if (!ct->suspended)
		ret = refuse_running();
	else if (source)
		ret = cbulk_key_replace(&ct->cipher, source);
	else
		ret = cbulk_key_wipe(&ct->cipher);
	mutex_unlock(&ct->key_lock);
	return ret;
}

static int set_key(struct cbulk_target *ct, const char *text)
{
	struct cbulk_key_source source;
	char *error;
	int ret;

	ret = cbulk_key_size(text, &error);
	if (ret < 0 || ret != ct->cipher.key_size)
		return -EINVAL;

	/* Not under the lock: it may wait for others. */
	ret = cbulk_key_source_init(&source, text, ret);
	if (ret)
		return ret;
	ret = change_key(ct, &source);
	cbulk_key_source_exit(&source);
	return ret;
}

/* Return: 1, for a message that has a result. */
static int print_stats(struct cbulk_target *ct, char *result, unsigned int maxlen)
{
	struct mempool_buffers_bulk *memory = &ct->buffers.memory;
	struct mempool_bulk_stats pool;
	struct cbulk_counters bios;
	unsigned int sz = 0;

	mempool_stats_pages_bulk(&memory->pages, &pool);
	cbulk_handoff_count(ct, &bios);
	DMEMIT("adaptive %u\n", cbulk_handoff_adapts(ct));
	DMEMIT("cipher_ns_per_4k %u\n", ct->handoff.sample_ns);
	DMEMIT("writes_inline %llu\nwrites_queued %llu\n", bios.writes_inline, bios.writes_queued);
	DMEMIT("reads_inline %llu\nreads_queued %llu\n", bios.reads_inline, bios.reads_queued);
	DMEMIT("pages_held %lld\n", mempool_held_pages_bulk(&memory->pages));
	DMEMIT("pages_idle %lld\n", mempool_idle_pages_bulk(memory));
	DMEMIT("pages_reserve %u\n", READ_ONCE(memory->pages.curr_nr));
	DMEMIT("pages_limit %lu\n", READ_ONCE(*memory->pages.limit));
	DMEMIT("recycled %llu\n", pool.recycled);
	DMEMIT("allocated %llu\n", pool.pages[MEMPOOL_BULK_NOWAIT] +
				   pool.pages[MEMPOOL_BULK_SLEEP]);
	DMEMIT("from_reserve %llu\n", pool.pages[MEMPOOL_BULK_RESERVE] +
				      pool.pages[MEMPOOL_BULK_WAIT]);
	DMEMIT("waits %llu\n", pool.waits);
	return 1;
}

static int dispatch(struct cbulk_target *ct, unsigned int argc, char **argv, char *result,
		    unsigned int maxlen)
{
	if (argc >= 2 && !strcasecmp(argv[0], "key")) {
		if (!READ_ONCE(ct->suspended))
			return refuse_running();
		if (argc == 3 && !strcasecmp(argv[1], "set"))
			return set_key(ct, argv[2]);
		if (argc == 2 && !strcasecmp(argv[1], "wipe"))
			return change_key(ct, NULL);
	}
	if (argc == 1 && !strcasecmp(argv[0], "stats"))
		return print_stats(ct, result, maxlen);
	DMWARN("unrecognised message received.");
	return -EINVAL;
}

/**
 * cbulk_message() - act on a message
 * @ct: the mapping
 * @argc: number of words
 * @argv: the words; wiped, as any of them may be a key, unless there is an answer
 * @result: room for an answer; may overlap with @argv's words
 * @maxlen: bytes of @result
 *
 * Context: process context, may sleep. The table is live, and may be resumed at any time.
 * Return: 0; 1 with an answer in @result; or a negative errno.
 */
int cbulk_message(struct cbulk_target *ct, unsigned int argc, char **argv, char *result,
		  unsigned int maxlen)
{
	/* Reclaim that wrote to this very mapping would wait for a resume, which comes after us. */
	unsigned int noio = memalloc_noio_save();
	int ret = dispatch(ct, argc, argv, result, maxlen);
	unsigned int i;

	memalloc_noio_restore(noio);
	/* Device-mapper lets the answer lie where the words were: they are overwritten then. */
	for (i = 0; ret != 1 && i < argc; i++)
		memzero_explicit(argv[i], strlen(argv[i]));
	return ret;
}
