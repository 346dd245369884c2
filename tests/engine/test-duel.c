/*
 * Two wires at once, one session (docs/decisions/0013): which of them stays, and what either brought or sent is kept. What a
 * resume says is what the disk says, and never are two wires at the session: the simulator looks at that (sim-duel.c).
 */
#include <stdio.h>

#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

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
	expect_all_when_quiet(s);
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
	expect_all_when_quiet(s);
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

/* The server owes an answer: nobody is asked again, and a second is ready long before the first is given up. */
static void an_answer_that_is_owed_starts_a_second(void **state)
{
	struct sim *s = *state;
	int64_t began;

	given_long_online(s);
	s->dead = true;
	began = s->boot_us;
	says_silent(s);
	says_silent(s);
	assert_int_equal(s->probes, 0);
	while (s->resumes == 0 && s->boot_us - began < 10 * SIM_SEC)
		sim_run(s, 10 * MS);
	assert_in_range(s->boot_us - began, 0, 600 * MS);
	assert_int_equal(s->seconds, 1);
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
		says_silent(s);
		assert_true(s->second);
		says_alive(s, 0);
		assert_false(s->second);
		/* And one that took over. */
		sim_run(s, HOUR);
		s->seconds = 0;
		s->dead = true;
		engine_network(s->engine, true);
		sim_run(s, HOUR);
		assert_int_equal(s->seconds, 1);
		s->resumes = round + 1;
		says_silent(s);
		assert_true(s->second);
		says_alive(s, 0);
		assert_false(s->second);
		sim_run(s, HOUR);
		assert_int_equal(s->resumes, round + 1);
	}
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
	expect_all_when_quiet(s);
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
	says_alive(s, s->probe - 1);
	assert_true(s->second);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->resumes, 1);
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
		STORY(a_session_that_is_gone_is_gone_for_the_second_too),
		STORY(a_wire_that_hangs_is_cut_off),
		STORY(a_second_that_is_stuck_is_not_waited_for),
		STORY(an_answer_to_an_earlier_question_is_none),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
