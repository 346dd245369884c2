/* core/ackline: which stanzas are durable, in numbers modulo 2^32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/ackline.h"

static bool arrive(struct ackline *a, uint32_t n)
{
	bool bad, repeated = ackline_seen(a, n, &bad);

	assert_false(bad);
	return repeated;
}

static void a_live_message_inside_a_page_does_not_move_h(_unused_ void **state)
{
	struct ackline a;

	ackline_init(&a, 10);
	assert_false(arrive(&a, 11)); /* a result */
	assert_false(arrive(&a, 12)); /* live */
	ackline_done(&a, 12);
	assert_int_equal(a.h, 10);
	assert_int_equal(a.ahead, 1);

	assert_false(arrive(&a, 13)); /* fin */
	ackline_done(&a, 11);
	ackline_done(&a, 13);

	assert_int_equal(a.h, 13);
	assert_int_equal(a.ahead, 0);
}

static void after_a_resume_what_was_stored_ahead_is_skipped(_unused_ void **state)
{
	struct ackline a, b;
	uint8_t saved[64];
	size_t n;

	ackline_init(&a, 10);
	arrive(&a, 11);
	arrive(&a, 12);
	ackline_done(&a, 12);
	n = ackline_save(&a, saved, 16);
	assert_int_equal(n, 1);

	ackline_load(&b, 10, saved, n);
	assert_false(arrive(&b, 11));
	assert_true(arrive(&b, 12));
	assert_false(arrive(&b, 13));
	ackline_done(&b, 11);
	assert_int_equal(b.h, 12);
}

static void numbers_that_nobody_names_count_as_done(_unused_ void **state)
{
	struct ackline a;

	ackline_init(&a, 0);
	assert_false(arrive(&a, 5)); /* 1..4: presence, answers */
	ackline_done(&a, 5);
	assert_int_equal(a.h, 5);
}

/* D1: counters at 2^32-2; D2: h=1 covers the first stanza only. */
static void D1_D2_the_counter_wraps(_unused_ void **state)
{
	struct ackline a;
	uint8_t saved[64];

	ackline_init(&a, UINT32_MAX - 1);
	for (uint32_t n = UINT32_MAX; n != 3; n++) {
		assert_false(arrive(&a, n));
		ackline_done(&a, n);
		assert_int_equal(a.h, n);
	}
	ackline_init(&a, UINT32_MAX - 1);
	arrive(&a, UINT32_MAX);
	arrive(&a, 0);
	arrive(&a, 1);
	ackline_done(&a, 1);
	assert_int_equal(a.h, UINT32_MAX - 1);
	assert_int_equal(ackline_save(&a, saved, 16), 1);
	ackline_load(&a, UINT32_MAX - 1, saved, 1);
	ackline_rewind(&a);
	assert_false(arrive(&a, UINT32_MAX));
	assert_false(arrive(&a, 0));
	assert_true(arrive(&a, 1));

	ackline_init(&a, 0);
	arrive(&a, 1);
	ackline_done(&a, 1);
	assert_int_equal(a.h, 1);
}

static void a_number_beyond_the_window_breaks_the_link(_unused_ void **state)
{
	struct ackline a;
	bool bad;

	ackline_init(&a, 7);
	ackline_seen(&a, 7 + ACKLINE_WINDOW, &bad);
	assert_false(bad);
	assert_true(ackline_seen(&a, 8 + ACKLINE_WINDOW, &bad)); /* nothing is to be made of it */
	assert_true(bad);
	assert_true(ackline_seen(&a, 7, &bad)); /* at or behind h: a repetition */
	assert_false(bad);
}

/* Any order of completion ends with h at the end, and h never passes a number that is not done. */
static void any_order_of_completion(_unused_ void **state)
{
	srand(1);
	for (int round = 0; round < 200; round++) {
		uint32_t base = (uint32_t)rand() * 3u, order[300];
		bool done[301] = { false };
		struct ackline a;

		ackline_init(&a, base);
		for (uint32_t i = 0; i < 300; i++) {
			order[i] = i + 1;
			assert_false(arrive(&a, base + i + 1));
		}
		for (uint32_t i = 299; i > 0; i--) {
			uint32_t k = (uint32_t)rand() % (i + 1), t = order[i];

			order[i] = order[k];
			order[k] = t;
		}
		for (uint32_t i = 0; i < 300; i++) {
			ackline_done(&a, base + order[i]);
			done[order[i]] = true;
			for (uint32_t m = 1; m <= a.h - base; m++)
				assert_true(done[m]);
			assert_true(a.h - base == 300 || !done[a.h - base + 1]);
		}
		assert_int_equal(a.h, base + 300);
		assert_int_equal(a.ahead, 0);
	}
}

