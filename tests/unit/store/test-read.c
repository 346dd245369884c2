/* History pages, gaps, conversations, unread. */
#include <stdio.h>

#include "base/buf.h"
#include "fixture.h"

/* A page as text: its bodies, then its edges in letters: O oldest, N newest, < > gap, S start, C cut. */
static const char *page_of(struct fx *fx, struct history_query q);

static int add(void *userdata, const struct message_row *row)
{
	struct buf *b = userdata;

	buf_addf(b, "%s%s", b->len ? " " : "", row->body);
	return 0;
}

static const char *page_of(struct fx *fx, struct history_query q)
{
	static const char letters[] = "ON<>SFC";
	static struct buf b;
	uint32_t edges = 0;
	uint64_t seq;
	int r;

	buf_reset(&b);
	q.account = fx->account;
	if (!q.conversation)
		q.conversation = BOB;
	r = read_history(fx->s, &q, add, &b, &edges, &seq);
	if (r == READ_E_NO_CONVERSATION || r == READ_E_NO_MESSAGE)
		return r == READ_E_NO_MESSAGE ? "no message" : "no conversation";
	assert_int_equal(r, 0);
	buf_adds(&b, b.len ? " " : "");
	for (int i = 0; i < 7; i++)
		if (edges & 1u << i)
			buf_add(&b, &letters[i], 1);
	return buf_str(&b);
}

#define P(...) page_of(fx, (struct history_query){ __VA_ARGS__ })

/* Texts 0..n-1 from Bob, a second apart, archive ids a0.., all placed. */
static void fill(struct fx *fx, int from, int to)
{
	static char ids[1000][16], names[1000][16];
	struct message page[1000];
	char below[16] = "";

	for (int i = from; i < to; i++) {
		snprintf(ids[i], sizeof(ids[i]), "a%d", i);
		snprintf(names[i], sizeof(names[i]), "%d", i);
		page[i - from] = archived(text_in(names[i], names[i]), ids[i], i);
	}
	if (from)
		snprintf(below, sizeof(below), "a%d", from - 1);
	put_page(fx, page, (size_t)(to - from), below, "", NULL);
}

TEST(pages_are_exact_and_say_where_they_end)
{
	struct fx *fx = *state;
	int64_t five;

	fill(fx, 0, 10);
	put_cover(fx, "a0-a9^*");
	five = row_of(fx, "5").id;

	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 3), "7 8 9 N");
	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 9), "1 2 3 4 5 6 7 8 9 N");
	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 10), "0 1 2 3 4 5 6 7 8 9 ONS");
	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 100, .after = 5), "0 1 2 3 4 5 6 7 8 9 ONS");
	assert_string_equal(P(.anchor = ANCHOR_OLDEST, .after = 2), "0 1 OS");
	assert_string_equal(P(.anchor = ANCHOR_OLDEST, .before = 5, .after = 10), "0 1 2 3 4 5 6 7 8 9 ONS");
	assert_string_equal(P(.anchor = ANCHOR_MESSAGE, .value = five, .before = 2, .after = 1), "3 4 5 6 ");
	assert_string_equal(P(.anchor = ANCHOR_MESSAGE, .value = five), "5 ");
	assert_string_equal(P(.anchor = ANCHOR_MESSAGE, .value = five, .before = 5, .after = 4),
			    "0 1 2 3 4 5 6 7 8 9 ONS");
	assert_string_equal(P(.anchor = ANCHOR_MESSAGE, .value = 99999), "no message");
	assert_string_equal(P(.anchor = ANCHOR_TIME, .value = T0 + 7 * SEC, .before = 1, .after = 1), "6 7 8 ");
	assert_string_equal(P(.anchor = ANCHOR_TIME, .value = T0 + 6 * SEC + 1, .after = 0), "7 ");
	assert_string_equal(P(.anchor = ANCHOR_TIME, .value = T0 + DAY, .before = 1), "9 N");
	assert_string_equal(P(.anchor = ANCHOR_UNREAD, .before = 1, .after = 1), "0 1 OS");
	assert_string_equal(P(.conversation = "nobody@x", .anchor = ANCHOR_NEWEST), "no conversation");
	assert_string_equal(P(.conversation = "", .anchor = ANCHOR_NEWEST, .before = 2), "8 9 N");
}

