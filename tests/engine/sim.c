#define _GNU_SOURCE
#include "sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/ping.h"
#include "link/link.h"
#include "sync/engine-priv.h"

#define WINDOW 2000 /* the wire stops reading with so many uncommitted */

/* ---- the world of the engine ---- */

static int io_spawn(void *userdata)
{
	struct sim *s = userdata;

	s->wire = true;
	s->wires++;
	s->announced = s->dead = s->no_address = s->hangs = s->no_word = false;
	s->probe = 0;
	s->given = 0;
	return 0;
}

void sim_detach(struct sim *s)
{
	sim_send_cut(s);
	sim_duel_forget(s);
	s->wire = false;
	s->attached = false;
	s->resent_at_us = 0;
	s->q_next = s->q_head;
}

static void io_kill(void *userdata)
{
	sim_detach(userdata);
}

static void io_timer(void *userdata, enum engine_timer which, int64_t at_us)
{
	struct sim *s = userdata;

	s->timers[which] = at_us;
}

static int64_t io_boot_us(void *userdata)
{
	return ((struct sim *)userdata)->boot_us;
}

static int64_t io_real_us(void *userdata)
{
	struct sim *s = userdata;

	return SIM_T0 + s->boot_us + s->skew_us;
}

static uint32_t io_random(void *userdata)
{
	return (uint32_t)rand_r(&((struct sim *)userdata)->dice) * 2u;
}

static void io_event(_unused_ void *userdata, _unused_ enum hub_event event)
{
}

const struct engine_io sim_io = {
	.spawn = io_spawn,
	.kill = io_kill,
	.send = sim_server_send,
	.timer = io_timer,
	.boot_us = io_boot_us,
	.real_us = io_real_us,
	.random = io_random,
	.event = io_event,
	.second_spawn = sim_second_spawn,
	.second_kill = sim_second_kill,
	.second_promote = sim_second_promote,
};

/* ---- the wire ---- */

static void say(struct sim *s, struct link_record *r)
{
	engine_record(s->engine, r);
}

static void announce(struct sim *s)
{
	bool resume = *s->session && strcmp(s->start_sm_id, s->session) == 0 && !s->session_lost;
	uint32_t h = s->start.start.sm_in;
	struct link_record r;
	char jid[64];

	s->announced = true;
	for (uint32_t phase = PHASE_RESOLVE; phase <= PHASE_BIND; phase++) {
		link_record_init(&r, LINK_PHASE);
		r.phase.phase = phase;
		say(s, &r);
	}
	if (!resume) {
		if (*s->start_sm_id) {
			link_record_init(&r, LINK_RESUME_REFUSED);
			r.resume_refused.condition = "item-not-found";
			r.resume_refused.has_h = s->keeps_h;
			r.resume_refused.h = s->h;
			say(s, &r);
			if (!s->wire)
				return;
		}
		sim_send_bound(s);
		snprintf(s->session, sizeof(s->session), "s%d", ++s->sessions);
		s->q_head = s->q_tail = s->q_next = 0;
		s->counter = 0;
		s->binds++;
	} else if (s->h_too_high) {
		/* The server claims more than was sent: the wire ends the stream (XEP-0198 section 4). */
		s->h_too_high = 0;
		link_record_init(&r, LINK_FAILED);
		r.failed.failure = FAILURE_PROTOCOL;
		r.failed.condition = "handled-count-too-high";
		say(s, &r);
		return;
	} else {
		sim_send_resumed(s);
		sim_acknowledge(s, h);
		s->q_next = s->q_head;
		s->resumes++;
		/* The question leaves when <resumed/> is here, the answer comes behind what was kept. */
		s->resent_n = s->counter;
		s->resent_at_us = s->boot_us + 2 * SIM_NET_US;
	}
	s->attached = true;
	s->word_at_us = s->boot_us + PING_FIRST_US;
	s->session_lost = false;
	link_record_init(&r, LINK_ONLINE);
	r.online.resumed = resume;
	snprintf(jid, sizeof(jid), "%s/r", s->own);
	r.online.jid = jid;
	r.online.sm_id = s->session;
	r.online.counted = true;
	r.online.sm_in = resume ? h : 0;
	r.online.sm_out = s->h;
	r.online.mechanism = "SIM";
	r.online.round_trip_us = s->round_trip_us;
	say(s, &r);
	if (!s->wire)
		return;
	s->engine->policy.slice = s->slice;
	s->engine->policy.horizon_us = s->horizon_us;
	s->engine->policy.metered_us = s->metered_us;
	s->engine->policy.screens_gap = s->screens_gap;
	if (s->force_lanes) {
		s->engine->lanes.n = (unsigned int)s->force_lanes;
		s->engine->lanes.hold = 1000000;
	}
	link_record_init(&r, LINK_READY);
	r.ready.archive = s->no_archive ? ARCHIVE_NONE : ARCHIVE_EXTENDED;
	r.ready.stanza_ids = !s->no_stanza_ids;
	r.ready.features = str_or_empty(s->features);
	r.ready.untold = s->untold && !resume;
	say(s, &r);
}

