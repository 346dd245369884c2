/* bus/rows: nothing that came from the network can make a page fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "bus/rows.h"
#include "ipc/names.h"
#include "message.h"

/* xorshift: the same bytes every time. */
static uint32_t next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

static void any_bytes_become_a_string(_unused_ void **state)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus();
	uint32_t x = 20261122;
	static const char *const nasty[] = { "\xef\xbf\xbe", "\xef\xb7\x90", "\xf4\x8f\xbf\xbf", "\xed\xa0\x80", "\xc0\x80",
					     "\xff", "a" };

	for (int round = 0; round < 2000; round++) {
		_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_call(bus, "a.b", "C");
		char s[200] = "";
		const char *read = NULL;
		size_t n = 0;

		while (n < 150) {
			const char *piece = nasty[next_random(&x) % ARRAY_SIZE(nasty)];

			if (next_random(&x) % 3 == 0)
				s[n++] = (char)(next_random(&x) % 255 + 1);
			else
				n += strlen(strcpy(s + n, piece));
		}
		s[n] = '\0';
		assert_int_equal(rows_text(m, s) < 0, 0);
		message_seal(m);
		assert_true(sd_bus_message_read_basic(m, 's', &read) > 0);
	}
}

static void a_message_row_has_the_contract_s_shape(_unused_ void **state)
{
	static const struct message_row row = {
		.id = 7, .mod = 9, .conversation = "a@b", .sender = "room@b/nick\xef\xbf\xbe", .time_us = -5,
		.direction = DIRECTION_OUT, .state = STATE_FAILED, .kind = "text", .body = "hi\xff",
		.stanza_id = "s1", .origin_id = "", .xmpp_id = NULL, .encryption = "omemo", .error = "gone",
		.error_text = "moved\xff", .reactions = "c@d\tA\tB\ne@f\tC\n", .edited_us = 11, .reply_to = 3,
	};
	_cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus();
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_call(bus, "a.b", "C");
	const char *conversation, *sender, *kind, *body, *key;
	uint64_t id, mod;
	int64_t us;
	uint8_t direction, state_byte;
	char keys[200] = "";

	assert_int_equal(rows_message(m, &row, false), 0);
	message_seal(m);
	assert_string_equal(sd_bus_message_get_signature(m, true), VARVE_SIG_MESSAGE);
	assert_true(sd_bus_message_enter_container(m, 'r', VARVE_SIG_MESSAGE_FIELDS) > 0);
	assert_true(sd_bus_message_read(m, "ttssxyyss", &id, &mod, &conversation, &sender, &us, &direction, &state_byte, &kind,
					&body) > 0);
	assert_int_equal(id, 7);
	assert_int_equal(us, -5);
	assert_int_equal(state_byte, 20);
	assert_string_equal(sender, "room@b/nick\xef\xbf\xbd");
	assert_string_equal(body, "hi\xef\xbf\xbd");
	assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		assert_true(sd_bus_message_read(m, "s", &key) > 0);
		strcat(strcat(keys, key), " ");
		assert_true(sd_bus_message_skip(m, "v") > 0);
		assert_true(sd_bus_message_exit_container(m) > 0);
	}
	assert_string_equal(keys, "stanza-id encryption reply-to edited reactions error ");
}

static void a_conversation_without_messages_has_an_empty_last(_unused_ void **state)
{
	static const struct conversation_row row = { .id = "a@b", .kind = "direct", .title = "a", .unread = 2 };
	_cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus();
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_call(bus, "a.b", "C");

	assert_int_equal(rows_conversation(m, &row), 0);
	message_seal(m);
	assert_string_equal(sd_bus_message_get_signature(m, true), VARVE_SIG_CONVERSATION);
}

static void groups_become_an_array(_unused_ void **state)
{
	static const struct contact_row row = { .jid = "a@b", .groups = "one\ntwo\xff\n", .ask = true, .asking = true, .blocked = true };
	_cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus();
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = message_call(bus, "a.b", "C");
	const char *jid, *name, *subscription, *one, *two;
	uint64_t mod;
	uint32_t flags;

	assert_int_equal(rows_contact(m, &row), 0);
	message_seal(m);
	assert_string_equal(sd_bus_message_get_signature(m, true), VARVE_SIG_CONTACT);
	assert_true(sd_bus_message_enter_container(m, 'r', VARVE_SIG_CONTACT_FIELDS) > 0);
	assert_true(sd_bus_message_read(m, "stssu", &jid, &mod, &name, &subscription, &flags) > 0);
	assert_int_equal(flags, VARVE_CONTACT_ASKED | VARVE_CONTACT_ASKING | VARVE_CONTACT_BLOCKED | VARVE_CONTACT_UNLISTED);
	assert_true(sd_bus_message_read(m, "as", 2, &one, &two) > 0);
	assert_string_equal(one, "one");
	assert_string_equal(two, "two\xef\xbf\xbd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_bytes_become_a_string),
		cmocka_unit_test(a_message_row_has_the_contract_s_shape),
		cmocka_unit_test(a_conversation_without_messages_has_an_empty_last),
		cmocka_unit_test(groups_become_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
