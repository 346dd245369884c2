/*
 * Push services (XEP-0357): while one is enabled, servers keep the session of a phone that sleeps for days instead of
 * minutes (docs/decisions/0018). What the server was asked is asked once a session; what it did not answer, once more on
 * each stream. Nothing here is worth a stream.
 */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "core/text.h"
#include "sync/engine-priv.h"

#define FEATURE "urn:xmpp:push:0"

static void forget(struct engine *e)
{
	for (size_t i = 0; i < e->n_pushes; i++)
		push_deinit(&e->pushes[i].row);
	free(e->pushes);
	e->pushes = NULL;
	e->n_pushes = 0;
}

int push_begin(struct engine *e)
{
	struct push *rows;
	size_t n;
	int r;

	r = push_list(e->store, e->account.id, &rows, &n);
	if (r < 0)
		return err_trace(r);
	forget(e);
	e->pushes = xnewn(struct pushed, n + 1);
	e->n_pushes = n;
	for (size_t i = 0; i < n; i++)
		e->pushes[i] = (struct pushed){ .row = rows[i] };
	free(rows);
	return 0;
}

void push_end(struct engine *e)
{
	forget(e);
}

/* The server has what it needs for it. */
static bool offered(const struct engine *e)
{
	return *e->session.sm_id && (e->push_untold || text_has_line(e->session.features, FEATURE));
}

static bool ask(struct engine *e, struct pushed *p, uint32_t kind)
{
	const struct link_request what = { .kind = kind, .jid = p->row.service, .name = p->row.node, .text = "" };

	return engine_request(e, &what, &p->request) == 0;
}

static void push_go(struct engine *e)
{
	bool taken_back = false;

	if (!e->wire || !e->ready || e->stopping)
		return;
	/* Those that go come first. */
	for (size_t i = 0; i < e->n_pushes; i++) {
		struct pushed *p = &e->pushes[i];

		if (p->row.state == PUSH_GOING) {
			if (!p->asked)
				p->asked = taken_back = ask(e, p, REQUEST_PUSH_DISABLE);
			continue;
		}
		/* ejabberd 23.01 takes any <disable/> for the session's own: what stays is said again behind it. */
		if (taken_back && p->row.state == PUSH_ENABLED)
			p->row.state = PUSH_WANTED;
		if ((!p->asked || taken_back) && p->row.state == PUSH_WANTED && offered(e))
			p->asked = ask(e, p, REQUEST_PUSH_ENABLE);
	}
}

void push_ready(struct engine *e, bool untold)
{
	e->push_untold = untold;
	push_go(e);
}

/* Whether the same may well be answered otherwise later. */
static bool passes(const char *condition)
{
	static const char *const conditions[] = { "internal-server-error", "remote-server-timeout", "resource-constraint" };

	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
		if (strcmp(conditions[i], condition) == 0)
			return true;
	return false;
}

/* With ${gone}, which the server has forgotten, goes what it said of the one that was asked again behind it. */
static int put(struct engine *e, const struct push *row, bool gone)
{
	int r;

	if (!gone)
		return push_put(e->store, e->account.id, row);
	r = push_drop(e->store, e->account.id, row->service);
	for (size_t i = 0; r >= 0 && i < e->n_pushes; i++)
		if (e->pushes[i].row.state == PUSH_WANTED)
			r = push_put(e->store, e->account.id, &e->pushes[i].row);
	return r;
}

/* It counts once it is stored; else it is asked again on the next stream. */
static bool keep(struct engine *e, const struct push *row, bool gone)
{
	bool begun;
	int r;

	r = store_begin(e->store);
	begun = r >= 0;
	if (r >= 0)
		r = put(e, row, gone);
	if (r >= 0)
		r = store_commit(e->store);
	if (r < 0 && begun)
		store_rollback(e->store);
	if (r < 0)
		return false;
	step("push.stored");
	return true;
}

static void set_reason(struct pushed *p, const struct link_result *a)
{
	const char *condition = *a->condition ? a->condition : "undefined-condition";

	free(p->row.reason);
	p->row.reason = *a->text ? xasprintf("%s: %s", condition, a->text) : xstrdup(condition);
}

