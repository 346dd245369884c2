/*
 * Two wires at once, and anything that may happen meanwhile, in any order: what was sent is there once, what came is stored
 * once. VARVE_SEED=N: that history alone; VARVE_SEQUENCES=N: so many.
 */
#define _GNU_SOURCE /* rand_r */
#include <stdio.h>
#include <stdlib.h>

#include "story.h"
#include "sync/engine-priv.h"

static int pick(unsigned int *dice, int n)
{
	return rand_r(dice) % n;
}

struct chance {
	unsigned int dice;
	int sent, lives;
};

static void one_thing(struct sim *s, struct chance *c)
{
	char id[16];

	switch (pick(&c->dice, 14)) {
	case 0:
	case 1:
		engine_network(s->engine, true);
		break;
	case 2:
		if (s->attached && !s->dead)
			says_silent(s);
		break;
	case 3:
		s->dead = s->wire;
		break;
	case 4:
		s->no_address = s->dead = s->wire && pick(&c->dice, 2);
		break;
	case 5:
		s->alive_us = pick(&c->dice, 2000) * MS;
		s->held_us = pick(&c->dice, 2000) * MS;
		s->second_breaks = pick(&c->dice, 4) == 0;
		break;
	case 6:
		if (pick(&c->dice, 2))
			sim_cut(s);
		break;
	case 7:
		if (pick(&c->dice, 3) == 0)
			sim_kill(s);
		engine_connect(s->engine);
		break;
	case 8:
		s->session_lost = pick(&c->dice, 3) == 0;
		s->keeps_h = pick(&c->dice, 2);
		break;
	case 9:
		engine_before_sleep(s->engine);
		break;
	case 10:
		if (s->wire && s->attached && pick(&c->dice, 2)) {
			s->dead = true;
			s->hangs = true;
		}
		break;
	default:
		snprintf(id, sizeof(id), "m%d", c->sent);
		if (pick(&c->dice, 2) && c->sent < 200) {
			c->sent++;
			sim_send(s, BOB, id, id);
		} else {
			snprintf(id, sizeof(id), "live %d", c->lives++);
			sim_live(s, BOB, id);
		}
		break;
	}
}

static void history(unsigned int seed)
{
	struct chance c = { .dice = seed };
	struct sim *s = xnew(struct sim);
	char id[16];

	sim_init(s, seed);
	sim_run(s, SIM_SEC);
	given_in_sync(s, 5);
	for (int i = 0; i < 60; i++) {
		one_thing(s, &c);
		sim_run(s, pick(&c.dice, 3) ? pick(&c.dice, 200) * MS : pick(&c.dice, 5000) * MS);
	}
	s->alive_us = 30 * MS;
	s->held_us = 80 * MS;
	s->second_breaks = s->session_lost = false;
	/* The wire of a dead link ends by itself sooner or later. */
	if (s->dead)
		sim_cut(s);
	engine_connect(s->engine);
	if (!sim_settle(s, 6 * HOUR))
		fail_msg("seed %u: does not settle", seed);
	for (int i = 0; i < c.sent; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		if (sim_received(s, id, NULL) != 1)
			fail_msg("seed %u: %s arrived %d times", seed, id, sim_received(s, id, NULL));
	}
	expect_all_when_quiet(s);
	sim_deinit(s);
	free(s);
}

static void anything_in_any_order(_unused_ void **state)
{
	const char *one = getenv("VARVE_SEED"), *many = getenv("VARVE_SEQUENCES");
	unsigned int n = many ? (unsigned int)atoi(many) : 150;

	if (one) {
		history((unsigned int)atoi(one));
		return;
	}
	for (unsigned int seed = 1; seed <= n; seed++)
		history(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anything_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
