/*
 * The work of the search index, one transaction at a time: new rows, changed ones, merges, erasing, and emptying what is to
 * begin anew. Batches are as large as the budget allows.
 */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "store/index-priv.h"
#include "store/index.h"
#include "store/schema.h"

enum {
	ROWS_MIN = 50,	    /* a batch */
	ROWS_MAX = 1000,    /* facts/db.md section 3: a transaction is at most that many messages */
	BYTES_MAX = 65536,  /* of text in a batch, or one message: 50 ms here if every word of it is another one */
	PAGES_MIN = 4,	    /* a merge step, in pages of the index that it writes */
	PAGES_MAX = 256,
	CLEAR_ROWS = 128,   /* rows of about a page each that a step of emptying deletes: all are overwritten */
};

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
	r = index_run(s, SQL_INDEX_ADD, 2, st->upto, last);
	if (r == 0)
		r = index_run(s, SQL_INDEX_UPTO, 1, last, 0);
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
		r = index_run(s, steps[i], 1, last, 0);
	if (r == 0)
		r = index_run(s, SQL_INDEX_EDITED, 0, 0, 0);
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
	r = index_run(s, SQL_INDEX_MERGE, 1, pages, 0);
	*ret_any = sqlite3_total_changes64(s->db) - before >= 2;
	if (r == 0 && begin_erase)
		r = index_run(s, SQL_INDEX_ERASING, 0, 0, 0);
	return index_finish(s, r, "index.merge");
}

/* Nothing is left to merge: what the job began with is gone, also from the log. */
static int end_erase(struct store *s)
{
	int r = index_begin(s);

	if (r < 0)
		return err_trace(r);
	r = index_finish(s, index_run(s, SQL_INDEX_ERASED, 0, 0, 0), "index.erased");
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
		r = index_run(s, SQL_INDEX_CLEAN, 1, INT64_MAX, 0);
		if (r == 0)
			r = db_exec(s, "DROP TABLE fts_term; DROP TABLE fts;" SCHEMA_INDEX);
		if (r == 0)
			r = index_run(s, SQL_INDEX_CLEARED, 0, 0, 0);
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
