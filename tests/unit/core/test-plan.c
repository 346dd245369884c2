/* core/plan: what to ask next, from coverage alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/plan.h"

#define SEC INT64_C(1000000)
#define T0 (INT64_C(1700000000) * SEC)

static const struct plan_policy known = { .metadata_known = true };

static void a_first_login_asks_the_newest_page_then_metadata_then_the_past(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan_policy policy = { 0 };
	const struct cover_item items[] = { { "8", T0 }, { "9", T0 + SEC } };
	const struct cover_page p = { items, 2 };
	struct plan next;

	assert_int_equal(plan_next(&c, &policy).step, PLAN_NEWEST);
	cover_newest(&c, &p, false, T0);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_META);
	next = plan_next(&c, &known);
	assert_int_equal(next.step, PLAN_BEFORE);
	assert_int_equal(next.span, 0);
	assert_string_equal(next.cursor, "8");
	assert_int_equal(next.start_us, 0);
	cover_deinit(&c);
}

static void gaps_come_newest_first_and_before_the_past(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan next;

	cover_load(&c, "1", T0, "2", T0 + 1000 * SEC, 0);
	cover_load(&c, "3", T0 + 2000 * SEC, "4", T0 + 3000 * SEC, 0);
	cover_load(&c, "5", T0 + 4000 * SEC, "6", T0 + 5000 * SEC, SPAN_LIVE);
	next = plan_next(&c, &known);
	assert_int_equal(next.span, 2);
	assert_string_equal(next.cursor, "5");
	/* F6: a bound would leave out what a clock has stamped that had stepped back. */
	assert_int_equal(next.start_us, 0);
	c.spans[2].flags |= SPAN_LOST;
	next = plan_next(&c, &known);
	assert_int_equal(next.span, 1);
	assert_int_equal(next.start_us, 0);
	c.spans[1].flags |= SPAN_LOST;
	assert_int_equal(plan_next(&c, &known).span, 0);
	cover_deinit(&c);
}

/* D4: a resumed session that was in sync asks nothing. */
static void D4_nothing_is_asked_when_nothing_is_missing(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct plan_policy unknown = { 0 };

	cover_load(&c, "1", T0, "2", T0, SPAN_START | SPAN_LIVE);
	assert_int_equal(plan_next(&c, &unknown).step, PLAN_DONE);
	cover_deinit(&c);
}

/* B5: the boundary was refused; its stamp with a margin takes its place. */
static void B5_by_time_when_the_boundary_is_unknown_to_the_server(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct plan_policy by_time = { .metadata_known = true, .by_time_id = "5" };
	struct plan next;

	cover_load(&c, "1", T0, "2", T0 + 1000 * SEC, SPAN_START);
	cover_load(&c, "5", T0 + 4000 * SEC, "6", T0 + 5000 * SEC, SPAN_LIVE);
	next = plan_next(&c, &by_time);
	assert_string_equal(next.cursor, "");
	assert_int_equal(next.end_us, T0 + 4000 * SEC + PLAN_MARGIN_US);
	cover_deinit(&c);
}

static void the_horizon_ends_the_past(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan_policy policy = { .metadata_known = true, .horizon_us = T0 };

	cover_load(&c, "5", T0 + SEC, "6", T0 + 2 * SEC, SPAN_LIVE);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_BEFORE);
	c.spans[0].first.us = T0 - SEC;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	cover_deinit(&c);
}

