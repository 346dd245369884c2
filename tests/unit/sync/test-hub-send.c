/* sync/hub-send.h on a real hub and store, without a network: what is refused, with which words, and what is kept. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/jid.h"
#include "link/vocab.h"
#include "store/db.h"
#include "store/push.h"
#include "store/read.h"
#include "store/search.h"
#include "sync/hub-priv.h"

#define BOB "bob@unit.test"

struct fixture {
	char dir[64];
	sd_event *event;
	struct hub *hub;
	int64_t account;
};

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	char jid[] = "me@unit.test", password[] = "x", empty[] = "";
	struct account a = {
		.jid = jid, .password = password, .host = empty, .ca_pem = empty, .nick = empty, .resource = empty,
		.push_service = empty,
	};
	_cleanup_(freep) char *why = NULL;

	strcpy(f->dir, "/tmp/varve-hub-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	setenv("VARVE_WIRE", "/bin/false", 1);
	assert_true(sd_event_new(&f->event) >= 0);
	assert_int_equal(hub_new(f->event, f->dir, f->dir, &f->hub, &why), 0);
	assert_int_equal(hub_start(f->hub), 0);
	assert_int_equal(hub_state(f->hub), HUB_READY);
	assert_int_equal(hub_account_add(f->hub, &a, &f->account, &why), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	hub_free(f->hub);
	sd_event_unref(f->event);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static struct outgoing text(const char *to, const char *id, const char *body)
{
	return (struct outgoing){ .kind = OUT_TEXT, .conversation = to, .client_id = id, .body = body, .emojis = "" };
}

/* What a user is told of the outbox. */
static void expect_outbox(struct fixture *f, uint32_t queued, uint32_t failed)
{
	struct outbox_status s;

	assert_int_equal(hub_outbox(f->hub, f->account, &s), 0);
	assert_int_equal(s.queued, queued);
	assert_int_equal(s.failed, failed);
	assert_int_equal(s.n_failed_ids, failed);
}

static void what_cannot_be_sent_is_refused_with_words(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *long_id = xcalloc(1, 200), *long_body = xcalloc(1, OUTBOX_BODY_MAX + 2);
	const struct {
		const char *to, *id, *body, *says, *why;
	} rows[] = {
		{ BOB "/phone", "a", "x", "not an address as name@server", "a resource" },
		{ "", "a", "x", "not an address as name@server", "nobody" },
		{ "bob @unit.test", "a", "x", "not an address as name@server", "no JID" },
		{ BOB, "", "x", "client id is empty", "no id" },
		{ BOB, "a\nb", "x", "control character", "an id of two lines" },
		{ BOB, long_id, "x", "at most 128", "an id that is too long" },
		{ BOB, "a", "", "empty", "no text" },
		{ BOB, "a", long_body, "at most 65536", "too long" },
		{ BOB, "a", "\xff", "not UTF-8", "no UTF-8" },
		{ BOB, "a", "ring \x07", "byte 5 (0x07)", "a bell" },
		{ BOB, "a", "\xef\xbf\xbf", "cannot be sent", "a noncharacter that XML has not" },
	};

	memset(long_id, 'i', 129);
	memset(long_body, 'x', OUTBOX_BODY_MAX + 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outgoing o = text(rows[i].to, rows[i].id, rows[i].body);
		_cleanup_(freep) char *why = NULL;
		int64_t msg;
		bool existing;

		if (hub_send(f->hub, f->account, &o, &msg, &existing, &why) != HUB_E_INVALID || !strstr(why, rows[i].says))
			fail_msg("%s: \"%s\"", rows[i].why, str_or_empty(why));
	}
}

static int take(void *userdata, const struct message_row *row)
{
	char **ret = userdata;

	str_set(ret, row->conversation);
	return 0;
}

static void the_same_request_is_one_message(void **state)
{
	struct fixture *f = *state;
	struct outgoing o = text("Bob@Unit.test", "id-1", "hello"), other = text(BOB, "id-1", "good bye");
	_cleanup_(freep) char *why = NULL, *conversation = NULL;
	int64_t first, second;
	bool existing;

	assert_int_equal(hub_send(f->hub, f->account, &o, &first, &existing, &why), 0);
	assert_false(existing);
	assert_int_equal(hub_send(f->hub, f->account, &o, &second, &existing, &why), 0);
	assert_true(existing);
	assert_int_equal(first, second);
	/* As everywhere: folded. */
	assert_int_equal(read_messages(hub_store(f->hub), f->account, &first, 1, take, &conversation), 0);
	assert_string_equal(conversation, BOB);
	assert_int_equal(hub_send(f->hub, f->account, &other, &second, &existing, &why), HUB_E_CONFLICT);
	assert_non_null(strstr(why, "new id"));
	expect_outbox(f, 1, 0);
}

