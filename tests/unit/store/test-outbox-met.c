/* What archive, carbons and errors say of what was sent, in every state. */
#include <stdio.h>

#include "outbox-fixture.h"
#include "store/row.h"

TEST(C8_met_in_the_archive_in_every_state)
{
	static const char *const ids[] = { "queued", "sending", "doubt", "done", "failed", "cancelled" };
	struct fx *fx = *state;
	struct message page[6];
	struct put_outcome out[6];
	char aids[6][8];
	uint64_t seq;

	for (int i = 5; i >= 0; i--) {
		send_to(fx, i == 2 ? CAROL : BOB, ids[i], ids[i]);
		if (i == 5)
			assert_int_equal(cancel(fx, row_of(fx, ids[i]).id), 0);
		if (i == 4)
			assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[0], "bad", "")), 0);
		if (i < 4 && i > 0)
			number(fx, 1, (uint32_t)(10 - i), "");
		if (i == 3)
			ack(fx, 7);
		if (i == 2)
			lose(fx, false, 0);
	}
	assert_string_equal(counts(fx), "1 1 1 1");
	for (int i = 0; i < 6; i++) {
		snprintf(aids[i], sizeof(aids[i]), "a%d", i);
		page[i] = archived(copy_of(ids[i], ids[i]), aids[i], 100 + i);
		page[i].to = i == 2 ? CAROL : BOB;
	}
	put_page(fx, page, 6, "", "", out);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(out[i].result, PUT_KNOWN);
		assert_int_equal(state_of(fx, ids[i]), STATE_SENT);
		assert_string_equal(row_of(fx, ids[i]).stanza_id, aids[i]);
		assert_int_equal(row_of(fx, ids[i]).time_us, T0 + (100 + i) * SEC);
	}
	assert_int_equal(count_messages(fx), 6);
	assert_string_equal(counts(fx), "0 0 0 0");
	assert_string_equal(next(fx), "");
	/* And again: nothing. */
	seq = seq_of(fx);
	put_page(fx, page, 6, "", "", out);
	assert_int_equal(seq_of(fx), seq);
	/* The number that comes for it is refused. */
	assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, fx->account, 1, 0, 3, "")), 0);
}

/* Who got our message knows its id, and may give it to as many of his own as he likes (C3). */
TEST(C8_a_contact_who_uses_our_id_hides_nothing)
{
	struct fx *fx = *state;
	struct message fixed = copy_of("2", "right");
	char body[16];

	send_text(fx, "1", "mine");
	number(fx, 1, 1, "");
	ack(fx, 1);
	for (int i = 0; i < ROW_CANDIDATES_MAX + 1; i++) {
		snprintf(body, sizeof(body), "his%d", i);
		put_live(fx, text_in("1", body), false);
	}
	PAGE(fx, "", "", archived(copy_of("1", "mine"), "a1", 1));
	assert_int_equal(count_messages(fx), ROW_CANDIDATES_MAX + 2);
	assert_string_equal(row_of(fx, "mine").stanza_id, "a1");
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "1"), false);
	assert_int_equal(state_of(fx, "mine"), STATE_DELIVERED);
	fixed.replace_id = "1";
	put_live(fx, fixed, false);
	assert_int_equal(state_of(fx, "right"), STATE_DELIVERED);
	/* The app that sends it again, long after the outbox forgot it. */
	sql(fx, "DELETE FROM outbox RETURNING 1");
	assert_true(put(fx, (struct outgoing){ .kind = OUT_TEXT, .conversation = BOB, .client_id = "1", .body = "mine" }).existing);
}

