/*
 * What was on its way when the link broke: the server's count decides, else the archive, and nothing is sent twice where one
 * of them can tell. Stories with the names of facts/sync.md (docs/cases.md).
 */
#include <stdio.h>

#include "link/link.h"
#include "store/outbox.h"
#include "story.h"
#include "sync/engine-priv.h"
#include "torture.h"

/*
 * Nine messages have gone, ${reach} of them arrived, no ack came back; the link breaks or the keeper is killed. What the
 * server says of the old session decides.
 */
enum fate { RESUMED, REFUSED_WITH_H, REFUSED, TOO_HIGH };
static const struct fate_story {
	const char *why;
	int reach;
	enum fate fate;
	bool killed, no_archive;
	int want; /* how often those that had arrived are there afterwards */
} fates[] = {
	{ "D20 resumed: those beyond h again, in order", 3, RESUMED, false, false, 1 },
	{ "E2 killed and resumed", 3, RESUMED, true, false, 1 },
	{ "resumed, all were there", 9, RESUMED, true, false, 1 },
	{ "resumed, none was there", 0, RESUMED, false, false, 1 },
	{ "D9 <failed h>: h decides", 7, REFUSED_WITH_H, false, false, 1 },
	{ "D9 killed, <failed h>", 7, REFUSED_WITH_H, true, false, 1 },
	{ "D9 without an archive: h is enough", 7, REFUSED_WITH_H, true, true, 1 },
	{ "D10 no h: the archive decides", 4, REFUSED, false, false, 1 },
	{ "D10 killed, no h, all were there", 9, REFUSED, true, false, 1 },
	{ "D10 killed, no h, none was there", 0, REFUSED, true, false, 1 },
	{ "no h, no archive: at least once", 4, REFUSED, true, true, 2 },
	{ "D8 h too high: the session is dropped, the outbox is not", 4, TOO_HIGH, false, false, 1 },
};

static void run_fate(const struct fate_story *f)
{
	struct sim *s = story_memory();
	int64_t delay = 0;
	char id[16];

	sim_init(s, 1);
	s->no_archive = f->no_archive;
	given_in_sync(s, 20);
	given_gone(s, 9, f->reach);
	/* The wire's own stanzas between them count too. */
	for (int i = 0, items = 0; items < f->reach; i++) {
		items += s->held[i].item != 0;
		s->reach = i + 1;
	}
	s->session_lost = f->fate == REFUSED || f->fate == REFUSED_WITH_H;
	s->keeps_h = f->fate == REFUSED_WITH_H;
	s->h_too_high = f->fate == TOO_HIGH ? 100000 : 0;
	if (f->killed)
		sim_kill(s);
	else
		sim_cut(s);
	if (s->n_sent != f->reach)
		fail_msg("%s: %d arrived", f->why, s->n_sent);
	s->boot_us += 3 * HOUR;
	link_is_whole(s);
	engine_connect(s->engine);
	if (!sim_settle(s, 600 * SIM_SEC))
		fail_msg("%s: not settled", f->why);
	for (int i = 0; i < 9; i++) {
		int want = i < f->reach ? f->want : 1;

		snprintf(id, sizeof(id), "m%d", i);
		if (sim_received(s, id, &delay) != want)
			fail_msg("%s: %s arrived %d times instead of %d", f->why, id, sim_received(s, id, NULL), want);
		/* E3: what is sent again says when it was written. */
		if ((delay != 0) != (i >= f->reach || f->want == 2))
			fail_msg("%s: %s has the stamp %lld", f->why, id, (long long)delay);
	}
	if (f->want == 1)
		expect_sent(s, 9);
	sim_deinit(s);
	story_forget(s);
}

static void what_the_server_says_of_the_old_session_decides(_unused_ void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(fates); i++)
		run_fate(&fates[i]);
}

