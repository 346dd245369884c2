#include "bus/search.h"

#include <errno.h>

#include "base/err.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/later.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "bus/tree.h"
#include "bus/turn.h"
#include "ipc/names.h"
#include "store/search.h"

struct job {
	struct searches *all;
	struct later *later;
	struct search_query q; /* strings are the call's */
	struct search *x;      /* NULL: to begin anew */
	bool reads_only;       /* its connection */
	bool found;	       /* all of it: the answer is made in a turn of its own */
	struct job *next;
};

struct searches {
	struct hub *hub;
	struct turn idle;
	struct job *first; /* whose turn is next */
};

/* ---- one search ---- */

static bool reads_only(struct conn *c)
{
	return conn_config(c)->role <= ROLE_READ;
}

static size_t count(const struct searches *s, bool of_readers)
{
	size_t n = 0;

	for (const struct job *j = s->first; j; j = j->next)
		n += !of_readers || j->reads_only;
	return n;
}

static void append(struct searches *s, struct job *j)
{
	struct job **at = &s->first;

	while (*at)
		at = &(*at)->next;
	j->next = NULL;
	*at = j;
}

static void job_free(struct job *j)
{
	struct job **at = &j->all->first;

	while (*at && *at != j)
		at = &(*at)->next;
	if (*at)
		*at = j->next;
	search_free(j->x);
	free(j);
}

static void on_gone(void *userdata)
{
	job_free(userdata);
}

/* Outcomes of search_new() in words. */
static int refuse(sd_bus_error *error, int r, const struct search_query *q)
{
	switch (r) {
	case SEARCH_E_EMPTY:
		return error_invalid(error, "there is no word to look for in the query");
	case SEARCH_E_LIMIT:
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "a query has at most %d bytes and %d words or phrases",
				 SEARCH_QUERY_MAX, SEARCH_TERMS_MAX);
	case SEARCH_E_CURSOR:
		return error_invalid(error, "this is not a cursor of this search: give next_cursor of the call before, or \"\"");
	case SEARCH_E_NO_CONVERSATION:
		return error_set(error, VARVE_ERROR_NO_SUCH_CONVERSATION,
				 "no message with '%s' is stored; a conversation is named by an address, as name@server", q->conversation);
	default:
		return error_from_store(error, r < 0 ? r : -EIO);
	}
}

struct page {
	sd_bus_message *reply;
	size_t bytes;
};

static int add_hit(void *userdata, const struct message_row *row, const struct search_range *ranges, size_t n)
{
	struct page *p = userdata;
	int r;

	p->bytes += rows_message_size(row) + n * sizeof(*ranges);
	if ((r = sd_bus_message_open_container(p->reply, 'r', VARVE_SIG_HIT_FIELDS)) < 0 ||
	    (r = rows_message(p->reply, row, false)) < 0 ||
	    (r = sd_bus_message_open_container(p->reply, 'a', "(uu)")) < 0)
		return err_trace(r);
	for (size_t i = 0; i < n; i++)
		if ((r = sd_bus_message_append(p->reply, "(uu)", ranges[i].start, ranges[i].length)) < 0)
			return err_trace(r);
	if ((r = sd_bus_message_close_container(p->reply)) < 0 || (r = sd_bus_message_close_container(p->reply)) < 0)
		return err_trace(r);
	return 0;
}

static int make_reply(struct job *j, struct page *p)
{
	_cleanup_(freep) char *cursor = NULL;
	int r;

	if ((r = sd_bus_message_new_method_return(later_call(j->later), &p->reply)) < 0 ||
	    (r = sd_bus_message_open_container(p->reply, 'a', VARVE_SIG_HIT)) < 0)
		return err_trace(r);
	r = search_hits(j->x, add_hit, p, &cursor);
	if (r < 0)
		return err_trace(r);
	if ((r = sd_bus_message_close_container(p->reply)) < 0 ||
	    (r = sd_bus_message_append(p->reply, "s", str_or_empty(cursor))) < 0)
		return err_trace(r);
	return 0;
}