static void cancel_and_retry(void **state)
{
	struct fixture *f = *state;
	struct outgoing o = text(BOB, "id-1", "hello");
	_cleanup_(freep) char *why = NULL, *late = NULL, *none = NULL;
	int64_t msg;
	bool existing;

	assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), 0);
	assert_int_equal(hub_cancel(f->hub, f->account, msg, &why), 0);
	expect_outbox(f, 0, 0);
	assert_int_equal(hub_cancel(f->hub, f->account, msg, &late), HUB_E_UNSUITABLE);
	assert_int_equal(hub_retry(f->hub, f->account, msg, &why), 0);
	expect_outbox(f, 1, 0);
	assert_int_equal(hub_retry(f->hub, f->account, 12345, &none), HUB_E_NOT_FOUND);
}

static int fail_half_way(struct store *s, void *arg)
{
	struct fixture *f = arg;
	struct outgoing o = text(BOB, "id-undone", "never");
	int64_t msg;
	bool existing;

	assert_int_equal(outbox_put(s, f->account, "me@unit.test", &o, 1, &msg, &existing), 0);
	expect_outbox(f, 3, 0);
	return -EIO;
}

static int fail_item(struct store *s, void *arg)
{
	struct fixture *f = arg;

	return outbox_failed(s, f->account, 1, "not-allowed", "");
}

/* Whatever changed it: a message more, a state, a transaction undone, a message deleted, another life. */
static void the_outbox_is_told_as_it_is(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *why = NULL;
	char id[2] = "a";
	int64_t msgs[3];
	bool existing;

	for (int i = 0; i < 3; i++, id[0]++) {
		struct outgoing o = text(BOB, id, "hello");

		expect_outbox(f, (uint32_t)i, 0);
		assert_int_equal(hub_send(f->hub, f->account, &o, &msgs[i], &existing, &why), 0);
	}
	assert_int_equal(hub_transaction(hub_store(f->hub), fail_item, f), 0);
	expect_outbox(f, 2, 1);
	assert_int_equal(hub_retry(f->hub, f->account, msgs[0], &why), 0);
	assert_int_equal(hub_cancel(f->hub, f->account, msgs[1], &why), 0);
	expect_outbox(f, 2, 0);
	assert_int_equal(hub_transaction(hub_store(f->hub), fail_half_way, f), -EIO);
	expect_outbox(f, 2, 0);
	assert_int_equal(hub_transaction(hub_store(f->hub), fail_item, f), 0);
	expect_outbox(f, 1, 1);
	hub_free(f->hub);
	assert_int_equal(hub_new(f->event, f->dir, f->dir, &f->hub, &why), 0);
	assert_int_equal(hub_start(f->hub), 0);
	expect_outbox(f, 1, 1);
	assert_int_equal(hub_delete_messages(f->hub, f->account, msgs, 1, &why), 0);
	expect_outbox(f, 1, 0);
}

/* As bus/feed.c does. */
static void look_at_status(void *userdata, _unused_ enum hub_event event, int64_t account)
{
	struct fixture *f = userdata;
	struct account_status s;

	if (account)
		assert_int_equal(hub_status(f->hub, account, &s), 0);
}

/* What SQLite did in all, in steps of its virtual machine. */
static int64_t steps_done(struct store *s)
{
	int64_t n = 0;

	for (sqlite3_stmt *st = sqlite3_next_stmt(s->db, NULL); st; st = sqlite3_next_stmt(s->db, st))
		n += sqlite3_stmt_status(st, SQLITE_STMTSTATUS_VM_STEP, 0);
	return n;
}

static int64_t steps_of_ten_sends(struct fixture *f, int from)
{
	int64_t before = steps_done(hub_store(f->hub)), msg;
	bool existing;

	for (int i = from; i < from + 10; i++) {
		_cleanup_(freep) char *id = xasprintf("id-%d", i), *why = NULL;
		struct outgoing o = text(BOB, id, "hello");

		assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), 0);
		hub_tell(f->hub);
	}
	return steps_done(hub_store(f->hub)) - before;
}

