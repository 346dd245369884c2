/* What a review tried: files that are planted, moved or cut between two starts, and failures at a bad moment. */
#define _GNU_SOURCE
#include "copy-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/index.h"

static int64_t synchronous(struct fx *fx)
{
	int64_t n = -1;

	assert_int_equal(db_number(fx->s->db, "PRAGMA synchronous", &n), 0);
	return n;
}

/* An ack follows the commit of a message: it waits for the disk whatever the index met before it. */
TEST(a_message_is_durable_after_an_index_step_that_could_not_begin)
{
	struct fx *fx = *state;

	assert_int_equal(synchronous(fx), 2);
	fx->s->frozen = true;
	assert_int_equal(index_rebuild(fx->s), -EBUSY);
	fx->s->frozen = false;
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(synchronous(fx), 2);
	assert_int_equal(store_commit(fx->s), 0);
	assert_int_equal(index_rebuild(fx->s), 0);
	assert_int_equal(synchronous(fx), 2);
}

/* A power cut after the name of FILE.keys was made, and before its text was. */
TEST(a_backup_with_torn_keys_is_none)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = path_of(fx, "backup.varve"), *keys = path_of(fx, "backup.varve.keys"), *aside = path_of(fx, "x");
	_cleanup_(freep) char *partial = path_of(fx, "backup.varve.partial");
	struct vault_next *n;
	struct copy *c;

	assert_int_equal(vault_next_at(fx->v, path, &n), 0);
	assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &c), 0);
	finish(c);
	assert_int_equal(link(partial, aside), 0);
	copy_free(c);
	vault_next_free(n);
	assert_int_equal(rename(aside, partial), 0);
	write_file(keys, "varve arch", 10);

	fx_reopen(fx);
	assert_int_equal(file_size(path), -1);
	assert_int_equal(file_size(keys), -1);
	assert_int_equal(file_size(partial), -1);
}

/* The archive remembers the name of a backup until its next start; what is there by then may be another's. */
TEST(a_file_that_took_the_name_of_a_partial_backup_stays)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *partial = path_of(fx, "backup.varve.partial");

	free(back_up(fx, NULL));
	write_file(partial, "a download that is not finished", 31);
	fx_reopen(fx);
	assert_int_equal(file_size(partial), 31);
}

static int locks(void)
{
	_cleanup_(freep) char *pid = xasprintf(" %d ", (int)getpid());
	FILE *f = fopen("/proc/locks", "re");
	char line[256];
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "POSIX") && strstr(line, pid);
	fclose(f);
	return n;
}

/* Closing any descriptor of the archive would drop SQLite's locks on it (store/disk.h). */
TEST(a_backup_over_the_archive_leaves_its_locks)
{
	struct fx *fx = *state;
	struct vault_next *n;
	struct copy *c;
	int before = locks();

	assert_true(before > 0);
	assert_int_equal(vault_next_at(fx->v, vault_path(fx->v), &n), 0);
	assert_int_equal(copy_new(fx->s, COPY_BACKUP, vault_path(fx->v), vault_next_keys(n), &c), -EEXIST);
	vault_next_free(n);
	assert_int_equal(locks(), before);
}

static void fill_plain(struct fx *fx)
{
	fx_close(fx);
	remove_tree(fx->dir);
	fx_open_plain(fx);
	put_live(fx, text_in("x", "Wallfahrtskirche"), false);
	fx_close(fx);
}

/* cp -l, rsync --link-dest. */
TEST(a_hard_linked_backup_of_a_plain_archive_is_not_wiped)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *other = xasprintf("%s-yesterday", fx->dir);

	fill_plain(fx);
	assert_int_equal(link(db, other), 0);
	fx_reopen(fx);
	assert_int_equal(count_messages(fx), 1);
	assert_true(file_has(other, "Wallfahrtskirche"));
	assert_int_equal(unlink(other), 0);
}

/* The first start after the upgrade found no space; to make some the user moved the archive away for a moment. */
TEST(a_plain_archive_that_is_gone_when_it_is_to_be_taken_over_is_missed)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = path_of(fx, "archive.db"), *away = xasprintf("%s-away", fx->dir);
	_cleanup_(freep) char *config = config_of(fx->dir), *why = NULL, *again = NULL;
	struct vault *v = NULL;

	fill_plain(fx);
	assert_int_equal(store_find(fx->dir, config, &v, &why), 0);
	vault_free(v);
	assert_int_equal(rename(db, away), 0);

	assert_int_equal(try_open(fx->dir, &fx->v, &fx->s, &why), STORE_E_MISSING);
	assert_int_equal(file_size(db), -1);
	write_file(db, "", 0);
	assert_int_equal(try_open(fx->dir, &fx->v, &fx->s, &again), STORE_E_DAMAGED);
	assert_int_equal(rename(away, db), 0);
	fx_reopen(fx);
	assert_int_equal(count_messages(fx), 1);
}

