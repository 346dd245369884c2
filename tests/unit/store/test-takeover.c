/* A plain archive of varve 0.1 is encrypted in its place, or left as it is. */
#include "fixture.h"

#include <stdio.h>
#include <unistd.h>

static void fill_plain(struct fx *fx)
{
	fx_close(fx);
	remove_tree(fx->dir);
	fx_open_plain(fx);
	for (int i = 0; i < 20; i++) {
		char id[8];

		snprintf(id, sizeof(id), "x%d", i);
		put_live(fx, text_in(id, "Wallfahrtskirche"), false);
	}
	assert_true(file_has(fx->s->path, "SQLite format 3"));
}

static void assert_taken_over(struct fx *fx)
{
	_cleanup_(freep) char *marker = path_of(fx, "archive.state"), *old = path_of(fx, "archive.db.plain-0.1");
	_cleanup_(freep) char *made = path_of(fx, "archive.db.new");

	fx_reopen(fx);
	assert_int_equal(count_messages(fx), 20);
	assert_true(fx_sound(fx));
	assert_int_equal(file_size(marker), -1);
	assert_int_equal(file_size(old), -1);
	assert_int_equal(file_size(made), -1);
	assert_false(tree_has(fx->dir, "Wallfahrtskirche"));
	assert_false(tree_has(fx->dir, "SQLite format 3"));
	put_live(fx, text_in("y", "Bergkapelle"), false);
	assert_int_equal(count_messages(fx), 21);
}

TEST(a_plain_archive_is_taken_over)
{
	struct fx *fx = *state;

	fill_plain(fx);
	assert_taken_over(fx);
	fx_reopen(fx);
	assert_int_equal(count_messages(fx), 21);
}

/* As a crash leaves it: with a log; also without the marker. */
TEST(a_plain_archive_with_a_log_is_taken_over)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *marker = path_of(fx, "archive.state"), *wal = path_of(fx, "archive.db-wal");

	for (int round = 0; round < 2; round++) {
		fill_plain(fx);
		db_close(fx->s, true);
		assert_true(file_has(wal, "Wallfahrtskirche"));
		if (round == 1)
			assert_int_equal(unlink(marker), 0);
		assert_taken_over(fx);
	}
}

TEST(killed_at_each_step_of_taking_over)
{
	struct fx *fx = *state;
	int killed = 0;

	for (int n = 1; n < 40; n++) {
		int r;

		fill_plain(fx);
		/* With a log in one of two. */
		db_close(fx->s, n % 2 == 0);
		r = run_self("open", fx->dir, n);
		assert_true(r == RUN_KILLED || r == 0);
		killed += r == RUN_KILLED;
		assert_taken_over(fx);
		if (r == 0)
			break;
	}
	assert_in_range(killed, 8, 38);
}

TEST(a_plain_archive_that_is_damaged_is_left_alone)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *marker = path_of(fx, "archive.state");
	char junk[4096];
	int64_t size;
	FILE *f;

	fill_plain(fx);
	fx_close(fx);
	size = file_size(db);
	memset(junk, 0x5a, sizeof(junk));
	f = fopen(db, "r+");
	for (long page = 1; page < size / 4096; page++) {
		fseek(f, page * 4096, SEEK_SET);
		assert_int_equal(fwrite(junk, sizeof(junk), 1, f), 1);
	}
	fclose(f);

	assert_outcome(fx->dir, STORE_E_DAMAGED, "archive.db");
	assert_int_equal(file_size(db), size);
	assert_true(file_size(marker) > 0);
}

TEST(a_plain_archive_of_a_newer_varve_is_left_alone)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db");

	fill_plain(fx);
	assert_int_equal(db_exec(fx->s, "PRAGMA user_version=99"), 0);
	fx_close(fx);

	assert_outcome(fx->dir, STORE_E_NEWER, "newer version");
	assert_true(file_has(db, "Wallfahrtskirche"));
}

TEST(a_marker_of_an_older_varve_without_its_database)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *keys = path_of(fx, "archive.keys");

	fill_plain(fx);
	fx_close(fx);
	assert_int_equal(unlink(db), 0);

	assert_outcome(fx->dir, STORE_E_MISSING, "archive.state");
	assert_int_equal(file_size(keys), -1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		RUN(a_plain_archive_is_taken_over),
		RUN(a_plain_archive_with_a_log_is_taken_over),
		RUN(killed_at_each_step_of_taking_over),
		RUN(a_plain_archive_that_is_damaged_is_left_alone),
		RUN(a_plain_archive_of_a_newer_varve_is_left_alone),
		RUN(a_marker_of_an_older_varve_without_its_database),
	};

	/* run_self() */
	if (argc == 3)
		return open_once(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
