/* ipc/ctl/text.h: nothing of a peer acts on the terminal; widths and folding. */
#include "test.h"

#include <locale.h>
#include <string.h>

#include "ipc/ctl/text.h"
#include "ipc/ctl/util.h"

TEST(nothing_that_acts_on_a_terminal_gets_through)
{
	static const struct {
		const char *in, *out, *why;
	} rows[] = {
		{ "plain ünïcode 日本 👍", "plain ünïcode 日本 👍", "stays" },
		{ "\033[31mred", "\xef\xbf\xbd[31mred", "escape sequence" },
		{ "\xc2\x9b"
		  "31m",
		  "\xef\xbf\xbd"
		  "31m",
		  "C1 CSI" },
		{ "a\x9b"
		  "b",
		  "a\xef\xbf\xbd"
		  "b",
		  "raw C1 byte: not UTF-8" },
		{ "bell\a\b\x7f", "bell\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "C0, DEL" },
		{ "a\tb\nc\rd\r\ne", "a b c d e", "white space is a space" },
		{ "x\xe2\x80\xaegpj.exe", "x\xef\xbf\xbdgpj.exe", "U+202E turns text around" },
		{ "x\xe2\x81\xa6y\xe2\x80\xa8z", "x\xef\xbf\xbdy\xef\xbf\xbdz", "isolates, line separator" },
		{ "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd", "not UTF-8" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *clean = text_clean(rows[i].in, false);

		if (strcmp(clean, rows[i].out) != 0)
			fail_msg("%s: \"%s\"", rows[i].why, clean);
		free(clean);
	}
}

TEST(line_ends_stay_where_they_are_wanted)
{
	char *clean = text_clean("a\r\nb\n\nc", true);

	assert_string_equal(clean, "a\nb\n\nc");
	free(clean);
}

TEST(every_byte_and_code_point_is_survived)
{
	/* All two-byte strings, then all code points in their UTF-8: what comes out has no control in it. */
	for (unsigned i = 1; i < 0x10000; i++) {
		char in[3] = { (char)(i >> 8 ? i >> 8 : i), i >> 8 ? (char)i : '\0', '\0' },
		     *clean = text_clean(in, false);

		for (const char *p = clean; *p;) {
			uint32_t cp;

			p += text_decode(p, strlen(p), &cp);
			assert_false(text_is_control(cp));
		}
		free(clean);
	}
	for (uint32_t cp = 1; cp <= 0x10FFFF; cp++) {
		char buf[5] = { 0 };
		uint32_t back;
		size_t len;

		if (cp >= 0xD800 && cp <= 0xDFFF)
			continue;
		len = text_encode(cp, buf);
		assert_int_equal(len, strlen(buf));
		assert_int_equal(text_decode(buf, len, &back), len);
		assert_int_equal(back, cp);
	}
}

TEST(widths)
{
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("日本語"), 6);
	assert_int_equal(text_width("e\xcc\x81"), 1);
	assert_int_equal(text_width("👍"), 2);
}

static void cut(const char *in, size_t columns, const char *expected)
{
	char *s = text_ellipsis(in, columns);

	assert_string_equal(s, expected);
	assert_true(text_width(s) <= columns);
	free(s);
}

TEST(long_text_is_cut_by_width)
{
	cut("abcdef", 6, "abcdef");
	cut("abcdef", 5, "abcd…");
	cut("日本語", 5, "日本…");
	cut("日本語", 4, "日…");
	cut("abcdef", 1, "…");
	cut("abcdef", 0, "");
	cut("e\xcc\x81"
	    "e\xcc\x81"
	    "e\xcc\x81",
	    2, "e\xcc\x81…");
}

static void wraps(const char *in, size_t columns, const char *const *lines)
{
	size_t skip;

	do {
		size_t n = text_wrap(in, columns, &skip);
		char *line = xstrndup(in, n);

		assert_non_null(*lines);
		assert_string_equal(line, *lines++);
		free(line);
		in += n + skip;
	} while (*in);
	assert_null(*lines);
}

TEST(text_is_wrapped_at_spaces)
{
	wraps("", 10, (const char *[]){ "", NULL });
	wraps("one two three", 7, (const char *[]){ "one two", "three", NULL });
	wraps("one two three", 8, (const char *[]){ "one two", "three", NULL });
	wraps("abcdefghij", 4, (const char *[]){ "abcd", "efgh", "ij", NULL });
	wraps("a\n\nb", 4, (const char *[]){ "a", "", "b", NULL });
	wraps("日本語", 3, (const char *[]){ "日", "本", "語", NULL });
	wraps("日本", 1, (const char *[]){ "日", "本", NULL });
}

TEST(a_terminal_without_utf8_gets_ascii)
{
	char *s;

	setlocale(LC_CTYPE, "C");
	assert_false(text_is_utf8());
	s = text_clean("ü日\033", false);
	assert_string_equal(s, "???");
	free(s);
	s = text_ellipsis("abcdef", 3);
	assert_string_equal(s, "ab~");
	free(s);
	setlocale(LC_CTYPE, "C.UTF-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_acts_on_a_terminal_gets_through),
		cmocka_unit_test(line_ends_stay_where_they_are_wanted),
		cmocka_unit_test(every_byte_and_code_point_is_survived),
		cmocka_unit_test(widths),
		cmocka_unit_test(long_text_is_cut_by_width),
		cmocka_unit_test(text_is_wrapped_at_spaces),
		cmocka_unit_test(a_terminal_without_utf8_gets_ascii),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
