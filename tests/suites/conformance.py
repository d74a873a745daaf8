#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What crypt-bulk puts on the disk is what stock puts there; what stock refuses, it refuses."""

import hashlib
import os
import re

import blockdev
import cases
import dm
import exchange
import kernel
import tap

KIB = 1024
# A mapping's size in the common scheme.
SIZE = 96 * KIB
BLOB = os.urandom(8 << 20)
HASHES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ciphertext.txt")

# (cipher, key bytes); stock need not accept them all: refusals are compared as well.
CIPHERS = [
    ("aes-xts-plain64", 32), ("aes-xts-plain64", 64), ("aes-xts-plain64", 48),
    ("aes-xts-plain", 64), ("aes-xts-plain64be", 64), ("aes-xts-null", 64),
    ("aes-xts-essiv:sha256", 64), ("aes-xts-benbi", 64), ("aes-xts-eboiv", 64),
    ("aes-cbc-plain", 16), ("aes-cbc-plain", 24), ("aes-cbc-plain64", 32),
    ("aes-cbc-plain64be", 32), ("aes-cbc-null", 32), ("aes-cbc-essiv:sha256", 32),
    ("aes-cbc-essiv:md5", 16), ("aes-cbc-essiv:sha1", 32), ("aes-cbc-essiv:sha512", 32),
    ("aes-cbc-benbi", 32), ("aes-cbc-eboiv", 32),
    ("aes-ecb", 32), ("aes-ecb-null", 32), ("aes-ecb-plain64", 32), ("aes-ecb-eboiv", 32),
    ("aes-ecb-benbi", 32),
    ("aes-ctr-plain64", 32), ("aes-ctr-benbi", 32), ("aes-ctr-eboiv", 32),
    ("aes-lrw-benbi", 48), ("aes-lrw-plain64", 48),
    ("aes", 32), ("aes-plain", 32), ("aes-plain-plain64", 32), ("aes-cbc", 32),
    ("aes:2-cbc-plain64", 64), ("aes:4-cbc-plain64be", 64), ("aes:64-cbc-plain64", 1024),
    ("aes:64-cbc-null", 1024), ("aes:2-cbc-essiv:sha256", 64), ("aes:2-xts-plain64", 128),
    ("aes:2-cbc-eboiv", 64), ("aes:4-cbc-benbi", 128), ("aes:2", 64), ("aes:3-cbc-plain64", 96),
    ("aes:2-ecb", 64), ("aes:1-xts-plain64", 64), ("aes:0-cbc-plain", 32), ("aes:-cbc-plain", 32),
    ("serpent-xts-plain64", 64), ("serpent-cbc-plain64", 32), ("serpent-cbc-essiv:sha256", 32),
    ("twofish-xts-plain64", 64), ("twofish-cbc-eboiv", 32),
    ("camellia-xts-plain64", 64), ("camellia-cbc-benbi", 32),
    # Ciphers of 8-byte blocks: IVs of 8 bytes.
    ("blowfish-cbc-plain64", 32), ("blowfish-cbc-benbi", 32), ("blowfish-cbc-plain64be", 16),
    ("blowfish-cbc-eboiv", 16), ("des3_ede-cbc-plain", 24), ("cast5-cbc-essiv:md5", 16),
    ("cipher_null-ecb", 0), ("cipher_null-ecb-null", 0), ("cipher_null-ecb-plain64", 0),
    ("cipher_null-cbc-plain64", 0), ("cipher_null-ecb", 16),
    ("capi:xts(aes)-plain64", 64), ("capi:cbc(aes)-essiv:sha256", 32), ("capi:ecb(aes)", 32),
    ("capi:cbc(aes)-plain", 32), ("capi:cbc(aes)-plain64be", 32), ("capi:xts(aes)-null", 64),
    ("capi:cbc(aes)-benbi", 32), ("capi:xts(aes)-eboiv", 64),
    ("capi:essiv(cbc(aes),sha256)-plain64", 32), ("capi:essiv(cbc(aes),sha256)-essiv:sha256", 32),
    (f"capi:xts(ecb({kernel.AES}))-plain64", 64), ("capi:ecb(cipher_null)-null", 0),
    ("capi:ecb(cipher_null)", 0),
    # IVs that touch the data. Loop-AES: 64 keys, and one more for a seed.
    ("aes:64-cbc-lmk", 1024), ("aes:64-cbc-lmk", 1040), ("aes:64-cbc-lmk", 2080),
    ("aes-cbc-lmk", 16), ("aes:2-cbc-lmk", 33), ("aes:2-cbc-lmk", 48),
    ("blowfish:64-cbc-lmk", 1040), ("capi:cbc(aes)-lmk", 1024), ("capi:cbc(aes)-lmk", 1040),
    ("aes-cbc-tcw", 64), ("aes-cbc-tcw", 32), ("aes-cbc-tcw", 33), ("aes-cbc-tcw", 16),
    ("twofish-cbc-tcw", 64), ("blowfish-cbc-tcw", 40), ("des3_ede-cbc-tcw", 48),
    ("capi:cbc(serpent)-tcw", 64),
    ("aes-cbc-elephant", 32), ("aes-cbc-elephant", 64), ("aes-cbc-elephant", 48),
    ("aes-cbc-elephant", 128), ("aes-xts-elephant", 64), ("capi:cbc(aes)-elephant", 32),
    # Nowhere to store the IV.
    ("aes-cbc-random", 32), ("capi:xts(aes)-random", 64),
    # IVs of 32 bytes, and the cipher that works on the sector as one block.
    ("capi:adiantum(xchacha12,aes)-plain64", 32), ("capi:hctr2(aes)-plain64", 32),
    ("capi:xctr(aes)-plain64", 32), ("capi:cts(cbc(aes))-plain64", 32),
]

