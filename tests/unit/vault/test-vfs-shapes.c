/*
 * The fail-closed table of facts/db.md section 1.3: every access of SQLite's shapes does what it should, every other
 * one is an error and leaves the file as it was.
 */
#include "vfs-fixture.h"

#include <unistd.h>

static const int sizes[] = { 1,    2,    3,    4,    7,    8,    12,   15,   16,   20,   23,   24,
			     25,   28,   31,   32,   33,   48,   99,   100,  255,  511,  512,  513,
			     1024, 2048, 4000, 4047, 4048, 4049, 4072, 4088, 4092, 4095, 4096, 4097,
			     4100, 4104, 4119, 4120, 4121, 4128, 4152, 8191, 8192, 8240 };
static const int64_t offsets[] = {
	0, 1, 4, 8, 12, 16, 20, 23, 24, 25, 28, 31, 32, 33, 40, 48, 55, 56, 57, 100, 511, 512, 513, 516, 1000,
	1024, 2048, 4072, 4095, 4096, 4097, 4100, 4120, 4151, 4152, 4153, 4176, 4608, 4612, 4616, 4620, 8191,
	8192, 8193, 8272, 8296, 12288, (INT64_C(1) << 44) + 1, INT64_C(1) << 44, INT64_C(1) << 62, -1, -4096,
};

/* Three good units in the file: pages, frames, or a header and two records. */
static void prepare(struct place *p, int type)
{
	static const uint8_t wal_header[WAL_HEADER] = { 0x37, 0x7f, 6, 0x82, 0, 0x2d, 0xe2, 0x18, 0, 0, 0x10, 0,
							0,    0,    0, 0,    1, 2,    3,    4,    5, 6, 7,    8 };
	static const uint8_t journal_header[512] = {
		0xd9, 0xd5, 5, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 2, 1,    2,
		3,    4,    0, 0,    0,    2,    0,    0,    2, 0, 0, 0, 0x10, 0
	};
	uint8_t page[PAGE_SIZE],
		header[FRAME_HEADER] = { 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9 };
	sqlite3_file *f;

	unlink(raw_path(p, type));
	f = raw_open(p, type);
	if (type == SQLITE_OPEN_WAL)
		assert_int_equal(raw_write(f, wal_header, WAL_HEADER, 0), SQLITE_OK);
	if (type == SQLITE_OPEN_MAIN_JOURNAL)
		assert_int_equal(raw_write(f, journal_header, 512, 0), SQLITE_OK);
	for (uint32_t i = 1; i <= 3; i++) {
		page_fill(page, i);
		if (type == SQLITE_OPEN_MAIN_DB) {
			assert_int_equal(raw_write(f, page, PAGE_SIZE, (i - 1) * PAGE_SIZE), SQLITE_OK);
		} else if (type == SQLITE_OPEN_WAL) {
			int64_t at = WAL_HEADER + (i - 1) * FRAME_SIZE;

			header[3] = (uint8_t)i;
			assert_int_equal(raw_write(f, header, FRAME_HEADER, at), SQLITE_OK);
			assert_int_equal(raw_write(f, page, PAGE_SIZE, at + FRAME_HEADER), SQLITE_OK);
		} else if (i < 3) {
			int64_t at = 512 + (i - 1) * RECORD_SIZE;

			assert_int_equal(raw_write(f, header, 4, at), SQLITE_OK);
			assert_int_equal(raw_write(f, page, PAGE_SIZE, at + 4), SQLITE_OK);
			assert_int_equal(raw_write(f, "sums", 4, at + 4 + PAGE_SIZE), SQLITE_OK);
		}
	}
	raw_close(f);
}

/* Which single writes of MARKER may change the file: full pages of the database; the page of a frame that is there,
 * over itself. (The header of one too, but not with MARKER in the place of its salts.) */
static bool may_change(int type, int amt, int64_t off)
{
	switch (type) {
	case SQLITE_OPEN_MAIN_DB:
		/* at 0 it is no page 1 */
		return amt == PAGE_SIZE && off > 0 && off % PAGE_SIZE == 0 && off < INT64_C(0xfffffffe) * PAGE_SIZE;
	case SQLITE_OPEN_WAL:
		if (off < WAL_HEADER || off >= WAL_HEADER + 3 * FRAME_SIZE)
			return false;
		off = (off - WAL_HEADER) % FRAME_SIZE;
		return off == FRAME_HEADER && amt == PAGE_SIZE;
	default:
		return false; /* a record has three parts */
	}
}

