/*
 * How much is asked for at a time (decisions/0022), and whether the catch-up goes on: what is not acknowledged has room in the
 * server's queue on every path, and nothing that a slow link, a full disk or a server's stamps do stops it for ever.
 */
#include "story.h"


#include "core/config.h"
#include "link/link.h"
#include "sync/engine-priv.h"

/* The engine begins anew with as many lanes as varved gives it. */
static void as_varved(struct sim *s)
{
	struct config config;

	config_init(&config);
	s->lanes = (int)config.lanes;
	assert_true(s->lanes > LANES_NARROW);
	sim_restart(s);
}

static void long_link(struct sim *s)
{
	s->delay_us = 200000;
	s->stanza_us = 20;
}

/* Messages that the server sends, or has sent, and that it does not know to be stored. */
static size_t unacknowledged(const struct sim *s)
{
	const struct query *lists[] = { s->engine->asked, s->engine->aside, s->engine->whole };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct query *q = lists[i]; q; q = q->next)
			n += i == 2 ? q->n : q->max < s->page_cap ? q->max : s->page_cap;
	return n;
}

/* Until more lanes than a narrow account has are in use. */
static void runs_wide(struct sim *s)
{
	for (int i = 0; i < 400 && s->lanes_seen <= LANES_NARROW; i++)
		sim_run(s, SIM_SEC / 20);
	assert_true(s->lanes_seen > LANES_NARROW);
	assert_false(s->engine->narrow);
}

/* Until in sync: the most that was unacknowledged meanwhile. */
static size_t most_until_in_sync(struct sim *s)
{
	struct account_status st = { 0 };
	size_t most = 0;

	for (int i = 0; i < 40000 && !st.caught_up; i++) {
		sim_run(s, SIM_SEC / 200);
		most = unacknowledged(s) > most ? unacknowledged(s) : most;
		engine_status(s->engine, &st);
	}
	assert_true(st.caught_up);
	return most;
}

/* A number of lanes that a user wrote, and varved's own, is a maximum: it does not make up for a session that was lost by it. */
static void a_lost_session_makes_the_lanes_of_varved_fewer(void **state)
{
	struct sim *s = *state;

	long_link(s);
	sim_fill(s, 3900, 7, 60 * SIM_SEC);
	as_varved(s);
	engine_connect(s->engine);
	runs_wide(s);
	sim_run(s, SIM_SEC / 2);
	session_is_lost(s);
	s->lanes_seen = 0;
	assert_in_range(most_until_in_sync(s), LANES_PAGE, ROOM);
	assert_true(s->engine->narrow);
	assert_int_equal(s->engine->lanes.max, LANES_NARROW);
	sim_expect_all(s, 0);
}

/* What is stored at the last moment, when the stream has ended, was not acknowledged on it. */
static void pages_that_wait_when_the_stream_ends_count(void **state)
{
	struct sim *s = *state;

	s->page_cap = 250;
	s->force_lanes = LANES_NARROW + 1;
	sim_fill(s, 3900, 7, 600 * SIM_SEC);
	engine_connect(s->engine);
	s->delay_us = 200000;
	s->stanza_us = 0;
	for (int i = 0; i < 100000 && unacknowledged(s) <= ROOM; i++)
		sim_run(s, 1000);
	/* All of it comes, none of it is stored. */
	s->delay_us = 0;
	s->boot_us += SIM_SEC;
	while (query_count(s->engine->whole) <= LANES_NARROW && sim_step(s))
		;
	assert_true(query_count(s->engine->whole) > LANES_NARROW);
	session_is_lost(s);
	assert_true(sim_settle(s, HOUR));
	assert_true(s->engine->narrow);
	sim_expect_all(s, 0);
}

/* A session that was refused for another reason, with little in flight, does not. */
static void a_session_lost_with_little_in_flight_does_not(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 500, 7, 60 * SIM_SEC);
	as_varved(s);
	comes_in_sync(s);
	session_is_lost(s);
	comes_in_sync(s);
	assert_false(s->engine->narrow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(a_lost_session_makes_the_lanes_of_varved_fewer),
		STORY(pages_that_wait_when_the_stream_ends_count),
		STORY(a_session_lost_with_little_in_flight_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
