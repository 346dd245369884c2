#include "sync/engine.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "link/link.h"
#include "sync/engine-priv.h"

#define STABLE_US (INT64_C(10) * 1000000) /* online this long: the back-off starts anew, the first retry is at once */
#define RETRY_JITTER_US (INT64_C(200) * 1000) /* at-once retries of several accounts do not coincide */

static const char *const state_names[ENGINE_STATES] = {
	[ENGINE_OFF] = "off",	[ENGINE_WAIT] = "wait", [ENGINE_DIAL] = "dial",	      [ENGINE_AUTH] = "auth",
	[ENGINE_BIND] = "bind", [ENGINE_ONLINE] = "online", [ENGINE_REFUSED] = "refused",
};

#define TO(s) (1u << ENGINE_##s)
/* From each state, the states that may follow; engine_enter() refuses all others. */
static const unsigned int allowed[ENGINE_STATES] = {
	[ENGINE_OFF] = TO(DIAL) | TO(WAIT),
	[ENGINE_WAIT] = TO(DIAL) | TO(OFF) | TO(WAIT),
	[ENGINE_DIAL] = TO(AUTH) | TO(WAIT) | TO(OFF) | TO(REFUSED),
	[ENGINE_AUTH] = TO(BIND) | TO(ONLINE) | TO(WAIT) | TO(OFF) | TO(REFUSED),
	[ENGINE_BIND] = TO(ONLINE) | TO(WAIT) | TO(OFF) | TO(REFUSED),
	[ENGINE_ONLINE] = TO(WAIT) | TO(OFF) | TO(REFUSED),
	[ENGINE_REFUSED] = TO(DIAL) | TO(OFF) | TO(WAIT),
};

/* The only place that assigns e->state. */
static void engine_enter(struct engine *e, enum engine_state next)
{
	if (e->state == next && next != ENGINE_WAIT)
		return;
	if (!(allowed[e->state] & 1u << next)) {
		log_warning("%s: no way from %s to %s", LOG_JID(e->account.jid), state_names[e->state],
			    state_names[next]);
		return;
	}
	log_debug("%s: %s -> %s", e->account.jid, state_names[e->state], state_names[next]);
	e->state = next;
	e->online_since_us = next == ENGINE_ONLINE ? e->io->boot_us(e->userdata) : 0;
	e->io->event(e->userdata, HUB_ACCOUNT_STATE);
}

void engine_arm(struct engine *e, enum engine_timer which, int64_t delay_us)
{
	e->io->timer(e->userdata, which, delay_us < 0 ? 0 : e->io->boot_us(e->userdata) + delay_us + 1);
}

void engine_set_reason(struct engine *e, const char *name, const char *text)
{
	str_set(&e->reason_name, name);
	str_set(&e->reason_text, text);
	e->io->event(e->userdata, HUB_ACCOUNT_STATE);
}

int engine_new(struct store *s, const struct account *a, const struct engine_policy *policy,
	       const struct engine_io *io, void *userdata, struct engine **ret)
{
	_cleanup_(engine_freep) struct engine *e = xnew(struct engine);
	int r;

	e->store = s;
	e->io = io;
	e->userdata = userdata;
	e->policy = *policy;
	account_copy(&e->account, a);
	str_set(&e->reason_name, "");
	str_set(&e->reason_text, "");
	str_set(&e->address, "");
	str_set(&e->mechanism, "");
	r = commit_init(e);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(e);
	return 0;
}

/* Stop everything that belongs to the stream. The wire must be gone or killed. */
static void stream_over(struct engine *e)
{
	e->wire = false;
	e->ready = false;
	catchup_stream_ends(e);
	commit_forget(e);
	e->counted = false;
	engine_arm(e, TIMER_DEADLINE, -1);
}

