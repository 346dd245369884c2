#include "store/walls.h"

#include "base/err.h"
#include "core/cover.h"

static int find_own(struct store *s, int64_t account, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_ARCHIVE_GET);

	put_i(&q, account);
	put_t(&q, "");
	return db_int(&q, 0, ret);
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

/*
 * The key of an end of a span. A span may begin with a place that holds no message (RSM's <first/> of results without one),
 * whose id is not stored: then its stamp, which keys look like.
 */
static int64_t edge_key(struct stmt *q, int key, int stamp)
{
	return sqlite3_column_type(q->st, key) == SQLITE_NULL ? col_i(q, stamp) : col_i(q, key);
}

static void grow(struct walls *w, size_t *cap)
{
	if (w->n < *cap)
		return;
	*cap = *cap ? *cap * 2 : 8;
	w->keys = xrealloc(w->keys, *cap, sizeof(*w->keys));
	w->lows = xrealloc(w->lows, *cap, sizeof(*w->lows));
}

static int build(struct store *s, int64_t archive, bool lows, struct walls *w)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_SPAN_WALLS);
	struct span two[2] = { 0 }; /* the span below, and this one */
	const struct cover c = { .spans = two };
	size_t seen = 0, cap = 0;
	int64_t low = 0;
	struct gap gap;
	int r;

	put_i(&q, archive);
	put_i(&q, lows);
	while ((r = db_row(&q)) > 0) {
		int64_t key = edge_key(&q, 3, 1);
		size_t i = seen++ > 0;

		two[0] = two[1];
		two[i].flags = (uint32_t)col_i(&q, 0);
		if (i == 0)
			w->start = two[0].flags & SPAN_START;
		if (cover_gap(&c, i, &gap) && key) {
			grow(w, &cap);
			insert_sorted(w, key, low ? low : INT64_MIN);
		}
		two[1] = two[i];
		low = !lows || two[1].flags & SPAN_EMPTY ? 0 : edge_key(&q, 4, 2);
	}
	return r < 0 ? err_trace(r) : 0;
}

int walls_read(struct store *s, int64_t account, bool lows, struct walls *ret)
{
	struct walls w = { 0 };
	int64_t archive;
	int r;

	r = find_own(s, account, &archive);
	if (r == 0)
		r = build(s, archive, lows, &w);
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

/* How many walls stand at or below ${key}. */
static size_t count_below(const struct walls *w, int64_t key)
{
	size_t lo = 0, hi = w->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->keys[mid] <= key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool walls_below(const struct walls *w, int64_t key, int64_t *ret)
{
	size_t n = count_below(w, key);

	if (n > 0)
		*ret = w->keys[n - 1];
	return n > 0;
}

bool walls_above(const struct walls *w, int64_t key, int64_t *ret)
{
	size_t n = count_below(w, key);

	if (n < w->n)
		*ret = w->keys[n];
	return n < w->n;
}
