/* store_open(): every way in which it can fail is its own outcome with a sentence, and touches nothing. */
#define _GNU_SOURCE /* unshare */
#include "fixture.h" /* before sys/mount.h, which has names of its own for everything */

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(files_are_for_their_owner_alone)
{
	struct fx *fx = *state;
	static const char *const names[] = { "archive.db", "archive.db-wal", "archive.keys" };
	mode_t old = umask(0);
	struct stat st;

	fx_close(fx);
	remove_tree(fx->dir);
	fx_reopen(fx);
	umask(old);
	fx->account = fx_account(fx, OWN, &fx->archive);
	assert_int_equal(stat(fx->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(freep) char *path = path_of(fx, names[i]);

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

TEST(parents_that_are_missing_are_made)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *deep = xasprintf("%s/share/varve", fx->dir);
	_cleanup_(freep) char *why = NULL;
	struct vault *v;
	struct store *s;

	assert_int_equal(try_open(deep, &v, &s, &why), 0);
	store_free(s);
	vault_free(v);
	remove_tree(deep);
}

TEST(nothing_of_it_is_in_clear)
{
	struct fx *fx = *state;

	put_live(fx, text_in("1", "Wallfahrtskirche"), false);
	assert_false(tree_has(fx->dir, "Wallfahrtskirche"));
	assert_false(tree_has(fx->dir, "alice@a.example"));
	assert_false(tree_has(fx->dir, "SQLite format 3"));
	fx_close(fx);
	assert_false(tree_has(fx->dir, "Wallfahrtskirche"));
	assert_false(tree_has(fx->dir, "CREATE TABLE"));
}

TEST(a_missing_database_is_no_new_one)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");

	fx_close(fx);
	assert_int_equal(unlink(db), 0);

	assert_outcome(fx->dir, STORE_E_MISSING, "archive.keys");
	assert_int_equal(file_size(db), -1);
}

TEST(an_empty_database_is_no_new_one_either)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");

	fx_close(fx);
	write_file(db, "", 0);

	assert_outcome(fx->dir, STORE_E_DAMAGED, "empty");
	assert_int_equal(file_size(db), 0);
}

static void lose_keys(const struct fx *fx)
{
	_cleanup_(freep) char *keys = path_of(fx, "archive.keys"), *bak = path_of(fx, "archive.keys.bak");

	assert_int_equal(unlink(keys), 0);
	(void)unlink(bak);
}

TEST(a_database_without_its_keys)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *rotated = path_of(fx, "archive-2.db");
	_cleanup_(freep) char *keys = path_of(fx, "archive.keys");
	int64_t size;

	fx_close(fx);
	size = file_size(db);
	lose_keys(fx);

	assert_outcome(fx->dir, STORE_E_NO_KEYS, "archive.keys");
	assert_int_equal(file_size(db), size);
	assert_int_equal(file_size(keys), -1);

	/* A rotation gave it another name. */
	assert_int_equal(rename(db, rotated), 0);
	assert_outcome(fx->dir, STORE_E_NO_KEYS, "archive-2.db");
	assert_int_equal(file_size(keys), -1);
}

TEST(keys_that_are_not_at_hand)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *config = config_of(fx->dir), *away = xasprintf("%s/away", fx->dir), *why = NULL;

	fx_close(fx);
	assert_int_equal(rename(config, away), 0);
	assert_int_equal(store_find(fx->dir, config, &fx->v, &why), 0);
	assert_true(vault_locked(fx->v));
	assert_int_equal(store_open(fx->v, &fx->s, &why), STORE_E_LOCKED);
	assert_non_null(why);
	assert_null(fx->s);
	free(why);

	/* The same vault opens once they are. */
	assert_int_equal(rename(away, config), 0);
	assert_int_equal(store_open(fx->v, &fx->s, &why), 0);
	assert_false(vault_locked(fx->v));
}

TEST(an_empty_file_without_keys_was_never_an_archive)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");

	fx_close(fx);
	write_file(db, "", 0);
	lose_keys(fx);

	fx_reopen(fx);
	assert_true(file_size(db) > 0);
}

TEST(garbage_is_damage)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");
	char junk[8192];

	fx_close(fx);
	memset(junk, 'j', sizeof(junk));
	write_file(db, junk, sizeof(junk));

	assert_outcome(fx->dir, STORE_E_DAMAGED, "authenticate");
	assert_int_equal(file_size(db), (int64_t)sizeof(junk));
	assert_true(file_has(db, "jjjj"));
}

