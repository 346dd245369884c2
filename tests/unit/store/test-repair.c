/* The search index on pages that cannot be read: it is repaired alone, and messages are never taken for it. */
#define _GNU_SOURCE /* memmem */
#include <errno.h>
#include <stdio.h>

#include "search-fixture.h"

#include "store/copy.h"

static void fill(struct fx *fx, int from, int to)
{
	char id[32], body[128];

	for (int i = from; i < to; i++) {
		snprintf(id, sizeof(id), "fill-%d", i);
		/* Words of its own, so that the index has more than one page. */
		snprintf(body, sizeof(body), "common word%d filler%d a%08x b%08x c%08x d%08x e%08x", i, i % 97,
			 (unsigned int)i * 2654435761u, (unsigned int)i * 40503u, (unsigned int)i * 2246822519u,
			 (unsigned int)i * 3266489917u, (unsigned int)i * 668265263u);
		put_text(fx, id, body);
	}
}

/* Upkeep until nothing is left; it may not fail, and it ends. */
static void upkeep(struct fx *fx, int64_t budget)
{
	for (int i = 0; store_upkeep_due(fx->s); i++) {
		assert_true(i < 20000);
		assert_true(store_upkeep(fx->s, budget) >= 0);
	}
	assert_null(index_trouble(fx->s));
}

static int count_hit(void *userdata, _unused_ const struct message_row *row,
		     _unused_ const struct search_range *ranges, _unused_ size_t n)
{
	++*(int *)userdata;
	return 0;
}

/* Hits of ${text}, or -errno. */
static int hits(struct fx *fx, const char *text)
{
	struct search_query q = { .account = fx->account, .text = text };
	_cleanup_(search_freep) struct search *x = NULL;
	_cleanup_(freep) char *cursor = NULL;
	int n = 0, r;

	fx->s->index.walk_rows = 0;
	assert_int_equal(search_new(fx->s, &q, &x), 0);
	while ((r = search_step(x, 1000)) > 0)
		;
	if (r < 0)
		return r;
	assert_int_equal(search_hits(x, count_hit, &n, &cursor), 0);
	return n;
}

static void read_page(struct fx *fx, uint32_t page, uint8_t data[PAGE_SIZE])
{
	sqlite3_file *file = NULL;

	assert_int_equal(sqlite3_file_control(fx->s->db, "main", SQLITE_FCNTL_FILE_POINTER, &file), SQLITE_OK);
	assert_int_equal(file->pMethods->xRead(file, data, PAGE_SIZE, (int64_t)(page - 1) * PAGE_SIZE), SQLITE_OK);
}

static uint32_t get(const uint8_t *p, int bytes)
{
	uint32_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | *p++;
	return v;
}

enum { FIRST = 0, MIDDLE = 1 };

/* The page ${depth} levels below the root of ${table}, always by its first or its middle child; 0: there is none. */
static uint32_t page_of(struct fx *fx, const char *table, int depth, int which)
{
	char text[128];
	uint8_t data[PAGE_SIZE];
	uint32_t page;

	snprintf(text, sizeof(text), "SELECT rootpage FROM sqlite_schema WHERE name='%s'", table);
	page = (uint32_t)sql(fx, text);
	while (depth-- > 0) {
		uint32_t n;

		read_page(fx, page, data);
		if (data[0] != 2 && data[0] != 5)
			return 0;
		n = get(data + 3, 2);
		page = get(data + get(data + 12 + 2 * (which == MIDDLE ? n / 2 : 0), 2), 4);
	}
	return page;
}

static void spoil_page(struct fx *fx, uint32_t page)
{
	_cleanup_(freep) char *path = xstrdup(fx->s->path);

	fx_close(fx);
	spoil(path, page);
	fx_reopen(fx);
}

static uint32_t bad_pages(struct fx *fx)
{
	_cleanup_(scan_freep) struct scan *x = NULL;
	uint32_t pages[SCAN_PAGES_MAX], total;

	assert_int_equal(store_checkpoint(fx->s), 0);
	assert_int_equal(scan_new(fx->s, &x), 0);
	while (scan_step(x, BUDGET) > 0)
		;
	return scan_bad(x, pages, &total);
}

