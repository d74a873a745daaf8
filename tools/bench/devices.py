# SPDX-License-Identifier: GPL-2.0-only
"""The block device under both mappings.

Each class is a resource (see system.Resources) and has .path, .name and .kind (for reports), .size
in bytes, and .keeps_data.
"""

import glob
import mmap
import os
import time

from .system import BenchError, load_module, module_loaded, run, unload_module

MIB = 1 << 20
CONFIGFS = "/sys/kernel/config"


def device_size(path):
    with open(path, "rb") as device:
        return device.seek(0, os.SEEK_END)


def logical_block_size(path):
    return int(run(["blockdev", "--getss", path]).out)


def rotational(path):
    """Whether the kernel takes it for a disk that turns; a partition is as its disk."""
    sysfs = os.path.realpath(f"/sys/dev/block/{device_number(path)}")
    for node in (sysfs, os.path.dirname(sysfs)):
        if os.path.exists(f"{node}/queue/rotational"):
            return read_line(f"{node}/queue/rotational") == "1"
    return None


def read_line(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def write_text(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class NullBlock:
    """A null_blk device: discards what it gets, or keeps it in memory.

    Everything but the size stays at the driver's defaults. Made through configfs, so that a
    null_blk which is loaded already, with devices of its own, is not disturbed.
    """

    def __init__(self, size, memory_backed=False):
        self.keeps_data = memory_backed
        self.name = "RAM (null_blk)" if memory_backed else "null_blk"
        self.kind = "ram" if memory_backed else "null"
        self.size = size
        self.path = None
        self.unload = False
        self.directory = f"{CONFIGFS}/nullb/cbbench{os.getpid()}-{self.kind}"

    def open(self):
        try:
            self._open()
        except OSError as error:
            raise BenchError(f"cannot make a null_blk device: {error}") from error
        if self.keeps_data:
            fill(self.path, self.size)

    def _open(self):
        if not module_loaded("null_blk"):
            self.unload = True
            if not load_module("null_blk", "nr_devices=0"):
                raise BenchError("this kernel has no null_blk module")
        if not os.path.ismount(CONFIGFS):
            run(["mount", "-t", "configfs", "configfs", CONFIGFS])
        os.mkdir(self.directory)
        write_text(f"{self.directory}/size", str(self.size // MIB))
        write_text(f"{self.directory}/memory_backed", str(int(self.keeps_data)))
        write_text(f"{self.directory}/power", "1")
        # The disk has the directory's name; older kernels number them.
        number = read_line(f"{self.directory}/index")
        for name in (os.path.basename(self.directory), f"nullb{number}"):
            if os.path.isdir(f"/sys/block/{name}"):
                self.path = wait_for_node(f"/dev/{name}")
                return
        raise BenchError("null_blk made no disk")

    def close(self):
        if os.path.isdir(self.directory):
            try:
                write_text(f"{self.directory}/power", "0")
                os.rmdir(self.directory)
            except OSError as error:
                return [f"null_blk device {self.directory} stays: {error}"]
        return close_module("null_blk") if self.unload else []


class RamDisk:
    """The kernel's RAM disk (brd), whose module is loaded for this and removed again."""

    name = "RAM (brd)"
    kind = "ram"
    keeps_data = True
    path = "/dev/ram0"

    def __init__(self, size):
        self.size = size
        self.unload = False

    def open(self):
        self.unload = True
        if not load_module("brd", "rd_nr=1", f"rd_size={self.size // 1024}"):
            raise BenchError("cannot load the module brd")
        wait_for_node(self.path)
        fill(self.path, self.size)

    def close(self):
        return close_module("brd") if self.unload else []


def close_module(name):
    reason = unload_module(name) if module_loaded(name) else ""
    return [f"module {name} stays: {reason}"] if reason else []


def ram_device(size):
    """Something that open() makes a RAM device of that size, with all its memory in place."""
    with open("/proc/meminfo", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    available = int(fields["MemAvailable"].split()[0]) * 1024
    if size > available * 8 // 10:
        raise BenchError(
            f"--ram: {size // MIB} MiB wanted, but only {available // MIB} MiB of memory are free"
        )
    # A brd that is loaded makes no further disk, and its disks may be somebody's.
    if not module_loaded("brd") and load_module("brd", dry_run=True):
        return RamDisk(size)
    return NullBlock(size, memory_backed=True)


def fill(path, size):
    """Write all of it once: a RAM device takes its pages at the first write, which would
    otherwise be charged to whichever target happens to come first."""
    with mmap.mmap(-1, MIB) as zeroes:
        fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
        try:
            for _ in range(size // MIB):
                os.write(fd, zeroes)
        finally:
            os.close(fd)


class GivenDevice:
    """A device of the user's, taken only when nobody's data can be lost by it."""

    kind = "device"
    keeps_data = True

    def __init__(self, path, destroy_data):
        self.path = os.path.realpath(path)
        self.name = path
        self.destroy_data = destroy_data
        self.size = 0

    def open(self):
        if not is_block_device(self.path):
            raise BenchError(f"--device: {self.name} is not a block device")
        refuse_if_in_use(self.name, self.path)
        self.size = device_size(self.path) // MIB * MIB
        if self.size < 16 * MIB:
            raise BenchError(f"--device: {self.name} is smaller than 16 MiB")
        if not self.destroy_data:
            refuse_if_it_has_data(self.name, self.path, self.size)

    def close(self):
        return []


def is_block_device(path):
    try:
        return os.path.exists(f"/sys/dev/block/{device_number(path)}")
    except OSError:
        return False


def device_number(path):
    number = os.stat(path).st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def refuse_if_in_use(given, path):
    for backing in glob.glob("/sys/block/loop*/loop/backing_file"):
        if read_line(backing) == path:
            raise BenchError(f"--device: {given} is in use: by {backing.split('/')[3]}")
    sysfs = os.path.realpath(f"/sys/dev/block/{device_number(path)}")
    nodes = [sysfs, *(os.path.dirname(p) for p in glob.glob(f"{sysfs}/*/partition"))]
    for node in nodes:
        holders = os.listdir(f"{node}/holders")
        if holders:
            raise BenchError(f"--device: {given} is in use: held by {', '.join(holders)}")
        number = read_line(f"{node}/dev")
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                fields = line.split()
                if fields[2] == number:
                    raise BenchError(f"--device: {given} is in use: mounted on {fields[4]}")
        # Covers what the two above do not show: swap, file systems of several devices, ...
        try:
            name = os.path.basename(node).replace("!", "/")
            os.close(os.open(f"/dev/{name}", os.O_RDWR | os.O_EXCL))
        except OSError as error:
            raise BenchError(f"--device: cannot have {given} to itself: {error}") from error


def refuse_if_it_has_data(given, path, size):
    found = run(["wipefs", "--no-act", "--noheadings", "--output", "TYPE", path]).out.split()
    if found:
        raise BenchError(
            f"--device: {given} carries a signature ({', '.join(found)}); "
            "everything on it would be lost. If that is wanted: --destroy-data"
        )
    # Headerless encryption and raw data have no signature, but are not zeroes either.
    with open(path, "rb") as device:
        for offset in (0, size // 2, size - MIB):
            device.seek(offset)
            if device.read(MIB).strip(b"\0"):
                raise BenchError(
                    f"--device: {given} is not empty, though it carries no known signature; "
                    "everything on it would be lost. If that is wanted: --destroy-data"
                )


def wait_for_node(path):
    for _ in range(100):
        if os.path.exists(path):
            return path
        time.sleep(0.05)
    raise BenchError(f"{path} did not appear")
