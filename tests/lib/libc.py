# SPDX-License-Identifier: GPL-2.0
"""System calls that neither Python nor the C library has a function for, on x86-64."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number, *args):
    """A system call; integers go as 64 bits, bytes as pointers."""
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = _libc.syscall(ctypes.c_long(number), *wide)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
