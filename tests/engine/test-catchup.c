/*
 * An archive is fetched: from the first page to the last, in lanes and slices, over streams that end and daemons that are
 * killed. Stories with the names of facts/sync.md (docs/cases.md), from an engine against a simulated server in simulated
 * time, on a real store.
 */
#include <stdio.h>

#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

static void first_sync_of_2000(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 2000, 30, 60 * SIM_SEC);
	comes_in_sync(s);
	sim_expect_all(s, 0);
	/* 2,000 in pages of 50, and the first screens of 30; no more questions than that takes. */
	assert_in_range(s->queries, 70, 80);
}

/*
 * No stream lasts for a page of fifty. The history comes all the same, in smaller ones, and the server is not left with more
 * and more answers to streams that are gone; and once streams last, pages are as before.
 */
static void streams_shorter_than_a_page(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 300, 5, 60 * SIM_SEC);
	s->lanes = 1;
	s->breaks_after = 30;
	engine_connect(s->engine);
	assert_true(sim_settle(s, 12 * HOUR));
	sim_expect_all(s, 0);
	assert_in_range(s->resumes, 10, 100);
	s->breaks_after = 0;
	sim_run(s, HOUR);
	session_is_lost(s);
	sim_fill(s, 900, 5, SIM_SEC);
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
	assert_int_equal(s->engine->page_max, 250);
}

/* Sync ${n} messages over a link with 200 ms of round trip; how long it takes. */
static int64_t sync_time(struct sim *s, int n, int lanes)
{
	int64_t began;

	s->lanes = lanes;
	s->delay_us = 200000;
	s->stanza_us = 20;
	sim_fill(s, n, 7, 60 * SIM_SEC);
	sim_restart(s);
	began = s->boot_us;
	engine_connect(s->engine);
	for (struct account_status st = { 0 }; !st.caught_up; engine_status(s->engine, &st)) {
		sim_run(s, SIM_SEC / 20);
		assert_true(s->boot_us - began < 600 * SIM_SEC);
	}
	sim_expect_all(s, 0);
	return s->boot_us - began;
}

/* The same archive with one lane and with as many as help: the same rows in the same order (sim_expect_all). */
static void lanes_fill_a_long_link(void **state)
{
	struct sim *s = *state, *one = story_memory();
	int64_t took, took_one;

	sim_init(one, 1);
	took_one = sync_time(one, 4000, 1);
	assert_int_equal(one->lanes_seen, 1);
	took = sync_time(s, 4000, 0);
	assert_true(s->lanes_seen > 8);
	/* 80 round trips against some 6 of growing and 74 / 16. */
	assert_true(took * 3 < took_one);
	/* Cuts and seams cost little: a message more for each cut, a page for each seam. */
	assert_true(s->queries < one->queries * 3 / 2);
	sim_deinit(one);
	story_forget(one);
}

/* The server does not resume a session that has too much unacknowledged: it is asked for less at a time from then on. */
static void a_session_lost_with_many_lanes_makes_them_fewer(void **state)
{
	struct sim *s = *state;
	struct account_status st = { 0 };

	s->delay_us = 200000;
	s->stanza_us = 20;
	sim_fill(s, 3900, 7, 60 * SIM_SEC);
	engine_connect(s->engine);
	for (int i = 0; i < 400 && s->lanes_seen <= LANES_NARROW; i++)
		sim_run(s, SIM_SEC / 20);
	assert_true(s->lanes_seen > LANES_NARROW);
	assert_false(s->engine->narrow);
	sim_run(s, SIM_SEC / 2);
	session_is_lost(s);
	s->lanes_seen = 0;
	for (int i = 0; i < 4000 && !st.caught_up; i++) {
		sim_run(s, SIM_SEC / 20);
		engine_status(s->engine, &st);
	}
	assert_true(s->engine->narrow);
	assert_in_range(s->lanes_seen, 2, LANES_NARROW);
	sim_expect_all(s, 0);
}

