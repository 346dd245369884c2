/*
 * When a second wire is started and when it is not (docs/decisions/0013): networks that flap, servers that fall silent after
 * each resume, sleep, and sessions that cannot be handed over.
 */

#include "link/link.h"
#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

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
			says_silent(s);
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

/* Stopped, say: nothing is to be sent, nothing comes, and no ping of its own can find out that the stream is dead. */
static void a_wire_that_hangs_in_a_quiet_hour_is_found_out(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	sim_run(s, HOUR);
	s->hangs = s->dead = true;
	sim_live(s, BOB, "unseen");
	sim_run(s, 8 * 60 * SIM_SEC + 10 * SIM_SEC);
	assert_int_equal(s->resumes, 1);
	assert_int_equal(sim_count(s, "unseen"), 1);
}

/* It costs nothing as long as all is well: nobody is asked, no timer runs out. */
static void a_quiet_day_asks_nobody(void **state)
{
	struct sim *s = *state;

	given_long_online(s);
	s->probes = 0;
	for (int i = 0; i < 24 * 12; i++) {
		sim_run(s, 300 * SIM_SEC);
		assert_true(s->timers[TIMER_WORD] > s->boot_us + 100 * SIM_SEC);
	}
	assert_int_equal(s->probes, 0);
	assert_int_equal(s->seconds, 0);
	/* Where a longer silence is survived the word comes later, and is waited for. */
	engine_set_ping(s->engine, 1800 * SIM_SEC);
	assert_true(s->timers[TIMER_WORD] > s->boot_us + 2700 * SIM_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(a_server_that_falls_silent_after_each_resume_is_left_alone),
		STORY(takeovers_in_a_row_rest),
		STORY(who_was_replaced_does_not_come_back),
		STORY(while_it_flaps_few_seconds_are_started),
		STORY(a_sleep_ends_it_and_waking_up_begins_another),
		STORY(without_a_session_there_is_no_second),
		STORY(whoever_leaves_takes_the_second_along),
		STORY(a_wire_that_hangs_in_a_quiet_hour_is_found_out),
		STORY(a_quiet_day_asks_nobody),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
