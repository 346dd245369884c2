/* When the engine tries again: back-off, and what ends a wait. */

#include "base/log.h"
#include "base/mem.h"
#include "link/link.h"
#include "story.h"
#include "sync/engine-priv.h"

/* In sync, and then the link broke. */
static void given_cut(struct sim *s)
{
	given_in_sync(s, 5);
	sim_cut(s);
}

/* Nobody listens there. */
static void refuse(struct sim *s)
{
	struct link_record r;

	link_record_init(&r, LINK_FAILED);
	r.failed.failure = FAILURE_CONNECT;
	r.failed.text = "connection refused";
	engine_record(s->engine, &r);
}

/* ${us} without a server; how often it was tried, and the longest time between two tries. */
static unsigned int without_server(struct sim *s, int64_t us, int64_t *ret_longest_us)
{
	int64_t until = s->boot_us + us, last = s->boot_us;
	unsigned int before = s->wires;

	*ret_longest_us = 0;
	s->mute = true;
	while (s->boot_us < until) {
		unsigned int had = s->wires;

		if (s->wire)
			refuse(s);
		sim_run(s, SIM_SEC / 10);
		if (s->wires == had)
			continue;
		if (s->boot_us - last > *ret_longest_us)
			*ret_longest_us = s->boot_us - last;
		last = s->boot_us;
	}
	s->mute = false;
	return s->wires - before;
}

static void J5_a_server_that_is_down_for_an_hour_sees_few_tries(void **state)
{
	struct sim *s = *state;
	unsigned int tries;
	int64_t longest;

	given_cut(s);
	tries = without_server(s, HOUR, &longest);
	/* 1 s doubled to 300 s, and by chance down to half of that. */
	assert_in_range(tries, 12, 40);
	assert_in_range(longest, 150 * SIM_SEC, 301 * SIM_SEC);
	assert_int_equal(s->engine->state, ENGINE_WAIT);
}

/* Not in step with everybody else who lost the same server. */
static void J5_two_clients_do_not_come_in_the_same_moment(_unused_ void **state)
{
	struct sim *s = xnew(struct sim), *t = xnew(struct sim);
	int64_t longest[2];

	sim_init(s, 1);
	sim_init(t, 2);
	given_cut(s);
	given_cut(t);
	without_server(s, HOUR / 4, &longest[0]);
	without_server(t, HOUR / 4, &longest[1]);
	assert_int_not_equal(longest[0], longest[1]);
	sim_deinit(s);
	sim_deinit(t);
	free(s);
	free(t);
}

static void J5_another_network_ends_the_wait_at_once(void **state)
{
	struct sim *s = *state;
	unsigned int before;
	int64_t longest;

	given_cut(s);
	without_server(s, HOUR, &longest);
	before = s->wires;
	engine_network(s->engine, true);
	assert_int_equal(s->wires, before + 1);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	/* And from the beginning, should that break too. */
	sim_cut(s);
	sim_run(s, 2 * SIM_SEC);
	assert_int_equal(s->wires, before + 2);
}

/* The end of a sleep is the same trigger; a network that is gone is none. */
static void P9_no_network_ends_no_wait(void **state)
{
	struct sim *s = *state;
	unsigned int before;
	int64_t longest;

	given_cut(s);
	without_server(s, HOUR / 10, &longest);
	before = s->wires;
	for (int i = 0; i < 50; i++)
		engine_network(s->engine, false);
	assert_int_equal(s->wires, before);
}

static void D18_a_session_past_its_time_is_tried_all_the_same(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 5);
	s->engine->session.sm_max = 300;
	sim_cut(s);
	s->boot_us += 2 * HOUR;
	sim_forget_session(s);
	sim_fill(s, 30, 2, 60 * SIM_SEC);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	/* It cost nothing that it was refused. */
	assert_string_equal(s->start_sm_id, "s1");
	assert_int_equal(s->resumes, 0);
	assert_int_equal(s->binds, 2);
	sim_expect_all(s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(J5_a_server_that_is_down_for_an_hour_sees_few_tries),
		cmocka_unit_test(J5_two_clients_do_not_come_in_the_same_moment),
		STORY(J5_another_network_ends_the_wait_at_once),
		STORY(P9_no_network_ends_no_wait),
		STORY(D18_a_session_past_its_time_is_tried_all_the_same),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
