/*
 * A copy of the whole archive under other keys, in slices, while it goes on being written: for backup and rotation
 * (decision 0006: SQLite's backup API step by step, where VACUUM INTO would hold the loop for the whole copy). What
 * is written to the store between two steps goes into the copy too.
 */
#pragma once

#include <stdint.h>

#include "base/child.h"
#include "base/mem.h"
#include "vault/page.h"

struct store;
struct copy;

/* What a copy becomes. A backup forgets the sessions (resuming an old one would ack what it never stored), the runs
 * that belong to them, and takes a new epoch, because a restored archive is another feed; what waits to be sent is in
 * doubt in it, because it will have been sent by then. A successor is the same. */
enum copy_kind { COPY_BACKUP, COPY_SUCCESSOR };

/*
 * ${path}: absolute, must not exist (-EEXIST; for a backup ${path}.keys neither). ${keys} stay valid until copy_free().
 * One copy at a time. A successor is in the directory of the archive. A backup grows under the name ${path}.partial,
 * so that what a kill leaves is never taken for one. The order of its end:
 *
 *   copy_step() 0            ${path}.partial is complete and durable
 *   copy_verify_start() ok   and read back
 *   vault_next_write()       ${path}.keys: from here on the next start would complete it
 *   copy_keep()              ${path}
 *
 * Killed before the third, the next start removes it (store/leftover.h). If copy_keep() fails, the caller removes
 * ${path}.keys. A rotation: copy_step() 0, copy_verify_start() ok, vault_switch(), copy_keep(), store_adopt(), and only
 * then vault_next_free(), which has the keys of the old file. If vault_switch() fails with -errno, nobody knows which
 * of the two files is the archive now: copy_keep() all the same and store_free(); the next store_find() and
 * store_open() see.
 */
int copy_new(struct store *s, enum copy_kind kind, const char *path, const struct page_keys *keys, struct copy **ret);
/* Copy for about ${budget_us}: 1 more, 0 the copy is complete and durable, -errno (nothing of it is then left). After
 * 0 of a successor store_begin() is -EBUSY until store_adopt() or copy_free(): what was written would be lost. */
int copy_step(struct copy *c, int64_t budget_us);
/* 0 ... 100, for people. */
unsigned int copy_percent(const struct copy *c);
/* After 0: check it from the disk in a child: every page authenticates, SQLite finds its trees sound, table and index
 * have the same number of messages, and the newest is the one that the archive had when the last page was copied.
 * child_finish() gives 0 with no bytes, or one sentence of what is wrong. */
int copy_verify_start(const struct copy *c, struct child **ret);
/* It is one: takes its name, durably. -EEXIST: somebody else took it meanwhile. Without this copy_free() removes it. */
int copy_keep(struct copy *c);
struct copy *copy_free(struct copy *c);
DEFINE_CLEANUP(struct copy *, copy_free);

/* The store goes on in the file at ${path} with ${keys} (bound by this call) instead of its own, which is closed and
 * unlinked: after vault_switch() and copy_keep(). On failure the store is as it was: what vault_switch() has decided is
 * then done by the next store_open(). */
int store_adopt(struct store *s, const char *path, const struct page_keys *keys);

/*
 * Read every page of the archive's own file in slices, for doctor; not across store_adopt() or the end of the store.
 * scan_step(): 1 more, 0 finished, -errno if the disk does not answer. scan_bad(): pages so far that do not
 * authenticate, the first ones (from 1) in ${pages}; *ret_total: pages of the file.
 */
enum { SCAN_PAGES_MAX = 16 };
struct scan;
int scan_new(struct store *s, struct scan **ret);
int scan_step(struct scan *x, int64_t budget_us);
uint32_t scan_bad(const struct scan *x, uint32_t pages[SCAN_PAGES_MAX], uint32_t *ret_total);
struct scan *scan_free(struct scan *x);
DEFINE_CLEANUP(struct scan *, scan_free);
