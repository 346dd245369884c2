/* core/cover: what pages and live messages make of spans, and what stays a hole. test-cover-property: its promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/cover.h"
#include "core/plan.h"

#define SEC INT64_C(1000000)
#define MARGIN (2 * COVER_MARGIN_US) /* stamps so far apart prove their order */
#define T0 (INT64_C(1700000000) * SEC)

static size_t before(struct cover *c, size_t i, const struct cover_page *p, bool complete, bool by_time)
{
	bool met;

	return cover_before(c, i, p, complete, by_time, &met);
}

static struct cover_page page(const struct cover_item *items, size_t n)
{
	return (struct cover_page){ items, n };
}

/* Given history up to id 10, when a newest page 90..100 has no overlap, then a hole (10,90) stands there. */
static void A4_newest_page_without_overlap_leaves_a_gap(_unused_ void **state)
{
	struct cover c = { 0 };
	struct gap g;
	const struct cover_item items[] = { { "90", T0 + 90 * SEC }, { "100", T0 + 100 * SEC } };
	const struct cover_page p = page(items, 2);

	cover_load(&c, "1", T0 + SEC, "10", T0 + 10 * SEC, SPAN_START);
	cover_newest(&c, &p, false, T0);

	assert_int_equal(c.n, 2);
	assert_true(cover_is_live(&c));
	assert_true(cover_gap(&c, 1, &g));
	assert_string_equal(g.after_id, "10");
	assert_string_equal(g.before_id, "90");
	assert_int_equal(g.state, GAP_OPEN);
	assert_false(cover_gap(&c, 0, &g));
	cover_deinit(&c);
}

static void a_page_that_meets_the_older_span_joins(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct cover_item items[] = { { "10", T0 + 10 * SEC }, { "11", T0 + 11 * SEC }, { "89", T0 + 89 * SEC } };
	const struct cover_page p = page(items, 3);

	cover_load(&c, "1", T0 + SEC, "10", T0 + 10 * SEC, SPAN_START);
	cover_load(&c, "90", T0 + 90 * SEC, "100", T0 + 100 * SEC, SPAN_LIVE);
	assert_int_equal(before(&c, 1, &p, false, false), 0);

	assert_int_equal(c.n, 1);
	assert_string_equal(c.spans[0].first.id, "1");
	assert_string_equal(c.spans[0].last.id, "100");
	assert_int_equal(c.spans[0].flags, SPAN_START | SPAN_LIVE);
	cover_deinit(&c);
}

/* Equal stamps prove nothing: Prosody's have one second. */
static void equal_stamps_do_not_join(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct cover_item items[] = { { "b", T0 }, { "c", T0 } };
	const struct cover_page p = page(items, 2);

	cover_load(&c, "0", T0 - SEC, "a", T0, 0);
	cover_load(&c, "d", T0, "e", T0 + SEC, SPAN_LIVE);
	assert_int_equal(before(&c, 1, &p, false, false), 1);
	assert_int_equal(c.n, 2);
	assert_string_equal(c.spans[1].first.id, "b");
	cover_deinit(&c);
}

/* The server's clock stepped back: a page asked for by id still lies below its cursor, or the question never ends. */
static void a_page_by_id_lies_below_whatever_its_stamps(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct cover_item items[] = { { "7", T0 + 50 * SEC }, { "8", T0 + 60 * SEC } };
	const struct cover_page p = page(items, 2);

	cover_load(&c, "9", T0 + 9 * SEC, "10", T0 + 10 * SEC, SPAN_LIVE);
	before(&c, 0, &p, false, true);
	assert_string_equal(c.spans[0].first.id, "9");
	before(&c, 0, &p, false, false);
	assert_string_equal(c.spans[0].first.id, "7");
	cover_deinit(&c);
}

