# SPDX-License-Identifier: GPL-2.0-only
"""Memory without a free block above one page: made by the test module fragment."""

import time

from .arms import parameter_path
from .devices import read_line, write_text
from .system import BenchError, load_module, unload_module

MODULE = "fragment"

SETTLE_TIMES = 20
FEW_PAGES = 16


class Fragmented:
    """The state of memory while the module is loaded; a resource."""

    MOST_FOUND = parameter_path(MODULE, "most_found")

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
        self._settle()

    def _settle(self):
        """Let the kernel drop and compact what it can before anything is measured: each time it
        makes free blocks, which the module then breaks up, fewer are left that it could make."""
        for _ in range(SETTLE_TIMES):
            self.start()
            write_text("/proc/sys/vm/drop_caches", "3")
            write_text("/proc/sys/vm/compact_memory", "1")
            time.sleep(0.1)
            if self.found()["most_found_pages"] < FEW_PAGES:
                return

    def start(self):
        """Before a load."""
        write_text(self.MOST_FOUND, "0")

    def found(self):
        """Since start(): what /proc/buddyinfo says now, and the most pages in free blocks above
        one page that the module found, which looks 50 times a second and breaks them up."""
        return {"free_blocks": free_blocks(), "most_found_pages": int(read_line(self.MOST_FOUND))}

    def evidence(self):
        """For people; all zones together, from order 0 up."""
        now = self.found()
        return (
            f"free blocks of 1, 2, 4, ... pages: {' '.join(map(str, now['free_blocks']))} "
            f"(before: {' '.join(map(str, self.before))}); most pages above one at any time: "
            f"{now['most_found_pages']}"
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
