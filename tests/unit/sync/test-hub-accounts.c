/* sync/hub-accounts.c, hub-park.c: what of an account a user may change, and accounts that a rotation stops and starts. */
#define _GNU_SOURCE
#include "hub-fixture.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/jid.h"
#include "store/push.h"

/* P4: any address will do but our own, which no server takes. */
static void a_push_service_is_somebody_else(void **state)
{
	static const struct {
		const char *service, *says; /* "": accepted */
	} rows[] = {
		{ "push.test", "" },
		{ "Node@Push.test", "" },
		{ "unit.test", "" },
		{ "", "" },
		{ "me@unit.test", "the account itself" },
		{ "ME@unit.test", "the account itself" },
		{ "push.test/x", "not the address" },
		{ "push test", "not the address" },
	};
	struct fixture *f = *state;
	struct account a = { 0 };

	account_copy(&a, hub_account(f->hub, f->account));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *why = NULL, *folded = jid_bare(rows[i].service);
		int r;

		str_set(&a.push_service, rows[i].service);
		r = hub_account_update(f->hub, &a, &why);
		if (r != (*rows[i].says ? HUB_E_INVALID : 0) || !strstr(str_or_empty(why), rows[i].says))
			fail_msg("%s: %d %s", rows[i].service, r, str_or_empty(why));
		if (r == 0)
			assert_string_equal(hub_account(f->hub, f->account)->push_service, folded);
	}
	account_deinit(&a);
}

static void a_change_of_mind_without_end_is_refused_with_words(void **state)
{
	struct fixture *f = *state;
	struct account a = { 0 };
	_cleanup_(freep) char *why = NULL;

	account_copy(&a, hub_account(f->hub, f->account));
	for (int i = 0; i <= PUSH_GOING_MAX; i++) {
		free(a.push_service);
		a.push_service = xasprintf("s%d.test", i);
		assert_int_equal(hub_account_update(f->hub, &a, &why), 0);
	}
	str_set(&a.push_service, "more.test");
	assert_int_equal(hub_account_update(f->hub, &a, &why), HUB_E_LIMIT);
	assert_non_null(strstr(why, "let it connect first"));
	assert_string_equal(hub_account(f->hub, f->account)->push_service, "s8.test");
	account_deinit(&a);
}

static void on_parked(void *userdata)
{
	assert_int_equal(hub_reset_seats(userdata), 0); /* as on another archive */
	hub_unpark(userdata);
}

/* The loop runs until an attempt is under way or planned, or not for ${patience_us}: is it? */
static bool tries(struct fixture *f, int64_t patience_us)
{
	int64_t until = clock_boot_us() + patience_us;
	_cleanup_(freep) char *why = NULL;
	struct account_status s;
	struct seat *seat;

	assert_int_equal(hub_find_seat(f->hub, f->account, &seat, &why), 0);
	do {
		engine_status(seat->engine, &s);
		if (s.next_retry_us || seat->peer)
			return true;
		assert_true(sd_event_run(f->event, 10000) >= 0);
	} while (clock_boot_us() < until);
	return false;
}

/* The wire is /bin/false: what connects is offline at once, and waits for its next attempt. */
static void who_waits_for_the_next_attempt_tries_again_after_a_rotation(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *why = NULL;
	struct account_status s = { 0 };
	struct account enabled;
	struct seat *seat;

	assert_int_equal(hub_find_seat(f->hub, f->account, &seat, &why), 0);
	enabled = *engine_account(seat->engine);
	enabled.enabled = true;
	assert_int_equal(hub_account_update(f->hub, &enabled, &why), 0);
	for (int64_t until = clock_boot_us() + 30 * USEC_PER_SEC; clock_boot_us() < until; engine_status(seat->engine, &s)) {
		if (s.next_retry_us && !seat->peer)
			break;
		assert_true(sd_event_run(f->event, 10000) >= 0);
	}
	if (!s.next_retry_us)
		fail_msg("%s: %s", s.state, s.reason_text);
	assert_int_equal(hub_park(f->hub, on_parked, f->hub), 0);
	while (f->hub->park)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	assert_true(tries(f, 30 * USEC_PER_SEC));
	/* Whom the user has disconnected stays so. */
	assert_int_equal(hub_account_disconnect(f->hub, f->account, &why), 0);
	while (seat->peer)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	assert_int_equal(hub_park(f->hub, on_parked, f->hub), 0);
	while (f->hub->park)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	assert_false(tries(f, USEC_PER_SEC / 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_push_service_is_somebody_else),
		CASE(a_change_of_mind_without_end_is_refused_with_words),
		CASE(who_waits_for_the_next_attempt_tries_again_after_a_rotation),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
