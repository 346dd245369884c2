/* core/jid: RFC 7622 as far as the keeper needs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "core/jid.h"

static void validity(_unused_ void **state)
{
	static const char *const users[] = { "alice@example.org", "a@b", "\xc3\xbc@m\xc3\xbcnchen.example", "a.b+c@[::1]" };
	static const char *const not_users[] = { "", "alice", "@example.org", "alice@", "a@b/c", "a b@c", "a@b c",
						 "a@b@c", "a:b@c", "a@b..c", "a@.b", "a@b.", "a\x01@b", "a@b\xff", "a<b@c" };
	char longer[1100];

	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		assert_true(jid_is_bare_user(users[i]));
	for (size_t i = 0; i < ARRAY_SIZE(not_users); i++)
		assert_false(jid_is_bare_user(not_users[i]));
	assert_true(jid_is_valid("example.org"));
	assert_true(jid_is_valid("room@muc.example/some nick"));
	assert_false(jid_is_valid("a@b/"));
	memset(longer, 'a', sizeof(longer));
	memcpy(longer + sizeof(longer) - 4, "@b\0", 4);
	assert_false(jid_is_bare_user(longer));
}

/* I1: an address that differs only by case is the same account to us, since servers fold it. */
static void splitting_and_folding(_unused_ void **state)
{
	_cleanup_(freep) char *bare = jid_bare("Alice@Example.ORG/Phone");
	_cleanup_(freep) char *domain = jid_domain("Alice@Example.ORG/a@b");

	assert_string_equal(bare, "alice@example.org");
	assert_string_equal(domain, "example.org");
	assert_string_equal(jid_resource("a@b/c/d"), "c/d");
	assert_string_equal(jid_resource("a@b"), "");
	assert_true(jid_bare_equal("ALICE@example.org/x", "alice@example.org"));
	assert_false(jid_bare_equal("alice@example.org.evil", "alice@example.org"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(validity),
		cmocka_unit_test(splitting_and_folding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
