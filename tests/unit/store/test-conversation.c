/* What users do with conversations and how they stand in the list; how far they are read, here and on other devices. */
#include "conversation-fixture.h"
#include "store/outbox.h"
#include "store/schema.h"

static void read_state(struct fx *fx, const char *jid, const char *stanza_id)
{
	assert_int_equal(IN_TX(fx, archive_put_read(fx->s, fx->account, fx->archive, jid, stanza_id, fx->now)), 0);
}

TEST(an_opened_conversation_is_there_without_messages)
{
	struct fx *fx = *state;
	uint64_t seq = seq_of(fx);
	char *id;

	assert_int_equal(IN_TX(fx, conversation_open(fx->s, fx->account, "Bob@B.example", fx->now, &id)), 0);
	assert_string_equal(id, BOB);
	free(id);
	assert_string_equal(feed(fx, seq), "C" BOB "- ");
	assert_string_equal(list(fx, (struct conversation_query){ 0 }), BOB);
	assert_int_equal(conv_of(fx, BOB).activity_us, fx->now);
	assert_string_equal(bodies(fx, BOB), "");
	/* Again: nothing. */
	seq = seq_of(fx);
	open_conv(fx, BOB);
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "x"), false);
	assert_int_equal(seq_of(fx), seq);
	/* One with messages needs no opening. */
	put_live(fx, text_from(CAROL "/x", "1", "hi"), false);
	seq = seq_of(fx);
	open_conv(fx, CAROL);
	assert_int_equal(seq_of(fx), seq);
}

TEST(what_the_user_set_stays_and_is_in_the_feed)
{
	struct fx *fx = *state;
	struct conversation_row row;
	uint64_t seq;

	assert_int_equal(set(fx, BOB, (struct conversation_change){ .set_pinned = true, .pinned = true }),
			 CONVERSATION_E_NONE);
	put_live(fx, text_in("1", "hi"), false);
	put_live(fx, text_from(CAROL "/x", "1", "later"), false);
	put_live(fx, text_from("dan@d.example/x", "1", "last"), false);
	assert_string_equal(list(fx, (struct conversation_query){ 0 }), "dan@d.example " CAROL " " BOB);
	seq = seq_of(fx);
	assert_int_equal(set(fx, BOB, (struct conversation_change){
		.set_pinned = true, .pinned = true, .set_archived = true, .archived = true, .set_muted = true,
		.muted_until_us = INT64_MAX, .set_draft = true, .draft = "dear Bob" }), 0);
	assert_string_equal(feed(fx, seq), "C" BOB " ");
	seq = seq_of(fx);
	/* The same again, and nothing: no change. */
	assert_int_equal(set(fx, BOB, (struct conversation_change){ .set_draft = true, .draft = "dear Bob" }), 0);
	assert_int_equal(set(fx, BOB, (struct conversation_change){ 0 }), 0);
	assert_int_equal(seq_of(fx), seq);
	fx_reopen(fx);
	row = conv_of(fx, BOB);
	assert_int_equal(row.flags & (CONV_PINNED | CONV_ARCHIVED), CONV_PINNED | CONV_ARCHIVED);
	assert_true(row.mute_until_us == INT64_MAX);
	assert_int_equal(sql(fx, "SELECT count(*) FROM conv WHERE draft='dear Bob'"), 1);
	/* Pinned first; a page of one at a time is the same list. */
	assert_string_equal(list(fx, (struct conversation_query){ 0 }), BOB " dan@d.example " CAROL);
	assert_string_equal(list(fx, (struct conversation_query){ .limit = 1 }), BOB " dan@d.example " CAROL);
	assert_string_equal(list(fx, (struct conversation_query){ .archived = ARCHIVED_ONLY }), BOB);
	assert_string_equal(list(fx, (struct conversation_query){ .archived = ARCHIVED_NOT }), "dan@d.example " CAROL);
	assert_string_equal(list(fx, (struct conversation_query){ .query = "D.EX" }), "dan@d.example");
	assert_string_equal(list(fx, (struct conversation_query){ .kind = "room" }), "");
	assert_string_equal(list(fx, (struct conversation_query){ .kind = "direct", .limit = 2 }),
			    BOB " dan@d.example " CAROL);
	assert_int_equal(set(fx, BOB, (struct conversation_change){ .set_draft = true, .draft = "" }), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM conv WHERE draft IS NULL AND pinned=1"), 1);
}

/* One of which only receipts came is no conversation yet, wherever it would stand. */
TEST(a_page_is_full_though_some_are_not_shown)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *all = NULL;

	put_live(fx, text_in("1", "one"), false);
	open_conv(fx, CAROL);
	assert_int_equal(IN_TX(fx, db_exec(fx->s, "INSERT INTO conv(account, jid, kind, mod, pinned)"
					   " SELECT account, 'hidden'||id||'@x.y', 'direct', 1000+id, 1 FROM conv")), 0);
	all = xstrdup(list(fx, (struct conversation_query){ 0 }));
	assert_non_null(strstr(all, BOB));
	assert_string_equal(list(fx, (struct conversation_query){ .limit = 1 }), all);
}

