#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# What loading a table tells integrity measurement is measured, and a disk of persistent memory.
run_suite device --smp 2 --mem 2G \
	--append 'ima_policy=critical_data memmap=64M!1G'
