/* Which deliveries are one message: cases of facts/sync.md section 2 C by name. */
#include <stdio.h>

#include "fixture.h"

static struct message origin(struct message m, const char *id)
{
	m.origin_id = id;
	return m;
}

static struct message offline(struct message m, int64_t stamp_s)
{
	m.delay_us = T0 + stamp_s * SEC;
	m.delay_trusted = true;
	return m;
}

static struct message to_self(const char *id, const char *body)
{
	struct message m = text_out(id, body);

	m.to = OWN;
	return m;
}

TEST(C1_sent_again_with_two_archive_ids_is_one_message)
{
	struct fx *fx = *state;
	struct message m = origin(text_in("i1", "hello"), "o1");
	int64_t one, two;

	PAGE(fx, "", "", archived(m, "a1", 0), archived(text_in("i2", "between"), "a2", 60), archived(m, "a3", 3600));

	assert_string_equal(bodies(fx, BOB), "hello between");
	assert_int_equal(read_find(fx->s, fx->account, BOB, "stanza-id", "a1", &one), 0);
	assert_int_equal(read_find(fx->s, fx->account, BOB, "stanza-id", "a3", &two), 0);
	assert_int_equal(one, two);
}

TEST(C1_newest_page_first_ends_at_the_first_copy)
{
	struct fx *fx = *state;
	struct message m = origin(text_in("i1", "hello"), "o1");

	PAGE(fx, "", "", archived(m, "a3", 3600));
	PAGE(fx, "", "a3", archived(m, "a1", 0), archived(text_in("i2", "between"), "a2", 60));

	assert_string_equal(bodies(fx, BOB), "hello between");
	assert_int_equal(row_of(fx, "hello").time_us, T0);
	assert_string_equal(row_of(fx, "hello").stanza_id, "a1");
}

TEST(C3_reused_ids_lose_nothing)
{
	struct fx *fx = *state;

	/* A bridge that always says "ab36a", other bodies; the same body at another time; and no ids at all. */
	PAGE(fx, "", "", archived(text_in("ab36a", "one"), "a1", 0), archived(text_in("ab36a", "two"), "a2", 1),
	     archived(text_in("ab36a", "two"), "a3", 2), archived(origin(text_in("x", "three"), "o"), "a4", 3),
	     archived(origin(text_in("x", "four"), "o"), "a5", 4), archived(text_in("", "same"), "a6", 5),
	     archived(text_in("", "same"), "a7", 5));
	put_live(fx, with_aid(text_in("ab36a", "five"), "a8"), true);
	put_live(fx, text_in("", "same"), false);

	assert_string_equal(bodies(fx, BOB), "one two two three four same same five same");
}

TEST(C3_same_origin_id_and_text_much_later_is_another_message)
{
	struct fx *fx = *state;
	struct message m = origin(text_in("i", "ok"), "o");

	PAGE(fx, "", "", archived(m, "a1", 0), archived(m, "a2", 30 * 86400));

	assert_string_equal(bodies(fx, BOB), "ok ok");
}

TEST(C3_same_id_and_text_of_two_contacts_is_two_messages)
{
	struct fx *fx = *state;

	put_live(fx, text_in("1", "hi"), false);
	put_live(fx, text_from(CAROL "/x", "1", "hi"), false);

	assert_int_equal(count_messages(fx), 2);
}

TEST(C4_message_to_self_archived_twice_and_carbon_copied_is_one_row)
{
	struct fx *fx = *state;
	struct message carbon = to_self("s1", "note");

	carbon.via = VIA_CARBON;
	put_live(fx, carbon, false);
	PAGE(fx, "", "", archived(to_self("s1", "note"), "a1", 86400), archived(to_self("s1", "note"), "a2", 86400));

	assert_string_equal(bodies(fx, OWN), "note");
	assert_int_equal(row_of(fx, "note").direction, DIRECTION_OUT);
	assert_int_equal(conv_of(fx, OWN).unread, 0);
}

TEST(C7_own_message_of_another_device_is_stored)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(origin(text_out("i1", "from-desk"), "i1"), "a1", 0));

	assert_int_equal(row_of(fx, "from-desk").direction, DIRECTION_OUT);
	assert_int_equal(row_of(fx, "from-desk").state, STATE_SENT);
	assert_string_equal(row_of(fx, "from-desk").conversation, BOB);
}