/* What one lane would do one after the other, several do at the same time. */
static void a_long_gap_is_cut_in_the_middle(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan_busy busy[4] = { { PLAN_BEFORE, "5" } };
	struct plan_policy policy = {
		.metadata_known = true, .busy = busy, .n_busy = 1, .lanes = 4, .us_per_message = SEC, .page = 50,
	};
	struct plan next;

	cover_load(&c, "1", T0, "2", T0 + 1000 * SEC, SPAN_START);
	cover_load(&c, "5", T0 + 9000 * SEC, "6", T0 + 9500 * SEC, SPAN_LIVE);
	next = plan_next(&c, &policy);
	assert_int_equal(next.step, PLAN_CUT);
	assert_int_equal(next.span, 1);
	assert_string_equal(next.below_id, "2");
	assert_int_equal(next.end_us, T0 + 5000 * SEC);
	/* One cut of a gap at a time. */
	busy[1] = (struct plan_busy){ PLAN_CUT, "2" };
	policy.n_busy = 2;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	/* The lower half was empty: the middle of the upper one. */
	policy.n_busy = 1;
	policy.floor_id = "2";
	policy.floor_us = T0 + 5000 * SEC;
	assert_int_equal(plan_next(&c, &policy).end_us, T0 + 7000 * SEC);
	/* One lane never cuts, and nothing is cut that a few pages will fill. */
	policy.lanes = 1;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	policy.lanes = 4;
	policy.us_per_message = 100 * SEC;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	cover_deinit(&c);
}

static void the_past_is_cut_above_its_beginning_or_the_horizon(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct plan_busy busy[] = { { PLAN_BEFORE, "5" } };
	struct plan_policy policy = {
		.metadata_known = true, .busy = busy, .n_busy = 1, .lanes = 2, .us_per_message = SEC, .page = 50,
	};

	cover_load(&c, "5", T0 + 9000 * SEC, "6", T0 + 9500 * SEC, SPAN_LIVE);
	/* Where the archive begins is not known. */
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	policy.start_us = T0 - 1000 * SEC;
	assert_int_equal(plan_next(&c, &policy).end_us, T0 + 4000 * SEC);
	policy.horizon_us = T0 + 1000 * SEC;
	assert_int_equal(plan_next(&c, &policy).end_us, T0 + 5000 * SEC);
	cover_deinit(&c);
}

/* Both halves of a cut gap are asked for, the newer one first; and nothing beside a question that decides all. */
static void every_gap_has_its_lane(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan_busy busy[2] = { { PLAN_BEFORE, "5" } };
	struct plan_policy policy = { .metadata_known = true, .busy = busy, .n_busy = 0, .lanes = 2 };

	cover_load(&c, "1", T0, "2", T0 + 1000 * SEC, SPAN_START);
	cover_load(&c, "3", T0 + 4000 * SEC, "3", T0 + 4000 * SEC, 0);
	cover_load(&c, "5", T0 + 9000 * SEC, "6", T0 + 9500 * SEC, SPAN_LIVE);
	assert_string_equal(plan_next(&c, &policy).cursor, "5");
	policy.n_busy = 1;
	assert_string_equal(plan_next(&c, &policy).cursor, "3");
	busy[1] = (struct plan_busy){ PLAN_BEFORE, "3" };
	policy.n_busy = 2;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	assert_false(plan_is_done(&c, &policy));
	/* The newest page waits for the others, and they for it. */
	c.spans[2].flags = 0;
	policy.n_busy = 1;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	policy.n_busy = 0;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_NEWEST);
	c.spans[2].flags = SPAN_LIVE;
	busy[0] = (struct plan_busy){ PLAN_NEWEST, "" };
	policy.n_busy = 1;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	cover_deinit(&c);
}

/* Only into the past: what is missing between two spans is asked for however old it is. */
static void the_horizon_is_none_for_gaps(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct plan_policy policy = { .metadata_known = true, .horizon_us = T0 };
	struct plan next;

	cover_load(&c, "1", T0 - 9000 * SEC, "2", T0 - 8000 * SEC, 0);
	cover_load(&c, "5", T0, "6", T0 + 2 * SEC, SPAN_LIVE);
	next = plan_next(&c, &policy);
	assert_int_equal(next.step, PLAN_BEFORE);
	assert_int_equal(next.span, 1);
	assert_false(plan_is_done(&c, &policy));
	/* At the horizon is where the past ends; where that is not known it goes on. */
	c.spans[1].flags |= SPAN_LOST;
	assert_true(plan_is_done(&c, &policy));
	c.spans[0].first.us = T0;
	assert_true(plan_is_done(&c, &policy));
	c.spans[0].first.us = 0;
	assert_false(plan_is_done(&c, &policy));
	assert_int_equal(plan_next(&c, &policy).span, 0);
	cover_deinit(&c);
}

