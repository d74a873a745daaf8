#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Authenticated ciphers, and IVs stored beside the data, over dm-integrity; stock is the judge."""

import errno
import os
import mmap
import threading
import time

import audit
import blockdev
import cases
import dm
import integrity
import kernel
import tap

BLOB = os.urandom(1 << 20)
SIZE = 256 << 10

# (cipher, bytes of its key, bytes of its tuple, type, more options).  With "random" the IV is part
# of the tuple.
CIPHERS = [
    ("capi:gcm(aes)-random", 32, 28, "aead", []),
    ("capi:gcm(aes)-plain64", 16, 16, "aead", []),
    ("capi:gcm(aes)-plain64be", 32, 12, "aead", []),
    ("capi:rfc7539(chacha20,poly1305)-random", 32, 28, "aead", []),
    ("capi:rfc7539(chacha20,poly1305)-plain64", 32, 16, "aead", []),
    # The AES-NI driver of 6.1 fails the kernel's own tests in an emulated processor.
    ("capi:aegis128-generic-random", 16, 32, "aead", []),
    ("capi:aegis128-generic-plain64", 16, 16, "aead", []),
    ("capi:authenc(hmac(sha256),xts(aes))-random", 96, 48, "aead", []),
    ("capi:authenc(hmac(sha256),xts(aes))-plain64", 96, 32, "aead", []),
    ("capi:authenc(hmac(sha1),cbc(aes))-plain64", 52, 20, "aead", []),
    ("capi:authenc(hmac(sha256),cbc(aes))-essiv:sha256", 64, 32, "aead", []),
    ("capi:authenc(cmac(aes),xts(aes))-random", 80, 32, "aead", ["integrity_key_size:16"]),
    ("capi:authenc(hmac(sha256),xts(aes))-plain64", 128, 32, "aead", ["integrity_key_size:64"]),
    ("capi:authenc(hmac(sha256),ctr(aes))-benbi", 64, 32, "aead", []),
    (f"capi:authenc({kernel.HMAC_SHA256},cryptd(cbc({kernel.AES})))-random", 64, 48, "aead", []),
    ("aes-xts-random", 64, 16, "none", []),
    ("capi:xts(aes)-random", 64, 16, "none", []),
    ("aes-cbc-random", 32, 16, "none", ["no_read_workqueue", "no_write_workqueue"]),
]
MAIN = CIPHERS[7]
RANDOM = "{0}, tuples of {2} bytes {4}"


def line(device, cipher, key_size, tuple_size, kind, more, sector_size, iv_offset=0):
    words = [f"integrity:{tuple_size}:{kind}", *more]
    if sector_size != 512:
        words.append(f"sector_size:{sector_size}")
    return cases.line(cipher, cases.key(key_size), iv_offset, device.dev, 0, words)


def pair(test, cipher, sector_size, mib=8, tuple_size=None):
    """The device with tuples, and a mapping of each target on it."""
    below = test.enter(integrity.Integrity(test.enter(blockdev.NullBlk(mib)),
                                           tuple_size or cipher[2], sector_size))
    params = line(below, *cipher, sector_size)
    sectors = below.sectors & -(sector_size >> 9)
    stock = test.enter(dm.crypt(params, sectors, dm.STOCK))
    bulk = test.enter(dm.crypt(params, sectors))
    return below, stock, bulk


def accepted(test, cipher, sector_size):
    """Does this kernel's stock target take the line?  If not, crypt-bulk has to refuse it too."""
    below = test.enter(integrity.Integrity(test.enter(blockdev.NullBlk(4)), cipher[2],
                                           sector_size))
    log = test.enter(kernel.Log())
    params = line(below, *cipher, sector_size)
    stock = cases.judge(params, 64, dm.STOCK, log)
    bulk = cases.judge(params, 64, dm.TARGET, log)
    if "integrity_key_size" in params and dm.versions()[dm.STOCK] < (1, 28, 0):
        test.equal(bulk.errno, 0, "crypt-bulk knows the option on every kernel")
        return False
    test.equal(bulk.errno, stock.errno, f"errno for {params.split()[0]}")
    return not stock.errno


