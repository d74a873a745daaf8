# shellcheck shell=bash
# The table of kernels, and what is built from one line of it with Debian's packages:
#   root/       a root with the kernel, its headers, the compiler and dkms, to build modules in
#   root.ext4   the same root before the compiler came: what the VM boots, never written to
#   initrd.cpio busybox and the kernel modules that reach root.ext4
#   vmlinuz, kver

readonly TABLE=$VM_DIR/kernels.tbl

readonly RUN_PACKAGES=(
	busybox-static cryptsetup-bin dmsetup e2fsprogs fio jq kmod mount procps python3 util-linux
	xfsprogs
)
BUILD_PACKAGES=(dkms gcc libc6-dev make)
readonly BOOT_MODULES=(virtio_pci virtio_blk virtio_console ext4 overlay)

# Sets ROW, SUITE, and IMAGE, HEADERS, EXTRA and SOURCE, which are packages, from the table.
find_kernel()
{
	local kernel flavour

	while read -r kernel flavour SUITE IMAGE HEADERS EXTRA SOURCE; do
		[[ $kernel == "$1" && $flavour == "$2" ]] || continue
		[[ $EXTRA != - ]] || EXTRA=
		[[ $SOURCE != - ]] || SOURCE=
		ROW=$kernel-$flavour
		[[ $flavour != clang ]] || BUILD_PACKAGES+=(clang lld llvm)
		return
	done < <(grep -v '^#' "$TABLE")
	usage_error "no kernel $1 of flavour $2; there are: $(grep -v '^#' "$TABLE" |
		awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }')"
}

# The machine's own apt sources, one "URI SUITE KEYRING" a line, whichever way they are written.
host_sources()
{
	local file

	for file in /etc/apt/sources.list.d/*.sources; do
		[[ -e $file ]] || continue
		awk 'function flush(  i, j, u, s) {
			split(uris, u, " "); split(suites, s, " ")
			for (i = 1; i in u; i++) for (j = 1; j in s; j++) print u[i], s[j], key
			uris = suites = key = ""
		}
		/^#/ { next }
		/^[ \t]*$/ { flush(); next }
		{ field = tolower($1); value = $0; sub(/^[^:]*:[ \t]*/, "", value) }
		field == "uris:" { uris = value }
		field == "suites:" { suites = value }
		field == "signed-by:" && value ~ /^\// { key = value }
		END { flush() }' "$file"
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[[ -e $file ]] || continue
		sed -nE 's/^deb[ \t]+(\[[^]]*\][ \t]*)?([^ \t]+)[ \t]+([^ \t]+).*/\2 \3/p' "$file"
	done
}

# Those sources for another release: apt_sources SUITE.
apt_sources()
{
	local release=${1%-backports} host archive security

	host=$(. /etc/os-release && echo "$VERSION_CODENAME")
	archive=$(host_sources | awk -v s="$host" '$2 == s { print $1; exit }')
	security=$(host_sources | awk -v s="$host-security" '$2 == s { print $1; exit }')
	[[ $archive ]] ||
		harness_error "no apt source for $host in /etc/apt; this needs a Debian machine's"

	echo "deb $archive $release main"
	echo "deb $archive $release-updates main"
	[[ -z $security ]] || echo "deb $security $release-security main"
	[[ $1 == "$release" ]] || echo "deb $archive $1 main"
}

# The machine's own way to its mirror (proxies, checks that a frozen mirror cannot pass).
apt_options()
{
	apt-config dump |
		grep -E '^Acquire::(Check-|https?::|ForceIPv|Retries)' | grep -v ' "";$' || true
}

