/* store_open(): every way in which it can fail is its own outcome with a sentence, and touches nothing. */
#define _GNU_SOURCE /* unshare */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static char *path_of(const struct fx *fx, const char *name)
{
	return xasprintf("%s/%s", fx->dir, name);
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static int64_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* Opening fails with ${want}, and the sentence names the path and contains ${word}. */
static void assert_outcome(const char *dir, int want, const char *word)
{
	_cleanup_(freep) char *why = NULL;
	struct store *s = NULL;
	int r = store_open(dir, &s, &why);

	if (r != want)
		print_error("outcome %d, not %d: %s\n", r, want, str_or_empty(why));
	assert_int_equal(r, want);
	assert_null(s);
	assert_non_null(why);
	assert_non_null(strstr(why, dir));
	if (!strstr(why, word))
		print_error("no \"%s\" in: %s\n", word, why);
	assert_non_null(strstr(why, word));
}

TEST(files_are_for_their_owner_alone)
{
	struct fx *fx = *state;
	static const char *const names[] = { "archive.db", "archive.db-wal", "archive.state" };
	mode_t old = umask(0);
	struct stat st;

	store_free(fx->s);
	remove_tree(fx->dir);
	fx->s = NULL;
	{
		_cleanup_(freep) char *why = NULL;

		assert_int_equal(store_open(fx->dir, &fx->s, &why), 0);
	}
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
	_cleanup_(freep) char *share = xasprintf("%s/share", fx->dir);
	_cleanup_(freep) char *why = NULL;
	struct store *s;

	assert_int_equal(store_open(deep, &s, &why), 0);
	store_free(s);
	remove_tree(deep);
	assert_int_equal(rmdir(share), 0);
}

TEST(a_missing_database_is_no_new_one)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");

	fx->s = store_free(fx->s);
	assert_int_equal(unlink(db), 0);

	assert_outcome(fx->dir, STORE_E_MISSING, "archive.state");
	assert_int_equal(file_size(db), -1);
}

TEST(an_empty_database_is_no_new_one_either)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");

	fx->s = store_free(fx->s);
	write_file(db, "", 0);

	assert_outcome(fx->dir, STORE_E_DAMAGED, "empty");
	assert_int_equal(file_size(db), 0);
}

TEST(an_empty_file_without_the_marker_was_never_an_archive)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *marker = path_of(fx, "archive.state");

	fx->s = store_free(fx->s);
	write_file(db, "", 0);
	assert_int_equal(unlink(marker), 0);

	fx_reopen(fx);
	assert_true(file_size(marker) > 0);
}

TEST(the_marker_comes_back)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *marker = path_of(fx, "archive.state");

	/* Killed between the commit of the schema and the marker. */
	assert_int_equal(unlink(marker), 0);
	fx_reopen(fx);
	assert_true(file_size(marker) > 0);
	assert_int_equal(fx->account, 1);
}

TEST(garbage_is_damage)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");
	char junk[8192];

	fx->s = store_free(fx->s);
	memset(junk, 'j', sizeof(junk));
	write_file(db, junk, sizeof(junk));

	assert_outcome(fx->dir, STORE_E_DAMAGED, "not a database");
	assert_int_equal(file_size(db), (int64_t)sizeof(junk));
}

TEST(somebody_elses_database_is_not_taken_over)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");
	sqlite3 *other;

	fx->s = store_free(fx->s);
	assert_int_equal(unlink(db), 0);
	assert_int_equal(sqlite3_open(db, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "CREATE TABLE theirs(x); PRAGMA user_version=3", NULL, NULL, NULL), 0);
	sqlite3_close(other);

	assert_outcome(fx->dir, STORE_E_DAMAGED, "not those of a varve archive");
}

TEST(a_torn_page_is_found_by_the_check)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *why = NULL;
	char junk[4096];
	int fd;

	for (int i = 0; i < 50; i++)
		put_live(fx, text_in("x", "body"), false);
	assert_int_equal(store_check(fx->s, &why), 0);
	fx->s = store_free(fx->s);
	memset(junk, 0x5a, sizeof(junk));
	fd = open(db, O_WRONLY);
	assert_true(fd >= 0);
	for (int page = 3; page < file_size(db) / 4096; page++)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), page * 4096), sizeof(junk));
	close(fd);
	/* Either the first look at it says so, or the check does. */
	if (store_open(fx->dir, &fx->s, &why) != STORE_E_DAMAGED)
		assert_int_equal(store_check(fx->s, &why), STORE_E_DAMAGED);
	assert_non_null(strstr(why, "damaged"));
}

TEST(a_newer_format_is_left_alone)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");
	int64_t size;

	assert_int_equal(db_exec(fx->s, "PRAGMA user_version=99"), 0);
	fx->s = store_free(fx->s);
	size = file_size(db);

	assert_outcome(fx->dir, STORE_E_NEWER, "newer version");
	assert_int_equal(file_size(db), size);
}

TEST(another_program_has_it_open)
{
	struct fx *fx = *state;

	assert_outcome(fx->dir, STORE_E_UNWRITABLE, "another program");
}

