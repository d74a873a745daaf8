# shellcheck shell=bash
# What every part of the harness shares: exit codes, messages, the cache's places, clean-up.

# shellcheck disable=SC2034 # the scripts that read this file use them
readonly EXIT_USAGE=2 EXIT_TIMEOUT=124 EXIT_SPLAT=125 EXIT_HARNESS=126

VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TREE=$(cd "$VM_DIR/../.." && pwd)
. "$TREE/tests/lib/cache.sh"
readonly VM_DIR TREE

say()
{
	echo "vm/run: $*" >&2
}

usage_error()
{
	say "$*"
	say "see tests/vm/run --help"
	exit $EXIT_USAGE
}

# Nothing that fails unforeseen may pass for COMMAND's own status: set -e would exit with any.
unforeseen()
{
	say "failed unexpectedly: $BASH_COMMAND (${BASH_SOURCE[1]##*/} line ${BASH_LINENO[0]})"
	exit $EXIT_HARNESS
}
set -E
trap unforeseen ERR

harness_error()
{
	say "$*"
	exit $EXIT_HARNESS
}

# Everything that a run writes and does not keep is in TMP; everything it starts is in CHILDREN.
TMP=
CHILDREN=()

clean_up()
{
	local pid

	# Nothing gentler: unshare ignores the signals that ask, for as long as its command runs.
	for pid in "${CHILDREN[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	for pid in "${CHILDREN[@]}"; do
		wait "$pid" 2>/dev/null || true
	done
	[[ -z $TMP ]] || rm -rf --one-file-system "$TMP"
}

open_cache()
{
	local dir

	mkdir -p "$CACHE"/{base,module,locks,logs,tmp} ||
		harness_error "cannot write to $CACHE; set DM_CRYPT_BULK_CACHE to another directory"
	CACHE=$(cd "$CACHE" && pwd -P)

	# A killed run cannot remove its directory; the name holds the pid, so the next one can.
	for dir in "$CACHE"/tmp/*.*; do
		[[ -d $dir ]] || continue
		kill -0 "$(basename "${dir%.*}")" 2>/dev/null || rm -rf "$dir"
	done

	TMP=$(mktemp -d "$CACHE/tmp/$$.XXXXXX")
	trap clean_up EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# Run a long command such that a signal to this script ends it at once: bash runs a trap only
# between foreground commands, but wait returns early. The process namespace takes everything that
# the command started down with it, the mount namespace its mounts.
isolated()
{
	local status=0

	unshare --mount --pid --fork --kill-child --mount-proc "$@" </dev/null &
	CHILDREN+=($!)
	wait $! || status=$?
	unset 'CHILDREN[-1]'
	return $status
}

# Hold lock NAME until this script ends: lock NAME exclusive|shared. Sets LOCK_FD.
lock()
{
	exec {LOCK_FD}>>"$CACHE/locks/$1"
	if ! flock "--$2" --nonblock "$LOCK_FD"; then
		say "waiting for another run that builds the same ..."
		flock "--$2" "$LOCK_FD"
	fi
}

unlock()
{
	exec {LOCK_FD}>&-
}

# Deletes all but the COUNT newest of the files: keep_newest COUNT FILE...
keep_newest()
{
	local count=$1 file
	shift

	while read -r file; do
		rm -rf "$file"
	done < <(find "$@" -maxdepth 0 -printf '%T@ %p\n' | sort -rn | tail -n "+$((count + 1))" |
		cut -d' ' -f2-)
}

hash_of_stdin()
{
	sha256sum | cut -c1-16
}
