// SPDX-License-Identifier: GPL-2.0-only
/* Memory for passphrases and keys. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "crypt-bulk.h"

/* A byte more than asked for: the zero at the end. */
static size_t mapped_size(size_t room)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (room + 1 + page - 1) / page * page;
}

/**
 * secret_alloc() - get memory for a secret
 * @secret: gets it, zeroed; secret_free() has to follow, and does no harm if this fails
 * @room: bytes
 */
int secret_alloc(struct secret *secret, size_t room)
{
	size_t size = mapped_size(room);
	void *data;

	*secret = (struct secret){ 0 };
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return say_error(-ENOMEM, "out of memory");
	if (mlock(data, size)) {
		munmap(data, size);
		return say_error(-ENOMEM,
				 "memory for secrets cannot be locked: be root, or raise ulimit -l");
	}
	madvise(data, size, MADV_DONTDUMP);
	madvise(data, size, MADV_WIPEONFORK);
	secret->data = data;
	secret->room = size - 1;
	return 0;
}

/**
 * secret_free() - wipe a secret and give its memory back
 * @secret: the secret; may be without memory
 */
void secret_free(struct secret *secret)
{
	if (secret->data) {
		explicit_bzero(secret->data, secret->room + 1);
		munmap(secret->data, secret->room + 1);
	}
	*secret = (struct secret){ 0 };
}

/**
 * secret_grow() - make more room
 * @secret: the secret
 * @room: bytes that it has to have room for
 */
int secret_grow(struct secret *secret, size_t room)
{
	struct secret larger;
	int ret;

	if (room <= secret->room)
		return 0;
	ret = secret_alloc(&larger, room);
	if (ret)
		return ret;
	memcpy(larger.data, secret->data, secret->size);
	larger.size = secret->size;
	secret_free(secret);
	*secret = larger;
	return 0;
}

/**
 * secret_print() - append text
 * @secret: where to; has to have memory
 * @format: as printf()
 */
int secret_print(struct secret *secret, const char *format, ...)
{
	size_t left = secret->room - secret->size;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(secret->data + secret->size, left + 1, format, args);
	va_end(args);
	if (length < 0 || (size_t)length > left)
		return say_error(-EINVAL, "a table line is too long");
	secret->size += length;
	return 0;
}

/**
 * secret_append_hex() - append bytes as hexadecimal digits
 * @secret: where to; has to have memory
 * @bytes: the bytes
 */
int secret_append_hex(struct secret *secret, const struct secret *bytes)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;
	int ret;

	ret = secret_grow(secret, secret->size + 2 * bytes->size);
	if (ret)
		return ret;
	for (i = 0; i < bytes->size; i++) {
		unsigned char byte = bytes->data[i];

		secret->data[secret->size++] = digits[byte >> 4];
		secret->data[secret->size++] = digits[byte & 15];
	}
	secret->data[secret->size] = '\0';
	return 0;
}

static int digit_value(char digit)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *found = digit ? strchr(digits, digit) : NULL;

	if (!found)
		return -1;
	return found - digits < 16 ? found - digits : found - digits - 6;
}

/**
 * secret_from_hex() - get the bytes that hexadecimal digits stand for
 * @secret: gets them
 * @digits: the digits
 */
int secret_from_hex(struct secret *secret, const char *digits)
{
	size_t length = strlen(digits);
	size_t i;
	int ret;

	ret = secret_alloc(secret, length / 2);
	for (i = 0; !ret && i < length / 2; i++) {
		int high = digit_value(digits[2 * i]);
		int low = digit_value(digits[2 * i + 1]);

		if (high < 0 || low < 0)
			ret = -EINVAL;
		else
			secret->data[secret->size++] = high << 4 | low;
	}
	if (!ret && length % 2)
		ret = -EINVAL;
	if (ret == -EINVAL)
		say_error(ret, "the table's key is no key");
	if (ret)
		secret_free(secret);
	return ret;
}

/**
 * secrets_protect() - see to it that no core file and no other user's debugger shows this process
 */
void secrets_protect(void)
{
	struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
}
