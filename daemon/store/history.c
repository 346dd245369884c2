/* store/read.h, pages of messages: around an anchor, up to a gap or across it. */
#include "store/read.h"

#include <string.h>

#include "base/err.h"
#include "store/held.h"
#include "store/read-row.h"
#include "store/row.h"

/* Paging is by (key, id): a position between rows, never a count. */
struct position {
	int64_t key, id;
};

static const struct position position_end = { INT64_MAX, INT64_MAX };

struct query {
	struct store *s;
	int64_t account;
	int64_t conv; /* 0 = all */
	struct walls walls;
	bool across;
};

struct side {
	int64_t *ids;	  /* owned, from the anchor outwards */
	size_t n;
	struct position at; /* of the outermost row, or where it started */
	bool end;	  /* nothing further out is stored */
	bool wall;	  /* a gap is what comes next */
	bool cut;	  /* the size limit ended it */
};

/* Collect up to ${want} rows from ${from} outwards, at most ${bytes} of text (but one row at least, if ${force}). */
static int collect(struct query *q, bool older, struct position from, size_t want, size_t *bytes, bool force,
		   struct side *ret)
{
	enum sql id = q->conv ? (older ? SQL_CONV_OLDER : SQL_CONV_NEWER) :
				(older ? SQL_ACCOUNT_OLDER : SQL_ACCOUNT_NEWER);
	_cleanup_(stmt_done) struct stmt st = db_use(q->s, id);
	int64_t wall = 0;
	bool walled;
	int r;

	*ret = (struct side){ .at = from };
	walled = older ? walls_below(&q->walls, from.key, &wall) : walls_above(&q->walls, from.key, &wall);
	put_i(&st, q->conv ? q->conv : q->account);
	put_i(&st, from.key);
	put_i(&st, from.id);
	put_i(&st, (int64_t)want + 1);
	while ((r = db_row(&st)) > 0) {
		int64_t key = col_i(&st, 1);
		size_t size = (size_t)col_i(&st, 2);

		if (walled && (older ? key < wall : key >= wall)) {
			ret->wall = true;
			if (!q->across)
				return 0;
			walled = older ? walls_below(&q->walls, key, &wall) : walls_above(&q->walls, key, &wall);
		}
		if (ret->n == want)
			return 0;
		ret->wall = false;
		if (size > *bytes && (ret->n || !force)) {
			ret->cut = true;
			return 0;
		}
		*bytes -= size < *bytes ? size : *bytes;
		if (ret->n % 64 == 0)
			ret->ids = xrealloc(ret->ids, ret->n + 64, sizeof(*ret->ids));
		ret->ids[ret->n++] = col_i(&st, 0);
		ret->at = (struct position){ key, col_i(&st, 0) };
	}
	if (r < 0)
		return err_trace(r);
	ret->end = true;
	ret->wall = walled;
	return 0;
}

static int find_conv(struct store *s, int64_t account, const char *jid, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_CONV_ONE);
	int r;

	put_i(&q, account);
	put_t(&q, jid);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = r > 0 ? col_i(&q, 9) : 0;
	return 0;
}

/* The anchor row ${id}, which must be in the conversation; *ret_size as SQL_MESSAGE_SIZE. */
static int find_message(struct query *q, int64_t id, struct position *ret)
{
	_cleanup_(stmt_done) struct stmt st = db_use(q->s, SQL_READ_KEY);
	int r;

	put_i(&st, q->account);
	put_i(&st, id);
	r = db_row(&st);
	if (r < 0)
		return err_trace(r);
	if (r == 0 || (q->conv && col_i(&st, 1) != q->conv))
		return READ_E_NO_MESSAGE;
	*ret = (struct position){ col_i(&st, 0), id };
	return 0;
}

/* The first row of ${st}: (id, key). 1 if there is one. */
static int first_row(struct stmt *st, struct position *ret)
{
	int r = db_row(st);

	if (r <= 0)
		return r < 0 ? err_trace(r) : 0;
	*ret = (struct position){ col_i(st, 1), col_i(st, 0) };
	return 1;
}

static int find_unread(struct query *q, struct position *ret)
{
	_cleanup_(stmt_done) struct stmt st = db_use(q->s, q->conv ? SQL_CONV_UNREAD : SQL_ACCOUNT_UNREAD);

	put_i(&st, q->conv ? q->conv : q->account);
	return first_row(&st, ret);
}

static int find_time(struct query *q, int64_t us, struct position *ret)
{
	_cleanup_(stmt_done) struct stmt st = db_use(q->s, q->conv ? SQL_CONV_NEWER : SQL_ACCOUNT_NEWER);

	put_i(&st, q->conv ? q->conv : q->account);
	put_i(&st, us);
	put_i(&st, INT64_MIN);
	put_i(&st, 1);
	return first_row(&st, ret);
}