TEST(paging_by_message_meets_every_row_once)
{
	struct fx *fx = *state;
	struct buf all = { 0 };
	struct history_query q = { .account = fx->account, .conversation = BOB, .anchor = ANCHOR_NEWEST, .before = 7 };
	uint32_t edges = 0;
	uint64_t seq;

	fill(fx, 0, 50);
	while (!(edges & EDGE_OLDEST)) {
		struct buf page = { 0 };
		char first[16];

		assert_int_equal(read_history(fx->s, &q, add, &page, &edges, &seq), 0);
		assert_int_equal(sscanf(buf_str(&page), "%15s", first), 1);
		if (q.anchor == ANCHOR_MESSAGE && !strchr(buf_str(&page), ' '))
			assert_true(edges & EDGE_OLDEST);
		q.anchor = ANCHOR_MESSAGE;
		q.value = row_of(fx, first).id;
		buf_addf(&page, " %s", buf_str(&all));
		buf_deinit(&all);
		all = page;
	}
	/* Each page's anchor is the one before's oldest: 7 + 7 * 6 + 1 rows, each anchor twice. */
	assert_int_equal(strncmp(buf_str(&all), "0 1 1 2 3", 9), 0);
	buf_deinit(&all);
}

TEST(pages_stop_at_gaps)
{
	struct fx *fx = *state;
	int64_t three, four;

	fill(fx, 0, 10);
	put_cover(fx, "a0-a3 a4-a6! a7-a9*");
	three = row_of(fx, "3").id;
	four = row_of(fx, "4").id;

	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 2), "8 9 N");
	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 3), "7 8 9 N<");
	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 50), "7 8 9 N<");
	assert_string_equal(P(.anchor = ANCHOR_MESSAGE, .value = four, .before = 5, .after = 5), "4 5 6 <>");
	assert_string_equal(P(.anchor = ANCHOR_MESSAGE, .value = four, .after = 1), "4 5 <");
	assert_string_equal(P(.anchor = ANCHOR_MESSAGE, .value = three, .before = 50), "0 1 2 3 O<>");
	assert_string_equal(P(.anchor = ANCHOR_OLDEST, .after = 50), "0 1 2 3 O<>");
	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 5, .across_gaps = true), "5 6 7 8 9 N");
	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 6, .across_gaps = true), "4 5 6 7 8 9 N<");
	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 50, .across_gaps = true), "0 1 2 3 4 5 6 7 8 9 ON<");
	put_cover(fx, "a0-a9^*");
	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 50), "0 1 2 3 4 5 6 7 8 9 ONS");
}

TEST(a_gap_above_a_conversations_last_message_is_its_newer_edge)
{
	struct fx *fx = *state;

	fill(fx, 0, 3);
	put_live(fx, with_aid(text_from(CAROL "/x", "c", "live"), "c1"), true);
	put_cover(fx, "a0-a2^ c1-c1*");

	assert_string_equal(P(.anchor = ANCHOR_NEWEST, .before = 2), "1 2 N>");
	assert_string_equal(P(.conversation = CAROL, .anchor = ANCHOR_NEWEST, .before = 2), "live ON<");
}

TEST(a_page_is_limited_in_rows)
{
	struct fx *fx = *state;
	struct history_query q = { .account = fx->account, .conversation = BOB, .anchor = ANCHOR_NEWEST };
	struct buf b = { 0 };
	uint32_t edges;
	uint64_t seq;
	size_t words = 1;

	fill(fx, 0, 600);
	q.before = 550;
	assert_int_equal(read_history(fx->s, &q, add, &b, &edges, &seq), 0);
	for (const char *p = buf_str(&b); *p; p++)
		words += *p == ' ';
	assert_int_equal(words, READ_ROWS_MAX);
	assert_int_equal(edges, EDGE_NEWEST | EDGE_CUT);
	buf_reset(&b);
	/* Asked for exactly the limit, nothing was cut. */
	q.before = READ_ROWS_MAX;
	assert_int_equal(read_history(fx->s, &q, add, &b, &edges, &seq), 0);
	assert_int_equal(edges, EDGE_NEWEST);
	buf_deinit(&b);
}

