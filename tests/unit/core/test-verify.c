/* core/verify: the walk over what coverage claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/verify.h"

#define SEC INT64_C(1000000)
#define T0 (INT64_C(1700000000) * SEC)

/* A cover of one proven span, m to z, an hour long, with a live run on top. */
static void given(struct cover *c, struct verify *v, const char *with, int64_t since_us)
{
	cover_init(c);
	cover_load(c, "m", T0, "z", T0 + 3600 * SEC, 0);
	cover_load(c, "live", 0, "live2", 0, SPAN_RUN | SPAN_LIVE | SPAN_NEXT);
	verify_init(v, with, since_us);
	verify_start(v, c);
}

static void done(struct cover *c, struct verify *v)
{
	cover_deinit(c);
	verify_deinit(v);
}

static void it_begins_where_pages_have_proven_and_goes_down(_unused_ void **state)
{
	const struct cover_item items[] = { { "w", T0 + 3000 * SEC }, { "x", T0 + 3300 * SEC }, { "y", T0 + 3500 * SEC } };
	struct cover c;
	struct verify v;
	struct verify_ask ask;
	uint64_t walked, total;
	size_t from;

	given(&c, &v, "", 0);
	assert_int_equal(v.state, VERIFY_WALKING);
	ask = verify_next(&v);
	assert_string_equal(ask.cursor, "z");
	assert_int_equal(ask.start_us + ask.end_us, 0);
	assert_true(verify_page(&v, items, 3, false, &from));
	assert_int_equal(from, 0);
	assert_int_equal(v.state, VERIFY_WALKING);
	assert_string_equal(verify_next(&v).cursor, "w");
	assert_int_equal(v.tally.messages, 4); /* the newest was just met */
	verify_progress(&v, &walked, &total);
	assert_int_equal(walked, 600);
	assert_int_equal(total, 3600);
	done(&c, &v);
}

static void it_ends_where_coverage_begins_and_looks_at_nothing_below(_unused_ void **state)
{
	static const struct {
		const char *why;
		struct cover_item items[4];
		size_t from;
	} rows[] = {
		{ "the first message is met", { { "k", T0 - 9 }, { "l", T0 - 5 }, { "m", T0 }, { "n", T0 + 5 } }, 2 },
		{ "it is gone at the server", { { "k", T0 - 900 * SEC }, { "l", T0 - 400 * SEC }, { "n", T0 }, { "o", T0 } }, 2 },
	};
	struct cover c;
	struct verify v;
	size_t from;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		given(&c, &v, "", 0);
		assert_true(verify_page(&v, rows[i].items, 4, false, &from));
		assert_int_equal(from, rows[i].from);
		assert_int_equal(v.state, VERIFY_DONE);
		assert_int_equal(v.tally.messages, 5 - rows[i].from);
		done(&c, &v);
	}
}

static void since_ends_it_below_the_margin(_unused_ void **state)
{
	const struct cover_item above[] = { { "w", T0 + 3000 * SEC } }, below[] = { { "p", T0 + 2000 * SEC } };
	struct cover c;
	struct verify v;
	size_t from;

	given(&c, &v, "", T0 + 3100 * SEC);
	assert_true(verify_page(&v, above, 1, false, &from));
	assert_int_equal(v.state, VERIFY_WALKING);
	assert_true(verify_page(&v, below, 1, false, &from));
	assert_int_equal(v.state, VERIFY_DONE);
	done(&c, &v);
}

static void a_conversation_is_asked_for_by_time_and_only_where_coverage_claims(_unused_ void **state)
{
	const struct cover_item items[] = { { "w", T0 + 3000 * SEC } };
	struct cover c;
	struct verify v;
	struct verify_ask ask;
	size_t from;

	given(&c, &v, "bob@x", 0);
	ask = verify_next(&v);
	assert_string_equal(ask.with, "bob@x");
	assert_string_equal(ask.cursor, "");
	assert_int_equal(ask.end_us, T0 + 3600 * SEC);
	assert_int_equal(ask.start_us, T0 - COVER_MARGIN_US);
	assert_true(verify_page(&v, items, 1, false, &from));
	assert_string_equal(verify_next(&v).cursor, "w");
	assert_true(verify_page(&v, NULL, 0, true, &from));
	assert_int_equal(v.state, VERIFY_DONE);
	done(&c, &v);
}

