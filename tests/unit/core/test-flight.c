/* core/flight: what of the outbox is with the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/flight.h"

#define SEC (INT64_C(1) * 1000000)

/* ${n} items, numbered from ${first} on, durable. */
static void given_gone(struct flight *f, int n, uint32_t first)
{
	for (int i = 0; i < n; i++) {
		assert_true(flight_may(f, 10, false, 0));
		flight_offer(f, i + 1, 0, 10, false, 0);
	}
	for (int i = 0; i < n; i++)
		assert_true(flight_numbered(f, i + 1, first + (uint32_t)i));
	flight_go(f, 0);
}

static void a_burst_is_numbered_stored_and_let_go_as_one(_unused_ void **state)
{
	struct flight f = { 0 };

	assert_true(flight_idle(&f));
	flight_offer(&f, 7, 0, 10, false, 0);
	flight_offer(&f, 8, 0, 10, false, 0);
	flight_offer(&f, 9, 0, 10, false, 0);
	assert_false(flight_idle(&f));
	assert_true(flight_numbered(&f, 7, 4));
	assert_false(flight_whole(&f));
	assert_true(flight_unsendable(&f, 8));
	assert_true(flight_numbered(&f, 9, 6)); /* the wire sends stanzas of its own between them */
	assert_true(flight_whole(&f));
	assert_int_equal(flight_gone(&f), 0);
	assert_int_equal(flight_go(&f, 0), 6);
	assert_int_equal(flight_gone(&f), 2);
	assert_true(flight_idle(&f));
	assert_int_equal(flight_acked(&f, 5), 1);
	assert_int_equal(flight_acked(&f, 6), 1);
	assert_int_equal(f.bytes, 0);
}

static void numbers_out_of_turn_are_refused(_unused_ void **state)
{
	struct flight f = { 0 };

	flight_offer(&f, 1, 0, 10, false, 0);
	flight_offer(&f, 2, 0, 10, false, 0);
	assert_false(flight_numbered(&f, 2, 1));
	assert_false(flight_numbered(&f, 3, 1));
	assert_true(flight_numbered(&f, 1, 5));
	assert_false(flight_numbered(&f, 1, 6));
	assert_false(flight_numbered(&f, 2, 5));
	assert_false(flight_unsendable(&f, 1));
	assert_true(flight_numbered(&f, 2, 6));
}

static void the_window_has_a_count_and_a_size(_unused_ void **state)
{
	struct flight f = { 0 };
	int n = 0;

	/* However large: one can always go. */
	assert_true(flight_may(&f, 10 * FLIGHT_BYTES_MAX, false, 0));
	flight_offer(&f, 1, 0, FLIGHT_BYTES_MAX - 5, false, 0);
	assert_true(flight_may(&f, 5, false, 0));
	assert_false(flight_may(&f, 6, false, 0));
	f = (struct flight){ 0 };
	for (; flight_may(&f, 1, false, 0); n++)
		flight_offer(&f, n, 0, 1, false, 0);
	assert_int_equal(n, FLIGHT_ITEMS_MAX);
}

static void acks_across_2_to_the_32(_unused_ void **state)
{
	struct flight f = { 0 };

	given_gone(&f, 4, UINT32_MAX - 1); /* ... 2^32-2, 2^32-1, 0, 1 */
	assert_int_equal(flight_acked(&f, UINT32_MAX - 2), 0);
	assert_int_equal(flight_acked(&f, UINT32_MAX), 2);
	assert_int_equal(flight_acked(&f, 0), 1);
	assert_int_equal(flight_acked(&f, 1), 1);
}