static void fill_message(const struct sim *s, const struct sim_stanza *z, struct message *m, char *from)
{
	const struct sim_message *a = &s->archive[z->message];

	message_init(m);
	m->n = z->n;
	m->via = z->kind == SIM_RESULT ? VIA_ARCHIVE : a->out || a->carbon ? VIA_CARBON : VIA_LIVE;
	m->query = z->query;
	m->type = "chat";
	m->id = s->no_ids ? "" : a->xid;
	m->origin_id = a->own ? a->xid : "";
	m->asks = a->asks;
	if (a->receipt) {
		m->payload = PAYLOAD_RECEIPT;
		m->target_id = s->archive[z->message - 1].xid;
		m->body = "";
	}
	m->body = a->body;
	snprintf(from, 64, "%s/other", a->out ? s->own : a->peer);
	m->from = from;
	m->to = a->out ? a->peer : s->own;
	if (z->kind == SIM_RESULT || (!s->no_stanza_ids && !s->no_ids))
		m->archive_id = a->id;
	if (z->kind == SIM_RESULT && !(s->stampless && z->message % s->stampless == 0))
		m->archive_us = a->us;
}

static void deliver(struct sim *s, const struct sim_stanza *z)
{
	bool mine = z->wire == s->wires;
	struct link_record r;
	char from[64];

	if (z->kind == SIM_LIVE || (z->kind == SIM_RESULT && mine)) {
		link_record_init(&r, LINK_MSG);
		fill_message(s, z, &r.msg, from);
	} else if (z->kind == SIM_FIN && mine) {
		link_record_init(&r, LINK_FIN);
		r.fin.n = z->n;
		r.fin.query = z->query;
		r.fin.complete = z->complete;
		r.fin.stable = !s->unsettled;
		r.fin.first = z->first < 0 ? "" : s->archive[z->first].id;
		r.fin.last = z->last < 0 ? "" : s->archive[z->last].id;
	} else if (z->kind == SIM_META && mine) {
		link_record_init(&r, LINK_META);
		r.meta.n = z->n;
		r.meta.query = z->query;
		r.meta.empty = z->first < 0;
		if (!r.meta.empty) {
			r.meta.start_id = s->archive[z->first].id;
			r.meta.start_us = s->archive[z->first].us;
			r.meta.end_id = s->archive[z->last].id;
			r.meta.end_us = s->archive[z->last].us;
		}
	} else if (z->kind == SIM_FAILED && mine) {
		link_record_init(&r, LINK_QUERY_FAILED);
		r.query_failed.n = z->n;
		r.query_failed.query = z->query;
		r.query_failed.condition = "item-not-found";
	} else {
		link_record_init(&r, LINK_IDLE);
		r.idle.n = z->n;
	}
	say(s, &r);
}

static bool behind_resent(const struct sim *s)
{
	return s->resent_at_us && (s->q_next >= s->q_tail || (int32_t)(s->queue[s->q_next].n - s->resent_n) > 0);
}

static void say_resent(struct sim *s)
{
	struct link_record r;

	s->resent_at_us = 0;
	link_record_init(&r, LINK_RESENT);
	r.resent.n = s->resent_n;
	say(s, &r);
}

static bool is_alive(const struct sim *s)
{
	return !s->dead && !s->hangs && s->attached;
}

static void say_word(struct sim *s)
{
	struct link_record r;

	s->word_at_us = s->boot_us + PING_FIRST_US;
	link_record_init(&r, LINK_HEARD);
	say(s, &r);
}

