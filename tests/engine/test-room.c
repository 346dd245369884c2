/*
 * How much is asked for at a time (decisions/0022), and whether the catch-up goes on: what is not acknowledged has room in the
 * server's queue on every path, and nothing that a slow link, a full disk or a server's stamps do stops it for ever.
 */
#define _GNU_SOURCE
#include <stdio.h>

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

/* A long catch-up of an account that lost a session by more than nine lanes. */
static void given_a_narrow_catch_up(struct sim *s)
{
	long_link(s);
	s->screens_gap = UINT32_MAX;
	s->force_lanes = LANES_NARROW;
	s->engine->narrow = true;
	sim_fill(s, 3900, 12, 60 * SIM_SEC);
	engine_connect(s->engine);
}

/* What apps ask for beside the plan is in the same room; none of them waits for the plan to end. */
static void errands_share_the_room(void **state)
{
	struct sim *s = *state;
	struct errand_wish wish = { .before_id = "", .pages = 2 };
	uint32_t errands[12];
	size_t most = 0;
	char jid[32];

	given_a_narrow_catch_up(s);
	while (!s->engine->screens_began || s->engine->aside)
		sim_run(s, SIM_SEC / 100);
	for (size_t i = 0; i < ARRAY_SIZE(errands); i++) {
		snprintf(jid, sizeof(jid), "c%zu@sim.test", i);
		wish.with = jid;
		for (int k = 0; k < 10; k++) {
			sim_run(s, SIM_SEC / 150);
			most = unacknowledged(s) > most ? unacknowledged(s) : most;
		}
		errands[i] = engine_errand(s->engine, &wish);
	}
	assert_false(catchup_done(s->engine));
	assert_int_equal(engine_errand_state(s->engine, errands[0], NULL, &(const char *){ NULL }), ERRAND_DONE);
	assert_in_range(most, ROOM - LANES_PAGE, ROOM);
	assert_in_range(most_until_in_sync(s), LANES_PAGE, ROOM);
	for (size_t i = 0; i < ARRAY_SIZE(errands); i++)
		assert_int_equal(errand_ends(s, errands[i]), ERRAND_DONE);
	sim_expect_all(s, 0);
}

/* Who comes when the plan has taken all of it has the next place, and not what is left at the end. */
static void an_errand_has_the_next_place(void **state)
{
	struct sim *s = *state;
	struct errand_wish wish = { .with = "c0@sim.test", .before_id = "", .pages = 1 };
	uint32_t errand;

	given_a_narrow_catch_up(s);
	for (int i = 0; i < 10000 && (s->engine->aside || unacknowledged(s) < ROOM); i++)
		sim_run(s, SIM_SEC / 1000);
	assert_int_equal(unacknowledged(s), ROOM);
	errand = engine_errand(s->engine, &wish);
	/* A round trip for a place, and one for the page. */
	sim_run(s, SIM_SEC * 45 / 100);
	assert_int_equal(engine_errand_state(s->engine, errand, NULL, &(const char *){ NULL }), ERRAND_DONE);
	assert_false(catchup_done(s->engine));
}

/* A page takes longer than a question may: smaller ones are asked for until one comes through. */
static void a_link_too_slow_for_a_page(void **state)
{
	struct sim *s = *state;

	s->page_cap = 250;
	s->stanza_us = SIM_SEC * 4 / 10;
	sim_fill(s, 600, 3, 60 * SIM_SEC);
	engine_connect(s->engine);
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
	/* It costs some questions, and no more than twice the messages: what was on its way is thrown away. */
	assert_in_range(s->counter, 600, 2 * 600);
}

/*
 * Too slow for as many as were asked for at a time: first one at a time. What the old questions bring is still in the way of the
 * next answer, so that may be halved, once.
 */
