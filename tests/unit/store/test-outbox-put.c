/* What Send does at once: what is there when it returns, every refusal, and what goes out of edits and replies. */
#include <errno.h>

#include "outbox-fixture.h"
#include "store/conversation.h"
#include "store/gone.h"
#include "store/ids.h"

TEST(what_send_accepted_is_there_at_once_and_after_a_restart)
{
	struct fx *fx = *state;
	struct message_row row;
	uint64_t seq;
	int64_t id;

	put_live(fx, text_in("b1", "hello"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	seq = seq_of(fx);
	id = send_text(fx, "c1", "hi");
	fx_reopen(fx);

	row = row_of(fx, "hi");
	assert_int_equal(row.id, id);
	assert_int_equal(row.direction, DIRECTION_OUT);
	assert_int_equal(row.state, STATE_QUEUED);
	assert_string_equal(row.sender, OWN);
	assert_string_equal(row.origin_id, "c1");
	assert_string_equal(row.xmpp_id, "c1");
	assert_true(row.mod > seq);
	assert_string_equal(bodies(fx, BOB), "hello hi");
	/* Who answers has read. */
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	assert_string_equal(next(fx), "text:c1=hi");
	assert_string_equal(counts(fx), "1 0 0 0");
}

/* Anybody may send us a message of that type; in what is a room nothing of ours can be corrected or taken back yet. */
TEST(a_contact_does_not_become_a_room)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "hello");
	int64_t id;

	assert_int_equal(IN_TX(fx, roster_put(fx->s, fx->account,
					      &(struct roster_item){ .jid = BOB, .name = "", .subscription = "both", .groups = "" })), 0);
	id = send_text(fx, "c1", "hi");
	m.type = "groupchat";
	put_live(fx, m, false);
	assert_string_equal(conv_of(fx, BOB).kind, "direct");
	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(about(fx, OUT_RETRACTION, id, "c2", "").r, 0);
}

/* A Send writes what its conversation then says without asking for it; whoever asked would get the same. */
static void assert_follows(struct fx *fx)
{
	assert_int_equal(sql(fx, "SELECT count(*) FROM conv c LEFT JOIN msg l ON l.id=(SELECT id FROM msg WHERE conv=c.id"
				 " ORDER BY key DESC, id DESC LIMIT 1) WHERE (c.last_msg, c.activity_us, c.unread) IS NOT"
				 " (coalesce(l.id, 0), coalesce(l.time_us, 0),"
				 " (SELECT count(*) FROM msg u WHERE u.conv=c.id AND u.state=0)) OR c.mod<l.mod"), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM tombstone t JOIN conv c ON c.jid=t.key AND t.kind='conversation'"
				 " WHERE c.last_msg>0"), 0);
}

TEST(what_a_conversation_says_after_a_send_follows_from_its_messages)
{
	struct fx *fx = *state;
	struct outgoing lost = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c0", .body = "undone", .emojis = "" };
	int64_t first, second;

	BEGIN(fx);
	assert_int_equal(outbox_put(fx->s, fx->account, OWN, &lost, fx->now, &first, &(bool){ false }), 0);
	store_rollback(fx->s);
	first = send_text(fx, "c1", "one");
	assert_follows(fx);
	/* What was there before it is backlog, also after one that was undone. */
	assert_int_equal(sql(fx, "SELECT first_msg FROM account"), first);
	second = send_text(fx, "c2", "two");
	assert_follows(fx);
	assert_int_equal(conv_of(fx, BOB).last.id, second);
	put_live(fx, text_in("b1", "ask"), false);
	put_live(fx, text_from(CAROL "/x", "k1", "hello"), false);
	assert_follows(fx);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	second = send_text(fx, "c3", "answer");
	assert_follows(fx);
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	assert_int_equal(conv_of(fx, CAROL).unread, 1);
	assert_int_equal(sql(fx, "SELECT count(*) FROM msg WHERE state=0"), 1);
	/* It goes out of sight, and comes back. */
	assert_int_equal(IN_TX(fx, conversation_delete(fx->s, fx->account, BOB, fx->now)), 0);
	while (gone_due(fx->s))
		assert_int_equal(gone_step(fx->s, 100, fx->now), 1);
	assert_int_equal(sql(fx, "SELECT count(*) FROM tombstone WHERE kind='conversation'"), 1);
	send_text(fx, "c4", "again");
	assert_follows(fx);
	assert_int_equal(sql(fx, "SELECT count(*) FROM tombstone WHERE kind='conversation'"), 0);
}

