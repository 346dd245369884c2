/* core/plan: what to ask next, from coverage alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/plan.h"

#define SEC INT64_C(1000000)
#define T0 (INT64_C(1700000000) * SEC)

static const struct plan_policy known = { .metadata_known = true };

static void a_first_login_asks_metadata_then_the_newest_page_then_the_past(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan_policy policy = { 0 };
	const struct cover_item items[] = { { "8", T0 }, { "9", T0 + SEC } };
	const struct cover_page p = { items, 2 };
	struct plan next;

	assert_int_equal(plan_next(&c, &policy).step, PLAN_META);
	assert_int_equal(plan_next(&c, &known).step, PLAN_NEWEST);
	cover_newest(&c, &p, false, T0);
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
	const struct plan_policy by_time = { .metadata_known = true, .by_time = true };
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_login_asks_metadata_then_the_newest_page_then_the_past),
		cmocka_unit_test(gaps_come_newest_first_and_before_the_past),
		cmocka_unit_test(D4_nothing_is_asked_when_nothing_is_missing),
		cmocka_unit_test(B5_by_time_when_the_boundary_is_unknown_to_the_server),
		cmocka_unit_test(the_horizon_ends_the_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
