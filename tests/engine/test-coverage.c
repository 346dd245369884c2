/*
 * Holes and how they are filled: what is missing is seen, survives a kill, and is fetched or known to be lost. Stories with
 * the names of facts/sync.md (docs/cases.md).
 */
#include <stdio.h>
#include <string.h>

#include "link/link.h"
#include "store/read.h"
#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

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

static void expired_frontier(struct sim *s, bool prosody)
{
	struct account_status st;

	server_is(s, prosody);
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

/*
 * A part of the past is not fetched, and the server drops it: that is a loss, and not the archive's beginning. All that was
 * held may have gone with it.
 */
static void the_past_expires(struct sim *s, bool prosody, bool session, int expired)
{
	struct account_status st;
	struct gap g;

	server_is(s, prosody);
	sim_fill(s, 300, 2, HOUR);
	s->lanes = 1;
	s->horizon_us = 3 * DAY;
	sim_restart(s);
	engine_connect(s->engine);
	assert_true(sim_settle(s, HOUR));
	engine_status(s->engine, &st);
	assert_in_range((int)st.messages, 72, 150);
	assert_true(cover_gap(&s->engine->cover, 0, &g));
	assert_int_equal(g.state, GAP_OPEN);
	s->boot_us += 30 * DAY;
	s->expired = expired;
	s->horizon_us = 0;
	if (session)
		session_is_lost(s);
	sim_restart(s);
	engine_connect(s->engine);
	assert_true(sim_settle(s, HOUR));
	assert_int_equal(open_gaps(s), 0);
	assert_true(cover_gap(&s->engine->cover, 0, &g));
	assert_int_equal(g.state, GAP_LOST);
	assert_string_equal(g.after_id, "");
	sim_expect_honest(s);
}

static void B1_the_past_expires_prosody(void **state)
{
	the_past_expires(*state, true, true, 290);
}

static void B1_the_past_expires_in_the_session(void **state)
{
	the_past_expires(*state, true, false, 290);
}

static void B1_the_past_expires_with_all_that_was_held(void **state)
{
	the_past_expires(*state, true, true, 300);
}

static void B2_the_past_expires_ejabberd(void **state)
{
	the_past_expires(*state, false, true, 290);
}

static void B2_the_past_expires_in_the_session(void **state)
{
	the_past_expires(*state, false, false, 290);
}

static void B2_the_past_expires_with_all_that_was_held(void **state)
{
	the_past_expires(*state, false, false, 300);
}

/* Nothing was asked for weeks, and the stream stood: what the server had when it began says nothing now. */
static void waited(struct sim *s, bool prosody, bool metered)
{
	struct account_status st;

	server_is(s, prosody);
	given_in_sync(s, 60);
	s->metered_us = HOUR;
	s->screens_gap = 10000;
	sim_restart(s);
	engine_set_metered(s->engine, metered);
	away(s, 20 * DAY, 300, 2);
	until_a_hole_is_open(s);
	engine_sync_pause(s->engine, !metered);
	sim_run(s, HOUR);
	engine_status(s->engine, &st);
	assert_int_equal(st.gaps, 1);
	s->boot_us += 10 * DAY;
	s->expired = s->n - 2;
	engine_set_metered(s->engine, false);
	engine_sync_pause(s->engine, false);
	assert_true(sim_settle(s, HOUR));
	engine_status(s->engine, &st);
	assert_int_equal(st.gaps, 0);
	assert_int_equal(st.lost, 1);
	sim_expect_honest(s);
}

static void B1_a_hole_expires_while_the_sync_is_paused(void **state)
{
	waited(*state, true, false);
}

static void B2_a_hole_expires_while_the_sync_is_paused(void **state)
{
	waited(*state, false, false);
}

static void B2_a_hole_expires_while_the_link_is_metered(void **state)
{
	waited(*state, false, true);
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

/*
 * The message that a hole begins below was deleted, and more than a page of what is held lies within the margin above it: by
 * time the answers come down through all of that before they bring anything new. Of an id that the server does not know it says
 * so, or answers as if nothing had been asked.
 */
static void upper_boundary_deleted(struct sim *s, bool prosody)
{
	struct account_status st;
	int i = -1;

	server_is(s, prosody);
	s->page_cap = 50;
	sim_fill(s, 400, 2, SIM_SEC);
	engine_connect(s->engine);
	while (s->queries < 4)
		if (!sim_step(s))
			sim_run(s, SIM_SEC / 10);
	sim_kill(s);
	sim_forget_session(s);
	assert_int_equal(sscanf(s->engine->cover.spans[0].first.id, "a%d", &i), 1);
	assert_in_range(i, 100, 350);
	s->archive[i].deleted = true;
	s->page_cap = 15;
	comes_in_sync(s);
	engine_status(s->engine, &st);
	assert_int_equal(st.lost, 0);
	sim_expect_all(s, 0);
}

/* The last message that we got was deleted while we were away: it stays where it was. */
static void B5_the_newest_message_was_deleted(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 60);
	away(s, HOUR, 30, 2);
	s->archive[59].deleted = true;
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

static void B5_a_deleted_upper_boundary_prosody(void **state)
{
	upper_boundary_deleted(*state, true);
}

static void B5_a_deleted_upper_boundary_ejabberd(void **state)
{
	upper_boundary_deleted(*state, false);
}

/*
 * A small server without a clock of its own loses its power: for a while its archive has stamps of two hours ago, behind ours
 * (F6). Whether the newest page or one of the gap meets these, nothing between them and what we hold is left out.
 */
static void the_servers_clock_stepped_back(struct sim *s, int wrong, int right)
{
	given_in_sync(s, 300);
	session_is_lost(s);
	s->boot_us += HOUR;
	for (int i = wrong; i > 0; i--)
		sim_archive(s, BOB, false, "of a wrong clock", 2 * HOUR + i * SIM_SEC);
	for (int i = right; i > 0; i--)
		sim_archive(s, BOB, false, "after it", i * SIM_SEC);
	comes_in_sync(s);
	sim_expect_honest(s);
	assert_int_equal(sim_count(s, "of a wrong clock"), wrong);
	assert_int_equal(sim_count(s, "after it"), right);
	assert_int_equal(open_gaps(s), 0);
}

static void F6_the_servers_clock_stepped_back_within_the_newest_page(void **state)
{
	the_servers_clock_stepped_back(*state, 60, 20);
}

static void F6_the_servers_clock_stepped_back_within_a_gap(void **state)
{
	struct sim *s = *state;

	server_is(s, true);
	the_servers_clock_stepped_back(s, 30, 300);
}

static void F6_the_servers_clock_stepped_back_for_long(void **state)
{
	struct sim *s = *state;

	s->page_cap = 40;
	the_servers_clock_stepped_back(s, 150, 150);
}

/* What we hold to its end was stamped by a clock a month ahead, which is right again: all that comes is "before" it. */
static void F6_the_servers_clock_was_wrong_by_a_month(void **state)
{
	struct sim *s = *state;

	s->page_cap = 40;
	given_in_sync(s, 100);
	session_is_lost(s);
	s->clock_us = 30 * DAY;
	for (int i = 0; i < 90; i++)
		sim_archive(s, BOB, false, "of another month", 0);
	comes_in_sync(s);
	session_is_lost(s);
	s->clock_us = 0;
	for (int i = 0; i < 150; i++, s->boot_us += SIM_SEC)
		sim_archive(s, BOB, false, "of this month", 0);
	comes_in_sync(s);
	assert_int_equal(open_gaps(s), 0);
	sim_expect_all(s, 0);
}

/* It stepped back for hours, and one of the messages after that has the very stamp that what we hold ends with. */
static void F6_a_stamp_comes_twice(void **state)
{
	struct sim *s = *state;
	int64_t us;

	s->page_cap = 20;
	given_in_sync(s, 100);
	session_is_lost(s);
	us = s->archive[s->n - 1].us;
	s->boot_us += HOUR;
	s->clock_us = us - SIM_T0 - s->boot_us - 30 * 600 * SIM_SEC;
	for (int i = 0; i < 90; i++, s->boot_us += 600 * SIM_SEC) {
		char body[32];

		snprintf(body, sizeof(body), "again %d", i);
		sim_archive(s, BOB, false, body, 0);
	}
	assert_int_equal(s->archive[130].us, us);
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

/* Within a gap that is cut for several lanes, and by more than any of them is long. */
static void F6_the_servers_clock_steps_within_a_gap_that_is_cut(void **state)
{
	static const int64_t steps[] = { -3 * HOUR, 2 * DAY, -40 * DAY, 0, 10 * 60 * SIM_SEC, -HOUR, 0 };
	struct sim *s = *state;

	s->page_cap = 20;
	s->force_lanes = 8;
	given_in_sync(s, 60);
	session_is_lost(s);
	for (int i = 0; i < 700; i++, s->boot_us += 120 * SIM_SEC) {
		char body[32];

		snprintf(body, sizeof(body), "away %d", i);
		s->clock_us = steps[(size_t)i / 100];
		sim_archive(s, i % 2 ? BOB : "c@sim.test", i % 5 == 0, body, 0);
	}
	comes_in_sync(s);
	assert_true(s->lanes_seen > 2);
	assert_int_equal(open_gaps(s), 0);
	sim_expect_all(s, 0);
}

/* What somebody asks for beside the plan is complete within its window; the hole that it lies in stays one. */
static void A5_a_windowed_answer_that_is_complete_closes_no_hole(void **state)
{
	struct sim *s = *state;
	struct errand_wish wish = { .with = "c1@sim.test", .before_id = "", .pages = 0 };
	uint32_t errand;
	struct gap g;

	given_in_sync(s, 60);
	away(s, DAY, 300, 2);
	s->metered_us = SIM_SEC;
	engine_set_metered(s->engine, true);
	until_a_hole_is_open(s);
	sim_run(s, 60 * SIM_SEC);
	assert_int_equal(open_gaps(s), 1);
	wish.before_us = s->archive[200].us;
	wish.since_us = s->archive[150].us;
	errand = engine_errand(s->engine, &wish);
	assert_int_equal(errand_ends(s, errand), ERRAND_DONE);
	assert_int_equal(sim_count(s, "text 175"), 1);
	assert_int_equal(sim_count(s, "text 176"), 0);
	assert_true(cover_gap(&s->engine->cover, 1, &g));
	assert_string_equal(g.after_id, "a59");
	assert_string_equal(g.before_id, "a310");
	assert_int_equal(g.state, GAP_OPEN);
	sim_kill(s);
	assert_int_equal(open_gaps(s), 1);
	sim_expect_honest(s);
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

static int take_unread(void *userdata, const struct conversation_row *row)
{
	*(uint32_t *)userdata = row->unread;
	return 0;
}

/* Two weeks away; ten days ago somebody wrote whom nobody knew. */
static void A10_a_stranger_who_wrote_while_we_were_away_for_long(void **state)
{
	struct sim *s = *state;
	uint32_t unread = 0;

	given_in_sync(s, 60);
	session_is_lost(s);
	s->boot_us += 4 * DAY;
	sim_fill(s, 200, 2, 60 * SIM_SEC);
	sim_archive(s, "stranger@sim.test", false, "hello, it is me", 0);
	s->boot_us += 10 * DAY;
	sim_fill(s, 600, 2, 60 * SIM_SEC);
	comes_in_sync(s);
	assert_int_equal(sim_count(s, "hello, it is me"), 1);
	assert_int_equal(read_conversation(s->store, s->account.id, "stranger@sim.test", take_unread, &unread), 0);
	assert_int_equal(unread, 1);
	sim_expect_all(s, 0);
}

static int count_row(void *userdata, _unused_ const struct message_row *row)
{
	(*(int *)userdata)++;
	return 0;
}

/* A month is missing in the middle: it is on the list with its two ends, history stops there, and it is filled. */
static void A12_a_missing_month_is_seen_and_filled(void **state)
{
	struct sim *s = *state;
	struct history_query q = { .conversation = "", .anchor = ANCHOR_NEWEST, .before = 400 };
	uint32_t edges = 0;
	uint64_t seq;
	struct gap g;
	int rows = 0;

	given_in_sync(s, 60);
	away(s, 30 * DAY, 400, 3);
	until_a_hole_is_open(s);
	engine_sync_pause(s->engine, true);
	sim_kill(s);
	assert_int_equal(open_gaps(s), 1);
	assert_true(cover_gap(&s->engine->cover, 1, &g));
	assert_int_equal(g.after_us, s->archive[59].us);
	assert_int_equal(g.before_us, s->archive[410].us);
	assert_true(g.before_us - g.after_us > 25 * DAY);
	q.account = s->account.id;
	assert_int_equal(read_history(s->store, &q, count_row, &rows, &edges, &seq), 0);
	assert_int_equal(rows, 50);
	assert_true(edges & EDGE_GAP_OLDER);
	comes_in_sync(s);
	assert_int_equal(open_gaps(s), 0);
	sim_expect_all(s, 0);
}

/* 25 missed, pages of ten, newest first: the next page is the one before the first of the last, never after its last. */
static void A15_newest_first_goes_on_before_the_first_of_the_page(void **state)
{
	static const char *const cursors[] = { "", "a75", "a65" };
	struct sim *s = *state;
	size_t seen = 0;

	given_in_sync(s, 60);
	away(s, HOUR, 25, 2);
	s->page_cap = 10;
	s->queries = 0;
	s->delay_us = SIM_SEC / 10;
	engine_connect(s->engine);
	for (int64_t until = s->boot_us + 60 * SIM_SEC; s->boot_us < until; sim_run(s, 1000)) {
		const struct query *a = s->engine->asked;

		if (!a || a->step == PLAN_META || (seen && strcmp(a->cursor, cursors[seen - 1]) == 0))
			continue;
		assert_true(seen < ARRAY_SIZE(cursors));
		assert_string_equal(a->cursor, cursors[seen]);
		seen++;
	}
	assert_int_equal(seen, ARRAY_SIZE(cursors));
	assert_int_equal(s->queries, ARRAY_SIZE(cursors));
	sim_expect_all(s, 0);
}

/* Interrupted in the middle, and the session is resumed: a resume does not mean caught up. */
static void A16_an_interrupted_catch_up_goes_on_when_the_session_is_resumed(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	uint64_t held;

	given_in_sync(s, 60);
	away(s, DAY, 400, 2);
	s->delay_us = SIM_SEC / 10;
	s->queries = 0;
	engine_connect(s->engine);
	while (s->engine->messages < 60 + 150)
		sim_run(s, 1000);
	held = s->engine->messages;
	s->queries = 0;
	sim_cut(s);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_int_equal(s->resumes, 1);
	engine_status(s->engine, &st);
	assert_true(st.caught_up);
	assert_int_equal(st.gaps, 0);
	sim_expect_all(s, 0);
	/* The rest, with its cuts and seams, and nothing that was here. */
	assert_in_range(s->queries, 1, (460 - (int)held) / 50 + 8);
	sim_kill(s);
	s->queries = 0;
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(s->queries, 0);
}

/* What a lost session delivered lies in the gap below the next one's newest page: many lanes fill it all the same. */
static void a_gap_that_a_lost_session_wrote_into_is_cut(void **state)
{
	struct sim *s = *state;
	char body[32];
	int64_t began;

	given_in_sync(s, 60);
	for (int i = 0; i < 30; i++) {
		snprintf(body, sizeof(body), "live %d", i);
		sim_live(s, "c1@sim.test", body);
		sim_run(s, 60 * SIM_SEC);
	}
	away(s, 20 * DAY, 3000, 3);
	s->delay_us = 200000;
	s->stanza_us = 20;
	s->lanes_seen = 0;
	began = s->boot_us;
	engine_connect(s->engine);
	for (struct account_status st = { 0 }; !st.caught_up && s->boot_us - began < 60 * SIM_SEC; engine_status(s->engine, &st))
		sim_run(s, SIM_SEC / 100);
	assert_true(s->lanes_seen >= 8);
	/* 60 pages one after the other are 12 s. */
	assert_true(s->boot_us - began < 6 * SIM_SEC);
	sim_expect_all(s, 0);
}

/* Each login a live id that nobody knows, and a newest page without it: asked a few times, then left alone (H10). */
static void A14_a_newest_page_that_never_fits_is_no_loop(void **state)
{
	struct sim *s = *state;
	struct link_record r;
	char id[32];
	int asked = 0;

	given_in_sync(s, 60);
	session_is_lost(s);
	s->boot_us += HOUR;
	sim_fill(s, 8, 1, SIM_SEC);
	s->page_cap = 5;
	s->delay_us = SIM_SEC / 10;
	s->queries = 0;
	engine_connect(s->engine);
	for (int i = 0; i < 2000; i++) {
		if (s->engine->asked && s->engine->asked->step == PLAN_NEWEST && s->queries > asked) {
			/* Delivered, and never archived; and what is archived is new each time. */
			link_record_init(&r, LINK_MSG);
			snprintf(id, sizeof(id), "ghost-%d", i);
			r.msg.from = "ghost@sim.test/x";
			r.msg.to = s->own;
			r.msg.type = "chat";
			r.msg.id = r.msg.archive_id = r.msg.body = id;
			engine_record(s->engine, &r);
			sim_fill(s, 8, 1, SIM_SEC);
			asked = s->queries;
		}
		sim_run(s, SIM_SEC / 20);
	}
	assert_in_range(s->queries, 5, 100);
	s->page_cap = 50;
	assert_true(sim_settle(s, HOUR));
	sim_expect_honest(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(A3_A4_the_hole_is_on_disk_with_the_page),
		STORY(B1_frontier_expired_prosody),
		STORY(B2_frontier_expired_ejabberd),
		STORY(B1_the_past_expires_prosody),
		STORY(B1_the_past_expires_in_the_session),
		STORY(B1_the_past_expires_with_all_that_was_held),
		STORY(B2_the_past_expires_ejabberd),
		STORY(B2_the_past_expires_in_the_session),
		STORY(B2_the_past_expires_with_all_that_was_held),
		STORY(B1_a_hole_expires_while_the_sync_is_paused),
		STORY(B2_a_hole_expires_while_the_sync_is_paused),
		STORY(B2_a_hole_expires_while_the_link_is_metered),
		STORY(B5_upper_boundary_expired),
		STORY(B5_the_newest_message_was_deleted),
		STORY(B5_a_deleted_upper_boundary_prosody),
		STORY(B5_a_deleted_upper_boundary_ejabberd),
		STORY(F6_the_servers_clock_stepped_back_within_the_newest_page),
		STORY(F6_the_servers_clock_stepped_back_within_a_gap),
		STORY(F6_the_servers_clock_stepped_back_for_long),
		STORY(F6_the_servers_clock_was_wrong_by_a_month),
		STORY(F6_a_stamp_comes_twice),
		STORY(F6_the_servers_clock_steps_within_a_gap_that_is_cut),
		STORY(A5_a_windowed_answer_that_is_complete_closes_no_hole),
		STORY(A10_a_stranger_who_wrote_while_we_were_away_for_long),
		STORY(A12_a_missing_month_is_seen_and_filled),
		STORY(A15_newest_first_goes_on_before_the_first_of_the_page),
		STORY(A16_an_interrupted_catch_up_goes_on_when_the_session_is_resumed),
		STORY(a_gap_that_a_lost_session_wrote_into_is_cut),
		STORY(A14_a_newest_page_that_never_fits_is_no_loop),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
