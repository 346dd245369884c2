/*
 * wal-cache.c and its use in vfs-wal.c: pages of the log that stay in memory are always what is on the disk. Built six
 * more times with a rule broken (tests/torture/mutate.py, cache-*), and must then fail.
 */
#define _GNU_SOURCE /* syscall */
#include "spy.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vault/wal-cache.h"

enum { CACHE_BYTES = WAL_CACHE_FRAMES * PAGE_SIZE };

/* Caches that were given back, and how many of them still held something. */
static int freed, dirty;

/* In the place of libc's. */
int munmap(void *p, size_t size)
{
	const uint8_t *bytes = p;

	/* Nothing else here maps as much. */
	if (size >= CACHE_BYTES && size < CACHE_BYTES + 65536) {
		freed++;
		for (size_t i = 0; i < CACHE_BYTES; i++)
			if (bytes[i]) {
				dirty++;
				break;
			}
	}
	return (int)syscall(SYS_munmap, p, size);
}

static int setup(void **state)
{
	freed = dirty = 0;
	return spy_setup(state);
}

#undef RUN
#define RUN(name) cmocka_unit_test_setup_teardown(name, setup, spy_teardown)

static uint32_t chance(uint32_t *x, uint32_t below)
{
	*x = *x * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*x * below >> 32);
}

/* A page like no other. */
static void page_of(uint8_t page[PAGE_SIZE], uint32_t seed)
{
	for (size_t i = 0; i < PAGE_BODY; i += 4)
		memcpy(page + i, &(uint32_t){ seed * 2654435761u + (uint32_t)i }, 4);
	memset(page + PAGE_BODY, 0, PAGE_RESERVE);
}

static int64_t frame_at(uint32_t frame)
{
	return WAL_HEADER + (int64_t)(frame - 1) * FRAME_SIZE;
}

/* What the log must hold, and the file it is in. */
enum { FRAMES = 24 };

struct shadow {
	struct place *p;
	sqlite3_file *f;
	bool log; /* there is a header */
	uint8_t header[WAL_HEADER];
	uint32_t high; /* as vfs_wal_state.good: up to here a header is taken for one that is patched */
	uint32_t next; /* seed of the next page */
	struct {
		bool good;
		uint8_t header[FRAME_HEADER];
		uint32_t seed;
	} frames[FRAMES + 1]; /* from 1 */
	unsigned fails; /* writes that failed */
};

static void lost_from(struct shadow *s, uint32_t frame)
{
	if (s->high >= frame)
		s->high = frame - 1;
}

static bool failed(struct shadow *s, int rc)
{
	spy_fail_write(0);
	s->fails += rc == SQLITE_FULL;
	assert_true(rc == SQLITE_OK || rc == SQLITE_FULL);
	return rc != SQLITE_OK;
}

static void sealed(struct shadow *s, uint32_t frame, int rc)
{
	s->frames[frame].good = !failed(s, rc);
	if (!s->frames[frame].good)
		lost_from(s, frame);
	else if (s->high < frame)
		s->high = frame;
}

static void do_reset(struct shadow *s)
{
	uint8_t header[WAL_HEADER] = { 0x37, 0x7f, 6, 0x82, 0, 0x2d, 0xe2, 0x18, 0, 0, 0x10, 0 };

	memcpy(header + 16, &(uint32_t){ ++s->next }, 4);
	s->high = 0;
	/* The half that is written ends before the salts: what was there is there. */
	if (failed(s, raw_write(s->f, header, WAL_HEADER, 0)))
		return;
	memcpy(s->header, header, WAL_HEADER);
	s->log = true;
	for (uint32_t i = 1; i <= FRAMES; i++)
		s->frames[i].good = false;
}

/* A new frame, over whatever is there; not the last one of its transaction if ${more}: then it is not written yet. */
static int put_frame(struct shadow *s, uint32_t frame, bool owed, bool more)
{
	uint8_t page[PAGE_SIZE], header[FRAME_HEADER] = { 0, 0, 0, (uint8_t)frame, 0, 0, 0, more ? 0 : 24 };
	int rc;

	if (!owed)
		memcpy(header + 8, s->header + 16, WAL_SALTS);
	memcpy(header + 16, &(uint32_t){ ++s->next }, 4);
	page_of(page, s->next);
	if (frame <= s->high && !s->frames[frame].good)
		lost_from(s, frame);
	rc = raw_write(s->f, header, FRAME_HEADER, frame_at(frame));
	if (rc == SQLITE_OK)
		rc = raw_write(s->f, page, PAGE_SIZE, frame_at(frame) + FRAME_HEADER);
	memcpy(s->frames[frame].header, header, FRAME_HEADER);
	s->frames[frame].seed = s->next;
	return rc;
}

