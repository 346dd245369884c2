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
		put_text(fx, rows[i].body);
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
	put_text(fx, buf_str(&body));
	got = found_with(fx, (struct search_query){ .text = "word" }, true);
	while ((got = strchr(got, '[')) && got++)
		n++;
	assert_int_equal(n, SEARCH_RANGES_MAX);
}

TEST(limits_of_a_query)
{
	struct fx *fx = *state;
	_cleanup_(buf_deinit) struct buf text = { 0 };

	put_text(fx, "a b c d e f g h i j k l m n o p");
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

/*
 * Random archives against an oracle that knows nothing of tokens: it cuts a body into words, runs and emoji and looks
 * for each term on its own. What is there, and in which order, it takes from read_history().
 */
static uint32_t seed;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static const char *const words[] = { "a", "b", "ab", "abc", "ba", "é", "E" };
static const char *const hans[] = { "东", "京", "东京", "京东京" };
static const char *const emoji[] = { "👍", "🎉" };

static void random_body(struct buf *b)
{
	uint32_t n = 1 + rnd(7);

	for (uint32_t i = 0; i < n; i++) {
		switch (rnd(6)) {
		case 0:
			buf_adds(b, emoji[rnd(ARRAY_SIZE(emoji))]);
			break;
		case 1:
		case 2:
			buf_adds(b, hans[rnd(ARRAY_SIZE(hans))]);
			break;
		default:
			buf_adds(b, words[rnd(ARRAY_SIZE(words))]);
			break;
		}
		buf_adds(b, rnd(2) ? " " : rnd(4) ? "" : ", ");
	}
}

enum { WANT_WORD, WANT_PHRASE, WANT_HAN, WANT_EMOJI };

struct want {
	int kind;
	bool exclude;
	char text[32]; /* folded; a phrase: words with a space between */
};

static void random_query(struct want *wants, size_t *n, struct buf *text)
{
	*n = 1 + rnd(3);
	for (size_t i = 0; i < *n; i++) {
		struct want *w = &wants[i];

		w->exclude = i > 0 && rnd(3) == 0;
		w->kind = (int)rnd(4);
		if (w->kind == WANT_WORD)
			snprintf(w->text, sizeof(w->text), "%s", ((const char *[]){ "a", "b", "ab", "ba", "e" })[rnd(5)]);
		else if (w->kind == WANT_PHRASE)
			snprintf(w->text, sizeof(w->text), "%s", ((const char *[]){ "a", "a b", "ab a", "b", "b e" })[rnd(5)]);
		else if (w->kind == WANT_HAN)
			snprintf(w->text, sizeof(w->text), "%s", ((const char *[]){ "东", "京", "东京", "京东", "东京京" })[rnd(5)]);
		else
			snprintf(w->text, sizeof(w->text), "%s", emoji[rnd(2)]);
		buf_addf(text, w->kind == WANT_PHRASE ? " %s\"%s\"" : " %s%s", w->exclude ? "-" : "", w->text);
	}
}

/* What ${body} is made of: each unit after a kind: "w" word, "h" run, "e" emoji, ended by '\n'. */
static void units(const char *body, struct buf *to)
{
	char last = 0;

	for (const char *p = body; *p;) {
		size_t n = (unsigned char)*p < 0x80 ? 1 : (unsigned char)*p < 0xe0 ? 2 : (unsigned char)*p < 0xf0 ? 3 : 4;
		char kind = n == 4 ? 'e' : n == 3 ? 'h' : n == 2 || (*p >= 'A' && *p <= 'z') ? 'w' : 0;

		if (kind && (kind != last || kind == 'e'))
			buf_addf(to, "\n%c", kind);
		if (kind == 'w')
			buf_adds(to, n == 2 || *p == 'E' ? "e" : *p == 'a' ? "a" : *p == 'b' ? "b" : "c");
		else if (kind)
			buf_add(to, p, n);
		last = kind;
		p += n;
	}
	buf_adds(to, "\n");
}

static bool wanted(const char *all, const struct want *w)
{
	_cleanup_(buf_deinit) struct buf look = { 0 };

	if (w->kind == WANT_HAN) {
		/* Inside of one run: nothing else has these characters, and a run has no '\n'. */
		return strstr(all, w->text) != NULL;
	}
	buf_adds(&look, w->kind == WANT_EMOJI ? "\ne" : "\nw");
	for (const char *p = w->text; *p; p++)
		buf_addf(&look, *p == ' ' ? "\nw" : "%c", *p);
	if (w->kind != WANT_WORD)
		buf_adds(&look, "\n");
	return strstr(all, buf_str(&look)) != NULL;
}

struct oracle {
	const struct want *wants;
	size_t n_wants;
	int64_t ids[READ_ROWS_MAX]; /* oldest first */
	size_t n;
};

static int on_oracle(void *userdata, const struct message_row *row)
{
	_cleanup_(buf_deinit) struct buf all = { 0 };
	struct oracle *o = userdata;

	if (strcmp(row->kind, "text") != 0)
		return 0;
	units(row->body, &all);
	for (size_t i = 0; i < o->n_wants; i++) {
		if (wanted(buf_str(&all), &o->wants[i]) == o->wants[i].exclude)
			return 0;
	}
	o->ids[o->n++] = row->id;
	return 0;
}

static void ask_oracle(struct fx *fx, struct oracle *o)
{
	struct history_query q = { .account = fx->account, .conversation = "", .anchor = ANCHOR_OLDEST,
				   .after = READ_ROWS_MAX, .across_gaps = true };
	uint32_t edges;
	uint64_t seq;

	o->n = 0;
	assert_int_equal(read_history(fx->s, &q, on_oracle, o, &edges, &seq), 0);
	assert_true(edges & EDGE_NEWEST);
}

static bool has(const struct oracle *o, int64_t id)
{
	for (size_t i = 0; i < o->n; i++) {
		if (o->ids[i] == id)
			return true;
	}
	return false;
}

static void shift_keys(struct fx *fx)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "UPDATE msg SET key=key+1000000000 WHERE key >= (SELECT key FROM msg ORDER BY key"
				   " LIMIT 1 OFFSET %u)", (unsigned int)rnd((uint32_t)count_messages(fx)));
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(db_exec(fx->s, sql), 0);
	fx->s->key_shifts++;
	assert_int_equal(store_commit(fx->s), 0);
}

