/* The connection: pragmas, transactions, failures. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"
#include "store/schema.h"

/* facts/db.md section 7, by another way than db.c's own check. */
TEST(every_pragma_took)
{
	struct fx *fx = *state;
	static const struct {
		const char *name;
		int64_t want;
	} numbers[] = {
		{ "page_size", 4096 }, { "synchronous", 2 }, { "cache_size", -8000 }, { "cache_spill", 0 },
		{ "temp_store", 2 }, { "mmap_size", 0 }, { "secure_delete", 1 }, { "auto_vacuum", 0 },
		{ "wal_autocheckpoint", 3500 }, { "journal_size_limit", 16777216 }, { "foreign_keys", 1 },
		{ "trusted_schema", 0 }, { "cell_size_check", 1 }, { "application_id", 0x76617276 },
		{ "user_version", SCHEMA_VERSION },
	};
	int64_t got;
	int on = -1;

	for (int restart = 0; restart < 2; restart++) {
		for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
			assert_int_equal(db_pragma(fx->s, numbers[i].name, &got), 0);
			if (got != numbers[i].want)
				print_error("%s\n", numbers[i].name);
			assert_int_equal(got, numbers[i].want);
		}
		sqlite3_db_config(fx->s->db, SQLITE_DBCONFIG_DEFENSIVE, -1, &on);
		assert_int_equal(on, 1);
		sqlite3_db_config(fx->s->db, SQLITE_DBCONFIG_DQS_DML, -1, &on);
		assert_int_equal(on, 0);
		sqlite3_db_config(fx->s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, -1, &on);
		assert_int_equal(on, 0);
		fx_reopen(fx);
	}
}

/* One thread, and nobody reads the books (db-open.c): each little allocation would pay for both. */
TEST(sqlite_takes_no_locks_and_keeps_no_books)
{
	(void)state;
	/* All are one that does nothing. */
	assert_ptr_equal(sqlite3_mutex_alloc(SQLITE_MUTEX_FAST), sqlite3_mutex_alloc(SQLITE_MUTEX_FAST));
	assert_int_equal(sqlite3_memory_used(), 0);
}

/* By how much our clock was off outlives the store: at once where nothing else is written, else with what is. */
TEST(a_clock_that_was_off_is_remembered)
{
	struct fx *fx = *state;
	const int64_t hour = INT64_C(3600) * 1000000;

	store_clock_was_off(fx->s, -200 * hour);
	assert_int_equal(fx->s->clock_off_us, 200 * hour);
	fx_reopen(fx);
	assert_int_equal(fx->s->clock_off_us, 200 * hour);
	/* Less is nothing new; a little more is known, and not written. */
	store_clock_was_off(fx->s, 100 * hour);
	store_clock_was_off(fx->s, 200 * hour + 1);
	assert_int_equal(fx->s->clock_off_us, 200 * hour + 1);
	fx_reopen(fx);
	assert_int_equal(fx->s->clock_off_us, 200 * hour);
	/* What is undone is kept by the next. */
	assert_int_equal(store_begin(fx->s), 0);
	store_clock_was_off(fx->s, 300 * hour);
	store_rollback(fx->s);
	assert_int_equal(fx->s->clock_off_kept_us, 200 * hour);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(store_commit(fx->s), 0);
	fx_reopen(fx);
	assert_int_equal(fx->s->clock_off_us, 300 * hour);
}

/* EXCLUSIVE without shared memory: no -shm file repeats content. */
TEST(there_is_no_shared_memory)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = xasprintf("%s-shm", fx->s->path);

	put_live(fx, text_in("1", "x"), false);
	assert_int_equal(access(path, F_OK), -1);
}

static void copy_file(const char *from, const char *to)
{
	char cmd[400];

	snprintf(cmd, sizeof(cmd), "cp -- '%s' '%s'", from, to);
	assert_int_equal(system(cmd), 0);
}

/* Copy database and log as kill -9 would leave them. */
static void copy_crashed(const char *path, const char *copy)
{
	char from[160], to[160];

	copy_file(path, copy);
	snprintf(from, sizeof(from), "%s-wal", path);
	snprintf(to, sizeof(to), "%s-wal", copy);
	copy_file(from, to);
}

/* Rows of table bug in a copy, opened as after a crash. */
static int64_t count_rows(const struct fx *fx, const char *path)
{
	struct store copy = { .path = (char *)(uintptr_t)path, .keys = vault_keys(fx->v) };
	const char *what = "";
	int64_t n;

	assert_int_equal(db_open(&copy, false, &what), 0);
	assert_int_equal(db_number(copy.db, "SELECT count(*) FROM bug", &n), 0);
	db_close(&copy, false);
	return n;
}

/*
 * facts/db.md section 2.3: SQLite before 3.50.2 loses committed transactions after ROLLBACK TO in a transaction that
 * spilled. ${spill}: with the pragma that varve depends on switched off again, to see that the test can fail.
 */
