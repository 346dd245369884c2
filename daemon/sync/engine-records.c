/*
 * What the wire says, one function a record. Records out of turn end the wire: it is a process that parses hostile
 * bytes, and is not believed more than its vocabulary allows.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/jid.h"
#include "link/link.h"
#include "sync/engine-priv.h"

#define SILENT_MAX_MS 30000 /* what the wire says of its patience is believed up to here; it waits 20 s for a ping */

static void on_phase(struct engine *e, const struct link_phase *p)
{
	e->phase = p->phase;
	switch ((enum link_phase_id)p->phase) {
	case PHASE_RESOLVE:
	case PHASE_CONNECT:
	case PHASE_TLS:
	case PHASE_HELD:
	case PHASE_FEATURES:
		break;
	case PHASE_AUTH:
		if (e->state == ENGINE_DIAL)
			engine_enter(e, ENGINE_AUTH);
		break;
	case PHASE_BIND:
		if (e->state == ENGINE_AUTH)
			engine_enter(e, ENGINE_BIND);
		break;
	case PHASE_SETTLE:
		break;
	}
	if (e->state != ENGINE_ONLINE || !e->ready)
		engine_arm(e, TIMER_DEADLINE, e->policy.deadline_us);
}

static void tell_stream(struct engine *e, enum engine_stream what)
{
	if (e->io->stream)
		e->io->stream(e->userdata, what);
}

static void on_online(struct engine *e, const struct link_online *o)
{
	int r;

	if (e->state != ENGINE_BIND && e->state != ENGINE_AUTH) {
		log_warning("%s: the wire says online out of turn", LOG_JID(e->account.jid));
		engine_drop_wire(e);
		return;
	}
	e->counted = o->counted;
	e->resumed = e->resending = o->resumed;
	str_set(&e->address, o->address);
	str_set(&e->mechanism, o->mechanism);
	catchup_stream_begins(e, o->round_trip_us);
	sending_stream_begins(e);
	e->stream_caught_up = false;
	r = o->resumed ? commit_session_resumed(e, o) : commit_session_bound(e, o);
	if (r < 0) {
		/* Without the row nothing of this session could be acknowledged: leave, try later. */
		engine_drop_wire(e);
		return;
	}
	if (e->counted)
		commit_tell_grant(e);
	if (!o->resumed) {
		errand_session(e);
		tell_stream(e, STREAM_NEW_SESSION);
	}
	engine_set_reason(e, "", "");
	log_info("%s: online%s, %s, %u flights", LOG_JID(e->account.jid), o->resumed ? ", resumed" : "", o->mechanism,
		 o->flights);
	engine_enter(e, ENGINE_ONLINE);
	engine_arm(e, TIMER_DEADLINE, e->policy.deadline_us);
}

static void send_active(struct engine *e)
{
	struct link_record rec;

	link_record_init(&rec, LINK_ACTIVE);
	rec.active.active = e->active;
	e->io->send(e->userdata, &rec);
}

void engine_set_active(struct engine *e, bool active)
{
	if (e->active == active)
		return;
	e->active = active;
	if (e->wire && e->ready)
		send_active(e);
}

void engine_chat_state(struct engine *e, const char *to, uint32_t state)
{
	struct link_record rec;

	if (!e->wire || !e->ready || e->stopping)
		return;
	link_record_init(&rec, LINK_CHAT_STATE);
	rec.chat_state.to = to;
	rec.chat_state.state = state;
	e->io->send(e->userdata, &rec);
}

int engine_request(struct engine *e, const struct link_request *what, uint32_t *ret_request)
{
	struct link_record rec;

	if (!e->wire || !e->ready || e->stopping)
		return HUB_E_OFFLINE;
	link_record_init(&rec, LINK_REQUEST);
	rec.request = *what;
	rec.request.request = ++e->next_request;
	if (e->io->send(e->userdata, &rec) < 0)
		return HUB_E_OFFLINE;
	*ret_request = e->next_request;
	return 0;
}

void engine_answered(struct engine *e, const char *jid)
{
	if (!e->wire)
		return;
	owed_asking(e, jid, false, 0);
	/* Whoever hears that it is answered and asks who asks is not told of it again. */
	commit_now(e);
}

static void on_ready(struct engine *e, const struct link_ready *y)
{
	if (e->state != ENGINE_ONLINE) {
		engine_drop_wire(e);
		return;
	}
	engine_arm(e, TIMER_DEADLINE, -1);
	str_set(&e->session.features, y->features);
	e->session.archive = y->archive;
	e->session.stanza_ids = y->stanza_ids;
	e->ready = true;
	engine_set_ping(e, e->ping_us);
	e->end_unknown_us = e->io->boot_us(e->userdata);
	commit_soon(e);
	/* Each stream begins as if somebody looked (XEP-0352 section 5). */
	if (!e->active)
		send_active(e);
	catchup_go(e);
	push_ready(e, y->untold);
	sending_ready(e);
	e->io->event(e->userdata, HUB_ACCOUNT_STATE);
	e->io->event(e->userdata, HUB_SYNC);
	tell_stream(e, STREAM_READY);
}

