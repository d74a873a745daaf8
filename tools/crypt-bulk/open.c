// SPDX-License-Identifier: GPL-2.0-only
/* crypt-bulk open: from a volume to a mapping of the target crypt-bulk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypt-bulk.h"

/* As cryptsetup makes it: what lsblk, udev and systemd go by. */
static void print_uuid(char *to, const struct volume *volume, const char *name)
{
	/* Longer than the kernel takes: it may be cut, as cryptsetup does. */
	char whole[2 * UUID_ROOM + NAME_ROOM], digits[sizeof(volume->uuid)];
	const char *from = volume->uuid;
	char *digit = digits;

	for (; *from; from++)
		if (*from != '-')
			*digit++ = *from;
	*digit = '\0';
	snprintf(whole, sizeof(whole), "CRYPT-%s-%s%s%s", volume->type, digits, *digits ? "-" : "",
		 name);
	memcpy(to, whole, UUID_ROOM - 1);
	to[UUID_ROOM - 1] = '\0';
}

static int check_free(const char *device, const struct options *options)
{
	int file;

	if (options->shared)
		return 0;
	file = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (file < 0 && errno == EBUSY)
		return say_error(-EBUSY, "%s is in use: mounted, or part of another mapping",
				 device);
	if (file >= 0)
		close(file);
	return 0;
}

static int find_length(const struct volume *volume, uint64_t *sectors)
{
	uint64_t device = volume->device_sectors;
	uint64_t unit = volume->sector_size / SECTOR;

	if (volume->offset >= device)
		return say_error(-EINVAL, "%s is too small: its data begins at sector %llu",
				 volume->device, (unsigned long long)volume->offset);
	*sectors = volume->sectors ? volume->sectors : device - volume->offset;
	if (*sectors > device - volume->offset)
		return say_error(-EINVAL, "%s is too small for %llu sectors from sector %llu on",
				 volume->device, (unsigned long long)*sectors,
				 (unsigned long long)volume->offset);
	if (*sectors % unit)
		return say_error(-EINVAL,
				 "the size of %s is no multiple of the encryption sector of %u bytes",
				 volume->device, volume->sector_size);
	return 0;
}

/* The mapping itself, on @device from @offset on. */
static int create(const struct volume *volume, const struct new_map *map, const char *device,
		  uint64_t offset, unsigned int flags)
{
	char cipher[300], options[400], integrity[32], start[24], iv[24];
	struct line line = { .cipher = cipher, .iv_offset = iv, .device = device, .offset = start,
			     .options = options };
	struct secret params = { 0 }, key = { 0 };
	struct new_map made = *map;
	int ret;

	snprintf(start, sizeof(start), "%llu", (unsigned long long)offset);
	snprintf(iv, sizeof(iv), "%llu", (unsigned long long)volume->iv_offset);
	snprintf(integrity, sizeof(integrity), "%u:aead", volume->tag_size);
	ret = integrity_cipher(volume, cipher, sizeof(cipher));
	if (!ret)
		ret = flags_print(options, sizeof(options), flags, volume->sector_size,
				  *volume->integrity ? integrity : NULL,
				  volume->integrity_key_size);
	if (!ret)
		ret = key_print_named(&key, &volume->key);
	if (!ret)
		ret = line_print(&params, &line, key.data);
	if (!ret) {
		made.params = params.data;
		ret = map_create(&made);
		if (ret == -EBUSY)
			say_error(ret, "%s is in use, or the name %s was taken meanwhile", device,
				  map->name);
		else if (ret)
			say_error(ret, "the mapping cannot be made: %s; dmesg has the reason",
				  strerror(-ret));
	}
	secret_free(&params);
	secret_free(&key);
	return ret;
}

static int create_stack(const struct volume *volume, const struct options *options,
			const char *name)
{
	unsigned int flags = volume->flags | flags_of_options(options);
	char uuid[UUID_ROOM], below[NAME_ROOM], path[NAME_ROOM + 16];
	struct new_map map = { .name = name, .uuid = uuid, .target = TARGET_BULK,
			       .read_only = volume->read_only };
	int ret;

	print_uuid(uuid, volume, name);
	if (!*volume->integrity) {
		ret = find_length(volume, &map.sectors);
		return ret ? ret : create(volume, &map, volume->device, volume->offset, flags);
	}
	ret = integrity_open(volume, name, uuid, flags, volume->read_only, &map.sectors);
	if (ret)
		return ret;
	integrity_name(below, name);
	snprintf(path, sizeof(path), "/dev/mapper/%s", below);
	ret = create(volume, &map, path, 0, flags & ~FLAG_NO_JOURNAL);
	if (ret)
		map_remove(below, false, true);
	return ret;
}

/* Interrupted in the middle, it would leave a mapping without a table. */
static int create_whole_stack(const struct volume *volume, const struct options *options,
			      const char *name)
{
	sigset_t before;
	int ret;

	signals_hold(&before);
	ret = create_stack(volume, options, name);
	signals_release(&before);
	return ret;
}

/* Before anything is made: what --persistent is to keep can be kept, and nothing is lost by it. */
static int check_persistent(const struct volume *volume, const struct options *options)
{
	if (!options->persistent)
		return 0;
	if (strcmp(volume->type, CRYPT_LUKS2))
		return say_error(-EINVAL, "only a LUKS2 header keeps flags");
	if (volume->has_unknown_flags)
		return say_error(-EINVAL, "--persistent: the header has flags that are not known "
				 "here and would be lost: use cryptsetup refresh --persistent");
	return flags_check(volume->flags | flags_of_options(options));
}

static int check_name(const char *name)
{
	if (map_name_check(name))
		return say_error(-EINVAL, "\"%s\" is no name for a mapping: 1 to %d characters "
				 "without a /", name, NAME_ROOM - 1);
	if (map_exists(name))
		return say_error(-EEXIST, "a mapping named %s exists already", name);
	return 0;
}

/**
 * command_open() - crypt-bulk open DEVICE NAME
 * @options: the command line
 */
int command_open(const struct options *options)
{
	const char *name = options->args[1];
	char device[PATH_ROOM];
	struct volume volume;
	int ret = 0;

	if (!name && !options->test_passphrase)
		return say_error(-EINVAL, "usage: crypt-bulk open [OPTION]... DEVICE NAME");
	if (!options->test_passphrase)
		ret = target_require(TARGET_BULK);
	if (!ret && !options->test_passphrase)
		ret = check_name(name);
	if (ret)
		return ret;

	ret = device_path(options->args[0], device, sizeof(device));
	if (ret)
		return ret;
	ret = volume_load(&volume, device, options);
	if (!ret && !options->test_passphrase) {
		ret = check_free(volume.device, options);
		if (!ret && volume.read_only && !options->read_only)
			say("%s is read-only, so the mapping is too.", volume.device);
		if (!strcmp(volume.type, CRYPT_PLAIN))
			snprintf(volume.key.name, sizeof(volume.key.name),
				 "logon:cryptsetup:%.100s", name);
	}
	if (!ret)
		ret = check_persistent(&volume, options);
	if (!ret)
		ret = volume_unlock(&volume, options);
	if (!ret && !options->test_passphrase) {
		ret = create_whole_stack(&volume, options, name);
		if (!ret && options->persistent)
			ret = flags_store(volume.cd, volume.flags | flags_of_options(options));
	}
	volume_free(&volume);
	return ret;
}