@tap.each(RANDOM, CIPHERS, sample=6)
def test_exchange(test, *cipher):
    test.enter(cases.keys_shown())
    for sector_size in (512, 4096):
        if not accepted(test, cipher, sector_size):
            tap.diag(f"stock refuses it with sectors of {sector_size}")
            continue
        below, stock, bulk = pair(test, cipher, sector_size)
        test.equal(bulk.line(), stock.line(), "printed line")
        images = []
        for writer, reader, name in ((bulk, stock, "crypt-bulk"), (stock, bulk, "stock")):
            blockdev.write(writer.path, 0, BLOB[:SIZE])
            blockdev.write(writer.path, 1 << 20, BLOB[SIZE:][:4096])
            test.check(blockdev.read(reader.path, 0, SIZE) == BLOB[:SIZE],
                       f"written by {name}, sectors of {sector_size}")
            test.check(blockdev.read(reader.path, 1 << 20, 4096) == BLOB[SIZE:][:4096],
                       f"written by {name}, sectors of {sector_size}, behind it")
            images.append(below.whole())
        test.equal(images[0] == images[1], not cipher[0].endswith("random"),
                   f"ciphertext and tuples agree, sectors of {sector_size}")


@tap.each("many sizes and writers at once: {0}", [MAIN[0], CIPHERS[0][0], CIPHERS[14][0]], sample=1)
def test_writers(test, name):
    cipher = next(one for one in CIPHERS if one[0] == name)
    if "cryptd" in name and os.uname().release.startswith("6.1."):
        # Its authenc drops the notice that a request has left the backlog: stock waits forever too.
        raise tap.Skip("no driver behind authenc can be crowded on 6.1")
    _, stock, bulk = pair(test, cipher, 512, mib=32)

    def work(number):
        base = number * (4 << 20)
        with blockdev.Direct(bulk.path) as device:
            for size in (512, 4096, 65536 + 512, 1 << 20):
                device.write(base + size, BLOB[:size])
                test.check(device.read(base + size, size) == BLOB[:size], f"{size} bytes")
    test.threads([lambda n=number: work(n) for number in range(4)])
    test.check(blockdev.read(stock.path, (4 << 20) + (1 << 20), 1 << 20) == BLOB, "stock reads it")


def verdict(mapping, offset, size):
    """The errno of a read."""
    try:
        blockdev.read(mapping.path, offset, size)
        return 0
    except OSError as error:
        return error.errno


@tap.each("a changed bit of the data, or a sector in another's place, is found: {0}",
          [one[0] for one in CIPHERS if one[3] == "aead"], sample=3)
def test_damage(test, name):
    cipher = next(one for one in CIPHERS if one[0] == name)
    if not accepted(test, cipher, 4096):
        raise tap.Skip("stock refuses the cipher")
    below, stock, bulk = pair(test, cipher, 4096)
    blockdev.write(bulk.path, 0, BLOB[:SIZE])
    test.equal(verdict(bulk, 0, SIZE), 0, "before")

    third = below.find(blockdev.read(below.path, 3 * 4096, 4096))
    integrity.damage(below.backing.path, third + 1000)
    for mapping in (stock, bulk):
        test.equal(verdict(mapping, 0, SIZE), errno.EILSEQ, f"data changed: {mapping.line()}")
    test.equal(verdict(bulk, 4 * 4096, SIZE - 4 * 4096), 0, "the sectors behind it")
    blockdev.write(bulk.path, 3 * 4096, BLOB[:4096])
    test.equal(verdict(bulk, 0, SIZE), 0, "written again")

    fifth, sixth = (blockdev.read(below.path, n * 4096, 4096) for n in (5, 6))
    blockdev.write(below.path, 5 * 4096, sixth)
    test.equal(blockdev.read(below.path, 5 * 4096, 4096), sixth, "moved")
    for mapping in (stock, bulk):
        test.equal(verdict(mapping, 0, SIZE), errno.EILSEQ, "a sector in another's place")
    test.equal(verdict(bulk, 6 * 4096, 4096), 0, "where it came from")
    blockdev.write(below.path, 5 * 4096, fifth)


