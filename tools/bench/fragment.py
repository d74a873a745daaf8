# SPDX-License-Identifier: GPL-2.0-only
"""Memory without a free block above one page: made by the test module fragment."""

from .system import BenchError, load_module, unload_module

MODULE = "fragment"


class Fragmented:
    """The state of memory while the module is loaded; a resource."""

    def __init__(self):
        self.loaded = False

    def open(self):
        self.before = free_blocks()
        if not load_module(MODULE):
            raise BenchError(
                f"--fragment: the test module {MODULE} does not load; it is built from "
                "tests/modules, and meant for a virtual machine"
            )
        self.loaded = True

    def free_blocks(self):
        return free_blocks()

    def evidence(self):
        """Of /proc/buddyinfo: all zones together, from order 0 up."""
        now = free_blocks()
        return (
            f"free blocks of 1, 2, 4, ... pages: {' '.join(map(str, now))} "
            f"(before: {' '.join(map(str, self.before))})"
        )

    def close(self):
        if not self.loaded:
            return []
        self.loaded = False
        reason = unload_module(MODULE)
        return [f"module {MODULE} stays: {reason}"] if reason else []


def free_blocks():
    """Free blocks of each order, the zones added up."""
    with open("/proc/buddyinfo", encoding="ascii") as file:
        zones = [[int(field) for field in line.split("zone")[1].split()[1:]] for line in file]
    return [sum(column) for column in zip(*zones)]