TEST(E1_the_same_send_again_is_the_same_message)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "hi" };
	struct put_result_of got;
	int64_t id = send_text(fx, "c1", "hi");
	uint64_t seq = seq_of(fx);

	got = put(fx, o);
	assert_int_equal(got.r, 0);
	assert_true(got.existing);
	assert_int_equal(got.msg, id);
	assert_int_equal(seq_of(fx), seq);
	/* Done, too. */
	number(fx, 1, 1, "");
	assert_int_equal(ack(fx, 1), 1);
	fx_reopen(fx);
	got = put(fx, o);
	assert_true(got.existing);
	assert_int_equal(got.msg, id);

	o.body = "ho";
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	o.body = "hi";
	o.conversation = CAROL;
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	o.conversation = BOB;
	o.reply_to = id;
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	assert_int_equal(about(fx, OUT_RETRACTION, id, "c1", "").r, OUTBOX_E_CONFLICT);
	/* Where the address ends and the text begins is a part of it. */
	o = (struct outgoing){ .kind = OUT_TEXT, .conversation = "bob@b.examp", .client_id = "c1", .body = "lehi" };
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	assert_string_equal(next(fx), "");
	assert_int_equal(count_messages(fx), 1);
	/* JIDs are folded. */
	o = (struct outgoing){ .kind = OUT_TEXT, .conversation = "Bob@B.example", .client_id = "c1", .body = "hi" };
	assert_true(put(fx, o).existing);
}

/* What an app says of a message under an id that said something else, or of another one, is not taken for that. */
TEST(E1_another_correction_or_reaction_under_the_same_id_is_a_conflict)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "one"), other = send_text(fx, "c2", "two");

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "uno").r, 0);
	assert_true(about(fx, OUT_CORRECTION, id, "e1", "uno").existing);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "un").r, OUTBOX_E_CONFLICT);
	assert_int_equal(about(fx, OUT_CORRECTION, other, "e1", "uno").r, OUTBOX_E_CONFLICT);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "x").r, 0);
	/* One that changes nothing has a place of its own. */
	assert_int_equal(about(fx, OUT_REACTION, id, "r2", "x").r, 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r3", "x").r, 0);
	assert_int_equal(about(fx, OUT_REACTION, other, "r1", "x").r, OUTBOX_E_CONFLICT);
	assert_string_equal(next(fx), "text:c1=one text:c2=two correct:e1>c1=uno react:r1>c1=x react:r2>c1=x react:r3>c1=x");
}

/* C3: another device of ours that counts. Each of its messages is what a Send with those words means. */
TEST(E1_of_several_messages_of_one_id_the_one_with_the_words_is_the_same)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "7" };
	static const char *const words[] = { "first", "second", "third" };

	PAGE(fx, "", "", archived(copy_of("7", "first"), "a1", 1), archived(copy_of("7", "second"), "a2", 2),
	     archived(copy_of("7", "third"), "a3", 3));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct put_result_of got;

		o.body = words[i];
		got = put(fx, o);
		assert_true(got.existing);
		assert_int_equal(got.msg, row_of(fx, words[i]).id);
	}
	o.body = "fourth";
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	assert_string_equal(next(fx), "");
}

TEST(E1_a_client_id_is_known_by_its_message_when_the_outbox_forgot_it)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "hi" };
	struct put_result_of got;
	int64_t id;

	fx->now = INT64_C(1780000000000000);
	id = send_text(fx, "c1", "hi");
	number(fx, 1, 1, "");
	ack(fx, 1);
	/* It is looked for once a minute. */
	fx->now += 60 * SEC;
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, fx->now, 100)), 0);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, fx->now + OUTBOX_KEEP_US - 1, 100)), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 1);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, fx->now + OUTBOX_KEEP_US, 100)), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 0);

	got = put(fx, o);
	assert_int_equal(got.r, 0);
	assert_true(got.existing);
	assert_int_equal(got.msg, id);
	o.body = "ho";
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	assert_int_equal(about(fx, OUT_REACTION, id, "c1", "x").r, OUTBOX_E_CONFLICT);
	/* Of an earlier life, from the archive. */
	PAGE(fx, "", "", archived(copy_of("c2", "yo"), "a1", 1));
	o = (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c2", .body = "yo" };
	assert_true(put(fx, o).existing);
	o.body = "ya";
	assert_int_equal(put(fx, o).r, OUTBOX_E_CONFLICT);
	/* A message of Bob may have any id. */
	put_live(fx, text_in("c3", "bobs"), false);
	send_text(fx, "c3", "mine");
	assert_int_equal(count_messages(fx), 4);
}

