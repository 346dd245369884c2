/* A copy of the archive while it is written to: backups, and what every copy must be. */
#define _GNU_SOURCE /* rand_r */
#include "copy-fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/outbox.h"
#include "store/push.h"

TEST(a_backup_is_the_archive)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = NULL, *partial = path_of(fx, "backup.varve.partial"), *wal = NULL;
	_cleanup_(freep) char *keys = path_of(fx, "backup.varve.keys"), *ours = NULL, *theirs = NULL;
	struct vault_next *n;
	struct stat st;

	fill(fx, 0, 500, 200);
	path = back_up(fx, &n);
	ours = digest(fx->s->db);
	theirs = digest_of(path, vault_next_keys(n));
	assert_string_equal(ours, theirs);
	assert_int_equal(file_size(partial), -1);
	wal = xasprintf("%s-wal", path);
	assert_true(file_size(wal) <= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(file_size(keys) > 0);
	assert_false(file_has(path, "SQLite format 3"));
	assert_false(file_has(path, "CREATE TABLE"));
	vault_next_free(n);
}

TEST(a_backup_opens_as_an_archive)
{
	struct fx *fx = *state;
	struct fx other = { .account = fx->account, .archive = fx->archive };
	_cleanup_(freep) char *path = NULL, *keys = path_of(fx, "backup.varve.keys"), *db = NULL, *sidecar = NULL;
	_cleanup_(freep) char *config = config_of(fx->dir), *why = NULL;
	struct vault_next *n;

	fill(fx, 0, 50, 200);
	path = back_up(fx, &n);
	vault_next_free(n);

	/* What the manual says: both files into a new directory. The sidecar names the database. */
	snprintf(other.dir, sizeof(other.dir), "%.50s-restored", fx->dir);
	assert_int_equal(mkdir(other.dir, 0700), 0);
	db = xasprintf("%s/backup.varve", other.dir);
	sidecar = xasprintf("%s/archive.keys", other.dir);
	assert_int_equal(rename(path, db), 0);
	assert_int_equal(rename(keys, sidecar), 0);
	assert_int_equal(store_find(other.dir, config, &other.v, &why), 0);
	assert_int_equal(store_open(other.v, &other.s, &why), 0);
	assert_int_equal(count_messages(&other), 50);
	put_live(&other, text_in("new", "new"), false);
	fx_close(&other);
	remove_tree(other.dir);
}

TEST(a_backup_forgets_sessions_and_runs_and_is_another_feed)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = NULL, *sql = NULL;
	const struct page_keys *keys;
	struct vault_next *n;
	struct cover c;
	struct push *push;
	char service[] = "push.test";
	size_t n_push;

	put_session(fx);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(push_want(fx->s, fx->account, "old.test"), 0);
	assert_int_equal(push_want(fx->s, fx->account, "push.test"), 0);
	assert_int_equal(push_put(fx->s, fx->account, &(struct push){ .service = service, .state = PUSH_ENABLED }), 0);
	assert_int_equal(store_commit(fx->s), 0);
	assert_int_equal(push_list(fx->s, fx->account, &push, &n_push), 0);
	cover_init(&c);
	cover_load(&c, "a", 1, "b", 2, SPAN_START);
	cover_load(&c, "c", 0, "d", 0, SPAN_RUN | SPAN_LIVE | SPAN_NEXT);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(cover_write(fx->s, fx->archive, &c), 0);
	assert_int_equal(store_commit(fx->s), 0);
	path = back_up(fx, &n);
	keys = vault_next_keys(n);

	sql = xasprintf("SELECT count(*) FROM meta WHERE name='epoch' AND value<>'%s' AND length(value)=16",
			store_epoch(fx->s));
	assert_int_equal(number_of(path, keys, sql), 1);
	assert_int_equal(number_of(path, keys, "SELECT count(*) FROM session"), 0);
	/* What is enabled is so for a session and a node of this installation. */
	assert_int_equal(number_of(path, keys, "SELECT count(*) FROM push WHERE service='push.test' AND state=0"), 1);
	assert_int_equal(number_of(path, keys, "SELECT count(*) FROM push"), 1);
	free(sql);
	sql = xasprintf("SELECT count(*) FROM push WHERE node='%s'", push[1].node);
	assert_int_equal(number_of(path, keys, sql), 0);
	for (size_t i = 0; i < n_push; i++)
		push_deinit(&push[i]);
	free(push);
	assert_int_equal(number_of(path, keys, "SELECT count(*) FROM span"), 1);
	assert_int_equal(number_of(path, keys, "SELECT flags FROM span"), SPAN_START);
	assert_int_equal(number_of(path, keys, "SELECT count(*) FROM meta"), 1);
	/* The archive itself did not forget. */
	cover_deinit(&c);
	assert_int_equal(cover_read(fx->s, fx->archive, &c), 0);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.spans[1].flags, SPAN_RUN | SPAN_LIVE | SPAN_NEXT);
	cover_deinit(&c);
	vault_next_free(n);
}