static void on_a_metered_link_old_gaps_wait(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan_policy policy = { .metadata_known = true, .metered_us = T0 + 4000 * SEC };

	cover_load(&c, "1", T0, "2", T0 + 1000 * SEC, 0);
	cover_load(&c, "5", T0 + 4000 * SEC, "6", T0 + 5000 * SEC, SPAN_LIVE);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	assert_true(plan_is_done(&c, &policy));
	policy.metered_us--;
	assert_int_equal(plan_next(&c, &policy).span, 1);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_BEFORE);
	/* Whose stamp is not known is not known to be old. */
	policy.metered_us = T0 + 9000 * SEC;
	c.spans[1].first.us = 0;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_BEFORE);
	/* Free again. */
	policy.metered_us = 0;
	c.spans[1].flags |= SPAN_LOST;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_BEFORE);
	cover_deinit(&c);
}

/* What the server did not know is asked for first, whatever is newer; and only once. */
static void B5_the_refused_boundary_goes_first(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan_busy busy[] = { { PLAN_BEFORE, "3" } };
	struct plan_policy policy = { .metadata_known = true, .by_time_id = "3", .busy = busy, .lanes = 4 };
	struct plan next;

	cover_load(&c, "1", T0, "2", T0 + 1000 * SEC, SPAN_START);
	cover_load(&c, "3", T0 + 4000 * SEC, "4", T0 + 5000 * SEC, 0);
	cover_load(&c, "5", T0 + 9000 * SEC, "6", T0 + 9500 * SEC, SPAN_LIVE);
	next = plan_next(&c, &policy);
	assert_int_equal(next.span, 1);
	assert_true(next.by_time);
	assert_string_equal(next.cursor, "");
	policy.n_busy = 1;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	/* It is the oldest one: the past. */
	busy[0].id = policy.by_time_id = "1";
	c.spans[0].flags = 0;
	c.spans[0].first.us = 0;
	policy.n_busy = 0;
	next = plan_next(&c, &policy);
	assert_int_equal(next.span, 0);
	assert_true(next.by_time);
	assert_int_equal(next.end_us, 0);
	policy.n_busy = 1;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	/* It is none of a gap any more. */
	policy.n_busy = 0;
	policy.by_time_id = "9";
	next = plan_next(&c, &policy);
	assert_int_equal(next.span, 2);
	assert_false(next.by_time);
	cover_deinit(&c);
}

#define OLD(id) "\x1f" "7:" id /* COVER_OLD */

/* B8: the ids of an archive that is not there any more say nothing to the new one. */
static void B8_old_boundaries_come_last_and_by_their_stamps(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan_policy policy = { .metadata_known = true, .lanes = 2, .us_per_message = SEC, .page = 50 };

	cover_load(&c, OLD("1"), T0, OLD("2"), T0 + 1000 * SEC, SPAN_START);
	cover_load(&c, OLD("3"), T0 + 4000 * SEC, OLD("4"), T0 + 5000 * SEC, 0);
	cover_load(&c, "5", T0 + 9000 * SEC, "6", T0 + 9500 * SEC, SPAN_LIVE);
	assert_int_equal(plan_next(&c, &policy).span, 2);
	assert_null(plan_old_bound(&c, &policy));
	c.spans[2].flags |= SPAN_LOST;
	/* Not by its id, and not cut: nothing of the new archive stands above the gap. */
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	assert_string_equal(plan_old_bound(&c, &policy), OLD("3"));
	c.spans[0].flags = 0;
	assert_string_equal(plan_old_bound(&c, &policy), OLD("3"));
	c.spans[1].flags |= SPAN_LOST;
	assert_string_equal(plan_old_bound(&c, &policy), OLD("1"));
	c.spans[0].flags = SPAN_START;
	assert_null(plan_old_bound(&c, &policy));
	assert_true(plan_is_done(&c, &policy));
	/* The newest page is missing, whatever else is. */
	c.spans[2].flags &= ~(unsigned int)SPAN_LIVE;
	assert_false(plan_is_done(&c, &policy));
	cover_deinit(&c);
}