TEST(somebody_elses_database_is_not_taken_over)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");
	sqlite3 *other;

	fx_close(fx);
	remove_tree(fx->dir);
	assert_int_equal(mkdir(fx->dir, 0700), 0);
	assert_int_equal(sqlite3_open(db, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "CREATE TABLE theirs(x); PRAGMA user_version=3", NULL, NULL, NULL), 0);
	sqlite3_close(other);

	assert_outcome(fx->dir, STORE_E_DAMAGED, "not those of a varve archive");
	assert_true(file_has(db, "theirs"));
}

TEST(another_archive_under_our_name)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *other = xasprintf("%.50s-other", fx->dir);
	_cleanup_(freep) char *theirs = xasprintf("%s/archive.db", other), *why = NULL;
	struct vault *v;
	struct store *s;

	fx_close(fx);
	assert_int_equal(try_open(other, &v, &s, &why), 0);
	store_free(s);
	vault_free(v);
	assert_int_equal(rename(theirs, db), 0);
	remove_tree(other);

	assert_outcome(fx->dir, STORE_E_DAMAGED, "authenticate");
}

TEST(a_newer_format_is_left_alone)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");
	int64_t size;

	assert_int_equal(db_exec(fx->s, "PRAGMA user_version=99"), 0);
	fx_close(fx);
	size = file_size(db);

	assert_outcome(fx->dir, STORE_E_NEWER, "newer version");
	assert_int_equal(file_size(db), size);
}

TEST(another_program_has_it_open)
{
	struct fx *fx = *state;

	assert_int_equal(run_self("outcome", fx->dir, 0), STORE_E_UNWRITABLE);
	/* And it goes on. */
	put_live(fx, text_in("1", "x"), false);
	assert_string_equal(bodies(fx, BOB), "x");
}

TEST(a_symlink_is_not_followed)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *real = path_of(fx, "real");

	fx_close(fx);
	assert_int_equal(rename(db, real), 0);
	assert_int_equal(symlink("real", db), 0);

	assert_outcome(fx->dir, STORE_E_UNWRITABLE, "owner");
}

/* Run ${fn} in a child as nobody: root may write everywhere. Returns the child's exit code. */
static int as_nobody(const char *dir, int (*fn)(const char *))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(99);
		_exit(fn(dir));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int refused(const char *dir)
{
	char *why = NULL;
	struct vault *v;
	struct store *s;
	int r = try_open(dir, &v, &s, &why);

	return r > 0 && why && strstr(why, dir) && strstr(why, "permissions") ? r : 90;
}

TEST(a_directory_that_cannot_be_written)
{
	struct fx *fx = *state;

	fx_close(fx);
	assert_int_equal(chmod(fx->dir, 0555), 0);
	assert_int_equal(as_nobody(fx->dir, refused), STORE_E_UNWRITABLE);
	assert_int_equal(chmod(fx->dir, 0700), 0);
}

static int chown_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return chown(path, 65534, 65534);
}

static void give_to_nobody(const char *dir)
{
	assert_int_equal(nftw(dir, chown_one, 8, FTW_PHYS), 0);
}

TEST(a_database_that_cannot_be_written)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *config = config_of(fx->dir);

	fx_close(fx);
	if (geteuid() != 0)
		skip();
	give_to_nobody(fx->dir);
	give_to_nobody(config);
	assert_int_equal(chmod(db, 0400), 0);
	assert_int_equal(as_nobody(fx->dir, refused), STORE_E_UNWRITABLE);
}

/* In a mount namespace of its own: a file system that is full, and one that is read-only. */
static int on_small_disk(const char *dir)
{
	_cleanup_(freep) char *filler = xasprintf("%s/filler", dir);
	char junk[4096] = { 1 };
	char *why = NULL;
	struct vault *v;
	struct store *s;
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700") < 0)
		return 77;
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, junk, sizeof(junk)) == (ssize_t)sizeof(junk))
		;
	close(fd);
	if (try_open(dir, &v, &s, &why) != STORE_E_FULL || s || !strstr(why, "free some space"))
		return 1;
	free(why);
	if (mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return 77;
	if (try_open(dir, &v, &s, &why) != STORE_E_UNWRITABLE || s || !strstr(why, "read-only"))
		return 2;
	free(why);
	/* Space again: what the failed attempt left behind is no obstacle. */
	if (mount(NULL, dir, NULL, MS_REMOUNT, "size=4m") < 0)
		return 77;
	if (try_open(dir, &v, &s, &why) != 0)
		return 3;
	store_free(s);
	vault_free(v);
	return 0;
}

