#include "sync/engine.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/ping.h"
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
void engine_enter(struct engine *e, enum engine_state next)
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
	e->doubt = e->look = e->active = true;
	e->ping_us = PING_FIRST_US;
	e->bounces = 1; /* what came before our time is not known either */
	account_copy(&e->account, a);
	str_set(&e->reason_name, "");
	str_set(&e->reason_text, "");
	str_set(&e->address, "");
	str_set(&e->mechanism, "");
	r = commit_init(e);
	if (r >= 0)
		r = login_begin(e);
	if (r >= 0)
		r = push_begin(e);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(e);
	return 0;
}

static void set_whole(struct engine *e)
{
	e->whole_us = e->io->real_us(e->userdata) - (e->io->boot_us(e->userdata) - e->heard_us);
}

/*
 * Before anything of the stream is forgotten: was nothing missing until it ended? It ended when the server was last heard; that
 * it is dead is noticed minutes later, or after hours of sleep.
 */
static void note_whole(struct engine *e)
{
	e->was_whole = e->state == ENGINE_ONLINE && catchup_done(e) && !e->store_failing;
	if (e->was_whole)
		set_whole(e);
}

void engine_heard(struct engine *e, int64_t silence_us)
{
	e->heard_us = e->io->boot_us(e->userdata) - silence_us;
	/* The user has ended it meanwhile. */
	if (e->stopping && e->state == ENGINE_OFF && e->was_whole) {
		set_whole(e);
		e->io->event(e->userdata, HUB_SYNC);
	}
}

void engine_stream_over(struct engine *e)
{
	bool was = e->wire;

	note_whole(e);
	e->wire = false;
	e->ready = e->resending = false;
	sending_stream_ends(e);
	catchup_stream_ends(e);
	push_stream_ends(e);
	commit_forget(e);
	e->counted = e->grant_due = false;
	engine_arm(e, TIMER_DEADLINE, -1);
	engine_arm(e, TIMER_WORD, -1);
	if (was && e->io->stream)
		e->io->stream(e->userdata, STREAM_OVER);
}

struct engine *engine_free(struct engine *e)
{
	if (!e)
		return NULL;
	if (e->duel.second)
		e->io->second_kill(e->userdata);
	if (e->wire)
		e->io->kill(e->userdata);
	if (e->io)
		engine_stream_over(e);
	aside_deinit(e);
	commit_deinit(e);
	sending_deinit(e);
	login_deinit(&e->login);
	owed_deinit(e);
	push_end(e);
	account_deinit(&e->account);
	free(e->reason_name);
	free(e->reason_text);
	free(e->address);
	free(e->mechanism);
	free(e->time_cursor);
	free(e->end_seen);
	free(e->by_time_id);
	free(e->floor_id);
	free(e);
	return NULL;
}

bool engine_was_stable(const struct engine *e)
{
	return e->online_since_us && e->io->boot_us(e->userdata) - e->online_since_us >= STABLE_US;
}

/* Wait, then dial again. */
static void retry_later(struct engine *e)
{
	uint32_t random = e->io->random(e->userdata);
	int64_t wait;

	if (engine_was_stable(e))
		backoff_reset(&e->backoff);
	if (e->again) {
		wait = 0;
	} else if (engine_was_stable(e) && !e->slow) {
		wait = (int64_t)((uint64_t)RETRY_JITTER_US * random / UINT32_MAX);
	} else {
		wait = backoff_next(&e->backoff, random);
		if (e->slow && wait < BACKOFF_SLOW_US)
			wait = BACKOFF_SLOW_US;
	}
	e->slow = e->again = false;
	/* Offline costs nothing: no timer until there is a way (engine_network()). */
	if (e->no_route && e->unreachable) {
		log_info("%s: %s; waiting for a network", LOG_JID(e->account.jid), e->reason_text);
		e->retry_real_us = 0;
		engine_enter(e, ENGINE_WAIT);
		engine_arm(e, TIMER_RETRY, -1);
		return;
	}
	e->retry_real_us = e->io->real_us(e->userdata) + wait;
	/* One line when a connection ends, not one a try. */
	if (e->online_since_us || e->backoff.tries == 1)
		log_info("%s: %s; next try in %lld s", LOG_JID(e->account.jid),
			 *e->reason_text ? e->reason_text : "not connected", (long long)(wait / 1000000));
	engine_enter(e, ENGINE_WAIT);
	engine_arm(e, TIMER_RETRY, wait);
}

