#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Zoned devices: zones as stock shows and runs them, writes in order, appends, what goes wrong."""

import binascii
import contextlib
import errno
import hashlib
import os
import re
import struct
import subprocess

import blockdev
import cases
import dm
import fio
import kernel
import layout
import tap

MIB = 1 << 20
ZONE = 4 * MIB
SECTOR = 512
ZONE_SECTORS = ZONE // SECTOR
KEY = cases.key(64)
BOTH = (dm.STOCK, dm.TARGET)
BLOB = os.urandom(ZONE)
# Zones of the disk before the mapping's first, and conventional ones of the mapping.
BEFORE, CONVENTIONAL, SEQUENTIAL = 1, 1, 10


def disk(**attributes):
    return blockdev.NullBlk((BEFORE + CONVENTIONAL + SEQUENTIAL) * ZONE // MIB, zoned=1,
                            zone_size=ZONE // MIB, zone_nr_conv=BEFORE + CONVENTIONAL, **attributes)


def encrypted(test, backing, target=dm.TARGET, options=(), cipher="aes-xts-plain64"):
    if "cryptd" in cipher:
        kernel.load_cryptd()
    start = BEFORE * ZONE_SECTORS
    line = cases.line(cipher, KEY, 0, backing.dev, start, options)
    return test.enter(dm.crypt(line, backing.sectors - start, target))


def zone(number):
    """Where a sequential zone of the mapping starts."""
    return (CONVENTIONAL + number) * ZONE


def blkzone(command, path, number=None, count=1):
    """One command of blkzone: its exit status and what it printed."""
    words = ["blkzone", command]
    if number is not None:
        words += ["-o", str(zone(number) // SECTOR), "-c", str(count)]
    run = subprocess.run([*words, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return run.returncode, run.stdout + run.stderr.replace(path, "DISK")


def attempt(function, *args):
    """0, or the errno with which a call fails."""
    try:
        function(*args)
    except OSError as error:
        return error.errno
    return 0


def settings(test, mapping):
    test.equal(blockdev.queue(mapping)["queue/zoned"], "host-managed", "model of the mapping")
    test.check("no_write_workqueue" in mapping.line(), f"printed options: {mapping.line()}")


@tap.test("zones change as through stock: written, opened, closed, finished, reset")
def test_zones(test):
    found = []
    for target in BOTH:
        backing = test.enter(disk())
        mapping = encrypted(test, backing, target)
        settings(test, mapping)
        seen = []

        def act(command, number, seen=seen, mapping=mapping, backing=backing):
            seen.append((command, number, blkzone(command, mapping.path, number),
                         blkzone("report", mapping.path), blkzone("report", backing.path)))
        blockdev.write(mapping.path, 0, BLOB[:65536])
        blockdev.write(mapping.path, zone(0), BLOB)
        blockdev.write(mapping.path, zone(1), BLOB[:4096])
        for command, number in (("open", 2), ("close", 1), ("open", 3), ("close", 3),
                                ("finish", 2), ("finish", 4), ("reset", 0), ("reset", 2),
                                ("open", 1)):
            act(command, number)
        blockdev.write(mapping.path, zone(1) + 4096, BLOB[4096:8192])
        act("report", 1)
        seen.append(blkzone("reset", mapping.path, -CONVENTIONAL))
        seen.append(blkzone("open", mapping.path, SEQUENTIAL))
        data = [blockdev.read(mapping.path, zone(number), ZONE) for number in range(3)]
        seen.append([hashlib.sha256(part).hexdigest() for part in data])
        # All of the mapping's zones; those of the disk before it are not its own.
        seen.append(blkzone("reset", mapping.path))
        seen.append((blkzone("report", mapping.path), blkzone("report", backing.path)))
        test.equal(len(blkzone("report", mapping.path)[1].splitlines()), CONVENTIONAL + SEQUENTIAL,
                   f"{target}: zones reported")
        dm.remove(mapping.name)
        found.append(seen)
    test.check(re.search(r"zcond:\s*4\(cl\)", str(found[0])), "a zone was closed")
    test.check(re.search(r"zcond:\s*3\(oe\)", str(found[0])), "a zone was open")
    test.check(re.search(r"zcond:\s*14\(fu\)", str(found[0])), "a zone was full")
    for mine, stock in zip(found[1], found[0]):
        test.equal(mine, stock, "one step")


@tap.test("zones are reported from any start")
def test_report(test):
    backing = test.enter(disk())
    mapping = encrypted(test, backing)
    stock = encrypted(test, backing, dm.STOCK)
    for number in range(SEQUENTIAL):
        for count in (1, 3, SEQUENTIAL):
            mine = blkzone("report", mapping.path, number, count)
            test.equal(mine, blkzone("report", stock.path, number, count), f"from {number}")
            test.equal(len(mine[1].splitlines()), min(count, SEQUENTIAL - number),
                       f"{count} zones from {number}")


@tap.each("writes that zones do not take fail as through stock, with {0}",
          ["aes-xts-plain64", cases.CRYPTD])
def test_misplaced(test, cipher):
    found = []
    for target in BOTH:
        backing = test.enter(disk(zone_capacity=3))
        mapping = encrypted(test, backing, target, cipher=cipher)
        seen = []
        # Each in a zone of its own, since a failed write may change what the kernel knows of it.
        for number, (before, offset, size) in enumerate((
                (0, 4096, 4096), (8192, 0, 4096), (8192, 4096, 4096), (8192, 12288, 4096),
                (3 * MIB, 3 * MIB, 4096), (3 * MIB - 4096, 3 * MIB - 4096, 8192),
                (3 * MIB, 0, 4096))):
            if before:
                blockdev.write(mapping.path, zone(number), BLOB[:before])
            seen.append((before, offset, size, attempt(blockdev.write, mapping.path,
                                                       zone(number) + offset, BLOB[:size])))
        # A report sets the kernel's idea of the zones right; they are then written on.
        seen.append(blkzone("report", mapping.path))
        seen.append([attempt(blockdev.write, mapping.path, zone(number) + before, BLOB[:4096])
                     for number, before in ((0, 0), (1, 8192), (3, 8192))])
        seen.append(blkzone("report", mapping.path))
        seen.append(hashlib.sha256(blockdev.read(mapping.path, zone(1), MIB)).hexdigest())
        dm.remove(mapping.name)
        found.append(seen)
    test.check(any(entry[3] for entry in found[0][:7]), "something failed")
    for mine, stock in zip(found[1], found[0]):
        test.equal(mine, stock, "one step")


@tap.each("fio fills zones, {1} deep in {2} jobs, with {0}; stock reads the same, and writes it",
          [("aes-xts-plain64", 1, 1), ("aes-xts-plain64", 16, 1), ("aes-xts-plain64", 4, 3),
           (cases.CRYPTD, 16, 1), (cases.CRYPTD, 4, 3)], sample=2)
def test_fio(test, cipher, depth, jobs):
    backing = test.enter(disk())
    # A request for each sector takes a slow kernel milliseconds.
    options = ("sector_size:4096",) if cipher == cases.CRYPTD and tap.SLOWNESS > 1 else ()
    mapping = encrypted(test, backing, options=options, cipher=cipher)
    size = 3 * ZONE
    for job in ({"rw": "write", "bs": "256k"}, {"rw": "randwrite", "bsrange": "4k-64k"}):
        fio.verify(test, mapping, zonemode="zbd", iodepth=depth, numjobs=jobs, offset=zone(0),
                   offset_increment=size, size=size if depth > 1 else ZONE, group_reporting=1,
                   **job)
        with_stock = encrypted(test, backing, dm.STOCK, options, cipher)
        for number in range(jobs * 3):
            test.check(blockdev.read(with_stock.path, zone(number), ZONE) ==
                       blockdev.read(mapping.path, zone(number), ZONE), f"zone {number} for stock")
        dm.remove(with_stock.name)
        blkzone("reset", mapping.path, 0, SEQUENTIAL)


@tap.test("the bytes on the disk are stock's")
def test_ciphertext(test):
    for options in ([], ["sector_size:4096", "iv_large_sectors"]):
        for cipher in ("aes-xts-plain64", "aes-cbc-essiv:sha256"):
            digests = []
            for target in BOTH:
                backing = test.enter(disk())
                start = BEFORE * ZONE_SECTORS
                key = cases.key(64 if "xts" in cipher else 32)
                line = cases.line(cipher, key, 8, backing.dev, start, options)
                with dm.crypt(line, backing.sectors - start, target) as mapping:
                    blockdev.write(mapping.path, MIB, BLOB[:MIB])
                    at = 0
                    for size in (4096, 65536, MIB, 2 * MIB):
                        blockdev.write(mapping.path, zone(2) + at, BLOB[at:at + size])
                        at += size
                    test.check(blockdev.read(mapping.path, zone(2), at) == BLOB[:at], "read back")
                whole = blockdev.read(backing.path, start * SECTOR, ZONE * 4)
                digests.append(hashlib.sha256(whole).hexdigest())
                test.check(BLOB[:4096] not in whole, f"{target}: no plain text on the disk")
            test.equal(digests[1], digests[0], f"{cipher} {options}")


@tap.each("a write is encrypted and submitted by who issued it, with {0}",
          ["aes-xts-plain64", cases.CRYPTD])
def test_inline(test, cipher):
    for target in BOTH:
        backing = test.enter(disk())
        mapping = encrypted(test, backing, target, cipher=cipher)
        with blockdev.Direct(mapping.path) as device, blockdev.BlockTrace(backing) as trace:
            for number in range(4):
                device.write(zone(number), BLOB[:65536])
            device.write(zone(0) + 65536, BLOB[65536:131072])
            bios, tasks = trace.bios(), trace.tasks()
        test.check(len(bios) >= 5 and all("W" in bio[0] for bio in bios), f"{target}: {bios}")
        test.equal(set(tasks), {os.getpid()}, f"{target}: tasks that submitted")
        dm.remove(mapping.name)


@tap.test("large bios are written to a zone whole, and read back")
def test_large(test):
    layout.require()
    found = []
    for target in BOTH:
        backing = test.enter(disk(max_sectors=4096))
        mapping = encrypted(test, backing, target)
        with blockdev.BlockTrace(backing) as trace:
            for number, segments in enumerate(("4096@0x256", "1048576@0x1", "1048576@0x3",
                                               "131072@0x3", "524288@0x8")):
                first = zone(number) // SECTOR
                for operation in ("write", "read"):
                    result = layout.submit(operation, mapping.path, first, number, segments)
                    test.check(not result.error and not result.problem,
                               f"{target}: {operation} of {segments}: {result}")
            found.append([bio for bio in trace.bios() if "W" in bio[0]])
        dm.remove(mapping.name)
    test.equal(found[1], found[0], "bios that reached the disk")


@tap.test("a mapping of conventional zones alone takes writes of any size")
def test_conventional(test):
    layout.require()
    backing = test.enter(disk())
    line = cases.line("aes-xts-plain64", KEY, 0, backing.dev, BEFORE * ZONE_SECTORS)
    mapping = test.enter(dm.crypt(line, CONVENTIONAL * ZONE_SECTORS))
    size = 3 * MIB
    # Stock is not asked to write it: with more than a bio of its own it fails, or stops the kernel.
    result = layout.submit("write", mapping.path, 0, 7, "1048576@0x3")
    test.check(not result.error, f"write of {size} bytes: {result}")
    wanted = layout.pattern(7, 0, size)
    test.check(blockdev.read(mapping.path, 0, size) == wanted, "read back")
    dm.remove(mapping.name)
    stock = test.enter(dm.crypt(line, CONVENTIONAL * ZONE_SECTORS, dm.STOCK))
    test.check(blockdev.read(stock.path, 0, size) == wanted, "stock reads it")


def append_at(test, mapping, first, at, seed, segments):
    """Append to the zone that begins at first: it goes to sector at. Where the next one goes."""
    result = layout.submit("append", mapping.path, first, seed, segments)
    test.require(not result.error, f"append of {segments}: {result}")
    test.equal(result.sector, at, f"where the append of {segments} went")
    wanted = layout.pattern(seed, first * SECTOR, result.bytes)
    test.check(blockdev.read(mapping.path, at * SECTOR, result.bytes) == wanted,
               f"what was appended as {segments}")
    return at + result.bytes // SECTOR


@tap.test("zone append: whole, however small writes are to be")
def test_append_whole(test):
    layout.require()
    backing = test.enter(disk(max_sectors=4096))
    mapping = encrypted(test, backing)
    first = at = zone(0) // SECTOR
    # Kernels before 6.10 make a failure of an append that is split, others a wrong place.
    with kernel.Parameter("max_write_size", 16384):
        for seed in range(2):
            at = append_at(test, mapping, first, at, seed, "65536@0x8")
        test.equal(at, first + 2 * 8 * 65536 // SECTOR, "what was appended in all")
        result = layout.submit("append", mapping.path, zone(1) // SECTOR, 2, "1048576@0x2")
        test.equal(result.error, errno.EIO, "append of more than can be taken whole")
        test.equal(blkzone("report", mapping.path, 1)[1].count("wptr 0x000000"), 1,
                   "zones that nothing was written to")


@tap.each("zone append: by bios, with {0}", ["aes-xts-plain64", cases.CRYPTD])
def test_append(test, cipher):
    layout.require()
    backing = test.enter(disk())
    mapping = encrypted(test, backing, cipher=cipher)
    first = at = zone(0) // SECTOR
    for seed, segments in enumerate(("4096@0", "4096@0x5", "512@512x8", "65536@0")):
        at = append_at(test, mapping, first, at, seed, segments)
    stock = encrypted(test, backing, dm.STOCK, cipher=cipher)
    size = (at - first) * SECTOR
    for_stock = blockdev.read(stock.path, zone(0), size)
    test.check(for_stock == blockdev.read(mapping.path, zone(0), size), "stock reads the same")


@tap.test("zone append: many at once fill a zone, each once")
def test_appends(test):
    layout.require()
    backing = test.enter(disk())
    mapping = encrypted(test, backing)
    first = zone(0) // SECTOR
    ended = []

    def append(writer):
        for number in range(16):
            seed = writer * 16 + number
            result = layout.submit("append", mapping.path, first, seed, "4096@0x4")
            test.check(not result.error, f"append {seed}: {result}")
            ended.append((result.sector, seed))
    test.threads([lambda n=n: append(n) for n in range(4)])
    test.equal(sorted(sector for sector, _ in ended), list(range(first, first + 64 * 32, 32)),
               "where they went")
    for sector, seed in ended:
        test.check(blockdev.read(mapping.path, sector * SECTOR, 16384) ==
                   layout.pattern(seed, first * SECTOR, 16384), f"append {seed}")


def format_zonefs(path):
    """What mkzonefs writes: a super block with its checksum, in the first zone."""
    block = bytearray(4096)
    struct.pack_into("<I4x64s16sQIII", block, 0, 0x5a4f4653, b"dcb", bytes(range(16)), 0, 0, 0,
                     0o640)
    # The kernel's crc32() without the final inversion that everybody else's has.
    struct.pack_into("<I", block, 4, binascii.crc32(bytes(block)) ^ 0xffffffff)
    blockdev.write(path, 0, bytes(block))


@contextlib.contextmanager
def zonefs(path, where="/tmp/dcb-zonefs"):
    """A mounted zonefs: the directory of the files that are sequential zones."""
    os.makedirs(where, exist_ok=True)
    subprocess.run(["mount", "-t", "zonefs", path, where], check=True)
    try:
        yield f"{where}/seq"
    finally:
        subprocess.run(["umount", where], check=True)


def append_file(path, data):
    # zonefs makes a synchronous write an append, on kernels before 6.6.
    with blockdev.Direct(path, os.O_WRONLY | os.O_DSYNC) as file:
        file.write(os.path.getsize(path), data)


@tap.test("zonefs: files written through one target, read through the other")
def test_zonefs(test):
    if kernel.modprobe("zonefs", check=False).returncode:
        raise tap.Skip("this kernel has no zonefs")
    backing = test.enter(disk())
    format_zonefs(backing.path)
    with zonefs(backing.path) as directory:
        if attempt(append_file, f"{directory}/0", BLOB[:65536]):
            raise tap.Skip("this kernel's zonefs fails to write even to the disk itself")
    for writer, reader in (BOTH, BOTH[::-1]):
        mapping = encrypted(test, backing, writer)
        blkzone("reset", mapping.path, 0, SEQUENTIAL)
        format_zonefs(mapping.path)
        with zonefs(mapping.path) as directory:
            test.equal(len(os.listdir(directory)), SEQUENTIAL, "files of sequential zones")
            for at in range(0, MIB, 65536):
                append_file(f"{directory}/1", BLOB[at:at + 65536])
        dm.remove(mapping.name)
        mapping = encrypted(test, backing, reader)
        with zonefs(mapping.path) as directory, open(f"{directory}/1", "rb") as file:
            test.check(file.read() == BLOB[:MIB], f"{reader} reads what {writer} wrote")
        dm.remove(mapping.name)


@tap.test("a zoned disk is refused where stock refuses it: a mapping of a part of a zone")
def test_refused(test):
    backing = test.enter(disk())
    log = test.enter(kernel.Log())
    for start, sectors in ((8, ZONE_SECTORS), (ZONE_SECTORS, ZONE_SECTORS + 8),
                           (ZONE_SECTORS, 8), (0, 3 * ZONE_SECTORS)):
        line = cases.line("aes-xts-plain64", KEY, 0, backing.dev, start)
        verdicts = [cases.judge(line, sectors, target, log) for target in BOTH]
        test.equal((verdicts[1].errno, verdicts[1].text), (verdicts[0].errno, verdicts[0].text),
                   f"{sectors} sectors at {start}")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    tap.main()
