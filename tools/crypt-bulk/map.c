// SPDX-License-Identifier: GPL-2.0-only
/* Mappings of device-mapper, by libdevmapper. */
#include <errno.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "crypt-bulk.h"

/* A device that was just closed may be held for a moment, by udev's rules. */
#define REMOVE_TRIES	25
#define REMOVE_PAUSE_NS	(200 * 1000 * 1000)

#define LEAVE_ALONE	(DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG | \
			 DM_UDEV_DISABLE_OTHER_RULES_FLAG)

/* libdevmapper's own words say little, and would appear while a device is suspended. */
static void quiet(int level, const char *file, int line, int error, const char *format, ...)
{
	(void)level;
	(void)file;
	(void)line;
	(void)error;
	(void)format;
}

/* NULL if there is no memory, or no device-mapper. libcryptsetup takes the log back at times. */
static struct dm_task *new_task(int type, const char *name)
{
	struct dm_task *task;

	dm_log_with_errno_init(quiet);
	task = dm_task_create(type);
	if (!task)
		return NULL;
	/* A key may be in what goes to the kernel and comes back: wipe all of it. */
	if ((name && !dm_task_set_name(task, name)) || !dm_task_secure_data(task)) {
		dm_task_destroy(task);
		return NULL;
	}
	return task;
}

static int run(struct dm_task *task)
{
	int error;

	if (dm_task_run(task))
		return 0;
	error = dm_task_get_errno(task);
	return error ? -error : -EIO;
}

/* Runs and ends a task that makes udev do something, and waits for that. */
static int run_with_udev(struct dm_task *task, bool private)
{
	uint32_t cookie = 0;
	int ret;

	if (!dm_task_set_cookie(task, &cookie, private ? LEAVE_ALONE : 0)) {
		dm_task_destroy(task);
		return -EIO;
	}
	ret = run(task);
	dm_udev_wait(cookie);
	dm_task_destroy(task);
	return ret;
}

static int copy_table(struct map *map, struct dm_task *task)
{
	char *target, *params;
	uint64_t start, length;
	void *next = NULL;

	do {
		next = dm_get_next_target(task, next, &start, &length, &target, &params);
		if (!target)
			break;
		map->targets++;
		map->sectors += length;
		if (map->targets > 1)
			continue;
		snprintf(map->target, sizeof(map->target), "%s", target);
		if (secret_alloc(&map->params, strlen(params)))
			return -ENOMEM;
		strcpy(map->params.data, params);
		map->params.size = strlen(params);
	} while (next);
	return 0;
}

/**
 * map_name_check() - can a mapping be called so?
 * @name: the name, not a path
 *
 * Return: 0 or -EINVAL; nothing was said to the user.
 */
int map_name_check(const char *name)
{
	return *name && !strchr(name, '/') && strlen(name) < NAME_ROOM ? 0 : -EINVAL;
}

/* The name of a mapping that may be given by its path; NULL where no mapping can have it. */
static const char *name_of(const char *text)
{
	static const char dir[] = "/dev/mapper/";

	if (!strncmp(text, dir, strlen(dir)))
		text += strlen(dir);
	return map_name_check(text) ? NULL : text;
}

/**
 * map_get_quietly() - look at a mapping
 * @map: gets what it is; map_free() has to follow
 * @name: its name, or its path in /dev/mapper
 *
 * Return: 0, or what the kernel says, -ENXIO where there is none; nothing was said to the user.
 */
int map_get_quietly(struct map *map, const char *name)
{
	struct dm_task *task;
	struct dm_info info;
	const char *uuid;
	int ret;

	*map = (struct map){ 0 };
	name = name_of(name);
	if (!name)
		return -ENXIO;
	task = new_task(DM_DEVICE_TABLE, name);
	if (!task)
		return -ENOMEM;
	ret = run(task);
	if (!ret && !dm_task_get_info(task, &info))
		ret = -EIO;
	if (!ret && !info.exists)
		ret = -ENXIO;
	if (!ret) {
		snprintf(map->name, sizeof(map->name), "%s", name);
		uuid = dm_task_get_uuid(task);
		snprintf(map->uuid, sizeof(map->uuid), "%s", uuid ? uuid : "");
		map->major = info.major;
		map->minor = info.minor;
		map->open_count = info.open_count;
		map->read_only = info.read_only;
		map->suspended = info.suspended;
		ret = copy_table(map, task);
	}
	dm_task_destroy(task);
	return ret;
}

