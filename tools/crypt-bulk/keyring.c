// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's keyring, by its system calls.
 *
 * Keys go to the keyring of this thread, and from the kernel's memory with it: a target takes its
 * own copy when its table is loaded. That is where libcryptsetup puts them too.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crypt-bulk.h"

/**
 * keyring_add() - put a key into the keyring, as one that no program can read
 * @description: its name
 * @key: its bytes
 */
int keyring_add(const char *description, const struct secret *key)
{
	long id = syscall(__NR_add_key, "logon", description, key->data, key->size,
			  KEY_SPEC_THREAD_KEYRING);

	return id < 0 ? -errno : 0;
}

/**
 * keyring_has() - is there such a key in the keyrings of this process?
 * @type: its type
 * @description: its name
 */
bool keyring_has(const char *type, const char *description)
{
	return syscall(__NR_request_key, type, description, NULL, 0) >= 0;
}
