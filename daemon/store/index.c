#include "store/index.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "store/index-priv.h"
#include "store/schema.h"
#include "store/search.h"
#include "store/tokenizer.h"

enum {
	ROWS_MIN = 50,	    /* a batch */
	ROWS_FIRST = 200,
	ROWS_MAX = 1000,    /* facts/db.md section 3: a transaction is at most that many messages */
	BYTES_MAX = 65536,  /* of text in a batch, or one message: 50 ms here if every word of it is another one */
	PAGES_MIN = 4,	    /* a merge step, in pages of the index that it writes */
	PAGES_FIRST = 16,
	PAGES_MAX = 256,
	CLEAR_ROWS = 128,   /* rows of about a page each that a step of emptying deletes: all are overwritten */
};

static int index_read_state(struct store *s, struct index_state *ret)
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

/* What waits for the index: reads a message and fts_dirty, so it may fail where index_read_state() does not. */
static int index_read_waiting(struct store *s, struct index_state *st)
{
	int64_t dirty = 0;
	int r = read_number(s, SQL_SEARCH_TOP, &st->top);

	if (r == 0)
		r = read_number(s, SQL_INDEX_WAITS, &dirty);
	st->dirty = dirty != 0;
	return r < 0 ? err_trace(r) : 0;
}

/* Run ${id} with at most two numbers; the caller has a transaction open. */
static int run(struct store *s, enum sql id, int n, int64_t a, int64_t b)
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

/*
 * CPU time of this thread, which sizes the batches: the wait for a slow disk is the same for a small one and must not
 * make them smaller.
 */
static int64_t clock_cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
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

/* A step of ${*size} took ${us}: the next one shall fit into the budget. */
static void adapt(int64_t *size, int64_t us, int64_t budget_us, int64_t min, int64_t max)
{
	if (us > budget_us && *size > min)
		*size = *size / 2 > min ? *size / 2 : min;
	else if (us < budget_us / 2 && *size < max)
		*size = *size * 3 / 2 < max ? *size * 3 / 2 : max;
}

/* The last id of a batch that begins above ${from}, by ${id} (ids and sizes of their texts); ${from} if there is none.
 * A contact chooses how long messages are, so rows alone do not bound a transaction. */
static int last_of_batch(struct store *s, enum sql id, int64_t from, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);
	int64_t bytes = 0;
	int r = 1;

	*ret = from;
	put_i(&q, from);
	put_i(&q, s->index.rows);
	while (bytes < BYTES_MAX && (r = db_row(&q)) > 0) {
		bytes += col_i(&q, 1);
		if (*ret == from || bytes <= BYTES_MAX)
			*ret = col_i(&q, 0);
	}
	return r < 0 ? err_trace(r) : 0;
}

static int add_rows(struct store *s, const struct index_state *st)
{
	int64_t last = st->upto;
	int r;

	r = last_of_batch(s, SQL_INDEX_BATCH, st->upto, &last);
	if (r == 0)
		r = index_begin(s);
	if (r < 0)
		return err_trace(r);
	r = run(s, SQL_INDEX_ADD, 2, st->upto, last);
	if (r == 0)
		r = run(s, SQL_INDEX_UPTO, 1, last, 0);
	s->index.merge_idle = false;
	return index_finish(s, r, "index.batch");
}

/* Take the next changed and deleted texts out of the index, and the new ones in. */
static int take_changes(struct store *s)
{
	static const enum sql steps[] = { SQL_INDEX_DELETE, SQL_INDEX_INSERT, SQL_INDEX_CLEAN };
	int64_t last = 0;
	int r;

	r = last_of_batch(s, SQL_INDEX_DIRTY, 0, &last);
	if (r == 0)
		r = index_begin(s);
	if (r < 0)
		return err_trace(r);
	for (size_t i = 0; i < ARRAY_SIZE(steps) && r == 0; i++)
		r = run(s, steps[i], 1, last, 0);
	if (r == 0)
		r = run(s, SQL_INDEX_EDITED, 0, 0, 0);
	s->index.merge_idle = false;
	return index_finish(s, r, "index.changes");
}

/*
 * One merge step of about ${pages} pages; negative: bring all segments together first (FTS5: "merge"). *ret_any: it
 * found something to do, which FTS5 tells by changing more than its own row.
 */
static int merge(struct store *s, int64_t pages, bool begin_erase, bool *ret_any)
{
	int64_t before = sqlite3_total_changes64(s->db);
	int r = index_begin(s);

	if (r < 0)
		return err_trace(r);
	r = run(s, SQL_INDEX_MERGE, 1, pages, 0);
	*ret_any = sqlite3_total_changes64(s->db) - before >= 2;
	if (r == 0 && begin_erase)
		r = run(s, SQL_INDEX_ERASING, 0, 0, 0);
	return index_finish(s, r, "index.merge");
}

/* Nothing is left to merge: what the job began with is gone, also from the log. */
static int end_erase(struct store *s)
{
	int r = index_begin(s);

	if (r < 0)
		return err_trace(r);
	r = index_finish(s, run(s, SQL_INDEX_ERASED, 0, 0, 0), "index.erased");
	if (r < 0)
		return err_trace(r);
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
		log_debug("index: the log could not be truncated");
	step("index.checkpoint");
	return 0;
}

/*
 * Empty the tables of the index by their names. FTS5's 'delete-all' and DROP TABLE would do it in one transaction that
 * overwrites every page, in memory. SQLite protects such tables (DEFENSIVE) when a statement is prepared, so the
 * protection is off for these statements; nobody else can run any meanwhile.
 */
