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

static bool says(const void *userdata, _unused_ const struct cover_page *p, _unused_ const struct span *s)
{
	return *(const bool *)userdata;
}

/* F6: a stamp below what is held may be that of a clock which had stepped back. */
static void a_stamp_alone_meets_nothing(_unused_ void **state)
{
	const struct cover_item items[] = { { "88", T0 - MARGIN }, { "89", T0 + 9 * MARGIN } };
	bool overlaps = false;
	struct cover_page p = { .items = items, .n = 2, .overlaps = says, .userdata = &overlaps };
	struct cover c = { 0 };

	cover_load(&c, "1", T0 - 5 * MARGIN, "10", T0, SPAN_START);
	cover_load(&c, "90", T0 + 10 * MARGIN, "100", T0 + 11 * MARGIN, SPAN_LIVE);
	assert_int_equal(before(&c, 1, &p, false, false), 1);
	assert_int_equal(c.n, 2);
	overlaps = true;
	assert_int_equal(before(&c, 1, &p, false, false), 0);
	assert_int_equal(c.n, 1);
	cover_deinit(&c);
	/* Nor if all of the older span lies above it: it may have stepped back by days. */
	overlaps = false;
	cover_load(&c, "1", T0, "10", T0, 0);
	cover_load(&c, "90", T0 + 10 * MARGIN, "100", T0 + 11 * MARGIN, SPAN_LIVE);
	assert_int_equal(before(&c, 1, &p, false, false), 1);
	assert_int_equal(c.n, 2);
	cover_deinit(&c);
}

