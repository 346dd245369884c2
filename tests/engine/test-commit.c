/*
 * What is acknowledged is stored: a roster as a whole, and nothing while the disk is full.
 */
#include <stdio.h>
#include <string.h>

#include "link/link.h"
#include "store/read.h"
#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

static void send_roster(struct sim *s, int from, int to, int last, uint32_t n)
{
	struct link_record r;
	char jid[32];

	for (int i = from; i < to; i++) {
		link_record_init(&r, LINK_ROSTER);
		snprintf(jid, sizeof(jid), "r%d@sim.test", i);
		r.roster.jid = jid;
		r.roster.subscription = "both";
		r.roster.reset = i == 0;
		r.roster.last = i == last;
		r.roster.n = r.roster.last ? n : 0;
		engine_record(s->engine, &r);
	}
}

static int count_roster(_unused_ void *userdata, _unused_ const struct contact_row *row)
{
	(*(int *)userdata)++;
	return 0;
}

static int ignore_removed(_unused_ void *userdata, _unused_ const char *kind, _unused_ const char *key)
{
	return 0;
}

static int roster_size(struct sim *s)
{
	const struct changes_fns fns = { .contact = count_roster, .removed = ignore_removed };
	uint64_t next = 0;
	bool more = true;
	int n = 0;

	while (more)
		assert_int_equal(read_changes(s->store, s->account.id, next, 0, 500, &fns, &n, &next, &more), 0);
	return n;
}

/* A roster is one stanza: it is stored whole, and acknowledged when its last item is durable. */
static void a_commit_in_the_middle_of_a_roster(void **state)
{
	struct sim *s = *state;
	uint32_t h;

	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	h = s->committed;
	s->counter++;
	send_roster(s, 0, 401, 999, s->counter);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(s->committed, h);
	assert_int_equal(roster_size(s), 0);
	send_roster(s, 401, 1000, 999, s->counter);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(s->committed, s->counter);
	assert_int_equal(roster_size(s), 1000);
}

/* Someone was removed while we were away, and the disk is full when the new roster comes. */
static void a_removed_contact_goes_also_when_the_disk_was_full(void **state)
{
	struct sim *s = *state;

	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	s->counter++;
	send_roster(s, 0, 3, 2, s->counter);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(roster_size(s), 3);
	sim_disk_full(s, true);
	s->counter++;
	send_roster(s, 0, 2, 1, s->counter);
	engine_timer(s->engine, TIMER_COMMIT);
	sim_disk_full(s, false);
	sim_run(s, 20 * SIM_SEC);
	assert_int_equal(roster_size(s), 2);
}

/* The disk is full and a contact sends large messages: memory stays bounded, the server keeps what we cannot. */
static void a_full_disk_does_not_fill_memory(void **state)
{
	static char body[200 * 1024];
	struct sim *s = *state;
	struct link_record r;

	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_disk_full(s, true);
	memset(body, 'x', sizeof(body) - 1);
	for (uint32_t i = 1; i <= 500 && s->wire; i++) {
		link_record_init(&r, LINK_MSG);
		r.msg.from = "bob@sim.test/x";
		r.msg.to = "me@sim.test";
		r.msg.type = "chat";
		r.msg.body = body;
		r.msg.n = s->counter + i;
		engine_record(s->engine, &r);
		assert_true(s->engine->pending_bytes < 20 << 20);
	}
	assert_false(s->wire);
	sim_disk_full(s, false);
}

/* Out of space: nothing is acknowledged, nothing is lost, and it goes on by itself when there is space again. */
static void a_full_disk_loses_nothing_and_heals(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	uint32_t acknowledged;
	char body[32];

	given_in_sync(s, 30);
	acknowledged = s->committed;
	sim_disk_full(s, true);
	for (int i = 0; i < 30; i++) {
		snprintf(body, sizeof(body), "no room %d", i);
		sim_live(s, "bob@sim.test", body);
		sim_run(s, SIM_SEC);
	}
	engine_status(s->engine, &st);
	assert_string_equal(st.reason_name, "Storage");
	assert_int_equal(s->committed, acknowledged);
	sim_expect_honest(s);
	sim_disk_full(s, false);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	engine_status(s->engine, &st);
	assert_string_equal(st.reason_name, "");
	sim_expect_all(s, 0);
}