TEST(a_cursor_that_is_none_is_refused)
{
	struct fx *fx = *state;
	static const char *const wrong[] = { "x", "1:2", "1:2:3x", "1:2:3:4" };
	char *next;
	uint64_t seq;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(read_conversations(fx->s, &(struct conversation_query){
			.account = fx->account, .cursor = wrong[i] }, NULL, NULL, &next, &seq), READ_E_CURSOR);
}

TEST(reading_goes_forward_only)
{
	struct fx *fx = *state;
	uint64_t seq;
	int64_t row;

	PAGE(fx, "", "", archived(text_in("1", "one"), "a1", 1), archived(text_in("2", "two"), "a2", 2),
	     archived(text_in("3", "three"), "a3", 3));
	assert_int_equal(conv_of(fx, BOB).unread, 3);
	assert_int_equal(mark_read(fx, row_of(fx, "two").id), 0);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	assert_int_equal(conv_of(fx, BOB).first_unread, row_of(fx, "three").id);
	seq = seq_of(fx);
	assert_int_equal(mark_read(fx, row_of(fx, "one").id), 0);
	assert_int_equal(mark_read(fx, row_of(fx, "two").id), 0);
	assert_int_equal(seq_of(fx), seq);
	assert_int_equal(mark_read(fx, 4711), CONVERSATION_E_NO_MESSAGE);
	assert_int_equal(IN_TX(fx, conversation_mark_read(fx->s, fx->account, CAROL, 0, &row)), CONVERSATION_E_NONE);
	assert_int_equal(IN_TX(fx, conversation_mark_read(fx->s, fx->account, BOB, 0, &row)), 0);
	assert_int_equal(row, row_of(fx, "three").id);
	assert_int_equal(conv_of(fx, BOB).unread, 0);
}

TEST(H6_a_reading_state_by_archive_id_before_and_after_its_message)
{
	struct fx *fx = *state;

	/* It comes first: at login all states come before the pages. */
	read_state(fx, BOB "/phone", "a2");
	fx_reopen(fx);
	PAGE(fx, "", "", archived(text_in("3", "three"), "a3", 3));
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	PAGE(fx, "", "a3", archived(text_in("1", "one"), "a1", 1), archived(text_in("2", "two"), "a2", 2));
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	assert_int_equal(row_of(fx, "two").state, STATE_READ);
	assert_int_equal(sql(fx, "SELECT count(*) FROM pending_ref"), 0);
	/* Back: nothing. Forward: at once. */
	read_state(fx, BOB, "a1");
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	read_state(fx, BOB, "a3");
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	/* Our devices know it: nothing is told to them. */
	assert_int_equal(IN_TX(fx, outbox_owe_read(fx->s, fx->account, BOB, row_of(fx, "three").id, false, fx->now)), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 0);
}

