#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Data through a mapping: every size, option and misfortune; what goes in comes out."""

import errno
import itertools
import os
import random
import subprocess

import blockdev
import cases
import dm
import fio
import kernel
import layout
import tap
from load import Load

MIB = 1 << 20
KEY = cases.key(64)
BLOB = os.urandom(12 * MIB)
# The bits of the module's pool_fail.
FAIL_BULK, FAIL_SLEEPING = 1, 4


def encrypted(test, backing, options=(), sectors=None, cipher="aes-xts-plain64", target=dm.TARGET):
    key = KEY[:64] if ":ecb(" in cipher else KEY
    line = cases.line(cipher, key, 0, backing.dev, 0, options)
    return test.enter(dm.crypt(line, sectors or backing.sectors, target))


def flags():
    """The I/O options that the target under test knows."""
    words = ["same_cpu_crypt", "high_priority", *cases.BYPASS]
    if dm.TARGET == dm.STOCK and dm.versions()[dm.STOCK] < (1, 26, 0):
        words.remove("high_priority")
    return words


@tap.each("fio --verify, random sizes, offsets and depths: sectors of {0}, {1}",
          [(512, "default options"), (512, "bypass options"), (4096, "default options"),
           (4096, "bypass options")])
def test_fio(test, size, which):
    options = [] if size == 512 else ["sector_size:4096"]
    options += cases.options(which)
    mapping = encrypted(test, test.enter(blockdev.NullBlk(48)), options)
    fio.verify(test, mapping, rw="randwrite", bsrange=f"{size}-256k", blockalign=size,
               iodepth=32, size="16m")
    fio.verify(test, mapping, rw="randrw", bsrange=f"{size}-1m", blockalign=size, iodepth=7,
               size="16m", offset="16m", iodepth_batch=4, randrepeat=1)
    fio.verify(test, mapping, rw="write", bs="1m", iodepth=16, size="16m")


@tap.test("reads and writes of every length and offset in sectors of 512")
def test_every_size(test):
    backing = test.enter(blockdev.NullBlk(8))
    mapping = encrypted(test, backing)
    stock = encrypted(test, backing, target=dm.STOCK)
    model = bytearray(BLOB[:2 * MIB])
    rng = random.Random(1)
    with blockdev.Direct(mapping.path) as device, blockdev.Direct(stock.path) as judge:
        device.write(0, bytes(model))
        for _ in range(300):
            length = rng.choice((1, 2, 3, 7, 8, 9, 63, 64, 65, 255, 256, 257, 511, 1023)) * 512
            at = rng.randrange(0, 2 * MIB - length) // 512 * 512
            source = rng.randrange(0, MIB)
            device.write(at, BLOB[source:source + length])
            model[at:at + length] = BLOB[source:source + length]
            at = rng.randrange(0, 2 * MIB - length) // 512 * 512
            test.check(device.read(at, length) == model[at:at + length],
                       f"read of {length} at {at}")
        test.check(judge.read(0, 2 * MIB) == model, "stock reads the whole")


