#include "ipc/ctl/history-text.h"

#include <stdio.h>
#include <string.h>

#include "ipc/ctl/row.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/util.h"

#define AUTHOR_MAX 14 /* columns */

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
static void put_end_gaps(const struct page *p, const struct gaps *gaps, bool older)
{
	const struct varve_message *edge = p->rows[older ? 0 : p->n - 1];

	if (!(p->edges & (older ? VARVE_EDGE_GAP_OLDER : VARVE_EDGE_GAP_NEWER)))
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
	return xasprintf("%s%s%s%s%s%s%s", reply, message_label(m), message_text(m), message_edited(m), *mark ? " " : "", mark,
			 emoji);
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

void history_text_put(const struct page *p, const struct gaps *gaps)
{
	uint64_t biggest = 0;
	size_t author = 2;
	int id_columns;

	for (size_t i = 0; i < p->n; i++) {
		_cleanup_(freep) char *raw = message_author(p->rows[i]), *clean = text_clean(raw, false);
		size_t w;

		clean[strcspn(clean, "@")] = '\0';
		w = text_width(clean);
		author = w > AUTHOR_MAX ? AUTHOR_MAX : w > author ? w : author;
		biggest = p->rows[i]->id > biggest ? p->rows[i]->id : biggest;
	}
	id_columns = snprintf(NULL, 0, "%llu", (unsigned long long)biggest);
	put_end_gaps(p, gaps, true);
	for (size_t i = 0; i < p->n; i++) {
		const struct varve_message *m = p->rows[i];
		int64_t before = i > 0 ? p->rows[i - 1]->time_usec : 0;

		if (i > 0)
			put_gaps(gaps, before, m->time_usec);
		put_day(m->time_usec, before);
		put_message(m, id_columns, author);
	}
	put_end_gaps(p, gaps, false);
}
