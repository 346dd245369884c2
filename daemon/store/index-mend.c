#include "store/index-mend.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "store/db.h"
#include "store/schema.h"
#include "vault/vfs.h"

/* https://www.sqlite.org/fileformat2.html section 1.6 */
enum {
	INDEX_INNER = 2,
	TABLE_INNER = 5,
	INDEX_LEAF = 10,
	TABLE_LEAF = 13,
	USABLE = PAGE_BODY,
	LOCAL_MAX = USABLE - 35, /* of a table leaf's payload */
	LOCAL_MIN = (USABLE - 12) * 32 / 255 - 23,
	CLOCK_PAGES = 8, /* between two looks at the clock: some 0.2 ms */
	CHAIN_MAX = 1 << 16, /* overflow pages of one row */
};

/* A page to be visited. Rows of a table have ids above low and up to high: another page would not. */
struct visit {
	uint32_t page;
	bool table; /* by row id, and to be wiped; else WITHOUT ROWID: small, wiped when it is dropped */
	int64_t low, high;
};

struct mend {
	struct store *s;
	sqlite3_file *file; /* the connection's own */
	uint32_t pages;     /* of the file */
	uint8_t *seen;	    /* a bit a page */
	struct visit *todo;
	size_t n, room;
	uint32_t healed;
};

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* A varint at ${*at}, which moves on; false: it goes beyond the page. */
static bool get_varint(const uint8_t *page, uint32_t *at, int64_t *ret)
{
	uint64_t v = 0;

	for (int i = 0; i < 9; i++) {
		uint8_t c;

		if (*at >= USABLE)
			return false;
		c = page[(*at)++];
		v = i == 8 ? v << 8 | c : v << 7 | (c & 0x7f);
		if (i == 8 || !(c & 0x80))
			break;
	}
	*ret = (int64_t)v;
	return true;
}

static void push(struct mend *m, struct visit v)
{
	if (m->n == m->room) {
		struct visit *more;

		m->room = m->room ? 2 * m->room : 1024;
		more = xnewn(struct visit, m->room);
		if (m->n)
			memcpy(more, m->todo, m->n * sizeof(*more));
		free(m->todo);
		m->todo = more;
	}
	m->todo[m->n++] = v;
}

/* Each page once: a loop of pointers ends. */
static bool take(struct mend *m, uint32_t page)
{
	uint8_t bit = (uint8_t)(1u << page % 8);

	if (page < 2 || page > m->pages || m->seen[page / 8] & bit)
		return false;
	m->seen[page / 8] |= bit;
	return true;
}

static int write_page(struct mend *m, uint32_t page, const uint8_t *data)
{
	int code = m->file->pMethods->xWrite(m->file, data, PAGE_SIZE, (sqlite3_int64)(page - 1) * PAGE_SIZE);

	if (code != SQLITE_OK)
		return err_origin(db_errno(code));
	step("index.mend-page");
	return 0;
}

/* 1 read, 0 it does not authenticate, -errno. */
static int read_page(struct mend *m, uint32_t page, uint8_t *data)
{
	int code = m->file->pMethods->xRead(m->file, data, PAGE_SIZE, (sqlite3_int64)(page - 1) * PAGE_SIZE);

	if (code == SQLITE_OK)
		return 1;
	if (code != SQLITE_IOERR_DATA)
		return err_origin(db_errno(code));
	(void)vfs_damaged_page();
	return 0;
}

/* An empty leaf, which DROP TABLE takes anywhere in a tree; as an overflow page (type 0) the end of its chain. */
static int heal(struct mend *m, uint32_t page, uint8_t type)
{
	uint8_t data[PAGE_SIZE] = { type };

	if (type) {
		data[5] = USABLE >> 8;
		data[6] = USABLE & 0xff;
	}
	m->healed++;
	log_debug("search index: page %u cannot be read and is written anew, empty", page);
	return write_page(m, page, data);
}

static int wipe_chain(struct mend *m, uint32_t page)
{
	uint8_t data[PAGE_SIZE];
	int r;

	for (int i = 0; i < CHAIN_MAX && take(m, page); i++) {
		r = read_page(m, page, data);
		if (r == 0)
			return heal(m, page, 0);
		if (r < 0)
			return err_trace(r);
		memset(data + 4, 0, PAGE_SIZE - 4);
		r = write_page(m, page, data);
		if (r < 0)
			return err_trace(r);
		page = get32(data);
	}
	return 0;
}

