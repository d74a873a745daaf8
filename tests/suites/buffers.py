#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The memory of writes on live mappings: what is kept of it, how much, and that it comes back."""

import contextlib
import errno
import itertools
import os
import threading
import time

import blockdev
import cases
import dm
import fio
import kernel
import tap
from load import Load

MIB = 1 << 20
PAGE = 4096
KEY = cases.key(64)
BLOB = os.urandom(2 * MIB)
CPUS = os.cpu_count()
RESERVE = 256
# What the module says of itself: the default of recycle_kib, for each CPU and once for all.
KEPT_KIB = 4096


def line(backing, options=(), cipher="aes-xts-plain64", key=KEY):
    return cases.line(cipher, key, 0, backing.dev, 0, options)


def encrypted(test, backing, options=()):
    return test.enter(dm.crypt(line(backing, options), backing.sectors))


def write(mapping, size, times):
    with blockdev.Direct(mapping.path) as device:
        for number in range(times):
            device.write(number * size % MIB, BLOB[:size])


def check_at_rest(test, mapping):
    """All pages are in the reserve or kept; what is kept."""
    stats = dm.stats(mapping.name)
    test.equal(stats["pages_reserve"], RESERVE, "pages in the reserve")
    test.equal(stats["pages_held"], RESERVE + stats["pages_idle"], "pages held")
    return stats["pages_idle"]


@tap.test("the message stats says what was done")
def test_stats(test):
    backing = test.enter(blockdev.NullBlk(8))
    mapping = encrypted(test, backing)
    before = dm.stats(mapping.name)
    tap.diag(before)
    test.check(all(before[name] == 0 for name in
                   ("writes_inline", "writes_queued", "reads_inline", "reads_queued", "recycled",
                    "allocated", "from_reserve", "waits", "pages_idle")), "nothing done yet")
    test.check(before["cipher_ns_per_4k"] > 0, "the cipher takes its time")
    test.check(check_at_rest(test, mapping) == 0, "nothing kept yet")
    share = kernel.meminfo()["MemTotal"] // 4 * 2 // 100
    test.check(0.9 * share < before["pages_limit"] < 1.1 * share,
               f"limit {before['pages_limit']}, 2 % of memory {share}")

    # None is split on any kernel.
    write(mapping, PAGE, 10)
    write(mapping, 65536, 10)
    write(mapping, 3 * 512, 10)
    stats = dm.stats(mapping.name)
    test.equal(stats["writes_inline"] + stats["writes_queued"], 30, "writes")
    test.equal(stats["reads_inline"] + stats["reads_queued"], 0, "reads")
    test.equal(stats["allocated"] + stats["recycled"] + stats["from_reserve"], 10 * (1 + 16 + 1),
               "pages")
    test.check(stats["recycled"] > stats["allocated"] > 0, f"most are used again: {stats}")
    check_at_rest(test, mapping)
    with blockdev.Direct(mapping.path) as device:
        for size in (PAGE, 65536, 512):
            device.read(0, size)
    stats = dm.stats(mapping.name)
    test.equal(stats["reads_inline"] + stats["reads_queued"], 3, "reads")
    for words in ("stats x", "stat", "STATS 1"):
        test.raises(OSError, errno.EINVAL, dm.message, mapping.name, words)


def load(test, mapping, seconds=1.5, writers=8):
    """Large writes from many threads; the most pages that were idle and held meanwhile."""
    most = {"pages_idle": 0, "pages_held": 0}
    start = time.monotonic()
    done = []

    def work(number):
        with blockdev.Direct(mapping.path) as device:
            for turn in itertools.count():
                if turn >= 3 and time.monotonic() > start + seconds:
                    break
                device.write(number * MIB, BLOB[:MIB])
        done.append(number)

    def watch():
        while len(done) < writers:
            stats = dm.stats(mapping.name)
            for name in most:
                most[name] = max(most[name], stats[name])
            time.sleep(0.02)
    test.threads([watch] + [lambda n=n: work(n) for n in range(writers)], timeout=60)
    return most


