/*
 * What was deleted here is gone with its words and does not come back, from whichever archive, and nothing else goes with it:
 * messages and conversations (store/gone.c, store/conversation.c).
 */
#include <stdio.h>

#include "conversation-fixture.h"
#include "store/outbox.h"

TEST(the_first_message_that_is_deleted_does_not_come_back_in_the_same_life)
{
	struct fx *fx = *state;

	put_live(fx, text_in("1", "stays"), false);
	put_live(fx, text_in("2", "goes"), false);
	delete_message(fx, "goes");
	put_live(fx, text_in("2", "goes"), false);
	assert_string_equal(bodies(fx, BOB), "stays");
}

TEST(a_deleted_message_is_gone_with_its_words_and_does_not_come_back)
{
	struct fx *fx = *state;
	struct message carbon = text_out("o1", "hippopotamus-mine");
	uint64_t seq;

	put_live(fx, with_aid(text_in("1", "hippopotamus-archived"), "a1"), true);
	put_live(fx, text_in("2", "hippopotamus-live"), false);
	carbon.origin_id = "o1";
	carbon.via = VIA_CARBON;
	put_live(fx, carbon, false);
	put_live(fx, text_in("3", "stays"), false);
	upkeep(fx);
	seq = seq_of(fx);
	delete_message(fx, "hippopotamus-archived");
	delete_message(fx, "hippopotamus-live");
	delete_message(fx, "hippopotamus-mine");
	assert_string_equal(feed(fx, seq), "-message:id -message:id C" BOB " -message:id ");
	assert_string_equal(bodies(fx, BOB), "stays");
	upkeep(fx);
	assert_int_equal(sql(fx, "SELECT count(*) FROM msg WHERE body LIKE 'hippo%'"), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM fts WHERE fts MATCH 'hippopotamus'"), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM fts_dirty"), 0);
	fx_reopen(fx);

	/* Live again, from the archive with and without a known id, sent again with a second archive id. */
	seq = seq_of(fx);
	put_live(fx, with_aid(text_in("1", "hippopotamus-archived"), "a1"), true);
	put_live(fx, text_in("1", "hippopotamus-archived"), false);
	put_live(fx, text_in("2", "hippopotamus-live"), false);
	carbon.via = VIA_ARCHIVE;
	carbon.archive_id = "a3";
	carbon.archive_us = T0 + DAY;
	PAGE(fx, "", "", archived(text_in("1", "hippopotamus-archived"), "a1", 86400),
	     archived(text_in("2", "hippopotamus-live"), "a2", 86400), carbon);
	carbon.archive_id = "a4";
	PAGE(fx, "a3", "", carbon);
	/* What others say of it has no target and is not kept. */
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "o1"), false);
	{
		struct message fix = text_in("9", "hippopotamus-fixed");

		fix.replace_id = "2";
		assert_int_equal(put_live(fx, fix, false).result, PUT_NOTHING);
	}
	assert_string_equal(bodies(fx, BOB), "stays");
	assert_int_equal(sql(fx, "SELECT count(*) FROM pending_ref"), 0);
	assert_int_equal(seq_of(fx), seq);
	/* Another message that is not the same is none of it. */
	put_live(fx, text_in("2", "other"), false);
	PAGE(fx, "a4", "", archived(text_in("2", "hippopotamus-live"), "a9", 86400));
	assert_string_equal(bodies(fx, BOB), "stays other hippopotamus-live");
}

