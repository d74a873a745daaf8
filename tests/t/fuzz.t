#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The parsers in user space, under libFuzzer and the sanitizers, for FUZZ_SECONDS=30.
set -uo pipefail

seconds=${FUZZ_SECONDS:-30}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

echo 1..2
status=0
"$(dirname "$0")/../fuzz/run" "$seconds" >"$log" 2>&1 || status=$?
if ! grep -q '^INFO: Seed:' "$log"; then
	sed 's/^/# /' "$log"
	echo 'not ok 1 - the fuzzer is built'
	exit 1
fi
if ((status == 0)); then
	echo "ok 1 - nothing is found in lines, keys and messages in $seconds s"
else
	echo "not ok 1 - nothing is found in lines, keys and messages in $seconds s"
	tail -n 60 "$log" | sed 's/^/# /'
fi

# "#1234  DONE   cov: 1000 ft: 2000 ..."
read -r runs reached < <(sed -n 's/^#\([0-9]*\)[[:space:]]*DONE.* cov: \([0-9]*\) .*/\1 \2/p' "$log")
if ((${runs:-0} >= 1000 && ${reached:-0} >= 600)); then
	echo "ok 2 - enough was tried, and got far enough into the code"
else
	echo "not ok 2 - enough was tried, and got far enough into the code"
	status=1
fi
echo "# ${runs:-0} texts, ${reached:-0} edges of the code reached"
exit $status