/* The answer; ${error} where it is set, else what was found. */
static void finish(struct job *j, int r, sd_bus_error *error)
{
	struct page p = { 0 };

	if (r == 0) {
		r = make_reply(j, &p);
		if (r < 0)
			r = error_from_store(error, r);
	}
	if (r >= 0)
		later_reply(j->later, p.reply, p.bytes);
	else
		later_fail(j->later, r, error);
	sd_bus_message_unref(p.reply);
	job_free(j);
}

/* ---- turns ---- */

/* One slice. True: there is more to do. */
static bool slice(struct job *j)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct hub *hub = j->all->hub;
	int r = 0;

	if (hub_state(hub) != HUB_READY) {
		finish(j, error_from_state(&error, hub), &error);
		return false;
	}
	if (!hub_account(hub, j->q.account)) {
		finish(j, error_set(&error, VARVE_ERROR_NOT_FOUND, "the account was removed meanwhile"), &error);
		return false;
	}
	if (!j->x)
		r = search_new(hub_store(hub), &j->q, &j->x);
	if (r != 0) {
		finish(j, refuse(&error, r, &j->q), &error);
		return false;
	}
	r = j->found ? 0 : search_step(j->x, SEARCH_SLICE_US);
	if (r > 0 || (r == 0 && !j->found)) {
		j->found = r == 0;
		return true;
	}
	finish(j, r < 0 ? error_from_store(&error, r) : 0, &error);
	return false;
}

static void on_idle(void *userdata)
{
	struct searches *s = userdata;
	struct job *j = s->first;

	if (j && slice(j)) {
		s->first = j->next;
		append(s, j);
	}
	if (s->first)
		turn_arm(&s->idle);
}

int searches_new(sd_event *event, struct hub *hub, struct searches **ret)
{
	struct searches *s = xnew(struct searches);

	s->hub = hub;
	turn_init(&s->idle, event, SD_EVENT_PRIORITY_IDLE, on_idle, s);
	*ret = s;
	return 0;
}

struct searches *searches_free(struct searches *s)
{
	if (!s)
		return NULL;
	turn_deinit(&s->idle);
	free(s);
	return NULL;
}

void searches_close(struct searches *s)
{
	for (struct job *j = s->first; j; j = j->next)
		j->x = search_free(j->x);
}

/* ---- the call ---- */

static int check_limits(struct searches *s, struct conn *c, sd_bus_error *error)
{
	if (later_count(c, on_gone) >= SEARCHES_CONN_MAX)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "this connection searches already: wait for the answer");
	if (count(s, false) >= SEARCHES_MAX || (reads_only(c) && count(s, true) >= SEARCHES_READERS_MAX))
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "%d searches are at work already: try again later",
				 reads_only(c) ? SEARCHES_READERS_MAX : SEARCHES_MAX);
	return 0;
}

int search_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct conn *c = userdata;
	struct searches *s = conn_config(c)->searches;
	struct search_query q = { .account = tree_call_account(m) };
	const struct option known[] = {
		{ "conversation", OPTION_TEXT, &q.conversation },
		{ "sender", OPTION_TEXT, &q.sender },
		{ "since", OPTION_TIME, &q.since_us },
		{ "until", OPTION_TIME, &q.until_us },
	};
	struct search *x = NULL;
	struct job *j;
	int r;

	if (conn_defer(c, m, search_handle))
		return 1;
	r = sd_bus_message_read(m, "ssu", &q.text, &q.cursor, &q.limit);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read(m, known, ARRAY_SIZE(known), error)) < 0 || (r = check_limits(s, c, error)) < 0)
		return r;
	if (q.limit == 0 || q.limit > SEARCH_HITS_MAX)
		q.limit = SEARCH_HITS_MAX;
	r = search_new(hub_store(conn_hub(c)), &q, &x);
	if (r != 0)
		return refuse(error, r, &q);
	j = xnew(struct job);
	*j = (struct job){ .all = s, .q = q, .x = x, .reads_only = reads_only(c) };
	r = later_new(c, m, on_gone, j, &j->later, error);
	if (r < 0) {
		job_free(j);
		return r;
	}
	append(s, j);
	turn_arm(&s->idle);
	return 1;
}