static void do_frame(struct shadow *s, uint32_t frame, bool owed)
{
	sealed(s, frame, put_frame(s, frame, owed, false));
}

/* A transaction of ${n} frames at the end of what is there. They are one write, of which half may fail. */
static void do_frames(struct shadow *s, uint32_t n)
{
	uint32_t first = s->high + 1, there;
	struct shadow before = *s;
	int rc;

	if (first + n > FRAMES + 1)
		return;
	for (uint32_t i = 0; i + 1 < n; i++)
		assert_int_equal(put_frame(s, first + i, false, true), SQLITE_OK);
	rc = put_frame(s, first + n - 1, false, false);
	there = failed(s, rc) ? n / 2 : n;
	for (uint32_t i = 0; i < n; i++) {
		/* Behind the half that was written is what was there. */
		if (i > there || (i == there && n % 2 == 0))
			s->frames[first + i] = before.frames[first + i];
		else
			s->frames[first + i].good = i < there;
	}
	if (there == n)
		s->high = first + n - 1;
	else
		lost_from(s, first);
}

static void do_page(struct shadow *s, uint32_t frame)
{
	uint8_t page[PAGE_SIZE];

	page_of(page, ++s->next);
	s->frames[frame].seed = s->next;
	sealed(s, frame, raw_write(s->f, page, PAGE_SIZE, frame_at(frame) + FRAME_HEADER));
}

static void do_header(struct shadow *s, uint32_t frame)
{
	memcpy(s->frames[frame].header + 8, s->header + 16, WAL_SALTS);
	memcpy(s->frames[frame].header + 16, &(uint32_t){ ++s->next }, 4);
	sealed(s, frame, raw_write(s->f, s->frames[frame].header, FRAME_HEADER, frame_at(frame)));
}

static void do_truncate(struct shadow *s, int64_t size)
{
	assert_int_equal(s->f->pMethods->xTruncate(s->f, size), SQLITE_OK);
	if (size < WAL_HEADER)
		s->log = false;
	for (uint32_t i = 1; i <= FRAMES; i++)
		if (!s->log || frame_at(i) + FRAME_SIZE > size) {
			s->frames[i].good = false;
			lost_from(s, i);
		}
}

/* Every page as a checkpoint would read it; what is not there is an error and no old bytes. */
static void check_pages(struct shadow *s)
{
	uint8_t want[PAGE_SIZE], got[PAGE_SIZE];

	for (uint32_t i = 1; i <= FRAMES; i++) {
		int rc = raw_read(s->f, got, PAGE_SIZE, frame_at(i) + FRAME_HEADER);

		page_of(want, s->frames[i].seed);
		if (!s->frames[i].good)
			memset(want, 0, PAGE_SIZE);
		assert_int_equal(rc, s->frames[i].good ? SQLITE_OK : SQLITE_IOERR_DATA);
		assert_memory_equal(got, want, PAGE_SIZE);
	}
}

/* The disk says the same: to somebody who wrote nothing of it. */
static void check_disk(struct shadow *s)
{
	sqlite3_file *f = raw_open(s->p, SQLITE_OPEN_WAL);
	uint8_t want[FRAME_SIZE], got[FRAME_SIZE];

	for (uint32_t i = 1; s->log && i <= FRAMES; i++) {
		memcpy(want, s->frames[i].header, FRAME_HEADER);
		page_of(want + FRAME_HEADER, s->frames[i].seed);
		if (!s->frames[i].good)
			memset(want, 0, FRAME_SIZE);
		assert_int_equal(raw_read(f, got, FRAME_SIZE, frame_at(i)), SQLITE_OK);
		assert_memory_equal(got, want, FRAME_SIZE);
	}
	raw_close(f);
}

