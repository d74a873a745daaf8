# SPDX-License-Identifier: GPL-2.0
"""RAM-backed block devices and direct I/O on them."""

import fcntl
import itertools
import mmap
import os
import struct
import subprocess
import threading

import kernel
import tap

_BLKGETSIZE64 = 0x80081272
_BLKDISCARD = 0x1277
_CONFIGFS = "/sys/kernel/config"

_numbers = itertools.count()
_local = threading.local()


class NullBlk:
    """A null_blk that keeps its data, with the attributes that its configfs directory has.

    Requests end in the submitter's context with irqmode 0, in softirq context with 1, and in a
    hard interrupt with 2.
    """

    def __init__(self, mib, **attributes):
        self.bytes = mib << 20
        self.sectors = self.bytes >> 9
        if not kernel.loaded("null_blk"):
            kernel.modprobe("null_blk", "nr_devices=0")
        if not os.path.isdir(f"{_CONFIGFS}/nullb"):
            subprocess.run(["mount", "-t", "configfs", "configfs", _CONFIGFS], check=True)
        name = f"dcbnull{next(_numbers)}"
        self.directory = f"{_CONFIGFS}/nullb/{name}"
        os.mkdir(self.directory)
        if attributes.get("irqmode") == 1:
            # Where there is more than one queue, and polled ones count, there is no softirq.
            attributes["poll_queues"] = 0
        settings = {"size": mib, "memory_backed": 1, "queue_mode": 2, "irqmode": 0,
                    "hw_queue_depth": 128, "blocksize": 512, **attributes, "power": 1}
        try:
            for key, value in settings.items():
                self._set(key, value)
        except OSError:
            os.rmdir(self.directory)
            raise
        # Kernels name the disk after the directory, or after the index.
        for disk in (name, f"nullb{self._get('index')}"):
            if os.path.exists(f"/sys/block/{disk}"):
                self.path, self.sysfs = f"/dev/{disk}", f"/sys/block/{disk}"
                break
        else:
            raise RuntimeError(f"no disk for {self.directory}")
        self.dev = read_text(f"{self.sysfs}/dev")

    def _set(self, key, value):
        kernel.write_text(f"{self.directory}/{key}", value)

    def _get(self, key):
        return read_text(f"{self.directory}/{key}")

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self._set("power", 0)
        os.rmdir(self.directory)


def cached(mib):
    """A null_blk with a cache that can be flushed, and with FUA."""
    try:
        return NullBlk(mib, cache_size=4, fua=1)
    except OSError:
        # Where there is no such attribute, a cache alone gives it FUA.
        return NullBlk(mib, cache_size=4)


class SparseLoop:
    """A loop device on a sparse tmpfs file: terabytes of sectors, memory for those written."""

    def __init__(self, size, directory="/tmp/dcb-sparse"):
        self.bytes = size
        self.sectors = size >> 9
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
        self.file = f"{directory}/{next(_numbers)}"
        with open(self.file, "wb") as file:
            file.truncate(size)
        kernel.modprobe("loop")
        self.path = subprocess.run(["losetup", "--find", "--show", self.file], check=True,
                                   stdout=subprocess.PIPE, text=True).stdout.strip()
        self.sysfs = f"/sys/block/{os.path.basename(self.path)}"
        self.dev = read_text(f"{self.sysfs}/dev")

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        subprocess.run(["losetup", "-d", self.path], check=True)
        # The loop driver lets go of the file a little after the ioctl returns.
        unmount = ["umount", self.directory]
        tap.poll(lambda: subprocess.run(unmount, stderr=subprocess.DEVNULL).returncode == 0)


def read_text(path):
    with open(path) as file:
        return file.read().strip()


def queue(device):
    """Everything that sysfs says of a device's queue: file name to content, or to an errno."""
    found = {}
    for directory, _, files in os.walk(f"{device.sysfs}/queue"):
        for name in files:
            path = os.path.join(directory, name)
            try:
                found[os.path.relpath(path, device.sysfs)] = read_text(path)
            except OSError as error:
                found[os.path.relpath(path, device.sysfs)] = error.errno
    return found