/* The wire asked for a page in the last stream and names its results; in this one nobody knows of them. */
static void what_has_no_effect_the_second_time_is_done(_unused_ void **state)
{
	struct ackline a;

	ackline_init(&a, 10);
	arrive(&a, 11);
	arrive(&a, 12);
	ackline_rewind(&a);
	assert_false(arrive(&a, 13));
	ackline_done(&a, 13);
	assert_int_equal(a.h, 13);
}

static void a_number_counts_once(_unused_ void **state)
{
	struct ackline a;

	ackline_init(&a, 10);
	arrive(&a, 12);
	ackline_done(&a, 13);
	ackline_done(&a, 13);
	ackline_done(&a, 10); /* behind h, or beyond the window: none of these */
	ackline_done(&a, 12 + ACKLINE_WINDOW);
	assert_int_equal(a.h, 11);
	assert_int_equal(a.ahead, 1);
}

/* What is saved is what is loaded, as many as there is room for, and not a byte more. */
static void what_is_ahead_comes_back_and_no_more(_unused_ void **state)
{
	const uint32_t base = 0x87654320;
	uint8_t saved[13];
	struct ackline a, b;

	ackline_init(&a, base);
	for (uint32_t n = base + 1; n <= base + 6; n++)
		assert_false(arrive(&a, n));
	ackline_done(&a, base + 2);
	ackline_done(&a, base + 4);
	ackline_done(&a, base + 6);
	memset(saved, 0xee, sizeof(saved));
	assert_int_equal(ackline_save(&a, saved, 2), 2);
	assert_int_equal(saved[8], 0xee);
	assert_int_equal(ackline_save(&a, saved, 100), 3);
	assert_int_equal(saved[12], 0xee);

	memset(&b, 0xff, sizeof(b)); /* whatever it was before */
	ackline_load(&b, base, saved, 2);
	assert_int_equal(b.ahead, 2);
	assert_true(arrive(&b, base + 4));
	assert_false(arrive(&b, base + 6));
	ackline_load(&b, base, saved, 3);
	assert_int_equal(b.ahead, 3);
	for (uint32_t n = base + 1; n <= base + 6; n++)
		assert_int_equal(arrive(&b, n), n % 2 == 0);
	/* A row from elsewhere: what does not fit is of no number here. */
	ackline_load(&b, base + 6, saved, 3);
	assert_int_equal(b.ahead, 0);
	ackline_load(&b, base - ACKLINE_WINDOW, saved, 3);
	assert_int_equal(b.ahead, 0);
}

/* Numbers all over the window, in any order and any run: what is done, and what h is, as in a plain list. */
static void the_whole_window_is_as_a_list(_unused_ void **state)
{
	enum { ALL = 4 * ACKLINE_WINDOW };
	bool *done = xcalloc(ALL + 1, sizeof(*done));

	srand(2);
	for (int round = 0; round < 12; round++) {
		uint32_t base = UINT32_MAX - (uint32_t)rand() % ALL, h = 0, seen = 0;
		struct ackline a;

		memset(done, 0, ALL + 1);
		ackline_init(&a, base);
		while (h < ALL) {
			uint32_t room = h + ACKLINE_WINDOW < ALL ? ACKLINE_WINDOW : ALL - h, n;
			size_t ahead = 0;

			while (seen < h + room)
				assert_false(arrive(&a, base + ++seen));
			/* Mostly far ahead; then what holds h back, so that it goes on by many words. */
			for (int i = 0; i < ACKLINE_WINDOW / (round % 3 + 1); i++) {
				n = h + 2 + (uint32_t)rand() % (room > 1 ? room - 1 : 1);
				if (n > ALL || n > h + room)
					continue;
				ackline_done(&a, base + n);
				done[n] = true;
			}
			if (round % 2)
				for (n = h + 2; n <= h + room; n++) {
					ackline_done(&a, base + n);
					done[n] = true;
				}
			assert_int_equal(a.h, base + h);
			ackline_done(&a, base + h + 1);
			done[h + 1] = true;
			while (h < ALL && done[h + 1])
				h++;
			assert_int_equal(a.h, base + h);
			for (n = h + 1; n <= seen; n++) {
				ahead += done[n];
				assert_int_equal(arrive(&a, base + n), done[n]);
			}
			assert_int_equal(a.ahead, ahead);
		}
	}
	free(done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_live_message_inside_a_page_does_not_move_h),
		cmocka_unit_test(after_a_resume_what_was_stored_ahead_is_skipped),
		cmocka_unit_test(numbers_that_nobody_names_count_as_done),
		cmocka_unit_test(D1_D2_the_counter_wraps),
		cmocka_unit_test(a_number_beyond_the_window_breaks_the_link),
		cmocka_unit_test(any_order_of_completion),
		cmocka_unit_test(what_has_no_effect_the_second_time_is_done),
		cmocka_unit_test(a_number_counts_once),
		cmocka_unit_test(what_is_ahead_comes_back_and_no_more),
		cmocka_unit_test(the_whole_window_is_as_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
