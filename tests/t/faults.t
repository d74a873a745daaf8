#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Every allocation that the module asks for fails once. WHOLE=1: on all kinds of mappings.
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
run_suite faults --smp 2 --mem 1G
