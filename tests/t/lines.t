#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A sample of the lines; all of them with WHOLE=1. SEED=N repeats a run.
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
run_suite lines --smp 2 --mem 2G
