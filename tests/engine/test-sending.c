/*
 * Sending against a simulated server in simulated time, on a real store: exactly once (docs/decisions/0008), in order,
 * with the names of facts/sync.md.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "link/link.h"
#include "story.h"
#include "torture.h"
#include "store/outbox.h"
#include "store/read.h"
#include "sync/engine-priv.h"


/* Everything that was sent is at the receiver once, in the order of the ids m0, m1, ... */
static void expect_sent(struct sim *s, int n)
{
	char id[48];
	int next = 0;

	for (int i = 0; i < s->n_sent; i++) {
		if (s->sent[i].kind != OUT_TEXT)
			continue;
		snprintf(id, sizeof(id), "m%d", next);
		if (strcmp(s->sent[i].id, id) != 0)
			fail_msg("seed %u: %s arrived where %s should", s->seed, s->sent[i].id, id);
		next++;
	}
	if (next != n)
		fail_msg("seed %u: %d messages arrived instead of %d", s->seed, next, n);
}

static int64_t send_n(struct sim *s, const char *to, int n)
{
	char id[16], body[32];
	int64_t msg = 0;

	snprintf(id, sizeof(id), "m%d", n);
	snprintf(body, sizeof(body), "sent %d", n);
	msg = sim_send(s, to, id, body);
	return msg;
}

/* ${n} messages to BOB have left; ${reach} stanzas of what left arrive, and nobody says so. */
static void given_gone(struct sim *s, int n, int reach)
{
	link_swallows(s, reach);
	for (int i = 0; i < n; i++)
		send_n(s, BOB, i);
	run_until_gone(s, n);
}

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

/* One message makes the server end the stream. It fails; all others arrive once. */
static void poison(bool session_goes, bool mute)
{
	struct sim *s = story_memory();
	int64_t msg = 0;

	sim_init(s, 1);
	s->forgets_poison = session_goes;
	s->mute_poison = mute;
	given_in_sync(s, 20);
	for (int i = 0; i < 10; i++) {
		if (i == 5)
			msg = sim_send(s, "eve@sim.test", "p", "poison");
		send_n(s, BOB, i);
	}
	if (!sim_settle(s, 6 * HOUR))
		fail_msg("poison: not settled");
	expect_sent(s, 10);
	assert_int_equal(sim_state(s, msg), STATE_FAILED);
	/* Once the suspects have passed, all is as before. */
	assert_false(s->engine->flight.careful);
	s->gos = 0;
	for (int i = 10; i < 20; i++)
		send_n(s, BOB, i);
	assert_true(sim_settle(s, 60 * SIM_SEC));
	expect_sent(s, 20);
	assert_int_equal(s->gos, 1);
	sim_deinit(s);
	story_forget(s);
}

static void a_poison_message_fails_alone(_unused_ void **state)
{
	poison(false, false);
	poison(true, false);
}

/* The server that only closes the connection, with the session kept and lost. */
static void a_poison_message_fails_alone_without_a_word_of_the_server(_unused_ void **state)
{
	poison(false, true);
	poison(true, true);
}

/* While the suspect is kept back the other conversations go on, and its own waits in order. */
static void others_do_not_wait_for_a_suspect(void **state)
{
	struct sim *s = *state;
	int64_t bad;

	given_in_sync(s, 20);
	s->mute_poison = true;
	bad = sim_send(s, "eve@sim.test", "p", "poison");
	for (int i = 0; i < 600 && s->engine->flight.soon < FLIGHT_SOON_MAX; i++)
		sim_run(s, SIM_SEC / 10);
	assert_int_equal(s->engine->flight.soon, FLIGHT_SOON_MAX);
	send_n(s, BOB, 0);
	sim_send(s, "eve@sim.test", "behind", "behind it");
	for (int i = 0; i < 3000 && !sim_received(s, "m0", NULL); i++)
		sim_run(s, SIM_SEC / 10);
	assert_int_equal(sim_received(s, "m0", NULL), 1);
	assert_true(s->boot_us < s->engine->flight.stands_us + FLIGHT_STEADY_US);
	assert_int_equal(sim_received(s, "behind", NULL), 0);
	assert_int_not_equal(sim_state(s, bad), STATE_FAILED);
	assert_true(sim_settle(s, 6 * HOUR));
	assert_int_equal(sim_state(s, bad), STATE_FAILED);
	assert_int_equal(sim_received(s, "behind", NULL), 1);
}

