#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# Of so much memory one mapping may have enough for all that is piled up.
run_suite fairness --smp 2 --mem 4G --timeout 400 --append preempt=none
