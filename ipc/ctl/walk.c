#include "ipc/ctl/walk.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/page.h"
#include "ipc/ctl/value.h"

#define PASSES_MAX 20		     /* each begins anew because hundreds of neighbours changed between two calls */
#define ID_MAX (UINT64_C(1) << 33)   /* a gigabyte of bits */
#define CHANGES_PAGE 500	     /* rows a call, as many as there are */
#define LATE_AT_ONCE 8		     /* rows a call: of the longest, no more fit into an answer */

struct walking {
	struct ctl *c;
	struct walk *w;
	char *epoch;
	uint64_t seq;	  /* of the feed, when this pass began */
	uint64_t last_id; /* what is above is new; UINT64_MAX: an older varved does not say */
	uint64_t top;	  /* the highest that came */
	uint8_t *seen;	  /* a bit an id */
	size_t n_seen;	  /* bytes */
	bool late;	  /* what comes now comes too late to be in its place */
	bool enough;	  /* nobody wants more */
	bool odd;	  /* an id that cannot be */
};

static bool is_due(const struct walking *x, uint64_t id)
{
	return id <= x->last_id && !(id / 8 < x->n_seen && x->seen[id / 8] & 1u << id % 8);
}

static void mark(struct walking *x, uint64_t id)
{
	size_t at = (size_t)(id / 8);

	if (at >= x->n_seen) {
		size_t n = at + at / 2 + 4096;

		x->seen = xrealloc(x->seen, n, 1);
		memset(x->seen + x->n_seen, 0, n - x->n_seen);
		x->n_seen = n;
	}
	x->seen[at] |= (uint8_t)(1u << id % 8);
	x->top = id > x->top ? id : x->top;
}

static void take(struct walking *x, const struct varve_message *m)
{
	x->odd = x->odd || m->id >= ID_MAX;
	if (x->odd || !is_due(x, m->id))
		return;
	mark(x, m->id);
	x->w->late += x->late;
	x->w->row(x->w->userdata, m);
}

/* Where the archive is now. */
static int position(struct walking *x)
{
	_cleanup_(unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(value_freep) struct value *all = NULL;
	int r = varve_call_new(x->c->varve, varve_account_path(x->c->account), "org.freedesktop.DBus.Properties", "GetAll", &m);

	if (r >= 0)
		r = sd_bus_message_append(m, "s", VARVE_IFACE_ARCHIVE);
	if (r >= 0)
		r = varve_call(x->c->varve, m, 0, &reply);
	if (r < 0)
		return ctl_fail_call(x->c, r);
	if (value_read(reply, &all) < 0 || !*value_str(all, "Epoch"))
		return ctl_bad_reply(x->c, "GetAll");
	x->seq = value_number(value_get(all, "Seq"));
	if (x->epoch)
		return EXIT_OK;
	x->epoch = xstrdup(value_str(all, "Epoch"));
	x->last_id = value_get(all, "LastId") ? value_number(value_get(all, "LastId")) : UINT64_MAX;
	return EXIT_OK;
}

/* ---- the way ---- */

static void take_page(struct walking *x, const struct page *p, bool *begun)
{
	for (size_t i = 0; i < p->n; i++) {
		/* Where nothing is so new the page may begin before ${since}; later rows are in archive order. */
		*begun = *begun || p->rows[i]->time_usec >= x->w->since_us;
		if (*begun)
			take(x, p->rows[i]);
	}
}

/* The page after ${p}, which it becomes. EXIT_OK, PAGE_LOST, or an exit code; *ret_end: there is none. */
static int next_page(struct walking *x, const struct varve_history_query *q, struct page *p, bool *ret_end)
{
	struct page more = { 0 };
	int r;

	*ret_end = p->edges & VARVE_EDGE_NEWEST || p->n == 0;
	if (*ret_end)
		return EXIT_OK;
	r = page_beyond(x->c, q, p, false, PAGE_ROWS_MAX - 1, &more);
	if (r != EXIT_OK)
		return r;
	page_deinit(p);
	*p = more;
	return EXIT_OK;
}

/* The first page. Between two passes the conversation may go as a whole: then ${ret} is empty. */
static int first_page(struct walking *x, const struct varve_history_query *q, struct page *ret)
{
	_cleanup_(failure_deinit) struct failure f = { 0 };
	int r = page_try(x->c, q, ret);

	if (r == 0)
		return EXIT_OK;
	failure_take(x->c, r, &f);
	return x->late && failure_is(&f, VARVE_ERROR_NO_SUCH_CONVERSATION) ? EXIT_OK : ctl_fail_taken(x->c, &f);
}

static int walk_pages(struct walking *x)
{
	const struct varve_history_query q = {
		.conversation = x->w->conversation,
		.anchor = x->w->since_us ? "time" : "oldest",
		.value = x->w->since_us > 0 ? (uint64_t)x->w->since_us : 0,
		.after = PAGE_ROWS_MAX - 1,
		.across_gaps = true,
	};
	_cleanup_(page_deinit) struct page p = { 0 };
	bool begun = x->w->since_us == 0, end = false;
	int r = first_page(x, &q, &p);

	while (r == EXIT_OK && !end) {
		take_page(x, &p, &begun);
		x->enough = !x->w->page(x->w->userdata);
		if (x->odd)
			return ctl_bad_reply(x->c, "GetHistory");
		if (x->enough)
			return EXIT_OK;
		r = next_page(x, &q, &p, &end);
	}
	return r;
}

/* ---- what moved past the walk ---- */

struct late {
	uint64_t *ids; /* owned */
	size_t n;
};

/* Changes tells (ids of) messages in the middle of its answer. */
static int read_changes(struct walking *x, sd_bus_message *reply, struct late *late, uint64_t *next, int *ret_more)
{
	uint64_t id;
	int r = sd_bus_message_read(reply, "tb", next, ret_more);

	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', VARVE_SIG_MESSAGE);
	while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', VARVE_SIG_MESSAGE_FIELDS)) > 0) {
		r = sd_bus_message_read(reply, "t", &id);
		if (r < 0)
			break;
		if (is_due(x, id) && (x->last_id != UINT64_MAX || id <= x->top)) {
			late->ids = xrealloc(late->ids, late->n + 1, sizeof(*late->ids));
			late->ids[late->n++] = id;
		}
		r = sd_bus_message_skip(reply, &VARVE_SIG_MESSAGE_FIELDS[1]);
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
	}
	return r < 0 ? r : 0;
}