/* Silence is what bad links do. Nothing is held against the message, for as long as it lasts. */
static void a_server_that_falls_silent_over_a_message_gives_no_strike(void **state)
{
	struct sim *s = *state;
	int64_t msg;

	given_in_sync(s, 20);
	s->mute_poison = s->falls_silent = true;
	msg = sim_send(s, "eve@sim.test", "p", "poison");
	sim_run(s, 3 * HOUR);
	assert_int_not_equal(sim_state(s, msg), STATE_FAILED);
	assert_int_equal(s->engine->flight.soon, 0);
	s->falls_silent = false;
	assert_true(sim_settle(s, 6 * HOUR));
	assert_int_equal(sim_state(s, msg), STATE_FAILED);
}

/*
 * Two such messages, and what else there is to say, more than a window of it behind one of them: the others arrive soon, in
 * order, and the streams that end over the two are fewer and fewer. When the server is mended, all arrives.
 */
static void the_others_go_before_what_ends_streams_without_a_word(void **state)
{
	struct sim *s = *state;
	int64_t bad;
	int streams;

	given_in_sync(s, 20);
	s->mute_poison = s->falls_silent = true;
	bad = sim_send(s, "eve@sim.test", "p1", "poison");
	for (int i = 0; i < FLIGHT_ITEMS_MAX + 20; i++) {
		char id[16];

		snprintf(id, sizeof(id), "behind %d", i);
		sim_send(s, "eve@sim.test", id, "behind it");
	}
	sim_send(s, "mallory@sim.test", "p2", "poison");
	sim_send(s, "mallory@sim.test", "behind p2", "behind it");
	for (int i = 0; i < 20; i++)
		send_n(s, i % 2 ? BOB : "dan@sim.test", i);
	for (int i = 0; i < 3000 && !sim_received(s, "m19", NULL); i++)
		sim_run(s, SIM_SEC);
	assert_true(s->boot_us < HOUR);
	for (int i = 0; i < 20; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%d", i);
		assert_int_equal(sim_received(s, id, NULL), 1);
	}
	/* Those who come now wait for none of it. */
	for (int i = 0; i < 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "n%d", i);
		streams = s->resumes;
		sim_send(s, BOB, id, "news");
		sim_run(s, 20 * 60 * SIM_SEC);
		assert_int_equal(sim_received(s, id, NULL), 1);
		assert_in_range(s->resumes - streams, 1, 14);
	}
	streams = s->resumes;
	sim_run(s, HOUR);
	/* Two messages, every ten minutes. */
	assert_in_range(s->resumes - streams, 8, 14);
	assert_int_equal(sim_received(s, "behind 0", NULL), 0);
	assert_int_equal(sim_received(s, "behind p2", NULL), 0);
	assert_int_not_equal(sim_state(s, bad), STATE_FAILED);
	s->takes_poison = true;
	assert_true(sim_settle(s, HOUR));
	assert_int_equal(sim_received(s, "p1", NULL), 1);
	assert_int_equal(sim_received(s, "p2", NULL), 1);
	assert_int_equal(s->n_sent, 3 + FLIGHT_ITEMS_MAX + 20 + 20 + 3);
	assert_false(s->engine->flight.careful);
}

