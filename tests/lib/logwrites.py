# SPDX-License-Identifier: GPL-2.0
"""dm-log-writes: a device whose writes are kept in the order in which they would be on a disk.

What a disk has after a power cut is what was written before the last flush, and all writes with
FUA.  The log has exactly that in front of each of its flushes and FUA writes, and what completed
between them only with the flush that follows.
"""

import collections
import struct
import threading

import blockdev
import dm
import kernel

_SUPER = struct.Struct("<QQQI")
_MAGIC, _VERSION = 0x6a736677736872, 1
_ENTRY = struct.Struct("<QQQQ")
_FLUSH, _FUA, _DISCARD, _MARK = 1, 2, 4, 8

# data: what is written at byte offset; fua: with FUA; cut: the power may fail after it; mark: a
# text, or None.
Entry = collections.namedtuple("Entry", "offset data fua cut mark")


class LogWrites(dm.Mapping):
    """A device that logs what is written to it on another one.

    A flush takes with it what was written before, whoever wrote that, and all of it is logged when
    that flush ends.  A second flush may end earlier, and a mark after that one would stand in front
    of writes that are safe: whoever flushes, or writes with FUA, and marks that holds order.
    """

    def __init__(self, device, log):
        kernel.modprobe("dm-log-writes")
        super().__init__([(0, device.sectors, "log-writes", f"{device.dev} {log.dev}")])
        self.order = threading.Lock()

    def mark(self, text):
        """A word that says how far things are."""
        dm.message(self.name, f"mark {text}")


def entries(log):
    """All of a log, of which the mapping is gone."""
    with blockdev.Direct(log.path) as device:
        magic, version, count, size = _SUPER.unpack_from(device.read(0, 4096))
        if (magic, version) != (_MAGIC, _VERSION):
            raise RuntimeError("no log of dm-log-writes")
        at = size
        for _ in range(count):
            head = device.read(at, size)
            sector, sectors, flags, length = _ENTRY.unpack_from(head)
            at += size
            data, mark = b"", None
            if flags & _MARK:
                mark = head[_ENTRY.size:_ENTRY.size + length].rstrip(b"\0").decode()
            elif not flags & _DISCARD and sectors:
                data = device.read(at, sectors * size)
                at += sectors * size
            # The target's own, when it goes.
            if mark == "dm-log-writes-end":
                continue
            yield Entry(sector * size, data, bool(flags & _FUA), bool(flags & (_FLUSH | _FUA)),
                        mark)
