# shellcheck shell=bash
# Kernels that Debian does not build: made from its package of kernel sources, with that release's
# compiler, into packages like Debian's own, which the rest of the harness then takes as such.

readonly KERNEL_BUILD_PACKAGES=(
	bc bison cpio debhelper flex gcc kmod libc6-dev libelf-dev libssl-dev make openssl
	python3-minimal rsync xz-utils
)

# The options of the table's line, by files of tests/vm/config.
kernel_config()
{
	local guest=("$VM_DIR/config/guest" "$VM_DIR/config/guest-${ROW%-*}")

	case ${ROW##*-} in
	clang) cat "${guest[@]}" "$VM_DIR/config/debug" ;;
	debug) cat "${guest[@]}" "$VM_DIR"/config/{debug,kasan} ;;
	kcsan) cat "${guest[@]}" "$VM_DIR"/config/{debug,kcsan} ;;
	*) harness_error "tests/vm/kernels.tbl: no options for $ROW" ;;
	esac
}

# need_kernel SOURCES: sets PACKAGES to a directory with the packages of the kernel of the
# table's line, a source for apt-get, building them if they are not there.
need_kernel()
{
	local key

	kernel_config >"$TMP/kernel.config"
	key=$({
		echo "$ROW $SUITE $SOURCE"
		echo "$1"
		cat "$VM_DIR"/lib/{kernel.sh,kernel-build} "$TMP/kernel.config"
	} | hash_of_stdin)
	PACKAGES=$CACHE/kernel/$ROW-$key

	lock "kernel-$ROW" exclusive
	if [[ ! -d $PACKAGES ]]; then
		build_kernel "$1"
	fi
	touch "$PACKAGES"
	keep_newest 2 "$CACHE/kernel/$ROW"-*
	unlock
}

build_kernel()
{
	local work=$TMP/kernel log=$CACHE/logs/build-$ROW.log started=$SECONDS
	local packages=("${KERNEL_BUILD_PACKAGES[@]}" "$SOURCE")

	say "building the kernel of $ROW from Debian's $SOURCE (once, a quarter of an hour) ..."
	mkdir "$work"
	chmod 755 "$TMP"
	[[ $SUITE != *-backports ]] || packages[-1]+=/$SUITE
	[[ $ROW != *-clang ]] || packages+=(clang lld llvm)
	make_root "$1" "$work/root" "$log" --include="$(IFS=, && echo "${packages[*]}")"
	cp "$TMP/kernel.config" "$work/root/wanted.config"
	isolated "$VM_DIR/lib/kernel-build" "$work/root" "$SOURCE" "${ROW##*-}" >>"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		harness_error "the kernel of $ROW could not be built; the log is $log"
	}
	mkdir -p "$CACHE/kernel"
	mv -T "$work/root/packages" "$PACKAGES"
	rm -rf --one-file-system "$work"
	say "built the kernel of $ROW in $((SECONDS - started)) s"
}
