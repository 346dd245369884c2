/* wire/sm.c: counters of XEP-0198. Case names as in the facts (D1, D2, D6, D7, D8, D13). */
#include "wire-test.h"
#include "wire/limits.h"
#include "wire/sm.h"

/* One stanza that is no item: numbered and written at once. */
static uint32_t send_one(struct sm *sm)
{
	uint32_t n = sm_number(sm, false);

	sm_wrote(sm, n, false);
	return n;
}

static uint32_t send_item(struct sm *sm)
{
	uint32_t n = sm_number(sm, true);

	sm_go(sm, n);
	assert_true(sm_may_write(sm, n));
	sm_wrote(sm, n, true);
	return n;
}

TEST(D1_counters_wrap_at_2_to_the_32)
{
	struct sm sm = { 0 };

	/* given: both counters at 2^32-2 */
	assert_int_equal(sm_resumed(&sm, UINT32_MAX - 1, UINT32_MAX - 1, 100, UINT32_MAX - 1), 0);
	/* when 4 stanzas pass each way */
	assert_int_equal(sm_received(&sm), UINT32_MAX);
	assert_int_equal(sm_received(&sm), 0);
	assert_int_equal(sm_received(&sm), 1);
	assert_int_equal(sm_received(&sm), 2);
	for (uint32_t n = UINT32_MAX; n != 3; n++) {
		assert_true(sm_may_number(&sm));
		assert_int_equal(send_one(&sm), n);
	}
	/* then h goes on over the wrap, and acks release exactly what they name */
	sm_committed(&sm, 0);
	assert_int_equal(sm_tell(&sm), 0);
	sm_committed(&sm, UINT32_MAX); /* older: ignored */
	assert_int_equal(sm_tell(&sm), 0);
	sm_committed(&sm, 2);
	assert_int_equal(sm_tell(&sm), 2);
	assert_int_equal(sm_acked(&sm, UINT32_MAX), 0);
	assert_int_equal(sm_acked(&sm, 1), 0);
	assert_int_equal(sm.acked, 1);
	assert_int_equal(sm_acked(&sm, 3), SM_E_TOO_HIGH);
	assert_int_equal(sm_acked(&sm, 2), 0);
	/* and a resume across it works */
	assert_int_equal(sm_resumed(&sm, 2, UINT32_MAX, 5, 2), 0);
	assert_int_equal(sm_received(&sm), 3);
}

TEST(D2_the_first_stanza_is_number_1)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 10);
	assert_int_equal(send_one(&sm), 1);
	assert_int_equal(send_one(&sm), 2);
	assert_int_equal(sm_acked(&sm, 1), 0);
	assert_int_equal(sm.acked, 1);
	assert_int_equal(sm.out - sm.acked, 1);
}

TEST(D6_inbound_counts_from_enabled_and_outbound_from_enable)
{
	struct sm sm = { 0 };

	assert_int_equal(sm_received(&sm), 0);
	assert_int_equal(send_one(&sm), 0);
	sm_enable(&sm, 10);
	assert_int_equal(send_one(&sm), 1);
	assert_int_equal(sm_received(&sm), 0);
	sm_enabled(&sm);
	assert_int_equal(sm_received(&sm), 1);
	assert_int_equal(send_one(&sm), 2);
}

TEST(D7_resumed_keeps_the_inbound_count)
{
	struct sm sm = { 0 };

	assert_int_equal(sm_resumed(&sm, 41, 3, 20, 5), 0);
	assert_int_equal(sm_tell(&sm), 41);
	assert_int_equal(sm_received(&sm), 42);
	/* what the server did not see died with the old stream: on from its h */
	assert_int_equal(send_one(&sm), 6);
}

TEST(D8_resumed_with_more_than_was_ever_sent_is_refused)
{
	struct sm sm = { 0 };

	assert_int_equal(sm_resumed(&sm, 0, 3, 20, 21), SM_E_TOO_HIGH);
	assert_int_equal(sm_resumed(&sm, 0, 3, 20, 2), SM_E_TOO_HIGH);
	assert_false(sm.counts_in);
	assert_int_equal(sm_resumed(&sm, 0, 3, 20, 20), 0);
}

