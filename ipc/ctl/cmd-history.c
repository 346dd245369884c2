/*
 * varvectl history: messages of a conversation, with what is missing between them.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/gaps.h"
#include "ipc/ctl/page.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"

#define HISTORY_PRESET 20
#define HISTORY_MAX 100000 /* rows; more is what export is for */
#define SIDE_MAX (PAGE_ROWS_MAX - 1) /* rows of one side of an anchor that fit an answer with it */
#define TRIES_MAX 3 /* to read more than a page in one state of the archive */
#define AUTHOR_MAX 14 /* columns */

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

static const char *dash(void)
{
	return text_is_utf8() ? "─" : "-";
}

static void put_gap(const struct gap *first, const struct gap *last)
{
	bool lost = strcmp(first->state, "lost") == 0;
	char a[TIME_HUMAN_SIZE] = "the beginning", b[TIME_HUMAN_SIZE] = "now";

	/* Ten minutes are the usual gap of a phone: days would say nothing. */
	bool brief = first->after_us && last->before_us && last->before_us - first->after_us < 2 * 86400 * USEC_PER_SEC;

	if (first->after_us)
		time_local(first->after_us, brief ? "%Y-%m-%d %H:%M" : "%Y-%m-%d", a);
	if (last->before_us)
		time_local(last->before_us, brief ? "%Y-%m-%d %H:%M" : "%Y-%m-%d", b);
	printf("%s-- gap: %s..%s %s --%s\n", term_color(lost ? COLOR_RED : COLOR_YELLOW), a, b,
	       lost ? "lost, the server no longer has it" : "not synced", term_color(COLOR_OFF));
}

/*
 * The gaps that lie between two neighbours in time; 0 for ${older} or ${newer} means the end of the page. Neighbouring
 * gaps of one kind are one line.
 */
static void put_gaps(const struct gaps *gaps, int64_t older, int64_t newer)
{
	const struct gap *first = NULL, *last = NULL;

	for (size_t i = 0; i < gaps->n; i++) {
		const struct gap *g = &gaps->gap[i];
		bool here = (older == 0 || g->after_us >= older) &&
			    (newer == 0 || (g->before_us && g->before_us <= newer));

		if (!here)
			continue;
		if (first && strcmp(first->state, g->state) != 0) {
			put_gap(first, last);
			first = NULL;
		}
		if (!first)
			first = g;
		last = g;
	}
	if (first)
		put_gap(first, last);
}

/* At the ends of a page only the gap that adjoins it: what lies beyond belongs to messages that are not shown. */
static void put_end_gaps(const struct history *h, const struct gaps *gaps, bool older)
{
	const struct varve_message *edge = h->page.rows[older ? 0 : h->page.n - 1];

	if (!(h->page.edges & (older ? VARVE_EDGE_GAP_OLDER : VARVE_EDGE_GAP_NEWER)))
		return;
	for (size_t i = 0; i < gaps->n; i++) {
		const struct gap *g = &gaps->gap[older ? gaps->n - 1 - i : i];

		if (older ? g->before_us && g->before_us <= edge->time_usec : g->after_us >= edge->time_usec) {
			put_gap(g, g);
			return;
		}
	}
}

static void put_day(int64_t us, int64_t before_us)
{
	char day[TIME_HUMAN_SIZE], last[TIME_HUMAN_SIZE];

	time_local(us, "%A %-d %B %Y", day);
	if (before_us && strcmp(day, time_local(before_us, "%A %-d %B %Y", last)) == 0)
		return;
	printf("%s%s%s %s %s%s%s\n", term_color(COLOR_DIM), dash(), dash(), day, dash(), dash(),
	       term_color(COLOR_OFF));
}

static char *body_of(const struct varve_message *m)
{
	_cleanup_(freep) char *emoji = xstrdup(""), *reply = NULL;
	const char *mark = message_mark(m);

	for (size_t i = 0; i < m->n_reactions; i++)
		for (const char *const *e = m->reactions[i].emoji; *e; e++) {
			char *more = xasprintf("%s %s", emoji, *e);

			free(emoji);
			emoji = more;
		}
	reply = m->reply_to ? xasprintf("(reply to %llu) ", (unsigned long long)m->reply_to) : xstrdup("");
	return xasprintf("%s%s%s%s%s%s", reply, message_text(m), m->edited_usec ? " (edited)" : "",
			 *mark ? " " : "", mark, emoji);
}

