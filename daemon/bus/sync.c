/* org.varve.Varve1.Sync: what of the server's archive is here, what is missing, and the calls that change that. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/fetch.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "bus/tree.h"
#include "bus/verify.h"
#include "ipc/names.h"
#include "store/read.h"

#define SPANS_MAX READ_ROWS_MAX /* a picture of more is a black line; the newest are shown */

static_assert((int)VARVE_SPAN_START == (int)SPAN_START && (int)VARVE_SPAN_LIVE == (int)SPAN_LIVE &&
		      (int)VARVE_SPAN_LOST == (int)SPAN_LOST && (int)VARVE_SPAN_EMPTY == (int)SPAN_EMPTY,
	      "the contract's bits are those of core/cover.h");

static int sync_now(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	r = options_read_none(m, error);
	if (r < 0)
		return r;
	r = hub_sync_now(conn_hub(userdata), tree_call_account(m), &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}

static int set_paused(sd_bus_message *m, void *userdata, bool pause, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	r = options_read_none(m, error);
	if (r < 0)
		return r;
	r = hub_sync_pause(conn_hub(userdata), tree_call_account(m), pause, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}

static int on_pause(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return set_paused(m, userdata, true, error);
}

static int on_resume(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return set_paused(m, userdata, false, error);
}

/* Our own stamp of an edge, else the archive's; a live message's edge has none of the archive's clock. */
static int64_t edge_time(struct store *s, int64_t archive, const char *aid, int64_t us, int64_t *ret_msg)
{
	int64_t own_us = 0, msg = 0;

	if (*aid && read_aid_time(s, archive, aid, &own_us, &msg) != 0)
		own_us = msg = 0;
	if (ret_msg)
		*ret_msg = msg;
	return own_us > 0 ? own_us : us;
}

static const char *gap_state(const struct gap *g, bool fetching)
{
	if (g->state == GAP_LOST)
		return "lost";
	return fetching ? "fetching" : "open";
}

static int append_gap(sd_bus_message *m, struct store *s, int64_t archive, const struct gap *g, bool fetching)
{
	int64_t after_msg, before_msg;
	int64_t after_us = edge_time(s, archive, str_or_empty(g->after_id), g->after_us, &after_msg);
	int64_t before_us = edge_time(s, archive, str_or_empty(g->before_id), g->before_us, &before_msg);
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', VARVE_SIG_GAP_FIELDS)) < 0 ||
	    (r = sd_bus_message_append(m, "tsttxx", (uint64_t)g->span + 1, "", (uint64_t)after_msg, (uint64_t)before_msg,
				       after_us, before_us)) < 0 ||
	    (r = sd_bus_message_append(m, "s", gap_state(g, fetching))) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = rows_entry_text(m, "after-stanza-id", cover_shown_id(g->after_id))) < 0 ||
	    (r = rows_entry_text(m, "before-stanza-id", cover_shown_id(g->before_id))) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

/* The gaps of spans from index ${from} on; *ret_more: ${limit} did not suffice. */
static int append_gaps(sd_bus_message *m, struct hub *hub, int64_t account, uint64_t from, uint32_t limit, bool *ret_more)
{
	int64_t archive = 0;
	const struct cover *cover = hub_cover(hub, account, &archive);
	struct account_status st;
	uint32_t n = 0;
	struct gap g;
	int r;

	*ret_more = false;
	for (size_t i = from; cover && i < cover->n; i++) {
		if (!cover_gap(cover, i, &g))
			continue;
		if (n++ == limit) {
			*ret_more = true;
			return 0;
		}
		r = append_gap(m, hub_store(hub), archive, &g, hub_fetching(hub, account, i));
		if (r < 0)
			return r;
	}
	if (!cover || from > cover->n || !cover_tail(cover, &g) || hub_status(hub, account, &st) != 0 ||
	    st.gaps <= cover_count_gaps(cover, false))
		return 0;
	if (n == limit) {
		*ret_more = true;
		return 0;
	}
	return append_gap(m, hub_store(hub), archive, &g, false);
}

static int list_gaps(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct conn *c = userdata;
	const char *conversation;
	uint64_t after;
	uint32_t limit;
	bool more;
	int r;

	if (conn_defer(c, m, list_gaps))
		return 1;
	r = sd_bus_message_read(m, "stu", &conversation, &after, &limit);
	if (r < 0)
		return error_from_read(error, r);
	if (limit == 0 || limit > READ_ROWS_MAX)
		limit = READ_ROWS_MAX;
	if ((r = sd_bus_message_new_method_return(m, &reply)) < 0 ||
	    (r = sd_bus_message_open_container(reply, 'a', VARVE_SIG_GAP)) < 0 ||
	    (r = append_gaps(reply, conn_hub(c), tree_call_account(m), after, limit, &more)) < 0 ||
	    (r = sd_bus_message_close_container(reply)) < 0 ||
	    (r = sd_bus_message_append(reply, "b", more)) < 0)
		return err_trace(r);
	return conn_reply(c, reply, (size_t)limit * 128);
}

/* Flags that mean the same outside; runs are the cover's own affair. */
#define SHOWN_FLAGS (SPAN_START | SPAN_LIVE | SPAN_LOST | SPAN_EMPTY)

/* ${run}: the run of live messages that follows ${span} without a gap, shown as one with it; or NULL. */
static int append_span(sd_bus_message *m, struct store *s, int64_t archive, const struct span *span,
		       const struct span *run, bool fetching)
{
	const struct edge *first = span->flags & SPAN_EMPTY && run ? &run->first : &span->first;
	const struct edge *last = run ? &run->last : &span->last;
	uint32_t flags = ((span->flags | (run ? run->flags : 0)) & SHOWN_FLAGS) | (fetching ? VARVE_SPAN_FETCHING : 0);
	int64_t first_us = edge_time(s, archive, str_or_empty(first->id), first->us, NULL);
	int64_t last_us = edge_time(s, archive, str_or_empty(last->id), last->us, NULL);
	int r;

	if (run)
		flags &= ~(uint32_t)SPAN_EMPTY;

	if ((r = sd_bus_message_open_container(m, 'r', VARVE_SIG_SPAN_FIELDS)) < 0 ||
	    (r = sd_bus_message_append(m, "xx", first_us, last_us)) < 0 ||
	    (r = rows_text(m, cover_shown_id(first->id))) < 0 ||
	    (r = rows_text(m, cover_shown_id(last->id))) < 0 ||
	    (r = sd_bus_message_append(m, "ua{sv}", flags, 0)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

static int append_own_archive(sd_bus_message *m, struct hub *hub, int64_t account, const char *jid)
{
	int64_t archive = 0, start_us = 0, end_us = 0;
	size_t n, skip;
	const struct cover *cover = hub_cover(hub, account, &archive);
	int r;

	n = cover ? cover->n : 0;
	skip = n > SPANS_MAX ? n - SPANS_MAX : 0;
	hub_archive_ends(hub, account, &start_us, &end_us);
	if ((r = sd_bus_message_open_container(m, 'r', VARVE_SIG_COVERAGE_FIELDS)) < 0 ||
	    (r = rows_text(m, jid)) < 0 ||
	    (r = sd_bus_message_append(m, "xx", start_us, end_us)) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', VARVE_SIG_SPAN)) < 0)
		return err_trace(r);
	for (size_t i = skip; i < n; i++) {
		const struct span *run = i + 1 < n && cover->spans[i + 1].flags & SPAN_NEXT ? &cover->spans[i + 1] : NULL;

		r = append_span(m, hub_store(hub), archive, &cover->spans[i], run, hub_fetching(hub, account, i));
		i += run ? 1 : 0;
		if (r < 0)
			return r;
	}
	if ((r = sd_bus_message_close_container(m)) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (skip > 0 && (r = rows_entry(m, "cut", "b", 1)) < 0) ||
	    (r = sd_bus_message_close_container(m)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

static int get_coverage(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(freep) char *jid = NULL;
	struct conn *c = userdata;
	int64_t id = tree_call_account(m);
	const struct account *a = hub_account(conn_hub(c), id);
	int r;

	if (conn_defer(c, m, get_coverage))
		return 1;
	r = options_read_none(m, error);
	if (r < 0)
		return r;
	if (!a)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no such account");
	jid = xstrdup(a->jid);
	if ((r = sd_bus_message_new_method_return(m, &reply)) < 0 ||
	    (r = sd_bus_message_open_container(reply, 'a', VARVE_SIG_COVERAGE)) < 0 ||
	    (r = append_own_archive(reply, conn_hub(c), id, jid)) < 0 ||
	    (r = sd_bus_message_close_container(reply)) < 0)
		return err_trace(r);
	return conn_reply(c, reply, SPANS_MAX * 128);
}

static int get_property(_unused_ sd_bus *bus, const char *path, _unused_ const char *interface, const char *property,
			sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct account_status s = { 0 };

	if (hub_status(conn_hub(userdata), tree_account(path), &s) != 0)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no such account");
	if (strcmp(property, "State") == 0)
		return rows_text(m, s.sync_state);
	if (strcmp(property, "Phase") == 0)
		return rows_text(m, s.sync_phase);
	if (strcmp(property, "Progress") == 0)
		return sd_bus_message_append(m, "(tt)", s.done, s.total);
	if (strcmp(property, "GapCount") == 0)
		return sd_bus_message_append(m, "u", s.gaps);
	if (strcmp(property, "LostCount") == 0)
		return sd_bus_message_append(m, "u", s.lost);
	if (strcmp(property, "MessageCount") == 0)
		return sd_bus_message_append(m, "t", s.messages);
	if (strcmp(property, "CaughtUp") == 0)
		return sd_bus_message_append(m, "b", s.caught_up);
	if (strcmp(property, "OldestTime") == 0)
		return sd_bus_message_append(m, "x", s.oldest_us);
	return sd_bus_message_append(m, "x", s.caught_up_us);
}

#define U SD_BUS_VTABLE_UNPRIVILEGED /* roles.c decides, not sd-bus's idea of privilege */
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
const sd_bus_vtable sync_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("SyncNow", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, sync_now, U),
	SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, on_pause, U),
	SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, on_resume, U),
	SD_BUS_METHOD_WITH_ARGS("ListGaps", SD_BUS_ARGS("s", conversation, "t", after_gap, "u", limit),
				SD_BUS_RESULT("a" VARVE_SIG_GAP, gaps, "b", more), list_gaps, U),
	SD_BUS_METHOD_WITH_ARGS("GetCoverage", SD_BUS_ARGS("a{sv}", options),
				SD_BUS_RESULT("a" VARVE_SIG_COVERAGE, archives), get_coverage, U),
	SD_BUS_METHOD_WITH_ARGS("Fetch", SD_BUS_ARGS("s", conversation, "a{sv}", options), SD_BUS_RESULT("o", job),
				fetch_handle, U),
	SD_BUS_METHOD_WITH_ARGS("Verify", SD_BUS_ARGS("s", conversation, "a{sv}", options), SD_BUS_RESULT("o", job),
				verify_handle, U),
	SD_BUS_PROPERTY("State", "s", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("Phase", "s", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("Progress", "(tt)", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("GapCount", "u", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("LostCount", "u", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("MessageCount", "t", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("CaughtUp", "b", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("OldestTime", "x", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("CaughtUpTime", "x", get_property, 0, CHANGES),
	SD_BUS_VTABLE_END,
};