struct engine *engine_free(struct engine *e)
{
	if (!e)
		return NULL;
	if (e->wire)
		e->io->kill(e->userdata);
	if (e->io)
		stream_over(e);
	commit_deinit(e);
	account_deinit(&e->account);
	free(e->reason_name);
	free(e->reason_text);
	free(e->address);
	free(e->mechanism);
	free(e->time_cursor);
	free(e);
	return NULL;
}

/* Wait, then dial again. */
static void retry_later(struct engine *e)
{
	int64_t up = e->online_since_us ? e->io->boot_us(e->userdata) - e->online_since_us : 0;
	uint32_t random = e->io->random(e->userdata);
	int64_t wait;

	if (up >= STABLE_US) {
		backoff_reset(&e->backoff);
		wait = (int64_t)((uint64_t)RETRY_JITTER_US * random / UINT32_MAX);
	} else {
		wait = backoff_next(&e->backoff, random);
		if (e->slow && wait < BACKOFF_SLOW_US)
			wait = BACKOFF_SLOW_US;
	}
	e->slow = false;
	e->retry_real_us = e->io->real_us(e->userdata) + wait;
	engine_enter(e, ENGINE_WAIT);
	engine_arm(e, TIMER_RETRY, wait);
}

void engine_wire_gone(struct engine *e, const char *why)
{
	bool stopping = e->stopping;

	if (!e->wire)
		return;
	log_debug("%s: wire gone: %s", e->account.jid, why);
	stream_over(e);
	e->stopping = false;
	if (stopping)
		return;
	if (!*e->reason_name)
		engine_set_reason(e, "Offline", "the connection was lost");
	retry_later(e);
}

void engine_drop_wire(struct engine *e)
{
	if (!e->wire)
		return;
	e->io->kill(e->userdata);
	engine_wire_gone(e, "killed");
}

static void send_start(struct engine *e)
{
	const struct account *a = &e->account;
	const struct session *s = &e->session;
	struct link_record rec;
	int r;

	link_record_init(&rec, LINK_START);
	rec.start = (struct link_start){
		.jid = a->jid,
		.password = a->password,
		.resource = a->resource,
		.host = a->host,
		.port = a->port,
		.tls = a->tls,
		.ca_pem = a->ca_pem,
		.allow_plain = a->allow_plain,
		.sm_id = s->sm_id,
		.sm_location = s->sm_location,
		.sm_in = s->h_in,
		.sm_out = s->h_out,
		.grant = s->grant,
		.features = s->features,
		.archive = s->archive,
		.stanza_ids = s->stanza_ids,
		.nick = a->nick,
	};
	r = e->io->send(e->userdata, &rec);
	if (r < 0)
		log_warning("%s: cannot start the wire: %s", LOG_JID(a->jid), strerror(-r));
}

static void dial(struct engine *e)
{
	int r;

	engine_arm(e, TIMER_RETRY, -1);
	e->retry_real_us = 0;
	e->resumed = false;
	ackline_rewind(&e->line);
	r = e->io->spawn(e->userdata);
	if (r < 0) {
		log_error("%s: cannot start varve-wire: %s", LOG_JID(e->account.jid), strerror(-r));
		engine_set_reason(e, "Failed", "varve-wire could not be started: is the installation complete?");
		retry_later(e);
		return;
	}
	e->wire = true;
	engine_enter(e, ENGINE_DIAL);
	engine_arm(e, TIMER_DEADLINE, e->policy.deadline_us);
	send_start(e);
}

void engine_connect(struct engine *e)
{
	if (e->wire || !e->account.enabled)
		return;
	backoff_reset(&e->backoff);
	engine_set_reason(e, "", "");
	dial(e);
}

/* Leave the stream: for good (${final}) or resumable. */
static void stop_wire(struct engine *e, bool final)
{
	struct link_record rec;

	if (!e->wire)
		return;
	commit_now(e);
	link_record_init(&rec, LINK_STOP);
	rec.stop.final = final;
	if (e->io->send(e->userdata, &rec) < 0)
		e->io->kill(e->userdata);
	e->stopping = true;
}

