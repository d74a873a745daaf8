#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# Of so much memory one mapping may have enough for all that is piled up.
timeout=400 run_suite fairness --smp 2 --mem 4G --append preempt=none
