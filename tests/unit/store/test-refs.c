/* Corrections, retractions, reactions, receipts, markers, errors: cases H of facts/sync.md. */
#include <stdio.h>

#include "fixture.h"
#include "store/pending.h"

static struct message fix(const char *target, const char *id, const char *body)
{
	struct message m = text_in(id, body);

	m.replace_id = target;
	return m;
}

static struct message react(struct message m, const char *emoji)
{
	m.text = emoji;
	return m;
}

TEST(H1_correction_before_its_original_survives_a_restart)
{
	struct fx *fx = *state;
	struct put_outcome out[1];
	struct message page[1] = { archived(fix("1", "2", "right"), "a2", 20) };

	put_page(fx, page, 1, "", "", out);
	assert_int_equal(out[0].result, PUT_APPLIED);
	assert_int_equal(count_messages(fx), 0);
	fx_reopen(fx);
	PAGE(fx, "", "a2", archived(text_in("1", "wrong"), "a1", 10));

	assert_string_equal(bodies(fx, BOB), "right");
	assert_int_equal(row_of(fx, "right").edited_us, T0 + 20 * SEC);
	assert_int_equal(row_of(fx, "right").time_us, T0 + 10 * SEC);
}

TEST(H2_the_newest_correction_stays_in_any_order)
{
	struct fx *fx = *state;

	/* 1 <- 2, 1 <- 3, newest page first: 3, then 2, then 1. */
	PAGE(fx, "", "", archived(fix("1", "3", "third"), "a3", 30));
	PAGE(fx, "", "a3", archived(fix("1", "2", "second"), "a2", 20));
	PAGE(fx, "", "a2", archived(text_in("1", "first"), "a1", 10));
	assert_string_equal(bodies(fx, BOB), "third");

	/* Oldest first. */
	PAGE(fx, "a3", "", archived(text_in("4", "fourth"), "a4", 40), archived(fix("4", "5", "fifth"), "a5", 50),
	     archived(fix("4", "6", "sixth"), "a6", 60));
	assert_string_equal(bodies(fx, BOB), "third sixth");
}

TEST(H2_a_chain_that_names_the_last_id_in_any_order)
{
	struct fx *fx = *state;

	/* 1 <- 2 <- 3, all three orders of arrival that differ. */
	PAGE(fx, "", "", archived(fix("2", "3", "third"), "a3", 30));
	PAGE(fx, "", "a3", archived(fix("1", "2", "second"), "a2", 20));
	PAGE(fx, "", "a2", archived(text_in("1", "first"), "a1", 10));
	assert_string_equal(bodies(fx, BOB), "third");

	PAGE(fx, "a3", "", archived(text_in("11", "first"), "b1", 110), archived(fix("11", "12", "second"), "b2", 120),
	     archived(fix("12", "13", "thirteenth"), "b3", 130));
	assert_string_equal(bodies(fx, BOB), "third thirteenth");
}

TEST(a_correction_live_and_again_from_the_archive_is_one)
{
	struct fx *fx = *state;
	uint64_t seq;

	put_live(fx, with_aid(text_in("1", "wrong"), "a1"), true);
	put_live(fx, with_aid(fix("1", "2", "right"), "a2"), true);
	seq = seq_of(fx);
	put_live(fx, with_aid(fix("1", "2", "right"), "a2"), true);

	assert_string_equal(bodies(fx, BOB), "right");
	assert_int_equal(seq_of(fx), seq);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
}

/* It came live under a clock that was ahead; the archive says where it stands, and what is newer there. */
TEST(H2_H6_what_came_live_learns_its_place_from_its_archived_copy)
{
	struct fx *fx = *state;
	struct message r1 = react(ref_in(PAYLOAD_REACTION, "1"), "x"), r2 = react(ref_in(PAYLOAD_REACTION, "1"), "y");

	r1.id = "r1";
	r2.id = "r2";
	PAGE(fx, "", "", archived(text_in("1", "wrong"), "a1", 10));
	fx->now = T0 + 60 * DAY;
	put_live(fx, fix("1", "2", "right"), false);
	put_live(fx, r1, false);
	/* By that clock these are older. */
	PAGE(fx, "a1", "", archived(fix("1", "3", "older"), "a2", 20), archived(r2, "a3", 21));
	assert_string_equal(bodies(fx, BOB), "right");
	assert_string_equal(row_of(fx, "right").reactions, BOB "\tx\n");
	PAGE(fx, "a3", "", archived(fix("1", "2", "right"), "a4", 30), archived(r1, "a5", 31));
	PAGE(fx, "a5", "", archived(fix("1", "4", "newer"), "a6", 40), archived(r2, "a7", 41));
	assert_string_equal(bodies(fx, BOB), "newer");
	assert_string_equal(row_of(fx, "newer").reactions, BOB "\ty\n");
	/* Under one id with other words it is another one (C3). */
	PAGE(fx, "a7", "", archived(fix("1", "4", "newest"), "a8", 50));
	assert_string_equal(bodies(fx, BOB), "newest");
}

