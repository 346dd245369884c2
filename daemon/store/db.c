#include "store/db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "store/feed.h"
#include "store/ids.h"
#include "store/index.h"
#include "store/known.h"
#include "store/search.h"
#include "vault/vfs.h"

#define SQL_TEXT(name, text) text,
static const char *const sql_text[] = { STORE_SQL(SQL_TEXT) };

int db_errno(int code)
{
	if (code == SQLITE_IOERR_DATA)
		return -EBADMSG;
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_TOOBIG:
		return -EMSGSIZE;
	default:
		return -EIO;
	}
}

int db_cause(int code)
{
	int r = db_errno(code), error = r == -EIO ? vfs_error() : 0;

	return error == EDQUOT || error == ENOSPC || error == EROFS ? -error : r;
}

int db_fail(struct store *s, int code)
{
	int r = db_cause(code);

	log_debug("sqlite: %d: %s", code, sqlite3_errmsg(s->db));
	/* FTS5 is the only virtual table there is. */
	if (code == SQLITE_CORRUPT_VTAB)
		s->index.damaged = true;
	if (code == SQLITE_IOERR_DATA || (code & 0xff) == SQLITE_CORRUPT)
		s->index.unread = true;
	if (s->in_tx && s->tx_error == 0)
		s->tx_error = r;
	return err_origin(r);
}

int db_text(struct store *s, const char *sql, char *buf, size_t size)
{
	sqlite3_stmt *st = NULL;
	int code;

	buf[0] = '\0';
	code = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
	if (code == SQLITE_OK) {
		code = sqlite3_step(st);
		if (code == SQLITE_ROW)
			snprintf(buf, size, "%s", str_or_empty((const char *)sqlite3_column_text(st, 0)));
	}
	/* The statement's own code is the better one: finalize repeats it. */
	if (code == SQLITE_ROW)
		code = SQLITE_OK;
	sqlite3_finalize(st);
	return db_errno(code) == 0 ? 0 : db_fail(s, code);
}

int db_number(sqlite3 *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	*ret = 0;
	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	code = db_errno(code);
	return code < 0 ? err_origin(code) : 0;
}

int db_pragma(struct store *s, const char *name, int64_t *ret)
{
	char sql[96], got[64];
	int r;

	snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	r = db_text(s, sql, got, sizeof(got));
	if (r < 0)
		return err_trace(r);
	*ret = strtoll(got, NULL, 10);
	return 0;
}

int db_exec(struct store *s, const char *sql)
{
	int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : db_fail(s, code);
}

struct stmt db_use(struct store *s, enum sql id)
{
	struct stmt q = { .s = s };
	int code;

	if (!s->stmts[id]) {
		code = sqlite3_prepare_v3(s->db, sql_text[id], -1, SQLITE_PREPARE_PERSISTENT, &s->stmts[id], NULL);
		/* Our SQL is right: an FTS5 table that cannot be connected, because its settings are damaged. */
		if (code == SQLITE_ERROR)
			s->index.unread = true;
		if (code != SQLITE_OK)
			q.r = db_fail(s, code);
	}
	/* A statement taken twice would lose the first user's place: a bug of ours, never of the data. */
	if (s->stmts[id] && sqlite3_stmt_busy(s->stmts[id])) {
		log_error("statement taken twice: %s", sql_text[id]);
		abort();
	}
	q.st = s->stmts[id];
	return q;
}

void stmt_done(struct stmt *q)
{
	if (!q->st)
		return;
	sqlite3_reset(q->st);
	sqlite3_clear_bindings(q->st);
	q->st = NULL;
}

static void bound(struct stmt *q, int code)
{
	if (code != SQLITE_OK && q->r == 0)
		q->r = db_fail(q->s, code);
}

void put_i(struct stmt *q, int64_t v)
{
	if (q->r == 0)
		bound(q, sqlite3_bind_int64(q->st, ++q->at, v));
}

void put_t(struct stmt *q, const char *v)
{
	if (q->r == 0)
		bound(q, sqlite3_bind_text(q->st, ++q->at, v, -1, SQLITE_STATIC));
}

void put_null(struct stmt *q)
{
	if (q->r == 0)
		bound(q, sqlite3_bind_null(q->st, ++q->at));
}

void put_n(struct stmt *q, const char *v)
{
	if (*v)
		put_t(q, v);
	else
		put_null(q);
}

void put_blob(struct stmt *q, const void *data, size_t len)
{
	/* A NULL pointer would bind NULL. */
	if (q->r == 0)
		bound(q, sqlite3_bind_blob64(q->st, ++q->at, data ? data : "", len, SQLITE_STATIC));
}

