/*
 * What somebody who can write the files can do, and what comes of it: docs/store.md, "What is promised". What is not
 * detected is asserted too, so that the promise stays honest.
 */
#include "vfs-fixture.h"

#include <unistd.h>

enum { FAILS = -2 };

/* A database of some ten pages, closed: all in one file. */
static void make(struct place *p, const char *path, const struct page_keys *keys, int rows)
{
	sqlite3 *db;

	(void)p;
	assert_int_equal(vfs_bind(path, keys), 0);
	db = db_open(path, "WAL");
	db_fill(db, rows, 500);
	db_close(db);
	assert_true(file_size(path) >= 4 * PAGE_SIZE);
}

/* Everything that is in it as one text; NULL and *ret_code if any of it cannot be read. */
static char *content(const char *path, int *ret_code)
{
	sqlite3 *db = db_open(path, "WAL");
	char *s = NULL;

	*ret_code = db_try(db, "SELECT sum(length(body)) FROM t; SELECT count(*) FROM sqlite_master;");
	if (*ret_code == SQLITE_OK)
		s = db_text(db, "SELECT coalesce(group_concat(id || body), '') FROM t");
	if (s && !db_sound(db))
		*ret_code = SQLITE_CORRUPT;
	sqlite3_close(db);
	if (*ret_code == SQLITE_OK)
		return s;
	free(s);
	return NULL;
}

TEST(every_byte_of_page_1)
{
	struct place *p = *state;
	size_t size;

	make(p, p->path, &p->keys, 40);
	_cleanup_(freep) uint8_t *data = file_read(p->path, &size);
	for (size_t i = 0; i < PAGE_SIZE; i++) {
		uint8_t bad = data[i] ^ (uint8_t)(1u << (i % 8));
		sqlite3 *db;

		file_patch(p->path, i, &bad, 1);
		db = db_open(p->path, "WAL");
		if (db_try(db, "SELECT count(*) FROM sqlite_master") != SQLITE_NOTADB)
			fail_msg("byte %zu of page 1 was changed and it opened", i);
		assert_int_equal(vfs_damaged_page(), 1);
		assert_int_equal(vfs_damaged_page(), 0);
		sqlite3_close(db);
		file_patch(p->path, i, data + i, 1);
	}
	assert_int_equal(file_size(place_path(p, "a.db-wal")), 0);
}

TEST(a_thousand_random_bytes)
{
	struct place *p = *state;
	uint32_t x = 12345;
	int code, errors = 0;
	size_t size;

	make(p, p->path, &p->keys, 40);
	_cleanup_(freep) uint8_t *data = file_read(p->path, &size);
	_cleanup_(freep) char *want = content(p->path, &code);
	assert_int_equal(code, SQLITE_OK);
	for (int n = 0; n < 1000; n++) {
		size_t at;
		uint8_t bad;

		x = x * 1664525 + 1013904223;
		at = (size_t)((uint64_t)x * size >> 32);
		bad = data[at] ^ (uint8_t)(1u << (n % 8));
		file_patch(p->path, at, &bad, 1);
		_cleanup_(freep) char *got = content(p->path, &code);
		if (got && strcmp(got, want) != 0)
			fail_msg("byte %zu was changed and something else was read", at);
		errors += !got;
		file_patch(p->path, at, data + at, 1);
	}
	assert_int_equal(errors, 1000); /* there is no page that nobody reads */
	_cleanup_(freep) char *got = content(p->path, &code);
	assert_string_equal(got, want);
}

/* What is done to the pages of a.db, and what comes of it. b.db: another file under the same master key; c.db: another
 * master key; old: a.db as it was before its last change. */