/* <failed h=> is told, and the stream breaks before the new session is bound: the second refusal has no h. */
static void D9_what_h_said_is_not_forgotten_with_the_stream(void **state)
{
	struct sim *s = *state;
	struct link_record r;

	s->no_archive = true;
	given_in_sync(s, 20);
	given_gone(s, 4, 100);
	sim_cut(s);
	assert_int_equal(s->n_sent, 4);
	s->session_lost = true;
	s->mute = true;
	sim_run(s, 10 * SIM_SEC);
	for (uint32_t phase = PHASE_RESOLVE; phase <= PHASE_BIND; phase++) {
		link_record_init(&r, LINK_PHASE);
		r.phase.phase = phase;
		engine_record(s->engine, &r);
	}
	link_record_init(&r, LINK_RESUME_REFUSED);
	r.resume_refused.condition = "item-not-found";
	r.resume_refused.has_h = true;
	r.resume_refused.h = s->h;
	engine_record(s->engine, &r);
	sim_kill(s);
	s->mute = false;
	engine_connect(s->engine);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, 4);
}

/* A count that cannot be true is no count (D8): the archive is asked as if there were none. */
static void D8_a_refusal_with_a_wrong_h_counts_as_without(void **state)
{
	struct sim *s = *state;
	uint32_t h;

	given_in_sync(s, 20);
	given_gone(s, 3, 0);
	sim_cut(s);
	h = s->h;
	s->h = h + 1000000;
	s->keeps_h = s->session_lost = true;
	link_is_whole(s);
	sim_run(s, 60 * SIM_SEC);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, 3);
}

static void D21_what_was_acknowledged_is_never_sent_again(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	for (int i = 0; i < 5; i++)
		send_n(s, BOB, i);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	for (int i = 0; i < 6; i++) {
		s->session_lost = i % 2;
		sim_cut(s);
		s->mute = i % 3 == 0;
		sim_run(s, 24 * HOUR);
		s->mute = false;
		if (i == 4)
			sim_kill(s);
		engine_connect(s->engine);
		assert_true(sim_settle(s, 2 * HOUR));
	}
	expect_sent(s, 5);
	assert_int_equal(s->sends, 5);
}

/*
 * A busy server works off the old stream while the new one is up already: its archive is not asked too early, and again
 * as long as copies turn up.
 */
static void an_old_session_that_still_works_doubles_nothing(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	s->lingers = true;
	given_gone(s, 3, 0);
	session_is_lost(s);
	s->lingers = false;
	link_is_whole(s);
	sim_run(s, 5 * SIM_SEC);
	/* Whatever of the wire's own lay between them goes too. */
	sim_send_linger(s, s->n_lingering / 2);
	sim_run(s, 20 * SIM_SEC);
	assert_true(s->n_sent > 0 && s->n_sent < 3);
	sim_send_linger(s, s->n_lingering);
	assert_true(sim_settle(s, 600 * SIM_SEC));
	expect_sent(s, 3);
}

/* A has gone and is in doubt. B and C to the same person wait; D to another one does not. */
static void E5_doubt_holds_back_its_own_conversation_alone(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	link_swallows(s, 0);
	sim_send(s, BOB, "m0", "A");
	run_until_gone(s, 1);
	session_is_lost(s);
	s->empty_fins = s->no_metadata = true; /* the archive tells nothing yet */
	sim_archive(s, "ann@sim.test", false, "came meanwhile", 0);
	sim_send(s, BOB, "m1", "B");
	sim_send(s, BOB, "m2", "C");
	sim_send(s, "dan@sim.test", "d", "D");
	link_is_whole(s);
	sim_run(s, 30 * SIM_SEC);
	assert_int_equal(sim_received(s, "d", NULL), 1);
	assert_int_equal(s->n_sent, 1);
	s->empty_fins = false;
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_int_equal(s->n_sent, 4);
	for (int i = 0; i < 3; i++) {
		char id[4] = { 'm', (char)('0' + i), 0 };

		assert_string_equal(s->sent[i + 1].id, id);
	}
}

/* One of ours is in doubt, and the archive refuses to say. */
static void given_doubt_without_an_answer(struct sim *s)
{
	given_in_sync(s, 20);
	given_gone(s, 1, 0);
	session_is_lost(s);
	s->never_complete = s->no_metadata = s->empty_fins = true;
	sim_archive(s, "ann@sim.test", false, "came meanwhile", 0);
	link_is_whole(s);
}

/* An archive that refuses for ever does not hold a message for ever. */
static void doubt_ends_when_the_archive_never_answers(void **state)
{
	struct sim *s = *state;

	given_doubt_without_an_answer(s);
	sim_run(s, 120 * SIM_SEC);
	assert_int_equal(s->n_sent, 0);
	sim_run(s, HOUR);
	expect_sent(s, 1);
}

