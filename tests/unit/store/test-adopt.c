/* A rotation goes on in the new file, or is given up. */
#include "copy-fixture.h"

#include <errno.h>

TEST(a_rotation_goes_on_in_the_new_file)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = path_of(fx, "archive-2.db"), *old = path_of(fx, "archive.db"), *why = NULL;
	_cleanup_(freep) char *epoch = xstrdup(store_epoch(fx->s)), *wal = path_of(fx, "archive.db-wal");
	struct vault_next *n;
	struct message m = text_in("no", "no");
	struct copy *c;

	fill(fx, 0, 300, 300);
	put_session(fx);
	assert_int_equal(vault_next(fx->v, "archive-2.db", NULL, &n, &why), 0);
	assert_int_equal(copy_new(fx->s, COPY_SUCCESSOR, vault_next_path(n), vault_next_keys(n), &c), 0);
	finish(c);
	assert_sound(c);
	/* What were written now would be missing. */
	assert_int_equal(store_begin(fx->s), -EBUSY);
	assert_int_equal(count_messages(fx), 300);
	assert_int_equal(vault_switch(fx->v, n), 0);
	assert_int_equal(copy_keep(c), 0);
	copy_free(c);
	assert_int_equal(store_adopt(fx->s, vault_path(fx->v), vault_keys(fx->v)), 0);
	vault_next_free(n);

	assert_int_equal(file_size(old), -1);
	assert_int_equal(file_size(wal), -1);
	assert_int_equal(count_messages(fx), 300);
	put_live(fx, m, false);
	fx_reopen(fx);
	assert_string_equal(vault_path(fx->v), path);
	assert_int_equal(count_messages(fx), 301);
	assert_string_equal(store_epoch(fx->s), epoch);
	{
		struct session a;

		assert_int_equal(session_load(fx->s, fx->account, &a), 0);
		assert_string_equal(a.sm_id, "sm-1");
		session_deinit(&a);
	}
}

TEST(a_successor_that_is_given_up_thaws_the_archive)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = path_of(fx, "archive-2.db"), *why = NULL;
	struct vault_next *n;
	struct copy *c;

	assert_int_equal(vault_next(fx->v, "archive-2.db", NULL, &n, &why), 0);
	assert_int_equal(copy_new(fx->s, COPY_SUCCESSOR, path, vault_next_keys(n), &c), 0);
	finish(c);
	copy_free(c);
	vault_next_free(n);
	assert_int_equal(file_size(path), -1);
	put_live(fx, text_in("1", "x"), false);
	fx_reopen(fx);
	assert_string_equal(bodies(fx, BOB), "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_rotation_goes_on_in_the_new_file),
		RUN(a_successor_that_is_given_up_thaws_the_archive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