/* The server has nothing of a span any more, and the page has the end of the one below it. */
static void what_lies_above_an_end_that_is_met_is_held(_unused_ void **state)
{
	const struct cover_item items[] = { { "9", T0 }, { "10", T0 + SEC }, { "60", T0 + 2 * SEC } };
	bool overlaps = false;
	struct cover_page p = { .items = items, .n = 3, .overlaps = says, .userdata = &overlaps };
	struct cover c = { 0 };

	cover_load(&c, "1", T0 - SEC, "10", T0 + SEC, SPAN_START);
	cover_load(&c, "20", T0 + 9 * MARGIN, "30", T0 + 9 * MARGIN, SPAN_LOST);
	cover_load(&c, "40", T0 + 9 * MARGIN, "50", T0 + 9 * MARGIN, 0);
	cover_load(&c, "70", T0 + 10 * MARGIN, "80", T0 + 11 * MARGIN, SPAN_LIVE);
	assert_int_equal(before(&c, 3, &p, false, false), 0);
	assert_int_equal(c.n, 1);
	assert_string_equal(c.spans[0].first.id, "1");
	assert_string_equal(c.spans[0].last.id, "80");
	assert_int_equal(c.spans[0].flags, SPAN_START | SPAN_LIVE);
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

static void a_copy_is_the_same_and_apart(_unused_ void **state)
{
	struct cover c = { 0 }, d = { 0 };

	cover_load(&c, "1", T0, "2", T0 + SEC, SPAN_START);
	cover_load(&c, "5", T0 + 5 * SEC, "6", T0 + 6 * SEC, SPAN_LIVE);
	cover_load(&d, "x", T0, "y", T0, 0); /* is forgotten */
	cover_copy(&d, &c);
	assert_int_equal(d.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(d.spans[i].first.id, c.spans[i].first.id);
		assert_string_equal(d.spans[i].last.id, c.spans[i].last.id);
		assert_int_equal(d.spans[i].first.us, c.spans[i].first.us);
		assert_int_equal(d.spans[i].last.us, c.spans[i].last.us);
		assert_int_equal(d.spans[i].flags, c.spans[i].flags);
	}
	cover_session_lost(&d);
	cover_deinit(&d);
	assert_string_equal(c.spans[1].last.id, "6");
	assert_true(cover_is_live(&c));
	cover_deinit(&c);
}

/* Edges go with their stamps; a run has none, for its messages came without the archive's clock. */
static void an_edge_is_an_id_and_its_stamp(_unused_ void **state)
{
	const struct cover_item items[] = { { "3", T0 + 3 * SEC }, { "4", T0 + 4 * SEC } };
	const struct cover_page p = page(items, 2);
	struct cover c = { 0 };

	cover_load(&c, "5", T0 + 5 * SEC, "6", T0 + 6 * SEC, SPAN_LIVE);
	before(&c, 0, &p, false, false);
	assert_int_equal(c.spans[0].first.us, T0 + 3 * SEC);
	cover_live(&c, "7");
	assert_int_equal(c.spans[1].first.us, 0);
	assert_int_equal(c.spans[1].last.us, 0);
	cover_deinit(&c);
	/* What is left of a run that the newest page has the beginning of begins at the page's end, at an unknown time. */
	cover_live(&c, "4");
	cover_live(&c, "8");
	assert_int_equal(cover_newest(&c, &p, false, T0), 0);
	assert_int_equal(c.n, 2);
	assert_string_equal(c.spans[1].first.id, "4");
	assert_int_equal(c.spans[1].first.us, 0);
	cover_deinit(&c);
}

/* The page that was asked for from a margin below "3" on left out what a clock that stepped back had stamped before. */
static void what_lies_near_the_bound_of_a_page_is_not_met(_unused_ void **state)
{
	const struct cover_item items[] = { { "3", T0 - 290 * SEC }, { "5", T0 }, { "6", T0 + SEC } };
	const struct cover_page p = { items, 3, T0 - COVER_MARGIN_US };
	struct cover c = { 0 };
	bool met;

	cover_load(&c, "1", T0 - 2 * MARGIN, "3", T0 - 290 * SEC, SPAN_START);
	cover_load(&c, "7", T0 + 2 * SEC, "8", T0 + 2 * SEC, SPAN_LIVE);
	assert_int_equal(cover_before(&c, 1, &p, true, false, &met), 1);
	assert_false(met);
	assert_int_equal(cover_count_gaps(&c, false), 1);
	cover_deinit(&c);
	/* One that ends a margin above the bound is; and one of which only the id is known. */
	for (int unknown = 0; unknown < 2; unknown++) {
		cover_load(&c, "1", T0 - 2 * MARGIN, "5", unknown ? 0 : T0, SPAN_START);
		cover_load(&c, "7", T0 + 2 * SEC, "8", T0 + 2 * SEC, SPAN_LIVE);
		assert_int_equal(cover_before(&c, 1, &p, true, false, &met), 0);
		assert_true(met);
		assert_int_equal(c.n, 1);
		cover_deinit(&c);
	}
}

/* "Empty" has a stamp of ours, and no messages: nothing is met there. */
static void an_archive_that_was_empty_is_met_by_no_stamp(_unused_ void **state)
{
	const struct cover_item items[] = { { "5", T0 - 2 * MARGIN }, { "6", T0 } };
	const struct cover_page p = page(items, 2), none = { NULL, 0 };
	struct cover c = { 0 };
	struct gap g;

	assert_int_equal(cover_newest(&c, &none, true, T0), 0);
	assert_int_equal(cover_newest(&c, &none, false, T0), 0);
	assert_int_equal(c.n, 1);
	cover_session_lost(&c);
	assert_int_equal(cover_newest(&c, &p, false, T0), 1);
	assert_int_equal(c.n, 2);
	assert_true(cover_gap(&c, 1, &g));
	assert_int_equal(g.state, GAP_OPEN);
	assert_int_equal(g.after_us, 0); /* and its stamp is no bound */
	cover_deinit(&c);
	/* All there is follows it. */
	cover_confirm_empty(&c, T0);
	cover_session_lost(&c);
	assert_int_equal(cover_newest(&c, &p, true, T0), 0);
	assert_int_equal(c.n, 1);
	cover_deinit(&c);
}

/* What was lost between two spans is not any more once a page meets the older one. */
static void who_meets_forgets_what_was_lost_between(_unused_ void **state)
{
	const struct cover_item items[] = { { "2", T0 + SEC }, { "4", T0 + 4 * SEC } };
	const struct cover_page p = page(items, 2), last = page(items, 1);
	struct cover c = { 0 };

	cover_load(&c, "1", T0, "2", T0 + SEC, 0);
	cover_load(&c, "5", T0 + 5 * SEC, "6", T0 + 6 * SEC, SPAN_LIVE | SPAN_LOST);
	assert_int_equal(before(&c, 1, &p, false, false), 0);
	assert_int_equal(c.spans[0].flags, SPAN_LIVE);
	assert_int_equal(cover_count_gaps(&c, false), 1); /* the past */
	cover_deinit(&c);
	/* Nothing older than what is just below an end: it was that end, which is gone. */
	cover_load(&c, "1", T0 - SEC, "3", T0 + SEC + 1, SPAN_START);
	cover_load(&c, "5", T0 + 5 * SEC, "6", T0 + 6 * SEC, SPAN_LIVE);
	assert_int_equal(before(&c, 1, &last, true, false), 0);
	assert_int_equal(c.n, 1);
	cover_deinit(&c);
}

static void the_newest_page_alone_is_live(_unused_ void **state)
{
	const struct cover_item items[] = { { "20", T0 + 20 * SEC }, { "21", T0 + 21 * SEC } },
				back[] = { { "x", T0 - 60 * SEC }, { "21", T0 + 21 * SEC } };
	const struct cover_page p = page(items, 2), stepped = page(back, 2);
	struct cover c = { 0 };

	/* All there is. */
	assert_int_equal(cover_newest(&c, &p, true, T0), 0);
	assert_int_equal(c.spans[0].flags, SPAN_START | SPAN_LIVE);
	cover_deinit(&c);
	/* Asked again: what was live is below it now. */
	cover_load(&c, "1", T0, "2", T0, SPAN_START | SPAN_LIVE);
	assert_int_equal(cover_newest(&c, &p, false, T0), 1);
	assert_int_equal(c.spans[0].flags, SPAN_START);
	assert_true(cover_valid(&c));
	cover_deinit(&c);
	/* And so is the run that followed it: not the page. */
	cover_load(&c, "1", T0, "2", T0, SPAN_START | SPAN_LIVE);
	cover_live(&c, "30");
	assert_int_equal(cover_count_gaps(&c, false), 0);
	assert_int_equal(cover_newest(&c, &p, false, T0), 1);
	assert_int_equal(c.n, 3);
	assert_int_equal(cover_count_gaps(&c, false), 2);
	cover_deinit(&c);
	/* The whole archive, which begins below an end that it does not have any more: they join, and the index says where. */
	cover_load(&c, "0", T0 - 2 * MARGIN, "2", T0, SPAN_START);
	assert_int_equal(cover_newest(&c, &stepped, true, T0), 0);
	assert_int_equal(c.n, 1);
	cover_deinit(&c);
	/* A single stamp below an end does not say on which side a run is. */
	cover_load(&c, "1", T0 - MARGIN, "2", T0, SPAN_START);
	cover_live(&c, "12");
	assert_false(cover_places_run(&c, &stepped, false, NULL));
	cover_deinit(&c);
}

/* Below what another archive held, "nothing older" is the beginning only where this one has something. */
static void B8_below_what_an_old_archive_held(_unused_ void **state)
{
	static const struct {
		const char *why, *first_id;
		int64_t page_us;
		uint32_t flag;
	} rows[] = {
		{ "an id of ours: the beginning", "5", T0 + 5 * SEC, SPAN_START },
		{ "the page reaches down to it", "\x1f" "7:5", T0 + 5 * SEC, SPAN_START },
		{ "below it", "\x1f" "7:5", T0 + 4 * SEC, SPAN_START },
		{ "this archive begins above it", "\x1f" "7:5", T0 + 6 * SEC, SPAN_LOST },
		{ "it has nothing at all", "\x1f" "7:5", 0, SPAN_LOST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct cover_item item = { "1", rows[i].page_us };
		const struct cover_page p = page(&item, rows[i].page_us ? 1 : 0);
		struct cover c = { 0 };

		cover_load(&c, rows[i].first_id, T0 + 5 * SEC, "6", T0 + 9 * SEC, SPAN_LIVE);
		before(&c, 0, &p, true, true);
		if (c.spans[0].flags != (SPAN_LIVE | rows[i].flag))
			fail_msg("%s: flags %u", rows[i].why, c.spans[0].flags);
		cover_deinit(&c);
	}
}

static void a_page_by_time_only_grows_the_span(_unused_ void **state)
{
	struct cover c = { 0 };

	cover_load(&c, "9", T0, "10", T0 + 10 * SEC, SPAN_LIVE);
	before(&c, 0, &(struct cover_page){ &(struct cover_item){ "a", T0 + 1 }, 1 }, false, true);
	assert_string_equal(c.spans[0].first.id, "9");
	before(&c, 0, &(struct cover_page){ &(struct cover_item){ "b", T0 }, 1 }, false, true);
	assert_string_equal(c.spans[0].first.id, "b");
	/* Where the span begins is not known: it begins where the page does. */
	c.spans[0].first.us = 0;
	before(&c, 0, &(struct cover_page){ &(struct cover_item){ "c", T0 + SEC }, 1 }, false, true);
	assert_string_equal(c.spans[0].first.id, "c");
	cover_deinit(&c);
}

static void the_past_is_cut_and_the_gap_at_a_run_is_not(_unused_ void **state)
{
	const struct cover_item past = { "x", T0 - 2 * MARGIN }, gap = { "y", T0 + 3 * MARGIN };
	struct cover c = { 0 };

	cover_load(&c, "1", T0, "2", T0 + MARGIN, 0);
	cover_live(&c, "9");
	c.spans[1].first.us = T0 + 6 * MARGIN;
	assert_int_equal(cover_cut(&c, &gap), SIZE_MAX);
	c.spans[1].flags = SPAN_LIVE;
	c.spans[1].first.us = 0; /* it ends nobody knows where */
	assert_int_equal(cover_cut(&c, &gap), SIZE_MAX);
	c.spans[1].first.us = T0 + 6 * MARGIN;
	assert_int_equal(cover_cut(&c, &past), 0);
	assert_int_equal(c.n, 3);
	assert_string_equal(c.spans[0].last.id, "x");
	assert_int_equal(cover_cut(&c, &gap), 2);
	cover_deinit(&c);
}

static void nothing_between_a_run_and_what_the_server_still_has(_unused_ void **state)
{
	struct cover c = { 0 };

	cover_load(&c, "1", T0, "2", T0 + SEC, SPAN_START);
	cover_live(&c, "9");
	cover_exhausted(&c, 0, T0); /* the past of the first: nothing to join */
	assert_int_equal(cover_count_gaps(&c, false), 1);
	cover_exhausted(&c, 1, T0);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.spans[1].flags, SPAN_RUN | SPAN_LIVE | SPAN_NEXT);
	cover_deinit(&c);
	/* It is not known how far back it reaches: lost. */
	cover_load(&c, "1", T0, "2", T0 + SEC, SPAN_START);
	cover_load(&c, "5", T0 + 5 * SEC, "6", T0 + 6 * SEC, SPAN_LIVE);
	cover_exhausted(&c, 1, 0);
	assert_int_equal(cover_count_gaps(&c, true), 1);
	cover_deinit(&c);
}

static void the_end_is_confirmed_by_its_id_and_stamp(_unused_ void **state)
{
	const int64_t end = T0 + 6 * SEC;
	static const struct {
		const char *why, *id;
		int64_t us, own_us;
		bool is;
	} rows[] = {
		{ "its id", "6", T0 + 6 * SEC, T0 + 6 * SEC, true },
		{ "its id, no stamp", "6", 0, T0 + 6 * SEC, true },
		{ "its id, ours has no stamp", "6", T0 - 9 * MARGIN, 0, true },
		{ "another id", "5", T0 + 6 * SEC, T0 + 6 * SEC, false },
		{ "at the margin above", "6", T0 + 6 * SEC + COVER_MARGIN_US, T0 + 6 * SEC, true },
		{ "beyond it", "6", T0 + 6 * SEC + COVER_MARGIN_US + 1, T0 + 6 * SEC, false },
		{ "at the margin below", "6", T0 + 6 * SEC - COVER_MARGIN_US, T0 + 6 * SEC, true },
		{ "below it", "6", T0 + 6 * SEC - COVER_MARGIN_US - 1, T0 + 6 * SEC, false },
	};
	struct cover none = { 0 };
	struct gap g;

	assert_false(cover_confirm_end(&none, "", 0));
	assert_true(cover_tail(&none, &g));
	assert_int_equal(g.span, 0);
	assert_string_equal(g.after_id, "");
	assert_int_equal(g.after_us, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cover c = { 0 };

		cover_load(&c, "1", T0, "2", T0, SPAN_START);
		cover_load(&c, "5", T0, "6", rows[i].own_us, 0);
		assert_true(cover_tail(&c, &g));
		assert_int_equal(g.span, 2);
		assert_string_equal(g.after_id, "6");
		assert_int_equal(g.after_us, rows[i].own_us);
		assert_string_equal(g.before_id, "");
		assert_int_equal(g.state, GAP_OPEN);
		if (cover_confirm_end(&c, rows[i].id, rows[i].us) != rows[i].is || cover_is_live(&c) != rows[i].is)
			fail_msg("%s", rows[i].why);
		assert_int_equal(cover_tail(&c, &g), !rows[i].is);
		assert_int_equal(c.spans[0].flags, SPAN_START);
		cover_deinit(&c);
	}
	/* An archive that was empty has an end of ours: its stamp says nothing of theirs. */
	cover_confirm_empty(&none, end);
	cover_session_lost(&none);
	assert_true(cover_tail(&none, &g));
	assert_int_equal(g.after_us, 0);
	cover_deinit(&none);
}

static void B8_what_another_archive_held(_unused_ void **state)
{
	struct cover c = { 0 };
	char *twin;

	cover_load(&c, "1", 0, "2", T0 + SEC, 0);
	cover_load(&c, "3", T0 + 3 * SEC, "4", T0 + 4 * SEC, 0);
	cover_load(&c, "5", 0, "6", T0 + 6 * SEC, 0);
	cover_load(&c, "7", T0 + 7 * SEC, "8", T0 + 8 * SEC, SPAN_LIVE);
	cover_live(&c, "9");
	cover_set_old(&c, 3, "\x1f" "7:");
	assert_int_equal(c.n, 3);
	assert_string_equal(c.spans[0].first.id, "\x1f" "7:1");
	assert_string_equal(c.spans[0].last.id, "\x1f" "7:2");
	assert_string_equal(c.spans[2].last.id, "\x1f" "7:6");
	/* Without a stamp nobody can ask what lies below. */
	assert_int_equal(c.spans[0].flags, SPAN_LOST);
	assert_int_equal(c.spans[1].flags, 0);
	assert_int_equal(c.spans[2].flags, SPAN_LOST);
	assert_false(cover_is_live(&c));
	/* And once more: whose they are is said already. More spans than there are: all stay. */
	cover_set_old(&c, 9, "\x1f" "8:");
	assert_int_equal(c.n, 3);
	assert_string_equal(c.spans[1].first.id, "\x1f" "7:3");
	cover_deinit(&c);
	/* "Empty" has no ids. */
	cover_confirm_empty(&c, T0);
	cover_set_old(&c, 1, "\x1f" "7:");
	assert_string_equal(c.spans[0].first.id, "");
	cover_set_old(&c, 0, "\x1f" "7:");
	assert_int_equal(c.n, 0);
	cover_deinit(&c);

	twin = cover_twin_id("5", 0x123);
	assert_true(cover_is_twin(twin));
	assert_false(cover_is_old(twin));
	assert_string_equal(cover_shown_id(twin), "5");
	assert_string_equal(cover_shown_id("\x1f" "7:5"), "");
	assert_string_equal(cover_shown_id("5"), "5");
	assert_true(cover_is_old("\x1f" "7:5"));
	assert_true(cover_is_old("\x1f" "=")); /* no twin of anything */
	assert_false(cover_is_twin("\x1f" "=0000000000000123:"));
	assert_false(cover_is_twin("\x1f" "7:5000000000000000000000000"));
	assert_false(cover_is_twin("x=00000000000001235"));
	assert_false(cover_is_old("5"));
	free(twin);
}

static void a_cover_that_cannot_be(_unused_ void **state)
{
	static const struct {
		const char *why, *id;
		uint32_t below, above;
		bool valid;
	} rows[] = {
		{ "the archive's beginning, and what is live", "5", SPAN_START, SPAN_LIVE, true },
		{ "live below another", "5", SPAN_LIVE, SPAN_LIVE, false },
		{ "a run below another", "5", SPAN_RUN, SPAN_LIVE, false },
		{ "a beginning above another", "5", 0, SPAN_START, false },
		{ "a run that follows", "5", 0, SPAN_RUN | SPAN_LIVE | SPAN_NEXT, true },
		{ "no run, and it follows", "5", 0, SPAN_LIVE | SPAN_NEXT, false },
		{ "a run that follows nothing", "5", SPAN_NEXT | SPAN_RUN, 0, false },
		{ "no id", "", 0, SPAN_LIVE, false },
		{ "no id, but none is needed", "", 0, SPAN_LIVE | SPAN_EMPTY, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int end = 0; end < 2; end++) {
			struct cover c = { 0 };

			cover_load(&c, "1", T0, "2", T0, rows[i].below);
			cover_load(&c, end ? "5" : rows[i].id, T0 + SEC, end ? rows[i].id : "6", T0 + SEC, rows[i].above);
			if (cover_valid(&c) != rows[i].valid)
				fail_msg("%s", rows[i].why);
			cover_deinit(&c);
		}
	{
		struct cover c = { 0 };

		cover_load(&c, "1", T0, "2", T0, SPAN_NEXT | SPAN_RUN);
		assert_false(cover_valid(&c));
		cover_deinit(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_bounded_by_time_claims_nothing_below_the_end_it_met),
		cmocka_unit_test(a_page_bounded_by_time_joins_no_further_span),
		cmocka_unit_test(a_cut_stands_in_its_gap),
		cmocka_unit_test(a_single_stamp_below_an_end_is_no_meeting),
		cmocka_unit_test(A4_newest_page_without_overlap_leaves_a_gap),
		cmocka_unit_test(a_stamp_alone_meets_nothing),
		cmocka_unit_test(what_lies_above_an_end_that_is_met_is_held),
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
		cmocka_unit_test(a_copy_is_the_same_and_apart),
		cmocka_unit_test(an_edge_is_an_id_and_its_stamp),
		cmocka_unit_test(what_lies_near_the_bound_of_a_page_is_not_met),
		cmocka_unit_test(an_archive_that_was_empty_is_met_by_no_stamp),
		cmocka_unit_test(who_meets_forgets_what_was_lost_between),
		cmocka_unit_test(the_newest_page_alone_is_live),
		cmocka_unit_test(B8_below_what_an_old_archive_held),
		cmocka_unit_test(a_page_by_time_only_grows_the_span),
		cmocka_unit_test(the_past_is_cut_and_the_gap_at_a_run_is_not),
		cmocka_unit_test(nothing_between_a_run_and_what_the_server_still_has),
		cmocka_unit_test(the_end_is_confirmed_by_its_id_and_stamp),
		cmocka_unit_test(B8_what_another_archive_held),
		cmocka_unit_test(a_cover_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