TEST(the_count_told_is_never_more_than_committed)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1);
	sm_enabled(&sm);
	for (int i = 0; i < 10; i++)
		sm_received(&sm);
	assert_int_equal(sm_tell(&sm), 0);
	sm_committed(&sm, 4);
	assert_int_equal(sm_tell(&sm), 4);
	sm_committed(&sm, 11); /* never received */
	assert_int_equal(sm_tell(&sm), 4);
}

TEST(D13_an_ack_is_due_after_so_many_commits)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1);
	sm_enabled(&sm);
	for (int i = 0; i < ACK_EVERY; i++)
		sm_received(&sm);
	sm_committed(&sm, ACK_EVERY - 1);
	assert_false(sm_ack_due(&sm));
	assert_true(sm_ack_owed(&sm));
	sm_committed(&sm, ACK_EVERY);
	assert_true(sm_ack_due(&sm));
	sm_tell(&sm);
	assert_false(sm_ack_due(&sm));
	assert_false(sm_ack_owed(&sm));
}

TEST(stanzas_wait_for_the_grant)
{
	struct sm sm = { 0 };

	assert_true(sm_may_number(&sm));
	sm_enable(&sm, 1);
	assert_true(sm_may_number(&sm));
	send_one(&sm);
	assert_false(sm_may_number(&sm));
	assert_true(sm_grant_low(&sm));
	sm_granted(&sm, 100);
	assert_true(sm_may_number(&sm));
	assert_false(sm_grant_low(&sm));
	sm_granted(&sm, 2); /* never taken back */
	assert_int_equal(sm.grant, 100);
}

TEST(a_request_is_due_after_so_many_unacknowledged)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1000);
	for (int i = 0; i < REQUEST_EVERY - 1; i++)
		send_one(&sm);
	assert_false(sm_request_due(&sm));
	send_one(&sm);
	assert_true(sm_request_due(&sm));
	sm_requested(&sm);
	assert_false(sm_request_due(&sm));
}

TEST(reading_stops_when_too_much_is_uncommitted)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1);
	sm_enabled(&sm);
	for (int i = 0; i < UNCOMMITTED_MAX; i++)
		sm_received(&sm);
	assert_false(sm_full(&sm));
	sm_received(&sm);
	assert_true(sm_full(&sm));
	sm_committed(&sm, 1);
	assert_false(sm_full(&sm));
}

TEST(an_item_may_be_written_once_it_may_go_also_over_the_wrap)
{
	struct sm sm = { 0 };
	uint32_t n;

	assert_int_equal(sm_resumed(&sm, 0, UINT32_MAX - 1, 1000, UINT32_MAX - 1), 0);
	n = sm_number(&sm, true);
	assert_int_equal(n, UINT32_MAX);
	assert_int_equal(sm_number(&sm, true), 0);
	assert_int_equal(sm_number(&sm, true), 1);
	assert_false(sm_may_write(&sm, UINT32_MAX));
	sm_go(&sm, UINT32_MAX - 5); /* long ago */
	sm_go(&sm, 2);		    /* never given */
	assert_false(sm_may_write(&sm, UINT32_MAX));
	sm_go(&sm, 0);
	assert_true(sm_may_write(&sm, UINT32_MAX));
	assert_true(sm_may_write(&sm, 0));
	assert_false(sm_may_write(&sm, 1));
	sm_go(&sm, UINT32_MAX); /* older than known: not taken back */
	assert_true(sm_may_write(&sm, 0));
	/* an ack covers what was written, not what was numbered */
	sm_wrote(&sm, UINT32_MAX, true);
	assert_int_equal(sm_acked(&sm, 0), SM_E_TOO_HIGH);
	sm_wrote(&sm, 0, true);
	assert_true(sm.item_waits);
	assert_int_equal(sm_acked(&sm, UINT32_MAX), 0);
	assert_true(sm.item_waits);
	assert_int_equal(sm_acked(&sm, 0), 0);
	assert_false(sm.item_waits);
}

