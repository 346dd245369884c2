/* What users do with conversations, reading states of other devices, local deletion, the block list. */
#include <stdio.h>

#include "base/buf.h"
#include "fixture.h"
#include "store/conversation.h"
#include "store/outbox.h"
#include "store/schema.h"

#define IN_TX(fx, call)                                          \
	({                                                       \
		int in_tx_r;                                     \
		assert_int_equal(store_begin((fx)->s), 0);       \
		in_tx_r = (call);                                \
		assert_int_equal(store_commit((fx)->s), 0);      \
		in_tx_r;                                         \
	})

static int64_t sql(struct fx *fx, const char *text)
{
	int64_t n;

	assert_int_equal(db_number(fx->s->db, text, &n), 0);
	return n;
}

static void open_conv(struct fx *fx, const char *jid)
{
	char *id;

	assert_int_equal(IN_TX(fx, conversation_open(fx->s, fx->account, jid, fx->now, &id)), 0);
	free(id);
}

static int set(struct fx *fx, const char *jid, struct conversation_change c)
{
	return IN_TX(fx, conversation_set(fx->s, fx->account, jid, &c));
}

static int mark_read(struct fx *fx, int64_t msg)
{
	int64_t row;

	return IN_TX(fx, conversation_mark_read(fx->s, fx->account, BOB, msg, &row));
}

static void delete_message(struct fx *fx, const char *body)
{
	int64_t id = row_of(fx, body).id;

	assert_int_equal(IN_TX(fx, conversation_delete_messages(fx->s, fx->account, &id, 1, fx->now)), 0);
}

static int delete_conv(struct fx *fx, const char *jid)
{
	return IN_TX(fx, conversation_delete(fx->s, fx->account, jid, fx->now));
}

static void upkeep(struct fx *fx)
{
	while (store_upkeep(fx->s, 10000) > 0)
		;
}

static void read_state(struct fx *fx, const char *jid, const char *stanza_id)
{
	assert_int_equal(IN_TX(fx, archive_put_read(fx->s, fx->account, fx->archive, jid, stanza_id, fx->now)), 0);
}

static int add_row(void *userdata, const struct conversation_row *row)
{
	buf_addf(userdata, "%s%s", ((struct buf *)userdata)->len ? " " : "", row->title);
	return 0;
}

static const char *list(struct fx *fx, struct conversation_query q)
{
	static struct buf b;
	char *cursor = xstrdup(""), *next;
	uint64_t seq;

	buf_reset(&b);
	q.account = fx->account;
	do {
		q.cursor = cursor;
		assert_int_equal(read_conversations(fx->s, &q, add_row, &b, &next, &seq), 0);
		free(cursor);
		cursor = next;
	} while (*cursor);
	free(cursor);
	return b.len ? buf_str(&b) : "";
}

static int feed_message(void *userdata, const struct message_row *row)
{
	buf_addf(userdata, "M%s ", *row->body ? row->body : row->kind);
	return 0;
}

static int feed_conversation(void *userdata, const struct conversation_row *row)
{
	buf_addf(userdata, "C%s%s%s ", row->id, row->flags & CONV_BLOCKED ? "!" : "", row->has_last ? "" : "-");
	return 0;
}

static int feed_contact(void *userdata, const struct contact_row *row)
{
	buf_addf(userdata, "R%s:%s%s%s%s ", row->jid, row->subscription, row->asking ? "?" : "", row->blocked ? "!" : "",
		 row->listed ? "" : "-");
	return 0;
}

static int feed_removed_row(void *userdata, const char *kind, const char *key)
{
	buf_addf(userdata, "-%s:%s ", kind, strcmp(kind, "message") == 0 ? "id" : key);
	return 0;
}

/* What changed since, in order. */
static const char *feed(struct fx *fx, uint64_t since)
{
	const struct changes_fns fns = { feed_message, feed_conversation, feed_contact, feed_removed_row };
	static struct buf b;
	uint64_t next;
	bool more;

	buf_reset(&b);
	assert_int_equal(read_changes(fx->s, fx->account, since, 0, 0, &fns, &b, &next, &more), 0);
	return b.len ? buf_str(&b) : "";
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
			.account = fx->account, .cursor = wrong[i] }, add_row, NULL, &next, &seq), READ_E_CURSOR);
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

	for (int p = 0; p < 5; p++) {
		for (int i = 0; i < 500; i++) {
			snprintf(ids[i], sizeof(ids[i]), "%d", p * 500 + i);
			snprintf(aids[i], sizeof(aids[i]), "a%d", p * 500 + i);
			page[i] = archived(text_in(ids[i], ids[i]), aids[i], p * 500 + i);
		}
		put_page(fx, page, 500, "", "", NULL);
	}
	assert_int_equal(delete_conv(fx, BOB), 0);
	assert_int_equal(count_messages(fx), 2500 - CONVERSATION_DELETE_ROWS);
	/* What comes meanwhile stays. */
	put_live(fx, text_in("new", "new"), false);
	fx_reopen(fx);
	assert_true(store_upkeep_due(fx->s));
	upkeep(fx);
	assert_string_equal(bodies(fx, BOB), "new");
	assert_int_equal(sql(fx, "SELECT count(*) FROM aid"), 2500);
	assert_int_equal(sql(fx, "SELECT count(*) FROM conv WHERE purging>0"), 0);
	assert_false(store_upkeep_due(fx->s));
}