void engine_disconnect(struct engine *e)
{
	engine_arm(e, TIMER_RETRY, -1);
	e->retry_real_us = 0;
	stop_wire(e, true);
	if (*e->session.sm_id)
		commit_session_over(e);
	e->ready = false;
	catchup_stream_ends(e);
	engine_set_reason(e, "", "");
	engine_enter(e, ENGINE_OFF);
	/* It has a second to say goodbye; the deadline takes it if it does not go. */
	if (e->wire)
		engine_arm(e, TIMER_DEADLINE, 2 * USEC_PER_SEC);
}

void engine_suspend(struct engine *e)
{
	stop_wire(e, false);
}

void engine_configure(struct engine *e, const struct account *a, bool reconnect)
{
	bool was_enabled = e->account.enabled;

	account_copy(&e->account, a);
	if (!a->enabled) {
		if (was_enabled)
			engine_disconnect(e);
		return;
	}
	if (!reconnect && was_enabled)
		return;
	if (e->wire) {
		e->io->kill(e->userdata);
		stream_over(e);
		e->stopping = false;
		engine_enter(e, ENGINE_WAIT);
	}
	engine_connect(e);
}

int engine_sync_now(struct engine *e)
{
	if (e->state != ENGINE_ONLINE)
		return HUB_E_OFFLINE;
	e->sync_error = false;
	engine_arm(e, TIMER_SYNC, -1);
	catchup_prove(e);
	return 0;
}

void engine_sync_pause(struct engine *e, bool pause)
{
	e->paused = pause;
	catchup_go(e);
	e->io->event(e->userdata, HUB_SYNC);
}