# Ciphers that complete asynchronously, with key sizes.  cryptd wraps what is itself synchronous,
# by its driver's name; the drivers of AES-NI go through cryptd only where the FPU is in use.
XTS_AESNI = "xts(ecb(aes-aesni))" if "aes-aesni" in kernel.crypto_users() else "xts-aes-aesni"
ASYNC = [(cases.CRYPTD, 64),
         (f"capi:cryptd({XTS_AESNI})-plain64", 64),
         (f"capi:cryptd(cbc({kernel.AES}))-plain64be", 32),
         (f"capi:cryptd(cbc({kernel.AES}))-eboiv", 32),
         ("capi:cryptd(cbc(serpent-generic))-benbi", 32),
         (f"capi:cryptd(lrw(ecb({kernel.AES})))-benbi", 48),
         (f"capi:cryptd(cbc({kernel.AES}))-lmk", 1040),
         (f"capi:cryptd(cbc({kernel.AES}))-tcw", 64),
         (f"capi:cryptd(cbc({kernel.AES}))-elephant", 64)]
# Ciphers whose every combination is tried with two pairs of offsets; the others have one each.
THOROUGH = {"aes-xts-plain64", "aes-xts-plain", "aes-cbc-essiv:sha256", "aes-cbc-plain64",
            "aes-xts-benbi", "aes-xts-eboiv", "aes:2-cbc-plain64"}


def variants(thorough):
    """(options, iv_offset, device offset): every sector size, each with and without the options."""
    both = [(0, 0), (0x1_2345_6788, 40)]
    index = 0
    for size in (512, 1024, 2048, 4096):
        for large in (False, True):
            words = [] if size == 512 else [f"sector_size:{size}"]
            if large:
                words.append("iv_large_sectors")
            # A device offset may be odd; iv_offset is beyond 32 bits, a multiple of every sector
            # size and no power of 2.
            offsets = both if thorough else [both[(index + large) % 2]]
            for iv_offset, offset in offsets:
                yield words, iv_offset, offset + 1 if offset and size == 512 else offset
            index += 1


def fits(cipher, options):
    """Do lmk and tcw, which know sectors of 512 bytes alone, have to take these options?"""
    small = cipher.endswith(("-lmk", "-tcw"))
    return not small or not any(word.startswith("sector_size:") for word in options)


def try_both(test, backing, cipher, key, options, iv_offset, offset, size=SIZE, judge=None):
    """Write with each target and read with the other; False when both refuse the line.

    judge is the cipher for stock, where that is not to have the same.
    """
    sectors = size // 512
    shown = f"{cipher} key {len(key) // 2} iv_offset {iv_offset} offset {offset} {options}"
    both = []
    for target, name in ((dm.STOCK, judge or cipher), (dm.TARGET, cipher)):
        line = cases.line(name, key, iv_offset, backing.dev, offset, options)
        try:
            both.append(dm.crypt(line, sectors, target))
        except OSError as error:
            both.append(error)
    failed = [isinstance(one, OSError) for one in both]
    try:
        if any(failed):
            test.equal(*reversed([one.errno if isinstance(one, OSError) else 0 for one in both]),
                       f"errno for {shown}")
            return False
        stock, bulk = both
        if not judge:
            test.equal(bulk.line(), stock.line(), f"printed line for {shown}")
        compare(test, backing, stock, bulk, offset << 9, size, shown)
        return True
    finally:
        for one in both:
            if isinstance(one, dm.Mapping):
                dm.remove(one.name)


