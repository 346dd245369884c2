/*
 * The store: one database file, one connection, one transaction at a time. This header is how everything above opens
 * it and brackets work; the other headers of store/ are what is inside. store/db.h (private to store/) is the only
 * place that knows SQLite's API for opening: the cipher of a later step goes below it and changes nothing above.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct store;

/* Outcomes of store_open(); *ret_why is then a sentence for the user: cause and next step. */
enum {
	STORE_E_NEWER = 1,  /* written by a newer varve */
	STORE_E_DAMAGED,    /* not a database, or its first pages do not check */
	STORE_E_UNWRITABLE, /* permissions or read-only file system */
	STORE_E_FULL,	    /* no space to open */
	STORE_E_MISSING,    /* the directory says that an archive must exist here and it does not */
	STORE_E_ENGINE,	    /* libsqlite3 refused a pragma we depend on */
};

/*
 * Open or create ${dir}/archive.db (${dir} is made with mode 0700 if missing). The caller holds the lock of the
 * directory (sync/lock.h). All pragmas of facts/db.md section 7 are read back. Nothing is ever deleted or replaced on
 * failure. ${ret_why} is owned by the caller and set for outcomes > 0.
 */
int store_open(const char *dir, struct store **ret, char **ret_why);
struct store *store_free(struct store *s);
DEFINE_CLEANUP(struct store *, store_free);

/*
 * One write transaction. Not nested. Every modification happens inside one. commit: durable when it returns 0 (then
 * step("store.commit")); on failure (-ENOSPC, -EIO, -EROFS, ...) it is rolled back and nothing of it exists.
 */
int store_begin(struct store *s);
int store_commit(struct store *s);
void store_rollback(struct store *s);

/* At idle: a passive checkpoint. At suspend or quit: truncate the log. */
int store_checkpoint(struct store *s, bool truncate);
/* quick_check: 0, or STORE_E_DAMAGED with what is wrong in *ret_why. */
int store_check(struct store *s, char **ret_why);
/* The random string created with the archive; the feed's epoch. Stays the store's. */
const char *store_epoch(const struct store *s);
/* Bytes of the database file, for status. */
int64_t store_size(const struct store *s);