static void on_phase(struct engine *e, const struct link_phase *p)
{
	switch ((enum link_phase_id)p->phase) {
	case PHASE_RESOLVE:
	case PHASE_CONNECT:
	case PHASE_TLS:
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

static void send_grant(struct engine *e)
{
	struct link_record rec;

	link_record_init(&rec, LINK_GRANT);
	rec.grant.n = e->session.grant;
	e->io->send(e->userdata, &rec);
}

static void on_online(struct engine *e, const struct link_online *o)
{
	int r;

	if (e->state != ENGINE_BIND && e->state != ENGINE_AUTH) {
		log_warning("%s: the wire says online out of turn", LOG_JID(e->account.jid));
		engine_drop_wire(e);
		return;
	}
	e->counted = o->resumed || *o->sm_id;
	e->resumed = o->resumed;
	str_set(&e->address, o->address);
	str_set(&e->mechanism, o->mechanism);
	catchup_stream_begins(e);
	e->stream_caught_up = false;
	r = o->resumed ? commit_session_resumed(e, o) : commit_session_bound(e, o);
	if (r < 0) {
		/* Without the row nothing of this session could be acknowledged: leave, try later. */
		engine_drop_wire(e);
		return;
	}
	if (e->counted)
		send_grant(e);
	engine_set_reason(e, "", "");
	log_info("%s: online%s, %s, %u flights", LOG_JID(e->account.jid), o->resumed ? ", resumed" : "", o->mechanism,
		 o->flights);
	engine_enter(e, ENGINE_ONLINE);
	engine_arm(e, TIMER_DEADLINE, e->policy.deadline_us);
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
	commit_soon(e);
	catchup_go(e);
	e->io->event(e->userdata, HUB_ACCOUNT_STATE);
	e->io->event(e->userdata, HUB_SYNC);
}

static void on_sent(struct engine *e, uint32_t n)
{
	if ((int32_t)(e->session.grant - n) >= GRANT_STEP / 2)
		return;
	/* Reserved before it is used: after a crash the server's h may be anything up to here (D8). */
	e->session.grant = n + GRANT_STEP;
	e->dirty = true;
	if (commit_now(e) >= 0)
		send_grant(e);
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
	[FAILURE_CONFIG] = { "Configuration", true, false },
};

static void on_failed(struct engine *e, const struct link_failed *f)
{
	const struct failure *what = f->failure < ARRAY_SIZE(failures) ? &failures[f->failure] : &failures[FAILURE_LOST];

	log_debug("%s: failed: %s: %s", e->account.jid, f->condition, f->text);
	if (e->stopping)
		return;
	/*
	 * The server counted stanzas that we never sent: such a session cannot be trusted again (D8). And what made a
	 * resumed stream unreadable will be repeated at each resume: a new session leaves it behind.
	 */
	if (strcmp(f->condition, "handled-count-too-high") == 0 || (f->failure == FAILURE_PROTOCOL && e->resumed))
		commit_session_over(e);
	engine_set_reason(e, what->name, *f->text ? f->text : f->condition);
	e->slow = what->slow || strcmp(f->condition, "conflict") == 0;
	if (!what->refuse) {
		engine_drop_wire(e);
		return;
	}
	log_error("%s: stopped: %s", LOG_JID(e->account.jid), e->reason_text);
	e->io->kill(e->userdata);
	stream_over(e);
	engine_enter(e, ENGINE_REFUSED);
}

static void on_refused(struct engine *e, const struct link_resume_refused *f)
{
	log_info("%s: session not resumed (%s); the archive fills the gap", LOG_JID(e->account.jid), f->condition);
}

void engine_record(struct engine *e, const struct link_record *r)
{
	if (!e->wire)
		return;
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
	case LINK_READY:
		on_ready(e, &r->ready);
		break;
	case LINK_MSG:
		if (commit_repeated(e, r->msg.n))
			break;
		if (r->msg.via == VIA_ARCHIVE)
			catchup_item(e, &r->msg);
		else
			commit_message(e, &r->msg);
		break;
	case LINK_FIN:
		if (!commit_repeated(e, r->fin.n))
			catchup_fin(e, &r->fin);
		break;
	case LINK_META:
		if (!commit_repeated(e, r->meta.n))
			catchup_meta(e, &r->meta);
		break;
	case LINK_QUERY_FAILED:
		if (!commit_repeated(e, r->query_failed.n))
			catchup_failed(e, &r->query_failed);
		break;
	case LINK_ROSTER:
		if (r->roster.n == 0 || !commit_repeated(e, r->roster.n))
			commit_roster(e, &r->roster);
		break;
	case LINK_ACKED:
		e->session.h_out = r->acked.n;
		e->dirty = true;
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
	case LINK_START:
	case LINK_COMMITTED:
	case LINK_GRANT:
	case LINK_QUERY:
	case LINK_META_QUERY:
	case LINK_STOP:
	case LINK_KINDS:
		break;
	}
}

static void on_deadline(struct engine *e)
{
	if (!e->wire)
		return;
	if (!e->stopping)
		engine_set_reason(e, "Offline",
				  e->state == ENGINE_DIAL ? "the server does not answer" :
				  e->state == ENGINE_AUTH ? "the server does not answer the login" :
							    "the server stopped answering during the login");
	e->io->kill(e->userdata);
	engine_wire_gone(e, "deadline");
}

void engine_timer(struct engine *e, enum engine_timer which)
{
	switch (which) {
	case TIMER_RETRY:
		if (e->state == ENGINE_WAIT && !e->wire)
			dial(e);
		break;
	case TIMER_DEADLINE:
		on_deadline(e);
		break;
	case TIMER_COMMIT:
		commit_now(e);
		break;
	case TIMER_QUERY:
		catchup_timeout(e);
		break;
	case TIMER_SYNC:
		e->sync_error = false;
		if (!*e->reason_name || strcmp(e->reason_name, "Remote") == 0)
			engine_set_reason(e, "", "");
		catchup_go(e);
		break;
	case ENGINE_TIMERS:
		break;
	}
}

const struct account *engine_account(const struct engine *e)
{
	return &e->account;
}

const struct cover *engine_cover(const struct engine *e, int64_t *ret_archive, size_t *ret_fetching)
{
	*ret_archive = e->archive;
	*ret_fetching = e->query.id && e->query.step == PLAN_BEFORE ? e->query.span : SIZE_MAX;
	return &e->cover;
}

void engine_archive_ends(const struct engine *e, int64_t *ret_start_us, int64_t *ret_end_us)
{
	*ret_start_us = e->meta_start_us;
	*ret_end_us = e->meta_end_us;
}

static const char *account_state(const struct engine *e)
{
	switch (e->state) {
	case ENGINE_OFF:
		return e->account.enabled ? "offline" : "disabled";
	case ENGINE_WAIT:
		return "offline";
	case ENGINE_DIAL:
		return "connecting";
	case ENGINE_AUTH:
	case ENGINE_BIND:
		return "authenticating";
	case ENGINE_ONLINE:
		return "online";
	case ENGINE_REFUSED:
		return "auth-failed";
	case ENGINE_STATES:
		break;
	}
	return "offline";
}

static void sync_status(const struct engine *e, struct account_status *ret)
{
	bool past = e->query.step == PLAN_BEFORE && e->query.span == 0;

	ret->sync_phase = "";
	ret->sync_state = "idle";
	if (e->paused) {
		ret->sync_state = "paused";
	} else if (e->sync_error || e->store_failing) {
		ret->sync_state = "error";
	} else if (e->query.id) {
		ret->sync_state = past ? "backfilling" : "catching-up";
		ret->sync_phase = e->query.step == PLAN_META ? "metadata" :
				  e->query.step == PLAN_NEWEST ? "newest" :
				  past ? "past" : "gap";
	} else if (e->state == ENGINE_ONLINE && !e->ready) {
		ret->sync_state = "catching-up";
	}
}

/* Seconds of the server archive's time, held and in all. */
static void progress(const struct engine *e, struct account_status *ret)
{
	int64_t start = e->meta_start_us, end = e->meta_end_us, held = 0;

	if (end <= start)
		return;
	for (size_t i = 0; i < e->cover.n; i++) {
		int64_t a = e->cover.spans[i].first.us, b = e->cover.spans[i].last.us;

		a = a < start ? start : a;
		b = b > end ? end : b;
		held += b > a ? b - a : 0;
	}
	ret->total = (uint64_t)((end - start) / USEC_PER_SEC);
	ret->done = ret->caught_up ? ret->total : (uint64_t)(held / USEC_PER_SEC);
}

void engine_status(const struct engine *e, struct account_status *ret)
{
	const struct session *s = &e->session;

	*ret = (struct account_status){
		.state = account_state(e),
		.reason_name = e->reason_name,
		.reason_text = e->reason_text,
		.next_retry_us = e->retry_real_us,
		.resource = strchr(s->full_jid, '/') ? strchr(s->full_jid, '/') + 1 : "",
		.address = e->address,
		.mechanism = e->mechanism,
		.features = s->features,
		.resumable = *s->sm_id,
		.resumed = e->resumed,
		.resumes = s->resumes,
		.binds = s->binds,
		.flights = s->flights,
		.last_resume_us = s->last_resume_us,
		.h_in = s->h_in,
		.h_out = s->h_out,
		.gaps = (uint32_t)cover_count_gaps(&e->cover, false),
		.lost = (uint32_t)cover_count_gaps(&e->cover, true),
		.messages = e->messages,
		.oldest_us = e->cover.n && !(e->cover.spans[0].flags & SPAN_EMPTY) ? e->cover.spans[0].first.us : 0,
		.caught_up_us = s->caught_up_us,
		.caught_up = e->state == ENGINE_ONLINE && catchup_done(e) && !e->store_failing,
	};
	/* A past beyond the horizon is nobody's gap. */
	if (catchup_done(e))
		ret->gaps = 0;
	sync_status(e, ret);
	progress(e, ret);
}
