#include "work.h"

#include <stdio.h>

#include "base/mem.h"

int work_exec(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int work_schema(struct work *w, sqlite3 *db, struct content *c)
{
	int code = work_exec(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, version INT NOT NULL, k TEXT NOT NULL UNIQUE,"
				 " body TEXT NOT NULL);"
				 "CREATE INDEX t_version ON t(version)");

	if (code == SQLITE_OK && w->fts)
		code = work_exec(db, "CREATE VIRTUAL TABLE f USING fts5(body, content='t', content_rowid='id')");
	c->schema = true;
	return code;
}

/* The bytes of row ${id} in ${version}: words of four letters. Returns the length. */
static int row_body(uint32_t id, uint32_t version, bool fts, char *body)
{
	struct chance c = { .state = ((uint64_t)id << 32) ^ version };
	uint32_t most = chance_percent(&c, 8) ? (fts ? 6000 : WORK_BODY) : 400;
	uint32_t len = chance_between(&c, 20, most);

	chance_fill(&c, body, len);
	for (uint32_t i = 0; i < len; i++)
		body[i] = i % 5 == 4 ? ' ' : (char)('a' + ((uint8_t)body[i] & 15));
	return (int)len;
}

static void row_key(uint32_t id, uint32_t version, char key[32])
{
	struct chance c = { .state = ((uint64_t)version << 32) ^ id };

	snprintf(key, 32, "%016llx", (unsigned long long)chance_next(&c));
}

static int run(sqlite3 *db, const char *sql, uint32_t id, uint32_t version, bool fts)
{
	static char body[WORK_BODY];
	sqlite3_stmt *st = NULL;
	char key[32];
	int code = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (code != SQLITE_OK)
		return code;
	sqlite3_bind_int64(st, 1, id);
	if (version > 0) {
		row_key(id, version, key);
		sqlite3_bind_int64(st, 2, version);
		sqlite3_bind_text(st, 3, key, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 4, body, row_body(id, version, fts, body), SQLITE_STATIC);
	}
	sqlite3_step(st);
	return sqlite3_finalize(st);
}

/*
 * No triggers: with trusted_schema=OFF SQLite 3.40.1 refuses FTS5 in a trigger ("unsafe use of virtual table"), so the
 * archive too feeds its index by statements of its own.
 */
static int one_row(struct work *w, sqlite3 *db, struct content *c)
{
	uint32_t id = chance_below(&w->chance, WORK_ROWS), old = c->version[id];
	bool remove = old > 0 && chance_percent(&w->chance, 25);
	int code = SQLITE_OK;

	if (old > 0 && w->fts)
		code = run(db, "INSERT INTO f(f, rowid, body) SELECT 'delete', id, body FROM t WHERE id=?1", id, 0, true);
	if (code != SQLITE_OK)
		return code;
	c->version[id] = remove ? 0 : ++w->last_version;
	if (remove)
		return run(db, "DELETE FROM t WHERE id=?1", id, 0, w->fts);
	code = run(db, old > 0 ? "UPDATE t SET version=?2, k=?3, body=?4 WHERE id=?1" : "INSERT INTO t VALUES(?1,?2,?3,?4)",
		   id, c->version[id], w->fts);
	if (code == SQLITE_OK && w->fts)
		code = run(db, "INSERT INTO f(rowid, body) SELECT id, body FROM t WHERE id=?1", id, 0, true);
	return code;
}

static int some_rows(struct work *w, sqlite3 *db, struct content *c)
{
	uint32_t n = chance_percent(&w->chance, 15) ? chance_between(&w->chance, 20, 80) :
						      chance_between(&w->chance, 1, 6);
	int code = SQLITE_OK;

	while (n-- > 0 && code == SQLITE_OK)
		code = one_row(w, db, c);
	return code;
}

int work_rows(struct work *w, sqlite3 *db, struct content *c)
{
	int code = some_rows(w, db, c);
	struct content before = *c;

	if (code != SQLITE_OK || !chance_percent(&w->chance, 20))
		return code;
	/* facts/db.md section 2.3: what SQLite before 3.50.2 does not survive if it may spill its cache. */
	code = work_exec(db, "SAVEPOINT s");
	if (code == SQLITE_OK)
		code = some_rows(w, db, c);
	if (code != SQLITE_OK)
		return code;
	*c = before;
	code = work_exec(db, "ROLLBACK TO s; RELEASE s");
	if (code == SQLITE_OK)
		code = some_rows(w, db, c);
	return code;
}

int work_forget_index(const struct work *w, sqlite3 *db)
{
	int code;

	if (!w->fts)
		return SQLITE_OK;
	code = work_exec(db, "BEGIN IMMEDIATE; INSERT INTO f(rowid, body) VALUES(-1, 'x')");
	if (!sqlite3_get_autocommit(db))
		return work_exec(db, "ROLLBACK");
	return code == SQLITE_OK ? SQLITE_IOERR : code;
}

static const char *row_wrong(sqlite3_stmt *st, bool fts, struct content *ret)
{
	static char body[WORK_BODY];
	int64_t id = sqlite3_column_int64(st, 0), version = sqlite3_column_int64(st, 1);
	const void *got = sqlite3_column_text(st, 3);
	char key[32];
	int len;

	if (id < 0 || id >= WORK_ROWS || version <= 0 || version > UINT32_MAX)
		return "a row that nobody wrote";
	row_key((uint32_t)id, (uint32_t)version, key);
	len = row_body((uint32_t)id, (uint32_t)version, fts, body);
	if (strcmp(str_or_empty((const char *)sqlite3_column_text(st, 2)), key) != 0)
		return "a row with a wrong key";
	if (sqlite3_column_bytes(st, 3) != len || memcmp(got, body, (size_t)len) != 0)
		return "a row with a wrong body";
	ret->version[id] = (uint32_t)version;
	return NULL;
}

/* Run ${sql}: its first column must be ${want} (NULL: no row). */
static int expect(sqlite3 *db, const char *sql, const char *want, const char *why, const char **ret_why)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (code != SQLITE_OK)
		return code;
	code = sqlite3_step(st);
	if (code == SQLITE_ROW && strcmp(str_or_empty((const char *)sqlite3_column_text(st, 0)), str_or_empty(want)) != 0)
		*ret_why = why;
	code = sqlite3_finalize(st);
	if (code != SQLITE_OK)
		return code;
	return *ret_why ? SQLITE_MISMATCH : SQLITE_OK;
}

