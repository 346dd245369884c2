/*
 * The change feed of an account (facts/ipc.md section 3.6): one counter, taken inside the writing transaction; every
 * row carries the position at which it last changed; what is deleted leaves a tombstone. Reading is changes.c.
 */
#pragma once

#include "store/db.h"

/* The next position, for the row that is being written now. It counts in memory: a page of messages takes hundreds. */
int feed_next(struct store *s, int64_t account, int64_t *ret_mod);
/* The last position that was used, where the file says ${mod}. */
int64_t feed_used(const struct store *s, int64_t account, int64_t mod);
/* Some are taken that are not used. */
bool feed_taken(const struct store *s);
/* Write what is used and no more: the account that is kept in memory changes, or the store is closed. */
int feed_leave(struct store *s);
/* What is in memory is of a transaction that is undone, or of another file. */
void feed_forget(struct store *s);
/* The row ${kind}/${key} is gone: leave a tombstone, drop the oldest ones over the limit. */
int feed_removed(struct store *s, int64_t account, const char *kind, const char *key);
/* The row exists (again): it needs no tombstone. */
int feed_present(struct store *s, int64_t account, const char *kind, const char *key);