TEST(a_wrong_clock_forgets_nothing)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "hi");
	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, 1000, 100)), 0);
	fx->now = 1000;
	send_text(fx, "c2", "ho");
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "DELETE FROM outbox WHERE client_id='c2'"), 0);
	COMMIT(fx);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, INT64_C(1780000000000000), 100)), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 1);
}

TEST(a_correction_a_reaction_and_a_retraction_act_at_once_and_their_copies_change_nothing)
{
	struct fx *fx = *state;
	struct message c[4] = { archived(copy_of("c1", "wrong"), "a1", 1), archived(copy_of("e1", "right"), "a2", 2),
				archived(copy_of("r1", ""), "a3", 3), archived(copy_of("x1", ""), "a4", 4) };
	struct put_outcome out[4];
	int64_t id = send_text(fx, "c1", "wrong");
	uint64_t seq;

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "right").msg, id);
	assert_int_equal(row_of(fx, "right").id, id);
	assert_true(row_of(fx, "right").edited_us > 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "a\nb").r, 0);
	assert_string_equal(row_of(fx, "right").reactions, OWN "\ta\tb\n");
	assert_true(about(fx, OUT_REACTION, id, "r1", "a\nb").existing);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "a").r, OUTBOX_E_CONFLICT);
	assert_string_equal(next(fx), "text:c1=wrong correct:e1>c1=right react:r1>c1=a\nb");
	number(fx, 3, 1, "");
	ack(fx, 3);
	c[1].replace_id = "c1";
	c[2].payload = PAYLOAD_REACTION;
	c[2].target_id = "c1";
	c[2].text = "a\nb";
	put_page(fx, c, 2, "", "", out);
	/* But for their times, which were ours. */
	assert_int_equal(row_of(fx, "right").edited_us, T0 + 2 * SEC);
	seq = seq_of(fx);
	put_page(fx, c + 1, 2, "a1", "", out);
	assert_int_equal(seq_of(fx), seq);
	assert_string_equal(bodies(fx, BOB), "right");

	assert_int_equal(about(fx, OUT_RETRACTION, id, "x1", "").r, 0);
	assert_string_equal(row_of(fx, "retracted").body, "");
	assert_string_equal(next(fx), "retract:x1>c1");
	c[3].payload = PAYLOAD_RETRACTION;
	c[3].target_id = "c1";
	seq = seq_of(fx);
	put_page(fx, c + 3, 1, "a3", "", out);
	assert_int_equal(seq_of(fx), seq + 0);
	assert_string_equal(next(fx), "");
	assert_int_equal(about(fx, OUT_REACTION, id, "r2", "x").r, OUTBOX_E_UNSUITABLE);
}

TEST(a_correction_names_the_first_id_and_a_reaction_the_origin_id)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "question"), c;

	m.origin_id = "o1";
	put_live(fx, m, false);
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "question").id, "r1", "x").r, 0);
	assert_string_equal(next(fx), "react:r1>o1=x");
	/* Ours of another device, corrected there before. */
	put_live(fx, text_out("d1", "one"), false);
	c = text_out("d2", "two");
	c.replace_id = "d1";
	put_live(fx, c, false);
	assert_int_equal(about(fx, OUT_CORRECTION, row_of(fx, "two").id, "e1", "three").r, 0);
	assert_string_equal(next(fx), "react:r1>o1=x correct:e1>d1=three");
	/* A gateway that makes its own ids: XEP-0308 means the attribute. */
	c = text_out("g1", "gated");
	c.origin_id = "g2";
	put_live(fx, c, false);
	assert_int_equal(about(fx, OUT_CORRECTION, row_of(fx, "gated").id, "e2", "fixed").r, 0);
	assert_string_equal(next(fx), "react:r1>o1=x correct:e1>d1=three correct:e2>g1=fixed");
	/* Without an origin-id there is only the attribute. */
	put_live(fx, text_in("b2", "plain"), false);
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "plain").id, "r2", "z").r, 0);
	assert_string_equal(next(fx), "react:r1>o1=x correct:e1>d1=three correct:e2>g1=fixed react:r2>b2=z");
	/* Without a client id one is made. */
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "question").id, "", "y").r, 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE length(client_id)=32"), 1);
}

TEST(replies_name_what_they_answer_as_their_copies_do)
{
	struct fx *fx = *state;
	struct message m = text_in("b1", "question"), copy = archived(copy_of("c1", "answer"), "a1", 1);
	struct put_result_of got;

	m.origin_id = "o1";
	put_live(fx, m, false);
	got = put(fx, (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "answer",
					 .reply_to = row_of(fx, "question").id });
	assert_int_equal(got.r, 0);
	assert_int_equal(row_of(fx, "answer").reply_to, row_of(fx, "question").id);
	assert_string_equal(next(fx), "text:c1=answer/o1@" BOB "/phone");
	copy.reply_id = "o1";
	PAGE(fx, "", "", copy);
	assert_int_equal(count_messages(fx), 2);
	/* The very hash of the copy: with the outbox forgotten it is still the same. */
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "DELETE FROM outbox; UPDATE msg SET ours=0"), 0);
	COMMIT(fx);
	copy.archive_id = "a2";
	PAGE(fx, "a1", "", copy);
	assert_int_equal(count_messages(fx), 2);
}

