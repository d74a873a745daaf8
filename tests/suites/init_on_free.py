#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A kernel booted with init_on_free=1 erases memory that is freed: then none is kept."""

import os

import blockdev
import cases
import dm
import fio
import kernel
import tap

MIB = 1 << 20
BLOB = os.urandom(MIB)


@tap.test("pages of completed writes are freed at once, whatever recycle says")
def test_nothing_kept(test):
    with open("/proc/cmdline") as cmdline:
        test.require("init_on_free=1" in cmdline.read().split(), "booted with init_on_free=1")
    test.equal(kernel.parameter("recycle"), "Y", "recycle")
    backing = test.enter(blockdev.NullBlk(16))
    line = cases.line("aes-xts-plain64", cases.key(64), 0, backing.dev, 0)
    mapping = test.enter(dm.crypt(line, backing.sectors))
    with blockdev.Direct(mapping.path) as device:
        for size in (4096, 65536, MIB) * 4:
            device.write(0, BLOB[:size])
            test.equal(dm.stats(mapping.name)["pages_idle"], 0, f"pages kept after {size} bytes")
    fio.verify(test, mapping, rw="randwrite", bsrange="512-1m", blockalign=512, iodepth=16,
               size="6m")
    stats = dm.stats(mapping.name)
    test.equal((stats["recycled"], stats["pages_idle"]), (0, 0), "pages used again, kept")
    test.check(stats["allocated"] > 12 * 256 // 4, f"pages were allocated: {stats}")
    test.equal(stats["pages_held"], stats["pages_reserve"], "pages held")


if __name__ == "__main__":
    kernel.modprobe(kernel.MODULE)
    tap.main()