/* One row of a leaf: its bytes here become zeros; *ret_chain: where it goes on, or 0. False: it is none of ours. */
static bool wipe_cell(uint8_t *data, uint32_t at, const struct visit *v, int64_t *last, uint32_t *ret_chain)
{
	int64_t size, id, local;

	*ret_chain = 0;
	if (!get_varint(data, &at, &size) || !get_varint(data, &at, &id) || size < 0 || id <= *last || id > v->high)
		return false;
	*last = id;
	local = size;
	if (size > LOCAL_MAX) {
		local = LOCAL_MIN + (size - LOCAL_MIN) % (USABLE - 4);
		if (local > LOCAL_MAX)
			local = LOCAL_MIN;
		if (at + local + 4 > USABLE)
			return false;
		*ret_chain = get32(data + at + local);
	}
	if (at + local > USABLE)
		return false;
	memset(data + at, 0, (size_t)local);
	return true;
}

/* The structure stays, so that the page can be freed; the content goes. */
static int wipe_leaf(struct mend *m, const struct visit *v, const uint8_t *page)
{
	uint32_t n = get16(page + 3), chains[PAGE_SIZE / 4], chain;
	uint8_t data[PAGE_SIZE];
	int64_t last = v->low;
	size_t n_chains = 0;
	int r;

	memcpy(data, page, PAGE_SIZE);
	for (uint32_t i = 0; i < n && 10 + 2 * i <= USABLE; i++) {
		/* Not what this tree says that it is: nothing of it is touched. */
		if (!wipe_cell(data, get16(page + 8 + 2 * i), v, &last, &chain))
			return 0;
		if (chain && n_chains < ARRAY_SIZE(chains))
			chains[n_chains++] = chain;
	}
	r = write_page(m, v->page, data);
	for (size_t i = 0; i < n_chains && r == 0; i++)
		r = wipe_chain(m, chains[i]);
	return r < 0 ? err_trace(r) : 0;
}

static void push_children(struct mend *m, const struct visit *v, const uint8_t *data)
{
	uint32_t n = get16(data + 3);
	struct visit child = *v;

	for (uint32_t i = 0; i < n && 14 + 2 * i <= USABLE; i++) {
		uint32_t at = get16(data + 12 + 2 * i);

		if (at + 4 > USABLE)
			return;
		child.page = get32(data + at);
		at += 4;
		if (v->table) {
			if (!get_varint(data, &at, &child.high) || child.high <= child.low || child.high > v->high)
				return;
		}
		push(m, child);
		child.low = child.high;
	}
	child.page = get32(data + 8);
	child.high = v->high;
	push(m, child);
}

static int visit(struct mend *m, const struct visit *v)
{
	uint8_t data[PAGE_SIZE];
	int r;

	if (!take(m, v->page))
		return 0;
	r = read_page(m, v->page, data);
	if (r < 0)
		return err_trace(r);
	if (r == 0)
		return heal(m, v->page, v->table ? TABLE_LEAF : INDEX_LEAF);
	if (data[0] == (v->table ? TABLE_INNER : INDEX_INNER))
		push_children(m, v, data);
	else if (data[0] == TABLE_LEAF && v->table)
		return wipe_leaf(m, v, data);
	return 0;
}

static int push_root(struct mend *m, const char *table, bool by_rowid)
{
	_cleanup_(freep) char *sql = xasprintf("SELECT rootpage FROM sqlite_schema WHERE type='table' AND name='%s'", table);
	int64_t root = 0;
	int r = db_number(m->s->db, sql, &root);

	if (r < 0)
		return err_trace(r);
	if (root > 1)
		push(m, (struct visit){ (uint32_t)root, by_rowid, INT64_MIN, INT64_MAX });
	return 0;
}