static void odd_writes(void **state, int type)
{
	struct place *p = *state;
	uint8_t data[3 * PAGE_SIZE], frame[FRAME_SIZE];
	_cleanup_(freep) uint8_t *before = NULL;
	size_t changed = 0, size = 0;

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
			_cleanup_(freep) uint8_t *after = NULL;
			size_t now;
			sqlite3_file *f;
			int rc;

			/* huge sparse files are not the point */
			if (offsets[o] > INT64_C(1) << 40 && may_change(type, sizes[s], offsets[o]))
				continue;
			if (!before) {
				prepare(p, type);
				before = file_read(raw_path(p, type), &size);
			}
			for (size_t i = 0; i < sizeof(data); i++)
				data[i] = (uint8_t)MARKER[i % (sizeof(MARKER) - 1)];
			if (sizes[s] == PAGE_SIZE)
				memset(data + PAGE_BODY, 0, PAGE_RESERVE);
			f = raw_open(p, type);
			if (type == SQLITE_OPEN_WAL) /* recovery has read it */
				for (int i = 0; i < 3; i++)
					assert_int_equal(raw_read(f, frame, FRAME_SIZE, WAL_HEADER + i * FRAME_SIZE),
							 SQLITE_OK);
			rc = raw_write(f, data, sizes[s], offsets[o]);
			if (rc == SQLITE_OK)
				rc = f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
			raw_close(f);
			after = file_read(raw_path(p, type), &now);
			if (may_change(type, sizes[s], offsets[o])) {
				if (rc != SQLITE_OK)
					fail_msg("write of %d at %lld: %d", sizes[s], (long long)offsets[o], rc);
				changed++;
				free(TAKE_PTR(before));
			} else if (rc == SQLITE_OK || now != size || memcmp(before, after, size) != 0) {
				fail_msg("write of %d at %lld: %d, %zu to %zu bytes", sizes[s], (long long)offsets[o],
					 rc, size, now);
			}
			assert_false(file_holds(raw_path(p, type), MARKER, 8));
		}
	assert_true(type == SQLITE_OPEN_MAIN_JOURNAL || changed >= 3);
}

TEST(odd_writes_to_the_database)
{
	odd_writes(state, SQLITE_OPEN_MAIN_DB);
}

TEST(odd_writes_to_the_log)
{
	odd_writes(state, SQLITE_OPEN_WAL);
}

TEST(odd_writes_to_the_journal)
{
	odd_writes(state, SQLITE_OPEN_MAIN_JOURNAL);
}

/* Any part of one page is right; what reaches over its end is refused. */
TEST(any_part_of_a_page_reads_right)
{
	struct place *p = *state;
	uint8_t page[PAGE_SIZE], got[3 * PAGE_SIZE];
	sqlite3_file *f;

	prepare(p, SQLITE_OPEN_MAIN_DB);
	f = raw_open(p, SQLITE_OPEN_MAIN_DB);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
			int64_t off = offsets[o], at = off % PAGE_SIZE;
			int rc = raw_read(f, got, sizes[s], off);

			if (off < 0 || off >= INT64_C(0xfffffffe) * PAGE_SIZE || at + sizes[s] > PAGE_SIZE) {
				assert_int_equal(rc, SQLITE_IOERR);
			} else if (off >= 3 * PAGE_SIZE) {
				assert_int_equal(rc, SQLITE_IOERR_DATA);
			} else {
				assert_int_equal(rc, SQLITE_OK);
				page_fill(page, (uint32_t)(off / PAGE_SIZE) + 1);
				assert_memory_equal(got, page + at, sizes[s]);
			}
		}
	raw_close(f);
}