TEST(C7_carbon_and_archive_are_one_row)
{
	struct fx *fx = *state;
	struct message carbon = origin(text_out("i1", "sent"), "o1");
	struct put_outcome out[1];
	struct message page[1] = { archived(origin(text_out("i1", "sent"), "o1"), "a1", 86400) };

	carbon.via = VIA_CARBON;
	assert_int_equal(put_live(fx, carbon, false).result, PUT_NEW);
	put_page(fx, page, 1, "", "", out);

	assert_int_equal(out[0].result, PUT_KNOWN);
	assert_true(out[0].aid_is_new);
	assert_int_equal(count_messages(fx), 1);
	assert_string_equal(row_of(fx, "sent").stanza_id, "a1");
}

TEST(C9_offline_delivery_and_archive_are_one_row_with_the_archives_stamp)
{
	struct fx *fx = *state;

	put_live(fx, offline(text_in("i1", "hi"), 5), false);
	assert_int_equal(row_of(fx, "hi").time_us, T0 + 5 * SEC);
	PAGE(fx, "", "", archived(text_in("i1", "hi"), "a1", 3));

	assert_int_equal(count_messages(fx), 1);
	assert_int_equal(row_of(fx, "hi").time_us, T0 + 3 * SEC);
}

TEST(C9_a_changed_stamp_is_in_the_feed_and_an_equal_one_is_not)
{
	struct fx *fx = *state;
	uint64_t seq;

	put_live(fx, with_aid(text_in("i1", "hi"), "a1"), true);
	seq = seq_of(fx);
	PAGE(fx, "", "", archived(text_in("i1", "hi"), "a1", 86403));
	assert_int_equal(row_of(fx, "hi").time_us, T0 + 86403 * SEC);
	assert_true(row_of(fx, "hi").mod > seq);
	assert_int_equal(conv_of(fx, BOB).activity_us, T0 + 86403 * SEC);
	seq = seq_of(fx);
	PAGE(fx, "", "", archived(text_in("i1", "hi"), "a1", 86403));
	assert_int_equal(seq_of(fx), seq);
}

TEST(C9_with_archive_id_the_other_way_round)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("i1", "hi"), "a1", 3));
	assert_int_equal(put_live(fx, offline(with_aid(text_in("i1", "hi"), "a1"), 5), false).result, PUT_KNOWN);

	assert_int_equal(count_messages(fx), 1);
	assert_int_equal(row_of(fx, "hi").time_us, T0 + 3 * SEC);
}

TEST(C10_live_then_page)
{
	struct fx *fx = *state;
	struct message page[2] = { archived(text_in("i0", "old"), "a0", 0), archived(text_in("i1", "hi"), "a1", 86400) };
	struct put_outcome out[2];

	assert_true(put_live(fx, with_aid(text_in("i1", "hi"), "a1"), true).aid_is_new);
	put_page(fx, page, 2, "", "", out);

	assert_int_equal(out[0].result, PUT_NEW);
	assert_int_equal(out[1].result, PUT_KNOWN);
	assert_false(out[1].aid_is_new);
	assert_string_equal(bodies(fx, BOB), "old hi");
	assert_int_equal(conv_of(fx, BOB).unread, 2);
}

TEST(C10_page_then_live)
{
	struct fx *fx = *state;
	struct put_outcome out;
	uint64_t seq;

	PAGE(fx, "", "", archived(text_in("i0", "old"), "a0", 0), archived(text_in("i1", "hi"), "a1", 86400));
	seq = seq_of(fx);
	out = put_live(fx, with_aid(text_in("i1", "hi"), "a1"), true);

	assert_int_equal(out.result, PUT_KNOWN);
	assert_false(out.aid_is_new);
	assert_string_equal(bodies(fx, BOB), "old hi");
	/* One notification: nothing changed the second time. */
	assert_int_equal(seq_of(fx), seq);
}

TEST(C10_without_an_archive_id_on_the_stream_in_both_orders)
{
	struct fx *fx = *state;

	put_live(fx, text_in("i1", "one"), false);
	PAGE(fx, "", "", archived(text_in("i1", "one"), "a1", 86400));
	PAGE(fx, "a1", "", archived(text_in("i2", "two"), "a2", 86401));
	put_live(fx, text_in("i2", "two"), false);

	assert_string_equal(bodies(fx, BOB), "one two");
}

TEST(C11_the_result_id_is_the_id)
{
	struct fx *fx = *state;
	int64_t msg;

	/* The record carries one archive id; what else the stanza names is no identity here. */
	PAGE(fx, "", "", archived(text_in("sid-inside", "x"), "result-id", 0));

	assert_int_equal(read_find(fx->s, fx->account, BOB, "stanza-id", "result-id", &msg), 0);
	assert_int_equal(read_find(fx->s, fx->account, BOB, "stanza-id", "sid-inside", &msg), READ_E_NO_MESSAGE);
}