/* C3: the row that the app names is answered, not the newest that has its id. */
TEST(a_reply_is_to_the_row_that_was_named)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1", .body = "answer" };

	put_live(fx, text_in("1", "older"), false);
	put_live(fx, text_in("1", "newer"), false);
	o.reply_to = row_of(fx, "older").id;
	assert_int_equal(put(fx, o).r, 0);
	assert_int_equal(row_of(fx, "answer").reply_to, o.reply_to);
}

/* What a retraction takes back before it left may have something about it that has ended already. */
TEST(a_retraction_of_what_never_left_after_a_correction_that_failed)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "one");

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "long").r, 0);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[1], "too-long", "")), 0);
	assert_int_equal(about(fx, OUT_RETRACTION, id, "x1", "").r, 0);
	assert_string_equal(next(fx), "");
	assert_string_equal(bodies(fx, BOB), "retracted");
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE client_id='x1' AND state=3"), 1);
}

/* What no stanza can be made of, whatever the bus lets through. */
TEST(what_is_no_request_is_refused)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *body = memset(xnewn(char, OUTBOX_BODY_MAX + 2), 'x', OUTBOX_BODY_MAX + 1);
	_cleanup_(freep) char *emojis = memset(xnewn(char, SHORT_TEXT_MAX + 2), 'x', SHORT_TEXT_MAX + 1);
	int64_t id = send_text(fx, "c1", body + 1);
	const struct outgoing bad[] = {
		{ .kind = OUT_TEXT, .conversation = BOB, .body = "x" },
		{ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c2" },
		{ .kind = OUT_TEXT, .client_id = "c2", .body = "x" },
		{ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c2", .body = body },
		{ .kind = OUT_CORRECTION, .msg = id },
		{ .kind = OUT_CORRECTION, .msg = id, .body = body },
		{ .kind = OUT_REACTION, .msg = id, .emojis = emojis },
		{ .kind = OUT_RECEIPT, .msg = id },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(put(fx, bad[i]).r, -EINVAL);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", body + 1).r, 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", emojis + 1).r, 0);
	assert_int_equal(count_messages(fx), 1);
}