/* Who wrote a thousand messages offline writes the next one as fast as the first; and so does what is told of it. */
static void a_send_costs_the_same_whatever_waits(void **state)
{
	struct fixture *f = *state;
	int64_t few, many;

	hub_observe(f->hub, look_at_status, f);
	steps_of_ten_sends(f, 0);
	few = steps_of_ten_sends(f, 10);
	for (int i = 20; i < 300; i += 10)
		many = steps_of_ten_sends(f, i);
	hub_observe(f->hub, NULL, NULL);
	expect_outbox(f, 300, 0);
	if (many > few + few / 4)
		fail_msg("ten sends took %lld steps with ten waiting, %lld with 290", (long long)few, (long long)many);
}

static bool upkeep_is_due(struct fixture *f)
{
	int enabled = SD_EVENT_OFF;

	assert_true(sd_event_source_get_enabled(f->hub->upkeep_timer, &enabled) >= 0);
	return enabled != SD_EVENT_OFF;
}

/* It is looked for once in a burst; what is written after that look is not forgotten for it. */
static void upkeep_follows_every_send(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *why = NULL;
	int64_t msg;
	bool existing;

	assert_false(upkeep_is_due(f));
	for (int i = 0; i < 3; i++) {
		const char *const ids[] = { "a", "b", "c" };
		struct outgoing o = text(BOB, ids[i], "hello");

		assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), 0);
		hub_tell(f->hub);
		assert_true(upkeep_is_due(f));
		/* As if its time had come, and all was done. */
		sd_event_source_set_enabled(f->hub->upkeep_timer, SD_EVENT_OFF);
	}
}

/* By the real clock, a second after the last: the timer that the first one set fires before that, and goes on waiting. */
static void upkeep_comes_after_the_last_send(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *why = NULL;
	int64_t msg, deadline_us = clock_boot_us() + 60 * USEC_PER_SEC;
	uint64_t behind = 0;
	bool existing;

	for (int i = 0; i < 2; i++) {
		struct outgoing o = text(BOB, i ? "a" : "b", "hello");
		int64_t until_us = clock_boot_us() + USEC_PER_SEC / 2;

		assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), 0);
		while (i == 0 && clock_boot_us() < until_us)
			assert_true(sd_event_run(f->event, USEC_PER_SEC / 10) >= 0);
	}
	assert_int_equal(search_behind(hub_store(f->hub), &behind), 0);
	assert_true(behind > 0);
	while (behind && clock_boot_us() < deadline_us) {
		assert_true(sd_event_run(f->event, USEC_PER_SEC / 10) >= 0);
		assert_int_equal(search_behind(hub_store(f->hub), &behind), 0);
	}
	assert_int_equal(behind, 0);
}

/* What is deleted is to be gone from the disk, and what is said to be found, also while somebody writes again and again. */
static void upkeep_is_not_put_off_for_ever(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *why = NULL;
	int64_t msg, deadline_us = clock_boot_us() + 60 * USEC_PER_SEC;
	struct outgoing o = text(BOB, "a", "hello");
	uint64_t behind = 1;
	bool existing;

	assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), 0);
	hub_tell(f->hub);
	assert_true(upkeep_is_due(f));
	/* As if it had gone on for a minute, and goes on. */
	f->hub->upkeep_due_us -= 60 * USEC_PER_SEC;
	while (behind && clock_boot_us() < deadline_us) {
		f->hub->upkeep_wrote_us = clock_boot_us() + 60 * USEC_PER_SEC;
		assert_true(sd_event_run(f->event, USEC_PER_SEC / 10) >= 0);
		assert_int_equal(search_behind(hub_store(f->hub), &behind), 0);
	}
	assert_int_equal(behind, 0);
}

static void only_own_messages_are_corrected(void **state)
{
	struct fixture *f = *state;
	struct outgoing o = { .kind = OUT_CORRECTION, .conversation = "", .client_id = "", .body = "x", .emojis = "" };
	_cleanup_(freep) char *why = NULL;
	int64_t msg;
	bool existing;

	o.msg = 999;
	assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), HUB_E_NOT_FOUND);
}

static void never(_unused_ void *userdata, _unused_ int r, _unused_ const char *why)
{
	fail_msg("nothing was asked");
}