TEST(the_block_list_is_in_contacts_and_conversations)
{
	struct fx *fx = *state;
	const struct roster_item bob = { .jid = BOB, .name = "Bob", .subscription = "both" };
	char *keep[] = { (char *)(uintptr_t)"b.example" };
	uint64_t seq;

	put_live(fx, text_in("1", "hi"), false);
	assert_int_equal(IN_TX(fx, roster_put(fx->s, fx->account, &bob)), 0);
	assert_int_equal(conv_of(fx, BOB).flags, CONV_TYPING_ALLOWED);
	seq = seq_of(fx);
	assert_int_equal(IN_TX(fx, roster_set_blocked(fx->s, fx->account, BOB, true)), 0);
	assert_int_equal(IN_TX(fx, roster_set_blocked(fx->s, fx->account, BOB, true)), 0);
	assert_int_equal(IN_TX(fx, roster_set_blocked(fx->s, fx->account, CAROL, true)), 0);
	assert_string_equal(feed(fx, seq), "R" BOB ":both! C" BOB "! R" CAROL ":none!- ");
	assert_int_equal(conv_of(fx, BOB).flags, CONV_BLOCKED);
	/* A new login: the roster and the block list come whole, without Carol in the roster. */
	seq = seq_of(fx);
	assert_int_equal(IN_TX(fx, roster_put(fx->s, fx->account, &bob)), 0);
	assert_int_equal(IN_TX(fx, roster_keep_only(fx->s, fx->account, &(char *){ (char *)(uintptr_t)BOB }, 1)), 0);
	assert_int_equal(seq_of(fx), seq);
	/* Out of the roster, still blocked; unblocked, gone. */
	assert_int_equal(IN_TX(fx, roster_keep_only(fx->s, fx->account, NULL, 0)), 0);
	assert_string_equal(feed(fx, seq), "R" BOB ":none!- C" BOB "! ");
	seq = seq_of(fx);
	assert_int_equal(IN_TX(fx, roster_set_blocked(fx->s, fx->account, "b.example", true)), 0);
	assert_int_equal(IN_TX(fx, roster_keep_blocked(fx->s, fx->account, keep, 1)), 0);
	assert_string_equal(feed(fx, seq), "Rb.example:none!- -contact:" BOB " C" BOB "! -contact:" CAROL " ");
	assert_int_equal(conv_of(fx, BOB).flags & CONV_BLOCKED, CONV_BLOCKED);
	/* Of a blocked domain a listed contact shows it. */
	assert_int_equal(IN_TX(fx, roster_put(fx->s, fx->account, &bob)), 0);
	seq = seq_of(fx);
	assert_int_equal(IN_TX(fx, roster_keep_blocked(fx->s, fx->account, NULL, 0)), 0);
	assert_string_equal(feed(fx, seq), "-contact:b.example C" BOB " R" BOB ":both ");
	assert_int_equal(conv_of(fx, BOB).flags, CONV_TYPING_ALLOWED);
}

static void asks(struct fx *fx, const char *jid, bool is)
{
	assert_int_equal(IN_TX(fx, roster_set_asking(fx->s, fx->account, jid, is)), 0);
}

static void contact(struct fx *fx, const char *jid, const char *subscription)
{
	const struct roster_item item = { .jid = jid, .subscription = subscription };

	assert_int_equal(IN_TX(fx, roster_put(fx->s, fx->account, &item)), 0);
}

TEST(who_asks_to_see_us_is_a_contact_until_answered)
{
	struct fx *fx = *state;
	uint64_t seq = seq_of(fx);

	asks(fx, BOB, true);
	asks(fx, CAROL, true);
	assert_string_equal(feed(fx, seq), "R" BOB ":none?- R" CAROL ":none?- ");
	/* Told again after a bind, with a roster that has neither; over a restart. */
	seq = seq_of(fx);
	asks(fx, BOB, true);
	assert_int_equal(IN_TX(fx, roster_keep_only(fx->s, fx->account, NULL, 0)), 0);
	fx_reopen(fx);
	assert_int_equal(seq_of(fx), seq);
	/* Their "unsubscribe", or our no. */
	asks(fx, CAROL, false);
	asks(fx, CAROL, false);
	assert_string_equal(feed(fx, seq), "-contact:" CAROL " ");
	/* In the roster and still not answered; then approved, there or on another device. */
	seq = seq_of(fx);
	contact(fx, BOB, "to");
	assert_string_equal(feed(fx, seq), "R" BOB ":to? ");
	seq = seq_of(fx);
	contact(fx, BOB, "both");
	asks(fx, BOB, true); /* he sees us */
	assert_string_equal(feed(fx, seq), "R" BOB ":both ");
}

