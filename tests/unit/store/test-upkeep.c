/* What an idle daemon does: bounded slices, and nothing at all when there is nothing to do. */
#define _GNU_SOURCE /* syscall */
#include "fixture.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/conversation.h"
#include "store/copy.h"
#include "store/index.h"
#include "vault/wal-cache.h"

/* Memory that went back to the kernel in one piece as large as the pages of the log that the vault keeps. */
static int given_back;

/* In the place of libc's. */
int munmap(void *p, size_t size)
{
	given_back += size >= WAL_CACHE_FRAMES * PAGE_SIZE;
	return (int)syscall(SYS_munmap, p, size);
}

static void fill(struct fx *fx, int from, int n)
{
	assert_int_equal(store_begin(fx->s), 0);
	for (int i = from; i < from + n; i++) {
		char id[16], aid[16];
		struct put_outcome out;
		struct message m;

		snprintf(id, sizeof(id), "m%d", i);
		snprintf(aid, sizeof(aid), "a%d", i);
		m = with_aid(text_in(id, "some words that are indexed later, and a few more to fill the page"), aid);
		assert_int_equal(archive_put_live(fx->s, fx->account, fx->archive, OWN, &m, fx->now + i, false, &out), 0);
	}
	assert_int_equal(store_commit(fx->s), 0);
}

/* Runs until nothing is left; returns the number of slices. */
static int run_upkeep(struct fx *fx, int64_t budget_us)
{
	int n = 1, r;

	while ((r = store_upkeep(fx->s, budget_us)) > 0)
		assert_true(++n < 100000);
	assert_int_equal(r, 0);
	return n;
}

static int64_t rows(struct fx *fx, const char *table)
{
	_cleanup_(freep) char *sql = xasprintf("SELECT count(*) FROM %s", table);
	int64_t n;

	assert_int_equal(db_number(fx->s->db, sql, &n), 0);
	return n;
}

/* Frames of the log that are not in the database yet. */
static int frames_left(struct fx *fx)
{
	int frames = 0, done = 0;

	/* A passive checkpoint tells both; it copies, so this is asked once. */
	assert_int_equal(sqlite3_wal_checkpoint_v2(fx->s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &done), 0);
	return frames;
}

TEST(an_idle_store_sets_no_timer)
{
	struct fx *fx = *state;

	run_upkeep(fx, 1000);
	assert_false(store_upkeep_due(fx->s));
	assert_int_equal(store_upkeep(fx->s, 1000), 0);
	fx_reopen(fx);
	assert_false(store_upkeep_due(fx->s));
}

TEST(everything_due_gets_done)
{
	struct fx *fx = *state;
	int64_t mark = 0;

	fill(fx, 0, 1500);
	assert_true(store_upkeep_due(fx->s));
	assert_true(run_upkeep(fx, 500) > 1);
	assert_false(store_upkeep_due(fx->s));
	assert_int_equal(index_watermark(fx->s, &mark), 0);
	assert_int_equal(mark, 1500);
}

TEST(a_short_log_is_left_alone_and_a_long_one_is_not)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = xstrdup(fx->s->path);
	int64_t size;

	run_upkeep(fx, 1000);
	assert_int_equal(store_checkpoint(fx->s), 0);
	run_upkeep(fx, 1000);
	size = file_size(db);
	fx->s->limits.log_frames = 100000;
	fill(fx, 0, 300);
	run_upkeep(fx, 100000);
	assert_int_equal(file_size(db), size);

	fx->s->limits.log_frames = 20;
	assert_true(store_upkeep_due(fx->s));
	given_back = 0;
	assert_int_equal(store_upkeep(fx->s, 100000), 0);
	assert_true(file_size(db) > size);
	assert_int_equal(given_back, 1);
	assert_false(store_upkeep_due(fx->s));
}

/* In the middle of work: what is in the log goes into the database, and the next transaction begins it anew. */
TEST(a_log_that_got_long_can_be_shortened_between_two_transactions)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *db = xstrdup(fx->s->path);
	_cleanup_(freep) char *wal = xasprintf("%s-wal", fx->s->path);
	int64_t size;

	run_upkeep(fx, 1000);
	size = file_size(db);
	assert_false(store_log_is_long(fx->s));
	fx->s->limits.log_long = 20;
	fill(fx, 0, 300);
	assert_true(store_log_is_long(fx->s));
	given_back = 0;
	assert_int_equal(store_shorten_log(fx->s), 0);
	assert_int_equal(given_back, 0);
	assert_true(file_size(db) > size);
	assert_false(store_log_is_long(fx->s));
	size = file_size(wal);
	fx->s->limits.log_long = 100000;
	fill(fx, 300, 10);
	assert_false(store_log_is_long(fx->s));
	assert_int_equal(file_size(wal), size);
}

