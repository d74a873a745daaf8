// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data: a function of a seed and of the place on the device alone, so that whoever reads it
 * later, by whatever way, can tell whether it is the right data in the right place.
 *
 * The eight bytes at offset 8 * n are the n'th output of the generator SplitMix64, little-endian:
 *
 *	z = seed + (n + 1) * 0x9e3779b97f4a7c15
 *	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
 *	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
 *	z = z ^ (z >> 31)
 */
#include <linux/minmax.h>
#include <linux/string.h>
#include <asm/byteorder.h>
#include "bio-layout.h"

static __le64 pattern_word(u64 seed, u64 n)
{
	u64 z = seed + (n + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return cpu_to_le64(z ^ (z >> 31));
}

/**
 * pattern_byte() - one byte of the data
 * @seed: selects the data
 * @offset: on the device, in bytes
 *
 * Return: the byte.
 */
u8 pattern_byte(u64 seed, u64 offset)
{
	__le64 word = pattern_word(seed, offset / 8);

	return ((const u8 *)&word)[offset % 8];
}

/* How much of the word that holds @offset lies in the next @len bytes. */
static size_t part_of_word(u64 offset, size_t len)
{
	return min_t(size_t, 8 - offset % 8, len);
}

/**
 * pattern_fill() - write data to memory
 * @to: the memory
 * @seed: selects the data
 * @offset: on the device, in bytes
 * @len: how much
 */
void pattern_fill(u8 *to, u64 seed, u64 offset, size_t len)
{
	while (len) {
		__le64 word = pattern_word(seed, offset / 8);
		size_t part = part_of_word(offset, len);

		memcpy(to, (const u8 *)&word + offset % 8, part);
		to += part;
		offset += part;
		len -= part;
	}
}

/**
 * pattern_match() - compare memory with what it should hold
 * @data: the memory
 * @seed: selects the data
 * @offset: on the device, in bytes
 * @len: how much
 *
 * Return: how many bytes are right up to the first that is wrong; @len when all are.
 */
size_t pattern_match(const u8 *data, u64 seed, u64 offset, size_t len)
{
	size_t done = 0;

	while (done < len) {
		__le64 word = pattern_word(seed, (offset + done) / 8);
		size_t part = part_of_word(offset + done, len - done);

		if (memcmp(data + done, (const u8 *)&word + (offset + done) % 8, part))
			break;
		done += part;
	}
	while (done < len && data[done] == pattern_byte(seed, offset + done))
		done++;
	return done;
}
