/* What SQLite does that a cipher below it must survive: the lock-byte page, and the ROLLBACK TO of 3.40.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "vault/vfs.h"
#include "work.h"

#define COPY "/torture/copy.db"
enum { PENDING_BYTE_AT = 1 << 20, LOCK_PAGE = PENDING_BYTE_AT / PAGE_SIZE + 1 };

static int64_t number(sqlite3 *db, const char *sql)
{
	int64_t n;

	assert_int_equal(db_number(db, sql, &n), 0);
	return n;
}

static void opened(struct rig *rig)
{
	const char *what;

	assert_int_equal(rig_open(rig, &what), 0);
}

static bool page_is_zero(struct rig *rig, const char *name, int64_t pgno)
{
	int64_t size;
	const uint8_t *bytes = drive_bytes(rig->drive, name, &size);

	assert_non_null(bytes);
	assert_true(size > pgno * PAGE_SIZE);
	for (int64_t at = (pgno - 1) * PAGE_SIZE; at < pgno * PAGE_SIZE; at++)
		if (bytes[at])
			return false;
	return true;
}

static sqlite3 *open_copy(struct page_keys *keys)
{
	int reserve = PAGE_RESERVE;
	sqlite3 *db;

	assert_int_equal(vfs_bind(COPY, keys), 0);
	assert_int_equal(sqlite3_open_v2(COPY, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, VAULT_VFS), SQLITE_OK);
	assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve), SQLITE_OK);
	/* No shared memory below, as for the archive itself. */
	assert_int_equal(work_exec(db, "PRAGMA locking_mode=EXCLUSIVE"), SQLITE_OK);
	return db;
}

static void is_whole(sqlite3 *db, const char *sum)
{
	char sql[200];

	snprintf(sql, sizeof(sql), "SELECT count(*)=600 AND total(length(body))=%s FROM big", sum);
	assert_int_equal(number(db, sql), 1);
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check='ok'"), 1);
}

/*
 * SQLite never writes the page that its locks are on; at 1 GiB nobody's test gets there, so it is moved to 1 MiB. That
 * page stays a hole of zeros, which do not authenticate: nothing may ever read it.
 */
static void the_page_of_the_locks_is_never_touched(void **state)
{
	struct page_keys other;
	struct rig rig;
	sqlite3 *copy;
	sqlite3_backup *b;

	(void)state;
	rig_init(&rig, (struct rig_mode){ .cache = 0 }, 7);
	opened(&rig);
	assert_int_equal(work_exec(rig.s.db, "CREATE TABLE big(id INTEGER PRIMARY KEY, body BLOB)"), SQLITE_OK);
	for (int i = 0; i < 600; i++)
		assert_int_equal(work_exec(rig.s.db, "INSERT INTO big(body) VALUES(randomblob(5000))"), SQLITE_OK);
	assert_int_equal(work_exec(rig.s.db, "PRAGMA wal_checkpoint(TRUNCATE)"), SQLITE_OK);
	assert_true(page_is_zero(&rig, RIG_DB, LOCK_PAGE));
	assert_false(page_is_zero(&rig, RIG_DB, LOCK_PAGE + 1));
	is_whole(rig.s.db, "3000000");

	memset(&other, 0x5a, sizeof(other));
	assert_int_equal(vfs_bind(COPY, &other), 0);
	assert_int_equal(work_exec(rig.s.db, "VACUUM INTO 'file:" COPY "'"), SQLITE_OK);
	assert_true(page_is_zero(&rig, COPY, LOCK_PAGE));
	copy = open_copy(&other);
	is_whole(copy, "3000000");
	sqlite3_close(copy);

	drive_make(rig.drive, COPY);
	copy = open_copy(&other);
	b = sqlite3_backup_init(copy, "main", rig.s.db, "main");
	assert_non_null(b);
	assert_int_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
	assert_int_equal(sqlite3_backup_finish(b), SQLITE_OK);
	is_whole(copy, "3000000");
	sqlite3_close(copy);
	vfs_unbind(COPY);

	/* Shrunk and grown again over it, in the log alone, and after a power loss. */
	assert_int_equal(work_exec(rig.s.db, "DELETE FROM big WHERE id > 100"), SQLITE_OK);
	for (int i = 0; i < 500; i++)
		assert_int_equal(work_exec(rig.s.db, "INSERT INTO big(body) VALUES(randomblob(5000))"), SQLITE_OK);
	rig_close(&rig, true);
	drive_power_on(rig.drive, 0);
	opened(&rig);
	is_whole(rig.s.db, "3000000");
	rig_deinit(&rig);
}

/*
 * facts/db.md section 2.3: SQLite before 3.50.2 loses committed transactions after ROLLBACK TO in a transaction that
 * spilled its cache. tests/unit/store/test-db.c has it as kill -9; here the power goes and nothing un-synced survives.
 */
static int64_t rows_after_loss(bool plain, bool spill)
{
	struct rig rig;
	int64_t n;

	rig_init(&rig, (struct rig_mode){ .plain = plain, .cache = 10, .spill = spill }, 3);
	opened(&rig);
	assert_int_equal(number(rig.s.db, "PRAGMA cache_spill") != 0, spill);
	assert_int_equal(work_exec(rig.s.db, "CREATE TABLE bug(x); CREATE TABLE big(x)"), SQLITE_OK);
	for (int i = 0; i < 20; i++)
		assert_int_equal(work_exec(rig.s.db, "BEGIN; INSERT INTO bug VALUES('row'); SAVEPOINT s;"
						     "INSERT INTO big VALUES(randomblob(800000));"
						     "UPDATE big SET x=x||'y'; ROLLBACK TO s; RELEASE s; COMMIT"),
				 SQLITE_OK);
	assert_int_equal(number(rig.s.db, "SELECT count(*) FROM bug"), 20);
	drive_power_off(rig.drive);
	rig_close(&rig, true);
	drive_power_on(rig.drive, 0);
	opened(&rig);
	n = number(rig.s.db, "SELECT count(*) FROM sqlite_schema WHERE name='bug'");
	if (n > 0)
		n = number(rig.s.db, "SELECT count(*) FROM bug");
	rig_deinit(&rig);
	return n;
}

static void rollback_to_is_harmless_without_spill(void **state)
{
	(void)state;
	assert_int_equal(rows_after_loss(true, false), 20);
	assert_int_equal(rows_after_loss(false, false), 20);
}

static void rollback_to_would_lose_commits_with_spill(void **state)
{
	(void)state;
	/* The only place here that depends on the version of SQLite. */
	if (sqlite3_libversion_number() >= 3050002) {
		assert_int_equal(rows_after_loss(false, true), 20);
		return;
	}
	assert_true(rows_after_loss(true, true) < 20);
	assert_true(rows_after_loss(false, true) < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_of_the_locks_is_never_touched),
		cmocka_unit_test(rollback_to_is_harmless_without_spill),
		cmocka_unit_test(rollback_to_would_lose_commits_with_spill),
	};

	/* Before the first connection; it holds for the process. */
	sqlite3_test_control(SQLITE_TESTCTRL_PENDING_BYTE, PENDING_BYTE_AT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
