# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What every tests/t/*.t does: boot a VM, run one guest suite in it, pass its TAP through.
#
# run_suite SUITE [harness options ...]
#	KERNEL=6.1	the kernel, and FLAVOUR=cloud its flavour, as tests/vm/run knows them
#	timeout=1500	seconds that it may take; a kernel built to find mistakes gets 3600 at least
#	extra=DIR	a directory that the guest sees as /mnt/share/extra
#	program=yes	the program crypt-bulk, and what its tests need, are there instead
#	SUITE_ARGS	words given to the suite: only tests whose name has one of them are run

tests=$(cd "$(dirname "$0")/.." && pwd)

run_suite() {
	suite=$1
	shift
	share=$(mktemp -d)
	trap 'rm -rf "$share"' EXIT
	# The guest sees what it needs and nothing of the build's output.
	mkdir "$share/tools"
	cp -r "$tests/lib" "$tests/suites" "$tests/../docs/differences.md" "$share/"
	if [ -d "$tests/../tools/bench" ]; then
		cp -r "$tests/../tools/bench" "$share/tools/"
	fi
	if [ "${extra-}" ]; then
		cp -r "$extra" "$share/extra"
	fi
	if [ "${program-}" ]; then
		mkdir "$share/extra"
		"$tests/program/build" "$share/extra" || exit
	fi
	limit=${timeout:-1500}
	# What takes the kernel longer, takes the suite longer; see SLOWNESS in tap.py.
	case ${FLAVOUR-} in
	debug | kcsan) [ "$limit" -ge 3600 ] || limit=3600 ;;
	esac
	status=0
	# shellcheck disable=SC2086 # SUITE_ARGS is a list of words
	"$tests/vm/run" --kernel "${KERNEL:-6.1}" --flavour "${FLAVOUR:-cloud}" --share "$share" \
		"$@" --timeout "$limit" -- \
		env PYTHONPATH=/mnt/share/lib PYTHONDONTWRITEBYTECODE=1 \
		${DCB_TARGET:+"DCB_TARGET=$DCB_TARGET"} \
		${DCB_RECORD:+"DCB_RECORD=$DCB_RECORD"} \
		${SEED:+"SEED=$SEED"} ${WHOLE:+"WHOLE=$WHOLE"} ${FUZZ_LINES:+"FUZZ_LINES=$FUZZ_LINES"} \
		${LONG:+"LONG=$LONG"} ${ROUNDS:+"ROUNDS=$ROUNDS"} \
		python3 "/mnt/share/suites/$suite.py" ${SUITE_ARGS:-} || status=$?
	# prove makes a failure of any status that is not 0; this says which kind it was.
	case $status in
	124) echo "# tests/vm/run: timed out" ;;
	125) echo "# tests/vm/run: the guest's kernel reported a fault" ;;
	126) echo "# tests/vm/run: no verdict from the guest" ;;
	esac
	exit "$status"
}
