#include "store/feed.h"

#include <errno.h>

#include "base/err.h"

int feed_write(struct store *s)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };

	if (s->feed_account == 0)
		return 0;
	q = db_use(s, SQL_FEED_PUT);
	put_i(&q, s->feed_account);
	put_i(&q, s->feed_mod);
	s->feed_account = 0;
	return db_run(&q);
}

/* Where the feed of ${account} stands. */
static int load(struct store *s, int64_t account)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_FEED_GET);
	int r;

	put_i(&q, account);
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : err_origin(-ENOENT);
	s->feed_account = account;
	s->feed_mod = col_i(&q, 0);
	return 0;
}

int feed_next(struct store *s, int64_t account, int64_t *ret_mod)
{
	int r = 0;

	if (!s->in_tx)
		return err_origin(-EPERM);
	if (s->feed_account != account) {
		r = feed_write(s);
		if (r == 0)
			r = load(s, account);
	}
	if (r < 0)
		return err_trace(r);
	*ret_mod = s->last_mod = ++s->feed_mod;
	return 0;
}

static int count_tombstones(struct store *s, int64_t account, int64_t delta, int64_t *ret_n)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_TOMBSTONE_COUNT);
	int r;

	put_i(&q, account);
	put_i(&q, delta);
	r = db_int(&q, 0, ret_n);
	if (r == 0)
		r = db_run(&q);
	return r < 0 ? err_trace(r) : 0;
}

static int set_oldest(struct store *s, int64_t account, int64_t mod)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_FEED_OLDEST);

	put_i(&q, account);
	put_i(&q, mod);
	return db_run(&q);
}

static int delete_tombstone(struct store *s, int64_t account, int64_t mod)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_TOMBSTONE_DELETE);

	put_i(&q, account);
	put_i(&q, mod);
	return db_run(&q);
}

static int oldest_tombstone(struct store *s, int64_t account, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_TOMBSTONE_OLDEST);

	put_i(&q, account);
	return db_int(&q, 0, ret);
}

/* Forget the oldest tombstone: positions below it cannot be answered any more. */
static int drop_oldest(struct store *s, int64_t account, int64_t *n)
{
	int64_t mod;
	int r;

	r = oldest_tombstone(s, account, &mod);
	if (r == 0)
		r = delete_tombstone(s, account, mod);
	if (r == 0)
		r = set_oldest(s, account, mod);
	if (r == 0)
		r = count_tombstones(s, account, -1, n);
	return r < 0 ? err_trace(r) : 0;
}

int feed_removed(struct store *s, int64_t account, const char *kind, const char *key)
{
	int64_t mod, n;
	int r;

	r = feed_next(s, account, &mod);
	if (r < 0)
		return err_trace(r);
	{
		_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_TOMBSTONE_ADD);

		put_i(&q, account);
		put_i(&q, mod);
		put_t(&q, kind);
		put_t(&q, key);
		r = db_run(&q);
		if (r < 0)
			return err_trace(r);
	}
	r = count_tombstones(s, account, 1, &n);
	while (r == 0 && n > s->limits.tombstones)
		r = drop_oldest(s, account, &n);
	return r < 0 ? err_trace(r) : 0;
}

int feed_present(struct store *s, int64_t account, const char *kind, const char *key)
{
	int64_t ignored;
	int r;

	{
		_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_TOMBSTONE_DROP);

		put_i(&q, account);
		put_t(&q, kind);
		put_t(&q, key);
		r = db_run(&q);
		if (r < 0)
			return err_trace(r);
	}
	r = sqlite3_changes64(s->db) ? count_tombstones(s, account, -sqlite3_changes64(s->db), &ignored) : 0;
	return r < 0 ? err_trace(r) : 0;
}
