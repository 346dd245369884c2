/*
 * Search. Every query runs three ways: nothing indexed, half indexed, all indexed; the answer must be the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

#include "base/buf.h"
#include "store/index.h"
#include "store/search.h"

#define BUDGET INT64_C(1000000000) /* us: one slice, and no machine is so slow */

static void put_text(struct fx *fx, const char *body)
{
	static int serial;
	char id[32];

	snprintf(id, sizeof(id), "put-%d", ++serial);
	fx->now += SEC;
	put_live(fx, text_in(id, body), false);
}

/* Index all that is there. */
static void index_all(struct fx *fx)
{
	int r;

	while ((r = index_step(fx->s, BUDGET)) > 0)
		;
	assert_int_equal(r, 0);
}

struct page {
	struct buf text; /* bodies, each followed by '|' and its ranges in [start+length] */
	size_t n;
	bool ranges;
};

static int on_hit(void *userdata, const struct message_row *row, const struct search_range *ranges, size_t n)
{
	struct page *p = userdata;

	buf_addf(&p->text, "%s%s", p->n ? "|" : "", row->body);
	for (size_t i = 0; p->ranges && i < n; i++)
		buf_addf(&p->text, "[%u+%u]", ranges[i].start, ranges[i].length);
	p->n++;
	return 0;
}

static void page(struct fx *fx, struct search_query q, int64_t budget, struct page *p, char **ret_cursor)
{
	_cleanup_(search_freep) struct search *x = NULL;
	int r;

	q.account = fx->account;
	assert_int_equal(search_new(fx->s, &q, &x), 0);
	while ((r = search_step(x, budget)) > 0)
		;
	assert_int_equal(r, 0);
	assert_int_equal(search_hits(x, on_hit, p, ret_cursor), 0);
}

/* Bodies of all hits, newest first, joined by "|"; "!N" for outcome N. Valid until the next call. */
static const char *found_with(struct fx *fx, struct search_query q, bool ranges)
{
	static struct page p;
	_cleanup_(freep) char *cursor = NULL;
	struct search *x;
	int r;

	buf_deinit(&p.text);
	p = (struct page){ .ranges = ranges };
	q.account = fx->account;
	r = search_new(fx->s, &q, &x);
	if (r > 0) {
		buf_addf(&p.text, "!%d", r);
		return buf_str(&p.text);
	}
	assert_int_equal(r, 0);
	search_free(x);
	page(fx, q, BUDGET, &p, &cursor);
	assert_string_equal(cursor, "");
	return buf_str(&p.text);
}

static const char *found(struct fx *fx, const char *text)
{
	return found_with(fx, (struct search_query){ .text = text }, false);
}

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
		put_text(fx, texts[i]);
	index_all(fx);
	for (size_t i = ARRAY_SIZE(texts) / 2; i < ARRAY_SIZE(texts); i++)
		put_text(fx, texts[i]);
	for (int64_t walk = 0; walk < 50; walk += 7)
		check_queries(fx, "half indexed", walk);
	index_all(fx);
	for (int64_t walk = 0; walk < 50; walk += 7)
		check_queries(fx, "indexed", walk);
	assert_int_equal(index_rebuild(fx->s), 0);
	for (int64_t walk = 0; walk < 50; walk += 7)
		check_queries(fx, "not indexed", walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_query_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
