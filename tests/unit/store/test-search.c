/*
 * What a search finds. Every query runs three ways: nothing indexed, half indexed, all indexed; the answer must be the same.
 */
#include "search-fixture.h"

/* Texts that the query table looks in, oldest first. */
static const char *const texts[] = {
	"我今天去东京吃拉面",
	"京都も東京も好きです",
	"오늘 서울에서 친구를 만났어요",
	"ฉันรักกรุงเทพมหานคร",
	"カタカナとひらがな",
	"hello world",
	"Hello, World! Café",
	"naïve résumé",
	"I like this 👍🏽 very much",
	"family 👨‍👩‍👧 and a coder 👩‍💻",
	"flags 🇩🇪🇫🇷",
	"Straße in İstanbul",
	"see https://example.org/path/page.html?q=1&x=2",
	"call 0123-456789 at 10:30",
	"AND OR NOT NEAR",
	"he said \"go\" (twice) a^b c:d e*",
	"हिन्दी में संदेश",
	"كَتَبَ الولد",
	"foo bar baz",
	"bar foo",
	"foobar",
	"東京タワー and english",
	"do you love me? ❤️",
	"x",
};

static const struct {
	const char *query, *want, *why;
} queries[] = {
	{ "东京", "我今天去东京吃拉面", "two characters inside of a run" },
	{ "東京", "東京タワー and english|京都も東京も好きです", "at the start and inside" },
	{ "京", "東京タワー and english|京都も東京も好きです|我今天去东京吃拉面", "one character" },
	{ "面", "我今天去东京吃拉面", "the last one of its run" },
	{ "拉面", "我今天去东京吃拉面", "the end of a run" },
	{ "京东", "", "the other way round" },
	{ "去京", "", "not side by side" },
	{ "京都", "京都も東京も好きです", "the start" },
	{ "東京タワー", "東京タワー and english", "Kanji and Kana in one run" },
	{ "タワー english", "東京タワー and english", "a run and a word" },
	{ "カナ", "カタカナとひらがな", "Katakana" },
	{ "ひらがな", "カタカナとひらがな", "Hiragana" },
	{ "서울", "오늘 서울에서 친구를 만났어요", "Korean, with a particle behind" },
	{ "친구", "오늘 서울에서 친구를 만났어요", "Korean" },
	{ "กรุงเทพ", "ฉันรักกรุงเทพมหานคร", "Thai, inside" },
	{ "รัก", "ฉันรักกรุงเทพมหานคร", "Thai" },
	{ "हिन्दी", "हिन्दी में संदेश", "a word with vowel signs is one word" },
	{ "हन", "", "and not its consonants" },
	{ "كتب", "كَتَبَ الولد", "Arabic without its points" },
	{ "👍", "I like this 👍🏽 very much", "skin tones do not count" },
	{ "👍🏿", "I like this 👍🏽 very much", "nor in the query" },
	{ "👨‍👩‍👧", "family 👨‍👩‍👧 and a coder 👩‍💻", "a sequence" },
	{ "👩", "family 👨‍👩‍👧 and a coder 👩‍💻", "the begin of a sequence" },
	{ "👧", "", "not its end" },
	{ "🇩🇪", "flags 🇩🇪🇫🇷", "a flag" },
	{ "🇪🇫", "", "not across two flags" },
	{ "❤", "do you love me? ❤️", "with and without selector" },
	{ "hello", "Hello, World! Café|hello world", "case" },
	{ "HELLO wor", "Hello, World! Café|hello world", "prefix" },
	{ "cafe", "Hello, World! Café", "diacritics" },
	{ "naive resume", "naïve résumé", "diacritics" },
	{ "café", "Hello, World! Café", "decomposed" },
	{ "strasse", "", "unicode61 knows no ss for ß" },
	{ "straße", "Straße in İstanbul", "ß" },
	{ "istanbul", "Straße in İstanbul", "the Turkish dot" },
	{ "example.org", "see https://example.org/path/page.html?q=1&x=2", "host" },
	{ "https://example.org/pa", "see https://example.org/path/page.html?q=1&x=2", "URL" },
	{ "page.html", "see https://example.org/path/page.html?q=1&x=2", "file" },
	{ "0123", "call 0123-456789 at 10:30", "number" },
	{ "10:30", "call 0123-456789 at 10:30", "time" },
	{ "123", "", "not inside of a number" },
	{ "AND", "東京タワー and english|AND OR NOT NEAR|family 👨‍👩‍👧 and a coder 👩‍💻", "a plain word" },
	{ "OR NEAR", "AND OR NOT NEAR", "plain words" },
	{ "NOT", "AND OR NOT NEAR", "a plain word" },
	{ "a^b", "he said \"go\" (twice) a^b c:d e*", "no syntax" },
	{ "body:d", "", "no column filter" },
	{ "c:d", "he said \"go\" (twice) a^b c:d e*", "no column filter" },
	{ "e*", "see https://example.org/path/page.html?q=1&x=2|he said \"go\" (twice) a^b c:d e*", NULL },
	{ "(twice)", "he said \"go\" (twice) a^b c:d e*", "parentheses" },
	{ "\"go", "he said \"go\" (twice) a^b c:d e*", "a quote that is not closed" },
	{ "go\"", "he said \"go\" (twice) a^b c:d e*", "a quote at the end" },
	{ "\"foo bar\"", "foo bar baz", "phrase" },
	{ "\"bar foo\"", "bar foo", "phrase" },
	{ "foo bar", "bar foo|foo bar baz", "words in any order" },
	{ "\"foo\"", "bar foo|foo bar baz", "quoted: exact" },
	{ "foo", "foobar|bar foo|foo bar baz", "not quoted: prefix" },
	{ "foo -bar", "foobar", "exclude" },
	{ "foo -ba", "foobar", "exclude a prefix" },
	{ "foo -\"bar foo\"", "foobar|foo bar baz", "exclude a phrase" },
	{ "-foo", "!1", "only excluded" },
	{ "", "!1", "empty" },
	{ "  ", "!1", "spaces" },
	{ "!?., ()*:^ \"\" - --", "!1", "punctuation" },
	{ "foo !?", "foobar|bar foo|foo bar baz", "punctuation beside a word" },
	{ "nosuchword", "", "nothing" },
	{ "foo nosuchword", "", "all must occur" },
};