TEST(deleting_keeps_what_was_read_and_what_is_backlog)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("5", "five"), "a5", 5), archived(text_in("6", "six"), "a6", 6));
	assert_int_equal(mark_read(fx, row_of(fx, "six").id), 0);
	delete_message(fx, "six");
	delete_message(fx, "five");
	assert_string_equal(bodies(fx, BOB), "(none)");
	/* The account's first message and the one that was read up to are gone; older ones are read all the same. */
	PAGE(fx, "", "a5", archived(text_in("3", "three"), "a3", 3), archived(text_in("4", "four"), "a4", 4));
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	put_live(fx, text_in("7", "seven"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	/* Backlog of another conversation is counted as such. */
	{
		struct message many[30];
		char ids[30][8], aids[30][8];

		for (int i = 0; i < 30; i++) {
			snprintf(ids[i], sizeof(ids[i]), "c%d", i);
			snprintf(aids[i], sizeof(aids[i]), "b%d", i);
			many[i] = archived(text_from(CAROL "/x", ids[i], ids[i]), aids[i], -100 + i);
		}
		put_page(fx, many, 30, "", "a3", NULL);
	}
	assert_int_equal(conv_of(fx, CAROL).unread, 20);
}

TEST(pointers_to_a_deleted_row_go_to_the_one_before)
{
	struct fx *fx = *state;
	struct message answer = text_in("3", "answer"), m = text_in("2", "two");
	int64_t first;
	uint64_t seq;

	m.asks = ASKS_MARKER;
	first = put_live(fx, text_out("1", "one"), false).msg;
	put_live(fx, m, false);
	answer.reply_id = "2";
	put_live(fx, answer, false);
	assert_int_equal(IN_TX(fx, outbox_owe_read(fx->s, fx->account, BOB, row_of(fx, "two").id, true, fx->now)), 0);
	put_live(fx, ref_in(PAYLOAD_MARKER, "1"), false);
	assert_int_equal(row_of(fx, "answer").reply_to, row_of(fx, "two").id);
	seq = seq_of(fx);
	delete_message(fx, "two");
	assert_int_equal(row_of(fx, "answer").reply_to, 0);
	assert_true(row_of(fx, "answer").mod > seq);
	assert_int_equal(sql(fx, "SELECT marked FROM conv"), first);
	/* A marker that waits for a message which is gone is not sent. */
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 0);
	delete_message(fx, "one");
	assert_int_equal(conv_of(fx, BOB).peer_displayed, 0);
}

TEST(deleting_what_never_left_cancels_it)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "secret", .emojis = "" };
	int64_t id, again;
	bool existing;
	struct message copy = text_out("c1", "secret");

	assert_int_equal(IN_TX(fx, outbox_put(fx->s, fx->account, OWN, &o, fx->now, &id, &existing)), 0);
	delete_message(fx, "secret");
	assert_int_equal(sql(fx, "SELECT state FROM outbox"), OUT_CANCELLED);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE body IS NOT NULL"), 0);
	/* The id is still known, a copy of an earlier life does not show. */
	assert_int_equal(IN_TX(fx, outbox_put(fx->s, fx->account, OWN, &o, fx->now, &again, &existing)), 0);
	assert_true(existing);
	assert_int_equal(again, id);
	copy.origin_id = "c1";
	PAGE(fx, "", "", archived(copy, "a1", 86400));
	assert_string_equal(bodies(fx, BOB), "(none)");
	assert_int_equal(IN_TX(fx, outbox_retry(fx->s, fx->account, id, fx->now)), OUTBOX_E_NO_MESSAGE);
}

TEST(a_deleted_conversation_is_gone_until_something_new_comes)
{
	struct fx *fx = *state;
	uint64_t seq;

	PAGE(fx, "", "", archived(text_in("3", "three"), "a3", 30), archived(text_in("4", "four"), "a4", 40),
	     archived(text_from(CAROL "/x", "1", "carols"), "a5", 50));
	put_live(fx, text_in("5", "five"), false);
	assert_int_equal(set(fx, BOB, (struct conversation_change){ .set_pinned = true, .pinned = true, .set_draft = true,
								     .draft = "x" }), 0);
	assert_int_equal(delete_conv(fx, "dan@d.example"), CONVERSATION_E_NONE);
	seq = seq_of(fx);
	assert_int_equal(delete_conv(fx, BOB), 0);
	assert_string_equal(feed(fx, seq), "-message:id -message:id -message:id -conversation:" BOB " ");
	assert_string_equal(bodies(fx, BOB), "(none)");
	assert_string_equal(list(fx, (struct conversation_query){ 0 }), CAROL);
	assert_int_equal(delete_conv(fx, BOB), CONVERSATION_E_NONE);
	fx_reopen(fx);
	/* Its copies, and older pages of it: nothing. Of others: all. */
	PAGE(fx, "", "", archived(text_in("3", "three"), "a3", 30), archived(text_in("4", "four"), "a4", 40));
	PAGE(fx, "", "a3", archived(text_in("1", "one"), "a1", 10), archived(text_from(CAROL "/x", "0", "old"), "a2", 20));
	assert_string_equal(bodies(fx, BOB), "(none)");
	assert_string_equal(bodies(fx, CAROL), "old carols");
	/* Something new, also if it came while we were away. */
	seq = seq_of(fx);
	PAGE(fx, "a5", "", archived(text_in("5", "five"), "a6", 86400), archived(text_in("6", "new"), "a7", 86401));
	assert_string_equal(bodies(fx, BOB), "new");
	assert_string_equal(feed(fx, seq), "Mnew C" BOB " ");
	assert_int_equal(conv_of(fx, BOB).flags & CONV_PINNED, 0);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
}

