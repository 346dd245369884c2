/*
 * A connection that does not come, ends, or is ended: what is tried again and when, and what the user is told of it.
 */
#include <string.h>

#include "link/link.h"
#include "story.h"
#include "torture.h"

static void a_wire_that_stays_silent_is_killed_and_tried_again(void **state)
{
	struct sim *s = *state;
	struct account_status st;

	s->mute = true;
	engine_connect(s->engine);
	sim_run(s, 5 * SIM_SEC);
	engine_status(s->engine, &st);
	assert_string_equal(st.state, "connecting");
	sim_run(s, 10 * SIM_SEC + SIM_SEC / 5);
	engine_status(s->engine, &st);
	assert_string_equal(st.state, "offline");
	assert_true(st.next_retry_us > 0);
	assert_string_equal(st.reason_name, "Offline");
	assert_non_null(strstr(st.reason_text, "name server"));
	/* An hour of that is a handful of tries, not thousands. */
	s->wires = 0;
	sim_run(s, HOUR);
	assert_in_range(s->wires, 8, 40);
	s->mute = false;
	assert_true(sim_settle(s, 600 * SIM_SEC));
}

static void failing(struct sim *s, uint32_t failure, const char *condition)
{
	struct link_record r = { .kind = LINK_FAILED };

	s->mute = true;
	engine_connect(s->engine);
	r.failed = (struct link_failed){ failure, condition, "words for the user" };
	engine_record(s->engine, &r);
	s->mute = false;
}

static void a_refused_password_stops_until_the_user_acts(void **state)
{
	struct sim *s = *state;
	struct account_status st;

	failing(s, FAILURE_AUTH, "not-authorized");
	engine_status(s->engine, &st);
	assert_string_equal(st.state, "auth-failed");
	assert_string_equal(st.reason_name, "AuthFailed");
	assert_string_equal(st.reason_text, "words for the user");
	s->wires = 0;
	sim_run(s, 24 * HOUR);
	assert_int_equal(s->wires, 0);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
}

static void a_bad_certificate_is_tried_again_slowly(void **state)
{
	struct sim *s = *state;
	struct account_status st;

	failing(s, FAILURE_CERT, "expired");
	engine_status(s->engine, &st);
	assert_string_equal(st.state, "offline");
	assert_string_equal(st.reason_name, "Certificate");
	s->wires = 0;
	s->mute = true;
	sim_run(s, 30 * SIM_SEC);
	assert_int_equal(s->wires, 0);
}

/* Another network: the wait is over at once, except for whom another client has replaced. */
static void another_network_ends_the_wait(void **state)
{
	struct sim *s = *state;

	failing(s, FAILURE_LOST, "");
	s->mute = true;
	sim_run(s, HOUR);
	s->wires = 0;
	engine_network(s->engine, false);
	assert_int_equal(s->wires, 0);
	s->mute = false;
	engine_network(s->engine, true);
	assert_true(sim_settle(s, SIM_SEC));
	assert_int_equal(s->wires, 1);

	failing(s, FAILURE_STREAM, "conflict");
	s->wires = 0;
	engine_network(s->engine, true);
	assert_int_equal(s->wires, 0);
}

/* No route, and a failure that says so: no timer at all, until there is one. */
static void without_a_network_nothing_is_tried(void **state)
{
	struct sim *s = *state;
	struct account_status st;

	engine_set_route(s->engine, false);
	failing(s, FAILURE_CONNECT, "unreachable");
	engine_status(s->engine, &st);
	assert_string_equal(st.state, "waiting-network");
	assert_int_equal(st.next_retry_us, 0);
	s->wires = 0;
	sim_run(s, 24 * HOUR);
	assert_int_equal(s->wires, 0);
	engine_network(s->engine, true);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	/* A server that refuses is no want of a network: on with it, route or not. */
	engine_set_route(s->engine, false);
	failing(s, FAILURE_CONNECT, "");
	engine_status(s->engine, &st);
	assert_string_equal(st.state, "offline");
	assert_true(sim_settle(s, 600 * SIM_SEC));
}

