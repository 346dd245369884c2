/*
 * Two wires at once, one session (docs/decisions/0013): stories, and any order of what may happen meanwhile. What a resume
 * says is what the disk says, and never are two wires at the session: the simulator looks at that (sim-duel.c).
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "link/link.h"
#include "store/outbox.h"
#include "story.h"
#include "torture.h"
#include "sync/engine-priv.h"

#define MS INT64_C(1000)

static const char *state_of(struct sim *s)
{
	static struct account_status st;

	engine_status(s->engine, &st);
	return st.state;
}

/* Online for long enough that nobody is to blame for what comes. */
static void given_long_online(struct sim *s)
{
	sim_run(s, SIM_SEC);
	given_in_sync(s, 5);
	sim_run(s, HOUR);
}

/* All is quiet, and the places of what we sent are known. */
static void expect_all(struct sim *s)
{
	assert_true(sim_settle(s, 6 * HOUR));
	engine_sync_now(s->engine);
	assert_true(sim_settle(s, 6 * HOUR));
	sim_expect_all(s, 0);
}

static void the_old_stream_answers_and_stays(void **state)
{
	struct sim *s = *state;
	unsigned int wires;

	given_long_online(s);
	wires = s->wires;
	engine_network(s->engine, true);
	assert_true(s->second);
	assert_int_equal(s->probes, 1);
	sim_live(s, BOB, "meanwhile");
	sim_run(s, SIM_SEC);
	assert_false(s->second);
	assert_int_equal(s->wires, wires);
	assert_int_equal(s->resumes, 0);
	sim_run(s, HOUR);
	assert_int_equal(s->seconds, 1);
	assert_string_equal(state_of(s), "online");
	sim_expect_all(s, 0);
}

static void a_dead_stream_is_left_for_a_ready_one(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	int64_t began;

	given_long_online(s);
	s->dead = true;
	sim_live(s, BOB, "nobody hears it");
	sim_send(s, BOB, "m1", "out");
	sim_run(s, 10 * MS);
	began = s->boot_us;
	engine_network(s->engine, true);
	while (s->resumes == 0 && s->boot_us - began < 10 * SIM_SEC)
		sim_run(s, 10 * MS);
	assert_in_range(s->boot_us - began, 0, 600 * MS);
	assert_true(sim_settle(s, 10 * SIM_SEC));
	engine_status(s->engine, &st);
	assert_string_equal(st.state, "online");
	assert_string_equal(st.reason_name, "");
	assert_int_equal(s->binds, 1);
	assert_int_equal(sim_received(s, "m1", NULL), 1);
	expect_all(s);
	/* It costs no back-off: the next break is followed by a try at once. */
	s->wires = 0;
	sim_run(s, 20 * SIM_SEC);
	sim_cut(s);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->wires, 1);
	assert_int_equal(s->resumes, 2);
}

/* From WiFi to mobile: the wire finds that its address is gone, long before the second is secured. */
static void without_its_address_the_old_stream_ends_at_once(void **state)
{
	struct sim *s = *state;
	int64_t began;

	given_long_online(s);
	s->dead = s->no_address = true;
	began = s->boot_us;
	engine_network(s->engine, true);
	sim_run(s, 10 * MS);
	assert_false(s->second);
	assert_true(s->wire);
	while (s->resumes == 0 && s->boot_us - began < 10 * SIM_SEC)
		sim_run(s, 10 * MS);
	/* It took over on its way. */
	assert_in_range(s->boot_us - began, 0, 120 * MS);
	assert_int_equal(s->seconds, 1);
}

static void a_second_that_fails_leaves_it_to_the_first(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	s->second_breaks = true;
	s->alive_us = 2 * SIM_SEC;
	engine_network(s->engine, true);
	sim_run(s, 5 * SIM_SEC);
	assert_int_equal(s->seconds, 1);
	assert_int_equal(s->resumes, 0);
	assert_string_equal(state_of(s), "online");
	/* And when that does not answer either, the next try is at once. */
	sim_run(s, HOUR);
	s->dead = true;
	engine_network(s->engine, true);
	sim_run(s, 2 * SIM_SEC);
	assert_int_equal(s->resumes, 0);
	sim_run(s, SIM_SEC + 100 * MS);
	assert_int_equal(s->resumes, 1);
}

