/* sync/hub-conversation.c, hub-request.c: what a user does with a conversation, and what needs a connection. */
#define _GNU_SOURCE
#include "hub-fixture.h"

#include <string.h>

#include "base/log.h"
#include "link/vocab.h"

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

	assert_int_equal(hub_find_seat(f->hub, f->account, &seat, &why), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		msg = send_hello(f, rows[i].to, rows[i].id);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(offline_nothing_can_be_asked),
		CASE(conversations_are_made_and_changed),
		CASE(messages_are_counted_as_they_come_and_go),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
