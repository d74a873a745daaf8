#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# All memory is searched, dozens of times: the less there is the better.
run_suite wipe --smp 2 --mem 320M