/*
 * Just outside of the newest (or oldest) row: so the first page always has something to show, and a gap between it
 * and the present is an edge of it.
 */
static int find_end(struct query *q, bool newest, struct position *ret)
{
	enum sql id = q->conv ? (newest ? SQL_CONV_OLDER : SQL_CONV_NEWER) :
				(newest ? SQL_ACCOUNT_OLDER : SQL_ACCOUNT_NEWER);
	_cleanup_(stmt_done) struct stmt st = db_use(q->s, id);
	int r;

	put_i(&st, q->conv ? q->conv : q->account);
	put_i(&st, newest ? INT64_MAX : INT64_MIN);
	put_i(&st, newest ? INT64_MAX : INT64_MIN);
	put_i(&st, 1);
	*ret = position_end;
	r = first_row(&st, ret);
	if (r > 0)
		ret->id += newest ? 1 : -1;
	return r < 0 ? err_trace(r) : 0;
}

/* Where the page is: *ret, and whether a message stands there. */
static int find_anchor(struct query *q, const struct history_query *hq, struct position *ret, bool *ret_row)
{
	int r = 0;

	*ret_row = false;
	switch (hq->anchor) {
	case ANCHOR_NEWEST:
		break;
	case ANCHOR_OLDEST:
		return find_end(q, false, ret);
	case ANCHOR_MESSAGE:
		r = find_message(q, hq->value, ret);
		*ret_row = r == 0;
		return r;
	case ANCHOR_UNREAD:
		r = find_unread(q, ret);
		break;
	case ANCHOR_TIME:
		r = find_time(q, hq->value, ret);
		break;
	}
	if (r < 0)
		return err_trace(r);
	*ret_row = r > 0;
	return *ret_row ? 0 : find_end(q, true, ret);
}

/* The most rows on each side so that all fit: the longer side gives. */
static void fit(size_t *before, size_t *after, size_t max)
{
	if (*before + *after <= max)
		return;
	if (*before < max / 2)
		*after = max - *before;
	else if (*after < max / 2)
		*before = max - *after;
	else
		*before = max - (*after = max / 2);
}

static uint32_t edges_of(const struct query *q, const struct side *older, const struct side *newer, bool cut)
{
	uint32_t edges = 0;

	if (older->end)
		edges |= EDGE_OLDEST;
	if (newer->end)
		edges |= EDGE_NEWEST;
	if (older->wall)
		edges |= EDGE_GAP_OLDER;
	if (newer->wall)
		edges |= EDGE_GAP_NEWER;
	if (older->end && !older->wall && q->walls.start)
		edges |= EDGE_START;
	if (cut || older->cut || newer->cut)
		edges |= EDGE_CUT;
	return edges;
}

static int emit_all(struct query *q, const struct side *older, int64_t anchor, const struct side *newer,
		    message_row_fn fn, void *userdata)
{
	int r = 0;

	for (size_t i = older->n; i-- > 0 && r == 0;)
		r = row_emit(q->s, q->account, older->ids[i], fn, userdata);
	if (anchor && r == 0)
		r = row_emit(q->s, q->account, anchor, fn, userdata);
	for (size_t i = 0; i < newer->n && r == 0; i++)
		r = row_emit(q->s, q->account, newer->ids[i], fn, userdata);
	return r;
}

/* Around the anchor: older rows first, with half of the bytes if both sides are wanted. */
static int read_around(struct query *q, const struct history_query *hq, struct position at, bool has_row,
		       message_row_fn fn, void *userdata, uint32_t *ret_edges)
{
	size_t before = hq->before, after = hq->after, bytes, rest;
	struct side older = { 0 }, newer = { 0 };
	bool older_cut, newer_cut;
	int r;

	/* Beyond the ends there is nothing to count. */
	if (hq->anchor == ANCHOR_OLDEST)
		before = 0;
	fit(&before, &after, READ_ROWS_MAX - has_row);
	older_cut = before < hq->before && hq->anchor != ANCHOR_OLDEST;
	newer_cut = after < hq->after;
	bytes = after ? READ_BYTES_MAX / 2 : READ_BYTES_MAX;
	rest = READ_BYTES_MAX - bytes;
	r = collect(q, true, at, before, &bytes, !has_row, &older);
	rest += bytes;
	if (r == 0)
		r = collect(q, false, at, after, &rest, !has_row && !older.n, &newer);
	if (r == 0) {
		/* A limit cut only where there was more to give. */
		older_cut = older_cut && !older.end && !older.wall;
		newer_cut = newer_cut && !newer.end && !newer.wall;
		*ret_edges = edges_of(q, &older, &newer, older_cut || newer_cut);
		r = emit_all(q, &older, has_row ? at.id : 0, &newer, fn, userdata);
	}
	free(older.ids);
	free(newer.ids);
	return r;
}

