#include "store/search-priv.h"

#include <errno.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/jid.h"
#include "store/row.h"

enum {
	GUARD_OPS = 250, /* of SQLite's machine between two looks at the clock */
	GUARD_US = 3000, /* beyond the budget: what is ended then is lost, and begins anew in a smaller window */
};

static int find_conv(struct search *x, const char *jid)
{
	_cleanup_(stmt_done) struct stmt q = db_use(x->s, SQL_CONV_FIND);
	int r;

	put_i(&q, x->account);
	put_t(&q, jid);
	r = db_int(&q, 0, &x->conv);
	if (r < 0)
		return err_trace(r);
	return x->conv ? 0 : SEARCH_E_NO_CONVERSATION;
}

/*
 * Where the page begins. Keys of many rows may have moved up since the cursor was given (core/order.h), the cursor's
 * row with them; a single row may have moved to its place. The upper of both loses nothing.
 */
static int begin(struct search *x)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	int64_t key;
	int r;

	x->phase = PHASE_WALK;
	x->below = x->cursor.id ? x->cursor : (struct position){ INT64_MAX, INT64_MAX };
	x->walked = 0;
	x->n_found = 0;
	pace_init(&x->pace);
	x->bare = false;
	x->shifts = x->s->key_shifts;
	if (x->cursor.id) {
		q = db_use(x->s, SQL_SEARCH_KEY);
		put_i(&q, x->account);
		put_i(&q, x->cursor.id);
		r = db_int(&q, x->cursor.key, &key);
		if (r < 0)
			return err_trace(r);
		if (key > x->below.key)
			x->below.key = key;
	}
	x->at = x->below;
	return 0;
}

int search_new(struct store *s, const struct search_query *q, struct search **ret)
{
	_cleanup_(search_freep) struct search *x = xnew(struct search);
	int r;

	x->s = s;
	x->account = q->account;
	x->since_us = q->since_us;
	x->until_us = q->until_us;
	x->limit = q->limit && q->limit < SEARCH_HITS_MAX ? q->limit : SEARCH_HITS_MAX;
	if (*str_or_empty(q->sender))
		x->sender = jid_bare(q->sender);
	r = query_parse(s->tokenizer, str_or_empty(q->text), &x->terms);
	if (r == 0 && *str_or_empty(q->cursor))
		r = hits_parse_cursor(q->cursor, &x->cursor);
	if (r == 0 && *str_or_empty(q->conversation))
		r = find_conv(x, q->conversation);
	if (r == 0)
		r = begin(x);
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	search_plan_init(&x->plan, &x->terms);
	*ret = TAKE_PTR(x);
	return 0;
}

void search_let_go(struct store *s)
{
	struct search *x = s->searching;

	s->searching = NULL;
	if (x)
		stmt_done(&x->held);
}

struct search *search_free(struct search *x)
{
	if (!x)
		return NULL;
	if (x->s->searching == x)
		search_let_go(x->s);
	query_deinit(&x->terms);
	search_plan_deinit(&x->plan);
	free(x->sender);
	free(x);
	return NULL;
}

/* The cheapest question first. */
int search_consider(struct search *x, struct stmt *q)
{
	struct position p = { col_i(q, 1), col_i(q, 0) };
	int64_t time_us = col_i(q, 5);
	bool match;
	int r;

	if (!hits_may(x, p))
		return 0;
	if (col_i(q, 2) != x->account || (x->conv && col_i(q, 3) != x->conv) || col_i(q, 4) != ROW_TEXT)
		return 0;
	if (time_us < x->since_us || (x->until_us && time_us >= x->until_us))
		return 0;
	if (x->sender && !jid_bare_equal(col_t(q, 6), x->sender))
		return 0;
	r = query_match(x->s->tokenizer, &x->terms, col_t(q, 7), &match);
	if (r < 0)
		return err_trace(r);
	if (match)
		hits_keep(x, p);
	return 0;
}

/* The present key of ${p}'s row: 1, 0 the row is gone, -errno. */
static int reread(struct search *x, struct position *p)
{
	_cleanup_(stmt_done) struct stmt q = db_use(x->s, SQL_SEARCH_KEY);
	int r;

	put_i(&q, x->account);
	put_i(&q, p->id);
	r = db_row(&q);
	if (r > 0)
		p->key = col_i(&q, 0);
	return r < 0 ? err_trace(r) : r;
}

