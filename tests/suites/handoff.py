#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Who does the work of a bio where no option says so, and that data and order are right then."""

import os

import blockdev
import cases
import dm
import fio
import kernel
import tap

MIB = 1 << 20
KEY = cases.key(64)
BLOB = os.urandom(2 * MIB)
CPUS = os.cpu_count()
DISK = "/dev/vda"
NULL = "cipher_null-ecb"
OPTIONS = ["same_cpu_crypt", "submit_from_crypt_cpus", "no_read_workqueue", "no_write_workqueue"]
# What the module is written by: sizes that several CPUs share, what a queue costs, and how much
# may be decrypted where it completes.
SHARED, HANDOFF_NS, COMPLETION = 65536, 15000, 131072


def encrypted(test, backing, options=(), cipher="aes-xts-plain64"):
    key = "-" if cipher == NULL else KEY
    line = cases.line(cipher, key, 0, backing.dev, 0, options)
    return test.enter(dm.crypt(line, backing.sectors))


def adapts(mapping):
    return dm.stats(mapping.name)["adaptive"] == 1


def printed_options(mapping):
    return mapping.line().split()[6:]


class Counted:
    """How many bios were done where during a with statement."""

    NAMES = ("writes_inline", "writes_queued", "reads_inline", "reads_queued")

    def __init__(self, mapping):
        self.mapping = mapping

    def _now(self):
        stats = dm.stats(self.mapping.name)
        return [stats[name] for name in self.NAMES]

    def __enter__(self):
        self.before = self._now()
        return self

    def __exit__(self, *_exc):
        self.writes = tuple(now - was for now, was in zip(self._now()[:2], self.before[:2]))
        self.reads = tuple(now - was for now, was in zip(self._now()[2:], self.before[2:]))


def count(mapping, size, times=8):
    """Write and read so often; how many were done at once and how many queued."""
    with Counted(mapping) as counted, blockdev.Direct(mapping.path) as device:
        for number in range(times):
            device.write(number * size, BLOB[:size])
        for number in range(times):
            if device.read(number * size, size) != BLOB[:size]:
                raise AssertionError(f"{size} bytes: read what was not written")
    return counted