/* Without a page between: coverage is live without a run. */
TEST(a_backup_is_not_live)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = NULL;
	struct vault_next *n;

	put_cover(fx, "a-c^ d-f*");
	path = back_up(fx, &n);
	assert_int_equal(number_of(path, vault_next_keys(n), "SELECT count(*) FROM span"), 2);
	assert_int_equal(number_of(path, vault_next_keys(n), "SELECT count(*) FROM span WHERE flags & 2"), 0);
	vault_next_free(n);
}

static void send_one(struct fx *fx, const char *id, bool leaves)
{
	const struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = id, .body = id, .emojis = "" };
	bool existing;
	int64_t msg;

	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(outbox_put(fx->s, fx->account, OWN, &o, fx->now, &msg, &existing), 0);
	/* The only item so far: its id is 1. */
	if (leaves)
		assert_int_equal(outbox_numbered(fx->s, fx->account, 1, 0, 7, "b"), 1);
	assert_int_equal(store_commit(fx->s), 0);
}

/* Whoever opens it later must not send again what was sent since: the server's archive is asked first. */
TEST(what_waits_in_a_backup_is_in_doubt)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = NULL;
	const struct page_keys *keys;
	struct vault_next *n;
	struct outbox_counts counts;

	put_session(fx);
	put_cover(fx, "a-c^ d-f*");
	send_one(fx, "gone", true);
	send_one(fx, "waits", false);
	path = back_up(fx, &n);
	keys = vault_next_keys(n);
	assert_int_equal(number_of(path, keys, "SELECT count(*) FROM outbox WHERE state=2 AND again=2 AND n IS NULL"), 2);
	assert_int_equal(number_of(path, keys, "SELECT count(*) FROM outbox WHERE anchor='b' AND client_id='gone'"), 1);
	assert_int_equal(number_of(path, keys, "SELECT count(*) FROM outbox WHERE anchor='f' AND client_id='waits'"), 1);
	assert_int_equal(number_of(path, keys, "SELECT count(*) FROM msg WHERE state=11"), 2);
	assert_int_equal(outbox_count(fx->s, fx->account, &counts), 0);
	assert_int_equal(counts.queued, 1);
	assert_int_equal(counts.sending, 1);
	vault_next_free(n);
}

/* The property: whatever is written, rolled back or purged between two slices, the copy is the archive at its end. */
static void random_write(struct fx *fx, unsigned int *dice, int *next)
{
	switch (rand_r(dice) % 6) {
	case 0:
	case 1:
		fill(fx, *next, 1 + rand_r(dice) % 30, (size_t)rand_r(dice) % 900);
		*next += 30;
		break;
	case 2: { /* a correction, a retraction: pages that were copied long ago */
		char id[16];
		struct message m;

		snprintf(id, sizeof(id), "m%d", (int)(rand_r(dice) % 400));
		m = ref_in(PAYLOAD_RETRACTION, id);
		put_live(fx, m, false);
		break;
	}
	case 3: {
		struct put_outcome out;
		struct message m = text_in("gone", "rolled back");

		assert_int_equal(store_begin(fx->s), 0);
		assert_int_equal(archive_put_live(fx->s, fx->account, fx->archive, OWN, &m, fx->now, false, &out), 0);
		store_rollback(fx->s);
		break;
	}
	case 4:
		assert_true(store_upkeep(fx->s, 1000) >= 0);
		break;
	default:
		assert_int_equal(store_checkpoint(fx->s), 0);
		break;
	}
}

TEST(what_is_written_between_two_slices_is_in_the_copy)
{
	struct fx *fx = *state;

	fill(fx, 0, 400, 500);
	for (unsigned int seed = 1; seed <= 12; seed++) {
		_cleanup_(freep) char *path = path_of(fx, "copy"), *ours = NULL, *theirs = NULL;
		enum copy_kind kind = seed % 2 ? COPY_BACKUP : COPY_SUCCESSOR;
		int next = (int)seed * 10000, slices = 0, r;
		unsigned int dice = seed;
		struct page_keys keys;
		uint8_t master[PAGE_KEY] = { 1, 2, 3 }, id[FILE_ID] = { (uint8_t)seed };
		struct copy *c;

		page_keys_derive(&keys, master, id, seed);
		assert_int_equal(copy_new(fx->s, kind, path, &keys, &c), 0);
		/* Budget 0: the smallest slices. The writes happen while pages are left to copy. */
		while ((r = copy_step(c, 0)) > 0) {
			slices++;
			if (copy_percent(c) < 99 && slices < 60)
				random_write(fx, &dice, &next);
		}
		assert_int_equal(r, 0);
		assert_true(slices > 20);
		assert_sound(c);
		assert_int_equal(copy_keep(c), 0);
		copy_free(c);
		ours = digest(fx->s->db);
		theirs = digest_of(path, &keys);
		if (strcmp(ours, theirs) != 0)
			print_error("seed %u\n", seed);
		assert_string_equal(ours, theirs);
		fx->s->frozen = false; /* as store_adopt() would */
		assert_int_equal(unlink(path), 0);
	}
}

