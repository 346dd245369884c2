/* Coverage as rows: what is written is what is read, and no more is written, or asked for a page of history, than has to be. */
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"
#include "store/walls.h"

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)rand() % n;
}

static void write_cover(struct fx *fx, const struct cover *c)
{
	assert_int_equal(IN_TX(fx, cover_write(fx->s, fx->archive, c)), 0);
}

static void expect_stored(struct fx *fx, const struct cover *want)
{
	struct cover c;

	assert_int_equal(cover_read(fx->s, fx->archive, &c), 0);
	assert_int_equal(c.n, want->n);
	for (size_t i = 0; i < c.n; i++) {
		assert_string_equal(c.spans[i].first.id, want->spans[i].first.id);
		assert_string_equal(c.spans[i].last.id, want->spans[i].last.id);
		assert_int_equal(c.spans[i].first.us, want->spans[i].first.us);
		assert_int_equal(c.spans[i].last.us, want->spans[i].last.us);
		assert_int_equal(c.spans[i].flags, want->spans[i].flags);
	}
	assert_int_equal(sql(fx, "SELECT count(*) FROM span"), (int64_t)want->n);
	cover_deinit(&c);
}

/* Spans of one message each. */
static void many(struct cover *c, int n)
{
	cover_init(c);
	for (int i = 0; i < n; i++) {
		_cleanup_(freep) char *id = xasprintf("a%d", i);

		cover_load(c, id, T0 + i * SEC, id, T0 + i * SEC, 0);
	}
}

/* How often a statement has run; 0 if it was never prepared. */
static int runs(struct fx *fx, enum sql id)
{
	return fx->s->stmts[id] ? sqlite3_stmt_status(fx->s->stmts[id], SQLITE_STMTSTATUS_RUN, 0) : 0;
}

TEST(any_cover_is_read_as_it_was_written_over_any_other)
{
	struct fx *fx = *state;
	struct cover c, next = { 0 };

	srand(1);
	many(&c, 12);
	for (int round = 0; round < 300; round++) {
		write_cover(fx, &c);
		expect_stored(fx, &c);
		cover_copy(&next, &c);
		for (unsigned int edits = rnd(4); edits > 0 && next.n > 1; edits--) {
			struct span *s = &next.spans[rnd((unsigned int)next.n)];

			if (rnd(2))
				s->flags ^= SPAN_LOST;
			if (rnd(2))
				s->last.us += SEC;
			if (rnd(3) == 0)
				str_set(&s->first.id, "other");
		}
		if (rnd(3) == 0 && next.n > 1)
			cover_exhausted(&next, 1 + rnd((unsigned int)next.n - 1), 1);
		if (rnd(3) == 0)
			cover_load(&next, "new", T0, "new", T0, 0);
		if (rnd(60) == 0) {
			cover_deinit(&next);
			many(&next, (int)rnd(12));
		}
		cover_copy(&c, &next);
	}
	cover_deinit(&c);
	cover_deinit(&next);
}

TEST(of_many_spans_those_that_changed_are_written)
{
	struct fx *fx = *state;
	struct cover c;
	int before;

	many(&c, 200);
	write_cover(fx, &c);
	before = runs(fx, SQL_SPAN_PUT);
	write_cover(fx, &c);
	assert_int_equal(runs(fx, SQL_SPAN_PUT), before);
	str_set(&c.spans[199].last.id, "newer");
	write_cover(fx, &c);
	assert_int_equal(runs(fx, SQL_SPAN_PUT), before + 1);
	/* Gaps are filled from the newest on: what stands below them is not written again. */
	cover_exhausted(&c, 197, 1);
	write_cover(fx, &c);
	assert_int_equal(runs(fx, SQL_SPAN_PUT), before + 1 + 3);
	expect_stored(fx, &c);
	cover_deinit(&c);
}

static int no_row(_unused_ void *userdata, _unused_ const struct message_row *row)
{
	return 0;
}

/* Steps of SQLite's machine for a page of history with so many gaps below it. */
static int64_t page_with_gaps(struct fx *fx, int gaps)
{
	struct history_query q = { .account = fx->account, .conversation = BOB, .anchor = ANCHOR_NEWEST, .before = 5 };
	int64_t before = 0, after = 0;
	struct cover c;
	uint32_t edges;
	uint64_t seq;

	many(&c, gaps);
	write_cover(fx, &c);
	cover_deinit(&c);
	for (sqlite3_stmt *st = sqlite3_next_stmt(fx->s->db, NULL); st; st = sqlite3_next_stmt(fx->s->db, st))
		before += sqlite3_stmt_status(st, SQLITE_STMTSTATUS_VM_STEP, 0);
	assert_int_equal(read_history(fx->s, &q, no_row, NULL, &edges, &seq), 0);
	for (sqlite3_stmt *st = sqlite3_next_stmt(fx->s->db, NULL); st; st = sqlite3_next_stmt(fx->s->db, st))
		after += sqlite3_stmt_status(st, SQLITE_STMTSTATUS_VM_STEP, 0);
	return after - before;
}

/* A page knows all gaps, but does not ask a question for each: 36 steps a gap were 27 ms with 10,000 of them, 20 are 10. */
TEST(a_gap_costs_a_page_of_history_little)
{
	struct fx *fx = *state;
	int64_t few, many_steps;
	int asked;

	PAGE(fx, "", "", archived(text_in("m1", "one"), "a1", 10), archived(text_in("m2", "two"), "a2", 20));
	few = page_with_gaps(fx, 2);
	asked = runs(fx, SQL_AID_GET);
	many_steps = page_with_gaps(fx, 402);
	assert_int_equal(runs(fx, SQL_AID_GET), asked);
	if (many_steps - few > 400 * 24)
		fail_msg("%lld steps more for 400 gaps", (long long)(many_steps - few));
}

TEST(walls_are_found_between_any_two_keys)
{
	int64_t keys[] = { 10, 10, 20, 30 }, wall = 0;
	const struct walls w = { .keys = keys, .n = ARRAY_SIZE(keys) }, none = { 0 };

	(void)state;
	assert_false(walls_below(&none, 5, &wall));
	assert_false(walls_above(&none, 5, &wall));
	assert_false(walls_below(&w, 9, &wall));
	assert_true(walls_below(&w, 10, &wall) && wall == 10);
	assert_true(walls_below(&w, 29, &wall) && wall == 20);
	assert_true(walls_below(&w, INT64_MAX, &wall) && wall == 30);
	assert_true(walls_above(&w, INT64_MIN, &wall) && wall == 10);
	assert_true(walls_above(&w, 10, &wall) && wall == 20);
	assert_true(walls_above(&w, 29, &wall) && wall == 30);
	assert_false(walls_above(&w, 30, &wall));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(any_cover_is_read_as_it_was_written_over_any_other),
		RUN(of_many_spans_those_that_changed_are_written),
		RUN(a_gap_costs_a_page_of_history_little),
		cmocka_unit_test(walls_are_found_between_any_two_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