bool sim_step(struct sim *s)
{
	struct sim_stanza z;

	if (!s->wire || s->mute)
		return false;
	if (sim_duel_step(s))
		return true;
	if (s->no_word || (!s->announced && s->second_ready_us > s->boot_us))
		return false;
	if (!s->announced) {
		announce(s);
		return true;
	}
	if (sim_send_step(s))
		return true;
	if (!s->dead && s->attached && behind_resent(s) && s->resent_at_us <= s->boot_us) {
		say_resent(s);
		return true;
	}
	if (is_alive(s) && s->word_at_us <= s->boot_us) {
		say_word(s);
		return true;
	}
	if (s->dead || !s->attached || s->q_next >= s->q_tail || s->queue[s->q_next].n - s->committed > WINDOW ||
	    s->queue[s->q_next].ready_us > s->boot_us)
		return false;
	s->queue[s->q_next].given = true;
	z = s->queue[s->q_next++];
	deliver(s, &z);
	if (s->breaks_after && ++s->given >= s->breaks_after)
		sim_cut(s);
	return true;
}

/* ---- time ---- */

static int next_timer(const struct sim *s)
{
	int best = -1;

	for (int i = 0; i < ENGINE_TIMERS; i++)
		if (s->timers[i] && (best < 0 || s->timers[i] < s->timers[best]))
			best = i;
	return best;
}

/* Of two times, where 0 is never. */
static int64_t sooner(int64_t a, int64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* When the stanza that is on its way arrives; 0 = none is. */
static int64_t next_ready(const struct sim *s)
{
	int64_t sent = s->wire && !s->mute ? sim_send_ready(s) : 0, duel = s->wire && !s->mute ? sim_duel_ready(s) : 0;

	sent = sooner(sent, duel);
	if (s->wire && !s->mute && !s->dead && s->attached && behind_resent(s) && s->resent_at_us > s->boot_us)
		sent = sooner(sent, s->resent_at_us);
	if (s->wire && !s->mute && s->announced && is_alive(s) && s->word_at_us > s->boot_us)
		sent = sooner(sent, s->word_at_us);
	if (!s->wire || s->mute || s->dead || !s->attached || s->q_next >= s->q_tail ||
	    s->queue[s->q_next].ready_us <= s->boot_us)
		return sent;
	return sooner(sent, s->queue[s->q_next].ready_us);
}

void sim_set_clock(struct sim *s, int64_t skew_us)
{
	int64_t us = skew_us - s->skew_us;

	s->skew_us = skew_us;
	/* As hub-trigger.c. */
	store_clock_was_off(s->store, us);
	engine_clock_set(s->engine, us);
}

void sim_run(struct sim *s, int64_t us)
{
	int64_t until = s->boot_us + us;

	for (;;) {
		int t = next_timer(s);

		/* A timer that is due goes first: commits fall into the middle of pages. */
		if ((t < 0 || s->timers[t] > s->boot_us) && s->boot_us <= until && sim_step(s)) {
			s->boot_us += s->stanza_us;
			continue;
		}
		if (next_ready(s) && next_ready(s) <= until && (t < 0 || s->timers[t] > next_ready(s))) {
			s->boot_us = next_ready(s);
			continue;
		}
		if (t < 0 || s->timers[t] > until)
			break;
		if (s->timers[t] > s->boot_us)
			s->boot_us = s->timers[t];
		s->timers[t] = 0;
		engine_timer(s->engine, (enum engine_timer)t);
	}
	if (s->boot_us < until)
		s->boot_us = until;
}

bool sim_settle(struct sim *s, int64_t us)
{
	int64_t until = s->boot_us + us;
	struct account_status st;
	struct outbox_status out;

	while (s->boot_us < until) {
		sim_run(s, SIM_SEC);
		engine_status(s->engine, &st);
		if (st.caught_up && s->q_next >= s->q_tail && engine_outbox(s->engine, &out) == 0 &&
		    out.queued + out.sending == 0)
			return true;
	}
	return false;
}

void sim_cut(struct sim *s)
{
	if (!s->wire)
		return;
	sim_detach(s);
	engine_wire_gone(s->engine, "cut");
}

void sim_close(struct sim *s)
{
	struct link_record r;

	if (!s->wire)
		return;
	sim_send_cut(s);
	link_record_init(&r, LINK_FAILED);
	r.failed.failure = FAILURE_LOST;
	r.failed.condition = s->falls_silent ? "" : "closed";
	r.failed.text = "the server closed the connection";
	engine_record(s->engine, &r);
}

void sim_forget_session(struct sim *s)
{
	*s->session = '\0';
	s->q_head = s->q_tail = s->q_next = 0;
}
