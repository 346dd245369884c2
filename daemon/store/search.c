#include "store/search.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/jid.h"
#include "store/index.h"
#include "store/read-row.h"
#include "store/row.h"
#include "store/search-plan.h"
#include "store/search-query.h"

/*
 * A search goes
 *
 *   WALK   through the newest rows in archive order, one by one: a common word has its page after a few dozen rows
 *   SCAN   through all ids, newest first, in windows: up to the watermark the index proposes rows, above it each row
 *          is read. A window is read in one slice, so each id is looked at once whatever the watermark does meanwhile
 *   DONE   the best limit + 1 rows by (key, id) are known
 *
 * When every word of the query begins too many words of the index ("a"), the index is of no use: WALK goes on to the
 * end. Statements are complete in each slice, because the store writes between two.
 */
enum phase { PHASE_WALK, PHASE_SCAN, PHASE_DONE };

enum {
	WINDOW_FIRST = 8192,  /* ids; adapts */
	WINDOW_MIN = 64,
	WINDOW_MAX = 1 << 24,
	TAIL_IDS = 1024,      /* ids of the tail in one statement */
	GUARD_OPS = 250,      /* of SQLite's machine between two looks at the clock */
	GUARD_US = 3000,      /* beyond the budget: what is ended then is lost, and begins anew in a smaller window */
};

struct position {
	int64_t key, id;
};

struct search {
	struct store *s;
	int64_t account, conv; /* conv 0: all */
	char *sender;	       /* owned; bare, NULL: anyone */
	int64_t since_us, until_us;
	size_t limit;
	struct position cursor; /* as given; id 0: none */
	struct position below;	/* hits sort below this */
	struct query_terms terms;
	struct search_plan plan;

	enum phase phase;
	struct position at;	/* WALK: everything above is done */
	int64_t walked;
	int64_t next;		/* SCAN: ids above are done */
	int64_t window;
	/* The window's statement, held while nobody writes: what FTS5 does before the first row takes 2 ms for "ba*". */
	struct stmt held;
	int64_t held_last;
	bool bare;		/* without the guard: the smallest window was too long */
	uint32_t shifts;	/* of the store when it last looked */

	struct position found[SEARCH_HITS_MAX + 1]; /* best first */
	size_t n_found;

	int64_t slice_end, guard_end; /* CLOCK_BOOTTIME */
};

static bool above(struct position a, struct position b)
{
	return a.key != b.key ? a.key > b.key : a.id > b.id;
}

static int parse_cursor(const char *text, struct position *ret)
{
	char again[64];
	int end = 0;

	if (sscanf(text, "%" SCNd64 ".%" SCNd64 "%n", &ret->key, &ret->id, &end) != 2 || ret->id < 1)
		return SEARCH_E_CURSOR;
	/* Only as it was printed: no spaces, no signs, no overflow, nothing behind. */
	snprintf(again, sizeof(again), "%" PRId64 ".%" PRId64, ret->key, ret->id);
	return strcmp(again, text) == 0 ? 0 : SEARCH_E_CURSOR;
}

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
	x->window = WINDOW_FIRST;
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
		r = parse_cursor(q->cursor, &x->cursor);
	if (r == 0 && *str_or_empty(q->conversation))
		r = find_conv(x, q->conversation);
	if (r == 0)
		r = begin(x);
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	plan_init(&x->plan, &x->terms);
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
	plan_deinit(&x->plan);
	free(x->sender);
	free(x);
	return NULL;
}

/* Keep ${p} if it is one of the best; a row that moved between two slices may come twice. */
static void keep(struct search *x, struct position p)
{
	size_t at = x->n_found;

	for (size_t i = 0; i < x->n_found; i++) {
		if (x->found[i].id == p.id)
			return;
	}
	if (at == x->limit + 1)
		at--;
	else
		x->n_found++;
	while (at > 0 && above(p, x->found[at - 1])) {
		x->found[at] = x->found[at - 1];
		at--;
	}
	x->found[at] = p;
}

