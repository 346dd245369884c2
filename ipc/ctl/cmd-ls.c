/*
 * varvectl ls: the conversations.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/row.h"
#include "ipc/ctl/show.h"
#include "ipc/ctl/table.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/value.h"

#define NAME_FROM 100 /* columns of terminal from which names are shown beside JIDs */
#define LS_PAGE 100 /* conversations a call: the first screen comes quickly */

struct listing {
	struct ctl *c;
	struct json *json;
	struct table *table;
	uint64_t left; /* how many more */
	bool names;
	char **seen; /* owned, sorted: the conversations that are listed */
	size_t n_seen;
};

/* True for the first time. */
static bool is_first(struct listing *l, const char *id)
{
	size_t from = 0, to = l->n_seen;

	while (from < to) {
		size_t at = (from + to) / 2;
		int order = strcmp(id, l->seen[at]);

		if (order == 0)
			return false;
		if (order < 0)
			to = at;
		else
			from = at + 1;
	}
	if (l->n_seen % 64 == 0)
		l->seen = xrealloc(l->seen, l->n_seen + 64, sizeof(*l->seen));
	memmove(l->seen + from + 1, l->seen + from, (l->n_seen++ - from) * sizeof(*l->seen));
	l->seen[from] = xstrdup(id);
	return true;
}

static void put_row(struct listing *l, const struct varve_conversation *row)
{
	_cleanup_(freep) char *unread = row->unread ? xasprintf("%u", row->unread) : xstrdup("");
	_cleanup_(freep) char *author = NULL, *last = NULL;
	char when[TIME_HUMAN_SIZE] = "";

	if (l->json) {
		json_object(l->json, NULL);
		conversation_json(l->json, row);
		json_object_end(l->json);
		return;
	}
	if (row->activity_usec)
		time_compact(row->activity_usec, now_real(), when);
	if (row->last) {
		const char *mark = message_mark(row->last);

		author = message_author(row->last);
		/* In a conversation of two only "me" needs to be said. */
		last = row->last->direction || strcmp(row->kind, "direct") != 0
			       ? xasprintf("%s%s%s: %s%s", *mark ? mark : "", *mark ? " " : "", author, message_label(row->last),
					   message_text(row->last))
			       : xasprintf("%s%s", message_label(row->last), message_text(row->last));
	}
	table_cell_color(l->table, COLOR_BOLD, unread);
	table_cell(l->table, when);
	table_cell_color(l->table, row->unread ? COLOR_BOLD : COLOR_OFF, row->id);
	if (l->names)
		table_cell(l->table, strcmp(row->title, row->id) == 0 ? "" : row->title);
	table_cell(l->table, last);
}

/* A page, and the next cursor in its place; *ret_new: how many are not listed yet. */
static int list_page(struct listing *l, char **cursor, size_t *ret_new)
{
	uint32_t limit = l->left < LS_PAGE ? (uint32_t)l->left : LS_PAGE;
	struct varve_conversations *set;
	int r = varve_list_conversations(l->c->account, *cursor, limit, ctl_opt(l->c, UNREAD), &set);

	if (r < 0)
		return ctl_fail_call(l->c, r);
	*ret_new = 0;
	for (size_t i = 0; i < varve_conversations_count(set) && l->left > 0; i++) {
		const struct varve_conversation *row = varve_conversations_get(set, i);

		if (!is_first(l, row->id))
			continue;
		put_row(l, row);
		l->left--;
		++*ret_new;
	}
	free(*cursor);
	*cursor = xstrdup(varve_conversations_next(set));
	varve_conversations_unref(set);
	return EXIT_OK;
}

/*
 * Where a message comes in meanwhile, the conversation goes to the top: from a page that was read, and then it comes again; or from
 * one that was not, and then it is found by looking at the top once more.
 */
static int list(struct listing *l)
{
	_cleanup_(freep) char *cursor = xstrdup("");
	size_t pages = 0, fresh;
	int r = EXIT_OK;

	do {
		r = list_page(l, &cursor, &fresh);
		pages++;
	} while (r == EXIT_OK && *cursor && l->left > 0);
	if (pages == 1)
		return r;
	free(cursor);
	cursor = xstrdup("");
	do {
		r = r == EXIT_OK && l->left > 0 ? list_page(l, &cursor, &fresh) : r;
	} while (r == EXIT_OK && *cursor && l->left > 0 && fresh > 0);
	return r;
}

