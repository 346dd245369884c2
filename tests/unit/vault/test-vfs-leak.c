/*
 * Nothing in clear on the disk: every write to every file is searched for what was put in. Each test is run on plain
 * SQLite first: the needle must be found there, or the test would prove nothing.
 */
#include "spy.h"

#include <unistd.h>

#undef RUN
#define RUN(name) cmocka_unit_test_setup_teardown(name, spy_setup, spy_teardown)

/* ${vfs}: VAULT_VFS, or "spy": plain SQLite. */
static sqlite3 *open_on(const char *vfs, const char *path)
{
	int reserve = PAGE_RESERVE;
	sqlite3 *db;

	unlink(path);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
	if (strcmp(vfs, VAULT_VFS) == 0)
		sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
	db_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=FILE;"
		    "PRAGMA cache_size=20; PRAGMA cache_spill=1;");
	return db;
}

static void expect(const struct spy *plain, const struct spy *vault, enum spy_kind kind)
{
	if (plain->leaks[kind] == 0)
		fail_msg("kind %d: plain SQLite wrote nothing that could be found", kind);
	if (vault->writes[kind] == 0)
		fail_msg("kind %d: nothing was written", kind);
	for (int k = 0; k < SPY_KINDS; k++)
		if (vault->leaks[k] != 0)
			fail_msg("kind %d: %u writes in clear", k, vault->leaks[k]);
}

/* ${sql} on both; ${journal}: the mode; ${kinds}: what must have been written. */
static void compare(void **state, const char *journal, const char *sql, const enum spy_kind *kinds, size_t count)
{
	static const char *const vfs[] = { "spy", VAULT_VFS };
	struct place *p = *state;
	struct spy seen[2];

	for (int i = 0; i < 2; i++) {
		_cleanup_(freep) char *mode = xasprintf("PRAGMA journal_mode=%s", journal);
		sqlite3 *db = open_on(vfs[i], p->path);

		db_exec(db, mode);
		db_fill(db, 2000, 300);
		db_exec(db, sql);
		assert_true(db_sound(db));
		assert_int_equal(sqlite3_close(db), SQLITE_OK);
		seen[i] = spy_take();
	}
	for (size_t i = 0; i < count; i++)
		expect(&seen[0], &seen[1], kinds[i]);
	assert_false(file_holds(p->path, MARKER, sizeof(MARKER) - 1));
}

TEST(the_log)
{
	static const enum spy_kind kinds[] = { SPY_DB, SPY_WAL };

	compare(state, "WAL", "UPDATE t SET body = body || 'x'; DELETE FROM t WHERE id % 3 = 0; VACUUM;", kinds, 2);
}

TEST(the_rollback_journal)
{
	static const enum spy_kind kinds[] = { SPY_DB, SPY_JOURNAL };
	static const char *const modes[] = { "DELETE", "TRUNCATE", "PERSIST" };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		compare(state, modes[i],
			"UPDATE t SET body = body || 'x'; BEGIN; UPDATE t SET body = body || 'y'; ROLLBACK;"
			"BEGIN; DELETE FROM t WHERE id % 3 = 0; SAVEPOINT a; UPDATE t SET body = body || 'z';"
			"ROLLBACK TO a; COMMIT; VACUUM;",
			kinds, 2);
}

/* Sorter, materialised subquery, temporary table and its journal. */
TEST(temporary_files)
{
	static const enum spy_kind kinds[] = { SPY_TEMP_DB, SPY_TRANSIENT, SPY_TEMP_JOURNAL };

	compare(state, "WAL",
		"CREATE INDEX i ON t(body);"
		"SELECT count(*) FROM (SELECT body FROM t ORDER BY hex(body));"
		"SELECT count(*) FROM (SELECT DISTINCT body || n.column1 FROM t, "
		"(VALUES(1),(2),(3),(4),(5),(6),(7),(8)) n);"
		"PRAGMA temp.cache_size=5; PRAGMA temp.cache_spill=1;"
		"CREATE TEMP TABLE x(id INTEGER PRIMARY KEY, body); INSERT INTO x SELECT * FROM t;"
		"UPDATE x SET body = body || 'x'; BEGIN; UPDATE x SET body = body || 'y' WHERE id % 2; ROLLBACK;"
		"DROP TABLE x;",
		kinds, 3);
}

