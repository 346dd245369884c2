/*
 * Sending against a simulated server in simulated time, on a real store: in order, once, and nothing leaves before its
 * number is durable (docs/decisions/0008).
 */
#include <stdio.h>
#include <string.h>

#include "link/link.h"
#include "store/outbox.h"
#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

static void many_go_as_one_burst_in_order(void **state)
{
	struct sim *s = *state;
	int64_t msg = 0;

	given_in_sync(s, 20);
	for (int i = 0; i < 60; i++)
		msg = send_n(s, BOB, i);
	assert_int_equal(sim_state(s, msg), STATE_QUEUED);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, 60);
	assert_int_equal(s->gos, 1);
	assert_int_equal(sim_state(s, msg), STATE_SENT);
}

/* The window is full for a large message; a small one behind it could still go, and waits all the same. */
static void a_small_one_does_not_overtake_a_large_one(void **state)
{
	struct sim *s = *state;
	_cleanup_(freep) char *large = xcalloc(1, OUTBOX_BODY_MAX + 1);
	char id[16];

	memset(large, 'x', OUTBOX_BODY_MAX);
	given_in_sync(s, 20);
	for (int i = 0; i < 20; i++) {
		large[0] = (char)('a' + i);
		snprintf(id, sizeof(id), "m%d", i);
		sim_send(s, BOB, id, i % 2 ? id : large);
	}
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, 20);
	assert_true(s->gos > 1);
}

/* Offline, killed, and yet it is there: put is durable. */
static void E1_what_was_accepted_offline_is_sent_later(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	sim_cut(s);
	s->mute = true;
	for (int i = 0; i < 5; i++)
		send_n(s, BOB, i);
	sim_kill(s);
	s->mute = false;
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, 5);
}

/* In sync, and the wire has three items: SEND was told, and no number has come yet. */
static void given_three_with_the_wire(struct sim *s, int64_t msg[3])
{
	given_in_sync(s, 20);
	s->no_numbers = true;
	for (int i = 0; i < 3; i++)
		msg[i] = send_n(s, BOB, i);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->sends, 3);
}

/* The wire hangs, as one that hostile bytes have caught in a loop: the account looks online, and nothing would ever leave. */
static void a_wire_that_hangs_is_killed(void **state)
{
	struct sim *s = *state;
	int64_t msg[3];
	unsigned int wires;

	given_three_with_the_wire(s, msg);
	wires = s->wires;
	/* The machine sleeps meanwhile: that is no fault of the wire's. */
	s->boot_us += 3600 * SIM_SEC;
	sim_run(s, 20 * SIM_SEC);
	assert_int_equal(s->wires, wires);
	sim_run(s, 20 * SIM_SEC);
	assert_int_equal(s->wires, wires + 1);
	assert_int_equal(s->n_sent, 0);
	s->no_numbers = false;
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(s->binds, 1);
	expect_sent(s, 3);
}

/* Cancelled while the wire already has a number for it: the number is used for nothing. */
static void cancelled_between_send_and_go(void **state)
{
	struct sim *s = *state;
	int64_t msg[3];

	given_three_with_the_wire(s, msg);
	assert_int_equal(store_begin(s->store), 0);
	assert_int_equal(outbox_cancel(s->store, s->account.id, msg[1]), 0);
	assert_int_equal(store_commit(s->store), 0);
	s->no_numbers = false;
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(sim_received(s, "m0", NULL), 1);
	assert_int_equal(sim_received(s, "m1", NULL), 0);
	assert_int_equal(sim_received(s, "m2", NULL), 1);
	assert_int_equal(sim_state(s, msg[1]), STATE_CANCELLED);
	/* And it is too late for what has gone. */
	assert_int_equal(store_begin(s->store), 0);
	assert_int_equal(outbox_cancel(s->store, s->account.id, msg[2]), OUTBOX_E_STATE);
	store_rollback(s->store);
	/* What comes after it is counted as before. */
	send_n(s, BOB, 3);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(sim_received(s, "m3", NULL), 1);
}

