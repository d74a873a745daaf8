# SPDX-License-Identifier: GPL-2.0
"""Whether something is in the machine's memory, of which this process holds no copy itself."""

import os
import struct

import kernel

_PATH = "/proc/kcore"
_CHUNK = 1 << 20
_HEADER, _SEGMENT = struct.Struct("<32xQ14xHH6x"), struct.Struct("<II6Q")
_LOAD = 1
_IMAGE = 0xffffffff80000000


class Secret:
    """Bytes that are computed one by one: no two of them lie side by side in this process."""

    def __init__(self, number, size):
        self.number, self.size = number, size

    def byte(self, at):
        z = (self.number * 1000 + at + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
        return (z ^ (z >> 27)) >> 40 & 255

    def digit(self, at):
        return b"0123456789abcdef"[self.byte(at // 2) >> (0 if at & 1 else 4) & 15]

    def digits(self):
        return (self.digit(at) for at in range(2 * self.size))


def _segments(file):
    """(offset, size) of what /proc/kcore has of the RAM: not vmalloc's space, nor the image's."""
    offset, size, count = _HEADER.unpack(os.pread(file, _HEADER.size, 0))
    ram = kernel.meminfo()["MemTotal"] << 10
    for number in range(count):
        kind, _, start, address, _, length, *_ = _SEGMENT.unpack(
            os.pread(file, size, offset + number * size)[:_SEGMENT.size])
        if kind == _LOAD and length < 2 * ram and address < _IMAGE:
            yield start, length


def _holds(chunk, get, start, length, first):
    """Is what get() computes in the chunk? Only its first bytes are there to search for."""
    at = chunk.find(first)
    while at >= 0:
        if at + length <= len(chunk) and all(chunk[at + n] == get(start + n)
                                             for n in range(length)):
            return True
        at = chunk.find(first, at + 1)
    return False


def find(getters, start=16, length=16):
    """Which of these functions' bytes start to start + length are in memory: a set of names.

    Six bytes are what this process holds side by side: too few to be taken for a copy.
    """
    found = set()
    firsts = {name: bytes(get(start + n) for n in range(6)) for name, get in getters.items()}
    file = os.open(_PATH, os.O_RDONLY)
    chunk = bytearray(_CHUNK)
    try:
        for offset, size in _segments(file):
            for at in range(0, size, _CHUNK):
                try:
                    got = os.preadv(file, [memoryview(chunk)[:min(_CHUNK, size - at)]], offset + at)
                except OSError:
                    continue
                chunk[got:] = bytes(_CHUNK - got)
                found |= {name for name, get in getters.items() if name not in found and
                          _holds(chunk, get, start, length, firsts[name])}
    finally:
        chunk[:] = bytes(_CHUNK)
        os.close(file)
    return found