TEST(every_refusal)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = CAROL, .client_id = "x", .body = "x" };
	struct message room = text_from("room@muc.example/ann", "1", "in-room"), secret = text_out("s1", "secret");
	int64_t bobs, gone, failed, id;

	put_live(fx, text_in("b1", "bobs"), false);
	put_live(fx, text_in("", "nameless"), false);
	room.type = "groupchat";
	put_live(fx, room, false);
	secret.encryption = "urn:xmpp:omemo:2";
	put_live(fx, secret, false);
	bobs = row_of(fx, "bobs").id;

	assert_int_equal(about(fx, OUT_CORRECTION, 4711, "e", "x").r, OUTBOX_E_NO_MESSAGE);
	assert_int_equal(about(fx, OUT_CORRECTION, bobs, "e", "x").r, OUTBOX_E_NOT_OURS);
	assert_int_equal(about(fx, OUT_RETRACTION, bobs, "e", "").r, OUTBOX_E_NOT_OURS);
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "nameless").id, "e", "x").r, OUTBOX_E_UNSUITABLE);
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "in-room").id, "e", "x").r, OUTBOX_E_UNSUITABLE);
	assert_int_equal(about(fx, OUT_CORRECTION, row_of(fx, "secret").id, "e", "x").r, OUTBOX_E_UNSUITABLE);
	assert_int_equal(about(fx, OUT_RETRACTION, row_of(fx, "secret").id, "e9", "").r, 0);
	number(fx, 1, 1, "");
	ack(fx, 1);
	o.reply_to = bobs;
	assert_int_equal(put(fx, o).r, OUTBOX_E_NO_MESSAGE);
	o.reply_to = 4711;
	assert_int_equal(put(fx, o).r, OUTBOX_E_NO_MESSAGE);
	o.conversation = BOB;
	o.reply_to = row_of(fx, "nameless").id;
	assert_int_equal(put(fx, o).r, OUTBOX_E_UNSUITABLE);
	o.reply_to = 0;
	o.conversation = "room@muc.example";
	assert_int_equal(put(fx, o).r, OUTBOX_E_UNSUITABLE);

	gone = send_text(fx, "c1", "gone");
	failed = send_text(fx, "c2", "failed");
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[1], "x", "")), 0);
	assert_int_equal(about(fx, OUT_CORRECTION, failed, "e", "x").r, OUTBOX_E_UNSUITABLE);
	assert_int_equal(cancel(fx, send_text(fx, "c3", "cancelled")), 0);
	assert_int_equal(about(fx, OUT_REACTION, row_of(fx, "cancelled").id, "e", "x").r, OUTBOX_E_UNSUITABLE);
	number(fx, 1, 1, "");
	assert_int_equal(about(fx, OUT_RETRACTION, gone, "t", "").r, 0);
	assert_int_equal(about(fx, OUT_CORRECTION, gone, "e", "x").r, OUTBOX_E_UNSUITABLE);
	/* The id names two messages of ours. */
	put_live(fx, text_out("twice", "one"), false);
	put_live(fx, text_out("twice", "two"), false);
	assert_int_equal(about(fx, OUT_CORRECTION, row_of(fx, "one").id, "e", "x").r, OUTBOX_E_UNSUITABLE);
	assert_int_equal(about(fx, OUT_CORRECTION, row_of(fx, "two").id, "e", "x").r, 0);
	/* No conversation, row or item was made by what was refused. */
	assert_string_equal(bodies(fx, CAROL), "(none)");
	/* Another account's messages are none of ours. */
	id = fx_account(fx, "other@a.example", &(int64_t){ 0 });
	o = (struct outgoing){ .kind = OUT_REACTION, .msg = bobs, .emojis = "x", .client_id = "", .body = "",
			       .conversation = "" };
	assert_int_equal(IN_TX(fx, outbox_put(fx->s, id, "other@a.example", &o, fx->now, &(int64_t){ 0 },
					      &(bool){ false })), OUTBOX_E_NO_MESSAGE);
	assert_int_equal(IN_TX(fx, outbox_retry(fx->s, id, failed, fx->now)), OUTBOX_E_NO_MESSAGE);
	assert_int_equal(IN_TX(fx, outbox_cancel(fx->s, id, failed)), OUTBOX_E_STATE);
}

TEST(a_full_outbox_refuses_and_what_was_accepted_stays)
{
	struct fx *fx = *state;
	struct outgoing o = { .kind = OUT_TEXT, .conversation = BOB, .client_id = "more", .body = "more" };
	int64_t id = send_text(fx, "c1", "one");

	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM k WHERE i<9999)"
				 " INSERT INTO outbox(account, seq, kind, state, conv, msg, client_id, hash, written_us)"
				 " SELECT account, seq+i, 0, 0, conv, 0, 'k'||i, 0, 0 FROM k, outbox"), 0);
	COMMIT(fx);
	ids_forget(fx->s); /* these took none */
	assert_int_equal(put(fx, o).r, OUTBOX_E_FULL);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "x").r, OUTBOX_E_FULL);
	assert_string_equal(bodies(fx, BOB), "one");
	assert_true(put(fx, (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "c1",
					       .body = "one" }).existing);
	assert_int_equal(cancel(fx, id), 0);
	assert_int_equal(put(fx, o).r, 0);
	assert_int_equal(retry(fx, id), OUTBOX_E_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(what_send_accepted_is_there_at_once_and_after_a_restart),
		RUN(a_contact_does_not_become_a_room),
		RUN(what_a_conversation_says_after_a_send_follows_from_its_messages),
		RUN(E1_the_same_send_again_is_the_same_message),
		RUN(E1_another_correction_or_reaction_under_the_same_id_is_a_conflict),
		RUN(E1_of_several_messages_of_one_id_the_one_with_the_words_is_the_same),
		RUN(E1_a_client_id_is_known_by_its_message_when_the_outbox_forgot_it),
		RUN(a_wrong_clock_forgets_nothing),
		RUN(a_correction_a_reaction_and_a_retraction_act_at_once_and_their_copies_change_nothing),
		RUN(a_correction_names_the_first_id_and_a_reaction_the_origin_id),
		RUN(replies_name_what_they_answer_as_their_copies_do),
		RUN(a_reply_is_to_the_row_that_was_named),
		RUN(a_retraction_of_what_never_left_after_a_correction_that_failed),
		RUN(what_is_no_request_is_refused),
		RUN(every_refusal),
		RUN(a_full_outbox_refuses_and_what_was_accepted_stays),
	};

	return cmocka_run_group_tests_name("outbox-put", tests, NULL, NULL);
}