TEST(a_page_is_limited_in_bytes_and_cut_at_the_far_end)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *big = xcalloc(1, 200001);
	struct history_query q = { .account = fx->account, .conversation = BOB, .anchor = ANCHOR_NEWEST, .before = 20 };
	struct buf b = { 0 };
	uint32_t edges;
	uint64_t seq;

	for (int i = 0; i < 10; i++) {
		memset(big, 'a' + i, 200000);
		put_live(fx, text_in("", big), false);
	}
	assert_int_equal(read_history(fx->s, &q, add, &b, &edges, &seq), 0);
	assert_int_equal(edges, EDGE_NEWEST | EDGE_CUT);
	assert_true(b.len <= READ_BYTES_MAX && b.len >= READ_BYTES_MAX / 2);
	assert_int_equal(b.data[b.len - 1], 'j');
	buf_deinit(&b);
}

TEST(messages_are_found_by_their_ids)
{
	struct fx *fx = *state;
	struct message m = archived(text_in("x1", "body"), "s1", 1);
	int64_t id;

	m.origin_id = "o1";
	PAGE(fx, "", "", m);
	assert_int_equal(read_find(fx->s, fx->account, BOB, "stanza-id", "s1", &id), 0);
	assert_int_equal(id, row_of(fx, "body").id);
	assert_int_equal(read_find(fx->s, fx->account, BOB, "origin-id", "o1", &id), 0);
	assert_int_equal(read_find(fx->s, fx->account, BOB, "id", "x1", &id), 0);
	assert_int_equal(read_find(fx->s, fx->account, BOB, "id", "o1", &id), READ_E_NO_MESSAGE);
	assert_int_equal(read_find(fx->s, fx->account, BOB, "origin-id", "x1", &id), READ_E_NO_MESSAGE);
	assert_int_equal(read_find(fx->s, fx->account, CAROL, "id", "x1", &id), READ_E_NO_MESSAGE);
}

