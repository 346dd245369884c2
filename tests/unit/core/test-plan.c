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
	assert_int_equal(next.start_us, T0 + 3000 * SEC - PLAN_MARGIN_US);
	c.spans[2].flags |= SPAN_LOST;
	assert_int_equal(plan_next(&c, &known).span, 1);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