/* What the trees are must be in the file and not in the log, where it would come back above what is written here. */
static int settle(struct store *s, struct mend **ret)
{
	_cleanup_(mend_freep) struct mend *m = xnew(struct mend);
	sqlite3_int64 size = 0;
	int code, left = 0;

	m->s = s;
	code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &left, NULL);
	if (code == SQLITE_OK && left > 0)
		return err_origin(-EBUSY);
	if (code == SQLITE_OK)
		code = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &m->file);
	if (code == SQLITE_OK)
		code = m->file->pMethods->xFileSize(m->file, &size);
	if (code != SQLITE_OK)
		return err_origin(db_errno(code));
	m->pages = (uint32_t)(size / PAGE_SIZE);
	m->seen = xnewn(uint8_t, m->pages / 8 + 1);
	*ret = TAKE_PTR(m);
	return 0;
}

int mend_new(struct store *s, struct mend **ret)
{
	_cleanup_(mend_freep) struct mend *m = NULL;
	int r = settle(s, &m);

	if (r == 0)
		r = push_root(m, "fts_data", true);
	if (r == 0)
		r = push_root(m, "fts_dirty", true);
	if (r == 0)
		r = push_root(m, "fts_idx", false);
	if (r == 0)
		r = push_root(m, "fts_config", false);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(m);
	return 0;
}

static int flush(struct mend *m)
{
	int code = m->file->pMethods->xSync(m->file, SQLITE_SYNC_NORMAL);

	if (code != SQLITE_OK)
		return err_origin(db_errno(code));
	step("index.mend-sync");
	/* SQLite's own copies of these pages are older now. None is dirty. */
	(void)sqlite3_db_release_memory(m->s->db);
	return 0;
}

int mend_step(struct mend *m, int64_t budget_us)
{
	int64_t end = clock_boot_us() + budget_us;
	int r;

	for (int i = 1; m->n > 0; i++) {
		struct visit v = m->todo[--m->n];

		r = visit(m, &v);
		if (r < 0)
			return err_trace(r);
		if (i % CLOCK_PAGES == 0 && clock_boot_us() >= end)
			return 1;
	}
	log_info("archive: %u pages of the search index could not be read", m->healed);
	return flush(m);
}

int mend_state(struct store *s)
{
	_cleanup_(mend_freep) struct mend *m = NULL;
	int r = settle(s, &m);

	if (r == 0)
		r = push_root(m, "fts_state", true);
	if (r < 0)
		return err_trace(r);
	for (size_t i = 0; i < m->n && r == 0; i++) {
		uint8_t data[PAGE_SIZE];

		r = read_page(m, m->todo[i].page, data);
		if (r == 0)
			r = heal(m, m->todo[i].page, TABLE_LEAF);
		else if (r > 0)
			r = 0;
	}
	if (r < 0)
		return err_trace(r);
	if (m->healed == 0)
		return err_origin(-EBADMSG);
	return flush(m);
}

/* FTS5 cannot be asked to drop what it cannot read: its tables go one by one, and it is given empty ones to drop. The
 * words in fts_data and fts_dirty are wiped already, so their pages are not written again. */
int mend_finish(struct store *s)
{
	static const char sql[] =
		"DROP TABLE fts_idx; DROP TABLE fts_config;"
		"PRAGMA secure_delete=OFF;"
		"DROP TABLE fts_data; DROP TABLE fts_dirty;"
		"PRAGMA secure_delete=ON;"
		"CREATE TABLE fts_data(id INTEGER PRIMARY KEY, block BLOB);"
		"CREATE TABLE fts_idx(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;"
		"CREATE TABLE fts_config(k PRIMARY KEY, v) WITHOUT ROWID;"
		"INSERT INTO fts_data VALUES(1, x''), (10, x'00000000000000');"
		"INSERT INTO fts_config VALUES('version', 4);"
		"DROP TABLE fts_term; DROP TABLE fts;"
		SCHEMA_DIRTY SCHEMA_INDEX;
	int r;

	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	r = db_exec(s, sql);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* Also if it failed in between. */
	if (sqlite3_exec(s->db, "PRAGMA secure_delete=ON", NULL, NULL, NULL) != SQLITE_OK && r == 0)
		r = err_origin(-EIO);
	return r < 0 ? err_trace(r) : 0;
}

struct mend *mend_free(struct mend *m)
{
	if (!m)
		return NULL;
	free(m->todo);
	free(m->seen);
	free(m);
	return NULL;
}
