/* Small pages that are here at the same time are stored in one transaction; whatever is wrong with one, one by one. */
#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

/* Three pages of 50 below the newest one, whole and not stored; nothing keeps them from being stored now. */
static void given_three_pages(struct sim *s)
{
	struct engine *e;

	s->page_cap = 50;
	sim_fill(s, 600, 3, 60 * SIM_SEC);
	sim_restart(s);
	e = s->engine;
	engine_connect(e);
	while (!e->whole || e->whole->step != PLAN_BEFORE || query_count(e->whole) < 3) {
		if (!sim_step(s))
			sim_run(s, 1);
		/* The newest page, and what was here before three were. */
		if (e->whole && e->whole->step != PLAN_BEFORE)
			engine_timer(e, TIMER_STORE);
	}
	assert_int_equal(query_count(e->whole), 3);
	e->slice = 1000;
	e->items_seen = e->items_came;
}

static void pages_that_wait_are_stored_together(void **state)
{
	struct sim *s = *state;
	struct engine *e;
	uint64_t before;
	int64_t archive;
	struct ackline line;
	bool bad = false;
	uint32_t last;

	given_three_pages(s);
	e = s->engine;
	before = e->messages;
	last = e->whole->next->next->fin_n;
	engine_timer(e, TIMER_STORE);
	assert_null(e->whole);
	assert_int_equal(e->messages, before + 150);
	/* The stanza of the last answer is durable with them. */
	assert_true(e->counted);
	line = e->line;
	ackline_rewind(&line);
	assert_true(ackline_seen(&line, last, &bad));
	assert_false(bad);
	assert_int_equal(engine_cover(e, &archive)->n, 1);
	sim_expect_honest(s);
	sim_kill(s);
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

static void as_many_as_a_slice_holds(void **state)
{
	struct sim *s = *state;
	uint64_t before;

	given_three_pages(s);
	before = s->engine->messages;
	s->engine->slice = 149;
	engine_timer(s->engine, TIMER_STORE);
	assert_int_equal(s->engine->messages, before + 100);
	assert_int_equal(query_count(s->engine->whole), 1);
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

/* That it is not settled must be noted with it: it is stored by itself. */
static void a_page_that_is_not_plain_is_stored_by_itself(void **state)
{
	struct sim *s = *state;
	struct engine *e;
	uint64_t before;

	given_three_pages(s);
	e = s->engine;
	before = e->messages;
	e->whole->next->unsettled_us = 1;
	engine_timer(e, TIMER_STORE);
	assert_int_equal(e->messages, before + 50);
	assert_int_equal(e->recheck.since_us, 0);
	e->items_seen = e->items_came;
	engine_timer(e, TIMER_STORE);
	assert_int_equal(e->messages, before + 100);
	assert_int_equal(e->recheck.since_us, 1);
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

/* The second page has an id of the first one for another message: the first is stored all the same, and that one looked at. */
static void what_is_wrong_with_one_page_keeps_no_other_back(void **state)
{
	struct sim *s = *state;
	struct engine *e;
	uint64_t before;
	size_t last;

	given_three_pages(s);
	e = s->engine;
	before = e->messages;
	last = e->whole->next->n - 1;
	query_rename(e->whole->next, last - 3, e->whole->items[5]->archive_id);
	engine_timer(e, TIMER_STORE);
	assert_int_equal(e->messages, before + 50);
	assert_int_equal(query_count(e->whole), 2);
	sim_expect_honest(s);
}

static void a_full_disk_costs_nothing(void **state)
{
	struct sim *s = *state;
	struct engine *e;
	uint64_t before;
	int64_t archive;
	size_t spans;

	given_three_pages(s);
	e = s->engine;
	before = e->messages;
	spans = engine_cover(e, &archive)->n;
	sim_disk_full(s, true);
	engine_timer(e, TIMER_STORE);
	assert_true(e->store_failing);
	assert_int_equal(e->messages, before);
	assert_int_equal(engine_cover(e, &archive)->n, spans);
	sim_expect_honest(s);
	sim_disk_full(s, false);
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

/* More is on its way and was not read: storing waits for it, but never for long. */
static void storing_is_put_off_while_more_comes_in(void **state)
{
	struct sim *s = *state;
	struct engine *e;
	uint64_t before;
	int turns = 0;

	given_three_pages(s);
	e = s->engine;
	e->lanes.n = LANES_NARROW;
	catchup_go(e);
	assert_non_null(e->asked);
	before = e->messages;
	while (e->messages == before && turns <= PUT_OFF_MAX) {
		e->items_came++;
		assert_true(turns == 0 || s->timers[TIMER_STORE] != 0);
		engine_timer(e, TIMER_STORE);
		turns++;
	}
	assert_int_equal(turns, PUT_OFF_MAX + 1);
	assert_int_equal(e->messages, before + 150);
	comes_in_sync(s);
	sim_expect_all(s, 0);
}

static void a_full_slice_does_not_wait(void **state)
{
	struct sim *s = *state;
	uint64_t before;

	given_three_pages(s);
	before = s->engine->messages;
	s->engine->slice = 150;
	s->engine->items_came++;
	engine_timer(s->engine, TIMER_STORE);
	assert_int_equal(s->engine->messages, before + 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(pages_that_wait_are_stored_together),
		STORY(as_many_as_a_slice_holds),
		STORY(a_page_that_is_not_plain_is_stored_by_itself),
		STORY(what_is_wrong_with_one_page_keeps_no_other_back),
		STORY(a_full_disk_costs_nothing),
		STORY(storing_is_put_off_while_more_comes_in),
		STORY(a_full_slice_does_not_wait),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