/* Another device gives its messages the same names (an app that counts): to somebody else it is another message. */
TEST(a_message_to_somebody_else_is_not_the_one_that_waits)
{
	struct fx *fx = *state;
	struct message other = copy_of("1", "other");

	send_text(fx, "1", "mine");
	other.to = CAROL;
	other.via = VIA_CARBON;
	put_live(fx, other, false);
	assert_string_equal(next(fx), "text:1=mine");
	PAGE(fx, "", "", archived(other, "a1", 1));
	assert_string_equal(next(fx), "text:1=mine");
	assert_int_equal(state_of(fx, "mine"), STATE_QUEUED);
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	PAGE(fx, "", "", archived(other, "a1", 1));
	assert_string_equal(counts(fx), "0 0 1 0");
	/* Its own copy is. */
	PAGE(fx, "a1", "", archived(copy_of("1", "mine"), "a2", 2));
	assert_string_equal(counts(fx), "0 0 0 0");
	assert_int_equal(state_of(fx, "mine"), STATE_SENT);
}

/* With the very same words: what never left is nobody's copy, and words are compared for texts alone. */
TEST(the_same_words_to_somebody_else_settle_nothing_that_never_left)
{
	struct fx *fx = *state;
	struct message other = copy_of("1", "mine");
	int64_t id = send_text(fx, "1", "mine");

	other.to = CAROL;
	PAGE(fx, "", "", archived(other, "a1", 1));
	assert_string_equal(next(fx), "text:1=mine");
	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "2", "fixed").r, 0);
	number(fx, 1, 2, "");
	lose(fx, false, 0);
	other = copy_of("2", "mine");
	other.to = CAROL;
	PAGE(fx, "a1", "", archived(other, "a2", 2));
	assert_string_equal(counts(fx), "0 0 1 0");
}

/* Who got it the first time, or guesses, can make no copy of it. */
TEST(C8_a_contact_s_message_under_our_id_is_not_our_copy)
{
	struct fx *fx = *state;

	send_text(fx, "1", "mine");
	send_text(fx, "2", "more");
	number(fx, 1, 1, "");
	put_live(fx, text_in("1", "mine"), false);
	put_live(fx, text_in("2", "more"), false);
	assert_string_equal(counts(fx), "1 1 0 0");
	lose(fx, false, 0);
	PAGE(fx, "", "", archived(text_in("1", "mine"), "a1", 1), archived(text_in("2", "more"), "a2", 2));
	assert_string_equal(counts(fx), "1 0 1 0");
	assert_int_equal(doubt_over(fx), 1);
	assert_string_equal(next(fx), "text:1=mine! text:2=more");
}

TEST(C8_met_by_its_origin_id_where_a_server_changes_ids)
{
	struct fx *fx = *state;
	struct message copy = copy_of("1", "mine");

	send_text(fx, "1", "mine");
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	copy.id = "changed";
	PAGE(fx, "", "", archived(copy, "a1", 1));
	assert_string_equal(counts(fx), "0 0 0 0");
	assert_int_equal(count_messages(fx), 1);
}

/* And so are what he says of it, and what the server says of that one. */
TEST(receipts_and_errors_of_somebody_else_settle_nothing)
{
	struct fx *fx = *state;
	struct message other = copy_of("1", "other"), receipt = ref_in(PAYLOAD_RECEIPT, "1"), error = error_of("1");

	send_text(fx, "1", "mine");
	other.to = CAROL;
	other.via = VIA_CARBON;
	put_live(fx, other, false);
	receipt.from = error.from = CAROL;
	number(fx, 1, 1, "");
	put_live(fx, error, false);
	assert_int_equal(state_of(fx, "other"), STATE_FAILED);
	assert_string_equal(counts(fx), "0 1 0 0");
	put_live(fx, receipt, false);
	assert_string_equal(counts(fx), "0 1 0 0");
	lose(fx, false, 0);
	put_live(fx, receipt, false);
	assert_string_equal(counts(fx), "0 0 1 0");
	assert_int_equal(state_of(fx, "mine"), STATE_SENDING);
	/* Bob's do. */
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "1"), false);
	assert_string_equal(counts(fx), "0 0 0 0");
	assert_int_equal(state_of(fx, "mine"), STATE_DELIVERED);
}