/* The same set twice with another one between: the older of them does not take the place of the newer. */
TEST(H6_an_older_reaction_with_the_same_set_is_no_copy)
{
	struct fx *fx = *state;
	struct message one = react(ref_in(PAYLOAD_REACTION, "1"), "x"), two = react(ref_in(PAYLOAD_REACTION, "1"), "y"), three = one;

	one.id = "r1";
	two.id = "r2";
	three.id = "r3";
	PAGE(fx, "", "", archived(text_in("1", "hi"), "a1", 10));
	fx->now = T0 + 60 * SEC;
	put_live(fx, three, false);
	PAGE(fx, "a1", "", archived(one, "a2", 20), archived(two, "a3", 30));
	assert_string_equal(row_of(fx, "hi").reactions, BOB "\tx\n");
	/* Where a server drops ids, the same set is the same one. */
	three.id = "";
	PAGE(fx, "a3", "", archived(three, "a4", 40));
	PAGE(fx, "a4", "", archived(two, "a5", 50));
	assert_string_equal(row_of(fx, "hi").reactions, BOB "\ty\n");
}

/* Whoever corrects and reacts without end fills one row's share. */
TEST(H6_corrections_and_reactors_of_a_message_are_bounded)
{
	struct fx *fx = *state;
	struct message ann = text_from("room@muc.example/ann", "1", "anns");
	char text[64];

	ann.type = "groupchat";
	put_live(fx, text_in("1", "hi"), false);
	PAGE(fx, "", "", archived(ann, "a1", 1));
	for (int i = 0; i < REFS_CORRECTIONS_MAX + 2; i++) {
		snprintf(text, sizeof(text), "c%d", i);
		put_live(fx, fix("1", text, text), false);
	}
	assert_string_equal(bodies(fx, BOB), text);
	for (int i = 0; i < REFS_REACTORS_MAX + 2; i++) {
		struct message m = react(ref_in(PAYLOAD_REACTION, "1"), "x");

		snprintf(text, sizeof(text), "room@muc.example/n%d", i);
		m.type = "groupchat";
		m.from = text;
		put_live(fx, m, false);
	}
	assert_int_equal(sql(fx, "SELECT count(*) FROM msg_ref WHERE kind=0"), REFS_CORRECTIONS_MAX);
	assert_int_equal(sql(fx, "SELECT count(*) FROM msg_ref WHERE kind=1"), REFS_REACTORS_MAX);
}

/* As C9 for messages: ours is the clock of a phone without a battery, perhaps. */
TEST(a_correction_that_came_live_gets_the_time_that_the_archive_has)
{
	struct fx *fx = *state;
	struct message page[2] = { archived(text_in("1", "wrong"), "a1", 86400), archived(fix("1", "2", "right"), "a2", 86500) };
	uint64_t seq;

	put_live(fx, with_aid(text_in("1", "wrong"), "a1"), true);
	put_live(fx, with_aid(fix("1", "2", "right"), "a2"), true);
	assert_int_not_equal(row_of(fx, "right").edited_us, T0 + 86500 * SEC);
	seq = seq_of(fx);
	put_page(fx, page, 2, "", "", NULL);
	assert_int_equal(row_of(fx, "right").edited_us, T0 + 86500 * SEC);
	assert_true(row_of(fx, "right").mod > seq);
	seq = seq_of(fx);
	put_page(fx, page, 2, "", "", NULL);
	assert_int_equal(seq_of(fx), seq);
}

