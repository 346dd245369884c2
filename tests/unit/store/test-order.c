/* Archive order, whatever comes first: cases F of facts/sync.md, and the property behind them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "fixture.h"

TEST(F1_local_clock_behind_keeps_archive_order)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("1", "one"), "a1", 100000), archived(text_in("2", "two"), "a2", 100001));
	fx->now = T0 + (100001 - 300) * SEC;
	put_live(fx, with_aid(text_in("3", "three"), "a3"), true);
	put_live(fx, with_aid(text_in("4", "four"), "a4"), true);

	assert_string_equal(bodies(fx, BOB), "one two three four");
}

TEST(F1_gap_of_nine_hundred_below_a_live_message_without_room)
{
	struct fx *fx = *state;
	struct message page[450];
	char names[900][16];
	struct buf want = { 0 };

	/* The clock is behind: the live message's key is the one right above the known end. */
	PAGE(fx, "", "", archived(text_in("1", "first"), "a1", 100000));
	fx->now = T0 + 99000 * SEC;
	put_live(fx, with_aid(text_in("live", "live"), "alive"), true);
	put_live(fx, text_in("unplaced", "unplaced"), false);
	for (int half = 1; half >= 0; half--) {
		for (int i = 0; i < 450; i++) {
			int k = half * 450 + i;

			snprintf(names[k], sizeof(names[k]), "g%03d", k);
			page[i] = archived(text_in(names[k], names[k]), names[k], 100001 + k);
		}
		put_page(fx, page, 450, "a1", half ? "alive" : "g450", NULL);
	}

	assert_int_equal(count_messages(fx), 903);
	assert_int_equal(row_of(fx, "first").time_us, T0 + 100000 * SEC);
	buf_adds(&want, "first");
	for (int k = 0; k < 499; k++)
		buf_addf(&want, " g%03d", k);
	assert_string_equal(bodies(fx, BOB), buf_str(&want));
	buf_deinit(&want);
}

TEST(F2_local_clock_a_day_ahead_for_an_hour)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("1", "one"), "a1", 1000));
	fx->now = T0 + 1001 * SEC + DAY;
	put_live(fx, with_aid(text_in("2", "two"), "a2"), true);
	/* The clock is right again: later messages, live and from the archive, still come after. */
	fx->now = T0 + 1002 * SEC;
	put_live(fx, with_aid(text_in("3", "three"), "a3"), true);
	PAGE(fx, "a3", "", archived(text_in("4", "four"), "a4", 1003), archived(text_in("5", "five"), "a5", 1004));
	put_live(fx, with_aid(text_in("6", "six"), "a6"), true);

	assert_string_equal(bodies(fx, BOB), "one two three four five six");
	assert_int_equal(row_of(fx, "four").time_us, T0 + 1003 * SEC);
}

TEST(F3_sender_stamps_are_display_data)
{
	struct fx *fx = *state;
	struct message early = archived(text_in("1", "late-sent-early"), "a2", 5000);

	early.delay_us = T0 + 50 * SEC;
	PAGE(fx, "", "", archived(text_in("0", "zero"), "a1", 4000), early, archived(text_in("2", "two"), "a3", 6000));

	assert_string_equal(bodies(fx, BOB), "zero late-sent-early two");
	assert_int_equal(row_of(fx, "late-sent-early").time_us, T0 + 5000 * SEC);
	assert_int_equal(row_of(fx, "late-sent-early").delay_us, T0 + 50 * SEC);
}

TEST(F5_F6_ten_with_one_stamp_in_pages_of_three)
{
	struct fx *fx = *state;
	static const char *const ids[] = { "m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9" };
	struct message page[3];

	for (int from = 7; from > -3; from -= 3) {
		int n = 0, first = from < 0 ? 0 : from;

		for (int i = first; i < from + 3; i++)
			page[n++] = archived(text_in(ids[i], ids[i]), ids[i], 77);
		put_page(fx, page, (size_t)n, "", from == 7 ? "" : ids[from + 3], NULL);
	}

	assert_string_equal(bodies(fx, BOB), "m0 m1 m2 m3 m4 m5 m6 m7 m8 m9");
}

