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
 * that belong to them, and takes a new epoch, because a restored archive is another feed. A successor is the same. */
enum copy_kind { COPY_BACKUP, COPY_SUCCESSOR };

/* ${path} must not exist (-EEXIST): made O_EXCL with 0600. ${keys} stay valid until copy_free(). */
int copy_new(struct store *s, enum copy_kind kind, const char *path, const struct page_keys *keys, struct copy **ret);
/* Copy for about ${budget_us}: 1 more, 0 the copy is complete and durable, -errno (nothing of it is then left). */
int copy_step(struct copy *c, int64_t budget_us);
/* 0 ... 100, for people. */
unsigned int copy_percent(const struct copy *c);
/* After 0: check it from the disk in a child: every page authenticates, SQLite finds its trees sound, and the number of
 * messages is that of the copy. child_finish() gives 0 with no bytes, or one sentence of what is wrong. */
int copy_verify_start(const struct copy *c, struct child **ret);
/* Unless copy_keep() was called, removes the file again. */
void copy_keep(struct copy *c);
struct copy *copy_free(struct copy *c);
DEFINE_CLEANUP(struct copy *, copy_free);

/* The store goes on in the file at ${path} with ${keys} (bound by this call) instead of its own, which is closed and
 * unlinked: after vault_switch(). */
int store_adopt(struct store *s, const char *path, const struct page_keys *keys);

/* Read every page of the archive's own file in slices: *ret_bad counts those that do not authenticate, first ones in
 * ${pages}. For doctor. 1 more, 0 finished, -errno. */
enum { SCAN_PAGES_MAX = 16 };
struct scan;
int scan_new(struct store *s, struct scan **ret);
int scan_step(struct scan *x, int64_t budget_us);
uint32_t scan_bad(const struct scan *x, uint32_t pages[SCAN_PAGES_MAX], uint32_t *ret_total);
struct scan *scan_free(struct scan *x);
DEFINE_CLEANUP(struct scan *, scan_free);
