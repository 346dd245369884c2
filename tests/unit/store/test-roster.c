/* Contacts: the roster, the block list, and who asks to see us (store/roster.c, blocked.c, asking.c). */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "conversation-fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_block_list_is_in_contacts_and_conversations),
		RUN(who_asks_to_see_us_is_a_contact_until_answered),
		RUN(who_is_blocked_does_not_ask),
		RUN(of_strangers_who_ask_the_latest_stay),
		RUN(contacts_in_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