void engine_wire_gone(struct engine *e, const char *why)
{
	bool stopping = e->stopping;

	if (!e->wire)
		return;
	log_debug("%s: wire gone: %s", e->account.jid, why);
	engine_stream_over(e);
	e->stopping = false;
	if (stopping || second_takes_over(e))
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

void engine_fill_start(struct engine *e, bool hold, struct link_start *ret)
{
	const struct account *a = &e->account;
	const struct session *s = &e->session;

	*ret = (struct link_start){
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
		.hold = hold,
	};
	login_start(e, ret);
}

static void send_start(struct engine *e)
{
	struct link_record rec;
	int r;

	link_record_init(&rec, LINK_START);
	engine_fill_start(e, false, &rec.start);
	r = e->io->send(e->userdata, &rec);
	login_started(e);
	if (r < 0)
		log_warning("%s: cannot start the wire: %s", LOG_JID(e->account.jid), strerror(-r));
}

static void dial(struct engine *e)
{
	int r;

	engine_arm(e, TIMER_RETRY, -1);
	e->retry_real_us = 0;
	e->resumed = e->unreachable = e->yielded = false;
	ackline_rewind(&e->line);
	r = e->io->spawn(e->userdata);
	if (r < 0) {
		log_error("%s: cannot start varve-wire: %s", LOG_JID(e->account.jid), strerror(-r));
		engine_set_reason(e, "Failed", "varve-wire could not be started: is the installation complete?");
		retry_later(e);
		return;
	}
	e->wire = true;
	e->probe = 0;
	e->phase = PHASE_RESOLVE;
	engine_enter(e, ENGINE_DIAL);
	engine_arm(e, TIMER_DEADLINE, e->policy.deadline_us);
	send_start(e);
}

void engine_hang_up(struct engine *e)
{
	second_drop(e);
	if (!e->wire)
		return;
	e->io->kill(e->userdata);
	engine_stream_over(e);
	e->stopping = false;
}

void engine_connect(struct engine *e)
{
	if (!e->account.enabled)
		return;
	/* The goodbye of a disconnect may still be under way: the user has changed his mind. */
	if (e->stopping)
		engine_hang_up(e);
	if (e->wire)
		return;
	backoff_reset(&e->backoff);
	engine_set_reason(e, "", "");
	dial(e);
}

/* Leave the stream: for good (${final}) or resumable. */
static void stop_wire(struct engine *e, bool final)
{
	struct link_record rec;

	second_drop(e);
	if (!e->wire)
		return;
	commit_now(e);
	if (final)
		push_goodbye(e);
	link_record_init(&rec, LINK_STOP);
	rec.stop.final = final;
	if (e->io->send(e->userdata, &rec) < 0)
		e->io->kill(e->userdata);
	e->stopping = true;
}

void engine_disconnect(struct engine *e)
{
	note_whole(e);
	engine_arm(e, TIMER_RETRY, -1);
	e->retry_real_us = 0;
	stop_wire(e, true);
	if (*e->session.sm_id)
		commit_session_over(e);
	e->ready = false;
	sending_stream_ends(e);
	catchup_stream_ends(e);
	engine_set_reason(e, e->account.enabled ? "Offline" : "", e->account.enabled ? "disconnected by you" : "");
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
	push_configured(e);
	if (!a->enabled) {
		if (was_enabled)
			engine_disconnect(e);
		return;
	}
	/* Who changes something after a refusal wants it tried, and accepts what the server offers now. */
	if (e->state == ENGINE_REFUSED)
		reconnect = true;
	if (reconnect)
		login_reset(e);
	if (!reconnect && was_enabled)
		return;
	if (e->wire) {
		engine_hang_up(e);
		engine_enter(e, ENGINE_WAIT);
	}
	engine_connect(e);
}

int engine_sync_now(struct engine *e)
{
	if (e->state != ENGINE_ONLINE)
		return HUB_E_OFFLINE;
	/* Proof begins with forgetting what live delivery claims: not before the archive may be asked. */
	if (e->paused)
		return HUB_E_PAUSED;
	e->sync_error = false;
	engine_arm(e, TIMER_SYNC, -1);
	catchup_prove(e);
	return 0;
}

void engine_sync_pause(struct engine *e, bool pause)
{
	e->paused = pause;
	catchup_waits(e, pause);
}

static void on_deadline(struct engine *e)
{
	static const char *const silent[] = {
		[PHASE_RESOLVE] = "the name server does not answer: is there a network?",
		[PHASE_CONNECT] = "the server's address does not answer: is the host and port right?",
		[PHASE_TLS] = "the server accepted the connection but not the TLS handshake: is the port the right kind?",
		[PHASE_HELD] = "the server accepted the connection and says nothing",
		[PHASE_FEATURES] = "the server accepted the connection and says nothing",
		[PHASE_AUTH] = "the server does not answer the login",
		[PHASE_BIND] = "the server stopped answering after the login",
		[PHASE_SETTLE] = "the server stopped answering after the login",
	};

	if (!e->wire)
		return;
	/* Dead silence may come from what was guessed; a resume that was under way costs one more round trip then. */
	if (!e->stopping && e->phase >= PHASE_FEATURES && e->phase <= PHASE_BIND)
		login_guess_failed(e);
	if (!e->stopping && e->phase <= PHASE_CONNECT)
		e->unreachable = true;
	if (!e->stopping)
		engine_set_reason(e, "Offline", e->phase < ARRAY_SIZE(silent) ? silent[e->phase] : silent[PHASE_FEATURES]);
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
		answers_late(e);
		break;
	case TIMER_ASK:
		catchup_go(e);
		break;
	case TIMER_STORE:
		pages_store(e);
		break;
	case TIMER_SYNC:
		e->sync_error = false;
		if (!*e->reason_name || strcmp(e->reason_name, "Remote") == 0)
			engine_set_reason(e, "", "");
		catchup_go(e);
		break;
	case TIMER_SEND:
		sending_go(e);
		break;
	case TIMER_NUMBER:
		sending_unnumbered(e);
		break;
	case TIMER_DOUBT:
		doubt_look(e);
		break;
	case TIMER_PROVE:
		sending_prove(e);
		break;
	case TIMER_DUEL:
		second_look(e);
		break;
	case TIMER_WORD:
		trigger_no_word(e);
		break;
	case TIMER_RECHECK:
		recheck_look(e);
		break;
	case ENGINE_TIMERS:
		break;
	}
}