TEST(H4_retraction_takes_text_and_reactions_away_for_good)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("1", "secret"), "a1", 10));
	put_live(fx, react(ref_out(PAYLOAD_REACTION, "1"), "x"), false);
	put_live(fx, ref_in(PAYLOAD_RETRACTION, "1"), false);
	put_live(fx, fix("1", "2", "again"), false);
	put_live(fx, react(ref_out(PAYLOAD_REACTION, "1"), "y"), false);

	assert_string_equal(bodies(fx, BOB), "retracted");
	assert_string_equal(row_of(fx, "retracted").kind, "retracted");
	assert_string_equal(row_of(fx, "retracted").body, "");
	assert_string_equal(row_of(fx, "retracted").reactions, "");
	assert_int_equal(conv_of(fx, BOB).unread, 0);
}

/* Before it or after it, live or from the archive: a retracted message looks the same. */
TEST(H4_a_retracted_message_was_not_edited)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("1", "secret"), "a1", 10));
	PAGE(fx, "a1", "", archived(fix("1", "2", "less so"), "a2", 20));
	assert_int_equal(row_of(fx, "less so").edited_us, T0 + 20 * SEC);
	put_live(fx, ref_in(PAYLOAD_RETRACTION, "1"), false);
	assert_int_equal(row_of(fx, "retracted").edited_us, 0);
	PAGE(fx, "a1", "", archived(fix("1", "2", "less so"), "a2", 30));
	assert_int_equal(row_of(fx, "retracted").edited_us, 0);
}

TEST(H4_tombstone_in_the_archive_retracts_the_local_copy)
{
	struct fx *fx = *state;
	struct message t = archived(ref_in(PAYLOAD_RETRACTION, ""), "a1", 10);
	uint64_t seq;

	t.id = "1";
	put_live(fx, with_aid(text_in("1", "secret"), "a1"), true);
	PAGE(fx, "", "", t);
	assert_string_equal(bodies(fx, BOB), "retracted");
	seq = seq_of(fx);
	PAGE(fx, "", "", t);
	assert_int_equal(seq_of(fx), seq);

	/* Nothing else about it is new: its conversation has changed all the same. */
	PAGE(fx, "a1", "", archived(text_in("3", "later"), "a3", 30));
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	t = archived(ref_in(PAYLOAD_RETRACTION, ""), "a3", 30);
	PAGE(fx, "a1", "", t);
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	assert_string_equal(bodies(fx, BOB), "retracted retracted");
	/* Without a local copy it is a row without text. */
	t = archived(ref_in(PAYLOAD_RETRACTION, ""), "a2", 20);
	PAGE(fx, "a1", "a3", t);
	assert_string_equal(bodies(fx, BOB), "retracted retracted retracted");
}

/* It came live without an archive id; the archive has only its tombstone. Another message of that id has its own place. */
TEST(H4_tombstone_of_a_copy_without_an_archive_id)
{
	struct fx *fx = *state;
	struct message t = archived(ref_in(PAYLOAD_RETRACTION, ""), "a2", 20);

	t.id = "1";
	PAGE(fx, "", "", archived(text_in("1", "other"), "a1", 10));
	fx->now = T0 + 20 * SEC;
	put_live(fx, text_in("1", "secret"), false);
	PAGE(fx, "a1", "", t);
	assert_string_equal(bodies(fx, BOB), "other retracted");
	t.archive_id = "a3";
	PAGE(fx, "a2", "", t);
	assert_string_equal(bodies(fx, BOB), "other retracted retracted");
}