/* A page is stored in slices, with what it proves; killed between two, the rest is fetched again. */
static void a_page_is_stored_in_slices(void **state)
{
	struct sim *s = *state;
	int64_t archive;

	s->page_cap = 250;
	s->slice = 30;
	sim_fill(s, 400, 3, 60 * SIM_SEC);
	sim_restart(s);
	engine_connect(s->engine);
	/* The newest 50 are stored whole; of the next page the first slice. */
	a_page_of_history_comes(s);
	engine_timer(s->engine, TIMER_STORE);
	assert_int_equal(s->engine->messages, 80);
	assert_string_equal(engine_cover(s->engine, &archive)->spans[0].first.id, "a320");
	sim_expect_honest(s);
	sim_kill(s);
	assert_string_equal(engine_cover(s->engine, &archive)->spans[0].first.id, "a320");
	s->queries = 0;
	comes_in_sync(s);
	sim_expect_all(s, 0);
	/* 320 messages in pages of 250, and three first screens: slices cost no questions. */
	assert_in_range(s->queries, 5, 6);
}

static void an_empty_account_is_in_sync_at_once(void **state)
{
	struct sim *s = *state;

	engine_connect(s->engine);
	assert_true(sim_settle(s, 10 * SIM_SEC));
	sim_live(s, "bob@sim.test", "first ever");
	assert_true(sim_settle(s, 10 * SIM_SEC));
	sim_expect_all(s, 0);
	assert_int_equal(s->queries, 1);
}

/* Empty at the first login, nothing ever came live, and the first message comes while we are away: it is fetched. */
static void A17_the_first_message_comes_while_we_are_away(void **state)
{
	struct sim *s = *state;
	int64_t archive;

	engine_connect(s->engine);
	assert_true(sim_settle(s, 10 * SIM_SEC));
	sim_kill(s);
	sim_forget_session(s);
	s->boot_us += HOUR;
	sim_archive(s, "bob@sim.test", false, "first ever", 0);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 10 * SIM_SEC));
	sim_expect_all(s, 0);
	assert_int_equal(engine_cover(s->engine, &archive)->n, 1);
	assert_int_equal(cover_count_gaps(engine_cover(s->engine, &archive), true), 0);
}

/*
 * A long archive over a long link: what is newest can be read after a few round trips, whatever follows; the rest comes
 * newest first, and after a kill from where it was.
 */
static void J1_the_newest_at_once_and_the_rest_goes_on_after_a_kill(void **state)
{
	struct sim *s = *state;
	int64_t began;
	char newest[32];
	size_t held;
	int asked;

	s->delay_us = 200000;
	s->stanza_us = 20;
	sim_fill(s, 4000, 7, 60 * SIM_SEC);
	snprintf(newest, sizeof(newest), "text %d", s->n - 1);
	began = s->boot_us;
	engine_connect(s->engine);
	while (s->engine->messages == 0) {
		sim_run(s, SIM_SEC / 100);
		assert_true(s->boot_us - began < SIM_SEC); /* two questions: where it ends, and its newest page */
	}
	assert_int_equal(sim_count(s, newest), 1);
	while (s->engine->messages < 2000)
		sim_run(s, SIM_SEC / 100);
	sim_expect_honest(s);
	sim_kill(s);
	held = s->engine->messages;
	asked = s->queries;
	assert_true(held >= 2000);
	comes_in_sync(s);
	sim_expect_all(s, 0);
	/* The rest, its cuts and seams, and first screens. */
	assert_in_range(s->queries - asked, 1, (4000 - (int)held) / 50 + 40);
}

