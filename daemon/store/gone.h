/*
 * Messages that were deleted here: taking a row away without a trace but for what recognises its copies. Private to
 * store/.
 */
#pragma once

#include "store/put.h"

/* Delete row ${msg}: 1, 0 if the account has none. */
int gone_delete(struct put *p, int64_t msg);
/* The next rows of a conversation that is being deleted, in a transaction of its own: 1 there may be more, 0 none. */
int gone_step(struct store *s, uint32_t rows, int64_t now_us);
bool gone_due(struct store *s);
/* At most ${rows} of them, and from the ${least}th on none after ${until_us} (CLOCK_BOOTTIME); 1 if that was not all. */
int gone_purge(struct put *p, int64_t conv, uint32_t rows, uint32_t least, int64_t until_us);

/* Whether anything was deleted at all: mostly not, and then no message is looked for. For put_begin(). */
int gone_begin(struct put *p);

/* Is ${it} a copy of something that was deleted, or an old message of a conversation that was? 1, 0. */
int gone_is(struct put *p, const struct item *it);
/* A message that was deleted bore that id. */
int gone_names(struct put *p, int64_t conv, const char *id);
