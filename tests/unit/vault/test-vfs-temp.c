/* Temporary files of the cipher VFS: any range of bytes, a key that dies with them. */
#include "vfs-fixture.h"

/* Random ranges against a plain copy in memory. */
TEST(a_temporary_file_takes_any_range)
{
	struct place *p = *state;
	enum { SIZE = 100000 };
	_cleanup_(freep) uint8_t *want = xcalloc(1, SIZE), *got = xcalloc(1, SIZE), *data = xcalloc(1, SIZE);
	sqlite3_file *f = raw_open(p, SQLITE_OPEN_TEMP_DB);
	sqlite3_int64 size = 0, is;
	uint32_t x = 1;

	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)MARKER[i % (sizeof(MARKER) - 1)];
	for (int n = 0; n < 3000; n++) {
		size_t off, amt;

		x = x * 1664525 + 1013904223;
		off = (x >> 8) % (n % 7 ? 20000 : 90000);
		x = x * 1664525 + 1013904223;
		amt = 1 + (x >> 8) % (n % 5 ? 600 : 9000);
		x = x * 1664525 + 1013904223;
		switch ((x >> 16) % 8) {
		case 0:
			assert_int_equal(f->pMethods->xTruncate(f, (sqlite3_int64)off), SQLITE_OK);
			if ((sqlite3_int64)off < size)
				memset(want + off, 0, SIZE - off);
			size = (sqlite3_int64)off;
			break;
		case 1:
		case 2:
		case 3:
			assert_int_equal(raw_write(f, data + off, (int)amt, (int64_t)off), SQLITE_OK);
			memcpy(want + off, data + off, amt);
			if (size < (sqlite3_int64)(off + amt))
				size = (sqlite3_int64)(off + amt);
			break;
		default:
			assert_int_equal(raw_read(f, got, (int)amt, (int64_t)off),
					 (sqlite3_int64)(off + amt) <= size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ);
			assert_memory_equal(got, want + off, amt);
			break;
		}
		assert_int_equal(f->pMethods->xFileSize(f, &is), SQLITE_OK);
		assert_int_equal(is, size);
	}
	assert_int_equal(f->pMethods->xSync(f, SQLITE_SYNC_NORMAL), SQLITE_OK);
	assert_true(file_size(raw_path(p, SQLITE_OPEN_TEMP_DB)) > 0);
	assert_false(file_holds(raw_path(p, SQLITE_OPEN_TEMP_DB), MARKER, 8));
	raw_close(f);
}

TEST(a_temporary_file_that_was_changed_is_an_error)
{
	struct place *p = *state;
	uint8_t page[BLOCK_SIZE], block[BLOCK_SEALED], zero[BLOCK_SEALED] = { 0 };
	sqlite3_file *f = raw_open(p, SQLITE_OPEN_SUBJOURNAL);
	const char *path = raw_path(p, SQLITE_OPEN_SUBJOURNAL);

	page_fill(page, 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(raw_write(f, page, BLOCK_SIZE, i * BLOCK_SIZE), SQLITE_OK);
	_cleanup_(freep) uint8_t *data = file_read(path, &(size_t){ 0 });
	memcpy(block, data + BLOCK_SEALED, BLOCK_SEALED);
	file_patch(path, 0, block, BLOCK_SEALED); /* moved */
	assert_int_equal(raw_read(f, page, 100, 0), SQLITE_IOERR_DATA);
	file_patch(path, BLOCK_SEALED, zero, BLOCK_SEALED); /* a hole */
	assert_int_equal(raw_read(f, page, 100, BLOCK_SIZE), SQLITE_IOERR_DATA);
	assert_int_equal(raw_read(f, page, 100, 2 * BLOCK_SIZE), SQLITE_OK);
	raw_close(f);
}

/* Its key is gone: whatever is in there is not ours to read or to write over. */
TEST(a_temporary_file_must_be_new)
{
	struct place *p = *state;
	sqlite3_vfs *vfs = sqlite3_vfs_find(VAULT_VFS);
	_cleanup_(freep) sqlite3_file *f = xcalloc(1, (size_t)vfs->szOsFile);
	const char *path = raw_path(p, SQLITE_OPEN_TEMP_DB);

	file_write(path, "old", 3);
	assert_int_equal(
		vfs->xOpen(vfs, path, f, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_TEMP_DB, NULL),
		SQLITE_IOERR);
	assert_null(f->pMethods);
	assert_int_equal(file_size(path), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_temporary_file_takes_any_range),
		RUN(a_temporary_file_that_was_changed_is_an_error),
		RUN(a_temporary_file_must_be_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