/* 900 missed, page 50; a live message after page 3; killed after page 5. */
static void A1_kill_during_catch_up_with_live_traffic(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 100, 3, 60 * SIM_SEC);
	comes_in_sync(s);
	session_is_lost(s);
	s->boot_us += 24 * HOUR;
	sim_fill(s, 900, 3, 60 * SIM_SEC);
	s->queries = 0;
	engine_connect(s->engine);
	for (int live = 0; s->queries < 5;) {
		if (s->queries == 3 && !live++)
			sim_live(s, "bob@sim.test", "live in the middle");
		if (!sim_step(s))
			sim_run(s, SIM_SEC / 10);
	}
	sim_kill(s);
	sim_forget_session(s);
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

static void A2_a_server_that_caps_pages(void **state)
{
	struct sim *s = *state;

	s->page_cap = 20;
	sim_fill(s, 100, 2, SIM_SEC);
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

static void A14_answers_that_lead_nowhere_never_loop(void **state)
{
	struct sim *s = *state;
	struct account_status st;

	sim_fill(s, 200, 2, 60 * SIM_SEC);
	s->never_complete = true;
	engine_connect(s->engine);
	sim_run(s, 3 * HOUR);
	engine_status(s->engine, &st);
	assert_true(s->queries < 300); /* a few a try, tries ever farther apart */
	assert_false(st.caught_up);
	assert_true(st.gaps > 0);
	sim_expect_honest(s);

	s->never_complete = false;
	s->empty_fins = true;
	s->queries = 0;
	sim_run(s, 3 * HOUR);
	assert_true(s->queries < 300);
	s->empty_fins = false;
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
}

/* sync now while a question is under way, with a run of live messages on top. */
static void sync_now_in_the_middle_of_everything(void **state)
{
	struct sim *s = *state;
	char body[32];

	sim_fill(s, 300, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	for (int i = 0; i < 300; i++) {
		if (i % 20 == 7) {
			snprintf(body, sizeof(body), "live %d", i);
			sim_live(s, "bob@sim.test", body);
		}
		if (i % 13 == 5)
			engine_sync_now(s->engine);
		if (!sim_step(s))
			sim_run(s, SIM_SEC / 50);
		sim_expect_honest(s);
	}
	assert_true(sim_settle(s, 600 * SIM_SEC));
	sim_expect_all(s, 0);
}

/* The oldest message of a page was over a limit of the wire and has no stamp: the hole below it stays a hole. */
static void a_stampless_result_hides_no_hole(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 60, 3, 60 * SIM_SEC);
	comes_in_sync(s);
	session_is_lost(s);
	s->boot_us += 24 * HOUR;
	sim_fill(s, 300, 3, 60 * SIM_SEC);
	s->stampless = 10; /* 310 is the first of the newest page */
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

static void a_pause_stops_questions_and_resume_goes_on(void **state)
{
	struct sim *s = *state;
	struct account_status st;

	sim_fill(s, 500, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	while (s->queries < 2)
		if (!sim_step(s))
			sim_run(s, SIM_SEC / 10);
	engine_sync_pause(s->engine, true);
	sim_run(s, HOUR);
	assert_true(s->queries <= 3);
	engine_status(s->engine, &st);
	assert_string_equal(st.sync_state, "paused");
	engine_sync_pause(s->engine, false);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	sim_expect_all(s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(first_sync_of_2000),
		STORY(streams_shorter_than_a_page),
		STORY(lanes_fill_a_long_link),
		STORY(a_session_lost_with_many_lanes_makes_them_fewer),
		STORY(a_page_is_stored_in_slices),
		STORY(an_empty_account_is_in_sync_at_once),
		STORY(A17_the_first_message_comes_while_we_are_away),
		STORY(J1_the_newest_at_once_and_the_rest_goes_on_after_a_kill),
		STORY(A1_kill_during_catch_up_with_live_traffic),
		STORY(A2_a_server_that_caps_pages),
		STORY(A14_answers_that_lead_nowhere_never_loop),
		STORY(sync_now_in_the_middle_of_everything),
		STORY(a_stampless_result_hides_no_hole),
		STORY(a_pause_stops_questions_and_resume_goes_on),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