static void A14_answers_that_lead_nowhere_end_it(_unused_ void **state)
{
	const struct cover_item items[] = { { "w", T0 + 3000 * SEC }, { "z", T0 + 3600 * SEC } };
	struct cover c;
	struct verify v;
	size_t from;

	given(&c, &v, "", 0);
	for (int i = 0; i < VERIFY_TROUBLES_MAX; i++) {
		assert_int_equal(v.state, VERIFY_WALKING);
		assert_false(i % 2 ? verify_page(&v, NULL, 0, false, &from) : verify_page(&v, items, 2, false, &from));
	}
	assert_int_equal(v.state, VERIFY_FAILED);
	assert_true(*v.why);
	assert_int_equal(v.tally.pages, 0);
	done(&c, &v);
}

/* B6: an id that the server does not know is not asked for again. */
static void B6_a_cursor_that_is_unknown_is_replaced_by_its_stamp(_unused_ void **state)
{
	struct cover c;
	struct verify v;

	given(&c, &v, "", 0);
	verify_unknown(&v);
	assert_string_equal(verify_next(&v).cursor, "");
	assert_int_equal(verify_next(&v).end_us, T0 + 3600 * SEC + COVER_MARGIN_US);
	assert_string_equal(v.upper, "z");
	done(&c, &v);
}

static void a_lost_stream_does_not_begin_again(_unused_ void **state)
{
	const struct cover_item items[] = { { "w", T0 + 3000 * SEC } };
	struct cover c;
	struct verify v;
	size_t from;

	given(&c, &v, "", 0);
	assert_true(verify_page(&v, items, 1, false, &from));
	verify_stop(&v);
	assert_int_equal(v.state, VERIFY_WAITING);
	verify_start(&v, &c);
	assert_int_equal(v.state, VERIFY_WALKING);
	assert_string_equal(verify_next(&v).cursor, "w");
	done(&c, &v);
}

static void nothing_claimed_is_nothing_to_verify(_unused_ void **state)
{
	struct cover c = { 0 };
	struct verify v;

	verify_init(&v, "", 0);
	cover_confirm_empty(&c, T0);
	verify_start(&v, &c);
	assert_int_equal(v.state, VERIFY_DONE);
	done(&c, &v);
}

/* What is held of an archive that is not there any more: its ids are nobody's, and are asked for by nobody (B8). */
static void nothing_of_an_archive_that_is_gone_is_asked_for(_unused_ void **state)
{
	struct cover c;
	struct verify v;

	cover_init(&c);
	cover_load(&c, "m", T0, "z", T0 + 3600 * SEC, SPAN_START);
	cover_set_old(&c, 1, "\x1f" "3:");
	verify_init(&v, "", 0);
	verify_start(&v, &c);
	assert_int_equal(v.state, VERIFY_DONE);
	done(&c, &v);
}

static void a_copy_walks_by_itself(_unused_ void **state)
{
	const struct cover_item items[] = { { "w", T0 + 3000 * SEC } };
	struct cover c;
	struct verify v, copy;
	size_t from;

	given(&c, &v, "bob@x", T0);
	verify_init(&copy, "carol@x", 0);
	verify_copy(&copy, &v);
	assert_true(verify_page(&v, items, 1, false, &from));
	assert_string_equal(copy.with, "bob@x");
	assert_string_equal(copy.cursor, "");
	assert_string_equal(copy.upper, "z");
	assert_string_equal(copy.floor_id, "m");
	assert_string_equal(copy.why, "");
	assert_int_equal(copy.since_us, T0);
	verify_deinit(&v);
	assert_null(v.cursor);
	assert_int_equal(v.state, VERIFY_WAITING);
	verify_copy(&v, &copy); /* over nothing */
	assert_string_equal(v.upper, "z");
	verify_deinit(&copy);
	done(&c, &v);
}