/* What a crash left in the log is seen by the next start. */
TEST(an_old_log_is_due)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *wal = xasprintf("%s-wal", fx->s->path);

	run_upkeep(fx, 1000);
	fx->s->limits.log_frames = 100000;
	fill(fx, 0, 2500);
	db_close(fx->s, true);
	assert_true(file_size(wal) > 210 * 4120);
	fx_reopen(fx);
	/* Enough pages for the log alone. */
	assert_true(-fx->s->log_seen > 200);
	assert_true(store_upkeep_due(fx->s));
	run_upkeep(fx, 10000);
	assert_false(store_upkeep_due(fx->s));
	assert_true(frames_left(fx) >= 0);
}

TEST(an_account_goes_in_slices)
{
	struct fx *fx = *state;
	int64_t account = fx->account;

	fill(fx, 0, 1500);
	run_upkeep(fx, 5000);
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(account_remove(fx->s, account), 0);
	assert_int_equal(store_commit(fx->s), 0);
	assert_true(rows(fx, "msg") > 400);
	assert_true(store_upkeep_due(fx->s));
	/* Slices of one millisecond: many of them, and what is asked between them is answered. */
	assert_true(run_upkeep(fx, 1000) > 3);
	assert_int_equal(rows(fx, "msg"), 0);
	assert_int_equal(rows(fx, "aid"), 0);
	assert_int_equal(rows(fx, "account"), 0);
	assert_int_equal(rows(fx, "conv"), 0);
}

/* What waits for a target is limited per account, but not small. */
TEST(waiting_references_go_in_slices_too)
{
	struct fx *fx = *state;

	for (int i = 0; i < 20; i++) {
		char id[16];

		snprintf(id, sizeof(id), "none-%d", i);
		put_live(fx, ref_in(PAYLOAD_RETRACTION, id), false);
	}
	assert_int_equal(rows(fx, "pending_ref"), 20);
	fx->s->limits.purge_rows = 7;
	assert_int_equal(store_begin(fx->s), 0);
	assert_int_equal(account_remove(fx->s, fx->account), 0);
	assert_int_equal(store_commit(fx->s), 0);
	assert_int_equal(rows(fx, "pending_ref"), 13);
	run_upkeep(fx, 1000);
	assert_int_equal(rows(fx, "pending_ref"), 0);
}

TEST(nothing_is_done_while_a_successor_waits)
{
	struct fx *fx = *state;
	struct page_keys keys;
	uint8_t master[PAGE_KEY] = { 1 }, id[FILE_ID] = { 2 };
	_cleanup_(freep) char *path = xasprintf("%s/archive-2.db", fx->dir);
	struct copy *c;

	fill(fx, 0, 500);
	page_keys_derive(&keys, master, id, 2);
	assert_int_equal(copy_new(fx->s, COPY_SUCCESSOR, path, &keys, &c), 0);
	while (copy_step(c, 5000) > 0)
		;
	assert_false(store_upkeep_due(fx->s));
	assert_int_equal(store_upkeep(fx->s, 5000), 0);
	copy_free(c);
	assert_true(store_upkeep_due(fx->s));
}

/* Whatever comes, goes, is counted so far or undone: the number is right, and it is not counted from the beginning. */
TEST(messages_are_counted_once)
{
	struct fx *fx = *state;
	uint32_t x = 7;
	uint64_t n;
	int next = 0;

	fx->s->limits.count_rows = 20;
	for (int i = 0; i < 300; i++) {
		int64_t doomed;

		x = x * 1664525 + 1013904223;
		switch (x >> 29) {
		case 0:
			assert_in_range(store_upkeep(fx->s, 1000), 0, 1);
			break;
		case 1:
			fx_reopen(fx);
			fx->s->limits.count_rows = 20;
			break;
		case 2:
		case 3:
			assert_int_equal(db_number(fx->s->db, "SELECT id FROM msg ORDER BY random() LIMIT 1", &doomed), 0);
			assert_int_equal(store_begin(fx->s), 0);
			assert_in_range(conversation_delete_messages(fx->s, fx->account, &doomed, 1, fx->now), 0, 100);
			if (x & 1 << 20)
				store_rollback(fx->s);
			else
				assert_int_equal(store_commit(fx->s), 0);
			break;
		default:
			fill(fx, next, 3);
			next += 3;
			break;
		}
		assert_int_equal(archive_count(fx->s, fx->account, &n), 0);
		assert_int_equal(n, rows(fx, "msg"));
	}
	run_upkeep(fx, 1000);
	assert_int_equal(rows(fx, "meta WHERE name LIKE 'count%'"), 2);
	assert_false(store_upkeep_due(fx->s));
	/* A million would be read for it. */
	assert_int_equal(db_exec(fx->s, "UPDATE meta SET value=1000000 WHERE name LIKE 'count.%'"), 0);
	assert_int_equal(archive_count(fx->s, fx->account, &n), 0);
	assert_in_range(n, 1000000, 1000000 + 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(messages_are_counted_once),
		RUN(an_idle_store_sets_no_timer),
		RUN(everything_due_gets_done),
		RUN(a_short_log_is_left_alone_and_a_long_one_is_not),
		RUN(a_log_that_got_long_can_be_shortened_between_two_transactions),
		RUN(an_old_log_is_due),
		RUN(an_account_goes_in_slices),
		RUN(waiting_references_go_in_slices_too),
		RUN(nothing_is_done_while_a_successor_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
