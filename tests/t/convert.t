#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# run_suite, of another file, uses it
# shellcheck disable=SC2034
program=yes
run_suite convert --smp 2 --mem 2G