/* Changed, cancelled and sent again while the wire has the old words: what leaves is what the user sees, and once. */
static void sent_again_between_send_and_go(void **state)
{
	struct sim *s = *state;
	const struct outgoing edit = { .kind = OUT_CORRECTION, .conversation = "", .client_id = "e1", .body = "new", .emojis = "" };
	struct outgoing o = edit;
	int64_t msg[3], row;
	bool existing;

	given_three_with_the_wire(s, msg);
	o.msg = msg[1];
	assert_int_equal(store_begin(s->store), 0);
	assert_int_equal(outbox_put(s->store, s->account.id, s->own, &o, SIM_T0 + s->boot_us, &row, &existing), 0);
	assert_int_equal(outbox_cancel(s->store, s->account.id, msg[1]), 0);
	assert_int_equal(outbox_retry(s->store, s->account.id, msg[1], SIM_T0 + s->boot_us), 0);
	assert_int_equal(store_commit(s->store), 0);
	engine_send(s->engine);
	s->no_numbers = false;
	assert_true(sim_settle(s, 60 * SIM_SEC));
	assert_int_equal(s->n_sent, 3);
	assert_int_equal(sim_received(s, "m1", NULL), 1);
	/* Its place is the last one. */
	assert_string_equal(s->sent[2].id, "m1");
	assert_string_equal(s->sent[2].body, "new");
	assert_int_equal(sim_state(s, msg[1]), STATE_SENT);
}

/* No space for the row with the number: nothing leaves. With space again, it leaves once. */
static void the_disk_is_full_between_numbered_and_go(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	s->no_numbers = true;
	for (int i = 0; i < 3; i++)
		send_n(s, BOB, i);
	sim_run(s, SIM_SEC);
	sim_disk_full(s, true);
	s->no_numbers = false;
	sim_run(s, 60 * SIM_SEC);
	assert_int_equal(s->gos, 0);
	assert_int_equal(s->n_sent, 0);
	sim_disk_full(s, false);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, 3);
}

/* The wire asks for more numbers while there is no space for the row that reserves them. Returns how many were sent until then. */
static int given_no_space_for_more_numbers(struct sim *s)
{
	int n = 0;

	given_in_sync(s, 20);
	while (s->grant - s->out_n > 100) {
		for (int i = 0; i < 50; i++)
			send_n(s, BOB, n++);
		assert_true(sim_settle(s, 60 * SIM_SEC));
	}
	s->no_numbers = true;
	for (int i = 0; i < FLIGHT_ITEMS_MAX; i++)
		send_n(s, BOB, n++);
	sim_run(s, SIM_SEC);
	sim_disk_full(s, true);
	s->no_numbers = false;
	s->grants = 0;
	sim_run(s, 60 * SIM_SEC);
	assert_int_equal(s->out_n, s->grant);
	assert_int_equal(s->grants, 0);
	return n;
}

/* With space again it gets them. */
static void the_disk_is_full_when_the_numbers_run_out(void **state)
{
	struct sim *s = *state;
	int n = given_no_space_for_more_numbers(s);

	sim_disk_full(s, false);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, n);
	assert_int_equal(s->grants, 1);
	assert_true(s->grant - s->out_n > 100);
	/* And what was reserved holds for whoever comes after a crash. */
	sim_kill(s);
	engine_connect(s->engine);
	send_n(s, BOB, n++);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, n);
}

/* What the old session's wire asked for is none of the new one's. */
static void the_session_goes_when_the_numbers_run_out(void **state)
{
	struct sim *s = *state;
	int n = given_no_space_for_more_numbers(s);

	session_is_lost(s);
	sim_disk_full(s, false);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	expect_sent(s, n);
	assert_int_equal(s->grant, s->first_n + LINK_FIRST_GRANT);
}

/* Killed while the burst is numbered and not stored: nothing had left. */
static void killed_between_numbered_and_go(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	s->no_numbers = true;
	for (int i = 0; i < 3; i++)
		send_n(s, BOB, i);
	sim_run(s, SIM_SEC);
	s->reach = 100;
	sim_kill(s);
	assert_int_equal(s->n_sent, 0);
	s->no_numbers = false;
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, 3);
}

/* Their archive ids come with one page for many, soon after. */
static void own_messages_get_their_archive_ids(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	s->queries = 0;
	for (int i = 0; i < 30; i++) {
		send_n(s, BOB, i);
		sim_run(s, 2 * SIM_SEC);
	}
	assert_int_equal(s->queries, 0);
	sim_run(s, 60 * SIM_SEC);
	assert_in_range(s->queries, 1, 2);
	sim_expect_all(s, 0);
	sim_run(s, HOUR);
	assert_in_range(s->queries, 1, 2);
}