/* The present row of a statement of SQL_FOUND_COLUMNS, cheapest question first. */
static int consider(struct search *x, struct stmt *q)
{
	struct position p = { col_i(q, 1), col_i(q, 0) };
	int64_t time_us = col_i(q, 5);
	bool match;
	int r;

	if (!above(x->below, p) || (x->n_found == x->limit + 1 && !above(p, x->found[x->limit])))
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
		keep(x, p);
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

static bool over(const struct search *x)
{
	return clock_boot_us() >= x->slice_end;
}

static int guard(void *userdata)
{
	const struct search *x = userdata;

	return clock_boot_us() >= x->guard_end;
}

enum { ROW_NONE = 0, ROW_HERE = 1, ROW_TOO_LONG = 2 };

/* The next row under the guard. ${index}: of a statement that reads nothing but the index. */
static int next_row(struct search *x, struct stmt *q, bool index)
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
	while ((r = next_row(x, &q, false)) == ROW_HERE) {
		x->at = (struct position){ col_i(&q, 1), col_i(&q, 0) };
		r = consider(x, &q);
		if (r < 0)
			return err_trace(r);
		x->bare = false;
		x->walked++;
		if (x->n_found == x->limit + 1) {
			x->phase = PHASE_DONE;
			return 0;
		}
		if (over(x) || x->walked == x->s->index.walk_rows)
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

	r = plan_step(&x->plan, x->s, x->slice_end);
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

/* A statement of its own, so that it is known whether the index or the message could not be read. */
static int consider_id(struct search *x, int64_t id)
{
	_cleanup_(stmt_done) struct stmt q = db_use(x->s, SQL_SEARCH_ROW);
	int r;

	put_i(&q, id);
	r = db_row(&q);
	if (r > 0)
		r = consider(x, &q);
	return r < 0 ? err_trace(r) : 0;
}

/* Read the rows that ${q} proposes, down to id ${last}. ${index}: by their ids, out of the index. */
static int scan_rows(struct search *x, struct stmt *q, int64_t last, bool index)
{
	int r;

	while ((r = next_row(x, q, index)) == ROW_HERE) {
		int64_t id = col_i(q, 0);

		r = index ? consider_id(x, id) : consider(x, q);
		if (r < 0)
			return err_trace(r);
		x->next = id - 1;
		x->bare = false;
		if (over(x))
			return ROW_HERE;
	}
	if (r == ROW_NONE) {
		x->next = last - 1;
		x->bare = false;
	}
	return r < 0 ? err_trace(r) : r;
}

static int scan_tail(struct search *x, int64_t upto)
{
	_cleanup_(stmt_done) struct stmt q = db_use(x->s, SQL_SEARCH_TAIL);
	int64_t last = x->next - TAIL_IDS > upto ? x->next - TAIL_IDS + 1 : upto + 1;
	int r;

	put_i(&q, last);
	put_i(&q, x->next);
	r = scan_rows(x, &q, last, false);
	if (r == ROW_TOO_LONG)
		x->bare = true;
	return r < 0 ? err_trace(r) : 0;
}

/* Messages of a window that changed since they were indexed. */
static int scan_dirty(struct search *x, int64_t last)
{
	_cleanup_(stmt_done) struct stmt q = db_use(x->s, SQL_SEARCH_DIRTY);
	int r;

	put_i(&q, last);
	put_i(&q, x->next);
	while ((r = next_row(x, &q, true)) == ROW_HERE) {
		r = consider_id(x, col_i(&q, 0));
		if (r < 0)
			return err_trace(r);
		if (over(x) && x->window > WINDOW_MIN)
			return ROW_TOO_LONG;
	}
	return r < 0 ? err_trace(r) : r;
}

/* The rows that ${q} has left, down to ${last}; it is kept for the next slice if there are more. */
static int scan_window(struct search *x, struct stmt *q, int64_t last)
{
	int r = scan_rows(x, q, last, true);

	if (r != ROW_HERE)
		return r;
	x->held = *q;
	x->held_last = last;
	x->s->searching = x;
	/* The caller's is released with its cleanup: no more. */
	*q = (struct stmt){ 0 };
	return r;
}

static int scan_held(struct search *x)
{
	_cleanup_(stmt_done) struct stmt q = x->held;
	int r;

	x->held = (struct stmt){ 0 };
	x->s->searching = NULL;
	r = scan_window(x, &q, x->held_last);
	if (r < 0 && x->s->index.damaged)
		return 0;
	return r < 0 ? err_trace(r) : 0;
}

static int scan_index(struct search *x)
{
	_cleanup_(stmt_done) struct stmt q = { 0 };
	int64_t last = x->next > x->window ? x->next - x->window + 1 : 1;
	int64_t began = clock_boot_us(), budget = x->slice_end - began;
	int r;

	search_let_go(x->s);
	q = db_use(x->s, SQL_SEARCH_INDEX);
	put_t(&q, buf_str(&x->plan.match));
	put_i(&q, last);
	put_i(&q, x->next);
	r = scan_dirty(x, last);
	if (r == ROW_NONE && x->plan.nothing)
		x->next = last - 1;
	else if (r == ROW_NONE)
		r = scan_window(x, &q, last);
	/* Once more, without it. */
	if (r < 0 && x->s->index.damaged)
		return 0;
	if (r == ROW_TOO_LONG && x->window == WINDOW_MIN)
		x->bare = true;
	else if (r == ROW_TOO_LONG)
		x->window /= 2;
	/* One that is held goes on in the next slice: what it costs to begin is better paid for more. */
	else if (x->window < WINDOW_MAX && (r == ROW_HERE || (r == ROW_NONE && clock_boot_us() - began < budget / 4)))
		x->window *= 2;
	return r < 0 ? err_trace(r) : 0;
}

/* A window; each decides anew what is indexed. */
static int scan_anew(struct search *x)
{
	int64_t upto;
	int r;

	r = index_forget_words(x->s);
	if (r == 0)
		r = plan_step(&x->plan, x->s, x->slice_end);
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
		r = scan_tail(x, upto);
	else
		r = scan_index(x);
	return r < 0 ? err_trace(r) : 0;
}

static int scan(struct search *x)
{
	int r;

	x->s->index.unread = false;
	/* Nothing was written since it was left: it goes on. */
	r = x->s->searching == x ? scan_held(x) : scan_anew(x);
	if (r < 0)
		return err_trace(r);
	if (x->next < 1 && x->s->searching != x)
		x->phase = PHASE_DONE;
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
	x->slice_end = now + budget_us;
	x->guard_end = now + budget_us + GUARD_US;
	while (r == 0 && x->phase != PHASE_DONE) {
		if (x->phase == PHASE_SCAN)
			r = scan(x);
		else
			r = x->walked < x->s->index.walk_rows ? walk(x) : end_walk(x);
		if (over(x))
			break;
	}
	return r < 0 ? err_trace(r) : x->phase != PHASE_DONE;
}

struct hits {
	struct search *x;
	search_hit_fn fn;
	void *userdata;
	size_t bytes, n;
	bool cut;
	int r; /* of ${fn} */
};

static int on_row(void *userdata, const struct message_row *row)
{
	struct search_range ranges[SEARCH_RANGES_MAX];
	struct hits *h = userdata;
	size_t n = 0, size = row_size(row);
	bool match;
	int r;

	/* It may have been retracted or corrected since it was found. */
	if (strcmp(row->kind, "text") != 0)
		return 0;
	r = query_ranges(h->x->s->tokenizer, &h->x->terms, row->body, &match, ranges, &n);
	if (r < 0 || !match)
		return r < 0 ? err_trace(r) : 0;
	if (h->n && h->bytes + size > READ_BYTES_MAX) {
		h->cut = true;
		return 0;
	}
	h->bytes += size;
	h->n++;
	h->r = h->fn(h->userdata, row, ranges, n);
	return h->r;
}

int search_hits(struct search *x, search_hit_fn fn, void *userdata, char **ret_cursor)
{
	struct hits h = { .x = x, .fn = fn, .userdata = userdata };
	size_t n = x->n_found < x->limit ? x->n_found : x->limit, i;
	const struct position *last;
	int r;

	for (i = 0; i < n; i++) {
		r = row_emit(x->s, x->account, x->found[i].id, on_row, &h);
		if (r < 0 || h.r != 0)
			return r;
		if (h.cut)
			break;
	}
	if (i == x->n_found) {
		*ret_cursor = xstrdup("");
		return 0;
	}
	last = &x->found[i - 1];
	*ret_cursor = xasprintf("%" PRId64 ".%" PRId64, last->key, last->id);
	return 0;
}