static void check_queries(struct fx *fx, const char *how, int64_t walk_rows)
{
	fx->s->index.walk_rows = walk_rows;
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		const char *got = found(fx, queries[i].query);

		if (!queries[i].why)
			continue;
		if (strcmp(got, queries[i].want) != 0)
			print_error("%s: <%s> (%s)\n  got  %s\n  want %s\n", how, queries[i].query, queries[i].why,
				    got, queries[i].want);
		assert_string_equal(got, queries[i].want);
	}
}

TEST(the_query_table)
{
	struct fx *fx = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts) / 2; i++)
		put_text(fx, NULL, texts[i]);
	index_all(fx);
	for (size_t i = ARRAY_SIZE(texts) / 2; i < ARRAY_SIZE(texts); i++)
		put_text(fx, NULL, texts[i]);
	for (int64_t walk = 0; walk < 50; walk += 7)
		check_queries(fx, "half indexed", walk);
	index_all(fx);
	for (int64_t walk = 0; walk < 50; walk += 7)
		check_queries(fx, "indexed", walk);
	assert_int_equal(index_rebuild(fx->s), 0);
	for (int64_t walk = 0; walk < 50; walk += 7)
		check_queries(fx, "not indexed", walk);
}

TEST(ranges_count_code_points)
{
	struct fx *fx = *state;
	static const struct {
		const char *body, *query, *want;
	} rows[] = {
		{ "née Müller", "mull", "née Müller[4+6]" },
		{ "我今天去东京吃拉面", "东京", "我今天去东京吃拉面[4+2]" },
		{ "他去蓝都", "蓝", "他去蓝都[2+1]" },
		{ "哈哈哈哈呵", "哈哈", "哈哈哈哈呵[0+4]" },
		{ "ok 👍🏽👍 ok", "👍", "ok 👍🏽👍 ok[3+2][5+1]" },
		{ "one two one three", "one thr", "one two one three[0+3][8+3][12+5]" },
		{ "x foo bar foo bar", "\"foo bar\"", "x foo bar foo bar[2+7][10+7]" },
		{ "yes no yes", "yes -maybe", "yes no yes[0+3][7+3]" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		put_text(fx, NULL, rows[i].body);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(found_with(fx, (struct search_query){ .text = rows[i].query }, true), rows[i].want);
}

TEST(a_long_text_has_its_first_ranges_only)
{
	struct fx *fx = *state;
	_cleanup_(buf_deinit) struct buf body = { 0 };
	const char *got;
	size_t n = 0;

	for (int i = 0; i < 1000; i++)
		buf_adds(&body, "word ");
	put_text(fx, NULL, buf_str(&body));
	got = found_with(fx, (struct search_query){ .text = "word" }, true);
	while ((got = strchr(got, '[')) && got++)
		n++;
	assert_int_equal(n, SEARCH_RANGES_MAX);
}

TEST(limits_of_a_query)
{
	struct fx *fx = *state;
	_cleanup_(buf_deinit) struct buf text = { 0 };

	put_text(fx, NULL, "a b c d e f g h i j k l m n o p");
	assert_string_equal(found(fx, "a b c d e f g h i j k l m n o p"), "a b c d e f g h i j k l m n o p");
	assert_string_equal(found(fx, "a b c d e f g h i j k l m n o p q"), "!2");
	for (int i = 0; i < SEARCH_TOKENS_MAX; i++)
		buf_adds(&text, i ? " a" : "\"a");
	assert_string_equal(found(fx, buf_str(&text)), "");
	buf_adds(&text, " a");
	assert_string_equal(found(fx, buf_str(&text)), "!2");
	buf_reset(&text);
	for (int i = 0; i <= SEARCH_QUERY_MAX; i++)
		buf_adds(&text, "x");
	assert_string_equal(found(fx, buf_str(&text)), "!2");
	assert_string_equal(found(fx, buf_str(&text) + 1), "");
}

TEST(filters)
{
	struct fx *fx = *state;

	put_live(fx, text_in("f1", "tea one"), false);
	fx->now += 10 * SEC;
	put_live(fx, text_out("f2", "tea two"), false);
	fx->now += 10 * SEC;
	put_live(fx, text_from(CAROL "/pad", "f3", "tea three"), false);
	fx->now -= 20 * SEC;
	for (int indexed = 0; indexed < 2; indexed++) {
#define FOUND(...) found_with(fx, (struct search_query){ .text = "tea", __VA_ARGS__ }, false)
		assert_string_equal(FOUND(.conversation = ""), "tea three|tea two|tea one");
		assert_string_equal(FOUND(.conversation = BOB), "tea two|tea one");
		assert_string_equal(FOUND(.conversation = CAROL), "tea three");
		assert_string_equal(FOUND(.conversation = "nobody@x.example"), "!4");
		assert_string_equal(FOUND(.sender = OWN), "tea two");
		assert_string_equal(FOUND(.sender = "BOB@b.example/other"), "tea one");
		assert_string_equal(FOUND(.sender = BOB, .conversation = CAROL), "");
		assert_string_equal(FOUND(.since_us = fx->now + 10 * SEC), "tea three|tea two");
		assert_string_equal(FOUND(.until_us = fx->now + 10 * SEC), "tea one");
		assert_string_equal(FOUND(.cursor = "x"), "!3");
		assert_string_equal(FOUND(.cursor = "1"), "!3");
		assert_string_equal(FOUND(.cursor = "1.0"), "!3");
		assert_string_equal(FOUND(.cursor = " 1.1"), "!3");
		assert_string_equal(FOUND(.cursor = "1.1 "), "!3");
		assert_string_equal(FOUND(.cursor = "99999999999999999999.1"), "!3");
		assert_string_equal(FOUND(.cursor = "-5.7"), "");
		index_all(fx);
		fx->s->index.walk_rows = 0;
	}
	assert_int_equal(fx_account(fx, "other@a.example", &(int64_t){ 0 }), 2);
	fx->account = 2;
	assert_string_equal(found(fx, "tea"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_query_table),
		RUN(ranges_count_code_points),
		RUN(a_long_text_has_its_first_ranges_only),
		RUN(limits_of_a_query),
		RUN(filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
