/* Archive order, whatever comes first: cases F of facts/sync.md, and the property behind them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "core/plan.h"
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

/*
 * The property. A server archive grows while we come and go; its stamps tie; our clock is anywhere within a day of
 * its own. What we get of it live, delayed or by pages is random; the questions are those of core/plan.h and the
 * bounds those of sync/catchup.c. In the end our history is the archive, in its order.
 */
#define MODEL_MAX 160

struct model {
	struct fx *fx;
	struct cover cover;
	size_t n;
	int64_t stamp_s[MODEL_MAX];
	char id[MODEL_MAX][8];
	int64_t server_s;
	bool online, meta_known, asking;
	size_t page;
};

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)rand() % n;
}

static struct message model_message(const struct model *m, size_t i, bool in_archive)
{
	struct message msg = i % 3 ? text_in(m->id[i], m->id[i]) : text_out(m->id[i], m->id[i]);

	if (i % 3 && i % 7 == 5)
		msg.from = CAROL "/x";
	return in_archive ? archived(msg, m->id[i], m->stamp_s[i]) : with_aid(msg, m->id[i]);
}

static void model_append(struct model *m)
{
	static const int steps[] = { 0, 0, 0, 1, 1, 5, 100, 4000 };

	m->server_s += steps[rnd(ARRAY_SIZE(steps))];
	m->stamp_s[m->n] = m->server_s;
	snprintf(m->id[m->n], sizeof(m->id[0]), "m%zu", m->n);
	m->n++;
}

static void model_live(struct model *m, size_t i)
{
	struct message msg = model_message(m, i, false);
	struct put_outcome out;
	bool extends;

	/* While a page is on its way these two cannot be told from older ones: docs/decisions/0003-sort-keys.md. */
	if (rnd(12) == 0 && !m->asking) {
		msg.delay_us = T0 + m->stamp_s[i] * SEC;
		msg.delay_trusted = true;
	} else if (rnd(20) == 0 && !m->asking) {
		msg.archive_id = "";
	}
	m->fx->now = T0 + (m->server_s + (int)rnd(170000) - 85000) * SEC;
	extends = *msg.archive_id && !msg.delay_us;
	assert_int_equal(store_begin(m->fx->s), 0);
	assert_int_equal(archive_put_live(m->fx->s, m->fx->account, m->fx->archive, OWN, &msg, m->fx->now, extends,
					  &out), 0);
	if (extends && out.aid_is_new)
		cover_live(&m->cover, msg.archive_id);
	assert_int_equal(cover_write(m->fx->s, m->fx->archive, &m->cover), 0);
	assert_int_equal(store_commit(m->fx->s), 0);
}

/* The last ${page} messages with a stamp from start_us on, before ${cursor}. */
static size_t model_answer(const struct model *m, const struct plan *p, size_t *idx, bool *complete)
{
	size_t end = m->n, n = 0;

	for (size_t i = 0; *p->cursor && i < m->n; i++)
		if (strcmp(m->id[i], p->cursor) == 0)
			end = i;
	*complete = true;
	for (size_t i = end; i-- > 0;) {
		if (p->start_us && T0 + m->stamp_s[i] * SEC < p->start_us)
			continue;
		if (n == m->page) {
			*complete = false;
			break;
		}
		idx[n++] = i;
	}
	for (size_t i = 0; i < n / 2; i++) {
		size_t t = idx[i];

		idx[i] = idx[n - 1 - i];
		idx[n - 1 - i] = t;
	}
	return n;
}

