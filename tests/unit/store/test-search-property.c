/*
 * Random archives against an oracle that knows nothing of tokens: it cuts a body into words, runs and emoji and looks
 * for each term on its own. What is there, and in which order, it takes from read_history().
 */
#include <stdio.h>
#include <stdlib.h>

#include "search-fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(random_archives_match_the_oracle),
		RUN(writes_between_slices_and_pages_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
