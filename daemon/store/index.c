#include "store/index.h"

#include <errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "store/index-priv.h"
#include "store/schema.h"
#include "store/search.h"
#include "store/tokenizer.h"

int index_read_state(struct store *s, struct index_state *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_INDEX_STATE);
	int r = db_row(&q);

	/* Its page was lost, and the process before the row was written again. */
	if (r == 0)
		s->index.unread = true;
	if (r <= 0)
		return r < 0 ? err_trace(r) : err_origin(-EBADMSG);
	*ret = (struct index_state){
		.upto = col_i(&q, 0),
		.tokenizer = col_i(&q, 1),
		.edits = col_i(&q, 2),
		.erasing = col_i(&q, 3),
		.erased = col_i(&q, 4),
		.clearing = col_i(&q, 5) != 0,
	};
	return 0;
}

static int read_number(struct store *s, enum sql id, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);

	return db_int(&q, 0, ret);
}

int index_read_waiting(struct store *s, struct index_state *st)
{
	int64_t dirty = 0;
	int r = read_number(s, SQL_SEARCH_TOP, &st->top);

	if (r == 0)
		r = read_number(s, SQL_INDEX_WAITS, &dirty);
	st->dirty = dirty != 0;
	return r < 0 ? err_trace(r) : 0;
}

int index_run(struct store *s, enum sql id, int n, int64_t a, int64_t b)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);
	int r;

	if (n > 0)
		put_i(&q, a);
	if (n > 1)
		put_i(&q, b);
	r = db_run(&q);
	/* FTS5 uses a name twice when its list of segments is damaged; nothing else here is unique. */
	if (r < 0 && (sqlite3_extended_errcode(s->db) & 0xff) == SQLITE_CONSTRAINT)
		s->index.damaged = true;
	return r < 0 ? err_trace(r) : 0;
}

int index_begin(struct store *s)
{
	int r = store_begin_relaxed(s);

	return r < 0 ? err_trace(r) : 0;
}

int index_finish(struct store *s, int r, const char *what)
{
	int full;

	if (r < 0)
		store_rollback(s);
	else
		r = store_commit(s);
	full = db_durable(s);
	if (r == 0)
		r = full;
	if (r < 0)
		return err_trace(r);
	step(what);
	return 0;
}

bool index_due(struct store *s)
{
	struct index_state st;

	if (repair_waits(s))
		return false;
	s->index.unread = false;
	/* Upkeep finds out what is damaged. */
	if (index_read_state(s, &st) < 0)
		return s->index.unread;
	if (st.clearing || s->index.damaged)
		return !(s->copying && s->index.hard);
	if (index_read_waiting(s, &st) < 0)
		return s->index.unread;
	return st.dirty || st.upto < st.top || st.edits > st.erased || sample_due(s, st.upto);
}

int index_watermark(struct store *s, int64_t *ret)
{
	struct index_state st;
	int r = index_read_state(s, &st);

	if (r < 0)
		return err_trace(r);
	*ret = st.upto;
	return 0;
}

int search_behind(struct store *s, uint64_t *ret)
{
	struct index_state st;
	int r = index_read_state(s, &st);

	if (r == 0)
		r = index_read_waiting(s, &st);
	if (r < 0)
		return err_trace(r);
	*ret = st.top > st.upto ? (uint64_t)(st.top - st.upto) : 0;
	return 0;
}

int index_edits(struct store *s, int64_t *ret)
{
	struct index_state st;
	int r = index_read_state(s, &st);

	if (r < 0)
		return err_trace(r);
	*ret = st.edits;
	return 0;
}

int index_open(struct store *s)
{
	struct index_state st;
	int r;

	s->index = (struct index_pace){ .rows = INDEX_ROWS_FIRST, .pages = INDEX_PAGES_FIRST, .walk_rows = SEARCH_WALK_ROWS,
					.samples = INDEX_SAMPLES };
	r = index_read_state(s, &st);
	/* The archive opens whatever its index is like. */
	if (r < 0 && s->index.unread) {
		r = repair_state(s);
		if (r == 0)
			r = index_read_state(s, &st);
	}
	if (r < 0)
		return err_trace(r);
	if (st.tokenizer == TOKENIZER_VERSION)
		return 0;
	log_info("archive: the search index is made anew");
	r = index_rebuild(s);
	return r < 0 ? err_trace(r) : 0;
}

int index_forget_words(struct store *s)
{
	int code;

	if (!s->index.stale)
		return 0;
	search_let_go(s);
	code = sqlite3_exec(s->db, "BEGIN IMMEDIATE; INSERT INTO fts(rowid, body) VALUES(-1, 'x')", NULL, NULL, NULL);
	/* What counts is that it began and that we roll it back; not that FTS5 could take the word (it may be damaged). */
	if (!sqlite3_get_autocommit(s->db))
		code = sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	else if (code == SQLITE_OK)
		code = SQLITE_IOERR;
	/* A page of the index cannot be read: FTS5 was told of the rollback before it took a word, and nobody asks it now. */
	if (db_errno(code) == -EBADMSG) {
		s->index.damaged = true;
		code = SQLITE_OK;
	}
	if (code != SQLITE_OK)
		return err_origin(db_errno(code));
	s->index.stale = false;
	return 0;
}

int index_check(struct store *s)
{
	int code, r = index_forget_words(s);

	if (r < 0)
		return err_trace(r);
	code = sqlite3_exec(s->db, "INSERT INTO fts(fts, rank) VALUES('integrity-check', 1)", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		return 0;
	log_debug("search index: %d: %s", code, sqlite3_errmsg(s->db));
	return db_errno(code) == -EBADMSG ? STORE_E_DAMAGED : err_origin(db_errno(code));
}

int index_rebuild(struct store *s)
{
	int r = index_begin(s);

	if (r < 0)
		return err_trace(r);
	if (s->index.damaged)
		log_warning("archive: the search index is damaged and is made anew; no message is affected");
	r = index_finish(s, index_run(s, SQL_INDEX_FORGET, 1, TOKENIZER_VERSION, 0), "index.forget");
	if (r < 0)
		return err_trace(r);
	s->index.damaged = false;
	return 0;
}

const char *search_trouble(const struct store *s)
{
	return index_trouble(s);
}
