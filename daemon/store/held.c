#include "store/held.h"

#include "base/err.h"

struct held {
	bool known, to_start;
	int64_t from, to;	  /* rows */
	int64_t from_key, to_key;
};

static int key_of(struct store *s, int64_t msg, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_HELD_KEY);

	put_i(&q, msg);
	return db_int(&q, INT64_MIN, ret);
}

static int held_get(struct store *s, int64_t conv, struct held *ret)
{
	int r;

	*ret = (struct held){ 0 };
	{
		_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_HELD_GET);

		put_i(&q, conv);
		r = db_row(&q);
		if (r <= 0)
			return r < 0 ? err_trace(r) : 0;
		ret->from = col_i(&q, 0);
		ret->to = col_i(&q, 1);
	}
	ret->to_start = ret->from == HELD_TO_START;
	ret->from_key = INT64_MIN;
	r = key_of(s, ret->to, &ret->to_key);
	if (r == 0 && !ret->to_start)
		r = key_of(s, ret->from, &ret->from_key);
	if (r < 0)
		return err_trace(r);
	ret->known = ret->to_key != INT64_MIN && (ret->to_start || ret->from_key != INT64_MIN);
	return 0;
}

int held_note(struct put *p, int64_t conv, int64_t from_msg, int64_t to_msg)
{
	struct held old;
	int64_t to_key;
	int r;

	r = held_get(p->s, conv, &old);
	if (r == 0)
		r = key_of(p->s, to_msg, &to_key);
	if (r < 0)
		return err_trace(r);
	/* Asked for from inside of what was known: it reaches further down now. */
	if (old.known && to_key <= old.to_key && to_key >= old.from_key)
		to_msg = old.to;
	{
		_cleanup_(stmt_done) struct stmt q = db_use(p->s, SQL_HELD_SET);

		put_i(&q, from_msg);
		put_i(&q, to_msg);
		put_i(&q, conv);
		r = db_run(&q);
	}
	return r < 0 ? err_trace(r) : 0;
}

/* Does the row have its final place? One that a part of the archive brought stands where its stamp says. */
static int is_placed(struct store *s, int64_t msg, bool *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_AID_ROW_KEY);
	int64_t key;
	int r;

	put_i(&q, msg);
	r = db_int(&q, INT64_MIN, &key);
	*ret = key != INT64_MIN;
	return r < 0 ? err_trace(r) : 0;
}

/*
 * The walls in ${h} go. A hole that one of them is the upper end of may go on below what is held: then its wall stands
 * there now, below the oldest row that is held.
 */
static void lift(struct walls *w, const struct held *h, bool placed)
{
	bool goes_on = false;
	size_t n = 0;

	/* A wall stands directly below its key. */
	for (size_t i = 0; i < w->n; i++) {
		if (w->keys[i] > h->from_key && w->keys[i] <= h->to_key) {
			if (!h->to_start && !goes_on && (!placed || w->lows[i] < h->from_key)) {
				goes_on = true;
				w->keys[n] = h->from_key;
				w->lows[n++] = w->lows[i];
			}
			continue;
		}
		w->keys[n] = w->keys[i];
		w->lows[n++] = w->lows[i];
	}
	w->n = n;
	w->start = w->start || h->to_start;
}

int held_walls(struct store *s, int64_t account, int64_t conv, struct walls *ret)
{
	struct held h = { 0 };
	bool placed = false;
	int r;

	r = conv ? held_get(s, conv, &h) : 0;
	if (r == 0 && h.known && !h.to_start)
		r = is_placed(s, h.from, &placed);
	if (r == 0)
		r = walls_read(s, account, h.known, ret);
	if (r < 0)
		return err_trace(r);
	if (h.known)
		lift(ret, &h, placed);
	return 0;
}
