#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The cases of the module mempool-bulk-test, which run when it is loaded, as TAP."""

import re
import subprocess
import sys

import tap

MODULE = "mempool-bulk-test"
RESULTS = "/sys/kernel/debug/kunit/mempool-bulk/results"
# Threads that wait for each other are slowed down more than once.
ROUNDS = 10000 // tap.SLOWNESS ** 2


def main():
    # KUnit, where the kernel has it, may run no tests unless it is told to, since 6.14.
    subprocess.run(["modprobe", "-q", "kunit", "enable=1", "autorun=1"], check=False)
    run = subprocess.run(["modprobe", MODULE, f"rounds={ROUNDS}"], stderr=subprocess.PIPE,
                         text=True)
    if run.returncode:
        print(f"1..1\nnot ok 1 - loading {MODULE}\n# {run.stderr.strip()}")
        return 1
    with open(RESULTS) as file:
        lines = file.read().splitlines()
    # KTAP: the cases are indented under the suite; TAP is what remains without that.
    cases = [line[4:] for line in lines if line.startswith("    ")]
    plans = [int(line[3:]) for line in cases if re.match(r"1\.\.\d+$", line)]
    points = [line for line in cases if re.match(r"(not )?ok \d+", line)]
    for line in cases:
        print(line)
    unload = subprocess.run(["rmmod", MODULE], stderr=subprocess.PIPE, text=True)
    if unload.returncode:
        print(f"# rmmod: {unload.stderr.strip()}")
    complete = len(plans) == 1 and plans[0] == len(points) > 0
    if not complete:
        print(f"# {len(points)} results, plan {plans}")
    good = complete and not unload.returncode
    return 0 if good and not any(line.startswith("not ok") for line in points) else 1


if __name__ == "__main__":
    sys.exit(main())