/* All of it is stored, or will be before anybody is told that nothing is missing: store_failing says so. */
static void on_resent(struct engine *e)
{
	if (!e->resending)
		return;
	commit_now(e);
	e->resending = false;
	catchup_go(e);
	e->io->event(e->userdata, HUB_SYNC);
}

static void on_sent(struct engine *e, uint32_t n)
{
	if ((int32_t)(e->session.grant - n) >= GRANT_STEP / 2)
		return;
	e->grant_next = n + GRANT_STEP;
	e->grant_due = e->dirty = true;
	commit_now(e);
}

/* What a failure means: the bus's error name, and what to do. */
static const struct failure {
	const char *name;
	bool refuse; /* only the user can help */
	bool slow;   /* a person should look, but it may heal */
} failures[] = {
	[FAILURE_DNS] = { "Offline", false, false },
	[FAILURE_CONNECT] = { "Offline", false, false },
	[FAILURE_TLS] = { "Offline", false, false },
	[FAILURE_CERT] = { "Certificate", false, true },
	[FAILURE_NO_TLS] = { "NoTls", false, true },
	[FAILURE_AUTH] = { "AuthFailed", true, false },
	[FAILURE_MECHANISM] = { "AuthFailed", true, false },
	[FAILURE_PROTOCOL] = { "Remote", false, false },
	[FAILURE_STREAM] = { "Remote", false, false },
	[FAILURE_LOST] = { "Offline", false, false },
	[FAILURE_GUESS] = { "Offline", false, false },
	[FAILURE_CONFIG] = { "Configuration", true, false },
};

static void on_failed(struct engine *e, const struct link_failed *f)
{
	const struct failure *what = f->failure < ARRAY_SIZE(failures) ? &failures[f->failure] : &failures[FAILURE_LOST];

	log_debug("%s: failed: %s: %s", e->account.jid, f->condition, f->text);
	sending_blame(e, f);
	if (e->stopping)
		return;
	/*
	 * The server counted stanzas that we never sent: such a session cannot be trusted again (D8). And what made a
	 * resumed stream unreadable will be repeated at each resume: a new session leaves it behind.
	 */
	if (strcmp(f->condition, "handled-count-too-high") == 0 || (f->failure == FAILURE_PROTOCOL && e->resumed))
		commit_session_over(e);
	if (f->failure == FAILURE_GUESS)
		login_guess_failed(e);
	/* Who was told something by the server does not come back at once. */
	if (f->failure != FAILURE_LOST)
		second_drop(e);
	engine_set_reason(e, what->name, *f->text ? f->text : f->condition);
	e->yielded = strcmp(f->condition, "conflict") == 0;
	e->slow = what->slow || e->yielded;
	e->unreachable = f->failure == FAILURE_DNS || strcmp(f->condition, "unreachable") == 0;
	if (!what->refuse) {
		engine_drop_wire(e);
		return;
	}
	log_error("%s: stopped: %s", LOG_JID(e->account.jid), e->reason_text);
	e->io->kill(e->userdata);
	engine_stream_over(e);
	engine_enter(e, ENGINE_REFUSED);
}

static void on_refused(struct engine *e, const struct link_resume_refused *f)
{
	if (e->state == ENGINE_ONLINE || !*e->session.sm_id) {
		log_warning("%s: the wire says refused out of turn", LOG_JID(e->account.jid));
		engine_drop_wire(e);
		return;
	}
	catchup_session_refused(e);
	/* At once, and not with the new session: what h says of the outbox must not be forgotten if that never comes. */
	if (commit_session_refused(e, f) < 0) {
		engine_drop_wire(e);
		return;
	}
	log_info("%s: session not resumed (%s); the archive fills the gap", LOG_JID(e->account.jid), f->condition);
}

/* It changes nothing that is kept. */
static void on_passing(struct engine *e, const struct link_record *r, uint32_t n)
{
	if (n && commit_repeated(e, n))
		return;
	commit_skip(e, n);
	if (e->wire && e->io->passing)
		e->io->passing(e->userdata, r);
}

/* Ours, or one of a user's. What it says is stored before its number is. */
static void on_result(struct engine *e, const struct link_record *r)
{
	uint32_t n = r->result.n;

	if (n && commit_repeated(e, n))
		return;
	if (push_answered(e, &r->result))
		commit_skip(e, n);
	else
		on_passing(e, r, n);
}

