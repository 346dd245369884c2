/* Verifying what coverage claims (A11): the engine against a server whose archive is not what it said. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "story.h"
#include "sync/engine-priv.h"

/* So many messages of five contacts, a minute apart; offline. */
static void given_archive(struct sim *s, int n)
{
	sim_fill(s, n, 5, 60 * SIM_SEC);
}

/* The server leaves these out of its pages, or does not. */
static void hide(struct sim *s, int from, int to, bool hidden)
{
	for (int i = from; i < to; i++)
		s->archive[i].deleted = hidden;
}

static void a_whole_archive_is_found_whole(void **state)
{
	struct sim *s = *state;
	const struct verify_tally *t;

	given_archive(s, 420);
	comes_in_sync(s);
	t = verified(s, "", 0);
	assert_int_equal(t->messages, 420); /* the newest was just met */
	assert_int_equal(t->missing + t->different + t->gone + t->moved, 0);
	assert_true(t->pages >= 419 / 50);
	sim_expect_all(s, 0);
}

static void A11_what_a_server_left_out_of_its_pages_is_found_and_put_in_its_place(void **state)
{
	struct sim *s = *state;
	const struct verify_tally *t;

	given_archive(s, 420);
	hide(s, 100, 130, true);
	hide(s, 301, 302, true);
	comes_in_sync(s);
	hide(s, 0, 420, false);
	assert_int_equal(sim_count(s, s->archive[301].body), 0);
	t = verified(s, "", 0);
	assert_int_equal(t->missing, 31);
	assert_int_equal(t->gone, 0);
	sim_expect_all(s, 0);
	t = verified(s, "", 0);
	assert_int_equal(t->missing, 0);
}

static void A11_of_one_conversation_alone(void **state)
{
	struct sim *s = *state;
	const struct verify_tally *t;

	given_archive(s, 420);
	hide(s, 100, 130, true);
	comes_in_sync(s);
	hide(s, 0, 420, false);
	t = verified(s, "c2@sim.test", 0);
	assert_int_equal(t->missing, 6);
	assert_int_equal(t->messages, 84);
	assert_int_equal(sim_count(s, s->archive[102].body), 1);
	assert_int_equal(sim_count(s, s->archive[103].body), 0);
	/* The rest, and the places of all. */
	t = verified(s, "", 0);
	assert_int_equal(t->missing, 24);
	sim_expect_all(s, 0);
}

static void what_the_server_forgot_is_kept_and_said(void **state)
{
	struct sim *s = *state;
	const struct verify_tally *t;

	given_archive(s, 420);
	comes_in_sync(s);
	hide(s, 200, 207, true);
	t = verified(s, "", 0);
	assert_int_equal(t->gone, 7);
	assert_int_equal(t->missing, 0);
	t = verified(s, "c3@sim.test", 0);
	assert_int_equal(t->gone, 1); /* 203 */
	hide(s, 0, 420, false);
	sim_expect_all(s, 0);
}

static void only_since_a_time(void **state)
{
	struct sim *s = *state;
	const struct verify_tally *t;

	given_archive(s, 420);
	hide(s, 10, 20, true);
	hide(s, 400, 410, true);
	comes_in_sync(s);
	hide(s, 0, 420, false);
	t = verified(s, "", s->archive[395].us);
	assert_int_equal(t->missing, 10);
	assert_true(t->messages < 100);
}

static void it_goes_on_after_a_lost_link_where_it_was(void **state)
{
	struct sim *s = *state;
	const struct verify *v;
	uint64_t pages;

	given_archive(s, 420);
	hide(s, 50, 60, true);
	comes_in_sync(s);
	hide(s, 0, 420, false);
	s->delay_us = SIM_SEC;
	assert_int_equal(engine_verify(s->engine, "", 0), 0);
	v = engine_verifying(s->engine);
	for (int i = 0; i < 100 && v->tally.pages < 3; i++)
		sim_run(s, SIM_SEC);
	pages = v->tally.pages;
	assert_int_equal(v->state, VERIFY_WALKING);
	sim_cut(s);
	assert_int_equal(v->state, VERIFY_WAITING);
	sim_forget_session(s);
	for (int i = 0; i < 600 && v->state < VERIFY_DONE; i++)
		sim_run(s, SIM_SEC);
	assert_int_equal(v->state, VERIFY_DONE);
	assert_int_equal(v->tally.missing, 10);
	assert_true(pages >= 3 && v->tally.pages <= 420 / 50 + 2);
	sim_expect_all(s, 0);
}

