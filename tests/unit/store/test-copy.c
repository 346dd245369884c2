/* A copy of the archive while it is written to: backup, rotation, scan. */
#define _GNU_SOURCE /* rand_r */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "store/copy-priv.h"
#include "store/copy.h"
#include "store/push.h"
#include "store/leftover.h"
#include "store/outbox.h"

#define SLICE_US 200

static char *path_of(const struct fx *fx, const char *name)
{
	return xasprintf("%s/%s", fx->dir, name);
}

static void fill(struct fx *fx, int from, int n, size_t len)
{
	_cleanup_(freep) char *body = xcalloc(1, len + 32);

	assert_int_equal(store_begin(fx->s), 0);
	for (int i = from; i < from + n; i++) {
		char id[16], aid[16];
		struct put_outcome out;
		struct message m;

		memset(body, 'a' + i % 26, len);
		snprintf(id, sizeof(id), "m%d", i);
		snprintf(aid, sizeof(aid), "a%d", i);
		snprintf(body + len, 32, "-%d", i);
		m = with_aid(text_in(id, body), aid);
		assert_int_equal(archive_put_live(fx->s, fx->account, fx->archive, OWN, &m, fx->now + i, false, &out), 0);
	}
	assert_int_equal(store_commit(fx->s), 0);
}

/* Everything that a copy must have, as one string; ${db} any connection. */
static char *digest(sqlite3 *db)
{
	static const char *const tables[] = { "account", "feed", "tombstone", "roster", "archive", "conv", "msg", "aid",
					      "msg_ref", "pending_ref", "sqlite_sequence" };
	struct buf b = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		_cleanup_(freep) char *sql = xasprintf("SELECT * FROM %s ORDER BY 1, 2", tables[i]);
		sqlite3_stmt *st;

		assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
		buf_addf(&b, "\n%s:", tables[i]);
		while (sqlite3_step(st) == SQLITE_ROW) {
			for (int k = 0; k < sqlite3_column_count(st); k++)
				buf_addf(&b, "|%s", str_or_empty((const char *)sqlite3_column_text(st, k)));
			buf_adds(&b, "\n");
		}
		assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	}
	return buf_steal(&b);
}

static char *digest_of(const char *path, const struct page_keys *keys)
{
	struct store s = { .path = (char *)(uintptr_t)path, .keys = keys };
	const char *what = "";
	char *text;

	assert_int_equal(db_open(&s, false, &what), 0);
	text = digest(s.db);
	db_close(&s, false);
	return text;
}

static int64_t number_of(const char *path, const struct page_keys *keys, const char *sql)
{
	struct store s = { .path = (char *)(uintptr_t)path, .keys = keys };
	const char *what = "";
	int64_t n;

	assert_int_equal(db_open(&s, false, &what), 0);
	assert_int_equal(db_number(s.db, sql, &n), 0);
	db_close(&s, false);
	return n;
}

static void finish(struct copy *c)
{
	int r;

	while ((r = copy_step(c, SLICE_US)) > 0)
		;
	assert_int_equal(r, 0);
	assert_int_equal(copy_percent(c), 100);
}

static void verify(struct copy *c, char bad[CHILD_ANSWER_MAX])
{
	struct child *child;
	size_t len = 0;

	assert_int_equal(copy_verify_start(c, &child), 0);
	assert_int_equal(child_finish(child, bad, CHILD_ANSWER_MAX - 1, &len), 0);
	bad[len] = '\0';
	child_free(child);
}

static void assert_sound(struct copy *c)
{
	char bad[CHILD_ANSWER_MAX];

	verify(c, bad);
	assert_string_equal(bad, "");
}

static void put_session(struct fx *fx)
{
	struct session a;

	session_init(&a);
	str_set(&a.sm_id, "sm-1");
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(session_save(fx->s, fx->account, &a), 0);
	assert_int_equal(store_commit(fx->s), 0);
	session_deinit(&a);
}

/* The whole way of a backup; returns its path. */
static char *back_up(struct fx *fx, struct vault_next **ret)
{
	char *path = path_of(fx, "backup.varve");
	struct vault_next *n;
	struct copy *c;

	assert_int_equal(vault_next_at(fx->v, path, &n), 0);
	assert_int_equal(copy_new(fx->s, COPY_BACKUP, path, vault_next_keys(n), &c), 0);
	finish(c);
	assert_sound(c);
	assert_int_equal(vault_next_write(n), 0);
	assert_int_equal(copy_keep(c), 0);
	copy_free(c);
	*ret = n;
	return path;
}

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
		assert_int_equal(outbox_numbered(fx->s, fx->account, 1, 7, "b"), 1);
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

static void spoil(const char *path, long page)
{
	long at = (page - 1) * 4096 + 77;
	FILE *f = fopen(path, "r+");
	int c;

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	c = fgetc(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	assert_int_equal(fputc(c ^ 1, f), c ^ 1);
	assert_int_equal(fclose(f), 0);
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

/* ---- killed at every step: run_self() ---- */

static int run_backup(struct fx *fx)
{
	struct vault_next *n;

	free(back_up(fx, &n));
	vault_next_free(n);
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

TEST(a_scan_names_the_pages_that_are_bad)
{
	struct fx *fx = *state;
	uint32_t pages[SCAN_PAGES_MAX], total;
	struct scan *x;

	fill(fx, 0, 300, 500);
	assert_int_equal(store_checkpoint(fx->s), 0);
	for (int round = 0; round < 2; round++) {
		int r;

		assert_int_equal(scan_new(fx->s, &x), 0);
		while ((r = scan_step(x, 100)) > 0)
			put_live(fx, text_in("w", "written meanwhile"), false);
		assert_int_equal(r, 0);
		assert_int_equal(scan_bad(x, pages, &total), round == 0 ? 0 : 2);
		assert_in_range(total, 40, 400);
		if (round == 1) {
			assert_int_equal(pages[0], 57);
			assert_int_equal(pages[1], 73);
		}
		scan_free(x);
		if (round == 0) {
			fx_close(fx);
			{
				_cleanup_(freep) char *db = path_of(fx, "archive.db");

				spoil(db, 57);
				spoil(db, 73);
			}
			fx_reopen(fx);
		}
	}
}

int main(int argc, char **argv)
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
		RUN(a_rotation_goes_on_in_the_new_file),
		RUN(a_successor_that_is_given_up_thaws_the_archive),
		RUN(a_backup_that_is_killed_is_none),
		RUN(a_rotation_that_is_killed_is_done_or_undone),
		RUN(only_what_was_noted_is_removed),
		RUN(a_scan_names_the_pages_that_are_bad),
	};

	if (argc == 3)
		return run_command(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
