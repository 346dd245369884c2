/* core/ping: how long a stream may be silent before it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/ping.h"

#define S INT64_C(1000000)

static void it_grows_by_half_and_no_further_than_half_an_hour(_unused_ void **state)
{
	struct ping p = { .interval_us = PING_FIRST_US };

	assert_true(ping_survived(&p, 300 * S, 0));
	assert_int_equal(p.interval_us, 450 * S);
	assert_true(ping_survived(&p, 450 * S, 0));
	assert_int_equal(p.interval_us, 675 * S);
	for (int i = 0; i < 20; i++)
		ping_survived(&p, p.interval_us, 0);
	assert_int_equal(p.interval_us, PING_MAX_US);
	assert_false(ping_would_grow(p.interval_us, PING_MAX_US));
	assert_true(ping_would_grow(PING_FIRST_US, 250 * S));
	assert_false(ping_would_grow(PING_FIRST_US, 200 * S));
}

static void two_accounts_that_say_the_same_count_once(_unused_ void **state)
{
	struct ping p = { .interval_us = PING_FIRST_US };

	assert_true(ping_survived(&p, 300 * S, 0));
	assert_false(ping_survived(&p, 299 * S, 0));
	assert_int_equal(p.interval_us, 450 * S);
	assert_true(ping_died(&p, 450 * S, 0));
	assert_false(ping_died(&p, 449 * S, 0));
	assert_int_equal(p.interval_us, 225 * S);
	assert_int_equal(p.dead_us, 450 * S);
}

static void a_sleep_is_no_death_of_the_network(_unused_ void **state)
{
	struct ping p = { .interval_us = PING_FIRST_US };

	assert_false(ping_died(&p, 8 * 3600 * S, 0));
	assert_int_equal(p.interval_us, PING_FIRST_US);
	assert_int_equal(p.dead_us, 0);
}

/* P7: how often does a stream die behind a NAT that forgets after ${nat_s}, in a day and a half of silence? */
static int deaths(struct ping *p, int64_t nat_s, int64_t from_s, int64_t until_s)
{
	int64_t now = from_s * S, n = 0;

	while (now < until_s * S) {
		int64_t silence = p->interval_us;

		now += silence;
		if (silence >= nat_s * S) {
			n++;
			ping_died(p, silence, now);
		} else {
			ping_survived(p, silence, now);
		}
		assert_true(p->interval_us >= PING_MIN_US && p->interval_us <= PING_MAX_US);
	}
	return (int)n;
}

static void behind_any_nat_it_settles_after_few_deaths(_unused_ void **state)
{
	for (int64_t nat = 61; nat < 2000; nat++) {
		struct ping p = { .interval_us = PING_FIRST_US };
		int n = deaths(&p, nat, 0, 80000);

		assert_in_range(n, 0, nat < 180 ? 5 : 3);
		assert_int_equal(deaths(&p, nat, 80000, 86000), 0);
		/* And close to what it could be. */
		assert_true(p.interval_us >= (nat < 1800 ? nat : 1800) * S * 3 / 5 || p.interval_us == PING_MIN_US);
	}
}

static void a_death_is_forgotten_after_a_day_or_when_disproved(_unused_ void **state)
{
	struct ping p = { .interval_us = PING_FIRST_US };

	ping_died(&p, 300 * S, 0);
	assert_true(ping_survived(&p, 200 * S, 10 * S));
	assert_int_equal(p.interval_us, 300 * S - 300 * S / 8);
	assert_false(ping_survived(&p, p.interval_us, PING_FORGET_US - 1));
	assert_true(ping_survived(&p, p.interval_us, PING_FORGET_US + 1));
	p = (struct ping){ .interval_us = PING_FIRST_US };
	ping_died(&p, 300 * S, 0);
	assert_true(ping_survived(&p, 300 * S, 1 * S));
	assert_int_equal(p.interval_us, 450 * S);
}

static void networks_are_known_apart_and_the_oldest_is_forgotten(_unused_ void **state)
{
	struct ping_book b = { 0 };

	ping_of(&b, 7, 1)->interval_us = 60 * S;
	for (uint64_t i = 100; i < 100 + PING_NETWORKS - 1; i++)
		assert_int_equal(ping_of(&b, i, (int64_t)i)->interval_us, PING_FIRST_US);
	assert_int_equal(ping_of(&b, 7, 200)->interval_us, 60 * S);
	ping_of(&b, 101, 201)->interval_us = 90 * S;
	ping_of(&b, 999, 202);
	assert_int_equal(b.n, PING_NETWORKS);
	assert_int_equal(ping_of(&b, 7, 203)->interval_us, 60 * S);
	assert_int_equal(ping_of(&b, 101, 203)->interval_us, 90 * S);
	for (size_t i = 0; i < b.n; i++)
		assert_int_not_equal(b.networks[i].print, 100);
}

static void whatever_was_heard_last_all_come_to_ask_together(_unused_ void **state)
{
	for (int64_t interval = 60 * S; interval <= PING_MAX_US; interval = interval * 3 / 2 + 7)
		for (int64_t i = 0; i < 1000; i++) {
			int64_t heard = 5 * interval + i * interval / 1000, due = ping_due(heard, interval);

			assert_in_range(due - heard, interval * 7 / 16 - 1, interval);
			/* At the latest with the second one. */
			due = ping_due(due + 30000, interval);
			assert_true(due % interval == 0);
			assert_int_equal(ping_due(due + 30000, interval), due + interval);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_grows_by_half_and_no_further_than_half_an_hour),
		cmocka_unit_test(two_accounts_that_say_the_same_count_once),
		cmocka_unit_test(a_sleep_is_no_death_of_the_network),
		cmocka_unit_test(behind_any_nat_it_settles_after_few_deaths),
		cmocka_unit_test(a_death_is_forgotten_after_a_day_or_when_disproved),
		cmocka_unit_test(networks_are_known_apart_and_the_oldest_is_forgotten),
		cmocka_unit_test(whatever_was_heard_last_all_come_to_ask_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