TEST(unread_ends_at_our_last_message_or_marker)
{
	struct fx *fx = *state;

	put_live(fx, text_out("0", "hello"), false);
	put_live(fx, text_in("1", "one"), false);
	put_live(fx, text_in("2", "two"), false);
	put_live(fx, text_in("3", "three"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 3);
	assert_int_equal(conv_of(fx, BOB).first_unread, row_of(fx, "one").id);
	assert_int_equal(row_of(fx, "one").state, STATE_RECEIVED);

	/* Another device displayed the second one. */
	put_live(fx, ref_out(PAYLOAD_MARKER, "2"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
	assert_int_equal(conv_of(fx, BOB).first_unread, row_of(fx, "three").id);
	assert_int_equal(row_of(fx, "one").state, STATE_READ);
	/* A marker never goes back. */
	put_live(fx, ref_out(PAYLOAD_MARKER, "1"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 1);

	/* Another device answered. */
	put_live(fx, text_out("4", "answer"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 0);
	assert_int_equal(conv_of(fx, BOB).first_unread, 0);
	put_live(fx, text_in("5", "five"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 1);
}

TEST(a_page_below_our_last_message_is_read)
{
	struct fx *fx = *state;

	PAGE(fx, "", "", archived(text_in("9", "nine"), "a9", 9));
	PAGE(fx, "a9", "", archived(text_in("10", "ten"), "a10", 10), archived(text_out("11", "out"), "a11", 11),
	     archived(text_in("12", "twelve"), "a12", 12));

	assert_int_equal(conv_of(fx, BOB).unread, 1);
	assert_int_equal(conv_of(fx, BOB).first_unread, row_of(fx, "twelve").id);
}

TEST(a_first_sync_reports_a_screen_of_unread_and_not_thousands)
{
	struct fx *fx = *state;
	static char ids[400][16];
	struct message page[100];

	/* Newest first, nobody ever answered; then the past. */
	for (int p = 3; p >= 0; p--) {
		for (int i = 0; i < 100; i++) {
			int k = p * 100 + i;

			snprintf(ids[k], sizeof(ids[k]), "a%d", k);
			page[i] = archived(text_in(ids[k], ids[k]), ids[k], k);
		}
		put_page(fx, page, 100, "", p == 3 ? "" : ids[(p + 1) * 100], NULL);
	}
	assert_int_equal(conv_of(fx, BOB).unread, 20);
	assert_int_equal(conv_of(fx, BOB).first_unread, row_of(fx, "a380").id);

	/* What comes afterwards all counts. */
	for (int i = 0; i < 30; i++)
		put_live(fx, text_in("", "new"), false);
	assert_int_equal(conv_of(fx, BOB).unread, 50);
}

static int add_conv(void *userdata, const struct conversation_row *row)
{
	struct buf *b = userdata;

	buf_addf(b, "%s%s:%s:%u", b->len ? " " : "", row->title, row->last.body, row->unread);
	return 0;
}

static const char *list(struct fx *fx, uint32_t limit, bool unread_only)
{
	static struct buf b;
	char *cursor = xstrdup(""), *next;
	uint64_t seq;

	buf_reset(&b);
	do {
		assert_int_equal(read_conversations(fx->s, &(struct conversation_query){
			.account = fx->account, .cursor = cursor, .limit = limit, .unread = unread_only,
		}, add_conv, &b, &next, &seq), 0);
		free(cursor);
		cursor = next;
	} while (*cursor);
	free(cursor);
	return buf_str(&b);
}

TEST(conversations_newest_first_in_pages)
{
	struct fx *fx = *state;
	const char *all = CAROL ":c2:0 Bob:b1:1 dave@d:d1:1";
	struct message out = text_out("c2", "c2");

	out.to = CAROL "/phone";
	PAGE(fx, "", "", archived(text_from("dave@d/x", "d", "d1"), "1", 1),
	     archived(text_from(CAROL "/x", "c", "c1"), "2", 2), archived(text_in("b", "b1"), "3", 3),
	     archived(out, "4", 4));
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(roster_put(fx->s, fx->account, &(struct roster_item){ .jid = BOB, .name = "Bob" }), 0);
	assert_int_equal(store_commit(fx->s), 0);

	assert_string_equal(list(fx, 0, false), all);
	assert_string_equal(list(fx, 1, false), all);
	assert_string_equal(list(fx, 2, false), all);
	assert_string_equal(list(fx, 1, true), "Bob:b1:1 dave@d:d1:1");
}

TEST(the_last_message_of_a_conversation_follows_its_text)
{
	struct fx *fx = *state;
	struct message m = text_in("2", "fixed");
	uint64_t mod;

	put_live(fx, text_in("1", "wrong"), false);
	mod = conv_of(fx, BOB).mod;
	m.replace_id = "1";
	put_live(fx, m, false);
	assert_true(conv_of(fx, BOB).mod > mod);
	assert_string_equal(conv_of(fx, BOB).last.body, "fixed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(pages_are_exact_and_say_where_they_end),
		RUN(paging_by_message_meets_every_row_once),
		RUN(pages_stop_at_gaps),
		RUN(a_gap_above_a_conversations_last_message_is_its_newer_edge),
		RUN(a_page_is_limited_in_rows),
		RUN(a_page_is_limited_in_bytes_and_cut_at_the_far_end),
		RUN(messages_are_found_by_their_ids),
		RUN(unread_ends_at_our_last_message_or_marker),
		RUN(a_page_below_our_last_message_is_read),
		RUN(a_first_sync_reports_a_screen_of_unread_and_not_thousands),
		RUN(conversations_newest_first_in_pages),
		RUN(the_last_message_of_a_conversation_follows_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
