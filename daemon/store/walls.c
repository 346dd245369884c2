#include "store/walls.h"

#include "base/err.h"
#include "core/cover.h"
#include "store/archive.h"

static int find_own(struct store *s, int64_t account, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ARCHIVE_GET);

	put_i(&q, account);
	put_t(&q, "");
	return db_int(&q, 0, ret);
}

/*
 * The key of a span's first message. A span may begin with a place that holds no message (RSM's <first/> of results
 * without one), whose id is not stored: then its stamp, which keys look like.
 */
static int edge_key(struct store *s, int64_t archive, const struct edge *e, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_AID_GET);

	put_i(&q, archive);
	put_t(&q, e->id);
	return db_int(&q, e->us, ret);
}

static void insert_sorted(struct walls *w, int64_t key, int64_t low)
{
	size_t i = w->n++;

	for (; i > 0 && w->keys[i - 1] > key; i--) {
		w->keys[i] = w->keys[i - 1];
		w->lows[i] = w->lows[i - 1];
	}
	w->keys[i] = key;
	w->lows[i] = low;
}

/* Where the hole below span ${i} ends. */
static int low_key(struct store *s, int64_t archive, const struct cover *c, size_t i, int64_t *ret)
{
	int r = 0;

	*ret = 0;
	if (i > 0 && !(c->spans[i - 1].flags & SPAN_EMPTY))
		r = edge_key(s, archive, &c->spans[i - 1].last, ret);
	if (*ret == 0)
		*ret = INT64_MIN;
	return r < 0 ? err_trace(r) : 0;
}

static int build(struct store *s, int64_t archive, const struct cover *c, struct walls *w)
{
	struct gap gap;
	int64_t key, low;
	int r;

	w->keys = xnewn(int64_t, c->n + 1);
	w->lows = xnewn(int64_t, c->n + 1);
	w->start = c->n && c->spans[0].flags & SPAN_START;
	for (size_t i = 0; i < c->n; i++) {
		if (!cover_gap(c, i, &gap))
			continue;
		r = edge_key(s, archive, &c->spans[i].first, &key);
		if (r == 0)
			r = low_key(s, archive, c, i, &low);
		if (r < 0)
			return err_trace(r);
		if (key)
			insert_sorted(w, key, low);
	}
	return 0;
}

int walls_read(struct store *s, int64_t account, struct walls *ret)
{
	struct walls w = { 0 };
	struct cover c;
	int64_t archive;
	int r;

	r = find_own(s, account, &archive);
	if (r < 0)
		return err_trace(r);
	r = cover_read(s, archive, &c);
	if (r < 0)
		return err_trace(r);
	r = build(s, archive, &c, &w);
	cover_deinit(&c);
	if (r < 0) {
		walls_deinit(&w);
		return err_trace(r);
	}
	*ret = w;
	return 0;
}

void walls_deinit(struct walls *w)
{
	free(w->keys);
	free(w->lows);
	*w = (struct walls){ 0 };
}

bool walls_below(const struct walls *w, int64_t key, int64_t *ret)
{
	for (size_t i = w->n; i-- > 0;) {
		if (w->keys[i] <= key) {
			*ret = w->keys[i];
			return true;
		}
	}
	return false;
}

bool walls_above(const struct walls *w, int64_t key, int64_t *ret)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->keys[i] > key) {
			*ret = w->keys[i];
			return true;
		}
	}
	return false;
}