/* Disconnect, and connect again before the goodbye is through. */
static void connect_overtakes_the_goodbye(void **state)
{
	struct sim *s = *state;

	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	engine_disconnect(s->engine);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
}

static void disconnect_closes_the_session_and_enable_starts_anew(void **state)
{
	struct sim *s = *state;
	struct account_status st;

	given_in_sync(s, 30);
	engine_disconnect(s->engine);
	assert_string_equal(s->session, "");
	sim_cut(s);
	engine_status(s->engine, &st);
	assert_false(st.resumable);
	assert_string_equal(st.state, "offline");
	assert_string_equal(st.reason_text, "disconnected by you");
	sim_run(s, HOUR);
	assert_false(s->wire);
	comes_in_sync(s);
	assert_int_equal(s->binds, 2);
	sim_expect_all(s, 0);
}

static int64_t real(struct sim *s)
{
	return sim_io.real_us(s);
}

/* The wire's last words: so long ago. */
static void was_heard(struct sim *s, uint32_t silence_s)
{
	struct link_record r;

	link_record_init(&r, LINK_HEARD);
	r.heard.silence_s = silence_s;
	engine_record(s->engine, &r);
}

/* What is told of a day online is that of its end, not of its beginning. */
static void offline_it_was_in_sync_until_the_stream_ended(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	int64_t then;

	given_in_sync(s, 30);
	engine_status(s->engine, &st);
	then = st.caught_up_us;
	assert_true(then > 0);
	sim_run(s, HOUR);
	engine_status(s->engine, &st);
	assert_int_equal(st.caught_up_us, then);
	engine_disconnect(s->engine);
	was_heard(s, 60);
	engine_status(s->engine, &st);
	assert_int_equal(st.caught_up_us, real(s) - 60 * SIM_SEC);
	/* Not so when it ends before it is in sync again. */
	then = st.caught_up_us;
	sim_run(s, HOUR);
	engine_connect(s->engine);
	engine_disconnect(s->engine);
	engine_status(s->engine, &st);
	assert_int_equal(st.caught_up_us, then);
}

/* What was sent to a dead link is lost, perhaps: it was whole until something was last heard there. */
static void a_link_was_in_sync_until_the_server_was_last_heard(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	int64_t heard;

	given_in_sync(s, 30);
	sim_run(s, HOUR);
	was_heard(s, 600);
	sim_close(s);
	engine_status(s->engine, &st);
	assert_int_equal(st.caught_up_us, real(s) - 600 * SIM_SEC);
	/* Killed, it has no last word: what it said before it counts. */
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_live(s, BOB, "hello");
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_run(s, HOUR);
	heard = real(s);
	sim_cut(s);
	engine_status(s->engine, &st);
	/* A ping was answered within the last five minutes, and the wire said so. */
	assert_in_range(st.caught_up_us, heard - 301 * SIM_SEC, heard);
}

static void wire_numbers_out_of_range_end_the_stream(void **state)
{
	struct sim *s = *state;
	struct link_record r = { .kind = LINK_IDLE };

	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	r.idle.n = 1000000;
	engine_record(s->engine, &r);
	assert_false(s->wire);
	assert_true(sim_settle(s, 60 * SIM_SEC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(a_wire_that_stays_silent_is_killed_and_tried_again),
		STORY(a_refused_password_stops_until_the_user_acts),
		STORY(a_bad_certificate_is_tried_again_slowly),
		STORY(another_network_ends_the_wait),
		STORY(without_a_network_nothing_is_tried),
		STORY(connect_overtakes_the_goodbye),
		STORY(offline_it_was_in_sync_until_the_stream_ended),
		STORY(a_link_was_in_sync_until_the_server_was_last_heard),
		STORY(disconnect_closes_the_session_and_enable_starts_anew),
		STORY(wire_numbers_out_of_range_end_the_stream),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
