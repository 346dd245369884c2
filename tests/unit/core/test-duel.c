/* core/duel: two wires, one session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/duel.h"

#define MS INT64_C(1000)
#define S INT64_C(1000000)
#define T (1000 * S)
#define ANSWER (3 * S)

/* A duel with a second since T. */
static struct duel begun(void)
{
	struct duel d = { 0 };

	assert_false(duel_ask(&d, T, ANSWER, true));
	assert_int_equal(duel_move(&d, T), DUEL_START);
	duel_started(&d, T);
	assert_int_equal(duel_move(&d, T), DUEL_WAIT);
	return d;
}

static void without_a_duel_nothing_is_due(_unused_ void **state)
{
	struct duel d = { 0 };

	assert_int_equal(duel_move(&d, T), DUEL_WAIT);
	assert_int_equal(duel_next_us(&d), 0);
	assert_false(duel_answered(&d, T));
	assert_false(duel_first_ended(&d, T));
	assert_false(duel_end(&d));
	duel_moved(&d, T, true);
	duel_failed(&d, T);
	assert_int_equal(duel_move(&d, T + 1000 * S), DUEL_WAIT);
	assert_int_equal(d.vain, 0);
}

static void the_first_that_answers_stays(_unused_ void **state)
{
	struct duel d = begun();

	duel_moved(&d, T + 400 * MS, true);
	assert_true(duel_answered(&d, T + 450 * MS));
	assert_int_equal(duel_next_us(&d), 0);
	assert_int_equal(duel_move(&d, T + 100 * S), DUEL_WAIT);
}

static void the_second_that_is_ready_wins_over_silence(_unused_ void **state)
{
	struct duel d = begun();

	/* Ready at once: the first still has its half second. */
	duel_moved(&d, T + 20 * MS, true);
	assert_int_equal(duel_next_us(&d), T + DUEL_FAIR_US);
	assert_int_equal(duel_move(&d, T + DUEL_FAIR_US - 1), DUEL_WAIT);
	assert_int_equal(duel_move(&d, T + DUEL_FAIR_US), DUEL_CUT);
	assert_true(duel_first_ended(&d, T + DUEL_FAIR_US));
	/* Ready later: a moment, for answers that travel together. */
	d = begun();
	duel_moved(&d, T + 900 * MS, false);
	assert_int_equal(duel_move(&d, T + 2 * S), DUEL_WAIT);
	duel_moved(&d, T + 2 * S, true);
	duel_moved(&d, T + 2 * S + 100 * MS, true);
	assert_int_equal(duel_next_us(&d), T + 2 * S + DUEL_GRACE_US);
	assert_int_equal(duel_move(&d, T + 2 * S + DUEL_GRACE_US), DUEL_CUT);
}

static void a_first_that_ends_is_followed_by_a_second_that_gets_on(_unused_ void **state)
{
	struct duel d = begun();

	assert_true(duel_first_ended(&d, T + 5 * MS));
	d = begun();
	duel_moved(&d, T + 2 * S, false);
	assert_true(duel_first_ended(&d, T + 3 * S));
	/* Stuck: a new one asks the network as it is now. */
	d = begun();
	assert_false(duel_first_ended(&d, T + 3 * S));
	/* Who waits for a word is not stuck. */
	d = begun();
	duel_moved(&d, T + 10 * MS, true);
	assert_true(duel_first_ended(&d, T + 3 * S));
	assert_int_equal(d.vain, 0);
}

static void a_second_that_ends_leaves_the_first_its_time(_unused_ void **state)
{
	struct duel d = begun();

	duel_failed(&d, T + 10 * MS);
	assert_int_equal(duel_move(&d, T + ANSWER), DUEL_WAIT);
	assert_false(duel_first_ended(&d, T + ANSWER));
	assert_int_equal(d.vain, 1);
	d = begun();
	duel_moved(&d, T + 10 * MS, true);
	duel_failed(&d, T + 20 * MS);
	assert_int_equal(duel_move(&d, T + ANSWER), DUEL_WAIT);
}

static void a_first_that_does_not_even_say_it_is_lost_hangs(_unused_ void **state)
{
	struct duel d = { 0 };

	assert_false(duel_ask(&d, T, ANSWER, false));
	assert_int_equal(duel_move(&d, T), DUEL_WAIT);
	assert_int_equal(duel_next_us(&d), T + ANSWER + DUEL_SLACK_US);
	assert_int_equal(duel_move(&d, T + ANSWER + DUEL_SLACK_US), DUEL_CUT);
	assert_false(duel_first_ended(&d, T + ANSWER + DUEL_SLACK_US));
	d = begun();
	assert_int_equal(duel_move(&d, T + ANSWER + DUEL_SLACK_US), DUEL_CUT);
}

static void a_new_trigger_begins_anew(_unused_ void **state)
{
	struct duel d = begun();

	duel_moved(&d, T + 10 * MS, true);
	/* The second was made for the network of before; the next one waits a little. */
	assert_true(duel_ask(&d, T + 400 * MS, ANSWER, true));
	assert_int_equal(duel_move(&d, T + 600 * MS), DUEL_WAIT);
	/* And the first has no more time than it had. */
	assert_int_equal(duel_next_us(&d), T + ANSWER + DUEL_SLACK_US);
	assert_int_equal(d.vain, 1);
	assert_false(duel_ask(&d, T + 500 * MS, 100 * MS, true));
	assert_int_equal(duel_next_us(&d), T + 600 * MS + DUEL_SLACK_US);
}

