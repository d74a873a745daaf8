#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The packages with real apt and dpkg, in the root that the kernel's modules are built in; machines
# that boot are in tests/package.
set -euo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../vm/lib/common.sh
. "$tests/vm/lib/common.sh"
# shellcheck source=../vm/lib/image.sh
. "$tests/vm/lib/image.sh"

find_kernel "${KERNEL:-6.1}" cloud
PATH=$PATH:/usr/sbin:/sbin
"$tests/vm/host-deps"
open_cache
need_base
version=$("$tests/package/build" "$TMP/deb")
isolated "$tests/package/in-root" "$BASE/root" "$TMP/deb" "$TMP" "$(<"$BASE/kver")" "$version"