/* PAGE_LOST: too much was deleted since. */
static int ask_changes(struct walking *x, uint64_t since, sd_bus_message **ret)
{
	_cleanup_(failure_deinit) struct failure f = { 0 };
	_cleanup_(unrefp) sd_bus_message *m = NULL;
	int r = varve_call_new(x->c->varve, varve_account_path(x->c->account), VARVE_IFACE_ARCHIVE, "Changes", &m);

	if (r >= 0)
		r = sd_bus_message_append(m, "stua{sv}", x->epoch, since, (uint32_t)CHANGES_PAGE, 2, "kinds", "as", 1, "message",
					  "skip-bodies", "b", 1);
	if (r >= 0)
		r = varve_call(x->c->varve, m, 0, ret);
	if (r >= 0)
		return EXIT_OK;
	failure_take(x->c, r, &f);
	return failure_is(&f, VARVE_ERROR_CHANGES_TOO_OLD) ? PAGE_LOST : ctl_fail_taken(x->c, &f);
}

static int take_late(struct walking *x, const struct late *late)
{
	for (size_t i = 0; i < late->n; i += LATE_AT_ONCE) {
		size_t n = late->n - i < LATE_AT_ONCE ? late->n - i : LATE_AT_ONCE;
		struct varve_messages *set;
		int r = varve_get_messages(x->c->account, late->ids + i, n, &set);

		if (r < 0)
			return ctl_fail_call(x->c, r);
		for (size_t k = 0; k < varve_messages_count(set); k++) {
			const struct varve_message *m = varve_messages_get(set, k);

			if (m->time_usec >= x->w->since_us && (!*x->w->conversation || strcmp(m->conversation, x->w->conversation) == 0))
				take(x, m);
		}
		varve_messages_unref(set);
	}
	return EXIT_OK;
}

/* Whoever moved has changed: what did not come, and was there from the beginning, is behind us. */
static int walk_changes(struct walking *x)
{
	uint64_t since = x->seq;
	int more = 1, r = EXIT_OK;

	x->late = true;
	while (r == EXIT_OK && more) {
		_cleanup_(unrefp) sd_bus_message *reply = NULL;
		struct late late = { 0 };

		r = ask_changes(x, since, &reply);
		if (r == EXIT_OK && read_changes(x, reply, &late, &since, &more) < 0)
			r = ctl_bad_reply(x->c, "Changes");
		if (r == EXIT_OK)
			r = take_late(x, &late);
		free(late.ids);
	}
	return r;
}

int walk_all(struct ctl *c, struct walk *w)
{
	struct walking x = { .c = c, .w = w };
	int r = PAGE_LOST;

	w->late = 0;
	for (int pass = 0; r == PAGE_LOST && pass < PASSES_MAX; pass++) {
		x.late = pass > 0;
		r = position(&x);
		if (r == EXIT_OK)
			r = walk_pages(&x);
		if (r == EXIT_OK && !x.enough)
			r = walk_changes(&x);
	}
	free(x.epoch);
	free(x.seen);
	if (r == PAGE_LOST)
		return ctl_fail(c, EXIT_FAIL, "varvectl sync pause, and again", "the archive changes faster than it can be read");
	return r;
}