TEST(an_item_is_asked_for_at_once_and_only_one_question_is_open)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1000);
	send_one(&sm);
	assert_false(sm_request_due(&sm));
	send_item(&sm);
	assert_true(sm_request_due(&sm));
	sm_requested(&sm);
	send_item(&sm);
	assert_false(sm_request_due(&sm));
	/* the answer to the first question says nothing of the second item */
	assert_int_equal(sm_acked(&sm, 2), 0);
	assert_true(sm_request_due(&sm));
	sm_requested(&sm);
	assert_int_equal(sm_acked(&sm, 3), 0);
	assert_false(sm.item_waits);
	for (int i = 0; i < 2 * REQUEST_EVERY; i++)
		send_one(&sm);
	assert_true(sm_request_due(&sm));
	sm_requested(&sm);
	for (int i = 0; i < 2 * REQUEST_EVERY; i++)
		send_one(&sm);
	assert_false(sm_request_due(&sm));
}

TEST(items_that_come_one_by_one_are_asked_for_now_and_then)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1000);
	for (int i = 0; i <= 3 * ASK_BETWEEN; i++) {
		send_item(&sm);
		assert_int_equal(sm_request_due(&sm), i % ASK_BETWEEN == 0);
		if (i % ASK_BETWEEN == 0)
			sm_requested(&sm);
	}
	assert_int_equal(sm.asking, 4);
}

TEST(in_a_burst_there_are_questions_between)
{
	struct sm sm = { 0 };
	int asked = 0;

	sm_enable(&sm, 1000);
	for (int i = 0; i < ON_WAY_ITEMS_MAX; i++) {
		send_item(&sm);
		if (!sm_request_due_between(&sm))
			continue;
		assert_int_equal((i + 1) % ASK_BETWEEN, 0);
		sm_requested(&sm);
		asked++;
	}
	assert_int_equal(asked, ON_WAY_ITEMS_MAX / ASK_BETWEEN);
	/* an answer, one that answers two at once, one that says nothing new */
	assert_int_equal(sm_acked(&sm, ASK_BETWEEN), 0);
	assert_int_equal(sm.asking, asked - 1);
	assert_int_equal(sm_acked(&sm, 3 * ASK_BETWEEN), 0);
	assert_int_equal(sm.asking, asked - 3);
	assert_int_equal(sm_acked(&sm, 3 * ASK_BETWEEN), 0);
	assert_int_equal(sm.asking, asked - 4);
	assert_int_equal(sm_acked(&sm, sm.out - 1), 0);
	assert_int_equal(sm.asking, 1);
	assert_int_equal(sm_acked(&sm, sm.out - 1), 0);
	assert_int_equal(sm.asking, 0);
	assert_true(sm.item_waits);
	/* not asked for, and not to be asked again at once */
	assert_int_equal(sm_acked(&sm, sm.out - 1), 0);
	assert_false(sm_request_due(&sm));
}

TEST(an_answer_that_leaves_an_item_out_does_not_start_a_loop)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1000);
	send_item(&sm);
	sm_requested(&sm);
	assert_int_equal(sm_acked(&sm, 0), 0);
	assert_true(sm.item_waits);
	assert_false(sm_request_due(&sm));
}

TEST(while_nothing_counts_items_alone_are_numbered_and_a_ping_acknowledges_them)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1000);
	send_one(&sm);
	sm_refused(&sm);
	assert_int_equal(send_one(&sm), 0);
	assert_int_equal(send_item(&sm), 1);
	assert_int_equal(send_one(&sm), 0);
	assert_int_equal(send_item(&sm), 2);
	assert_true(sm_request_due(&sm));
	sm_requested(&sm);
	assert_int_equal(send_item(&sm), 3);
	assert_int_equal(sm_acked(&sm, 1), SM_E_TOO_HIGH); /* an <a/> has no place here */
	sm_pong(&sm, 4);				   /* of nothing that was asked */
	assert_int_equal(sm.acked, 0);
	sm_pong(&sm, 2);
	assert_int_equal(sm.acked, 2);
	assert_true(sm.item_waits);
	assert_true(sm_request_due(&sm));
	sm_requested(&sm);
	sm_pong(&sm, 3);
	assert_false(sm.item_waits);
	/* and where stanzas count, no pong does */
	sm_enable(&sm, 10);
	send_item(&sm);
	sm_pong(&sm, 1);
	assert_int_equal(sm.acked, 0);
}

