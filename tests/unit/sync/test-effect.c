/* sync/effect: what a page does to coverage, and when it does nothing. Stamps are in minutes; a clock's margin is five. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sync/effect.h"

#define MIN(n) (INT64_C(1700000000000000) + (n) * INT64_C(60000000))

static int64_t real_us(_unused_ void *userdata)
{
	return MIN(1000);
}

struct fx {
	struct engine *e;
	struct engine_io io;
	struct cover cover;
	struct query q;
	char above[8];
	struct cover_item items[4];
	struct cover_page page;
	struct effect effect;
};

static int setup(void **state)
{
	struct fx *fx = xnew(struct fx);

	fx->e = xnew(struct engine);
	fx->io.real_us = real_us;
	fx->e->io = &fx->io;
	cover_init(&fx->cover);
	fx->q.step = PLAN_BEFORE;
	fx->page.items = fx->items;
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fx *fx = *state;

	cover_deinit(&fx->cover);
	free(fx->e);
	free(fx);
	return 0;
}

static void span(struct fx *fx, const char *first, int64_t from, const char *last, int64_t to, uint32_t flags)
{
	cover_load(&fx->cover, first, MIN(from), last, MIN(to), flags);
}

static void item(struct fx *fx, const char *id, int64_t min)
{
	fx->items[fx->page.n++] = (struct cover_item){ id, MIN(min) };
	fx->q.n = fx->page.n;
}

/* Of the page below the span that begins with ${above}. */
static enum answer apply(struct fx *fx, const char *above)
{
	snprintf(fx->above, sizeof(fx->above), "%s", above);
	fx->q.above_id = fx->above;
	fx->page.start_us = fx->q.start_us;
	return effect_apply(fx->e, &fx->q, 0, &fx->cover, &fx->page, &fx->effect);
}

/* A server that gives an id twice: asked again is where something is missing. */
static void the_span_that_is_named_is_one_with_a_gap_below(void **state)
{
	struct fx *fx = *state;

	span(fx, "a", 0, "b", 1, SPAN_START);
	assert_int_equal(effect_span_named(&fx->cover, "a"), 0);
	assert_int_equal(effect_span_named(&fx->cover, "b"), SIZE_MAX);
	span(fx, "x", 10, "c", 11, 0);
	span(fx, "x", 20, "d", 21, SPAN_LOST);
	span(fx, "x", 30, "e", 31, SPAN_RUN | SPAN_NEXT);
	assert_int_equal(effect_span_named(&fx->cover, "x"), 1);
	fx->cover.spans[2].flags = 0;
	assert_int_equal(effect_span_named(&fx->cover, "x"), 2);
	fx->cover.spans[1].flags = fx->cover.spans[2].flags = SPAN_LOST;
	assert_int_equal(effect_span_named(&fx->cover, "x"), 1);
}

static void a_page_below_a_span_that_is_not_there_is_nobody_s(void **state)
{
	struct fx *fx = *state;

	span(fx, "a", 0, "b", 1, 0);
	item(fx, "m", -10);
	assert_int_equal(apply(fx, "z"), ANSWER_GONE);
	assert_int_equal(fx->cover.n, 1);
}

/*
 * It was asked down to a cut that was refused then. That nothing more came down to there says nothing of what lies below:
 * else the gap would be joined or lost without having been asked for (promise 2).
 */
