/* ipc/ctl/util.h: numbers, seconds and JIDs. verbs.h: the verb that was meant. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "ipc/ctl/util.h"
#include "ipc/ctl/verbs.h"

TEST(numbers)
{
	uint64_t v;

	assert_int_equal(parse_u64("0", &v), 0);
	assert_int_equal(parse_u64("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(parse_u64("", &v), -EINVAL);
	assert_int_equal(parse_u64("-1", &v), -EINVAL);
	assert_int_equal(parse_u64("1 ", &v), -EINVAL);
}

TEST(seconds)
{
	uint64_t us;

	assert_int_equal(parse_seconds("2.5", &us), 0);
	assert_int_equal(us, 2500000);
	assert_int_equal(parse_seconds("30", &us), 0);
	assert_int_equal(us, 30000000);
	assert_int_equal(parse_seconds("", &us), -EINVAL);
	assert_int_equal(parse_seconds("1.", &us), -EINVAL);
	assert_int_equal(parse_seconds("1.x", &us), -EINVAL);
	assert_int_equal(parse_seconds("x", &us), -EINVAL);
	assert_int_equal(parse_seconds("99999999999", &us), -EINVAL);
}

TEST(jids_are_folded_in_ascii_only)
{
	char *s = str_fold("Alice@EXAMPLE.org/Ünï");

	assert_string_equal(s, "alice@example.org/Ünï");
	free(s);
}

static void guess(const char *word, const char *next, const char *expected)
{
	char *s = verb_guess(word, next);

	if (expected)
		assert_string_equal(s, expected);
	else
		assert_null(s);
	free(s);
}

TEST(a_mistyped_verb_is_guessed)
{
	guess("stauts", NULL, "status");
	guess("histroy", NULL, "history");
	guess("xport", NULL, "export");
	guess("acount", NULL, "account");
	guess("account", "lst", "account list");
	guess("sync", "wiat", "sync wait");
	guess("frobnicate", NULL, NULL);
	guess("sync", "frobnicate", NULL);
	guess("", NULL, NULL);
	guess("a-word-that-is-much-too-long-to-be-one-of-ours", NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(seconds),
		cmocka_unit_test(jids_are_folded_in_ascii_only),
		cmocka_unit_test(a_mistyped_verb_is_guessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