/* It could not be wiped at once; a rotation, which gives the archive another name, must not make it forgotten. */
TEST(the_plain_file_is_wiped_after_a_rotation_too)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *old = path_of(fx, "archive.db.plain-0.1"), *next = path_of(fx, "archive-2.db");
	_cleanup_(freep) char *why = NULL;
	struct vault_next *n;
	struct copy *c;

	write_file(old, "Wallfahrtskirche", 16);
	assert_int_equal(vault_next(fx->v, "archive-2.db", NULL, &n, &why), 0);
	assert_int_equal(copy_new(fx->s, COPY_SUCCESSOR, next, vault_next_keys(n), &c), 0);
	finish(c);
	assert_int_equal(vault_switch(fx->v, n), 0);
	assert_int_equal(copy_keep(c), 0);
	assert_int_equal(store_adopt(fx->s, vault_path(fx->v), vault_keys(fx->v)), 0);
	copy_free(c);
	vault_next_free(n);
	fx_reopen(fx);
	assert_int_equal(file_size(old), -1);
}

/* A restored backup keeps its own name: without keys it is an archive all the same, not a place for a new one. */
TEST(no_new_archive_beside_a_restored_one_without_keys)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *dir = xasprintf("%s-restored", fx->dir), *config = config_of(fx->dir);
	_cleanup_(freep) char *from = path_of(fx, "backup.varve"), *to = xasprintf("%s/b.db", dir), *why = NULL;
	struct vault *v = NULL;

	free(back_up(fx, NULL));
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(store_find(dir, config, &v, &why), STORE_E_NO_KEYS);
	assert_null(v);
	assert_non_null(strstr(why, "b.db"));
	remove_tree(dir);
}

TEST(the_directory_may_be_reached_by_a_symlink)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *name = xasprintf("%s-link", fx->dir), *config = config_of(fx->dir), *why = NULL;

	put_live(fx, text_in("x", "hello"), false);
	fx_close(fx);
	assert_int_equal(symlink(fx->dir, name), 0);
	assert_int_equal(store_find(name, config, &fx->v, &why), 0);
	assert_int_equal(store_open(fx->v, &fx->s, &why), 0);
	assert_int_equal(count_messages(fx), 1);
	free(back_up(fx, NULL));
	assert_int_equal(unlink(name), 0);
}

/* Beside the archive somebody put what is no file: never waited for, never written through. */
TEST(what_is_planted_in_the_place_of_the_log_is_refused)
{
	static const char *const names[] = { "archive.db-wal", "archive.db-journal" };
	struct fx *fx = *state;
	_cleanup_(freep) char *treasure = path_of(fx, "treasure");

	for (size_t i = 0; i < 2 * ARRAY_SIZE(names); i++) {
		_cleanup_(freep) char *path = path_of(fx, names[i / 2]), *why = NULL;

		fx_close(fx);
		write_file(treasure, "of the user", 11);
		if (i % 2)
			assert_int_equal(mkfifo(path, 0600), 0);
		else
			assert_int_equal(symlink(treasure, path), 0);
		assert_int_equal(try_open(fx->dir, &fx->v, &fx->s, &why), STORE_E_UNWRITABLE);
		assert_true(file_has(treasure, "of the user"));
		assert_int_equal(unlink(path), 0);
		fx_reopen(fx);
	}
}

/* A contact who sends long messages does not choose how long a transaction of the index is. */
TEST(a_batch_of_the_index_is_bounded_in_bytes)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *body = xcalloc(1, 30001);
	int64_t before, after = 0;
	int r;

	memset(body, 'x', 30000);
	for (int i = 0; i < 9; i++) {
		char id[8];

		snprintf(id, sizeof(id), "l%d", i);
		put_live(fx, text_in(id, body), false);
	}
	do {
		before = after;
		r = index_step(fx->s, 1);
		assert_int_equal(index_watermark(fx->s, &after), 0);
		assert_true(after - before <= 2);
	} while (r > 0);
	assert_int_equal(r, 0);
	assert_int_equal(after, 9);
}

/* Names that varve gives, and removes, are taken by nobody else. */
TEST(a_backup_may_have_the_name_of_a_file_on_its_way_out)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *from = path_of(fx, "backup.varve"), *to = path_of(fx, "archive.db.plain-0.1");
	_cleanup_(freep) char *damaged = path_of(fx, "archive.keys.damaged");
	struct vault_next *n;

	free(back_up(fx, NULL));
	assert_int_equal(rename(from, to), 0);
	fx_reopen(fx);
	assert_true(file_size(to) > 0);
	assert_int_equal(vault_next_at(fx->v, damaged, &n), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_message_is_durable_after_an_index_step_that_could_not_begin),
		RUN(a_backup_with_torn_keys_is_none),
		RUN(a_file_that_took_the_name_of_a_partial_backup_stays),
		RUN(a_backup_over_the_archive_leaves_its_locks),
		RUN(a_hard_linked_backup_of_a_plain_archive_is_not_wiped),
		RUN(a_plain_archive_that_is_gone_when_it_is_to_be_taken_over_is_missed),
		RUN(the_plain_file_is_wiped_after_a_rotation_too),
		RUN(no_new_archive_beside_a_restored_one_without_keys),
		RUN(the_directory_may_be_reached_by_a_symlink),
		RUN(what_is_planted_in_the_place_of_the_log_is_refused),
		RUN(a_batch_of_the_index_is_bounded_in_bytes),
		RUN(a_backup_may_have_the_name_of_a_file_on_its_way_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
