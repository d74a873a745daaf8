// SPDX-License-Identifier: GPL-2.0-only
/* crypt-bulk status: one description of a mapping, shown to people or to programs. */
#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypt-bulk.h"

static void add_text(struct json_object *to, const char *name, const char *text)
{
	json_object_object_add(to, name, text ? json_object_new_string(text) : NULL);
}

static void add_number(struct json_object *to, const char *name, int64_t number)
{
	json_object_object_add(to, name, json_object_new_int64(number));
}

static void add_bool(struct json_object *to, const char *name, bool value)
{
	json_object_object_add(to, name, json_object_new_boolean(value));
}

/* "LUKS2" of "CRYPT-LUKS2-...", NULL for a mapping that cryptsetup did not name. */
static const char *find_type(const struct map *map, char *type, size_t room)
{
	if (strncmp(map->uuid, "CRYPT-", 6))
		return NULL;
	snprintf(type, room, "%.*s", (int)strcspn(map->uuid + 6, "-"), map->uuid + 6);
	return type;
}

/* Where the key is, and its size, which a line with a hidden key does not tell. */
static void add_key(struct json_object *to, const struct map *map, const struct line *line)
{
	const char *location = "table";

	if (line_key_named(line))
		location = "keyring";
	else if (line_key_hidden(line))
		location = strcmp(map->target, TARGET_BULK) ? "none" : "hidden";
	if (strcmp(location, "hidden"))
		add_number(to, "key_size", line_key_size(line) * 8);
	else
		json_object_object_add(to, "key_size", NULL);
	add_text(to, "key_location", location);
}

/* When a task was started, in seconds since 1970; 0 if that cannot be told. */
static time_t task_started(const char *pid)
{
	char text[1024], uptime[64];
	unsigned long long ticks;
	const char *at;

	if (file_read(text, sizeof(text), "/proc/%s/stat", pid) <= 0 ||
	    file_read(uptime, sizeof(uptime), "/proc/uptime") <= 0)
		return 0;
	/* The 22nd field; the second ends in the last parenthesis. */
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
			  "%*d %*d %*d %*d %llu", &ticks) != 1)
		return 0;
	return time(NULL) - (time_t)(atof(uptime) - (double)ticks / sysconf(_SC_CLK_TCK));
}

/*
 * Since when a mapping has its table, from which on its counters count: the table's thread was
 * started then. Device-mapper itself does not remember it.
 */
static time_t table_since(const struct map *map)
{
	char wanted[64], name[64];
	struct dirent *entry;
	time_t since = 0;
	DIR *proc;

	snprintf(wanted, sizeof(wanted), "dmcrypt_write/%u:%u", map->major, map->minor);
	proc = opendir("/proc");
	while (proc && !since && (entry = readdir(proc))) {
		if (!strchr("123456789", *entry->d_name) ||
		    file_read(name, sizeof(name), "/proc/%s/comm", entry->d_name) <= 0)
			continue;
		if (!strcmp(name, wanted))
			since = task_started(entry->d_name);
	}
	if (proc)
		closedir(proc);
	return since;
}

static void add_since(struct json_object *to, const struct map *map)
{
	time_t since = table_since(map);
	char text[32];
	struct tm tm;

	if (since && gmtime_r(&since, &tm) && strftime(text, sizeof(text), "%FT%TZ", &tm))
		add_text(to, "since", text);
	else
		add_text(to, "since", NULL);
}

static void add_options(struct json_object *to, const struct line *line)
{
	struct json_object *words = json_object_new_array();
	const char *at = strchr(line->options, ' ');

	while (at) {
		const char *word = at + 1;
		int length = strcspn(word, " ");

		at = word[length] ? word + length : NULL;
		json_object_array_add(words, json_object_new_string_len(word, length));
	}
	json_object_object_add(to, "options", words);
}