def queued(mapping, size, cpus):
    """Is a request of this size handed off, as it is described?"""
    sample = dm.stats(mapping.name)["cipher_ns_per_4k"]
    return cpus > 1 and (size >= SHARED or sample * size // 4096 > HANDOFF_NS)


def check_sizes(test, mapping, cpus):
    for size in (512, 4096, 16384, 65536, 131072):
        counted = count(mapping, size)
        wanted = (0, 8) if queued(mapping, size, cpus) else (8, 0)
        test.equal(counted.writes, wanted, f"{size} bytes on {cpus} CPUs: writes here, queued")
        # A read that completes in a softirq may come when its time there is used up.
        if wanted == (0, 8):
            test.equal(counted.reads, wanted, f"{size} bytes on {cpus} CPUs: reads here, queued")
        else:
            test.equal(sum(counted.reads), 8, f"{size} bytes on {cpus} CPUs: reads")
            test.check(counted.reads[0] > 0, f"{size} bytes: no read was decrypted at once")


def nonrotational(test, mib=16, **attributes):
    backing = test.enter(blockdev.NullBlk(mib, **attributes))
    kernel.write_text(f"{backing.sysfs}/queue/rotational", 0)
    return backing


@tap.each("small requests are served at once, large ones by all CPUs: {0}",
          [NULL, "aes-xts-plain64"])
def test_sizes(test, cipher):
    mapping = encrypted(test, nonrotational(test), cipher=cipher)
    tap.diag(dm.stats(mapping.name))
    test.check(adapts(mapping), "it adapts")
    test.equal(printed_options(mapping), [], "options printed")
    check_sizes(test, mapping, CPUS)


@tap.test("4 KiB with a fast cipher are never handed off")
def test_small(test):
    backing = nonrotational(test)
    # What a mapping measures at its start: a slow kernel is not always fast enough.
    for _ in range(8):
        mapping = encrypted(test, backing, ["sector_size:4096"], NULL)
        sample = dm.stats(mapping.name)["cipher_ns_per_4k"]
        if 0 < sample < HANDOFF_NS:
            break
    test.require(0 < sample < HANDOFF_NS, f"the cipher takes {sample} ns")
    test.equal(count(mapping, 4096, 64).writes, (64, 0), "writes here, queued")
    if CPUS > 1:
        test.equal(count(mapping, 131072).writes, (0, 8), "writes of 128 KiB here, queued")


@tap.test("one CPU has nobody to hand off to")
def test_one_cpu(test):
    switch = f"/sys/devices/system/cpu/cpu{CPUS - 1}/online"
    if CPUS != 2 or not os.path.exists(switch):
        raise tap.Skip("no second CPU that can be switched off")
    mapping = encrypted(test, nonrotational(test))
    test.defer(kernel.write_text, switch, 1)
    kernel.write_text(switch, 0)
    check_sizes(test, mapping, 1)
    # Long stretches of work do not belong where a read completes, whatever else there is.
    counted = count(mapping, 2 * COMPLETION, 4)
    test.equal(counted.writes[1], 0, "writes queued")
    kernel.write_text(switch, 1)
    check_sizes(test, mapping, 2)


@tap.test("a device that rotates, or has zones, or a driver of its own: as dm-crypt")
def test_stock(test):
    rotating = test.enter(blockdev.NullBlk(16))
    kernel.write_text(f"{rotating.sysfs}/queue/rotational", 1)
    mapping = encrypted(test, rotating)
    test.check(not adapts(mapping), "it does not adapt to a disk that rotates")
    counted = count(mapping, 4096)
    test.equal((counted.writes, counted.reads), ((0, 8), (0, 8)), "here, queued")

    kernel.load_cryptd()
    later = encrypted(test, nonrotational(test),
                      cipher=cases.CRYPTD)
    test.check(not adapts(later), "it does not adapt to an asynchronous driver")
    counted = count(later, 4096)
    test.equal((counted.writes, counted.reads), ((0, 8), (0, 8)), "here, queued")

    try:
        zoned = test.enter(blockdev.NullBlk(16, zoned=1, zone_size=4, zone_nr_conv=2))
    except OSError:
        return
    mapping = encrypted(test, zoned)
    test.check(not adapts(mapping), "it does not adapt to zones")
    counted = count(mapping, 4096)
    test.equal((counted.writes, counted.reads), ((8, 0), (0, 8)), "zones: here, queued")


@tap.each("{0} in the table line decides by itself", OPTIONS)
def test_option(test, option):
    mapping = encrypted(test, nonrotational(test), [option], NULL)
    test.check(not adapts(mapping), "it does not adapt")
    test.equal(dm.stats(mapping.name)["cipher_ns_per_4k"], 0, "the cipher was not measured")
    for size in (4096, 131072):
        counted = count(mapping, size)
        test.equal(counted.writes, (8, 0) if option == "no_write_workqueue" else (0, 8),
                   f"{size} bytes: writes here, queued")
        test.equal(counted.reads, (8, 0) if option == "no_read_workqueue" else (0, 8),
                   f"{size} bytes: reads here, queued")
    test.equal(printed_options(mapping), [option], "options printed")


@tap.test("adaptive=N is dm-crypt's way, also for mappings in use")
def test_parameter(test):
    mapping = encrypted(test, nonrotational(test), ["sector_size:4096"], NULL)
    test.equal(count(mapping, 4096).writes, (8, 0), "writes here, queued")
    with kernel.Parameter("adaptive", "N"):
        test.check(not adapts(mapping), "it does not adapt")
        counted = count(mapping, 4096)
        test.equal((counted.writes, counted.reads), ((0, 8), (0, 8)), "here, queued")
        made = encrypted(test, nonrotational(test), ["sector_size:4096"], NULL)
        test.equal(count(made, 4096).writes, (0, 8), "one made now: writes here, queued")
    for one in (mapping, made):
        test.check(adapts(one), "it adapts again")
        test.equal(count(one, 4096).writes, (8, 0), "writes here, queued")


@tap.test("a change of adaptive under load loses nothing")
def test_parameter_load(test):
    mapping = encrypted(test, nonrotational(test, 16, irqmode=1))
    values = iter("NYNYNYNY" * 1000)

    def switch():
        for _ in range(100):
            kernel.parameter("adaptive", next(values))
            tap.poll(lambda: False, timeout=0.01)
    test.defer(kernel.parameter, "adaptive", "Y")
    test.threads([switch, lambda: fio.verify(test, mapping, rw="randwrite", bsrange="512-256k",
                                             blockalign=512, iodepth=64, size="8m")])


def cached(test):
    """A device with a cache, to which flushes and FUA mean something."""
    try:
        backing = test.enter(blockdev.NullBlk(16, cache_size=4, fua=1))
    except OSError:
        backing = test.enter(blockdev.NullBlk(16, cache_size=4))
    kernel.write_text(f"{backing.sysfs}/queue/rotational", 0)
    return backing


@tap.test("a flush comes after the writes that it covers, and FUA stays")
def test_flush(test):
    backing = cached(test)
    mapping = encrypted(test, backing)
    test.check(adapts(mapping), "it adapts")
    sizes = (4096, 131072, 512, 65536)
    # One trace for all: an emulated CPU does not bear it well to have its kernel patched often.
    with Counted(mapping) as counted, blockdev.Direct(mapping.path) as device, \
            blockdev.BlockTrace(backing) as trace:
        for number in range(12):
            before = len(trace.bios())
            # Some are done at once, others queued.
            for at, size in enumerate(sizes):
                device.write(at * MIB, BLOB[number * 512:][:size])
            device.sync()
            bios = [rwbs for rwbs, _, _ in trace.bios()[before:]]
            flushes = [at for at, rwbs in enumerate(bios) if rwbs.startswith("F")]
            writes = [at for at, rwbs in enumerate(bios) if rwbs.startswith("W")]
            test.check(flushes and len(writes) >= len(sizes) and max(writes) < max(flushes),
                       f"the device saw {bios}")
            for size in (4096, 131072):
                before = len(trace.bios())
                device.write(0, BLOB[:size], os.RWF_DSYNC)
                bios = [rwbs for rwbs, _, _ in trace.bios()[before:]]
                test.equal(any("WF" in rwbs for rwbs in bios),
                           blockdev.read_text(f"{mapping.sysfs}/queue/fua") == "1",
                           f"{size}, FUA as the mapping advertises it: {bios}")
    if CPUS > 1:
        test.check(counted.writes[1], f"some writes were queued: {counted.writes}")
    fio.verify(test, mapping, rw="randwrite", bsrange="4k-128k", blockalign=4096, iodepth=64,
               size="8m", fsync=4)


@tap.each("fio --verify at depth 64, default options, {0}",
          [("completed by the submitter", 0), ("completed in softirq", 1),
           ("completed in hard interrupts", 2)])
def test_verify(test, _name, irqmode):
    attributes = {"completion_nsec": 20000} if irqmode == 2 else {}
    backing = nonrotational(test, 16, irqmode=irqmode, **attributes)
    softirqs = kernel.block_softirqs()
    switch = f"/sys/devices/system/cpu/cpu{CPUS - 1}/online"
    # An emulated CPU is so slow a cipher that two of them hand all of it off, and one nothing.
    for cipher, cpus in (("aes-xts-plain64", CPUS), (NULL, CPUS), ("aes-xts-plain64", 1)):
        if cpus < CPUS:
            if CPUS > 2 or not os.path.exists(switch):
                continue
            test.defer(kernel.write_text, switch, 1)
            kernel.write_text(switch, 0)
        mapping = encrypted(test, backing, ["sector_size:4096"] if cipher == NULL else [], cipher)
        test.check(adapts(mapping), "it adapts")
        fio.verify(test, mapping, rw="randwrite", bsrange="4k-256k", blockalign=4096, iodepth=64,
                   size="5m")
        fio.verify(test, mapping, rw="randrw", bs="4k", iodepth=64, size="1m", offset="8m")
        stats = dm.stats(mapping.name)
        tap.diag({name: stats[name] for name in Counted.NAMES})
        if cipher == NULL or cpus == 1:
            test.check(stats["writes_inline"] and stats["reads_inline"], f"some inline: {stats}")
        else:
            test.check(stats["writes_queued"] and stats["reads_queued"], f"some queued: {stats}")
        dm.remove(mapping.name)
    if irqmode == 1:
        test.check(kernel.block_softirqs() > softirqs + 64, "requests ended in softirq context")


class Disk:
    """The harness's disk, which completes in its device's hard interrupt."""

    def __init__(self, path):
        self.path = path
        self.sysfs = f"/sys/block/{os.path.basename(path)}"
        self.dev = blockdev.read_text(f"{self.sysfs}/dev")
        self.sectors = int(blockdev.read_text(f"{self.sysfs}/size"))


@tap.each("fio --verify on a virtio disk: {0}", ["default options", "no_read_workqueue"])
def test_disk(test, which):
    disk = Disk(DISK)
    kernel.write_text(f"{disk.sysfs}/queue/rotational", 0)
    mapping = encrypted(test, disk, [] if "default" in which else [which])
    test.equal(adapts(mapping), "default" in which, "it adapts")
    fio.verify(test, mapping, rw="randwrite", bsrange="4k-256k", blockalign=4096, iodepth=64,
               size="8m")
    with Counted(mapping) as counted, blockdev.Direct(mapping.path) as device:
        for number in range(16):
            device.read(number * 4096, 4096)
    test.equal(sum(counted.reads), 16, f"reads counted: {counted.reads}")
    if "default" not in which:
        test.equal(counted.reads, (16, 0), "reads here, queued")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    tap.main()
