/*
 * What is sent for the messages of others, and what the server tells of our other devices, against a simulated server on
 * a real store: receipts, reading states, the block list.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "link/link.h"
#include "story.h"
#include "torture.h"
#include "store/read.h"
#include "sync/engine-priv.h"

static int receipts(const struct sim *s, int message)
{
	int n = 0;

	for (int i = 0; i < s->n_sent; i++)
		n += s->sent[i].kind == OUT_RECEIPT && strcmp(s->sent[i].target, s->archive[message].xid) == 0;
	return n;
}

/* Live, again after a cut, again from the archive, on a carbon: one receipt, at the first reception. */
static void a_receipt_is_sent_once(void **state)
{
	struct sim *s = *state;
	int m, before, carbon;

	before = sim_archive(s, BOB, false, "long before this account was here", 3600 * SIM_SEC);
	s->archive[before].asks = ASKS_RECEIPT;
	given_in_sync(s, 20);
	given_contact(s, BOB, "both");
	s->asks = ASKS_RECEIPT;
	m = sim_live(s, BOB, "hello");
	sim_run(s, SIM_SEC);
	sim_cut(s);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	session_is_lost(s);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	engine_sync_now(s->engine);
	sim_kill(s);
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(receipts(s, m), 1);
	assert_int_equal(receipts(s, before), 0);
	carbon = sim_live(s, BOB, "to another device of ours, which has told them");
	s->archive[carbon].carbon = true;
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(receipts(s, carbon), 0);
}

/* What came while we were away gets one; what is older than a week does not, nor what was there before. */
static void receipts_for_what_came_while_we_were_away(void **state)
{
	struct sim *s = *state;
	int old, young, answered;

	given_in_sync(s, 20);
	given_contact(s, BOB, "from");
	session_is_lost(s);
	s->boot_us += 20 * 24 * HOUR;
	s->asks = ASKS_RECEIPT;
	old = sim_archive(s, BOB, false, "ten days ago", 10 * 24 * HOUR);
	young = sim_archive(s, BOB, false, "yesterday", 24 * HOUR);
	answered = sim_archive(s, BOB, false, "another device of ours has told them", HOUR);
	s->archive[sim_archive(s, BOB, true, "", HOUR)].receipt = true;
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_run(s, 10 * SIM_SEC);
	assert_int_equal(receipts(s, old), 0);
	assert_int_equal(receipts(s, young), 1);
	assert_int_equal(receipts(s, answered), 0);
}

/* What was there before this account was: other devices have told them long ago. */
static void the_backlog_of_a_first_sync_gets_no_receipts(void **state)
{
	struct sim *s = *state;
	struct link_record r;

	s->asks = ASKS_RECEIPT;
	for (int i = 0; i < 5; i++) {
		char body[16];

		snprintf(body, sizeof(body), "old %d", i);
		sim_archive(s, BOB, false, body, HOUR);
	}
	s->delay_us = 5 * SIM_SEC;
	engine_connect(s->engine);
	while (!s->announced)
		sim_run(s, 1000);
	link_record_init(&r, LINK_ROSTER);
	r.roster.jid = BOB;
	r.roster.subscription = "both";
	r.roster.last = true;
	engine_record(s->engine, &r);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->engine->messages, 0);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_run(s, 10 * SIM_SEC);
	assert_int_equal(s->engine->messages, 5);
	assert_int_equal(s->n_sent, 0);
}

