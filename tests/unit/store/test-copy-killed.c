/* Backup and rotation killed at each of their steps, and what the next start makes of what is left (store/leftover.c). */
#include "copy-fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/leftover.h"

static int run_backup(struct fx *fx)
{
	free(back_up(fx, NULL));
	return 0;
}

static int run_rotation(struct fx *fx)
{
	char *why = NULL;
	struct vault_next *n;
	struct copy *c;

	assert_int_equal(vault_next(fx->v, "archive-2.db", NULL, &n, &why), 0);
	assert_int_equal(copy_new(fx->s, COPY_SUCCESSOR, vault_next_path(n), vault_next_keys(n), &c), 0);
	finish(c);
	assert_sound(c);
	assert_int_equal(vault_switch(fx->v, n), 0);
	assert_int_equal(copy_keep(c), 0);
	copy_free(c);
	assert_int_equal(store_adopt(fx->s, vault_path(fx->v), vault_keys(fx->v)), 0);
	vault_next_free(n);
	return 0;
}

static int run_command(const char *command, const char *dir)
{
	struct fx fx = { .account = 1, .archive = 1 };
	char *why = NULL;
	int r;

	snprintf(fx.dir, sizeof(fx.dir), "%s", dir);
	if (try_open(dir, &fx.v, &fx.s, &why) != 0)
		return 90;
	r = strcmp(command, "backup") == 0 ? run_backup(&fx) : run_rotation(&fx);
	fx_close(&fx);
	return r;
}

TEST(a_backup_that_is_killed_is_none)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = path_of(fx, "backup.varve"), *keys = path_of(fx, "backup.varve.keys");
	_cleanup_(freep) char *partial = path_of(fx, "backup.varve.partial");
	int killed = 0, complete = 0;

	fill(fx, 0, 100, 300);
	for (int n = 1; n < 40; n++) {
		int r;

		fx_close(fx);
		r = run_self("backup", fx->dir, n);
		assert_true(r == RUN_KILLED || r == 0);
		killed += r == RUN_KILLED;
		/* Under its own name it is never half a backup. */
		if (file_size(path) >= 0)
			assert_true(file_size(keys) > 0);
		fx_reopen(fx);
		assert_int_equal(count_messages(fx), 100);
		assert_int_equal(file_size(partial), -1);
		assert_int_equal(file_size(path) > 0, file_size(keys) > 0);
		if (file_size(path) > 0) {
			struct vault *v;
			char *why = NULL;
			_cleanup_(freep) char *config = config_of(fx->dir);

			assert_int_equal(vault_load_file(keys, config, &v, &why), 0);
			assert_int_equal(vault_unlock_auto(v, &why), 0);
			assert_int_equal(number_of(path, vault_keys(v), "SELECT count(*) FROM msg"), 100);
			vault_free(v);
			complete++;
			assert_int_equal(unlink(path), 0);
			assert_int_equal(unlink(keys), 0);
		}
		if (r == 0)
			break;
	}
	assert_in_range(killed, 4, 38);
	assert_true(complete >= 2);
}

TEST(a_rotation_that_is_killed_is_done_or_undone)
{
	struct fx *fx = *state;
	int killed = 0, done = 0, undone = 0;

	for (int n = 1; n < 40; n++) {
		_cleanup_(freep) char *old = path_of(fx, "archive.db"), *next = path_of(fx, "archive-2.db");
		int r;

		fx_close(fx);
		remove_tree(fx->dir);
		fx_reopen(fx);
		fx->account = fx_account(fx, OWN, &fx->archive);
		fill(fx, 0, 100, 300);
		fx_close(fx);
		r = run_self("rotate", fx->dir, n);
		assert_true(r == RUN_KILLED || r == 0);
		killed += r == RUN_KILLED;
		fx_reopen(fx);
		assert_int_equal(count_messages(fx), 100);
		/* One of the two is left. */
		assert_true((file_size(old) > 0) != (file_size(next) > 0));
		done += file_size(next) > 0;
		undone += file_size(old) > 0;
		put_live(fx, text_in("new", "new"), false);
		if (r == 0)
			break;
	}
	assert_in_range(killed, 4, 38);
	assert_true(done >= 2);
	assert_true(undone >= 2);
}

/* What the next start removes is what varve made: a file that a user calls almost the same stays. */
TEST(only_what_was_noted_is_removed)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *mine = path_of(fx, "archive-3.db"), *next = path_of(fx, "archive-2.db");
	_cleanup_(freep) char *partial = path_of(fx, "b.partial"), *backup = path_of(fx, "b");

	write_file(mine, "mine", 4);
	write_file(next, "half", 4);
	write_file(partial, (const char[32]){ 0 }, 32); /* no first page yet */
	assert_int_equal(leftover_note_successor(fx->s, next), 0);
	assert_int_equal(leftover_note_backup(fx->s, backup), 0);
	fx_reopen(fx);
	assert_int_equal(file_size(mine), 4);
	assert_int_equal(file_size(next), -1);
	assert_int_equal(file_size(partial), -1);
	/* Forgotten: the next start removes nothing. */
	write_file(next, "mine", 4);
	fx_reopen(fx);
	assert_int_equal(file_size(next), 4);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RUN(a_backup_that_is_killed_is_none),
		RUN(a_rotation_that_is_killed_is_done_or_undone),
		RUN(only_what_was_noted_is_removed),
	};

	if (argc == 3)
		return run_command(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