static void what_a_stream_error_says_of_us(_unused_ void **state)
{
	static const struct {
		const char *condition, *why;
		bool blames;
	} rows[] = {
		{ "policy-violation", "a stanza too large, says ejabberd and Prosody", true },
		{ "not-well-formed", "what we sent is no XML", true },
		{ "invalid-xml", "", true },
		{ "restricted-xml", "", true },
		{ "bad-format", "", true },
		{ "conflict", "another session took the resource", false },
		{ "system-shutdown", "the server restarts", false },
		{ "connection-timeout", "the network", false },
		{ "resource-constraint", "the server is full", false },
		{ "handled-count-too-high", "counting, not content", false },
		{ "", "the link broke without a word", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct flight f = { 0 };

		assert_int_equal(flight_blames_us(rows[i].condition), rows[i].blames);
		/* Nothing had gone: an end at login (too many connections) is nobody's fault. */
		flight_offer(&f, 1, 0, 1, false, 0);
		assert_false(flight_over(&f, rows[i].condition, false, 0));
		assert_false(f.careful);
		given_gone(&f, 2, 1);
		assert_int_equal(flight_over(&f, rows[i].condition, false, 0), rows[i].blames);
		assert_int_equal(f.careful, rows[i].blames);
		assert_int_equal(f.n, 0);
	}
}

static void suspects_go_alone_until_all_have_passed(_unused_ void **state)
{
	struct flight f = { 0 };

	given_gone(&f, 3, 1);
	assert_true(flight_over(&f, "policy-violation", false, 0));
	assert_true(flight_may(&f, 10, true, 0));
	flight_offer(&f, 1, 0, 10, true, 0);
	/* Neither another suspect nor anything new beside it. */
	assert_false(flight_may(&f, 10, true, 0));
	assert_false(flight_may(&f, 10, false, 0));
	assert_true(flight_numbered(&f, 1, 1));
	flight_go(&f, 0);
	assert_false(flight_may(&f, 10, false, 0));
	flight_acked(&f, 1);
	/* What was never sent is no suspect, but a suspect waits for it. */
	flight_offer(&f, 9, 0, 10, false, 0);
	assert_true(flight_may(&f, 10, false, 0));
	assert_false(flight_may(&f, 10, true, 0));
	flight_numbered(&f, 9, 2);
	flight_go(&f, 0);
	flight_acked(&f, 2);
	flight_calm(&f);
	flight_offer(&f, 2, 0, 10, true, 0);
	assert_true(flight_may(&f, 10, true, 0));
	/* One with a strike goes alone, careful or not. */
	assert_false(flight_may(&f, 10, true, 1));
}

static void a_link_that_breaks_again_and_again_makes_careful(_unused_ void **state)
{
	struct flight f = { 0 };

	for (int i = 0; i < FLIGHT_FRUITLESS_MAX; i++) {
		assert_false(f.careful);
		given_gone(&f, 2, 1);
		assert_false(flight_over(&f, "", false, 0));
	}
	assert_true(f.careful);
	f = (struct flight){ 0 };
	for (int i = 0; i < FLIGHT_FRUITLESS_MAX; i++) {
		given_gone(&f, 2, 1);
		flight_acked(&f, 1); /* something got there */
		assert_false(flight_over(&f, "", false, 0));
	}
	assert_false(f.careful);
}

/* A stream that stands since ${at_us}; item 1 goes alone ${after_us} later, and ${then_us} after that it is over. */
static bool tried(struct flight *f, int64_t *at_us, int64_t after_us, int64_t then_us, bool closed)
{
	bool blamed;

	f->careful = true;
	flight_begin(f, *at_us);
	*at_us += after_us;
	flight_offer(f, 1, 0, 10, true, 0);
	assert_true(flight_numbered(f, 1, 1));
	flight_go(f, *at_us);
	*at_us += then_us;
	blamed = flight_over(f, "", closed, *at_us);
	*at_us += SEC;
	return blamed;
}

static void a_close_counts_only_as_the_end_of_an_experiment(_unused_ void **state)
{
	struct flight f = { 0 };
	int64_t at = SEC;

	for (int i = 0; i < FLIGHT_SOON_MAX; i++) {
		assert_int_equal(flight_hold(&f, 1, at), 0);
		assert_false(tried(&f, &at, SEC, SEC, true));
	}
	flight_begin(&f, at);
	assert_int_equal(flight_hold(&f, 1, at + SEC), FLIGHT_STEADY_US - SEC);
	assert_int_equal(flight_hold(&f, 2, at + SEC), 0);
	assert_int_equal(flight_hold(&f, 1, at + FLIGHT_STEADY_US), 0);
	/* Three times in a row, and again and again. */
	for (int i = 0; i < 3; i++)
		assert_true(tried(&f, &at, FLIGHT_STEADY_US, FLIGHT_SOON_US, true));
	/* That others get there says nothing; that it does, says all. */
	flight_begin(&f, at);
	flight_offer(&f, 2, 0, 10, false, 0);
	flight_numbered(&f, 2, 1);
	flight_go(&f, at);
	assert_int_equal(flight_acked(&f, 1), 1);
	assert_true(flight_hold(&f, 1, at) > 0);
	flight_begin(&f, at);
	flight_offer(&f, 1, 0, 10, true, 0);
	flight_numbered(&f, 1, 1);
	flight_go(&f, at);
	assert_int_equal(flight_acked(&f, 1), 1);
	assert_int_equal(flight_hold(&f, 1, at), 0);
}

static void whatever_else_a_link_does_is_its_own_fault(_unused_ void **state)
{
	static const struct {
		const char *why;
		int64_t after_us, then_us;
		bool closed;
	} rows[] = {
		{ "it fell silent", FLIGHT_STEADY_US, SEC, false },
		{ "the close came late", FLIGHT_STEADY_US, FLIGHT_SOON_US + 1, true },
		{ "the stream had not stood long enough", FLIGHT_STEADY_US - 1, SEC, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct flight f = { 0 };
		int64_t at = SEC;

		for (int n = 0; n < FLIGHT_SOON_MAX; n++)
			assert_false(tried(&f, &at, SEC, SEC, true));
		for (int n = 0; n < 5; n++)
			if (tried(&f, &at, rows[i].after_us, rows[i].then_us, rows[i].closed))
				fail_msg("%s: it is held against the message", rows[i].why);
	}
}

/* A stream that breaks without the suspect speaks for it; one that never had a session says nothing. */
static void a_stream_that_breaks_without_it_acquits(_unused_ void **state)
{
	struct flight f = { 0 };
	int64_t at = SEC;

	for (int n = 0; n < FLIGHT_SOON_MAX; n++)
		assert_false(tried(&f, &at, SEC, SEC, true));
	assert_false(flight_over(&f, "", true, at));
	assert_true(flight_hold(&f, 1, f.stands_us) > 0);
	flight_begin(&f, at);
	assert_false(flight_over(&f, "", true, at + FLIGHT_STEADY_US - 1));
	flight_begin(&f, at);
	assert_int_equal(flight_hold(&f, 1, at), 0);
	/* Two at a time, or not alone: nobody knows which. */
	f = (struct flight){ .careful = false };
	for (int n = 0; n < 9; n++) {
		flight_begin(&f, at);
		given_gone(&f, 2, 1);
		assert_false(flight_over(&f, "", true, at));
		assert_int_equal(f.soon, 0);
		f.careful = false;
	}
}

/* It falls silent over item 1, or closes late, or says something that blames nobody: no strike, and the others go first. */
static void who_is_late_goes_after_the_others(_unused_ void **state)
{
	struct flight f = { 0 };
	int64_t at = SEC, rest = FLIGHT_REST_US;

	for (int i = 0; i < FLIGHT_SOON_MAX; i++) {
		flight_begin(&f, at);
		assert_int_equal(flight_late(&f), 0);
		assert_int_equal(flight_hold(&f, 1, at), 0);
		assert_false(tried(&f, &at, SEC, FLIGHT_SOON_US + 1, i == 1));
	}
	/* Twice as long each time, and it is not struck out however often. */
	for (int i = 0; i < 9; i++) {
		flight_begin(&f, at);
		assert_int_equal(flight_late(&f), 1);
		assert_int_equal(flight_hold(&f, 1, at), rest);
		assert_int_equal(flight_hold(&f, 2, at), 0);
		/* Only what a stream stands counts: not the time between two. */
		flight_offer(&f, 2, 0, 10, false, 0);
		assert_false(flight_over(&f, "", i % 2, at + 10 * SEC));
		at += 1000 * SEC;
		flight_begin(&f, at);
		assert_int_equal(flight_hold(&f, 1, at), rest - 10 * SEC);
		assert_int_equal(flight_hold(&f, 1, at + 5 * SEC), rest - 15 * SEC);
		assert_int_equal(flight_hold(&f, 1, at + rest - 10 * SEC), 0);
		assert_false(tried(&f, &at, rest, SEC, false));
		rest = 2 * rest < FLIGHT_REST_CAP_US ? 2 * rest : FLIGHT_REST_CAP_US;
	}
	assert_int_equal(rest, FLIGHT_REST_CAP_US);
	/* And when it has got there, that is all forgotten. */
	flight_begin(&f, at);
	flight_offer(&f, 1, 0, 10, true, 0);
	flight_numbered(&f, 1, 1);
	flight_go(&f, at);
	assert_int_equal(flight_acked(&f, 1), 1);
	assert_int_equal(flight_late(&f), 0);
	assert_int_equal(flight_hold(&f, 1, at), 0);
}

/* A stream that ends by itself before it has stood says that it is the link. */
static void streams_that_end_by_themselves_speak_for_who_is_late(_unused_ void **state)
{
	struct flight f = { 0 };
	int64_t at = SEC;

	for (int i = 0; i < FLIGHT_SOON_MAX + 1; i++) {
		flight_begin(&f, at);
		assert_false(tried(&f, &at, SEC, FLIGHT_SOON_US + 1, false));
	}
	flight_begin(&f, at);
	assert_int_equal(flight_hold(&f, 1, at), 2 * FLIGHT_REST_US);
	at += FLIGHT_STEADY_US;
	assert_false(flight_over(&f, "", false, at));
	flight_begin(&f, at);
	assert_int_equal(flight_hold(&f, 1, at), 2 * FLIGHT_REST_US - FLIGHT_STEADY_US);
	assert_false(flight_over(&f, "", false, at));
	flight_begin(&f, at);
	assert_int_equal(flight_late(&f), 1);
	assert_int_equal(flight_hold(&f, 1, at), FLIGHT_REST_US);
	assert_false(flight_over(&f, "", false, at));
	flight_begin(&f, at);
	assert_int_equal(flight_late(&f), 0);
	assert_int_equal(flight_hold(&f, 1, at), 0);
}

static void what_makes_nobody_late(_unused_ void **state)
{
	static const struct {
		const char *why, *condition;
		int64_t then_us;
		int n; /* in the burst */
		bool careful, closed, acked;
	} rows[] = {
		{ "two are on their way: it may be either", "", SEC, 2, false, false, false },
		{ "nothing was alone", "", SEC, 1, false, false, false },
		{ "a stream error has strikes of its own", "policy-violation", SEC, 1, true, false, false },
		{ "a close at once has its experiment", "", SEC, 1, true, true, false },
		{ "it got there", "", SEC, 1, true, false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct flight f = { 0 };
		int64_t at = SEC;

		for (int k = 0; k < 5; k++) {
			flight_begin(&f, at);
			f.careful = rows[i].careful;
			for (int n = 0; n < rows[i].n; n++)
				flight_offer(&f, n + 1, 0, 10, true, 0);
			for (int n = 0; n < rows[i].n; n++)
				assert_true(flight_numbered(&f, n + 1, (uint32_t)n + 1));
			flight_go(&f, at);
			if (rows[i].acked)
				flight_acked(&f, 1);
			at += rows[i].then_us;
			flight_over(&f, rows[i].condition, rows[i].closed, at);
			if (flight_late(&f))
				fail_msg("%s: it is late", rows[i].why);
		}
	}
}

static void those_known_the_longest_are_forgotten(_unused_ void **state)
{
	struct flight f = { .careful = true };
	int64_t at = SEC;

	for (int id = 1; id <= FLIGHT_VAIN_MAX + 1; id++)
		for (int i = 0; i < FLIGHT_SOON_MAX; i++) {
			flight_begin(&f, at);
			flight_offer(&f, id, 0, 10, true, 0);
			flight_numbered(&f, id, 1);
			flight_go(&f, at);
			flight_over(&f, "", false, at);
		}
	assert_int_equal(flight_late(&f), FLIGHT_VAIN_MAX);
	flight_begin(&f, at);
	assert_int_equal(flight_hold(&f, 1, at), 0);
	assert_int_equal(flight_hold(&f, 2, at), FLIGHT_REST_US);
	assert_int_equal(flight_hold(&f, FLIGHT_VAIN_MAX + 1, at), FLIGHT_REST_US);
	/* Nothing waits any more. */
	flight_calm(&f);
	assert_int_equal(flight_late(&f), 0);
	assert_int_equal(flight_hold(&f, 2, at), 0);
}

static void E3_only_what_may_have_left_before_has_a_delay_stamp(_unused_ void **state)
{
	int64_t then = FLIGHT_CLOCK_SET_US + 1000, now = then + 98000;

	assert_int_equal(flight_delay(false, then, now), 0);
	assert_int_equal(flight_delay(true, then, now), then);
	/* Written by a clock that was ahead, and in 1970. */
	assert_int_equal(flight_delay(true, now, then), 0);
	assert_int_equal(flight_delay(true, 3600000000, now), 0);
}

static void when_doubt_is_over(_unused_ void **state)
{
	static const struct {
		const char *why;
		uint32_t flags[3]; /* of up to three spans, oldest first */
		size_t n, from;
		bool over;
	} rows[] = {
		{ "all from the anchor to the end is held", { 0, SPAN_LIVE }, 2, 2, true },
		{ "the end is not known", { 0, 0 }, 2, 2, false },
		{ "a gap above the anchor", { 0, SPAN_LIVE }, 2, 1, false },
		{ "a gap below the anchor is nobody's", { SPAN_START, 0, SPAN_LIVE }, 3, 3, true },
		{ "what came meanwhile, live, with nothing between", { SPAN_START, SPAN_RUN | SPAN_LIVE | SPAN_NEXT }, 2, 1,
		  true },
		{ "and with a gap between", { SPAN_START, SPAN_RUN | SPAN_LIVE }, 2, 1, false },
		{ "a gap that can never be filled", { 0, SPAN_LIVE | SPAN_LOST }, 2, 1, true },
		{ "lost, and another one that is open", { 0, SPAN_LOST, SPAN_LIVE }, 3, 1, false },
		{ "no anchor: down to the beginning", { SPAN_START | SPAN_LIVE }, 1, 0, true },
		{ "no anchor: the past is not held", { SPAN_LIVE }, 1, 0, false },
		{ "nothing is known of the archive", { 0 }, 0, 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(cover_deinit) struct cover c = { 0 };

		for (size_t k = 0; k < rows[i].n; k++) {
			char first[2] = { (char)('a' + 2 * (int)k), 0 }, last[2] = { (char)('b' + 2 * (int)k), 0 };

			cover_load(&c, first, 1000 + 10 * (int64_t)k, last, 1005 + 10 * (int64_t)k, rows[i].flags[k]);
		}
		if (doubt_is_over(&c, rows[i].from) != rows[i].over)
			fail_msg("%s", rows[i].why);
	}
}

static void the_anchor_is_what_no_lost_session_forgets(_unused_ void **state)
{
	_cleanup_(cover_deinit) struct cover c = { 0 };

	assert_string_equal(doubt_anchor(&c), "");
	cover_load(&c, "a", 1, "b", 2, 0);
	cover_load(&c, "c", 3, "d", 4, SPAN_LIVE);
	assert_string_equal(doubt_anchor(&c), "d");
	cover_live(&c, "e");
	cover_live(&c, "f");
	assert_string_equal(doubt_anchor(&c), "d");
}

/* Item ${id} goes alone on a stream that stands since ${at}; ${after} it, the stream is over. */
static void over_alone(struct flight *f, int64_t id, int64_t at, int64_t after, bool closed)
{
	f->careful = true;
	flight_begin(f, at);
	flight_offer(f, id, 0, 10, true, 0);
	assert_true(flight_numbered(f, id, 1));
	flight_go(f, at);
	assert_false(flight_over(f, "", closed, at + after));
}

static void each_item_stands_for_itself(_unused_ void **state)
{
	struct flight f = { 0 };

	/* The last one says whether all have their numbers, and whether all have gone. */
	flight_offer(&f, 1, 0, 10, false, 0);
	flight_offer(&f, 2, 0, 10, false, 0);
	assert_true(flight_numbered(&f, 1, 1));
	assert_false(flight_whole(&f));
	assert_true(flight_numbered(&f, 2, 2));
	flight_go(&f, 0);
	assert_true(flight_idle(&f));
	flight_offer(&f, 3, 0, 10, false, 0);
	assert_false(flight_idle(&f));
	assert_true(flight_numbered(&f, 3, 3));
	assert_false(flight_idle(&f));
	/* A stream that begins knows of none of them. */
	flight_begin(&f, SEC);
	assert_true(flight_idle(&f));
	assert_int_equal(f.bytes, 0);
	assert_true(flight_may(&f, FLIGHT_BYTES_MAX, true, 1));
	given_gone(&f, 1, 1);
	flight_over(&f, "", false, 2 * SEC);
	assert_int_equal(f.bytes, 0);
}

static void one_out_of_a_full_window_leaves_the_others(_unused_ void **state)
{
	struct flight f = { 0 };

	for (int id = 1; id <= FLIGHT_ITEMS_MAX; id++)
		flight_offer(&f, id, id, (size_t)id, false, 0);
	assert_true(flight_unsendable(&f, 50));
	assert_int_equal(f.n, FLIGHT_ITEMS_MAX - 1);
	assert_int_equal(f.bytes, FLIGHT_ITEMS_MAX * (FLIGHT_ITEMS_MAX + 1) / 2 - 50);
	for (int id = 1; id <= FLIGHT_ITEMS_MAX; id++)
		assert_int_equal(flight_numbered(&f, id, (uint32_t)id), id != 50);
	/* Withdrawn: it goes, and nobody here wants to know what becomes of it. */
	f.items[10].withdrawn = true;
	assert_int_equal(f.items[10].id, 11);
	assert_int_equal(flight_go(&f, 0), FLIGHT_ITEMS_MAX);
	assert_int_equal(flight_gone(&f), FLIGHT_ITEMS_MAX - 2);
	assert_int_equal(f.items[10].id, 12);
	assert_int_equal(flight_acked(&f, 11), 10);
	assert_int_equal(flight_acked(&f, FLIGHT_ITEMS_MAX), FLIGHT_ITEMS_MAX - 12);
	assert_int_equal(f.bytes, 0);
}

static void an_ack_clears_what_came_before_it(_unused_ void **state)
{
	struct flight f = { 0 };

	given_gone(&f, 2, 1);
	assert_false(flight_over(&f, "", false, 0));
	given_gone(&f, 2, 1);
	assert_int_equal(flight_acked(&f, 2), 2);
	for (int i = 0; i < FLIGHT_FRUITLESS_MAX - 1; i++) {
		flight_begin(&f, 0);
		given_gone(&f, 2, 1);
		assert_false(flight_over(&f, "", false, 0));
	}
	assert_false(f.careful);
	/* The same of closes at once: what got there is as good as new. */
	f = (struct flight){ 0 };
	over_alone(&f, 1, SEC, SEC, true);
	flight_begin(&f, SEC);
	given_gone(&f, 1, 1);
	assert_int_equal(flight_acked(&f, 1), 1);
	for (int i = 0; i < FLIGHT_SOON_MAX - 1; i++)
		over_alone(&f, 1, SEC, SEC, true);
	flight_begin(&f, SEC);
	assert_int_equal(flight_hold(&f, 1, SEC), 0);
	/* And they count for one message, not for two. */
	over_alone(&f, 2, SEC, SEC, true);
	flight_begin(&f, SEC);
	assert_int_equal(flight_hold(&f, 2, SEC), 0);
	for (int i = 0; i < FLIGHT_SOON_MAX - 1; i++)
		over_alone(&f, 2, SEC, SEC, true);
	flight_begin(&f, SEC);
	assert_int_equal(flight_hold(&f, 2, SEC), FLIGHT_STEADY_US);
}

static void all_that_are_late_rest_and_are_forgiven_alike(_unused_ void **state)
{
	const int64_t late = FLIGHT_SOON_US + 1;
	struct flight f = { 0 };

	for (int id = 1; id <= FLIGHT_VAIN_MAX; id++)
		for (int i = 0; i < FLIGHT_SOON_MAX; i++)
			over_alone(&f, id, SEC, 0, false);
	assert_int_equal(flight_late(&f), FLIGHT_VAIN_MAX);
	/* One of them gets there: the others are as late as they were. */
	flight_begin(&f, SEC);
	flight_offer(&f, 17, 0, 10, true, 0);
	assert_true(flight_numbered(&f, 17, 1));
	flight_go(&f, SEC);
	assert_int_equal(flight_acked(&f, 1), 1);
	assert_int_equal(flight_late(&f), FLIGHT_VAIN_MAX - 1);
	for (int id = 1; id <= FLIGHT_VAIN_MAX; id++)
		assert_int_equal(flight_hold(&f, id, SEC), id == 17 ? 0 : FLIGHT_REST_US);
	/* All rest while a stream stands, and nobody less than nothing. */
	assert_false(flight_over(&f, "", false, SEC + FLIGHT_STEADY_US - 1));
	flight_begin(&f, SEC);
	assert_int_equal(flight_hold(&f, 1, SEC), 0);
	assert_int_equal(flight_late(&f), 0); /* it did not stand long enough: forgiven */
	/* Who was not late yet is none of them: one more, and it is. */
	f = (struct flight){ 0 };
	for (int i = 0; i < FLIGHT_SOON_MAX; i++) {
		over_alone(&f, 1, SEC, late, false);
		over_alone(&f, 2, SEC, late, false);
	}
	for (int i = 0; i < FLIGHT_SOON_MAX - 1; i++)
		over_alone(&f, 3, SEC, late, false);
	flight_begin(&f, SEC);
	assert_false(flight_over(&f, "", false, SEC + FLIGHT_STEADY_US));
	flight_begin(&f, SEC);
	assert_int_equal(flight_late(&f), 2);
	assert_int_equal(flight_hold(&f, 1, SEC), 0);
	assert_int_equal(flight_hold(&f, 2, SEC), 0);
	assert_false(flight_over(&f, "", false, SEC));
	assert_int_equal(flight_late(&f), 0);
	over_alone(&f, 3, SEC, late, false);
	assert_int_equal(flight_late(&f), 1);
}

static void the_only_span_is_an_anchor_unless_it_is_a_run(_unused_ void **state)
{
	_cleanup_(cover_deinit) struct cover c = { 0 };

	cover_load(&c, "a", 1, "b", 2, 0);
	assert_string_equal(doubt_anchor(&c), "b");
	c.spans[0].flags = SPAN_RUN;
	assert_string_equal(doubt_anchor(&c), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_numbered_stored_and_let_go_as_one),
		cmocka_unit_test(numbers_out_of_turn_are_refused),
		cmocka_unit_test(the_window_has_a_count_and_a_size),
		cmocka_unit_test(acks_across_2_to_the_32),
		cmocka_unit_test(what_a_stream_error_says_of_us),
		cmocka_unit_test(suspects_go_alone_until_all_have_passed),
		cmocka_unit_test(a_link_that_breaks_again_and_again_makes_careful),
		cmocka_unit_test(a_close_counts_only_as_the_end_of_an_experiment),
		cmocka_unit_test(whatever_else_a_link_does_is_its_own_fault),
		cmocka_unit_test(a_stream_that_breaks_without_it_acquits),
		cmocka_unit_test(who_is_late_goes_after_the_others),
		cmocka_unit_test(streams_that_end_by_themselves_speak_for_who_is_late),
		cmocka_unit_test(what_makes_nobody_late),
		cmocka_unit_test(those_known_the_longest_are_forgotten),
		cmocka_unit_test(E3_only_what_may_have_left_before_has_a_delay_stamp),
		cmocka_unit_test(when_doubt_is_over),
		cmocka_unit_test(the_anchor_is_what_no_lost_session_forgets),
		cmocka_unit_test(each_item_stands_for_itself),
		cmocka_unit_test(one_out_of_a_full_window_leaves_the_others),
		cmocka_unit_test(an_ack_clears_what_came_before_it),
		cmocka_unit_test(all_that_are_late_rest_and_are_forgiven_alike),
		cmocka_unit_test(the_only_span_is_an_anchor_unless_it_is_a_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
