/* What a page's conversations are is asked once (store/known.h): what changes while the page is stored must be seen. */
#include <stdio.h>

#include "fixture.h"
#include "store/conversation.h"

static void expect_state(struct fx *fx, const char *body, uint32_t state)
{
	assert_int_equal(row_of(fx, body).state, state);
}

/* Changes that the feed has had. */
static uint64_t positions(struct fx *fx)
{
	int64_t mod = 0;

	assert_int_equal(db_number(fx->s->db, "SELECT max(mod) FROM (SELECT mod FROM msg UNION SELECT mod FROM conv)", &mod), 0);
	return (uint64_t)mod;
}

TEST(backlog_is_stored_as_read_at_once)
{
	struct fx *fx = *state;
	uint64_t before;

	PAGE(fx, "", "", archived(text_out("m3", "answer"), "a3", 30));
	before = positions(fx);
	PAGE(fx, "", "a3", archived(text_in("m1", "one"), "a1", 10), archived(text_in("m2", "two"), "a2", 20));
	expect_state(fx, "one", STATE_READ);
	expect_state(fx, "two", STATE_READ);
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	/* A row each, and the conversation did not change. */
	assert_int_equal(positions(fx) - before, 2);
}

/* How often a statement has run; 0 if it was never prepared. */
static int runs(struct fx *fx, enum sql id)
{
	return fx->s->stmts[id] ? sqlite3_stmt_status(fx->s->stmts[id], SQLITE_STMTSTATUS_RUN, 0) : 0;
}

static void put(struct fx *fx, const char *above, const struct message *items, size_t n)
{
	const struct message *list[8];
	struct put_outcome out[8];
	const struct archive_page page = { .items = list, .n = n, .below_id = "", .above_id = above };

	for (size_t i = 0; i < n; i++)
		list[i] = &items[i];
	assert_int_equal(archive_put(fx->s, fx->account, fx->archive, OWN, &page, fx->now, out), 0);
}

TEST(pages_of_one_transaction_ask_once)
{
	const struct message newer[] = { archived(text_in("m3", "three"), "a3", 30), archived(text_out("m4", "answer"), "a4", 40) };
	const struct message older[] = { archived(text_in("m1", "one"), "a1", 10), archived(text_in("m2", "two"), "a2", 20) };
	struct fx *fx = *state;
	int asked, settled;

	assert_int_equal(store_begin(fx->s), 0);
	put(fx, "", newer, ARRAY_SIZE(newer));
	asked = runs(fx, SQL_CONV_KNOW);
	settled = runs(fx, SQL_CONV_STATE);
	put(fx, "a3", older, ARRAY_SIZE(older));
	assert_int_equal(runs(fx, SQL_CONV_KNOW), asked);
	/* What is read and below another one changes nothing that the conversation says. */
	assert_int_equal(runs(fx, SQL_CONV_STATE), settled);
	assert_int_equal(store_commit(fx->s), 0);
	expect_state(fx, "one", STATE_READ);
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	assert_string_equal(bodies(fx, BOB), "one two three answer");
}

TEST(what_is_written_between_two_pages_is_seen)
{
	const struct message newer[] = { archived(text_in("m3", "three"), "a3", 30) };
	const struct message older[] = { archived(text_in("m1", "one"), "a1", 10), archived(text_in("m2", "two"), "a2", 20) };
	struct fx *fx = *state;
	uint64_t before;

	assert_int_equal(store_begin(fx->s), 0);
	put(fx, "", newer, ARRAY_SIZE(newer));
	assert_int_equal(archive_put_read(fx->s, fx->account, fx->archive, BOB, "a3", fx->now), 0);
	before = positions(fx);
	put(fx, "a3", older, ARRAY_SIZE(older));
	assert_int_equal(store_commit(fx->s), 0);
	/* Stored as read at once: a row each. */
	assert_int_equal(positions(fx) - before, 2);
	expect_state(fx, "two", STATE_READ);
	assert_int_equal(conv_of(fx, BOB).unread, 0);
}

