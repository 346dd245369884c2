/* The outbox: every arrow of store/outbox.h, what waits and in which order, and what a lost session leaves. */
#include <stdio.h>

#include "outbox-fixture.h"
#include "store/outbox-priv.h"
#include "store/schema.h"

/* Written in a tunnel: what came meanwhile is archived before it, and nobody has seen that. */
TEST(what_waited_reads_only_what_was_there)
{
	struct fx *fx = *state;

	put_live(fx, text_in("b1", "hello"), false);
	send_text(fx, "c1", "hi");
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	number(fx, 1, 1, "");
	PAGE(fx, "", "", archived(text_in("b1", "hello"), "a1", 1), archived(text_in("b2", "where"), "a2", 2),
	     archived(text_in("b3", "urgent"), "a3", 3));
	assert_int_equal(conv_of(fx, BOB).unread, 2);
	PAGE(fx, "a3", "", archived(copy_of("c1", "hi"), "a4", 4));
	assert_string_equal(bodies(fx, BOB), "hello where urgent hi");
	assert_int_equal(conv_of(fx, BOB).unread, 2);
	assert_int_equal(conv_of(fx, BOB).first_unread, row_of(fx, "where").id);
	/* Another device of ours that wrote after them has seen them. */
	PAGE(fx, "a4", "", archived(text_out("d1", "there"), "a5", 5));
	assert_int_equal(conv_of(fx, BOB).unread, 0);
}

TEST(numbered_sent_and_acknowledged)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "one");
	send_text(fx, "c2", "two");
	send_text(fx, "c3", "three");
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "UPDATE outbox SET target_id='t', text='x', reply_id='r', reply_jid='j', error='e', error_text='f'"
				 " WHERE client_id<>'c3'"), 0);
	COMMIT(fx);
	number(fx, 2, 7, "a0");
	assert_int_equal(state_of(fx, "one"), STATE_SENDING);
	assert_int_equal(conv_of(fx, BOB).last.state, STATE_QUEUED);
	assert_string_equal(next(fx), "text:c3=three");
	assert_string_equal(counts(fx), "1 2 0 0");
	assert_int_equal(ack(fx, 6), 0);
	assert_int_equal(ack(fx, 7), 1);
	assert_int_equal(state_of(fx, "one"), STATE_SENT);
	assert_int_equal(state_of(fx, "two"), STATE_SENDING);
	assert_int_equal(ack(fx, 7), 0);
	assert_int_equal(ack(fx, 8), 1);
	assert_string_equal(counts(fx), "1 0 0 0");
	/* What is done has no content. */
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE state=3 AND coalesce(n, body, anchor, target_id, text, reply_id,"
			     " reply_jid, error, error_text) IS NULL"), 2);
	number(fx, 1, 9, "");
	ack(fx, 9);
	assert_int_equal(conv_of(fx, BOB).last.state, STATE_SENT);
}

TEST(numbers_go_round_at_2_32)
{
	struct fx *fx = *state;

	for (int i = 0; i < 4; i++) {
		char id[8];

		snprintf(id, sizeof(id), "c%d", i);
		send_text(fx, id, id);
	}
	number(fx, 4, UINT32_MAX - 1, "");
	assert_int_equal(ack(fx, UINT32_MAX - 2), 0);
	assert_int_equal(ack(fx, UINT32_MAX), 2);
	assert_int_equal(ack(fx, 0), 1);
	assert_int_equal(state_of(fx, "c3"), STATE_SENDING);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, fx->account, 0)), 0);
	assert_string_equal(next(fx), "text:c3=c3!");
	number(fx, 1, 1, "");
	lose(fx, true, 1);
	assert_int_equal(state_of(fx, "c3"), STATE_SENT);
}