/* A made-up header would fix SQLite's page size: facts/db.md section 1.2. */
TEST(an_empty_file_is_no_database)
{
	struct place *p = *state;
	sqlite3_file *f = raw_open(p, SQLITE_OPEN_MAIN_DB);
	uint8_t got[DB_HEADER], zero[DB_HEADER] = { 0 };

	memset(got, 1, sizeof(got));
	assert_int_equal(raw_read(f, got, DB_HEADER, 0), SQLITE_IOERR_SHORT_READ);
	assert_memory_equal(got, zero, DB_HEADER);
	assert_int_equal(raw_read(f, got, 16, 24), SQLITE_IOERR_SHORT_READ);
	assert_int_equal(raw_read(f, got, 16, 0), SQLITE_NOTADB);
	raw_close(f);
}

TEST(any_part_of_a_frame_reads_right)
{
	struct place *p = *state;
	uint8_t got[3 * PAGE_SIZE], want[FRAME_SIZE] = { 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9 };
	sqlite3_file *f;

	prepare(p, SQLITE_OPEN_WAL);
	f = raw_open(p, SQLITE_OPEN_WAL);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
			int64_t off = offsets[o], at = (off - WAL_HEADER) % FRAME_SIZE;
			int frame = (int)((off - WAL_HEADER) / FRAME_SIZE) + 1, rc = raw_read(f, got, sizes[s], off);

			if (off < 0 || off > INT64_C(1) << 43 || (off < WAL_HEADER && off + sizes[s] > WAL_HEADER) ||
			    (off >= WAL_HEADER && at + sizes[s] > FRAME_SIZE)) {
				assert_int_equal(rc, SQLITE_IOERR);
			} else if (off >= WAL_HEADER) {
				assert_int_equal(rc, SQLITE_OK);
				want[3] = (uint8_t)frame;
				page_fill(want + FRAME_HEADER, (uint32_t)frame);
				assert_memory_equal(got, want + at, sizes[s]);
			} else {
				assert_int_equal(rc, SQLITE_OK);
			}
		}
	raw_close(f);
}

/* After a spill: header and page of a frame that is there change apart, the other half stays. In either order. */
TEST(a_frame_is_patched)
{
	struct place *p = *state;
	uint8_t page[PAGE_SIZE], got[FRAME_SIZE], header[FRAME_HEADER] = { 0, 0, 0, 2, 0, 0, 0, 1 };
	int64_t at = WAL_HEADER + FRAME_SIZE;

	for (int again = 0; again < 2; again++) {
		sqlite3_file *f;

		prepare(p, SQLITE_OPEN_WAL);
		f = raw_open(p, SQLITE_OPEN_WAL);
		for (int i = 0; i < 3; i++)
			assert_int_equal(raw_read(f, got, FRAME_SIZE, WAL_HEADER + i * FRAME_SIZE), SQLITE_OK);
		page_fill(page, 77);
		if (again)
			assert_int_equal(raw_write(f, page, PAGE_SIZE, at + FRAME_HEADER), SQLITE_OK);
		memcpy(header + 16, "checksum", 8);
		assert_int_equal(raw_write(f, header, FRAME_HEADER, at), SQLITE_OK);
		/* It is there without a sync: with synchronous=NORMAL none may come. */
		raw_close(f);
		f = raw_open(p, SQLITE_OPEN_WAL);
		assert_int_equal(raw_read(f, got, FRAME_SIZE, at), SQLITE_OK);
		assert_memory_equal(got, header, FRAME_HEADER);
		page_fill(page, again ? 77 : 2);
		assert_memory_equal(got + FRAME_HEADER, page, PAGE_SIZE);
		assert_false(file_holds(raw_path(p, SQLITE_OPEN_WAL), "checksum", 8));
		raw_close(f);
	}
}

