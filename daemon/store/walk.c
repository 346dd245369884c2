#include "store/walk.h"

#include <errno.h>

#include "base/err.h"
#include "store/db.h"
#include "store/read-row.h"

#define CHANGED_MAX 1000 /* changes looked at in a step: index entries, a third of a millisecond */

struct walk {
	int64_t account;
	char *conversation;
	int64_t last_id; /* the highest when it began: what is above is new */
	uint8_t *seen;	 /* a bit an id, from 0 to last_id */
	int64_t key, id; /* behind this place is what comes next. Keys only ever move up all together, so it is never too high */
	uint64_t looked; /* changes up to this position of the feed were looked at */
};

static bool is_seen(const struct walk *w, int64_t id)
{
	return w->seen[id / 8] & 1u << id % 8;
}

/* It is of the walk, and did not come yet. */
static bool is_due(const struct walk *w, int64_t id)
{
	return id <= w->last_id && !is_seen(w, id);
}

static int hand_out(struct walk *w, struct store *s, int64_t id, message_row_fn fn, void *userdata)
{
	int r;

	w->seen[id / 8] |= (uint8_t)(1u << id % 8);
	r = row_emit(s, w->account, id, fn, userdata);
	return r < 0 ? r : 0;
}

/* 0: it has gone. */
static int find_conversation(struct store *s, const struct walk *w, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_CONV_FIND);

	put_i(&q, w->account);
	put_t(&q, w->conversation);
	return db_int(&q, 0, ret);
}

int walk_new(struct store *s, int64_t account, const char *conversation, int64_t since_us, struct walk **ret)
{
	_cleanup_(walk_freep) struct walk *w = xnew(struct walk);
	int r;

	w->account = account;
	w->conversation = xstrdup(conversation);
	w->key = since_us ? since_us : INT64_MIN;
	w->id = INT64_MIN;
	r = read_last_id(s, &w->last_id);
	if (r == 0)
		r = read_seq(s, account, &w->looked, NULL);
	if (r < 0)
		return err_trace(r);
	w->seen = xnewn(uint8_t, (size_t)w->last_id / 8 + 1);
	*ret = TAKE_PTR(w);
	return 0;
}

struct walk *walk_free(struct walk *w)
{
	if (!w)
		return NULL;
	free(w->conversation);
	free(w->seen);
	free(w);
	return NULL;
}

/* ---- what moved ---- */

/* Is the message behind the walk, so that it would not be met any more? */
static int is_behind(const struct walk *w, struct store *s, int64_t conv, int64_t id, bool *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_READ_KEY);
	int64_t key;
	int r;

	put_i(&q, w->account);
	put_i(&q, id);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	key = r > 0 ? col_i(&q, 0) : 0;
	*ret = r > 0 && (!conv || col_i(&q, 1) == conv) && (key < w->key || (key == w->key && id <= w->id));
	return 0;
}

/* The ids of what changed since the last look and is due; *ret_all: there is no further change. */
static int changed(struct walk *w, struct store *s, int64_t *ids, size_t *ret_n, bool *ret_all)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_READ_CHANGED_IDS);
	size_t n = 0;
	int r;

	put_i(&q, w->account);
	put_i(&q, (int64_t)w->looked);
	put_i(&q, CHANGED_MAX);
	*ret_n = 0;
	while ((r = db_row(&q)) > 0) {
		n++;
		w->looked = (uint64_t)col_i(&q, 1);
		if (is_due(w, col_i(&q, 0)))
			ids[(*ret_n)++] = col_i(&q, 0);
	}
	*ret_all = n < CHANGED_MAX;
	return r < 0 ? err_trace(r) : 0;
}

/* Whoever moves changes (row_rekey()): what was ahead and is behind now comes here. */
static int step_changed(struct walk *w, struct store *s, int64_t conv, message_row_fn fn, void *userdata, bool *ret_all)
{
	int64_t ids[CHANGED_MAX];
	size_t n;
	bool behind = false;
	int r = changed(w, s, ids, &n, ret_all);

	for (size_t i = 0; i < n && r == 0; i++) {
		r = is_behind(w, s, conv, ids[i], &behind);
		if (r == 0 && behind)
			r = hand_out(w, s, ids[i], fn, userdata);
	}
	return r;
}

/* ---- the way ---- */

struct found {
	int64_t *ids; /* owned */
	size_t n;
	bool end;
};

/* The next rows behind the place where the walk is, which moves on. */
static int next_rows(struct walk *w, struct store *s, int64_t conv, size_t max, struct found *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, conv ? SQL_CONV_NEWER : SQL_ACCOUNT_NEWER);
	size_t bytes = 0, n = 0;
	int r = 1;

	put_i(&q, conv ? conv : w->account);
	put_i(&q, w->key);
	put_i(&q, w->id);
	put_i(&q, (int64_t)max);
	while (bytes < READ_BYTES_MAX && (r = db_row(&q)) > 0) {
		n++;
		w->id = col_i(&q, 0);
		w->key = col_i(&q, 1);
		if (!is_due(w, w->id))
			continue;
		bytes += (size_t)col_i(&q, 2);
		ret->ids[ret->n++] = w->id;
	}
	ret->end = r == 0 && n < max;
	return r < 0 ? err_trace(r) : 0;
}

int walk_step(struct walk *w, struct store *s, size_t rows, message_row_fn fn, void *userdata)
{
	_cleanup_(stmt_done) _unused_ struct stmt held = db_hold(s);
	_cleanup_(freep) int64_t *ids = xnewn(int64_t, rows + 1);
	struct found found = { .ids = ids };
	int64_t conv = 0;
	bool all = true;
	int r = 0;

	if (*w->conversation) {
		r = find_conversation(s, w, &conv);
		if (r < 0)
			return err_trace(r);
		/* It went away as a whole. */
		if (conv == 0)
			return 0;
	}
	r = step_changed(w, s, conv, fn, userdata, &all);
	if (r == 0)
		r = next_rows(w, s, conv, rows, &found);
	for (size_t i = 0; i < found.n && r == 0; i++)
		r = hand_out(w, s, found.ids[i], fn, userdata);
	if (r < 0)
		return r;
	return !found.end || !all;
}
