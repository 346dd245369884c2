/* What fails, is cancelled or taken back, and is tried again. */
#include <stdio.h>

#include "outbox-fixture.h"
#include "store/conversation.h"

TEST(poison_fails_alone_and_can_be_tried_again)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "poison");

	send_text(fx, "c2", "fine");
	/* Two under way: nobody knows which one it was. */
	number(fx, 2, 1, "");
	for (int i = 0; i < 5; i++)
		assert_int_equal(IN_TX(fx, outbox_strike(fx->s, fx->account, "policy", "no")), 0);
	lose(fx, true, 0);
	assert_string_equal(counts(fx), "2 0 0 0");
	for (int i = 0; i < OUTBOX_STRIKES_MAX; i++) {
		assert_string_equal(next(fx), "text:c1=poison! text:c2=fine!");
		number(fx, 1, 1, "");
		assert_int_equal(IN_TX(fx, outbox_strike(fx->s, fx->account, "policy", "no")), 0);
		lose(fx, true, 0);
	}
	assert_string_equal(counts(fx), "1 0 0 1");
	assert_string_equal(next(fx), "text:c2=fine!");
	assert_int_equal(state_of(fx, "poison"), STATE_FAILED);
	assert_string_equal(row_of(fx, "poison").error, "policy");
	assert_string_equal(row_of(fx, "poison").error_text, "no");
	/* To the end, with fresh strikes. */
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(next(fx), "text:c2=fine! text:c1=poison!");
	assert_int_equal(sql(fx, "SELECT sum(strikes) FROM outbox"), 0);
	assert_int_equal(retry(fx, id), OUTBOX_E_STATE);
}

static const char *failed_rows(struct fx *fx, size_t max)
{
	static char text[64];
	int64_t rows[4];
	size_t n = 0;

	assert_true(max <= ARRAY_SIZE(rows));
	assert_int_equal(outbox_failed_rows(fx->s, fx->account, rows, max, &n), 0);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%lld", i ? " " : "", (long long)rows[i]);
	return text;
}

TEST(what_failed_is_listed_until_it_is_tried_again_or_deleted)
{
	struct fx *fx = *state;
	int64_t one = send_text(fx, "c1", "one"), two = send_text(fx, "c2", "two"), three = send_text(fx, "c3", "three");
	struct ids ids = items(fx);
	char expected[64];

	assert_string_equal(failed_rows(fx, 4), "");
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, ids.id[2], "bad", "")), 0);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, ids.id[0], "bad", "")), 0);
	/* It came back: the other side's server has said so. */
	number(fx, 1, 1, "");
	ack(fx, 1);
	put_live(fx, error_of("c2"), false);
	snprintf(expected, sizeof(expected), "%lld %lld %lld", (long long)one, (long long)two, (long long)three);
	assert_string_equal(failed_rows(fx, 4), expected);
	assert_string_equal(counts(fx), "0 0 0 3");
	snprintf(expected, sizeof(expected), "%lld", (long long)one);
	assert_string_equal(failed_rows(fx, 1), expected);
	assert_int_equal(retry(fx, one), 0);
	assert_int_equal(IN_TX(fx, conversation_delete_messages(fx->s, fx->account, &two, 1, fx->now)), 0);
	snprintf(expected, sizeof(expected), "%lld", (long long)three);
	assert_string_equal(failed_rows(fx, 4), expected);
	assert_string_equal(counts(fx), "1 0 0 1");
}

TEST(unsendable_fails_with_its_reason)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "long");

	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "x").r, 0);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "longer").r, 0);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[0], "too-long", "why")), 0);
	assert_int_equal(state_of(fx, "longer"), STATE_FAILED);
	/* What is about it goes nowhere. */
	assert_string_equal(next(fx), "");
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(next(fx), "text:c1=longer react:r1>c1=x");
	/* Of a correction: the message is as good as before, and says what is wrong. */
	number(fx, 2, 1, "");
	ack(fx, 2);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e2", "longest").r, 0);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[0], "too-long", "why")), 0);
	assert_int_equal(state_of(fx, "longest"), STATE_SENT);
	assert_string_equal(row_of(fx, "longest").error, "too-long");
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(row_of(fx, "longest").error, "");
	assert_string_equal(next(fx), "correct:e2>c1=longest");
	/* Unknown and finished items: nothing. */
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, 4711, "x", "")), 0);
	assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, fx->account, 4711, 0, 1, "")), 0);
}

/* Of a message and what is about it each has its own end. */
TEST(what_failed_takes_nothing_along_that_is_under_way_or_about_another)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "one");

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "uno").r, 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "x").r, 0);
	/* The correction is too long: the message and the reaction go out. */
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[1], "too-long", "")), 0);
	assert_string_equal(next(fx), "text:c1=one react:r1>c1=x");
	number(fx, 2, 1, "");
	/* The reaction may be there already, whatever becomes of the message. */
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, sql(fx, "SELECT id FROM outbox WHERE client_id='c1'"), "bad",
						 "")), 0);
	assert_string_equal(counts(fx), "0 1 0 2");
	assert_int_equal(ack(fx, 2), 1);
}