/* Coverage reaches down to the archive's beginning: whatever is there is claimed, and only "complete" ends it. */
static void without_a_floor_it_goes_down_to_the_beginning(_unused_ void **state)
{
	const struct cover_item items[] = { { "a", T0 - 9000 * SEC }, { "m", T0 }, { "y", T0 + 3500 * SEC } };
	struct cover c = { 0 };
	struct verify v;
	uint64_t walked, total;
	size_t from = 7;

	cover_load(&c, "m", T0, "z", T0 + 3600 * SEC, SPAN_START);
	verify_init(&v, "", 0);
	verify_start(&v, &c);
	assert_int_equal(v.floor_us, 0);
	assert_true(verify_page(&v, items, 3, false, &from));
	assert_int_equal(from, 0);
	assert_int_equal(v.state, VERIFY_WALKING);
	assert_int_equal(v.tally.pages, 1);
	assert_string_equal(v.upper, "a");
	/* It cannot have walked further than there is to walk. */
	verify_progress(&v, &walked, &total);
	assert_int_equal(total, 3600);
	assert_int_equal(walked, 3600);
	assert_true(verify_page(&v, NULL, 0, true, &from));
	assert_int_equal(v.state, VERIFY_DONE);
	done(&c, &v);
	/* On "empty" nothing is known of how far back it goes. */
	cover_confirm_empty(&c, T0);
	cover_session_lost(&c);
	cover_load(&c, "x", T0 + SEC, "z", T0 + 3600 * SEC, SPAN_LIVE);
	verify_init(&v, "", 0);
	verify_start(&v, &c);
	assert_string_equal(v.floor_id, "");
	verify_progress(&v, &walked, &total);
	assert_int_equal(walked, 0);
	assert_int_equal(total, 0);
	v.since_us = T0 + 9000 * SEC; /* above all: nothing to walk */
	verify_progress(&v, &walked, &total);
	assert_int_equal(total, 0);
	done(&c, &v);
}

static void what_is_below_the_floor(_unused_ void **state)
{
	const int64_t margin = COVER_MARGIN_US;
	const struct {
		const char *why, *with;
		struct cover_item items[3];
		size_t from;
		bool done;
	} rows[] = {
		{ "one message, by its stamp", "", { { "k", T0 - margin - 1 }, { "n", T0 }, { "o", T0 } }, 1, true },
		{ "not within the margin", "", { { "k", T0 - margin }, { "n", T0 }, { "o", T0 } }, 0, false },
		{ "a conversation has no margin", "bob@x", { { "k", T0 - 1 }, { "n", T0 }, { "o", T0 } }, 1, true },
		{ "and what is at the floor is claimed", "bob@x", { { "k", T0 }, { "n", T0 }, { "o", T0 } }, 0, false },
		{ "the first message of all", "", { { "m", T0 }, { "n", T0 }, { "o", T0 } }, 0, true },
		{ "no stamp is below nothing", "", { { "k", 0 }, { "l", T0 - 2 * margin }, { "o", T0 } }, 0, false },
		{ "all of them", "", { { "j", T0 - 9 * margin }, { "k", T0 - 8 * margin }, { "l", T0 - 7 * margin } }, 3, true },
	};
	struct cover c;
	struct verify v;
	size_t from;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		given(&c, &v, rows[i].with, 0);
		assert_true(verify_page(&v, rows[i].items, 3, false, &from));
		if (from != rows[i].from || (v.state == VERIFY_DONE) != rows[i].done)
			fail_msg("%s: from %zu", rows[i].why, from);
		done(&c, &v);
	}
}