static void take_out(struct engine *e, struct pushed *p)
{
	size_t i = (size_t)(p - e->pushes);

	push_deinit(&p->row);
	memmove(p, p + 1, (e->n_pushes - i - 1) * sizeof(*p));
	e->n_pushes--;
}

static void enabled(struct engine *e, struct pushed *p, const struct link_result *a)
{
	struct push next = p->row;

	if (a->ok) {
		str_set(&p->row.reason, "");
		next.reason = p->row.reason;
		next.state = PUSH_ENABLED;
	} else {
		set_reason(p, a);
		next.reason = p->row.reason;
		next.state = passes(a->condition) ? PUSH_WANTED : PUSH_REFUSED;
		if (next.state == PUSH_REFUSED)
			log_warning("%s: the server refuses the push service: %s", LOG_JID(e->account.jid),
				    *a->condition ? a->condition : "undefined-condition");
	}
	if (next.state != PUSH_WANTED && keep(e, &next, false))
		p->row.state = next.state;
}

static void taken_back(struct engine *e, struct pushed *p, const struct link_result *a)
{
	/* item-not-found, feature-not-implemented ...: then it has it no more. */
	if ((a->ok || !passes(a->condition)) && keep(e, &p->row, true))
		take_out(e, p);
}

bool push_answered(struct engine *e, const struct link_result *a)
{
	for (size_t i = 0; i < e->n_pushes; i++) {
		struct pushed *p = &e->pushes[i];

		if (!p->request || p->request != a->request)
			continue;
		p->request = 0;
		if (p->row.state == PUSH_GOING)
			taken_back(e, p, a);
		else
			enabled(e, p, a);
		e->io->event(e->userdata, HUB_ACCOUNT_STATE);
		return true;
	}
	return false;
}

void push_stream_ends(struct engine *e)
{
	for (size_t i = 0; i < e->n_pushes; i++) {
		e->pushes[i].request = 0;
		e->pushes[i].asked = false;
	}
}

int push_put_session_lost(struct engine *e)
{
	return e->n_pushes ? push_session_lost(e->store, e->account.id) : 0;
}

void push_put_session_lost_done(struct engine *e)
{
	for (size_t i = 0; i < e->n_pushes; i++) {
		struct push *row = &e->pushes[i].row;

		if (row->state == PUSH_GOING)
			continue;
		row->state = PUSH_WANTED;
		str_set(&row->reason, "");
	}
}

void push_configured(struct engine *e)
{
	if (push_begin(e) < 0)
		return;
	/* Who changes something wants it tried. */
	for (size_t i = 0; i < e->n_pushes; i++)
		if (e->pushes[i].row.state == PUSH_REFUSED)
			e->pushes[i].row.state = PUSH_WANTED;
	push_go(e);
	e->io->event(e->userdata, HUB_ACCOUNT_STATE);
}

void push_goodbye(struct engine *e)
{
	if (!e->wire || !e->ready || e->stopping)
		return;
	for (size_t i = 0; i < e->n_pushes; i++) {
		struct pushed *p = &e->pushes[i];

		if (p->row.state == PUSH_ENABLED || p->row.state == PUSH_GOING || p->request)
			ask(e, p, REQUEST_PUSH_DISABLE);
	}
}

void push_status(const struct engine *e, struct account_status *ret)
{
	static const char *const states[] = {
		[PUSH_WANTED] = "waiting", [PUSH_ENABLED] = "enabled", [PUSH_REFUSED] = "refused"
	};

	for (size_t i = 0; i < e->n_pushes; i++) {
		const struct push *row = &e->pushes[i].row;

		if (row->state >= ARRAY_SIZE(states)) {
			ret->push_going++;
			continue;
		}
		ret->push_service = row->service;
		ret->push_state = row->state == PUSH_WANTED && e->ready && !offered(e) ? "unsupported" : states[row->state];
		ret->push_reason = row->reason;
	}
}