TEST(a_resumed_session_says_what_got_there)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "one");
	send_text(fx, "c2", "two");
	send_text(fx, "c3", "three");
	number(fx, 3, 1, "");
	fx_reopen(fx);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, fx->account, 1)), 0);
	assert_int_equal(state_of(fx, "one"), STATE_SENT);
	assert_int_equal(state_of(fx, "two"), STATE_QUEUED);
	send_text(fx, "c4", "four");
	assert_string_equal(next(fx), "text:c2=two! text:c3=three! text:c4=four");
	/* The server has it not: it may be cancelled. */
	assert_int_equal(cancel(fx, row_of(fx, "three").id), 0);
	assert_string_equal(next(fx), "text:c2=two! text:c4=four");
}

TEST(E2_a_lost_session_leaves_doubt_which_holds_back_its_conversation_alone)
{
	struct fx *fx = *state;
	char *anchor;
	int64_t written, id;

	id = send_text(fx, "c1", "one");
	number(fx, 1, 1, "anchor");
	send_text(fx, "c2", "two");
	send_to(fx, CAROL, "c3", "to-carol");
	fx_reopen(fx);
	lose(fx, false, 0);

	assert_int_equal(state_of(fx, "one"), STATE_SENDING);
	assert_string_equal(counts(fx), "2 0 1 0");
	assert_string_equal(next(fx), "text:c3=to-carol");
	assert_int_equal(cancel(fx, id), OUTBOX_E_STATE);
	assert_int_equal(retry(fx, id), OUTBOX_E_STATE);
	assert_int_equal(outbox_oldest_doubt(fx->s, fx->account, &anchor, &written), 1);
	assert_string_equal(anchor, "anchor");
	assert_int_equal(written, T0 + DAY);
	free(anchor);
	/* A number of another session says nothing of it. */
	assert_int_equal(ack(fx, 5), 0);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, fx->account, 5)), 0);
	assert_string_equal(counts(fx), "2 0 1 0");

	assert_int_equal(doubt_over(fx), 1);
	assert_int_equal(outbox_oldest_doubt(fx->s, fx->account, &anchor, &written), 0);
	assert_string_equal(next(fx), "text:c1=one! text:c2=two text:c3=to-carol");
	assert_int_equal(state_of(fx, "one"), STATE_QUEUED);
	/* Nobody said that it did not leave. */
	assert_int_equal(cancel(fx, id), OUTBOX_E_STATE);
}

/* What is about a message waits with it; what was written before it does not. */
TEST(E2_doubt_holds_back_what_comes_after_it_and_nothing_else)
{
	struct fx *fx = *state;
	int64_t id;

	send_text(fx, "c1", "one");
	id = send_text(fx, "c2", "two");
	assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, fx->account, items(fx).id[1], 0, 1, "")), 1);
	lose(fx, false, 0);
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "x").r, 0);
	assert_int_equal(about(fx, OUT_CORRECTION, id, "e1", "dos").r, 0);
	assert_string_equal(next(fx), "text:c1=one");
	doubt_over(fx);
	assert_string_equal(next(fx), "text:c1=one text:c2=two! react:r1>c2=x correct:e1>c2=dos");
}

/* All of an account's outbox, as one number. */
static int64_t all_of(struct fx *fx, int64_t account)
{
	char text[256];

	snprintf(text, sizeof(text), "SELECT sum(id*state*31+again*17+seq*13+coalesce(n, 0)*11+bounced*7+strikes*5+done_us*3"
		 "+length(coalesce(body, ''))+length(coalesce(anchor, ''))) FROM outbox WHERE account=%lld", (long long)account);
	return sql(fx, text);
}

