/*
 * The search index (FTS5, external content) behind its watermark. Messages up to the watermark are indexed; when an
 * indexed body changes or goes, a trigger notes it (fts_dirty); that and what is above waits for store_upkeep(). So
 * the index only proposes: whoever reads it also looks at what is noted, and at the messages themselves. Private to
 * store/.
 *
 * Damage: when FTS5 finds its tables damaged, or a page of them cannot be read, index_step() makes them anew, alone.
 * A page of messages that cannot be read is not taken for that: work waits then, and index_trouble() says so.
 *
 * Erasing: after a retraction or a correction FTS5 still holds the old words, and a marker that they are gone, until
 * both meet in a merge. So index_step() then merges the whole index, step by step, and truncates the log in the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct store;

enum { SEARCH_WALK_ROWS = 2000 }; /* some 10 ms: about what the look-up of a common word would cost */

/* Part of schema_apply(): an index of another tokenizer version begins anew. */
int index_open(struct store *s);
/* Do about ${budget_us} of: take in changes, index the next rows, merge, erase, empty a forgotten index, repair it, look
 * at samples. 1 more to do, 0 nothing left or it waits (index_trouble()), -errno. Transactions of its own, so none may be
 * open. */
int index_step(struct store *s, int64_t budget_us);
bool index_due(struct store *s);
/* Ids above are not indexed yet. */
int index_watermark(struct store *s, int64_t *ret);
/* A number that changes when words of messages up to the watermark come into the index. */
int index_edits(struct store *s, int64_t *ret);
/* FTS5's own integrity check, also against the messages; reads everything. STORE_E_DAMAGED: index_rebuild() repairs it
 * alone (never the messages). */
int index_check(struct store *s);
/*
 * After a transaction that failed: make FTS5 forget it too. When an I/O error in one of FTS5's own statements rolls
 * the transaction back, FTS5 is told in the middle of its work, goes on collecting words in memory, and the next COMMIT
 * or a look-up writes them: an index that differs from the messages, for good (seen with SQLite 3.40.1 and 3.54.1). A
 * write of the index that is begun and rolled back discards what it holds. Part of store_rollback(), and tried again
 * before the next use if that failed. 0, also if nothing failed; -errno: the index may not be used and nothing written.
 */
int index_forget_words(struct store *s);
/* Why the index waits with its work: a sentence (a literal), or NULL. For status. */
const char *index_trouble(const struct store *s);
/* Forget the index and begin anew at watermark 0, in the background. */
int index_rebuild(struct store *s);
