# shellcheck shell=bash
# Working in a kernel's own root, which stays as it is: for scripts that have a mount namespace of
# their own, which is what unmounts everything in the end.

# open_root ROOT DIR: ROOT with a layer in memory over it. Sets MERGED, where it is, and UPPER, what
# is added to it.
open_root()
{
	local scratch=$2/scratch

	MERGED=$2/merged
	mkdir "$scratch" "$MERGED"
	# On a tmpfs since a root that is itself an overlay (a container's) cannot carry another's upper.
	mount -t tmpfs none "$scratch"
	mkdir "$scratch"/{upper,work}
	# shellcheck disable=SC2034 # the scripts that read this file use it
	UPPER=$scratch/upper
	mount -t overlay none -o "lowerdir=$1,upperdir=$UPPER,workdir=$scratch/work" "$MERGED"
	mount -t proc none "$MERGED/proc"
	mount -t sysfs none "$MERGED/sys"
	mount --rbind /dev "$MERGED/dev"
}

in_root()
{
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		LANG=C.UTF-8 chroot "$MERGED" "$@"
}

# close_root DIR: as it was before open_root.
close_root()
{
	# Lazily, since a program may leave another behind that ends a little later.
	umount --lazy "$MERGED/dev" "$MERGED/proc" "$MERGED/sys" "$MERGED" "$1/scratch"
	rmdir "$MERGED" "$1/scratch"
}