static int list_conversations(struct ctl *c)
{
	static const char *const with_names[] = { ">NEW", "TIME", "CONVERSATION", "NAME", "LAST MESSAGE", NULL };
	static const char *const narrow[] = { ">NEW", "TIME", "CONVERSATION", "LAST MESSAGE", NULL };
	bool names = term_columns() >= NAME_FROM;
	_cleanup_(table_freep) struct table *t = table_new(names ? with_names : narrow);
	_cleanup_(json_freep) struct json *j = c->json != JSON_OFF ? json_new(stdout, c->json) : NULL;
	struct listing l = { .c = c, .json = j, .table = t, .names = names };
	int r;

	r = ctl_lines(c, UINT32_MAX, UINT32_MAX, &l.left);
	if (r == EXIT_OK)
		r = ctl_account(c, NULL);
	if (r == EXIT_OK)
		r = list(&l);
	/* Of 80 columns the message gets what is left: at least 29. */
	table_limit(t, 2, 32);
	if (names)
		table_limit(t, 3, 20);
	table_print(t, stdout);
	while (l.n_seen > 0)
		free(l.seen[--l.n_seen]);
	free(l.seen);
	return r;
}

#define FAILED_INDENT 6
#define FAILED_MAX 50 /* ids of one GetStatus (org.varve.Varve1.xml) */

/* The message, below it why, and what to do. */
static void put_failed(const struct varve_message *m)
{
	const char *why = *m->error_text ? m->error_text : m->error;
	bool whole = m->state == VARVE_FAILED;
	_cleanup_(freep) char *raw = xasprintf("%llu %s: %s", (unsigned long long)m->id, m->conversation, message_text(m));
	_cleanup_(freep) char *line = text_clean(raw, false);
	_cleanup_(freep) char *said = xasprintf("%s%s%s", whole ? "" : "an edit, reaction or retraction of it failed",
						!whole && *why ? ": " : "", whole && !*why ? "it was not accepted" : why);
	_cleanup_(freep) char *reason = text_clean(said, false);
	_cleanup_(freep) char *next = xasprintf("varvectl retry %llu | varvectl delete %llu", (unsigned long long)m->id,
						(unsigned long long)m->id);

	term_put(stdout, COLOR_OFF, line, 0, FAILED_INDENT);
	printf("%*s", FAILED_INDENT, "");
	term_put(stdout, COLOR_RED, reason, FAILED_INDENT, FAILED_INDENT);
	printf("%*s%s\n", FAILED_INDENT, "", next);
}

/* The messages whose ids GetStatus names. */
static int list_failed(struct ctl *c)
{
	_cleanup_(value_freep) struct value *status = NULL;
	_cleanup_(json_freep) struct json *j = c->json != JSON_OFF ? json_new(stdout, c->json) : NULL;
	const struct value *outbox, *list;
	struct varve_messages *set;
	uint64_t ids[FAILED_MAX];
	size_t n = 0;
	int64_t all;
	int r = ctl_account(c, NULL);

	if (r == EXIT_OK)
		r = value_status(c, &status);
	if (r != EXIT_OK)
		return r;
	outbox = value_get(show_find(status, c->account_jid), "outbox");
	list = value_get(outbox, "failed_ids");
	all = value_int(outbox, "failed");
	for (; n < value_count(list) && n < FAILED_MAX; n++)
		ids[n] = value_number(value_at(list, n));
	if (n == 0) {
		if (!j && !c->quiet)
			puts("No message failed.");
		return EXIT_OK;
	}
	r = varve_get_messages(c->account, ids, n, &set);
	if (r < 0)
		return ctl_fail_call(c, r);
	for (size_t i = 0; i < varve_messages_count(set); i++) {
		if (!j) {
			put_failed(varve_messages_get(set, i));
			continue;
		}
		json_object(j, NULL);
		message_json(j, varve_messages_get(set, i));
		json_object_end(j);
	}
	varve_messages_unref(set);
	if (!j && n == FAILED_MAX && all > FAILED_MAX)
		printf("and %lld more\n", (long long)all - FAILED_MAX);
	return EXIT_OK;
}

int cmd_ls(struct ctl *c)
{
	if (ctl_opt(c, FAILED))
		return list_failed(c);
	return list_conversations(c);
}
