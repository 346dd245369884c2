/*
 * Live messages, beside the archive's pages and across resumes: each stored once, in its place, whatever the clocks say.
 * Stories with the names of facts/sync.md (docs/cases.md).
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

static void C10_live_and_archive_in_both_orders(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 120, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	/* Live just before the newest page is asked, and while it is coming in. */
	for (int i = 0; i < 400; i++) {
		char body[32];

		if (i % 3 == 0 && i < 60) {
			snprintf(body, sizeof(body), "live %d", i);
			sim_live(s, "bob@sim.test", body);
		}
		if (!sim_step(s))
			sim_run(s, SIM_SEC / 20);
	}
	assert_true(sim_settle(s, 600 * SIM_SEC));
	sim_expect_all(s, 0);
}

/* No stanza-ids: live rows are found again in the archive by sender, id and content. */
static void A8_rows_without_archive_ids_merge_later_and_are_no_cursors(void **state)
{
	struct sim *s = *state;

	s->no_stanza_ids = true;
	sim_fill(s, 20, 2, 60 * SIM_SEC);
	comes_in_sync(s);
	for (int i = 0; i < 5; i++) {
		char body[32];

		snprintf(body, sizeof(body), "bare %d", i);
		sim_live(s, "bob@sim.test", body);
		sim_run(s, 2 * SIM_SEC);
	}
	session_is_lost(s);
	sim_run(s, 60 * SIM_SEC);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	sim_expect_all(s, 0);
}

/* Killed between receive and commit: the server sends it again (D3); resumed without a question (D4). */
static void D3_D4_killed_before_the_commit_and_resumed(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 30);
	sim_live(s, "bob@sim.test", "seen but not committed");
	while (sim_step(s))
		;
	s->queries = 0;
	sim_kill(s);
	assert_int_equal(sim_count(s, "seen but not committed"), 0);
	sim_live(s, "bob@sim.test", "sent meanwhile");
	comes_in_sync(s);
	assert_int_equal(s->resumes, 1);
	assert_int_equal(s->queries, 0);
	sim_expect_all(s, 0);
}

static void D4_D23_a_cut_is_resumed_and_nothing_asked(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 30);
	s->queries = 0;
	for (int i = 0; i < 20; i++) {
		char body[32];

		snprintf(body, sizeof(body), "across cuts %d", i);
		sim_live(s, "bob@sim.test", body);
		if (i % 3 == 0)
			sim_cut(s);
		sim_run(s, SIM_SEC * (1 + i % 4));
	}
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_int_equal(s->binds, 1);
	assert_int_equal(s->queries, 0);
	sim_expect_all(s, 0);
}

/* What the server had kept comes in behind READY: until all of it is stored nobody hears that nothing is missing. */
static void D23_in_sync_after_a_resume_is_with_what_was_kept(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	int steps = 0;

	given_in_sync(s, 30);
	sim_cut(s);
	for (int i = 0; i < 60; i++) {
		char body[32];

		snprintf(body, sizeof(body), "kept %d", i);
		sim_live(s, "bob@sim.test", body);
	}
	engine_connect(s->engine);
	for (;; sim_run(s, SIM_SEC / 200)) {
		engine_status(s->engine, &st);
		if (st.caught_up)
			break;
		steps += strcmp(st.state, "online") == 0;
		assert_int_equal(st.gaps, 0);
		assert_true(s->boot_us < HOUR);
	}
	assert_int_equal(s->resumes, 1);
	assert_true(steps > 5);
	sim_expect_all(s, 0);
}

/* It falls silent among them: the account was not in sync on that stream. */
static void D23_a_resume_that_breaks_off_was_not_in_sync(void **state)
{
	struct sim *s = *state;
	struct account_status before, st;

	given_in_sync(s, 30);
	sim_cut(s);
	engine_status(s->engine, &before);
	for (int i = 0; i < 10; i++) {
		char body[32];

		snprintf(body, sizeof(body), "kept %d", i);
		sim_live(s, "bob@sim.test", body);
	}
	s->breaks_after = 5;
	engine_connect(s->engine);
	sim_run(s, SIM_SEC);
	assert_true(s->resumes > 0);
	engine_status(s->engine, &st);
	assert_int_equal(st.caught_up_us, before.caught_up_us);
	s->breaks_after = 0;
	assert_true(sim_settle(s, 600 * SIM_SEC));
}

static void D10_D11_resume_refused_loses_nothing(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 30);
	sim_cut(s);
	sim_live(s, "bob@sim.test", "while away 1");
	sim_live(s, "bob@sim.test", "while away 2");
	sim_forget_session(s);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_int_equal(s->binds, 2);
	sim_expect_all(s, 0);
}

