# SPDX-License-Identifier: GPL-2.0
"""The kernel's keyrings by their system calls; the guest has no keyutils."""

import ctypes
import os

SESSION = -3

# x86-64
_ADD_KEY, _KEYCTL = 248, 250
_JOIN_SESSION, _UPDATE, _REVOKE, _UNLINK, _SET_TIMEOUT, _INVALIDATE = 1, 2, 3, 9, 15, 21

_libc = ctypes.CDLL(None, use_errno=True)


def _call(number, *args):
    """A system call; integers go as 64 bits, bytes as pointers."""
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = _libc.syscall(ctypes.c_long(number), *wide)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def join_session():
    """A new session keyring for this process: all that the suite adds goes with it."""
    return _call(_KEYCTL, _JOIN_SESSION, None)


def add(kind, description, payload, keyring=SESSION):
    """Add a key, or give the one of that name another payload; its serial number."""
    return _call(_ADD_KEY, kind.encode(), description.encode(), payload, len(payload), keyring)


def update(key, payload):
    _call(_KEYCTL, _UPDATE, key, payload, len(payload))


def revoke(key):
    _call(_KEYCTL, _REVOKE, key)


def invalidate(key):
    _call(_KEYCTL, _INVALIDATE, key)


def unlink(key, keyring=SESSION):
    _call(_KEYCTL, _UNLINK, key, keyring)


def set_timeout(key, seconds):
    _call(_KEYCTL, _SET_TIMEOUT, key, seconds)
