/* core/text: what D-Bus refuses never reaches it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/text.h"

static void cleaning(_unused_ void **state)
{
	static const struct {
		const char *in, *out, *why;
	} rows[] = {
		{ "plain", "plain", "nothing to do" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "two bytes" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "an emoji" },
		{ "a\xef\xbf\xbe" "b", "a\xef\xbf\xbd" "b", "U+FFFE" },
		{ "\xef\xb7\x90", "\xef\xbf\xbd", "U+FDD0" },
		{ "\xf0\x9f\xbf\xbf", "\xef\xbf\xbd", "U+1FFFF" },
		{ "a\xff" "b", "a\xef\xbf\xbd" "b", "not UTF-8" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd", "overlong" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "a surrogate" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "above U+10FFFF" },
		{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd", "cut short" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *out = text_clean(rows[i].in);

		assert_string_equal(out, rows[i].out);
		assert_true(text_is_clean(out));
	}
	assert_true(text_is_utf8("\xef\xbf\xbe"));
	assert_false(text_is_clean("\xef\xbf\xbe"));
}

static void what_cannot_be_said(_unused_ void **state)
{
	static const struct {
		const char *in, *why;
		int at; /* -1: all of it can be said */
	} rows[] = {
		{ "", "nothing", -1 },
		{ "a\tb\nc\rd", "the controls that XML has", -1 },
		{ "a\x07" "b", "a bell", 1 },
		{ "\x1b[1m", "an escape sequence", 0 },
		{ "\x7f", "DEL is a character of XML 1.0", -1 },
		{ "ab\xef\xbf\xbe", "U+FFFE", 2 },
		{ "\xef\xbf\xbf", "U+FFFF", 0 },
		{ "\xef\xbf\xbd\xef\xb7\x90", "U+FFFD and U+FDD0", 3 },
		{ "\xf0\x9f\xbf\xbf", "U+1FFFF", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *bad = text_unsayable(rows[i].in);

		if ((bad ? (int)(bad - rows[i].in) : -1) != rows[i].at)
			fail_msg("%s", rows[i].why);
	}
}

static void a_prefix_does_not_cut_characters(_unused_ void **state)
{
	assert_int_equal(text_prefix("abc", 10), 3);
	assert_int_equal(text_prefix("a\xc3\xbc", 2), 1);
	assert_int_equal(text_prefix("\xf0\x9f\x98\x80", 3), 0);
}

static void lines_are_found_whole(_unused_ void **state)
{
	assert_true(text_has_line("a", "a"));
	assert_true(text_has_line("ab\na", "a"));
	assert_true(text_has_line("b\na\nc", "a"));
	assert_false(text_has_line("aa\nba\nab", "a"));
	assert_false(text_has_line("", "a"));
	assert_false(text_has_line("b\n\nc", ""));
}

/* Random bytes: the result is always clean, and cleaning twice changes nothing. */
static void random_bytes(_unused_ void **state)
{
	srand(1);
	for (int i = 0; i < 20000; i++) {
		char in[33] = "";

		for (int k = 0; k < 32; k++)
			in[k] = (char)(rand() % 255 + 1);
		_cleanup_(freep) char *once = text_clean(in);
		_cleanup_(freep) char *twice = text_clean(once);

		assert_true(text_is_clean(once));
		assert_string_equal(once, twice);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cleaning),
		cmocka_unit_test(what_cannot_be_said),
		cmocka_unit_test(a_prefix_does_not_cut_characters),
		cmocka_unit_test(lines_are_found_whole),
		cmocka_unit_test(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