/* A result that the wire had to drop has no stamp. "Unknown" is not "below everything". */
static void an_unknown_stamp_joins_nothing(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct cover_item items[] = { { "90", 0 }, { "91", T0 + 91 * SEC } };
	const struct cover_page p = page(items, 2);
	struct gap g;

	cover_load(&c, "1", T0 + SEC, "10", T0 + 10 * SEC, SPAN_START);
	cover_newest(&c, &p, false, T0);
	assert_int_equal(c.n, 2);
	assert_true(cover_gap(&c, 1, &g));
	before(&c, 1, &(const struct cover_page){ &(const struct cover_item){ "89", 0 }, 1 }, false, false);
	assert_int_equal(c.n, 2);
	cover_deinit(&c);
}

/* During catch-up live messages do not move the frontier: they start a span of their own. */
static void A1_live_messages_during_catch_up_open_their_own_span(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct cover_item items[] = { { "20", T0 + 20 * SEC }, { "21", T0 + 21 * SEC } };
	const struct cover_page p = page(items, 2);
	struct gap g;

	cover_load(&c, "1", T0, "10", T0 + 10 * SEC, SPAN_START);
	cover_live(&c, "30");
	cover_live(&c, "31");
	assert_int_equal(c.n, 2);
	assert_int_equal(cover_newest(&c, &p, false, T0), 1);

	assert_int_equal(c.n, 3);
	assert_true(cover_gap(&c, 2, &g));
	assert_string_equal(g.after_id, "21");
	assert_string_equal(g.before_id, "30");
	cover_deinit(&c);
}

/* C10 in coverage: the same message live and in the page being read, both orders. */
static void C10_live_message_inside_the_newest_page(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct cover_item items[] = { { "20", T0 + 20 * SEC }, { "30", T0 + 30 * SEC } };
	const struct cover_page p = page(items, 2);
	struct gap g;

	cover_load(&c, "1", T0, "10", T0 + 10 * SEC, SPAN_START);
	cover_live(&c, "30");
	cover_live(&c, "31");
	assert_int_equal(cover_newest(&c, &p, false, T0), 1);

	assert_int_equal(c.n, 3);
	assert_string_equal(c.spans[1].last.id, "30");
	assert_false(cover_gap(&c, 2, &g));
	assert_true(cover_is_live(&c));
	cover_live(&c, "32");
	assert_string_equal(c.spans[2].last.id, "32");
	cover_deinit(&c);

	/* The page goes beyond the run: nothing is left of it. */
	cover_load(&c, "1", T0, "10", T0 + 10 * SEC, SPAN_START);
	cover_live(&c, "30");
	cover_newest(&c, &p, false, T0);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.spans[1].flags, SPAN_LIVE);
	cover_deinit(&c);
}

/* Live delivery is no proof: with the session goes what only it claimed, and is asked for again. */
/*
 * What came live while the newest page was under way is newer than it, as a rule. But not when more was archived behind
 * it than a page holds: such a run, put above the page, made coverage ask for the archive twice and call a gap lost.
 */
static void a_run_may_lie_below_the_newest_page(_unused_ void **state)
{
	const struct cover_item items[] = { { "20", T0 + 20 * SEC }, { "21", T0 + 21 * SEC } },
				low[] = { { "2", T0 }, { "20", T0 + 20 * SEC } };
	const struct cover_page p = page(items, 2), from_2 = page(low, 2);
	struct cover c = { 0 };

	cover_load(&c, "1", T0, "2", T0, SPAN_START);
	assert_true(cover_places_run(&c, &p, false, NULL));
	cover_live(&c, "10");
	cover_live(&c, "12");
	assert_false(cover_places_run(&c, &p, false, NULL));
	assert_false(cover_places_run(&c, &p, false, "9"));
	/* It is known when the page reaches below where the run begins. */
	assert_true(cover_places_run(&c, &p, true, NULL));
	assert_true(cover_places_run(&c, &p, false, "20"));
	assert_true(cover_places_run(&c, &from_2, false, NULL));
	/* Or meets one of its ends. */
	cover_live(&c, "20");
	assert_true(cover_places_run(&c, &p, false, NULL));
	cover_live(&c, "22");
	assert_false(cover_places_run(&c, &p, false, NULL));
	cover_session_lost(&c);
	cover_live(&c, "21");
	cover_live(&c, "22");
	assert_true(cover_places_run(&c, &p, false, NULL));
	cover_deinit(&c);
}