/* What the message "stats" answers, a "name value" line each; null if the target has none. */
static void add_counters(struct json_object *to, const struct map *map)
{
	struct json_object *counters = NULL;
	char answer[2048], name[64];
	long long value;
	char *line, *rest;

	if (!strcmp(target_module(map->target), MODULE_BULK) &&
	    !map_message(map->name, "stats", answer, sizeof(answer)) && *answer) {
		counters = json_object_new_object();
		for (line = strtok_r(answer, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			if (sscanf(line, "%63s %lld", name, &value) == 2)
				add_number(counters, name, value);
	}
	json_object_object_add(to, "counters", counters);
}

static void add_line(struct json_object *to, const struct map *map, const struct line *line)
{
	const char *sector_size = line_option(line, "sector_size:");
	char device[PATH_ROOM];

	add_text(to, "cipher", line->cipher);
	add_key(to, map, line);
	add_text(to, "device", device_name(line->device, device, sizeof(device)) ? line->device :
		 device);
	add_number(to, "sector_size", sector_size ? atoi(sector_size) : SECTOR);
	add_number(to, "offset", strtoull(line->offset, NULL, 10));
	add_number(to, "iv_offset", strtoull(line->iv_offset, NULL, 10));
	add_options(to, line);
}

static int describe(struct json_object *to, const struct map *map)
{
	struct line line;
	char type[32];
	int ret;

	ret = line_parse(&line, map->params.data);
	if (ret)
		return ret;
	add_text(to, "name", map->name);
	add_text(to, "uuid", map->uuid);
	add_text(to, "type", find_type(map, type, sizeof(type)));
	add_text(to, "target", map->target);
	add_text(to, "module", target_module(map->target));
	add_line(to, map, &line);
	add_number(to, "size", map->sectors);
	add_bool(to, "read_only", map->read_only);
	add_bool(to, "suspended", map->suspended);
	add_bool(to, "in_use", map->open_count > 0);
	add_since(to, map);
	add_counters(to, map);
	line_free(&line);
	return 0;
}

static const char *get_text(struct json_object *from, const char *name)
{
	struct json_object *found = json_object_object_get(from, name);

	return found ? json_object_get_string(found) : "-";
}

static bool get_bool(struct json_object *from, const char *name)
{
	return json_object_get_boolean(json_object_object_get(from, name));
}

static void print_options(struct json_object *words)
{
	size_t i;

	printf("  options:      ");
	for (i = 0; i < json_object_array_length(words); i++)
		printf("%s%s", i ? " " : "",
		       json_object_get_string(json_object_array_get_idx(words, i)));
	puts(i ? "" : "none");
}

static void print_text(struct json_object *mapping)
{
	struct json_object *counters = json_object_object_get(mapping, "counters");
	bool sized = json_object_object_get(mapping, "key_size");

	printf("/dev/mapper/%s is %s%s.\n", get_text(mapping, "name"),
	       get_bool(mapping, "suspended") ? "suspended" : "active",
	       get_bool(mapping, "in_use") ? " and is in use" : "");
	printf("  target:       %s (module %s)\n", get_text(mapping, "target"),
	       get_text(mapping, "module"));
	printf("  since:        %s\n", get_text(mapping, "since"));
	printf("  type:         %s\n", get_text(mapping, "type"));
	printf("  cipher:       %s\n", get_text(mapping, "cipher"));
	printf("  keysize:      %s%s\n", get_text(mapping, "key_size"), sized ? " bits" : "");
	printf("  key location: %s\n", get_text(mapping, "key_location"));
	printf("  device:       %s\n", get_text(mapping, "device"));
	printf("  sector size:  %s\n", get_text(mapping, "sector_size"));
	printf("  offset:       %s sectors\n", get_text(mapping, "offset"));
	printf("  size:         %s sectors\n", get_text(mapping, "size"));
	printf("  mode:         %s\n", get_bool(mapping, "read_only") ? "readonly" : "read/write");
	print_options(json_object_object_get(mapping, "options"));
	if (!counters)
		return;
	json_object_object_foreach(counters, name, value)
		printf("  %s: %*s%s\n", name, (int)(16 - strlen(name)), "",
		       json_object_get_string(value));
}

static int describe_name(struct json_object *to, const char *name)
{
	struct map map;
	int ret;

	ret = map_get(&map, name);
	if (!ret && !map_is_crypt(&map))
		ret = say_error(-EINVAL, "%s is no mapping of the target crypt-bulk or crypt",
				name);
	if (!ret)
		ret = describe(to, &map);
	map_free(&map);
	return ret;
}

/* A mapping that goes away meanwhile, or is another target's, is none of ours. */
static int add_if_crypt(const char *name, void *context)
{
	struct json_object *mapping;
	struct map map;

	if (!map_get_quietly(&map, name) && map_is_crypt(&map)) {
		mapping = json_object_new_object();
		if (describe(mapping, &map))
			json_object_put(mapping);
		else
			json_object_array_add(context, mapping);
	}
	map_free(&map);
	return 0;
}

static int print_all(const struct options *options)
{
	struct json_object *all = json_object_new_array();
	size_t i, count;
	int ret;

	ret = map_list(add_if_crypt, all);
	count = json_object_array_length(all);
	if (ret)
		say_error(-EINVAL, "device-mapper does not answer: modprobe dm-mod");
	else if (options->json)
		puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY));
	else if (!count)
		say("There is no mapping of the target crypt-bulk or crypt.");
	for (i = 0; !ret && !options->json && i < count; i++)
		print_text(json_object_array_get_idx(all, i));
	json_object_put(all);
	return ret;
}

/**
 * command_status() - crypt-bulk status [NAME]
 * @options: the command line
 */
int command_status(const struct options *options)
{
	struct json_object *mapping;
	int ret;

	if (!options->args_count)
		return print_all(options);
	mapping = json_object_new_object();
	ret = describe_name(mapping, options->args[0]);
	if (!ret && options->json)
		puts(json_object_to_json_string_ext(mapping, JSON_C_TO_STRING_PRETTY));
	else if (!ret)
		print_text(mapping);
	json_object_put(mapping);
	return ret;
}