/* XEP-0425: the room itself retracts by its stanza-id; nobody else does, and no id of a sender's stands for it. */
TEST(a_room_moderates_by_its_own_id_alone)
{
	struct fx *fx = *state;
	struct message ann = text_from("room@muc.example/ann", "1", "anns"), eve = text_from("room@muc.example/eve", "a1", "eves");
	struct message m = text_from("room@muc.example", "m1", ""), forged;

	ann.type = eve.type = m.type = "groupchat";
	m.payload = PAYLOAD_RETRACTION;
	m.body = "";
	m.target_id = "a1";
	forged = m;
	forged.from = "room@muc.example/eve";
	/* Before its target, and eve's message of that name comes first. */
	put_live(fx, m, false);
	PAGE(fx, "", "", archived(eve, "a2", 2));
	assert_string_equal(bodies(fx, "room@muc.example"), "eves");
	PAGE(fx, "", "a2", archived(ann, "a1", 1));
	assert_string_equal(bodies(fx, "room@muc.example"), "retracted eves");
	/* And after it. */
	ann.id = "3";
	PAGE(fx, "a2", "", archived(ann, "a3", 3));
	forged.target_id = "a3";
	put_live(fx, forged, false);
	m.target_id = "3";
	put_live(fx, m, false);
	assert_string_equal(bodies(fx, "room@muc.example"), "retracted eves anns");
	m.target_id = "a3";
	put_live(fx, m, false);
	assert_string_equal(bodies(fx, "room@muc.example"), "retracted eves retracted");
	/* A name of the archive's needs no order: our clock was ahead when the message came. */
	fx->now = T0 + 60 * DAY;
	put_live(fx, with_aid(ann, "a9"), false);
	m.target_id = "a9";
	PAGE(fx, "a3", "", archived(m, "m9", 90));
	assert_string_equal(bodies(fx, "room@muc.example"), "retracted eves retracted retracted");
}

/* A client that gives its retraction the id of what it takes back: live and from the archive the same comes of it. */
TEST(H4_a_retraction_under_the_id_of_its_target)
{
	struct fx *fx = *state;
	struct message m = ref_in(PAYLOAD_RETRACTION, "1");

	m.id = "1";
	PAGE(fx, "", "", archived(text_in("1", "secret"), "a1", 10), archived(m, "a2", 20));
	assert_string_equal(bodies(fx, BOB), "retracted");
}

TEST(H4_retraction_before_its_target)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(ref_in(PAYLOAD_RETRACTION, "1"), "a2", 20));
	PAGE(fx, "", "a2", archived(text_in("1", "secret"), "a1", 10));
	assert_string_equal(bodies(fx, BOB), "retracted");
}

TEST(H5_only_the_author_corrects_and_retracts)
{
	struct fx *fx = *state;
	struct message m;

	PAGE(fx, "", "", archived(text_in("1", "bobs"), "a1", 10), archived(text_out("2", "mine"), "a2", 20));
	/* Bob edits mine; I edit his; Carol, by the same id, has nothing here; both orders. */
	put_live(fx, fix("2", "x1", "forged"), false);
	put_live(fx, ref_in(PAYLOAD_RETRACTION, "2"), false);
	m = text_out("x2", "forged");
	m.replace_id = "1";
	put_live(fx, m, false);
	m = text_from(CAROL "/x", "x3", "forged");
	m.replace_id = "1";
	put_live(fx, m, false);
	put_live(fx, fix("3", "x4", "forged"), false);
	put_live(fx, text_out("3", "late"), false);

	assert_string_equal(bodies(fx, BOB), "bobs mine late");
	assert_string_equal(bodies(fx, CAROL), "(none)");
}

TEST(H5_in_a_room_the_full_jid_is_the_author)
{
	struct fx *fx = *state;
	struct message a = text_from("room@muc.example/ann", "1", "anns"), f = a;

	a.type = f.type = "groupchat";
	f.from = "room@muc.example/eve";
	f.id = "2";
	f.body = "forged";
	f.replace_id = "1";
	PAGE(fx, "", "", archived(a, "a1", 1), archived(f, "a2", 2));
	assert_string_equal(bodies(fx, "room@muc.example"), "anns");
	assert_string_equal(conv_of(fx, "room@muc.example").kind, "room");
	/* A reaction may name the room's stanza-id. */
	f.replace_id = "";
	f.payload = PAYLOAD_REACTION;
	f.target_id = "a1";
	f.text = "x";
	put_live(fx, f, false);
	assert_string_equal(row_of(fx, "anns").reactions, "room@muc.example/eve\tx\n");
}

TEST(H6_reactions_latest_set_of_each_author)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(react(ref_in(PAYLOAD_REACTION, "1"), "b\nc"), "a3", 30));
	PAGE(fx, "", "a3", archived(text_out("1", "hi"), "a1", 10),
	     archived(react(ref_in(PAYLOAD_REACTION, "1"), "a"), "a2", 20));
	assert_string_equal(row_of(fx, "hi").reactions, BOB "\tb\tc\n");
	put_live(fx, react(ref_out(PAYLOAD_REACTION, "1"), "z"), false);
	assert_string_equal(row_of(fx, "hi").reactions, OWN "\tz\n" BOB "\tb\tc\n");
	put_live(fx, react(ref_in(PAYLOAD_REACTION, "1"), ""), false);
	assert_string_equal(row_of(fx, "hi").reactions, OWN "\tz\n");
}

