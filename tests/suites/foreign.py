#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Volumes of TrueCrypt, VeraCrypt and BitLocker, opened by cryptsetup on the module as crypt.

The volumes are those that cryptsetup itself is tested with, made by the programs that they are
named after: what is in them is known.  /mnt/share/extra holds them, see tests/vm/foreign-volumes.
"""

import configparser
import functools
import os
import tarfile

import blockdev
import dm
import kernel
import tap
import volumes

ARCHIVES = "/mnt/share/extra"
DIRECTORY = "/tmp/dcb-foreign"
# Where a FAT has its serial number, in FAT12 and FAT16; the volumes' is DEAD-BABE.
FAT_SERIAL = slice(39, 43)
SERIAL = bytes.fromhex("bebaadde")
HIDDEN_SERIAL = bytes.fromhex("bebafeca")

# Volumes, and the IV mode or what else each stands for. The hash and the cipher are in the name.
TCRYPT = [
    ("tc_5-sha512-xts-aes", "plain64"),
    ("tc_5-sha512-xts-serpent-twofish-aes", "three mappings, one on the other"),
    ("tc_2-ripemd160-lrw-aes-twofish", "lrw with benbi"),
    ("tc_1-sha1-cbc-des3_ede", "tcw"),
    ("tc_1-sha1-cbc-cast5", "tcw of 8 bytes"),
]
# Stretching its password takes 15 s: once for each target.
VERACRYPT = "vc_1-sha512-xts-aes"
# Encrypted by Windows in more than one segment.
BITLK = [
    ("bitlk-aes-xts-128", "plain64"),
    ("bitlk-aes-cbc-128", "eboiv"),
    ("bitlk-aes-cbc-128-4k", "eboiv with 4096-byte sectors"),
    ("bitlk-aes-cbc-elephant-128", "elephant"),
]


@functools.cache
def unpacked(kind):
    """The directory of these volumes."""
    with tarfile.open(f"{ARCHIVES}/{kind}-images.tar.xz") as archive:
        archive.extractall(DIRECTORY)
    return f"{DIRECTORY}/{kind}-images"


def image(test, kind, name):
    """A block device of exactly the volume's size, and with what is in it."""
    path = os.path.join(unpacked(kind), name)
    device = test.enter(blockdev.SparseLoop(os.path.getsize(path)))
    with open(path, "rb") as source, open(device.path, "wb") as copy:
        position = 0
        while True:
            # The volumes are sparse; so is the device's file.
            try:
                position = os.lseek(source.fileno(), position, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(source.fileno(), position, os.SEEK_HOLE)
            while position < end:
                data = os.pread(source.fileno(), min(1 << 20, end - position), position)
                os.pwrite(copy.fileno(), data, position)
                position += len(data)
        os.fsync(copy.fileno())
    return device


def tcrypt(test, name, password, *options):
    _, digest, _, cipher = name.split("-")[:4]
    opening = ["--type", "tcrypt", "--hash", digest, "--cipher", cipher, *options]
    return volumes.Volume(image(test, "tcrypt", name), opening, password)


def check_fat(test, path, serial=SERIAL):
    test.equal(blockdev.read(path, 0, 512)[FAT_SERIAL], serial, "serial number of its FAT")


@tap.each("{0}, in both directions ({1})", TCRYPT, sample=2)
def test_tcrypt(test, name, _what):
    volume = tcrypt(test, name, b"a" * 12)
    volumes.provide(dm.TARGET)
    with volume.opened() as path:
        check_fat(test, path)
    volumes.both_ways(test, volume)


@tap.test("a hidden TrueCrypt volume")
def test_hidden(test):
    volume = tcrypt(test, "tc_5-sha512-xts-aes-hidden", b"b" * 12, "--tcrypt-hidden")
    volumes.provide(dm.TARGET)
    with volume.opened() as path:
        check_fat(test, path, HIDDEN_SERIAL)


@tap.test("a VeraCrypt volume, written to and read with stock")
def test_veracrypt(test):
    volume = tcrypt(test, VERACRYPT, b"a" * 12)
    volumes.provide(dm.TARGET)
    with volume.opened() as path:
        test.equal(volumes.provider(), dm.TARGET, "target that the volume uses")
        check_fat(test, path)
        written = volumes.fill(path)
        state = volume.state()
    volumes.provide(dm.STOCK)
    with volume.opened() as path:
        test.equal(volume.state(), state, "state with stock")
        test.equal(volumes.digest(path), written, "data as stock reads it")


@tap.each("{0}: what Windows wrote, and back and forth ({1})", BITLK, sample=2)
def test_bitlk(test, name, _what):
    known = configparser.ConfigParser()
    known.read(os.path.join(unpacked("bitlk"), "images.conf"))
    device = image(test, "bitlk", f"{name}.img")
    # The password is stretched once, to get at the key, and not at each opening.
    key = f"{DIRECTORY}/{name}.key"
    volumes.cryptsetup("bitlkDump", "--batch-mode", "--dump-volume-key", "--volume-key-file", key,
                       device.path, secret=known[name]["PW"].encode())
    volume = volumes.Volume(device, ["--type", "bitlk", "--volume-key-file", key], b"")
    volumes.provide(dm.TARGET)
    with volume.opened() as path:
        test.equal(volumes.provider(), dm.TARGET, "target that the volume uses")
        test.equal(volumes.digest(path), known[name]["SHA256SUM"], "digest of what it holds")
        state = volume.state()
        # In two of its segments; what lies over the metadata is no place to write to.
        places = [(start + length // 2) * 512 // 4096 * 4096
                  for start, length, target, _ in dm.status(volume.NAME) if target == dm.STOCK]
        test.require(len(places) > 1, "it has several encrypted segments")
        data = {place: os.urandom(65536) for place in places[1:]}
        for place, written in data.items():
            blockdev.write(path, place, written)
    volumes.provide(dm.STOCK)
    with volume.opened() as path:
        test.equal(volume.state(), state, "state with stock")
        for place, written in data.items():
            test.check(blockdev.read(path, place, 65536) == written, f"stock reads at {place}")
            blockdev.write(path, place, written[::-1])
    volumes.provide(dm.TARGET)
    with volume.opened() as path:
        for place, written in data.items():
            test.check(blockdev.read(path, place, 65536) == written[::-1],
                       f"what stock wrote at {place}")


if __name__ == "__main__":
    kernel.hurry_rcu()
    kernel.open_crypto_api()
    tap.main()
