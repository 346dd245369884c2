/* A catch-up that leaves no idle time: the log is shortened between two slices, in turns of their own. */
#include "story.h"
#include "store/db.h"
#include "sync/engine-priv.h"

static void given_pages_are_here(struct sim *s)
{
	s->page_cap = 50;
	sim_fill(s, 400, 3, 60 * SIM_SEC);
	sim_restart(s);
	engine_connect(s->engine);
	a_page_of_history_comes(s);
	/* It does not wait for more pages. */
	s->engine->items_seen = s->engine->items_came;
}

static void a_long_log_takes_a_turn_of_its_own(void **state)
{
	struct sim *s = *state;
	uint64_t before;

	given_pages_are_here(s);
	before = s->engine->messages;
	s->store->limits.log_long = 5;
	assert_true(store_log_is_long(s->store));
	engine_timer(s->engine, TIMER_STORE);
	/* Nothing was stored, and the next turn is asked for. */
	assert_int_equal(s->engine->messages, before);
	assert_true(s->timers[TIMER_STORE] != 0);
	assert_false(store_log_is_long(s->store));
	engine_timer(s->engine, TIMER_STORE);
	assert_true(s->engine->messages > before);
}

static void a_catch_up_with_a_log_that_is_always_long_ends(void **state)
{
	struct sim *s = *state;

	given_pages_are_here(s);
	s->store->limits.log_long = 1;
	assert_true(sim_settle(s, 100 * SIM_SEC));
	sim_expect_all(s, 0);
	sim_expect_honest(s);
}

/* While a copy is complete and waits for its key, nothing may be written: nor is the log. */
static void a_frozen_log_is_never_long(void **state)
{
	struct sim *s = *state;

	given_pages_are_here(s);
	s->store->limits.log_long = 1;
	s->store->frozen = true;
	assert_false(store_log_is_long(s->store));
	s->store->frozen = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(a_long_log_takes_a_turn_of_its_own),
		STORY(a_catch_up_with_a_log_that_is_always_long_ends),
		STORY(a_frozen_log_is_never_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
