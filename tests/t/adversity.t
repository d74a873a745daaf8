#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
# Memory that a process can use up; the disk is for its swap. What checkers note of memory lies in it.
mem=256M
case ${FLAVOUR-} in
debug | kcsan) mem=768M ;;
esac
timeout=$((1500 + 2 * ${LONG:-0})) run_suite adversity --smp 2 --mem "$mem" --disk 2G
