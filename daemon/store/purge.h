/*
 * Deleting a removed account, a bounded number of rows a transaction: with cache_spill=OFF a transaction lives in
 * memory, and an account may hold millions of rows. The account is gone for everybody from the moment it is marked.
 */
#pragma once

#include "store/db.h"

/* Delete up to limits.purge_rows rows of ${account} in the open transaction. *ret_done: nothing is left of it. */
int purge_account(struct store *s, int64_t account, bool *ret_done);
/* One step for whatever account is marked removed, in a transaction of its own; 0 also if there is none. */
int purge_step(struct store *s);
