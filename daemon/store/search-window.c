/*
 * The scan of a search: all ids, newest first, in windows. Up to the watermark the index proposes rows, above it each row is
 * read. A window is as large as one slice can read.
 */
#include "store/search-priv.h"

#include "base/clock.h"
#include "base/err.h"
#include "store/index.h"

enum {
	TAIL_IDS = 1024, /* ids of the tail in one statement */
};

/* A statement of its own, so that it is known whether the index or the message could not be read. */
static int consider_id(struct search *x, int64_t id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(x->s, SQL_SEARCH_ROW);
	int r;

	put_i(&q, id);
	r = db_row(&q);
	if (r > 0)
		r = search_consider(x, &q);
	return r < 0 ? err_trace(r) : 0;
}

/* Read the rows that ${q} proposes, down to id ${last}. ${index}: by their ids, out of the index. */
static int window_rows(struct search *x, struct stmt *q, int64_t last, bool index)
{
	int r;

	while ((r = search_next_row(x, q, index)) == ROW_HERE) {
		int64_t id = col_i(q, 0);

		r = index ? consider_id(x, id) : search_consider(x, q);
		if (r < 0)
			return err_trace(r);
		x->next = id - 1;
		x->bare = false;
		if (search_over(x))
			return ROW_HERE;
	}
	if (r == ROW_NONE) {
		x->next = last - 1;
		x->bare = false;
	}
	return r < 0 ? err_trace(r) : r;
}

static int window_tail(struct search *x, int64_t upto)
{
	_cleanup_(stmt_done) struct stmt q = db_use(x->s, SQL_SEARCH_TAIL);
	int64_t last = x->next - TAIL_IDS > upto ? x->next - TAIL_IDS + 1 : upto + 1;
	int r;

	put_i(&q, last);
	put_i(&q, x->next);
	r = window_rows(x, &q, last, false);
	if (r == ROW_TOO_LONG)
		x->bare = true;
	return r < 0 ? err_trace(r) : 0;
}

/* Messages of a window that changed since they were indexed. */
static int window_dirty(struct search *x, int64_t last)
{
	_cleanup_(stmt_done) struct stmt q = db_use(x->s, SQL_SEARCH_DIRTY);
	int r;

	put_i(&q, last);
	put_i(&q, x->next);
	while ((r = search_next_row(x, &q, true)) == ROW_HERE) {
		r = consider_id(x, col_i(&q, 0));
		if (r < 0)
			return err_trace(r);
		if (search_over(x) && !pace_is_least(&x->pace))
			return ROW_TOO_LONG;
	}
	return r < 0 ? err_trace(r) : r;
}

/* The rows that ${q} has left, down to ${last}; it is kept for the next slice if there are more. */
static int window_rest(struct search *x, struct stmt *q, int64_t last)
{
	int r = window_rows(x, q, last, true);

	if (r != ROW_HERE)
		return r;
	x->held = *q;
	x->held_last = last;
	x->s->searching = x;
	/* The caller's is released with its cleanup: no more. */
	*q = (struct stmt){ 0 };
	return r;
}

static int window_held(struct search *x)
{
	_cleanup_(stmt_done) struct stmt q = x->held;
	int r;

	x->held = (struct stmt){ 0 };
	x->s->searching = NULL;
	r = window_rest(x, &q, x->held_last);
	if (r < 0 && x->s->index.damaged)
		return 0;
	return r < 0 ? err_trace(r) : 0;
}

static int window_index(struct search *x)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	int64_t last = x->next > x->pace.ids ? x->next - x->pace.ids + 1 : 1;
	int64_t began = clock_boot_us();
	int r;

	search_let_go(x->s);
	search_guard(x, began + x->pace.begin_us);
	q = db_use(x->s, SQL_SEARCH_INDEX);
	put_t(&q, buf_str(&x->plan.match));
	put_i(&q, last);
	put_i(&q, x->next);
	r = window_dirty(x, last);
	if (r == ROW_NONE && x->plan.nothing)
		x->next = last - 1;
	else if (r == ROW_NONE)
		r = window_rest(x, &q, last);
	/* Once more, without it. */
	if (r < 0 && x->s->index.damaged)
		return 0;
	if (r == ROW_TOO_LONG && !pace_too_long(&x->pace))
		x->bare = true;
	else if (r == ROW_HERE)
		pace_held(&x->pace);
	else if (r == ROW_NONE)
		pace_done(&x->pace, clock_boot_us() - began, x->budget_us);
	return r < 0 ? err_trace(r) : 0;
}

/* A window; each decides anew what is indexed. */
static int window_anew(struct search *x)
{
	int64_t upto;
	int r;

	r = index_forget_words(x->s);
	if (r == 0)
		r = search_plan_step(&x->plan, x->s, x->slice_end);
	if (r != 0)
		return r < 0 ? err_trace(r) : 0;
	r = index_watermark(x->s, &upto);
	if (r < 0)
		return err_trace(r);
	/* Words of rows that were indexed after the plan was made may not be in it. */
	if (upto > x->plan.upto)
		upto = x->plan.upto;
	if (x->plan.useless || x->s->index.damaged)
		upto = 0;
	if (x->next > upto)
		r = window_tail(x, upto);
	else
		r = window_index(x);
	return r < 0 ? err_trace(r) : 0;
}

int window_step(struct search *x)
{
	int r;

	x->s->index.unread = false;
	/* Nothing was written since it was left: it goes on. */
	r = x->s->searching == x ? window_held(x) : window_anew(x);
	if (r < 0)
		return err_trace(r);
	if (x->next < 1 && x->s->searching != x)
		x->phase = PHASE_DONE;
	return 0;
}