TEST(nothing_that_exists_is_replaced)
{
	struct fx *fx = *state;
	static const char *const names[] = { "backup.varve", "backup.varve.keys", "backup.varve.partial" };
	_cleanup_(freep) char *path = path_of(fx, "backup.varve");
	struct vault_next *n;
	struct copy *c = NULL;

	assert_int_equal(vault_next_at(fx->v, path, &n), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(freep) char *taken = path_of(fx, names[i]);

		write_file(taken, "mine", 4);
		assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &c), -EEXIST);
		assert_true(file_has(taken, "mine"));
		assert_int_equal(unlink(taken), 0);
	}
	/* Taken while it was copied. */
	assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &c), 0);
	finish(c);
	write_file(path, "mine", 4);
	assert_int_equal(copy_keep(c), -EEXIST);
	copy_free(c);
	assert_true(file_has(path, "mine"));
	vault_next_free(n);
}

TEST(a_copy_that_is_given_up_leaves_nothing)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = path_of(fx, "backup.varve"), *partial = path_of(fx, "backup.varve.partial");
	struct vault_next *n;
	struct copy *c, *second = NULL;

	fill(fx, 0, 200, 500);
	assert_int_equal(vault_next_at(fx->v, path, &n), 0);
	for (int slices = 0; slices < 200; slices += 40) {
		int r = 1;

		assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &c), 0);
		assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &second), -EBUSY);
		for (int i = 0; i < slices && r > 0; i++)
			r = copy_step(c, 0);
		assert_int_equal(file_size(path), -1);
		copy_free(c);
		assert_int_equal(file_size(path), -1);
		assert_int_equal(file_size(partial), -1);
		fill(fx, 1000 + slices, 1, 10);
	}
	vault_next_free(n);
}

/* No space for all of it: nothing is left, and the archive goes on. */
TEST(a_full_disk_ends_the_copy_alone)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = path_of(fx, "backup.varve"), *partial = path_of(fx, "backup.varve.partial");
	struct rlimit limit;
	struct vault_next *n;
	struct copy *c;
	int r;

	fill(fx, 0, 400, 500);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(vault_next_at(fx->v, path, &n), 0);
	assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &c), 0);
	assert_int_equal(copy_step(c, 0), 1);
	limit.rlim_cur = 100000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	while ((r = copy_step(c, 1000)) > 0)
		;
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(r < 0);
	assert_int_equal(file_size(partial), -1);
	assert_int_equal(copy_keep(c), -EBUSY);
	copy_free(c);
	vault_next_free(n);
	put_live(fx, text_in("new", "new"), false);
	assert_int_equal(count_messages(fx), 401);
}

TEST(a_copy_that_is_not_right_is_found)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = path_of(fx, "backup.varve"), *partial = path_of(fx, "backup.varve.partial");
	_cleanup_(freep) char *sentence = NULL;
	char bad[CHILD_ANSWER_MAX];
	struct vault_next *n;
	struct copy *c;
	int64_t last;

	fill(fx, 0, 200, 500);
	assert_int_equal(vault_next_at(fx->v, path, &n), 0);
	assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &c), 0);
	finish(c);
	spoil(partial, 20);
	verify(c, bad);
	assert_non_null(strstr(bad, "page 20 does not authenticate"));
	copy_free(c);

	/* Authentic, but not what was copied. */
	assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &c), 0);
	finish(c);
	assert_int_equal(db_number(fx->s->db, COPY_NEWEST, &last), 0);
	assert_int_equal(copy_check(partial, vault_next_keys(n), 200, last, &sentence), 0);
	assert_null(sentence);
	assert_int_equal(copy_check(partial, vault_next_keys(n), 201, last, &sentence), 0);
	assert_non_null(sentence);
	free(sentence);
	assert_int_equal(copy_check(partial, vault_next_keys(n), 200, last + 1, &sentence), 0);
	assert_non_null(sentence);
	copy_free(c);
	vault_next_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_backup_is_the_archive),
		RUN(a_backup_opens_as_an_archive),
		RUN(a_backup_forgets_sessions_and_runs_and_is_another_feed),
		RUN(a_backup_is_not_live),
		RUN(what_waits_in_a_backup_is_in_doubt),
		RUN(what_is_written_between_two_slices_is_in_the_copy),
		RUN(nothing_that_exists_is_replaced),
		RUN(a_copy_that_is_given_up_leaves_nothing),
		RUN(a_full_disk_ends_the_copy_alone),
		RUN(a_copy_that_is_not_right_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