/* A page is coming in, and a live message overtakes the rest of it. */
static void live_inside_a_page(struct sim *s)
{
	struct sim_stanza z;

	sim_fill(s, 200, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	while (s->queries < 1)
		assert_true(sim_step(s));
	for (int i = 0; i < 10; i++)
		sim_step(s);
	sim_live(s, "bob@sim.test", "in between");
	z = s->queue[s->q_tail - 1];
	memmove(&s->queue[s->q_next + 1], &s->queue[s->q_next], (size_t)(s->q_tail - 1 - s->q_next) * sizeof(z));
	s->queue[s->q_next] = z;
	for (int i = s->q_next; i < s->q_tail; i++)
		s->queue[i].n = s->queue[s->q_next - 1].n + (uint32_t)(i - s->q_next + 1);
	sim_step(s);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(sim_count(s, "in between"), 1);
}

/* An archive page is coming in; a live message is stored at once, h waits for the page (D14). */
static void D14_live_messages_do_not_wait_for_a_page(void **state)
{
	struct sim *s = *state;

	live_inside_a_page(s);
	sim_cut(s);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_int_equal(s->resumes, 1);
	sim_expect_all(s, 0);
}

/* The server repeats it after the resume; without any id only its number tells that it is stored (decisions/0004). */
static void a_message_without_any_id_is_not_doubled_by_a_resume(void **state)
{
	struct sim *s = *state;

	s->no_ids = true;
	live_inside_a_page(s);
	sim_kill(s);
	engine_connect(s->engine);
	for (int i = 0; i < 60; i++)
		sim_step(s);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(s->resumes, 1);
	assert_int_equal(sim_count(s, "in between"), 1);
}

/* The phone's clock is five minutes behind (F1), a day ahead for an hour (F2). */
static void F1_F2_wrong_clocks(void **state)
{
	static const int64_t skews[] = { -300 * SIM_SEC, 24 * HOUR, 0 };
	struct sim *s = *state;
	char body[32];

	sim_fill(s, 30, 2, 60 * SIM_SEC);
	for (size_t k = 0; k < ARRAY_SIZE(skews); k++) {
		s->skew_us = skews[k];
		comes_in_sync(s);
		for (int i = 0; i < 5; i++) {
			snprintf(body, sizeof(body), "clock %zu %d", k, i);
			sim_live(s, "bob@sim.test", body);
			sim_run(s, 5 * SIM_SEC);
		}
		session_is_lost(s);
		s->boot_us += HOUR;
		for (int i = 0; i < 5; i++) {
			snprintf(body, sizeof(body), "away %zu %d", k, i);
			sim_archive(s, "bob@sim.test", false, body, (5 - i) * 60 * SIM_SEC);
		}
		comes_in_sync(s);
	}
	sim_expect_all(s, 0);
}

/*
 * A phone was off for five days and begins with the time at which it went off, until the network's comes; or it is set wrong for
 * good. What comes live without an archive id is the archive's copy all the same.
 */
static void F1_a_clock_that_is_days_off_doubles_nothing(void **state)
{
	static const int64_t skews[] = { 0, 240 * HOUR, -48 * HOUR, 0 };
	struct sim *s = *state;
	char body[32];

	s->no_stanza_ids = true;
	sim_fill(s, 30, 2, 60 * SIM_SEC);
	s->skew_us = -120 * HOUR;
	for (size_t k = 0; k <= ARRAY_SIZE(skews); k++) {
		comes_in_sync(s);
		for (int i = 0; i < 5; i++) {
			snprintf(body, sizeof(body), "clock %zu %d", k, i);
			sim_live(s, "bob@sim.test", body);
			sim_run(s, 5 * SIM_SEC);
			/* In the middle of a session. */
			if (k < ARRAY_SIZE(skews) && i == 3)
				sim_set_clock(s, skews[k]);
		}
		session_is_lost(s);
		s->boot_us += HOUR;
		comes_in_sync(s);
		sim_expect_all(s, 0);
	}
}

/* It is so far ahead and always was: nothing has ever shown it, not even to a daemon that starts anew. */
static void F2_a_clock_that_was_always_ahead_doubles_nothing(void **state)
{
	static const int64_t skews[] = { 28 * HOUR, 40 * HOUR, 5000 * HOUR };
	struct sim *s = *state;
	char body[32];

	s->no_stanza_ids = true;
	sim_fill(s, 30, 2, 60 * SIM_SEC);
	for (size_t k = 0; k < ARRAY_SIZE(skews); k++) {
		s->skew_us = skews[k];
		comes_in_sync(s);
		for (int i = 0; i < 5; i++) {
			snprintf(body, sizeof(body), "ahead %zu %d", k, i);
			sim_live(s, "bob@sim.test", body);
			sim_run(s, 5 * SIM_SEC);
		}
		if (k == 1)
			sim_kill(s);
		else
			sim_cut(s);
		sim_forget_session(s);
		s->boot_us += HOUR;
		for (int i = 0; i < 80; i++)
			sim_archive(s, "bob@sim.test", false, "away", (80 - i) * 10 * SIM_SEC);
		comes_in_sync(s);
		sim_expect_all(s, 0);
	}
}

/* 100 at once: stored in archive order. */
static void F5_a_hundred_at_once(void **state)
{
	struct sim *s = *state;
	char body[32];

	comes_in_sync(s);
	for (int i = 0; i < 100; i++) {
		snprintf(body, sizeof(body), "burst %d", i);
		sim_live(s, "bob@sim.test", body);
	}
	assert_true(sim_settle(s, 600 * SIM_SEC));
	sim_expect_all(s, 0);
}

/*
 * Live messages come while the newest page is under way, and more of our own behind them than the page holds: they lie
 * below it. They were taken for newer (property seed 9063): then the spans stood in the wrong order, everything was
 * fetched twice, a gap was called lost and messages stood in a wrong order.
 */
static void live_messages_below_the_newest_page(void **state)
{
	struct sim *s = *state;
	int64_t archive;
	char body[16];

	given_in_sync(s, 60);
	session_is_lost(s);
	sim_archive(s, "c0@sim.test", false, "missed", 0);
	s->page_cap = 6;
	s->delay_us = SIM_SEC / 2;
	s->queries = 0;
	engine_connect(s->engine);
	while (!s->engine->asked)
		sim_run(s, SIM_SEC / 10);
	assert_int_equal(s->engine->asked->step, PLAN_META);
	for (int i = 0; i < 16; i++) {
		snprintf(body, sizeof(body), "new %d", i);
		if (i < 4)
			sim_live(s, "c0@sim.test", body);
		else
			sim_archive(s, "c0@sim.test", true, body, 0);
	}
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_expect_all(s, 0);
	assert_int_equal(engine_cover(s->engine, &archive)->n, 1);
	/* The newest page twice, and two more down to what was held. */
	assert_in_range(s->queries, 3, 5);
}

/* A stanza that breaks the stream is repeated at each resume: the second time the session is given up (poison loop). */
static void a_poison_stanza_does_not_loop_through_resumes(void **state)
{
	struct link_record r = { .kind = LINK_FAILED };
	struct sim *s = *state;

	given_in_sync(s, 30);
	r.failed = (struct link_failed){ FAILURE_PROTOCOL, "not-well-formed", "words" };
	engine_record(s->engine, &r);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_int_equal(s->resumes, 1);
	engine_record(s->engine, &r);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_int_equal(s->resumes, 1);
	assert_int_equal(s->binds, 2);
	sim_expect_all(s, 0);
}

/* D22: a clean stop leaves the session resumable, and the next start resumes it. */
static void D22_a_clean_stop_is_resumed(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 30);
	sim_restart(s);
	sim_live(s, "bob@sim.test", "while stopped");
	s->queries = 0;
	comes_in_sync(s);
	assert_int_equal(s->resumes, 1);
	assert_int_equal(s->queries, 0);
	sim_expect_all(s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(C10_live_and_archive_in_both_orders),
		STORY(A8_rows_without_archive_ids_merge_later_and_are_no_cursors),
		STORY(D3_D4_killed_before_the_commit_and_resumed),
		STORY(D4_D23_a_cut_is_resumed_and_nothing_asked),
		STORY(D23_in_sync_after_a_resume_is_with_what_was_kept),
		STORY(D23_a_resume_that_breaks_off_was_not_in_sync),
		STORY(D10_D11_resume_refused_loses_nothing),
		STORY(D14_live_messages_do_not_wait_for_a_page),
		STORY(a_message_without_any_id_is_not_doubled_by_a_resume),
		STORY(D22_a_clean_stop_is_resumed),
		STORY(F1_F2_wrong_clocks),
		STORY(F1_a_clock_that_is_days_off_doubles_nothing),
		STORY(F2_a_clock_that_was_always_ahead_doubles_nothing),
		STORY(F5_a_hundred_at_once),
		STORY(live_messages_below_the_newest_page),
		STORY(a_poison_stanza_does_not_loop_through_resumes),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