TEST(C12_two_archives_with_the_same_ids)
{
	struct fx *fx = *state;
	struct fx other = { .s = fx->s, .now = fx->now };
	struct fx room = *fx;

	other.account = fx_account(fx, "second@a.example", &other.archive);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(archive_id(fx->s, fx->account, "room@muc.example", &room.archive), 0);
	assert_int_equal(store_commit(fx->s), 0);

	PAGE(fx, "", "", archived(text_in("i1", "first"), "1", 0));
	PAGE(&other, "", "", archived(text_in("i1", "second"), "1", 0));
	PAGE(&room, "", "", archived(text_from("room@muc.example/nick", "i1", "room"), "1", 10));

	assert_string_equal(bodies(fx, ""), "first room");
	assert_string_equal(bodies(&other, ""), "second");
}

TEST(C13_the_first_copy_may_be_ten_thousand_rows_back)
{
	struct fx *fx = *state;
	struct message m = origin(text_in("needle", "hay"), "needle");
	struct message page[500];
	char ids[500][16], above[16] = "";

	put_live(fx, m, false);
	for (int p = 0; p < 20; p++) {
		for (int i = 0; i < 500; i++) {
			snprintf(ids[i], sizeof(ids[i]), "x%d", (20 - p) * 500 + i);
			page[i] = archived(text_in(ids[i], "straw"), ids[i], (20 - p) * 500 + i);
		}
		put_page(fx, page, 500, "", above, NULL);
		snprintf(above, sizeof(above), "%s", ids[0]);
	}
	assert_int_equal(count_messages(fx), 10001);
	put_live(fx, m, false);
	PAGE(fx, "x10499", "", archived(m, "a-needle", 86400));

	assert_int_equal(count_messages(fx), 10001);
}

TEST(an_id_twice_in_one_page_is_one_row)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("i1", "x"), "a1", 0), archived(text_in("i1", "x"), "a1", 0),
	     archived(text_in("i2", "y"), "a2", 1));

	assert_string_equal(bodies(fx, BOB), "x y");
}

/* What was no copy when the page came is one once a message before it has moved the row's time. */
TEST(C4_a_time_that_a_page_moves_is_looked_at_again)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(to_self("s1", "note"), "a1", 2000));
	PAGE(fx, "", "", archived(to_self("s2", "note"), "a1", 1500), archived(to_self("s1", "note"), "a2", 1000));

	assert_string_equal(bodies(fx, OWN), "note");
}

TEST(a_place_without_a_message_is_remembered)
{
	struct fx *fx = *state;
	struct message none = archived(text_in("i1", ""), "a1", 0);
	struct put_outcome out[1];

	none.payload = PAYLOAD_NONE;
	put_page(fx, &none, 1, "", "", out);
	assert_int_equal(out[0].result, PUT_NOTHING);
	assert_true(out[0].aid_is_new);
	put_page(fx, &none, 1, "", "", out);
	assert_int_equal(out[0].result, PUT_KNOWN);
	assert_false(out[0].aid_is_new);
	assert_int_equal(count_messages(fx), 0);
}

TEST(a_dropped_message_leaves_a_marker)
{
	struct fx *fx = *state;
	struct message m = archived(text_in("i1", ""), "a1", 0);

	m.payload = PAYLOAD_DROPPED;
	m.error_text = "longer than 262144 bytes";
	PAGE(fx, "", "", m);

	assert_string_equal(row_of(fx, "dropped").error_text, "longer than 262144 bytes");
	assert_int_equal(conv_of(fx, BOB).unread, 0);
}

/* A peer that says one id and one text for ever must not make each further message cost more. */
TEST(ten_thousand_copies_of_one_id_stay_cheap)
{
	struct fx *fx = *state;
	struct message page[500];
	char ids[500][16], below[16] = "";

	for (int p = 0; p < 4; p++) {
		for (int i = 0; i < 500; i++) {
			snprintf(ids[i], sizeof(ids[i]), "r%d", p * 500 + i);
			page[i] = archived(text_in("same", "same"), ids[i], p * 500 + i);
		}
		put_page(fx, page, 500, below, "", NULL);
		snprintf(below, sizeof(below), "%s", ids[499]);
	}
	assert_int_equal(count_messages(fx), 2000);
}