/* Secured in no time: the first still has half a second. */
static void a_slow_answer_is_an_answer(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	s->held_us = 1 * MS;
	s->alive_us = 450 * MS;
	engine_network(s->engine, true);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->resumes, 0);
	/* Later than that it is none. */
	sim_run(s, HOUR);
	s->alive_us = 800 * MS;
	engine_network(s->engine, true);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->resumes, 1);
	sim_run(s, 10 * SIM_SEC);
	assert_int_equal(s->resumes, 1);
	assert_string_equal(state_of(s), "online");
}

/* It has come in, is not committed, and the first is cut off: it counts, and is not repeated. */
static void what_the_first_has_brought_is_kept(void **state)
{
	struct sim *s = *state;
	uint32_t counter;

	given_long_online(s);
	engine_network(s->engine, true);
	sim_run(s, 480 * MS);
	sim_run(s, HOUR);
	s->alive_us = HOUR;
	engine_network(s->engine, true);
	sim_run(s, 490 * MS);
	assert_true(s->second);
	sim_live(s, BOB, "just before");
	sim_run(s, 6 * MS);
	assert_int_equal(s->engine->n_pending, 1);
	s->dead = true;
	sim_live(s, BOB, "just after");
	counter = s->counter;
	sim_run(s, 5 * MS);
	assert_int_equal(s->resumes, 1);
	assert_int_equal(s->start.start.sm_in, counter - 1);
	expect_all(s);
}

/* D9, D20 across the change of wires: two of five got there, and nobody knows. */
static void what_the_first_has_sent_is_told_by_h(void **state)
{
	struct sim *s = *state;
	char id[16];

	given_long_online(s);
	link_swallows(s, 2);
	s->dead = true;
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		sim_send(s, BOB, id, id);
	}
	run_until_gone(s, 5);
	/* The keeper goes on feeding it, for it may be the one that stays. */
	engine_network(s->engine, true);
	sim_run(s, 50 * MS);
	sim_send(s, BOB, "m5", "m5");
	sim_run(s, 600 * MS);
	assert_int_equal(s->resumes, 1);
	link_is_whole(s);
	assert_true(sim_settle(s, HOUR));
	assert_int_equal(s->binds, 1);
	assert_int_equal(s->n_sent, 6);
	for (int i = 0; i < 6; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		assert_string_equal(s->sent[i].id, id);
	}
}

static void silent(struct sim *s)
{
	struct link_record r;

	link_record_init(&r, LINK_SILENT);
	r.silent.answer_ms = 6000;
	engine_record(s->engine, &r);
}

/* The server owes an answer: nobody is asked again, and a second is ready long before the first is given up. */
static void an_answer_that_is_owed_starts_a_second(void **state)
{
	struct sim *s = *state;
	int64_t began;

	given_long_online(s);
	s->dead = true;
	began = s->boot_us;
	silent(s);
	silent(s);
	assert_int_equal(s->probes, 0);
	while (s->resumes == 0 && s->boot_us - began < 10 * SIM_SEC)
		sim_run(s, 10 * MS);
	assert_in_range(s->boot_us - began, 0, 600 * MS);
	assert_int_equal(s->seconds, 1);
}

static void alive(struct sim *s, uint32_t probe)
{
	struct link_record r;

	link_record_init(&r, LINK_ALIVE);
	r.alive.probe = probe;
	engine_record(s->engine, &r);
}

/* Questions are numbered for each wire, and the wire's answer to what it owed has the number of the last, or none. */
static void an_answer_that_comes_late_is_heard_on_each_wire(void **state)
{
	struct sim *s = *state;

	for (int round = 0; round < 3; round++) {
		if (round == 0)
			given_long_online(s);
		/* Asked, answered; then a stream that was never asked. */
		engine_network(s->engine, true);
		sim_run(s, HOUR);
		sim_cut(s);
		sim_run(s, HOUR);
		assert_int_equal(s->resumes, round + 1);
		silent(s);
		assert_true(s->second);
		alive(s, 0);
		assert_false(s->second);
		/* And one that took over. */
		sim_run(s, HOUR);
		s->seconds = 0;
		s->dead = true;
		engine_network(s->engine, true);
		sim_run(s, HOUR);
		assert_int_equal(s->seconds, 1);
		s->resumes = round + 1;
		silent(s);
		assert_true(s->second);
		alive(s, 0);
		assert_false(s->second);
		sim_run(s, HOUR);
		assert_int_equal(s->resumes, round + 1);
	}
}