static void a_run_is_forgotten_with_its_session(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct plan_policy policy = { .metadata_known = true };

	cover_load(&c, "1", T0, "10", T0 + 10 * SEC, SPAN_START | SPAN_LIVE);
	cover_live(&c, "12"); /* 11 went to another device alone */
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	cover_session_lost(&c);
	assert_int_equal(c.n, 1);
	assert_string_equal(c.spans[0].last.id, "10");
	assert_false(cover_confirm_end(&c, "12", 0));
	assert_int_equal(plan_next(&c, &policy).step, PLAN_NEWEST);
	cover_deinit(&c);
}

/* The page below a run is proven and stands on its own; the run follows it without a gap. */
static void the_page_below_a_run_is_a_span_of_its_own(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct cover_item items[] = { { "10", T0 + 10 * SEC }, { "11", T0 + 11 * SEC } };
	const struct cover_page p = page(items, 2);
	bool met;

	cover_load(&c, "1", T0, "10", T0 + 10 * SEC, SPAN_START);
	cover_live(&c, "12");
	assert_int_equal(cover_before(&c, 1, &p, false, false, &met), 0);
	assert_true(met);
	assert_int_equal(c.n, 2);
	assert_string_equal(c.spans[0].last.id, "11");
	assert_int_equal(c.spans[1].flags, SPAN_RUN | SPAN_LIVE | SPAN_NEXT);
	cover_deinit(&c);
}

/* B1, B2: the frontier expired at the server. */
static void B1_B2_what_expired_is_recorded_as_lost(_unused_ void **state)
{
	struct cover c = { 0 };
	struct gap g;

	cover_load(&c, "1", T0, "10", T0 + 10 * SEC, SPAN_START);
	cover_load(&c, "50", T0 + 50 * SEC, "60", T0 + 60 * SEC, SPAN_LIVE);
	cover_exhausted(&c, 1, T0 + 50 * SEC);
	assert_true(cover_gap(&c, 1, &g));
	assert_int_equal(g.state, GAP_LOST);
	assert_int_equal(cover_count_gaps(&c, true), 1);
	assert_int_equal(cover_count_gaps(&c, false), 0);
	cover_deinit(&c);

	/* The server still reaches back beyond it: that one message was deleted, nothing is lost. */
	cover_load(&c, "1", T0, "10", T0 + 10 * SEC, SPAN_START);
	cover_load(&c, "50", T0 + 50 * SEC, "60", T0 + 60 * SEC, SPAN_LIVE);
	cover_exhausted(&c, 1, T0);
	assert_int_equal(c.n, 1);
	cover_deinit(&c);
}

/* B8: the archive was wiped; local history stays, the frontier is re-seated, no loop. */
static void B8_a_wiped_archive(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct plan_policy policy = { .metadata_known = true };
	const struct cover_item items[] = { { "x", T0 + 90 * SEC } };
	const struct cover_page p = page(items, 1);

	cover_load(&c, "1", T0, "10", T0 + 10 * SEC, SPAN_START);
	cover_newest(&c, &p, true, T0);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.spans[1].flags & SPAN_LOST, SPAN_LOST);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	cover_deinit(&c);

	cover_load(&c, "1", T0, "10", T0 + 10 * SEC, SPAN_START);
	cover_confirm_empty(&c, T0);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	cover_deinit(&c);
}

/* A17: "the archive was empty at time T" is a state of its own. */
static void A17_an_empty_archive_is_remembered(_unused_ void **state)
{
	struct cover c = { 0 };
	struct plan_policy policy = { .metadata_known = true };
	const struct cover_item items[] = { { "5", T0 - 5 * SEC }, { "6", T0 + 6 * SEC } };
	const struct cover_page none = { NULL, 0 }, p = page(items, 2);

	cover_newest(&c, &none, true, T0);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_DONE);
	cover_session_lost(&c);
	assert_int_equal(plan_next(&c, &policy).step, PLAN_NEWEST);
	cover_newest(&c, &p, true, T0);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.spans[0].flags, SPAN_START | SPAN_LIVE);
	assert_string_equal(c.spans[0].first.id, "5");
	cover_deinit(&c);

	/* The first live message follows it without a gap. */
	cover_confirm_empty(&c, T0);
	cover_live(&c, "1");
	assert_int_equal(c.n, 2);
	assert_int_equal(cover_count_gaps(&c, false), 0);
	assert_true(cover_valid(&c));
	cover_deinit(&c);
}

