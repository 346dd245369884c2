/*
 * Deleting a removed account, a bounded number of rows a transaction: with cache_spill=OFF a transaction lives in
 * memory, it holds the loop, and an account may hold millions of rows. The account is gone for everybody from the
 * moment it is marked.
 */
#pragma once

#include "store/db.h"

/* Delete up to ${rows} rows of ${account} in the open transaction. *ret_done: nothing is left of it. */
int purge_account(struct store *s, int64_t account, uint32_t rows, bool *ret_done);
/* One step for whatever account is marked removed, in a transaction of its own: 1 there may be more, 0 there is
 * none. */
int purge_step(struct store *s, uint32_t rows);
/* An account is marked removed. */
bool purge_due(struct store *s);