def compare(test, backing, stock, bulk, start, size, shown):
    """The four transfers, on one device below both mappings."""
    # Three requests, so that sector numbers do not always start from the mapping's 0.
    pieces = [(at, BLOB[at:end]) for at, end in ((0, 4096), (4096, size - 8192),
                                                 (size - 8192, size))]
    with blockdev.Direct(backing.path) as raw, blockdev.Direct(stock.path) as one, \
            blockdev.Direct(bulk.path) as other:
        wrong = exchange.both_ways(raw, one, other, start, size, pieces)
    test.equal(wrong, [], shown)


@tap.each("{0} with a key of {1} bytes", CIPHERS, sample=6)
def test_cipher(test, cipher, key_size):
    test.enter(cases.keys_shown())
    key = cases.key(key_size)
    jobs = list(variants(cipher in THOROUGH))
    accepted = []

    def some(mine, backing):
        for options, iv_offset, offset in mine:
            if try_both(test, backing, cipher, key, options, iv_offset, offset):
                accepted.append(options)
            elif fits(cipher, options):
                # The cipher itself is refused; the options do not matter.
                return
    # What takes the time is device-mapper waiting for RCU: two at once take hardly longer.
    test.threads([lambda half=half: some(jobs[half::2], BACKINGS[half]) for half in (0, 1)])
    tap.diag(f"{len(accepted)} combinations written and read" if accepted else "refused by both")
    wanted = sum(fits(cipher, options) for options, _, _ in jobs)
    test.check(len(accepted) in (0, wanted), f"{len(accepted)} of {wanted} accepted")


@tap.each("asynchronous driver {0}", ASYNC, sample=2)
def test_async(test, cipher, key_size):
    kernel.load_cryptd()
    judge = None
    if "elephant" in cipher and not kernel.COUNTS:
        # Stock asks for memory where it may not sleep then, and this kernel checks that.
        judge = re.sub(r"cryptd\((.*)\)", r"\1", cipher)
    backing = test.enter(blockdev.NullBlk(4))
    test.enter(cases.keys_shown())
    for options in ([], ["sector_size:4096", "iv_large_sectors"]):
        done = try_both(test, backing, cipher, cases.key(key_size), options, 16, 8, 512 * KIB,
                        judge)
        test.equal(done, fits(cipher, options), f"both take {cipher} {options}")


@tap.test("an asynchronous driver whose queue overflows, under several writers")
def test_backlog(test):
    # 4 x 1 MiB in sectors of 512: 8192 requests against cryptd's queue of 1000 a CPU.
    kernel.load_cryptd()
    backing = test.enter(blockdev.NullBlk(8))
    line = cases.line(ASYNC[0][0], cases.key(64), 0, backing.dev)
    stock = test.enter(dm.crypt(line, 8 << 11, dm.STOCK))
    bulk = test.enter(dm.crypt(line, 8 << 11))

    def transfer(index):
        at, data = index << 20, BLOB[index << 20:(index + 1) << 20]
        with blockdev.Direct(bulk.path) as device:
            for _ in range(2):
                device.write(at, data)
                test.check(device.read(at, 1 << 20) == data, f"read back at MiB {index}")
    test.threads([lambda index=index: transfer(index) for index in range(4)])
    test.check(blockdev.read(stock.path, 0, 4 << 20) == BLOB[:4 << 20], "stock reads it")


@tap.each("8 MiB in one request: {}",
          ["aes-xts-plain64", "aes-cbc-essiv:sha256", "aes:4-cbc-plain"], sample=1)
def test_large(test, cipher):
    backing = test.enter(blockdev.NullBlk(9, max_sectors=65535))
    test.enter(cases.keys_shown())
    size = 128 if cipher.startswith("aes:4") else 64 if "xts" in cipher else 32
    for options in ([], ["sector_size:4096"], ["sector_size:4096", "iv_large_sectors"]):
        done = try_both(test, backing, cipher, cases.key(size), options, 8, 8, 8 << 20)
        test.check(done, f"stock refuses {cipher} {options}")