static void do_anything(struct shadow *s, uint32_t *x)
{
	uint32_t frame = 1 + chance(x, FRAMES);

	/* About every fifth write fails, half of it done; a new frame over an old one is two of them. */
	spy_fail_write(chance(x, 5) == 0 ? 1 + chance(x, 2) : 0);
	switch (s->log ? chance(x, 40) : 0) {
	case 0:
		do_reset(s);
		break;
	case 1:
		do_truncate(s, chance(x, 4) == 0 ? 0 : (int64_t)chance(x, (uint32_t)frame_at(FRAMES + 1)));
		break;
	case 2 ... 11:
		if (s->frames[frame].good)
			do_page(s, frame);
		break;
	case 12 ... 19:
		if (s->frames[frame].good && frame <= s->high)
			do_header(s, frame);
		break;
	case 20 ... 27:
		do_frames(s, 2 + chance(x, 5));
		break;
	default:
		do_frame(s, frame, chance(x, 3) == 0);
		break;
	}
	spy_fail_write(0);
}

TEST(the_cache_is_never_other_than_the_disk)
{
	for (uint32_t seed = 1; seed <= 4; seed++) {
		struct shadow s = { .p = *state, .f = raw_open(*state, SQLITE_OPEN_WAL) };
		uint32_t x = seed;

		do_truncate(&s, 0);
		for (int n = 0; n < 600; n++) {
			do_anything(&s, &x);
			/* First: whoever reads makes what is collected go to the disk. */
			if (n % 10 == 0)
				check_disk(&s);
			check_pages(&s);
		}
		assert_true(s.fails > 30);
		raw_close(s.f);
	}
	assert_true(freed > 4);
	assert_int_equal(dirty, 0);
}

/* Any part of a frame whose page is in memory. */
TEST(parts_of_a_frame_are_right_too)
{
	static const int starts[] = { 0, 1, 8, 16, 23, FRAME_HEADER, 25, 100 },
			 sizes[] = { 1, 8, 100, 4000, PAGE_SIZE };
	struct shadow s = { .p = *state, .f = raw_open(*state, SQLITE_OPEN_WAL) };
	uint8_t want[FRAME_SIZE], got[FRAME_SIZE];

	do_reset(&s);
	do_frame(&s, 1, false);
	memcpy(want, s.frames[1].header, FRAME_HEADER);
	page_of(want + FRAME_HEADER, s.frames[1].seed);
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++) {
			if (starts[i] + sizes[j] > FRAME_SIZE)
				continue;
			assert_int_equal(raw_read(s.f, got, sizes[j], WAL_HEADER + starts[i]), SQLITE_OK);
			assert_memory_equal(got, want + starts[i], sizes[j]);
		}
	raw_close(s.f);
}

/* A log of more frames than are kept: the newest are, all are right. */
TEST(a_log_may_be_longer_than_the_cache)
{
	enum { MORE = 300, ALL = WAL_CACHE_FRAMES + MORE };
	uint8_t log[WAL_HEADER] = { 0x37, 0x7f, 6, 0x82, 0, 0x2d, 0xe2, 0x18, 0, 0, 0x10, 0 };
	uint8_t header[FRAME_HEADER] = { 0, 0, 0, 2 }, want[PAGE_SIZE], got[PAGE_SIZE];
	struct place *p = *state;
	sqlite3_file *f = raw_open(p, SQLITE_OPEN_WAL);

	assert_int_equal(raw_write(f, log, WAL_HEADER, 0), SQLITE_OK);
	for (uint32_t i = 1; i <= ALL; i++) {
		page_of(want, i);
		assert_int_equal(raw_write(f, header, FRAME_HEADER, frame_at(i)), SQLITE_OK);
		assert_int_equal(raw_write(f, want, PAGE_SIZE, frame_at(i) + FRAME_HEADER), SQLITE_OK);
	}
	spy_take();
	for (uint32_t i = 1; i <= ALL; i++) {
		assert_int_equal(raw_read(f, got, PAGE_SIZE, frame_at(i) + FRAME_HEADER), SQLITE_OK);
		page_of(want, i);
		assert_memory_equal(got, want, PAGE_SIZE);
	}
	assert_int_equal(spy_take().reads[SPY_WAL], MORE);
	raw_close(f);
	assert_int_equal(freed, 1);
	assert_int_equal(dirty, 0);
}