/* Who asks to see ours, and who does not any more, is kept: it waits for an answer of the user. The rest passes. */
static void on_presence(struct engine *e, const struct link_record *r)
{
	const struct link_presence *p = &r->presence;
	bool asks = strcmp(p->type, "subscribe") == 0;

	if ((!asks && strcmp(p->type, "unsubscribe") != 0) || jid_bare_equal(p->from, e->account.jid))
		on_passing(e, r, p->n);
	else if (p->n == 0 || !commit_repeated(e, p->n))
		owed_asking(e, p->from, asks, p->n);
}

static void on_live(struct engine *e, const struct link_record *r)
{
	commit_message(e, &r->msg);
	if (e->wire && e->io->passing)
		e->io->passing(e->userdata, r);
}

/* Does it follow from what the server sent just now? */
static bool is_of_server(enum link_kind kind)
{
	switch (kind) {
	case LINK_PHASE:
	case LINK_NUMBERED:
	case LINK_UNSENDABLE:
	case LINK_SENT:
	case LINK_SILENT:
	case LINK_HEARD:
	case LINK_FAILED:
		return false;
	default:
		return true;
	}
}

void engine_record(struct engine *e, const struct link_record *r)
{
	if (!e->wire)
		return;
	if (is_of_server(r->kind))
		engine_heard(e, 0);
	trigger_word(e);
	switch (r->kind) {
	case LINK_PHASE:
		on_phase(e, &r->phase);
		break;
	case LINK_ONLINE:
		on_online(e, &r->online);
		break;
	case LINK_RESUME_REFUSED:
		on_refused(e, &r->resume_refused);
		break;
	case LINK_LOGIN:
		login_learned(e, &r->login);
		break;
	case LINK_TOKEN:
		login_token(e, &r->token);
		break;
	case LINK_TICKET:
		login_ticket(e, &r->ticket);
		break;
	case LINK_READY:
		on_ready(e, &r->ready);
		break;
	case LINK_RESENT:
		on_resent(e);
		break;
	case LINK_MSG:
		if (commit_repeated(e, r->msg.n))
			break;
		if (r->msg.via == VIA_ARCHIVE)
			answers_item(e, &r->msg);
		else
			on_live(e, r);
		break;
	case LINK_FIN:
		if (!commit_repeated(e, r->fin.n))
			answers_fin(e, &r->fin);
		break;
	case LINK_META:
		if (!commit_repeated(e, r->meta.n))
			answers_meta(e, &r->meta);
		break;
	case LINK_QUERY_FAILED:
		if (!commit_repeated(e, r->query_failed.n))
			answers_failed(e, &r->query_failed);
		break;
	case LINK_ROSTER:
		if (r->roster.n == 0 || !commit_repeated(e, r->roster.n))
			commit_roster(e, &r->roster);
		break;
	case LINK_ACKED:
		sending_acked(e, r->acked.n);
		break;
	case LINK_SENT:
		on_sent(e, r->sent.n);
		break;
	case LINK_IDLE:
		if (!commit_repeated(e, r->idle.n))
			commit_skip(e, r->idle.n);
		break;
	case LINK_FAILED:
		on_failed(e, &r->failed);
		break;
	case LINK_RESULT:
		on_result(e, r);
		break;
	case LINK_PRESENCE:
		on_presence(e, r);
		break;
	case LINK_TYPING:
		on_passing(e, r, r->typing.n);
		break;
	case LINK_BLOCKED:
		if (r->blocked.n == 0 || !commit_repeated(e, r->blocked.n))
			owed_blocked(e, &r->blocked);
		break;
	case LINK_READ:
		if (r->read.n == 0 || !commit_repeated(e, r->read.n))
			owed_read(e, &r->read);
		break;
	case LINK_NUMBERED:
		sending_numbered(e, &r->numbered);
		break;
	case LINK_UNSENDABLE:
		sending_unsendable(e, &r->unsendable);
		break;
	case LINK_HEARD:
		engine_heard(e, (int64_t)r->heard.silence_s * USEC_PER_SEC);
		break;
	case LINK_ALIVE:
		second_answered(e, r->alive.probe);
		break;
	case LINK_SILENT:
		second_trigger(e, r->silent.answer_ms < SILENT_MAX_MS ? r->silent.answer_ms : SILENT_MAX_MS, false);
		break;
	case LINK_SEND:
	case LINK_GO:
	case LINK_WITHDRAW:
	case LINK_CHAT_STATE:
	case LINK_REQUEST:
	case LINK_ACTIVE:
	case LINK_PROBE:
	case LINK_PING:
	case LINK_PINGED: /* what concerns all streams of a network: hub-trigger.c */
	case LINK_START:
	case LINK_COMMITTED:
	case LINK_GRANT:
	case LINK_QUERY:
	case LINK_META_QUERY:
	case LINK_STOP:
	case LINK_RESUME:
	case LINK_KINDS:
		break;
	}
}
