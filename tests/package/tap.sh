# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# TAP for shell: ok NAME COMMAND [ARG ...] is one test, passed when the command succeeds. When it
# fails, the file $log, if there is one, is shown. done_testing ends it with the plan.

tap_count=0
tap_failed=0

ok()
{
	local name=$1 status=0
	shift
	((++tap_count))
	"$@" >"${TMPDIR:-/tmp}/tap.$$" 2>&1 || status=$?
	if ((status == 0)); then
		echo "ok $tap_count - $name"
	else
		((++tap_failed))
		echo "not ok $tap_count - $name"
		echo "# \"$*\" exited with $status"
		sed 's/^/# /' "${TMPDIR:-/tmp}/tap.$$"
		[[ ! ${log-} || ! -e $log ]] || tail -n 30 "$log" | sed 's/^/# | /'
	fi
	rm -f "${TMPDIR:-/tmp}/tap.$$"
}

done_testing()
{
	echo "1..$tap_count"
	((tap_failed == 0)) || exit 1
	exit 0
}