TEST(a_stream_begins_with_no_question_and_no_count)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1000);
	sm_enabled(&sm);
	sm_received(&sm);
	send_item(&sm);
	sm_requested(&sm);
	assert_int_equal(sm_resumed(&sm, 1, 0, 1000, 1), 0);
	assert_false(sm.item_waits);
	assert_false(sm_request_due(&sm));
	/* The next item has a question of its own. */
	send_item(&sm);
	assert_true(sm_request_due(&sm));
	sm_requested(&sm);
	assert_int_equal(sm.asking, 1);
	sm_refused(&sm);
	assert_false(sm_request_due(&sm));
	assert_int_equal(sm.asking, 0);
	/* Enabled anew, what came before does not count. */
	sm_enabled(&sm);
	assert_int_equal(sm_received(&sm), 1);
	assert_false(sm_ack_owed(&sm));
}

TEST(a_grant_is_low_while_few_are_left_of_it)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 100);
	for (int i = 0; i < 100 - SENT_LOW; i++) {
		assert_false(sm_grant_low(&sm));
		send_one(&sm);
	}
	assert_false(sm_grant_low(&sm));
	send_one(&sm);
	assert_true(sm_grant_low(&sm));
}

TEST(who_was_answered_with_little_is_not_asked_again_at_once)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1000);
	for (int i = 0; i < REQUEST_EVERY; i++)
		send_one(&sm);
	sm_requested(&sm);
	assert_int_equal(sm_acked(&sm, 0), 0);
	for (int i = 0; i < REQUEST_EVERY - 1; i++) {
		send_one(&sm);
		assert_false(sm_request_due(&sm));
	}
	send_one(&sm);
	assert_true(sm_request_due(&sm));
	/* What it said unasked counts as well. */
	assert_int_equal(sm_acked(&sm, sm.out - REQUEST_EVERY + 1), 0);
	assert_false(sm_request_due(&sm));
}

TEST(questions_are_bounded_and_numbers_never_far_apart)
{
	struct sm sm = { 0 };

	sm_enable(&sm, 1000);
	for (int i = 0; i < SM_ASKING_MAX; i++) {
		for (int k = 0; k < ASK_BETWEEN; k++)
			send_item(&sm);
		assert_true(sm_request_due_between(&sm));
		sm_requested(&sm);
	}
	for (int k = 0; k < ASK_BETWEEN; k++)
		send_item(&sm);
	assert_false(sm_request_due_between(&sm));
	for (int i = 0; i < 3; i++)
		sm_requested(&sm);
	assert_int_equal(sm.asking, SM_ASKING_MAX);
	/* Many that are no items: GO stays near them, for comparing has a limit. */
	for (int i = 0; i < 100; i++)
		send_one(&sm);
	assert_int_equal(sm.go, sm.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(D1_counters_wrap_at_2_to_the_32),
		RUN(D2_the_first_stanza_is_number_1),
		RUN(D6_inbound_counts_from_enabled_and_outbound_from_enable),
		RUN(D7_resumed_keeps_the_inbound_count),
		RUN(D8_resumed_with_more_than_was_ever_sent_is_refused),
		RUN(the_count_told_is_never_more_than_committed),
		RUN(D13_an_ack_is_due_after_so_many_commits),
		RUN(stanzas_wait_for_the_grant),
		RUN(a_request_is_due_after_so_many_unacknowledged),
		RUN(an_item_may_be_written_once_it_may_go_also_over_the_wrap),
		RUN(an_item_is_asked_for_at_once_and_only_one_question_is_open),
		RUN(items_that_come_one_by_one_are_asked_for_now_and_then),
		RUN(in_a_burst_there_are_questions_between),
		RUN(an_answer_that_leaves_an_item_out_does_not_start_a_loop),
		RUN(while_nothing_counts_items_alone_are_numbered_and_a_ping_acknowledges_them),
		RUN(reading_stops_when_too_much_is_uncommitted),
		RUN(a_stream_begins_with_no_question_and_no_count),
		RUN(a_grant_is_low_while_few_are_left_of_it),
		RUN(who_was_answered_with_little_is_not_asked_again_at_once),
		RUN(questions_are_bounded_and_numbers_never_far_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