/*
 * Sort keys of many rows moved up, which keeps their order (core/order.h): so what was found is still the best and what
 * was passed stays passed, but for where they are now. 0, or 1: a row that marks a place is gone, begin anew.
 */
static int follow(struct search *x)
{
	struct position below = x->below;
	int r = 1;

	x->shifts = x->s->key_shifts;
	for (size_t i = 0; i < x->n_found && r > 0; i++)
		r = reread(x, &x->found[i]);
	if (r > 0 && x->at.id != INT64_MAX && x->at.id != below.id)
		r = reread(x, &x->at);
	if (r > 0 && x->cursor.id) {
		r = reread(x, &below);
		/* As begin(): the upper of both. */
		if (r > 0 && below.key > x->below.key)
			x->below = below;
		if (r > 0 && x->at.id == below.id)
			x->at = x->below;
	}
	return r < 0 ? err_trace(r) : r == 0;
}

bool search_over(const struct search *x)
{
	return clock_boot_us() >= x->slice_end;
}

void search_guard(struct search *x, int64_t end_us)
{
	if (x->guard_end < end_us + GUARD_US)
		x->guard_end = end_us + GUARD_US;
}

static int guard(void *userdata)
{
	const struct search *x = userdata;

	return clock_boot_us() >= x->guard_end;
}

int search_next_row(struct search *x, struct stmt *q, bool index)
{
	int code, r;

	if (q->r < 0) {
		x->s->index.damaged = x->s->index.damaged || (index && x->s->index.unread);
		return err_trace(q->r);
	}
	if (!x->bare)
		sqlite3_progress_handler(x->s->db, GUARD_OPS, guard, x);
	code = sqlite3_step(q->st);
	sqlite3_progress_handler(x->s->db, 0, NULL, NULL);
	if (code == SQLITE_ROW)
		return ROW_HERE;
	if (code == SQLITE_DONE)
		return ROW_NONE;
	if ((code & 0xff) == SQLITE_INTERRUPT)
		return ROW_TOO_LONG;
	if (code == SQLITE_CORRUPT_VTAB || (index && db_errno(code) == -EBADMSG))
		x->s->index.damaged = true;
	r = db_errno(code);
	log_debug("search: %d: %s", code, sqlite3_errmsg(x->s->db));
	return err_origin(r);
}

static int walk(struct search *x)
{
	_cleanup_(stmt_done) struct stmt q = db_use(x->s, x->conv ? SQL_SEARCH_CONV : SQL_SEARCH_ACCOUNT);
	int r;

	put_i(&q, x->conv ? x->conv : x->account);
	put_i(&q, x->at.key);
	put_i(&q, x->at.id);
	while ((r = search_next_row(x, &q, false)) == ROW_HERE) {
		x->at = (struct position){ col_i(&q, 1), col_i(&q, 0) };
		r = search_consider(x, &q);
		if (r < 0)
			return err_trace(r);
		x->bare = false;
		x->walked++;
		if (hits_full(x)) {
			x->phase = PHASE_DONE;
			return 0;
		}
		if (search_over(x) || x->walked == x->s->index.walk_rows)
			return 0;
	}
	if (r == ROW_NONE)
		x->phase = PHASE_DONE;
	else if (r == ROW_TOO_LONG)
		x->bare = true;
	return r < 0 ? err_trace(r) : 0;
}

static int end_walk(struct search *x)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	int r;

	r = search_plan_step(&x->plan, x->s, x->slice_end);
	if (r != 0)
		return r < 0 ? err_trace(r) : 0;
	if (x->plan.useless)
		return walk(x);
	q = db_use(x->s, SQL_SEARCH_TOP);
	r = db_int(&q, 0, &x->next);
	if (r < 0)
		return err_trace(r);
	x->phase = PHASE_SCAN;
	return 0;
}

int search_step(struct search *x, int64_t budget_us)
{
	int64_t now = clock_boot_us();
	int r = 0;

	if (x->phase != PHASE_DONE && x->shifts != x->s->key_shifts)
		r = follow(x);
	if (r > 0)
		r = begin(x);
	x->budget_us = budget_us;
	x->slice_end = now + budget_us;
	x->guard_end = now + budget_us + GUARD_US;
	while (r == 0 && x->phase != PHASE_DONE) {
		if (x->phase == PHASE_SCAN)
			r = window_step(x);
		else
			r = x->walked < x->s->index.walk_rows ? walk(x) : end_walk(x);
		if (search_over(x))
			break;
	}
	return r < 0 ? err_trace(r) : x->phase != PHASE_DONE;
}
