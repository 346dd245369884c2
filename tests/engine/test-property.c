/*
 * Random archives, faults, kills, clock jumps and server kinds through the real engine and store. After each
 * operation coverage claims only what is stored and what was acknowledged is durable (checked by the simulator);
 * when the faults stop, everything converges to the server's archive, exactly once and in its order.
 *
 * VARVE_SEQUENCES=N runs N histories (default 500) from seed VARVE_FIRST (1) on; VARVE_SEED=N runs that one alone. A
 * failure names the seed.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "sim.h"

#define HOUR (INT64_C(3600) * SIM_SEC)

static int pick(unsigned int *seed, int n)
{
	return rand_r(seed) % n;
}

static void fault(struct sim *s, unsigned int *seed, int *serial)
{
	char peer[32], body[32];
	int n;

	snprintf(peer, sizeof(peer), "c%d@sim.test", pick(seed, 4));
	switch (pick(seed, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		n = 1 + pick(seed, 8);
		for (int i = 0; i < n; i++) {
			snprintf(body, sizeof(body), "m%d", (*serial)++);
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
		n = pick(seed, 120);
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
		s->page_cap = (uint32_t)(2 + pick(seed, 60));
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

static void run(unsigned int seed)
{
	struct sim *s = xnew(struct sim);
	unsigned int dice = seed;
	int serial = 0;

	sim_init(s, seed);
	s->resolution_us = pick(&dice, 2) ? SIM_SEC : 1;
	s->item_not_found = s->resolution_us == SIM_SEC;
	s->no_metadata = pick(&dice, 5) == 0;
	s->stampless = pick(&dice, 3) ? 0 : 1 + pick(&dice, 9);
	s->page_cap = (uint32_t)(5 + pick(&dice, 50));
	s->jitter_us = pick(&dice, 3) ? 0 : 120 * SIM_SEC;
	s->force_lanes = pick(&dice, 3) ? 1 + pick(&dice, 16) : 0;
	s->slice = pick(&dice, 2) ? 0 : 1 + (uint32_t)pick(&dice, 40);
	s->delay_us = pick(&dice, 2) ? 0 : (int64_t)pick(&dice, 300) * 1000;
	for (int i = pick(&dice, pick(&dice, 4) ? 150 : 600); i > 0; i--) {
		char body[32];

		snprintf(body, sizeof(body), "m%d", serial++);
		sim_archive(s, "old@sim.test", i % 5 == 0, body, 0);
		s->boot_us += pick(&dice, 3) ? 0 : (int64_t)pick(&dice, 600) * SIM_SEC;
	}
	engine_connect(s->engine);
	for (int i = 20 + pick(&dice, 30); i > 0; i--) {
		fault(s, &dice, &serial);
		sim_expect_honest(s);
	}
	s->session_lost = false;
	s->page_cap = 50;
	engine_connect(s->engine);
	if (!sim_settle(s, 2 * HOUR))
		fail_msg("seed %u: does not settle", seed);
	engine_sync_now(s->engine);
	if (!sim_settle(s, 2 * HOUR))
		fail_msg("seed %u: does not settle after sync now", seed);
	sim_expect_all(s, 0);
	sim_deinit(s);
	free(s);
}

/* Each of these found a defect once. */
static void histories_that_failed_once_converge(_unused_ void **state)
{
	static const unsigned int seeds[] = { 286, 305, 698, 1084, 5296 };

	for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
		run(seeds[i]);
}

static void any_history_converges(_unused_ void **state)
{
	const char *one = getenv("VARVE_SEED"), *many = getenv("VARVE_SEQUENCES"), *from = getenv("VARVE_FIRST");
	unsigned int n = many ? (unsigned int)atoi(many) : 500, first = from ? (unsigned int)atoi(from) : 1;

	if (one) {
		run((unsigned int)atoi(one));
		return;
	}
	for (unsigned int seed = first; seed < first + n; seed++)
		run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histories_that_failed_once_converge),
		cmocka_unit_test(any_history_converges),
	};

	if (!getenv("VARVE_LOG"))
		log_set_level(LOG_LEVEL_ERROR);
	else
		log_init("sim");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
