/* Receipts, markers and reading states that we owe. */
#include <stdio.h>

#include "outbox-fixture.h"
#include "store/ids.h"

/* Who makes us owe receipts without end takes half of the room at most: the user can still write. */
TEST(receipts_leave_room_for_the_user)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "ask");
	int64_t asked;

	send_text(fx, "c1", "one");
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM k WHERE i<4999)"
				 " INSERT INTO outbox(account, seq, kind, state, conv, msg, client_id, hash, written_us)"
				 " SELECT account, seq+i, 4, 0, conv, 0, 'k'||i, 0, 0 FROM k, outbox"), 0);
	COMMIT(fx);
	ids_forget(fx->s); /* these took none */
	m.asks = ASKS_RECEIPT;
	asked = put_live(fx, m, false).msg;
	assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
	/* A name is never NULL: this fails if there is such a row. */
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "INSERT INTO meta SELECT NULL, '' FROM outbox WHERE target_id='b1'"), 0);
	COMMIT(fx);
	send_text(fx, "c2", "two");
}

/* A thousand receipts under a server's rate limit take minutes. */
TEST(what_a_user_writes_does_not_wait_for_receipts)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "ask");
	struct seen s = { 0 };
	int64_t asked, seq;

	m.asks = ASKS_RECEIPT;
	asked = put_live(fx, m, false).msg;
	assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
	send_text(fx, "c1", "one");
	send_text(fx, "c2", "two");
	assert_string_equal(next(fx), "text:c1=one text:c2=two receipt:" BOB "/phone>b1");
	/* Nor is it overlooked by who looks behind a part of what was written after it. */
	seq = sql(fx, "SELECT seq FROM outbox WHERE client_id='c1'");
	assert_int_equal(outbox_next(fx->s, fx->account, seq, 1000, see, &s), 0);
	assert_string_equal(buf_str(&s.text), "text:c2=two receipt:" BOB "/phone>b1");
	buf_deinit(&s.text);
}

TEST(D9_a_receipt_once_to_whom_wrote_it)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "ask");
	int64_t asked, silent;

	m.asks = ASKS_RECEIPT;
	asked = put_live(fx, m, false).msg;
	silent = put_live(fx, text_in("b2", "silent"), false).msg;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
		assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, silent, fx->now)), 0);
		assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, 4711, fx->now)), 0);
	}
	assert_string_equal(next(fx), "receipt:" BOB "/phone>b1");
	assert_string_equal(counts(fx), "0 0 0 0");
	/* Nobody's order waits for it, and it is sent again rather than doubted. */
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	assert_string_equal(next(fx), "receipt:" BOB "/phone>b1!");
	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 0);
	assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
	assert_string_equal(next(fx), "");
	/* Ours asks nobody. */
	m = text_out("o", "mine");
	m.asks = ASKS_RECEIPT;
	asked = put_live(fx, m, false).msg;
	assert_int_equal(IN_TX(fx, outbox_owe_receipt(fx->s, fx->account, asked, fx->now)), 0);
	assert_string_equal(next(fx), "");
}

static void owe_read(struct fx *fx, const char *body, bool marker)
{
	assert_int_equal(IN_TX(fx, outbox_owe_read(fx->s, fx->account, BOB, row_of(fx, body).id, marker, fx->now)), 0);
}

/* Profanity, Dino, Gajim and poezio ask for a receipt of each correction, and show the message by its state from then on. */
TEST(a_correction_gets_a_receipt_of_its_own)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "wherefor"), other = text_in("x", "mine");
	struct put_outcome out;
	int64_t msg = put_live(fx, m, false).msg;

	m.asks = other.asks = ASKS_RECEIPT;
	m.replace_id = other.replace_id = "b1";
	m.id = "b2";
	m.body = "wherefore";
	out = put_live(fx, m, false);
	assert_int_equal(out.result, PUT_APPLIED);
	assert_int_equal(out.corrected, msg);
	assert_int_equal(IN_TX(fx, outbox_owe_correction(fx->s, fx->account, out.corrected, m.id, m.from, fx->now)), 0);
	assert_string_equal(next(fx), "receipt:" BOB "/phone>b2");
	/* Again, without the archive's id, as a server without stable ids brings it. */
	assert_int_equal(put_live(fx, m, false).corrected, 0);
	/* Of the correction, as profanity says it; of what is somebody else's; of what is not here. */
	m.replace_id = "b2";
	m.id = "b3";
	assert_int_equal(put_live(fx, m, false).corrected, msg);
	other.from = CAROL "/x";
	assert_int_equal(put_live(fx, other, false).corrected, 0);
	m.replace_id = "nothing";
	m.id = "b4";
	assert_int_equal(put_live(fx, m, false).corrected, 0);
	/* Gone meanwhile. */
	assert_int_equal(IN_TX(fx, outbox_owe_correction(fx->s, fx->account, 4711, "b5", BOB, fx->now)), 0);
	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_string_equal(next(fx), "");
}

TEST(a_marker_and_a_reading_state_of_each_conversation_wait_once)
{
	struct fx *fx = *state;
	struct message m[5];
	char ids[5][8], aids[5][8], text[5][8];

	for (int i = 0; i < 5; i++) {
		snprintf(ids[i], sizeof(ids[i]), "b%d", i);
		snprintf(aids[i], sizeof(aids[i]), "a%d", i);
		snprintf(text[i], sizeof(text[i]), "t%d", i);
		m[i] = archived(text_in(ids[i], text[i]), aids[i], i);
		m[i].asks = i == 3 ? 0 : ASKS_MARKER;
	}
	put_page(fx, m, 5, "", "", NULL);
	owe_read(fx, "t1", true);
	assert_string_equal(next(fx), "marker:" BOB ">b1 read:" BOB ">a1");
	/* A newer one takes its place; what asks for none is covered by what does. */
	owe_read(fx, "t3", true);
	assert_string_equal(next(fx), "marker:" BOB ">b2 read:" BOB ">a3");
	/* Never back, never twice. */
	owe_read(fx, "t0", true);
	owe_read(fx, "t3", true);
	assert_string_equal(next(fx), "marker:" BOB ">b2 read:" BOB ">a3");
	number(fx, 2, 1, "");
	ack(fx, 2);
	owe_read(fx, "t3", true);
	assert_string_equal(next(fx), "");
	/* Without a marker the others are told nothing, our devices are. */
	owe_read(fx, "t4", false);
	assert_string_equal(next(fx), "read:" BOB ">a4");
	owe_read(fx, "t4", true);
	assert_string_equal(next(fx), "read:" BOB ">a4 marker:" BOB ">b4");
	assert_int_equal(IN_TX(fx, outbox_owe_read(fx->s, fx->account, CAROL, 1, true, fx->now)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(receipts_leave_room_for_the_user),
		RUN(what_a_user_writes_does_not_wait_for_receipts),
		RUN(D9_a_receipt_once_to_whom_wrote_it),
		RUN(a_correction_gets_a_receipt_of_its_own),
		RUN(a_marker_and_a_reading_state_of_each_conversation_wait_once),
	};

	return cmocka_run_group_tests_name("outbox-owe", tests, NULL, NULL);
}
