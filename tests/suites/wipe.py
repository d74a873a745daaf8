#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A key that a mapping no longer has, or was refused with, is nowhere in memory."""

import contextlib
import functools
import itertools
import re

import blockdev
import dm
import integrity
import kernel
import memory
import tap

# (cipher, key bytes, options): each takes the key, or a part of it, to other places.
CIPHERS = [
    ("aes-xts-plain64", 64, ""),
    ("aes-cbc-essiv:sha256", 32, ""),
    ("aes:64-cbc-lmk", 1040, ""),
    ("aes-cbc-tcw", 64, ""),
    ("aes-cbc-elephant", 32, ""),
    ("capi:gcm(aes)-random", 32, " 1 integrity:28:aead"),
    ("capi:authenc(hmac(sha256),cbc(aes))-random", 64, " 1 integrity:48:aead"),
]
# Lines that are refused, each at another step of the constructor: cipher, key bytes, and what is
# behind the key; {dev} is the device.
REFUSED = [
    ("its cipher", "nosuch-xts-plain64", 64, "0 {dev} 0"),
    ("its key size", "aes-xts-plain64", 56, "0 {dev} 0"),
    ("an option", "aes-xts-plain64", 64, "0 {dev} 0 1 nosuch"),
    ("its device, with the key set", "aes-xts-plain64", 64, "0 no-such-device 0"),
]
WINDOW = 16

_numbers = itertools.count(100)


def new_secret(size):
    return memory.Secret(next(_numbers), size)


def _window(get, start, at):
    return get(start + at)


def remnants(**secrets):
    """Which parts of these are in memory: of each a part in every quarter, binary and as text."""
    getters = {}
    for name, secret in secrets.items():
        quarter = secret.size // 4 // 8 * 8
        for start in range(0, secret.size - WINDOW + 1, quarter):
            getters[f"{name} from byte {start}"] = functools.partial(_window, secret.byte, start)
            getters[f"{name} from digit {2 * start}"] = functools.partial(
                _window, secret.digit, 2 * start)
    return memory.find(getters, 0, WINDOW)


def load(name, target, cipher, secret, rest, sectors=64):
    dm.load_in_place(name, sectors, target,
                     itertools.chain(f"{cipher} ".encode(), secret.digits(), f" {rest}".encode()))


@contextlib.contextmanager
def mapping(test, cipher, secret, device, options=""):
    """A live mapping that has encrypted something: what it keeps of its key is in place."""
    name = dm.unique()
    dm.create(name)
    try:
        load(name, dm.TARGET, cipher, secret, f"0 {device.dev} 0{options}")
        dm.resume(name)
        dm.dmsetup("mknodes", name, check=True)
        path = f"/dev/mapper/{name}"
        blockdev.write(path, 0, b"x" * 4096)
        test.check(blockdev.read(path, 0, 4096) == b"x" * 4096, "it can be read back")
        yield name
    finally:
        dm.remove(name)


@tap.test("what is in memory is found, in either form")
def test_control(test):
    secret = new_secret(64)
    test.equal(remnants(key=secret), set(), "found before")
    text, binary = bytearray(secret.digits()), bytearray(map(secret.byte, range(64)))
    found = remnants(key=secret)
    text[:], binary[:] = bytes(128), bytes(64)
    test.equal(len(found), 8, f"parts found of {found}")
    test.equal(remnants(key=secret), set(), "found after")


@tap.each("of {0}: neither the message key wipe nor removal leaves a key", CIPHERS, sample=2)
def test_cipher(test, cipher, size, options):
    device = test.enter(blockdev.NullBlk(4))
    tag = re.search(r"integrity:(\d+)", options)
    if tag:
        device = test.enter(integrity.Integrity(device, int(tag[1]), 512))
    first, second = new_secret(size), new_secret(size)
    with mapping(test, cipher, first, device, options) as name:
        found = remnants(first=first)
        # Without this nothing below would prove anything.
        test.require(any("byte" in part for part in found), "it is found while in use")
        test.check(not any("digit" in part for part in found), f"its text: {found}")
        dm.suspend(name)
        dm.message(name, "key wipe")
        test.equal(remnants(first=first), set(), "found after the message key wipe")
        dm.message_in_place(name, itertools.chain(b"key set ", second.digits()))
        dm.resume(name)
        test.check(remnants(second=second), "the second key is found while in use")
    test.equal(remnants(first=first, second=second), set(), "found after removal")


@tap.each("nothing is left of the key of a line that is refused for {0}", REFUSED, sample=2)
def test_refused(test, _reason, cipher, size, rest):
    device = test.enter(blockdev.NullBlk(1))
    secret = new_secret(size)
    name = dm.unique()
    dm.create(name)
    test.defer(dm.remove, name)
    try:
        load(name, dm.TARGET, cipher, secret, rest.format(dev=device.dev))
        test.fail("it was not refused")
    except OSError:
        pass
    test.equal(remnants(key=secret), set(), "found after it was refused")


@tap.test("nothing is left of the key of a table that is replaced, or cleared before it was live")
def test_replaced(test):
    device = test.enter(blockdev.NullBlk(1))
    old, new, never = [new_secret(64) for _ in range(3)]
    cipher, rest = "aes-xts-plain64", f"0 {device.dev} 0"
    with mapping(test, cipher, old, device) as name:
        load(name, dm.TARGET, cipher, new, rest)
        test.check(remnants(new=new), "the key of the inactive table is found")
        dm.suspend(name)
        dm.resume(name)
        load(name, dm.TARGET, cipher, never, rest)
        dm.clear(name)
        test.equal(remnants(old=old, never=never), set(), "found after both are gone")
    test.equal(remnants(new=new), set(), "found after removal")


if __name__ == "__main__":
    kernel.modprobe("dm-crypt")
    kernel.modprobe("dm-integrity")
    kernel.modprobe(kernel.MODULE)
    kernel.hurry_rcu()
    tap.main()
