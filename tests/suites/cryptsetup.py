#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""cryptsetup, unmodified, on the module as the target crypt: its own formats."""

import base64
import hashlib

import blockdev
import kernel
import tap
import volumes

LUKS2 = [
    ("default", []),
    ("4096-byte sectors", ["--sector-size", "4096"]),
    ("aes-cbc-essiv", ["--cipher", "aes-cbc-essiv:sha256", "--key-size", "256"]),
    ("adiantum", ["--cipher", "xchacha12,aes-adiantum-plain64", "--key-size", "256",
                  "--sector-size", "4096"]),
    ("serpent", ["--cipher", "serpent-xts-plain64", "--sector-size", "2048"]),
    ("hmac-sha256", ["--integrity", "hmac-sha256"]),
    ("hmac-sha256 and 4096-byte sectors", ["--integrity", "hmac-sha256", "--sector-size", "4096"]),
    ("hmac-sha512 without a journal", ["--integrity", "hmac-sha512", "--integrity-no-journal"]),
    ("hmac-sha256 and random IVs", ["--cipher", "aes-xts-random", "--integrity", "hmac-sha256"]),
    ("aes-gcm", ["--cipher", "aes-gcm-random", "--integrity", "aead"]),
    ("chacha20-poly1305", ["--cipher", "chacha20-random", "--integrity", "poly1305",
                           "--sector-size", "4096"]),
]
PLAIN = [
    ("default", []),
    ("aes-xts and offsets", ["--cipher", "aes-xts-plain64", "--key-size", "512", "--hash",
                             "sha512", "--offset", "32", "--skip", "4096"]),
    ("4096-byte sectors", ["--cipher", "aes-xts-plain64", "--key-size", "256", "--hash",
                           "sha256", "--sector-size", "4096", "--iv-large-sectors"]),
    ("aes-cbc-null", ["--cipher", "aes-cbc-null", "--key-size", "128", "--hash", "ripemd160"]),
]
# Key lines of a loop-AES file: one for plain CBC, 64 for lmk, and 65 with its own IV seed.
LOOP_AES = [(1, 128), (64, 128), (64, 256), (65, 128), (65, 256)]


def backing(test):
    return test.enter(blockdev.NullBlk(4))


@tap.test("LUKS1, in both directions")
def test_luks1(test):
    volumes.both_ways(test, volumes.luks(backing(test), version=1))


@tap.each("LUKS2 ({0}), in both directions", LUKS2, sample=3)
def test_luks2(test, _title, options):
    volumes.both_ways(test, volumes.luks(backing(test), *options))


@tap.test("LUKS2 with the key in the table, in both directions")
def test_luks2_no_keyring(test):
    volume = volumes.luks(backing(test))
    volume.opening += ("--disable-keyring",)
    volumes.both_ways(test, volume)


@tap.each("plain ({0}), in both directions", PLAIN, sample=1)
def test_plain(test, _title, options):
    opening = ["--batch-mode", "--type", "plain", *options]
    volumes.both_ways(test, volumes.Volume(backing(test), opening, b"a passphrase\n"))


@tap.each("loop-AES with {0} key(s) of {1} bits, in both directions", LOOP_AES, sample=1)
def test_loop_aes(test, count, bits):
    lines = [base64.b64encode(hashlib.sha512(f"key {n}".encode()).digest()[:45]) + b"\n"
             for n in range(count)]
    opening = ["--type", "loopaes", "--key-size", str(bits), "--key-file", "-"]
    volumes.both_ways(test, volumes.Volume(backing(test), opening, b"".join(lines)))


if __name__ == "__main__":
    kernel.hurry_rcu()
    kernel.open_crypto_api()
    tap.main()