/* Two accounts whose apps count, and whose sessions do: what is done for one says nothing of the other's. */
TEST(E4_two_accounts_have_two_outboxes)
{
	static const char *const ids[] = { "done", "failed", "bounced", "doubt", "sending", "queued" };
	struct fx *fx = *state;
	int64_t archive, mine = fx->account, other = fx_account(fx, "other@a.example", &archive), all, item, rows[8], msg;
	size_t n = 0;
	char *anchor = NULL;

	fx->account = other;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		send_to(fx, "dan@d.example", ids[i], ids[i]);
	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, other, items(fx).id[0], "bad", "")), 0);
	number(fx, 1, 2, "");
	ack(fx, 2);
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "UPDATE outbox SET state=4, bounced=1 WHERE client_id='bounced'"), 0);
	COMMIT(fx);
	item = items(fx).id[1];
	number(fx, 1, 3, "x");
	lose(fx, false, 0);
	assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, other, item, 0, 1, "x")), 1);
	item = sql(fx, "SELECT id FROM outbox WHERE client_id='queued'");
	msg = sql(fx, "SELECT msg FROM outbox WHERE client_id='queued'");
	assert_string_equal(counts(fx), "1 1 1 2");
	all = all_of(fx, other);

	fx->account = mine;
	assert_string_equal(next(fx), "");
	assert_string_equal(counts(fx), "0 0 0 0");
	assert_int_equal(outbox_failed_rows(fx->s, mine, rows, ARRAY_SIZE(rows), &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(outbox_oldest_doubt(fx->s, mine, &anchor, &rows[0]), 0);
	assert_int_equal(outbox_unproven(fx->s, mine, &rows[0]), 0);
	assert_int_equal(rows[0], 0);
	/* Its items and rows are none of ours. */
	assert_int_equal(IN_TX(fx, outbox_numbered(fx->s, mine, item, 0, 1, "")), 0);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, mine, item, "bad", "")), 0);
	assert_int_equal(cancel(fx, msg), OUTBOX_E_STATE);
	/* The same names, the same numbers. */
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		send_to(fx, "dan@d.example", ids[i], ids[i]);
	number(fx, 2, 1, "y");
	assert_int_equal(ack(fx, 1), 1);
	assert_int_equal(IN_TX(fx, outbox_strike(fx->s, mine, "bad", "")), 0);
	assert_int_equal(sql(fx, "SELECT strikes FROM outbox WHERE client_id='failed' AND strikes>0"), 1);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, mine, 1)), 0);
	number(fx, 2, 2, "y");
	assert_int_equal(outbox_unproven(fx->s, mine, &rows[0]), 0);
	assert_int_equal(rows[0], sql(fx, "SELECT max(id) FROM outbox WHERE client_id='done'"));
	lose(fx, false, 0);
	assert_int_equal(outbox_oldest_doubt(fx->s, mine, &anchor, &rows[0]), 1);
	assert_string_equal(anchor, "y");
	free(anchor);
	assert_int_equal(doubt_over(fx), 2);
	assert_int_equal(IN_TX(fx, outbox_bounces_known(fx->s, mine)), 0);
	assert_string_equal(counts(fx), "5 0 0 0");
	assert_int_equal(all_of(fx, other), all);
}

/* The newest text that the server took and the archive did not show yet: it is asked for. Nothing else is waited for. */
TEST(what_has_no_archive_id_yet_is_the_newest_text_that_is_done)
{
	struct fx *fx = *state;
	int64_t id, item = -1;

	assert_int_equal(outbox_unproven(fx->s, fx->account, &item), 0);
	assert_int_equal(item, 0);
	id = send_text(fx, "c1", "one");
	send_text(fx, "c2", "two");
	assert_int_equal(about(fx, OUT_REACTION, id, "r1", "x").r, 0);
	send_text(fx, "c3", "three");
	number(fx, 4, 1, "");
	ack(fx, 3);
	assert_int_equal(outbox_unproven(fx->s, fx->account, &item), 0);
	assert_int_equal(item, sql(fx, "SELECT id FROM outbox WHERE client_id='c2'"));
	PAGE(fx, "", "", archived(copy_of("c1", "one"), "a1", 1));
	assert_int_equal(outbox_unproven(fx->s, fx->account, &item), 0);
	assert_int_equal(item, sql(fx, "SELECT id FROM outbox WHERE client_id='c2'"));
	PAGE(fx, "a1", "", archived(copy_of("c2", "two"), "a2", 2));
	assert_int_equal(outbox_unproven(fx->s, fx->account, &item), 0);
	assert_int_equal(item, 0);
}

