/* Pages of one conversation: first screens, and what somebody scrolls up to. */
#include <stdio.h>

#include "base/mem.h"
#include "story.h"
#include "store/read.h"
#include "sync/engine-priv.h"

#define RTT (200 * 1000)

struct page {
	int n;
	int64_t oldest;
	char oldest_body[32], newest_body[32];
	uint32_t edges;
};

static int see(void *userdata, const struct message_row *row)
{
	struct page *p = userdata;

	if (p->n++ == 0) {
		p->oldest = row->id;
		snprintf(p->oldest_body, sizeof(p->oldest_body), "%s", row->body);
	}
	snprintf(p->newest_body, sizeof(p->newest_body), "%s", row->body);
	return 0;
}

/* What an app reads that does not want to look across gaps. */
static struct page history(struct sim *s, const char *conversation, int64_t before, uint32_t rows)
{
	const struct history_query q = {
		.account = s->account.id, .conversation = conversation, .anchor = before ? ANCHOR_MESSAGE : ANCHOR_NEWEST,
		.value = before, .before = rows,
	};
	struct page p = { 0 };
	uint64_t seq;

	if (read_history(s->store, &q, see, &p, &p.edges, &seq) != 0)
		p.n = 0;
	return p;
}

/* Thirty contacts on the roster; the quietest wrote last 3,000 messages ago. */
static void given_thirty_contacts(struct sim *s)
{
	char jid[32], body[32];

	assert_int_equal(store_begin(s->store), 0);
	for (int i = 0; i < 30; i++) {
		struct roster_item item = { .jid = jid, .name = "", .subscription = "both", .groups = "" };

		snprintf(jid, sizeof(jid), "q%d@sim.test", i);
		assert_int_equal(roster_put(s->store, s->account.id, &item), 0);
	}
	assert_int_equal(store_commit(s->store), 0);
	for (int i = 0; i < 4000; i++) {
		/* The first thousand are of the thirty, the rest of one talker. */
		snprintf(jid, sizeof(jid), i < 2000 ? "q%d@sim.test" : "talker@sim.test", i % 30);
		snprintf(body, sizeof(body), "text %d", i);
		sim_archive(s, jid, false, body, (int64_t)(4000 - i) * 600 * SIM_SEC);
	}
}

static int readable(struct sim *s)
{
	char jid[32];
	int n = 0;

	for (int i = 0; i < 30; i++) {
		struct page p;

		snprintf(jid, sizeof(jid), "q%d@sim.test", i);
		p = history(s, jid, 0, 50);
		n += p.n == 50;
	}
	return n;
}

static void first_screens_come_before_the_rest(void **state)
{
	struct sim *s = *state;
	int64_t began;

	given_thirty_contacts(s);
	s->delay_us = RTT;
	s->stanza_us = 20;
	began = s->boot_us;
	engine_connect(s->engine);
	while (readable(s) < 30 && s->boot_us - began < 60 * SIM_SEC)
		sim_run(s, RTT / 4);
	/* Newest page, and thirty pages of which sixteen are on their way at a time, all from the first question on. */
	assert_true(s->boot_us - began < 4 * RTT);
	assert_true(s->engine != NULL && sim_count(s, "text 3000") == 0);
	sim_expect_honest(s);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	sim_expect_all(s, 0);
}

/* The login has shown that a round trip is short: pages would only wait in the server, and it keeps what is not acknowledged. */
static void first_screens_are_few_at_a_time_on_a_quick_link(void **state)
{
	struct sim *s = *state;
	size_t most = 0;

	given_thirty_contacts(s);
	s->round_trip_us = 2000;
	s->delay_us = SIM_SEC / 20;
	engine_connect(s->engine);
	/* The plan's own pages may bring them: for a second nothing else is asked. */
	while (s->boot_us < SIM_SEC / 2) {
		assert_false(s->engine->screens_began);
		sim_run(s, SIM_SEC / 100);
	}
	assert_true(s->engine->cover.n > 0);
	for (int i = 0; i < 2000 && readable(s) < 30; i++) {
		sim_run(s, SIM_SEC / 100);
		if (query_count(s->engine->aside) > most)
			most = query_count(s->engine->aside);
	}
	assert_int_equal(readable(s), 30);
	assert_int_equal(most, ERRANDS_QUICK);
	/* And so are the plan's, whatever a page takes. */
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_in_range(s->lanes_seen, 1, 2);
	sim_expect_all(s, 0);
}

/* As above, and all of it comes within the second: none of it twice. */
static void a_quick_link_brings_the_screens_by_itself(void **state)
{
	struct sim *s = *state;

	given_thirty_contacts(s);
	s->round_trip_us = 2000;
	s->delay_us = SIM_SEC / 1000;
	s->stanza_us = 20;
	engine_connect(s->engine);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_int_equal(s->engine->next_errand, 0);
	sim_expect_all(s, 0);
}

