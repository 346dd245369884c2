#include "store/feed.h"

#include <errno.h>

#include "base/err.h"

/*
 * feed.mod is written some way ahead of what is used: a page less for almost every commit. After a kill the feed goes
 * on from there: positions need not be dense.
 */
#define FEED_AHEAD 512

/* As the file has it. */
static int read_mod(struct store *s, int64_t account, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_FEED_GET);
	int r;

	put_i(&q, account);
	r = db_row(&q);
	if (r <= 0)
		return r < 0 ? err_trace(r) : err_origin(-ENOENT);
	*ret = col_i(&q, 0);
	return 0;
}

static int write_mod(struct store *s, int64_t account, int64_t mod)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_FEED_PUT);

	s->ahead = true;
	put_i(&q, account);
	put_i(&q, mod);
	return db_run(&q);
}

bool feed_taken(const struct store *s)
{
	return s->feed_account && s->feed_mod != s->feed_end;
}

int feed_leave(struct store *s)
{
	int r = feed_taken(s) ? write_mod(s, s->feed_account, s->feed_mod) : 0;

	feed_forget(s);
	return r < 0 ? err_trace(r) : 0;
}

static int enter(struct store *s, int64_t account)
{
	int64_t mod = 0;
	int r;

	r = feed_leave(s);
	if (r == 0)
		r = read_mod(s, account, &mod);
	if (r < 0)
		return err_trace(r);
	s->feed_account = account;
	s->feed_mod = s->feed_end = mod;
	return 0;
}

int feed_next(struct store *s, int64_t account, int64_t *ret_mod)
{
	int r = 0;

	if (!s->in_tx)
		return err_origin(-EPERM);
	if (s->feed_account != account)
		r = enter(s, account);
	if (r == 0 && s->feed_mod == s->feed_end) {
		r = write_mod(s, account, s->feed_end + FEED_AHEAD);
		if (r == 0)
			s->feed_end += FEED_AHEAD;
	}
	if (r < 0)
		return err_trace(r);
	*ret_mod = s->last_mod = ++s->feed_mod;
	return 0;
}

void feed_forget(struct store *s)
{
	s->feed_account = 0;
}

int64_t feed_used(const struct store *s, int64_t account, int64_t mod)
{
	return s->feed_account == account ? s->feed_mod : mod;
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
