#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# dracut: take the module along, and the configuration that makes it answer for dm-crypt.

# shellcheck disable=SC2154 # dracut sets them
check()
{
	# In an image for this machine only what it uses; the module may not be built for that kernel.
	local active=${dracutsysrootdir-}/etc/modprobe.d/dm-crypt-bulk-replace.conf

	[[ -e $active || ! $hostonly ]] || return 255
	return 0
}

depends()
{
	echo dm
}

installkernel()
{
	hostonly='' instmods dm-crypt-bulk
	# What the configuration falls back to.
	hostonly='' instmods dm-crypt
}

install()
{
	inst_multiple -o /etc/modprobe.d/dm-crypt-bulk-replace.conf
}
