/* core/ackline: which stanzas are durable, in numbers modulo 2^32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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
	ackline_seen(&a, 8 + ACKLINE_WINDOW, &bad);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_live_message_inside_a_page_does_not_move_h),
		cmocka_unit_test(after_a_resume_what_was_stored_ahead_is_skipped),
		cmocka_unit_test(numbers_that_nobody_names_count_as_done),
		cmocka_unit_test(D1_D2_the_counter_wraps),
		cmocka_unit_test(a_number_beyond_the_window_breaks_the_link),
		cmocka_unit_test(any_order_of_completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