TEST(pages_are_moved_and_replaced)
{
	static const uint8_t zero[PAGE_SIZE];
	static const struct {
		const char *why;
		const char *from; /* file */
		uint32_t page, to;
		int code;
		uint32_t damaged;
	} table[] = {
		{ "page 3 in the place of 2", "a.copy", 3, 2, SQLITE_IOERR_DATA, 2 },
		{ "page 2 in the place of 3", "a.copy", 2, 3, SQLITE_IOERR_DATA, 3 },
		{ "page 2 in the place of 1", "a.copy", 2, 1, SQLITE_NOTADB, 1 },
		{ "page 1 in the place of 2", "a.copy", 1, 2, SQLITE_IOERR_DATA, 2 },
		{ "page 2 of another file", "b.db", 2, 2, SQLITE_IOERR_DATA, 2 },
		{ "page 1 of another file", "b.db", 1, 1, SQLITE_NOTADB, 1 },
		{ "page 2 under another key", "c.db", 2, 2, SQLITE_IOERR_DATA, 2 },
		{ "page 1 under another key", "c.db", 1, 1, SQLITE_NOTADB, 1 },
		{ "page 3 all zero", NULL, 0, 3, SQLITE_IOERR_DATA, 3 },
		{ "page 1 all zero", NULL, 0, 1, SQLITE_NOTADB, 1 },
		{ "page 2 itself", "a.copy", 2, 2, SQLITE_OK, 0 },
		/* documented: not detected */
		{ "page 3 as it was before", "old", 3, 3, SQLITE_OK, 0 },
	};
	struct place *p = *state;
	struct page_keys other_file = keys_make(1, 2), other_key = keys_make(2, 1);
	const char *copy = place_path(p, "a.copy"), *old = place_path(p, "old"), *b = place_path(p, "b.db"),
		   *c = place_path(p, "c.db");
	sqlite3 *db;

	make(p, b, &other_file, 40);
	make(p, c, &other_key, 40);
	make(p, p->path, &p->keys, 40);
	file_copy(p->path, old);
	db = db_open(p->path, "WAL");
	db_exec(db, "UPDATE t SET body = replace(body, 'secret', 'SECRET')");
	db_close(db);
	file_copy(p->path, copy);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		size_t size = 0;
		int code;

		file_copy(copy, p->path);
		_cleanup_(freep) uint8_t *from =
			table[i].from ? file_read(place_path(p, table[i].from), &size) : NULL;
		file_patch(p->path, (table[i].to - 1) * PAGE_SIZE,
			   from ? from + (table[i].page - 1) * PAGE_SIZE : zero, PAGE_SIZE);
		_cleanup_(freep) char *got = content(p->path, &code);
		if (code != table[i].code)
			fail_msg("%s: %d", table[i].why, code);
		assert_int_equal(vfs_damaged_page(), table[i].damaged);
		if (table[i].from && strcmp(table[i].from, "old") == 0) /* really: old beside new */
			assert_true(strstr(got, " secret ") && strstr(got, " SECRET "));
	}
	vfs_unbind(b);
	vfs_unbind(c);
}

TEST(the_file_is_cut_or_put_back)
{
	struct place *p = *state;
	const char *copy = place_path(p, "copy"), *old = place_path(p, "old");
	size_t size;
	int code;
	sqlite3 *db;

	make(p, p->path, &p->keys, 40);
	file_copy(p->path, old);
	db = db_open(p->path, "WAL");
	db_fill(db, 20, 500);
	db_close(db);
	file_copy(p->path, copy);
	size = file_size(copy);

	assert_int_equal(truncate(p->path, (off_t)(size - PAGE_SIZE)), 0);
	assert_null(content(p->path, &code));
	assert_int_equal(code, SQLITE_CORRUPT);
	file_copy(copy, p->path);
	assert_int_equal(truncate(p->path, (off_t)(size - 100)), 0);
	assert_null(content(p->path, &code));
	/* something behind the end is never read */
	file_copy(copy, p->path);
	file_patch(p->path, size, MARKER, 5);
	free(content(p->path, &code));
	assert_int_equal(code, SQLITE_OK);
	/* documented: not detected. An older file as a whole ... */
	file_copy(old, p->path);
	_cleanup_(freep) char *got = content(p->path, &code);
	assert_non_null(got);
	/* ... and everything gone: only the sidecar knows that there was a database */
	assert_int_equal(truncate(p->path, 0), 0);
	db = db_open(p->path, "WAL");
	assert_int_equal(db_int(db, "SELECT count(*) FROM sqlite_master"), 0);
	sqlite3_close(db);
}

/* A database whose log holds ${COMMITS} transactions of one row each; ends[i]: bytes of the log after i of them. */
enum { COMMITS = 6 };

struct hot {
	const char *db, *wal;
	size_t ends[COMMITS + 1];
};

static struct hot hot_make(struct place *p, const char *name, const struct page_keys *keys, int generation)
{
	_cleanup_(freep) char *wal = xasprintf("%s-wal", name);
	struct hot h = { .db = place_path(p, name), .wal = place_path(p, wal) };
	const char *at = place_path(p, "making.db");
	sqlite3 *db;