/* Write something; *serial numbers the messages. The id of a message whose text changed, or 0. */
static int random_write(struct fx *fx, int *serial, bool shift)
{
	_cleanup_(buf_deinit) struct buf body = { 0 };
	char id[32], target[32];
	struct message m;
	int old = *serial ? (int)rnd((uint32_t)*serial) : 0;

	fx->now += SEC;
	snprintf(target, sizeof(target), "m%d", old);
	random_body(&body);
	switch (rnd(8)) {
	case 0:
		put_live(fx, ref_in(PAYLOAD_RETRACTION, target), false);
		return old;
	case 1:
		m = text_in("", buf_str(&body));
		m.replace_id = target;
		put_live(fx, m, false);
		return old;
	case 2:
		assert_true(index_step(fx->s, 1) >= 0);
		return -1;
	case 3:
		index_all(fx);
		return -1;
	case 4:
		if (rnd(4) == 0)
			assert_int_equal(index_rebuild(fx->s), 0);
		else if (shift && *serial > 1)
			shift_keys(fx);
		return -1;
	default:
		snprintf(id, sizeof(id), "m%d", (*serial)++);
		put_live(fx, text_in(id, buf_str(&body)), false);
		return -1;
	}
}

struct result {
	int64_t ids[READ_ROWS_MAX];
	size_t n;
};

static int on_result(void *userdata, const struct message_row *row, const struct search_range *ranges, size_t n)
{
	struct result *res = userdata;

	(void)ranges;
	assert_true(n > 0);
	for (size_t i = 0; i < res->n; i++) {
		if (res->ids[i] == row->id)
			fail_msg("%d comes twice", (int)row->id);
	}
	assert_true(res->n < READ_ROWS_MAX);
	res->ids[res->n++] = row->id;
	return 0;
}

