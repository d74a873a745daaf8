# SPDX-License-Identifier: GPL-2.0-only
"""What it costs to get the pages of one 1 MiB write and to give them back, by the kernel's
function_graph tracer."""

import argparse
import mmap
import os
import re
import shlex
import sys
from statistics import median

from . import arms, cases, devices, report
from .benchmark import machine
from .devices import write_text
from .mapping import Mapping, Table, target_version
from .system import (
    BenchError,
    Interrupted,
    Resources,
    load_module,
    module_loaded,
    require_commands,
    require_root,
    stop_on_signals,
    unload_module,
)

DESCRIPTION = """\
Measures what it costs stock dm-crypt and crypt-bulk to get the pages for the ciphertext of one
1 MiB write, and to give them back: makes a mapping of each over a null_blk device, writes 1 MiB at
a time, and takes the times that the kernel's function_graph tracer gives for the functions that do
that. Where a target splits such a write (stock does since Linux 6.11, at 128 KiB) it is the sum of
all its parts. What the tracer itself adds to each call is measured with a function that does
nothing, and subtracted. The tracer's settings are changed, so this is meant for a virtual machine;
with the instruction clock (tests/vm/run --icount) a nanosecond is an instruction.

  cold   the first write of a fresh mapping, after the kernel has dropped its caches
  warm   writes after many others
"""

TRACING = "/sys/kernel/tracing"
SIZE = 1 << 20
FRESH_MAPPINGS = 5
WARM_UP_WRITES = 64
WARM_WRITES = 32

# The functions of each arm that get the pages and that give them back.
FUNCTIONS = {
    "stock": ("crypt_alloc_buffer", "crypt_free_buffer_pages"),
    "bulk": ("cbulk_buffer_alloc", "cbulk_buffer_free"),
}

# The function of the test module empty-call, which does nothing.
EMPTY_MODULE = "empty-call"
EMPTY_FUNCTION = "empty_call"
EMPTY_CALLS = 64

# A graph's line of a function without traced ones in it; marks stand before long times.
LEAF = re.compile(r"([\d.]+) us\s*\|\s*(\w+)(?:\s*\[\w+\])?\(")


class Tracer:
    """function_graph, of some functions and none that they call; a resource."""

    def __init__(self, functions):
        self.functions = functions

    def open(self):
        traceable = {line.split()[0] for line in self._read("available_filter_functions")}
        missing = [name for name in self.functions if name not in traceable]
        if missing:
            raise BenchError(
                f"this kernel cannot trace {', '.join(missing)}: the compiler has put it into its "
                "caller"
            )
        self._write("tracing_on", "0")
        # What a filtered function calls is not traced, so that it does not cost anything.
        self._write("set_ftrace_filter", "\n".join(self.functions))
        self._write("current_tracer", "function_graph")

    def close(self):
        try:
            for name, value in (("tracing_on", "1"), ("current_tracer", "nop"),
                                ("set_ftrace_filter", ""), ("trace", "")):
                self._write(name, value)
        except OSError as error:
            return [f"the tracer stays as it was set: {error}"]
        return []

    def record(self, action):
        """What the functions took during the action, in ns: a list of (name, time)."""
        self._write("trace", "")
        self._write("tracing_on", "1")
        action()
        self._write("tracing_on", "0")
        return [
            (match[2], float(match[1]) * 1000)
            for match in map(LEAF.search, self._read("trace")) if match
        ]

    def _read(self, name):
        with open(f"{TRACING}/{name}", encoding="ascii", errors="replace") as file:
            return file.read().splitlines()

    def _write(self, name, text):
        with open(f"{TRACING}/{name}", "w", encoding="ascii") as file:
            file.write(text)


