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
    return disks.new("sd", "scsi_debug", "dev_size_mb=16", "sector_size=512", "delay=0")


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
        kernel.write_text(f"{disk.sysfs}/device/delete", 1)
        test.check(tap.poll(lambda: all(load.refused)), f"errors come through: {load.refused}")
        # Each thread goes on getting errors: none of them waits for a disk that is not there.
        before = list(load.refused)
        test.check(tap.poll(lambda: all(now > old for now, old in zip(load.refused, before))),
                   "nobody waits for ever")
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


if __name__ == "__main__":
    kernel.load_targets()
    kernel.load_cryptd()
    kernel.hurry_rcu()
    tap.main()
