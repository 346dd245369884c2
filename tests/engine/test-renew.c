/*
 * B8: archives that are not what they were, wiped, made anew, moved, or with one id for two messages (docs/decisions/0019):
 * nothing that is stored goes or is replaced, what comes is stored, and nobody asks for ever.
 */
#include <stdio.h>
#include <string.h>

#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

/* Everything that ${bodies} named before is here once still. */
static void expect_kept(struct sim *s, int n)
{
	char body[32];

	for (int i = 0; i < n; i += 7) {
		snprintf(body, sizeof(body), "text %d", i);
		assert_int_equal(sim_count(s, body), 1);
	}
}

static void live_and_settled(struct sim *s, const char *body)
{
	sim_live(s, "c1@sim.test", body);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(sim_count(s, body), 1);
}

/* Everything there is gone. What is here stays; what comes is stored, now and after the next login; it asks for nothing else. */
static void wiped(struct sim *s, bool prosody)
{
	struct account_status st;

	server_is(s, prosody);
	given_in_sync(s, 120);
	session_is_lost(s);
	s->expired = s->n;
	s->boot_us += DAY;
	s->queries = 0;
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_kept(s, 120);
	live_and_settled(s, "the first after it");
	sim_kill(s);
	sim_forget_session(s);
	s->boot_us += DAY;
	sim_fill(s, 70, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_kept(s, 120);
	assert_int_equal((int)s->engine->messages, 120 + 71);
	engine_status(s->engine, &st);
	assert_int_equal(st.gaps, 0);
	/* What may have come between the two archives, and was never seen here, is said to be lost. */
	assert_int_equal(st.lost, 1);
	assert_true(s->queries < 10);
	s->queries = 0;
	sim_run(s, 3 * DAY);
	sim_restart(s);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_true(s->queries < 10);
	sim_expect_honest(s);
}

static void B8_a_wiped_archive_takes_nothing_away(void **state)
{
	wiped(*state, true);
}

static void B8_the_same_where_nobody_says_item_not_found(void **state)
{
	wiped(*state, false);
}

/* It counts anew: every id is known here, as another message. */
static void counts_anew(struct sim *s, bool prosody)
{
	struct account_status st;
	const struct verify_tally *tally;
	int64_t archive;

	server_is(s, prosody);
	given_in_sync(s, 120);
	sim_archive_anew(s);
	s->boot_us += DAY;
	for (int i = 0; i < 200; i++) {
		char body[32];

		snprintf(body, sizeof(body), "anew %d", i);
		sim_archive(s, "c1@sim.test", false, body, (200 - i) * 60 * SIM_SEC);
	}
	comes_in_sync(s);
	expect_kept(s, 120);
	for (int i = 0; i < 200; i += 3)
		assert_int_equal(sim_count(s, s->archive[i].body), 1);
	assert_int_equal((int)s->engine->messages, 120 + 200);
	sim_expect_honest(s);
	engine_status(s->engine, &st);
	assert_int_equal(st.gaps, 0);
	assert_int_equal(st.lost, 1);
	assert_true(cover_valid(engine_cover(s->engine, &archive)));
	assert_true(s->queries < 30);
	/* And from here on as ever. */
	live_and_settled(s, "live");
	s->queries = 0;
	sim_kill(s);
	sim_forget_session(s);
	s->boot_us += HOUR;
	sim_fill(s, 60, 2, SIM_SEC);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_kept(s, 120);
	assert_int_equal((int)s->engine->messages, 120 + 200 + 61);
	assert_true(s->queries < 10);
	tally = verified(s, "", 0);
	assert_int_equal(tally->missing, 0);
	assert_int_equal(tally->moved, 0);
	assert_int_equal((int)s->engine->messages, 120 + 200 + 61);
}

static void B8_an_archive_that_counts_anew_loses_no_message(void **state)
{
	counts_anew(*state, true);
}

static void B8_counting_anew_where_nobody_says_item_not_found(void **state)
{
	counts_anew(*state, false);
}

/* The first that shows it comes live. */
static void B8_a_live_message_with_an_id_of_another(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 120);
	s->n = 30; /* in the middle of the session */
	s->generation++;
	s->boot_us += HOUR;
	live_and_settled(s, "this is no text 30");
	expect_kept(s, 120);
	assert_int_equal(sim_count(s, "text 30"), 1);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	sim_expect_honest(s);
	assert_int_equal((int)s->engine->messages, 121);
}