class Writer:
    """Writes of SIZE bytes, one at a time, from memory in single pages."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
        self.buffer = mmap.mmap(-1, SIZE)
        self.buffer.write(bytes(SIZE))

    def write(self):
        if os.pwrite(self.fd, self.buffer, 0) != SIZE:
            raise BenchError("short write")

    def close(self):
        os.close(self.fd)
        self.buffer.close()


def one_write(tracer, writer, functions):
    """(time to get, time to give back, bios) of one write; times in ns."""
    times = tracer.record(writer.write)
    get, give_back = ([time for called, time in times if called == name] for name in functions)
    if not get or len(get) != len(give_back):
        raise BenchError(
            f"{functions[0]} was called {len(get)} times for a write, {functions[1]} "
            f"{len(give_back)} times: as often was expected"
        )
    return sum(get), sum(give_back), len(get)


class EmptyCall:
    """The test module with a function that does nothing; a resource."""

    def open(self):
        if not load_module(EMPTY_MODULE):
            raise BenchError(
                f"the test module {EMPTY_MODULE} does not load; it is built from tests/modules"
            )

    def call(self):
        write_text(arms.parameter_path(EMPTY_FUNCTION, "call"), "1")

    def close(self):
        reason = unload_module(EMPTY_MODULE) if module_loaded(EMPTY_FUNCTION) else ""
        return [f"module {EMPTY_MODULE} stays: {reason}"] if reason else []


def tracer_cost(tracer, empty):
    """What the tracer says of a function that returns at once, in ns: its own part of a time."""
    empty.call()
    times = [time for _ in range(EMPTY_CALLS) for _, time in tracer.record(empty.call)]
    if len(times) != EMPTY_CALLS:
        raise BenchError(f"{EMPTY_FUNCTION} was traced {len(times)} times, not {EMPTY_CALLS}")
    return median(times)


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")


def measure_arm(resources, tracer, arm, table):
    """{state: (time to get, time to give back, bios)}, medians."""
    functions = FUNCTIONS[arm.name]
    cold = []
    for number in range(FRESH_MAPPINGS):
        mapping = resources.open(Mapping(arm, table, number))
        writer = Writer(mapping.path)
        try:
            drop_caches()
            cold.append(one_write(tracer, writer, functions))
            if number == FRESH_MAPPINGS - 1:
                for _ in range(WARM_UP_WRITES):
                    writer.write()
                warm = [one_write(tracer, writer, functions) for _ in range(WARM_WRITES)]
        finally:
            writer.close()
        resources.close(mapping)
    return {
        state: tuple(median(column) for column in zip(*times))
        for state, times in (("cold", cold), ("warm", warm))
    }


def measure(resources):
    chosen, _ = arms.choose(arms.NEEDED, ("crypt", "crypt-bulk"))
    targets = {arm.target: target_version(arm.target) for arm in chosen}
    device = resources.open(devices.NullBlock(64 * devices.MIB))
    cipher = cases.parse_cipher("cipher_null")
    options = (*cases.FLAGS["bypass"], "sector_size:4096")
    table = Table(cipher.spec, cipher.new_key(), device.path, 0, device.size // 512, options)
    functions = [name for arm in chosen for name in FUNCTIONS[arm.name]]
    empty = resources.open(EmptyCall())
    tracer = resources.open(Tracer([EMPTY_FUNCTION, *functions]))
    own = tracer_cost(tracer, empty)
    times = {arm.name: measure_arm(resources, tracer, arm, table) for arm in chosen}
    return [row(state, times, own, targets) for state in ("cold", "warm")]


def without_tracer(own, get, give_back, bios):
    return get - own * bios, give_back - own * bios, bios


def row(state, times, own, targets):
    (stock_alloc, stock_free, stock_bios), (bulk_alloc, bulk_free, bulk_bios) = (
        without_tracer(own, *times[name][state]) for name in arms.NEEDED)
    return {
        "kernel": report.kernel_version(),
        "state": state,
        "bytes": SIZE,
        "clock": os.environ.get("DCB_CLOCK", "wall"),
        "stock_alloc_ns": stock_alloc,
        "stock_free_ns": stock_free,
        "bulk_alloc_ns": bulk_alloc,
        "bulk_free_ns": bulk_free,
        "tracer_ns": own,
        "stock_bios": stock_bios,
        "bulk_bios": bulk_bios,
        "ratio": round((stock_alloc + stock_free) / (bulk_alloc + bulk_free), 3),
        "release": os.uname().release,
        "machine": machine(),
        "targets": ", ".join(f"{name} {version}" for name, version in targets.items()),
        "source": os.environ.get("DCB_SOURCE") or None,
        "command": os.environ.get("DCB_COMMAND") or shlex.join(["pages-trace", *sys.argv[1:]]),
    }


def show(rows):
    print(f"{'state':5}  {'stock get':>10}  {'give back':>10}  {'bulk get':>10}  {'give back':>10}"
          f"  {'ratio':>7}   (ns; with the instruction clock, instructions)")
    for each in rows:
        print(f"{each['state']:5}  {each['stock_alloc_ns']:10.0f}  {each['stock_free_ns']:10.0f}"
              f"  {each['bulk_alloc_ns']:10.0f}  {each['bulk_free_ns']:10.0f}"
              f"  {each['ratio']:7.2f}")


def main():
    parser = argparse.ArgumentParser(
        prog="pages-trace", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE",
                        help="also write the results as JSON; - for stdout, between marking lines")
    options = parser.parse_args()
    resources = Resources()
    status = 0
    try:
        require_root()
        require_commands({"dmsetup": "dmsetup", "modprobe": "kmod", "blockdev": "util-linux"})
        stop_on_signals()
        try:
            rows = measure(resources)
        finally:
            for problem in resources.close_all():
                print(f"pages-trace: clean-up: {problem}", file=sys.stderr)
                status = 1
        show(rows)
        if options.json:
            report.write_json(rows, options.json)
    except BenchError as error:
        print(f"pages-trace: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        return 128 + interrupted.args[0]
    return status