/* What it is for; and what it is not for: another generation goes on in the same memory, an idle one gives it back. */
TEST(a_checkpoint_reads_nothing_that_was_written)
{
	struct place *p = *state;
	sqlite3 *db = db_open(p->path, "WAL");
	struct spy seen;

	for (int i = 0; i < 4; i++) {
		db_fill(db, 100, 500);
		spy_take();
		db_exec(db, "PRAGMA wal_checkpoint(PASSIVE)");
		seen = spy_take();
		assert_true(seen.writes[SPY_DB] > 15);
		assert_int_equal(seen.reads[SPY_WAL], 0);
	}
	assert_int_equal(freed, 0);
	vfs_trim(db);
	vfs_trim(db);
	assert_int_equal(freed, 1);
	db_fill(db, 100, 500);
	db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(freed, 2);
	db_fill(db, 100, 500);
	vfs_trim(db); /* at a bad moment: slower, not wrong */
	spy_take();
	db_exec(db, "PRAGMA wal_checkpoint(PASSIVE)");
	assert_true(spy_take().reads[SPY_WAL] > 15);
	db_fill(db, 1, 500);
	assert_int_equal(db_int(db, "SELECT count(*) FROM t"), 601);
	assert_true(db_sound(db));
	db_close(db);
	assert_int_equal(freed, 4);
	assert_int_equal(dirty, 0);
}

/* No log: a journal, nothing opened yet, plain SQLite. */
TEST(there_may_be_nothing_to_give_back)
{
	struct place *p = *state;
	sqlite3 *db = db_open(p->path, "DELETE");

	vfs_trim(db);
	db_exec(db, "CREATE TABLE t(x)");
	vfs_trim(db);
	db_close(db);
	assert_int_equal(
		sqlite3_open_v2(place_path(p, "plain.db"), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "spy"),
		SQLITE_OK);
	vfs_trim(db);
	db_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(x)");
	vfs_trim(db);
	db_close(db);
	assert_int_equal(freed, 0);
}

/* Damage to the log of a running daemon does no harm to what it still has in memory; recovery looks at the disk. */
TEST(damage_below_the_cache)
{
	struct place *p = *state;
	const char *wal = place_path(p, "a.db-wal"), *db_copy = place_path(p, "b.db"),
		   *keep = place_path(p, "b.db-wal");
	uint8_t bad[8] = "damaged", got[FRAME_SIZE];
	sqlite3 *db = db_open(p->path, "WAL");
	sqlite3_file *f;

	db_exec(db, "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=10");
	db_fill(db, 100, 500);
	db_exec(db, "PRAGMA wal_checkpoint(PASSIVE); UPDATE t SET body = body || 'x';");
	for (size_t at = WAL_HEADER; at < file_size(wal); at += FRAME_SIZE)
		file_patch(wal, at + 1000, bad, sizeof(bad));
	file_copy(p->path, db_copy);
	file_copy(wal, keep);
	assert_int_equal(db_int(db, "SELECT count(*) FROM t WHERE body LIKE '%x'"), 100);
	db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	db_close(db);
	db = db_open(p->path, "WAL");
	assert_int_equal(db_int(db, "SELECT count(*) FROM t WHERE body LIKE '%x'"), 100);
	assert_true(db_sound(db));
	db_close(db);

	/* killed before the checkpoint */
	assert_int_equal(vfs_bind(db_copy, &p->keys), 0);
	db = db_open(db_copy, "WAL");
	assert_int_equal(db_int(db, "SELECT count(*) FROM t WHERE body LIKE '%x'"), 0);
	db_close(db);
	vfs_unbind(db_copy);

	/* a whole frame is what is on the disk, and nothing else */
	f = raw_open(p, SQLITE_OPEN_WAL);
	struct shadow s = { .p = p, .f = f };
	do_reset(&s);
	do_frame(&s, 1, false);
	file_patch(wal, WAL_HEADER + 1000, bad, sizeof(bad));
	assert_int_equal(raw_read(f, got, FRAME_SIZE, WAL_HEADER), SQLITE_IOERR_DATA);
	assert_int_equal(raw_read(f, got, WAL_SALTS, WAL_HEADER + 16), SQLITE_IOERR_DATA);
	check_pages(&s);
	raw_close(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(the_cache_is_never_other_than_the_disk), RUN(parts_of_a_frame_are_right_too),
		RUN(a_log_may_be_longer_than_the_cache),     RUN(a_checkpoint_reads_nothing_that_was_written),
		RUN(there_may_be_nothing_to_give_back),      RUN(damage_below_the_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
