# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Where what the tests build is kept: images, kernels, modules. Outside of the tree, so that every
# clone of it takes the same; what is kept is named by a hash of all that it is made of.
# shellcheck disable=SC2034 # the scripts that read this file use it
CACHE=${DM_CRYPT_BULK_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/dm-crypt-bulk}

# The file that says whether KVM carries a guest, kvm or tcg, from this machine's boot to its next; none
# where nobody has asked yet, or there is no KVM. tests/vm/lib/qemu.sh writes it.
kvm_answer()
{
	echo "$CACHE/kvm-$(cat /proc/sys/kernel/random/boot_id)"
}
