/*
 * The search index on pages that cannot be read. SQLite neither deletes from nor drops a table with such a page, so the
 * index's own trees are walked below SQLite: what cannot be read is written anew as an empty page, the words on the
 * others are overwritten, and then the tables can be dropped at once. Private to store/.
 *
 * Only pages that an authentic page of these trees names are written; message pages never are. What hangs below an
 * inner page that was lost is not found: it stays in the file, encrypted and unused ("Page N is never used").
 */
#pragma once

#include <stdint.h>

#include "base/mem.h"

struct store;
struct mend;

/* Begin. No transaction open, no copy at work; nothing writes to the index until mend_finish(). */
int mend_new(struct store *s, struct mend **ret);
/* Walk and write for about ${budget_us}: 1 more to do, 0 all is done and on the disk, -errno. */
int mend_step(struct mend *m, int64_t budget_us);
/* After 0: drop the tables of the index and make them anew, empty; inside of the caller's transaction. */
int mend_finish(struct store *s);
/* The page of fts_state, at once, without mend_new(): then its row is missing. -EBADMSG: it was not that page. */
int mend_state(struct store *s);
struct mend *mend_free(struct mend *m);
DEFINE_CLEANUP(struct mend *, mend_free);
