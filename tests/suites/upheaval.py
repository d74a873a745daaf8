#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Mappings that change or lose their disk, under load that looks at what it reads.

LONG=SECONDS	go on for so long with what changes under load
"""

import errno
import os
import time

import blockdev
import cases
import disks
import dm
import fio
import kernel
import tap
from load import Load

LONG = int(os.environ.get("LONG") or 0)
MIB = 1 << 20
KEY = cases.key(64)
WAYS = {"default options": ("aes-xts-plain64", ()),
        "bypass options": ("aes-xts-plain64", cases.BYPASS),
        "asynchronous": (cases.CRYPTD, ())}


def line(way, device, offset=0):
    cipher, options = WAYS[way]
    return cases.line(cipher, KEY, 0, device.dev, offset, options)


def rounds(count):
    """So many rounds, or rounds for as long as LONG says."""
    end = time.monotonic() + LONG
    number = 0
    while number < count or time.monotonic() < end:
        yield number
        number += 1


def scsi_disk():
    kernel.modprobe("sd_mod")
    # So slow that there always is something under way.
    return disks.new("sd", "scsi_debug", "dev_size_mb=16", "sector_size=512", "ndelay=2000000")


def in_flight(disk):
    return sum(int(count) for count in blockdev.read_text(f"{disk.sysfs}/inflight").split())


def held_pages(name):
    """Pages that the mapping holds beyond what it keeps in reserve and for later."""
    now = dm.stats(name)
    return now["pages_held"] - now["pages_idle"] - now["pages_reserve"]


@tap.each("the disk vanishes in mid-write: {0}", list(WAYS))
def test_vanish(test, way):
    disk = test.enter(scsi_disk())
    mapping = test.enter(dm.crypt(line(way, disk), disk.sectors))
    with Load(test, mapping.path, count=8, tolerated=(errno.EIO, errno.ENODEV)) as load:
        load.progress(3)
        test.check(tap.poll(lambda: in_flight(disk)), "something is under way")
        kernel.write_text(f"{disk.sysfs}/device/delete", 1)
        test.check(tap.poll(lambda: all(load.refused)), f"errors come through: {load.refused}")
        # Each thread goes on getting errors: none of them waits for a disk that is not there, nor
        # is told that a write has reached it.
        before, written = list(load.refused), list(load.written)
        test.check(tap.poll(lambda: all(now > old for now, old in zip(load.refused, before))),
                   "nobody waits for ever")
        test.check(load.written == written, f"no write succeeds: {written} {load.written}")
    test.check(tap.poll(lambda: held_pages(mapping.name) == 0),
               f"{held_pages(mapping.name)} pages are held when all is over")
    dm.remove(mapping.name)


@tap.each("the mapping grows and shrinks under load: {0}", list(WAYS), timeout=LONG + tap.LIMIT)
def test_resize(test, way):
    backing = test.enter(blockdev.NullBlk(16))
    small, large = 8 << 11, 16 << 11
    mapping = test.enter(dm.crypt(line(way, backing), small))
    tail = os.urandom(MIB)
    with Load(test, mapping.path) as load:
        for _ in rounds(4):
            load.progress()
            mapping.reload([(0, large, dm.TARGET, line(way, backing))])
            with blockdev.Direct(mapping.path) as device:
                test.equal(device.size(), large << 9, "bytes when grown")
                device.write(15 * MIB, tail)
            load.progress()
            mapping.reload([(0, small, dm.TARGET, line(way, backing))])
            with blockdev.Direct(mapping.path) as device:
                test.equal(device.size(), small << 9, "bytes when small")
                test.raises(OSError, errno.ENOSPC, device.write, 15 * MIB, tail[:4096])
    mapping.reload([(0, large, dm.STOCK, line(way, backing))])
    load.compare(mapping.path, "stock")
    test.check(blockdev.read(mapping.path, 15 * MIB, MIB) == tail, "stock reads the last of it")


@tap.each("the mapping goes to stock and back under load: {0}", list(WAYS),
          timeout=LONG + tap.LIMIT)
def test_move(test, way):
    backing = test.enter(blockdev.NullBlk(8))
    mapping = test.enter(dm.crypt(line(way, backing), backing.sectors))
    with Load(test, mapping.path) as load:
        for number in rounds(8):
            load.progress()
            target = dm.TARGET if number % 2 else dm.STOCK
            mapping.reload([(0, backing.sectors, target, line(way, backing))])
            test.equal(dm.status(mapping.name)[0][2], target, "the target in force")
        load.progress()
    for target in (dm.STOCK, dm.TARGET):
        mapping.reload([(0, backing.sectors, target, line(way, backing))])
        load.compare(mapping.path, target)


# What dm-flakey does of a disk that has its bad seconds: features, errors that may be seen, and
# whether writes are lost without any.
BAD_SECONDS = {"fails": ("", (errno.EIO,), False),
               "fails to write": ("1 error_writes", (errno.EIO,), False),
               "forgets what is written": ("1 drop_writes", (), True)}


@tap.each("a disk that {0} every other second, under load: {1}",
          [(what, way) for what in BAD_SECONDS for way in WAYS], sample=3)
def test_bad_seconds(test, what, way):
    features, tolerated, lossy = BAD_SECONDS[what]
    kernel.modprobe("dm-flakey")
    backing = test.enter(blockdev.NullBlk(8))
    below = test.enter(dm.Mapping([(0, backing.sectors, "linear", f"{backing.dev} 0")]))
    mapping = test.enter(dm.crypt(line(way, below), backing.sectors))
    with Load(test, mapping.path, tolerated=tolerated, lossy=lossy) as load:
        below.reload([(0, backing.sectors, "flakey", f"{backing.dev} 0 1 1 {features}".rstrip())])
        seen = load.older if lossy else load.refused
        for _ in rounds(3):
            load.progress()
            before = sum(seen)
            test.check(tap.poll(lambda before=before: sum(seen) > before), f"it {what}")
        below.reload([(0, backing.sectors, "linear", f"{backing.dev} 0")])
        load.progress()
    tap.diag(f"{sum(load.rounds)} rounds, {sum(load.refused)} errors, {sum(load.older)} blocks "
             "older than what was written last")
    stock = test.enter(dm.crypt(line(way, below), backing.sectors, dm.STOCK))
    load.compare(stock.path, "stock")


@tap.each("fio verifies one half of a disk, whose other half is bad and in use: {0}", list(WAYS))
def test_bad_half(test, way):
    backing = test.enter(blockdev.NullBlk(16))
    half = backing.sectors // 2
    below = test.enter(dm.Mapping([(0, half, "linear", f"{backing.dev} 0"),
                                   (half, half, "error", "")]))
    mapping = test.enter(dm.crypt(line(way, below), backing.sectors))
    with Load(test, mapping.path, start=half << 9, tolerated=(errno.EIO,)) as load:
        fio.verify(test, mapping, rw="randrw", bsrange="4k-512k", blockalign=4096, iodepth=16,
                   size="8m")
        test.check(all(load.refused), f"errors come through: {load.refused}")
    test.equal(sum(load.written), 0, "writes to the bad half that succeeded")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.load_cryptd()
    kernel.hurry_rcu()
    tap.main()
