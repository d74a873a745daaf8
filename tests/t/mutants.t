#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A few hundred changed lines and messages; FUZZ_LINES=N for more. SEED=N repeats a run.
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
timeout=$((1500 + ${FUZZ_LINES:-0} / 8)) run_suite mutants --smp 2 --mem 2G
