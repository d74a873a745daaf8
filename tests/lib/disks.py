# SPDX-License-Identifier: GPL-2.0
"""Disks that a driver makes when it is loaded."""

import contextlib
import os

import blockdev
import kernel
import tap


class Disk:
    """A disk that a driver made, with what the suites ask of one."""

    def __init__(self, name):
        self.path, self.sysfs = f"/dev/{name}", f"/sys/block/{name}"
        self.dev = blockdev.read_text(f"{self.sysfs}/dev")
        self.sectors = int(blockdev.read_text(f"{self.sysfs}/size"))


@contextlib.contextmanager
def new(prefix, module, *parameters):
    """The disk that appears when a module is loaded."""
    before = set(os.listdir("/sys/block"))
    kernel.modprobe(module, *parameters)

    def appeared():
        return sorted(name for name in set(os.listdir("/sys/block")) - before
                      if name.startswith(prefix))
    found = tap.poll(appeared)
    if not found:
        raise RuntimeError(f"no disk of {module}")
    yield Disk(found[0])
    # The scan of a new disk may still hold it.
    if not tap.poll(lambda: kernel.rmmod(module).returncode == 0, timeout=10):
        raise RuntimeError(f"{module} is still in use")