static void what_was_bounded_by_a_cut_that_was_refused_ends_no_gap(void **state)
{
	static const struct {
		int64_t start; /* the lower bound, 0 = none */
		int64_t below_to; /* where the span below ends, 0 = there is none */
		uint32_t below_flags;
		int64_t item;
		bool complete;
		enum answer want;
	} cases[] = {
		{ 95, 100, 0, 150, false, ANSWER_MOVED }, /* the end of what is below, less the margin */
		{ 95, 100, 0, 150, true, ANSWER_MOVED },
		{ 95, 50, 0, 150, true, ANSWER_GONE },
		{ 95, 50, 0, 150, false, ANSWER_MOVED },
		{ 95, 50, 0, 100, false, ANSWER_MOVED },
		{ 95, 50, 0, 99, false, ANSWER_GONE }, /* near it messages may be left out */
		{ 95, 99, 0, 150, true, ANSWER_GONE },
		{ 95, 100, SPAN_EMPTY, 150, true, ANSWER_GONE },
		{ 95, 0, 0, 150, false, ANSWER_GONE }, /* the first span: "complete" would be the archive's beginning */
		{ 95, 0, 0, 150, true, ANSWER_GONE },
		{ 0, 50, 0, 150, true, ANSWER_MOVED },
		{ 0, 0, 0, 150, true, ANSWER_MOVED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		void *one;
		struct fx *fx;

		setup(&one);
		fx = one;
		if (cases[i].below_to)
			span(fx, "a", 40, "b", cases[i].below_to, cases[i].below_flags);
		span(fx, "m", 200, "n", 210, 0);
		item(fx, "k", cases[i].item);
		item(fx, "l", 160);
		fx->q.start_us = cases[i].start ? MIN(cases[i].start) : 0;
		fx->q.complete = cases[i].complete;
		assert_int_equal(apply(fx, "m"), cases[i].want);
		if (cases[i].want == ANSWER_GONE)
			assert_string_equal(fx->cover.spans[fx->cover.n - 1].first.id, "m");
		teardown(&one);
	}
	(void)state;
}

/* A14: a server that answers from somewhere else. What was asked by time, or is a part of a page, may well repeat the boundary. */
static void a_page_with_what_it_was_asked_below_moves_nothing(void **state)
{
	static const char *const met[] = { "m", "n" }; /* the span's two ends */

	for (size_t i = 0; i < 2 * ARRAY_SIZE(met); i++) {
		void *one;
		struct fx *fx;

		setup(&one);
		fx = one;
		span(fx, "a", 0, "b", 10, 0);
		span(fx, "m", 200, "n", 210, 0);
		item(fx, "k", 150);
		item(fx, met[i / 2], 200);
		fx->q.by_time = i % 2;
		assert_int_equal(apply(fx, "m"), i % 2 ? ANSWER_MOVED : ANSWER_STUCK);
		assert_string_equal(fx->cover.spans[1].first.id, i % 2 ? "k" : "m");
		teardown(&one);
	}
	(void)state;
}

static void the_rest_of_a_page_may_repeat_what_is_stored_of_it(void **state)
{
	struct fx *fx = *state;

	span(fx, "a", 0, "b", 10, 0);
	span(fx, "m", 200, "n", 210, 0);
	item(fx, "k", 150);
	item(fx, "m", 200);
	fx->q.sliced = true;
	assert_int_equal(apply(fx, "m"), ANSWER_MOVED);
}

/* ${joined}: what is left of the page is held already, and is dropped. Never of the archive's beginning. */
static void joined_is_what_met_the_span_below(void **state)
{
	struct fx *fx = *state;

	span(fx, "a", 100, "b", 110, 0);
	span(fx, "m", 200, "n", 210, 0);
	item(fx, "k", 150);
	assert_int_equal(apply(fx, "m"), ANSWER_MOVED);
	assert_false(fx->effect.joined);
	assert_int_equal(fx->effect.span, 1);
	fx->page.n = 0;
	item(fx, "b", 110);
	item(fx, "c", 120);
	assert_int_equal(apply(fx, "k"), ANSWER_MOVED);
	assert_true(fx->effect.joined);
	assert_int_equal(fx->effect.span, 0);
	assert_int_equal(fx->cover.n, 1);
	fx->page.n = 0;
	item(fx, "x", 10);
	assert_int_equal(apply(fx, "a"), ANSWER_MOVED);
	assert_false(fx->effect.joined);
	/* The page that meets it by its very first message grows nothing else: it has moved all the same. */
	span(fx, "s", 300, "t", 310, 0);
	fx->page.n = 0;
	fx->items[fx->page.n++] = (struct cover_item){ "n", MIN(210) };
	assert_int_equal(apply(fx, "s"), ANSWER_MOVED);
	assert_true(fx->effect.joined);
	assert_int_equal(fx->effect.span, 0);
}

/* All of what was below has been deleted one by one: the server still reaches back to it. Or it does not, and what lies between is lost. */
static void a_gap_that_is_exhausted_joins_or_is_lost(void **state)
{
	struct fx *fx = *state;

	span(fx, "a", 0, "b", 10, 0);
	span(fx, "c", 100, "d", 110, 0);
	span(fx, "m", 200, "n", 210, 0);
	item(fx, "k", 150);
	fx->q.complete = true;
	fx->e->meta_start_us = MIN(50);
	assert_int_equal(apply(fx, "m"), ANSWER_MOVED);
	assert_int_equal(fx->effect.span, 1);
	assert_int_equal(fx->cover.n, 2);
	fx->page.n = 0;
	item(fx, "w", 60);
	assert_int_equal(apply(fx, "c"), ANSWER_MOVED);
	assert_int_equal(fx->effect.span, 1);
	assert_int_equal(fx->cover.n, 2);
	assert_int_equal(fx->cover.spans[1].flags, SPAN_LOST);
	/* Only the last slice of a page, its oldest, ends it. */
	fx->cover.spans[1].flags = 0;
	fx->page.n = 0;
	item(fx, "v", 55);
	snprintf(fx->above, sizeof(fx->above), "w");
	assert_int_equal(effect_apply(fx->e, &fx->q, 1, &fx->cover, &fx->page, &fx->effect), ANSWER_MOVED);
	assert_int_equal(fx->cover.spans[1].flags, 0);
}

static bool held(_unused_ const void *userdata, const char *id)
{
	return strcmp(id, "g") == 0;
}

static void an_answer_without_a_message_that_is_not_complete_is_stuck(void **state)
{
	struct fx *fx = *state;
	char below[] = "l", past[] = "";

	span(fx, "m", 200, "n", 210, 0);
	assert_int_equal(apply(fx, "m"), ANSWER_STUCK);
	fx->q.step = PLAN_NEWEST;
	assert_int_equal(apply(fx, "m"), ANSWER_STUCK);
	item(fx, "o", 220);
	assert_int_equal(apply(fx, "m"), ANSWER_MOVED);
	/* One message is a cut, and of a page of one alone. */
	fx->q.step = PLAN_CUT;
	fx->page.n = 0;
	item(fx, "g", 100);
	fx->q.n = 2;
	assert_int_equal(apply(fx, ""), ANSWER_NO_CUT);
	fx->q.n = 1;
	fx->q.below_id = below;
	assert_int_equal(apply(fx, ""), ANSWER_NO_CUT);
	fx->q.below_id = past;
	cover_deinit(&fx->cover);
	span(fx, "m", 200, "n", 210, 0);
	fx->page.is_held = held;
	assert_int_equal(apply(fx, ""), ANSWER_NO_CUT);
	fx->page.is_held = NULL;
	assert_int_equal(apply(fx, ""), ANSWER_MOVED);
	assert_int_equal(fx->effect.span, 0);
}

#define RUN(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_span_that_is_named_is_one_with_a_gap_below),
		RUN(a_page_below_a_span_that_is_not_there_is_nobody_s),
		RUN(what_was_bounded_by_a_cut_that_was_refused_ends_no_gap),
		RUN(a_page_with_what_it_was_asked_below_moves_nothing),
		RUN(the_rest_of_a_page_may_repeat_what_is_stored_of_it),
		RUN(joined_is_what_met_the_span_below),
		RUN(a_gap_that_is_exhausted_joins_or_is_lost),
		RUN(an_answer_without_a_message_that_is_not_complete_is_stuck),
	};

	return cmocka_run_group_tests_name("effect", tests, NULL, NULL);
}