/* All pages of a query in tiny slices; ${write}: between any two of them. */
static void all_pages(struct fx *fx, const char *text, struct result *res, int *serial, bool *touched, bool write)
{
	char *cursor = xstrdup("");
	int64_t budget = rnd(3) ? 1 : BUDGET;

	fx->s->index.walk_rows = rnd(2) ? 0 : rnd(9);
	do {
		struct search_query q = { .account = fx->account, .text = text, .limit = 1 + rnd(9), .cursor = cursor };
		struct search *x;
		char *next = NULL;
		int r;

		assert_int_equal(search_new(fx->s, &q, &x), 0);
		do {
			r = search_step(x, budget);
			/* A busy machine makes more slices of it: the archive stays within what the oracle reads. */
			if (write && *serial < READ_ROWS_MAX && rnd(4) == 0) {
				int changed = random_write(fx, serial, true);

				if (changed >= 0)
					touched[changed] = true;
			}
		} while (r > 0);
		assert_int_equal(r, 0);
		assert_int_equal(search_hits(x, on_result, res, &next), 0);
		search_free(x);
		free(cursor);
		cursor = next;
	} while (*cursor);
	free(cursor);
}

TEST(random_archives_match_the_oracle)
{
	struct fx *fx = *state;
	int serial = 0;

	for (int round = 0; round < 150; round++) {
		_cleanup_(buf_deinit) struct buf text = { 0 };
		struct want wants[3];
		struct oracle o = { .wants = wants };
		struct result res = { 0 };

		seed = (uint32_t)round * 7919u + 1;
		for (uint32_t i = rnd(8); i > 0; i--)
			random_write(fx, &serial, false);
		random_query(wants, &o.n_wants, &text);
		ask_oracle(fx, &o);
		all_pages(fx, buf_str(&text), &res, &serial, NULL, false);
		if (res.n != o.n)
			print_error("round %d: <%s>: %zu, oracle %zu\n", round, buf_str(&text), res.n, o.n);
		assert_int_equal(res.n, o.n);
		for (size_t i = 0; i < o.n; i++)
			assert_int_equal(res.ids[i], o.ids[o.n - 1 - i]);
	}
	assert_true(serial > 150);
	index_all(fx);
	assert_int_equal(index_check(fx->s), 0);
}

static int64_t row_id(struct fx *fx, int message)
{
	char id[32];
	int64_t row = 0;

	snprintf(id, sizeof(id), "m%d", message);
	assert_int_equal(read_find(fx->s, fx->account, BOB, "id", id, &row), 0);
	return row;
}

/* Nothing that was there from the beginning to the end is lost, nothing comes twice, nothing that is wrong now. */
TEST(writes_between_slices_and_pages_lose_nothing)
{
	struct fx *fx = *state;
	int serial = 0;

	for (int round = 0; round < 100; round++) {
		_cleanup_(buf_deinit) struct buf text = { 0 };
		bool touched[READ_ROWS_MAX] = { false };
		struct want wants[3];
		struct oracle before = { .wants = wants }, after = { .wants = wants };
		struct result res = { 0 };

		seed = (uint32_t)round * 104729u + 5;
		if (serial > 250)
			break;
		for (uint32_t i = rnd(6); i > 0; i--)
			random_write(fx, &serial, true);
		random_query(wants, &before.n_wants, &text);
		after.n_wants = before.n_wants;
		ask_oracle(fx, &before);
		all_pages(fx, buf_str(&text), &res, &serial, touched, true);
		ask_oracle(fx, &after);

		for (int m = 0; m < serial; m++) {
			int64_t id = row_id(fx, m);
			bool found_it = false;

			for (size_t i = 0; i < res.n; i++)
				found_it = found_it || res.ids[i] == id;
			if (touched[m])
				continue;
			if (has(&before, id) && !found_it)
				fail_msg("round %d: <%s>: m%d is lost", round, buf_str(&text), m);
			if (found_it && !has(&after, id))
				fail_msg("round %d: <%s>: m%d is wrong", round, buf_str(&text), m);
		}
	}
	assert_true(serial > 50);
}

/* Row by row, with all keys moved up in the middle: it goes on where it was. */
static size_t count_hits(struct search *x)
{
	_cleanup_(freep) char *cursor = NULL;
	struct page p = { 0 };

	assert_int_equal(search_hits(x, on_hit, &p, &cursor), 0);
	buf_deinit(&p.text);
	return p.n;
}