static void a_link_too_slow_for_many_lanes(void **state)
{
	struct sim *s = *state;

	s->page_cap = 60;
	s->force_lanes = LANES_NARROW;
	sim_fill(s, 3000, 3, 60 * SIM_SEC);
	engine_connect(s->engine);
	for (int i = 0; i < 10000 && (s->engine->aside || unacknowledged(s) < ROOM); i++)
		sim_run(s, SIM_SEC / 100);
	s->stanza_us = SIM_SEC / 2;
	assert_true(sim_settle(s, HOUR));
	assert_in_range(s->engine->page_max, 125, 250);
	sim_expect_all(s, 0);
}

/* No answer at all says nothing of a page's size. */
static void a_server_that_does_not_answer(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 100);
	session_is_lost(s);
	s->boot_us += HOUR;
	sim_fill(s, 600, 3, SIM_SEC);
	s->page_cap = 0;
	s->no_fins = true;
	sim_run(s, 600 * SIM_SEC);
	assert_int_equal(s->engine->page_max, 250);
	s->page_cap = 50;
	s->no_fins = false;
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
}

/* A server that begins to answer and never ends is left alone for a while, as one that does not begin. */
static void a_page_that_never_ends(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 600, 3, 60 * SIM_SEC);
	s->page_cap = 250;
	s->no_fins = true;
	engine_connect(s->engine);
	sim_run(s, HOUR);
	assert_true(s->engine->sync_error || s->engine->barren_us);
	/* Every minute one, and then pauses that grow: far from a loop. */
	assert_in_range(s->queries, 5, 60);
	s->no_fins = false;
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
}

/* Nothing is left to write when there is room again: all goes on the same. */
static void a_full_disk_met_when_nothing_else_is_to_be_written(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 100);
	sim_run(s, 60 * SIM_SEC);
	assert_false(s->engine->dirty);
	sim_disk_full(s, true);
	assert_int_equal(engine_sync_now(s->engine), 0);
	assert_true(s->engine->store_failing);
	sim_run(s, 60 * SIM_SEC);
	assert_true(s->engine->store_failing);
	sim_disk_full(s, false);
	sim_run(s, 60 * SIM_SEC);
	assert_false(s->engine->store_failing);
	assert_string_equal(s->engine->reason_name, "");
	assert_true(catchup_done(s->engine));
}

/* Stamps are a server's: how dense the archive is can be nonsense, not undefined. */
static void stamps_of_all_times(void **state)
{
	struct sim *s = *state;

	s->page_cap = 2;
	s->lanes = 4;
	sim_restart(s);
	sim_fill(s, 400, 3, 60 * SIM_SEC);
	for (int i = 0; i < 400; i++)
		s->archive[i].us = i % 2 ? INT64_C(253402300799) * SIM_SEC : i;
	s->resolution_us = 1;
	engine_connect(s->engine);
	sim_run(s, HOUR);
	assert_in_range(s->engine->seen_us, 0, INT64_MAX / 2);
	sim_expect_honest(s);
}

/* A server that gave an id twice: two spans begin with it, and it does not know it any more. Each is asked for what is below it. */
static void two_spans_that_begin_with_one_id(void **state)
{
	struct sim *s = *state;
	_cleanup_(cover_deinit) struct cover cover = { 0 };

	sim_fill(s, 60, 3, 60 * SIM_SEC);
	cover_load(&cover, "twice", SIM_T0 - DAY, "end", SIM_T0 - DAY, 0);
	cover_load(&cover, "twice", SIM_T0 - DAY / 2, "end of another", SIM_T0 - DAY / 2, 0);
	assert_int_equal(commit_cover(s->engine, &cover), 0);
	comes_in_sync(s);
	assert_in_range(s->queries, 3, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(a_lost_session_makes_the_lanes_of_varved_fewer),
		STORY(pages_that_wait_when_the_stream_ends_count),
		STORY(a_session_lost_with_little_in_flight_does_not),
		STORY(errands_share_the_room),
		STORY(an_errand_has_the_next_place),
		STORY(a_link_too_slow_for_a_page),
		STORY(a_link_too_slow_for_many_lanes),
		STORY(a_server_that_does_not_answer),
		STORY(a_page_that_never_ends),
		STORY(a_full_disk_met_when_nothing_else_is_to_be_written),
		STORY(stamps_of_all_times),
		STORY(two_spans_that_begin_with_one_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
