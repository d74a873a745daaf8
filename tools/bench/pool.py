# SPDX-License-Identifier: GPL-2.0-only
"""What ways to get pages cost, by the test module pool-bench."""

import argparse
import os
import shlex
import sys

from . import arms, fragment, report
from .benchmark import init_on_alloc, machine
from .system import (
    BenchError,
    Interrupted,
    Resources,
    load_module,
    require_commands,
    require_root,
    stop_on_signals,
    unload_module,
)

DESCRIPTION = """\
Measures what it costs to get 1, 32 and 256 pages and to give them back: with the kernel's mempool,
with mempool-bulk into an array and onto a list, as compound pages, and with mempool-bulk's buffers,
which keep what was given back. Once with memory as it is, and once while no free memory is in a
block above one page. It needs the test modules pool-bench and fragment, and is meant for a virtual
machine; with the instruction clock (tests/vm/run --icount) a nanosecond is an instruction.
"""

MODULE = "pool-bench"


def measure(memory):
    """A row for each line of the module's results."""
    if not load_module(MODULE):
        raise BenchError(f"the test module {MODULE} does not load; it is built from tests/modules")
    try:
        with open(arms.parameter_path("pool_bench", "results"), encoding="ascii") as file:
            lines = file.read().splitlines()
    finally:
        unload_module(MODULE)
    return [record(memory, *line.split()) for line in lines]


def record(memory, way, pages, get, give_back):
    return {
        "kernel": report.kernel_version(),
        "memory": memory,
        "way": way,
        "pages": int(pages),
        "clock": os.environ.get("DCB_CLOCK", "wall"),
        "get_ns": int(get),
        "give_back_ns": int(give_back),
        "init_on_alloc": init_on_alloc(),
        "release": os.uname().release,
        "machine": machine(),
        "source": os.environ.get("DCB_SOURCE") or None,
        "command": os.environ.get("DCB_COMMAND") or shlex.join(["pool-bench", *sys.argv[1:]]),
    }


def measure_all(resources):
    rows = measure("as it was")
    state = resources.open(fragment.Fragmented())
    state.start()
    fragmented = measure("fragmented")
    found = state.found()
    print(f"fragmented: {state.evidence()}")
    return rows + [{**row, "fragment": found} for row in fragmented]


def show(rows):
    print(f"{'memory':10}  {'way':8}  {'pages':>5}  {'get':>8}  {'give back':>9}"
          "   (ns; with the instruction clock, instructions)")
    for each in rows:
        print(f"{each['memory']:10}  {each['way']:8}  {each['pages']:5}  {each['get_ns']:8}"
              f"  {each['give_back_ns']:9}")


def main():
    parser = argparse.ArgumentParser(
        prog="pool-bench", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE",
                        help="also write the results as JSON; - for stdout, between marking lines")
    options = parser.parse_args()
    resources = Resources()
    status = 0
    try:
        require_root()
        require_commands({"modprobe": "kmod"})
        stop_on_signals()
        try:
            rows = measure_all(resources)
        finally:
            for problem in resources.close_all():
                print(f"pool-bench: clean-up: {problem}", file=sys.stderr)
                status = 1
        show(rows)
        if options.json:
            report.write_json(rows, options.json)
    except BenchError as error:
        print(f"pool-bench: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        return 128 + interrupted.args[0]
    return status
