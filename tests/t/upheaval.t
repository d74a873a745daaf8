#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# LONG=SECONDS: go on for so long with each thing that changes under load.
# shellcheck source-path=SCRIPTDIR source=../lib/suite.sh
. "$(dirname "$0")/../lib/suite.sh"
timeout=$((900 + ${LONG:-0} * 8)) run_suite upheaval --smp 2 --mem 2G
