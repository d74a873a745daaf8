#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A kernel in FIPS mode: what it forbids stock, it forbids crypt-bulk, and the rest is the same."""

import blockdev
import cases
import dm
import kernel
import tap

SECTORS = 64
DATA = bytes(range(256)) * 16
# (cipher, key bytes): what is allowed, what is not, and IV modes that use more than the cipher.
CIPHERS = [
    ("aes-xts-plain64", 64), ("aes-xts-plain64", 32), ("aes-cbc-essiv:sha256", 32),
    ("aes-cbc-essiv:md5", 16), ("aes-cbc-plain", 16), ("aes-cbc-benbi", 32), ("aes-cbc-eboiv", 32),
    ("aes-cbc-elephant", 64), ("aes-cbc-tcw", 64), ("aes-cbc-lmk", 16), ("aes:64-cbc-lmk", 1024),
    ("aes:64-cbc-lmk", 1040), ("serpent-xts-plain64", 64), ("des3_ede-cbc-plain", 24),
    ("capi:adiantum(xchacha12,aes)-plain64", 32), ("capi:gcm(aes)-random", 32),
    ("cipher_null-ecb", 0),
]


def verdicts(test, params):
    """What each target says of a line: the same, but for the reason that stock keeps to itself."""
    log = test.enter(kernel.Log())
    stock, bulk = [cases.judge(params, SECTORS, target, log) for target in (dm.STOCK, dm.TARGET)]
    test.equal(bulk.errno, stock.errno, f"errno for {params[:40]}")
    if stock.text != "Error creating IV":
        test.equal(bulk.text, stock.text, f"text for {params[:40]}")
    return stock, bulk


@tap.test("the kernel is in FIPS mode")
def test_mode(test):
    test.equal(blockdev.read_text("/proc/sys/crypto/fips_enabled"), "1", "fips_enabled")


@tap.each("{0} with a key of {1} bytes: allowed or not, and encrypted, as by stock", CIPHERS,
          sample=4)
def test_cipher(test, cipher, size):
    backing = test.enter(blockdev.NullBlk(1))
    key = cases.key(size)
    # FIPS mode wants the halves of an XTS key to differ.
    for digits in dict.fromkeys((key, key[:size] * 2 or "-")):
        params = cases.line(cipher, digits, 0, backing.dev)
        if any(verdict.errno for verdict in verdicts(test, params)):
            continue
        images = []
        for target in (dm.STOCK, dm.TARGET):
            with dm.crypt(params, SECTORS, target) as mapping:
                blockdev.write(mapping.path, 0, DATA)
                test.check(blockdev.read(mapping.path, 0, len(DATA)) == DATA, f"{target}: read")
            images.append(blockdev.read(backing.path, 0, len(DATA)))
        test.check(images[0] == images[1], "the same ciphertext")


@tap.test("something is forbidden, and something is not")
def test_effect(test):
    backing = test.enter(blockdev.NullBlk(1))
    for cipher, size, taken in (("aes-xts-plain64", 64, True), ("aes:64-cbc-lmk", 1024, False)):
        params = cases.line(cipher, cases.key(size), 0, backing.dev)
        for verdict in verdicts(test, params):
            test.equal(not verdict.errno, taken, cipher)


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    tap.main()