/* Below a message that did not get there: why, and what can be done. */
static void put_failure(const struct varve_message *m, size_t indent)
{
	const char *why = *m->error_text ? m->error_text : *m->error ? m->error : "the reason is not known";
	_cleanup_(freep) char *line = xasprintf("not delivered: %s; again: varvectl retry %llu", why,
						(unsigned long long)m->id);
	_cleanup_(freep) char *clean = text_clean(line, false);

	printf("%*s", (int)indent, "");
	term_put(stdout, COLOR_RED, clean, indent, indent);
}

static void put_message(const struct varve_message *m, int id_columns, size_t author_columns)
{
	_cleanup_(freep) char *raw = body_of(m), *body = text_clean(raw, true), *author = message_author(m);
	_cleanup_(freep) char *clean = text_clean(author, false), *name = NULL;
	size_t indent, edge = term_columns(), skip;
	const char *p = body;
	char when[TIME_HUMAN_SIZE];

	if (m->direction == 0 && !*m->nick)
		clean[strcspn(clean, "@")] = '\0'; /* the conversation already says where */
	name = text_ellipsis(clean, author_columns);
	printf("%s%*llu%s  %s  %s%s%s%*s  ", term_color(COLOR_DIM), id_columns, (unsigned long long)m->id,
	       term_color(COLOR_OFF), time_local(m->time_usec, "%H:%M", when),
	       term_color(m->direction ? COLOR_BLUE : COLOR_BOLD), name, term_color(COLOR_OFF),
	       (int)(author_columns - text_width(name)), "");
	indent = (size_t)id_columns + 2 + 5 + 2 + author_columns + 2;
	do {
		size_t n = text_wrap(p, edge > indent + 10 ? edge - indent : 10, &skip);

		if (p != body)
			printf("%*s", (int)indent, "");
		printf("%.*s\n", (int)n, p);
		p += n + skip;
	} while (*p);
	if (m->state == VARVE_FAILED)
		put_failure(m, indent);
}

static void put_text(const struct history *h, const struct gaps *gaps)
{
	uint64_t biggest = 0;
	size_t author = 2;
	int id_columns;

	if (h->page.n == 0) {
		if (!h->c->quiet)
			puts("no message");
		return;
	}
	for (size_t i = 0; i < h->page.n; i++) {
		_cleanup_(freep) char *raw = message_author(h->page.rows[i]), *clean = text_clean(raw, false);
		size_t w;

		clean[strcspn(clean, "@")] = '\0';
		w = text_width(clean);
		author = w > AUTHOR_MAX ? AUTHOR_MAX : w > author ? w : author;
		biggest = h->page.rows[i]->id > biggest ? h->page.rows[i]->id : biggest;
	}
	id_columns = snprintf(NULL, 0, "%llu", (unsigned long long)biggest);
	put_end_gaps(h, gaps, true);
	for (size_t i = 0; i < h->page.n; i++) {
		const struct varve_message *m = h->page.rows[i];
		int64_t before = i > 0 ? h->page.rows[i - 1]->time_usec : 0;

		if (i > 0)
			put_gaps(gaps, before, m->time_usec);
		put_day(m->time_usec, before);
		put_message(m, id_columns, author);
	}
	put_end_gaps(h, gaps, false);
}

int cmd_history(struct ctl *c)
{
	_cleanup_(freep) char *conversation = str_fold(c->opts.args[0]);
	struct history h = { .c = c, .conversation = conversation };
	struct gaps gaps = { 0 };
	struct json *j;
	uint64_t want;
	int r;

	r = ctl_lines(c, HISTORY_PRESET, HISTORY_MAX, &want);
	if (r == EXIT_OK)
		r = ctl_account(c, NULL);
	if (r == EXIT_OK)
		r = fetch_all(&h, want);
	if (r == EXIT_OK && c->json == JSON_OFF)
		r = gaps_get(c, conversation, &gaps);
	if (r == EXIT_OK && c->json == JSON_OFF) {
		put_text(&h, &gaps);
	} else if (r == EXIT_OK) {
		j = json_new(stdout, c->json);
		for (size_t i = 0; i < h.page.n; i++) {
			json_object(j, NULL);
			message_json(j, h.page.rows[i]);
			json_object_end(j);
		}
		json_free(j);
	}
	gaps_deinit(&gaps);
	page_deinit(&h.page);
	return r;
}