def image(test, backing, cipher, iv_offset, size=8192, options=(), target=dm.TARGET):
    """The ciphertext that target writes for the first bytes of a fixed plaintext."""
    line = cases.line(cipher, cases.key(64 if "xts" in cipher else 32), iv_offset, backing.dev, 0,
                      options)
    with dm.crypt(line, size // 512, target) as mapping:
        blockdev.write(mapping.path, 0, bytes(range(256)) * (size // 256))
        return blockdev.read(backing.path, 0, size)


@tap.test("plain wraps at sector 2^32, plain64 and plain64be do not")
def test_wrap_32(test):
    backing = test.enter(blockdev.NullBlk(1))
    edge = 1 << 32
    for mode, wraps in (("plain", True), ("plain64", False), ("plain64be", False)):
        cipher = f"aes-xts-{mode}"
        low = image(test, backing, cipher, 0)
        high = image(test, backing, cipher, edge)
        test.equal(low == high, wraps, f"{mode}: sector 2^32 is encrypted as sector 0")
        across = image(test, backing, cipher, edge - 8)
        test.check(across[4096:] == high[:4096], f"{mode}: counting on across 2^32")
        test.check(across == image(test, backing, cipher, edge - 8, target=dm.STOCK),
                   f"{mode}: stock across 2^32")


@tap.test("sector numbers wrap at 2^64 as stock's do")
def test_wrap_64(test):
    backing = test.enter(blockdev.NullBlk(1))
    for mode in ("plain", "plain64", "plain64be", "benbi", "essiv:sha256", "eboiv"):
        for options in ((), ("sector_size:4096",), ("sector_size:4096", "iv_large_sectors")):
            wanted = image(test, backing, f"aes-cbc-{mode}", 2**64 - 8, options=options,
                           target=dm.STOCK)
            got = image(test, backing, f"aes-cbc-{mode}", 2**64 - 8, options=options)
            test.check(got == wanted, f"{mode} {options} across 2^64")


@tap.test("iv_large_sectors counts sectors of the given size")
def test_large_sector_count(test):
    backing = test.enter(blockdev.NullBlk(1))
    plain = image(test, backing, "aes-xts-plain64", 0, options=("sector_size:4096",))
    large = image(test, backing, "aes-xts-plain64", 0,
                  options=("sector_size:4096", "iv_large_sectors"))
    test.check(plain[:4096] == large[:4096], "sector 0 has IV 0 either way")
    test.check(plain[4096:] != large[4096:], "the second sector has IV 8, or 1")
    shifted = image(test, backing, "aes-xts-plain64", 64,
                    options=("sector_size:4096", "iv_large_sectors"))
    eighth = image(test, backing, "aes-xts-plain64", 8, options=("sector_size:4096",))
    test.check(shifted[:4096] == eighth[:4096], "iv_offset 64 is 8 sectors of 4096")


@tap.test("a device of more than 2^32 sectors")
def test_beyond_2tib(test):
    backing = test.enter(blockdev.SparseLoop(5 << 40))
    edge = 1 << 32
    for cipher in ("aes-xts-plain64", "aes-xts-plain", "aes-cbc-benbi", "aes-cbc-essiv:sha256"):
        line = cases.line(cipher, cases.key(64 if "xts" in cipher else 32), 0, backing.dev, 16)
        with dm.crypt(line, backing.sectors - 16) as bulk, \
                dm.crypt(line, backing.sectors - 16, dm.STOCK) as stock:
            for sector in (edge - 8, edge * 2 - 8, edge + 8):
                data = BLOB[sector % 4096:][:8192]
                blockdev.write(bulk.path, sector << 9, data)
                test.check(blockdev.read(stock.path, sector << 9, 8192) == data,
                           f"{cipher}: written by crypt-bulk at sector {sector}")
                first = blockdev.read(backing.path, (sector + 16) << 9, 8192)
                blockdev.write(stock.path, sector << 9, data)
                test.check(blockdev.read(backing.path, (sector + 16) << 9, 8192) == first,
                           f"{cipher}: ciphertext at sector {sector}")
                test.check(blockdev.read(bulk.path, sector << 9, 8192) == data,
                           f"{cipher}: written by stock at sector {sector}")


def fixed_image(backing, cipher, key_size, iv_offset, options, target):
    """SHA-256 of the ciphertext of 32 KiB of a known plaintext."""
    plain = b"".join(hashlib.sha256(index.to_bytes(4, "little")).digest() for index in range(1024))
    line = cases.line(cipher, cases.key(key_size), iv_offset, backing.dev, 0, options)
    with dm.crypt(line, len(plain) // 512, target) as mapping:
        blockdev.write(mapping.path, 0, plain)
        return hashlib.sha256(blockdev.read(backing.path, 0, len(plain))).hexdigest()


def fixed_cases():
    with open(HASHES) as file:
        for text in file:
            if not text.startswith("#"):
                cipher, size, iv_offset, options, digest = text.split()
                words = [] if options == "-" else options.split(",")
                yield cipher, int(size), int(iv_offset), words, digest


@tap.test("ciphertext has the hashes recorded once from the stock target")
def test_fixed(test):
    backing = test.enter(blockdev.NullBlk(1))
    for cipher, size, iv_offset, options, digest in fixed_cases():
        if os.environ.get("DCB_RECORD"):
            digest = fixed_image(backing, cipher, size, iv_offset, options, dm.STOCK)
            tap.diag(f"{cipher} {size} {iv_offset} {','.join(options) or '-'} {digest}")
        test.equal(fixed_image(backing, cipher, size, iv_offset, options, dm.TARGET), digest,
                   f"{cipher} key {size} iv_offset {iv_offset} {options}")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    BACKINGS = [blockdev.NullBlk(1), blockdev.NullBlk(1)]
    tap.main()
