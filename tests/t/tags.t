#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# The disk stands for those that keep metadata themselves.
run_suite tags --smp 2 --mem 2G --nvme 64M:64
