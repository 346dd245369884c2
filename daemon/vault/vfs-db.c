/*
 * The main database: full pages only on the way down; on the way up any part of one page, which is read, verified and
 * copied from.
 */
#include <string.h>

#include "vault/vfs-priv.h"

/* The 16 bytes from 24 on that SQLite's pager compares to see whether another connection wrote (dbFileVers). */
enum { VERSION_AT = 24, VERSION_SIZE = 16 };
/* A page number has 32 bits, and SQLite's own limit is below that. */
#define DB_MAX (INT64_C(0xfffffffe) * PAGE_SIZE)

/* 0 or an SQLite code: the page that is at ${at} in clear in ${out}. */
static int open_page(struct vfs_file *f, int64_t at, uint8_t out[PAGE_SIZE])
{
	uint32_t pgno = (uint32_t)(at / PAGE_SIZE) + 1;
	int r, rc = vfs_lower_read(f, f->db.sealed, PAGE_SIZE, at);

	/*
	 * Past the end too: SQLite takes a short read for a page of zeros, which for an overflow page would be a body
	 * of zeros. It never asks for such a page of a database that is whole; the log then has it.
	 */
	if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
		return rc;
	r = page_open(f->keys, pgno, f->db.sealed, out);
	return r == 0 ? SQLITE_OK : vfs_damaged(f, pgno, r);
}

/* The header at open. A torn page 1 is no failure here: the log may have it whole (facts/db.md section 1.5 rule 2). */
static int read_header(struct vfs_file *f, uint8_t *buf)
{
	int rc = vfs_lower_read(f, f->db.sealed, PAGE_SIZE, 0);

	if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
		return rc;
	if (page_open(f->keys, 1, f->db.sealed, f->db.plain) == 0)
		memcpy(buf, f->db.plain, DB_HEADER);
	else
		page_header_synthesize(buf);
	return SQLITE_OK;
}

static int db_read(struct vfs_file *f, void *buf, int amt, int64_t off)
{
	int64_t size, at = off - off % PAGE_SIZE;
	int rc;

	if (amt <= 0 || off < 0 || off >= DB_MAX || off - at + amt > PAGE_SIZE)
		return vfs_refuse(f, "read", amt, off);
	if (amt == PAGE_SIZE)
		return open_page(f, at, buf);
	if ((off == 0 && amt == DB_HEADER) || (off == VERSION_AT && amt == VERSION_SIZE)) {
		rc = vfs_lower_size(f, &size);
		if (rc != SQLITE_OK)
			return rc;
		/* A new database. Do not make up a header for it: that would fix the page size (section 1.2). */
		if (size == 0) {
			memset(buf, 0, (size_t)amt);
			return SQLITE_IOERR_SHORT_READ;
		}
		if (off == 0)
			return read_header(f, buf);
	}
	rc = open_page(f, at, f->db.plain);
	if (rc == SQLITE_OK)
		memcpy(buf, f->db.plain + (off - at), (size_t)amt);
	return rc;
}

static int db_write(struct vfs_file *f, const void *buf, int amt, int64_t off)
{
	if (amt != PAGE_SIZE || off < 0 || off >= DB_MAX || off % PAGE_SIZE != 0)
		return vfs_refuse(f, "write", amt, off);
	if (page_seal(f->keys, (uint32_t)(off / PAGE_SIZE) + 1, buf, f->db.sealed) < 0)
		return vfs_refuse(f, "content of a write", amt, off);
	return vfs_lower_write(f, f->db.sealed, PAGE_SIZE, off);
}

static int db_truncate(struct vfs_file *f, int64_t size)
{
	if (size % PAGE_SIZE != 0)
		return vfs_refuse(f, "truncation", 0, size);
	return vfs_lower_truncate(f, size);
}

const struct vfs_kind vfs_db = { "database", db_read, db_write, db_truncate, vfs_lower_size, NULL, NULL, NULL, NULL };
