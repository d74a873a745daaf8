# SPDX-License-Identifier: GPL-2.0-only
"""Each target reads what the other wrote."""

import mmap
import os
from itertools import cycle

from .system import BenchError

REGION = 4 << 20


class Mismatch(BenchError):
    """The two targets disagree about what is on the disk."""


def write_sizes(block):
    """One sector, whole pages, an odd number of sectors, up to what becomes several bios."""
    return cycle((1 << 20, block, 128 << 10, 4096, (64 << 10) + block))


def regions(size):
    """The start and the end of the device."""
    length = min(REGION, size // 2)
    return ((0, length), (size - length, length))


class Direct:
    """O_DIRECT access to a block device through one aligned buffer."""

    def __init__(self, path, flags):
        self.fd = os.open(path, flags | os.O_DIRECT)
        self.buffer = mmap.mmap(-1, 1 << 20)
        self.view = memoryview(self.buffer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.view.release()
        self.buffer.close()
        os.close(self.fd)

    def write(self, data, offset, block):
        done = 0
        for size in write_sizes(block):
            size = min(size, len(data) - done)
            if not size:
                return
            self.view[:size] = data[done:done + size]
            if os.pwritev(self.fd, [self.view[:size]], offset + done) != size:
                raise BenchError("short write")
            done += size

    def read(self, length, offset):
        parts = []
        for start in range(0, length, len(self.view)):
            size = min(len(self.view), length - start)
            if os.preadv(self.fd, [self.view[:size]], offset + start) != size:
                raise BenchError("short read")
            parts.append(bytes(self.view[:size]))
        return b"".join(parts)


def cross_read(one, other, size, block):
    """Random data through one mapping, read through the other, in both directions."""
    for writer, reader in ((one, other), (other, one)):
        for offset, length in regions(size):
            data = os.urandom(length)
            try:
                with Direct(writer.path, os.O_WRONLY) as device:
                    device.write(data, offset, block)
                with Direct(reader.path, os.O_RDONLY) as device:
                    seen = device.read(length, offset)
            except OSError as error:
                raise Mismatch(
                    f"I/O error: {writer.target} wrote, {reader.target} read: {error}"
                ) from error
            if seen != data:
                at = next(i for i in range(length) if seen[i] != data[i])
                raise Mismatch(
                    f"{reader.target} does not read what {writer.target} wrote: "
                    f"first difference at byte {offset + at}"
                )
