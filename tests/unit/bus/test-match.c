/* bus/match: which signals a client has asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "bus/match.h"

#define PATH "/org/varve/Varve1/account/1"
#define ARCHIVE "org.varve.Varve1.Archive"

static const struct {
	const char *rule;
	bool wanted; /* Archive.Changed on PATH */
	const char *why;
} table[] = {
	{ "", true, "no condition is everything" },
	{ "type='signal'", true, "type" },
	{ "type='method_call'", false, "other type" },
	{ "interface='" ARCHIVE "'", true, "interface" },
	{ "interface='org.freedesktop.DBus',member='NameOwnerChanged'", false, "what GIO proxies ask the driver for" },
	{ "interface='" ARCHIVE "',member='Changed',path='" PATH "'", true, "all three" },
	{ "member='Other'", false, "member" },
	{ "path='/org/varve/Varve1'", false, "path is exact" },
	{ "path_namespace='/org/varve/Varve1'", true, "namespace" },
	{ "path_namespace='/org/varve/Varve1/acc'", false, "a namespace ends at a slash" },
	{ "path_namespace='/'", true, "root namespace" },
	{ "type=signal,member=Changed", true, "values need no quotes" },
	{ "sender='org.varve.Varve1',type='signal',arg0='x'", true, "the client filters the rest" },
	{ "type='sig''nal'", true, "adjacent quotes, as the specification has it" },
};

static void rules_select_signals(_unused_ void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_(matches_freep) struct matches *m = matches_new();

		assert_int_equal(matches_add(m, table[i].rule), 0);
		if (matches_want(m, PATH, ARCHIVE, "Changed") != table[i].wanted)
			fail_msg("%s: %s", table[i].rule, table[i].why);
	}
}

static void nothing_is_wanted_without_a_rule(_unused_ void **state)
{
	_cleanup_(matches_freep) struct matches *m = matches_new();

	assert_false(matches_want(m, PATH, ARCHIVE, "Changed"));
	assert_int_equal(matches_add(m, "type='signal'"), 0);
	assert_int_equal(matches_remove(m, "type='method_call'"), MATCHES_E_NONE);
	assert_int_equal(matches_remove(m, "type='signal'"), 0);
	assert_false(matches_want(m, PATH, ARCHIVE, "Changed"));
}

static void malformed_and_too_many_rules_are_refused(_unused_ void **state)
{
	_cleanup_(matches_freep) struct matches *m = matches_new();
	char *big = xnewn(char, MATCH_RULE_MAX + 2);

	for (size_t i = 0; i <= MATCH_RULE_MAX; i++)
		big[i] = 'a';
	assert_int_equal(matches_add(m, "type='signal"), MATCHES_E_MALFORMED);
	assert_int_equal(matches_add(m, "type"), MATCHES_E_MALFORMED);
	assert_int_equal(matches_add(m, big), MATCHES_E_LIMIT);
	for (int i = 0; i < MATCHES_MAX; i++)
		assert_int_equal(matches_add(m, "type='signal'"), 0);
	assert_int_equal(matches_add(m, "type='signal'"), MATCHES_E_LIMIT);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_select_signals),
		cmocka_unit_test(nothing_is_wanted_without_a_rule),
		cmocka_unit_test(malformed_and_too_many_rules_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