/* A page that is undone takes with it what was learnt from it. */
TEST(what_was_rolled_back_is_not_known)
{
	const struct message first[] = { archived(text_out("m3", "answer"), "a3", 30) };
	const struct message again[] = { archived(text_in("m1", "one"), "a1", 10), archived(text_in("m2", "two"), "a2", 20) };
	struct fx *fx = *state;

	assert_int_equal(store_begin(fx->s), 0);
	put(fx, "", first, ARRAY_SIZE(first));
	store_rollback(fx->s);
	assert_int_equal(store_begin(fx->s), 0);
	put(fx, "", again, ARRAY_SIZE(again));
	assert_int_equal(store_commit(fx->s), 0);
	expect_state(fx, "two", STATE_RECEIVED);
	assert_string_equal(bodies(fx, BOB), "one two");
}

TEST(an_answer_in_the_page_reads_what_is_below_it_alone)
{
	struct fx *fx = *state;

	put_live(fx, text_from(CAROL "/x", "c1", "before"), false);
	PAGE(fx, "", "", archived(text_in("m1", "one"), "a1", 10), archived(text_out("m2", "answer"), "a2", 20),
	     archived(text_in("m3", "three"), "a3", 30));
	PAGE(fx, "a3", "", archived(text_in("m4", "four"), "a4", 40), archived(text_out("m5", "more"), "a5", 50),
	     archived(text_in("m6", "six"), "a6", 60));
	expect_state(fx, "one", STATE_READ);
	expect_state(fx, "three", STATE_READ);
	expect_state(fx, "four", STATE_READ);
	expect_state(fx, "six", STATE_RECEIVED);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
}

/* All was read up to a row that came live; the page that is being stored has it further down. */
TEST(an_answer_that_moves_down_leaves_unread_what_was_above_it)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_from(CAROL "/x", "z", "above"), "z", 100));
	fx->now = T0 + 1000 * SEC;
	put_live(fx, text_out("m1", "answer"), false);
	assert_true(row_of(fx, "answer").key >= T0 + 1000 * SEC);
	PAGE(fx, "", "z", archived(text_out("m1", "answer"), "a1", 10), archived(text_in("m2", "later"), "a2", 20));
	assert_int_equal(row_of(fx, "answer").key, T0 + 10 * SEC);
	expect_state(fx, "later", STATE_RECEIVED);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
}

/* An answer and what it answers, each by an id that the page alone has brought, and the other way round. */
TEST(replies_find_their_target_within_a_page)
{
	struct fx *fx = *state;
	struct message first = archived(text_in("m1", "first"), "a1", 10);
	struct message second = archived(text_in("m2", "second"), "a2", 20);
	struct message early = archived(text_in("m3", "early"), "a3", 30);
	struct message late = archived(text_in("m4", "late"), "a4", 40);

	first.origin_id = "other-name";
	second.reply_id = "other-name";
	early.reply_id = "m4";
	PAGE(fx, "", "", first, second, early, late);
	assert_int_equal(row_of(fx, "second").reply_to, row_of(fx, "first").id);
	assert_int_equal(row_of(fx, "early").reply_to, row_of(fx, "late").id);
}

TEST(replies_find_their_target_in_the_next_page)
{
	struct fx *fx = *state;
	struct message first = archived(text_in("m1", "first"), "a1", 10);
	struct message early = archived(text_in("m3", "early"), "a3", 30);
	struct message late = archived(text_in("m4", "late"), "a4", 40);
	struct message second = archived(text_in("m5", "second"), "a5", 50);

	first.origin_id = "other-name";
	second.reply_id = "other-name";
	early.reply_id = "m4";
	PAGE(fx, "", "", first, early);
	PAGE(fx, "a3", "", late, second);
	assert_int_equal(row_of(fx, "second").reply_to, row_of(fx, "first").id);
	assert_int_equal(row_of(fx, "early").reply_to, row_of(fx, "late").id);
}

