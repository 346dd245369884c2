/*
 * vfs.c: a database through the cipher VFS works as any other does, and no file of it holds what was put in.
 */
#include "vfs-fixture.h"

#include <unistd.h>

TEST(a_database_comes_back)
{
	struct place *p = *state;
	sqlite3 *db = db_open(p->path, "WAL");

	db_fill(db, 300, 400);
	db_close(db);
	db = db_open(p->path, "WAL");

	assert_int_equal(db_int(db, "SELECT count(*) FROM t WHERE body LIKE '"
				    "Grossmutter''s%'"),
			 300);
	assert_true(db_sound(db));
	assert_int_equal(db_int(db, "PRAGMA mmap_size"), 0);
	assert_int_equal(file_size(p->path) % PAGE_SIZE, 0);
	db_close(db);
}

TEST(a_log_is_recovered)
{
	struct place *p = *state;
	sqlite3 *db = db_open(p->path, "WAL");
	struct page_keys keys = p->keys;
	const char *copy = place_path(p, "b.db"), *copy_wal = place_path(p, "b.db-wal");

	db_fill(db, 100, 400);
	db_exec(db, "PRAGMA wal_checkpoint(PASSIVE)");
	db_fill(db, 100, 400);
	file_copy(p->path, copy);
	file_copy(place_path(p, "a.db-wal"), copy_wal);
	db_close(db);
	assert_int_equal(vfs_bind(copy, &keys), 0);
	db = db_open(copy, "WAL");

	assert_int_equal(db_int(db, "SELECT count(*) FROM t"), 200);
	assert_true(db_sound(db));
	db_close(db);
	vfs_unbind(copy);
}

TEST(wal_needs_exclusive_locking)
{
	struct place *p = *state;
	int reserve = PAGE_RESERVE;
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(p->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, VAULT_VFS), 0);
	sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
	_cleanup_(freep) char *mode = db_text(db, "PRAGMA journal_mode=WAL");

	assert_string_equal(mode, "delete");
	db_exec(db, "CREATE TABLE t(x)");
	assert_int_not_equal(access(place_path(p, "a.db-shm"), F_OK), 0);
	db_close(db);
}

TEST(only_a_bound_path_opens)
{
	struct place *p = *state;
	const char *other = place_path(p, "other.db");
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(other, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, VAULT_VFS),
			 SQLITE_CANTOPEN);
	sqlite3_close(db);
	assert_int_not_equal(access(other, F_OK), 0);
}

TEST(a_binding_follows_symlinks)
{
	struct place *p = *state;
	const char *link = place_path(p, "link"), *path = place_path(p, "link/c.db");
	sqlite3 *db;

	assert_int_equal(symlink(p->dir, link), 0);
	assert_int_equal(vfs_bind(path, &p->keys), 0);
	db = db_open(path, "WAL");
	db_fill(db, 10, 100);
	assert_int_equal(db_int(db, "SELECT count(*) FROM t"), 10);
	db_close(db);
	vfs_unbind(path);
}

TEST(bindings_have_an_end)
{
	struct place *p = *state;
	char path[32];

	for (int i = 1; i < VFS_BINDINGS_MAX; i++) {
		snprintf(path, sizeof(path), "/x/%d", i);
		assert_int_equal(vfs_bind(path, &p->keys), 0);
	}
	assert_int_equal(vfs_bind(p->path, &p->keys), 0);
	assert_true(vfs_bind("/x/more", &p->keys) < 0);
	vfs_unbind("/x/1");
	assert_int_equal(vfs_bind("/x/more", &p->keys), 0);
	vfs_unbind("/x/more");
	for (int i = 2; i < VFS_BINDINGS_MAX; i++) {
		snprintf(path, sizeof(path), "/x/%d", i);
		vfs_unbind(path);
	}
}

TEST(the_backup_api_changes_the_keys)
{
	static const char *const modes[] = { "OFF", "MEMORY", "DELETE", "WAL" };
	struct place *p = *state;
	struct page_keys other = keys_make(2, 2);
	sqlite3 *db = db_open(p->path, "WAL");

	db_fill(db, 500, 400);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		const char *path = place_path(p, modes[i]);
		sqlite3_backup *b;
		sqlite3 *to;

		assert_int_equal(vfs_bind(path, &other), 0);
		to = db_open(path, modes[i]);
		/* Twice: the second time the destination has pages that a journal must keep. */
		for (int n = 0; n < 2; n++) {
			b = sqlite3_backup_init(to, "main", db, "main");
			assert_non_null(b);
			while (sqlite3_backup_step(b, 7) == SQLITE_OK)
				;
			assert_int_equal(sqlite3_backup_finish(b), SQLITE_OK);
		}
		db_close(to);
		assert_holds(path, 500);
		vfs_unbind(path);
	}
	db_close(db);
}

/* The target opens with a rollback journal of its own. */
TEST(vacuum_into_changes_the_keys)
{
	struct place *p = *state;
	struct page_keys other = keys_make(2, 2);
	const char *path = place_path(p, "b.db");
	_cleanup_(freep) char *sql = xasprintf("VACUUM INTO '%s'", path);
	sqlite3 *db = db_open(p->path, "WAL");

	db_fill(db, 500, 400);
	assert_int_equal(vfs_bind(path, &other), 0);
	db_exec(db, sql);
	db_close(db);
	assert_holds(path, 500);
	vfs_unbind(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_database_comes_back),           RUN(a_log_is_recovered),
		RUN(wal_needs_exclusive_locking),     RUN(only_a_bound_path_opens),
		RUN(a_binding_follows_symlinks),      RUN(bindings_have_an_end),
		RUN(the_backup_api_changes_the_keys), RUN(vacuum_into_changes_the_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
