#include "copy-fixture.h"

#include <stdio.h>

#include "base/buf.h"

#define SLICE_US 200

void fill(struct fx *fx, int from, int n, size_t len)
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

char *digest(sqlite3 *db)
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

char *digest_of(const char *path, const struct page_keys *keys)
{
	struct store s = { .path = (char *)(uintptr_t)path, .keys = keys };
	const char *what = "";
	char *text;

	assert_int_equal(db_open(&s, false, &what), 0);
	text = digest(s.db);
	db_close(&s, false);
	return text;
}

int64_t number_of(const char *path, const struct page_keys *keys, const char *sql)
{
	struct store s = { .path = (char *)(uintptr_t)path, .keys = keys };
	const char *what = "";
	int64_t n;

	assert_int_equal(db_open(&s, false, &what), 0);
	assert_int_equal(db_number(s.db, sql, &n), 0);
	db_close(&s, false);
	return n;
}

void finish(struct copy *c)
{
	int r;

	while ((r = copy_step(c, SLICE_US)) > 0)
		;
	assert_int_equal(r, 0);
	assert_int_equal(copy_percent(c), 100);
}

void verify(struct copy *c, char bad[CHILD_ANSWER_MAX])
{
	struct child *child;
	size_t len = 0;

	assert_int_equal(copy_verify_start(c, &child), 0);
	assert_int_equal(child_finish(child, bad, CHILD_ANSWER_MAX - 1, &len), 0);
	bad[len] = '\0';
	child_free(child);
}

void assert_sound(struct copy *c)
{
	char bad[CHILD_ANSWER_MAX];

	verify(c, bad);
	assert_string_equal(bad, "");
}

void put_session(struct fx *fx)
{
	struct session a;

	session_init(&a);
	str_set(&a.sm_id, "sm-1");
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(session_save(fx->s, fx->account, &a), 0);
	assert_int_equal(store_commit(fx->s), 0);
	session_deinit(&a);
}

char *back_up(struct fx *fx, struct vault_next **ret)
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
	if (ret)
		*ret = n;
	else
		vault_next_free(n);
	return path;
}
