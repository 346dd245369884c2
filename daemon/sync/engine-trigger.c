/*
 * What happens outside and makes waiting pointless: another network, the end of a sleep. The stream of before is asked
 * for a sign of life with a short deadline while a second wire gets ready; who waits for the next try, tries now.
 */
#include <string.h>

#include "base/log.h"
#include "core/ping.h"
#include "sync/engine-priv.h"

/* Three seconds are long on 2G; a timer may be a quarter of one late. */
#define ALIVE_MS 2750

void engine_set_route(struct engine *e, bool route)
{
	e->no_route = !route;
}

void engine_network(struct engine *e, bool route)
{
	engine_set_route(e, route);
	if (!route)
		return; /* a stream may outlive the seconds until there is one again */
	switch (e->state) {
	case ENGINE_WAIT:
		/* Whoever took our place keeps it: two that come back at each change would go on for ever. */
		if (e->yielded)
			return;
		engine_connect(e);
		return;
	case ENGINE_DIAL:
		/* Asked by the old network's name server, or from an address that is gone. */
		if (e->phase <= PHASE_CONNECT && !e->stopping) {
			engine_hang_up(e);
			engine_enter(e, ENGINE_WAIT);
			engine_connect(e);
		} else {
			second_trigger(e, ALIVE_MS, true);
		}
		return;
	case ENGINE_AUTH:
	case ENGINE_BIND:
	case ENGINE_ONLINE:
		second_trigger(e, ALIVE_MS, true);
		return;
	case ENGINE_OFF:
	case ENGINE_REFUSED:
	case ENGINE_STATES:
		return;
	}
}

static void arm_word(struct engine *e)
{
	e->word_us = e->io->boot_us(e->userdata);
	engine_arm(e, TIMER_WORD, ping_patience(e->ping_us));
}

void engine_set_ping(struct engine *e, int64_t us)
{
	e->ping_us = us;
	if (e->ready)
		arm_word(e);
}

void trigger_word(struct engine *e)
{
	if (e->ready && e->io->boot_us(e->userdata) - e->word_us >= e->ping_us / PING_TOLD_PART)
		arm_word(e);
}

/* A wire that is alive answers, and all stays as it is; one that hangs is found out as if it were its server (core/duel.h). */
void trigger_no_word(struct engine *e)
{
	if (!e->ready || e->stopping)
		return;
	/* Behind a sleep the end of it has asked already. */
	if (!e->duel.asked_us) {
		log_debug("%s: the wire has said nothing for long", e->account.jid);
		second_trigger(e, ALIVE_MS, true);
	}
	arm_word(e);
}

void engine_before_sleep(struct engine *e)
{
	if (e->state != ENGINE_ONLINE || e->stopping)
		return;
	/* Waking up is a trigger of its own. */
	second_drop(e);
	commit_now(e);
	second_probe(e, 0);
}

void engine_clock_set(struct engine *e, int64_t us)
{
	int64_t now = e->io->real_us(e->userdata);

	if (e->retry_real_us)
		e->retry_real_us += us;
	/* We were not in sync at a time that is to come: the clock that said so was ahead. */
	e->whole_us = e->whole_us > now ? now : e->whole_us;
	e->session.caught_up_us = e->session.caught_up_us > now ? now : e->session.caught_up_us;
	/* No certificate is valid in 1970: who boots then waits for this. */
	if (e->state == ENGINE_WAIT && strcmp(e->reason_name, "Certificate") == 0)
		engine_connect(e);
	else
		catchup_go(e); /* what lies within the horizon */
}