@tap.test("what is kept is bounded, and gone 10 s after the load")
def test_idle(test):
    backing = test.enter(blockdev.NullBlk(16))
    mapping = encrypted(test, backing)
    most = load(test, mapping)
    stats = dm.stats(mapping.name)
    end = time.monotonic()
    tap.diag(f"{most}, then {stats}")
    pages = KEPT_KIB * (CPUS + 1) // 4
    # A magazine may be too full for a moment by what one more buffer has.
    test.check(0 < most["pages_idle"] <= min(pages, stats["pages_limit"] // 2) + 256 * CPUS,
               f"kept under load: {most['pages_idle']}, at most {pages}")
    test.check(stats["recycled"] > stats["allocated"], f"most pages are used again: {stats}")
    test.check(0 < check_at_rest(test, mapping) <= pages, "kept after the load")
    test.check(tap.poll(lambda: not dm.stats(mapping.name)["pages_idle"], timeout=10),
               f"kept after 10 s: {dm.stats(mapping.name)}")
    # Pages are counted off when they are gone, which is a moment later.
    tap.poll(lambda: dm.stats(mapping.name)["pages_held"] == RESERVE, timeout=2)
    tap.diag(f"nothing is kept after {time.monotonic() - end:.1f} s")
    check_at_rest(test, mapping)


@tap.test("recycle_seconds may be any number of seconds")
def test_long_time(test):
    backing = test.enter(blockdev.NullBlk(8))
    # In ticks, 250 a second, the second number is a little more than 32 bits hold.
    for seconds in (3600, (1 << 32) // 250 + 1, (1 << 32) - 1):
        with kernel.Parameter("recycle_seconds", seconds):
            mapping = encrypted(test, backing)
            write(mapping, 65536, 8)
            kept = dm.stats(mapping.name)["pages_idle"]
            time.sleep(3)
            test.check(kept, "pages are kept")
            test.equal(dm.stats(mapping.name)["pages_idle"], kept,
                       f"pages kept 3 s later, of {seconds} s")


@tap.test("recycle_kib bounds it, recycle=N keeps nothing, and both can be changed in use")
def test_recycle(test):
    backing = test.enter(blockdev.NullBlk(16))
    mapping = encrypted(test, backing)
    with kernel.Parameter("recycle_kib", 1024):
        most = load(test, mapping, 0.7)
        tap.diag(f"{most}, then {dm.stats(mapping.name)}")
        test.check(0 < most["pages_idle"] <= 256 * (CPUS + 1) + 256 * CPUS,
                   f"1 MiB each: {most['pages_idle']} pages kept")
        test.check(0 < check_at_rest(test, mapping) <= 256 * (CPUS + 1), "kept after the load")
    other = encrypted(test, backing)
    with kernel.Parameter("recycle", "N"):
        most = load(test, other, 0.7)
        stats = dm.stats(other.name)
        test.equal((most["pages_idle"], stats["pages_idle"], stats["recycled"]), (0, 0, 0),
                   "kept and used again with recycle=N")
        test.check(stats["allocated"] > 0, "pages were allocated")
    write(other, 65536, 4)
    stats = dm.stats(other.name)
    test.check(stats["pages_idle"] and stats["recycled"], f"switched on again: {stats}")


@tap.each("data is right with {0}={1}",
          [("chunk_order", 0), ("chunk_order", 3), ("chunk_order", 8), ("single_page", "Y"),
           ("recycle", "N")])
def test_parameters(test, name, value):
    with kernel.Parameter(name, value):
        mapping = encrypted(test, test.enter(blockdev.NullBlk(16)))
        fio.verify(test, mapping, rw="randwrite", bsrange="512-1m", blockalign=512, iodepth=16,
                   size="6m")
        stats = dm.stats(mapping.name)
        test.equal(stats["recycled"] > 0, name == "chunk_order", f"pages used again: {stats}")
        check_at_rest(test, mapping)


@tap.test("chunk_order takes what it says, and out of it what there is")
def test_chunk_order_range(test):
    test.equal(kernel.parameter("chunk_order"), "-1", "the default")
    with kernel.Parameter("chunk_order", 99):
        mapping = encrypted(test, test.enter(blockdev.NullBlk(8)))
        write(mapping, MIB, 4)
        test.check(blockdev.read(mapping.path, 0, MIB) == BLOB[:MIB], "read back")


def of_failing_cipher(test, backing, options=()):
    kernel.modprobe("failing-cipher")
    test.defer(kernel.parameter, "fail", "N", "failing_cipher")
    text = line(backing, options, "capi:failing-plain64", cases.key(16))
    return test.enter(dm.crypt(text, backing.sectors))


@tap.each("a buffer that was not encrypted is not kept: {0}",
          ["default options", "no_write_workqueue"])
def test_failing_cipher(test, which):
    backing = test.enter(blockdev.NullBlk(8))
    mapping = of_failing_cipher(test, backing, [] if "default" in which else [which])
    write(mapping, 65536, 4)
    test.check(tap.poll(lambda: not dm.stats(mapping.name)["pages_idle"], timeout=15),
               "nothing kept any more")
    blockdev.write(backing.path, 0, bytes(MIB))
    failed = int(kernel.parameter("failed", module="failing_cipher"))
    kernel.parameter("fail", "Y", "failing_cipher")
    with blockdev.Direct(mapping.path) as device:
        for size in (512, 4096, 65536, 131072, MIB) * 3:
            test.raises(OSError, errno.EIO, device.write, 0, BLOB[:size])
            test.equal(check_at_rest(test, mapping), 0, f"pages kept after {size} bytes")
    test.check(int(kernel.parameter("failed", module="failing_cipher")) > failed, "it failed")
    test.check(not any(blockdev.read(backing.path, 0, MIB)), "nothing went to the device")
    # Out of the reserve, where the pages stay.
    with kernel.Parameter("pool_fail", 1), blockdev.Direct(mapping.path) as device:
        test.raises(OSError, errno.EIO, device.write, 0, BLOB[:65536])
        test.equal(check_at_rest(test, mapping), 0, "pages kept")
    kernel.parameter("fail", "N", "failing_cipher")
    write(mapping, 65536, 4)
    test.check(check_at_rest(test, mapping) > 0, "kept as before after successes")


@tap.test("50 mappings made, used and removed leave the memory as it was")
def test_rounds(test):
    backing = test.enter(blockdev.NullBlk(16))
    blockdev.write(backing.path, 0, bytes(MIB))

    def once():
        with dm.crypt(line(backing), backing.sectors) as mapping:
            write(mapping, MIB // 2, 6)
            test.check(dm.stats(mapping.name)["pages_idle"] >= 32, "it kept pages")

    def rounds():
        for _ in range(50):
            once()
    once()
    # Each has 32 pages at least to lose: 6 MiB.
    lost = kernel.lost_kib(rounds, 2048)
    tap.diag(f"KiB less free after 50 mappings, again and again: {lost}")
    test.check(lost[-1] < 2048, f"every 50 mappings lose memory: {lost} KiB")


@tap.test("memory pressure takes back what is kept")
def test_drop_caches(test):
    backing = test.enter(blockdev.NullBlk(8))
    with kernel.Parameter("recycle_seconds", 600):
        mappings = [encrypted(test, backing) for _ in range(3)]
        for mapping in mappings:
            write(mapping, MIB, 3)
            test.check(check_at_rest(test, mapping) >= 32, "it kept pages")
        kernel.write_text("/proc/sys/vm/drop_caches", 2)
        for mapping in mappings:
            test.equal(check_at_rest(test, mapping), 0, "pages kept")
            write(mapping, MIB, 1)
            test.check(check_at_rest(test, mapping) >= 32, "it keeps pages again")
        # Nobody is to look for them before 600 s are over, unless the mapping goes.


class Verifying(threading.Thread):
    """fio with verification, again and again, until told to stop."""

    def __init__(self, test, mapping, **options):
        super().__init__(daemon=True)
        self.test, self.mapping, self.options = test, mapping, options
        self.enough = threading.Event()
        self.runs = 0

    def run(self):
        while not self.enough.is_set():
            fio.verify(self.test, self.mapping, rw="randwrite", bsrange="4k-512k", blockalign=4096,
                       iodepth=16, size="8m", **self.options)
            self.runs += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_exc):
        self.enough.set()
        self.join(90 * tap.SLOWNESS)
        self.test.check(not self.is_alive() and self.runs, f"fio ran {self.runs} times")


@tap.test("CPUs go offline and come back under load")
def test_hotplug(test):
    switch = f"/sys/devices/system/cpu/cpu{CPUS - 1}/online"
    if CPUS < 2 or not os.path.exists(switch):
        raise tap.Skip("no CPU that can be switched off")
    backing = test.enter(blockdev.NullBlk(16))
    mapping = encrypted(test, backing)
    test.defer(kernel.write_text, switch, 1)
    with kernel.Parameter("recycle_seconds", 600):
        with Verifying(test, mapping), Load(test, mapping.path, start=8 * MIB) as load:
            for number in range(8):
                load.progress()
                kernel.write_text(switch, number % 2)
            load.progress()
        # Nobody but the writer works here, on this CPU: all that is kept goes with it.
        nothing = test.enter(dm.Mapping([(0, backing.sectors, "zero", "")]))
        other = test.enter(dm.crypt(line(nothing, ["no_write_workqueue"]), backing.sectors))
        os.sched_setaffinity(0, {CPUS - 1})
        test.defer(os.sched_setaffinity, 0, range(CPUS))
        write(other, 65536, 8)
        os.sched_setaffinity(0, range(CPUS))
        test.check(check_at_rest(test, other) > 0, "it kept pages")
        kernel.write_text(switch, 0)
        test.equal(check_at_rest(test, other), 0, "pages kept with the CPU gone")
        kernel.write_text(switch, 1)
        write(other, 65536, 8)


@tap.test("memory without blocks of more than one page")
def test_fragmented(test):
    backing = test.enter(blockdev.NullBlk(16))
    # What it will be given is allocated before.
    with blockdev.Direct(backing.path) as device:
        for at in range(0, 16 * MIB, MIB):
            device.write(at, BLOB[:MIB])
    mapping = encrypted(test, backing)
    kernel.modprobe("fragment")
    with contextlib.ExitStack() as stack:
        stack.callback(kernel.rmmod, "fragment")
        with kernel.Parameter("recycle_seconds", 1):
            fio.verify(test, mapping, rw="randwrite", bsrange="4k-1m", blockalign=4096, iodepth=16,
                       size="8m")
            fio.verify(test, mapping, rw="write", bs="1m", iodepth=8, size="8m")
        stats = dm.stats(mapping.name)
        tap.diag(stats)
        test.check(stats["allocated"] > 0, f"pages were allocated: {stats}")
        check_at_rest(test, mapping)
    fio.verify(test, mapping, rw="write", bs="1m", iodepth=8, size="8m")
    check_at_rest(test, mapping)


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    tap.main()