static void messages_that_arrive_meanwhile_were_not_missing(void **state)
{
	struct sim *s = *state;
	char body[32];

	given_archive(s, 300);
	comes_in_sync(s);
	s->delay_us = SIM_SEC / 2;
	assert_int_equal(engine_verify(s->engine, "", 0), 0);
	for (int i = 0; i < 200 && engine_verifying(s->engine)->state < VERIFY_DONE; i++) {
		snprintf(body, sizeof(body), "new %d", i);
		sim_live(s, "c1@sim.test", body);
		sim_run(s, SIM_SEC / 3);
	}
	assert_int_equal(engine_verifying(s->engine)->state, VERIFY_DONE);
	assert_int_equal(engine_verifying(s->engine)->tally.missing, 0);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_expect_all(s, 0);
}

static void a_full_disk_stops_it_and_nothing_is_taken_for_done(void **state)
{
	struct sim *s = *state;

	given_archive(s, 300);
	hide(s, 100, 110, true);
	comes_in_sync(s);
	hide(s, 0, 300, false);
	assert_int_equal(engine_verify(s->engine, "", 0), 0);
	sim_disk_full(s, true);
	sim_run(s, 20 * SIM_SEC);
	assert_true(engine_verifying(s->engine)->state < VERIFY_DONE);
	sim_disk_full(s, false);
	for (int i = 0; i < 200 && engine_verifying(s->engine)->state < VERIFY_DONE; i++)
		sim_run(s, SIM_SEC);
	assert_int_equal(engine_verifying(s->engine)->state, VERIFY_DONE);
	assert_int_equal(engine_verifying(s->engine)->tally.missing, 10);
	sim_expect_all(s, 0);
}

static void B6_the_cursor_expires_under_it(void **state)
{
	struct sim *s = *state;
	const struct verify *v;

	given_archive(s, 420);
	comes_in_sync(s);
	s->delay_us = SIM_SEC;
	assert_int_equal(engine_verify(s->engine, "", 0), 0);
	v = engine_verifying(s->engine);
	for (int i = 0; i < 100 && v->tally.pages < 2; i++)
		sim_run(s, SIM_SEC);
	/* The server forgets everything around where the walk stands. */
	hide(s, 250, 400, true);
	for (int i = 0; i < 600 && v->state < VERIFY_DONE; i++)
		sim_run(s, SIM_SEC);
	assert_int_equal(v->state, VERIFY_DONE);
	assert_int_equal(v->tally.missing, 0);
	hide(s, 0, 420, false);
	sim_expect_all(s, 0);
}

static void A14_an_archive_that_answers_nonsense_ends_it(void **state)
{
	struct sim *s = *state;

	given_archive(s, 300);
	comes_in_sync(s);
	s->empty_fins = true;
	assert_int_equal(engine_verify(s->engine, "", 0), 0);
	s->empty_fins = false;
	s->never_complete = true;
	for (int i = 0; i < 100 && engine_verifying(s->engine)->state < VERIFY_DONE; i++)
		sim_run(s, SIM_SEC);
	assert_int_equal(engine_verifying(s->engine)->state, VERIFY_FAILED);
	assert_true(s->queries < 100);
}

static void one_at_a_time_and_it_can_be_ended(void **state)
{
	struct sim *s = *state;
	int asked;

	given_archive(s, 300);
	comes_in_sync(s);
	s->delay_us = SIM_SEC;
	assert_int_equal(engine_verify(s->engine, "", 0), 0);
	assert_int_equal(engine_verify(s->engine, "", 0), HUB_E_BUSY);
	sim_run(s, 4 * SIM_SEC);
	engine_verify_forget(s->engine);
	assert_null(engine_verifying(s->engine));
	asked = s->queries;
	sim_run(s, 60 * SIM_SEC);
	assert_true(s->queries <= asked + 1);
	sim_expect_all(s, 0);
}

/* Below the horizon is a gap that stays open. */
static void what_comes_live_is_proven_with_a_horizon_too(void **state)
{
	struct sim *s = *state;
	int64_t archive;
	const struct cover *c;
	char body[32];

	given_archive(s, 600);
	s->horizon_us = 3600 * SIM_SEC;
	comes_in_sync(s);
	for (int i = 0; i < 120; i++) {
		snprintf(body, sizeof(body), "live %d", i);
		sim_live(s, "c1@sim.test", body);
		sim_run(s, SIM_SEC);
	}
	c = engine_cover(s->engine, &archive);
	assert_int_equal(cover_count_gaps(c, false), 1);
	/* Span 0 is what pages have proven, a run on top of it what came since. */
	assert_true(c->n <= 2 && atoi(c->spans[0].last.id + 1) >= 690);
}