/* Nor does one that refuses on streams which are all too short for its patience. */
static void doubt_ends_on_short_streams_too(void **state)
{
	struct sim *s = *state;

	given_doubt_without_an_answer(s);
	for (int i = 0; i < 4; i++) {
		sim_run(s, 100 * SIM_SEC);
		assert_int_equal(s->n_sent, 0);
		session_is_lost(s);
	}
	for (int i = 0; i < 8; i++) {
		sim_run(s, 100 * SIM_SEC);
		sim_cut(s);
	}
	expect_sent(s, 1);
}

/* A pause of the sync is none of what was sent: only so much is asked as is needed to know, and then nothing more. */
static void doubt_ends_while_the_sync_is_paused(void **state)
{
	struct sim *s = *state;
	struct account_status st;
	int asked;

	sim_fill(s, 500, 2, 60 * SIM_SEC);
	given_in_sync(s, 20);
	given_gone(s, 2, 1);
	session_is_lost(s);
	engine_sync_pause(s->engine, true);
	link_is_whole(s);
	sim_run(s, 120 * SIM_SEC);
	assert_int_equal(s->n_sent, 2);
	expect_sent(s, 2);
	engine_status(s->engine, &st);
	assert_string_equal(st.sync_state, "paused");
	asked = s->queries;
	sim_live(s, "bob@sim.test", "later");
	sim_run(s, HOUR);
	assert_int_equal(s->queries, asked);
}

/*
 * The past takes hours, and nobody waits for it to know what arrived: all since the anchor is enough, and no less: with
 * more than a page of others behind them, some arrived, and some did not.
 */
static void D10_the_past_says_nothing_of_what_is_in_doubt(void **state)
{
	struct sim *s = *state;
	struct account_status st;

	s->page_cap = 25;
	sim_fill(s, 1500, 2, 60 * SIM_SEC);
	s->delay_us = 5 * SIM_SEC;
	s->lanes = 1;
	engine_connect(s->engine);
	while (!cover_is_live(&s->engine->cover))
		sim_run(s, SIM_SEC);
	given_gone(s, 4, 3);
	session_is_lost(s);
	assert_in_range(s->n_sent, 1, 3);
	s->boot_us += 3 * HOUR;
	sim_fill(s, 80, 2, 60 * SIM_SEC);
	link_is_whole(s);
	for (int i = 0; i < 120 && s->n_sent < 4; i++)
		sim_run(s, SIM_SEC);
	expect_sent(s, 4);
	engine_status(s->engine, &st);
	assert_false(st.caught_up);
	assert_in_range(st.messages, 80, 1000);
	assert_true(sim_settle(s, HOUR));
	expect_sent(s, 4);
	sim_expect_honest(s);
	assert_int_equal(s->engine->messages + 4, s->n);
}

/* What was lost from the server's archive cannot say anything: at least once. */
static void doubt_ends_at_a_lost_gap(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	given_gone(s, 1, 0);
	session_is_lost(s);
	s->boot_us += 24 * HOUR;
	sim_fill(s, 100, 2, 60 * SIM_SEC);
	s->expired = 60;
	link_is_whole(s);
	comes_in_sync(s);
	expect_sent(s, 1);
}

/* The whole gap of a day is fetched before the message in doubt is sent again, and not a page less. */
static void D10_the_archive_is_asked_before_anything_is_sent_again(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 20);
	given_gone(s, 1, 100);
	sim_cut(s); /* it has arrived, and nobody said so */
	sim_forget_session(s);
	s->boot_us += 24 * HOUR;
	sim_fill(s, 400, 2, 60 * SIM_SEC);
	s->sends = 0;
	s->lanes = 1;
	s->delay_us = 200000;
	s->no_acks = false;
	sim_kill(s);
	engine_connect(s->engine);
	for (int i = 0; i < 100 && s->engine->doubt; i++) {
		assert_int_equal(s->sends, 0);
		sim_run(s, SIM_SEC / 10);
	}
	assert_true(sim_settle(s, 600 * SIM_SEC));
	assert_int_equal(s->sends, 0);
	expect_sent(s, 1);
	sim_expect_all(s, 0);
}