static int clear_some(struct store *s, int64_t *ret_rows)
{
	static const char sql[] = "DELETE FROM fts_data WHERE id IN (SELECT id FROM fts_data WHERE id>10 LIMIT %d);";
	/* An empty index, by FTS5's format: without these it would not even let itself be dropped. */
	static const char empty[] = "INSERT OR REPLACE INTO fts_data VALUES(1, x''), (10, x'00000000000000');"
				    "INSERT OR REPLACE INTO fts_config VALUES('version', 4);";
	char text[sizeof(sql) + 16];
	int r;

	snprintf(text, sizeof(text), sql, CLEAR_ROWS);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	r = db_exec(s, text);
	*ret_rows = sqlite3_changes64(s->db);
	if (r == 0)
		r = db_exec(s, empty);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return r < 0 ? err_trace(r) : 0;
}

static int clear(struct store *s)
{
	int64_t rows = 0;
	int r = index_begin(s);

	if (r < 0)
		return err_trace(r);
	r = clear_some(s, &rows);
	if (r == 0 && rows < CLEAR_ROWS) {
		r = run(s, SQL_INDEX_CLEAN, 1, INT64_MAX, 0);
		if (r == 0)
			r = db_exec(s, "DROP TABLE fts_term; DROP TABLE fts;" SCHEMA_INDEX);
		if (r == 0)
			r = run(s, SQL_INDEX_CLEARED, 0, 0, 0);
	}
	s->index.merge_idle = false;
	return index_finish(s, r, "index.clear");
}

static void measure(struct store *s, int64_t us, int64_t cpu_us)
{
	if (us > s->index.worst_us)
		s->index.worst_us = us;
	if (cpu_us > s->index.worst_cpu_us)
		s->index.worst_cpu_us = cpu_us;
}

/* The index is being emptied, or must be: 1 done, 0 not now. */
static int start_over(struct store *s, const struct index_state *st, int64_t budget_us)
{
	int r;

	/* A copy would not follow what is written below SQLite. */
	if (st->clearing && s->index.hard && s->copying)
		return 0;
	if (!st->clearing && !repair_begin(s))
		return 0;
	if (!st->clearing)
		r = index_rebuild(s);
	else if (s->index.hard)
		r = repair_mend(s, budget_us);
	else
		r = clear(s);
	return r < 0 ? err_trace(r) : 1;
}

/* *ret_size: the size that is to be adapted to the time that this took, or NULL. */
static int one(struct store *s, const struct index_state *st, int64_t **ret_size)
{
	bool any = true;
	int r;

	*ret_size = NULL;
	if (!s->index.merge_idle) {
		*ret_size = &s->index.pages;
		r = merge(s, s->index.pages, false, &any);
		s->index.merge_idle = r == 0 && !any;
	} else if (st->dirty) {
		*ret_size = &s->index.rows;
		r = take_changes(s);
	} else if (st->upto < st->top) {
		*ret_size = &s->index.rows;
		r = add_rows(s, st);
	} else if (st->erasing > st->erased) {
		r = end_erase(s);
	} else if (st->edits > st->erased) {
		r = merge(s, -s->index.pages, true, &any);
		s->index.merge_idle = false;
	} else if (sample_due(s, st->upto)) {
		r = sample_step(s, st->upto);
	} else {
		return 0;
	}
	return r < 0 ? err_trace(r) : 1;
}

/* One transaction of work: 1 done, 0 there is none. */
static int work(struct store *s, int64_t budget_us)
{
	int64_t began = clock_boot_us(), began_cpu = clock_cpu_us(), us, *size = NULL;
	struct index_state st;
	bool known;
	int r;

	if (repair_waits(s))
		return 0;
	s->index.unread = false;
	r = index_read_state(s, &st);
	known = r == 0;
	if (r == 0 && (s->index.damaged || st.clearing)) {
		r = start_over(s, &st, budget_us);
	} else if (r == 0) {
		r = index_read_waiting(s, &st);
		if (r == 0)
			r = one(s, &st, &size);
	}
	if (r < 0) {
		r = repair_judge(s, known ? &st : NULL, r);
		return r < 0 ? err_trace(r) : 1;
	}
	if (r == 0)
		return 0;
	s->index.trouble = NULL;
	us = clock_cpu_us() - began_cpu;
	measure(s, clock_boot_us() - began, us);
	if (size == &s->index.pages)
		adapt(size, us, budget_us, PAGES_MIN, PAGES_MAX);
	else if (size)
		adapt(size, us, budget_us, ROWS_MIN, ROWS_MAX);
	return 1;
}

int index_step(struct store *s, int64_t budget_us)
{
	int64_t began = clock_boot_us(), left;
	int r;

	do {
		left = budget_us - (clock_boot_us() - began);
		r = work(s, budget_us);
		if (r <= 0)
			return r < 0 ? err_trace(r) : 0;
		/* Half a budget more would hold one transaction too many. */
	} while (left > budget_us / 2);
	return 1;
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

	s->index = (struct index_pace){ .rows = ROWS_FIRST, .pages = PAGES_FIRST, .walk_rows = SEARCH_WALK_ROWS,
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
	r = index_finish(s, run(s, SQL_INDEX_FORGET, 1, TOKENIZER_VERSION, 0), "index.forget");
	if (r < 0)
		return err_trace(r);
	s->index.damaged = false;
	return 0;
}
