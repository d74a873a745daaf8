#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# LONG=SECONDS: write for so long before each replay.
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
run_suite powercut --smp 2 --mem 2G --timeout $((600 + ${LONG:-0} * 20))