/**
 * map_get() - look at a mapping
 * @map: gets what it is; map_free() has to follow
 * @name: its name
 */
int map_get(struct map *map, const char *name)
{
	int ret = map_get_quietly(map, name);

	if (ret == -ENXIO)
		return say_error(ret, "%s is not active", name);
	if (ret)
		return say_error(ret, "cannot read the table of %s: %s", name, strerror(-ret));
	return 0;
}

/**
 * map_free() - let go of what map_get() found
 * @map: the mapping
 */
void map_free(struct map *map)
{
	secret_free(&map->params);
}

/**
 * map_exists() - is there a mapping of that name?
 * @name: the name
 */
bool map_exists(const char *name)
{
	struct map map;
	int ret = map_get_quietly(&map, name);

	map_free(&map);
	return !ret;
}

/**
 * map_is_half_made() - is it one of dm-crypt's, without a table, since its making was interrupted?
 * @map: the mapping
 */
bool map_is_half_made(const struct map *map)
{
	return !map->targets && !strncmp(map->uuid, "CRYPT-", strlen("CRYPT-"));
}

/**
 * map_is_crypt() - is it a mapping that this program is for?
 * @map: the mapping
 */
bool map_is_crypt(const struct map *map)
{
	return map->targets == 1 &&
	       (!strcmp(map->target, TARGET_BULK) || !strcmp(map->target, TARGET_STOCK));
}

static int give_table(struct dm_task *task, const struct new_map *map)
{
	if (!dm_task_add_target(task, 0, map->sectors, map->target, map->params))
		return -ENOMEM;
	if (map->read_only && !dm_task_set_ro(task))
		return -ENOMEM;
	return 0;
}

/**
 * map_load() - load a table into the inactive slot of a mapping
 * @map: name, table; the others are not looked at
 *
 * Return: 0, or what the kernel says; nothing was said to the user then.
 */
int map_load(const struct new_map *map)
{
	struct dm_task *task = new_task(DM_DEVICE_RELOAD, map->name);
	int ret;

	if (!task)
		return -ENOMEM;
	ret = give_table(task, map);
	if (!ret)
		ret = run(task);
	dm_task_destroy(task);
	return ret;
}

static int simple_task(int type, const char *name)
{
	struct dm_task *task = new_task(type, name);
	int ret;

	if (!task)
		return -ENOMEM;
	ret = run(task);
	dm_task_destroy(task);
	return ret;
}

/**
 * map_resume() - let a loaded table take effect
 * @name: the mapping
 * @private: as it was made
 *
 * One request: the kernel suspends the mapping, changes the table and resumes it, and there is no
 * moment in between in which this program would have to run.
 *
 * Return: 0, or what the kernel says.
 */
int map_resume(const char *name, bool private)
{
	struct dm_task *task = new_task(DM_DEVICE_RESUME, name);

	return task ? run_with_udev(task, private) : -ENOMEM;
}

/**
 * map_clear() - drop a table that was loaded and not resumed
 * @name: the mapping
 *
 * Return: 0, or what the kernel says.
 */
int map_clear(const char *name)
{
	return simple_task(DM_DEVICE_CLEAR, name);
}

static int remove_once(const char *name, bool deferred, bool private)
{
	struct dm_task *task = new_task(DM_DEVICE_REMOVE, name);

	if (!task)
		return -ENOMEM;
	if (deferred)
		dm_task_deferred_remove(task);
	return run_with_udev(task, private);
}

/**
 * map_remove() - remove a mapping
 * @name: its name
 * @deferred: if it is in use, when it no longer is
 * @private: as it was made
 *
 * Return: 0, or what the kernel says.
 */
int map_remove(const char *name, bool deferred, bool private)
{
	const struct timespec pause = { .tv_nsec = REMOVE_PAUSE_NS };
	int ret, tries;

	for (tries = 0; tries < REMOVE_TRIES; tries++) {
		struct map map;
		int open = 0;

		ret = remove_once(name, deferred, private);
		if (ret != -EBUSY)
			return ret;
		/* One that is mounted will not be closed by itself. */
		if (!map_get_quietly(&map, name))
			open = map.open_count;
		map_free(&map);
		if (!private && open && tries >= 3)
			return ret;
		nanosleep(&pause, NULL);
	}
	return ret;
}

/* Without a table there is nothing that udev is told of: not to be waited for. */
static int create_empty(const struct new_map *map)
{
	struct dm_task *task = new_task(DM_DEVICE_CREATE, map->name);
	int ret;

	if (!task)
		return -ENOMEM;
	ret = dm_task_set_uuid(task, map->uuid) ? run(task) : -EINVAL;
	dm_task_destroy(task);
	return ret;
}