TEST(H6_states_only_go_forward)
{
	struct fx *fx = *state;
	struct message error = text_in("1", "");

	error.type = "error";
	error.payload = PAYLOAD_ERROR;
	error.error = "service-unavailable";
	PAGE(fx, "", "", archived(ref_in(PAYLOAD_RECEIPT, "2"), "a3", 30));
	PAGE(fx, "", "a3", archived(text_out("1", "one"), "a1", 10), archived(text_out("2", "two"), "a2", 20));
	assert_int_equal(row_of(fx, "one").state, STATE_SENT);
	assert_int_equal(row_of(fx, "two").state, STATE_DELIVERED);

	put_live(fx, ref_in(PAYLOAD_MARKER, "2"), false);
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "2"), false);
	assert_int_equal(row_of(fx, "two").state, STATE_DISPLAYED);

	assert_int_equal(put_live(fx, error, false).result, PUT_APPLIED);
	assert_int_equal(row_of(fx, "one").state, STATE_FAILED);
	assert_string_equal(row_of(fx, "one").error, "service-unavailable");
	/* What was displayed somewhere has not failed; and an error of nothing is nothing. */
	error.id = "2";
	assert_int_equal(put_live(fx, error, false).result, PUT_NOTHING);
	error.id = "unknown";
	assert_int_equal(put_live(fx, error, false).result, PUT_NOTHING);
	assert_int_equal(count_messages(fx), 2);
}

TEST(H6_what_waits_is_bounded_and_the_oldest_goes)
{
	struct fx *fx = *state;
	char target[16];

	fx->s->limits.pending_refs = 10;
	for (int i = 0; i < 30; i++) {
		snprintf(target, sizeof(target), "t%d", i);
		put_live(fx, fix(target, "", "fixed"), false);
	}
	put_live(fx, text_in("t0", "dropped-by-the-limit"), false);
	put_live(fx, text_in("t19", "just-dropped"), false);
	put_live(fx, text_in("t20", "x"), false);
	put_live(fx, text_in("t29", "x"), false);

	assert_string_equal(bodies(fx, BOB), "dropped-by-the-limit just-dropped fixed fixed");
}

/* Who sends references to nothing pushes out his own, and nobody else's. */
TEST(H6_one_contact_does_not_push_out_what_waits_of_others)
{
	struct fx *fx = *state;
	struct message of_carol = fix("t", "c", "fixed");
	char target[16];

	fx->s->limits.pending_refs = 10;
	of_carol.from = CAROL;
	put_live(fx, of_carol, false);
	for (int i = 0; i < 30; i++) {
		snprintf(target, sizeof(target), "t%d", i);
		put_live(fx, fix(target, "", "fixed"), false);
	}
	put_live(fx, text_from(CAROL, "t", "wrong"), false);
	assert_string_equal(bodies(fx, CAROL), "fixed");
	put_live(fx, text_in("t20", "just-dropped"), false);
	put_live(fx, text_in("t21", "x"), false);
	assert_string_equal(bodies(fx, BOB), "just-dropped fixed");
}

/* A contact names a message of ours often, and then gives its id to one of his: what we said of ours waits on. */
TEST(H6_what_is_ours_waits_on_whoever_uses_its_name)
{
	struct fx *fx = *state;
	struct message ours = text_out("9", "right");
	struct message receipt = ref_in(PAYLOAD_RECEIPT, "1");
	char id[16];

	for (int i = 0; i < PENDING_KEPT_MAX + 1; i++) {
		snprintf(id, sizeof(id), "r%d", i);
		receipt.id = id;
		put_live(fx, receipt, false);
	}
	ours.replace_id = "1";
	PAGE(fx, "", "", archived(ours, "a3", 30));
	PAGE(fx, "", "a3", archived(text_in("1", "his"), "a2", 20));
	PAGE(fx, "", "a2", archived(text_out("1", "wrong"), "a1", 10));
	assert_string_equal(bodies(fx, BOB), "right his");
}