/* It is forgotten thirty days after somebody has seen that it is done, never before anybody has. */
TEST(what_was_just_done_is_remembered)
{
	struct fx *fx = *state;
	int64_t now = fx->now = INT64_C(1780000000000000);

	send_text(fx, "c1", "one");
	send_text(fx, "c2", "two");
	number(fx, 1, 1, "");
	ack(fx, 1);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, now + 60 * SEC, 100)), 0);
	/* Seen once a minute. */
	number(fx, 1, 2, "");
	ack(fx, 2);
	assert_int_equal(IN_TX(fx, outbox_expire(fx->s, now + 61 * SEC, 100)), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE state=3"), 2);
	assert_false(outbox_expire_due(fx->s, now + 60 * SEC + OUTBOX_KEEP_US - 1));
	assert_true(outbox_expire_due(fx->s, now + 60 * SEC + OUTBOX_KEEP_US));
	assert_int_equal(outbox_expire_step(fx->s, now + 60 * SEC + OUTBOX_KEEP_US, 100), 1);
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox WHERE client_id='c2'"), 1);
	assert_false(outbox_expire_due(fx->s, now + 60 * SEC + OUTBOX_KEEP_US));
	assert_int_equal(sql(fx, "SELECT count(*) FROM outbox"), 1);
}

TEST(the_oldest_anchor_is_the_one_that_lies_lowest)
{
	struct fx *fx = *state;
	char *anchor;
	int64_t written;

	PAGE(fx, "", "", archived(text_in("1", "x"), "zz", 1), archived(text_in("2", "y"), "aa", 2));
	send_text(fx, "c1", "one");
	number(fx, 1, 9, "aa");
	lose(fx, false, 0);
	send_to(fx, CAROL, "c2", "two");
	number(fx, 1, 1, "zz");
	lose(fx, false, 0);
	assert_int_equal(outbox_oldest_doubt(fx->s, fx->account, &anchor, &written), 1);
	assert_string_equal(anchor, "zz");
	free(anchor);
	/* What is under way is in no doubt, wherever it was anchored; "one" is not either, any more. */
	PAGE(fx, "aa", "", archived(copy_of("c1", "one"), "c1", 3));
	send_to(fx, "eve@d.example", "c4", "four");
	number(fx, 1, 1, "zz");
	PAGE(fx, "c1", "", archived(copy_of("c2", "two"), "c2", 4));
	assert_int_equal(ack(fx, 1), 1);
	send_to(fx, "eve@d.example", "c5", "five");
	number(fx, 1, 2, "aa");
	lose(fx, false, 0);
	send_to(fx, CAROL, "c6", "six");
	number(fx, 1, 1, "zz");
	assert_int_equal(outbox_oldest_doubt(fx->s, fx->account, &anchor, &written), 1);
	assert_string_equal(anchor, "aa");
	free(anchor);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, fx->account, 1)), 0);
	send_to(fx, "dan@d.example", "c3", "three");
	number(fx, 1, 1, "");
	lose(fx, false, 0);
	assert_int_equal(outbox_oldest_doubt(fx->s, fx->account, &anchor, &written), 1);
	assert_string_equal(anchor, "");
	free(anchor);
}

/* Its conversation's row has changed, which its newest message is a part of. */
static void assert_told(struct fx *fx, uint64_t *mod)
{
	uint64_t now = conv_of(fx, BOB).mod;

	assert_true(now > *mod);
	*mod = now;
}

