# shellcheck shell=bash
# Machines: whole Debian systems with systemd, apt and an initramfs of their own, whose root is on
# LUKS2, to install packages on and to boot again. One is two disk images in a directory:
#   root.img    LUKS2, in it ext4, named dcb-root when open; the key is a file in the initramfs
#   boot.img    ext4, mounted at /boot: the kernels and initramfs that the machine made

readonly MACHINE_PACKAGES=(
	busybox-static ca-certificates cryptsetup cryptsetup-initramfs dbus dkms dmsetup e2fsprogs gcc
	initramfs-tools kmod libc6-dev make openssl python3 systemd-sysv udev zstd
)
readonly MACHINE_UUID=6d2f0f34-7f0d-4c55-9b46-3f6b1d0e5a11

# Sets KERNEL_NEW, a row of the table: the kernel whose packages lie in the cache of a machine, to be
# installed there; it is newer than the one that the machine has; and SPLIT_OFF to packages that were
# not of their own in older releases. machine_release RELEASE
machine_release()
{
	case $1 in
	bookworm) KERNEL_NEW=6.12 SPLIT_OFF='' ;;
	trixie) KERNEL_NEW=7.3 SPLIT_OFF=,systemd-cryptsetup ;;
	*) usage_error "no machine of release $1; there are: bookworm, trixie" ;;
	esac
}

# Sets MACHINE to the directory of a release's machine as Debian made it, which is only copied from.
need_machine()
{
	local release=$1 key sources

	machine_release "$release"
	find_kernel "$KERNEL_NEW" cloud
	sources=$(apt_sources "$SUITE")
	key=$({
		echo "$release $IMAGE $HEADERS $EXTRA"
		echo "$sources"
		cat "$VM_DIR"/lib/{machine.sh,machine-hook} "$VM_DIR"/guest/machine-*
	} | hash_of_stdin)
	MACHINE=$CACHE/machine/$release-$key

	mkdir -p "$CACHE/machine"
	lock "machine-$release-$key" exclusive
	if [[ ! -d $MACHINE ]]; then
		build_machine "$release" "$sources"
		find "$CACHE/machine" -maxdepth 1 -name "$release-*" ! -name "$release-$key" \
			-exec rm -rf {} +
	fi
	unlock
}

build_machine()
{
	local release=$1 lines option options=() work=$TMP/machine log=$CACHE/logs/machine-$1.log
	local started=$SECONDS packages

	say "building a machine with encrypted root from Debian $release (once, some minutes) ..."
	mkdir -p "$work"
	while IFS= read -r option; do
		options+=("--aptopt=$option")
	done < <(apt_options)
	resolve_packages "$2"
	mapfile -t lines <<<"$2"
	packages=$(IFS=, && echo "${MACHINE_PACKAGES[*]}$SPLIT_OFF")
	packages+=,linux-image-cloud-amd64,linux-headers-cloud-amd64
	chmod 755 "$TMP"
	isolated env LATER="$IMAGE $HEADERS $EXTRA" UUID=$MACHINE_UUID "${MMDEBSTRAP[@]}" \
		--skip=cleanup/apt "${options[@]}" \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--include="$packages" \
		--customize-hook="'$VM_DIR/lib/machine-hook' '$VM_DIR/guest' \"\$1\"" \
		"$release" "$work/root" "${lines[@]}" >"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		harness_error "the machine could not be built; the log is $log"
	}
	truncate -s 6G "$work/root.img"
	truncate -s 512M "$work/boot.img"
	# In a VM, since this machine may have no device-mapper.
	"$VM_DIR/run" --kernel 6.12 --share "$work/root" --disk "$work/root.img" \
		--disk "$work/boot.img" --timeout 1500 -- \
		bash /mnt/share/usr/local/lib/dcb/machine-install $MACHINE_UUID >>"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		harness_error "the machine could not be installed; the log is $log"
	}
	rm -rf "$work/root"
	mv -T "$work" "$MACHINE"
	say "built the machine of $release in $((SECONDS - started)) s"
}

# The machine's own kernel and initramfs, as they are in its /boot: boot_files DIRECTORY [VERSION],
# by default the newest. Sets BOOT_KERNEL and BOOT_INITRD.
boot_files()
{
	local version=${2-}

	if [[ ! $version ]]; then
		version=$(debugfs -R 'ls -p /' "$1/boot.img" 2>/dev/null |
			sed -nE 's|.*/vmlinuz-([^/]*)/.*|\1|p' | sort -V | tail -n 1)
	fi
	BOOT_KERNEL=$TMP/vmlinuz
	BOOT_INITRD=$TMP/initrd
	rm -f "$BOOT_KERNEL" "$BOOT_INITRD"
	debugfs -R "dump /vmlinuz-$version $BOOT_KERNEL" "$1/boot.img" 2>/dev/null
	debugfs -R "dump /initrd.img-$version $BOOT_INITRD" "$1/boot.img" 2>/dev/null
	[[ -s $BOOT_KERNEL && -s $BOOT_INITRD ]] ||
		harness_error "the machine's /boot has no kernel ${version:-at all} with an initramfs"
}