/* One message from the middle of a gap is a span of its own, where its stamp says; near a span it may be anywhere. */
static void a_cut_stands_in_its_gap(_unused_ void **state)
{
	const struct cover_item low = { "b", T0 + 2 * MARGIN }, high = { "d", T0 + 7 * MARGIN };
	const struct cover_item near_old = { "x", T0 + MARGIN + COVER_MARGIN_US }, held = { "x", T0 + SEC },
				near_new = { "x", T0 + 10 * MARGIN - COVER_MARGIN_US }, none = { "x", 0 },
				newer = { "x", T0 + 12 * MARGIN };
	const struct cover_item *const refused[] = { &near_old, &held, &near_new, &none, &newer };
	struct cover c = { 0 };

	cover_load(&c, "a", T0, "a", T0 + MARGIN, SPAN_START);
	cover_load(&c, "e", T0 + 10 * MARGIN, "f", T0 + 11 * MARGIN, SPAN_LIVE);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(cover_cut(&c, refused[i]), SIZE_MAX);
	assert_int_equal(c.n, 2);
	assert_int_equal(cover_cut(&c, &high), 1);
	assert_int_equal(cover_cut(&c, &low), 1);
	assert_int_equal(c.n, 4);
	assert_string_equal(c.spans[1].last.id, "b");
	assert_string_equal(c.spans[2].first.id, "d");
	assert_int_equal(cover_count_gaps(&c, false), 3);
	assert_true(cover_valid(&c));
	/* Above an end without a stamp it could be anywhere. */
	c.spans[2].last.us = 0;
	assert_int_equal(cover_cut(&c, &(struct cover_item){ "y", T0 + 8 * MARGIN + SEC }), SIZE_MAX);
	c.spans[2].last.us = T0 + 7 * MARGIN;
	/* A lost gap stays lost. */
	c.spans[3].flags |= SPAN_LOST;
	assert_int_equal(cover_cut(&c, &(struct cover_item){ "y", T0 + 8 * MARGIN + SEC }), SIZE_MAX);
	cover_deinit(&c);
}

/* The server's clock stepped back a minute after "5": a page that begins there has not passed the older span's end. */
static void a_single_stamp_below_an_end_is_no_meeting(_unused_ void **state)
{
	const struct cover_item items[] = { { "5", T0 - 60 * SEC }, { "6", T0 + SEC } };
	const struct cover_page p = page(items, 2);
	struct cover c = { 0 };
	bool met;

	cover_load(&c, "1", T0 - MARGIN, "2", T0, SPAN_START);
	cover_load(&c, "7", T0 + 2 * SEC, "8", T0 + 2 * SEC, SPAN_LIVE);
	cover_before(&c, 1, &p, false, false, &met);
	assert_false(met);
	assert_int_equal(c.n, 2);
	/* When nothing older exists down to a margin below that end, it has. */
	cover_before(&c, 1, &(struct cover_page){ items, 1 }, true, false, &met);
	assert_true(met);
	assert_int_equal(c.n, 1);
	cover_deinit(&c);
}

/* Asked from a margin below "5" on, the page left "4" out, whose stamp had stepped back: it says nothing below "5". */
static void a_page_bounded_by_time_claims_nothing_below_the_end_it_met(_unused_ void **state)
{
	const struct cover_item items[] = { { "3", T0 - 290 * SEC }, { "5", T0 }, { "6", T0 + SEC } };
	const struct cover_page p = { items, 3, T0 - COVER_MARGIN_US };
	struct cover c = { 0 };
	bool met;

	cover_load(&c, "1", T0 - 2 * MARGIN, "3", T0 - 290 * SEC, SPAN_START);
	cover_load(&c, "5", T0, "5", T0, 0);
	cover_load(&c, "7", T0 + 2 * SEC, "8", T0 + 2 * SEC, SPAN_LIVE);
	assert_int_equal(cover_before(&c, 2, &p, true, false, &met), 1);
	assert_true(met);
	assert_int_equal(c.n, 2);
	assert_string_equal(c.spans[1].first.id, "5");
	assert_int_equal(cover_count_gaps(&c, false), 1);
	cover_deinit(&c);
}

