/*
 * The engine against a simulated server in simulated time, on a real store: stories with the names of facts/sync.md.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "story.h"
#include "torture.h"
#include "link/link.h"
#include "store/archive.h"
#include "store/read.h"
#include "sync/engine-priv.h"


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
	while (!s->engine->whole || s->engine->whole->step != PLAN_BEFORE)
		if (!sim_step(s))
			sim_run(s, 1);
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

/* A hole is recorded with both ids in the page's transaction, and survives a kill. */
static void A3_A4_the_hole_is_on_disk_with_the_page(void **state)
{
	struct sim *s = *state;
	struct gap g;

	given_in_sync(s, 60);
	session_is_lost(s);
	s->boot_us += 24 * HOUR;
	sim_fill(s, 300, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	while (s->engine->cover.n < 2)
		sim_run(s, 1);
	sim_kill(s);
	assert_int_equal(s->engine->cover.n, 2);
	assert_true(cover_gap(&s->engine->cover, 1, &g));
	assert_string_equal(g.after_id, "a59");
	assert_string_equal(g.before_id, "a310");
	assert_int_equal(g.state, GAP_OPEN);
	sim_expect_honest(s);
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

static void expired_frontier(struct sim *s, bool prosody)
{
	struct account_status st;

	s->item_not_found = prosody;
	s->resolution_us = prosody ? SIM_SEC : 1;
	given_in_sync(s, 60);
	session_is_lost(s);
	s->boot_us += 24 * HOUR;
	sim_fill(s, 300, 2, 60 * SIM_SEC);
	s->expired = 160;
	comes_in_sync(s);
	engine_status(s->engine, &st);
	assert_int_equal(st.lost, 1);
	assert_int_equal(st.gaps, 0);
	assert_int_equal((int)st.messages, 60 + 200);
	sim_expect_honest(s);
	/* Known once, not asked for again. */
	s->queries = 0;
	sim_restart(s);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(s->queries, 0);
}

static void B1_frontier_expired_prosody(void **state)
{
	expired_frontier(*state, true);
}

static void B2_frontier_expired_ejabberd(void **state)
{
	expired_frontier(*state, false);
}

/* The upper boundary of a hole expires while it is being filled. */
static void B5_upper_boundary_expired(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 300, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	while (s->queries < 3)
		if (!sim_step(s))
			sim_run(s, SIM_SEC / 10);
	sim_kill(s);
	sim_forget_session(s);
	s->expired = 280;
	comes_in_sync(s);
	sim_expect_honest(s);
}

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

static void send_roster(struct sim *s, int from, int to, int last, uint32_t n)
{
	struct link_record r;
	char jid[32];

	for (int i = from; i < to; i++) {
		link_record_init(&r, LINK_ROSTER);
		snprintf(jid, sizeof(jid), "r%d@sim.test", i);
		r.roster.jid = jid;
		r.roster.subscription = "both";
		r.roster.reset = i == 0;
		r.roster.last = i == last;
		r.roster.n = r.roster.last ? n : 0;
		engine_record(s->engine, &r);
	}
}

static int count_roster(_unused_ void *userdata, _unused_ const struct contact_row *row)
{
	(*(int *)userdata)++;
	return 0;
}

static int ignore_removed(_unused_ void *userdata, _unused_ const char *kind, _unused_ const char *key)
{
	return 0;
}

static int roster_size(struct sim *s)
{
	const struct changes_fns fns = { .contact = count_roster, .removed = ignore_removed };
	uint64_t next = 0;
	bool more = true;
	int n = 0;

	while (more)
		assert_int_equal(read_changes(s->store, s->account.id, next, 0, 500, &fns, &n, &next, &more), 0);
	return n;
}

/* A roster is one stanza: it is stored whole, and acknowledged when its last item is durable. */
static void a_commit_in_the_middle_of_a_roster(void **state)
{
	struct sim *s = *state;
	uint32_t h;

	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	h = s->committed;
	s->counter++;
	send_roster(s, 0, 401, 999, s->counter);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(s->committed, h);
	assert_int_equal(roster_size(s), 0);
	send_roster(s, 401, 1000, 999, s->counter);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(s->committed, s->counter);
	assert_int_equal(roster_size(s), 1000);
}

/* Someone was removed while we were away, and the disk is full when the new roster comes. */
static void a_removed_contact_goes_also_when_the_disk_was_full(void **state)
{
	struct sim *s = *state;

	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	s->counter++;
	send_roster(s, 0, 3, 2, s->counter);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(roster_size(s), 3);
	sim_disk_full(s, true);
	s->counter++;
	send_roster(s, 0, 2, 1, s->counter);
	engine_timer(s->engine, TIMER_COMMIT);
	sim_disk_full(s, false);
	sim_run(s, 20 * SIM_SEC);
	assert_int_equal(roster_size(s), 2);
}

/* The disk is full and a contact sends large messages: memory stays bounded, the server keeps what we cannot. */
static void a_full_disk_does_not_fill_memory(void **state)
{
	static char body[200 * 1024];
	struct sim *s = *state;
	struct link_record r;

	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_disk_full(s, true);
	memset(body, 'x', sizeof(body) - 1);
	for (uint32_t i = 1; i <= 500 && s->wire; i++) {
		link_record_init(&r, LINK_MSG);
		r.msg.from = "bob@sim.test/x";
		r.msg.to = "me@sim.test";
		r.msg.type = "chat";
		r.msg.body = body;
		r.msg.n = s->counter + i;
		engine_record(s->engine, &r);
		assert_true(s->engine->pending_bytes < 20 << 20);
	}
	assert_false(s->wire);
	sim_disk_full(s, false);
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
	engine_status(s->engine, &st);
	assert_true(st.caught_up_us >= then + HOUR);
	/* Not so when it ends before it is in sync again. */
	then = st.caught_up_us;
	sim_run(s, HOUR);
	engine_connect(s->engine);
	engine_disconnect(s->engine);
	engine_status(s->engine, &st);
	assert_int_equal(st.caught_up_us, then);
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

/* Out of space: nothing is acknowledged, nothing is lost, and it goes on by itself when there is space again. */
static void a_full_disk_loses_nothing_and_heals(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	uint32_t acknowledged;
	char body[32];

	given_in_sync(s, 30);
	acknowledged = s->committed;
	sim_disk_full(s, true);
	for (int i = 0; i < 30; i++) {
		snprintf(body, sizeof(body), "no room %d", i);
		sim_live(s, "bob@sim.test", body);
		sim_run(s, SIM_SEC);
	}
	engine_status(s->engine, &st);
	assert_string_equal(st.reason_name, "Storage");
	assert_int_equal(s->committed, acknowledged);
	sim_expect_honest(s);
	sim_disk_full(s, false);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	engine_status(s->engine, &st);
	assert_string_equal(st.reason_name, "");
	sim_expect_all(s, 0);
}

/* The same while the first sync is under way, with a cut in between. */
static void a_full_disk_during_catch_up(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 400, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	while (s->queries < 3)
		if (!sim_step(s))
			sim_run(s, SIM_SEC / 10);
	sim_disk_full(s, true);
	sim_run(s, 20 * SIM_SEC);
	sim_live(s, "bob@sim.test", "meanwhile");
	sim_run(s, 20 * SIM_SEC);
	sim_cut(s);
	sim_run(s, 20 * SIM_SEC);
	sim_expect_honest(s);
	sim_disk_full(s, false);
	assert_true(sim_settle(s, 1200 * SIM_SEC));
	sim_expect_all(s, 0);
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
		STORY(A3_A4_the_hole_is_on_disk_with_the_page),
		STORY(A14_answers_that_lead_nowhere_never_loop),
		STORY(B1_frontier_expired_prosody),
		STORY(B2_frontier_expired_ejabberd),
		STORY(B5_upper_boundary_expired),
		STORY(C10_live_and_archive_in_both_orders),
		STORY(A8_rows_without_archive_ids_merge_later_and_are_no_cursors),
		STORY(D3_D4_killed_before_the_commit_and_resumed),
		STORY(D4_D23_a_cut_is_resumed_and_nothing_asked),
		STORY(D10_D11_resume_refused_loses_nothing),
		STORY(D14_live_messages_do_not_wait_for_a_page),
		STORY(a_message_without_any_id_is_not_doubled_by_a_resume),
		STORY(D22_a_clean_stop_is_resumed),
		STORY(F1_F2_wrong_clocks),
		STORY(F5_a_hundred_at_once),
		STORY(live_messages_below_the_newest_page),
		STORY(a_wire_that_stays_silent_is_killed_and_tried_again),
		STORY(a_refused_password_stops_until_the_user_acts),
		STORY(a_bad_certificate_is_tried_again_slowly),
		STORY(another_network_ends_the_wait),
		STORY(without_a_network_nothing_is_tried),
		STORY(sync_now_in_the_middle_of_everything),
		STORY(a_stampless_result_hides_no_hole),
		STORY(a_commit_in_the_middle_of_a_roster),
		STORY(a_removed_contact_goes_also_when_the_disk_was_full),
		STORY(a_full_disk_does_not_fill_memory),
		STORY(connect_overtakes_the_goodbye),
		STORY(a_poison_stanza_does_not_loop_through_resumes),
		STORY(offline_it_was_in_sync_until_the_stream_ended),
		STORY(disconnect_closes_the_session_and_enable_starts_anew),
		STORY(a_pause_stops_questions_and_resume_goes_on),
		STORY(a_full_disk_loses_nothing_and_heals),
		STORY(a_full_disk_during_catch_up),
		STORY(wire_numbers_out_of_range_end_the_stream),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
