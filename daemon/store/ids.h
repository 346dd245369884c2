/*
 * Row ids of messages and of the outbox, which are never used again (AUTOINCREMENT). SQLite writes its table of the
 * last ones with every row, a page of its own for each commit. So some are taken in advance: that table says up to
 * where, and what is left of them when the process is killed is skipped.
 */
#pragma once

#include "store/db.h"

enum { IDS_AHEAD = 64 };

/* The next id, for the row that is being written now; in a transaction. */
int ids_next(struct store *s, enum ids_of of, int64_t *ret);
/* Some are taken that are not used. */
bool ids_taken(const struct store *s);
/* Give back what is not used: the store is closed. */
int ids_leave(struct store *s);
/* What was taken in a transaction that is undone, or in another file, is unknown. */
void ids_forget(struct store *s);
