// SPDX-License-Identifier: GPL-2.0-only
/* crypt-bulk close, and crypt-bulk table. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypt-bulk.h"

static int say_not_crypt(const char *name)
{
	return say_error(-EINVAL, "%s is no mapping of the target crypt-bulk or crypt", name);
}

/* A mapping of ours, or of cryptsetup's; map_free() has to follow, whatever this returns. */
static int get_crypt(struct map *map, const char *name)
{
	int ret = map_get(map, name);

	return ret || map_is_crypt(map) ? ret : say_not_crypt(name);
}

/* Is it what open makes first, with nothing on it yet? */
static bool is_unused_integrity(const struct map *lower)
{
	return !strncmp(lower->uuid, "CRYPT-INTEGRITY-", strlen("CRYPT-INTEGRITY-")) &&
	       !lower->open_count;
}

/* Is it what an authenticated mapping lies on? */
static bool is_integrity_of(const struct map *lower, const struct map *map)
{
	char number[24];
	struct line line;
	bool found;

	if (line_parse(&line, map->params.data))
		return false;
	snprintf(number, sizeof(number), "%u:%u", lower->major, lower->minor);
	found = line_option(&line, "integrity:") && !strcmp(lower->target, "integrity") &&
		!strcmp(number, line.device);
	line_free(&line);
	return found;
}

/* The name of the integrity device below, if it is the one made for this mapping; else false. */
static bool find_below(const struct map *map, char *below)
{
	struct map lower;
	bool found;

	if (integrity_name(below, map->name))
		return false;
	found = !map_get_quietly(&lower, below) &&
		(map_is_half_made(map) ? is_unused_integrity(&lower) :
					 is_integrity_of(&lower, map));
	map_free(&lower);
	return found;
}

/**
 * command_close() - crypt-bulk close NAME
 * @options: the command line
 */
int command_close(const struct options *options)
{
	const char *name = options->args[0];
	char below[NAME_ROOM];
	bool stacked = false;
	struct map map;
	int ret;

	ret = map_get(&map, name);
	if (!ret && !map_is_crypt(&map) && !map_is_half_made(&map))
		ret = say_not_crypt(name);
	if (!ret) {
		stacked = find_below(&map, below);
		ret = map_remove(name, options->deferred, false);
		if (ret == -EBUSY)
			say_error(ret, "%s is in use: unmount it, or swapoff, first; or --deferred",
				  name);
		else if (ret)
			say_error(ret, "%s cannot be removed: %s", name, strerror(-ret));
	}
	map_free(&map);
	if (ret || !stacked)
		return ret;
	ret = map_remove(below, options->deferred, true);
	return ret ? say_error(ret, "%s cannot be removed: %s", below, strerror(-ret)) : 0;
}

/**
 * command_table() - crypt-bulk table NAME
 * @options: the command line
 *
 * The bytes of a key are never printed, whatever the module's parameter hide_keys says.
 */
int command_table(const struct options *options)
{
	struct secret params = { 0 };
	struct line line = { 0 };
	struct map map;
	int ret;

	ret = get_crypt(&map, options->args[0]);
	if (!ret)
		ret = line_parse(&line, map.params.data);
	if (!ret)
		ret = line_print(&params, &line, line_key_named(&line) ? line.key : "-");
	if (!ret)
		printf("0 %llu %s %s\n", (unsigned long long)map.sectors, map.target, params.data);
	secret_free(&params);
	line_free(&line);
	map_free(&map);
	return ret;
}