TEST(the_statement_journal)
{
	static const enum spy_kind kinds[] = { SPY_STATEMENT };

	/* a statement in a transaction that may fail half way: its pages are kept, beyond 64 KiB in a file */
	compare(state, "WAL",
		"CREATE TABLE u(id INTEGER PRIMARY KEY, body TEXT, n UNIQUE); INSERT INTO u SELECT id, body, id FROM "
		"t;"
		"BEGIN; UPDATE u SET body = body || 'x'; UPDATE u SET n = n + 100000, body = body || 'y'; COMMIT;",
		kinds, 1);
}

/* SQLite's checksums over plaintext: of every frame that plain SQLite would show. */
TEST(checksums_of_the_log)
{
	struct place *p = *state;
	sqlite3 *db = open_on(VAULT_VFS, p->path);
	const char *wal = place_path(p, "a.db-wal");
	size_t size;

	db_exec(db, "PRAGMA journal_mode=WAL");
	db_fill(db, 100, 300);
	_cleanup_(freep) uint8_t *data = file_read(wal, &size);
	assert_true(size > WAL_HEADER + 5 * FRAME_SIZE);
	for (uint32_t i = 1; WAL_HEADER + i * FRAME_SIZE <= size; i++) {
		uint8_t plain[FRAME_SIZE];
		uint8_t *sealed = data + WAL_HEADER + (size_t)(i - 1) * FRAME_SIZE;

		assert_int_equal(frame_open(&p->keys, data + 16, i, sealed, plain), 0);
		assert_false(file_holds(wal, plain + 16, 8));
		assert_false(file_holds(wal, plain + 16, 4));
		assert_memory_equal(sealed, plain, 16); /* what is in clear by design */
	}
	db_close(db);
}

/* In a plain database with the same content in reach: names of tables, of columns, SQL of the schema. */
TEST(the_schema)
{
	struct place *p = *state;
	sqlite3 *db = open_on(VAULT_VFS, p->path);

	spy_needle("nobody_sees_this_name", 21);
	spy_needle("SQLite format 3", 15);
	db_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE nobody_sees_this_name(x);"
		    "CREATE INDEX j ON nobody_sees_this_name(x);");
	db_close(db);
	struct spy seen = spy_take();

	for (int k = 0; k < SPY_KINDS; k++)
		assert_int_equal(seen.leaks[k], 0);
	assert_true(seen.writes[SPY_DB] > 0 && seen.writes[SPY_WAL] > 0);
}

/* Copied from a plain database, into an encrypted one: SQLite would put content into the reserved bytes. */
TEST(a_plain_database_is_not_copied_in)
{
	struct place *p = *state;
	sqlite3 *plain, *db = open_on(VAULT_VFS, p->path);
	sqlite3_backup *b;

	plain = open_on("spy", place_path(p, "plain.db"));
	db_fill(plain, 200, 300);
	assert_true(spy_take().leaks[SPY_DB] > 0);
	b = sqlite3_backup_init(db, "main", plain, "main");
	assert_non_null(b);
	assert_int_not_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
	sqlite3_backup_finish(b);
	sqlite3_close(db);
	assert_int_equal(spy_take().leaks[SPY_DB], 0);
	sqlite3_close(plain);
}

/* A frame and its header are one write; nothing is written that SQLite did not ask for. */
TEST(a_frame_is_one_write)
{
	struct place *p = *state;
	sqlite3 *db = db_open(p->path, "WAL");
	struct spy seen;

	db_fill(db, 10, 300);
	spy_take();
	db_exec(db, "INSERT INTO t(body) VALUES('x')");
	seen = spy_take();
	assert_int_equal(seen.bytes[SPY_WAL], seen.writes[SPY_WAL] * FRAME_SIZE);
	assert_int_equal(seen.writes[SPY_DB], 0);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_log),
		RUN(the_rollback_journal),
		RUN(temporary_files),
		RUN(the_statement_journal),
		RUN(checksums_of_the_log),
		RUN(the_schema),
		RUN(a_plain_database_is_not_copied_in),
		RUN(a_frame_is_one_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
