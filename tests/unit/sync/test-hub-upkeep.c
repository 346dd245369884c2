/* sync/hub-upkeep.c: the idle work comes after what is written, and is not put off by it for ever. */
#define _GNU_SOURCE
#include "hub-fixture.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/search.h"

static bool upkeep_is_due(struct fixture *f)
{
	int enabled = SD_EVENT_OFF;

	assert_true(sd_event_source_get_enabled(f->hub->upkeep_timer, &enabled) >= 0);
	return enabled != SD_EVENT_OFF;
}

/* It is looked for once in a burst; what is written after that look is not forgotten for it. */
static void upkeep_follows_every_send(void **state)
{
	struct fixture *f = *state;

	assert_false(upkeep_is_due(f));
	for (int i = 0; i < 3; i++) {
		const char *const ids[] = { "a", "b", "c" };

		send_hello(f, BOB, ids[i]);
		hub_tell(f->hub);
		assert_true(upkeep_is_due(f));
		/* As if its time had come, and all was done. */
		sd_event_source_set_enabled(f->hub->upkeep_timer, SD_EVENT_OFF);
	}
}

/* By the real clock, a second after the last: the timer that the first one set fires before that, and goes on waiting. */
static void upkeep_comes_after_the_last_send(void **state)
{
	struct fixture *f = *state;
	int64_t deadline_us = clock_boot_us() + 60 * USEC_PER_SEC;
	uint64_t behind = 0;

	for (int i = 0; i < 2; i++) {
		int64_t until_us = clock_boot_us() + USEC_PER_SEC / 2;

		send_hello(f, BOB, i ? "a" : "b");
		while (i == 0 && clock_boot_us() < until_us)
			assert_true(sd_event_run(f->event, USEC_PER_SEC / 10) >= 0);
	}
	assert_int_equal(search_behind(hub_store(f->hub), &behind), 0);
	assert_true(behind > 0);
	while (behind && clock_boot_us() < deadline_us) {
		assert_true(sd_event_run(f->event, USEC_PER_SEC / 10) >= 0);
		assert_int_equal(search_behind(hub_store(f->hub), &behind), 0);
	}
	assert_int_equal(behind, 0);
}

/* What is deleted is to be gone from the disk, and what is said to be found, also while somebody writes again and again. */
static void upkeep_is_not_put_off_for_ever(void **state)
{
	struct fixture *f = *state;
	int64_t deadline_us = clock_boot_us() + 60 * USEC_PER_SEC;
	uint64_t behind = 1;

	send_hello(f, BOB, "a");
	hub_tell(f->hub);
	assert_true(upkeep_is_due(f));
	/* As if it had gone on for a minute, and goes on. */
	f->hub->upkeep_due_us -= 60 * USEC_PER_SEC;
	while (behind && clock_boot_us() < deadline_us) {
		f->hub->upkeep_wrote_us = clock_boot_us() + 60 * USEC_PER_SEC;
		assert_true(sd_event_run(f->event, USEC_PER_SEC / 10) >= 0);
		assert_int_equal(search_behind(hub_store(f->hub), &behind), 0);
	}
	assert_int_equal(behind, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(upkeep_follows_every_send),
		CASE(upkeep_comes_after_the_last_send),
		CASE(upkeep_is_not_put_off_for_ever),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