TEST(who_is_blocked_does_not_ask)
{
	struct fx *fx = *state;
	uint64_t seq;

	assert_int_equal(IN_TX(fx, roster_set_blocked(fx->s, fx->account, BOB, true)), 0);
	assert_int_equal(IN_TX(fx, roster_set_blocked(fx->s, fx->account, "evil.example", true)), 0);
	seq = seq_of(fx);
	asks(fx, BOB, true);
	asks(fx, "x@evil.example", true);
	assert_int_equal(seq_of(fx), seq);
	/* To be blocked answers it, alone and with a domain. */
	asks(fx, CAROL, true);
	asks(fx, "d@d.example", true);
	contact(fx, "d@d.example", "to");
	asks(fx, "e@d.example", true);
	seq = seq_of(fx);
	assert_int_equal(IN_TX(fx, roster_set_blocked(fx->s, fx->account, CAROL, true)), 0);
	assert_string_equal(feed(fx, seq), "R" CAROL ":none!- ");
	seq = seq_of(fx);
	assert_int_equal(IN_TX(fx, roster_set_blocked(fx->s, fx->account, "d.example", true)), 0);
	assert_string_equal(feed(fx, seq), "Rd.example:none!- Rd@d.example:to! -contact:e@d.example ");
	/* A contact that is removed takes the request along, and a block stays. */
	contact(fx, "f@f.example", "none");
	asks(fx, "f@f.example", true);
	seq = seq_of(fx);
	contact(fx, "f@f.example", "remove");
	assert_string_equal(feed(fx, seq), "-contact:f@f.example ");
}

TEST(of_strangers_who_ask_the_latest_stay)
{
	struct fx *fx = *state;
	char jid[40];

	contact(fx, BOB, "none");
	asks(fx, BOB, true);
	assert_int_equal(IN_TX(fx, roster_set_blocked(fx->s, fx->account, CAROL, true)), 0);
	for (int i = 0; i < ROSTER_STRANGERS_MAX + 5; i++) {
		snprintf(jid, sizeof(jid), "s%03d@x.example", i);
		asks(fx, jid, true);
	}
	assert_int_equal(sql(fx, "SELECT count(*) FROM roster WHERE jid LIKE 's%'"), ROSTER_STRANGERS_MAX);
	assert_int_equal(sql(fx, "SELECT count(*) FROM roster WHERE jid IN ('s004@x.example')"), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM roster WHERE jid IN ('s005@x.example')"), 1);
	assert_int_equal(sql(fx, "SELECT count(*) FROM roster WHERE jid NOT LIKE 's%'"), 2);
}

static int add_contact(void *userdata, const struct contact_row *row)
{
	buf_addf(userdata, "%s ", row->jid);
	return 0;
}

TEST(contacts_in_pages)
{
	struct fx *fx = *state;
	struct buf b = { 0 };
	char *cursor = xstrdup(""), *next;
	uint64_t seq;
	char jid[32];

	for (int i = 0; i < 5; i++) {
		snprintf(jid, sizeof(jid), "u%d@x.example", i);
		assert_int_equal(IN_TX(fx, roster_put(fx->s, fx->account, &(struct roster_item){
			.jid = jid, .subscription = "none" })), 0);
	}
	do {
		assert_int_equal(read_contacts(fx->s, fx->account, cursor, 2, add_contact, &b, &next, &seq), 0);
		free(cursor);
		cursor = next;
	} while (*cursor);
	free(cursor);
	assert_string_equal(buf_str(&b), "u0@x.example u1@x.example u2@x.example u3@x.example u4@x.example ");
	buf_reset(&b);
	assert_int_equal(read_contact(fx->s, fx->account, "u3@x.example", add_contact, &b), 0);
	assert_int_equal(read_contact(fx->s, fx->account, "u9@x.example", add_contact, &b), READ_E_NO_CONTACT);
	assert_string_equal(buf_str(&b), "u3@x.example ");
	buf_deinit(&b);
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
		RUN(the_first_message_that_is_deleted_does_not_come_back_in_the_same_life),
		RUN(a_deleted_message_is_gone_with_its_words_and_does_not_come_back),
		RUN(deleting_keeps_what_was_read_and_what_is_backlog),
		RUN(pointers_to_a_deleted_row_go_to_the_one_before),
		RUN(deleting_what_never_left_cancels_it),
		RUN(a_deleted_conversation_is_gone_until_something_new_comes),
		RUN(a_conversation_that_was_only_opened_can_be_deleted),
		RUN(a_server_whose_clock_went_back_loses_no_message_to_a_deletion),
		RUN(a_long_conversation_is_deleted_in_slices),
		RUN(the_block_list_is_in_contacts_and_conversations),
		RUN(who_asks_to_see_us_is_a_contact_until_answered),
		RUN(who_is_blocked_does_not_ask),
		RUN(of_strangers_who_ask_the_latest_stay),
		RUN(contacts_in_pages),
		RUN(typing_may_be_told_to_whom_we_wrote),
		RUN(a_hole_above_its_oldest_message_is_told),
		RUN(a_file_of_version_2_is_taken_over_with_its_messages),
	};

	return cmocka_run_group_tests_name("conversation", tests, NULL, NULL);
}