TEST(whoever_follows_a_conversation_sees_what_becomes_of_its_last_message)
{
	struct fx *fx = *state;
	uint64_t mod = 0, seq;
	int64_t id = send_text(fx, "c1", "one");

	assert_told(fx, &mod);
	number(fx, 1, 1, "");
	assert_told(fx, &mod);
	lose(fx, true, 0);
	assert_told(fx, &mod);
	number(fx, 1, 1, "");
	assert_told(fx, &mod);
	assert_int_equal(IN_TX(fx, outbox_resumed(fx->s, fx->account, 0)), 0);
	assert_told(fx, &mod);
	assert_int_equal(cancel(fx, id), 0);
	assert_told(fx, &mod);
	assert_int_equal(retry(fx, id), 0);
	assert_told(fx, &mod);
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, sql(fx, "SELECT id FROM outbox"), "bad", "")), 0);
	assert_told(fx, &mod);
	assert_int_equal(retry(fx, id), 0);
	for (int i = 0; i < OUTBOX_STRIKES_MAX; i++) {
		mod = conv_of(fx, BOB).mod;
		number(fx, 1, 1, "");
		assert_told(fx, &mod);
		assert_int_equal(IN_TX(fx, outbox_strike(fx->s, fx->account, "bad", "")), 0);
		if (i + 1 < OUTBOX_STRIKES_MAX)
			lose(fx, true, 0);
	}
	assert_int_equal(state_of(fx, "one"), STATE_FAILED);
	assert_told(fx, &mod);
	assert_int_equal(retry(fx, id), 0);
	number(fx, 1, 1, "");
	/* In doubt it looks as before. */
	seq = seq_of(fx);
	lose(fx, false, 0);
	assert_int_equal(seq_of(fx), seq);
	mod = conv_of(fx, BOB).mod;
	doubt_over(fx);
	assert_told(fx, &mod);
	number(fx, 1, 1, "");
	assert_told(fx, &mod);
	ack(fx, 1);
	assert_told(fx, &mod);
}

static int keep_numbers(void *userdata, const struct out_item *i)
{
	*(struct out_item *)userdata = (struct out_item){ .strikes = i->strikes, .written_us = i->written_us };
	return 0;
}

/* The wire makes a delay stamp of the one, core/flight.h is careful for the other. */
TEST(what_is_offered_says_when_it_was_written_and_what_it_did)
{
	struct fx *fx = *state;
	struct out_item item;

	send_text(fx, "c1", "one");
	fx->now += DAY;
	number(fx, 1, 1, "");
	assert_int_equal(IN_TX(fx, outbox_strike(fx->s, fx->account, "policy", "no")), 0);
	lose(fx, true, 0);
	assert_int_equal(outbox_next(fx->s, fx->account, 0, 1, keep_numbers, &item), 0);
	assert_int_equal(item.strikes, 1);
	assert_int_equal(item.written_us, T0 + DAY);
}

/* What waits is looked for from a row on that is kept in memory (outbox_low()). */
TEST(what_waits_again_is_found_wherever_it_stands)
{
	struct fx *fx = *state;
	struct outbox_counts n;
	int64_t first = send_text(fx, "c1", "one");

	send_text(fx, "c2", "two");
	number(fx, 2, 1, "");
	assert_string_equal(next(fx), "");
	send_text(fx, "c3", "three");
	assert_string_equal(next(fx), "text:c3=three");
	lose(fx, true, 1);
	assert_string_equal(next(fx), "text:c2=two! text:c3=three");
	/* Undone. */
	BEGIN(fx);
	assert_int_equal(outbox_numbered(fx->s, fx->account, items(fx).id[0], 0, 2, ""), 1);
	assert_int_equal(outbox_count(fx->s, fx->account, &n), 0);
	assert_int_equal(n.queued, 1);
	store_rollback(fx->s);
	assert_string_equal(next(fx), "text:c2=two! text:c3=three");
	assert_int_equal(outbox_count(fx->s, fx->account, &n), 0);
	assert_int_equal(n.queued, 2);
	/* An older row than all that wait. */
	put_live(fx, error_of("c1"), false);
	assert_int_equal(retry(fx, first), 0);
	assert_string_equal(next(fx), "text:c2=two! text:c3=three text:c1=one");
}