/* A gap is none in a conversation that was asked for across it; its own beginning is one until it is known. */
static void a_screen_ends_at_no_gap_of_others(void **state)
{
	struct sim *s = *state;
	struct page p;

	given_thirty_contacts(s);
	sim_archive(s, "q3@sim.test", false, "newest of q3", 0);
	s->delay_us = RTT;
	engine_connect(s->engine);
	while (readable(s) < 30)
		sim_run(s, RTT / 4);
	p = history(s, "q3@sim.test", 0, 50);
	assert_int_equal(p.n, 50);
	assert_string_equal(p.newest_body, "newest of q3");
	/* Its own beginning is not here yet. */
	assert_true(p.edges & EDGE_GAP_OLDER);
	/* The talker's own screen is not whole. */
}

struct numbers {
	int n, first, last;
	bool hole;
};

static int see_number(void *userdata, const struct message_row *row)
{
	struct numbers *p = userdata;
	int i = 0;

	assert_int_equal(sscanf(row->body, "bob %d", &i), 1);
	p->first = p->n++ ? p->first : i;
	p->hole = p->hole || (p->n > 1 && i != p->last + 1);
	p->last = i;
	return 0;
}

static struct numbers bob(struct sim *s, uint32_t *ret_edges)
{
	const struct history_query q = {
		.account = s->account.id, .conversation = "bob@sim.test", .anchor = ANCHOR_NEWEST, .before = 500,
	};
	struct numbers p = { 0 };
	uint64_t seq;

	assert_int_equal(read_history(s->store, &q, see_number, &p, ret_edges, &seq), 0);
	return p;
}

/* One of bob's in ten, the others of a talker. */
static void archive_more(struct sim *s, int n, int *number)
{
	char body[32];

	for (int i = 0; i < n; i++) {
		snprintf(body, sizeof(body), i % 10 ? "talk" : "bob %d", *number);
		*number += i % 10 == 0;
		sim_archive(s, i % 10 ? "talker@sim.test" : "bob@sim.test", false, body, (int64_t)(n - i) * 60 * SIM_SEC);
	}
}

/*
 * What is older than the screen is still missing, down to what was held before: history stops below the screen, and where an
 * errand has reached what was held it stops nowhere.
 */
static void below_a_screen_the_gap_goes_on(void **state)
{
	struct errand_wish w = { .with = "bob@sim.test", .before_id = "", .pages = 0 };
	struct sim *s = *state;
	int number = 0, old;
	struct numbers p;
	uint32_t edges, id;
	const char *why;

	archive_more(s, 500, &number);
	old = number;
	comes_in_sync(s);
	p = bob(s, &edges);
	assert_true(p.n == old && !p.hole && edges & EDGE_START);
	session_is_lost(s);
	s->boot_us += 4000 * 60 * SIM_SEC;
	archive_more(s, 3000, &number);
	s->delay_us = 10 * SIM_SEC;
	/* The newest page and the screens are here, and no more. */
	for (int i = 0; i < 200 && bob(s, &edges).last != number - 1; i++)
		sim_run(s, SIM_SEC / 4);
	for (int i = 0; i < 200 && bob(s, &edges).n < 40; i++)
		sim_run(s, SIM_SEC / 4);
	p = bob(s, &edges);
	assert_int_equal(p.last, number - 1);
	assert_false(p.hole);
	assert_in_range(p.n, 40, 200);
	assert_true(edges & EDGE_GAP_OLDER);
	sim_expect_honest(s);
	/* Down to what was held before, and beyond. */
	s->delay_us = 0;
	id = engine_errand(s->engine, &w);
	for (int i = 0; i < 600 && engine_errand_state(s->engine, id, NULL, &why) == ERRAND_RUNNING; i++)
		sim_run(s, SIM_SEC / 10);
	engine_errand_end(s->engine, id);
	p = bob(s, &edges);
	assert_int_equal(p.n, number);
	assert_false(p.hole);
	assert_true(edges & EDGE_START);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	sim_expect_all(s, 0);
}

static void an_errand_reaches_beyond_the_horizon(void **state)
{
	struct sim *s = *state;
	struct errand_wish w = { .with = "c1@sim.test", .before_id = "", .pages = 1 };
	const char *why;
	struct page p;
	uint32_t id;

	sim_fill(s, 1000, 5, 600 * SIM_SEC);
	s->horizon_us = 100 * 600 * SIM_SEC;
	comes_in_sync(s);
	p = history(s, "c1@sim.test", 0, 500);
	assert_true(p.n < 60 && p.edges & EDGE_GAP_OLDER);
	w.before_msg = p.oldest;
	w.before_us = s->archive[1000 - 5 * p.n + 1].us;
	id = engine_errand(s->engine, &w);
	assert_int_equal(errand_ends(s, id), ERRAND_DONE);
	engine_errand_end(s->engine, id);
	assert_int_equal(engine_errand_state(s->engine, id, NULL, &why), ERRAND_NONE);
	assert_true(history(s, "c1@sim.test", 0, 500).n >= p.n + 49);
	assert_true(history(s, "c1@sim.test", 0, 500).edges & EDGE_GAP_OLDER);
	/* All of it, to the beginning. */
	w.pages = 0;
	id = engine_errand(s->engine, &w);
	assert_int_equal(errand_ends(s, id), ERRAND_DONE);
	p = history(s, "c1@sim.test", 0, 500);
	assert_int_equal(p.n, 200);
	assert_string_equal(p.oldest_body, "text 1");
	assert_true(p.edges & EDGE_START);
	sim_expect_honest(s);
	/* And then all of the archive meets them, and puts them in order. */
	engine_deepen(s->engine, 1);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	sim_expect_all(s, 0);
}