	unlink(at);
	assert_int_equal(vfs_bind(at, keys), 0);
	db = db_open(at, "WAL");
	db_fill(db, 40, 500);
	db_exec(db, "DELETE FROM t");
	for (int i = 0; i < generation; i++) {
		db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES(1000, randomblob(6000));"
			    "DELETE FROM t WHERE id = 1000");
	}
	db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	h.ends[0] = 0;
	for (int i = 1; i <= COMMITS; i++) {
		db_exec(db, "INSERT INTO t(body) VALUES(zeroblob(5000))");
		h.ends[i] = file_size(place_path(p, "making.db-wal"));
		assert_true(h.ends[i] > h.ends[i - 1]);
	}
	file_copy(at, h.db);
	file_copy(place_path(p, "making.db-wal"), h.wal);
	db_close(db);
	vfs_unbind(at);
	return h;
}

/* Rows of ${h}'s database with its log as ${wal}; FAILS. */
static int64_t rows_with(struct place *p, const struct hot *h, const uint8_t *wal, size_t size)
{
	sqlite3 *db;
	int64_t rows;

	file_copy(h->db, p->path);
	file_write(place_path(p, "a.db-wal"), wal, size);
	db = db_open(p->path, "WAL");
	rows = db_int(db, "SELECT count(*) FROM t WHERE length(body) = 5000");
	if (rows >= 0)
		assert_true(db_sound(db));
	sqlite3_close(db);
	return rows < 0 ? FAILS : rows;
}

/* How many commits are whole in the first ${size} bytes. */
static int whole(const struct hot *h, size_t size)
{
	int n = 0;

	while (n < COMMITS && h->ends[n + 1] <= size)
		n++;
	return n;
}

static size_t frame_at(size_t frame)
{
	return WAL_HEADER + (frame - 1) * FRAME_SIZE;
}

TEST(the_log_is_cut_anywhere)
{
	struct place *p = *state;
	struct hot h = hot_make(p, "hot", &p->keys, 0);
	size_t size;

	_cleanup_(freep) uint8_t *wal = file_read(h.wal, &size);
	assert_int_equal(rows_with(p, &h, wal, size), COMMITS);
	for (size_t cut = 0; cut <= size; cut += 509)
		assert_int_equal(rows_with(p, &h, wal, cut), whole(&h, cut));
	/* Cut off and garbage of the disk after it: the same. */
	for (size_t cut = 0; cut < size; cut += 4099) {
		_cleanup_(freep) uint8_t *bad = xcalloc(1, size);

		memcpy(bad, wal, size);
		for (size_t i = cut; i < size; i++)
			bad[i] = (uint8_t)(i * 7 + 3);
		assert_int_equal(rows_with(p, &h, bad, size), whole(&h, cut));
	}
}

TEST(a_byte_of_the_log_is_changed)
{
	struct place *p = *state;
	struct hot h = hot_make(p, "hot", &p->keys, 0);
	size_t size;

	_cleanup_(freep) uint8_t *wal = file_read(h.wal, &size);
	/* each byte of the first frame's header and of what follows it, and one in each stretch of the rest */
	for (size_t i = 0; i < size; i += i < 80 ? 1 : 331) {
		int want = i < WAL_HEADER ? 0 : whole(&h, frame_at((i - WAL_HEADER) / FRAME_SIZE + 1));
		int64_t got;

		wal[i] ^= 0x10;
		got = rows_with(p, &h, wal, size);
		/* another version of the log's format: SQLite says so instead */
		if (got != want && !(got == FAILS && i < WAL_HEADER))
			fail_msg("byte %zu: %lld rows and not %d", i, (long long)got, want);
		wal[i] ^= 0x10;
	}
}

