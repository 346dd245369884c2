/* Walking the archive while it changes: docs/decisions/0028. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "fixture.h"
#include "store/conversation.h"
#include "store/walk.h"

#define N 40

static int add(void *userdata, const struct message_row *row)
{
	struct buf *b = userdata;

	buf_addf(b, "%s%s", b->len ? " " : "", row->body);
	return 0;
}

/* Bodies of the next ${rows}; "." at the end. */
static const char *step(struct fx *fx, struct walk *w, size_t rows)
{
	static struct buf b;
	int r;

	buf_reset(&b);
	r = walk_step(w, fx->s, rows, add, &b);
	assert_true(r == 0 || r == 1);
	if (r == 0)
		buf_adds(&b, b.len ? " ." : ".");
	return buf_str(&b);
}

static struct walk *begin(struct fx *fx, const char *conversation)
{
	struct walk *w;

	assert_int_equal(walk_new(fx->s, fx->account, conversation, 0, &w), 0);
	return w;
}

/* Live messages of a session that is not caught up: each has a row, none has its place. */
static void live(struct fx *fx, int from, int to)
{
	for (int i = from; i < to; i++) {
		char id[16], body[16];

		snprintf(id, sizeof(id), "m%d", i);
		snprintf(body, sizeof(body), "%d", i);
		fx->now = T0 + i * SEC;
		put_live(fx, text_in(id, body), false);
	}
}

/* The archive's copy of live message ${i}, which has its stamp there. */
static struct message copy(int i, int stamp_s)
{
	static char texts[8][3][16];
	static size_t at;
	char (*t)[16] = texts[at++ % ARRAY_SIZE(texts)];

	snprintf(t[0], sizeof(t[0]), "m%d", i);
	snprintf(t[1], sizeof(t[1]), "%d", i);
	snprintf(t[2], sizeof(t[2]), "a%d", i);
	return archived(text_in(t[0], t[1]), t[2], stamp_s);
}

/* A page of the archive says that message ${a} stands between ${b} - 1 and ${b}. */
static void settle(struct fx *fx, int a, int b)
{
	PAGE(fx, "", "?", copy(b - 1, b - 1), copy(b, b));
	PAGE(fx, "", "?", copy(b - 1, b - 1), copy(a, b), copy(b, b));
}

TEST(what_does_not_change_comes_once_in_order)
{
	struct fx *fx = *state;
	_cleanup_(walk_freep) struct walk *w = NULL;

	live(fx, 0, 5);
	put_live(fx, text_from(CAROL, "c", "hello"), false);
	w = begin(fx, "");
	assert_string_equal(step(fx, w, 2), "0 1");
	assert_string_equal(step(fx, w, 2), "2 3");
	assert_string_equal(step(fx, w, 9), "4 hello .");
	w = walk_free(w);
	w = begin(fx, BOB);
	assert_string_equal(step(fx, w, 9), "0 1 2 3 4 .");
	w = walk_free(w);
	w = begin(fx, "nobody@b.example");
	assert_string_equal(step(fx, w, 9), ".");
}

TEST(what_moves_behind_the_walk_comes_next)
{
	struct fx *fx = *state;
	_cleanup_(walk_freep) struct walk *w = NULL;

	live(fx, 0, 9);
	w = begin(fx, "");
	assert_string_equal(step(fx, w, 4), "0 1 2 3");
	settle(fx, 7, 2);
	assert_string_equal(bodies(fx, BOB), "0 1 7 2 3 4 5 6 8");
	assert_string_equal(step(fx, w, 9), "7 4 5 6 8 .");
}

TEST(what_moves_ahead_comes_once)
{
	struct fx *fx = *state;
	_cleanup_(walk_freep) struct walk *w = NULL;

	live(fx, 0, 9);
	w = begin(fx, "");
	assert_string_equal(step(fx, w, 4), "0 1 2 3");
	settle(fx, 1, 7);
	assert_string_equal(bodies(fx, BOB), "0 2 3 4 5 6 1 7 8");
	assert_string_equal(step(fx, w, 9), "4 5 6 7 8 .");
}

TEST(what_moves_within_what_is_ahead_is_in_its_place)
{
	struct fx *fx = *state;
	_cleanup_(walk_freep) struct walk *w = NULL;

	live(fx, 0, 9);
	w = begin(fx, "");
	assert_string_equal(step(fx, w, 4), "0 1 2 3");
	settle(fx, 8, 6);
	assert_string_equal(step(fx, w, 9), "4 5 8 6 7 .");
}

TEST(the_message_where_the_walk_stands_moves_or_goes)
{
	struct fx *fx = *state;
	_cleanup_(walk_freep) struct walk *w = NULL;
	int64_t id;

	live(fx, 0, 9);
	w = begin(fx, "");
	assert_string_equal(step(fx, w, 4), "0 1 2 3");
	settle(fx, 3, 8);
	assert_string_equal(step(fx, w, 2), "4 5");
	id = row_of(fx, "5").id;
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(conversation_delete_messages(fx->s, fx->account, &id, 1, fx->now), 0);
	assert_int_equal(store_commit(fx->s), 0);
	assert_string_equal(step(fx, w, 9), "6 7 8 .");
}

TEST(what_comes_meanwhile_does_not_come)
{
	struct fx *fx = *state;
	_cleanup_(walk_freep) struct walk *w = NULL;

	live(fx, 0, 4);
	w = begin(fx, "");
	assert_string_equal(step(fx, w, 2), "0 1");
	live(fx, 4, 6);
	PAGE(fx, "", "?", archived(text_in("x", "past"), "x", 0), copy(1, 1));
	assert_string_equal(step(fx, w, 9), "2 3 .");
	assert_string_equal(bodies(fx, BOB), "0 past 1 2 3 4 5");
}

