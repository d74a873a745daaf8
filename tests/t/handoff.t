#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# The disk completes in hard interrupts of a device.
run_suite handoff --smp 2 --mem 2G --disk 64M
