/*
 * A message that makes the server end the stream, and links that end as if there were one: it fails alone, others do not wait
 * for it, and nothing fails for a bad link (core/flight.h).
 */
#define _GNU_SOURCE /* rand_r */
#include <stdio.h>
#include <stdlib.h>

#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

/* One message makes the server end the stream. It fails; all others arrive once. */
static void poison(bool session_goes, bool mute)
{
	struct sim *s = story_memory();
	int64_t msg = 0;

	sim_init(s, 1);
	s->forgets_poison = session_goes;
	s->mute_poison = mute;
	given_in_sync(s, 20);
	for (int i = 0; i < 10; i++) {
		if (i == 5)
			msg = sim_send(s, "eve@sim.test", "p", "poison");
		send_n(s, BOB, i);
	}
	if (!sim_settle(s, 6 * HOUR))
		fail_msg("poison: not settled");
	expect_sent(s, 10);
	assert_int_equal(sim_state(s, msg), STATE_FAILED);
	/* Once the suspects have passed, all is as before. */
	assert_false(s->engine->flight.careful);
	s->gos = 0;
	for (int i = 10; i < 20; i++)
		send_n(s, BOB, i);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, 20);
	assert_int_equal(s->gos, 1);
	sim_deinit(s);
	story_forget(s);
}

static void a_poison_message_fails_alone(_unused_ void **state)
{
	poison(false, false);
	poison(true, false);
}

/* The server that only closes the connection, with the session kept and lost. */
static void a_poison_message_fails_alone_without_a_word_of_the_server(_unused_ void **state)
{
	poison(false, true);
	poison(true, true);
}

/* While the suspect is kept back the other conversations go on, and its own waits in order. */
static void others_do_not_wait_for_a_suspect(void **state)
{
	struct sim *s = *state;
	int64_t bad;

	given_in_sync(s, 20);
	s->mute_poison = true;
	bad = sim_send(s, "eve@sim.test", "p", "poison");
	for (int i = 0; i < 600 && s->engine->flight.soon < FLIGHT_SOON_MAX; i++)
		sim_run(s, SIM_SEC / 10);
	assert_int_equal(s->engine->flight.soon, FLIGHT_SOON_MAX);
	send_n(s, BOB, 0);
	sim_send(s, "eve@sim.test", "behind", "behind it");
	for (int i = 0; i < 3000 && !sim_received(s, "m0", NULL); i++)
		sim_run(s, SIM_SEC / 10);
	assert_int_equal(sim_received(s, "m0", NULL), 1);
	assert_true(s->boot_us < s->engine->flight.stands_us + FLIGHT_STEADY_US);
	assert_int_equal(sim_received(s, "behind", NULL), 0);
	assert_int_not_equal(sim_state(s, bad), STATE_FAILED);
	assert_true(sim_settle(s, 6 * HOUR));
	assert_int_equal(sim_state(s, bad), STATE_FAILED);
	assert_int_equal(sim_received(s, "behind", NULL), 1);
}

/* Silence is what bad links do. Nothing is held against the message, for as long as it lasts. */
static void a_server_that_falls_silent_over_a_message_gives_no_strike(void **state)
{
	struct sim *s = *state;
	int64_t msg;

	given_in_sync(s, 20);
	s->mute_poison = s->falls_silent = true;
	msg = sim_send(s, "eve@sim.test", "p", "poison");
	sim_run(s, 3 * HOUR);
	assert_int_not_equal(sim_state(s, msg), STATE_FAILED);
	assert_int_equal(s->engine->flight.soon, 0);
	s->falls_silent = false;
	assert_true(sim_settle(s, 6 * HOUR));
	assert_int_equal(sim_state(s, msg), STATE_FAILED);
}

/*
 * Two such messages, and what else there is to say, more than a window of it behind one of them: the others arrive soon, in
 * order, and the streams that end over the two are fewer and fewer. When the server is mended, all arrives.
 */