/**
 * map_create() - make a mapping
 * @map: what it is to be
 *
 * Step by step: of a request for all steps, libdevmapper does not tell which errno ended it.
 *
 * Return: 0, or what the kernel says; nothing was said to the user then, and nothing is left.
 */
int map_create(const struct new_map *map)
{
	int ret;

	ret = create_empty(map);
	if (ret)
		return ret;
	ret = map_load(map);
	if (!ret)
		ret = map_resume(map->name, map->private);
	if (ret)
		map_remove(map->name, false, map->private);
	return ret;
}

/**
 * map_message() - send a mapping a message
 * @name: the mapping
 * @message: the message
 * @answer: gets the answer, "" if there is none
 * @room: bytes of @answer
 *
 * Return: 0, or what the kernel says.
 */
int map_message(const char *name, const char *message, char *answer, size_t room)
{
	struct dm_task *task = new_task(DM_DEVICE_TARGET_MSG, name);
	const char *text;
	int ret = -ENOMEM;

	*answer = '\0';
	if (!task)
		return ret;
	if (dm_task_set_sector(task, 0) && dm_task_set_message(task, message))
		ret = run(task);
	text = ret ? NULL : dm_task_get_message_response(task);
	if (text)
		snprintf(answer, room, "%s", text);
	dm_task_destroy(task);
	return ret;
}

static int for_names(int (*each)(const struct dm_names *names, void *context), void *context)
{
	struct dm_task *task = new_task(DM_DEVICE_LIST, NULL);
	struct dm_names *names;
	unsigned int next = 0;
	int ret;

	if (!task)
		return -ENOMEM;
	ret = run(task);
	names = ret ? NULL : dm_task_get_names(task);
	if (names && names->dev) {
		do {
			names = (struct dm_names *)((char *)names + next);
			ret = each(names, context);
			next = names->next;
		} while (next && !ret);
	}
	dm_task_destroy(task);
	return ret;
}

struct each_name {
	int (*each)(const char *name, void *context);
	void *context;
};

static int hand_name(const struct dm_names *names, void *context)
{
	struct each_name *hand = context;

	return hand->each(names->name, hand->context);
}

/**
 * map_list() - go through all mappings
 * @each: called with each name, until it does not return 0
 * @context: for @each
 *
 * Return: what @each returned last, or what the kernel says.
 */
int map_list(int (*each)(const char *name, void *context), void *context)
{
	struct each_name hand = { each, context };

	return for_names(hand_name, &hand);
}

struct wanted_name {
	unsigned int major, minor;
	char *name;
};

static int match_name(const struct dm_names *names, void *context)
{
	struct wanted_name *wanted = context;

	if (gnu_dev_major(names->dev) != wanted->major ||
	    gnu_dev_minor(names->dev) != wanted->minor)
		return 0;
	snprintf(wanted->name, NAME_ROOM, "%s", names->name);
	return 1;
}

/**
 * map_name_of() - find a mapping by its device number
 * @major: of the number
 * @minor: of the number
 * @name: gets its name, of NAME_ROOM bytes
 *
 * Return: 0, or -ENODEV if it is no mapping's.
 */
int map_name_of(unsigned int major, unsigned int minor, char *name)
{
	struct wanted_name wanted = { major, minor, name };

	return for_names(match_name, &wanted) == 1 ? 0 : -ENODEV;
}

/**
 * target_version() - ask for a target, whose module is loaded if need be
 * @target: its name
 * @version: gets its version
 *
 * Return: 0, or what the kernel says.
 */
int target_version(const char *target, uint32_t version[3])
{
	struct dm_task *task = new_task(DM_DEVICE_GET_TARGET_VERSION, target);
	const struct dm_versions *found;
	int ret;

	if (!task)
		return -ENOMEM;
	ret = run(task);
	found = ret ? NULL : dm_task_get_versions(task);
	if (found)
		memcpy(version, found->version, 3 * sizeof(*version));
	else if (!ret)
		ret = -ENOSYS;
	dm_task_destroy(task);
	return ret;
}

/**
 * target_require() - see to it that the kernel has a target
 * @target: its name
 */
int target_require(const char *target)
{
	uint32_t version[3];
	int ret = target_version(target, version);

	if (ret)
		return say_error(-ENOSYS,
				 "the kernel has no target %s; crypt-bulk doctor says why", target);
	return 0;
}