TEST(a_full_and_a_read_only_file_system)
{
	struct fx *fx = *state;
	pid_t pid;
	int status;

	if (geteuid() != 0)
		skip();
	fx_close(fx);
	pid = fork();
	if (pid == 0)
		_exit(on_small_disk(fx->dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	/* No right to mount, as in an unprivileged container. */
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Crash-only: killed after each durable effect of making an archive, the next start completes it. */
TEST(killed_at_each_step_of_creation)
{
	struct fx *fx = *state;
	int killed = 0;

	for (int n = 1; n < 30; n++) {
		int r;

		fx_close(fx);
		remove_tree(fx->dir);
		r = run_self("open", fx->dir, n);
		assert_true(r == RUN_KILLED || r == 0);
		killed += r == RUN_KILLED;
		fx_reopen(fx);
		fx->account = fx_account(fx, OWN, &fx->archive);
		put_live(fx, text_in("1", "x"), false);
		assert_int_equal(count_messages(fx), 1);
		if (r == 0)
			break;
	}
	/* Directory, vault, schema, checkpoint, ready: at least. */
	assert_in_range(killed, 5, 28);
}

/* Power failed while SQLite wrote the very first page, which is before any log. */
TEST(a_first_page_that_was_torn)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *why = NULL, *config = config_of(fx->dir);
	char junk[4096];
	struct vault *v;

	fx_close(fx);
	remove_tree(fx->dir);
	assert_int_equal(store_find(fx->dir, config, &v, &why), 0);
	assert_false(vault_is_ready(v));
	vault_free(v);
	memset(junk, 'j', sizeof(junk));
	for (size_t len = 512; len <= sizeof(junk); len += 512 * 7) {
		write_file(db, junk, len);
		fx_reopen(fx);
		assert_true(vault_is_ready(fx->v));
		fx_close(fx);
		remove_tree(fx->dir);
		assert_int_equal(store_find(fx->dir, config, &v, &why), 0);
		vault_free(v);
	}
}

TEST(the_epoch_stays_and_differs_between_archives)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *epoch = xstrdup(store_epoch(fx->s));

	assert_int_equal(strlen(epoch), 16);
	fx_reopen(fx);
	assert_string_equal(store_epoch(fx->s), epoch);
	fx_close(fx);
	remove_tree(fx->dir);
	fx_reopen(fx);
	assert_string_not_equal(store_epoch(fx->s), epoch);
}

TEST(a_checkpoint_empties_the_log)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *wal = path_of(fx, "archive.db-wal");

	put_live(fx, text_in("1", "x"), false);
	assert_true(file_size(wal) > 0);
	assert_int_equal(store_checkpoint(fx->s), 0);
	assert_int_equal(file_size(wal), 0);
	assert_true(store_size(fx->s) > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RUN(files_are_for_their_owner_alone),
		RUN(parents_that_are_missing_are_made),
		RUN(nothing_of_it_is_in_clear),
		RUN(a_missing_database_is_no_new_one),
		RUN(an_empty_database_is_no_new_one_either),
		RUN(a_database_without_its_keys),
		RUN(keys_that_are_not_at_hand),
		RUN(an_empty_file_without_keys_was_never_an_archive),
		RUN(garbage_is_damage),
		RUN(somebody_elses_database_is_not_taken_over),
		RUN(another_archive_under_our_name),
		RUN(a_newer_format_is_left_alone),
		RUN(another_program_has_it_open),
		RUN(a_symlink_is_not_followed),
		RUN(a_directory_that_cannot_be_written),
		RUN(a_database_that_cannot_be_written),
		RUN(a_full_and_a_read_only_file_system),
		RUN(killed_at_each_step_of_creation),
		RUN(a_first_page_that_was_torn),
		RUN(the_epoch_stays_and_differs_between_archives),
		RUN(a_checkpoint_empties_the_log),
	};

	/* run_self() */
	if (argc == 3)
		return open_once(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
