/* sync/crowd: who is there and who types, as hostile servers and contacts tell it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "sync/crowd.h"

#define SEC INT64_C(1000000)

static bool tell(struct crowd *c, const char *jid, const char *show)
{
	return crowd_presence(c, &(struct presence_row){ .jid = jid, .show = show, .status = "s", .priority = 1 });
}

static int count(void *userdata, _unused_ const struct presence_row *row)
{
	++*(int *)userdata;
	return 0;
}

static int people(const struct crowd *c, const char *bare)
{
	int n = 0;

	assert_int_equal(crowd_of(c, bare, count, &n), 0);
	return n;
}

static void resources_come_and_go(_unused_ void **state)
{
	struct crowd c = { 0 };

	assert_true(tell(&c, "bob@x/phone", ""));
	assert_true(tell(&c, "bob@x/laptop", "away"));
	assert_true(tell(&c, "bob@xy/phone", "")); /* another server that sorts nearby */
	assert_true(tell(&c, "bob@x.y/phone", ""));
	assert_false(tell(&c, "bob@x/phone", "")); /* nothing new */
	assert_true(tell(&c, "bob@x/phone", "dnd"));
	assert_int_equal(people(&c, "bob@x"), 2);
	assert_true(tell(&c, "bob@x/phone", "offline"));
	assert_false(tell(&c, "bob@x/phone", "offline"));
	assert_int_equal(people(&c, "bob@x"), 1);
	/* All of them at once: from the bare JID. */
	tell(&c, "bob@x/tablet", "");
	assert_true(tell(&c, "bob@x", "offline"));
	assert_int_equal(people(&c, "bob@x"), 0);
	assert_int_equal(people(&c, "bob@xy"), 1);
	/* A gateway has no resource. */
	assert_true(tell(&c, "irc.x", ""));
	assert_int_equal(people(&c, "irc.x"), 1);
	crowd_clear(&c);
	assert_int_equal(people(&c, "irc.x"), 0);
}

static void nobody_brings_more_than_the_limits(_unused_ void **state)
{
	struct crowd c = { 0 };
	char jid[64];

	for (int i = 0; i < 100; i++) {
		snprintf(jid, sizeof(jid), "eve@x/%d", i);
		tell(&c, jid, "");
	}
	assert_int_equal(people(&c, "eve@x"), CROWD_RESOURCES_MAX);
	for (int i = 0; i < CROWD_PEOPLE_MAX + 100; i++) {
		snprintf(jid, sizeof(jid), "u%d@x/r", i);
		tell(&c, jid, "");
	}
	assert_int_equal(c.n_people, CROWD_PEOPLE_MAX);
	for (int i = 0; i < CROWD_TYPING_MAX + 100; i++) {
		snprintf(jid, sizeof(jid), "u%d@x/r", i);
		crowd_typing(&c, "u@x", jid, true, 1, 0);
	}
	assert_int_equal(c.n_typing, CROWD_TYPING_MAX);
	crowd_clear(&c);
}

static void typing_ends_by_word_or_by_time(_unused_ void **state)
{
	struct crowd c = { 0 };
	char *conversation, *sender;

	assert_true(crowd_typing(&c, "bob@x", "bob@x/p", true, 1, 10 * SEC));
	assert_false(crowd_typing(&c, "bob@x", "bob@x/p", true, 1, 20 * SEC)); /* it goes on */
	assert_true(crowd_typing(&c, "ann@x", "ann@x/p", true, 1, 30 * SEC));
	assert_int_equal(crowd_next(&c), 20 * SEC + CROWD_TYPING_US);
	assert_false(crowd_expired(&c, 49 * SEC, &conversation, &sender));
	assert_true(crowd_expired(&c, 50 * SEC, &conversation, &sender));
	assert_string_equal(conversation, "bob@x");
	assert_string_equal(sender, "bob@x/p");
	free(conversation);
	free(sender);
	assert_true(crowd_typing(&c, "ann@x", "ann@x/p", false, 0, 50 * SEC));
	assert_false(crowd_typing(&c, "ann@x", "ann@x/p", false, 0, 50 * SEC));
	assert_int_equal(crowd_next(&c), 0);
	crowd_clear(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resources_come_and_go),
		cmocka_unit_test(nobody_brings_more_than_the_limits),
		cmocka_unit_test(typing_ends_by_word_or_by_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
