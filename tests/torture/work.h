/*
 * What the torture programs write, and how they know that it is right: rows whose bytes follow from their id and a
 * version, so that a content is one version a row, kept here in memory beside the database.
 */
#pragma once

#include <sqlite3.h>

#include "chance.h"

enum {
	WORK_ROWS = 160,
	WORK_BODY = 20000, /* bytes of the largest row: five overflow pages */
};

struct content {
	bool schema; /* the tables are there */
	uint32_t version[WORK_ROWS]; /* 0: no row */
};

struct work {
	struct chance chance;
	bool fts;	       /* an FTS5 index besides, external content as in the archive */
	uint32_t last_version; /* never used twice */
};

/* All return an SQLite result code. ${c}: the content as it will be if this commits. */
int work_schema(struct work *w, sqlite3 *db, struct content *c);
/* A few rows or many, updated, removed and added, now and then inside a savepoint that is rolled back. */
int work_rows(struct work *w, sqlite3 *db, struct content *c);
/*
 * After a transaction that failed and was rolled back: make FTS5 forget it too. An I/O error inside of FTS5's own
 * statements rolls back below it while it goes on collecting words in memory, and the next COMMIT writes them: the
 * index then differs from the table for good (SQLITE_CORRUPT_VTAB; seen with 3.40.1 and 3.54.1). Beginning a write of
 * the index and rolling that back discards what it holds. Fails as any write may; nothing may be written before it
 * succeeds.
 */
int work_forget_index(const struct work *w, sqlite3 *db);
int work_exec(sqlite3 *db, const char *sql);

/*
 * Read everything. SQLITE_OK and the content in *ret; or the code that SQLite gave; or SQLITE_MISMATCH with what is
 * wrong in *ret_why (a literal): a row that was never written so. ${deep}: integrity_check and the index's own too.
 */
int work_read(const struct work *w, sqlite3 *db, bool deep, struct content *ret, const char **ret_why);
