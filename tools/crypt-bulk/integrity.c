// SPDX-License-Identifier: GPL-2.0-only
/*
 * Authenticated LUKS2 volumes: dm-integrity keeps what belongs to each sector beside it, and
 * dm-crypt is stacked on that, with a cipher whose name says how both go together.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypt-bulk.h"

/* The beginning of dm-integrity's superblock, which is little-endian. */
struct superblock {
	char magic[8];
	uint8_t version;
	uint8_t log2_interleave;
	uint16_t tag_size;
	uint32_t journal_sections;
	uint64_t provided_sectors;
	uint32_t flags;
	uint8_t log2_block;
} __attribute__((packed));

static int read_superblock(const struct volume *volume, struct superblock *super)
{
	int file = open(volume->device, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	if (file >= 0) {
		got = pread(file, super, sizeof(*super), volume->offset * SECTOR);
		close(file);
	}
	if (got != (ssize_t)sizeof(*super) || memcmp(super->magic, "integrt", sizeof(super->magic)))
		return say_error(-EINVAL, "%s has no dm-integrity superblock where the header says",
				 volume->device);
	/* Blocks of 4096 bytes are the largest there are. */
	if (super->log2_block > 3)
		return say_error(-EINVAL, "the dm-integrity superblock of %s is not valid",
				 volume->device);
	return 0;
}

/**
 * integrity_cipher() - the cipher of a volume as dm-crypt's table line wants it
 * @volume: the volume
 * @to: gets it
 * @room: bytes of @to
 */
int integrity_cipher(const struct volume *volume, char *to, size_t room)
{
	char cipher[64], mode[64], iv[64];
	int length;

	if (!*volume->integrity || !strncmp(volume->cipher, "capi:", 5)) {
		length = snprintf(to, room, "%s", volume->cipher);
		return (size_t)length < room ? 0 : say_error(-EINVAL, "the cipher is too long");
	}
	if (!strcmp(volume->integrity, "poly1305") &&
	    sscanf(volume->cipher, "%63[^-]-%63s", cipher, iv) == 2)
		length = snprintf(to, room, "capi:rfc7539(%s,poly1305)-%s", cipher, iv);
	else if (sscanf(volume->cipher, "%63[^-]-%63[^-]-%63s", cipher, mode, iv) != 3)
		return say_error(-EINVAL, "cipher %s with %s is not known: use cryptsetup open",
				 volume->cipher, volume->integrity);
	else if (strcmp(volume->integrity, "aead"))
		length = snprintf(to, room, "capi:authenc(%s,%s(%s))-%s", volume->integrity, mode,
				  cipher, iv);
	else if (!strcmp(mode, "ccm"))
		length = snprintf(to, room, "capi:rfc4309(%s(%s))-%s", mode, cipher, iv);
	else
		length = snprintf(to, room, "capi:%s(%s)-%s", mode, cipher, iv);
	return (size_t)length < room ? 0 : say_error(-EINVAL, "the cipher is too long");
}

/**
 * integrity_name() - the name of the integrity device below a mapping, as cryptsetup has it
 * @to: gets it, of NAME_ROOM bytes
 * @name: the mapping's
 *
 * Return: 0, or -EINVAL if it would be too long; nothing was said to the user.
 */
int integrity_name(char *to, const char *name)
{
	return snprintf(to, NAME_ROOM, "%s_dif", name) < NAME_ROOM ? 0 : -EINVAL;
}

/**
 * integrity_open() - make the integrity device below a mapping
 * @volume: the volume
 * @name: the mapping's name
 * @uuid: the mapping's UUID
 * @flags: FLAG_NO_JOURNAL
 * @read_only: as the mapping
 * @sectors: gets its length
 */
int integrity_open(const struct volume *volume, const char *name, const char *uuid,
		   unsigned int flags, bool read_only, uint64_t *sectors)
{
	char below[NAME_ROOM], below_uuid[UUID_ROOM], params[PATH_ROOM + 100];
	struct new_map map = { .name = below, .uuid = below_uuid, .target = "integrity",
			       .params = params, .read_only = read_only, .private = true };
	struct superblock super;
	int ret;

	ret = integrity_name(below, name);
	if (ret)
		return say_error(ret, "the name is too long for an authenticated volume: the "
				 "mapping below it has 4 characters more, of %d in all",
				 NAME_ROOM - 1);
	ret = read_superblock(volume, &super);
	if (ret)
		return ret;
	/* Marked as a part of the other: the name of its type is all that is different. */
	snprintf(below_uuid, sizeof(below_uuid), "CRYPT-INTEGRITY-%.*s",
		 (int)(sizeof(below_uuid) - 17), uuid + strlen("CRYPT-LUKS2-"));
	snprintf(below_uuid + strlen(below_uuid), sizeof(below_uuid) - strlen(below_uuid), "_dif");
	snprintf(params, sizeof(params), "%s %llu %u %c 1 block_size:%u", volume->device,
		 (unsigned long long)volume->offset, volume->tag_size,
		 flags & FLAG_NO_JOURNAL ? 'D' : 'J', SECTOR << super.log2_block);
	*sectors = le64toh(super.provided_sectors);
	map.sectors = *sectors;
	ret = map_create(&map);
	return ret ? say_error(ret, "the dm-integrity device %s cannot be made: %s", below,
			       strerror(-ret)) : 0;
}