/* It resumes well and never answers what it owes: each stream lasts nine seconds, and they become rare. */
static void a_server_that_falls_silent_after_each_resume_is_left_alone(void **state)
{
	struct sim *s = *state;
	int64_t online = 0, began = 0, until;
	struct link_record r;
	bool told = false;

	given_long_online(s);
	s->wires = 0;
	for (until = s->boot_us + HOUR; s->boot_us < until; sim_run(s, 100 * MS)) {
		if (!s->attached)
			continue;
		/* An item waits from the first moment of each stream. */
		if (s->engine->online_since_us != online) {
			online = s->engine->online_since_us;
			told = false;
			began = s->boot_us;
		}
		if (!told && s->boot_us - began >= 3 * SIM_SEC) {
			told = true;
			silent(s);
		}
		if (s->boot_us - began < 9 * SIM_SEC)
			continue;
		link_record_init(&r, LINK_FAILED);
		r.failed.failure = FAILURE_LOST;
		engine_record(s->engine, &r);
	}
	/* As any server that ends each stream: 1, 2, 4 ... 300 s; and a takeover for each. */
	assert_in_range(s->wires, 8, 40);
	assert_true(s->seconds > 2);
}

/* Twice within ten seconds: the second time counts as a try, and the next second has to wait for its back-off. */
static void takeovers_in_a_row_rest(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	for (int i = 1; i <= 3; i++) {
		s->dead = true;
		engine_network(s->engine, true);
		assert_int_equal(s->second, i < 3);
		if (i < 3)
			sim_run(s, 600 * MS);
		assert_int_equal(s->resumes, i < 3 ? i : 2);
	}
	assert_int_equal(s->engine->backoff.tries, 1);
	sim_run(s, HOUR);
	assert_int_equal(s->resumes, 3);
	assert_int_equal(s->binds, 1);
}

/* Another client has taken our place just then: it keeps it. */
static void who_was_replaced_does_not_come_back(void **state)
{
	struct sim *s = *state;
	struct link_record r;

	given_long_online(s);
	s->alive_us = HOUR;
	engine_network(s->engine, true);
	sim_run(s, 200 * MS);
	assert_true(s->second);
	link_record_init(&r, LINK_FAILED);
	r.failed.failure = FAILURE_STREAM;
	r.failed.condition = "conflict";
	s->wires = 0;
	engine_record(s->engine, &r);
	assert_false(s->second);
	assert_false(s->wire);
	sim_run(s, 20 * SIM_SEC);
	assert_int_equal(s->wires, 0);
	assert_string_equal(state_of(s), "offline");
}

/* The server has forgotten the session: the second binds, and the archive fills the gap. */
static void a_session_that_is_gone_is_gone_for_the_second_too(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	sim_send(s, BOB, "m1", "before");
	assert_true(sim_settle(s, 10 * SIM_SEC));
	s->dead = true;
	s->session_lost = true;
	sim_live(s, BOB, "while away");
	engine_network(s->engine, true);
	assert_true(sim_settle(s, HOUR));
	assert_int_equal(s->binds, 2);
	assert_int_equal(s->resumes, 0);
	assert_int_equal(sim_received(s, "m1", NULL), 1);
	expect_all(s);
}

/* A network that comes and goes every second: asked each time, and few connections for it. */
static void while_it_flaps_few_seconds_are_started(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	for (int i = 0; i < 60; i++) {
		engine_network(s->engine, true);
		sim_run(s, SIM_SEC);
	}
	assert_int_equal(s->probes, 60);
	assert_in_range(s->seconds, 2, 5);
	assert_int_equal(s->resumes, 0);
	/* Triggers within one second: what was begun for the network of before is not gone on with. */
	sim_run(s, HOUR);
	s->seconds = 0;
	s->dead = true;
	engine_network(s->engine, true);
	sim_run(s, 30 * MS);
	engine_network(s->engine, true);
	assert_false(s->second);
	sim_run(s, 3 * SIM_SEC);
	assert_int_equal(s->resumes, 1);
}

