# SPDX-License-Identifier: GPL-2.0
"""Bios of any segment layout, by the test module bio-layout (its main.c has the grammar)."""

import errno
import os
import struct

import kernel
import tap

_PATH = "/sys/kernel/debug/bio-layout"
_MASK = (1 << 64) - 1


def require():
    run = kernel.modprobe("bio-layout", check=False)
    if run.returncode:
        raise tap.Skip(f"no module bio-layout: {run.stderr.strip()}")


class Result:
    """How a bio ended: .error is 0 or an errno, .problem says what is wrong with its memory.

    .sector is where an append went.
    """

    def __init__(self, answer):
        fields = {key: int(value) for key, value in
                  (word.split("=") for word in answer.split())}
        self.error = -fields["error"]
        self.bytes = fields["bytes"]
        self.sector = fields["sector"]
        self.problem = None
        if fields["trespassed"] >= 0:
            self.problem = f"memory around segment {fields['trespassed']} changed"
        elif not self.error and fields["wrong"] >= 0:
            self.problem = (f"byte {fields['wrong']} is {fields['found']:#x}, "
                            f"not {fields['wanted']:#x}")

    def __repr__(self):
        return self.problem or f"error {errno.errorcode.get(self.error, self.error)}"


def submit(operation, path, sector, seed, segments="", flags="-"):
    """Submit one bio and wait for it."""
    file = os.open(_PATH, os.O_RDWR)
    try:
        line = f"{operation} {path} {sector} {seed} {flags} {segments}"
        try:
            os.write(file, line.encode())
        except OSError as error:
            raise RuntimeError(f"{line}: {os.read(file, 4096).decode()}") from error
        return Result(os.read(file, 4096).decode())
    finally:
        os.close(file)


def pattern(seed, offset, size):
    """The module's data, computed here: offset and size are multiples of 8."""
    words = []
    for number in range(offset // 8, (offset + size) // 8):
        z = (seed + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
        words.append(z ^ (z >> 31))
    return struct.pack(f"<{len(words)}Q", *words)
