/* The search index: the watermark, the triggers, erasing, a new start, damage, and the migration to it. */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <sys/stat.h>

#include "search-fixture.h"

#include "store/schema.h"
#include "store/tokenizer.h"

static void correct(struct fx *fx, const char *id, const char *by, const char *body)
{
	struct message m = text_in(by, body);

	m.replace_id = id;
	fx->now += SEC;
	assert_int_equal(put_live(fx, m, false).result, PUT_APPLIED);
}

static void retract(struct fx *fx, const char *id)
{
	assert_int_equal(put_live(fx, ref_in(PAYLOAD_RETRACTION, id), false).result, PUT_APPLIED);
}

/* ${n} messages in batches of their own, so that the index has many segments: "common", "word<i>". */
static void fill(struct fx *fx, int n)
{
	char id[32], body[64];

	for (int i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "fill-%d", i);
		snprintf(body, sizeof(body), "common word%d filler%d", i, i % 97);
		put_text(fx, id, body);
		if (i % 20 == 0)
			assert_true(index_step(fx->s, 1) >= 0);
	}
}

/* Rows that the index itself gives for ${match}. */
static int64_t in_index(struct fx *fx, const char *match)
{
	char text[128];

	snprintf(text, sizeof(text), "SELECT count(*) FROM fts WHERE fts MATCH '%s'", match);
	return sql(fx, text);
}

static int count_hit(void *userdata, const struct message_row *row, const struct search_range *ranges, size_t n)
{
	(void)row;
	(void)ranges;
	(void)n;
	++*(int *)userdata;
	return 0;
}

static int hits(struct fx *fx, const char *text)
{
	struct search_query q = { .account = fx->account, .text = text };
	_cleanup_(search_freep) struct search *x = NULL;
	_cleanup_(freep) char *cursor = NULL;
	int n = 0, r;

	assert_int_equal(search_new(fx->s, &q, &x), 0);
	while ((r = search_step(x, BUDGET)) > 0)
		;
	assert_int_equal(r, 0);
	assert_int_equal(search_hits(x, count_hit, &n, &cursor), 0);
	return n;
}

/* How often ${needle} stands in the database as SQLite sees it: every page, free ones too, decrypted. */
static int in_image(struct fx *fx, const char *needle)
{
	sqlite3_int64 size = 0;
	unsigned char *image = sqlite3_serialize(fx->s->db, "main", &size, 0);
	size_t len = strlen(needle);
	int n = 0;

	assert_non_null(image);
	for (unsigned char *p = image; (p = memmem(p, (size_t)(image + size - p), needle, len)); p += len)
		n++;
	sqlite3_free(image);
	return n;
}