/* The floor below which a deleted conversation stays deleted moves with everything else when there is no room. */
TEST(a_floor_that_moves_within_the_page_still_holds)
{
	struct fx *fx = *state;
	int64_t floor, moved;

	PAGE(fx, "", "", archived(text_in("b", "below"), "b", 100), archived(text_in("r", "right above"), "r", 100));
	assert_int_equal(row_of(fx, "right above").key, row_of(fx, "below").key + 1);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(conversation_delete(fx->s, fx->account, BOB, fx->now), 0);
	assert_int_equal(db_exec(fx->s, "UPDATE conv SET floor_us=floor_us+1000000000"), 0);
	assert_int_equal(store_commit(fx->s), 0);
	assert_int_equal(db_number(fx->s->db, "SELECT floor FROM conv", &floor), 0);
	PAGE(fx, "", "", archived(text_in("b", "below"), "b", 100), archived(text_in("x", "in between"), "x", 101),
	     archived(text_in("r", "right above"), "r", 100));
	assert_int_equal(db_number(fx->s->db, "SELECT floor FROM conv", &moved), 0);
	assert_true(moved > floor);
	assert_int_equal(db_number(fx->s->db, "SELECT key FROM aid WHERE id='x'", &floor), 0);
	assert_true(floor < moved && floor > T0 + 100 * SEC + 1);
	assert_string_equal(bodies(fx, ""), "");
}

TEST(a_jid_that_turns_out_to_be_a_room_is_one_once)
{
	struct fx *fx = *state;
	struct message m[3] = {
		archived(text_from(BOB "/nick", "m2", "two"), "a2", 20),
		archived(text_from(BOB "/nick", "m3", "three"), "a3", 30),
		archived(text_from(BOB "/nick", "m4", "four"), "a4", 40),
	};

	PAGE(fx, "", "", archived(text_in("m1", "one"), "a1", 10));
	assert_string_equal(conv_of(fx, BOB).kind, "direct");
	for (int i = 0; i < 3; i++)
		m[i].type = "groupchat";
	put_page(fx, m, 3, "a1", "", NULL);
	assert_string_equal(conv_of(fx, BOB).kind, "room");
	assert_string_equal(bodies(fx, BOB), "one two three four");
}

/* It asks for any row that answers another, and for any with two names: of a long conversation never by reading it. */
TEST(what_is_asked_of_a_conversation_is_asked_of_an_index)
{
	struct fx *fx = *state;
	_cleanup_(stmt_done) struct stmt q = db_use(fx->s, SQL_CONV_KNOW);
	_cleanup_(freep) char *sql = xasprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(q.st));
	bool reply = false, origin = false;
	sqlite3_stmt *st;

	assert_int_equal(sqlite3_prepare_v2(fx->s->db, sql, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *line = (const char *)sqlite3_column_text(st, 3);

		reply |= strstr(line, "msg_reply") != NULL;
		origin |= strstr(line, "msg_origin") != NULL;
		assert_null(strstr(line, "SCAN"));
	}
	sqlite3_finalize(st);
	assert_true(reply && origin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(backlog_is_stored_as_read_at_once),
		RUN(pages_of_one_transaction_ask_once),
		RUN(what_is_written_between_two_pages_is_seen),
		RUN(what_was_rolled_back_is_not_known),
		RUN(an_answer_in_the_page_reads_what_is_below_it_alone),
		RUN(an_answer_that_moves_down_leaves_unread_what_was_above_it),
		RUN(replies_find_their_target_within_a_page),
		RUN(replies_find_their_target_in_the_next_page),
		RUN(a_floor_that_moves_within_the_page_still_holds),
		RUN(a_jid_that_turns_out_to_be_a_room_is_one_once),
		RUN(what_is_asked_of_a_conversation_is_asked_of_an_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