/* A server that contradicts itself each time is not read for ever. */
static void B8_an_archive_that_is_another_each_time_costs_little(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	char body[32];

	given_in_sync(s, 120);
	s->queries = 0;
	for (int k = 0; k < 12; k++) {
		sim_archive_anew(s);
		s->generation = 1 + k % 7;
		s->contradicts = k > 3;
		for (int i = 0; i < 60; i++) {
			snprintf(body, sizeof(body), "%d of %d", i, k);
			sim_archive(s, "c1@sim.test", false, body, (60 - i) * SIM_SEC);
		}
		engine_connect(s->engine);
		sim_run(s, 600 * SIM_SEC);
		assert_true(cover_valid(&s->engine->cover));
	}
	/* Four times it is believed; after that each message gets an id of its own, and is stored all the same. */
	assert_in_range(s->queries, 8, 60);
	assert_int_equal(s->engine->renewals, 4);
	engine_status(s->engine, &st);
	assert_true(st.contradicts);
	expect_kept(s, 120);
	for (int i = 0; i < 60; i += 10)
		assert_int_equal(sim_count(s, s->archive[i].body), 1);
	s->boot_us += 24 * 3600 * SIM_SEC;
	engine_status(s->engine, &st);
	assert_false(st.contradicts);
}

/* Carried over to another server, with its stamps: one row for each, whatever its id is now. */
static void moved(struct sim *s, bool prosody)
{
	struct account_status st;

	server_is(s, prosody);
	given_in_sync(s, 120);
	sim_archive_moved(s, 'm');
	s->boot_us += HOUR;
	sim_fill(s, 20, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_expect_all(s, 0);
	engine_status(s->engine, &st);
	assert_int_equal(st.lost + st.gaps, 0);
	live_and_settled(s, "at the new server");
	verified(s, "", 0);
	sim_expect_all(s, 0);
}

static void B8_an_account_that_moved_with_its_archive(void **state)
{
	moved(*state, true);
}

static void B8_an_account_that_moved_where_nobody_says_item_not_found(void **state)
{
	moved(*state, false);
}

/* One id for two messages (an import into a server whose ids are stamps): nothing that is there is given up for it. */
static void B8_an_id_that_the_server_gave_twice(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 400, 2, 600 * SIM_SEC);
	memcpy(s->archive[150].id, s->archive[260].id, sizeof(s->archive[150].id));
	engine_connect(s->engine);
	assert_true(sim_settle(s, HOUR));
	assert_int_equal((int)s->engine->messages, 400);
	for (int i = 0; i < 400; i += 10)
		assert_int_equal(sim_count(s, s->archive[i].body), 1);
	assert_int_equal(open_gaps(s), 0);
	assert_true(s->queries < 30);
}

/*
 * Many of them, in one page and far apart: each message is here, once. Not at the ends of pages: "before" an id that two
 * messages have is what the server takes it for.
 */
static int inside_a_page(unsigned int *x)
{
	*x = *x * 1664525u + 1013904223u;
	return (int)((*x >> 8) % 6 * 50 + 1 + (*x >> 16) % 47);
}

static void B8_many_ids_that_were_given_twice(_unused_ void **state)
{
	for (unsigned int seed = 1; seed <= 12; seed++) {
		struct sim *s = story_memory();
		unsigned int x = seed * 2654435761u;

		sim_init(s, seed);
		s->item_not_found = seed % 2;
		s->lanes = 1;
		sim_fill(s, 300, 3, 600 * SIM_SEC);
		for (unsigned int k = 0; k < 1 + seed % 12; k++) {
			int a = inside_a_page(&x), b = k % 3 ? inside_a_page(&x) : a + 1;

			memcpy(s->archive[a].id, s->archive[b].id, sizeof(s->archive[a].id));
		}
		engine_connect(s->engine);
		if (!sim_settle(s, HOUR))
			fail_msg("seed %u: not settled", seed);
		for (int i = 0; i < 300; i++)
			if (sim_count(s, s->archive[i].body) != 1)
				fail_msg("seed %u: %s is here %d times", seed, s->archive[i].body, sim_count(s, s->archive[i].body));
		if (s->engine->renewals)
			fail_msg("seed %u: taken for another archive", seed);
		sim_deinit(s);
		story_forget(s);
	}
}