TEST(references_alone_make_no_conversation)
{
	struct fx *fx = *state;

	put_live(fx, ref_in(PAYLOAD_MARKER, "nothing"), false);
	assert_string_equal(bodies(fx, BOB), "(none)");
}

TEST(replies_are_linked_in_both_orders)
{
	struct fx *fx = *state;
	struct message answer = archived(text_out("2", "answer"), "a2", 20);
	uint64_t seq;

	answer.reply_id = "1";
	PAGE(fx, "", "", answer);
	assert_int_equal(row_of(fx, "answer").reply_to, 0);
	seq = seq_of(fx);
	PAGE(fx, "", "a2", archived(text_in("1", "question"), "a1", 10));
	assert_int_equal(row_of(fx, "answer").reply_to, row_of(fx, "question").id);
	assert_true(row_of(fx, "answer").mod > seq);

	answer = text_out("3", "more");
	answer.reply_id = "1";
	put_live(fx, answer, false);
	assert_int_equal(row_of(fx, "more").reply_to, row_of(fx, "question").id);
}

/* That nothing waits is remembered; not of what was undone. */
TEST(what_waits_is_found_again_after_a_transaction_that_failed)
{
	struct fx *fx = *state;
	struct message original = text_in("1", "wrong"), other = text_in("3", "other");
	struct put_outcome out;

	put_live(fx, text_in("0", "nothing waits"), false);
	put_live(fx, fix("1", "2", "right"), false);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(archive_put_live(fx->s, fx->account, fx->archive, OWN, &original, fx->now, false, &out), 0);
	assert_int_equal(archive_put_live(fx->s, fx->account, fx->archive, OWN, &other, fx->now, false, &out), 0);
	store_rollback(fx->s);
	put_live(fx, original, false);
	assert_string_equal(bodies(fx, BOB), "nothing waits right");
}

/* C3: a client that counts from 1 in each session. What came before a message cannot be about it. */
TEST(a_reused_id_names_what_stood_before_the_reference)
{
	struct fx *fx = *state;
	struct message answer = archived(text_in("9", "answer"), "a4", 40);

	answer.reply_id = "1";
	/* The newest page first: another message of that name, years later. */
	PAGE(fx, "", "", archived(text_in("1", "new"), "a9", 100000000));
	PAGE(fx, "", "a9", archived(fix("1", "2", "right"), "a2", 20), archived(react(ref_out(PAYLOAD_REACTION, "1"), "x"), "a3", 30),
	     answer);
	assert_string_equal(bodies(fx, BOB), "answer new");
	assert_string_equal(row_of(fx, "new").reactions, "");
	assert_int_equal(row_of(fx, "answer").reply_to, 0);
	PAGE(fx, "", "a2", archived(text_in("1", "wrong"), "a1", 10));
	assert_string_equal(bodies(fx, BOB), "right answer new");
	assert_string_equal(row_of(fx, "right").reactions, OWN "\tx\n");
	assert_int_equal(row_of(fx, "answer").reply_to, row_of(fx, "right").id);
	/* And both are here. */
	PAGE(fx, "a4", "a9", archived(ref_in(PAYLOAD_RETRACTION, "1"), "a5", 50));
	assert_string_equal(bodies(fx, BOB), "retracted answer new");
}

/* C3, with both of them at hand: what stands before the reference is meant, as near to it as can be; else what stands right after. */
TEST(of_two_messages_of_one_id_the_one_before_the_reference_is_meant)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("1", "older"), "a1", 5), archived(text_in("1", "old"), "a2", 10),
	     archived(text_in("1", "new"), "a4", 25));
	PAGE(fx, "a2", "a4", archived(fix("1", "2", "right"), "a3", 20));
	assert_string_equal(bodies(fx, BOB), "older right new");

	/* Live delivery turned them round. */
	PAGE(fx, "a4", "", archived(text_in("3", "near"), "b2", 102), archived(text_in("3", "far"), "b3", 105));
	PAGE(fx, "a4", "b2", archived(fix("3", "4", "nearest"), "b1", 100));
	assert_string_equal(bodies(fx, BOB), "older right new nearest far");
}

