/*
 * The cipher VFS: an SQLite VFS that writes nothing in clear. Main database, WAL, rollback journal and every temporary
 * file go through vault/page.h; an I/O shape that it does not know is SQLITE_IOERR and nothing is written
 * (facts/db.md section 1). It is a restricted engine: EXCLUSIVE locking, WAL without shared memory, page size
 * PAGE_SIZE, one connection a file.
 *
 * A main database opens only under a path that was bound to keys; its -wal and -journal take the keys of the same name.
 */
#pragma once

#include <sqlite3.h>

#include "vault/page.h"

#define VAULT_VFS "varve"
enum { VFS_BINDINGS_MAX = 8 }; /* the archive, its successor, one backup; tests */

/*
 * Register VAULT_VFS above ${lower} (NULL: SQLite's default). Idempotent for the same lower; another one replaces it
 * (tests put a fault-injecting disk there; no file may be open). 0, or -ENODEV: there is no such VFS, -ENOMEM.
 */
int vfs_register(const char *lower);
/* From now on ${path} (absolute, as given to sqlite3_open_v2) opens with ${keys}, which are the caller's and stay
 * valid until vfs_unbind(). -ENOSPC: VFS_BINDINGS_MAX. Binding the same path again replaces its keys. */
int vfs_bind(const char *path, const struct page_keys *keys);
void vfs_unbind(const char *path);

/*
 * Give back what memory the log of ${db} takes (4 MB at most, vault/wal-cache.h): for who is idle and has made a
 * checkpoint, after which none of it will be read again. Right at any time and for any connection, only then of use.
 */
void vfs_trim(sqlite3 *db);

/* Why the last operation on this connection's files failed, for messages to the user: 0, or the page number (main
 * database) that did not authenticate. Cleared by reading. */
uint32_t vfs_damaged_page(void);
/*
 * The errno of the last access that failed, whoever's file; 0: not known. After an SQLITE_IOERR its cause:
 * sqlite3_system_errno() is not told of those of a COMMIT.
 */
int vfs_error(void);
/* A page of the main database at ${path} that did not authenticate since it was bound; 0: there was none. Stays. */
uint32_t vfs_damaged_ever(const char *path);
