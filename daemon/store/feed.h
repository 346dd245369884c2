/*
 * The change feed of an account (facts/ipc.md section 3.6): one counter, taken inside the writing transaction; every
 * row carries the position at which it last changed; what is deleted leaves a tombstone. Reading is changes.c.
 */
#pragma once

#include "store/db.h"

/* The next position, for the row that is being written now. It counts in memory: a page of messages takes hundreds. */
int feed_next(struct store *s, int64_t account, int64_t *ret_mod);
/* Write what was taken: store_commit() does, and whoever reads the feed inside of a transaction has to. */
int feed_write(struct store *s);
/* The row ${kind}/${key} is gone: leave a tombstone, drop the oldest ones over the limit. */
int feed_removed(struct store *s, int64_t account, const char *kind, const char *key);
/* The row exists (again): it needs no tombstone. */
int feed_present(struct store *s, int64_t account, const char *kind, const char *key);
