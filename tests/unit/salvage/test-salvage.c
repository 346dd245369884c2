/*
 * Archives made by the real store, damaged in every way that the format can notice: what is not on a damaged page comes
 * back, and nothing else.
 */
#include "damage.h"

#include <stdio.h>
#include <unistd.h>

#include "vault/vault.h"

enum { MESSAGES = 450 };

struct bench {
	struct rows sql;
	struct files files;
};

/* ${in_log}: leave the newest messages in the log. */
static struct bench begin(struct fx *fx, size_t in_log)
{
	struct bench b;

	fill(fx, MESSAGES);
	/* Ids that were taken in advance and not used would count as missing, as after a kill. */
	fx_reopen(fx);
	assert_int_equal(store_checkpoint(fx->s), 0);
	for (size_t i = 0; i < in_log; i++) {
		char id[32];

		snprintf(id, sizeof(id), "late-%zu", i);
		put_live(fx, text_in(id, id), false);
	}
	b.sql = rows_of(fx->s->db);
	copy_files(fx, &b.files);
	return b;
}

static void end(struct bench *b, struct got *g)
{
	got_deinit(g);
	rows_deinit(&b->sql);
	remove_files(&b->files);
}

TEST(nothing_damaged_every_row_comes_back)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);
	struct got g = salvage(fx, &b.files);
	struct rows plain;
	sqlite3 *db;

	assert_int_equal(g.counts.good, g.counts.pages);
	assert_false(g.counts.header_made);
	assert_int_equal(g.result.missing, 0);
	assert_int_equal(g.result.cut, 0);
	assert_salvaged(&g, &b.sql);
	for (size_t i = 0; i < g.rows.n; i++)
		assert_true(*g.rows.list[i].account && *g.rows.list[i].conversation);

	/* The image is a database like any other. */
	assert_int_equal(sqlite3_open_v2(b.files.image, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	plain = rows_of(db);
	assert_int_equal(plain.n, b.sql.n);
	assert_salvaged(&g, &plain);
	sqlite3_close(db);
	rows_deinit(&plain);
	end(&b, &g);
}

TEST(what_is_only_in_the_log_comes_back)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 60);
	struct got g = salvage(fx, &b.files);

	assert_true(g.counts.from_log > 0);
	assert_int_equal(g.counts.log.bad, 0);
	assert_salvaged(&g, &b.sql);
	assert_int_equal(count_in_image(&b.files), (int64_t)b.sql.n);
	end(&b, &g);
}

TEST(a_new_archive_that_never_left_its_log_comes_back)
{
	struct fx *fx = *state;
	struct bench b;
	struct got g;

	put_live(fx, text_in("1", "only"), false);
	b.sql = rows_of(fx->s->db);
	copy_files(fx, &b.files);
	g = salvage(fx, &b.files);
	assert_salvaged(&g, &b.sql);
	assert_int_equal(count_in_image(&b.files), 1);
	end(&b, &g);
}

TEST(one_page_of_messages_damaged)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);
	struct pages leaves = pages_of(fx, "msg", "leaf");
	uint32_t bad = leaves.list[leaves.n / 2];
	struct got g;

	flip_page(&b.files, bad);
	mark_damage(fx, &b.sql, &bad, 1);
	g = salvage(fx, &b.files);
	assert_int_equal(g.counts.bad, 1);
	assert_true(g.rows.n < b.sql.n);
	assert_salvaged(&g, &b.sql);
	assert_int_equal(g.result.missing, b.sql.n - g.rows.n);
	assert_int_equal(g.result.n_ranges, 1);
	pages_deinit(&leaves);
	end(&b, &g);
}

/* 15 histories of twenty pages that can be any. */
TEST(twenty_random_pages_damaged)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);
	uint64_t seed = 1;

	for (int round = 0; round < 15; round++) {
		uint32_t bad[20];
		struct got g;

		copy_files(fx, &b.files);
		rows_deinit(&b.sql);
		b.sql = rows_of(fx->s->db);
		for (size_t i = 0; i < ARRAY_SIZE(bad);) {
			bool again = false;

			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			bad[i] = (uint32_t)((seed >> 33) % (uint64_t)(file_size(b.files.db) / PAGE_SIZE)) + 1;
			for (size_t j = 0; j < i; j++)
				again = again || bad[j] == bad[i];
			if (again)
				continue;
			flip_page(&b.files, bad[i++]);
		}
		mark_damage(fx, &b.sql, bad, ARRAY_SIZE(bad));
		g = salvage(fx, &b.files);
		assert_int_equal(g.counts.bad, ARRAY_SIZE(bad));
		assert_salvaged(&g, &b.sql);
		got_deinit(&g);
	}
	rows_deinit(&b.sql);
	remove_files(&b.files);
}