TEST(a_symlink_is_not_followed)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *real = path_of(fx, "archive.state.tmp");

	fx->s = store_free(fx->s);
	assert_int_equal(rename(db, real), 0);
	assert_int_equal(symlink("archive.state.tmp", db), 0);

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

static int try_open(const char *dir)
{
	char *why = NULL;
	struct store *s = NULL;
	int r = store_open(dir, &s, &why);

	return r > 0 && why && strstr(why, dir) && strstr(why, "permissions") ? r : 90;
}

TEST(a_directory_that_cannot_be_written)
{
	struct fx *fx = *state;

	fx->s = store_free(fx->s);
	assert_int_equal(chmod(fx->dir, 0555), 0);
	assert_int_equal(as_nobody(fx->dir, try_open), STORE_E_UNWRITABLE);
	assert_int_equal(chmod(fx->dir, 0700), 0);
}

TEST(a_database_that_cannot_be_written)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");

	fx->s = store_free(fx->s);
	assert_int_equal(chmod(fx->dir, 0777), 0);
	assert_int_equal(chmod(db, 0444), 0);
	assert_int_equal(as_nobody(fx->dir, try_open), STORE_E_UNWRITABLE);
	assert_int_equal(chmod(fx->dir, 0700), 0);
}

/* In a mount namespace of its own: a file system that is full, and one that is read-only. */
static int on_small_disk(const char *dir)
{
	_cleanup_(freep) char *filler = xasprintf("%s/filler", dir);
	char junk[4096] = { 1 };
	char *why = NULL;
	struct store *s = NULL;
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=700") < 0)
		return 77;
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, junk, sizeof(junk)) == (ssize_t)sizeof(junk))
		;
	close(fd);
	if (store_open(dir, &s, &why) != STORE_E_FULL || s || !strstr(why, "free some space"))
		return 1;
	free(why);
	if (mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return 77;
	if (store_open(dir, &s, &why) != STORE_E_UNWRITABLE || s || !strstr(why, "read-only"))
		return 2;
	free(why);
	/* Space again: what the failed attempt left behind is no obstacle. */
	if (mount(NULL, dir, NULL, MS_REMOUNT, "size=4m") < 0)
		return 77;
	if (store_open(dir, &s, &why) != 0)
		return 3;
	store_free(s);
	return 0;
}

TEST(a_full_and_a_read_only_file_system)
{
	struct fx *fx = *state;
	pid_t pid;
	int status;

	if (geteuid() != 0)
		skip();
	fx->s = store_free(fx->s);
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

	for (int n = 1; n < 10; n++) {
		char kill_at[16];
		pid_t pid;
		int status;

		fx->s = store_free(fx->s);
		remove_tree(fx->dir);
		snprintf(kill_at, sizeof(kill_at), "%d", n);
		pid = fork();
		if (pid == 0) {
			/* step() reads its environment once: so in a new program. */
			setenv("VARVE_STEP_KILL", kill_at, 1);
			execl("/proc/self/exe", "test-open", fx->dir, NULL);
			_exit(98);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		killed += WIFSIGNALED(status);
		fx_reopen(fx);
		fx->account = fx_account(fx, OWN, &fx->archive);
		put_live(fx, text_in("1", "x"), false);
		assert_int_equal(count_messages(fx), 1);
	}
	/* Directory, schema 1, schema 2, checkpoint, marker. */
	assert_int_equal(killed, 5);
}

TEST(the_epoch_stays_and_differs_between_archives)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *epoch = xstrdup(store_epoch(fx->s));

	assert_int_equal(strlen(epoch), 16);
	fx_reopen(fx);
	assert_string_equal(store_epoch(fx->s), epoch);
	store_free(fx->s);
	remove_tree(fx->dir);
	fx->s = NULL;
	fx_reopen(fx);
	assert_string_not_equal(store_epoch(fx->s), epoch);
}

TEST(a_checkpoint_empties_the_log)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *wal = path_of(fx, "archive.db-wal");

	put_live(fx, text_in("1", "x"), false);
	assert_true(file_size(wal) > 0);
	assert_int_equal(store_checkpoint(fx->s, true), 0);
	assert_int_equal(file_size(wal), 0);
	assert_true(store_size(fx->s) > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RUN(files_are_for_their_owner_alone),
		RUN(parents_that_are_missing_are_made),
		RUN(a_missing_database_is_no_new_one),
		RUN(an_empty_database_is_no_new_one_either),
		RUN(an_empty_file_without_the_marker_was_never_an_archive),
		RUN(the_marker_comes_back),
		RUN(garbage_is_damage),
		RUN(somebody_elses_database_is_not_taken_over),
		RUN(a_torn_page_is_found_by_the_check),
		RUN(a_newer_format_is_left_alone),
		RUN(another_program_has_it_open),
		RUN(a_symlink_is_not_followed),
		RUN(a_directory_that_cannot_be_written),
		RUN(a_database_that_cannot_be_written),
		RUN(a_full_and_a_read_only_file_system),
		RUN(killed_at_each_step_of_creation),
		RUN(the_epoch_stays_and_differs_between_archives),
		RUN(a_checkpoint_empties_the_log),
	};

	if (argc == 2) {
		struct store *s = NULL;
		char *why = NULL;
		int r = store_open(argv[1], &s, &why);

		store_free(s);
		free(why);
		return r != 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
