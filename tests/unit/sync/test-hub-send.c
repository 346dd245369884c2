/* sync/hub-send.h on a real hub and store, without a network: what is refused, with which words, and what is kept. */
#define _GNU_SOURCE
#include "hub-fixture.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "store/db.h"
#include "store/read.h"

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
	_cleanup_(freep) char *why = NULL, *late = NULL, *none = NULL;
	int64_t msg = send_hello(f, BOB, "id-1");

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

	for (int i = 0; i < 3; i++, id[0]++) {
		expect_outbox(f, (uint32_t)i, 0);
		msgs[i] = send_hello(f, BOB, id);
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
	int64_t before = steps_done(hub_store(f->hub));

	for (int i = from; i < from + 10; i++) {
		_cleanup_(freep) char *id = xasprintf("id-%d", i);

		send_hello(f, BOB, id);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_cannot_be_sent_is_refused_with_words),
		CASE(the_same_request_is_one_message),
		CASE(cancel_and_retry),
		CASE(the_outbox_is_told_as_it_is),
		CASE(a_send_costs_the_same_whatever_waits),
		CASE(only_own_messages_are_corrected),
		CASE(a_locked_archive_takes_nothing),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