static void the_others_go_before_what_ends_streams_without_a_word(void **state)
{
	struct sim *s = *state;
	int64_t bad;
	int streams;

	given_in_sync(s, 20);
	s->mute_poison = s->falls_silent = true;
	bad = sim_send(s, "eve@sim.test", "p1", "poison");
	for (int i = 0; i < FLIGHT_ITEMS_MAX + 20; i++) {
		char id[16];

		snprintf(id, sizeof(id), "behind %d", i);
		sim_send(s, "eve@sim.test", id, "behind it");
	}
	sim_send(s, "mallory@sim.test", "p2", "poison");
	sim_send(s, "mallory@sim.test", "behind p2", "behind it");
	for (int i = 0; i < 20; i++)
		send_n(s, i % 2 ? BOB : "dan@sim.test", i);
	for (int i = 0; i < 3000 && !sim_received(s, "m19", NULL); i++)
		sim_run(s, SIM_SEC);
	assert_true(s->boot_us < HOUR);
	for (int i = 0; i < 20; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%d", i);
		assert_int_equal(sim_received(s, id, NULL), 1);
	}
	/* Those who come now wait for none of it. */
	for (int i = 0; i < 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "n%d", i);
		streams = s->resumes;
		sim_send(s, BOB, id, "news");
		sim_run(s, 20 * 60 * SIM_SEC);
		assert_int_equal(sim_received(s, id, NULL), 1);
		assert_in_range(s->resumes - streams, 1, 14);
	}
	streams = s->resumes;
	sim_run(s, HOUR);
	/* Two messages, every ten minutes. */
	assert_in_range(s->resumes - streams, 8, 14);
	assert_int_equal(sim_received(s, "behind 0", NULL), 0);
	assert_int_equal(sim_received(s, "behind p2", NULL), 0);
	assert_int_not_equal(sim_state(s, bad), STATE_FAILED);
	s->takes_poison = true;
	assert_true(sim_settle(s, HOUR));
	assert_int_equal(sim_received(s, "p1", NULL), 1);
	assert_int_equal(sim_received(s, "p2", NULL), 1);
	assert_int_equal(s->n_sent, 3 + FLIGHT_ITEMS_MAX + 20 + 20 + 3);
	assert_false(s->engine->flight.careful);
}

/* An only message where no stream lasts: it is no more late than the link makes it. */
static void an_only_message_on_a_bad_link_goes_soon(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 10);
	link_swallows(s, 0);
	sim_send(s, BOB, "only", "the only message");
	for (int i = 0; i < 60; i++) {
		sim_run(s, 12 * SIM_SEC);
		sim_cut(s);
		engine_connect(s->engine);
	}
	assert_in_range(s->gos, 20, 60);
	link_is_whole(s);
	sim_run(s, 40 * SIM_SEC);
	assert_int_equal(sim_received(s, "only", NULL), 1);
}

/*
 * Whatever a bad link does: closed from the other end, within seconds, before or after anything has arrived; or, for long,
 * closed as soon as a message goes. No message is failed for it, and none is lost or doubled.
 */
static void a_link_that_closes_all_the_time_fails_nothing(_unused_ void **state)
{
	for (unsigned int seed = 1; seed <= 12; seed++) {
		struct sim *s = xnew(struct sim);
		int64_t msg[6];

		sim_init(s, seed);
		given_in_sync(s, 20);
		s->net_us = seed % 3 * SIM_SEC;
		s->reach = seed % 4 ? -1 : 0;
		s->no_acks = seed % 2;
		for (int i = 0; i < 6; i++)
			msg[i] = send_n(s, i % 2 ? BOB : "eve@sim.test", i);
		for (int i = 0; i < 300; i++) {
			sim_run(s, 1 + rand_r(&s->dice) % (seed % 5 ? 8 * SIM_SEC : 50 * SIM_SEC));
			sim_close(s);
		}
		s->net_us = SIM_NET_US;
		s->no_acks = false;
		if (!sim_settle(s, 6 * HOUR))
			fail_msg("seed %u: not settled", seed);
		for (int i = 0; i < 6; i++) {
			char id[16];

			snprintf(id, sizeof(id), "m%d", i);
			if (sim_state(s, msg[i]) == STATE_FAILED || sim_received(s, id, NULL) != 1)
				fail_msg("seed %u: message %d: state %u, arrived %d times", seed, i, sim_state(s, msg[i]),
					 sim_received(s, id, NULL));
		}
		sim_deinit(s);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_poison_message_fails_alone),
		cmocka_unit_test(a_poison_message_fails_alone_without_a_word_of_the_server),
		STORY(others_do_not_wait_for_a_suspect),
		STORY(a_server_that_falls_silent_over_a_message_gives_no_strike),
		STORY(the_others_go_before_what_ends_streams_without_a_word),
		STORY(an_only_message_on_a_bad_link_goes_soon),
		cmocka_unit_test(a_link_that_closes_all_the_time_fails_nothing),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