def _buffer(size):
    """This thread's page-aligned buffer, as O_DIRECT wants it."""
    held = getattr(_local, "buffer", None)
    if held is None or len(held) < size:
        held = _local.buffer = mmap.mmap(-1, max(size, 1 << 20))
    return held


class Direct:
    """A device opened with O_DIRECT."""

    def __init__(self, path, flags=os.O_RDWR):
        self.file = os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC)

    def read(self, offset, size):
        with memoryview(_buffer(size)) as whole, whole[:size] as view:
            done = os.preadv(self.file, [view], offset)
            if done != size:
                raise OSError(f"short read: {done} of {size} at {offset}")
            return bytes(view)

    def write(self, offset, data, flags=0):
        size = len(data)
        with memoryview(_buffer(size)) as whole, whole[:size] as view:
            view[:] = data
            done = os.pwritev(self.file, [view], offset, flags)
            if done != size:
                raise OSError(f"short write: {done} of {size} at {offset}")

    def sync(self):
        os.fsync(self.file)

    def discard(self, offset, size):
        fcntl.ioctl(self.file, _BLKDISCARD, struct.pack("=QQ", offset, size))

    def size(self):
        return struct.unpack("=Q", fcntl.ioctl(self.file, _BLKGETSIZE64, b"\0" * 8))[0]

    def close(self):
        if self.file is not None:
            os.close(self.file)
            self.file = None

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


def read(path, offset, size):
    with Direct(path, os.O_RDONLY) as device:
        return device.read(offset, size)


def write(path, offset, data, flags=0):
    with Direct(path) as device:
        device.write(offset, data, flags)


def direct_opener(path, flags):
    return os.open(path, flags | os.O_DIRECT)


class HugeBuffer:
    """Memory of huge pages: physically contiguous, so that a bio needs few segments."""

    COUNT = "/proc/sys/vm/nr_hugepages"

    def __init__(self, size):
        pages = -(-size // (2 << 20))
        kernel.settle()
        kernel.write_text(self.COUNT, pages)
        if int(read_text(self.COUNT)) < pages:
            raise RuntimeError("no huge pages to be had")
        map_hugetlb = 0x40000
        self._map = mmap.mmap(-1, pages << 21,
                              flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | map_hugetlb)
        self.view = memoryview(self._map)[:size]

    def fill(self, data):
        self.view[:] = data

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.view.release()
        self._map.close()
        kernel.write_text(self.COUNT, 0)


class BlockTrace:
    """The bios that reach one device, by the block:block_bio_queue trace event."""

    ROOT = "/sys/kernel/tracing"

    def __init__(self, device):
        if not os.path.exists(f"{self.ROOT}/trace"):
            subprocess.run(["mount", "-t", "tracefs", "tracefs", self.ROOT], check=True)
        major, minor = device.dev.split(":")
        self.event = f"{self.ROOT}/events/block/block_bio_queue"
        # The kernel's own dev_t: 12 bits and 20 bits.
        kernel.write_text(f"{self.event}/filter", f"dev == {int(major) << 20 | int(minor)}")

    def __enter__(self):
        # In the order in which it happened, whatever the clocks of several CPUs say.
        kernel.write_text(f"{self.ROOT}/trace_clock", "counter")
        kernel.write_text(f"{self.ROOT}/trace", "")
        kernel.write_text(f"{self.event}/enable", "1")
        return self

    def bios(self):
        """(flags, first sector, sectors) of each bio so far; flags as blktrace writes them."""
        found = []
        with open(f"{self.ROOT}/trace") as file:
            for line in file:
                if "block_bio_queue:" not in line:
                    continue
                # ... block_bio_queue: 252,0 WS 16 + 8 [python3]
                words = line.split("block_bio_queue:")[1].split()
                found.append((words[1], int(words[2]), int(words[4])))
        return found

    def tasks(self):
        """The task, by its number, that submitted each bio."""
        with open(f"{self.ROOT}/trace") as file:
            # "         python3-251     [001] ..... 8.1: block_bio_queue: ..."
            return [int(line.split(" [")[0].rsplit("-", 1)[1]) for line in file
                    if "block_bio_queue:" in line]

    def __exit__(self, *_exc):
        kernel.write_text(f"{self.event}/enable", "0")
        kernel.write_text(f"{self.event}/filter", "0")