/* The same while the first sync is under way, with a cut in between. */
static void a_full_disk_during_catch_up(void **state)
{
	struct sim *s = *state;

	sim_fill(s, 400, 2, 60 * SIM_SEC);
	engine_connect(s->engine);
	while (s->queries < 3)
		if (!sim_step(s))
			sim_run(s, SIM_SEC / 10);
	sim_disk_full(s, true);
	sim_run(s, 20 * SIM_SEC);
	sim_live(s, "bob@sim.test", "meanwhile");
	sim_run(s, 20 * SIM_SEC);
	sim_cut(s);
	sim_run(s, 20 * SIM_SEC);
	sim_expect_honest(s);
	sim_disk_full(s, false);
	assert_true(sim_settle(s, 1200 * SIM_SEC));
	sim_expect_all(s, 0);
}

/* A message from Bob by hand, with the number that is next. */
static void arrives(struct sim *s, const char *id, const char *archive_id, int64_t delay_us, bool trusted)
{
	struct link_record r;

	link_record_init(&r, LINK_MSG);
	r.msg.from = "bob@sim.test/x";
	r.msg.to = "me@sim.test";
	r.msg.type = "chat";
	r.msg.id = id;
	r.msg.body = id;
	r.msg.archive_id = archive_id;
	r.msg.delay_us = delay_us;
	r.msg.delay_trusted = trusted;
	r.msg.n = ++s->counter;
	engine_record(s->engine, &r);
}

static const char *newest_held(struct sim *s)
{
	const struct cover *c = &s->engine->cover;

	return c->spans[c->n - 1].last.id;
}

/* What offline storage brings has an archive id, and was archived whenever: coverage does not grow to it. */
static void an_old_message_delivered_late_extends_nothing(void **state)
{
	_cleanup_(freep) char *held = NULL;
	struct sim *s = *state;
	size_t spans;

	given_in_sync(s, 30);
	held = xstrdup(newest_held(s));
	spans = s->engine->cover.n;
	arrives(s, "late", "late-1", SIM_T0, true);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(sim_count(s, "late"), 1);
	assert_int_equal(s->committed, s->counter);
	assert_int_equal(s->engine->cover.n, spans);
	assert_string_equal(newest_held(s), held);
	/* Nor to one that has none. */
	arrives(s, "bare", "", 0, false);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_int_equal(sim_count(s, "bare"), 1);
	assert_string_equal(newest_held(s), held);
	/* What a sender says of his message's age is his own affair. */
	arrives(s, "stamped", "live-1", SIM_T0, false);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_string_equal(newest_held(s), "live-1");
	arrives(s, "live", "live-2", 0, false);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_string_equal(newest_held(s), "live-2");
	/* And where there is no archive there is nothing to cover. */
	s->engine->session.archive = ARCHIVE_NONE;
	arrives(s, "elsewhere", "live-3", 0, false);
	engine_timer(s->engine, TIMER_COMMIT);
	assert_string_equal(newest_held(s), "live-2");
}

/* They come faster than the timer: so many are durable at once. */
static void a_batch_does_not_wait_for_the_timer(void **state)
{
	struct sim *s = *state;
	uint32_t before;

	given_in_sync(s, 30);
	before = s->committed;
	for (int i = 1; i < COMMIT_BATCH; i++)
		arrives(s, "many", "", 0, false);
	assert_int_equal(s->committed, before);
	arrives(s, "the last", "", 0, false);
	assert_int_equal(s->committed, s->counter);
	assert_int_equal(sim_count(s, "the last"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(a_commit_in_the_middle_of_a_roster),
		STORY(a_removed_contact_goes_also_when_the_disk_was_full),
		STORY(a_full_disk_does_not_fill_memory),
		STORY(a_full_disk_loses_nothing_and_heals),
		STORY(a_full_disk_during_catch_up),
		STORY(an_old_message_delivered_late_extends_nothing),
		STORY(a_batch_does_not_wait_for_the_timer),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
