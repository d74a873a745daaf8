#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
exec "$(dirname "$0")/../vm/build" "${KERNEL:-6.1}" dkms-check
