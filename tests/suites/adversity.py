#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Devices that come and go, mappings taken away in use, and a machine without memory.

LONG=SECONDS	swap for so long
"""

import errno
import os
import subprocess
import sys
import threading
import time

import blockdev
import cases
import dm
import kernel
import tap
from load import Load

LONG = int(os.environ.get("LONG") or 0)
MIB = 1 << 20
KEY = cases.key(64)
# A disk of the harness, which takes no memory of the guest's.
DISK = "/dev/vda"


def switch(mapping, table):
    """Another table without a flush, which a device in trouble could not answer."""
    dm.load(mapping.name, table)
    dm.suspend(mapping.name, flush=False)
    dm.resume(mapping.name)


@tap.each("a device that comes and goes under load: {0}",
          ["default options", "bypass options", "cryptd"])
def test_comes_and_goes(test, which):
    backing = test.enter(blockdev.NullBlk(16))
    there = [(0, backing.sectors, "linear", f"{backing.dev} 0")]
    gone = [(0, backing.sectors, "error", "")]
    below = test.enter(dm.Mapping(there))
    cipher = "aes-xts-plain64"
    if which == "cryptd":
        kernel.load_cryptd()
        cipher = cases.CRYPTD
    options = cases.options(which)
    line = cases.line(cipher, KEY, 0, below.dev, 0, options)
    mapping = test.enter(dm.crypt(line, backing.sectors))
    with Load(test, mapping.path, tolerated=(errno.EIO,)) as load:
        for _ in range(6):
            load.progress()
            switch(below, gone)
            seen = sum(load.refused)
            test.check(tap.poll(lambda seen=seen: sum(load.refused) > seen), "errors come through")
            switch(below, there)
            dm.suspend(mapping.name, flush=False)
            dm.resume(mapping.name)
        load.progress()
    mapping.reload([(0, backing.sectors, dm.STOCK, line)])
    load.compare(mapping.path, "stock")


@tap.each("dmsetup remove --force under load, {0}", ["default options", "bypass options"])
def test_forced_removal(test, which):
    backing = test.enter(blockdev.NullBlk(4))
    options = cases.options(which)
    line = cases.line("aes-xts-plain64", KEY, 0, backing.dev, 0, options)
    for _ in range(3):
        mapping = test.enter(dm.crypt(line, backing.sectors))
        with Load(test, mapping.path, tolerated=(errno.EIO,)) as load:
            load.progress()
            # It is in use, and so what it does is to replace the table by one of errors.
            dm.dmsetup("remove", "--force", mapping.name)
            test.equal(dm.status(mapping.name)[0][2], "error", "the table in force")
        test.check(sum(load.refused), "errors came through")
        dm.remove(mapping.name)
    test.equal(kernel.users(kernel.MODULE), 0, "users of the module")


@tap.test("several targets in one table, on one device: the bytes are stock's")
def test_several_targets(test):
    backing = test.enter(blockdev.NullBlk(8))
    first = cases.line("aes-xts-plain64", KEY, 0, backing.dev)
    second = cases.line("aes-cbc-essiv:sha256", cases.key(32), 8, backing.dev, 8192)
    data = os.urandom(3 * MIB)
    images = []
    for target in (dm.STOCK, dm.TARGET):
        blockdev.write(backing.path, 0, bytes(8 * MIB))
        with dm.Mapping([(0, 1000, target, first), (1000, 24, "zero", ""),
                         (1024, 7000, target, second)]) as mapping:
            blockdev.write(mapping.path, 0, data)
            wanted = data[:1000 * 512] + bytes(24 * 512) + data[1024 * 512:]
            test.check(blockdev.read(mapping.path, 0, len(data)) == wanted, f"{target}: read back")
        images.append(blockdev.read(backing.path, 0, 8 * MIB))
    test.check(images[0] == images[1], "the same ciphertext")


def zero(path):
    """KiB that it takes, at most, to have the device zeroed."""
    free, over = kernel.free_kib(), threading.Event()
    lowest = [free]

    def watch():
        while not over.is_set():
            lowest.append(kernel.free_now_kib())
            time.sleep(0.02)
    watcher = threading.Thread(target=watch)
    watcher.start()
    subprocess.run(["blkdiscard", "-z", path], check=True)
    over.set()
    watcher.join()
    return free - min(lowest)


@tap.test("zeroing a device takes no more memory than writing to it may")
def test_zeroing(test):
    backing = test.enter(blockdev.NullBlk(128))
    line = cases.line("aes-xts-plain64", KEY, 0, backing.dev)
    mapping = test.enter(dm.crypt(line, backing.sectors))
    # The backing device allocates what is written to it for the first time.
    zero(mapping.path)
    taken = zero(mapping.path)
    tap.diag(f"{taken} KiB taken for 128 MiB of zeros")
    # What one mapping may take at least is 16 MiB, and there are bios.
    test.check(taken < 32 << 10, f"{taken} KiB taken")
    with dm.crypt(line, backing.sectors, dm.STOCK) as stock:
        test.check(not any(blockdev.read(stock.path, 64 * MIB, MIB)), "stock reads zeros")


@tap.each("zeroing a device many times larger than memory: {0}",
          ["default options", "bypass options"])
def test_zeroing_more_than_memory(test, which):
    # It takes what is written, and forgets it; so slowly that much would be under way.
    mib = kernel.meminfo()["MemTotal"] // 1024 * 4
    backing = test.enter(blockdev.NullBlk(mib, memory_backed=0, irqmode=2, hw_queue_depth=1024,
                                          completion_nsec=400_000_000))
    line = cases.line("cipher_null-ecb", "-", 0, backing.dev, 0, cases.options(which))
    taken = []
    for number, target in enumerate((dm.STOCK, dm.TARGET), 1):
        with dm.crypt(line, backing.sectors, target) as mapping:
            taken.append(zero(mapping.path))
        with open(f"{backing.sysfs}/stat") as file:
            test.equal(int(file.read().split()[6]), number * backing.sectors, "sectors written")
    tap.diag(f"{mib} MiB of zeros: {taken[0]} KiB taken by stock, {taken[1]} KiB by {dm.TARGET}")
    # By default all bios pile up, some six for a MiB, and as many for both; with this cipher each
    # has 1 KiB more of ours.
    more = (8 << 10) + (0 if cases.options(which) else 6 * mib)
    test.check(taken[1] < taken[0] + more, f"{taken[1]} KiB taken, stock takes {taken[0]}")


# Memory written and read back; the address is what is written. What is read in the order in which
# it was written is all swapped in, and something else out for it; what is read backwards is still
# in memory, but for what was too much.
SWAPPING = """
import mmap, sys
size, step = int(sys.argv[1]) << 10, int(sys.argv[2])
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, size, 4096):
    memory[at:at + 8] = at.to_bytes(8, "little")
