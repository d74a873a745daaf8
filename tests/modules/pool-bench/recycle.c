// SPDX-License-Identifier: GPL-2.0-only
/* What keeps freed pieces, compiled once more, as pool.c is. */
#include "../../../mempool-bulk/recycle.c"
#include "../../../mempool-bulk/idle.c"