/* A contact who guesses what our archive calls a message names none by that: only a room's members see its ids. */
TEST(H6_an_archive_id_names_nothing_outside_of_rooms)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_out("1", "mine"), "a1", 10), archived(text_in("2", "bobs"), "a2", 20));
	put_live(fx, react(ref_in(PAYLOAD_REACTION, "a1"), "x"), false);
	put_live(fx, ref_in(PAYLOAD_RECEIPT, "a1"), false);
	put_live(fx, ref_in(PAYLOAD_RETRACTION, "a2"), false);
	assert_string_equal(bodies(fx, BOB), "mine bobs");
	assert_string_equal(row_of(fx, "mine").reactions, "");
	assert_int_equal(row_of(fx, "mine").state, STATE_SENT);
}

/* Its target is older than anything that the server still has. */
TEST(what_waits_in_vain_is_not_about_a_later_message)
{
	struct fx *fx = *state;
	struct message answer = archived(text_in("8", "answer"), "a3", 30);

	answer.reply_id = "1";
	PAGE(fx, "", "", archived(ref_in(PAYLOAD_RETRACTION, "1"), "a2", 20), answer);
	fx->now = T0 + 90 * DAY;
	put_live(fx, with_aid(text_in("1", "new"), "a9"), true);
	fx->now += SEC;
	put_live(fx, text_in("1", "newer"), false);
	assert_string_equal(bodies(fx, BOB), "answer new newer");
	assert_int_equal(row_of(fx, "answer").reply_to, 0);
}

/* Our clock was ahead when the message came live: what is about it seems to be older. The archive says where both stand. */
TEST(a_correction_of_a_message_that_came_under_a_wrong_clock)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("9", "last"), "a9", 90));
	fx->now = T0 + 60 * DAY;
	put_live(fx, with_aid(text_in("1", "wrong"), "a1"), false);
	PAGE(fx, "", "a9", archived(fix("1", "3", "right"), "a3", 30));
	assert_string_equal(bodies(fx, BOB), "last wrong");
	PAGE(fx, "", "a3", archived(text_in("1", "wrong"), "a1", 10));
	assert_string_equal(bodies(fx, BOB), "right last");
}

/* Eve writes under the id of what Ann has taken back. */
TEST(H5_another_author_s_message_does_not_use_up_what_waits)
{
	struct fx *fx = *state;
	struct message ann = text_from("room@muc.example/ann", "1", "anns"), eve = text_from("room@muc.example/eve", "1", "eves");
	struct message m = text_from("room@muc.example/ann", "2", "");

	ann.type = eve.type = m.type = "groupchat";
	m.payload = PAYLOAD_RETRACTION;
	m.body = "";
	m.target_id = "1";
	PAGE(fx, "", "", archived(m, "a3", 3));
	PAGE(fx, "", "a3", archived(eve, "a2", 2));
	PAGE(fx, "", "a2", archived(ann, "a1", 1));
	assert_string_equal(bodies(fx, "room@muc.example"), "retracted eves");
}

/* Whoever has thousands wait for a name, and then writes under it what they are not about, is not served by all of them. */
TEST(what_waits_on_is_bounded)
{
	struct fx *fx = *state;
	char id[16];

	for (int i = 0; i < 500; i++) {
		snprintf(id, sizeof(id), "f%d", i);
		put_live(fx, fix("1", id, "x"), false);
	}
	fx->now += 90 * DAY;
	put_live(fx, text_in("1", "new"), false);
	assert_string_equal(bodies(fx, BOB), "new");
	assert_int_equal(sql(fx, "SELECT count(*) FROM pending_ref"), PENDING_KEPT_MAX);
}

/* Another device of ours is in the room, and of the room itself nothing is here. */
TEST(H5_a_private_message_of_an_unknown_room_is_by_its_occupant)
{
	struct fx *fx = *state;
	struct message ann = text_from("room@muc.example/ann", "1", "anns"), eve = text_from("room@muc.example/eve", "1", "anns");
	struct message fixed = text_from("room@muc.example/eve", "2", "eves"), taken = fixed;

	ann.occupant = eve.occupant = fixed.occupant = taken.occupant = true;
	PAGE(fx, "", "", archived(ann, "a1", 1));
	fixed.replace_id = "1";
	put_live(fx, fixed, false);
	taken.payload = PAYLOAD_RETRACTION;
	taken.body = "";
	taken.target_id = "1";
	put_live(fx, taken, false);
	assert_string_equal(bodies(fx, "room@muc.example"), "anns");
	put_live(fx, eve, false);
	assert_int_equal(count_messages(fx), 2);
	taken.from = ann.from;
	put_live(fx, taken, false);
	assert_string_equal(row_of(fx, "retracted").sender, ann.from);
}