static int64_t log_size(struct fx *fx)
{
	_cleanup_(freep) char *path = xasprintf("%s-wal", fx->s->path);
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

TEST(new_messages_cost_the_index_nothing_until_it_comes_to_them)
{
	struct fx *fx = *state;
	int64_t upto = -1;

	put_text(fx, "1", "alpha");
	put_text(fx, "2", "beta");
	retract(fx, "2");
	assert_int_equal(index_watermark(fx->s, &upto), 0);
	assert_int_equal(upto, 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM fts_dirty"), 0);
	assert_true(index_due(fx->s));

	index_all(fx);

	assert_int_equal(index_watermark(fx->s, &upto), 0);
	assert_int_equal(upto, sql(fx, "SELECT max(id) FROM msg"));
	assert_int_equal(in_index(fx, "alpha"), 1);
	assert_int_equal(in_index(fx, "beta"), 0);
	assert_int_equal(index_check(fx->s), 0);
}

TEST(the_index_stays_true_when_texts_change_and_go)
{
	struct fx *fx = *state;

	fill(fx, 100);
	put_text(fx, "a", "old words");
	put_text(fx, "b", "to be retracted");
	index_all(fx);

	correct(fx, "a", "a2", "newer");
	correct(fx, "a", "a3", "new text");
	retract(fx, "b");

	/* Not in the index yet, but found, and the index is whole. */
	assert_int_equal(hits(fx, "old"), 0);
	assert_int_equal(hits(fx, "newer"), 0);
	assert_int_equal(hits(fx, "new"), 1);
	assert_int_equal(hits(fx, "retracted"), 0);
	assert_int_equal(index_check(fx->s), 0);

	index_all(fx);

	assert_int_equal(in_index(fx, "words"), 0);
	assert_int_equal(in_index(fx, "new"), 1);
	assert_int_equal(in_index(fx, "retracted"), 0);
	assert_int_equal(in_index(fx, "common"), 100);
	assert_int_equal(index_check(fx->s), 0);
	assert_int_equal(hits(fx, "old"), 0);
	assert_int_equal(hits(fx, "new"), 1);
}

/* facts/db.md section 8, item 13: retraction and correction are erasure once the merge job is done. */
TEST(retracted_words_leave_the_image)
{
	struct fx *fx = *state;

	fill(fx, 400);
	put_text(fx, "secret", "zqmarkerone in the middle");
	put_text(fx, "typo", "zqmarkertwo in the middle");
	put_text(fx, "cjk", "秘密的鑫鑫话语");
	fill(fx, 5);
	index_all(fx);
	assert_true(in_image(fx, "markerone") >= 2);

	retract(fx, "secret");
	correct(fx, "typo", "typo2", "corrected");
	retract(fx, "cjk");

	/* What the job is for: FTS5 still has them, and this test could see it. */
	assert_true(in_image(fx, "markerone") > 0);
	assert_true(in_image(fx, "markertwo") > 0);
	assert_true(in_image(fx, "鑫话") > 0);
	assert_true(index_due(fx->s));

	/* In small steps, with restarts and messages in between. */
	for (int i = 0; index_due(fx->s); i++) {
		assert_true(i < 10000);
		assert_true(index_step(fx->s, 1) >= 0);
		if (i % 3 == 1 && i < 20)
			fill(fx, 2);
		if (i == 5)
			fx_reopen(fx);
	}

	assert_int_equal(in_image(fx, "markerone"), 0);
	assert_int_equal(in_image(fx, "markertwo"), 0);
	assert_int_equal(in_image(fx, "鑫话"), 0);
	assert_int_equal(log_size(fx), 0);
	assert_int_equal(in_index(fx, "corrected"), 1);
	assert_int_equal(index_check(fx->s), 0);
	assert_int_equal(hits(fx, "word399"), 1);
}

/* A retraction while the job is at work needs another one: the job began without it. */
TEST(a_retraction_during_the_merge_job_is_erased_too)
{
	struct fx *fx = *state;

	fill(fx, 300);
	put_text(fx, "one", "zqmarkerone");
	put_text(fx, "two", "zqmarkertwo");
	index_all(fx);
	retract(fx, "one");
	while (sql(fx, "SELECT erasing > erased FROM fts_state") == 0)
		assert_int_equal(index_step(fx->s, 1), 1);

	retract(fx, "two");
	index_all(fx);

	assert_int_equal(in_image(fx, "markerone"), 0);
	assert_int_equal(in_image(fx, "markertwo"), 0);
	assert_int_equal(sql(fx, "SELECT edits = erased FROM fts_state"), 1);
}

TEST(a_removed_account_leaves_the_index)
{
	struct fx *fx = *state;
	fill(fx, 100);
	put_text(fx, "secret", "zqmarkerone");
	index_all(fx);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(account_remove(fx->s, fx->account), 0);
	assert_int_equal(store_commit(fx->s), 0);
	while (store_upkeep_due(fx->s))
		assert_true(store_upkeep(fx->s, 1) >= 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM msg"), 0);
	index_all(fx);

	assert_int_equal(in_index(fx, "common"), 0);
	assert_int_equal(in_image(fx, "markerone"), 0);
	assert_int_equal(index_check(fx->s), 0);
}

TEST(an_index_of_another_tokenizer_is_made_anew_in_steps)
{
	struct fx *fx = *state;
	int64_t upto, steps = 0;

	fill(fx, 2000);
	index_all(fx);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(db_exec(fx->s, "UPDATE fts_state SET tokenizer=tokenizer+1"), 0);
	assert_int_equal(store_commit(fx->s), 0);
	fx_reopen(fx);

	assert_int_equal(index_watermark(fx->s, &upto), 0);
	assert_int_equal(upto, 0);
	assert_int_equal(hits(fx, "word1999"), 1);
	/* Nothing reaches the index while it is emptied. */
	retract(fx, "fill-7");
	while (index_step(fx->s, 1) > 0) {
		steps++;
		assert_int_equal(hits(fx, "word1234"), 1);
		/* Each start asks the index for some samples. */
		if (steps % 5 == 0 && steps < 60)
			fx_reopen(fx);
	}
	assert_true(steps > 4);

	assert_int_equal(sql(fx, "SELECT tokenizer FROM fts_state"), TOKENIZER_VERSION);
	assert_int_equal(in_index(fx, "common"), 1999);
	assert_int_equal(index_check(fx->s), 0);
}

/* Shadow tables of the index, overwritten as a bad page would. */
static void damage(struct fx *fx, const char *sql)
{
	assert_int_equal(sqlite3_db_config(fx->s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL), SQLITE_OK);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(db_exec(fx->s, sql), 0);
	assert_int_equal(store_commit(fx->s), 0);
	assert_int_equal(sqlite3_db_config(fx->s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL), SQLITE_OK);
	fx_reopen(fx);
}

/*
 * Leaves that hold something else. FTS5 believes a leaf whose second number, where its words end (0x0e95), is inside of
 * it: what randomblob() writes is such a one now and then, and this test must not depend on that.
 */
#define LEAVES(head)                                                                                           \
	"UPDATE fts_data SET block=CAST(x'" head "' || replace(hex(zeroblob((length(block)-4)/4)), '00', 'zzzz')" \
	" AS BLOB) WHERE id>10"

/* silent: FTS5 finds fewer messages and no error. */
static const struct {
	const char *sql, *why;
	bool silent;
} damages[] = {
	{ LEAVES("543a0e95"), "all leaves hold something else that could be a leaf", true },
	{ "UPDATE fts_data SET block=zeroblob(length(block)) WHERE id>10", "all leaves", false },
	{ LEAVES("543afff5"), "all leaves hold something else", false },
	{ "UPDATE fts_data SET block=x'00' WHERE id=10", "the list of segments", true },
	{ "UPDATE fts_data SET block=x'00000000000000' WHERE id=10", "the list of segments is empty", true },
	{ "DELETE FROM fts_data WHERE id>10", "leaves missing", false },
	{ "DELETE FROM fts_data", "everything missing", false },
};

TEST(damage_of_the_index_is_found_and_repaired_alone)
{
	struct fx *fx = *state;

	fill(fx, 300);
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		int64_t rows = sql(fx, "SELECT count(*) FROM msg"), sum = sql(fx, "SELECT sum(mod) FROM msg");

		index_all(fx);
		damage(fx, damages[i].sql);

		if (index_check(fx->s) != STORE_E_DAMAGED)
			fail_msg("not found: %s", damages[i].why);
		assert_int_equal(index_rebuild(fx->s), 0);
		index_all(fx);

		assert_int_equal(index_check(fx->s), 0);
		assert_int_equal(in_index(fx, "common"), rows);
		assert_int_equal(sql(fx, "SELECT count(*) FROM msg"), rows);
		assert_int_equal(sql(fx, "SELECT sum(mod) FROM msg"), sum);
	}
}

/* Nobody has to ask for a check: what meets the damage has the index made anew, and upkeep looks for what is silent. */
TEST(damage_of_the_index_stops_no_search_and_no_message)
{
	struct fx *fx = *state;

	fill(fx, 300);
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		char id[16], by[16];
		int n;

		index_all(fx);
		/* One segment: how many there are depends on the time that the batches took. */
		assert_int_equal(store_begin(fx->s), 0);
		assert_int_equal(db_exec(fx->s, "INSERT INTO fts(fts) VALUES('optimize')"), 0);
		assert_int_equal(store_commit(fx->s), 0);
		damage(fx, damages[i].sql);
		fx->s->index.walk_rows = 0;
		n = hits(fx, "word299");
		if (!damages[i].silent && n != 1)
			fail_msg("not found: %s", damages[i].why);
		/* If FTS5 says more than the table says, then so shall the table. */
		if (damages[i].silent && (n != 0 || fx->s->index.damaged))
			fail_msg("not silent: %s", damages[i].why);

		snprintf(id, sizeof(id), "fill-%d", (int)i);
		snprintf(by, sizeof(by), "by-%d", (int)i);
		correct(fx, id, by, "corrected text");
		fill(fx, 1);
		index_all(fx);
		if (hits(fx, "corrected") != (int)i + 1 || hits(fx, "word299") != 1)
			fail_msg("not repaired: %s", damages[i].why);
		assert_int_equal(index_check(fx->s), 0);
	}
}

/* The file as version 1 made it: what schema 2 added is taken away again, by hand. */
TEST(a_file_of_version_1_gets_its_index)
{
	struct fx *fx = *state;

	fill(fx, 50);
	fx_reopen(fx);
	fx_undo_v3(fx);
	assert_int_equal(db_exec(fx->s, "DROP TRIGGER msg_body; DROP TRIGGER msg_gone; DROP TABLE fts_term;"
					"DROP TABLE fts; DROP VIEW fts_source; DROP TABLE fts_state; DROP TABLE fts_dirty;"
					"PRAGMA user_version=1"), 0);
	assert_int_equal(sql(fx, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%fts%' OR sql LIKE '%fts%'"),
			 0);

	fx_reopen(fx);

	assert_int_equal(sql(fx, "PRAGMA user_version"), SCHEMA_VERSION);
	assert_int_equal(hits(fx, "common"), 50);
	index_all(fx);
	assert_int_equal(in_index(fx, "common"), 50);
	assert_int_equal(index_check(fx->s), 0);
}

int main(void)

{
	const struct CMUnitTest tests[] = {
		RUN(new_messages_cost_the_index_nothing_until_it_comes_to_them),
		RUN(the_index_stays_true_when_texts_change_and_go),
		RUN(retracted_words_leave_the_image),
		RUN(a_retraction_during_the_merge_job_is_erased_too),
		RUN(a_removed_account_leaves_the_index),
		RUN(an_index_of_another_tokenizer_is_made_anew_in_steps),
		RUN(damage_of_the_index_is_found_and_repaired_alone),
		RUN(damage_of_the_index_stops_no_search_and_no_message),
		RUN(a_file_of_version_1_gets_its_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