/* Which gaps are not cut, and where nothing can be. */
static void a_cut_needs_room_and_two_ends_that_stay(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct plan_busy busy[] = { { PLAN_BEFORE, "5" } };
	struct plan_policy policy = {
		.metadata_known = true, .busy = busy, .n_busy = 1, .lanes = 2, .us_per_message = 1, .page = 50,
	};

	/* However dense it is: the margins of its ends must not meet. */
	cover_load(&c, "1", T0, "2", T0, SPAN_START);
	cover_load(&c, "5", T0 + 4 * COVER_MARGIN_US - 1, "6", T0 + 9500 * SEC, SPAN_LIVE);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	c.spans[1].first.us++;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_CUT);
	assert_int_equal(plan_next(&c, &policy).end_us, T0 + 2 * COVER_MARGIN_US);
	/* What is known of another gap says nothing of this one. */
	policy.floor_id = "1";
	policy.floor_us = T0 + COVER_MARGIN_US;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_CUT);
	/* On a metered link it is shorter. */
	policy.metered_us = T0 + 1;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	c.spans[1].first.us += 1;
	assert_int_equal(plan_next(&c, &policy).end_us, T0 + 1 + 2 * COVER_MARGIN_US);
	policy.metered_us = 0;
	/* A run is forgotten with its session; a boundary that was refused is no place to page from. */
	c.spans[1].flags |= SPAN_RUN;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	c.spans[1].flags &= ~(unsigned int)SPAN_RUN;
	policy.by_time_id = "5";
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	policy.by_time_id = NULL;
	/* Of the past nothing is known but where we want to stop. */
	policy.horizon_us = T0 - 9000 * SEC;
	c.spans[0].flags = 0;
	c.spans[1].flags |= SPAN_LOST;
	policy.busy = (const struct plan_busy[]){ { PLAN_BEFORE, "1" } };
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	policy.start_us = T0 - 20000 * SEC;
	assert_int_equal(plan_next(&c, &policy).end_us, T0 - 4500 * SEC);
	cover_deinit(&c);
}

static void no_more_questions_than_lanes(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct plan_busy busy[] = { { PLAN_BEFORE, "5" }, { PLAN_BEFORE, "3" } };
	struct plan_policy policy = { .metadata_known = true, .busy = busy, .n_busy = 2, .lanes = 2 };

	cover_load(&c, "1", T0, "2", T0 + 1000 * SEC, 0);
	cover_load(&c, "3", T0 + 4000 * SEC, "3", T0 + 4000 * SEC, 0);
	cover_load(&c, "5", T0 + 9000 * SEC, "6", T0 + 9500 * SEC, SPAN_LIVE);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	policy.lanes = 3;
	assert_string_equal(plan_next(&c, &policy).cursor, "1");
	/* 0 is one. */
	policy.lanes = 0;
	policy.n_busy = 1;
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	policy.n_busy = 0;
	assert_string_equal(plan_next(&c, &policy).cursor, "5");
	cover_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_gap_is_cut_in_the_middle),
		cmocka_unit_test(the_past_is_cut_above_its_beginning_or_the_horizon),
		cmocka_unit_test(every_gap_has_its_lane),
		cmocka_unit_test(a_first_login_asks_the_newest_page_then_metadata_then_the_past),
		cmocka_unit_test(gaps_come_newest_first_and_before_the_past),
		cmocka_unit_test(D4_nothing_is_asked_when_nothing_is_missing),
		cmocka_unit_test(B5_by_time_when_the_boundary_is_unknown_to_the_server),
		cmocka_unit_test(the_horizon_ends_the_past),
		cmocka_unit_test(the_horizon_is_none_for_gaps),
		cmocka_unit_test(on_a_metered_link_old_gaps_wait),
		cmocka_unit_test(B5_the_refused_boundary_goes_first),
		cmocka_unit_test(B8_old_boundaries_come_last_and_by_their_stamps),
		cmocka_unit_test(a_cut_needs_room_and_two_ends_that_stay),
		cmocka_unit_test(no_more_questions_than_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
