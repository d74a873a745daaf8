# shellcheck shell=bash
# The modules of the working tree, built in the kernel's own root and packed as an initramfs layer
# that the guest lays over its root.

readonly MODULE_SOURCES=(
	Kbuild LICENSE Makefile dkms.conf dm-crypt-bulk mempool-bulk tests/modules
)

# The sources as they are now go to TMP/tree, so that an edit made meanwhile cannot end up in what is
# made of them. What a build in the tree left behind is for another kernel.
copy_sources()
{
	local name

	mkdir "$TMP/tree"
	(
		cd "$TREE" || exit
		for name in "${MODULE_SOURCES[@]}"; do
			[[ ! -e $name ]] || echo "$name"
		done | tar -c --exclude='*.o' --exclude='*.ko' --exclude='*.mod' \
			--exclude='*.mod.c' --exclude='.*.cmd' --exclude='*.a' \
			--exclude=Module.symvers --exclude=modules.order --exclude='*~' --exclude='.*.swp' \
			--files-from=-
	) | tar -x -C "$TMP/tree" --no-same-owner
	[[ -e $TMP/tree/Makefile && -e $TMP/tree/dkms.conf ]] ||
		harness_error "$TREE has no Makefile and dkms.conf to install the module with"
}

# Sets LAYER to the directory with layer.cpio, building it if it is not there.
need_module()
{
	local key

	copy_sources
	key=$({
		basename "$BASE"
		cat "$VM_DIR"/lib/{module.sh,module-build,root.sh}
		cd "$TMP/tree" || exit
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
	} | hash_of_stdin)
	LAYER=$CACHE/module/$ROW-$key

	lock "module-$ROW" exclusive
	if [[ ! -d $LAYER ]]; then
		build_module
	fi
	touch "$LAYER"
	cp "$LAYER/layer.cpio" "$TMP/layer.cpio"
	# Every edit makes a new layer; the last few are worth keeping, for going back and forth.
	keep_newest 8 "$CACHE/module/$ROW"-*
	unlock
}

build_module()
{
	local work=$TMP/module kver

	kver=$(<"$BASE/kver")
	say "building the module for $kver with dkms ..."
	mkdir "$work"
	isolated "$VM_DIR/lib/module-build" "$BASE/root" "$TMP/tree" "$work" "$kver" \
		>"$work/build.log" 2>&1 || {
		cat "$work/build.log" >&2
		cp "$work/build.log" "$CACHE/logs/module-$ROW.log"
		harness_error "the module did not build or install for $kver:" \
			"the log is above and in $CACHE/logs/module-$ROW.log"
	}
	if grep -E '(: warning:|^WARNING: modpost)' "$work/build.log" >"$work/warnings"; then
		say "warnings of the module's build for $kver:"
		cat "$work/warnings" >&2
	fi
	pack_initrd "$work/initrd" >"$work/layer.cpio"
	rm -rf "$work/initrd"
	mv -T "$work" "$LAYER"
}