/* stable='false' (XEP-0313 section 4.3.2): stored, and looked at again when it may be settled. */
static void what_was_not_settled_is_looked_at_again(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	int asked;

	given_archive(s, 420);
	hide(s, 100, 130, true);
	hide(s, 401, 404, true);
	s->unsettled = true;
	comes_in_sync(s);
	assert_int_equal(sim_count(s, s->archive[400].body), 1);
	engine_status(s->engine, &st);
	assert_int_equal(st.unsettled_us, s->engine->recheck.since_us);
	assert_true(st.unsettled_us != 0);
	hide(s, 0, 420, false);
	s->unsettled = false;
	sim_kill(s);
	engine_connect(s->engine);
	sim_run(s, RECHECK_FIRST_US + 60 * SIM_SEC);
	sim_expect_all(s, 0);
	engine_status(s->engine, &st);
	assert_int_equal(st.unsettled_us, 0);
	/* It is settled, and that is remembered. Nobody asked for a report. */
	assert_null(engine_verifying(s->engine));
	sim_restart(s);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	asked = s->queries;
	sim_run(s, 3 * RECHECK_CAP_US);
	assert_int_equal(s->queries, asked);
	assert_int_equal(s->timers[TIMER_RECHECK], 0);
}

/* Only as far down as it was not settled. */
static void what_was_settled_is_not_read_again(void **state)
{
	struct sim *s = *state;
	int asked;

	given_archive(s, 420);
	comes_in_sync(s);
	session_is_lost(s);
	sim_fill(s, 40, 5, SIM_SEC);
	hide(s, 430, 435, true);
	s->unsettled = true;
	comes_in_sync(s);
	hide(s, 430, 435, false);
	s->unsettled = false;
	asked = s->queries;
	sim_run(s, RECHECK_FIRST_US + 60 * SIM_SEC);
	sim_expect_all(s, 0);
	assert_in_range(s->queries - asked, 1, 3);
}

/* A server that is never sure costs a page a day, and nobody's verifying is kept waiting. */
static void a_server_that_is_never_sure_costs_little(void **state)
{
	struct sim *s = *state;
	int asked;

	given_archive(s, 300);
	s->unsettled = true;
	comes_in_sync(s);
	asked = s->queries;
	sim_run(s, 10 * RECHECK_CAP_US);
	assert_in_range(s->queries - asked, 10, 60);
	verified(s, "", 0);
	assert_non_null(engine_verifying(s->engine));
	/* While the walk is under way a user asks for one. */
	s->unsettled = false;
	s->delay_us = SIM_SEC;
	hide(s, 100, 110, true);
	while (!s->engine->settling || s->engine->settling->state != VERIFY_WALKING)
		sim_run(s, SIM_SEC);
	verified(s, "c1@sim.test", 0);
	sim_run(s, 2 * RECHECK_FIRST_US);
	assert_null(s->engine->settling);
	assert_int_equal(s->engine->recheck.since_us, 0);
}

/* What is not settled and comes while the walk is below it, is looked at in its turn. */
static void what_comes_unsettled_behind_the_walk_is_looked_at_too(void **state)
{
	struct sim *s = *state;

	given_archive(s, 400);
	s->unsettled = true;
	comes_in_sync(s);
	s->unsettled = false;
	s->delay_us = SIM_SEC;
	while (!s->engine->settling || s->engine->settling->state != VERIFY_WALKING || s->engine->settling->tally.pages == 0)
		sim_run(s, SIM_SEC / 10);
	session_is_lost(s);
	s->boot_us += RECHECK_FIRST_US;
	sim_fill(s, 20, 5, SIM_SEC);
	hide(s, 410, 411, true);
	s->unsettled = true;
	engine_connect(s->engine);
	while (s->engine->messages < 419)
		sim_run(s, SIM_SEC / 10);
	assert_non_null(s->engine->settling);
	s->unsettled = false;
	hide(s, 410, 411, false);
	sim_run(s, 3 * RECHECK_FIRST_US);
	sim_expect_all(s, 0);
	assert_int_equal(s->engine->recheck.since_us, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(what_comes_live_is_proven_with_a_horizon_too),
		STORY(a_whole_archive_is_found_whole),
		STORY(A11_what_a_server_left_out_of_its_pages_is_found_and_put_in_its_place),
		STORY(A11_of_one_conversation_alone),
		STORY(what_the_server_forgot_is_kept_and_said),
		STORY(only_since_a_time),
		STORY(it_goes_on_after_a_lost_link_where_it_was),
		STORY(messages_that_arrive_meanwhile_were_not_missing),
		STORY(a_full_disk_stops_it_and_nothing_is_taken_for_done),
		STORY(B6_the_cursor_expires_under_it),
		STORY(A14_an_archive_that_answers_nonsense_ends_it),
		STORY(one_at_a_time_and_it_can_be_ended),
		STORY(what_was_not_settled_is_looked_at_again),
		STORY(what_was_settled_is_not_read_again),
		STORY(a_server_that_is_never_sure_costs_little),
		STORY(what_comes_unsettled_behind_the_walk_is_looked_at_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
