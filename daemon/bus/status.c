#include "bus/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "bus/errors.h"
#include "bus/rows.h"
#include "varve-build.h"

static int open_dict(sd_bus_message *m, const char *key)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', key)) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "a{sv}")) < 0)
		return r;
	return sd_bus_message_open_container(m, 'a', "{sv}");
}

static int close_containers(sd_bus_message *m, int n)
{
	int r = 0;

	for (int i = 0; i < n && r >= 0; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

/* Times: 0 is absent. */
static int entry_time(sd_bus_message *m, const char *key, int64_t us)
{
	return us > 0 ? rows_entry(m, key, "x", us) : 0;
}

static int append_session(sd_bus_message *m, const struct account_status *s)
{
	int r;

	if ((r = open_dict(m, "session")) < 0 ||
	    (r = rows_entry(m, "resumable", "b", s->resumable)) < 0 ||
	    (r = rows_entry(m, "resumed", "b", s->resumed)) < 0 ||
	    (r = rows_entry(m, "resumes", "t", s->resumes)) < 0 ||
	    (r = rows_entry(m, "binds", "t", s->binds)) < 0 ||
	    (r = rows_entry(m, "flights", "u", s->flights)) < 0 ||
	    (r = entry_time(m, "last_resume_usec", s->last_resume_us)) < 0 ||
	    (r = rows_entry(m, "h_in", "u", s->h_in)) < 0 ||
	    (r = rows_entry(m, "h_out", "u", s->h_out)) < 0 ||
	    (r = rows_entry(m, "unacked", "u", s->unacked)) < 0 ||
	    (r = rows_entry_text(m, "address", s->address)) < 0 ||
	    (r = rows_entry_text(m, "mechanism", s->mechanism)) < 0)
		return r;
	return close_containers(m, 3);
}

static int append_sync(sd_bus_message *m, const struct account_status *s)
{
	int r;

	if ((r = open_dict(m, "sync")) < 0 ||
	    (r = rows_entry_text(m, "state", s->sync_state)) < 0 ||
	    (r = rows_entry_text(m, "phase", s->sync_phase)) < 0 ||
	    (r = rows_entry(m, "done", "t", s->done)) < 0 ||
	    (r = rows_entry(m, "total", "t", s->total)) < 0 ||
	    (r = rows_entry(m, "gaps", "u", s->gaps)) < 0 ||
	    (r = rows_entry(m, "lost", "u", s->lost)) < 0 ||
	    (r = rows_entry(m, "messages", "t", s->messages)) < 0 ||
	    (r = entry_time(m, "oldest_usec", s->oldest_us)) < 0 ||
	    (r = entry_time(m, "caught_up_usec", s->caught_up_us)) < 0 ||
	    (r = rows_entry(m, "caught_up", "b", s->caught_up)) < 0 ||
	    (s->metered && (r = rows_entry(m, "metered", "b", 1)) < 0) ||
	    (s->unsettled_us && (r = rows_entry(m, "unsettled", "b", 1)) < 0) ||
	    (s->contradicts && (r = rows_entry(m, "contradicts", "b", 1)) < 0))
		return r;
	return close_containers(m, 3);
}

/* "failed_ids": absent when there is none. */
static int append_failed(sd_bus_message *m, const struct outbox_status *s)
{
	int r;

	if (s->n_failed_ids == 0)
		return 0;
	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', "failed_ids")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "at")) < 0 ||
	    (r = sd_bus_message_append_array(m, 't', s->failed_ids, s->n_failed_ids * sizeof(*s->failed_ids))) < 0)
		return r;
	return close_containers(m, 2);
}

/* "outbox": absent if it cannot be read, for no number is better than a wrong one. */
static int append_outbox(sd_bus_message *m, const struct hub *hub, int64_t id)
{
	struct outbox_status s;
	int r;

	if (hub_outbox(hub, id, &s) != 0)
		return 0;
	if ((r = open_dict(m, "outbox")) < 0 ||
	    (r = rows_entry(m, "queued", "u", s.queued)) < 0 ||
	    (r = rows_entry(m, "sending", "u", s.sending)) < 0 ||
	    (r = rows_entry(m, "failed", "u", s.failed)) < 0 ||
	    (r = append_failed(m, &s)) < 0)
		return r;
	return close_containers(m, 3);
}

/* "push": absent without. */
static int append_push(sd_bus_message *m, const struct account_status *s)
{
	/* The condition alone: what a server writes behind it may name anybody, and this is nobody else's address. */
	_cleanup_(freep) char *reason =
		s->push_service ? xstrndup(s->push_reason, strcspn(s->push_reason, ":")) : xstrdup("");
	int r;

	if (!s->push_service && s->push_going == 0)
		return 0;
	if ((r = open_dict(m, "push")) < 0 ||
	    (r = rows_entry_text(m, "state", s->push_service ? s->push_state : "off")) < 0 ||
	    (r = rows_entry_text(m, "reason", reason)) < 0 ||
	    (r = rows_entry(m, "going", "u", s->push_going)) < 0)
		return r;
	return close_containers(m, 3);
}

static int append_account(sd_bus_message *m, struct hub *hub, int64_t id)
{
	const struct account *a = hub_account(hub, id);
	_cleanup_(freep) char *reason = NULL;
	struct account_status s = { 0 };
	char number[24];
	int r;

	if (!a || hub_status(hub, id, &s) != 0)
		return 0;
	snprintf(number, sizeof(number), "%" PRId64, id);
	reason = error_full_name(s.reason_name);
	if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = rows_entry(m, "id", "s", number)) < 0 ||
	    (r = rows_entry_text(m, "jid", a->jid)) < 0 ||
	    (r = rows_entry(m, "enabled", "b", a->enabled)) < 0 ||
	    (r = rows_entry_text(m, "state", s.state)) < 0 ||
	    (r = rows_entry_text(m, "state_error", reason)) < 0 ||
	    (r = rows_entry_text(m, "state_reason", s.reason_text)) < 0 ||
	    (r = rows_entry_text(m, "resource", s.resource)) < 0 ||
	    (r = entry_time(m, "next_retry_usec", s.next_retry_us)) < 0 ||
	    (r = append_session(m, &s)) < 0 ||
	    (r = append_sync(m, &s)) < 0 ||
	    (r = append_outbox(m, hub, id)) < 0 ||
	    (r = append_push(m, &s)) < 0)
		return r;
	return sd_bus_message_close_container(m);
}

