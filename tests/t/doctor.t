#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What doctor finds in the files of made-up machines: needs no VM, as it looks at files only.
tests=$(cd "$(dirname "$0")/.." && pwd)
DCB_PROGRAM=$(mktemp -d)
trap 'rm -rf "$DCB_PROGRAM"' EXIT
"$tests/program/build" "$DCB_PROGRAM" || exit
export DCB_PROGRAM
PYTHONPATH=$tests/lib PYTHONDONTWRITEBYTECODE=1 python3 "$tests/suites/doctor.py"