@tap.test("every combination of the I/O options writes and reads right")
def test_options(test):
    # Reads complete in softirq context, where nobody may sleep.
    backing = test.enter(blockdev.NullBlk(4, irqmode=1))
    softirqs = kernel.block_softirqs()
    known = flags()
    stock = encrypted(test, backing, target=dm.STOCK)
    for chosen in itertools.product((False, True), repeat=len(known)):
        words = [word for word, wanted in zip(known, chosen) if wanted]
        at = random.Random(str(words)).randrange(0, MIB) // 512 * 512
        data = BLOB[at:at + 3 * MIB // 2]
        line = cases.line("aes-xts-plain64", KEY, 0, backing.dev, 0, words)
        with dm.crypt(line, backing.sectors) as mapping:
            with blockdev.Direct(mapping.path) as device:
                device.write(at, data)
                device.write(at + 512, data[512:1024])
                test.check(device.read(at, len(data)) == data, f"{words}: read back")
        test.check(blockdev.read(stock.path, at, len(data)) == data, f"{words}: stock reads it")
    test.check(kernel.block_softirqs() > softirqs + 64, "requests ended in softirq context")


@tap.each("a bio larger than 1 MiB, {0}", ["default options", "bypass options"])
def test_large_bio(test, which):
    # Physically contiguous memory makes few segments, so that one bio can hold 4 MiB.
    backing = test.enter(blockdev.NullBlk(16, max_sectors=32768))
    mapping = encrypted(test, backing, cases.options(which))
    stock = encrypted(test, backing, target=dm.STOCK)
    for device in (backing, mapping):
        limit = blockdev.read_text(f"{device.sysfs}/queue/max_hw_sectors_kb")
        kernel.write_text(f"{device.sysfs}/queue/max_sectors_kb", limit)
    with blockdev.HugeBuffer(4 * MIB) as buffer, blockdev.BlockTrace(mapping) as trace, \
            open(mapping.path, "r+b", buffering=0, opener=blockdev.direct_opener) as file:
        buffer.fill(BLOB[:4 * MIB])
        test.equal(os.pwritev(file.fileno(), [buffer.view], 0), 4 * MIB, "bytes written")
        largest = max(sectors for rwbs, _, sectors in trace.bios() if "W" in rwbs)
        test.check(blockdev.read(stock.path, 0, 4 * MIB) == BLOB[:4 * MIB], "stock reads it")
        buffer.fill(b"\0" * 4 * MIB)
        test.equal(os.preadv(file.fileno(), [buffer.view], 0), 4 * MIB, "bytes read")
        test.check(bytes(buffer.view) == BLOB[:4 * MIB], "read back")
    tap.diag(f"largest bio submitted to the mapping: {largest} sectors")
    test.check(largest > 2048, f"no bio was larger than 1 MiB, the largest had {largest} sectors")


@tap.test("part of a sector is refused, in size and in place")
def test_partial_sector(test):
    backing = test.enter(blockdev.NullBlk(4))
    mapping = encrypted(test, backing, ["sector_size:4096"])
    with blockdev.Direct(mapping.path) as device:
        device.write(0, BLOB[:8192])
        before = blockdev.read(backing.path, 0, 8192)
        for at, size in ((0, 512), (512, 4096), (4096, 2048), (3584, 1024)):
            test.raises(OSError, errno.EINVAL, device.write, at, b"p" * size)
            test.raises(OSError, errno.EINVAL, device.read, at, size)
    test.check(blockdev.read(backing.path, 0, 8192) == before, "the device as before")


# (segments, flags) in the grammar of the module bio-layout; all are whole sectors of 4096 in sum.
LAYOUTS = [
    ("4096@0", "-"), ("512@1536x8", "-"), ("4096@512", "-"), ("4096@2048x4", "-"),
    ("1024@3584x4", "-"), ("65536@512", "-"), ("512@0x256", "-"), ("4096@0x256", "-"),
    ("512@3584 4096@0x3 3584@512", "-"), ("524288@512x7 520192@512 4096@0", "-"),
    ("1048576@0x4", "-"), ("8192@1024x3", "fua"), ("2048@0x2", "sync"), ("6144@1024x2", "-"),
    # More data than one buffer of 256 pages takes, in segments that start off the page.
    ("1052672@512", "-"), ("4194304@0", "-"),
    # bio_vecs that refer to the first page of their memory, far behind which they start.
    ("4096@8192x4", "head"), ("1536@5120x8", "head"), ("12288@10752x2", "head"),
    # Segments that are not whole sectors of 512: stock ends such bios in an error.
    ("256@0x16", "-"), ("2000@8 2096@8", "-"), ("4096@4x2", "-"), ("4088@0 8@0", "-"),
]


@tap.each("bios of any segment layout: {0}",
          ["default options", "bypass options", "sector_size:4096", "sector_size:2048", "cryptd",
           "ecb", "ecb sector_size:4096"], sample=3)
def test_layouts(test, which):
    layout.require()
    # Of the RAM-backed devices only this one does segments of less than 512 bytes right: null_blk
    # counts whole sectors a segment, brd warns.
    backing = test.enter(blockdev.SparseLoop(8 * MIB))
    sizes = [word for word in which.split() if word.startswith("sector_size")]
    cipher = "aes-xts-plain64"
    if which.startswith("ecb"):
        cipher = f"capi:ecb({kernel.AES})-null"
    if which == "cryptd":
        kernel.load_cryptd()
        cipher = cases.CRYPTD
    options = cases.options(which) or sizes
    mapping = encrypted(test, backing, options, cipher=cipher)
    stock = encrypted(test, backing, sizes, target=dm.STOCK, cipher=cipher)
    both = 0
    for seed, (segments, flags) in enumerate(LAYOUTS):
        at = 64 + 8 * (seed % 5)
        shown = f"{segments} {flags}"
        judge = layout.submit("write", stock.path, at, seed + 1000, segments, flags)
        result = layout.submit("write", mapping.path, at, seed, segments, flags)
        test.check(not result.problem, f"{shown}: write: {result}")
        # What stock can do, crypt-bulk does; what stock cannot, it does right or not at all.
        if not judge.error:
            both += 1
            test.equal(result.error, 0, f"{shown}: write, which stock does")
        if result.error:
            continue
        # 4 KiB at a time, or where that is too much for a bio, 64 KiB.
        piece = 4096 if result.bytes <= MIB else 65536
        if not result.bytes % piece:
            plain = f"{piece}@0x{result.bytes // piece}"
            other = layout.submit("read", stock.path, at, seed, plain)
            test.check(not other.error and not other.problem, f"{shown}: stock reads: {other}")
        if result.bytes <= 65536:
            test.check(blockdev.read(stock.path, at << 9, result.bytes)
                       == layout.pattern(seed, at << 9, result.bytes), f"{shown}: the bytes")
        judge = layout.submit("read", stock.path, at, seed, segments, flags.replace("fua", "-"))
        result = layout.submit("read", mapping.path, at, seed, segments, flags.replace("fua", "-"))
        test.check(not result.problem, f"{shown}: read: {result}")
        if not judge.error:
            test.equal(result.error, 0, f"{shown}: read, which stock does")
    tap.diag(f"stock writes {both} of {len(LAYOUTS)} layouts")
    test.check(both >= 5, "stock does too few to compare")


@tap.test("bios that are not whole sectors end in an error")
def test_layouts_partial(test):
    layout.require()
    backing = test.enter(blockdev.NullBlk(4))
    blockdev.write(backing.path, 0, BLOB[:MIB])
    mapping = encrypted(test, backing, ["sector_size:4096"])
    for sector, segments in ((0, "512@0"), (1, "4096@0"), (8, "4096@0 512@0"), (8, "2048@512"),
                             (7, "4096@0"), (9, "512@0x8"), (0, "4608@0"), (8, "512@0x9")):
        for operation in ("write", "read"):
            result = layout.submit(operation, mapping.path, sector, 1, segments)
            test.check(result.error and not result.problem,
                       f"{operation} {sector} {segments}: {result}")
    test.check(blockdev.read(backing.path, 0, MIB) == BLOB[:MIB], "nothing was written")


@tap.test("discards reach the device with allow_discards, and only then")
def test_discard(test):
    backing = test.enter(blockdev.NullBlk(4, discard=1))
    with blockdev.BlockTrace(backing) as trace:
        mapping = encrypted(test, backing, ["allow_discards"])
        with blockdev.Direct(mapping.path) as device:
            device.write(0, BLOB[:MIB])
            device.discard(256 * 1024, 512 * 1024)
        found = [(at, count) for rwbs, at, count in trace.bios() if rwbs.startswith("D")]
        test.equal(sum(count for _, count in found), 1024, "sectors discarded")
        test.equal(min((at for at, _ in found), default=None), 512, "first sector discarded")
        raw = blockdev.read(backing.path, 0, MIB)
        test.check(not any(raw[256 * 1024:768 * 1024]), "the device dropped them")
        test.check(blockdev.read(mapping.path, 0, 256 * 1024) == BLOB[:256 * 1024], "the rest")
        dm.remove(mapping.name)
        mapping = encrypted(test, backing)
        with blockdev.Direct(mapping.path) as device:
            test.raises(OSError, errno.EOPNOTSUPP, device.discard, 0, 4096)
        test.equal(len([1 for rwbs, _, _ in trace.bios() if rwbs.startswith("D")]), len(found),
                   "discards after allow_discards was gone")


@tap.test("discards honour the device offset and cross mappings as stock's do")
def test_discard_offset(test):
    backing = test.enter(blockdev.NullBlk(4, discard=1))
    line = cases.line("aes-xts-plain64", KEY, 0, backing.dev, 1024, ["allow_discards"])
    mapping = test.enter(dm.crypt(line, 4096))
    blockdev.write(backing.path, 0, b"\xff" * 4 * MIB)
    with blockdev.Direct(mapping.path) as device:
        device.discard(0, 4096)
    raw = blockdev.read(backing.path, 0, MIB)
    test.check(not any(raw[1024 * 512:1024 * 512 + 4096]), "sector 1024 of the device")
    test.equal(raw.count(0), 4096, "bytes dropped")


@tap.test("flush and FUA reach the device")
def test_flush(test):
    backing = test.enter(blockdev.cached(4))
    for options in ([], cases.BYPASS):
        mapping = encrypted(test, backing, options)
        with blockdev.Direct(mapping.path) as device, blockdev.BlockTrace(backing) as trace:
            device.write(0, BLOB[:4096])
            marked = [rwbs for rwbs, _, _ in trace.bios() if "F" in rwbs]
            test.equal(marked, [], f"{options}: a plain write")
        flushes = flush_count(backing)
        with blockdev.Direct(mapping.path) as device, blockdev.BlockTrace(backing) as trace:
            device.sync()
            test.check(any(rwbs.startswith("F") for rwbs, _, _ in trace.bios()),
                       f"{options}: fsync sends {trace.bios()}")
        test.check(flush_count(backing) > flushes, f"{options}: the device counted a flush")
        with blockdev.Direct(mapping.path) as device, blockdev.BlockTrace(backing) as trace:
            device.write(4096, BLOB[:8192], os.RWF_DSYNC)
            # An F before the W is a flush, behind it forced unit access.
            sent = [rwbs for rwbs, _, _ in trace.bios()]
            test.check(any("WF" in rwbs or rwbs.startswith("F") for rwbs in sent),
                       f"{options}: RWF_DSYNC sends {sent}")
            test.equal(any("WF" in rwbs for rwbs in sent),
                       blockdev.read_text(f"{mapping.sysfs}/queue/fua") == "1",
                       f"{options}: FUA on the write itself, as the mapping advertises it")
        test.check(blockdev.read(mapping.path, 4096, 8192) == BLOB[:8192], f"{options}: the data")
        dm.remove(mapping.name)


def flush_count(device):
    return int(blockdev.read_text(f"{device.sysfs}/stat").split()[15])


@tap.each("{0} with files: written, mounted again, checked", ["ext4", "xfs"])
def test_filesystem(test, kind):
    backing = test.enter(blockdev.NullBlk(320, discard=1))
    mapping = encrypted(test, backing, ["allow_discards", "sector_size:4096"])
    make = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q", "-f"]}[kind]
    check = {"ext4": ["fsck.ext4", "-f", "-n"], "xfs": ["xfs_repair", "-n"]}[kind]
    subprocess.run([*make, mapping.path], check=True, stdout=subprocess.PIPE)
    directory = f"/tmp/dcb-{kind}"
    os.makedirs(directory, exist_ok=True)
    mount = ["mount", "-t", kind, mapping.path, directory]
    rng = random.Random(7)
    files = {f"{directory}/{n % 10}/{n}": (rng.randrange(MIB), rng.randrange(200_000))
             for n in range(150)}
    subprocess.run(mount, check=True)
    try:
        for number in range(10):
            os.mkdir(f"{directory}/{number}")
        for name, (at, size) in files.items():
            with open(name, "wb") as file:
                file.write(BLOB[at:at + size])
                if size % 5 == 0:
                    os.fsync(file.fileno())
        for name in [name for name in files if int(os.path.basename(name)) % 7 == 0]:
            os.unlink(name)
            del files[name]
        subprocess.run(["fstrim", directory], check=True)
    finally:
        subprocess.run(["umount", directory], check=True)
    subprocess.run(mount, check=True)
    try:
        for name, (at, size) in files.items():
            with open(name, "rb") as file:
                test.check(file.read() == BLOB[at:at + size], name)
        found = sum(len(names) for _, _, names in os.walk(directory))
        test.equal(found, len(files), "files")
    finally:
        subprocess.run(["umount", directory], check=True)
    run = subprocess.run([*check, mapping.path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True)
    test.equal(run.returncode, 0, f"{check[0]}: {run.stdout}")


@tap.test("suspend, reload and resume under load")
def test_suspend(test):
    backing = test.enter(blockdev.NullBlk(4))
    mapping = encrypted(test, backing)
    tables = [[(0, backing.sectors, dm.TARGET,
                cases.line("aes-xts-plain64", KEY, 0, backing.dev, 0, words))]
              for words in ([], cases.BYPASS, ["same_cpu_crypt"], ["no_write_workqueue"])]
    with Load(test, mapping.path) as load:
        for number in range(16):
            load.progress()
            if number % 2:
                dm.load(mapping.name, tables[number // 2 % len(tables)])
            dm.suspend(mapping.name, flush=number % 3 != 0)
            dm.resume(mapping.name)
        load.progress()
    load.compare(encrypted(test, backing, target=dm.STOCK).path, "stock")


NOT_SUPPORTED = "Operation not supported"


def polled_write(mapping):
    """The error of a polled write, or None."""
    run = subprocess.run(["fio", "--name=polled", f"--filename={mapping.path}", "--direct=1",
                          "--ioengine=io_uring", "--hipri=1", "--rw=write", "--bs=4k",
                          "--size=4k"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if not run.returncode:
        return None
    return NOT_SUPPORTED if NOT_SUPPORTED in run.stderr else run.stderr


@tap.each("polled reads and writes end, {0}", ["default options", "bypass options"])
def test_polled(test, which):
    # Stock hands the flag on to a device whose queue then nobody polls: it waits for a timeout.
    try:
        backing = test.enter(blockdev.NullBlk(8, poll_queues=1))
    except OSError as error:
        raise tap.Skip("null_blk has no queues for polling") from error
    mapping = encrypted(test, backing, cases.options(which))
    test.equal(blockdev.read_text(f"{mapping.sysfs}/queue/io_poll"), "1", "it can be polled")
    # Earlier kernels poll only for requests that must not wait, which neither target can promise.
    if polled_write(mapping) == NOT_SUPPORTED:
        dm.remove(mapping.name)
        stock = encrypted(test, backing, target=dm.STOCK)
        test.equal(polled_write(stock), NOT_SUPPORTED, "a polled write through stock")
        raise tap.Skip("this kernel does not poll for requests that may wait")
    fio.verify(test, mapping, rw="randrw", bs="4k", iodepth=8, size="2m", ioengine="io_uring",
               hipri=1)


@tap.test("two mappings at once on one device, and one upon the other")
def test_two(test):
    backing = test.enter(blockdev.NullBlk(16))
    half = backing.sectors // 2
    first = test.enter(dm.crypt(cases.line("aes-xts-plain64", KEY, 0, backing.dev), half))
    second = test.enter(dm.crypt(cases.line("aes-cbc-essiv:sha256", cases.key(32), 0, backing.dev,
                                            half, ["no_write_workqueue"]), half))
    upon = test.enter(dm.crypt(cases.line("aes-xts-plain64", KEY, 0, first.dev), half))
    with Load(test, upon.path) as one, Load(test, second.path) as other:
        one.progress(3)
        other.progress(3)
    # Each wrote where the other could have.
    one.compare(upon.path, "afterwards")
    other.compare(second.path, "afterwards")


@tap.test("a mapping in use is not removed; deferred, it goes with its last user")
def test_remove_busy(test):
    backing = test.enter(blockdev.NullBlk(4))
    mapping = encrypted(test, backing)
    with Load(test, mapping.path) as load:
        load.progress()
        for _ in range(3):
            test.raises(OSError, errno.EBUSY, lambda: dm.remove(mapping.name, timeout=0))
        dm.remove(mapping.name, deferred=True)
        load.progress()
        test.check(dm.exists(mapping.name), "it is there while in use")
    test.check(tap.poll(lambda: not dm.exists(mapping.name)), "it is gone after")


@tap.test("the table replaced by one that fails, under load")
def test_wipe(test):
    backing = test.enter(blockdev.NullBlk(4))
    mapping = encrypted(test, backing)
    load = Load(test, mapping.path)
    with blockdev.Direct(mapping.path) as device:
        for thread in load.running:
            thread.start()
        load.progress(2)
        mapping.reload([(0, backing.sectors, "error", "")])
        for thread in load.running:
            thread.join(30)
        test.equal([getattr(error, "errno", error) for error in load.errors], [errno.EIO] * 4,
                   "what the threads got")
        test.raises(OSError, errno.EIO, device.write, 0, b"x" * 4096)


def under_pressure(test, backing, options, writers, mask, cipher="aes-xts-plain64"):
    """Many writers at once while the pool is forced to do without the page allocator."""
    mapping = encrypted(test, backing, options, cipher=cipher)
    size = MIB

    def work(number):
        data = BLOB[number * 4096:][:size]
        with blockdev.Direct(mapping.path) as device:
            for turn in range(2):
                device.write(number * size, data)
                device.write(number * size + 4096 * turn, data[4096 * turn:][:4096])
            test.check(device.read(number * size, size) == data, f"writer {number}")
    with kernel.Parameter("pool_fail", mask):
        test.threads([lambda n=n: work(n) for n in range(writers)])
    dm.remove(mapping.name)


@tap.each("{0} when pages come from the reserve alone, many writers at once",
          ["default options", "bypass options", "sector_size:4096", "cryptd"])
def test_reserve(test, which):
    if not kernel.has_parameter("pool_fail"):
        raise tap.Skip("the target under test has no knob to force its reserve")
    options = {"bypass options": cases.BYPASS,
               "sector_size:4096": ["sector_size:4096"]}.get(which, [])
    cipher = "aes-xts-plain64"
    if which == "cryptd":
        kernel.load_cryptd()
        cipher = cases.CRYPTD
    backing = test.enter(blockdev.NullBlk(16))
    for mask in (FAIL_BULK, FAIL_BULK | FAIL_SLEEPING):
        under_pressure(test, backing, options, 16, mask, cipher)


@tap.test("pool_fail takes the steps that there are and no others")
def test_reserve_knob(test):
    if not kernel.has_parameter("pool_fail"):
        raise tap.Skip("the target under test has no knob to force its reserve")
    with kernel.Parameter("pool_fail", FAIL_BULK):
        for value in ("8", "16", "-1", "0x100000001", "x", "\n"):
            test.raises(OSError, errno.EINVAL, kernel.parameter, "pool_fail", value)
        test.equal(kernel.parameter("pool_fail"), str(FAIL_BULK), "pool_fail after bad values")


@tap.test("the reserve is shared by large and small writers without starving either")
def test_reserve_mixed(test):
    if not kernel.has_parameter("pool_fail"):
        raise tap.Skip("the target under test has no knob to force its reserve")
    mapping = encrypted(test, test.enter(blockdev.NullBlk(16)))
    with kernel.Parameter("pool_fail", FAIL_BULK | FAIL_SLEEPING), \
            Load(test, mapping.path, count=12) as load:
        load.progress(4)


class Flakey:
    """A device that answers everything, or only reads or writes, with an error."""

    def __init__(self, backing, features):
        kernel.modprobe("dm-flakey")
        count = len(features.split())
        self.mapping = dm.Mapping([(0, backing.sectors, "flakey",
                                    f"{backing.dev} 0 0 3600 {count} {features}".rstrip())])

    def __enter__(self):
        return self.mapping

    def __exit__(self, *exc):
        self.mapping.__exit__(*exc)


@tap.each("an error of the device reaches the submitter: {0}",
          ["default options", "bypass options"])
def test_errors(test, which):
    options = cases.options(which)
    backing = test.enter(blockdev.NullBlk(4))
    below = test.enter(dm.Mapping([(0, 1024, "linear", f"{backing.dev} 0"),
                                   (1024, 1024, "error", ""),
                                   (2048, 2048, "linear", f"{backing.dev} 2048")]))
    mapping = test.enter(dm.crypt(cases.line("aes-xts-plain64", KEY, 0, below.dev, 0, options),
                                  4096))
    with blockdev.Direct(mapping.path) as device:
        for turn in range(20):
            device.write(0, BLOB[:65536])
            test.raises(OSError, errno.EIO, device.write, 1024 * 512, BLOB[:65536])
            test.raises(OSError, errno.EIO, device.read, 1024 * 512, 65536)
            # Good at its start and bad behind: no part of it may count as a success.
            test.raises(OSError, errno.EIO, device.read, 1000 * 512, 65536)
            test.check(device.read(0, 65536) == BLOB[:65536], f"good sectors, turn {turn}")


@tap.test("writes that fail leave no pages behind")
def test_error_leak(test):
    kernel.modprobe("dm-flakey")
    backing = test.enter(blockdev.NullBlk(8))
    below = test.enter(dm.Mapping([(0, backing.sectors, "error", "")]))
    mapping = test.enter(dm.crypt(cases.line("aes-xts-plain64", KEY, 0, below.dev),
                                  backing.sectors))

    data = BLOB[:MIB]

    def fail(times):
        with blockdev.Direct(mapping.path) as device:
            for _ in range(times):
                test.raises(OSError, errno.EIO, device.write, 0, data)
                test.raises(OSError, errno.EIO, device.read, 0, MIB)
    fail(5)
    # Each write has 256 pages: 40 MiB if they stayed, 160 KiB if one did.
    lost = kernel.lost_kib(lambda: fail(40), 128)
    tap.diag(f"KiB less free after each round of 40 failed writes of 1 MiB: {lost}")
    test.check(lost[-1] < 128, f"every round loses memory: {lost} KiB")


@tap.test("a device whose writes fail: they say so, and reads see the old data")
def test_failing_writes(test):
    backing = test.enter(blockdev.NullBlk(4))
    below = test.enter(Flakey(backing, "error_writes"))
    mapping = test.enter(dm.crypt(cases.line("aes-xts-plain64", KEY, 0, below.dev), 4096))
    stock = test.enter(dm.crypt(cases.line("aes-xts-plain64", KEY, 0, backing.dev), 4096,
                                dm.STOCK))
    blockdev.write(stock.path, 0, BLOB[:MIB])
    with blockdev.Direct(mapping.path) as device:
        test.raises(OSError, errno.EIO, device.write, 0, b"n" * MIB)
        test.check(device.read(0, MIB) == BLOB[:MIB], "reads work and see the old data")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    tap.main()