/* From room@service/nick everybody in a room can write to us alone. */
TEST(H5_a_private_message_of_a_room_is_by_its_occupant)
{
	struct fx *fx = *state;
	struct message ann = text_from("room@muc.example/ann", "1", "anns"), secret = text_from("room@muc.example/ann", "2", "secret");
	struct message m = text_from("room@muc.example/eve", "3", "");

	ann.type = "groupchat";
	PAGE(fx, "", "", archived(ann, "a1", 1), archived(secret, "a2", 2));
	m.payload = PAYLOAD_RETRACTION;
	m.body = "";
	m.target_id = "1";
	put_live(fx, m, false);
	m.target_id = "2";
	put_live(fx, m, false);
	assert_string_equal(bodies(fx, "room@muc.example"), "anns secret");
	m.payload = PAYLOAD_REACTION;
	m.target_id = "1";
	m.text = "e";
	put_live(fx, m, false);
	m.from = "room@muc.example/ann";
	m.text = "a";
	put_live(fx, m, false);
	assert_string_equal(row_of(fx, "anns").reactions, "room@muc.example/ann\ta\nroom@muc.example/eve\te\n");
	/* Ann herself may. */
	m.payload = PAYLOAD_RETRACTION;
	m.target_id = "2";
	put_live(fx, m, false);
	assert_string_equal(bodies(fx, "room@muc.example"), "anns retracted");
	/* And the same words under the same id are two messages. */
	put_live(fx, text_from("room@muc.example/ann", "4", "hi"), false);
	put_live(fx, text_from("room@muc.example/eve", "4", "hi"), false);
	assert_string_equal(bodies(fx, "room@muc.example"), "anns retracted hi hi");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_reused_id_names_what_stood_before_the_reference),
		RUN(of_two_messages_of_one_id_the_one_before_the_reference_is_meant),
		RUN(H6_an_archive_id_names_nothing_outside_of_rooms),
		RUN(what_waits_in_vain_is_not_about_a_later_message),
		RUN(a_correction_of_a_message_that_came_under_a_wrong_clock),
		RUN(H5_another_author_s_message_does_not_use_up_what_waits),
		RUN(H5_a_private_message_of_a_room_is_by_its_occupant),
		RUN(H5_a_private_message_of_an_unknown_room_is_by_its_occupant),
		RUN(what_waits_on_is_bounded),
		RUN(H1_correction_before_its_original_survives_a_restart),
		RUN(H2_the_newest_correction_stays_in_any_order),
		RUN(H2_a_chain_that_names_the_last_id_in_any_order),
		RUN(a_correction_live_and_again_from_the_archive_is_one),
		RUN(a_correction_that_came_live_gets_the_time_that_the_archive_has),
		RUN(H4_retraction_takes_text_and_reactions_away_for_good),
		RUN(H4_a_retracted_message_was_not_edited),
		RUN(H4_tombstone_in_the_archive_retracts_the_local_copy),
		RUN(H4_tombstone_of_a_copy_without_an_archive_id),
		RUN(a_room_moderates_by_its_own_id_alone),
		RUN(H4_a_retraction_under_the_id_of_its_target),
		RUN(H4_retraction_before_its_target),
		RUN(H5_only_the_author_corrects_and_retracts),
		RUN(H5_in_a_room_the_full_jid_is_the_author),
		RUN(H6_reactions_latest_set_of_each_author),
		RUN(H2_H6_what_came_live_learns_its_place_from_its_archived_copy),
		RUN(H6_an_older_reaction_with_the_same_set_is_no_copy),
		RUN(H6_corrections_and_reactors_of_a_message_are_bounded),
		RUN(H6_states_only_go_forward),
		RUN(H6_what_waits_is_bounded_and_the_oldest_goes),
		RUN(H6_one_contact_does_not_push_out_what_waits_of_others),
		RUN(H6_what_is_ours_waits_on_whoever_uses_its_name),
		RUN(what_waits_is_found_again_after_a_transaction_that_failed),
		RUN(references_alone_make_no_conversation),
		RUN(replies_are_linked_in_both_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
