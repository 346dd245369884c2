#define _GNU_SOURCE /* memmem */
#include "vfs-fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

int place_setup(void **state)
{
	struct place *p = xnew(struct place);

	log_set_level(0); /* refusals are what is tested: not for the log */
	snprintf(p->dir, sizeof(p->dir), "%s/vault-unit-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/a.db", p->dir);
	p->keys = keys_make(1, 1);
	assert_int_equal(vfs_register(NULL), 0);
	assert_int_equal(vfs_bind(p->path, &p->keys), 0);
	*state = p;
	return 0;
}

int place_teardown(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *cmd = xasprintf("rm -rf %s", p->dir);

	vfs_unbind(p->path);
	for (size_t i = 0; i < p->count; i++)
		free(p->paths[i]);
	assert_int_equal(system(cmd), 0);
	free(p);
	return 0;
}

struct page_keys keys_make(uint8_t master, uint8_t id)
{
	uint8_t m[PAGE_KEY], i[FILE_ID];
	struct page_keys k;

	memset(m, master, sizeof(m));
	memset(i, id, sizeof(i));
	page_keys_derive(&k, m, i, 1);
	return k;
}

sqlite3 *db_open(const char *path, const char *journal)
{
	_cleanup_(freep) char *mode = xasprintf("PRAGMA journal_mode=%s", journal);
	int reserve = PAGE_RESERVE;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, VAULT_VFS),
			 SQLITE_OK);
	sqlite3_extended_result_codes(db, 1);
	assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve), SQLITE_OK);
	db_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_spill=OFF; PRAGMA mmap_size=1000000;");
	/* May fail: that is for the test to see at its first statement. */
	if (file_size(path) == 0)
		db_try(db, "PRAGMA journal_mode=MEMORY");
	db_try(db, mode);
	return db;
}

void db_close(sqlite3 *db)
{
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int db_try(sqlite3 *db, const char *sql)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? rc : sqlite3_extended_errcode(db);
}

void db_exec(sqlite3 *db, const char *sql)
{
	if (db_try(db, sql) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

char *db_text(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	char *r = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		r = xstrdup((const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return r;
}

int64_t db_int(sqlite3 *db, const char *sql)
{
	_cleanup_(freep) char *s = db_text(db, sql);

	return s ? atoll(s) : -1;
}

bool db_sound(sqlite3 *db)
{
	_cleanup_(freep) char *s = db_text(db, "PRAGMA integrity_check");

	return s && strcmp(s, "ok") == 0;
}

void assert_holds(const char *path, int rows)
{
	sqlite3 *db = db_open(path, "WAL");

	assert_int_equal(db_int(db, "SELECT count(*) FROM t"), rows);
	assert_true(db_sound(db));
	db_close(db);
}

void db_fill(sqlite3 *db, int rows, int bytes)
{
	_cleanup_(freep) char *sql = xasprintf(
		"BEGIN; CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, body TEXT);"
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d) INSERT INTO t(body) "
		"SELECT '"
		"Grossmutter''s secret recipe "
		"' || i || hex(randomblob(%d)) FROM n; COMMIT;",
		rows, bytes / 2);

	db_exec(db, sql);
}

uint8_t *file_read(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = file_size(path);
	uint8_t *p = xcalloc(1, size + 1);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, p, size), size);
	close(fd);
	*ret_size = size;
	return p;
}

void file_write(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

void file_patch(const char *path, size_t at, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, size, (off_t)at), size);
	close(fd);
}

void file_copy(const char *from, const char *to)
{
	size_t size;
	_cleanup_(freep) uint8_t *data = file_read(from, &size);

	file_write(to, data, size);
}

size_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

bool file_holds(const char *path, const void *what, size_t size)
{
	size_t n;
	_cleanup_(freep) uint8_t *data = file_read(path, &n);

	return memmem(data, n, what, size) != NULL;
}

const char *place_path(struct place *p, const char *name)
{
	char *path = xasprintf("%s/%s", p->dir, name);

	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->paths[i], path) == 0) {
			free(path);
			return p->paths[i];
		}
	assert_true(p->count < ARRAY_SIZE(p->paths));
	return p->paths[p->count++] = path;
}

const char *raw_path(struct place *p, int type)
{
	return place_path(p, type == SQLITE_OPEN_MAIN_DB        ? "a.db"
			     : type == SQLITE_OPEN_WAL          ? "a.db-wal"
			     : type == SQLITE_OPEN_MAIN_JOURNAL ? "a.db-journal"
								: "a.tmp");
}

sqlite3_file *raw_open(struct place *p, int type)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(VAULT_VFS);
	/* With the terminators around it that SQLite gives to names (sqlite3_create_filename). */
	const char *name = sqlite3_create_filename(raw_path(p, type), "", "", 0, NULL);
	sqlite3_file *f = xcalloc(1, (size_t)vfs->szOsFile + sizeof(name));
	int flags;

	/* The name must live as long as the file: behind it. */
	memcpy((char *)f + vfs->szOsFile, &name, sizeof(name));
	/* SQLite gives log and journal the mode of the database. */
	if (access(p->path, F_OK) != 0)
		file_write(p->path, "", 0);
	assert_int_equal(vfs->xOpen(vfs, name, f, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | type, &flags),
			 SQLITE_OK);
	return f;
}

void raw_close(sqlite3_file *f)
{
	const char *name;

	memcpy(&name, (char *)f + sqlite3_vfs_find(VAULT_VFS)->szOsFile, sizeof(name));
	f->pMethods->xClose(f);
	sqlite3_free_filename(name);
	free(f);
}

void page_fill(uint8_t page[PAGE_SIZE], uint32_t pgno)
{
	static const uint8_t head[24] = "SQLite format 3\0\x10\0\2\2\x30\x40\x20\x20";

	for (size_t i = 0; i < PAGE_SIZE; i++)
		page[i] = (uint8_t)MARKER[(i + pgno) % (sizeof(MARKER) - 1)];
	memset(page + PAGE_BODY, 0, PAGE_RESERVE);
	if (pgno == 1)
		memcpy(page, head, sizeof(head));
}