TEST(who_moves_in_another_conversation_does_not_come)
{
	struct fx *fx = *state;
	_cleanup_(walk_freep) struct walk *w = NULL;

	live(fx, 0, 5);
	fx->now = T0 + 9 * SEC;
	put_live(fx, text_from(CAROL "/x", "c", "hello"), false);
	w = begin(fx, BOB);
	assert_string_equal(step(fx, w, 3), "0 1 2");
	PAGE(fx, "", "?", copy(0, 0), copy(1, 1));
	PAGE(fx, "", "?", copy(0, 0), archived(text_from(CAROL "/x", "c", "hello"), "ac", 1), copy(1, 1));
	assert_string_equal(bodies(fx, ""), "0 hello 1 2 3 4");
	assert_string_equal(step(fx, w, 9), "3 4 .");
}

TEST(who_moves_after_much_else_comes_too)
{
	struct fx *fx = *state;
	_cleanup_(walk_freep) struct walk *w = NULL;
	int all = 9;

	live(fx, 0, all);
	w = begin(fx, "");
	assert_string_equal(step(fx, w, 4), "0 1 2 3");
	/* More than a step looks at. */
	for (; all < 1100; all++)
		live(fx, all, all + 1);
	settle(fx, 7, 2);
	assert_string_equal(step(fx, w, 2000), "4 5 6 8");
	assert_string_equal(step(fx, w, 2000), "7 .");
}

TEST(who_moves_changes)
{
	struct fx *fx = *state;
	uint64_t before;

	live(fx, 0, 9);
	before = seq_of(fx);
	settle(fx, 7, 2);
	assert_true(row_of(fx, "7").mod > before);
}

TEST(all_keys_move_up)
{
	struct fx *fx = *state;
	_cleanup_(walk_freep) struct walk *w = NULL;
	uint32_t shifts = fx->s->key_shifts;

	/* Two placed messages a microsecond apart, and no room for the one that the archive has between them. */
	PAGE(fx, "", "", archived(text_in("a", "a"), "a", 0), archived(text_in("c", "c"), "c", 0));
	live(fx, 1, 6);
	w = begin(fx, "");
	assert_string_equal(step(fx, w, 4), "a c 1 2");
	PAGE(fx, "a", "c", archived(text_in("b", "b"), "b", 0));
	assert_true(fx->s->key_shifts > shifts);
	assert_string_equal(bodies(fx, BOB), "a b c 1 2 3 4 5");
	assert_string_equal(step(fx, w, 9), "3 4 5 .");
}

/* ---- at random ---- */

struct tally {
	int times[4 * N]; /* a message came, by the number that its body is */
	int last;	  /* of those that never move: ascending */
	const bool *moves;
	bool backwards;
};

static int count(void *userdata, const struct message_row *row)
{
	struct tally *t = userdata;
	int i = atoi(row->body);

	t->times[i]++;
	if (t->moves[i])
		return 0;
	t->backwards |= i < t->last;
	t->last = i;
	return 0;
}

static void walk_at_random(struct fx *fx, unsigned int seed, int base)
{
	bool moves[4 * N] = { 0 }, gone[4 * N] = { 0 };
	struct tally t = { .last = -1, .moves = moves };
	_cleanup_(walk_freep) struct walk *w = begin(fx, seed % 2 ? BOB : "");
	int all = base + N, r;

	do {
		int a = rand_r(&seed) % (base + N), b = 1 + rand_r(&seed) % (base + N - 1);
		int64_t id;

		r = walk_step(w, fx->s, 1 + (size_t)rand_r(&seed) % 5, count, &t);
		assert_true(r == 0 || r == 1);
		switch (rand_r(&seed) % 4) {
		case 0:
			if (a != b && a != b - 1 && !gone[a] && !gone[b] && !gone[b - 1]) {
				settle(fx, a, b);
				/* One of them is where it was; which one is the store's business. */
				moves[a] = moves[b] = moves[b - 1] = true;
			}
			break;
		case 1:
			if (gone[a])
				break;
			{
				char body[16];

				snprintf(body, sizeof(body), "%d", a);
				id = row_of(fx, body).id;
			}
			assert_int_equal(store_begin(fx->s), 0);
			assert_int_equal(conversation_delete_messages(fx->s, fx->account, &id, 1, fx->now), 0);
			assert_int_equal(store_commit(fx->s), 0);
			gone[a] = true;
			break;
		case 2:
			if (all < base + 2 * N)
				live(fx, all, all + 1);
			all++;
			break;
		case 3:
			break;
		}
	} while (r > 0);
	for (int i = 0; i < base + N; i++)
		assert_true(t.times[i] == 1 || (gone[i] && t.times[i] == 0));
	for (int i = base + N; i < 4 * N; i++)
		assert_int_equal(t.times[i], 0);
	assert_false(t.backwards);
}

TEST(whatever_happens_each_comes_once)
{
	for (unsigned int seed = 1; seed <= 20; seed++) {
		struct fx *fx;

		assert_int_equal(fx_setup(state), 0);
		fx = *state;
		live(fx, 0, 2 * N);
		walk_at_random(fx, seed, N);
		assert_int_equal(fx_teardown(state), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(what_does_not_change_comes_once_in_order),
		RUN(what_moves_behind_the_walk_comes_next),
		RUN(what_moves_ahead_comes_once),
		RUN(what_moves_within_what_is_ahead_is_in_its_place),
		RUN(the_message_where_the_walk_stands_moves_or_goes),
		RUN(what_comes_meanwhile_does_not_come),
		RUN(who_moves_in_another_conversation_does_not_come),
		RUN(who_moves_after_much_else_comes_too),
		RUN(who_moves_changes),
		RUN(all_keys_move_up),
		cmocka_unit_test(whatever_happens_each_comes_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