static int check_deep(const struct work *w, sqlite3 *db, const struct content *c, const char **ret_why)
{
	int code = expect(db, "PRAGMA integrity_check(1)", "ok", "integrity_check finds damage", ret_why);

	if (code == SQLITE_OK && w->fts && c->schema)
		code = expect(db, "INSERT INTO f(f, rank) VALUES('integrity-check', 1)", NULL,
			      "the search index finds damage", ret_why);
	/* FTS5 answers a mismatch with SQLITE_CORRUPT_VTAB, which is told as such. */
	return code;
}

int work_read(const struct work *w, sqlite3 *db, bool deep, struct content *ret, const char **ret_why)
{
	struct content c = { .schema = false };
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_schema WHERE name='t'", -1, &st, NULL);

	*ret_why = NULL;
	if (code != SQLITE_OK)
		return code;
	c.schema = sqlite3_step(st) == SQLITE_ROW;
	code = sqlite3_finalize(st);
	if (code == SQLITE_OK && c.schema)
		code = sqlite3_prepare_v2(db, "SELECT id, version, k, body FROM t ORDER BY id", -1, &st, NULL);
	if (code == SQLITE_OK && c.schema) {
		while (!*ret_why && sqlite3_step(st) == SQLITE_ROW)
			*ret_why = row_wrong(st, w->fts, &c);
		code = sqlite3_finalize(st);
	}
	if (code == SQLITE_OK && *ret_why)
		code = SQLITE_MISMATCH;
	if (code == SQLITE_OK && deep)
		code = check_deep(w, db, &c, ret_why);
	if (code == SQLITE_OK)
		*ret = c;
	return code;
}
