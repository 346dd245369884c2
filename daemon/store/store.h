/*
 * The store: one database file, one connection, one transaction at a time. This header is how everything above opens
 * it and brackets work; the other headers of store/ are what is inside. The pages are encrypted below store/db.h by
 * vault/vfs.h with keys from vault/vault.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct store;
struct vault;

/* Outcomes of store_open(); *ret_why is then a sentence for the user: cause and next step. */
enum {
	STORE_E_NEWER = 1,  /* database or sidecar written by a newer varve */
	STORE_E_DAMAGED,    /* pages that are needed to open do not authenticate, or it is not an archive */
	STORE_E_UNWRITABLE, /* permissions or read-only file system */
	STORE_E_FULL,	    /* no space to open */
	STORE_E_MISSING,    /* the sidecar says that a database must exist here and it does not */
	STORE_E_ENGINE,	    /* libsqlite3 refused a pragma we depend on */
	STORE_E_NO_KEYS,    /* a database without its sidecar: not readable by anyone */
	STORE_E_LOCKED,	    /* vault_unlock_auto() did not open it: vault_unlock_x(), then store_open() again */
};

/*
 * Keys of the archive in ${dir} (made with mode 0700 if missing): vault_load(), or vault_create() in a directory
 * without an archive, unless store_note_home() says that one was there: STORE_E_MISSING. Outcomes as above but for
 * LOCKED and ENGINE: a locked vault is 0. The caller holds the lock of the directory (sync/lock.h).
 */
int store_find(const char *dir, const char *config_dir, struct vault **ret, char **ret_why);
/* Note in ${config_dir} that an archive is in ${dir}, once it is open: store_find() then makes no new one in its place. */
int store_note_home(const char *dir, const char *config_dir);
/* ${dir} was removed, on purpose: the note goes. */
int store_forget_home(const char *dir, const char *config_dir);
/* The file that says so, which the caller frees, or NULL. */
char *store_home(const char *dir, const char *config_dir);
/* It says too that a file system was mounted right above ${dir}, and none is now: that ${dir} is gone says nothing. */
bool store_home_away(const char *dir, const char *config_dir);
/*
 * Open or create the database that ${v} names, which stays the caller's, unlocked while the store is open. A locked
 * ${v} is tried with vault_unlock_auto() first. All pragmas of facts/db.md section 7 are read back. A plain database of
 * a varve before 0.2 is taken over: copied under the keys, verified, then removed. Nothing else is ever deleted or
 * replaced on failure. ${ret_why} is owned by the caller and set for outcomes > 0.
 */
int store_open(struct vault *v, struct store **ret, char **ret_why);
struct store *store_free(struct store *s);
DEFINE_CLEANUP(struct store *, store_free);

/*
 * One write transaction. Not nested. Every modification happens inside one. commit: durable when it returns 0 (then
 * step("store.commit")); on failure (-ENOSPC, -EIO, -EROFS, ...) it is rolled back and nothing of it exists.
 */
int store_begin(struct store *s);
int store_commit(struct store *s);
void store_rollback(struct store *s);

/* At suspend or quit: the log goes into the database and is truncated. */
int store_checkpoint(struct store *s);
/*
 * The log is so long that who writes much without a pause shortens it, between two transactions and in a turn of its own:
 * the commit that reaches wal_autocheckpoint (db-open.c) would take both times at once.
 */
bool store_log_is_long(struct store *s);
int store_shorten_log(struct store *s);
/*
 * Work for idle time, in steps that hold the loop for about ${budget_us}: rows of removed accounts, the search index
 * behind its watermark, merge steps that erase retracted words, a passive checkpoint when nothing else is left.
 * Returns 1 if there is more to do, 0 if not, -errno. Never inside a transaction.
 */
int store_upkeep(struct store *s, int64_t budget_us);
/* Whether upkeep has anything to do, without doing it: so that an idle daemon sets no timer. */
bool store_upkeep_due(struct store *s);
/* A number that is kept beside the messages, by its name; 0 if it was never put. put: in a transaction. */
int store_note_get(struct store *s, const char *name, int64_t *ret);
int store_note_put(struct store *s, const char *name, int64_t value);
/* The random string created with the archive; the feed's epoch. Stays the store's. */
const char *store_epoch(const struct store *s);
/*
 * Whether the files that are open still are those that bear their names: somebody may have removed or replaced them,
 * or mounted something above them, and SQLite goes on without a word.
 */
enum store_files { STORE_FILES_THERE, STORE_FILES_NO_DATABASE, STORE_FILES_NO_LOG };
enum store_files store_files(const struct store *s);
/* What -errno of a store that cannot be written means to its user, and what helps; both static, without a full stop. */
const char *store_trouble(int r);
const char *store_remedy(int r);
/* A page that did not authenticate since the database was opened; 0: there was none. */
uint32_t store_damaged_page(const struct store *s);
/*
 * Our clock was found to be off by ${us}, or was set by so much: what came live under it and has no stamp but ours is looked for
 * that far away. Never less than before; it is kept in the archive, at the latest with the next transaction.
 */
void store_clock_was_off(struct store *s, int64_t us);
/* Bytes of the database file, for status. */
int64_t store_size(const struct store *s);