TEST(F6_equal_stamps_in_a_window_by_time)
{
	struct fx *fx = *state;

	/* A boundary that the server no longer knows still has its place here (B5). */
	PAGE(fx, "", "", archived(text_in("5", "five"), "a5", 77), archived(text_in("6", "six"), "a6", 77));
	PAGE(fx, "", "a5", archived(text_in("3", "three"), "a3", 77), archived(text_in("4", "four"), "a4", 77));
	PAGE(fx, "", "a3", archived(text_in("1", "one"), "a1", 76), archived(text_in("2", "two"), "a2", 77));

	assert_string_equal(bodies(fx, BOB), "one two three four five six");
}

TEST(F6_stamps_that_run_backwards)
{
	struct fx *fx = *state;

	/* NTP set the server's clock back by an hour between two and three, and again between four and five. */
	PAGE(fx, "", "", archived(text_in("5", "five"), "a5", 1000), archived(text_in("6", "six"), "a6", 1001));
	PAGE(fx, "", "a5", archived(text_in("3", "three"), "a3", 4000), archived(text_in("4", "four"), "a4", 4600));
	PAGE(fx, "", "a3", archived(text_in("1", "one"), "a1", 7000), archived(text_in("2", "two"), "a2", 7600));
	PAGE(fx, "a6", "", archived(text_in("7", "seven"), "a7", 500));

	assert_string_equal(bodies(fx, BOB), "one two three four five six seven");
	assert_int_equal(row_of(fx, "two").time_us, T0 + 7600 * SEC);
}

TEST(F8_newest_first_needs_no_renumbering)
{
	struct fx *fx = *state;
	struct message page[50];
	char names[50][16], above[16] = "";
	int64_t key;

	PAGE(fx, "", "", archived(text_in("top", "top"), "top", 500000));
	key = row_of(fx, "top").key;
	snprintf(above, sizeof(above), "top");
	for (int p = 8; p >= 0; p--) {
		for (int i = 0; i < 50; i++) {
			snprintf(names[i], sizeof(names[i]), "p%d", p * 50 + i);
			page[i] = archived(text_in(names[i], names[i]), names[i], (p * 50 + i) * 10);
		}
		put_page(fx, page, 50, "", above, NULL);
		snprintf(above, sizeof(above), "%s", names[0]);
	}

	assert_int_equal(row_of(fx, "top").key, key);
	assert_int_equal(row_of(fx, "p0").key, T0);
	assert_int_equal(count_messages(fx), 451);
}

TEST(an_unplaced_message_takes_its_place_and_says_so)
{
	struct fx *fx = *state;
	struct message late = with_aid(text_in("2", "two"), "a2");
	uint64_t seq;

	late.delay_us = T0 + 2 * SEC;
	late.delay_trusted = true;
	put_live(fx, with_aid(text_in("3", "three"), "a3"), true);
	put_live(fx, late, false);
	assert_string_equal(bodies(fx, BOB), "three two");
	seq = seq_of(fx);
	PAGE(fx, "", "a3", archived(text_in("1", "one"), "a1", 1), archived(text_in("2", "two"), "a2", 2));

	assert_string_equal(bodies(fx, BOB), "one two three");
	assert_true(row_of(fx, "two").mod > seq);
	assert_true(row_of(fx, "three").mod <= seq);
}

TEST(the_archive_decides_where_it_differs_from_the_stream)
{
	struct fx *fx = *state;

	put_live(fx, with_aid(text_in("1", "one"), "a1"), true);
	put_live(fx, with_aid(text_in("3", "three"), "a3"), true);
	put_live(fx, with_aid(text_in("2", "two"), "a2"), true);
	put_live(fx, with_aid(text_in("4", "four"), "a4"), true);
	PAGE(fx, "", "", archived(text_in("1", "one"), "a1", 1), archived(text_in("2", "two"), "a2", 2),
	     archived(text_in("3", "three"), "a3", 3), archived(text_in("4", "four"), "a4", 4));

	assert_string_equal(bodies(fx, BOB), "one two three four");
}

