/* Words, pairs and emoji of a text; and that no bytes make it read beyond the end. */
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"

#include "base/buf.h"
#include "store/tokenizer.h"

#undef TEST
#define TEST(name) static void name(_unused_ void **state)

static struct tokenizer *tok;

static int setup(void **state)
{
	sqlite3 *db;

	(void)state;
	/* It must not need the connection any more. */
	if (sqlite3_open(":memory:", &db) != SQLITE_OK || tokenizer_new(db, &tok) != 0)
		return -1;
	return sqlite3_close(db) == SQLITE_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	tok = tokenizer_free(tok);
	return 0;
}

static int on_token(void *userdata, const struct token *t)
{
	struct buf *b = userdata;

	buf_adds(b, b->len ? "|" : "");
	buf_add(b, t->text, t->len);
	return 0;
}

static const char *tokens(const char *text, size_t len)
{
	static struct buf b;

	buf_reset(&b);
	assert_int_equal(tokenizer_run(tok, text, len, on_token, &b), 0);
	return buf_str(&b);
}

TEST(texts_become_tokens)
{
	static const struct {
		const char *text, *want, *why;
	} rows[] = {
		{ "", "", "nothing" },
		{ "Hello, World", "hello|world", "words" },
		{ "É\xcc\x81t\xc3\xa9 Ünï", "ete|uni", "diacritics, on top of each other too" },
		{ "ẞ ß Straße", "ß|ß|straße", "sharp s" },
		{ "İstanbul ISI ışık", "istanbul|isi|ısık", "Turkish" },
		{ "東京", "東京|京", "two" },
		{ "京", "京", "one" },
		{ "東京タワー", "東京|京タ|タワ|ワー|ー", "Kanji and Kana" },
		{ "a東京b", "a|東京|京|b", "between letters" },
		{ "東、京", "東|京", "punctuation ends a run" },
		{ "東\xe2\x80\x8b京", "東京|京", "a zero width space does not" },
		{ "東\xf3\xa0\x84\x80京", "東京|京", "nor does a variation selector" },
		{ "한국어", "한국|국어|어", "Hangul" },
		{ "ไทย๒๕", "ไท|ทย|ย|๒๕", "Thai digits are a number" },
		{ "𠮷野", "𠮷野|野", "beyond 16 bits" },
		{ "ا\xd9\x84س\xd9\x91لام", "السلام", "Arabic without points" },
		{ "हिन्दी", "हिन्दी", "vowel signs" },
		{ "👍🏽", "👍", "skin tone" },
		{ "👍👍", "👍|👍", "two" },
		{ "❤️", "❤", "selector" },
		{ "❤", "❤", "no selector" },
		{ "👩‍💻x", "👩‍💻|x", "a sequence" },
		{ "👩🏽‍💻", "👩‍💻", "a sequence with skin tone" },
		{ "🏃‍♂️", "🏃‍♂", "a sequence with selector" },
		{ "👩‍", "👩", "a joiner at the end" },
		{ "👩‍a", "👩|a", "a joiner before no emoji" },
		{ "🇩🇪🇫🇷🇮", "🇩🇪|🇫🇷|🇮", "flags, and half of one" },
		{ "🏴󠁧󠁢󠁳󠁣󠁴󠁿!", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "a tagged flag" },
		{ "1️⃣", "1", "a keycap is its digit" },
		{ "🏽", "🏽", "a skin tone alone" },
		{ "© ™", "©|™", "symbols" },
		{ "a\xff" "b\xc3", "a|b", "not UTF-8" },
		{ "\xed\xa0\x80x\xf4\x90\x80\x80\xc0\x80", "x", "surrogate, too large, overlong" },
		{ "東\xff京", "東|京", "not UTF-8 ends a run" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got = tokens(rows[i].text, strlen(rows[i].text));

		if (strcmp(got, rows[i].want) != 0)
			print_error("%s: <%s>\n  got  %s\n  want %s\n", rows[i].why, rows[i].text, got, rows[i].want);
		assert_string_equal(got, rows[i].want);
	}
	assert_string_equal(tokens("a\0b", 3), "a|b");
	assert_string_equal(tokens("\0", 1), "");
}

static int on_long(void *userdata, const struct token *t)
{
	assert_in_range(t->len, 1, TOKEN_MAX);
	/* No character is cut: "x" and 63 of two bytes each. */
	assert_int_equal(t->len, t->text[1] == 'x' ? TOKEN_MAX : TOKEN_MAX - 1);
	++*(int *)userdata;
	return 0;
}

TEST(a_long_word_is_cut)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	int n = 0;

	for (int i = 0; i < 1000; i++)
		buf_adds(&b, "x");
	buf_adds(&b, " x");
	for (int i = 0; i < 1000; i++)
		buf_adds(&b, "ж");
	assert_int_equal(tokenizer_run(tok, buf_str(&b), b.len, on_long, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(tokens(buf_str(&b) + 1001, 3), "x\xd0\xb6");
}

static int stop(void *userdata, const struct token *t)
{
	(void)t;
	return --*(int *)userdata ? 0 : 77;
}

TEST(the_callback_can_stop_anywhere)
{
	static const char text[] = "one two 東京都 👍 three";

	for (int at = 1; at <= 7; at++) {
		int left = at;

		assert_int_equal(tokenizer_run(tok, text, strlen(text), stop, &left), 77);
		assert_int_equal(left, 0);
	}
}

struct bounds {
	const char *text;
	size_t len, at;
};

static int check_bounds(void *userdata, const struct token *t)
{
	struct bounds *b = userdata;

	assert_in_range(t->len, 1, TOKEN_MAX);
	assert_true(t->start >= b->at && t->start < t->end && t->end <= b->len);
	b->at = t->start;
	return 0;
}

/* The text ends where a page ends that cannot be read: reading one byte too many is a crash. */
TEST(random_bytes_stay_inside)
{
	static const char *const pieces[] = { "東", "京", "a", " ", "👍", "\xe2\x80\x8d", "🏽", "🇩", "\xef\xb8\x8f", "\0",
					      "\xf0\x9f", "\xe6\x9d", "\xc3", "\xff", "\xf3\xa0\x81\xa7", "é", "م", "\xd9\x91" };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t seed = 1;

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mprotect(map + page, page, PROT_NONE), 0);
	for (int round = 0; round < 20000; round++) {
		char text[256];
		size_t len = 0;
		struct bounds b;

		for (int i = 0; i < 12; i++) {
			const char *p;
			size_t n;

			seed = seed * 1664525u + 1013904223u;
			p = pieces[(seed >> 8) % ARRAY_SIZE(pieces)];
			n = *p ? strlen(p) : 1;
			memcpy(text + len, p, n);
			len += n;
		}
		len -= (seed >> 20) % (len < 5 ? len : 5);
		b = (struct bounds){ map + page - len, len, 0 };
		memcpy(map + page - len, text, len);
		assert_int_equal(tokenizer_run(tok, b.text, b.len, check_bounds, &b), 0);
	}
	munmap(map, 2 * page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_become_tokens),
		cmocka_unit_test(a_long_word_is_cut),
		cmocka_unit_test(the_callback_can_stop_anywhere),
		cmocka_unit_test(random_bytes_stay_inside),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
