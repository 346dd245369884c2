/*
 * Files that were written when format 1 was made (tests/golden): they open, for ever. A hot log and a hot journal too.
 *
 *	test-vfs-golden DIR		what the suite runs
 *	test-vfs-golden --make DIR	how they were made; for a format 2, into files of another name
 */
#include "vfs-fixture.h"

#include <unistd.h>

/* Master key 32 times 01, file id 16 times 01, epoch 1: keys_make(1, 1). read_format1.py knows them too. */
#define BODY "(id || ': Grüße aus 東京 🎉 ' || replace(hex(zeroblob(40)), '00', 'varve '))"
#define SCHEMA "CREATE TABLE golden(id INTEGER PRIMARY KEY, body TEXT);"
#define FILL(from, to)                                                                                               \
	"WITH RECURSIVE n(id) AS (SELECT " #from " UNION ALL SELECT id + 1 FROM n WHERE id < " #to                   \
	") INSERT INTO golden SELECT id, " BODY " FROM n;"

static const char *dir;

static void copy_out(const char *from, const char *to)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, to);

	file_copy(from, path);
}

static void copy_in(struct place *p, const char *from, const char *to)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, from);

	file_copy(path, place_path(p, to));
}

/* Rows 1 to 20 in the database, 21 to 40 and a change of row 7 in the log. */
static void make_log(struct place *p)
{
	sqlite3 *db = db_open(p->path, "WAL");

	db_exec(db,
		SCHEMA FILL(1, 20) "UPDATE golden SET body = 'old' WHERE id = 7; PRAGMA wal_checkpoint(TRUNCATE);");
	db_exec(db, FILL(21, 30) FILL(31, 40) "UPDATE golden SET body = " BODY " WHERE id = 7;");
	copy_out(p->path, "format1.db");
	copy_out(place_path(p, "a.db-wal"), "format1.db-wal");
	db_close(db);
}

/* Rows 1 to 20; a transaction that was changing them when the process died. */
static void make_journal(struct place *p)
{
	sqlite3 *db;

	unlink(p->path);
	db = db_open(p->path, "DELETE");
	db_exec(db, SCHEMA FILL(1, 20));
	db_exec(db,
		"PRAGMA cache_spill=1; PRAGMA cache_size=1; BEGIN; UPDATE golden SET body = 'half done' || body;");
	copy_out(p->path, "format1-rollback.db");
	copy_out(place_path(p, "a.db-journal"), "format1-rollback.db-journal");
	db_close(db);
}

TEST(a_log_of_format_1)
{
	struct place *p = *state;
	sqlite3 *db;

	copy_in(p, "format1.db", "a.db");
	copy_in(p, "format1.db-wal", "a.db-wal");
	db = db_open(p->path, "WAL");
	assert_int_equal(db_int(db, "SELECT count(*) FROM golden WHERE body = " BODY), 40);
	assert_true(db_sound(db));
	db_exec(db, FILL(41, 50));
	db_close(db);
	db = db_open(p->path, "WAL");
	assert_int_equal(db_int(db, "SELECT count(*) FROM golden WHERE body = " BODY), 50);
	db_close(db);
}

/* Without its log: what was checkpointed. */
TEST(a_database_of_format_1)
{
	struct place *p = *state;
	sqlite3 *db;

	copy_in(p, "format1.db", "a.db");
	db = db_open(p->path, "WAL");
	assert_int_equal(db_int(db, "SELECT count(*) FROM golden WHERE body = " BODY), 19);
	assert_int_equal(db_int(db, "SELECT count(*) FROM golden WHERE body = 'old'"), 1);
	assert_true(db_sound(db));
	db_close(db);
}

TEST(a_journal_of_format_1)
{
	struct place *p = *state;
	sqlite3 *db;

	copy_in(p, "format1-rollback.db", "a.db");
	db = db_open(p->path, "DELETE");
	assert_true(db_int(db, "SELECT count(*) FROM golden WHERE body LIKE 'half done%'") != 0);
	sqlite3_close(db);
	copy_in(p, "format1-rollback.db", "a.db");
	copy_in(p, "format1-rollback.db-journal", "a.db-journal");
	db = db_open(p->path, "DELETE");
	assert_int_equal(db_int(db, "SELECT count(*) FROM golden WHERE body = " BODY), 20);
	assert_true(db_sound(db));
	db_close(db);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RUN(a_log_of_format_1),
		RUN(a_database_of_format_1),
		RUN(a_journal_of_format_1),
	};
	void *state = NULL;

	dir = argc > 1 ? argv[argc - 1] : ".";
	if (argc < 3)
		return cmocka_run_group_tests(tests, NULL, NULL);
	place_setup(&state);
	make_log(state);
	make_journal(state);
	return place_teardown(&state);
}
