# SPDX-License-Identifier: GPL-2.0
"""The kernel's keyrings by their system calls; the guest has no keyutils."""

from libc import syscall

SESSION = -3

_ADD_KEY, _KEYCTL = 248, 250
_JOIN_SESSION, _UPDATE, _REVOKE, _UNLINK, _SET_TIMEOUT, _INVALIDATE = 1, 2, 3, 9, 15, 21


def join_session():
    """A new session keyring for this process: all that the suite adds goes with it."""
    return syscall(_KEYCTL, _JOIN_SESSION, None)


def add(kind, description, payload, keyring=SESSION):
    """Add a key, or give the one of that name another payload; its serial number."""
    return syscall(_ADD_KEY, kind.encode(), description.encode(), payload, len(payload), keyring)


def update(key, payload):
    syscall(_KEYCTL, _UPDATE, key, payload, len(payload))


def revoke(key):
    syscall(_KEYCTL, _REVOKE, key)


def invalidate(key):
    syscall(_KEYCTL, _INVALIDATE, key)


def unlink(key, keyring=SESSION):
    syscall(_KEYCTL, _UNLINK, key, keyring)


def set_timeout(key, seconds):
    syscall(_KEYCTL, _SET_TIMEOUT, key, seconds)


def described(word):
    """The lines of /proc/keys with a word: keys of any keyring that this process may see."""
    with open("/proc/keys") as file:
        return [line.rstrip() for line in file if word in line]