@tap.test("a failed authentication is logged as by stock, and not for every sector of a flood")
def test_log(test):
    _, stock, bulk = pair(test, MAIN, 4096)
    # The kernel allows 10 lines in 5 seconds, counted for each target by itself.
    time.sleep(5.5)
    log = test.enter(kernel.Log())
    lines = []
    for mapping, target in ((stock, dm.STOCK), (bulk, dm.TARGET)):
        log.read()
        test.equal(verdict(mapping, 40960, 8192), errno.EILSEQ, "never written")
        lines.append([text.partition(f": {target}: ")[2] for text in log.read()
                      if "INTEGRITY" in text])
    test.equal(len(lines[1]), 1, f"lines: {lines[1]}")
    test.equal(lines[1], lines[0], "what crypt-bulk says, and stock")
    start = time.monotonic()
    for _ in range(50):
        verdict(bulk, 0, 4096)
    most = 10 * (int(time.monotonic() - start) // 5 + 2)
    flood = [text for text in log.read() if "INTEGRITY" in text]
    test.check(1 <= len(flood) <= min(most, 40), f"{len(flood)} lines for 50 errors")


@tap.test("a failed authentication leaves stock's audit record")
def test_audit(test):
    _, stock, bulk = pair(test, MAIN, 4096)
    records = test.enter(audit.Audit())
    seen = []
    for mapping, target in ((stock, dm.STOCK), (bulk, dm.TARGET)):
        test.equal(verdict(mapping, 40960, 4096), errno.EILSEQ, "never written")
        kind, text = records.read(1)[0]
        test.equal(kind, audit.Audit.DM_EVENT, "type")
        test.check(text.startswith(f"module={target} op=integrity-aead "), text)
        seen.append(text.replace(f"module={target} ", ""))
    test.equal(seen[1], seen[0], "what crypt-bulk has recorded, and stock")
    test.check("sector=80 " in seen[1], seen[1])


@tap.test("what was never written cannot be read, as with stock")
def test_fresh(test):
    _, stock, bulk = pair(test, MAIN, 4096)
    for mapping in (stock, bulk):
        test.equal(verdict(mapping, 0, 4096), errno.EILSEQ, "never written")


class Scribbler(threading.Thread):
    """Somebody who writes to a buffer as fast as he can, as long as he is not told to stop."""

    def __init__(self, buffer):
        super().__init__(daemon=True)
        self.buffer = buffer
        self.stop = False

    def run(self):
        junk = os.urandom(len(self.buffer))
        while not self.stop:
            # The copy itself is done with the interpreter's lock held: give way.
            self.buffer[:] = junk
            time.sleep(0)


@tap.test("a reader who changes his buffer meanwhile is not told that the disk lies")
def test_race(test):
    _, _, bulk = pair(test, MAIN, 4096)
    blockdev.write(bulk.path, 0, BLOB[:65536])
    buffer = mmap.mmap(-1, 65536)
    scribbler = Scribbler(buffer)
    scribbler.start()
    failed = 0
    file = os.open(bulk.path, os.O_RDONLY | os.O_DIRECT)
    for _ in range(200):
        try:
            os.preadv(file, [buffer], 0)
        except OSError:
            failed += 1
    os.close(file)
    scribbler.stop = True
    scribbler.join()
    test.equal(failed, 0, "reads that failed of 200")


@tap.test("a writer who changes his buffer meanwhile writes what can be read")
def test_write_race(test):
    _, stock, bulk = pair(test, MAIN, 4096)
    buffer = mmap.mmap(-1, 65536)
    scribbler = Scribbler(buffer)
    scribbler.start()
    file = os.open(bulk.path, os.O_RDWR | os.O_DIRECT)
    for number in range(64):
        os.pwritev(file, [buffer], number << 16)
    os.close(file)
    scribbler.stop = True
    scribbler.join()
    for mapping in (bulk, stock):
        for at in range(0, 64 << 16, 1 << 20):
            test.equal(verdict(mapping, at, 1 << 20), 0, f"read back at {at}")


@tap.test("a reader and a writer use the same pages at once")
def test_shared_pages(test):
    _, stock, bulk = pair(test, MAIN, 4096)
    blockdev.write(bulk.path, 0, BLOB[:65536])
    buffer = mmap.mmap(-1, 65536)
    times = 200 // tap.SLOWNESS

    def work(function, place):
        file = os.open(bulk.path, os.O_RDWR | os.O_DIRECT)
        for number in range(times):
            function(file, [buffer], place(number))
        os.close(file)
    # What is written is what was read, and half of it decrypted, or whatever was there.
    test.threads([lambda: work(os.preadv, lambda _: 0),
                  lambda: work(os.pwritev, lambda number: (number % 16 + 1) << 16)])
    test.check(blockdev.read(bulk.path, 0, 65536) == BLOB[:65536], "what was read is as it was")
    for mapping in (bulk, stock):
        for at in range(65536, 17 << 16, 65536):
            test.equal(verdict(mapping, at, 65536), 0, f"read back at {at}")


@tap.test("a device whose tuples do not suit is refused in stock's words")
def test_profile(test):
    log = test.enter(kernel.Log())
    plain = test.enter(blockdev.NullBlk(4))
    cipher, key_size = MAIN[:2]
    for tuple_size, below_size, unit, below_unit in (
            (48, 48, 512, 4096), (48, 48, 4096, 512), (48, 32, 4096, 4096), (48, 64, 4096, 4096),
            (16, 16, 4096, 4096), (15, 15, 4096, 4096), (100, 100, 4096, 4096),
            (17, 17, 512, 512)):
        with blockdev.NullBlk(4) as backing, \
                integrity.Integrity(backing, below_size, below_unit) as below:
            for device in (below, plain):
                params = line(device, cipher, key_size, tuple_size, "aead", [], unit)
                stock = cases.judge(params, 64, dm.STOCK, log)
                bulk = cases.judge(params, 64, dm.TARGET, log)
                test.equal((bulk.errno, bulk.text), (stock.errno, stock.text),
                           f"{tuple_size} of {below_size}, {unit} on {below_unit}")


@tap.test("tuples larger than what is asked for: the rest is zero, and stock reads it")
def test_rest(test):
    if dm.versions()[dm.STOCK] < (1, 28, 0):
        raise tap.Skip("this kernel's stock target wants the exact size")
    for cipher in (MAIN, CIPHERS[-3]):
        below, stock, bulk = pair(test, cipher, 4096, tuple_size=64)
        before = below.whole()
        blockdev.write(bulk.path, 0, BLOB[:SIZE])
        after = below.whole()
        test.check(blockdev.read(stock.path, 0, SIZE) == BLOB[:SIZE], "stock reads it")
        data = blockdev.read(below.path, 0, SIZE)
        changed = sum(a != b for a, b in zip(before, after))
        used = len(data) + SIZE // 4096 * cipher[2]
        test.check(changed <= used, f"{changed} bytes changed, {used} are ours")


class Nvme:
    """The disk of the harness that keeps 64 bytes beside each sector of 4096 by itself."""

    path, sysfs = "/dev/nvme0n1", "/sys/block/nvme0n1"

    def __init__(self):
        kernel.modprobe("nvme")
        # The driver goes on looking for it after it was loaded.
        tap.poll(lambda: os.path.exists(f"{self.sysfs}/dev"))
        self.dev = blockdev.read_text(f"{self.sysfs}/dev")
        self.sectors = int(blockdev.read_text(f"{self.sysfs}/size"))


@tap.each("metadata of the disk itself: {0}", [MAIN[0], CIPHERS[0][0], "capi:xts(aes)-random"],
          sample=1)
def test_inline(test, name):
    cipher = next(one for one in CIPHERS if one[0] == name)
    log = test.enter(kernel.Log())
    params = line(Nvme(), *cipher, 4096)
    verdicts = [cases.judge(params, 8192, target, log) for target in (dm.STOCK, dm.TARGET)]
    test.equal((verdicts[1].errno, verdicts[1].text), (verdicts[0].errno, verdicts[0].text),
               "what stock says of the disk")
    if dm.versions()[dm.STOCK] < (1, 28, 0):
        test.check(verdicts[0].errno, "this kernel's stock target takes only dm-integrity")
        return
    stock = test.enter(dm.crypt(params, 8192, dm.STOCK))
    bulk = test.enter(dm.crypt(params, 8192))
    for writer, reader in ((bulk, stock), (stock, bulk)):
        blockdev.write(writer.path, 0, BLOB[:SIZE])
        blockdev.write(writer.path, 1 << 20, BLOB)
        test.check(blockdev.read(reader.path, 0, SIZE) == BLOB[:SIZE], "read by the other")
        test.check(blockdev.read(reader.path, 1 << 20, 1 << 20) == BLOB, "a large request")
    if cipher[3] == "aead":
        blockdev.write(Nvme.path, 4096, BLOB[:4096])
        test.equal([verdict(mapping, 0, 65536) for mapping in (stock, bulk)], [errno.EILSEQ] * 2,
                   "what the disk got past the mapping")


@tap.test("suspend, remove and errors below leave nothing behind")
def test_life(test):
    def round_trip():
        with blockdev.NullBlk(4) as backing, integrity.Integrity(backing, 48, 4096) as below:
            params = line(below, *MAIN, 4096)
            with dm.crypt(params, 1024) as bulk:
                blockdev.write(bulk.path, 0, BLOB[:65536])
                dm.suspend(bulk.name)
                dm.resume(bulk.name)
                blockdev.read(bulk.path, 0, 65536)
                # Not written, and so an error that is looked into a second time.
                try:
                    blockdev.read(bulk.path, 65536, 65536)
                except OSError:
                    pass
    round_trip()
    lost = kernel.lost_kib(lambda: [round_trip() for _ in range(10)], 256)
    test.check(lost[-1] < 256, f"KiB lost in each round of 10: {lost}")


if __name__ == "__main__":
    kernel.modprobe("dm-crypt")
    kernel.modprobe("dm-integrity")
    kernel.load_cryptd()
    kernel.modprobe(kernel.MODULE)
    kernel.hurry_rcu()
    tap.main()
