/*
 * Two wires at once (docs/decisions/0013). core/duel.h decides; here the second wire is started and heard, and made the wire.
 *
 * There is one moment in which the session changes hands: the first is dead, what it brought is committed, and only then
 * does the second hear RESUME, with the numbers of that commit. Until then the second has said nothing to the server but
 * TLS, and the first is fed as ever: it may be the one that stays.
 */
#include <string.h>

#include "base/log.h"
#include "base/step.h"
#include "link/link.h"
#include "sync/engine-priv.h"

/* A session that a second wire could take over, as it is: what READY said is known and stored. */
static bool resumable(const struct engine *e)
{
	return e->ready && e->counted && *e->session.sm_id;
}

static void kill_second(struct engine *e)
{
	e->io->second_kill(e->userdata);
}

static void start_second(struct engine *e)
{
	int64_t now = e->io->boot_us(e->userdata);
	struct link_record rec;
	int r;

	link_record_init(&rec, LINK_START);
	engine_fill_start(e, true, &rec.start);
	duel_started(&e->duel, now);
	e->second_phase = PHASE_RESOLVE;
	r = e->io->second_spawn(e->userdata, &rec);
	login_started(e);
	if (r < 0) {
		log_debug("%s: no second wire: %s", e->account.jid, strerror(-r));
		duel_failed(&e->duel, now);
	}
}

void second_look(struct engine *e)
{
	int64_t now = e->io->boot_us(e->userdata), next;

	if (duel_move(&e->duel, now) == DUEL_START)
		start_second(e);
	if (duel_move(&e->duel, now) == DUEL_CUT) {
		log_info("%s: the server does not answer; %s", LOG_JID(e->account.jid),
			 e->duel.second ? "another connection to it is ready" : "varve-wire does not say so");
		engine_drop_wire(e);
		return;
	}
	next = duel_next_us(&e->duel);
	engine_arm(e, TIMER_DUEL, next ? next - now : -1);
}

int second_probe(struct engine *e, uint32_t answer_ms)
{
	struct link_record rec;

	link_record_init(&rec, LINK_PROBE);
	rec.probe.answer_ms = answer_ms;
	rec.probe.probe = ++e->probe;
	return e->io->send(e->userdata, &rec);
}

void second_trigger(struct engine *e, uint32_t answer_ms, bool ask)
{
	if (!e->wire || e->stopping)
		return;
	if (ask)
		second_probe(e, answer_ms);
	/* Before there is a session the wire only looks whether it still has an address. */
	if (e->state != ENGINE_ONLINE)
		return;
	/* A server that owes something does so also on another network: what runs goes on. */
	if (!ask && e->duel.asked_us)
		return;
	if (duel_ask(&e->duel, e->io->boot_us(e->userdata), (int64_t)answer_ms * 1000, resumable(e)))
		kill_second(e);
	second_look(e);
}

void second_answered(struct engine *e, uint32_t number)
{
	/* The answer to a question before the last one says nothing of what has happened since. */
	if (number != e->probe)
		return;
	if (duel_answered(&e->duel, e->io->boot_us(e->userdata)))
		kill_second(e);
	second_look(e);
}

void second_drop(struct engine *e)
{
	if (duel_end(&e->duel))
		kill_second(e);
	engine_arm(e, TIMER_DUEL, -1);
}

static void send_resume(struct engine *e)
{
	struct link_record rec;

	link_record_init(&rec, LINK_RESUME);
	rec.resume.sm_in = e->session.h_in;
	rec.resume.sm_out = e->session.h_out;
	rec.resume.grant = e->session.grant;
	e->io->send(e->userdata, &rec);
}

bool second_takes_over(struct engine *e)
{
	int64_t now = e->io->boot_us(e->userdata);
	bool second = e->duel.second;

	engine_arm(e, TIMER_DUEL, -1);
	if (!duel_first_ended(&e->duel, now) || !*e->session.sm_id) {
		if (second)
			kill_second(e);
		return false;
	}
	/* One that falls silent soon after each resume would be resumed for ever: it counts as a try, and the next ones wait. */
	if (engine_was_stable(e))
		backoff_reset(&e->backoff);
	else
		duel_rest(&e->duel, now + backoff_next(&e->backoff, e->io->random(e->userdata)));
	e->io->second_promote(e->userdata);
	e->wire = true;
	e->probe = 0;
	e->phase = e->second_phase;
	e->resumed = e->unreachable = e->yielded = e->slow = e->again = false;
	engine_set_reason(e, "", "");
	engine_enter(e, ENGINE_WAIT);
	engine_enter(e, ENGINE_DIAL);
	engine_arm(e, TIMER_DEADLINE, e->policy.deadline_us);
	step("duel.handed-over");
	send_resume(e);
	return true;
}

/* It is of no use any more; the first has the time it was given. */
static void give_up_second(struct engine *e, const char *why)
{
	log_debug("%s: the second wire is given up: %s", e->account.jid, why);
	duel_failed(&e->duel, e->io->boot_us(e->userdata));
	second_look(e);
}

void engine_second_gone(struct engine *e, const char *why)
{
	if (e->duel.second)
		give_up_second(e, why);
}

static void on_second_phase(struct engine *e, uint32_t phase)
{
	e->second_phase = phase;
	duel_moved(&e->duel, e->io->boot_us(e->userdata), phase == PHASE_HELD);
	second_look(e);
}

void engine_second_record(struct engine *e, const struct link_record *r)
{
	if (!e->duel.second)
		return;
	if (r->kind == LINK_PHASE && (r->phase.phase <= PHASE_HELD || r->phase.phase == PHASE_FEATURES)) {
		on_second_phase(e, r->phase.phase);
	} else if (r->kind == LINK_LOGIN) {
		login_learned(e, &r->login);
	} else if (r->kind == LINK_TICKET) {
		login_ticket(e, &r->ticket);
	} else {
		kill_second(e);
		give_up_second(e, r->kind == LINK_FAILED ? r->failed.text : "it speaks out of turn");
	}
}
