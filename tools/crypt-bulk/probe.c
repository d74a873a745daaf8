// SPDX-License-Identifier: GPL-2.0-only
/*
 * Proof that a table decrypts as a live mapping does: a mapping of its own with that table,
 * read-only and hidden, gives the same data where both are read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crypt-bulk.h"

#define PREFIX	"crypt-bulk-probe-"
#define PIECE	4096
/* The mapping may be written to meanwhile: then the reads of one place are tried again. */
#define TRIES	100
/* So many times in a row a difference is no coincidence. */
#define SURE	5

enum { SAME, DIFFERENT, UNREADABLE };

/**
 * probe_open() - make a private mapping with a table in question
 * @probe: gets it; probe_close() has to follow, and does no harm if this fails
 * @live: the mapping to compare with later
 * @target: the table's target
 * @params: the table's line
 */
int probe_open(struct probe *probe, const struct map *live, const char *target, const char *params)
{
	char uuid[UUID_ROOM];
	struct new_map map = { .name = probe->name, .uuid = uuid, .target = target,
			       .params = params, .sectors = live->sectors, .read_only = true,
			       .private = true };
	struct map made;
	int ret;

	*probe = (struct probe){ 0 };
	snprintf(probe->name, sizeof(probe->name), PREFIX "%d-%s", getpid(), target);
	snprintf(uuid, sizeof(uuid), "CRYPT-TEMP-%.64s", probe->name);
	ret = map_create(&map);
	if (ret)
		return say_error(ret, "target %s does not take the table: %s; dmesg has the reason",
				 target, strerror(-ret));
	probe->made = true;
	ret = map_get(&made, probe->name);
	probe->minor = made.minor;
	map_free(&made);
	return ret;
}

/**
 * probe_close() - remove a private mapping
 * @probe: the mapping; may be none
 */
void probe_close(struct probe *probe)
{
	if (probe->made && map_remove(probe->name, false, true))
		say("crypt-bulk: a mapping stays: dmsetup remove %s", probe->name);
	probe->made = false;
}

static int remove_if_stale(const char *name, void *context)
{
	long pid;

	(void)context;
	if (strncmp(name, PREFIX, strlen(PREFIX)))
		return 0;
	pid = strtol(name + strlen(PREFIX), NULL, 10);
	if (pid > 0 && kill(pid, 0) && errno == ESRCH && !map_remove(name, false, true))
		say("crypt-bulk: removed %s, which a conversion that was killed had left", name);
	return 0;
}

/**
 * probes_remove_stale() - remove the private mappings of programs that were killed
 *
 * They hold the key of a volume, and the device below it.
 */
void probes_remove_stale(void)
{
	map_list(remove_if_stale, NULL);
}

/* /dev/dm-N, which the kernel itself makes: no udev to wait for. */
static int open_minor(unsigned int minor)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/dm-%u", minor);
	return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
}

/* Bytes read, or a negative errno. */
static int read_piece(int file, char *to, off_t at)
{
	ssize_t got = pread(file, to, PIECE, at);

	return got < 0 ? -errno : (int)got;
}

/* @buffers: room for three pieces. */
static int compare_at(int probe, int live, char *buffers, off_t at)
{
	char *before = buffers, *real = buffers + PIECE, *after = buffers + 2 * PIECE;
	int tries, differs = 0;

	for (tries = 0; tries < TRIES && differs < SURE; tries++) {
		int got_before = read_piece(probe, before, at);
		int got_real = read_piece(live, real, at);
		int got_after = read_piece(probe, after, at);

		if (got_real < 0 && got_before == got_real)
			return UNREADABLE;
		if (got_real > 0 && got_before == got_real && !memcmp(before, real, got_real))
			return SAME;
		/* Unless it was written to in between, it is not what the mapping says. */
		if (got_before == got_after &&
		    (got_before < 0 || !memcmp(before, after, got_before)))
			differs++;
		else
			differs = 0;
	}
	return DIFFERENT;
}

static int compare(int probe, int live, char *buffers, uint64_t bytes)
{
	off_t last = bytes > PIECE ? (bytes - PIECE) & -(off_t)PIECE : 0;
	const off_t places[] = { 0, last / 2 & -(off_t)PIECE, last };
	int same = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		int found = compare_at(probe, live, buffers, places[i]);

		if (found == DIFFERENT)
			return -EILSEQ;
		same += found == SAME;
	}
	return same ? 0 : -EIO;
}

/**
 * probe_compare() - does a private mapping read what the live one reads?
 * @probe: the private mapping
 * @live: the live one, which is not suspended
 *
 * Return: 0 if it does at the beginning, in the middle and at the end; -EILSEQ if it does not;
 * -EIO if none of these can be read from either; nothing was said to the user.
 */
int probe_compare(const struct probe *probe, const struct map *live)
{
	char *buffers = mmap(NULL, 3 * PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	int probe_file, live_file;
	int ret = -EIO;

	if (buffers == MAP_FAILED)
		return -ENOMEM;
	probe_file = open_minor(probe->minor);
	live_file = open_minor(live->minor);
	if (probe_file >= 0 && live_file >= 0)
		ret = compare(probe_file, live_file, buffers, live->sectors * SECTOR);
	if (probe_file >= 0)
		close(probe_file);
	if (live_file >= 0)
		close(live_file);
	explicit_bzero(buffers, 3 * PIECE);
	munmap(buffers, 3 * PIECE);
	return ret;
}