/* D22: nothing is under way when the machine sleeps, and waking up asks anew. */
static void a_sleep_ends_it_and_waking_up_begins_another(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	s->alive_us = HOUR;
	engine_network(s->engine, true);
	sim_run(s, 100 * MS);
	assert_true(s->second);
	engine_before_sleep(s->engine);
	assert_false(s->second);
	assert_true(s->attached);
	assert_int_equal(s->timers[TIMER_DUEL], 0);
	s->boot_us += 8 * HOUR;
	sim_duel_forget(s);
	s->dead = true;
	engine_network(s->engine, true);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->resumes, 1);
	assert_int_equal(s->binds, 1);
}

static void a_wire_that_hangs_is_cut_off(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	s->hangs = s->dead = s->second_breaks = true;
	engine_network(s->engine, true);
	sim_run(s, 4 * SIM_SEC);
	assert_int_equal(s->resumes, 0);
	sim_run(s, 2 * SIM_SEC);
	assert_int_equal(s->resumes, 1);
}

/* A second that got nowhere for long asked a network that is not there any more. */
static void a_second_that_is_stuck_is_not_waited_for(void **state)
{
	struct sim *s = *state;
	unsigned int wires;

	given_long_online(s);
	s->dead = true;
	s->held_us = 0;
	wires = s->wires;
	engine_network(s->engine, true);
	sim_run(s, 3 * SIM_SEC + 100 * MS);
	assert_int_equal(s->wires, wires + 1);
	assert_int_equal(s->resumes, 1);
}

static void an_answer_to_an_earlier_question_is_none(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	engine_network(s->engine, true);
	sim_run(s, HOUR);
	s->dead = true;
	engine_network(s->engine, true);
	assert_true(s->second);
	alive(s, s->probe - 1);
	assert_true(s->second);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->resumes, 1);
}

/* A session that cannot be resumed is not handed over; the stream is asked all the same. */
static void without_a_session_there_is_no_second(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	str_set(&s->engine->session.sm_id, "");
	engine_network(s->engine, true);
	assert_int_equal(s->probes, 1);
	assert_int_equal(s->seconds, 0);
	sim_run(s, 10 * SIM_SEC);
	assert_true(s->attached);
}

static void whoever_leaves_takes_the_second_along(void **state)
{
	struct sim *s = *state;
	struct account a;

	s->alive_us = 900 * MS;
	s->held_us = HOUR;
	for (int way = 0; way < 3; way++) {
		comes_in_sync(s);
		sim_run(s, HOUR);
		engine_network(s->engine, true);
		assert_true(s->second);
		if (way == 0) {
			engine_disconnect(s->engine);
		} else if (way == 1) {
			a = *engine_account(s->engine);
			engine_configure(s->engine, &a, true);
		} else {
			sim_restart(s);
		}
		assert_false(s->second);
	}
}

/* ---- anything, in any order ---- */

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
			silent(s);
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
	expect_all(s);
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
		STORY(the_old_stream_answers_and_stays),
		STORY(a_dead_stream_is_left_for_a_ready_one),
		STORY(without_its_address_the_old_stream_ends_at_once),
		STORY(a_second_that_fails_leaves_it_to_the_first),
		STORY(a_slow_answer_is_an_answer),
		STORY(what_the_first_has_brought_is_kept),
		STORY(what_the_first_has_sent_is_told_by_h),
		STORY(an_answer_that_is_owed_starts_a_second),
		STORY(an_answer_that_comes_late_is_heard_on_each_wire),
		STORY(a_server_that_falls_silent_after_each_resume_is_left_alone),
		STORY(takeovers_in_a_row_rest),
		STORY(who_was_replaced_does_not_come_back),
		STORY(a_session_that_is_gone_is_gone_for_the_second_too),
		STORY(while_it_flaps_few_seconds_are_started),
		STORY(a_sleep_ends_it_and_waking_up_begins_another),
		STORY(a_wire_that_hangs_is_cut_off),
		STORY(a_second_that_is_stuck_is_not_waited_for),
		STORY(an_answer_to_an_earlier_question_is_none),
		STORY(without_a_session_there_is_no_second),
		STORY(whoever_leaves_takes_the_second_along),
		cmocka_unit_test(anything_in_any_order),
	};

	/* The last one is many stories. */
	return torture_main(tests, ARRAY_SIZE(tests) - (getenv("VARVE_TORTURE") ? 1 : 0));
}
