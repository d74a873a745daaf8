#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# A kernel that poisons pages, as the debug kernels do, erases none.
timeout=300 run_suite init_on_free --smp 2 --mem 1G --append "init_on_free=1 page_poison=0"