/* What the stream turned round lies on either side of a page's end: no page has both. */
TEST(the_archive_decides_across_the_end_of_a_page)
{
	struct fx *fx = *state;

	put_live(fx, with_aid(text_in("3", "three"), "a3"), true);
	put_live(fx, with_aid(text_in("4", "four"), "a4"), true);
	put_live(fx, with_aid(text_in("1", "one"), "a1"), true);
	put_live(fx, with_aid(text_in("2", "two"), "a2"), true);
	PAGE(fx, "", "", archived(text_in("3", "three"), "a3", 3), archived(text_in("4", "four"), "a4", 4));
	PAGE(fx, "", "a3", archived(text_in("1", "one"), "a1", 1), archived(text_in("2", "two"), "a2", 2));

	assert_string_equal(bodies(fx, BOB), "one two three four");
}

/* The same upwards, from an end that is held. */
TEST(the_archive_decides_above_what_is_held)
{
	struct fx *fx = *state;

	put_live(fx, with_aid(text_in("2", "two"), "a2"), true);
	put_live(fx, with_aid(text_in("1", "one"), "a1"), true);
	PAGE(fx, "", "", archived(text_in("1", "one"), "a1", 1));
	PAGE(fx, "a1", "", archived(text_in("2", "two"), "a2", 2), archived(text_in("3", "three"), "a3", 3));

	assert_string_equal(bodies(fx, BOB), "one two three");
}

/* A page of one conversation does not know what lies between: it moves nothing that has its place. */
TEST(a_part_of_the_archive_moves_nothing)
{
	struct fx *fx = *state;
	struct message one = archived(text_in("1", "one"), "a1", -DAY / SEC), two = archived(text_in("2", "two"), "a2", 2);
	const struct message *items[] = { &one, &two };
	const struct archive_page page = { .items = items, .n = 2, .below_id = "", .above_id = "", .part = true };
	struct put_outcome out[2];

	put_live(fx, with_aid(text_in("0", "zero"), "a0"), true);
	put_live(fx, with_aid(text_in("2", "two"), "a2"), true);
	put_live(fx, with_aid(text_in("1", "one"), "a1"), true);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(archive_put(fx->s, fx->account, fx->archive, OWN, &page, fx->now, out), 0);
	assert_int_equal(store_commit(fx->s), 0);
	assert_string_equal(bodies(fx, BOB), "zero two one");
	PAGE(fx, "", "", archived(text_in("0", "zero"), "a0", 0), one, two);
	assert_string_equal(bodies(fx, BOB), "zero one two");
}

/* And with years below: the one that came first was below all of them. */
TEST(years_are_not_placed_above_a_live_message)
{
	struct fx *fx = *state;

	put_live(fx, with_aid(text_in("9", "nine"), "a9"), true);
	put_live(fx, with_aid(text_in("8", "eight"), "a8"), true);
	PAGE(fx, "", "", archived(text_in("9", "nine"), "a9", 9));
	PAGE(fx, "", "a9", archived(text_in("6", "six"), "a6", -DAY / SEC * 700), archived(text_in("7", "seven"), "a7", -DAY / SEC * 600),
	     archived(text_in("8", "eight"), "a8", 8));
	PAGE(fx, "", "a6", archived(text_in("5", "five"), "a5", -DAY / SEC * 800));

	assert_string_equal(bodies(fx, BOB), "five six seven eight nine");
}

TEST(stamps_that_cannot_be_do_not_stay_on_top)
{
	struct fx *fx = *state;
	struct message m = text_in("1", "future");

	m.delay_us = fx->now + 300 * DAY;
	put_live(fx, m, false);
	m = text_in("2", "ancient");
	m.delay_us = 1000;
	put_live(fx, m, false);

	assert_int_equal(row_of(fx, "future").time_us, fx->now);
	assert_int_equal(row_of(fx, "ancient").time_us, fx->now);
	/* A phone that has just been unpacked believes to be in 1970; the server does not. */
	fx->now = 1000;
	PAGE(fx, "", "", archived(text_in("3", "real"), "a3", 5));
	assert_int_equal(row_of(fx, "real").time_us, T0 + 5 * SEC);
}

