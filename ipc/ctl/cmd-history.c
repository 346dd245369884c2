/*
 * varvectl history: messages of a conversation, with what is missing between them.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/gaps.h"
#include "ipc/ctl/history-text.h"
#include "ipc/ctl/page.h"

#define HISTORY_PRESET 20
#define HISTORY_MAX 100000 /* rows; more is what export is for */
#define SIDE_MAX (PAGE_ROWS_MAX - 1) /* rows of one side of an anchor that fit an answer with it */
#define TRIES_MAX 3 /* to read more than a page in one state of the archive */

struct history {
	struct ctl *c;
	const char *conversation;
	struct page page;
	uint64_t want;
	bool mixed; /* the pages are of more than one state of the archive: a message may be there twice, or not at all */
};

static uint32_t at_most_side(uint64_t n)
{
	return n < SIDE_MAX ? (uint32_t)n : SIDE_MAX;
}

/* Extend to older (or newer) rows until ${want} are there or there are no more. Pages may be cut short by size. */
static int extend(struct history *h, bool older)
{
	uint32_t none = older ? VARVE_EDGE_OLDEST : VARVE_EDGE_NEWEST;
	uint32_t mine = older ? VARVE_EDGE_OLDEST | VARVE_EDGE_GAP_OLDER | VARVE_EDGE_START
			      : VARVE_EDGE_NEWEST | VARVE_EDGE_GAP_NEWER;

	while (h->page.n > 0 && h->page.n < h->want && !(h->page.edges & none)) {
		uint32_t n = at_most_side(h->want - h->page.n);
		const struct varve_history_query q = { .conversation = h->conversation, .across_gaps = true };
		struct page more = { 0 };
		int r = page_beyond(h->c, &q, &h->page, older, n, &more);

		if (r != EXIT_OK)
			return r;
		h->mixed = h->mixed || more.seq != h->page.seq;
		h->page.edges = (h->page.edges & ~mine) | (more.edges & mine);
		if (more.n == 0) {
			page_deinit(&more);
			break;
		}
		if (older)
			page_prepend(&h->page, &more);
		else
			page_append(&h->page, &more);
		page_deinit(&more);
	}
	return EXIT_OK;
}

/* ID or TIME, into the anchor of ${q}. */
static int set_anchor(struct ctl *c, const char *option, const char *text, struct varve_history_query *q)
{
	int64_t us = 0;
	int r;

	if (parse_u64(text, &q->value) == 0) {
		q->anchor = "message";
		return EXIT_OK;
	}
	r = ctl_time(c, option, text, &us);
	q->anchor = "time";
	q->value = us < 0 ? 0 : (uint64_t)us;
	return r;
}

static void keep_newest(struct page *p, uint64_t n)
{
	if (p->n > n)
		page_drop(p, p->n - n);
}

/* The older half with the anchor, then what is newer, then older again where there was too little newer. */
static int fetch_around(struct history *h, struct varve_history_query *q)
{
	uint64_t all = h->want;
	int r;

	q->before = at_most_side(all / 2 ? all / 2 : 1); /* one, for a time that nothing is at or after */
	r = page_get(h->c, q, &h->page);
	h->want = all / 2 + 1;
	keep_newest(&h->page, h->want);
	if (r == EXIT_OK)
		r = extend(h, true);
	h->want = all;
	if (r == EXIT_OK)
		r = extend(h, false);
	return r == EXIT_OK ? extend(h, true) : r;
}

static int fetch_after(struct history *h, struct varve_history_query *q, bool is_time)
{
	int r;

	q->after = at_most_side(h->want);
	r = page_get(h->c, q, &h->page);
	if (r != EXIT_OK)
		return r;
	if (is_time) /* where nothing is so new, the page has what is older */
		while (h->page.n > 0 && h->page.rows[0]->time_usec < (int64_t)q->value)
			page_drop(&h->page, 1);
	else
		page_drop(&h->page, h->page.n > 0);
	r = extend(h, false);
	page_cut(&h->page, h->want);
	return r;
}