TEST(H6_of_one_conversation_the_newest_state_waits_and_another_ones_id_is_ignored)
{
	struct fx *fx = *state;

	read_state(fx, BOB, "later");
	read_state(fx, BOB, "a2");
	assert_int_equal(sql(fx, "SELECT count(*) FROM pending_ref"), 1);
	put_live(fx, with_aid(text_in("1", "one"), "a1"), true);
	/* A message id that looks like it is not it. */
	put_live(fx, text_in("a2", "named-so"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 2);
	put_live(fx, with_aid(text_in("2", "two"), "a2"), true);
	put_live(fx, text_in("3", "three"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	put_live(fx, with_aid(text_from(CAROL "/x", "1", "carols"), "c1"), true);
	read_state(fx, BOB, "c1");
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	assert_int_equal(conv_of(fx, CAROL).unread, 1);
	/* A place without a message: a correction, say. */
	{
		struct message fix = with_aid(text_in("4", "drei"), "a4");

		fix.replace_id = "3";
		put_live(fx, fix, true);
	}
	read_state(fx, BOB, "a4");
	assert_int_equal(conv_of(fx, BOB).unread, 0);
}

TEST(the_other_sides_reading_place_only_goes_forward)
{
	struct fx *fx = *state;
	uint64_t seq;

	PAGE(fx, "", "", archived(text_out("1", "one"), "a1", 1), archived(text_out("2", "two"), "a2", 2));
	assert_int_equal(conv_of(fx, BOB).peer_displayed, 0);
	seq = seq_of(fx);
	put_live(fx, ref_in(PAYLOAD_MARKER, "2"), false);
	assert_int_equal(conv_of(fx, BOB).peer_displayed, row_of(fx, "two").id);
	assert_string_equal(feed(fx, seq), "Mtwo C" BOB " ");
	put_live(fx, ref_in(PAYLOAD_MARKER, "1"), false);
	assert_int_equal(conv_of(fx, BOB).peer_displayed, row_of(fx, "two").id);
	assert_int_equal(row_of(fx, "one").state, STATE_DISPLAYED);
}

TEST(typing_may_be_told_to_whom_we_wrote)
{
	struct fx *fx = *state;

	put_live(fx, text_in("1", "hi"), false);
	assert_int_equal(conv_of(fx, BOB).flags, 0);
	put_live(fx, text_out("2", "ho"), false);
	assert_int_equal(conv_of(fx, BOB).flags, CONV_TYPING_ALLOWED);
}

TEST(a_hole_above_its_oldest_message_is_told)
{
	struct fx *fx = *state;
	uint64_t seq;

	PAGE(fx, "", "", archived(text_in("1", "one"), "a1", 1), archived(text_in("2", "two"), "a2", 2));
	put_cover(fx, "a1-a2^");
	assert_int_equal(conv_of(fx, BOB).flags & CONV_HAS_GAP, 0);
	PAGE(fx, "", "", archived(text_in("8", "eight"), "a8", 8),
	     archived(text_from(CAROL "/x", "9", "nine"), "a9", 9));
	seq = seq_of(fx);
	put_cover(fx, "a1-a2^ a8-a9");
	assert_string_equal(feed(fx, seq), "C" BOB " ");
	assert_int_equal(conv_of(fx, BOB).flags & CONV_HAS_GAP, CONV_HAS_GAP);
	assert_int_equal(conv_of(fx, CAROL).flags & CONV_HAS_GAP, 0);
	seq = seq_of(fx);
	put_cover(fx, "a1-a9^");
	assert_string_equal(feed(fx, seq), "C" BOB " ");
	assert_int_equal(conv_of(fx, BOB).flags & CONV_HAS_GAP, 0);
}

TEST(a_file_of_version_2_is_taken_over_with_its_messages)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("1", "one"), "a1", 1), archived(text_out("2", "two"), "a2", 2));
	assert_int_equal(IN_TX(fx, roster_put(fx->s, fx->account, &(struct roster_item){
		.jid = BOB, .name = "Bob", .subscription = "both" })), 0);
	fx_undo_v3(fx);
	assert_int_equal(sql(fx, "SELECT count(*) FROM pragma_table_info('msg') WHERE name IN ('asks', 'ours')"), 0);
	fx_reopen(fx);
	assert_int_equal(sql(fx, "PRAGMA user_version"), SCHEMA_VERSION);
	assert_string_equal(bodies(fx, BOB), "one two");
	assert_string_equal(list(fx, (struct conversation_query){ 0 }), "Bob");
	put_live(fx, text_in("3", "three"), false);
	open_conv(fx, CAROL);
	assert_int_equal(delete_conv(fx, BOB), 0);
	assert_string_equal(list(fx, (struct conversation_query){ 0 }), CAROL);
	assert_true(fx_sound(fx));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(an_opened_conversation_is_there_without_messages),
		RUN(what_the_user_set_stays_and_is_in_the_feed),
		RUN(a_page_is_full_though_some_are_not_shown),
		RUN(a_cursor_that_is_none_is_refused),
		RUN(reading_goes_forward_only),
		RUN(H6_a_reading_state_by_archive_id_before_and_after_its_message),
		RUN(H6_of_one_conversation_the_newest_state_waits_and_another_ones_id_is_ignored),
		RUN(the_other_sides_reading_place_only_goes_forward),
		RUN(typing_may_be_told_to_whom_we_wrote),
		RUN(a_hole_above_its_oldest_message_is_told),
		RUN(a_file_of_version_2_is_taken_over_with_its_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
