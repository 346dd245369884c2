/* bus/stall: a connection that does not move has to end, one that moves a little stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "bus/stall.h"

#define START INT64_C(1000)

static void authentication_has_its_time(_unused_ void **state)
{
	const struct stall_look not_yet = { 0 };
	struct stall s;

	stall_init(&s, START);
	assert_null(stall_check(&s, &not_yet, START + STALL_AUTH_US));
	assert_string_equal(stall_check(&s, &not_yet, START + STALL_AUTH_US + 1), "did not authenticate");
}

static void who_is_idle_stays(_unused_ void **state)
{
	const struct stall_look idle = { .ready = true };
	struct stall s;

	stall_init(&s, START);
	for (int64_t us = START; us < START + 10 * STALL_MAX_US; us += STALL_MAX_US / 2)
		assert_null(stall_check(&s, &idle, us));
}

static void a_call_that_stops_in_the_middle_ends_it(_unused_ void **state)
{
	struct stall_look look = { .ready = true, .coming = 100 };
	int64_t us = START;
	struct stall s;

	stall_init(&s, START);
	/* It comes on, slowly. */
	for (; look.coming < 200; look.coming++)
		assert_null(stall_check(&s, &look, us += STALL_MAX_US));
	look.coming--;
	assert_null(stall_check(&s, &look, us + STALL_MAX_US));
	assert_string_equal(stall_check(&s, &look, us + STALL_MAX_US + 1), "stopped in the middle of a call");
	/* The next one, as long as it, has time of its own. */
	look.coming = 0;
	assert_null(stall_check(&s, &look, us + STALL_MAX_US + 2));
	look.coming = 199;
	assert_null(stall_check(&s, &look, us + 2 * STALL_MAX_US));
}

static void answers_that_are_not_taken_end_it(_unused_ void **state)
{
	struct stall_look look = { .ready = true, .queued = 3, .outq = 70000 };
	int64_t us = START;
	struct stall s;

	stall_init(&s, START);
	/* One big answer leaves in pieces; then the next ones go. */
	for (; look.outq > 60000; look.outq -= 1000)
		assert_null(stall_check(&s, &look, us += STALL_MAX_US));
	for (; look.queued > 1; look.queued--)
		assert_null(stall_check(&s, &look, us += STALL_MAX_US));
	assert_null(stall_check(&s, &look, us += STALL_MAX_US));
	assert_null(stall_check(&s, &look, us + STALL_MAX_US));
	assert_string_equal(stall_check(&s, &look, us + STALL_MAX_US + 1), "is stuck");
	/* What the kernel still has is no answer of ours that waits. */
	look.queued = 0;
	assert_null(stall_check(&s, &look, us + 3 * STALL_MAX_US));
	assert_null(stall_check(&s, &look, us + 6 * STALL_MAX_US));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authentication_has_its_time),
		cmocka_unit_test(who_is_idle_stays),
		cmocka_unit_test(a_call_that_stops_in_the_middle_ends_it),
		cmocka_unit_test(answers_that_are_not_taken_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
