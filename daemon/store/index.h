/*
 * The search index (FTS5, external content) behind its watermark. Messages up to the watermark are indexed; triggers in
 * the schema keep it true when an indexed body changes or goes; what is above waits for store_upkeep(). Private to
 * store/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct store;

/* Index the next rows, then merge what erasing needs, for about ${budget_us}: 1 more, 0 nothing left, -errno. A
 * transaction of its own each. */
int index_step(struct store *s, int64_t budget_us);
bool index_due(struct store *s);
/* Ids above are not indexed yet. */
int index_watermark(struct store *s, int64_t *ret);
/* Register the tokenizer "chat" with a connection: before the schema is used. */
int tokenizer_register(struct store *s);
/* FTS5's own integrity check; STORE_E_DAMAGED: index_rebuild() repairs it alone (never the messages). */
int index_check(struct store *s);
/* Forget the index and begin anew at watermark 0, in the background. */
int index_rebuild(struct store *s);