/* All that mixes authentic frames ends the log at the first one that is out of place. */
TEST(frames_are_moved_and_mixed)
{
	struct place *p = *state;
	struct page_keys other_file = keys_make(1, 2), other_key = keys_make(2, 1);
	struct hot h = hot_make(p, "hot", &p->keys, 0), next = hot_make(p, "next", &p->keys, 1),
		   file = hot_make(p, "file", &other_file, 0), key = hot_make(p, "key", &other_key, 0);
	const struct hot *others[] = { &next, &file, &key };
	size_t size, frames;

	_cleanup_(freep) uint8_t *wal = file_read(h.wal, &size);
	_cleanup_(freep) uint8_t *bad = xcalloc(1, size);
	frames = (size - WAL_HEADER) / FRAME_SIZE;
	for (size_t i = 1; i < frames; i++) {
		/* two neighbours swapped; and one twice */
		memcpy(bad, wal, size);
		memcpy(bad + frame_at(i), wal + frame_at(i + 1), FRAME_SIZE);
		assert_int_equal(rows_with(p, &h, bad, size), whole(&h, frame_at(i)));
		memcpy(bad + frame_at(i + 1), wal + frame_at(i), FRAME_SIZE);
		assert_int_equal(rows_with(p, &h, bad, size), whole(&h, frame_at(i)));
	}
	for (size_t o = 0; o < ARRAY_SIZE(others); o++) {
		size_t other_size;
		_cleanup_(freep) uint8_t *other = file_read(others[o]->wal, &other_size);

		assert_int_equal(other_size, size);
		assert_memory_not_equal(other + 16, wal + 16, WAL_SALTS);
		for (size_t i = 1; i <= frames; i += 3) {
			memcpy(bad, wal, size);
			memcpy(bad + frame_at(i), other + frame_at(i), FRAME_SIZE);
			/* with the salts that SQLite compares */
			memcpy(bad + frame_at(i) + 8, wal + 16, WAL_SALTS);
			assert_int_equal(rows_with(p, &h, bad, size), whole(&h, frame_at(i)));
			memcpy(bad + frame_at(i) + 8, other + 16, WAL_SALTS);
			assert_int_equal(rows_with(p, &h, bad, size), whole(&h, frame_at(i)));
		}
		/* the other one's header, our frames; and its log as a whole, which is another generation's */
		memcpy(bad, wal, size);
		memcpy(bad, other, WAL_HEADER);
		assert_int_equal(rows_with(p, &h, bad, size), 0);
		if (others[o] != &next)
			assert_int_equal(rows_with(p, &h, other, size), 0);
	}
}

/* Documented: not detected. A log of before, with all that belongs to it, put back. */
TEST(an_older_log_is_put_back)
{
	struct place *p = *state;
	const char *wal = place_path(p, "a.db-wal"), *old = place_path(p, "old");
	sqlite3 *db = db_open(p->path, "WAL");

	db_fill(db, 40, 500);
	file_copy(wal, old);
	db_exec(db, "UPDATE t SET body = 'new'");
	db_close(db);
	file_copy(old, wal);
	db = db_open(p->path, "WAL");
	assert_int_equal(db_int(db, "SELECT count(*) FROM t WHERE body = 'new'"), 0);
	assert_int_equal(db_int(db, "SELECT count(*) FROM t"), 40);
	db_close(db);
}

TEST(another_key_opens_nothing)
{
	struct place *p = *state;
	struct page_keys other = keys_make(9, 1), epoch = p->keys;
	uint8_t master[PAGE_KEY];
	sqlite3 *db;

	make(p, p->path, &p->keys, 40);
	memset(master, 1, sizeof(master));
	page_keys_derive(&epoch, master, p->keys.file_id, 2);
	assert_int_equal(vfs_bind(p->path, &other), 0);
	db = db_open(p->path, "WAL");
	assert_int_equal(db_try(db, "SELECT * FROM t"), SQLITE_NOTADB);
	sqlite3_close(db);
	assert_int_equal(vfs_bind(p->path, &epoch), 0);
	db = db_open(p->path, "WAL");
	assert_int_equal(db_try(db, "SELECT * FROM t"), SQLITE_NOTADB);
	sqlite3_close(db);
	assert_int_equal(vfs_bind(p->path, &p->keys), 0);
	db = db_open(p->path, "WAL");
	assert_int_equal(db_int(db, "SELECT count(*) FROM t"), 40);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(every_byte_of_page_1),        RUN(a_thousand_random_bytes),  RUN(pages_are_moved_and_replaced),
		RUN(the_file_is_cut_or_put_back), RUN(the_log_is_cut_anywhere),  RUN(a_byte_of_the_log_is_changed),
		RUN(frames_are_moved_and_mixed),  RUN(an_older_log_is_put_back), RUN(another_key_opens_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