static void model_store_page(struct model *m, const struct plan *p, size_t q_span, const char *q_above,
			     const size_t *idx, size_t n, bool complete)
{
	struct message items[MODEL_MAX];
	struct cover_item citems[MODEL_MAX];
	const struct message *list[MODEL_MAX];
	struct put_outcome out[MODEL_MAX];
	struct cover_page page = { citems, n };
	_cleanup_(freep) char *above = xstrdup(q_above), *below = NULL;
	struct cover c = { 0 };
	size_t span;

	for (size_t i = 0; i < n; i++) {
		items[i] = model_message(m, idx[i], true);
		list[i] = &items[i];
		citems[i] = (struct cover_item){ items[i].archive_id, items[i].archive_us };
	}
	cover_copy(&c, &m->cover);
	if (p->step == PLAN_NEWEST) {
		if (cover_is_live(&c))
			str_set(&above, c.spans[c.n - 1].first.id);
		span = cover_newest(&c, &page, complete, T0);
	} else {
		bool met;

		span = cover_before(&c, q_span, &page, complete, false, &met);
		if (complete && !met) {
			size_t before = c.n;

			cover_exhausted(&c, span, T0);
			span -= c.n < before;
		}
	}
	below = xstrdup(span > 0 && span < c.n ? c.spans[span - 1].last.id : "");
	assert_int_equal(store_begin(m->fx->s), 0);
	assert_int_equal(archive_put(m->fx->s, m->fx->account, m->fx->archive, OWN,
				     &(struct archive_page){ .items = list, .n = n, .below_id = below, .above_id = above },
				     m->fx->now, out), 0);
	assert_int_equal(cover_write(m->fx->s, m->fx->archive, &c), 0);
	assert_int_equal(store_commit(m->fx->s), 0);
	cover_deinit(&m->cover);
	m->cover = c;
}

/* One question, with live messages between it and its answer. False: nothing to ask. */
static bool model_step(struct model *m, unsigned int live)
{
	struct plan_policy policy = { .metadata_known = m->meta_known };
	struct plan p = plan_next(&m->cover, &policy);
	_cleanup_(freep) char *above = NULL;
	size_t idx[MODEL_MAX], n;
	bool complete;

	if (p.step == PLAN_META) {
		m->meta_known = true;
		if (!cover_is_live(&m->cover) && m->n)
			cover_confirm_end(&m->cover, m->id[m->n - 1], 0);
		else if (!cover_is_live(&m->cover))
			cover_confirm_empty(&m->cover, T0);
		return true;
	}
	if (p.step == PLAN_DONE)
		return false;
	above = xstrdup(p.step == PLAN_BEFORE ? m->cover.spans[p.span].first.id : "");
	n = model_answer(m, &p, idx, &complete);
	m->asking = true;
	for (; live && m->n < MODEL_MAX; live--) {
		model_append(m);
		model_live(m, m->n - 1);
	}
	m->asking = false;
	model_store_page(m, &p, p.span, above, idx, n, complete);
	return true;
}

static void model_connect(struct model *m, bool online)
{
	if (m->online && !online)
		cover_session_lost(&m->cover);
	m->online = online;
	m->meta_known = false;
}

static void model_run(struct model *m)
{
	m->page = 1 + rnd(12);
	for (unsigned int i = rnd(40); i > 0; i--)
		model_append(m);
	for (int i = 0; i < 40; i++) {
		unsigned int what = rnd(10);

		if (what == 0) {
			model_connect(m, !m->online);
			continue;
		}
		if (!m->online || what < 5) {
			if (m->n == MODEL_MAX)
				continue;
			model_append(m);
			if (m->online)
				model_live(m, m->n - 1);
			continue;
		}
		model_step(m, rnd(4) ? 0 : rnd(3));
	}
	/* A new session, as after a lost one, until nothing is missing. */
	model_connect(m, false);
	model_connect(m, true);
	for (int i = 0; model_step(m, 0); i++)
		assert_true(i < 1000);
}

static void model_check(struct model *m, unsigned int seed)
{
	struct buf want = { 0 };
	const char *got = bodies(m->fx, "");

	for (size_t i = 0; i < m->n; i++)
		buf_addf(&want, "%s%s", i ? " " : "", m->id[i]);
	if (strcmp(got, buf_str(&want)) != 0)
		print_error("seed %u, page %zu\n", seed, m->page);
	assert_string_equal(got, buf_str(&want));
	buf_deinit(&want);
}

TEST(random_archives_end_in_archive_order)
{
	const char *env = getenv("VARVE_TEST_SEED"), *runs = getenv("VARVE_TEST_RUNS");
	unsigned int first = env ? (unsigned int)strtoul(env, NULL, 10) : 1;
	unsigned int n = runs ? (unsigned int)strtoul(runs, NULL, 10) : 60;

	(void)state;
	for (unsigned int seed = first; seed < first + n; seed++) {
		void *inner = NULL;
		struct model m = { 0 };

		srand(seed);
		fx_setup(&inner);
		m.fx = inner;
		m.server_s = 100000;
		model_run(&m);
		model_check(&m, seed);
		cover_deinit(&m.cover);
		fx_teardown(&inner);
	}
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
		cmocka_unit_test(random_archives_end_in_archive_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
