#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The power fails: what was flushed, or written with FUA, is on the disk, and the rest is whole.

The log of dm-log-writes below the mapping is replayed up to each flush and each FUA write in turn,
and all blocks are read there, by the stock target.

ROUNDS=N	each writer flushes N times, instead of 12
"""

import hashlib
import os
import random

import blockdev
import cases
import dm
import kernel
import logwrites
import tap

ROUNDS = int(os.environ.get("ROUNDS") or 12)
BLOCK = 4096
# Each writer has so many blocks of its own.
BLOCKS, WRITERS = 24, 3
KEY = cases.key(64)


def content(block, version):
    """What a block holds in one of its versions; a hash finds any other."""
    if not version:
        return bytes(BLOCK)
    head = f"{block} {version} ".encode()
    return (head + hashlib.sha256(head).digest() * (BLOCK // 32 + 1))[:BLOCK]


class Model:
    """What each block must hold at least, and may hold at most, by what one writer did.

    At each of its marks, the version that is safe and the last one that was written.
    """

    def __init__(self, number):
        self.first = number * BLOCKS
        self.safe = [0] * BLOCKS
        self.last = [0] * BLOCKS
        self.durable = 0
        self.marks = [(list(self.safe), list(self.last))]

    def bounds(self, mark):
        """Versions that are allowed between a mark and the next."""
        following = self.marks[min(mark + 1, len(self.marks) - 1)]
        return list(zip(self.marks[mark][0], following[1]))

    def note(self):
        self.marks.append((list(self.safe), list(self.last)))
        return len(self.marks) - 1


def write(model, path, log, rng):
    """Blocks in new versions: one after the other, some with FUA, and a flush now and then."""
    with blockdev.Direct(path) as device:
        for _ in range(ROUNDS):
            unsafe = set()
            for _ in range(rng.randrange(1, 6)):
                block = rng.randrange(BLOCKS)
                model.last[block] += 1
                # A write that waits for a flush is logged after one with FUA that came later.
                durable = not rng.randrange(3) and block not in unsafe
                unsafe.add(block)
                where = (model.first + block) * BLOCK
                data = content(model.first + block, model.last[block])
                if not durable:
                    device.write(where, data)
                    continue
                with log.order:
                    device.write(where, data, os.RWF_DSYNC)
                    model.durable += 1
                    model.safe[block] = model.last[block]
                    log.mark(f"{model.first}:{model.note()}")
            with log.order:
                device.sync()
                model.safe = list(model.last)
                log.mark(f"{model.first}:{model.note()}")


def found_version(data, block):
    """The version that a block is in, or None."""
    if not any(data):
        return 0
    words = data[:40].split(b" ")
    if words[0] == b"%d" % block and words[1].isdigit() and data == content(block, int(words[1])):
        return int(words[1])
    return None


def check_cut(test, reader, models, marks, cut):
    for model in models:
        data = reader.read(model.first * BLOCK, BLOCKS * BLOCK)
        for block, (safe, last) in enumerate(model.bounds(marks[model.first])):
            found = found_version(data[block * BLOCK:][:BLOCK], model.first + block)
            test.check(found is not None and safe <= found <= last, f"cut {cut}: block "
                       f"{model.first + block} is in version {found}, not in {safe} to {last}")


def replay(test, log, device, reader, models):
    """Writes what the log has, and looks at each place where the power may have failed."""
    marks = {model.first: 0 for model in models}
    cuts = fua = 0
    with blockdev.Direct(device.path) as raw:
        for entry in logwrites.entries(log):
            if entry.mark is not None:
                first, number = map(int, entry.mark.split(":"))
                marks[first] = number
            elif entry.data:
                fua += entry.fua
                raw.write(entry.offset, entry.data)
            if entry.cut or entry.mark is not None:
                cuts += 1
                check_cut(test, reader, models, marks, cuts)
    return cuts, fua, marks


@tap.each("each power cut leaves what was flushed: {0}",
          ["default options", "bypass options", "4096-byte sectors", "asynchronous"])
def test_cuts(test, which):
    options, cipher = (), "aes-xts-plain64"
    if which == "bypass options":
        options = cases.BYPASS
    elif which == "4096-byte sectors":
        options = ("sector_size:4096", "same_cpu_crypt")
    elif which == "asynchronous":
        cipher = cases.CRYPTD
    size = BLOCKS * WRITERS * BLOCK
    device, fresh = test.enter(blockdev.cached(4)), test.enter(blockdev.NullBlk(4))
    log = test.enter(blockdev.NullBlk(64 + ROUNDS))

    def line(below):
        return cases.line(cipher, KEY, 0, below.dev, 8, options)
    models = [Model(number) for number in range(WRITERS)]
    with logwrites.LogWrites(device, log) as logged, dm.crypt(line(logged), size >> 9) as mapping:
        with blockdev.Direct(mapping.path) as whole:
            whole.write(0, bytes(size))
            whole.sync()
        has_fua = blockdev.read_text(f"{mapping.sysfs}/queue/fua") == "1"
        test.threads([lambda model=model: write(model, mapping.path, logged,
                                                random.Random(model.first))
                      for model in models], 60 + ROUNDS)
    written = sum(sum(model.last) for model in models)
    with dm.crypt(line(fresh), size >> 9, dm.STOCK) as stock:
        blockdev.write(stock.path, 0, bytes(size))
        with blockdev.Direct(stock.path) as reader:
            cuts, fua, marks = replay(test, log, fresh, reader, models)
    tap.diag(f"{written} writes, {cuts} power cuts replayed")
    test.check(cuts >= 20, f"only {cuts} power cuts")
    # The kernel sends a flush after such a write as well, which hides that it was no more than one.
    if has_fua:
        test.equal(fua, sum(model.durable for model in models), "writes with FUA in the log")
    for model in models:
        test.equal(marks[model.first], len(model.marks) - 1, "the last mark in the log")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.load_cryptd()
    kernel.hurry_rcu()
    tap.main()
