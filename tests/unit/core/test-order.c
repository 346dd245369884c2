/* core/order: keys in archive order whatever the clocks say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "core/order.h"

#define SEC INT64_C(1000000)

static void strictly_between(const int64_t *keys, size_t n, int64_t lo, int64_t hi)
{
	for (size_t i = 0; i < n; i++) {
		assert_true(keys[i] > lo);
		lo = keys[i];
	}
	assert_true(lo < hi);
}

static void plain_stamps_are_their_own_keys(_unused_ void **state)
{
	const int64_t us[] = { 1 * SEC, 2 * SEC, 3 * SEC };
	int64_t keys[3];

	assert_true(order_place(us, 3, INT64_MIN, INT64_MAX, false, keys));
	for (int i = 0; i < 3; i++)
		assert_int_equal(keys[i], us[i]);
}

/* Ten messages with the same stamp keep archive order. */
static void F6_ten_messages_with_the_same_stamp(_unused_ void **state)
{
	int64_t us[10], keys[10];

	for (int i = 0; i < 10; i++)
		us[i] = 7 * SEC;
	assert_true(order_place(us, 10, INT64_MIN, INT64_MAX, false, keys));
	strictly_between(keys, 10, 7 * SEC - 1, INT64_MAX);
}

/* Pages come newest first: there is room below, in the same second too. */
static void F8_pages_newest_first_leave_room_below(_unused_ void **state)
{
	int64_t us[250], keys[250], hi = INT64_MAX;

	for (int i = 0; i < 250; i++)
		us[i] = 7 * SEC;
	for (int page = 0; page < 40; page++) {
		assert_true(order_place(us, 250, 3 * SEC, hi, false, keys));
		strictly_between(keys, 250, 3 * SEC, hi);
		hi = keys[0];
	}
}

/* The local clock was a day ahead when the last live message came: later pages still go above it. */
static void F1_F2_a_clock_that_was_ahead(_unused_ void **state)
{
	const int64_t us[] = { 10 * SEC, 11 * SEC };
	int64_t keys[2], ahead = 86400 * SEC;

	assert_true(order_place(us, 2, ahead, INT64_MAX, false, keys));
	strictly_between(keys, 2, ahead, INT64_MAX);
	assert_true(keys[0] - ahead >= ORDER_ROOM / 2);
	assert_true(order_place(us, 2, ahead, INT64_MAX, true, keys));
	assert_int_equal(keys[0], ahead + 1);
}

static void no_room_is_said_and_not_guessed(_unused_ void **state)
{
	const int64_t us[] = { 5, 5, 5 };
	int64_t keys[3];

	assert_false(order_place(us, 3, 100, 103, true, keys));
	assert_false(order_place(us, 3, 100, 103, false, keys));
	assert_true(order_place(us, 3, 100, 104, true, keys));
	strictly_between(keys, 3, 100, 104);
}

static void nothing_and_one_have_places(_unused_ void **state)
{
	const int64_t us[] = { 5 * SEC };
	int64_t keys[1] = { 0 };

	assert_true(order_place(us, 0, 7, 7, false, keys));
	assert_true(order_place(us, 1, INT64_MIN, INT64_MAX, false, keys));
	assert_int_equal(keys[0], 5 * SEC);
}

/* Ties and what is above the ceiling take the places directly below it, so that as much room as can be is left. */
static void below_a_ceiling_nothing_is_wasted(_unused_ void **state)
{
	const int64_t us[] = { 6 * SEC, 7 * SEC, 9 * SEC };
	int64_t keys[3];

	assert_true(order_place(us, 3, 0, 7 * SEC, false, keys));
	assert_int_equal(keys[0], 6 * SEC);
	assert_int_equal(keys[1], 7 * SEC - 2);
	assert_int_equal(keys[2], 7 * SEC - 1);
}

/* Where the natural place is taken, and something may still come in between: half of the room stays free, or enough. */
static void what_is_missing_in_between_has_room(_unused_ void **state)
{
	const int64_t us[] = { 5, 5, 2000, 2000 };
	int64_t keys[4];

	assert_true(order_place(us, 2, 1000, 1100, false, keys));
	assert_int_equal(keys[0], 1051);
	assert_int_equal(keys[1], 1052);
	assert_true(order_place(us, 3, 1000, 1100, false, keys));
	assert_int_equal(keys[0], 1051);
	assert_int_equal(keys[2], 1099);
	assert_true(order_place(us, 2, 1000, 1000 + 4 * ORDER_ROOM, false, keys));
	assert_int_equal(keys[0], 1001 + ORDER_ROOM);
	/* The place itself is taken, and no ceiling. */
	assert_true(order_place(us, 2, 5, INT64_MAX, false, keys));
	assert_int_equal(keys[0], 6 + ORDER_ROOM);
	/* Four keys above the free half hold three messages, and not four. */
	assert_true(order_place(us, 3, 1000, 1008, false, keys));
	strictly_between(keys, 3, 1004, 1008);
	assert_false(order_place(us, 4, 1000, 1008, false, keys));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_stamps_are_their_own_keys),
		cmocka_unit_test(F6_ten_messages_with_the_same_stamp),
		cmocka_unit_test(F8_pages_newest_first_leave_room_below),
		cmocka_unit_test(F1_F2_a_clock_that_was_ahead),
		cmocka_unit_test(no_room_is_said_and_not_guessed),
		cmocka_unit_test(nothing_and_one_have_places),
		cmocka_unit_test(below_a_ceiling_nothing_is_wasted),
		cmocka_unit_test(what_is_missing_in_between_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