TEST(a_conversation_that_was_only_opened_can_be_deleted)
{
	struct fx *fx = *state;
	uint64_t seq;

	open_conv(fx, BOB);
	seq = seq_of(fx);
	assert_int_equal(delete_conv(fx, BOB), 0);
	assert_string_equal(feed(fx, seq), "-conversation:" BOB " ");
	assert_string_equal(list(fx, (struct conversation_query){ 0 }), "");
	/* And one that had both. */
	open_conv(fx, BOB);
	put_live(fx, text_in("1", "one"), false);
	delete_message(fx, "one");
	assert_string_equal(bodies(fx, BOB), "");
	put_live(fx, text_in("2", "two"), false);
	seq = seq_of(fx);
	assert_int_equal(delete_conv(fx, BOB), 0);
	assert_string_equal(feed(fx, seq), "-message:id -conversation:" BOB " ");
}

TEST(a_server_whose_clock_went_back_loses_no_message_to_a_deletion)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("1", "one"), "a1", 1000), archived(text_in("2", "two"), "a2", 2000));
	assert_int_equal(delete_conv(fx, BOB), 0);
	PAGE(fx, "a2", "", archived(text_in("3", "three"), "a3", 500));
	assert_string_equal(bodies(fx, BOB), "three");
}

TEST(a_long_conversation_is_deleted_in_slices)
{
	struct fx *fx = *state;
	struct message page[500];
	char ids[500][8], aids[500][8];
	uint64_t left;

	for (int p = 0; p < 5; p++) {
		for (int i = 0; i < 500; i++) {
			snprintf(ids[i], sizeof(ids[i]), "%d", p * 500 + i);
			snprintf(aids[i], sizeof(aids[i]), "a%d", p * 500 + i);
			page[i] = archived(text_in(ids[i], ids[i]), aids[i], p * 500 + i);
		}
		put_page(fx, page, 500, "", "", NULL);
	}
	assert_int_equal(delete_conv(fx, BOB), 0);
	assert_in_range(count_messages(fx), 2500 - CONVERSATION_DELETE_ROWS, 2500 - CONVERSATION_DELETE_LEAST);
	/* What comes meanwhile stays. */
	put_live(fx, text_in("new", "new"), false);
	fx_reopen(fx);
	assert_true(store_upkeep_due(fx->s));
	/* A slice that has no time for more deletes a few: what a row costs is not known before. */
	left = count_messages(fx);
	for (int i = 0; i < 5; i++)
		assert_int_equal(store_upkeep(fx->s, 0), 1);
	assert_in_range(left - count_messages(fx), 1, 50);
	upkeep(fx);
	assert_string_equal(bodies(fx, BOB), "new");
	assert_int_equal(sql(fx, "SELECT count(*) FROM aid"), 2500);
	assert_int_equal(sql(fx, "SELECT count(*) FROM conv WHERE purging>0"), 0);
	assert_false(store_upkeep_due(fx->s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_first_message_that_is_deleted_does_not_come_back_in_the_same_life),
		RUN(a_deleted_message_is_gone_with_its_words_and_does_not_come_back),
		RUN(deleting_keeps_what_was_read_and_what_is_backlog),
		RUN(pointers_to_a_deleted_row_go_to_the_one_before),
		RUN(deleting_what_never_left_cancels_it),
		RUN(a_deleted_conversation_is_gone_until_something_new_comes),
		RUN(a_conversation_that_was_only_opened_can_be_deleted),
		RUN(a_server_whose_clock_went_back_loses_no_message_to_a_deletion),
		RUN(a_long_conversation_is_deleted_in_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
