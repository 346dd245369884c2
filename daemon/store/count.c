#include "store/count.h"

#include "base/err.h"

struct counted {
	int64_t upto, n;
};

static int read_counted(struct store *s, int64_t account, struct counted *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_COUNT_GET);
	int r;

	put_i(&q, account);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = (struct counted){ .upto = col_i(&q, 0), .n = col_i(&q, 1) };
	return 0;
}

/* Messages with ids after ${from} up to ${to}. */
static int count_rows(struct store *s, int64_t account, int64_t from, int64_t to, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, from ? SQL_COUNT_ROWS : SQL_COUNT_ALL);

	put_i(&q, account);
	put_i(&q, from);
	put_i(&q, to);
	return db_int(&q, 0, ret);
}

int archive_count(struct store *s, int64_t account, uint64_t *ret)
{
	struct counted c = { 0 };
	int64_t more = 0;
	int r = read_counted(s, account, &c);

	if (r == 0)
		r = count_rows(s, account, c.upto, INT64_MAX, &more);
	if (r < 0)
		return err_trace(r);
	*ret = (uint64_t)(c.n + more);
	return 0;
}

int count_removed(struct put *p, int64_t msg)
{
	_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_COUNT_LESS);

	put_i(&q, p->account);
	put_i(&q, msg);
	return db_run(&q);
}

/* An account of which more than limits.count_rows ids are not counted: 0 if there is none. */
static int find_behind(struct store *s, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_COUNT_BEHIND);

	put_i(&q, s->limits.count_rows);
	return db_int(&q, 0, ret);
}

static int write_counted(struct store *s, int64_t account, const struct counted *c)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_COUNT_PUT);

	put_i(&q, account);
	put_i(&q, c->upto);
	put_i(&q, c->n);
	return db_run(&q);
}

static int step_in_tx(struct store *s, int64_t account)
{
	struct counted c = { 0 };
	int64_t more = 0;
	int r = read_counted(s, account, &c);

	/* SQL_COUNT_ALL, for 0, counts by another index and all at once. */
	if (r == 0)
		r = count_rows(s, account, c.upto ? c.upto : -1, c.upto + s->limits.count_rows, &more);
	c.upto += s->limits.count_rows;
	c.n += more;
	if (r == 0)
		r = write_counted(s, account, &c);
	return r < 0 ? err_trace(r) : 0;
}

int count_step(struct store *s)
{
	int64_t account = 0;
	int r = find_behind(s, &account);

	if (r < 0 || account == 0)
		return r < 0 ? err_trace(r) : 0;
	r = store_begin(s);
	if (r < 0)
		return err_trace(r);
	r = step_in_tx(s, account);
	if (r < 0) {
		store_rollback(s);
		return err_trace(r);
	}
	r = store_commit(s);
	return r < 0 ? err_trace(r) : 1;
}

bool count_due(struct store *s)
{
	int64_t account = 0;

	return find_behind(s, &account) == 0 && account != 0;
}