static void bounds_of_what_is_asked(_unused_ void **state)
{
	const struct cover_item at[] = { { "p", T0 + 2000 * SEC } }, under[] = { { "o", T0 + 2000 * SEC - 1 } };
	struct cover c;
	struct verify v;
	size_t from;

	/* Down to the margin below since, and no further. */
	given(&c, &v, "", T0 + 2000 * SEC + COVER_MARGIN_US);
	assert_true(verify_page(&v, at, 1, false, &from));
	assert_int_equal(v.state, VERIFY_WALKING);
	assert_true(verify_page(&v, under, 1, false, &from));
	assert_int_equal(v.state, VERIFY_DONE);
	done(&c, &v);
	given(&c, &v, "bob@x", T0 + 2000 * SEC);
	assert_int_equal(verify_next(&v).start_us, T0 + 2000 * SEC - COVER_MARGIN_US);
	done(&c, &v);
	cover_load(&c, "m", 5, "z", T0, 0);
	verify_init(&v, "bob@x", 0);
	verify_start(&v, &c);
	assert_int_equal(verify_next(&v).start_us, 0);
	done(&c, &v);
}

static void only_troubles_in_a_row_end_it(_unused_ void **state)
{
	const struct cover_item again[] = { { "z", T0 + 3600 * SEC } }, items[] = { { "w", T0 + 3000 * SEC } },
				unstamped[] = { { "v", 0 } };
	struct cover c;
	struct verify v;
	size_t from = 7;

	given(&c, &v, "", 0);
	for (int i = 1; i < VERIFY_TROUBLES_MAX; i++)
		assert_false(verify_page(&v, again, 1, false, &from));
	assert_int_equal(from, 0);
	assert_true(verify_page(&v, items, 1, false, &from));
	/* An id that is not known is asked by its stamp, and if that is not known either it is trouble. */
	for (int i = 1; i < VERIFY_TROUBLES_MAX; i++) {
		assert_int_equal(v.state, VERIFY_WALKING);
		verify_unknown(&v);
		assert_int_equal(v.end_us, T0 + 3000 * SEC + COVER_MARGIN_US);
	}
	assert_int_equal(v.state, VERIFY_WALKING);
	verify_unknown(&v);
	assert_int_equal(v.state, VERIFY_FAILED);
	done(&c, &v);
	given(&c, &v, "", 0);
	v.cursor_us = 0;
	assert_true(verify_page(&v, unstamped, 1, false, &from));
	for (int i = 0; i < VERIFY_TROUBLES_MAX; i++) {
		assert_string_equal(verify_next(&v).cursor, "v"); /* there is nothing else to ask by */
		verify_unknown(&v);
	}
	assert_int_equal(v.state, VERIFY_FAILED);
	done(&c, &v);
	/* One conversation is bounded by the stamp itself; and what is over is over. */
	given(&c, &v, "bob@x", 0);
	assert_true(verify_page(&v, items, 1, false, &from));
	verify_unknown(&v);
	assert_int_equal(verify_next(&v).end_us, T0 + 3000 * SEC);
	assert_true(verify_page(&v, NULL, 0, true, &from));
	for (int i = 0; i < VERIFY_TROUBLES_MAX; i++)
		verify_trouble(&v, "late");
	assert_int_equal(v.state, VERIFY_DONE);
	assert_string_equal(v.why, "");
	done(&c, &v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_an_archive_that_is_gone_is_asked_for),
		cmocka_unit_test(it_begins_where_pages_have_proven_and_goes_down),
		cmocka_unit_test(it_ends_where_coverage_begins_and_looks_at_nothing_below),
		cmocka_unit_test(since_ends_it_below_the_margin),
		cmocka_unit_test(a_conversation_is_asked_for_by_time_and_only_where_coverage_claims),
		cmocka_unit_test(A14_answers_that_lead_nowhere_end_it),
		cmocka_unit_test(B6_a_cursor_that_is_unknown_is_replaced_by_its_stamp),
		cmocka_unit_test(a_lost_stream_does_not_begin_again),
		cmocka_unit_test(nothing_claimed_is_nothing_to_verify),
		cmocka_unit_test(a_copy_walks_by_itself),
		cmocka_unit_test(without_a_floor_it_goes_down_to_the_beginning),
		cmocka_unit_test(what_is_below_the_floor),
		cmocka_unit_test(bounds_of_what_is_asked),
		cmocka_unit_test(only_troubles_in_a_row_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
