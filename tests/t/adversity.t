#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# Memory that a process can use up; the disk is for its swap.
run_suite adversity --smp 2 --mem 320M --disk 512M --timeout $((1500 + 2 * ${LONG:-0}))