const char *status_state_name(enum hub_state state)
{
	static const char *const names[] = { [HUB_READY] = "ready", [HUB_LOCKED] = "locked", [HUB_FAILED] = "failed" };

	return names[state];
}

const char *status_network_name(enum hub_network network)
{
	static const char *const names[] = {
		[HUB_NETWORK_UNKNOWN] = "unknown", [HUB_NETWORK_NONE] = "none", [HUB_NETWORK_UP] = "up",
		[HUB_NETWORK_METERED] = "metered",
	};

	return names[network];
}

static int append_archive(sd_bus_message *m, const struct hub_archive *a)
{
	int r;

	if (a->state != HUB_READY)
		return 0;
	if ((r = open_dict(m, "archive")) < 0 ||
	    (r = rows_entry(m, "bytes", "t", a->bytes)) < 0 ||
	    (r = rows_entry(m, "epoch_key", "u", a->epoch_key)) < 0 ||
	    (r = rows_entry(m, "indexed", "t", a->indexed)) < 0 ||
	    (r = rows_entry(m, "to_index", "t", a->to_index)) < 0)
		return r;
	return close_containers(m, 3);
}

static int add_problem(void *userdata, _unused_ const char *name, const char *text, const char *hint)
{
	struct buf *lines = userdata;

	buf_addf(lines, "%s%s: %s", lines->len ? "\n" : "", text, hint);
	return 0;
}

/* "problems": absent when there is none. */
static int append_problems(sd_bus_message *m, const struct hub *hub)
{
	_cleanup_(buf_deinit) struct buf lines = { 0 };
	int r;

	r = hub_problems(hub, add_problem, &lines);
	if (r < 0 || lines.len == 0)
		return r;
	if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', "problems")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "as")) < 0 ||
	    (r = rows_lines(m, buf_str(&lines))) < 0)
		return r;
	return close_containers(m, 2);
}

int status_append(sd_bus_message *m, struct hub *hub)
{
	struct hub_archive a;
	int r;

	hub_archive(hub, &a);

	if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = rows_entry(m, "version", "s", VARVE_VERSION)) < 0 ||
	    (r = rows_entry(m, "locked", "b", a.state == HUB_LOCKED)) < 0 ||
	    (r = rows_entry_text(m, "state", status_state_name(a.state))) < 0 ||
	    (r = rows_entry_text(m, "state_reason", a.why)) < 0 ||
	    (r = rows_entry(m, "network", "s", status_network_name(hub_network(hub)))) < 0 ||
	    (hub_auto_lock_us(hub) && (r = rows_entry(m, "auto_lock_usec", "t", (uint64_t)hub_auto_lock_us(hub))) < 0) ||
	    (r = append_archive(m, &a)) < 0 ||
	    (r = append_problems(m, hub)) < 0 ||
	    (r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
	    (r = sd_bus_message_append_basic(m, 's', "accounts")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'v', "aa{sv}")) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "a{sv}")) < 0)
		return err_trace(r);
	for (size_t i = 0; i < hub_account_count(hub); i++)
		if ((r = append_account(m, hub, hub_account_id(hub, i))) < 0)
			return err_trace(r);
	r = close_containers(m, 4);
	return r < 0 ? err_trace(r) : 0;
}
