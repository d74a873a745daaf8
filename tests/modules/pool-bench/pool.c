// SPDX-License-Identifier: GPL-2.0-only
/* The pool, compiled once more for its benchmark; its sources are included as they are. */
#include "../../../mempool-bulk/pool.c"
#include "../../../mempool-bulk/alloc.c"
#include "../../../mempool-bulk/free.c"
#include "../../../mempool-bulk/buffer.c"
