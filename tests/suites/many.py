#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A thousand mappings at once, or as many as a slow kernel makes in that time.

Each holds a megabyte in reserve, as one of the stock target does, so the machine needs the memory.
"""

import gc
import os

import blockdev
import cases
import dm
import kernel
import tap

COUNT = 1000 // tap.SLOWNESS
SECTORS = 64
# What the kernel itself keeps of so many devices, of stock's too. The reserve of each is 1024 KiB.
SLACK_KIB = 10_000
BLOB = os.urandom(SECTORS * 512 + COUNT)


def content(number):
    return BLOB[number:][:SECTORS * 512]


@tap.test(f"{COUNT} mappings at once, each with its own key and data", timeout=900)
def test_many(test):
    # The device's end is what the last mapping has beyond its own part.
    backing = test.enter(blockdev.NullBlk(COUNT * SECTORS // 2048 + 1))
    before = kernel.users(kernel.MODULE)
    mappings = []
    for number in range(COUNT):
        line = cases.line("aes-xts-plain64", f"{number:0128x}", 0, backing.dev, number * SECTORS)
        mappings.append(test.enter(dm.crypt(line, SECTORS)))
    test.equal(kernel.users(kernel.MODULE), before + COUNT, "users of the module")
    tap.diag(f"{kernel.meminfo()['MemFree'] >> 10} MiB of memory are still free")

    def write(first):
        for number in range(first, COUNT, 4):
            blockdev.write(mappings[number].path, 0, content(number))
    test.threads([lambda first=first: write(first) for first in range(4)], 300)
    for number, mapping in enumerate(mappings):
        test.check(blockdev.read(mapping.path, 0, SECTORS * 512) == content(number),
                   f"mapping {number} reads what was written to it")
    for number in (0, 1, COUNT // 2, COUNT - 1):
        line = cases.line("aes-xts-plain64", f"{number:0128x}", 0, backing.dev, number * SECTORS)
        with dm.crypt(line, SECTORS, dm.STOCK) as stock:
            test.check(blockdev.read(stock.path, 0, SECTORS * 512) == content(number),
                       f"stock reads what mapping {number} wrote")


@tap.test("all that they took comes back")
def test_memory_comes_back(test):
    test.equal(kernel.users(kernel.MODULE), 0, "users of the module")
    test.equal(kernel.threads("kcryptd", "dmcrypt_write"), [], "threads left behind")
    run = kernel.rmmod(kernel.MODULE)
    test.check(run.returncode == 0, f"rmmod: {run.stderr}")
    gc.collect()
    lost = kernel.less_free_kib(FREE_KIB)
    tap.diag(f"{lost} KiB less free than before")
    test.check(lost < SLACK_KIB, f"{lost} KiB less free than before")


if __name__ == "__main__":
    kernel.modprobe("dm-crypt")
    FREE_KIB = kernel.free_kib()
    kernel.modprobe(kernel.MODULE)
    kernel.hurry_rcu()
    tap.main()