/*
 * A message comes back as an error, is tried again, and is then in doubt. Whether the archive has a copy of the first try is
 * not known from the error: a server may keep it or not. It is known once the archive was read after it.
 */
static void bounced_and_then_in_doubt(struct sim *s, bool first_archived, bool second_arrives)
{
	struct link_record r;
	int64_t msg;

	given_in_sync(s, 20);
	s->no_copies = !first_archived;
	msg = sim_send(s, BOB, "m0", "sent 0");
	assert_true(sim_settle(s, 60 * SIM_SEC));
	link_record_init(&r, LINK_MSG);
	message_init(&r.msg);
	r.msg.via = VIA_LIVE;
	r.msg.type = "error";
	r.msg.payload = PAYLOAD_ERROR;
	r.msg.id = "m0";
	r.msg.from = BOB;
	r.msg.to = "me@sim.test";
	r.msg.error = "remote-server-timeout";
	s->bounced++;
	engine_record(s->engine, &r);
	sim_run(s, 60 * SIM_SEC);
	assert_int_equal(sim_state(s, msg), STATE_FAILED);

	s->no_copies = false;
	link_swallows(s, second_arrives ? 10 : 0);
	assert_int_equal(store_begin(s->store), 0);
	assert_int_equal(outbox_retry(s->store, s->account.id, msg, s->engine->io->real_us(s)), 0);
	assert_int_equal(store_commit(s->store), 0);
	engine_send(s->engine);
	run_until_gone(s, 1);
	s->session_lost = true;
	sim_cut(s);
	link_is_whole(s);
	/* So that the newest page is asked for, with the first copy in it. */
	sim_archive(s, "c0@sim.test", false, "meanwhile", 0);
	assert_true(sim_settle(s, 6 * HOUR));
	assert_int_equal(sim_received(s, "m0", NULL), 2);
	assert_int_equal(sim_state(s, msg), STATE_SENT);
	assert_int_equal(sim_count(s, "sent 0"), 1);
}

static void bounced_tried_again_and_in_doubt(_unused_ void **state)
{
	for (int i = 0; i < 4; i++) {
		struct sim *s = story_memory();

		sim_init(s, 1);
		bounced_and_then_in_doubt(s, i & 1, i & 2);
		sim_deinit(s);
		story_forget(s);
	}
}

static void counts_go_on_across_2_to_the_32(_unused_ void **state)
{
	for (int fate = RESUMED; fate <= REFUSED_WITH_H; fate++) {
		struct sim *s = story_memory();

		sim_init(s, 1);
		s->first_n = UINT32_MAX - 20;
		given_in_sync(s, 20);
		for (int i = 0; i < 20; i++) {
			send_n(s, BOB, i);
			assert_true(sim_settle(s, 60 * SIM_SEC));
		}
		s->no_acks = true;
		s->net_us = 60 * SIM_SEC;
		for (int i = 20; i < 26; i++)
			send_n(s, BOB, i);
		run_until_gone(s, 6);
		assert_true(s->out_n < 100); /* it has wrapped */
		s->reach = 3;
		s->session_lost = s->keeps_h = fate == REFUSED_WITH_H;
		s->no_archive = true;
		sim_kill(s);
		s->no_acks = false;
		s->net_us = 20000;
		engine_connect(s->engine);
		assert_true(sim_settle(s, 60 * SIM_SEC));
		expect_sent(s, 26);
		sim_deinit(s);
		story_forget(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_server_says_of_the_old_session_decides),
		STORY(D8_a_refusal_with_a_wrong_h_counts_as_without),
		STORY(D9_what_h_said_is_not_forgotten_with_the_stream),
		STORY(D10_the_archive_is_asked_before_anything_is_sent_again),
		STORY(D21_what_was_acknowledged_is_never_sent_again),
		STORY(an_old_session_that_still_works_doubles_nothing),
		cmocka_unit_test(bounced_tried_again_and_in_doubt),
		STORY(E5_doubt_holds_back_its_own_conversation_alone),
		STORY(doubt_ends_when_the_archive_never_answers),
		STORY(doubt_ends_on_short_streams_too),
		STORY(D10_the_past_says_nothing_of_what_is_in_doubt),
		STORY(doubt_ends_while_the_sync_is_paused),
		STORY(doubt_ends_at_a_lost_gap),
		cmocka_unit_test(counts_go_on_across_2_to_the_32),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