TEST(page_1_lost_the_tables_are_found_again)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);
	struct got g;

	flip_page(&b.files, 1);
	g = salvage(fx, &b.files);
	assert_true(g.counts.header_made);
	assert_int_equal(g.counts.bad, 1);
	assert_salvaged(&g, &b.sql);
	assert_int_equal(count_in_image(&b.files), (int64_t)b.sql.n);
	end(&b, &g);
}

TEST(all_pages_above_the_leaves_damaged)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);
	struct pages above = pages_of(fx, "msg", "internal");
	struct got g;

	assert_true(above.n > 0);
	for (size_t i = 0; i < above.n; i++)
		flip_page(&b.files, above.list[i]);
	g = salvage(fx, &b.files);
	assert_int_equal(g.counts.bad, above.n);
	assert_salvaged(&g, &b.sql);
	/* SQL alone would have none of them. */
	assert_int_equal(count_in_image(&b.files), -1);
	pages_deinit(&above);
	end(&b, &g);
}

TEST(a_lost_overflow_page_cuts_its_message)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);
	struct pages over = pages_of(fx, "msg", "overflow");
	struct got g;

	assert_true(over.n > 2);
	flip_page(&b.files, over.list[1]);
	mark_damage(fx, &b.sql, &over.list[1], 1);
	g = salvage(fx, &b.files);
	assert_int_equal(g.result.cut, 1);
	assert_salvaged(&g, &b.sql);
	pages_deinit(&over);
	end(&b, &g);
}

TEST(the_end_of_the_file_is_missing)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);
	uint32_t pages = (uint32_t)(file_size(b.files.db) / PAGE_SIZE), left = pages / 2, bad[4096];
	struct got g;

	assert_true(pages < ARRAY_SIZE(bad));
	assert_int_equal(truncate(b.files.db, (int64_t)left * PAGE_SIZE + 1000), 0);
	for (uint32_t i = left; i < pages; i++)
		bad[i - left] = i + 1;
	mark_damage(fx, &b.sql, bad, pages - left);
	g = salvage(fx, &b.files);
	assert_int_equal(g.counts.pages, pages);
	assert_int_equal(g.counts.good, left);
	assert_int_equal(g.counts.bad, 1); /* the page that was cut */
	assert_int_equal(g.counts.missing, pages - left - 1);
	assert_salvaged(&g, &b.sql);
	end(&b, &g);
}

/* Ids go up, and each is a message that there is, in a state not newer than its last. */
static void assert_nothing_invented(const struct got *g, const struct rows *sql)
{
	size_t at = 0;

	for (size_t i = 0; i < g->rows.n; i++, at++) {
		while (at < sql->n && sql->list[at].id < g->rows.list[i].id)
			at++;
		assert_true(at < sql->n && sql->list[at].id == g->rows.list[i].id);
		assert_true(g->rows.list[i].mod <= sql->list[at].mod);
		assert_string_equal(g->rows.list[i].sender, sql->list[at].sender);
	}
}

/* Many frames of the log in turn: the others are used, and what was there before the log is there. */
static void damage_frames(struct fx *fx, struct bench *b, size_t before)
{
	int64_t frames = (file_size(b->files.log) - WAL_HEADER) / FRAME_SIZE;

	for (int64_t i = 0; i < frames; i += i < frames / 5 ? 1 : 1 + frames / 20) {
		struct got g;

		copy_files(fx, &b->files);
		flip(b->files.log, WAL_HEADER + i * FRAME_SIZE + FRAME_HEADER + 100);
		g = salvage(fx, &b->files);
		if (i < frames / 2) { /* commits follow */
			assert_int_equal(g.counts.log.bad, 1);
			assert_int_equal(g.counts.log.good, frames - 1);
		}
		assert_nothing_invented(&g, &b->sql);
		assert_true(g.rows.n >= before);
		got_deinit(&g);
	}
}

TEST(one_frame_of_the_log_damaged)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 25);

	damage_frames(fx, &b, b.sql.n - 25);
	rows_deinit(&b.sql);
	remove_files(&b.files);
}

/* Rows that grow move to other pages: when one of these is older than the rest, a row is on two. */
TEST(rows_on_two_pages_come_back_once)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);

	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(db_exec(fx->s, "UPDATE msg SET error_text = hex(zeroblob(300)), mod = mod + 100000 WHERE id % 3 = 1"), 0);
	assert_int_equal(store_commit(fx->s), 0);
	for (int i = 0; i < 60; i++) {
		char id[32];

		snprintf(id, sizeof(id), "late-%d", i);
		put_live(fx, text_in(id, id), false);
	}
	rows_deinit(&b.sql);
	b.sql = rows_of(fx->s->db);
	copy_files(fx, &b.files);
	damage_frames(fx, &b, b.sql.n - 40); /* a page holds fewer */
	rows_deinit(&b.sql);
	remove_files(&b.files);
}