/* The server writes the address in another way than we fold it: what left is not sent again for that. */
TEST(a_copy_under_another_spelling_of_the_address)
{
	struct fx *fx = *state;
	struct message copy = copy_of("1", "mine");

	send_to(fx, "stra\xc3\x9f" "e@b.example", "1", "mine");
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	copy.to = "strasse@b.example";
	PAGE(fx, "", "", archived(copy, "a1", 1));
	assert_string_equal(counts(fx), "0 0 0 0");
}

TEST(C8_equal_text_from_another_device_is_another_message)
{
	struct fx *fx = *state;
	struct message carbon = copy_of("other", "same");

	send_text(fx, "c1", "same");
	carbon.via = VIA_CARBON;
	assert_int_equal(put_live(fx, carbon, false).result, PUT_NEW);
	PAGE(fx, "", "", archived(copy_of("c1", "same"), "a1", 1), archived(copy_of("other", "same"), "a2", 2));
	assert_string_equal(bodies(fx, BOB), "same same");
	/* By the id attribute alone, where a server drops origin-ids. */
	send_text(fx, "c2", "x");
	PAGE(fx, "a2", "", archived(text_out("c2", "x"), "a3", 3));
	assert_int_equal(count_messages(fx), 3);
	assert_int_equal(state_of(fx, "x"), STATE_SENT);
}

TEST(what_arrived_is_never_again_less)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "one");
	number(fx, 1, 1, "");
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "c1"), false);
	assert_int_equal(state_of(fx, "one"), STATE_DELIVERED);
	assert_string_equal(counts(fx), "0 0 0 0");
	lose(fx, false, 0);
	assert_int_equal(doubt_over(fx), 0);
	PAGE(fx, "", "", archived(copy_of("c1", "one"), "a1", 1));
	assert_int_equal(state_of(fx, "one"), STATE_DELIVERED);
	put_live(fx, ref_in(PAYLOAD_MARKER, "c1"), false);
	assert_int_equal(state_of(fx, "one"), STATE_DISPLAYED);
	/* Of what never left nobody can have a receipt or an error. */
	send_text(fx, "c2", "two");
	put_live(fx, ref_in(PAYLOAD_MARKER, "c2"), false);
	put_live(fx, error_of("c2"), false);
	assert_int_equal(state_of(fx, "two"), STATE_QUEUED);
	assert_int_equal(conv_of(fx, BOB).peer_displayed, row_of(fx, "one").id);
	assert_string_equal(next(fx), "text:c2=two");
	/* Nor of what is not even written yet. */
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "c3"), false);
	put_live(fx, ref_in(PAYLOAD_MARKER, "c4"), false);
	send_to(fx, BOB, "c3", "three");
	send_to(fx, BOB, "c4", "four");
	assert_int_equal(state_of(fx, "three"), STATE_QUEUED);
	assert_int_equal(state_of(fx, "four"), STATE_QUEUED);
	IN_TX(fx, outbox_failed(fx->s, fx->account, 3, "policy-violation", "too long"));
	assert_int_equal(state_of(fx, "three"), STATE_FAILED);
	IN_TX(fx, outbox_failed(fx->s, fx->account, 4, "policy-violation", "too long"));
	put_live(fx, ref_in(PAYLOAD_MARKER, "c4"), false);
	assert_int_equal(conv_of(fx, BOB).peer_displayed, row_of(fx, "one").id);
	/* Of what was sent twice, it may. */
	number(fx, 1, 2, "");
	lose(fx, false, 0);
	doubt_over(fx);
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "c2"), false);
	assert_int_equal(state_of(fx, "two"), STATE_DELIVERED);
	assert_string_equal(next(fx), "");
}

/* Our clock is months ahead of the server's: the archive says of both when they were, of the message not yet. */
TEST(a_receipt_that_seems_older_than_our_message)
{
	struct fx *fx = *state;

	fx->now = T0 + 60 * DAY;
	send_text(fx, "c1", "one");
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	PAGE(fx, "", "", archived(ref_in(PAYLOAD_RECEIPT, "c1"), "a2", 2));
	assert_int_equal(state_of(fx, "one"), STATE_DELIVERED);
	assert_string_equal(counts(fx), "0 0 0 0");
}