# Completes IMAGE, HEADERS and EXTRA for apt-get: a * stands for the newest number that has both
# packages, and what is to come from backports has to say so, unless it was built here.
# resolve_packages SOURCES.
resolve_packages()
{
	local state=$TMP/apt from pattern number image options

	[[ $SUITE != *-backports || $SOURCE ]] || from=/$SUITE
	EXTRA=${EXTRA//,/"${from-},"}${EXTRA:+${from-}}
	if [[ $HEADERS == *'*'* ]]; then
		mkdir -p "$state"/{lists/partial,cache}
		echo "$1" >"$state/sources.list"
		options=(
			-oDir::State::lists="$state/lists" -oDir::State::status=/dev/null
			-oDir::Cache="$state/cache" -oDir::Etc::sourcelist="$state/sources.list"
			-oDir::Etc::sourceparts=/dev/null -oDir::Etc::trusted=/dev/null
			-oDir::Etc::trustedparts=/usr/share/keyrings -oAPT::Sandbox::User=root
		)
		apt-get -qq "${options[@]}" update >&2 ||
			harness_error "apt-get update failed for $SUITE"
		apt-cache "${options[@]}" pkgnames linux- >"$state/names"

		pattern=$(sed 's/[.]/\\&/g; s/\*/([0-9.]+(\\+deb[0-9]+)?)/' <<<"$HEADERS")
		while read -r number; do
			image=${IMAGE/'*'/"$number"}
			! grep -qxF "$image" "$state/names" || break
			image=
		done < <(sed -nE "s/^$pattern\$/\1/p" "$state/names" | sort -rV)
		[[ ${image-} ]] ||
			harness_error "Debian $SUITE has no $IMAGE with $HEADERS now;" \
				"see tests/vm/kernels.tbl"
		IMAGE=$image
		HEADERS=${HEADERS/'*'/"$number"}
	fi
	IMAGE+=${from-}
	HEADERS+=${from-}
}

# Sets BASE to the directory with the files listed above, building it if it is not there. A shared
# lock on it is held until the script ends, so that nobody prunes it.
need_base()
{
	local sources key

	sources=$(apt_sources "$SUITE")
	if [[ $SOURCE ]]; then
		need_kernel "$sources"
		# shellcheck disable=SC2153 # need_kernel sets it
		sources+=$'\n'"deb [trusted=yes] copy:$PACKAGES ./"
	fi
	key=$({
		echo "$ROW $SUITE $IMAGE $HEADERS $EXTRA"
		echo "$sources"
		cat "$VM_DIR/lib/image.sh" "$VM_DIR/lib/image-hook"
	} | hash_of_stdin)
	BASE=$CACHE/base/$ROW-$key

	lock "base-$ROW-$key" shared
	[[ ! -d $BASE ]] || return 0
	unlock
	lock "base-$ROW-$key" exclusive
	if [[ ! -d $BASE ]]; then
		build_base "$sources"
		prune_bases
	fi
	# shellcheck disable=SC2153 # lock sets it
	flock --shared "$LOCK_FD"
}

# Debian's bootstrap of a directory, to which more options are added.
# INITRD=No: the kernel's package would spend long on an initramfs that is never booted.
# PATH: a script in Python is started for each package, and another Python than Debian's may take
# longer for that than dpkg for the package.
# force-unsafe-io: nobody looks at what a crash leaves half written.
readonly MMDEBSTRAP=(
	env PATH=/usr/sbin:/usr/bin:/sbin:/bin INITRD=No
	mmdebstrap --mode=root --variant=apt --format=directory
	--aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io
)

# make_root SOURCES DIRECTORY LOG OPTION...: a root of the table's release, by mmdebstrap with these
# options more.
make_root()
{
	local sources=$1 directory=$2 log=$3 option options=() lines
	shift 3

	while IFS= read -r option; do
		options+=("--aptopt=$option")
	done < <(apt_options)
	mapfile -t lines <<<"$sources"
	chmod 755 "$TMP"

	isolated env BUILD_PACKAGES="${BUILD_PACKAGES[*]} $HEADERS" "${MMDEBSTRAP[@]}" \
		"${options[@]}" \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$@" "${SUITE%-backports}" "$directory" "${lines[@]}" >"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		harness_error "a root for $ROW could not be built; the log is $log." \
			"Check that apt-get update works and that the disk is not full"
	}
}

build_base()
{
	local work=$TMP/base started=$SECONDS kver packages

	say "building the image of $ROW from Debian $SUITE (once, a minute or two) ..."
	mkdir "$work"
	resolve_packages "$1"
	packages=$(IFS=, && echo "${RUN_PACKAGES[*]},$IMAGE${EXTRA:+,$EXTRA}")
	make_root "$1" "$work/root" "$CACHE/logs/image-$ROW.log" --include="$packages" \
		--customize-hook="'$VM_DIR/lib/image-hook' '$work' \"\$1\""

	kver=$(basename "$work"/root/lib/modules/*)
	# The link to the headers may be absolute, and means a place in that root.
	if ! [[ -e $work/root/boot/vmlinuz-$kver ]] ||
		! chroot "$work/root" test -e "/lib/modules/$kver/build/Makefile"; then
		harness_error "the image of $ROW has not exactly one kernel with its headers: $kver"
	fi
	echo "$kver" >"$work/kver"
	cp "$work/root/boot/vmlinuz-$kver" "$work/vmlinuz"
	build_initrd "$work" "$kver"

	sync --file-system "$work"
	mv -T "$work" "$BASE"
	say "built the image of $ROW ($kver) in $((SECONDS - started)) s"
}

# Modules in the order in which they have to be loaded, uncompressed since busybox must load them.
build_initrd()
{
	local work=$1 kver=$2 dir=$TMP/boot module file name number=100

	mkdir -p "$dir"/{bin,modules}
	cp "$work/root/bin/busybox" "$dir/bin/"
	for module in "${BOOT_MODULES[@]}"; do
		chroot "$work/root" modprobe -S "$kver" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$TMP/modules"
	while read -r file; do
		name=$dir/modules/$((++number))-$(basename "$file")
		cp "$work/root/$file" "$name"
		[[ $name != *.xz ]] || xz -d "$name"
	done <"$TMP/modules"
	pack_initrd "$dir" >"$work/initrd.cpio"
}

pack_initrd()
{
	(cd "$1" && find . | cpio --create --format=newc --owner=0:0 --quiet)
}

# An image that nobody runs and that the table or the scripts no longer ask for.
prune_bases()
{
	local dir lock_fd

	for dir in "$CACHE/base/$ROW"-*; do
		[[ $dir != "$BASE" && -d $dir ]] || continue
		exec {lock_fd}>>"$CACHE/locks/base-$(basename "$dir")"
		if flock --exclusive --nonblock "$lock_fd"; then
			rm -rf --one-file-system "$dir"
		fi
		exec {lock_fd}>&-
	done
}
