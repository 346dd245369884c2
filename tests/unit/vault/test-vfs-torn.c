/*
 * What a power cut leaves behind, and one bad page: facts/db.md section 1.5. (tests/torture has the simulator.)
 */
#include "spy.h"

#include <unistd.h>

static void garbage(const char *path, size_t at, size_t size)
{
	_cleanup_(freep) uint8_t *bad = xcalloc(1, size);

	for (size_t i = 0; i < size; i++)
		bad[i] = (uint8_t)(i * 131 + 7);
	file_patch(path, at, bad, size);
}

/* Rule 2: the header is read before the log is, and the log has page 1. */
TEST(page_1_is_torn_and_the_log_has_it)
{
	struct place *p = *state;
	const char *copy = place_path(p, "b.db"), *wal = place_path(p, "b.db-wal");
	sqlite3 *db = db_open(p->path, "WAL");

	db_fill(db, 40, 500);
	db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE); CREATE TABLE u(x); INSERT INTO u VALUES(1);");
	assert_int_equal(vfs_bind(copy, &p->keys), 0);
	for (size_t at = 0; at < PAGE_SIZE; at += 512) {
		sqlite3 *torn;

		file_copy(p->path, copy);
		file_copy(place_path(p, "a.db-wal"), wal);
		garbage(copy, at, 512);
		torn = db_open(copy, "WAL");
		assert_int_equal(db_int(torn, "SELECT count(*) FROM t"), 40);
		assert_int_equal(db_int(torn, "SELECT x FROM u"), 1);
		assert_true(db_sound(torn));
		db_close(torn);
	}
	db_close(db);
	vfs_unbind(copy);
}

TEST(a_first_checkpoint_that_was_cut)
{
	struct place *p = *state;
	const char *copy = place_path(p, "b.db"), *wal = place_path(p, "b.db-wal");
	sqlite3 *db = db_open(p->path, "WAL");
	size_t size;

	db_exec(db, "PRAGMA wal_autocheckpoint=0");
	db_fill(db, 40, 500);
	file_copy(place_path(p, "a.db-wal"), wal);
	db_exec(db, "PRAGMA wal_checkpoint(PASSIVE)");
	_cleanup_(freep) uint8_t *data = file_read(p->path, &size);
	assert_int_equal(vfs_bind(copy, &p->keys), 0);
	/* Not 0: SQLite deletes the log of an empty database, plain or not. Page 1 is durable before there is a log. */
	for (size_t cut = 1000; cut <= size; cut += 1000) {
		_cleanup_(freep) char *keep = xasprintf("%s.keep", wal);

		file_copy(wal, keep);
		file_write(copy, data, cut);
		assert_holds(copy, 40);
		file_copy(keep, wal);
	}
	db_close(db);
	vfs_unbind(copy);
}

