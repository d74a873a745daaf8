# SPDX-License-Identifier: GPL-2.0
"""dm-integrity below a crypt mapping: a device that keeps a tuple beside each sector."""

import os
import struct

import blockdev
import dm

# struct superblock of drivers/md/dm-integrity.c: magic, version, log2 of the interleave, tag size,
# journal sections, and then the sectors that are left for data.
_SUPERBLOCK = struct.Struct("<8sBBHIQ")
_RESERVED = 8


class Integrity(dm.Mapping):
    """dm-integrity without a checksum of its own, so that the tuples are its user's."""

    def __init__(self, backing, tuple_size, sector_size):
        blockdev.write(backing.path, 0, b"\0" * 4096)
        line = f"{backing.dev} 0 {tuple_size} D 2 block_size:{sector_size} interleave_sectors:32768"
        # The first load formats the device, and only then is its size known.
        with dm.Mapping([(0, _RESERVED, "integrity", line)]):
            pass
        fields = _SUPERBLOCK.unpack_from(blockdev.read(backing.path, 0, 512))
        if fields[0] != b"integrt\0":
            raise RuntimeError(f"no superblock on {backing.path}")
        self.sectors = fields[5] & -8
        self.backing = backing
        super().__init__([(0, self.sectors, "integrity", line)])

    def whole(self):
        """Everything below that is the user's: the data and the tuples, not the superblock."""
        # Tuples stay in memory until a flush asks for them.
        with blockdev.Direct(self.path) as device:
            device.sync()
        return blockdev.read(self.backing.path, 4096, self.backing.bytes - 4096)

    def find(self, data):
        """Where on the device below these bytes of data lie."""
        at = self.whole().find(data)
        if at < 0:
            raise RuntimeError("the data is nowhere on the device below")
        return at + 4096


def damage(path, offset):
    """Flip a bit."""
    start = offset & -4096
    block = bytearray(blockdev.read(path, start, 4096))
    block[offset - start] ^= 1 << (os.urandom(1)[0] & 7)
    blockdev.write(path, start, bytes(block))
