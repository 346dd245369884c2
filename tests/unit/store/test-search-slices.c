/* A search that goes on slice by slice, while others search, rows move and the index grows. */
#include "search-fixture.h"

static size_t count_hits(struct search *x)
{
	_cleanup_(freep) char *cursor = NULL;
	struct hits h = { 0 };

	assert_int_equal(search_hits(x, on_hit, &h, &cursor), 0);
	buf_deinit(&h.text);
	return h.n;
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
		put_text(fx, NULL, i % 3 ? "tea" : "coffee");
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
			put_text(fx, NULL, "water");
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

/* Row by row, with all keys moved up in the middle: it goes on where it was. */
TEST(keys_that_move_up_under_a_walk_lose_nothing)
{
	struct fx *fx = *state;
	struct search_query q = { .account = fx->account, .text = "tea", .limit = 100 };
	_cleanup_(search_freep) struct search *x = NULL;
	_cleanup_(freep) char *cursor = NULL;
	struct result res = { 0 };
	int r;

	for (int i = 0; i < 60; i++)
		put_text(fx, NULL, i % 2 ? "tea" : "coffee");
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
	put_text(fx, NULL, "zebu");
	index_all(fx);
	m.replace_id = "first";
	put_live(fx, by_correction ? m : text_in("second", "zebra"), false);
	for (int i = 0; i < 30; i++)
		put_text(fx, NULL, "other");
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
		RUN(words_that_are_indexed_during_a_search_are_found),
		RUN(words_that_a_correction_brought_are_found_while_it_is_indexed),
		RUN(searches_in_turn_find_what_each_finds_alone),
		RUN(keys_that_move_up_under_a_walk_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