/* Rows that make the tree of fts_data three levels high, as some 100,000 messages would; no segment names them. */
static void grow(struct fx *fx)
{
	assert_int_equal(sqlite3_db_config(fx->s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL), SQLITE_OK);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(db_exec(fx->s, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<900)"
					" INSERT OR REPLACE INTO fts_data SELECT (1900<<37)+i, zeroblob(3900) FROM n"),
			 0);
	assert_int_equal(store_commit(fx->s), 0);
	assert_int_equal(sqlite3_db_config(fx->s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL), SQLITE_OK);
	assert_int_equal(store_checkpoint(fx->s), 0);
}

static const struct {
	const char *table;
	int depth, which;
	bool deep; /* with grow() */
} kinds[] = {
	{ "fts_data", 0, FIRST, false }, { "fts_data", 0, FIRST, true }, { "fts_data", 1, FIRST, false },
	{ "fts_data", 1, MIDDLE, false }, { "fts_data", 1, FIRST, true }, { "fts_data", 1, MIDDLE, true },
	{ "fts_data", 2, FIRST, true },	 { "fts_data", 2, MIDDLE, true }, { "fts_idx", 0, FIRST, false },
	{ "fts_config", 0, FIRST, false }, { "fts_dirty", 0, FIRST, false }, { "fts_state", 0, FIRST, false },
};

