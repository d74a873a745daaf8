#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Table lines: what is refused and with which words, what is printed, and that no key leaks."""

import errno
import itertools
import os
import re
import subprocess

import blockdev
import cases
import dm
import kernel
import tap

EINVAL, ENOENT, ENOKEY, ENOMEM = errno.EINVAL, errno.ENOENT, errno.ENOKEY, errno.ENOMEM
SECTORS = 64
LONG = "x" * 130
XTS = cases.key(64)
CBC = cases.key(32)

# (line, errno, text).  DEV stands for the device, XTS and CBC for keys.  Stock must agree with
# every one of them.
BAD = [
    ("aes-xts-plain64 XTS 0 DEV", EINVAL, "Not enough arguments"),
    ("aes-xts-plain64", EINVAL, "Not enough arguments"),
    # The cipher.
    ("aes(xts)-plain64 XTS 0 DEV 0", EINVAL, "Bad cipher specification"),
    ("xts(aes)-plain64 XTS 0 DEV 0", EINVAL, "Bad cipher specification"),
    ("aes:3-cbc-plain CBC 0 DEV 0", EINVAL, "Bad cipher key count specification"),
    ("aes:0-cbc-plain CBC 0 DEV 0", EINVAL, "Bad cipher key count specification"),
    ("aes:x-cbc-plain CBC 0 DEV 0", EINVAL, "Bad cipher key count specification"),
    ("aes:2x-cbc-plain CBC 0 DEV 0", EINVAL, "Bad cipher key count specification"),
    ("aes:-cbc-plain CBC 0 DEV 0", EINVAL, "Bad cipher key count specification"),
    ("aes:-2-cbc-plain CBC 0 DEV 0", EINVAL, "Bad cipher key count specification"),
    ("aes-cbc CBC 0 DEV 0", EINVAL, "IV mechanism required"),
    ("aes-xts XTS 0 DEV 0", EINVAL, "IV mechanism required"),
    ("aes-cbc-essiv CBC 0 DEV 0", EINVAL, "Digest algorithm missing for ESSIV mode"),
    ("capi:cbc(aes)-essiv CBC 0 DEV 0", EINVAL, "Digest algorithm missing for ESSIV mode"),
    ("aes-cbc-nosuch CBC 0 DEV 0", EINVAL, "Invalid IV mode"),
    ("aes-cbc-PLAIN CBC 0 DEV 0", EINVAL, "Invalid IV mode"),
    ("aes-cbc-plain64le CBC 0 DEV 0", EINVAL, "Invalid IV mode"),
    ("capi:cbc(aes)-nosuch CBC 0 DEV 0", EINVAL, "Invalid IV mode"),
    ("nosuch-cbc-plain CBC 0 DEV 0", ENOENT, "Error allocating crypto tfm"),
    ("aes-nosuch-plain CBC 0 DEV 0", ENOENT, "Error allocating crypto tfm"),
    ("aes-cbc-essiv:nosuch CBC 0 DEV 0", ENOENT, "Error allocating crypto tfm"),
    ("capi:nosuch(aes)-plain CBC 0 DEV 0", ENOENT, "Error allocating crypto tfm"),
    ("capi:-plain CBC 0 DEV 0", None, "Error allocating crypto tfm"),
    ("capi: CBC 0 DEV 0", None, "Error allocating crypto tfm"),
    ("capi:sha256-plain CBC 0 DEV 0", ENOENT, "Error allocating crypto tfm"),
    (f"{LONG}-cbc-plain CBC 0 DEV 0", ENOMEM, "Cannot allocate cipher strings"),
    (f"aes-cbc-essiv:{LONG} CBC 0 DEV 0", ENOMEM, "Cannot allocate cipher strings"),
    (f"capi:cbc(aes)-essiv:{LONG} CBC 0 DEV 0", ENOMEM, "Cannot allocate cipher string"),
    (f"capi:{LONG}-plain CBC 0 DEV 0", ENOENT, "Error allocating crypto tfm"),
    # The key.
    ("aes-xts-plain64 - 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("aes-xts-plain64 abcd 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("aes-xts-plain64 XTS00 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("aes-cbc-plain gg" + "00" * 31 + " 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("aes-cbc-plain " + "00" * 31 + "0g 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("aes-cbc-plain " + "00" * 17 + " 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("aes:2-cbc-plain64 " + "00" * 33 + "0000 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("cipher_null-ecb " + "00" * 16 + " 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("cipher_null-ecb x 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("aes-cbc-plain x 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("aes-xts-plain64 : 0 DEV 0", EINVAL, "Cannot parse key size"),
    ("aes-xts-plain64 :64 0 DEV 0", EINVAL, "Cannot parse key size"),
    ("aes-xts-plain64 :64: 0 DEV 0", EINVAL, "Error decoding and setting key"),
    ("aes-xts-plain64 :64:user:dcb:nosuch 0 DEV 0", ENOKEY, "Error decoding and setting key"),
    # The place.
    ("aes-xts-plain64 XTS x DEV 0", EINVAL, "Invalid iv_offset sector"),
    ("aes-xts-plain64 XTS -1 DEV 0", EINVAL, "Invalid iv_offset sector"),
    ("aes-xts-plain64 XTS 1x DEV 0", EINVAL, "Invalid iv_offset sector"),
    ("aes-xts-plain64 XTS 0x10 DEV 0", EINVAL, "Invalid iv_offset sector"),
    ("aes-xts-plain64 XTS 1 DEV 0 1 sector_size:1024", EINVAL, "Invalid iv_offset sector"),
    ("aes-xts-plain64 XTS 4 DEV 0 1 sector_size:4096", EINVAL, "Invalid iv_offset sector"),
    ("aes-xts-plain64 XTS 0 /dev/nosuch 0", None, "Device lookup failed"),
    ("aes-xts-plain64 XTS 0 999:999 0", None, "Device lookup failed"),
    ("aes-xts-plain64 XTS 0 /proc/self/exe 0", None, "Device lookup failed"),
    ("aes-xts-plain64 XTS 0 /dev/null 0", None, "Device lookup failed"),
    ("aes-xts-plain64 XTS 0 DEV x", EINVAL, "Invalid device sector"),
    ("aes-xts-plain64 XTS 0 DEV -1", EINVAL, "Invalid device sector"),
    ("aes-xts-plain64 XTS 0 DEV 1x", EINVAL, "Invalid device sector"),
    # The options.
    ("aes-xts-plain64 XTS 0 DEV 0 x", EINVAL, "Invalid number of feature args"),
    ("aes-xts-plain64 XTS 0 DEV 0 -1", EINVAL, "Invalid number of feature args"),
    ("aes-xts-plain64 XTS 0 DEV 0 99", EINVAL, "Invalid number of feature args"),
    ("aes-xts-plain64 XTS 0 DEV 0 1", EINVAL, "Invalid number of feature args"),
    ("aes-xts-plain64 XTS 0 DEV 0 2 allow_discards", EINVAL, "Invalid number of feature args"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 nosuch", EINVAL, "Invalid feature arguments"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 allow_discard", EINVAL, "Invalid feature arguments"),
    ("aes-xts-plain64 XTS 0 DEV 0 2 same_cpu_crypt nosuch", EINVAL, "Invalid feature arguments"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size", EINVAL, "Invalid feature arguments"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size:0", EINVAL,
     "Invalid feature value for sector_size"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size:256", EINVAL,
     "Invalid feature value for sector_size"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size:513", EINVAL,
     "Invalid feature value for sector_size"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size:1536", EINVAL,
     "Invalid feature value for sector_size"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size:8192", EINVAL,
     "Invalid feature value for sector_size"),
    # Several faults: which one is named depends on the order of parsing.
    ("nosuch-cbc-plain CBC 0 DEV 0 1 nosuch", EINVAL, "Invalid feature arguments"),
    ("nosuch-cbc-plain :x 0 DEV 0 1 nosuch", EINVAL, "Cannot parse key size"),
    ("aes-cbc-nosuch zz x DEV x", EINVAL, "Invalid IV mode"),
    ("aes-cbc-plain zz x DEV x", EINVAL, "Error decoding and setting key"),
    ("aes-cbc-plain CBC x /dev/nosuch x", EINVAL, "Invalid iv_offset sector"),
    ("aes-cbc-plain CBC 0 /dev/nosuch x", None, "Device lookup failed"),
]

# Lines on which crypt-bulk deviates, errno EINVAL and its own text, and why.
STRICTER = [
    # Stock takes the number modulo 2^16 or 2^64, and maps something that nobody asked for.
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size:66048", "Invalid feature value for sector_size"),
    ("aes-xts-plain64 XTS 18446744073709551616 DEV 0", "Invalid iv_offset sector"),
    ("aes-xts-plain64 XTS 0 DEV 18446744073709551616", "Invalid device sector"),
    # Stock says "Invalid feature arguments"; this names the argument.
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size:4096x", "Invalid feature value for sector_size"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size:", "Invalid feature value for sector_size"),
    ("aes-xts-plain64 XTS 0 DEV 0 1 sector_size:-512", "Invalid feature value for sector_size"),
    # Stock says "Error creating IV".
    ("aes-ctr-eboiv CBC 0 DEV 0",
     "Block size of EBOIV cipher does not match IV size of block cipher"),
    ("aes-cbc-lmk CBC 0 DEV 0 1 sector_size:1024", "Unsupported sector size for LMK"),
    ("aes-cbc-tcw XTS 0 DEV 0 1 sector_size:4096", "Unsupported sector size for TCW"),
    ("blowfish-cbc-tcw " + "00" * 24 + " 0 DEV 0", "Error decoding and setting key"),
    ("aes-ctr-elephant XTS 0 DEV 0",
     "Block size of EBOIV cipher does not match IV size of block cipher"),
    ("capi:adiantum(xchacha12,aes)-lmk " + "00" * 2048 + " 0 DEV 0",
     "Unsupported IV size for LMK"),
    ("capi:adiantum(xchacha12,aes)-tcw " + "00" * 80 + " 0 DEV 0", "Unsupported IV size for TCW"),
    ("capi:gcm(aes)-eboiv CBC 0 DEV 0 1 integrity:28:aead",
     "AEAD transforms not supported for EBOIV"),
    # Stock on 6.1 says that there is no memory.
    ("capi:authenc(hmac(sha256)-random XTS 0 DEV 0 1 integrity:48:aead",
     "Invalid AEAD cipher spec"),
    # Stock says nothing, which shows as "Unknown error".
    ("aes-cbc-elephant " + "00" * 128 + " 0 DEV 0", "Wrong key size for Elephant"),
    # Stock looks for the type behind the end of the option, and crashes.
    ("aes-xts-plain64 XTS 0 DEV 0 1 integrity:16", "Invalid integrity arguments"),
    # Stock writes the key to where there is no memory for it, and crashes.
    ("capi:gcm(aes)-random CBC 0 DEV 0 2 integrity:28:aead integrity_key_size:16",
     "Invalid AEAD cipher spec"),
    # Stock takes it and authenticates nothing.
    ("capi:authenc(hmac(sha256),ecb(aes))-null XTS 0 DEV 0 1 integrity:32:aead",
     "AEAD transforms without an IV not supported"),
    # Stock encrypts with an IV that nobody set, and cannot read what it wrote.
    ("capi:cbc(aes) CBC 0 DEV 0", "IV mechanism required"),
    ("capi:ctr(aes) CBC 0 DEV 0", "IV mechanism required"),
    # Stock allocates whatever number of ciphers the line names, and fails at the key.
    ("aes:65536-cbc-plain CBC 0 DEV 0", "Bad cipher key count specification"),
]

# The options in the order in which stock prints them.
OPTIONS = ["allow_discards", "same_cpu_crypt", "high_priority", "submit_from_crypt_cpus",
           "no_read_workqueue", "no_write_workqueue", "sector_size:4096", "iv_large_sectors"]


def fill(line, device):
    return line.replace("DEV", device.dev).replace("XTS", XTS).replace("CBC", CBC)


def stock_options():
    """Without those that this kernel's stock target does not know."""
    if dm.versions()[dm.STOCK] < (1, 26, 0):
        return [word for word in OPTIONS if word != "high_priority"]
    return OPTIONS


@tap.test("lines that stock refuses are refused with stock's errno and text")
def test_bad(test):
    backing = test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    for line, wanted, text in BAD:
        params = fill(line, backing)
        stock = cases.judge(params, SECTORS, dm.STOCK, log)
        bulk = cases.judge(params, SECTORS, dm.TARGET, log)
        test.equal(bulk.text, text, f"text for {line}")
        test.equal(bulk.errno, stock.errno if wanted is None else wanted, f"errno for {line}")
        # A table's own mistakes must not pass for the target's.
        test.equal((stock.text, stock.errno), (text, stock.errno if wanted is None else wanted),
                   f"stock's verdict on {line}")


@tap.test("lines on which crypt-bulk is stricter than stock, or says more")
def test_stricter(test):
    if dm.TARGET == dm.STOCK:
        raise tap.Skip("stock is under test")
    backing = test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    for line, text in STRICTER:
        bulk = cases.judge(fill(line, backing), SECTORS, dm.TARGET, log)
        test.equal((bulk.errno, bulk.text), (EINVAL, text), line)


@tap.test("lines that stock takes or refuses by a detail fare the same in crypt-bulk")
def test_details(test):
    backing = test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    test.enter(cases.keys_shown())
    for line in ("aes-xts-plain64 XTS 0 DEV 0 0",
                 "aes-xts-plain64 XTS 0 DEV 0 1 allow_discards trailing words",
                 "aes-xts-plain64 XTS 0 DEV 0 0 trailing",
                 "aes-xts-plain64 XTS 007 DEV 010",
                 "aes-xts-plain64 XTS 0 DEV 0 1 sector_size:0512",
                 "aes-xts-plain64 XTS 0 DEV 0 2 sector_size:4096 sector_size:1024",
                 "aes-xts-plain64 XTS 0 DEV 0 2 allow_discards allow_discards",
                 "aes-xts-plain64 XTS 0 DEV 0 1 ALLOW_DISCARDS",
                 "aes-xts-plain64 XTS 0 DEV 0 1 Same_Cpu_Crypt",
                 "aes-xts-plain64 XTS 0 DEV 0 1 SECTOR_SIZE:4096",
                 "aes-cbc-plain CBC0 0 DEV 0",
                 "aes-cbc-plain64:ignored CBC 0 DEV 0",
                 "aes-cbc-plain-more CBC 0 DEV 0",
                 "aes:01-cbc-plain CBC 0 DEV 0",
                 "aes:+2-cbc-plain CBC 0 DEV 0",
                 "aes-ecb-nosuch CBC 0 DEV 0",
                 "aes--plain CBC 0 DEV 0",
                 "- CBC 0 DEV 0",
                 "cipher_null-ecb - 0 DEV 0",
                 "CAPI:cbc(aes)-plain CBC 0 DEV 0",
                 "capi:cbc(aes)-essiv: CBC 0 DEV 0",
                 "aes-cbc-essiv: CBC 0 DEV 0",
                 "capi:cbc(aes)-plain:x CBC 0 DEV 0",
                 "aes-cbc-plain " + CBC.upper() + " 0 DEV 0",
                 "aes-xts-plain64 " + "00" * 32 + " 0 DEV 0",
                 "aes:64-cbc-lmk " + "00" * 1024 + " 0 DEV 0",
                 "aes:64-cbc-lmk " + "00" * 1040 + " 0 DEV 0",
                 "aes:64-cbc-lmk " + "00" * 1041 + " 0 DEV 0",
                 "aes-cbc-tcw XTS 0 DEV 0", "aes-cbc-tcw CBC 0 DEV 0",
                 "aes-cbc-elephant XTS 0 DEV 0", "capi:cbc(aes)-elephant CBC 0 DEV 0",
                 "aes-xts-random XTS 0 DEV 0",
                 "aes-cbc-random CBC 0 DEV 0 1 integrity:16:none",
                 "capi:gcm(aes)-random CBC 0 DEV 0 1 integrity:28:aead",
                 "capi:gcm(aes)-lmk CBC 0 DEV 0 1 integrity:28:aead",
                 "capi:authenc(hmac(sha256),xts(aes))-random XTS 0 DEV 0 1 integrity:48:aead",
                 "capi:xts(aes)-random XTS 0 DEV 0 1 integrity:48:aead",
                 "aes-xts-plain64 XTS 0 DEV 0 1 integrity:48:aead",
                 "aes-xts-plain64 XTS 0 DEV 0 1 integrity:16:none",
                 "aes-xts-plain64 XTS 0 DEV 0 1 INTEGRITY:16:NONE",
                 "aes-xts-plain64 XTS 0 DEV 0 1 integrity:16:NONE",
                 "aes-xts-plain64 XTS 0 DEV 0 1 integrity:16:",
                 "aes-xts-plain64 XTS 0 DEV 0 1 integrity:16:nosuch",
                 "aes-xts-plain64 XTS 0 DEV 0 1 integrity:0:aead",
                 "aes-xts-plain64 XTS 0 DEV 0 1 integrity:480:none",
                 "aes-xts-plain64 XTS 0 DEV 0 1 integrity:481:none",
                 "aes-cbc-plain CBC 18446744073709551615 DEV 0",
                 "aes-xts-plain64 XTS 0 DEV 2047"):
        params = fill(line, backing)
        stock = cases.judge(params, SECTORS, dm.STOCK, log)
        bulk = cases.judge(params, SECTORS, dm.TARGET, log)
        test.equal((bulk.errno, bulk.text), (stock.errno, stock.text), line)
        if not stock.errno and not bulk.errno and "2047" not in line:
            with dm.crypt(params, SECTORS, dm.STOCK) as one, dm.crypt(params, SECTORS) as other:
                test.equal(other.line(), one.line(), f"printed for {line}")


@tap.test("a device too short, or a size that no sector fits, is refused")
def test_size(test):
    backing = test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    good = "aes-xts-plain64 XTS 0 DEV"
    for params, sectors in ((f"{good} 0", 4096), (f"{good} 1", 2048), (f"{good} 4096", 8),
                            (f"{good} 18446744073709551615", 8)):
        verdict = cases.judge(fill(params, backing), sectors, dm.TARGET, log)
        test.equal(verdict.errno, EINVAL, f"{params}, {sectors} sectors")
        test.check(any("too small for target" in text for text in verdict.messages),
                   f"{params}, {sectors} sectors: {verdict.messages}")
    for size in (1024, 2048, 4096):
        for sectors in (size // 512 - 1, size // 512 + 1, 64 + size // 1024):
            params = fill(f"{good} 0 1 sector_size:{size}", backing)
            for target in (dm.STOCK, dm.TARGET):
                verdict = cases.judge(params, sectors, target, log)
                test.equal((verdict.errno, verdict.text),
                           (EINVAL, "Device size is not multiple of sector_size feature"),
                           f"{target}: {sectors} sectors with sector_size:{size}")


# More than kmalloc() ever has, in a place where nothing else is wrong.
HUGE = "1" * (5 << 20)
BAD_COUNT = "Bad cipher key count specification"
UNBOUNDED = [
    (f"{HUGE}-cbc-plain CBC 0 DEV 0", ENOMEM, "Cannot allocate cipher strings"),
    (f"capi:{HUGE}-plain CBC 0 DEV 0", ENOMEM, "Cannot allocate cipher strings"),
    (f"aes-cbc-plain :32:user:{HUGE} 0 DEV 0", ENOMEM, "Error decoding and setting key"),
    (f"aes-cbc-plain CBC {HUGE} DEV 0", EINVAL, "Invalid iv_offset sector"),
    (f"aes-cbc-plain CBC 0 DEV {HUGE}", EINVAL, "Invalid device sector"),
    (f"aes-cbc-plain CBC 0 DEV 0 1 {HUGE}", EINVAL, "Invalid feature arguments"),
    (f"aes-cbc-plain CBC 0 DEV 0 1 integrity:{HUGE}:none", EINVAL, "Invalid integrity arguments"),
    # The largest key there can be, which authenc() wants with a header in front.
    ("capi:authenc(hmac(sha256),xts(aes))-plain64 " + "00" * (4 << 20) +
     " 0 DEV 0 1 integrity:32:aead", ENOMEM, "Error decoding and setting key"),
    ("aes:16384-cbc-plain :16384:user:dcb:nosuch 0 DEV 0", ENOKEY,
     "Error decoding and setting key"),
    ("aes:32768-cbc-plain :32768:user:dcb:nosuch 0 DEV 0", EINVAL, BAD_COUNT),
    ("aes:4194304-cbc-plain :4194304:user:dcb:nosuch 0 DEV 0", EINVAL, BAD_COUNT),
]


@tap.test("words longer than any memory, and sizes that only the line knows of, do no harm")
def test_unbounded(test):
    if dm.TARGET == dm.STOCK:
        raise tap.Skip("stock is under test")
    backing = test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    for line, number, text in UNBOUNDED:
        kernel.warn_again()
        verdict = cases.judge(fill(line, backing), SECTORS, dm.TARGET, log)
        shown = re.sub(r"(.)\1{60,}", r"\1\1...", line)
        test.equal((verdict.errno, verdict.text), (number, text), shown)
        # Of a lack of memory it tells the caller, and not the administrator.
        told = [one for one in verdict.messages
                if one.startswith("WARNING: ") or "page allocation failure" in one]
        test.equal(told, [], f"the kernel's own words on {shown}")


@tap.test("a mapping's name can be used once")
def test_duplicate_name(test):
    backing = test.enter(blockdev.NullBlk(1))
    mapping = test.enter(dm.crypt(fill("aes-xts-plain64 XTS 0 DEV 0", backing), SECTORS))
    test.raises(OSError, errno.EBUSY, dm.create, mapping.name)
    table = f"0 8 {dm.TARGET} " + fill("aes-xts-plain64 XTS 0 DEV 0", backing)
    run = dm.dmsetup("create", mapping.name, table=table)
    test.check(run.returncode and "busy" in run.stderr.lower(), f"dmsetup: {run.stderr}")
    test.equal(dm.status(mapping.name)[0][1], SECTORS, "the running mapping stays")


@tap.test("a line refused in a reload leaves the running mapping as it was")
def test_bad_reload(test):
    backing = test.enter(blockdev.NullBlk(1))
    mapping = test.enter(dm.crypt(fill("aes-xts-plain64 XTS 0 DEV 0", backing), SECTORS))
    before = mapping.line()
    for line, _, _ in BAD[::6]:
        params = fill(line, backing)
        try:
            dm.load(mapping.name, [(0, SECTORS, dm.TARGET, params)])
            test.fail(f"accepted: {line}")
        except OSError:
            pass
    dm.suspend(mapping.name)
    dm.resume(mapping.name)
    test.equal(mapping.line(), before, "printed line")
    blockdev.write(mapping.path, 0, b"y" * 4096)
    test.check(blockdev.read(mapping.path, 0, 4096) == b"y" * 4096, "written and read")


def count_everything():
    return (kernel.slab_objects(), kernel.crypto_users(), kernel.meminfo()["Percpu"],
            len(kernel.threads("kcryptd", "dmcrypt_write", "crypt-bulk")))


@tap.test("nothing stays behind of a refused line")
def test_no_leak(test):
    runs = 60
    backing = test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    lines = [entry[0] for entry in BAD] + [entry[0] for entry in STRICTER]
    if dm.TARGET == dm.STOCK:
        lines = [entry[0] for entry in BAD]
    params = [fill(line, backing) for line in lines]
    # A name that the crypto API does not know costs some processes of modprobe each time.
    test.enter(kernel.NoModprobe())

    def refuse(times):
        name = dm.unique("dcbl")
        dm.create(name)
        try:
            for text, _ in itertools.product(params, range(times)):
                try:
                    dm.load(name, [(0, SECTORS, dm.TARGET, text)])
                except OSError:
                    continue
                dm.clear(name)
                test.fail(f"accepted: {text}")
        finally:
            dm.remove(name)

    refuse(3)
    kernel.settle()
    slabs, ciphers, percpu, threads = count_everything()
    free = kernel.free_kib()
    refuse(runs)

    def grown():
        kernel.settle()
        now = kernel.slab_objects()
        return {name: now[name] - count for name, count in slabs.items()
                if now[name] - count > runs * 2 // 3}
    # What the kernel keeps for reasons of its own it does not keep again and again.
    suspects = grown()
    for _ in range(3):
        if suspects:
            tap.diag(f"once more, since slab caches grew: {suspects}")
            slabs = kernel.slab_objects()
            refuse(runs)
            suspects = {name: count for name, count in grown().items() if name in suspects}
    tap.diag(f"{runs} times {len(params)} lines")
    test.equal(suspects, {}, "slab caches that grow each time")
    now = count_everything()
    test.equal({name: count for name, count in now[1].items() if ciphers.get(name, 1) < count}, {},
               "ciphers whose users grew")
    test.check(now[2] - percpu < runs, f"Percpu grew by {now[2] - percpu} KiB")
    test.equal(now[3], threads, "kernel threads")
    lost = kernel.less_free_kib(free)
    test.check(lost < 2048, f"{lost} KiB less free")
    test.equal(kernel.users(kernel.MODULE), 0, "users of the module")
    # A device that was not put back could not be opened exclusively.
    os.close(os.open(backing.path, os.O_RDWR | os.O_EXCL))
    log.read()


@tap.test("every combination of options: printed as stock prints it, and taken again")
def test_round_trip(test):
    backing = test.enter(blockdev.NullBlk(1))
    test.enter(cases.keys_shown())
    known = stock_options()
    name, other = dm.unique("dcbr"), dm.unique("dcbr")
    dm.create(name)
    test.defer(dm.remove, name)
    dm.create(other)
    test.defer(dm.remove, other)
    for chosen in itertools.product((False, True), repeat=len(OPTIONS)):
        words = [word for word, wanted in zip(OPTIONS, chosen) if wanted]
        # Given in reverse, so that the order printed is the target's own.
        line = cases.line("aes-xts-plain64", XTS, 8, backing.dev, 16, words[::-1])
        if dm.TARGET == dm.STOCK and not set(words) <= set(known):
            continue
        dm.load(name, [(0, SECTORS, dm.TARGET, line)])
        printed = dm.status(name, inactive=True)[0][3]
        wanted = cases.line("aes-xts-plain64", XTS, 8, backing.dev, 16, words)
        test.equal(printed, wanted, f"printed for {words}")
        dm.load(other, [(0, SECTORS, dm.TARGET, printed)])
        test.equal(dm.status(other, inactive=True)[0][3], printed, f"second print for {words}")
        if set(words) <= set(known):
            dm.load(other, [(0, SECTORS, dm.STOCK, line)])
            test.equal(dm.status(other, inactive=True)[0][3], printed, f"stock's for {words}")


@tap.test("dmsetup table --showkeys moves a line from one target to the other")
def test_showkeys(test):
    backing = test.enter(blockdev.NullBlk(1))
    test.enter(cases.keys_shown())
    line = fill("aes-xts-plain64 XTS 8 DEV 16 2 allow_discards sector_size:4096", backing)
    shown = []
    for target in (dm.STOCK, dm.TARGET):
        name = dm.unique()
        run = dm.dmsetup("create", name, table=f"0 {SECTORS} {target} {line}")
        test.require(run.returncode == 0, f"dmsetup create: {run.stderr}")
        shown.append(dm.dmsetup("table", "--showkeys", name).stdout.strip())
        test.equal(dm.dmsetup("status", name).stdout.split(), ["0", str(SECTORS), target],
                   f"status of {target}")
        dm.dmsetup("remove", name, check=True)
    test.equal(shown[1], shown[0].replace(f" {dm.STOCK} ", f" {dm.TARGET} "), "the lines")
    test.check(XTS in shown[1], "the key is shown")


@tap.test("by default no command prints a hex key, and what is printed cannot be loaded")
def test_hidden_key(test):
    if not kernel.has_parameter("hide_keys"):
        raise tap.Skip("stock is under test")
    backing = test.enter(blockdev.NullBlk(1))
    test.equal(kernel.parameter("hide_keys"), "Y", "hide_keys as loaded")
    mapping = test.enter(dm.crypt(fill("aes-xts-plain64 XTS 8 DEV 16", backing), SECTORS))
    hidden = f"aes-xts-plain64 - 8 {backing.dev} 16"
    test.equal(mapping.line(), hidden, "the line from the ioctl")
    for command in (["table"], ["table", "--showkeys"], ["table", "--showkeys", "--inactive"],
                    ["status"], ["info"], ["status", "-v"], ["table", "--concise", "--showkeys"]):
        run = dm.dmsetup(*command, mapping.name)
        test.check(XTS not in run.stdout + run.stderr, f"dmsetup {command} prints the key")
        test.check(XTS.upper() not in run.stdout, f"dmsetup {command} prints the key")
    run = dm.dmsetup("table", "--showkeys", mapping.name)
    test.equal(run.stdout.strip(), f"0 {SECTORS} {dm.TARGET} {hidden}", "dmsetup table --showkeys")
    # Loading what was printed: an error, and the running mapping keeps its key.
    blockdev.write(mapping.path, 0, b"z" * 4096)
    log = test.enter(kernel.Log())
    run = dm.dmsetup("reload", mapping.name, table=run.stdout)
    test.check(run.returncode != 0, "the hidden line was taken")
    test.check(any("Error decoding and setting key" in text for text in log.read()), "its text")
    dm.suspend(mapping.name)
    dm.resume(mapping.name)
    test.check(blockdev.read(mapping.path, 0, 4096) == b"z" * 4096, "the mapping as before")
    # A table that is loaded and not yet live is a table too.
    dm.load(mapping.name, [(0, SECTORS, dm.TARGET, fill("aes-cbc-plain CBC 0 DEV 0", backing))])
    test.equal(dm.status(mapping.name, inactive=True)[0][3], f"aes-cbc-plain - 0 {backing.dev} 0",
               "the inactive table")
    dm.clear(mapping.name)


@tap.test("hide_keys works at run time, for mappings that are there already")
def test_hide_switch(test):
    if not kernel.has_parameter("hide_keys"):
        raise tap.Skip("stock is under test")
    backing = test.enter(blockdev.NullBlk(1))
    mapping = test.enter(dm.crypt(fill("aes-xts-plain64 XTS 8 DEV 16", backing), SECTORS))
    with kernel.Parameter("hide_keys", "N"):
        test.check(XTS in mapping.line(), "shown while hide_keys=N")
    test.check(XTS not in mapping.line(), "hidden again")
    null = test.enter(dm.crypt(f"cipher_null-ecb - 0 {backing.dev} 0", SECTORS))
    printed = null.line()
    test.equal(printed, f"cipher_null-ecb - 0 {backing.dev} 0", "a keyless cipher")
    null.reload([(0, SECTORS, dm.TARGET, printed)])
    test.equal(null.line(), printed, "a keyless cipher's line can be loaded again")


@tap.test("dmsetup create loads the module by itself")
def test_autoload(test):
    if kernel.loaded(kernel.MODULE):
        run = kernel.rmmod(kernel.MODULE)
        test.require(run.returncode == 0, f"rmmod: {run.stderr}")
    test.check(not kernel.loaded(kernel.MODULE), "unloaded")
    backing = test.enter(blockdev.NullBlk(1))
    name = dm.unique()
    table = f"0 {SECTORS} {dm.TARGET} " + fill("aes-xts-plain64 XTS 0 DEV 0", backing)
    run = dm.dmsetup("create", name, table=table)
    test.require(run.returncode == 0, f"dmsetup create: {run.stderr}")
    test.check(kernel.loaded(kernel.MODULE), "loaded")
    test.equal(kernel.users(kernel.MODULE), 1, "one user")
    dm.dmsetup("remove", name, check=True)
    test.equal(kernel.users(kernel.MODULE), 0, "no user")


@tap.test("the version that dmsetup targets shows")
def test_version(test):
    run = dm.dmsetup("targets", check=True)
    test.check(re.search(rf"^{dm.TARGET}\s+v\d+\.\d+\.\d+$", run.stdout, re.M), run.stdout)


@tap.test("no key of any test above is in the kernel's log")
def test_keys_not_logged(test):
    text = subprocess.run(["dmesg"], check=True, stdout=subprocess.PIPE, text=True).stdout.lower()
    test.check(f": {dm.TARGET}: " in text, "the log still has what the suite provoked")
    for key in (XTS, CBC):
        # Any eight bytes of it are too many.
        pieces = [key[at:at + 16] for at in range(0, len(key) - 15, 2)]
        test.check(not any(piece in text for piece in pieces), "a key is in the log")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    tap.main()