/* Rule 4: the rest stays readable, nothing sticks, the page is named. */
TEST(one_bad_page_spoils_no_other)
{
	struct place *p = *state;
	sqlite3 *db = db_open(p->path, "WAL");
	uint32_t bad;
	size_t size;

	db_fill(db, 200, 500);
	db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	db_close(db);
	bad = (uint32_t)(file_size(p->path) / PAGE_SIZE) - 1;
	_cleanup_(freep) uint8_t *data = file_read(p->path, &size);
	garbage(p->path, (bad - 1) * PAGE_SIZE + 512, 512);
	db = db_open(p->path, "WAL");
	vfs_damaged_page();

	assert_int_equal(db_try(db, "SELECT sum(length(body)) FROM t"), SQLITE_IOERR_DATA);
	assert_int_equal(vfs_damaged_page(), bad);
	assert_int_equal(db_int(db, "SELECT count(*) FROM (SELECT body FROM t WHERE id <= 100)"), 100);
	db_exec(db, "INSERT INTO t(id, body) VALUES(-1, 'still works')");
	assert_int_equal(db_try(db, "SELECT sum(length(body)) FROM t"), SQLITE_IOERR_DATA);
	/* repaired under it */
	file_patch(p->path, (bad - 1) * PAGE_SIZE, data + (bad - 1) * PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(db_try(db, "SELECT sum(length(body)) FROM t"), SQLITE_OK);
	assert_int_equal(db_int(db, "SELECT count(*) FROM t"), 201);
	db_close(db);
}

/* A frame that SQLite knows is never read as the end of the log. */
TEST(a_frame_in_use_that_goes_bad_is_an_error)
{
	struct place *p = *state;
	const char *wal = place_path(p, "a.db-wal");
	uint8_t frame[FRAME_SIZE], zero[FRAME_SIZE] = { 0 }, same = 0;
	sqlite3 *db = db_open(p->path, "WAL");
	sqlite3_file *f;
	size_t size;

	db_exec(db, "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=10");
	db_fill(db, 100, 500);
	size = file_size(wal);
	for (size_t at = WAL_HEADER; at < size; at += FRAME_SIZE)
		garbage(wal, at + 1000, 8);
	vfs_trim(db); /* what it wrote itself it still has in memory: test-vfs-cache.c */
	assert_int_equal(db_try(db, "SELECT sum(length(body)) FROM t"), SQLITE_IOERR_DATA);
	assert_int_equal(db_try(db, "PRAGMA wal_checkpoint(PASSIVE)"), SQLITE_IOERR_DATA);
	assert_int_not_equal(sqlite3_close(db), SQLITE_BUSY);

	/* the same, frame by frame: read once it was good, then it is not */
	unlink(p->path);
	unlink(wal);
	db = db_open(p->path, "WAL");
	db_fill(db, 10, 500);
	file_copy(wal, place_path(p, "keep"));
	db_close(db);
	file_copy(place_path(p, "keep"), wal);
	f = raw_open(p, SQLITE_OPEN_WAL);
	for (int i = 0; i < 2; i++)
		assert_int_equal(raw_read(f, frame, FRAME_SIZE, WAL_HEADER + i * FRAME_SIZE), SQLITE_OK);
	garbage(wal, WAL_HEADER + FRAME_SIZE + 100, 8);
	assert_int_equal(raw_read(f, frame, FRAME_SIZE, WAL_HEADER + FRAME_SIZE), SQLITE_IOERR_DATA);
	garbage(wal, WAL_HEADER + 2 * FRAME_SIZE + 100, 8);
	assert_int_equal(raw_read(f, frame, FRAME_SIZE, WAL_HEADER + 2 * FRAME_SIZE), SQLITE_OK);
	assert_memory_equal(frame, zero, FRAME_SIZE);
	/* a part of it is only asked for when it counts */
	assert_int_equal(raw_read(f, frame, PAGE_SIZE, WAL_HEADER + 2 * FRAME_SIZE + FRAME_HEADER),
			 SQLITE_IOERR_DATA);
	assert_int_equal(raw_read(f, &same, 1, WAL_HEADER + FRAME_HEADER), SQLITE_OK);
	raw_close(f);
}

/* Frames of the generation before are no longer in use: behind a new header they are the end of the log. */
TEST(an_older_generation_is_the_end)
{
	uint8_t log[WAL_HEADER] = { 0x37, 0x7f, 6, 0x82, 0, 0x2d, 0xe2, 0x18, 0, 0, 0x10, 0 };
	uint8_t frame[FRAME_SIZE], zero[FRAME_SIZE] = { 0 }, header[FRAME_HEADER] = { 0, 0, 0, 2 };
	struct place *p = *state;
	sqlite3_file *f = raw_open(p, SQLITE_OPEN_WAL);

	page_fill(frame, 2);
	assert_int_equal(raw_write(f, log, WAL_HEADER, 0), SQLITE_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(raw_write(f, header, FRAME_HEADER, WAL_HEADER + i * FRAME_SIZE), SQLITE_OK);
		assert_int_equal(raw_write(f, frame, PAGE_SIZE, WAL_HEADER + i * FRAME_SIZE + FRAME_HEADER),
				 SQLITE_OK);
	}
	log[16] = 1;
	assert_int_equal(raw_write(f, log, WAL_HEADER, 0), SQLITE_OK);
	assert_int_equal(raw_read(f, frame, FRAME_SIZE, WAL_HEADER), SQLITE_OK);
	assert_memory_equal(frame, zero, FRAME_SIZE);
	raw_close(f);
}

/* Each write of a transaction and a checkpoint fails once, half of it written. */
TEST(a_write_that_fails_is_not_taken_for_good)
{
	struct place *p = *state;
	int rows = 0, fails = 0;
	sqlite3 *db = db_open(p->path, "WAL");

	db_exec(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, body); PRAGMA wal_autocheckpoint=20");
	for (unsigned n = 1; n < 60; n++) {
		/* The first one is all of a small transaction's frames; those after it are the checkpoint's. */
		spy_fail_write(n % 2 ? 1 : n % 30 + 1);
		if (db_try(db, "INSERT INTO t(body) VALUES(randomblob(9000))") == SQLITE_OK)
			rows++;
		else
			fails++;
		spy_fail_write(0);
		if (db_try(db, "INSERT INTO t(body) VALUES(randomblob(9000))") == SQLITE_OK)
			rows++;
		assert_int_equal(db_int(db, "SELECT count(*) FROM t"), rows);
		if (n % 10 != 0)
			continue;
		sqlite3_close(db);
		db = db_open(p->path, "WAL");
		assert_int_equal(db_int(db, "SELECT count(*) FROM t"), rows);
		assert_true(db_sound(db));
	}
	assert_true(fails > 3);
	db_close(db);
}

/* What a failed write left of a frame is torn, however good it was before: or the next recovery would fail. */
TEST(a_frame_half_written_over_is_the_end)
{
	uint8_t log[WAL_HEADER] = { 0x37, 0x7f, 6, 0x82, 0, 0x2d, 0xe2, 0x18, 0, 0, 0x10, 0 };
	uint8_t frame[FRAME_SIZE], zero[FRAME_SIZE] = { 0 }, header[FRAME_HEADER] = { 0, 0, 0, 2 };
	struct place *p = *state;
	sqlite3_file *f = raw_open(p, SQLITE_OPEN_WAL);

	page_fill(frame, 2);
	assert_int_equal(raw_write(f, log, WAL_HEADER, 0), SQLITE_OK);
	assert_int_equal(raw_write(f, header, FRAME_HEADER, WAL_HEADER), SQLITE_OK);
	assert_int_equal(raw_write(f, frame, PAGE_SIZE, WAL_HEADER + FRAME_HEADER), SQLITE_OK);
	spy_fail_write(1);
	assert_int_equal(raw_write(f, header, FRAME_HEADER, WAL_HEADER), SQLITE_FULL);
	assert_int_equal(raw_read(f, frame, FRAME_SIZE, WAL_HEADER), SQLITE_OK);
	assert_memory_equal(frame, zero, FRAME_SIZE);
	raw_close(f);
}

/* The cache spills, pages are overwritten in the log, the checksums are paid at commit: then the process dies. */
TEST(a_spill_is_recovered)
{
	static const char *const syncs[] = { "FULL", "NORMAL", "OFF" };
	struct place *p = *state;
	const char *copy = place_path(p, "b.db");

	for (size_t i = 0; i < ARRAY_SIZE(syncs); i++) {
		_cleanup_(freep) char *sync = xasprintf("PRAGMA synchronous=%s", syncs[i]);
		sqlite3 *db, *again;

		unlink(p->path);
		db = db_open(p->path, "WAL");
		db_exec(db, "PRAGMA cache_spill=1; PRAGMA cache_size=10; PRAGMA wal_autocheckpoint=0;");
		db_exec(db, sync);
		db_fill(db, 200, 500);
		spy_take();
		db_exec(db, "BEGIN; UPDATE t SET body = body || 'x'; UPDATE t SET body = body || 'y'; COMMIT;");
		/* more than once over the same frames, or this shows nothing */
		assert_true(spy_take().writes[SPY_WAL] > file_size(place_path(p, "a.db-wal")) / FRAME_SIZE);
		db_exec(db,
			"BEGIN; UPDATE t SET body = 'rolled back'; ROLLBACK; INSERT INTO t(body) VALUES('after')");
		file_copy(p->path, copy);
		file_copy(place_path(p, "a.db-wal"), place_path(p, "b.db-wal"));
		assert_int_equal(vfs_bind(copy, &p->keys), 0);
		again = db_open(copy, "WAL");
		assert_int_equal(db_int(again, "SELECT count(*) FROM t WHERE body LIKE '%xy'"), 200);
		assert_int_equal(db_int(again, "SELECT count(*) FROM t"), 201);
		assert_true(db_sound(again));
		db_close(again);
		db_close(db);
	}
	vfs_unbind(copy);
}

/* A rollback journal that a crash left: whole, cut at its end, page 1 of the database torn. */
TEST(a_hot_journal_is_played_back)
{
	struct place *p = *state;
	const char *copy = place_path(p, "b.db"), *journal = place_path(p, "b.db-journal");
	sqlite3 *db = db_open(p->path, "DELETE");

	db_fill(db, 200, 500);
	db_exec(db, "PRAGMA cache_spill=1; PRAGMA cache_size=10; BEGIN; UPDATE t SET body = 'half done';");
	assert_int_equal(vfs_bind(copy, &p->keys), 0);
	for (int what = 0; what < 3; what++) {
		sqlite3 *hot;

		file_copy(p->path, copy);
		file_copy(place_path(p, "a.db-journal"), journal);
		assert_true(file_size(journal) > 20 * RECORD_SIZE);
		if (what == 1) /* behind the last synced record */
			garbage(journal, file_size(journal), 700);
		if (what == 2)
			garbage(copy, 512, 512);
		hot = db_open(copy, "DELETE");
		/* Page 1 itself is in no record: nothing may be made of it. */
		if (what == 2) {
			assert_int_equal(db_try(hot, "SELECT count(*) FROM t"), SQLITE_NOTADB);
		} else {
			assert_int_equal(db_int(hot, "SELECT count(*) FROM t WHERE body LIKE 'Gross%'"), 200);
			assert_true(db_sound(hot));
		}
		sqlite3_close(hot);
	}
	db_close(db);
	vfs_unbind(copy);
}

/* SQLite never writes the page at PENDING_BYTE; beyond it all goes on. */
TEST(the_lock_page)
{
	struct place *p = *state;
	sqlite3 *db;

	sqlite3_test_control(SQLITE_TESTCTRL_PENDING_BYTE, 0x10000);
	db = db_open(p->path, "WAL");
	db_fill(db, 300, 500);
	db_exec(db, "DELETE FROM t WHERE id % 2; VACUUM; PRAGMA wal_checkpoint(TRUNCATE);");
	assert_true(file_size(p->path) > 0x11000);
	db_close(db);
	assert_holds(p->path, 150);
	sqlite3_test_control(SQLITE_TESTCTRL_PENDING_BYTE, 0x40000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(page_1_is_torn_and_the_log_has_it),
		RUN(a_first_checkpoint_that_was_cut),
		RUN(one_bad_page_spoils_no_other),
		RUN(a_frame_in_use_that_goes_bad_is_an_error),
		RUN(an_older_generation_is_the_end),
		cmocka_unit_test_setup_teardown(a_write_that_fails_is_not_taken_for_good, spy_setup,
						spy_teardown),
		cmocka_unit_test_setup_teardown(a_frame_half_written_over_is_the_end, spy_setup, spy_teardown),
		cmocka_unit_test_setup_teardown(a_spill_is_recovered, spy_setup, spy_teardown),
		RUN(a_hot_journal_is_played_back),
		RUN(the_lock_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