int read_history(struct store *s, const struct history_query *hq, message_row_fn fn, void *userdata,
		 uint32_t *ret_edges, uint64_t *ret_seq)
{
	_cleanup_(stmt_done) _unused_ struct stmt held = db_hold(s);
	struct query q = { .s = s, .account = hq->account, .across = hq->across_gaps };
	struct position at;
	bool has_row;
	int r;

	if (*hq->conversation) {
		r = find_conv(s, hq->account, hq->conversation, &q.conv);
		if (r < 0)
			return err_trace(r);
		if (q.conv == 0)
			return READ_E_NO_CONVERSATION;
	}
	r = read_seq(s, hq->account, ret_seq, NULL);
	if (r == 0)
		r = find_anchor(&q, hq, &at, &has_row);
	if (r == 0)
		r = held_walls(s, hq->account, q.conv, &q.walls);
	if (r == 0)
		r = read_around(&q, hq, at, has_row, fn, userdata, ret_edges);
	walls_deinit(&q.walls);
	return r;
}

int read_reach(struct store *s, int64_t account, const char *conversation, int64_t from, int64_t *ret_id, bool *ret_gap)
{
	struct query q = { .s = s, .account = account };
	struct position at = position_end;
	int64_t wall = INT64_MIN;
	int r;

	r = find_conv(s, account, conversation, &q.conv);
	if (r == 0 && q.conv == 0)
		return READ_E_NO_CONVERSATION;
	if (r == 0)
		r = from ? find_message(&q, from, &at) : find_end(&q, true, &at);
	if (r == 0)
		r = held_walls(s, account, q.conv, &q.walls);
	if (r != 0) {
		walls_deinit(&q.walls);
		return r;
	}
	*ret_gap = walls_below(&q.walls, at.key, &wall) || !q.walls.start;
	walls_deinit(&q.walls);
	{
		_cleanup_(stmt_done) struct stmt st = db_use(s, SQL_CONV_NEWER);

		put_i(&st, q.conv);
		put_i(&st, wall);
		put_i(&st, INT64_MIN);
		put_i(&st, 1);
		at = (struct position){ 0 };
		r = first_row(&st, &at);
	}
	*ret_id = at.id;
	return r < 0 ? err_trace(r) : 0;
}

int read_messages(struct store *s, int64_t account, const int64_t *ids, size_t n, message_row_fn fn, void *userdata)
{
	_cleanup_(stmt_done) _unused_ struct stmt held = db_hold(s);
	int r;

	for (size_t i = 0; i < n; i++) {
		r = row_emit(s, account, ids[i], fn, userdata);
		if (r < 0)
			return r;
	}
	return 0;
}

struct named {
	const char *kind, *value;
	int64_t id, key;
};

/* The newest row whose id of that kind it is. */
static int find_named(struct store *s, enum sql id, int64_t conv, struct named *named)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, id);
	int column = strcmp(named->kind, "origin-id") == 0 ? 10 : 9;
	int r;

	put_i(&q, conv);
	put_t(&q, named->value);
	put_i(&q, READ_ROWS_MAX);
	put_i(&q, ROW_BOTH);
	while ((r = db_row(&q)) > 0) {
		if (strcmp(col_t(&q, column), named->value) != 0 || (named->id && col_i(&q, 1) <= named->key))
			continue;
		named->id = col_i(&q, 0);
		named->key = col_i(&q, 1);
	}
	return r < 0 ? err_trace(r) : 0;
}

static int find_stanza(struct store *s, int64_t account, int64_t conv, const char *value, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_FIND_STANZA);

	put_i(&q, account);
	put_t(&q, value);
	put_i(&q, conv);
	return db_int(&q, 0, ret);
}

int read_find(struct store *s, int64_t account, const char *conversation, const char *kind, const char *value,
	      int64_t *ret_id)
{
	struct named named = { .kind = kind, .value = value };
	int64_t conv;
	int r;

	r = find_conv(s, account, conversation, &conv);
	if (r < 0)
		return err_trace(r);
	if (conv == 0 || !*value)
		return READ_E_NO_MESSAGE;
	if (strcmp(kind, "stanza-id") == 0) {
		r = find_stanza(s, account, conv, value, &named.id);
	} else {
		r = find_named(s, SQL_MSG_BY_ID, conv, &named);
		if (r == 0)
			r = find_named(s, SQL_MSG_BY_ORIGIN, conv, &named);
	}
	if (r < 0)
		return err_trace(r);
	if (!named.id)
		return READ_E_NO_MESSAGE;
	*ret_id = named.id;
	return 0;
}

int read_aid_time(struct store *s, int64_t archive, const char *aid, int64_t *ret_us, int64_t *ret_msg)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_AID_TIME);
	int r;

	put_i(&q, archive);
	put_t(&q, aid);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret_us = r > 0 ? col_i(&q, 0) : 0;
	*ret_msg = r > 0 ? col_i(&q, 1) : 0;
	return 0;
}