TEST(a_message_that_came_back_is_sent_again_as_it_is_now)
{
	struct fx *fx = *state;
	struct message again = archived(copy_of("c1", "right"), "a2", 20);
	int64_t id = send_text(fx, "c1", "wrong");

	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "right").r, 0);
	put_live(fx, error_of("c1"), false);
	assert_int_equal(state_of(fx, "right"), STATE_FAILED);
	assert_string_equal(row_of(fx, "right").error, "service-unavailable");
	assert_string_equal(row_of(fx, "right").error_text, "gone");
	assert_string_equal(counts(fx), "1 0 0 1");
	/* Its copy in the archive does not make it good. */
	PAGE(fx, "", "", archived(copy_of("c1", "wrong"), "a1", 10));
	assert_int_equal(state_of(fx, "right"), STATE_FAILED);

	assert_int_equal(retry(fx, id), 0);
	assert_int_equal(state_of(fx, "right"), STATE_QUEUED);
	assert_string_equal(row_of(fx, "right").error, "");
	assert_string_equal(next(fx), "correct:e1>c1=right text:c1=right");
	/* That copy again, late, is not of this try; in doubt, a second one is. */
	PAGE(fx, "", "", archived(copy_of("c1", "wrong"), "a1", 10));
	assert_int_equal(state_of(fx, "right"), STATE_QUEUED);
	number(fx, 2, 2, "");
	lose(fx, true, 2);
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	PAGE(fx, "", "", archived(copy_of("c1", "wrong"), "a1", 10));
	assert_string_equal(counts(fx), "0 0 1 0");
	PAGE(fx, "a1", "", again);
	assert_string_equal(counts(fx), "0 0 0 0");
	assert_int_equal(state_of(fx, "right"), STATE_SENT);
	assert_int_equal(count_messages(fx), 1);
}

/* The archive, held to its end, has no copy of the try that came back: the first one that it has is of the next. */
TEST(how_many_tries_the_archive_has_is_known_once_it_was_asked)
{
	struct fx *fx = *state;
	int64_t archive, other = fx_account(fx, "other@a.example", &archive);
	int64_t ids[] = { send_text(fx, "c1", "one"), send_text(fx, "c2", "two"), send_text(fx, "c3", "three") };

	number(fx, 3, 1, "");
	ack(fx, 3);
	put_live(fx, error_of("c1"), false);
	put_live(fx, error_of("c2"), false);
	assert_int_equal(retry(fx, ids[1]), 0);
	assert_int_equal(IN_TX(fx, outbox_bounces_known(fx->s, other)), 0);
	assert_int_equal(sql(fx, "SELECT sum(bounced) FROM outbox"), 2);
	PAGE(fx, "", "", archived(text_in("b1", "hello"), "a1", 1));
	assert_int_equal(IN_TX(fx, outbox_bounces_known(fx->s, fx->account)), 0);
	put_live(fx, error_of("c3"), false);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i += 2)
		assert_int_equal(retry(fx, ids[i]), 0);
	number(fx, 3, 4, "");
	lose(fx, false, 0);
	/* Of the third it was not asked since. */
	PAGE(fx, "a1", "", archived(copy_of("c1", "one"), "a2", 2), archived(copy_of("c2", "two"), "a3", 3),
	     archived(copy_of("c3", "three"), "a4", 4));
	assert_string_equal(counts(fx), "0 0 1 0");
	assert_int_equal(doubt_over(fx), 1);
	assert_string_equal(next(fx), "text:c3=three!");
}