static void check_kind(struct fx *fx, size_t i, int *messages)
{
	char text[64], id[64];
	int64_t sum, rows;
	uint32_t page;

	if (kinds[i].deep)
		grow(fx);
	assert_int_equal(store_checkpoint(fx->s), 0);
	page = page_of(fx, kinds[i].table, kinds[i].depth, kinds[i].which);
	assert_true(page > 1);
	rows = sql(fx, "SELECT count(*) FROM msg");
	sum = sql(fx, "SELECT sum(mod*length(body)) FROM msg");
	spoil_page(fx, page);

	/* At once: messages are found, stored and changed. */
	snprintf(text, sizeof(text), "\"word%d\"", *messages - 1);
	assert_int_equal(hits(fx, text), 1);
	assert_int_equal(hits(fx, "\"word7\""), 1);
	assert_int_equal(sql(fx, "SELECT count(*) FROM msg"), rows);
	assert_int_equal(sql(fx, "SELECT sum(mod*length(body)) FROM msg"), sum);
	fill(fx, *messages, *messages + 1);
	++*messages;

	upkeep(fx, 1);
	/* What nobody reads is not found by itself. */
	if (bad_pages(fx) > 0) {
		assert_int_equal(index_rebuild(fx->s), 0);
		upkeep(fx, 1);
	}
	assert_true(fx_sound(fx));
	assert_int_equal(bad_pages(fx), 0);
	assert_int_equal(index_check(fx->s), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM fts WHERE fts MATCH 'common'"), *messages - (int)i);
	assert_int_equal(sql(fx, "PRAGMA secure_delete"), 1);
	assert_int_equal(hits(fx, text), 1);
	/* The new one serves: one retraction for each kind. */
	snprintf(id, sizeof(id), "fill-%d", 100 + (int)i);
	assert_int_equal(put_live(fx, ref_in(PAYLOAD_RETRACTION, id), false).result, PUT_APPLIED);
	upkeep(fx, BUDGET);
	assert_int_equal(index_check(fx->s), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM msg WHERE body IS NOT NULL"), *messages - (int)i - 1);
}

TEST(a_bad_page_of_the_index_is_repaired_alone)
{
	struct fx *fx = *state;
	int messages = 1500;

	fill(fx, 0, messages);
	upkeep(fx, BUDGET);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		print_message("%s, level %d, child %d%s\n", kinds[i].table, kinds[i].depth, kinds[i].which,
			      kinds[i].deep ? ", high tree" : "");
		check_kind(fx, i, &messages);
	}
}

static int in_image(struct fx *fx, const char *needle)
{
	sqlite3_int64 size = 0;
	unsigned char *image = sqlite3_serialize(fx->s->db, "main", &size, 0);
	int n = memmem(image, (size_t)size, needle, strlen(needle)) != NULL;

	assert_non_null(image);
	sqlite3_free(image);
	return n;
}

/* The tables of the index are dropped without being overwritten: they were before. */
TEST(a_repair_leaves_no_words_in_free_pages)
{
	struct fx *fx = *state;

	fill(fx, 0, 800);
	put_text(fx, "secret", "zqmarkerone in the middle");
	fill(fx, 800, 1500);
	upkeep(fx, BUDGET);
	assert_int_equal(store_checkpoint(fx->s), 0);
	spoil_page(fx, page_of(fx, "fts_idx", 0, FIRST));
	assert_int_equal(put_live(fx, ref_in(PAYLOAD_RETRACTION, "secret"), false).result, PUT_APPLIED);
	assert_int_equal(in_image(fx, "markerone"), 1);

	upkeep(fx, BUDGET);

	assert_int_equal(bad_pages(fx), 0);
	assert_int_equal(in_image(fx, "markerone"), 0);
}

/* A leaf of messages that are not indexed yet: no damage of the index, and no reason to try again and again. */
TEST(a_bad_page_of_messages_is_not_taken_for_the_index)
{
	struct fx *fx = *state;
	uint32_t page;

	fill(fx, 0, 300);
	upkeep(fx, BUDGET);
	fill(fx, 300, 600);
	assert_int_equal(store_checkpoint(fx->s), 0);
	page = page_of(fx, "msg", 1, MIDDLE);
	/* The middle of 600 is the first that waits, or one of its neighbours. */
	spoil_page(fx, page);
	fx->s->index.rows = 1000;

	assert_int_equal(index_step(fx->s, BUDGET), -EBADMSG);
	assert_non_null(index_trouble(fx->s));
	assert_false(store_upkeep_due(fx->s));
	for (int i = 0; i < 10; i++)
		assert_int_equal(store_upkeep(fx->s, BUDGET), 0);
	assert_int_equal(fx->s->index.rebuilds, 0);
	assert_false(fx->s->index.damaged);
	assert_int_equal(sql(fx, "SELECT clearing FROM fts_state"), 0);
	assert_int_equal(sql(fx, "SELECT upto FROM fts_state"), 300);
	assert_int_equal(hits(fx, "\"word7\""), -EBADMSG);
	assert_int_equal(bad_pages(fx), 1);
	/* What does not touch the page goes on. */
	put_text(fx, "later", "after the damage");
}

/* Damaged again as soon as it was made: it waits, longer each time, and says so; searches find everything. */
TEST(an_index_that_is_damaged_again_waits)
{
	struct fx *fx = *state;

	fill(fx, 0, 100);
	upkeep(fx, BUDGET);
	fx->s->index.damaged = true;
	upkeep(fx, BUDGET);
	assert_int_equal(fx->s->index.rebuilds, 1);

	fx->s->index.damaged = true;
	assert_true(store_upkeep_due(fx->s));
	assert_int_equal(index_step(fx->s, BUDGET), 0);
	assert_non_null(index_trouble(fx->s));
	assert_false(store_upkeep_due(fx->s));
	assert_int_equal(fx->s->index.rebuilds, 1);
	fill(fx, 100, 110);
	assert_int_equal(hits(fx, "common"), 110);

	fx->s->index.retry_us = 0;
	fx->s->index.rebuild_us = 0;
	upkeep(fx, BUDGET);
	assert_int_equal(fx->s->index.rebuilds, 2);
	assert_int_equal(sql(fx, "SELECT count(*) FROM fts WHERE fts MATCH 'common'"), 110);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_bad_page_of_the_index_is_repaired_alone),
		RUN(a_repair_leaves_no_words_in_free_pages),
		RUN(a_bad_page_of_messages_is_not_taken_for_the_index),
		RUN(an_index_that_is_damaged_again_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