/* Bots and bridges: nothing but the archive's id tells their messages apart, and nothing of them is doubled. */
static void B8_the_same_where_senders_give_no_ids(void **state)
{
	struct sim *s = *state;

	s->no_ids = true;
	sim_fill(s, 100, 2, 600 * SIM_SEC);
	memcpy(s->archive[20].id, s->archive[80].id, sizeof(s->archive[20].id));
	engine_connect(s->engine);
	assert_true(sim_settle(s, HOUR));
	assert_int_equal(verified(s, "", 0)->missing, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(sim_count(s, s->archive[i].body), 1);
	assert_int_equal((int)s->engine->messages, 100);
}

/* The same where the second one comes live, and where it becomes the end of what is held. */
static void B8_a_live_message_with_an_id_that_was_given_before(void **state)
{
	struct sim *s = *state;
	struct account_status st;

	given_in_sync(s, 120);
	s->boot_us += HOUR;
	sim_archive(s, "c1@sim.test", false, "a twin", 0);
	memcpy(s->archive[120].id, s->archive[30].id, sizeof(s->archive[120].id));
	sim_cut(s);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(engine_sync_now(s->engine), 0);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_kill(s);
	sim_forget_session(s);
	s->boot_us += HOUR;
	sim_fill(s, 60, 2, SIM_SEC);
	s->queries = 0;
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal((int)s->engine->messages, 181);
	for (int i = 0; i < 181; i++)
		assert_int_equal(sim_count(s, s->archive[i].body), 1);
	engine_status(s->engine, &st);
	assert_int_equal(st.gaps + st.lost, 0);
	assert_int_equal(s->engine->renewals, 0);
	assert_true(s->queries < 12);
}

/* It is another archive, or looks so, before all of the past is here: what was not fetched yet is fetched from that one. */
static void B8_the_past_that_was_not_fetched_yet_is_not_lost(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 400, 2, 600 * SIM_SEC);
	s->delay_us = SIM_SEC / 10;
	engine_connect(s->engine);
	while (s->engine->messages < 100)
		sim_run(s, 1000);
	engine_sync_pause(s->engine, true);
	sim_run(s, 60 * SIM_SEC);
	assert_in_range(s->engine->messages, 100, 200);
	s->boot_us += HOUR;
	sim_archive(s, "c1@sim.test", false, "a twin", 0);
	memcpy(s->archive[s->n - 1].id, s->archive[380].id, sizeof(s->archive[380].id));
	sim_fill(s, 100, 2, SIM_SEC);
	session_is_lost(s);
	engine_sync_pause(s->engine, false);
	engine_connect(s->engine);
	assert_true(sim_settle(s, HOUR));
	assert_int_equal((int)s->engine->messages, 501);
	for (int i = 0; i < s->n; i += 10)
		assert_int_equal(sim_count(s, s->archive[i].body), 1);
}

/* The same where it is gone: then it is lost, and the archive's beginning is not claimed for what was there before. */
static void B8_a_past_that_went_with_its_archive_is_lost(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	char body[32];

	sim_fill(s, 400, 2, 600 * SIM_SEC);
	s->delay_us = SIM_SEC / 10;
	engine_connect(s->engine);
	while (s->engine->messages < 100)
		sim_run(s, 1000);
	engine_sync_pause(s->engine, true);
	sim_run(s, 60 * SIM_SEC);
	s->boot_us += DAY;
	sim_archive_anew(s);
	for (int i = 0; i < 400; i++) {
		snprintf(body, sizeof(body), "anew %d", i);
		sim_archive(s, "c1@sim.test", false, body, (400 - i) * SIM_SEC);
	}
	engine_sync_pause(s->engine, false);
	engine_connect(s->engine);
	assert_true(sim_settle(s, HOUR));
	assert_in_range(s->engine->messages, 500, 600);
	for (int i = 0; i < s->n; i += 10)
		assert_int_equal(sim_count(s, s->archive[i].body), 1);
	engine_status(s->engine, &st);
	assert_int_equal(st.gaps, 0);
	assert_int_equal(st.lost, 2);
	assert_false(s->engine->cover.spans[0].flags & SPAN_START);
	assert_true(s->queries < 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(B8_a_wiped_archive_takes_nothing_away),
		STORY(B8_the_same_where_nobody_says_item_not_found),
		STORY(B8_an_archive_that_counts_anew_loses_no_message),
		STORY(B8_counting_anew_where_nobody_says_item_not_found),
		STORY(B8_a_live_message_with_an_id_of_another),
		STORY(B8_an_archive_that_is_another_each_time_costs_little),
		STORY(B8_an_id_that_the_server_gave_twice),
		cmocka_unit_test(B8_many_ids_that_were_given_twice),
		STORY(B8_the_same_where_senders_give_no_ids),
		STORY(B8_a_live_message_with_an_id_that_was_given_before),
		STORY(B8_the_past_that_was_not_fetched_yet_is_not_lost),
		STORY(B8_a_past_that_went_with_its_archive_is_lost),
		STORY(B8_an_account_that_moved_with_its_archive),
		STORY(B8_an_account_that_moved_where_nobody_says_item_not_found),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