/* The same where the stream ended before they were asked for, and where only the next one says that the server has them. */
static void also_those_that_were_sent_before_a_cut(_unused_ void **state)
{
	enum { ACKED, BY_H, KILLED, CASES };

	for (int how = 0; how < CASES; how++) {
		struct sim *s = story_memory();

		sim_init(s, 1);
		given_in_sync(s, 20);
		if (how == BY_H)
			given_gone(s, 3, 3);
		for (int i = 0; how != BY_H && i < 3; i++)
			send_n(s, BOB, i);
		if (how != BY_H)
			assert_true(sim_settle(s, 10 * SIM_SEC));
		s->queries = 0;
		if (how == KILLED) {
			sim_kill(s);
			engine_connect(s->engine);
		} else {
			sim_cut(s);
		}
		link_is_whole(s);
		assert_true(sim_settle(s, 15 * SIM_SEC));
		assert_int_equal(s->queries, 0);
		sim_run(s, 60 * SIM_SEC);
		assert_in_range(s->queries, 1, 2);
		sim_expect_all(s, 0);
		sim_cut(s);
		sim_run(s, HOUR);
		assert_in_range(s->queries, 1, 2);
		sim_deinit(s);
		story_forget(s);
	}
}

/*
 * What is sent moves the archive's end: a new session first asks where that is, so that what stays in doubt has a near anchor.
 * But a slow archive, or one that nothing is asked of, holds no message up.
 */
static void a_message_waits_for_the_archives_end_and_not_for_long(void **state)
{
	struct sim *s = *state;
	int binds;

	given_in_sync(s, 20);
	binds = s->binds;
	session_is_lost(s);
	s->delay_us = SIM_SEC;
	send_n(s, BOB, 0);
	engine_connect(s->engine);
	while (s->binds == binds || !cover_is_live(&s->engine->cover)) {
		assert_int_equal(s->sends, 0);
		sim_run(s, SIM_SEC / 20);
	}
	sim_run(s, SIM_SEC);
	expect_sent(s, 1);

	session_is_lost(s);
	s->delay_us = 60 * SIM_SEC;
	send_n(s, BOB, 1);
	sim_run(s, 10 * SIM_SEC);
	assert_false(cover_is_live(&s->engine->cover));
	expect_sent(s, 2);

	session_is_lost(s);
	engine_sync_pause(s->engine, true);
	send_n(s, BOB, 2);
	for (binds = s->binds; s->binds == binds;)
		sim_run(s, SIM_SEC / 10);
	sim_run(s, SIM_SEC);
	expect_sent(s, 3);
}

/* The wire has not numbered what it was offered: it is still queued, and is not offered to it again. */
static void what_the_wire_has_is_not_offered_twice(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	s->no_numbers = true;
	send_n(s, BOB, 0);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->sends, 1);
	send_n(s, BOB, 1);
	engine_send(s->engine);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->sends, 1);
	sim_cut(s);
	s->no_numbers = false;
	assert_true(sim_settle(s, 600 * SIM_SEC));
	expect_sent(s, 2);
}

static void says_acked(struct sim *s, uint32_t n)
{
	struct link_record r;

	link_record_init(&r, LINK_ACKED);
	r.acked.n = n;
	engine_record(s->engine, &r);
	sim_run(s, SIM_SEC);
}

/* A server that counts what was never sent, or back, settles nothing: what did not arrive is sent again. */
static void D8_an_ack_that_cannot_be_settles_nothing(void **state)
{
	struct sim *s = *state;
	struct outbox_counts n;

	given_in_sync(s, 20);
	given_gone(s, 2, 0);
	says_acked(s, s->engine->session.grant + 1);
	says_acked(s, s->engine->session.h_out - 1);
	assert_int_equal(outbox_count(s->store, s->account.id, &n), 0);
	assert_int_equal(n.sending, 2);
	session_is_lost(s);
	link_is_whole(s);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	expect_sent(s, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(D8_an_ack_that_cannot_be_settles_nothing),
		STORY(a_message_waits_for_the_archives_end_and_not_for_long),
		STORY(what_the_wire_has_is_not_offered_twice),
		STORY(many_go_as_one_burst_in_order),
		STORY(a_small_one_does_not_overtake_a_large_one),
		STORY(E1_what_was_accepted_offline_is_sent_later),
		STORY(a_wire_that_hangs_is_killed),
		STORY(cancelled_between_send_and_go),
		STORY(sent_again_between_send_and_go),
		STORY(the_disk_is_full_between_numbered_and_go),
		STORY(the_disk_is_full_when_the_numbers_run_out),
		STORY(the_session_goes_when_the_numbers_run_out),
		STORY(killed_between_numbered_and_go),
		STORY(own_messages_get_their_archive_ids),
		cmocka_unit_test(also_those_that_were_sent_before_a_cut),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
