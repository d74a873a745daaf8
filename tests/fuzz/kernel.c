// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's memory, locks and strings, in user space. */
#include <malloc.h>

struct fuzz_state fuzz;

int kstrtou64(const char *text, unsigned int base, u64 *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, base);
	if (end == text || *end)
		return -EINVAL;
	return -errno;
}

size_t str_has_prefix(const char *text, const char *prefix)
{
	size_t size = strlen(prefix);

	return strncmp(text, prefix, size) ? 0 : size;
}

static int nibble(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = tolower(digit);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int hex2bin(u8 *to, const char *digits, size_t count)
{
	for (; count--; digits += 2) {
		int high = nibble(digits[0]);
		int low = high < 0 ? -1 : nibble(digits[1]);

		if (low < 0)
			return -EINVAL;
		*to++ = high << 4 | low;
	}
	return 0;
}

int scnprintf(char *to, size_t size, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(to, size, format, args);
	va_end(args);
	return size ? min_t(int, length, size - 1) : 0;
}

void memzero_explicit(void *at, size_t size)
{
	memset(at, 0, size);
}

/* Bytes that are the same in each run. */
void get_random_bytes(void *to, size_t size)
{
	u8 *bytes = to;
	size_t i;

	for (i = 0; i < size; i++)
		bytes[i] = 1 + i * 7;
}

/* Nobody reads it, but what is printed has to be there to be read. */
void fuzz_log(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
}

void *kmalloc(size_t size, gfp_t gfp)
{
	void *object;

	FUZZ_CHECK(!fuzz.noio_only || fuzz.noio, "memory taken in a way that may do I/O");
	if (fuzz.fail && !--fuzz.fail)
		return NULL;
	if (size > KMALLOC_MAX_SIZE) {
		FUZZ_CHECK(gfp & __GFP_NOWARN, "the kernel would warn of an allocation that large");
		return NULL;
	}
	object = malloc(size);
	FUZZ_CHECK(object, "out of memory");
	/* What was there before. */
	memset(object, 0x5a, size);
	fuzz.objects++;
	return object;
}

void *kzalloc(size_t size, gfp_t gfp)
{
	void *object = kmalloc(size, gfp);

	return object ? memset(object, 0, size) : NULL;
}

void *kcalloc(size_t count, size_t size, gfp_t gfp)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? NULL : kzalloc(bytes, gfp);
}

char *kmemdup_nul(const char *text, size_t size, gfp_t gfp)
{
	char *copy = kmalloc(size + 1, gfp);

	if (!copy)
		return NULL;
	memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

char *kstrdup(const char *text, gfp_t gfp)
{
	return kmemdup_nul(text, strlen(text), gfp);
}

static void give_back(void *object)
{
	FUZZ_CHECK(fuzz.objects, "more given back than taken");
	fuzz.objects--;
	free(object);
}

void kfree(const void *object)
{
	if (!object)
		return;
	FUZZ_CHECK(!fuzz.secret_size || !memmem(object, malloc_usable_size((void *)object),
						fuzz.secret, fuzz.secret_size),
		   "memory is given back with the key in it");
	give_back((void *)object);
}

void kfree_sensitive(const void *object)
{
	if (!object)
		return;
	memset((void *)object, 0, malloc_usable_size((void *)object));
	give_back((void *)object);
}

unsigned int memalloc_noio_save(void)
{
	return fuzz.noio++;
}

void memalloc_noio_restore(unsigned int before)
{
	fuzz.noio = before;
}

void fuzz_lock(bool *held)
{
	void (*meanwhile)(void) = fuzz.meanwhile;

	fuzz.meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	FUZZ_CHECK(!*held, "a lock is taken twice");
	*held = true;
	fuzz.objects++;
}

void fuzz_unlock(bool *held)
{
	FUZZ_CHECK(*held, "a lock is given back that nobody holds");
	*held = false;
	fuzz.objects--;
}