/* A message whose time is our clock's, which was behind: what lies between is not in the page that is asked for by it. */
static void a_wrong_clock_claims_nothing(void **state)
{
	struct sim *s = *state;
	struct errand_wish w = { .with = "c1@sim.test", .before_id = "", .pages = 1 };
	struct page before, after;

	sim_fill(s, 1000, 5, 600 * SIM_SEC);
	s->horizon_us = 100 * 600 * SIM_SEC;
	comes_in_sync(s);
	before = history(s, "c1@sim.test", 0, 500);
	w.before_msg = before.oldest;
	w.before_us = s->archive[600].us;
	engine_errand(s->engine, &w);
	sim_run(s, 20 * SIM_SEC);
	assert_int_equal(sim_count(s, s->archive[596].body), 1);
	after = history(s, "c1@sim.test", 0, 500);
	assert_int_equal(after.n, before.n);
	assert_true(after.edges & EDGE_GAP_OLDER);
}

static void an_errand_survives_the_link(void **state)
{
	struct sim *s = *state;
	struct errand_wish w = { .with = "c1@sim.test", .before_id = "", .pages = 0 };
	const char *why;
	uint32_t id;

	sim_fill(s, 1000, 5, 600 * SIM_SEC);
	s->horizon_us = 20 * 600 * SIM_SEC;
	comes_in_sync(s);
	s->delay_us = SIM_SEC;
	id = engine_errand(s->engine, &w);
	sim_run(s, 3 * SIM_SEC / 2);
	sim_cut(s);
	sim_run(s, 60 * SIM_SEC);
	assert_int_equal(engine_errand_state(s->engine, id, NULL, &why), ERRAND_DONE);
	assert_int_equal(history(s, "c1@sim.test", 0, 500).n, 200);
}

static void A14_an_errand_that_leads_nowhere_fails(void **state)
{
	struct sim *s = *state;
	struct errand_wish w = { .with = "c1@sim.test", .before_id = "", .pages = 0 };
	const char *why;
	uint32_t id;

	sim_fill(s, 300, 5, 600 * SIM_SEC);
	comes_in_sync(s);
	s->never_complete = true;
	id = engine_errand(s->engine, &w);
	sim_run(s, 60 * SIM_SEC);
	assert_int_equal(engine_errand_state(s->engine, id, NULL, &why), ERRAND_FAILED);
	assert_true(*why);
}

/* Gaps too: what is older than so long waits, is not forgotten, and is not said to be here. */
static void on_a_metered_link_older_history_waits(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	int asked;

	sim_fill(s, 300, 5, 600 * SIM_SEC);
	comes_in_sync(s);
	session_is_lost(s);
	s->boot_us += 1000 * 600 * SIM_SEC;
	sim_fill(s, 700, 5, 600 * SIM_SEC);
	s->metered_us = 100 * 600 * SIM_SEC;
	engine_set_metered(s->engine, true);
	engine_connect(s->engine);
	sim_run(s, 120 * SIM_SEC);
	engine_status(s->engine, &st);
	assert_true(st.metered);
	assert_false(st.caught_up);
	assert_int_equal(st.gaps, 1);
	assert_in_range(st.messages, 400, 700);
	sim_expect_honest(s);
	asked = s->queries;
	sim_run(s, 600 * SIM_SEC);
	assert_int_equal(s->queries, asked);
	engine_set_metered(s->engine, false);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	engine_status(s->engine, &st);
	assert_false(st.metered);
	sim_expect_all(s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(first_screens_come_before_the_rest),
		STORY(first_screens_are_few_at_a_time_on_a_quick_link),
		STORY(a_quick_link_brings_the_screens_by_itself),
		STORY(a_screen_ends_at_no_gap_of_others),
		STORY(below_a_screen_the_gap_goes_on),
		STORY(an_errand_reaches_beyond_the_horizon),
		STORY(a_wrong_clock_claims_nothing),
		STORY(an_errand_survives_the_link),
		STORY(on_a_metered_link_older_history_waits),
		STORY(A14_an_errand_that_leads_nowhere_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
