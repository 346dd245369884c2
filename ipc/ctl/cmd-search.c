/*
 * varvectl search: messages that have the words, newest first.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/marked.h"
#include "ipc/ctl/page.h"
#include "ipc/ctl/row.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"

#define SEARCH_PRESET 20
#define SEARCH_MAX 100000 /* rows; more is what export is for */
#define TIME_COLUMNS 18 /* a date, a time, two blanks */
#define AUTHOR_MAX 20 /* columns */
#define ADDRESS_LEAST 8 /* columns, however narrow the terminal is */
#define BODY_LINES 3 /* of a hit; `history --around=ID` shows the rest */

struct search {
	struct ctl *c;
	struct json *json;
	char *query, *conversation, *sender; /* NULL: any */
	int64_t since, until;
	uint64_t left; /* how many more */
	uint64_t found;
};

static void search_deinit(struct search *s)
{
	json_free(s->json);
	free(s->query);
	free(s->conversation);
	free(s->sender);
}

static void put_json(struct search *s, const struct varve_message *m, const struct varve_mark *marks, size_t n)
{
	json_object(s->json, NULL);
	message_json(s->json, m);
	json_array(s->json, "matches");
	for (size_t i = 0; i < n; i++) {
		json_array(s->json, NULL);
		json_uint(s->json, NULL, marks[i].start);
		json_uint(s->json, NULL, marks[i].length);
		json_array_end(s->json);
	}
	json_array_end(s->json);
	json_object_end(s->json);
}

/* "2026-03-01 14:02  bob@example.org  me  id 1234", and the body below it. */
static void put_text(struct search *s, const struct varve_message *m, const struct varve_mark *marks, size_t n)
{
	_cleanup_(freep) char *conversation = text_clean(m->conversation, false), *raw = message_author(m);
	_cleanup_(freep) char *clean = text_clean(raw, false), *author = text_ellipsis(clean, AUTHOR_MAX), *tail = NULL, *cut = NULL;
	bool plain = strcmp(message_text(m), m->body) == 0;
	char when[TIME_HUMAN_SIZE];
	struct marked body;
	size_t used;

	if (s->found > 1 && !s->c->quiet)
		putchar('\n');
	/* In a conversation of two the other party's name is that of the conversation. */
	if (strcmp(clean, conversation) == 0)
		tail = xasprintf("  id %llu", (unsigned long long)m->id);
	else
		tail = xasprintf("  %s  id %llu", author, (unsigned long long)m->id);
	/* What is long is the address, and what is needed to go on is the id. */
	used = TIME_COLUMNS + text_width(tail);
	cut = text_ellipsis(conversation, term_columns() > used + ADDRESS_LEAST ? term_columns() - used : ADDRESS_LEAST);
	printf("%s%s  %s%s%s\n", term_color(COLOR_DIM), time_local(m->time_usec, "%Y-%m-%d %H:%M", when), cut, tail,
	       term_color(COLOR_OFF));
	body = marked_new(message_text(m), marks, plain ? n : 0);
	marked_print(&body, stdout, 4, BODY_LINES);
	marked_deinit(&body);
}

static int look(struct search *s)
{
	_cleanup_(freep) char *cursor = xstrdup("");

	do {
		struct varve_search_query q = { .query = s->query,
						.cursor = cursor,
						.limit = s->left < PAGE_ROWS_MAX ? (uint32_t)s->left : PAGE_ROWS_MAX,
						.conversation = s->conversation,
						.sender = s->sender,
						.since_usec = s->since,
						.until_usec = s->until };
		struct varve_messages *set;
		int r = varve_search(s->c->account, &q, &set);

		if (r < 0)
			return ctl_fail_call(s->c, r);
		for (size_t i = 0; i < varve_messages_count(set) && s->left > 0; i++, s->left--) {
			size_t n;
			const struct varve_mark *marks = varve_messages_marks(set, i, &n);

			s->found++;
			(s->json ? put_json : put_text)(s, varve_messages_get(set, i), marks, n);
		}
		free(cursor);
		cursor = xstrdup(varve_messages_next(set));
		varve_messages_unref(set);
	} while (*cursor && s->left > 0);
	return EXIT_OK;
}

/* Several words need no quotes: they are one query. */
static char *join(const char *const *words)
{
	char *all = xstrdup("");

	for (; *words; words++) {
		char *more = xasprintf("%s%s%s", all, *all ? " " : "", *words);

		free(all);
		all = more;
	}
	return all;
}

/* A word finds nothing, and looks as if nothing were there. A server may have such a name, and write. */
static int check_sender(struct ctl *c, const char *sender)
{
	bool known = true;
	int r = sender && !strchr(sender, '@') ? ctl_knows(c, sender, &known) : EXIT_OK;

	return r == EXIT_OK && !known ? ctl_check_address(c, sender) : r;
}

int cmd_search(struct ctl *c)
{
	_cleanup_(search_deinit) struct search s = { .c = c, .query = join(c->opts.args) };
	int r;

	s.conversation = ctl_opt(c, IN) ? str_fold(ctl_opt(c, IN)) : NULL;
	s.sender = ctl_opt(c, FROM) ? str_fold(ctl_opt(c, FROM)) : NULL;
	if (s.query[strspn(s.query, " \t\n")] == '\0')
		return ctl_fail(c, EXIT_USAGE, "varvectl search --help", "there is nothing to search for");
	r = ctl_lines(c, SEARCH_PRESET, SEARCH_MAX, &s.left);
	if (r == EXIT_OK)
		r = ctl_time(c, "since", ctl_opt(c, SINCE), &s.since);
	if (r == EXIT_OK)
		r = ctl_time(c, "until", ctl_opt(c, UNTIL), &s.until);
	if (r == EXIT_OK && s.since && s.until && s.since >= s.until)
		r = ctl_fail(c, EXIT_USAGE, NULL, "--since=%s is not before --until=%s: nothing can be found", ctl_opt(c, SINCE),
			     ctl_opt(c, UNTIL));
	if (r == EXIT_OK)
		r = ctl_account(c, NULL);
	if (r != EXIT_OK)
		return r;
	r = check_sender(c, s.sender);
	if (r != EXIT_OK)
		return r;
	s.json = c->json != JSON_OFF ? json_new(stdout, c->json) : NULL;
	r = look(&s);
	/* Nothing named was missing, so this is no failure (cli.md: 4 is for named things). */
	if (r == EXIT_OK && s.found == 0 && !s.json && !c->quiet)
		fputs("nothing found\n", stderr);
	return r;
}