TEST(a_torn_end_of_the_log_loses_its_transaction_only)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 20);
	struct got g;

	assert_int_equal(truncate(b.files.log, file_size(b.files.log) - 2000), 0);
	g = salvage(fx, &b.files);
	assert_int_equal(g.counts.log.bad, 0);
	assert_true(g.counts.log.unfinished > 0);
	b.sql.list[b.sql.n - 1].on_disk = false; /* one message a transaction */
	assert_salvaged(&g, &b.sql);
	end(&b, &g);
}

/*
 * A frame goes bad, varved starts again, and SQLite takes the log up to there and writes on over the rest. What it has
 * not yet written over still authenticates, commits included, but is no part of the archive.
 */
TEST(frames_that_a_crash_left_behind_stay_away)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 20);
	_cleanup_(freep) char *path = xstrdup(vault_path(fx->v)), *log = xasprintf("%s-wal", path);
	int64_t frames = (file_size(b.files.log) - WAL_HEADER) / FRAME_SIZE;
	size_t all = b.sql.n;
	struct got g;

	flip(b.files.log, WAL_HEADER + frames / 2 * FRAME_SIZE + FRAME_HEADER + 100);
	fx_close(fx);
	assert_int_equal(rename(b.files.db, path), 0);
	assert_int_equal(rename(b.files.log, log), 0);
	fx_reopen(fx);
	put_live(fx, text_in("after", "after"), false);
	rows_deinit(&b.sql);
	b.sql = rows_of(fx->s->db);
	assert_true(b.sql.n < all);
	copy_files(fx, &b.files);
	g = salvage(fx, &b.files);
	assert_true(g.counts.log.unfinished > 0);
	assert_salvaged(&g, &b.sql);
	end(&b, &g);
}

TEST(the_header_of_the_log_damaged)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 20);
	struct got g;

	flip(b.files.log, 17);
	g = salvage(fx, &b.files);
	assert_true(g.counts.log.header_lost);
	assert_int_equal(g.counts.log.bad, 0);
	assert_salvaged(&g, &b.sql);
	end(&b, &g);
}

TEST(rows_of_a_removed_account_stay_away)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);
	struct got g;

	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(db_exec(fx->s, "UPDATE account SET removed = 1"), 0);
	assert_int_equal(store_commit(fx->s), 0);
	copy_files(fx, &b.files);
	g = salvage(fx, &b.files);
	assert_int_equal(g.rows.n, 0);
	end(&b, &g);
}

TEST(deleted_rows_stay_away)
{
	struct fx *fx = *state;
	struct bench b = begin(fx, 0);
	struct got g;

	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(db_exec(fx->s, "PRAGMA foreign_keys=OFF; DELETE FROM aid; DELETE FROM msg WHERE id % 7 <> 3"), 0);
	assert_int_equal(store_commit(fx->s), 0);
	rows_deinit(&b.sql);
	b.sql = rows_of(fx->s->db);
	copy_files(fx, &b.files);
	g = salvage(fx, &b.files);
	assert_salvaged(&g, &b.sql);
	end(&b, &g);
}

TEST(keys_of_another_archive_open_nothing)
{
	struct fx *fx = *state, *other;
	struct bench b = begin(fx, 5);
	void *second;
	struct got g;

	assert_int_equal(fx_setup(&second), 0);
	other = second;
	g = salvage(other, &b.files);
	assert_int_equal(g.counts.good, 0);
	assert_int_equal(g.counts.log.good, 0);
	assert_int_equal(g.rows.n, 0);
	assert_int_equal(fx_teardown(&second), 0);
	end(&b, &g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(nothing_damaged_every_row_comes_back),
		RUN(what_is_only_in_the_log_comes_back),
		RUN(a_new_archive_that_never_left_its_log_comes_back),
		RUN(one_page_of_messages_damaged),
		RUN(twenty_random_pages_damaged),
		RUN(page_1_lost_the_tables_are_found_again),
		RUN(all_pages_above_the_leaves_damaged),
		RUN(a_lost_overflow_page_cuts_its_message),
		RUN(the_end_of_the_file_is_missing),
		RUN(one_frame_of_the_log_damaged),
		RUN(rows_on_two_pages_come_back_once),
		RUN(a_torn_end_of_the_log_loses_its_transaction_only),
		RUN(frames_that_a_crash_left_behind_stay_away),
		RUN(the_header_of_the_log_damaged),
		RUN(rows_of_a_removed_account_stay_away),
		RUN(deleted_rows_stay_away),
		RUN(keys_of_another_archive_open_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