/* An only message where no stream lasts: it is no more late than the link makes it. */
static void an_only_message_on_a_bad_link_goes_soon(void **state)
{
	struct sim *s = *state;

	given_in_sync(s, 10);
	link_swallows(s, 0);
	sim_send(s, BOB, "only", "the only message");
	for (int i = 0; i < 60; i++) {
		sim_run(s, 12 * SIM_SEC);
		sim_cut(s);
		engine_connect(s->engine);
	}
	assert_in_range(s->gos, 20, 60);
	link_is_whole(s);
	sim_run(s, 40 * SIM_SEC);
	assert_int_equal(sim_received(s, "only", NULL), 1);
}

/*
 * Whatever a bad link does: closed from the other end, within seconds, before or after anything has arrived; or, for long,
 * closed as soon as a message goes. No message is failed for it, and none is lost or doubled.
 */
static void a_link_that_closes_all_the_time_fails_nothing(_unused_ void **state)
{
	for (unsigned int seed = 1; seed <= 12; seed++) {
		struct sim *s = xnew(struct sim);
		int64_t msg[6];

		sim_init(s, seed);
		given_in_sync(s, 20);
		s->net_us = seed % 3 * SIM_SEC;
		s->reach = seed % 4 ? -1 : 0;
		s->no_acks = seed % 2;
		for (int i = 0; i < 6; i++)
			msg[i] = send_n(s, i % 2 ? BOB : "eve@sim.test", i);
		for (int i = 0; i < 300; i++) {
			sim_run(s, 1 + rand_r(&s->dice) % (seed % 5 ? 8 * SIM_SEC : 50 * SIM_SEC));
			sim_close(s);
		}
		s->net_us = SIM_NET_US;
		s->no_acks = false;
		if (!sim_settle(s, 6 * HOUR))
			fail_msg("seed %u: not settled", seed);
		for (int i = 0; i < 6; i++) {
			char id[16];

			snprintf(id, sizeof(id), "m%d", i);
			if (sim_state(s, msg[i]) == STATE_FAILED || sim_received(s, id, NULL) != 1)
				fail_msg("seed %u: message %d: state %u, arrived %d times", seed, i, sim_state(s, msg[i]),
					 sim_received(s, id, NULL));
		}
		sim_deinit(s);
		free(s);
	}
}

/* Cancelled while the wire already has a number for it: the number is used for nothing. */
static void cancelled_between_send_and_go(void **state)
{
	struct sim *s = *state;
	int64_t msg[3];

	given_in_sync(s, 20);
	s->no_numbers = true;
	for (int i = 0; i < 3; i++)
		msg[i] = send_n(s, BOB, i);
	sim_run(s, SIM_SEC);
	assert_int_equal(s->sends, 3);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(many_go_as_one_burst_in_order),
		STORY(a_small_one_does_not_overtake_a_large_one),
		STORY(E1_what_was_accepted_offline_is_sent_later),
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
		STORY(doubt_ends_while_the_sync_is_paused),
		STORY(doubt_ends_at_a_lost_gap),
		cmocka_unit_test(a_poison_message_fails_alone),
		cmocka_unit_test(a_poison_message_fails_alone_without_a_word_of_the_server),
		STORY(others_do_not_wait_for_a_suspect),
		STORY(a_server_that_falls_silent_over_a_message_gives_no_strike),
		STORY(the_others_go_before_what_ends_streams_without_a_word),
		STORY(an_only_message_on_a_bad_link_goes_soon),
		cmocka_unit_test(a_link_that_closes_all_the_time_fails_nothing),
		STORY(cancelled_between_send_and_go),
		STORY(the_disk_is_full_between_numbered_and_go),
		STORY(the_disk_is_full_when_the_numbers_run_out),
		STORY(the_session_goes_when_the_numbers_run_out),
		STORY(killed_between_numbered_and_go),
		cmocka_unit_test(counts_go_on_across_2_to_the_32),
		STORY(own_messages_get_their_archive_ids),
		cmocka_unit_test(also_those_that_were_sent_before_a_cut),
	};

	return torture_main(tests, ARRAY_SIZE(tests));
}