/* As it was before: an index of states with all items, and two of conversations. */
TEST(a_file_of_version_5_is_taken_over_with_what_waits)
{
	struct fx *fx = *state;

	send_to(fx, BOB, "c1", "one");
	send_to(fx, CAROL, "c2", "two");
	send_to(fx, BOB, "c3", "three");
	number(fx, 1, 7, "");
	BEGIN(fx);
	assert_int_equal(db_exec(fx->s, "DROP INDEX outbox_state; CREATE INDEX outbox_state ON outbox(account, state, seq);"
				 "DROP INDEX conv_now; CREATE INDEX conv_order ON conv(account, pinned, activity_us);"
				 "CREATE INDEX conv_mod ON conv(account, mod); DROP TABLE push; PRAGMA user_version=5"), 0);
	COMMIT(fx);
	fx_reopen(fx);
	assert_int_equal(sql(fx, "PRAGMA user_version"), SCHEMA_VERSION);
	assert_string_equal(next(fx), "text:c2=two text:c3=three");
	assert_int_equal(ack(fx, 7), 1);
	number(fx, 2, 8, "");
	assert_string_equal(next(fx), "");
	lose(fx, false, 0);
	assert_int_equal(doubt_over(fx), 2);
	assert_string_equal(next(fx), "text:c2=two! text:c3=three!");
	assert_true(fx_sound(fx));
}

TEST(order_within_a_conversation_and_pages_of_the_queue)
{
	struct fx *fx = *state;
	struct ids ids = { 0 };
	int64_t seq;

	send_text(fx, "b1", "1");
	send_to(fx, CAROL, "k1", "2");
	send_text(fx, "b2", "3");
	send_to(fx, CAROL, "k2", "4");
	assert_string_equal(next(fx), "text:b1=1 text:k1=2 text:b2=3 text:k2=4");
	assert_int_equal(outbox_next(fx->s, fx->account, 0, 3, keep_id, &ids), 0);
	assert_int_equal(ids.n, 3);
	assert_int_equal(ids.id[0], items(fx).id[0]); /* the oldest ones */
	seq = sql(fx, "SELECT seq FROM outbox WHERE client_id='b2'");
	ids.n = 0;
	assert_int_equal(outbox_next(fx->s, fx->account, seq, 3, keep_id, &ids), 0);
	assert_int_equal(ids.n, 1);
	/* One that failed holds back nothing. */
	assert_int_equal(IN_TX(fx, outbox_failed(fx->s, fx->account, items(fx).id[0], "x", "")), 0);
	assert_string_equal(next(fx), "text:k1=2 text:b2=3 text:k2=4");
}

TEST(E5_an_account_that_goes_takes_its_outbox_along)
{
	struct fx *fx = *state;

	send_text(fx, "c1", "one");
	assert_int_equal(IN_TX(fx, account_remove(fx->s, fx->account)), 0);
	while (store_upkeep(fx->s, 10000) > 0)
		;
	assert_int_equal(sql(fx, "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM account)"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(what_waited_reads_only_what_was_there),
		RUN(numbered_sent_and_acknowledged),
		RUN(numbers_go_round_at_2_32),
		RUN(a_resumed_session_says_what_got_there),
		RUN(E2_a_lost_session_leaves_doubt_which_holds_back_its_conversation_alone),
		RUN(E2_doubt_holds_back_what_comes_after_it_and_nothing_else),
		RUN(E4_two_accounts_have_two_outboxes),
		RUN(what_has_no_archive_id_yet_is_the_newest_text_that_is_done),
		RUN(what_was_just_done_is_remembered),
		RUN(the_oldest_anchor_is_the_one_that_lies_lowest),
		RUN(whoever_follows_a_conversation_sees_what_becomes_of_its_last_message),
		RUN(what_is_offered_says_when_it_was_written_and_what_it_did),
		RUN(what_waits_again_is_found_wherever_it_stands),
		RUN(a_file_of_version_5_is_taken_over_with_what_waits),
		RUN(order_within_a_conversation_and_pages_of_the_queue),
		RUN(E5_an_account_that_goes_takes_its_outbox_along),
	};

	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
