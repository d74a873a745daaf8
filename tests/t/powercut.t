#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ROUNDS=N: each writer flushes so many times before the replay.
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
timeout=$((1500 + ${ROUNDS:-0} * 20)) run_suite powercut --smp 2 --mem 2G