/* It came back, was tried again, and meanwhile somebody had it after all: that the server has the new one says less. */
TEST(what_was_displayed_stays_so_when_it_is_sent_again)
{
	struct fx *fx = *state;
	int64_t id = send_text(fx, "c1", "one");

	number(fx, 1, 1, "");
	ack(fx, 1);
	put_live(fx, error_of("c1"), false);
	assert_int_equal(retry(fx, id), 0);
	put_live(fx, ref_in(PAYLOAD_MARKER, "c1"), false);
	assert_int_equal(state_of(fx, "one"), STATE_DISPLAYED);
	number(fx, 1, 2, "");
	assert_int_equal(state_of(fx, "one"), STATE_DISPLAYED);
	assert_int_equal(ack(fx, 2), 1);
	assert_int_equal(state_of(fx, "one"), STATE_DISPLAYED);
}

TEST(an_older_correction_that_comes_back_late_does_not_undo_the_newer)
{
	struct fx *fx = *state;
	struct message e1 = archived(copy_of("e1", "second"), "a2", 2), r1 = archived(copy_of("r1", ""), "a3", 3);
	int64_t id = send_text(fx, "c1", "first");

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "second").r, 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "x").r, 0);
	number(fx, 3, 1, "");
	ack(fx, 3);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e2", "third").r, 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r2", "").r, 0);
	/* The server's clock is far ahead of ours. */
	e1.archive_us = r1.archive_us = T0 + 100 * DAY;
	e1.replace_id = "c1";
	r1.payload = PAYLOAD_REACTION;
	r1.target_id = "c1";
	r1.text = "x";
	PAGE(fx, "", "", archived(copy_of("c1", "first"), "a1", 1), e1, r1);
	assert_string_equal(bodies(fx, BOB), "third");
	assert_string_equal(row_of(fx, "third").reactions, "");
	assert_string_equal(next(fx), "correct:e2>c1=third react:r2>c1");
}

/* Only a later one about the same message, of the same kind, makes a copy old; else its place in the archive counts. */
TEST(a_correction_that_nothing_replaces_learns_its_place)
{
	struct fx *fx = *state;
	struct message e1 = archived(copy_of("e1", "ours"), "a2", 20), d1 = archived(text_out("d1", "theirs"), "a3", 30);
	int64_t id = send_text(fx, "c1", "one"), other = send_text(fx, "c2", "two");

	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "ours").r, 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "x").r, 0);
	assert_int_equal(about(fx, OUT_CORRECTION, other, "e2", "dos").r, 0);
	number(fx, 5, 1, "");
	ack(fx, 5);
	e1.replace_id = d1.replace_id = "c1";
	PAGE(fx, "", "", archived(copy_of("c1", "one"), "a1", 10), e1);
	/* Another device's, later: by our clock it was before ours. */
	PAGE(fx, "a2", "", d1);
	assert_string_equal(bodies(fx, BOB), "theirs dos");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(C8_met_in_the_archive_in_every_state),
		RUN(C8_a_contact_who_uses_our_id_hides_nothing),
		RUN(a_message_to_somebody_else_is_not_the_one_that_waits),
		RUN(receipts_and_errors_of_somebody_else_settle_nothing),
		RUN(a_copy_under_another_spelling_of_the_address),
		RUN(the_same_words_to_somebody_else_settle_nothing_that_never_left),
		RUN(C8_a_contact_s_message_under_our_id_is_not_our_copy),
		RUN(C8_met_by_its_origin_id_where_a_server_changes_ids),
		RUN(how_many_tries_the_archive_has_is_known_once_it_was_asked),
		RUN(C8_equal_text_from_another_device_is_another_message),
		RUN(what_arrived_is_never_again_less),
		RUN(a_receipt_that_seems_older_than_our_message),
		RUN(a_message_that_came_back_is_sent_again_as_it_is_now),
		RUN(what_was_displayed_stays_so_when_it_is_sent_again),
		RUN(a_correction_that_nothing_replaces_learns_its_place),
		RUN(an_older_correction_that_comes_back_late_does_not_undo_the_newer),
	};

	return cmocka_run_group_tests_name("outbox-met", tests, NULL, NULL);
}
