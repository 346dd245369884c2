/* Is a database whole? SQLite's own opinion, and a finished copy page by page. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "store/copy-priv.h"
#include "store/db.h"
#include "store/tokenizer.h"
#include "vault/vfs.h"

/* SQLite never writes the page at this offset: its locks live there (https://www.sqlite.org/fileformat2.html 1.4). */
#define LOCK_PAGE (0x40000000 / PAGE_SIZE + 1)

static int check_pages(const char *path, const struct page_keys *keys, char **ret_bad)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t sealed[PAGE_SIZE], page[PAGE_SIZE];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_origin(-errno);
	if (st.st_size == 0 || st.st_size % PAGE_SIZE != 0) {
		*ret_bad = xasprintf("its size of %lld bytes is no number of pages", (long long)st.st_size);
		return 0;
	}
	for (int64_t pgno = 1; pgno <= st.st_size / PAGE_SIZE; pgno++) {
		if (pgno == LOCK_PAGE)
			continue;
		n = pread(fd, sealed, PAGE_SIZE, (pgno - 1) * PAGE_SIZE);
		if (n < 0)
			return err_origin(-errno);
		if (n == PAGE_SIZE && page_open(keys, (uint32_t)pgno, sealed, page) == 0)
			continue;
		*ret_bad = xasprintf("page %lld does not authenticate", (long long)pgno);
		return 0;
	}
	return 0;
}

/* The first line that says more than that a page is of no use, or NULL. SQLite puts many into one row. */
static char *first_fault(const char *text)
{
	static const char unused[] = "never used";

	while (*text) {
		size_t len = strcspn(text, "\n");
		bool fine = len >= sizeof(unused) - 1 &&
			    memcmp(text + len - (sizeof(unused) - 1), unused, sizeof(unused) - 1) == 0;

		if (!fine && len > 0 && strncmp(text, "***", 3) != 0 && !(len == 2 && memcmp(text, "ok", 2) == 0))
			return xasprintf("%.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
	return NULL;
}

int db_quick_check(sqlite3 *db, char **ret_text)
{
	/* So many, because a repair of the search index may leave unused pages (store/index-mend.h). */
	static const char sql[] = "PRAGMA quick_check(100000)";
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	*ret_text = NULL;
	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(st);
		if (code == SQLITE_ROW && !*ret_text)
			*ret_text = first_fault(str_or_empty((const char *)sqlite3_column_text(st, 0)));
	}
	sqlite3_finalize(st);
	return db_errno(code);
}

/* Before anything is prepared: newer versions of SQLite read the schema for any statement, which the VFS refuses in
 * normal locking. */
static int settle(sqlite3 *db)
{
	return db_errno(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
					 "PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF; PRAGMA cache_size=-4000",
				     NULL, NULL, NULL));
}

static int check_trees(sqlite3 *db, int64_t messages, int64_t newest, char **ret_bad)
{
	_cleanup_(freep) char *text = NULL;
	int64_t rows = 0, entries = 0, last = 0;
	int r;

	r = db_quick_check(db, &text);
	if (r == 0 && text) {
		*ret_bad = xasprintf("its tables are not sound: %s", text);
		return 0;
	}
	if (r == 0)
		r = db_number(db, "SELECT count(*) FROM msg NOT INDEXED", &rows);
	if (r == 0)
		r = db_number(db, "SELECT count(*) FROM msg INDEXED BY msg_account", &entries);
	if (r == 0)
		r = db_number(db, COPY_NEWEST, &last);
	if (r == -EBADMSG)
		*ret_bad = xasprintf("it cannot be read: %s", sqlite3_errmsg(db));
	else if (r < 0)
		return err_origin(r);
	else if (rows != entries || (messages >= 0 && rows != messages) || last != newest)
		*ret_bad = xasprintf("it has %lld messages and %lld in their index up to %lld, of %lld up to %lld",
				     (long long)rows, (long long)entries, (long long)last, (long long)messages,
				     (long long)newest);
	return 0;
}

int copy_check(const char *path, const struct page_keys *keys, int64_t messages, int64_t newest, char **ret_bad)
{
	sqlite3 *db = NULL;
	int code, r;

	*ret_bad = NULL;
	r = check_pages(path, keys, ret_bad);
	if (r < 0)
		return err_trace(r);
	if (*ret_bad)
		return 0;
	r = db_bind(path, keys);
	if (r < 0)
		return err_trace(r);
	/* Not for reading only: a database in WAL mode then wants to make its log. */
	code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, VAULT_VFS);
	r = db_errno(code);
	if (r == 0)
		r = settle(db);
	/* Newer versions of SQLite look into the search index too. */
	if (r == 0)
		r = tokenizer_register(db);
	if (r == 0)
		r = check_trees(db, messages, newest, ret_bad);
	sqlite3_close(db);
	vfs_unbind(path);
	return r < 0 ? err_trace(r) : 0;
}