static void strangers_are_not_told_that_we_are_here(void **state)
{
	static const struct {
		const char *why, *jid, *subscription, *id;
		bool write_first, off, no_stanza_ids;
		int want;
	} rows[] = {
		{ "nobody knows them", "eve@sim.test", NULL, "x", false, false, false, 0 },
		{ "they let us see them, we do not", "ann@sim.test", "to", "x", false, false, false, 0 },
		{ "they see us", "dan@sim.test", "from", "x", false, false, false, 1 },
		{ "and the server gives no archive ids", "dan@sim.test", "from", "x", false, false, true, 1 },
		{ "we have written to them", "fay@sim.test", NULL, "x", true, false, false, 1 },
		{ "there is nothing to name", "dan@sim.test", "both", "", false, false, false, 0 },
		{ "varve.conf says no", "dan@sim.test", "both", "x", false, true, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sim *s = story_memory();
		int m, n = 0;

		sim_init(s, 1);
		s->engine->policy.no_receipts = rows[i].off;
		given_in_sync(s, 20);
		if (rows[i].subscription)
			given_contact(s, rows[i].jid, rows[i].subscription);
		if (rows[i].write_first)
			sim_send(s, rows[i].jid, "m0", "hi");
		assert_true(sim_settle(s, 60 * SIM_SEC));
		s->asks = ASKS_RECEIPT;
		s->no_ids = !*rows[i].id;
		s->no_stanza_ids = rows[i].no_stanza_ids;
		m = sim_live(s, rows[i].jid, "hello");
		sim_run(s, 10 * SIM_SEC);
		for (int k = 0; k < s->n_sent; k++)
			n += s->sent[k].kind == OUT_RECEIPT;
		if (n != rows[i].want || receipts(s, m) != rows[i].want)
			fail_msg("%s: %d receipts", rows[i].why, n);
		sim_deinit(s);
		story_forget(s);
	}
}

/* A receipt that got lost with its session is sent again; it holds nobody up. */
static void receipts_are_in_no_doubt(void **state)
{
	struct sim *s = *state;
	int m;

	given_in_sync(s, 20);
	given_contact(s, BOB, "both");
	s->asks = ASKS_RECEIPT;
	s->no_acks = true;
	s->reach = 0;
	s->net_us = 60 * SIM_SEC;
	m = sim_live(s, BOB, "hello");
	run_until_gone(s, 1);
	session_is_lost(s);
	s->no_acks = false;
	s->net_us = 20000;
	assert_true(sim_settle(s, 60 * SIM_SEC));
	sim_run(s, 10 * SIM_SEC);
	assert_int_equal(receipts(s, m), 1);
}

/* ---- what our other devices tell ---- */

struct unread {
	uint32_t n;
};

static int take_unread(void *userdata, const struct conversation_row *row)
{
	((struct unread *)userdata)->n = row->unread;
	return 0;
}

static uint32_t unread(struct sim *s, const char *conversation)
{
	struct unread u = { 0 };

	assert_int_equal(read_conversation(s->store, s->account.id, conversation, take_unread, &u), 0);
	return u.n;
}

static void another_device_has_read(void **state)
{
	struct sim *s = *state;
	struct link_record r;
	int m;

	given_in_sync(s, 20);
	for (int i = 0; i < 3; i++) {
		char body[16];

		snprintf(body, sizeof(body), "news %d", i);
		m = sim_live(s, BOB, body);
	}
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(unread(s, BOB), 3);
	link_record_init(&r, LINK_READ);
	r.read.jid = BOB;
	r.read.stanza_id = s->archive[m - 1].id;
	engine_record(s->engine, &r);
	sim_run(s, SIM_SEC);
	assert_int_equal(unread(s, BOB), 1);
}

static int take_blocked(void *userdata, const struct contact_row *row)
{
	const char **want = userdata;

	if (strcmp(row->jid, want[0]) == 0 && row->blocked)
		want[0] = "";
	return 0;
}

static int no_row(_unused_ void *userdata, _unused_ const struct message_row *row)
{
	return 0;
}

static int no_conversation(_unused_ void *userdata, _unused_ const struct conversation_row *row)
{
	return 0;
}

static int no_removed(_unused_ void *userdata, _unused_ const char *kind, _unused_ const char *key)
{
	return 0;
}

static bool blocked(struct sim *s, const char *jid)
{
	const struct changes_fns fns = { no_row, no_conversation, take_blocked, no_removed };
	const char *want[] = { jid };
	uint64_t since = 0;
	bool more = true;

	while (more)
		assert_int_equal(read_changes(s->store, s->account.id, since, 0, 0, &fns, want, &since, &more), 0);
	return !*want[0];
}

static void tell_blocked(struct sim *s, const char *jid, bool is, bool reset, bool last)
{
	struct link_record r;

	link_record_init(&r, LINK_BLOCKED);
	r.blocked.jid = jid;
	r.blocked.blocked = is;
	r.blocked.reset = reset;
	r.blocked.last = last;
	engine_record(s->engine, &r);
}

static void the_block_list_is_stored_whole(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	tell_blocked(s, "eve@sim.test", true, true, false);
	sim_live(s, BOB, "something else is committed meanwhile");
	sim_run(s, 10 * SIM_SEC);
	assert_false(blocked(s, "eve@sim.test"));
	tell_blocked(s, "mal@sim.test", true, false, true);
	sim_run(s, SIM_SEC);
	assert_true(blocked(s, "eve@sim.test"));
	assert_true(blocked(s, "mal@sim.test"));
	/* A push, and a new list. */
	tell_blocked(s, "eve@sim.test", false, false, true);
	sim_run(s, SIM_SEC);
	assert_false(blocked(s, "eve@sim.test"));
	tell_blocked(s, "dan@sim.test", true, true, true);
	sim_run(s, SIM_SEC);
	assert_false(blocked(s, "mal@sim.test"));
	assert_true(blocked(s, "dan@sim.test"));
	/* A resumed session does not tell it again. */
	sim_kill(s);
	comes_in_sync(s);
	assert_int_equal(s->resumes, 1);
	assert_true(blocked(s, "dan@sim.test"));
}

/* ---- who asks to see our presence ---- */

static void ask(struct sim *s, const char *from, const char *type, uint32_t n)
{
	struct link_record r;

	link_record_init(&r, LINK_PRESENCE);
	r.presence.from = from;
	r.presence.type = type;
	r.presence.n = n;
	engine_record(s->engine, &r);
}

static int take_asking(void *userdata, const struct contact_row *row)
{
	*(bool *)userdata = row->asking;
	return 0;
}

static bool asking(struct sim *s, const char *jid)
{
	bool is = false;

	assert_true(read_contact(s->store, s->account.id, jid, take_asking, &is) >= 0);
	return is;
}

/* The number is acknowledged once the request is durable, and not before. */
static void a_request_is_stored_before_it_is_acknowledged(void **state)
{
	struct sim *s = *state;
	uint32_t n;

	given_in_sync(s, 20);
	sim_run(s, 10 * SIM_SEC);
	n = ++s->counter;
	assert_int_equal(n, s->engine->line.h + 1);
	ask(s, "Eve@sim.test/phone", "subscribe", n);
	assert_int_equal(s->engine->line.h, n - 1);
	assert_false(asking(s, "eve@sim.test"));
	sim_run(s, SIM_SEC);
	assert_true(asking(s, "eve@sim.test"));
	assert_int_equal(s->engine->session.h_in, n);
	assert_int_equal(s->committed, n);
	sim_kill(s);
	assert_true(asking(s, "eve@sim.test"));
}

static void a_request_ends_with_its_answer_or_is_taken_back(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	ask(s, "eve@sim.test", "subscribe", 0);
	ask(s, BOB, "subscribe", 0);
	ask(s, "fay@sim.test", "subscribe", 0);
	ask(s, s->account.jid, "subscribe", 0);
	ask(s, "gus@sim.test", "subscribed", 0);
	tell_blocked(s, "mal@sim.test", true, false, true);
	ask(s, "mal@sim.test", "subscribe", 0);
	sim_run(s, SIM_SEC);
	assert_true(asking(s, "eve@sim.test") && asking(s, BOB) && asking(s, "fay@sim.test"));
	assert_false(asking(s, s->account.jid) || asking(s, "gus@sim.test") || asking(s, "mal@sim.test"));
	engine_answered(s->engine, "eve@sim.test");
	assert_false(asking(s, "eve@sim.test")); /* at once */
	ask(s, "fay@sim.test", "unsubscribe", 0);
	given_contact(s, BOB, "from");
	assert_false(asking(s, "fay@sim.test") || asking(s, BOB));
}

/* A server that repeats what is too much for us after each resume must not keep us away: reading states are stored by and by, */
static void any_number_of_reading_states_is_taken(void **state)
{
	struct sim *s = *state;
	struct link_record r;
	char jid[48];

	given_in_sync(s, 20);
	link_record_init(&r, LINK_READ);
	r.read.jid = jid;
	r.read.stanza_id = s->archive[s->n - 1].id;
	for (int i = 0; i < 13000; i++) {
		snprintf(jid, sizeof(jid), "friend%d@sim.test", i);
		engine_record(s->engine, &r);
		assert_true(s->engine->n_told <= TOLD_AT_ONCE);
	}
	assert_true(s->wire);
	sim_run(s, SIM_SEC);
	assert_true(s->wire);
}

/* and a block list is stored whole, as long as a roster may be. */
static void a_long_block_list_is_taken(void **state)
{
	struct sim *s = *state;
	char jid[48];

	given_in_sync(s, 20);
	for (int i = 0; i < 13000; i++) {
		snprintf(jid, sizeof(jid), "spammer%d@sim.test", i);
		tell_blocked(s, jid, true, i == 0, i == 12999);
	}
	assert_true(s->wire);
	sim_run(s, SIM_SEC);
	assert_true(s->wire);
	assert_true(blocked(s, "spammer0@sim.test") && blocked(s, "spammer12999@sim.test"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(a_request_is_stored_before_it_is_acknowledged),
		STORY(a_request_ends_with_its_answer_or_is_taken_back),
		STORY(a_receipt_is_sent_once),
		STORY(receipts_for_what_came_while_we_were_away),
		STORY(the_backlog_of_a_first_sync_gets_no_receipts),
		cmocka_unit_test(strangers_are_not_told_that_we_are_here),
		STORY(receipts_are_in_no_doubt),
		STORY(another_device_has_read),
		STORY(any_number_of_reading_states_is_taken),
		STORY(the_block_list_is_stored_whole),
		STORY(a_long_block_list_is_taken),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
