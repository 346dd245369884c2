/* With a page's first message the page below it is asked for (decisions/0034): when, when not, and what an answer out of order does. */
#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

/* A short link, on which a page takes a while to come. */
static void given_a_short_link(struct sim *s, int messages)
{
	s->page_cap = 50;
	s->delay_us = 5000;
	s->stanza_us = 1000;
	s->force_lanes = 1;
	sim_fill(s, messages, 1, 60 * SIM_SEC);
	sim_restart(s);
	engine_connect(s->engine);
}

/* Until so many questions are on their way, the first of them one for the page below another. */
static bool runs_until_asked(struct sim *s, size_t n)
{
	for (int i = 0; i < 5000; i++) {
		const struct query *q = s->engine->asked;

		if (query_count(q) == n && q->step == PLAN_BEFORE && q->n)
			return true;
		sim_run(s, 100);
	}
	return false;
}

static void the_next_page_is_asked_for_with_the_first_message(void **state)
{
	struct sim *s = *state;
	struct query *q;

	given_a_short_link(s, 600);
	assert_true(runs_until_asked(s, 2));
	q = s->engine->asked;
	assert_true(q->n < 50);
	assert_string_equal(q->next->cursor, q->items[0]->archive_id);
	assert_string_equal(q->next->above_id, q->items[0]->archive_id);
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
	/* The newest, eleven below it, and none for nothing. */
	assert_int_equal(s->queries, 12);
	assert_int_equal(s->lanes_seen, 2);
}

/* The stream ends between them: what came of both is asked for again, and all of it is here once. */
static void a_cut_between_the_two(void **state)
{
	struct sim *s = *state;

	given_a_short_link(s, 600);
	assert_true(runs_until_asked(s, 2));
	sim_cut(s);
	sim_forget_session(s);
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
}

/* The page reaches what is held: nothing is asked below it. */
static void nothing_is_asked_below_a_gap(void **state)
{
	struct sim *s = *state;
	int asked;

	given_a_short_link(s, 200);
	assert_true(sim_settle(s, HOUR));
	sim_cut(s);
	sim_forget_session(s);
	s->boot_us += HOUR;
	for (int i = 0; i < 120; i++) {
		sim_archive(s, "c0@sim.test", false, "away", 0);
		s->boot_us += 20 * SIM_SEC;
	}
	asked = s->queries;
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
	/* 120 are three pages; the third reaches the span below. */
	assert_int_equal(s->queries, asked + 3);
}

/* A server that works on two at a time: the second answer has no place yet. It is asked for again, once. */
static void an_answer_that_overtakes_is_dropped(void **state)
{
	struct sim *s = *state;

	given_a_short_link(s, 600);
	s->overtakes = true;
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
	assert_true(s->engine->disordered);
	assert_in_range(s->queries, 13, 14);
}

/* Who wants one at a time has one. */
static void one_lane_by_policy_is_one_question(void **state)
{
	struct sim *s = *state;

	s->lanes = 1;
	given_a_short_link(s, 600);
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
	assert_int_equal(s->lanes_seen, 1);
}

/* Where a page takes seconds, what somebody waits for does not stand behind two. */
static void a_slow_link_has_one_page_on_its_way(void **state)
{
	struct sim *s = *state;

	given_a_short_link(s, 600);
	s->stanza_us = SIM_SEC / 20;
	assert_true(sim_settle(s, HOUR));
	sim_expect_all(s, 0);
	assert_int_equal(s->lanes_seen, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(the_next_page_is_asked_for_with_the_first_message),
		STORY(a_cut_between_the_two),
		STORY(nothing_is_asked_below_a_gap),
		STORY(an_answer_that_overtakes_is_dropped),
		STORY(one_lane_by_policy_is_one_question),
		STORY(a_slow_link_has_one_page_on_its_way),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