/* A frame's header whose page does not come is never written, whatever comes instead. */
TEST(a_header_without_its_page_is_refused)
{
	struct place *p = *state;
	uint8_t page[PAGE_SIZE], header[FRAME_HEADER] = { 0, 0, 0, 9, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 };
	int64_t size, next = WAL_HEADER + 3 * FRAME_SIZE;

	page_fill(page, 2);
	for (int what = 0; what < 7; what++) {
		sqlite3_file *f;
		int rc = SQLITE_OK;

		prepare(p, SQLITE_OPEN_WAL);
		f = raw_open(p, SQLITE_OPEN_WAL);
		assert_int_equal(raw_write(f, header, FRAME_HEADER, next), SQLITE_OK);
		switch (what) {
		case 0:
			rc = f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
			break;
		case 1:
			rc = f->pMethods->xTruncate(f, 0);
			break;
		case 2:
			rc = raw_read(f, page, PAGE_SIZE, WAL_HEADER + FRAME_HEADER);
			break;
		case 3:
			rc = raw_write(f, header, FRAME_HEADER, next + FRAME_SIZE);
			break;
		case 4:
			rc = raw_write(f, page, PAGE_SIZE, next + FRAME_SIZE + FRAME_HEADER);
			break;
		case 5:
			rc = f->pMethods->xFileSize(f, (sqlite3_int64 *)&size);
			break;
		default:
			rc = raw_write(f, page, 512, next + FRAME_HEADER);
			break;
		}
		assert_int_equal(rc, SQLITE_IOERR);
		/* and it does not stick: */
		assert_int_equal(f->pMethods->xSync(f, SQLITE_SYNC_NORMAL), SQLITE_OK);
		assert_int_equal(file_size(raw_path(p, SQLITE_OPEN_WAL)), next);
		raw_close(f);
	}
}

/* A record of the journal in any other order than page number, page, checksum. */
TEST(parts_of_records_are_refused)
{
	struct place *p = *state;
	int64_t at = 512 + 2 * RECORD_SIZE;
	uint8_t page[PAGE_SIZE], got[PAGE_SIZE];
	sqlite3_file *f;
	size_t size;

	prepare(p, SQLITE_OPEN_MAIN_JOURNAL);
	size = file_size(raw_path(p, SQLITE_OPEN_MAIN_JOURNAL));
	f = raw_open(p, SQLITE_OPEN_MAIN_JOURNAL);
	page_fill(page, 2);
	assert_int_equal(raw_write(f, page, PAGE_SIZE, at + 4), SQLITE_IOERR);
	assert_int_equal(raw_write(f, "\0\0\0\3", 4, at), SQLITE_OK);
	assert_int_equal(raw_write(f, page, PAGE_SIZE, at + 8), SQLITE_IOERR);
	assert_int_equal(raw_write(f, "\0\0\0\3", 4, at), SQLITE_OK);
	assert_int_equal(raw_write(f, page, PAGE_SIZE, at + 4), SQLITE_OK);
	assert_int_equal(f->pMethods->xSync(f, SQLITE_SYNC_NORMAL), SQLITE_IOERR);
	assert_int_equal(raw_write(f, "\0\0\0\3", 4, at), SQLITE_OK);
	assert_int_equal(raw_write(f, page, PAGE_SIZE, at + 4), SQLITE_OK);
	assert_int_equal(raw_read(f, got, PAGE_SIZE, 516), SQLITE_IOERR);
	/* the name of a super-journal */
	assert_int_equal(raw_write(f, "\0\4\0\1", 4, at), SQLITE_OK);
	assert_int_equal(raw_write(f, p->path, (int)strlen(p->path), at + 4), SQLITE_IOERR);
	assert_int_equal(file_size(raw_path(p, SQLITE_OPEN_MAIN_JOURNAL)), size);
	raw_close(f);
}