/* Live messages are placed as they come. Where the archive has them in another order, as few as possible move. */
TEST(what_stands_right_stays)
{
	static const struct {
		const char *why, *order;
		int moves;
	} rows[] = {
		{ "as they came", "abcde", 0 },
		{ "one came too late", "acdeb", 1 },
		{ "one came too early", "eabcd", 1 },
		{ "two were turned round", "bacde", 1 },
		{ "the longest run stays, though another one begins before it", "deabc", 2 },
		{ "and though a shorter one ends behind it", "bcead", 2 },
		{ "all the other way round", "edcba", 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fx *fx = *state;
		struct message page[5];
		char names[5][2], want[16] = "";
		int64_t keys[5];
		int moved = 0;

		for (size_t k = 0; k < 5; k++) {
			char name[2] = { (char)('a' + (int)k), 0 };

			put_live(fx, with_aid(text_in(name, name), name), true);
			keys[k] = row_of(fx, name).key;
		}
		for (size_t k = 0; k < 5; k++) {
			snprintf(names[k], sizeof(names[k]), "%c", rows[i].order[k]);
			page[k] = archived(text_in(names[k], names[k]), names[k], (int64_t)k);
			snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s%s", k ? " " : "", names[k]);
		}
		put_page(fx, page, 5, "", "", NULL);
		assert_string_equal(bodies(fx, BOB), want);
		for (size_t k = 0; k < 5; k++)
			moved += row_of(fx, names[k]).key != keys[names[k][0] - 'a'];
		if (moved != rows[i].moves)
			fail_msg("%s: %d moved", rows[i].why, moved);
		/* The same page again says nothing new to anybody. */
		{
			uint64_t seq = seq_of(fx);

			put_page(fx, page, 5, "", "", NULL);
			assert_int_equal(seq_of(fx), seq);
		}
		fx_teardown(state);
		fx_setup(state);
	}
}

/* What is at the bounds of a page belongs to its neighbours: it is no anchor of it. */
TEST(a_bound_is_no_place_of_the_page)
{
	struct fx *fx = *state;
	int64_t below, above;

	PAGE(fx, "", "", archived(text_in("1", "low"), "a1", 10), archived(text_in("9", "high"), "a9", 90));
	below = row_of(fx, "low").key;
	above = row_of(fx, "high").key;
	/* Its stamps say otherwise; the page lies between. */
	PAGE(fx, "a1", "a9", archived(text_in("2", "two"), "a2", 5), archived(text_in("3", "three"), "a3", 95));
	assert_string_equal(bodies(fx, BOB), "low two three high");
	assert_int_equal(row_of(fx, "low").key, below);
	assert_int_equal(row_of(fx, "high").key, above);
}

/* A page of ${n} by a stamp: what is held begins with ${first}. */
static void put_window(struct fx *fx, const struct message *m, size_t n, const char *first)
{
	const struct message *items[8];
	struct put_outcome out[8];
	struct archive_page page = { .items = items, .n = n, .below_id = "", .above_id = first, .by_stamp = true, .first_id = first };

	for (size_t i = 0; i < n; i++)
		items[i] = &m[i];
	assert_int_equal(IN_TX(fx, archive_put(fx->s, fx->account, fx->archive, OWN, &page, fx->now, out)), 0);
}

/* The server's archive has it no more (retracted, on ejabberd): what catch-up brings stands behind it all the same. */
TEST(B5_what_the_server_dropped_keeps_its_place)
{
	struct fx *fx = *state;
	struct message window[3] = { archived(text_in("k", "k"), "k", 650), archived(text_in("l", "l"), "l", 655),
				     archived(text_in("o", "o"), "o", 720) };

	PAGE(fx, "", "", archived(text_in("1", "1"), "a1", 10), archived(text_in("2", "2"), "a2", 20),
	     archived(text_in("3", "3"), "a3", 30));
	/* The newest of all. */
	PAGE(fx, "", "", archived(text_in("2", "2"), "a2", 20), archived(text_in("4", "4"), "a4", 40),
	     archived(text_in("5", "5"), "a5", 50));
	assert_string_equal(bodies(fx, BOB), "1 2 3 4 5");
	/* The newest below a gap. */
	PAGE(fx, "a5", "", archived(text_in("n", "n"), "n", 700), archived(text_in("o", "o"), "o", 720));
	PAGE(fx, "", "n", archived(text_in("4", "4"), "a4", 40), archived(text_in("6", "6"), "a6", 60),
	     archived(text_in("7", "7"), "a7", 70));
	assert_string_equal(bodies(fx, BOB), "1 2 3 4 5 6 7 n o");
	/* The oldest above a gap: it is asked by its stamp. */
	put_window(fx, window, 3, "n");
	assert_string_equal(bodies(fx, BOB), "1 2 3 4 5 6 7 k l n o");
}

/* Nothing was dropped: what stands next to the page is its neighbour, though the page does not say what it lies below. */
TEST(B5_what_was_not_dropped_stays_a_neighbour)
{
	struct fx *fx = *state;
	struct message window[3] = { archived(text_in("3", "3"), "a3", 30), archived(text_in("4", "4"), "a4", 40),
				     archived(text_in("5", "5"), "a5", 50) };
	const struct message *items[] = { &window[1], &window[2] };
	struct archive_page walk = { .items = items, .n = 2, .below_id = "", .above_id = "", .compare = true };
	struct put_outcome out[2];

	PAGE(fx, "", "", archived(text_in("1", "1"), "a1", 10), archived(text_in("9", "9"), "a9", 90));
	/* Below one that is not here. */
	PAGE(fx, "", "unknown", archived(text_in("1", "1"), "a1", 10), archived(text_in("3", "3"), "a3", 30));
	assert_string_equal(bodies(fx, BOB), "1 3 9");
	/* Around the one that it was asked for. */
	put_window(fx, window, 2, "a3");
	assert_string_equal(bodies(fx, BOB), "1 3 4 9");
	/* A walk, when something has come live since. */
	assert_int_equal(IN_TX(fx, archive_put(fx->s, fx->account, fx->archive, OWN, &walk, fx->now, out)), 0);
	assert_string_equal(bodies(fx, BOB), "1 3 4 5 9");
}

/* The same without a key between: a server's clock that stands still. */
TEST(B5_what_the_server_dropped_keeps_its_place_without_room)
{
	struct fx *fx = *state;
	struct message window[3] = { archived(text_in("k", "k"), "k", 30), archived(text_in("l", "l"), "l", 30),
				     archived(text_in("o", "o"), "o", 30) };

	PAGE(fx, "", "", archived(text_in("1", "1"), "a1", 30), archived(text_in("2", "2"), "a2", 30));
	PAGE(fx, "", "", archived(text_in("1", "1"), "a1", 30), archived(text_in("3", "3"), "a3", 30));
	assert_string_equal(bodies(fx, BOB), "1 2 3");
	PAGE(fx, "", "", archived(text_in("3", "3"), "a3", 30), archived(text_in("n", "n"), "n", 30),
	     archived(text_in("o", "o"), "o", 30));
	sql(fx, "UPDATE aid SET key=key+1 WHERE key>=(SELECT key FROM aid WHERE id='n') RETURNING 1");
	sql(fx, "UPDATE msg SET key=key+1 WHERE body IN ('n', 'o') RETURNING 1");
	put_window(fx, window, 3, "n");
	assert_string_equal(bodies(fx, BOB), "1 2 3 k l n o");
	PAGE(fx, "", "n", archived(text_in("k", "k"), "k", 30), archived(text_in("m", "m"), "m", 30));
	assert_string_equal(bodies(fx, BOB), "1 2 3 k l m n o");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(F1_local_clock_behind_keeps_archive_order),
		RUN(F1_gap_of_nine_hundred_below_a_live_message_without_room),
		RUN(F2_local_clock_a_day_ahead_for_an_hour),
		RUN(F3_sender_stamps_are_display_data),
		RUN(F5_F6_ten_with_one_stamp_in_pages_of_three),
		RUN(F6_equal_stamps_in_a_window_by_time),
		RUN(F6_stamps_that_run_backwards),
		RUN(F8_newest_first_needs_no_renumbering),
		RUN(an_unplaced_message_takes_its_place_and_says_so),
		RUN(the_archive_decides_where_it_differs_from_the_stream),
		RUN(the_archive_decides_across_the_end_of_a_page),
		RUN(the_archive_decides_above_what_is_held),
		RUN(a_part_of_the_archive_moves_nothing),
		RUN(years_are_not_placed_above_a_live_message),
		RUN(stamps_that_cannot_be_do_not_stay_on_top),
		RUN(what_stands_right_stays),
		RUN(a_bound_is_no_place_of_the_page),
		RUN(B5_what_the_server_dropped_keeps_its_place),
		RUN(B5_what_was_not_dropped_stays_a_neighbour),
		RUN(B5_what_the_server_dropped_keeps_its_place_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
