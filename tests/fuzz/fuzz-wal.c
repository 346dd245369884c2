/*
 * A log that was tampered with, opened by SQLite through the cipher VFS: what it then shows is the database as it was
 * after some commit, or an error; never a mixture. And the salvage reader says of the same log nothing that was not
 * written.
 *
 * Input: edits (tests/fuzz/edits.h) of a log with twelve transactions, each of which sets all rows to its number; or,
 * when it begins with 0xff, the log itself.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "edits.h"
#include "fuzz.h"
#include "salvage/log.h"
#include "vault/vfs.h"

enum { COMMITS = 12, ROWS = 12, ROW_BYTES = 1500 /* a few pages a transaction */ };

static const uint8_t master[PAGE_KEY] = { 1 }, file_id[FILE_ID] = { 2 };
static struct page_keys keys;
static char *dir, *path, *log_path;
static uint8_t *base_db, *base_log;
static size_t db_size, log_size;

static void clean_up(void)
{
	fuzz_remove_dir(dir);
}

static void run_sql(sqlite3 *db, const char *sql)
{
	must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static sqlite3 *open_db(void)
{
	int reserve = PAGE_RESERVE;
	sqlite3 *db = NULL;

	must(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, VAULT_VFS) == SQLITE_OK, "no database");
	(void)sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return db;
}

/* A database with row values 0, checkpointed, and a log with 1 ... COMMITS; both as left by a crash. */
static void make_base(void)
{
	char sql[160];
	sqlite3 *db;

	page_keys_derive(&keys, master, file_id, 1);
	dir = fuzz_make_dir();
	atexit(clean_up);
	path = xasprintf("%s/archive.db", dir);
	log_path = xasprintf("%s-wal", path);
	must(vfs_register(NULL) == 0 && vfs_bind(path, &keys) == 0, "no VFS");
	db = open_db();
	run_sql(db, "PRAGMA page_size=4096; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY;"
		    "PRAGMA journal_mode=WAL; PRAGMA cache_spill=OFF; CREATE TABLE t(id INTEGER PRIMARY KEY, n, filler)");
	snprintf(sql, sizeof(sql),
		 "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < %d)"
		 "INSERT INTO t SELECT i, 0, zeroblob(%d) FROM r",
		 ROWS, ROW_BYTES);
	run_sql(db, sql);
	run_sql(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	for (int i = 1; i <= COMMITS; i++) {
		snprintf(sql, sizeof(sql), "UPDATE t SET n = %d, filler = randomblob(%d)", i, ROW_BYTES);
		run_sql(db, sql);
	}
	base_db = fuzz_read(path, &db_size);
	base_log = fuzz_read(log_path, &log_size);
	sqlite3_close(db);
}

/* The number that all rows have; -1 for an error. */
static int64_t state_of(sqlite3 *db)
{
	sqlite3_stmt *q = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(db, "SELECT min(n), max(n), count(*), sum(length(filler)) FROM t", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW) {
		n = sqlite3_column_int64(q, 0);
		must(sqlite3_column_int64(q, 1) == n && sqlite3_column_int64(q, 2) == ROWS &&
			     sqlite3_column_int64(q, 3) == ROWS * ROW_BYTES,
		     "a mixture of two commits");
		must(n >= 0 && n <= COMMITS, "a state that never was");
	}
	sqlite3_finalize(q);
	return n;
}

static void by_sqlite(void)
{
	sqlite3 *db = open_db();

	if (sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL", NULL, NULL, NULL) == SQLITE_OK)
		(void)state_of(db);
	sqlite3_close(db);
}

static bool in_base(uint32_t pgno, const uint8_t page[PAGE_SIZE])
{
	uint8_t frame[FRAME_SIZE];

	for (uint32_t i = 0; (i + 1) * FRAME_SIZE + WAL_HEADER <= log_size; i++)
		if (frame_open(&keys, base_log + 16, i + 1, base_log + WAL_HEADER + (size_t)i * FRAME_SIZE, frame) == 0 &&
		    memcmp(frame + FRAME_HEADER, page, PAGE_SIZE) == 0 && frame[3] == (pgno & 0xff))
			return true;
	return false;
}

static void by_salvage(void)
{
	_cleanup_(closep) int fd = open(log_path, O_RDONLY | O_CLOEXEC);
	_cleanup_(wal_log_freep) struct wal_log *l = NULL;
	uint8_t page[PAGE_SIZE];
	uint32_t pgno;

	must(fd >= 0 && wal_log_new(fd, &keys, &l) == 0, "the log is not read");
	for (uint32_t i = 0; i < wal_log_counts(l).good; i += 7) {
		must(wal_log_read(l, i, &pgno, page) == 0, "a good frame is not read");
		must(in_base(pgno, page), "a frame that nobody wrote");
	}
}

void fuzz_one(const uint8_t *data, size_t size)
{
	_cleanup_(freep) uint8_t *copy = NULL;
	size_t n;

	if (!dir)
		make_base();
	copy = xcalloc(log_size, 1);
	memcpy(copy, base_log, log_size);
	if (size > 0 && data[0] == 0xff)
		memcpy(copy, data + 1, n = size - 1 < log_size ? size - 1 : log_size);
	else
		n = edits_apply(data, size, copy, log_size);
	fuzz_write(path, base_db, db_size);
	fuzz_write(log_path, copy, n);
	by_salvage();
	by_sqlite();
}