static void offline_nothing_can_be_asked(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *why = NULL, *bad = NULL, *show = NULL, *jid = NULL;

	assert_int_equal(hub_request(f->hub, f->account, REQUEST_BLOCK, BOB, "", "", never, f, &why), HUB_E_OFFLINE);
	assert_non_null(strstr(why, "not connected"));
	assert_int_equal(hub_request(f->hub, f->account, 77, BOB, "", "", never, f, &bad), HUB_E_INVALID);
	assert_int_equal(hub_request(f->hub, f->account, REQUEST_BLOCK, "b b", "", "", never, f, &jid), HUB_E_INVALID);
	/* Typing is lost without a word, presence is kept. */
	assert_int_equal(hub_set_typing(f->hub, f->account, BOB, CHAT_COMPOSING, &why), 0);
	assert_int_equal(hub_set_presence(f->hub, f->account, "dnd", "busy", &why), 0);
	assert_int_equal(hub_set_presence(f->hub, f->account, "lunch", "", &show), HUB_E_INVALID);
}

static void conversations_are_made_and_changed(void **state)
{
	struct fixture *f = *state;
	struct conversation_change c = { .set_pinned = true, .pinned = true, .set_draft = true, .draft = "half a" };
	_cleanup_(freep) char *id = NULL, *why = NULL, *none = NULL, *bad = NULL;

	assert_int_equal(hub_conversation_open(f->hub, f->account, "Ann@unit.test", &id, &why), 0);
	assert_string_equal(id, "ann@unit.test");
	assert_int_equal(hub_conversation_set(f->hub, f->account, id, &c, &why), 0);
	assert_int_equal(hub_conversation_set(f->hub, f->account, "eve@unit.test", &c, &none), HUB_E_NOT_FOUND);
	c.draft = "\xff";
	assert_int_equal(hub_conversation_set(f->hub, f->account, id, &c, &bad), HUB_E_INVALID);
	assert_int_equal(hub_mark_read(f->hub, f->account, id, 0, true, &why), 0);
	assert_int_equal(hub_delete_conversation(f->hub, f->account, id, &why), 0);
}

/* What status says is what export would write: also what was sent from here, once, and not what was deleted. */
static void messages_are_counted_as_they_come_and_go(void **state)
{
	struct fixture *f = *state;
	const struct {
		const char *to, *id;
		uint64_t count;
	} rows[] = { { BOB, "a", 1 }, { BOB, "a", 1 }, { BOB, "b", 2 }, { "carol@unit.test", "c", 3 } };
	_cleanup_(freep) char *why = NULL;
	struct account_status s;
	struct seat *seat;
	int64_t msg = 0;
	bool existing;

	assert_int_equal(hub_find_seat(f->hub, f->account, &seat, &why), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outgoing o = text(rows[i].to, rows[i].id, "x");

		assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), 0);
		engine_status(seat->engine, &s);
		assert_int_equal(s.messages, rows[i].count);
	}
	assert_int_equal(hub_delete_messages(f->hub, f->account, &msg, 1, &why), 0);
	engine_status(seat->engine, &s);
	assert_int_equal(s.messages, 2);
	assert_int_equal(hub_delete_conversation(f->hub, f->account, BOB, &why), 0);
	engine_status(seat->engine, &s);
	assert_int_equal(s.messages, 0);
}

/* ---- parked, for a rotation of the keys ---- */

static void on_parked(void *userdata)
{
	assert_int_equal(hub_reset_seats(userdata), 0); /* as on another archive */
	hub_unpark(userdata);
}

/* The loop runs until an attempt is under way or planned, or not for ${patience_us}: is it? */
static bool tries(struct fixture *f, int64_t patience_us)
{
	int64_t until = clock_boot_us() + patience_us;
	_cleanup_(freep) char *why = NULL;
	struct account_status s;
	struct seat *seat;

	assert_int_equal(hub_find_seat(f->hub, f->account, &seat, &why), 0);
	do {
		engine_status(seat->engine, &s);
		if (s.next_retry_us || seat->peer)
			return true;
		assert_true(sd_event_run(f->event, 10000) >= 0);
	} while (clock_boot_us() < until);
	return false;
}

/* The wire is /bin/false: what connects is offline at once, and waits for its next attempt. */
static void who_waits_for_the_next_attempt_tries_again_after_a_rotation(void **state)
{
	struct fixture *f = *state;
	_cleanup_(freep) char *why = NULL;
	struct account_status s = { 0 };
	struct account enabled;
	struct seat *seat;

	assert_int_equal(hub_find_seat(f->hub, f->account, &seat, &why), 0);
	enabled = *engine_account(seat->engine);
	enabled.enabled = true;
	assert_int_equal(hub_account_update(f->hub, &enabled, &why), 0);
	for (int64_t until = clock_boot_us() + 30 * USEC_PER_SEC; clock_boot_us() < until; engine_status(seat->engine, &s)) {
		if (s.next_retry_us && !seat->peer)
			break;
		assert_true(sd_event_run(f->event, 10000) >= 0);
	}
	if (!s.next_retry_us)
		fail_msg("%s: %s", s.state, s.reason_text);
	assert_int_equal(hub_park(f->hub, on_parked, f->hub), 0);
	while (f->hub->park)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	assert_true(tries(f, 30 * USEC_PER_SEC));
	/* Whom the user has disconnected stays so. */
	assert_int_equal(hub_account_disconnect(f->hub, f->account, &why), 0);
	while (seat->peer)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	assert_int_equal(hub_park(f->hub, on_parked, f->hub), 0);
	while (f->hub->park)
		assert_true(sd_event_run(f->event, 10000) >= 0);
	assert_false(tries(f, USEC_PER_SEC / 20));
}