/* Each holds its statement until the other one, a writer, a checkpoint or the end of a search takes it away. */
TEST(searches_in_turn_find_what_each_finds_alone)
{
	struct fx *fx = *state;
	const char *asked[] = { "te*", "tea", "coffee" };
	struct search *x[3];
	bool done[3] = { 0 };
	int held = 0;

	for (int i = 0; i < 120; i++)
		put_text(fx, i % 3 ? "tea" : "coffee");
	index_all(fx);
	fx->s->index.walk_rows = 0;
	for (int i = 0; i < 3; i++) {
		struct search_query q = { .account = fx->account, .text = asked[i], .limit = 500 };

		assert_int_equal(search_new(fx->s, &q, &x[i]), 0);
	}
	for (int n = 0; !done[0] || !done[1]; n++) {
		for (int i = 0; i < 3; i++) {
			/* Nearly always stopped after one row, and the same one may go on. */
			for (int k = 0; k < 2 && !done[i]; k++)
				done[i] = search_step(x[i], 0) == 0;
			if (i == 2 && n == 5)
				x[2] = search_free(x[2]);
			if (!x[2])
				done[2] = true;
		}
		held += fx->s->searching != NULL;
		if (n % 7 == 0) {
			assert_int_equal(store_checkpoint(fx->s), 0);
			assert_null(fx->s->searching);
		}
		if (n % 5 == 0) {
			put_text(fx, "water");
			assert_null(fx->s->searching);
		}
		assert_true(n < 100000);
	}
	assert_true(held > 20);
	assert_int_equal(count_hits(x[0]), 80);
	assert_int_equal(count_hits(x[1]), 80);
	for (int i = 0; i < 2; i++)
		search_free(x[i]);
}

TEST(keys_that_move_up_under_a_walk_lose_nothing)
{
	struct fx *fx = *state;
	struct search_query q = { .account = fx->account, .text = "tea", .limit = 100 };
	_cleanup_(search_freep) struct search *x = NULL;
	_cleanup_(freep) char *cursor = NULL;
	struct result res = { 0 };
	int r;

	for (int i = 0; i < 60; i++)
		put_text(fx, i % 2 ? "tea" : "coffee");
	assert_int_equal(search_new(fx->s, &q, &x), 0);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(search_step(x, 0), 1);
		assert_int_equal(store_begin(fx->s), 0);
		assert_int_equal(db_exec(fx->s, "UPDATE msg SET key=key+1000000000"), 0);
		fx->s->key_shifts++;
		assert_int_equal(store_commit(fx->s), 0);
	}
	while ((r = search_step(x, BUDGET)) > 0)
		;
	assert_int_equal(r, 0);
	assert_int_equal(search_hits(x, on_result, &res, &cursor), 0);
	assert_int_equal(res.n, 30);
	for (size_t i = 1; i < res.n; i++)
		assert_true(res.ids[i] < res.ids[i - 1]);
}

/* A plan names words of the index; what upkeep brings into it later may be others. */
static void check_words_that_come_later(struct fx *fx, bool by_correction)
{
	struct search_query q = { .account = fx->account, .text = "zeb" };
	_cleanup_(search_freep) struct search *x = NULL;
	_cleanup_(freep) char *cursor = NULL;
	struct message m = text_in("", "zebra");
	struct result res = { 0 };
	int r;

	put_live(fx, text_in("first", by_correction ? "plain" : "zebu"), false);
	put_text(fx, "zebu");
	index_all(fx);
	m.replace_id = "first";
	put_live(fx, by_correction ? m : text_in("second", "zebra"), false);
	for (int i = 0; i < 30; i++)
		put_text(fx, "other");
	fx->s->index.walk_rows = 0;
	assert_int_equal(search_new(fx->s, &q, &x), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(search_step(x, 1), 1);
	index_all(fx);
	while ((r = search_step(x, 1)) > 0)
		;
	assert_int_equal(r, 0);
	assert_int_equal(search_hits(x, on_result, &res, &cursor), 0);
	assert_int_equal(res.n, by_correction ? 2 : 3);
}

TEST(words_that_are_indexed_during_a_search_are_found)
{
	check_words_that_come_later(*state, false);
}

TEST(words_that_a_correction_brought_are_found_while_it_is_indexed)
{
	check_words_that_come_later(*state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_query_table),
		RUN(ranges_count_code_points),
		RUN(a_long_text_has_its_first_ranges_only),
		RUN(limits_of_a_query),
		RUN(filters),
		RUN(words_that_are_indexed_during_a_search_are_found),
		RUN(words_that_a_correction_brought_are_found_while_it_is_indexed),
		RUN(random_archives_match_the_oracle),
		RUN(searches_in_turn_find_what_each_finds_alone),
		RUN(keys_that_move_up_under_a_walk_lose_nothing),
		RUN(writes_between_slices_and_pages_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