/* Carried over with its stamps, which lost their fractions: the same messages under other ids (decision 0019). */
TEST(B8_one_message_under_the_ids_of_two_servers)
{
	struct fx *fx = *state;
	struct message one = archived(text_in("i1", "one"), "a1", 0), again = archived(text_in("i1", "one"), "m1", 0);

	one.archive_us += 345678;
	PAGE(fx, "", "", one, archived(text_in("i2", "two"), "a2", 60));
	PAGE(fx, "", "", again, archived(text_in("i2", "two"), "m2", 60), archived(text_in("i2", "two"), "m3", 61));
	assert_string_equal(bodies(fx, BOB), "one two two");
}

/* The archive counts anew: its ids are other messages. Nothing is written, and then everything is. */
TEST(B8_ids_of_another_archive)
{
	struct fx *fx = *state;
	const struct message anew[] = { archived(text_in("j1", "uno"), "a1", 86400), archived(text_in("j2", "due"), "a2", 86460) };
	const struct message *items[] = { &anew[0], &anew[1] };
	const struct archive_page page = { .items = items, .n = 2, .below_id = "", .above_id = "" };
	struct put_outcome out[2] = { 0 };
	struct cover cover = { 0 };
	int64_t now = 0, held;

	PAGE(fx, "", "", archived(text_in("i1", "one"), "a1", 0), archived(text_in("i2", "two"), "a2", 60),
	     archived(text_in("i3", "three"), "a3", 120));
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(db_exec(fx->s, "UPDATE conv SET held_from=-1, held_to=1"), 0);
	assert_int_equal(archive_put(fx->s, fx->account, fx->archive, OWN, &page, fx->now, out), ARCHIVE_E_ANOTHER);
	assert_string_equal(bodies(fx, BOB), "one two three");
	/* The newest that shows it is a2: a3 may be of either. */
	cover_load(&cover, "a1", T0, "a2", T0 + 60 * SEC, SPAN_START);
	cover_set_old(&cover, 1, "\x1f" "7:");
	assert_int_equal(archive_renew(fx->s, fx->account, fx->archive, &cover, out[1].another_key, &now), 0);
	assert_true(now != fx->archive);
	assert_int_equal(archive_place(fx->s, now, "a3", &held), 1);
	assert_int_equal(archive_place(fx->s, now, "a2", &held), 0);
	assert_int_equal(archive_place(fx->s, fx->archive, "a2", &held), 1);
	assert_int_equal(archive_put(fx->s, fx->account, now, OWN, &page, fx->now, out), 0);
	assert_int_equal(db_exec(fx->s, "INSERT INTO meta(name, value) SELECT 'held.'||id, 1 FROM conv WHERE held_from IS NOT NULL"), 0);
	assert_int_equal(sqlite3_changes(fx->s->db), 0);
	assert_int_equal(store_commit(fx->s), 0);
	assert_string_equal(bodies(fx, BOB), "one two three uno due");
	cover_deinit(&cover);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(B8_one_message_under_the_ids_of_two_servers),
		RUN(B8_ids_of_another_archive),
		RUN(C1_sent_again_with_two_archive_ids_is_one_message),
		RUN(C1_newest_page_first_ends_at_the_first_copy),
		RUN(C3_reused_ids_lose_nothing),
		RUN(C3_same_origin_id_and_text_much_later_is_another_message),
		RUN(C3_same_id_and_text_of_two_contacts_is_two_messages),
		RUN(C4_message_to_self_archived_twice_and_carbon_copied_is_one_row),
		RUN(C7_own_message_of_another_device_is_stored),
		RUN(C7_carbon_and_archive_are_one_row),
		RUN(C9_offline_delivery_and_archive_are_one_row_with_the_archives_stamp),
		RUN(C9_a_changed_stamp_is_in_the_feed_and_an_equal_one_is_not),
		RUN(C9_with_archive_id_the_other_way_round),
		RUN(C10_live_then_page),
		RUN(C10_page_then_live),
		RUN(C10_without_an_archive_id_on_the_stream_in_both_orders),
		RUN(C11_the_result_id_is_the_id),
		RUN(C12_two_archives_with_the_same_ids),
		RUN(C13_the_first_copy_may_be_ten_thousand_rows_back),
		RUN(an_id_twice_in_one_page_is_one_row),
		RUN(C4_a_time_that_a_page_moves_is_looked_at_again),
		RUN(a_place_without_a_message_is_remembered),
		RUN(a_dropped_message_leaves_a_marker),
		RUN(ten_thousand_copies_of_one_id_stay_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
