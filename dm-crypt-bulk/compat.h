/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What older kernels lack of the interfaces that this module is written against, and the only
 * file that knows kernel versions. It is included before everything else in every file.
 */
#ifndef CBULK_COMPAT_H
#define CBULK_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0) || LINUX_VERSION_CODE >= KERNEL_VERSION(7, 4, 0)
#error dm-crypt-bulk supports Linux 6.1 up to and including 7.3; this kernel is outside that range
#endif

#include <linux/crypto.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/workqueue.h>

/* Headers that moved: Kbuild looks which of them there are. */
#ifdef CBULK_HAVE_HEX_H
#include <linux/hex.h>
#endif
#ifdef CBULK_HAVE_UNALIGNED_H
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* 6.14 gave the array form of the bulk page allocator its present name. */
#ifndef alloc_pages_bulk
#define alloc_pages_bulk(gfp, nr_pages, page_array) \
	alloc_pages_bulk_array((gfp), (nr_pages), (page_array))
#endif

/* 6.3 passes a completed crypto request's data, not the request. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define cbulk_crypto_done_t struct crypto_async_request
static inline void *cbulk_crypto_done_data(cbulk_crypto_done_t *areq)
{
	return areq->data;
}
#else
#define cbulk_crypto_done_t void
static inline void *cbulk_crypto_done_data(cbulk_crypto_done_t *data)
{
	return data;
}
#endif

/* 6.17 asks for per-CPU workqueues by name; before, they were what one got. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define WQ_PERCPU 0
#endif

/* 6.11 began to split requests, at 128 KiB unless told otherwise. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define CBULK_DEFAULT_MAX_REQUEST UINT_MAX
#else
#define CBULK_DEFAULT_MAX_REQUEST 131072
#endif

#endif /* CBULK_COMPAT_H */