TEST(a_journal_reads_back)
{
	static const uint8_t magic[8] = { 0xd9, 0xd5, 5, 0xf9, 0x20, 0xa1, 0x63, 0xd7 };
	struct place *p = *state;
	uint8_t page[PAGE_SIZE], got[PAGE_SIZE];
	_cleanup_(freep) uint8_t *all = NULL;
	sqlite3_file *f;
	size_t size;

	prepare(p, SQLITE_OPEN_MAIN_JOURNAL);
	f = raw_open(p, SQLITE_OPEN_MAIN_JOURNAL);
	assert_int_equal(raw_read(f, got, 8, 0), SQLITE_OK);
	assert_memory_equal(got, magic, 8);
	for (int64_t i = 1; i <= 2; i++) {
		int64_t at = 512 + (i - 1) * RECORD_SIZE;

		page_fill(page, (uint32_t)i);
		assert_int_equal(raw_read(f, got, 4, at), SQLITE_OK);
		assert_memory_equal(got, "\0\0\0\1", 4);
		assert_int_equal(raw_read(f, got, PAGE_SIZE, at + 4), SQLITE_OK);
		assert_memory_equal(got, page, PAGE_SIZE);
		assert_int_equal(raw_read(f, got, 4, at + 4 + PAGE_SIZE), SQLITE_OK);
		assert_memory_equal(got, "sums", 4);
	}
	/* a record that was never finished ends the journal */
	assert_int_equal(raw_read(f, got, PAGE_SIZE, 512 + 2 * RECORD_SIZE + 4), SQLITE_IOERR_SHORT_READ);
	all = file_read(raw_path(p, SQLITE_OPEN_MAIN_JOURNAL), &size);
	all[3000] ^= 1;
	file_patch(raw_path(p, SQLITE_OPEN_MAIN_JOURNAL), 3000, all + 3000, 1);
	assert_int_equal(raw_read(f, got, PAGE_SIZE, 516), SQLITE_IOERR_SHORT_READ);
	/* in place of the name of a super-journal: only its mark */
	file_patch(raw_path(p, SQLITE_OPEN_MAIN_JOURNAL), 512 + 2 * RECORD_SIZE - 8, magic, 8);
	assert_int_equal(raw_read(f, got, 8, 512 + 2 * RECORD_SIZE - 8), SQLITE_IOERR);
	raw_close(f);
}

TEST(a_super_journal_is_refused)
{
	struct place *p = *state;
	sqlite3_vfs *vfs = sqlite3_vfs_find(VAULT_VFS);
	_cleanup_(freep) sqlite3_file *f = xcalloc(1, (size_t)vfs->szOsFile);
	const char *path = place_path(p, "a.db-mj0123");

	assert_int_equal(vfs->xOpen(vfs, path, f,
				    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_SUPER_JOURNAL, NULL),
			 SQLITE_CANTOPEN);
	assert_null(f->pMethods);
	assert_int_not_equal(access(path, F_OK), 0);
}

TEST(the_file_promises_what_sqlite_must_believe)
{
	static const int types[] = { SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_WAL, SQLITE_OPEN_MAIN_JOURNAL };
	struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		sqlite3_file *f = raw_open(p, types[i]);
		sqlite3_int64 mmap_size = 1 << 20;

		assert_int_equal(f->pMethods->iVersion, 1);
		assert_int_equal(f->pMethods->xSectorSize(f), 512);
		assert_int_equal(f->pMethods->xDeviceCharacteristics(f) & ~SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN,
				 SQLITE_IOCAP_POWERSAFE_OVERWRITE);
		assert_int_equal(f->pMethods->xFileControl(f, SQLITE_FCNTL_MMAP_SIZE, &mmap_size), SQLITE_OK);
		assert_int_equal(mmap_size, 0);
		assert_int_equal(f->pMethods->xFileControl(f, SQLITE_FCNTL_BEGIN_ATOMIC_WRITE, NULL),
				 SQLITE_NOTFOUND);
		raw_close(f);
	}
}

TEST(pages_that_would_lose_bytes_are_refused)
{
	struct place *p = *state;
	sqlite3_file *f = raw_open(p, SQLITE_OPEN_MAIN_DB);
	uint8_t page[PAGE_SIZE];

	page_fill(page, 2);
	page[PAGE_SIZE - 1] = 1;
	assert_int_equal(raw_write(f, page, PAGE_SIZE, PAGE_SIZE), SQLITE_IOERR);
	page_fill(page, 1);
	page[20] = 0; /* no reserved bytes: a plain database */
	assert_int_equal(raw_write(f, page, PAGE_SIZE, 0), SQLITE_IOERR);
	assert_int_equal(file_size(p->path), 0);
	raw_close(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(odd_writes_to_the_database),
		RUN(odd_writes_to_the_log),
		RUN(odd_writes_to_the_journal),
		RUN(any_part_of_a_page_reads_right),
		RUN(an_empty_file_is_no_database),
		RUN(any_part_of_a_frame_reads_right),
		RUN(a_frame_is_patched),
		RUN(a_header_without_its_page_is_refused),
		RUN(parts_of_records_are_refused),
		RUN(a_journal_reads_back),
		RUN(a_super_journal_is_refused),
		RUN(the_file_promises_what_sqlite_must_believe),
		RUN(pages_that_would_lose_bytes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