/*
 * The server's clock stepped back: "5", the end of the span that the page met, is stamped before the end of the one below
 * it. The gap between these two is not closed by that (property seed 25873: messages were never fetched).
 */
static void a_page_bounded_by_time_joins_no_further_span(_unused_ void **state)
{
	const struct cover_item items[] = { { "5", T0 - 10 * SEC }, { "6", T0 + SEC } };
	const struct cover_page p = { items, 2, T0 - 10 * SEC - COVER_MARGIN_US };
	struct cover c = { 0 };
	bool met;

	cover_load(&c, "1", T0 - 2 * MARGIN, "2", T0 + 5 * SEC, SPAN_START);
	cover_load(&c, "4", T0, "5", T0 - 10 * SEC, 0);
	cover_load(&c, "7", T0 + 2 * SEC, "8", T0 + 2 * SEC, SPAN_LIVE);
	assert_int_equal(cover_before(&c, 2, &p, true, false, &met), 1);
	assert_true(met);
	assert_int_equal(c.n, 2);
	assert_string_equal(c.spans[1].first.id, "4");
	assert_int_equal(cover_count_gaps(&c, false), 1);
	cover_deinit(&c);
}

/* A newest page that reaches below several spans joins them all and keeps the lowest beginning. */
static void a_page_may_swallow_whole_spans(_unused_ void **state)
{
	struct cover c = { 0 };
	const struct cover_item items[] = { { "2", T0 + 2 * MARGIN }, { "5", T0 + 5 * MARGIN }, { "9", T0 + 9 * MARGIN } };
	const struct cover_page p = page(items, 3);

	cover_load(&c, "5", T0 + 5 * MARGIN, "5", T0 + 5 * MARGIN, 0);
	cover_load(&c, "8", T0 + 8 * MARGIN, "8", T0 + 8 * MARGIN, 0);
	cover_newest(&c, &p, false, T0);
	assert_int_equal(c.n, 1);
	assert_string_equal(c.spans[0].last.id, "9");
	assert_int_equal(c.spans[0].flags & SPAN_START, 0);
	assert_string_equal(c.spans[0].first.id, "2");
	cover_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_bounded_by_time_claims_nothing_below_the_end_it_met),
		cmocka_unit_test(a_page_bounded_by_time_joins_no_further_span),
		cmocka_unit_test(a_cut_stands_in_its_gap),
		cmocka_unit_test(a_single_stamp_below_an_end_is_no_meeting),
		cmocka_unit_test(A4_newest_page_without_overlap_leaves_a_gap),
		cmocka_unit_test(a_page_that_meets_the_older_span_joins),
		cmocka_unit_test(equal_stamps_do_not_join),
		cmocka_unit_test(an_unknown_stamp_joins_nothing),
		cmocka_unit_test(a_page_by_id_lies_below_whatever_its_stamps),
		cmocka_unit_test(A1_live_messages_during_catch_up_open_their_own_span),
		cmocka_unit_test(C10_live_message_inside_the_newest_page),
		cmocka_unit_test(a_run_may_lie_below_the_newest_page),
		cmocka_unit_test(a_run_is_forgotten_with_its_session),
		cmocka_unit_test(the_page_below_a_run_is_a_span_of_its_own),
		cmocka_unit_test(B1_B2_what_expired_is_recorded_as_lost),
		cmocka_unit_test(B8_a_wiped_archive),
		cmocka_unit_test(A17_an_empty_archive_is_remembered),
		cmocka_unit_test(a_page_may_swallow_whole_spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
