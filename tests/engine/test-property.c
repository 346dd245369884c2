/*
 * Random archives, sends, faults, kills, clock jumps and server kinds through the real engine and store. After each
 * operation coverage claims only what is stored, what was acknowledged is durable, and nothing leaves before its number
 * is durable (checked by the simulator); when the faults stop, everything converges to the server's archive, exactly
 * once and in its order, and what was sent is at the receiver exactly once and in order.
 *
 * Long histories have 20 to 50 rounds of faults over some 450 messages, each in files of its own with the cipher. Short
 * ones have 3 to 9 rounds over some 15 messages, each on an account of its own in a store in memory: a fiftieth of the
 * cost, and what goes wrong at a seam mostly goes wrong with few messages and pages of 2 to 5.
 *
 * VARVE_SEQUENCES=N runs N long histories (default 200) from seed VARVE_FIRST (1) on, VARVE_SHORTS=N short ones (1,000)
 * from VARVE_SHORT_FIRST (1) on; 100,000 of them are the suite "swarm". VARVE_SEED=N, VARVE_SHORT_SEED=N: that one alone.
 * A failure names the seed. VARVE_SILENT=1: nothing is sent in that one. VARVE_LOST=N histories of lost sessions (60) from
 * VARVE_LOST_FIRST (1) on. A third as many of each have a server whose clock steps; VARVE_CLOCK=1: only these.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accepted.h"
#include "base/log.h"
#include "sim.h"
#include "sync/engine-priv.h"

#define HOUR (INT64_C(3600) * SIM_SEC)
#define CLOCK_PART 3	   /* so many times fewer of them with a clock that steps */
#define SHORTS 1000	   /* short histories unless VARVE_SHORTS says */
#define SHORTS_A_STORE 500 /* of them in one store in memory */

/* How much happens in a history: bounds of what the dice say. */
struct shape {
	int archive, long_archive; /* messages before the first login, and in one of four histories */
	int events, more_events;   /* so many, and up to so many more */
	int burst;		   /* live messages at a time */
	int away;		   /* messages that come while the session is lost */
	int least_page, page;	   /* the server's pages: so many and up to so many more */
	int sends, long_sends;	   /* at a time, and in one of four times */
};

/* Some 450 messages in a file of its own, through the cipher; kills open it anew. */
static const struct shape long_history = { 150, 600, 20, 30, 8, 120, 5, 50, 4, 30 };
/* Some 15 in a store in memory that many accounts share; pages of 2 to 5, so that there are as many seams. */
static const struct shape short_history = { 5, 12, 3, 7, 2, 5, 2, 4, 2, 4 };