TEST(cancelled_is_not_sent_and_may_be_tried_again)
{
	struct fx *fx = *state;
	struct ids ids;
	int64_t id = send_text(fx, "c1", "one");

	send_text(fx, "c2", "two");
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "uno").r, 0);
	ids = items(fx);
	assert_int_equal(cancel(fx, id), 0);
	assert_int_equal(state_of(fx, "uno"), STATE_CANCELLED);
	assert_string_equal(next(fx), "text:c2=two");
	assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, fx->account, ids.id[0], 0, 1, "")), 0);
	assert_int_equal(cancel(fx, id), OUTBOX_E_STATE);
	assert_int_equal(cancel(fx, 4711), OUTBOX_E_NO_MESSAGE);
	/* The same Send again gets what became of it. */
	assert_true(put(fx, (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1",
					       .body = "one" }).existing);
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(next(fx), "text:c2=two text:c1=uno");
	number(fx, 1, 1, "");
	assert_int_equal(cancel(fx, row_of(fx, "two").id), OUTBOX_E_STATE);
	/* Messages of others cannot be tried again. */
	put_live(fx, text_in("b", "bobs"), false);
	assert_int_equal(retry(fx, row_of(fx, "bobs").id), OUTBOX_E_STATE);
	assert_int_equal(cancel(fx, row_of(fx, "bobs").id), OUTBOX_E_STATE);
	assert_int_equal(retry(fx, 4711), OUTBOX_E_NO_MESSAGE);
}

/* Deleted here while it may be there: it is sent again with its words, if it is; what never will be keeps none. */
TEST(what_may_have_left_keeps_its_words_when_its_row_is_deleted)
{
	struct fx *fx = *state;
	int64_t rows[] = { send_text(fx, "c1", "one"), send_text(fx, "c2", "two"), send_text(fx, "c3", "three"), 0 };

	number(fx, 3, 1, "");
	lose(fx, true, 0);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[1], "bad", "")), 0);
	assert_int_equal(cancel(fx, rows[2]), 0);
	rows[3] = send_text(fx, "c4", "four");
	assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, fx->account, items(fx).id[1], 0, 1, "")), 1);
	assert_string_equal(counts(fx), "1 1 0 1");
	assert_int_equal(IN_TX(fx, conversation_delete_messages(fx->s, fx->account, rows, ARRAY_SIZE(rows), fx->now)), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE body IS NULL"), 2);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, fx->account, 0)), 0);
	assert_string_equal(next(fx), "text:c1=one! text:c4=four!");
}

TEST(retry_of_what_the_outbox_forgot)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "one" };
	int64_t id = send_text(fx, "c1", "one");

	assert_int_equal(cancel(fx, id), 0);
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "DELETE FROM outbox"), 0);
	COMMIT(fx);
	assert_int_equal(retry(fx, id), 0);
	assert_string_equal(next(fx), "text:c1=one");
	assert_int_equal(state_of(fx, "one"), STATE_QUEUED);
	/* The same Send again is still the same, and another one under its id is not. */
	assert_true(put(fx, o).existing);
	o.conversation = CAROL;
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	assert_int_equal(about(fx, OUT_REACTION, id, "c1", "x").r, OUTBOX_E_CONFLICT);
	o.conversation = BOB;
	o.body = "other";
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	assert_string_equal(next(fx), "text:c1=one");
}

TEST(what_never_left_and_is_taken_back_never_leaves)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "secret");

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "secreter").r, 0);
	assert_int_equal(about(fx, OUT_RETRACTION, id, "x1", "").r, 0);
	assert_string_equal(next(fx), "");
	assert_int_equal(state_of(fx, "retracted"), STATE_CANCELLED);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE body IS NOT NULL"), 0);
	assert_int_equal(retry(fx, id), OUTBOX_E_UNSUITABLE);
	assert_true(about(fx, OUT_RETRACTION, id, "x1", "").existing);
	/* One that may have left is taken back in order. */
	id = send_text(fx, "c2", "late");
	number(fx, 1, 1, "");
	lose(fx, true, 0);
	assert_int_equal(about(fx, OUT_RETRACTION, id, "x2", "").r, 0);
	assert_string_equal(next(fx), "text:c2=late! retract:x2>c2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(poison_fails_alone_and_can_be_tried_again),
		RUN(what_failed_is_listed_until_it_is_tried_again_or_deleted),
		RUN(unsendable_fails_with_its_reason),
		RUN(what_failed_takes_nothing_along_that_is_under_way_or_about_another),
		RUN(cancelled_is_not_sent_and_may_be_tried_again),
		RUN(what_may_have_left_keeps_its_words_when_its_row_is_deleted),
		RUN(retry_of_what_the_outbox_forgot),
		RUN(what_never_left_and_is_taken_back_never_leaves),
	};

	return cmocka_run_group_tests_name("outbox-retry", tests, NULL, NULL);
}