int db_row(struct stmt *q)
{
	int code;

	if (q->r < 0)
		return q->r;
	/* Some failures make SQLite roll back by itself; what follows must not run, and commit, on its own. */
	if (q->s->in_tx && sqlite3_get_autocommit(q->s->db)) {
		if (q->s->tx_error == 0)
			q->s->tx_error = -EIO;
		return err_origin(q->s->tx_error);
	}
	if (!q->s->in_tx && !sqlite3_stmt_readonly(q->st)) {
		log_error("a write outside of a transaction: %s", sqlite3_sql(q->st));
		abort();
	}
	code = sqlite3_step(q->st);
	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	q->r = db_fail(q->s, code);
	return q->r;
}

struct stmt db_hold(struct store *s)
{
	struct stmt q = { .s = s };

	if (s->stmts[SQL_HOLD] && sqlite3_stmt_busy(s->stmts[SQL_HOLD]))
		return q;
	q = db_use(s, SQL_HOLD);
	(void)db_row(&q);
	return q;
}

int db_run(struct stmt *q)
{
	int r;

	do {
		r = db_row(q);
	} while (r > 0);
	return r;
}

int db_insert(struct stmt *q, int64_t *ret_id)
{
	int r = db_run(q);

	if (r < 0)
		return err_trace(r);
	*ret_id = sqlite3_last_insert_rowid(q->s->db);
	return 0;
}

int db_int(struct stmt *q, int64_t fallback, int64_t *ret)
{
	int r = db_row(q);

	if (r < 0)
		return err_trace(r);
	*ret = r > 0 && sqlite3_column_type(q->st, 0) != SQLITE_NULL ? col_i(q, 0) : fallback;
	return 0;
}

int64_t col_i(struct stmt *q, int i)
{
	return sqlite3_column_int64(q->st, i);
}

const char *col_t(struct stmt *q, int i)
{
	return str_or_empty((const char *)sqlite3_column_text(q->st, i));
}

int db_durable(struct store *s)
{
	int r;

	if (!s->relaxed)
		return 0;
	r = db_exec(s, "PRAGMA synchronous=FULL");
	if (r < 0)
		return err_trace(r);
	s->relaxed = false;
	return 0;
}

/* BEGIN and COMMIT, which belong to no transaction. */
static int run_border(struct store *s, enum sql id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);
	int code;

	if (q.r < 0)
		return q.r;
	code = sqlite3_step(q.st);
	return code == SQLITE_DONE ? 0 : db_fail(s, code);
}

static int begin(struct store *s)
{
	int r;

	if (s->in_tx) {
		log_error("a transaction inside of a transaction");
		abort();
	}
	if (s->frozen)
		return err_origin(-EBUSY);
	search_let_go(s);
	r = index_forget_words(s);
	if (r < 0)
		return err_trace(r);
	r = run_border(s, SQL_BEGIN);
	if (r < 0)
		return err_trace(r);
	s->in_tx = true;
	s->tx_error = 0;
	s->ahead = false;
	return 0;
}

int store_begin(struct store *s)
{
	int r = s->in_tx ? 0 : db_durable(s);

	if (r == 0)
		r = begin(s);
	return r < 0 ? err_trace(r) : 0;
}

int store_begin_relaxed(struct store *s)
{
	int r;

	search_let_go(s);
	s->relaxed = true;
	r = db_exec(s, "PRAGMA synchronous=NORMAL");
	if (r == 0)
		r = begin(s);
	return r < 0 ? err_trace(r) : 0;
}

int store_commit(struct store *s)
{
	int r = s->tx_error;

	if (r == 0 && sqlite3_get_autocommit(s->db))
		r = err_origin(-EIO);
	if (r == 0)
		r = clock_off_keep(s);
	if (r == 0)
		r = run_border(s, SQL_COMMIT);
	if (r < 0) {
		store_rollback(s);
		return err_trace(r);
	}
	s->in_tx = false;
	clock_off_kept(s);
	known_drop(s);
	step("store.commit");
	return 0;
}

void store_forget(struct store *s)
{
	memset(s->queue_lows, 0, sizeof(s->queue_lows));
	s->own_account = 0;
	s->none_account = 0;
	s->outbox_account = 0;
	s->begun_account = 0;
	known_drop(s);
}

void store_rollback(struct store *s)
{
	s->index.stale = s->index.stale || s->tx_error < 0 || sqlite3_get_autocommit(s->db);
	/* SQLite may have rolled back already: then there is nothing to undo. */
	if (!sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->in_tx = false;
	s->tx_error = 0;
	if (s->ahead) {
		feed_forget(s);
		ids_forget(s);
	}
	store_forget(s);
	(void)index_forget_words(s);
}