static void fault(struct sim *s, const struct shape *p, unsigned int *seed, int *serial)
{
	char peer[32], body[32];
	int n;

	snprintf(peer, sizeof(peer), "c%d@sim.test", pick(seed, 4));
	switch (pick(seed, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		n = 1 + pick(seed, p->burst);
		for (int i = 0; i < n; i++) {
			snprintf(body, sizeof(body), "m%d", (*serial)++);
			if (pick(seed, 8) == 0) {
				char other[sizeof(body)];

				snprintf(other, sizeof(other), "m%d", (*serial)++);
				sim_live_turned(s, peer, body, other);
				continue;
			}
			sim_live(s, peer, body);
		}
		break;
	case 4:
		sim_cut(s);
		break;
	case 5:
		sim_kill(s);
		engine_connect(s->engine);
		break;
	case 6:
		sim_restart(s);
		engine_connect(s->engine);
		break;
	case 7:
		sim_cut(s);
		sim_forget_session(s);
		n = pick(seed, p->away);
		s->boot_us += (int64_t)pick(seed, 48) * HOUR;
		for (int i = 0; i < n; i++) {
			snprintf(body, sizeof(body), "m%d", (*serial)++);
			sim_archive(s, peer, pick(seed, 3) == 0, body, 0);
			s->boot_us += pick(seed, 4) ? 0 : (int64_t)pick(seed, 100) * SIM_SEC;
		}
		break;
	case 8:
		s->skew_us = (int64_t)(pick(seed, 3) - 1) * (int64_t)pick(seed, 30) * HOUR;
		break;
	case 9:
		s->session_lost = true;
		sim_cut(s);
		break;
	case 10:
		s->page_cap = (uint32_t)(2 + pick(seed, p->page + p->page / 5));
		break;
	case 13:
		engine_sync_now(s->engine);
		break;
	case 12: /* archived, and never delivered to us although we are online */
		snprintf(body, sizeof(body), "m%d", (*serial)++);
		sim_archive(s, peer, true, body, 0);
		break;
	case 11:
		n = pick(seed, 40);
		for (int i = 0; i < n && sim_step(s); i++)
			;
		break;
	default:
		sim_run(s, (int64_t)pick(seed, 20) * SIM_SEC / 4);
		break;
	}
}

/* Somebody set it, or it was lost with the power: by minutes, hours or days, or it is right again. */
static void clock_may_step(struct sim *s, unsigned int *dice)
{
	static const int64_t units[] = { 60 * SIM_SEC, HOUR, 24 * HOUR };
	int64_t us;

	if (pick(dice, 4))
		return;
	us = units[pick(dice, 3)] * (1 + pick(dice, 59)) * (pick(dice, 2) ? 1 : -1);
	s->clock_us = pick(dice, 4) ? s->clock_us + us : 0;
}

/* The server, and what the archive was before the first login. */
static void furnish(struct sim *s, const struct shape *p, unsigned int *dice, int *serial)
{
	s->resolution_us = pick(dice, 2) ? SIM_SEC : 1;
	s->item_not_found = s->resolution_us == SIM_SEC;
	s->no_metadata = pick(dice, 5) == 0;
	s->stampless = pick(dice, 3) ? 0 : 1 + pick(dice, 9);
	s->page_cap = (uint32_t)(p->least_page + pick(dice, p->page));
	s->jitter_us = pick(dice, 3) ? 0 : 120 * SIM_SEC;
	s->force_lanes = pick(dice, 3) ? 1 + pick(dice, 16) : 0;
	s->slice = pick(dice, 2) ? 0 : 1 + (uint32_t)pick(dice, 40);
	s->screens_gap = s->seed % 2 ? 5 : 0;
	s->unsettled = s->seed % 7 == 3;
	s->overtakes = s->seed % 5 == 2;
	s->delay_us = pick(dice, 2) ? 0 : (int64_t)pick(dice, 300) * 1000;
	for (int i = pick(dice, pick(dice, 4) ? p->archive : p->long_archive); i > 0; i--) {
		char body[32];

		snprintf(body, sizeof(body), "m%d", (*serial)++);
		sim_archive(s, "old@sim.test", i % 5 == 0, body, 0);
		s->boot_us += pick(dice, 3) ? 0 : (int64_t)pick(dice, 600) * SIM_SEC;
		if (s->steps && pick(dice, 10) == 0)
			clock_may_step(s, dice);
	}
}

static void settle(struct sim *s, const char *when)
{
	if (!sim_settle(s, 2 * HOUR))
		fail_msg("seed %u: does not settle%s", s->seed, when);
}

static void faults_stop(struct sim *s)
{
	s->session_lost = false;
	s->unsettled = false;
	s->page_cap = 50;
	s->no_acks = s->no_numbers = false;
	s->net_us = 20000;
	s->h_too_high = 0;
	engine_connect(s->engine);
}

static void live_through(struct sim *s, const struct shape *p, bool sends)
{
	struct accepted *a = xnew(struct accepted);
	unsigned int dice = s->seed, clock_dice = s->seed + 2;
	int serial = 0;

	a->dice = s->seed + 1;
	s->first_n = sends && s->seed % 4 == 0 ? UINT32_MAX - 30 : 0;
	furnish(s, p, &dice, &serial);
	engine_connect(s->engine);
	for (int i = p->events + pick(&dice, p->more_events); i > 0; i--) {
		if (sends)
			accepted_something(s, a, p->sends, p->long_sends);
		if (s->steps)
			clock_may_step(s, &clock_dice);
		fault(s, p, &dice, &serial);
		sim_expect_honest(s);
	}
	faults_stop(s);
	settle(s, "");
	if (sends) {
		accepted_expect_arrived(s, a, false);
		accepted_retry_cancelled(s, a);
		settle(s, " after retries");
		accepted_expect_arrived(s, a, true);
	}
	engine_sync_now(s->engine);
	settle(s, " after sync now");
	sim_expect_all(s, 0);
	free(a);
}

static void run(unsigned int seed, bool sends, bool steps)
{
	struct sim *s = xnew(struct sim);

	sim_init(s, seed);
	s->steps = steps;
	live_through(s, &long_history, sends);
	sim_deinit(s);
	free(s);
}

static void run_short(struct sim *s, unsigned int seed, struct store *store, bool steps)
{
	sim_init_guest(s, seed, store);
	s->steps = steps;
	live_through(s, &short_history, seed % 3 != 0);
	sim_deinit(s);
}

/* Each of these found a defect once. */
static void histories_that_failed_once_converge(_unused_ void **state)
{
	static const unsigned int seeds[] = { 286, 305, 698, 1084, 5296 }, sending[] = { 9063, 25873 };

	if (getenv("VARVE_SEED") || getenv("VARVE_SHORT_SEED"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
		run(seeds[i], false, false);
	for (size_t i = 0; i < ARRAY_SIZE(sending); i++)
		run(sending[i], true, false);
}

static void some_live(struct sim *s, unsigned int *dice, int n, int *serial)
{
	char peer[32], body[32], other[32];

	for (int i = 0; i < n; i++) {
		snprintf(peer, sizeof(peer), "c%d@sim.test", pick(dice, 3));
		snprintf(body, sizeof(body), "m%d", (*serial)++);
		switch (pick(dice, 5)) {
		case 0: /* of another device of ours: archived, not delivered */
			sim_archive(s, peer, true, body, 0);
			break;
		case 1:
			snprintf(other, sizeof(other), "m%d", (*serial)++);
			sim_live_turned(s, peer, body, other);
			break;
		default:
			sim_live(s, peer, body);
			break;
		}
		if (pick(dice, 3) == 0)
			sim_run(s, (int64_t)pick(dice, 120) * SIM_SEC);
	}
}

/*
 * What a lost session delivered lies in the gap below the next one's newest page, at places that the stream gave it, with a
 * clock that may be wrong: such a gap is cut all the same (decision 0007).
 */
static void lose_sessions(struct sim *s)
{
	unsigned int dice = s->seed, clock_dice = s->seed + 2;
	int serial = 0;

	s->resolution_us = pick(&dice, 2) ? SIM_SEC : 1;
	s->item_not_found = s->resolution_us == SIM_SEC;
	s->stampless = pick(&dice, 3) ? 0 : 1 + pick(&dice, 9);
	s->page_cap = (uint32_t)(3 + pick(&dice, 20));
	s->jitter_us = pick(&dice, 2) ? 0 : 280 * SIM_SEC;
	s->force_lanes = 2 + pick(&dice, 15);
	s->slice = pick(&dice, 2) ? 0 : 1 + (uint32_t)pick(&dice, 10);
	s->screens_gap = pick(&dice, 2) ? 5 : 0;
	s->delay_us = pick(&dice, 2) ? 0 : (int64_t)pick(&dice, 300) * 1000;
	some_live(s, &dice, 20, &serial);
	engine_connect(s->engine);
	sim_run(s, 60 * SIM_SEC);
	for (int i = 2 + pick(&dice, 3); i > 0; i--) {
		s->skew_us = (int64_t)(pick(&dice, 3) - 1) * pick(&dice, 40) * HOUR;
		some_live(s, &dice, 1 + pick(&dice, 40), &serial);
		sim_run(s, (int64_t)pick(&dice, 4) * SIM_SEC);
		sim_expect_honest(s);
		sim_cut(s);
		sim_forget_session(s);
		for (int n = pick(&dice, 200); n > 0; n--) {
			char body[32];

			snprintf(body, sizeof(body), "m%d", serial++);
			sim_archive(s, "c0@sim.test", pick(&dice, 4) == 0, body, 0);
			s->boot_us += pick(&dice, 2) ? 0 : (int64_t)pick(&dice, 3600) * SIM_SEC;
			if (s->steps && pick(&clock_dice, 20) == 0)
				clock_may_step(s, &clock_dice);
		}
		engine_connect(s->engine);
		for (int n = pick(&dice, 60); n > 0; n--)
			sim_step(s);
		if (pick(&dice, 3) == 0)
			some_live(s, &dice, 3, &serial);
		if (pick(&dice, 3) == 0)
			sim_cut(s);
		sim_run(s, (int64_t)pick(&dice, 3000) * 1000);
		sim_expect_honest(s);
		if (pick(&dice, 3))
			settle(s, " after a lost session");
	}
	s->stampless = 0;
	settle(s, "");
	engine_sync_now(s->engine);
	settle(s, " after sync now");
	sim_expect_all(s, 0);
}

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *v = getenv(name);

	return v ? (unsigned int)strtoul(v, NULL, 10) : otherwise;
}

static void histories(bool steps, unsigned int n)
{
	unsigned int first = number("VARVE_FIRST", 1);

	if (getenv("VARVE_SHORT_SEED"))
		return;
	if (getenv("VARVE_SEED")) {
		run(number("VARVE_SEED", 0), !getenv("VARVE_SILENT"), steps);
		return;
	}
	for (unsigned int seed = first; seed < first + n; seed++)
		run(seed, true, steps);
}

static void short_histories(bool steps, unsigned int n)
{
	unsigned int first = number("VARVE_SHORT_SEED", number("VARVE_SHORT_FIRST", 1));
	struct sim *s = xnew(struct sim); /* one for all: it is four megabytes, of which a short history touches little */
	struct store *store = NULL;

	if (getenv("VARVE_SEED"))
		n = 0;
	else if (getenv("VARVE_SHORT_SEED"))
		n = 1;
	for (unsigned int i = 0; i < n; i++) {
		if (i % SHORTS_A_STORE == 0) {
			store_free(store);
			store = sim_memory_store();
		}
		run_short(s, first + i, store, steps);
	}
	store_free(store);
	free(s);
}

static void lost_sessions(bool steps, unsigned int n)
{
	unsigned int first = number("VARVE_LOST_FIRST", 1);
	struct store *store = sim_memory_store();
	struct sim *s = xnew(struct sim);

	for (unsigned int i = 0; i < n; i++) {
		sim_init_guest(s, first + i, store);
		s->steps = steps;
		lose_sessions(s);
		sim_deinit(s);
		if (i % 100 == 99) {
			store_free(store);
			store = sim_memory_store();
		}
	}
	store_free(store);
	free(s);
}

static void any_history_converges(_unused_ void **state)
{
	histories(false, number("VARVE_SEQUENCES", 200));
}

static void any_short_history_converges(_unused_ void **state)
{
	short_histories(false, number("VARVE_SHORTS", SHORTS));
}

static void lost_sessions_converge(_unused_ void **state)
{
	lost_sessions(false, number("VARVE_LOST", 60));
}

/* The same, and the server's clock is set now and then: by minutes, hours or days, forwards and back. */
static void with_a_clock_that_steps_they_converge(_unused_ void **state)
{
	histories(true, number("VARVE_SEQUENCES", 200) / CLOCK_PART);
	short_histories(true, number("VARVE_SHORTS", SHORTS) / CLOCK_PART);
	lost_sessions(true, number("VARVE_LOST", 60) / CLOCK_PART);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histories_that_failed_once_converge),
		cmocka_unit_test(any_history_converges),
		cmocka_unit_test(any_short_history_converges),
		cmocka_unit_test(lost_sessions_converge),
		cmocka_unit_test(with_a_clock_that_steps_they_converge),
	};
	const struct CMUnitTest stepping[] = { cmocka_unit_test(with_a_clock_that_steps_they_converge) };

	if (!getenv("VARVE_LOG"))
		log_set_level(LOG_LEVEL_ERROR);
	else
		log_init("sim");
	if (getenv("VARVE_CLOCK"))
		return cmocka_run_group_tests(stepping, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