/* The newest ones, or those before an anchor, which itself is not wanted. */
static int fetch_before(struct history *h, struct varve_history_query *q, bool is_time)
{
	uint64_t all = h->want;
	int r;

	q->before = at_most_side(all);
	r = page_get(h->c, q, &h->page);
	if (r != EXIT_OK || strcmp(q->anchor, "newest") == 0 || h->page.n == 0) {
		r = r == EXIT_OK ? extend(h, true) : r;
		keep_newest(&h->page, all);
		return r;
	}
	if (is_time && h->page.rows[h->page.n - 1]->time_usec < (int64_t)q->value) { /* there is nothing so new */
		r = extend(h, true);
		keep_newest(&h->page, all);
		return r;
	}
	h->want = all + 1; /* the anchor holds the place until all are there */
	r = extend(h, true);
	page_cut(&h->page, h->page.n - 1);
	h->page.edges &= ~(uint32_t)(VARVE_EDGE_NEWEST | VARVE_EDGE_GAP_NEWER);
	keep_newest(&h->page, all);
	h->want = all;
	return r;
}

static int fetch(struct history *h)
{
	const char *before = ctl_opt(h->c, BEFORE), *after = ctl_opt(h->c, AFTER), *around = ctl_opt(h->c, AROUND);
	struct varve_history_query q = { .conversation = h->conversation, .anchor = "newest", .across_gaps = true };
	bool is_time;
	int r = EXIT_OK;

	if (!!before + !!after + !!around > 1)
		return ctl_fail(h->c, EXIT_USAGE, NULL, "--before, --after and --around do not go together");
	if (before)
		r = set_anchor(h->c, "before", before, &q);
	else if (after)
		r = set_anchor(h->c, "after", after, &q);
	else if (around)
		r = set_anchor(h->c, "around", around, &q);
	if (r != EXIT_OK)
		return r;
	is_time = strcmp(q.anchor, "time") == 0;
	if (around)
		return fetch_around(h, &q);
	return after ? fetch_after(h, &q, is_time) : fetch_before(h, &q, is_time);
}

static int by_id(const void *a, const void *b)
{
	const struct varve_message *const *x = a, *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/* Some message is there twice. */
static bool has_twice(const struct page *p)
{
	_cleanup_(freep) const struct varve_message **rows = xcalloc(p->n, sizeof(*rows));
	bool twice = false;

	if (p->n > 0)
		memcpy(rows, p->rows, p->n * sizeof(*rows));
	qsort(rows, p->n, sizeof(*rows), by_id);
	for (size_t i = 1; i < p->n && !twice; i++)
		twice = rows[i]->id == rows[i - 1]->id;
	return twice;
}

/*
 * More than a page is read in several calls, between which messages get their places (docs/decisions/0028): what is of several
 * states is read again. While much comes in, states do not last; then that nothing is there twice must do.
 */
static int fetch_all(struct history *h, uint64_t want)
{
	int r = PAGE_LOST;

	for (int i = 0; i < TRIES_MAX && (r == PAGE_LOST || (r == EXIT_OK && h->mixed)); i++) {
		page_deinit(&h->page);
		h->mixed = false;
		h->want = want;
		r = fetch(h);
	}
	if (r == PAGE_LOST || (r == EXIT_OK && h->mixed && has_twice(&h->page)))
		return ctl_fail(h->c, EXIT_FAIL, "varvectl sync pause, and again; or fewer with -n",
				"the archive changes faster than it can be read");
	return r;
}

static void put_json(const struct ctl *c, const struct page *p)
{
	struct json *j = json_new(stdout, c->json);

	for (size_t i = 0; i < p->n; i++) {
		json_object(j, NULL);
		message_json(j, p->rows[i]);
		json_object_end(j);
	}
	json_free(j);
}

int cmd_history(struct ctl *c)
{
	_cleanup_(freep) char *conversation = str_fold(c->opts.args[0]);
	struct history h = { .c = c, .conversation = conversation };
	struct gaps gaps = { 0 };
	uint64_t want;
	int r;

	r = ctl_lines(c, HISTORY_PRESET, HISTORY_MAX, &want);
	if (r == EXIT_OK)
		r = ctl_account(c, NULL);
	if (r == EXIT_OK)
		r = fetch_all(&h, want);
	if (r == EXIT_OK && c->json == JSON_OFF)
		r = gaps_get(c, conversation, &gaps);
	if (r == EXIT_OK && c->json != JSON_OFF)
		put_json(c, &h.page);
	else if (r == EXIT_OK && h.page.n > 0)
		history_text_put(&h.page, &gaps);
	else if (r == EXIT_OK && !c->quiet)
		puts("no message");
	gaps_deinit(&gaps);
	page_deinit(&h.page);
	return r;
}
