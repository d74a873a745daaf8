/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as the parsers of a table line need, in user space: what the C library
 * does not have. It is included before everything else in every file, in compat.h's place; the
 * kernel's own headers are empty files that the build makes.
 *
 * Memory, locks and references are counted (kernel.c), so that what is not given back is found at
 * once, and any one allocation can be made to fail.
 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef long long s64;
typedef uint16_t __le16;
typedef uint32_t __le32;
typedef uint32_t __be32;
typedef unsigned long long __le64;
#define sector_t u64
#define gfp_t unsigned int
#define uint unsigned int

#define __percpu
#define __force
#define __init
#define __exit
#define __maybe_unused __attribute__((unused))
#define __aligned(x) __attribute__((aligned(x)))
#define __printf(a, b) __attribute__((format(printf, a, b)))
#define static_assert(condition) _Static_assert(condition, #condition)
#define likely(x) (x)
#define unlikely(x) (x)
#define IS_ENABLED(option) 1
#define CONFIG_KEYS 1

#define READ_ONCE(x) (x)
#define WRITE_ONCE(x, value) ((x) = (value))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1UL << (n))
#define min_t(type, a, b) ((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define max_t(type, a, b) ((type)(a) > (type)(b) ? (type)(a) : (type)(b))
#define min(a, b) min_t(__typeof__(a), a, b)
#define max(a, b) max_t(__typeof__(a), a, b)
#define min_not_zero(a, b) (!(a) ? (b) : !(b) ? (a) : min(a, b))
#define round_down(x, to) ((x) / (to) * (to))
#define swap(a, b) \
	do { __typeof__(a) kept = (a); (a) = (b); (b) = kept; } while (0)

#define U64_MAX ((u64)-1)
#define PAGE_SIZE 4096UL
#define PAGE_SHIFT 12
#define SECTOR_SHIFT 9
#define SECTOR_SIZE 512

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

static inline int ilog2(u64 n)
{
	return 63 - __builtin_clzll(n);
}

static inline void __set_bit(unsigned int nr, unsigned long *bits)
{
	*bits |= BIT(nr);
}

static inline bool test_bit(unsigned int nr, const unsigned long *bits)
{
	return *bits >> nr & 1;
}

/* Errors in pointers */
#define MAX_ERRNO 4095
#define ERR_PTR(error) ((void *)(long)(error))
#define PTR_ERR(pointer) ((long)(pointer))
#define IS_ERR(pointer) ((unsigned long)(pointer) >= (unsigned long)-MAX_ERRNO)

/* Bytes: the machine is little endian, as is every machine that the module is tested on. */
#define cpu_to_le32(x) ((__le32)(x))
#define le32_to_cpu(x) ((u32)(x))
#define cpu_to_le64(x) ((__le64)(x))
#define cpu_to_be32(x) ((__be32)__builtin_bswap32(x))
#define lower_32_bits(x) ((u32)(x))
#define upper_32_bits(x) ((u32)((u64)(x) >> 32))

static inline void le32_add_cpu(__le32 *to, u32 value)
{
	*to += value;
}

static inline u32 rol32(u32 word, unsigned int by)
{
	return word << (by & 31) | word >> (-by & 31);
}

static inline void put_unaligned_le32(u32 value, void *to)
{
	memcpy(to, &value, sizeof(value));
}

static inline void put_unaligned_le64(u64 value, void *to)
{
	memcpy(to, &value, sizeof(value));
}

static inline void put_unaligned_be64(u64 value, void *to)
{
	put_unaligned_le64(__builtin_bswap64(value), to);
}

/* kernel.c: strings */
int kstrtou64(const char *text, unsigned int base, u64 *value);
size_t str_has_prefix(const char *text, const char *prefix);
int hex2bin(u8 *to, const char *digits, size_t count);
int scnprintf(char *to, size_t size, const char *format, ...) __printf(3, 4);
void memzero_explicit(void *at, size_t size);
void get_random_bytes(void *to, size_t size);
void fuzz_log(const char *format, ...) __printf(1, 2);

/* kernel.c: memory. What is allocated has its exact size, so that the sanitizer sees its end. */
#define GFP_KERNEL 1U
#define __GFP_NOWARN 2U
#define KMALLOC_MAX_SIZE (4UL << 20)

void *kmalloc(size_t size, gfp_t gfp);
void *kzalloc(size_t size, gfp_t gfp);
void *kcalloc(size_t count, size_t size, gfp_t gfp);
char *kstrdup(const char *text, gfp_t gfp);
char *kmemdup_nul(const char *text, size_t size, gfp_t gfp);
void kfree(const void *object);
void kfree_sensitive(const void *object);
unsigned int memalloc_noio_save(void);
void memalloc_noio_restore(unsigned int before);

/* kernel.c: locks, which nobody holds when he takes them, or gives back what he does not hold */
struct mutex {
	bool held;
};

struct rw_semaphore {
	bool held;
};

void fuzz_lock(bool *held);
void fuzz_unlock(bool *held);
#define mutex_init(lock) ((lock)->held = false)
#define mutex_lock(lock) fuzz_lock(&(lock)->held)
#define mutex_unlock(lock) fuzz_unlock(&(lock)->held)
#define down_read(lock) fuzz_lock(&(lock)->held)
#define up_read(lock) fuzz_unlock(&(lock)->held)

/**
 * struct fuzz_state - what the harness asks of the kernel, and sees of it
 * @objects: allocations, references and locks that are out
 * @noio: calls of memalloc_noio_save() that have not been undone
 * @noio_only: an allocation without is an error
 * @fail: how many allocations on there is one that fails; 0 for none
 * @meanwhile: what somebody else does before the next lock is taken, once; or NULL
 * @secret: a key, of which no copy may be in memory that is given back
 * @secret_size: its bytes, 0 where there is none to look for
 */
struct fuzz_state {
	unsigned int objects;
	unsigned int noio;
	bool noio_only;
	unsigned int fail;
	void (*meanwhile)(void);
	u8 secret[32];
	unsigned int secret_size;
};

extern struct fuzz_state fuzz;

/* What must hold: libFuzzer reports who does not come back, and keeps what led there. */
#define FUZZ_CHECK(condition, what)					\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, what); \
			abort();					\
		}							\
	} while (0)

#include "crypto-api.h"
#include "block.h"

#endif /* FUZZ_KERNEL_H */