static void while_it_flaps_seconds_become_rare(_unused_ void **state)
{
	struct duel d = { 0 };
	int64_t now = T, last = 0, rest = 0;
	int started = 0;

	for (; now < T + 3600 * S; now += 1 * S) {
		if (duel_ask(&d, now, ANSWER, true))
			assert_true(d.rest_until_us > now);
		if (duel_move(&d, now) == DUEL_START) {
			assert_true(now - last >= rest);
			rest = d.vain > 6 ? DUEL_REST_CAP_US : 0;
			last = now;
			started++;
			duel_started(&d, now);
		}
		duel_answered(&d, now + 300 * MS);
	}
	assert_in_range(started, 12, 20);
	/* After a long quiet time it is as it was. */
	now += 2 * DUEL_REST_CAP_US;
	duel_ask(&d, now, ANSWER, true);
	assert_int_equal(d.vain, 0);
	assert_int_equal(duel_move(&d, now), DUEL_START);
}

static void a_rest_that_ends_within_the_duel_lets_one_start(_unused_ void **state)
{
	struct duel d = begun();

	duel_answered(&d, T + 100 * MS);
	assert_false(duel_ask(&d, T + 3 * S, ANSWER, true));
	assert_int_equal(duel_move(&d, T + 3 * S), DUEL_WAIT);
	assert_int_equal(duel_next_us(&d), T + 100 * MS + DUEL_REST_US);
	assert_int_equal(duel_move(&d, T + 100 * MS + DUEL_REST_US), DUEL_START);
}

static void who_is_told_to_stop_draws_no_conclusion(_unused_ void **state)
{
	struct duel d = begun();

	assert_true(duel_end(&d));
	assert_int_equal(d.vain, 0);
	assert_int_equal(duel_next_us(&d), 0);
}

static void a_second_that_ended_takes_nothing_over(_unused_ void **state)
{
	struct duel d = begun();

	duel_moved(&d, T + 10 * MS, true);
	duel_failed(&d, T + 20 * MS);
	assert_false(duel_first_ended(&d, T + 30 * MS));
	/* Stuck begins where it says. */
	d = begun();
	assert_false(duel_first_ended(&d, T + DUEL_STUCK_US));
	d = begun();
	assert_true(duel_first_ended(&d, T + DUEL_STUCK_US - 1));
}

static void a_second_that_took_over_was_not_in_vain(_unused_ void **state)
{
	struct duel d = begun();

	duel_answered(&d, T + 100 * MS);
	assert_int_equal(d.vain, 1);
	assert_int_equal(d.rest_until_us, T + 100 * MS + DUEL_REST_US);
	duel_ask(&d, T + 20 * S, ANSWER, true);
	duel_started(&d, T + 20 * S);
	duel_answered(&d, T + 21 * S);
	assert_int_equal(d.rest_until_us, T + 21 * S + 2 * DUEL_REST_US);
	duel_ask(&d, T + 60 * S, ANSWER, true);
	duel_started(&d, T + 60 * S);
	assert_true(duel_first_ended(&d, T + 61 * S));
	assert_int_equal(d.vain, 0);
	/* And the duel is over. */
	assert_int_equal(duel_next_us(&d), 0);
	assert_int_equal(duel_move(&d, T + 70 * S), DUEL_WAIT);
	assert_false(duel_end(&d));
}

static void no_second_before_it_may_be(_unused_ void **state)
{
	struct duel d = { .vain = 3 };

	duel_rest(&d, T + S);
	duel_rest(&d, T);
	assert_false(duel_ask(&d, T, ANSWER, true));
	assert_int_equal(duel_move(&d, T), DUEL_WAIT);
	assert_int_equal(duel_next_us(&d), T + S);
	assert_int_equal(duel_move(&d, T + S), DUEL_START);
	/* What was in vain is forgotten once there was quiet for as long as a rest can be. */
	duel_end(&d);
	duel_ask(&d, T + S + DUEL_REST_CAP_US - 1, ANSWER, true);
	assert_int_equal(d.vain, 3);
	duel_ask(&d, T + S + DUEL_REST_CAP_US, ANSWER, true);
	assert_int_equal(d.vain, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_duel_nothing_is_due),
		cmocka_unit_test(the_first_that_answers_stays),
		cmocka_unit_test(the_second_that_is_ready_wins_over_silence),
		cmocka_unit_test(a_first_that_ends_is_followed_by_a_second_that_gets_on),
		cmocka_unit_test(a_second_that_ends_leaves_the_first_its_time),
		cmocka_unit_test(a_first_that_does_not_even_say_it_is_lost_hangs),
		cmocka_unit_test(a_new_trigger_begins_anew),
		cmocka_unit_test(while_it_flaps_seconds_become_rare),
		cmocka_unit_test(a_rest_that_ends_within_the_duel_lets_one_start),
		cmocka_unit_test(who_is_told_to_stop_draws_no_conclusion),
		cmocka_unit_test(a_second_that_ended_takes_nothing_over),
		cmocka_unit_test(a_second_that_took_over_was_not_in_vain),
		cmocka_unit_test(no_second_before_it_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