sys.exit(any(int.from_bytes(memory[at:at + 8], "little") != at
             for at in range(0, size, 4096)[::step]))
"""


def swap_errors(log):
    return any("-error on swap-device" in text for text in log.read())


@tap.each("a mapping is the swap of a machine short of memory, {0}",
          ["default options", "bypass options"], timeout=600 + LONG)
def test_swap(test, which):
    options = cases.options(which)
    # More than there is, by a quarter of the memory where that does not take all day.
    memory = kernel.meminfo()
    excess = memory["MemTotal"] // 4 // tap.SLOWNESS
    size = (memory["MemAvailable"] + excess) & -4
    step = 1 if tap.SLOWNESS == 1 else -1
    line = cases.line("aes-xts-plain64", KEY, 0, DISK, 0, options)
    mapping = test.enter(dm.crypt(line, size * 2 & -8))
    subprocess.run(["mkswap", mapping.path], check=True, stdout=subprocess.PIPE)
    subprocess.run(["swapon", mapping.path], check=True)
    test.defer(subprocess.run, ["swapoff", mapping.path])
    log = test.enter(kernel.Log())
    end, rounds = time.monotonic() + LONG, 0
    while not rounds or time.monotonic() < end:
        with subprocess.Popen([sys.executable, "-c", SWAPPING, str(size), str(step)]) as process:
            # Whose page cannot be written keeps it, and tries again for ever.
            tap.poll(lambda: process.poll() is not None or swap_errors(log), 500, 0.2)
            process.kill()
        test.require(process.returncode == 0, "what was written is read")
        rounds += 1
    with open(f"{mapping.sysfs}/stat") as file:
        written = int(file.read().split()[6]) >> 1
    tap.diag(f"{written} KiB written to swap in {rounds} rounds")
    stats = dm.stats(mapping.name)
    tap.diag(stats)
    test.check(stats["from_reserve"] > 0, f"the page allocator had nothing left: {stats}")
    test.check(written > excess // 2, f"{written} KiB were swapped out")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    tap.main()