static void a_locked_archive_takes_nothing(void **state)
{
	struct fixture *f = *state;
	struct outgoing o = text(BOB, "id-1", "hello");
	_cleanup_(freep) char *why = NULL, *nobody = NULL;
	int64_t msg;
	bool existing;

	assert_int_equal(hub_send(f->hub, f->account + 1, &o, &msg, &existing, &nobody), HUB_E_NOT_FOUND);
	hub_enter(f->hub, HUB_LOCKED, "locked for a test");
	assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), HUB_E_LOCKED);
	assert_non_null(strstr(why, "varvectl unlock"));
	hub_enter(f->hub, HUB_READY, "");
	f->hub->rotating = true;
	str_set(&why, NULL);
	assert_int_equal(hub_send(f->hub, f->account, &o, &msg, &existing, &why), HUB_E_BUSY);
	f->hub->rotating = false;
}

/* P4: any address will do but our own, which no server takes. */
static void a_push_service_is_somebody_else(void **state)
{
	static const struct {
		const char *service, *says; /* "": accepted */
	} rows[] = {
		{ "push.test", "" },
		{ "Node@Push.test", "" },
		{ "unit.test", "" },
		{ "", "" },
		{ "me@unit.test", "the account itself" },
		{ "ME@unit.test", "the account itself" },
		{ "push.test/x", "not the address" },
		{ "push test", "not the address" },
	};
	struct fixture *f = *state;
	struct account a = { 0 };

	account_copy(&a, hub_account(f->hub, f->account));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *why = NULL, *folded = jid_bare(rows[i].service);
		int r;

		str_set(&a.push_service, rows[i].service);
		r = hub_account_update(f->hub, &a, &why);
		if (r != (*rows[i].says ? HUB_E_INVALID : 0) || !strstr(str_or_empty(why), rows[i].says))
			fail_msg("%s: %d %s", rows[i].service, r, str_or_empty(why));
		if (r == 0)
			assert_string_equal(hub_account(f->hub, f->account)->push_service, folded);
	}
	account_deinit(&a);
}

static void a_change_of_mind_without_end_is_refused_with_words(void **state)
{
	struct fixture *f = *state;
	struct account a = { 0 };
	_cleanup_(freep) char *why = NULL;

	account_copy(&a, hub_account(f->hub, f->account));
	for (int i = 0; i <= PUSH_GOING_MAX; i++) {
		free(a.push_service);
		a.push_service = xasprintf("s%d.test", i);
		assert_int_equal(hub_account_update(f->hub, &a, &why), 0);
	}
	str_set(&a.push_service, "more.test");
	assert_int_equal(hub_account_update(f->hub, &a, &why), HUB_E_LIMIT);
	assert_non_null(strstr(why, "let it connect first"));
	assert_string_equal(hub_account(f->hub, f->account)->push_service, "s8.test");
	account_deinit(&a);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_cannot_be_sent_is_refused_with_words),
		CASE(a_push_service_is_somebody_else),
		CASE(a_change_of_mind_without_end_is_refused_with_words),
		CASE(the_same_request_is_one_message),
		CASE(cancel_and_retry),
		CASE(the_outbox_is_told_as_it_is),
		CASE(a_send_costs_the_same_whatever_waits),
		CASE(upkeep_follows_every_send),
		CASE(upkeep_comes_after_the_last_send),
		CASE(upkeep_is_not_put_off_for_ever),
		CASE(only_own_messages_are_corrected),
		CASE(offline_nothing_can_be_asked),
		CASE(conversations_are_made_and_changed),
		CASE(messages_are_counted_as_they_come_and_go),
		CASE(who_waits_for_the_next_attempt_tries_again_after_a_rotation),
		CASE(a_locked_archive_takes_nothing),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
