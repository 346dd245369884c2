/* core/recheck: when an answer that was not settled is looked at again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/recheck.h"

#define T (INT64_C(1700000000) * 1000000)

static void the_oldest_counts(_unused_ void **state)
{
	struct recheck r = { 0 };

	assert_true(recheck_note(&r, T, 5));
	assert_false(recheck_note(&r, T + 1, 6));
	assert_false(recheck_note(&r, T, 6));
	assert_true(recheck_note(&r, T - 1, 7));
	assert_int_equal(r.since_us, T - 1);
	/* A server that is never sure must not put it off for ever. */
	assert_int_equal(r.due_us, 5 + RECHECK_FIRST_US);
	assert_true(recheck_note(&r, RECHECK_ALL, 8));
	assert_false(recheck_note(&r, T, 8));
}

static void it_waits_longer_each_time_up_to_a_day(_unused_ void **state)
{
	struct recheck r = { 0 };
	int64_t last = RECHECK_FIRST_US;

	recheck_note(&r, T, 0);
	for (int i = 0; i < 40; i++) {
		recheck_done(&r, false, 1000);
		assert_true(r.due_us - 1000 >= last && r.due_us - 1000 <= RECHECK_CAP_US);
		last = r.due_us - 1000;
		assert_int_equal(r.since_us, T);
	}
	assert_int_equal(last, RECHECK_CAP_US);
	recheck_put_off(&r, 2000);
	assert_int_equal(r.due_us, 2000 + RECHECK_FIRST_US);
	recheck_done(&r, true, 3000);
	assert_int_equal(r.since_us, 0);
	assert_int_equal(r.due_us, 0);
}

static void what_was_stored_is_due_again(_unused_ void **state)
{
	struct recheck r;

	recheck_load(&r, T, 7);
	assert_int_equal(r.since_us, T);
	assert_int_equal(r.due_us, 7 + RECHECK_FIRST_US);
	recheck_load(&r, 0, 7);
	assert_int_equal(r.due_us, 0);
}

static void what_comes_while_it_is_looked_has_its_turn(_unused_ void **state)
{
	struct recheck r = { 0 };

	recheck_note(&r, T, 0);
	recheck_note_late(&r, T + 9);
	recheck_note_late(&r, T + 5);
	recheck_note_late(&r, T + 7);
	recheck_done(&r, true, 100);
	assert_int_equal(r.since_us, T + 5);
	assert_int_equal(r.due_us, 100 + RECHECK_FIRST_US);
	/* What was not settled is looked at from its end again, and that with it. */
	recheck_note_late(&r, T + 6);
	recheck_done(&r, false, 200);
	recheck_done(&r, true, 300);
	assert_int_equal(r.since_us, 0);
}

static void each_wait_is_twice_the_one_before(_unused_ void **state)
{
	struct recheck r = { 0 };

	recheck_note(&r, T, 0);
	for (int n = 1; n <= 6; n++) {
		recheck_done(&r, false, 1000);
		assert_int_equal(r.due_us - 1000, RECHECK_FIRST_US << n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_counts),
		cmocka_unit_test(it_waits_longer_each_time_up_to_a_day),
		cmocka_unit_test(what_was_stored_is_due_again),
		cmocka_unit_test(what_comes_while_it_is_looked_has_its_turn),
		cmocka_unit_test(each_wait_is_twice_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
