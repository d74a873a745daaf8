// SPDX-License-Identifier: GPL-2.0-only
/* Small files of /proc, /sys and /dev. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
/* After the C library's headers: both define some of the same. */
#include <linux/fs.h>

#include "crypt-bulk.h"

/**
 * file_read() - read a small file of text
 * @to: gets it, without the last line end
 * @room: bytes of @to
 * @format: the path, as printf()
 *
 * Return: bytes read, or a negative errno with @to empty.
 */
int file_read(char *to, size_t room, const char *format, ...)
{
	char path[PATH_ROOM];
	ssize_t got;
	va_list args;
	int file;

	*to = '\0';
	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	got = read(file, to, room - 1);
	if (got < 0)
		got = -errno;
	close(file);
	if (got < 0)
		return got;
	to[got] = '\0';
	if (got && to[got - 1] == '\n')
		to[got - 1] = '\0';
	return got;
}

/**
 * file_exists() - is there such a file?
 * @format: the path, as printf()
 */
bool file_exists(const char *format, ...)
{
	char path[PATH_ROOM];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	return !access(path, F_OK);
}

/**
 * device_path() - find the node of a device that may be named by its UUID
 * @device: its path, or UUID=... of its header, or PARTUUID=... of its partition, as in crypttab
 * @path: gets the path
 * @room: bytes of @path
 */
int device_path(const char *device, char *path, size_t room)
{
	static const char uuid[] = "UUID=", partuuid[] = "PARTUUID=";
	int length;

	if (!strncmp(device, uuid, strlen(uuid)))
		length = snprintf(path, room, "/dev/disk/by-uuid/%s", device + strlen(uuid));
	else if (!strncmp(device, partuuid, strlen(partuuid)))
		length = snprintf(path, room, "/dev/disk/by-partuuid/%s",
				  device + strlen(partuuid));
	else
		length = snprintf(path, room, "%s", device);
	return (size_t)length < room ? 0 : say_error(-EINVAL, "the path is too long");
}

/**
 * device_bytes() - how large is a block device, and does it refuse to be written to?
 * @path: the device
 * @read_only: gets whether it does
 *
 * Return: bytes or a negative errno; -ENOTBLK for what is no block device.
 */
int64_t device_bytes(const char *path, bool *read_only)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;
	uint64_t bytes;
	int64_t ret;
	int flag;

	if (file < 0)
		return -errno;
	if (fstat(file, &info))
		ret = -errno;
	else if (!S_ISBLK(info.st_mode))
		ret = -ENOTBLK;
	else if (ioctl(file, BLKGETSIZE64, &bytes))
		ret = -errno;
	else
		ret = bytes;
	if (ret >= 0)
		*read_only = !ioctl(file, BLKROGET, &flag) && flag;
	close(file);
	return ret;
}

/**
 * device_name() - find the node of a device
 * @number: the device as a table line has it: MAJOR:MINOR, or a path already
 * @path: gets the path
 * @room: bytes of @path
 */
int device_name(const char *number, char *path, size_t room)
{
	char text[1024], name[NAME_ROOM];
	const char *line;
	unsigned int major, minor;

	if (*number == '/') {
		snprintf(path, room, "%s", number);
		return 0;
	}
	if (sscanf(number, "%u:%u", &major, &minor) != 2)
		return -EINVAL;
	if (!map_name_of(major, minor, name)) {
		snprintf(path, room, "/dev/mapper/%s", name);
		return 0;
	}
	if (file_read(text, sizeof(text), "/sys/dev/block/%u:%u/uevent", major, minor) < 0)
		return -ENODEV;
	line = strstr(text, "DEVNAME=");
	if (!line)
		return -ENODEV;
	line += strlen("DEVNAME=");
	snprintf(path, room, "/dev/%.*s", (int)strcspn(line, "\n"), line);
	return 0;
}

/**
 * target_module() - which module serves a target's name?
 * @target: the target
 *
 * Return: its name as in /proc/modules.
 */
const char *target_module(const char *target)
{
	char value[8];

	if (!strcmp(target, TARGET_BULK))
		return MODULE_BULK;
	if (file_read(value, sizeof(value), "/sys/module/%s/parameters/replace_stock",
		      MODULE_BULK) > 0 && *value == 'Y')
		return MODULE_BULK;
	return MODULE_STOCK;
}