static int64_t rows_after_crash(struct fx *fx, bool spill)
{
	static const char work[] = "BEGIN; INSERT INTO bug(x) VALUES('row'); SAVEPOINT s;"
				   "INSERT INTO big(x) VALUES(randomblob(800000)); UPDATE big SET x=x||'y';"
				   "ROLLBACK TO s; RELEASE s; COMMIT";
	char copy[160], wal[200];
	int64_t n;

	assert_int_equal(db_exec(fx->s, "DROP TABLE IF EXISTS bug; DROP TABLE IF EXISTS big;"
					"CREATE TABLE bug(x); CREATE TABLE big(x);"), 0);
	/* A small cache, so that this workload would spill. */
	assert_int_equal(db_exec(fx->s, spill ? "PRAGMA cache_size=10; PRAGMA cache_spill=ON" :
						"PRAGMA cache_size=10"), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(db_exec(fx->s, work), 0);
	snprintf(copy, sizeof(copy), "%s-copy", fx->s->path);
	copy_crashed(fx->s->path, copy);
	n = count_rows(fx, copy);
	snprintf(wal, sizeof(wal), "%s-wal", copy);
	(void)unlink(wal);
	assert_int_equal(unlink(copy), 0);
	return n;
}

TEST(bug_of_sqlite_3401_is_harmless)
{
	struct fx *fx = *state;

	assert_int_equal(rows_after_crash(fx, false), 20);
}

TEST(bug_of_sqlite_3401_would_bite_with_cache_spill)
{
	struct fx *fx = *state;

	if (sqlite3_libversion_number() >= 3050002)
		skip();
	assert_true(rows_after_crash(fx, true) < 20);
}

TEST(rollback_leaves_nothing)
{
	struct fx *fx = *state;
	struct message m = with_aid(text_in("1", "x"), "a1");
	struct put_outcome out;
	uint64_t seq = seq_of(fx);

	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(archive_put_live(fx->s, fx->account, fx->archive, OWN, &m, fx->now, true, &out), 0);
	store_rollback(fx->s);

	assert_int_equal(count_messages(fx), 0);
	assert_int_equal(seq_of(fx), seq);
	assert_string_equal(bodies(fx, BOB), "(none)");
	/* And it can be stored afterwards. */
	assert_int_equal(put_live(fx, m, true).result, PUT_NEW);
}

TEST(what_is_committed_survives_a_crash)
{
	struct fx *fx = *state;
	struct store after = { .keys = vault_keys(fx->v) };
	_cleanup_(freep) char *copy = xasprintf("%s-crash", fx->s->path);
	const char *what = "";
	int64_t n;

	put_live(fx, text_in("1", "one"), false);
	copy_crashed(fx->s->path, copy);
	put_live(fx, text_in("2", "two"), false);

	after.path = copy;
	assert_int_equal(db_open(&after, false, &what), 0);
	assert_int_equal(db_number(after.db, "SELECT count(*) FROM msg WHERE body='one'", &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(db_number(after.db, "SELECT count(*) FROM msg", &n), 0);
	assert_int_equal(n, 1);
	db_close(&after, false);
}

/* Promise 9: a full disk is -ENOSPC, and nothing of the transaction exists. */
TEST(full_disk_fails_the_transaction_and_nothing_else)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *big = xcalloc(1, 200001);
	struct message m = text_in("2", big);
	struct put_outcome out;
	int64_t pages;
	char sql[64];
	int r;

	put_live(fx, text_in("1", "before"), false);
	memset(big, 'x', 200000);
	assert_int_equal(db_pragma(fx->s, "page_count", &pages), 0);
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%d", (int)pages + 4);
	assert_int_equal(db_exec(fx->s, sql), 0);

	assert_int_equal(store_begin(fx->s), 0);
	r = archive_put_live(fx->s, fx->account, fx->archive, OWN, &m, fx->now, false, &out);
	assert_int_equal(r, -ENOSPC);
	/* A caller that overlooks the error cannot commit half of it. */
	assert_int_equal(store_commit(fx->s), -ENOSPC);
	assert_string_equal(bodies(fx, BOB), "before");

	assert_int_equal(db_exec(fx->s, "PRAGMA max_page_count=1000000"), 0);
	assert_int_equal(put_live(fx, m, false).result, PUT_NEW);
}

/* SQLite 3.54 prepares a statement anew whenever another value is bound, unless QPSG is on: eight times the time of
 * the engine suite. */
TEST(no_statement_is_prepared_twice)
{
	struct fx *fx = *state;
	char id[16];

	/* BEGIN and COMMIT are older than the tables, and were. */
	for (int i = 0; i < SQL_N; i++)
		if (fx->s->stmts[i])
			sqlite3_stmt_status(fx->s->stmts[i], SQLITE_STMTSTATUS_REPREPARE, 1);
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		put_live(fx, text_in(id, id), false);
		count_messages(fx);
		(void)row_of(fx, id);
	}
	for (int i = 0; i < SQL_N; i++)
		if (fx->s->stmts[i])
			assert_int_equal(sqlite3_stmt_status(fx->s->stmts[i], SQLITE_STMTSTATUS_REPREPARE, 0), 0);
}

TEST(result_codes_become_errno)
{
	(void)state;
	assert_int_equal(db_errno(SQLITE_FULL), -ENOSPC);
	assert_int_equal(db_errno(SQLITE_IOERR_WRITE), -EIO);
	assert_int_equal(db_errno(SQLITE_CORRUPT_VTAB), -EBADMSG);
	assert_int_equal(db_errno(SQLITE_NOTADB), -EBADMSG);
	assert_int_equal(db_errno(SQLITE_IOERR_DATA), -EBADMSG);
	assert_int_equal(db_errno(SQLITE_READONLY_DBMOVED), -EROFS);
	assert_int_equal(db_errno(SQLITE_DONE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(every_pragma_took),
		RUN(sqlite_takes_no_locks_and_keeps_no_books),
		RUN(a_clock_that_was_off_is_remembered),
		RUN(there_is_no_shared_memory),
		RUN(bug_of_sqlite_3401_is_harmless),
		RUN(bug_of_sqlite_3401_would_bite_with_cache_spill),
		RUN(rollback_leaves_nothing),
		RUN(what_is_committed_survives_a_crash),
		RUN(full_disk_fails_the_transaction_and_nothing_else),
		RUN(no_statement_is_prepared_twice),
		RUN(result_codes_become_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
