/*
 * The rollback journal: headers in clear (they hold no content: sizes, and a random number that the checksums begin
 * with), records sealed. SQLite writes a record in three pieces; they are collected and written as one. Shapes:
 * facts/db.md section 1.3, from SQLite's pager.c.
 *
 * varve writes a journal only where a database is copied; recovery reads whatever is there.
 */
#include <string.h>

#include "base/log.h"
#include "vault/vfs-priv.h"

enum {
	SECTOR = 512, /* what we say the sector size is, hence size and alignment of headers */
	HEADER_USED = 28, /* magic 8, records, checksum seed, database size, sector size, page size */
	HEADER_COUNT = 12, /* magic and number of records: written again when the records are durable */
	RECORD_PAGE_AT = 4,
	RECORD_SUM_AT = RECORD_PAGE_AT + PAGE_SIZE,
};

static const uint8_t journal_magic[8] = { 0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7 };

static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static int journal_settle(struct vfs_file *f)
{
	struct vfs_journal_state *j = &f->journal;
	int64_t at = j->pending;

	if (at < 0)
		return SQLITE_OK;
	j->pending = -1;
	return vfs_refuse(f, "part of a record", j->parts, at);
}

/*
 * The page of the record at ${at}. A record that does not authenticate is the torn end of the journal: a short read,
 * which ends SQLite's playback. (Not a page of zeros with a wrong checksum: whoever writes the header chooses the
 * checksum's seed.)
 */
static int read_page(struct vfs_file *f, int64_t at, uint8_t *buf)
{
	struct vfs_journal_state *j = &f->journal;
	int rc = vfs_lower_read(f, j->sealed, RECORD_SIZE, at);

	j->opened = -1;
	if (rc == SQLITE_OK && record_open(f->keys, (uint64_t)at, j->sealed, j->plain) != 0) {
		log_debug("the journal ends at byte %lld: a record was never finished", (long long)at);
		rc = SQLITE_IOERR_SHORT_READ;
	}
	if (rc != SQLITE_OK) {
		memset(buf, 0, PAGE_SIZE);
		return rc;
	}
	j->opened = at;
	memcpy(buf, j->plain + RECORD_PAGE_AT, PAGE_SIZE);
	return SQLITE_OK;
}

/* The last 8 bytes are asked whether the name of a super-journal stands before them. None is ever written here, and
 * one that somebody else put there names a file that SQLite would delete. */
static int read_tail(struct vfs_file *f, uint8_t *buf, int64_t off)
{
	int rc = vfs_lower_read(f, buf, sizeof(journal_magic), off);

	if (rc == SQLITE_OK && memcmp(buf, journal_magic, sizeof(journal_magic)) == 0)
		return vfs_refuse(f, "super-journal", sizeof(journal_magic), off);
	return rc;
}

static int journal_read(struct vfs_file *f, void *buf, int amt, int64_t off)
{
	struct vfs_journal_state *j = &f->journal;
	int rc = journal_settle(f);

	if (rc != SQLITE_OK)
		return rc;
	if (off < 0)
		return vfs_refuse(f, "read", amt, off);
	if (amt == PAGE_SIZE && off >= RECORD_PAGE_AT)
		return read_page(f, off - RECORD_PAGE_AT, buf);
	if (amt == 4 && j->opened >= 0 && off == j->opened + RECORD_SUM_AT) {
		memcpy(buf, j->plain + RECORD_SUM_AT, 4);
		return SQLITE_OK;
	}
	/* Page numbers and fields of the header are in clear; the first byte says whether there is a journal at all. */
	if (amt == 4 || (amt == 1 && off == 0) || (amt == sizeof(journal_magic) && off % SECTOR == 0))
		return vfs_lower_read(f, buf, amt, off);
	if (amt == sizeof(journal_magic))
		return read_tail(f, buf, off);
	return vfs_refuse(f, "read", amt, off);
}

/* A header, or part of one, that holds nothing but what a header may hold. */
static bool is_header(const uint8_t *buf, int amt, int64_t off)
{
	static const uint8_t sizes[8] = { 0, 0, SECTOR >> 8, 0, 0, 0, PAGE_SIZE >> 8, 0 };

	if (off % SECTOR != 0)
		return false;
	switch (amt) {
	case SECTOR: /* the magic comes when the records are durable, or at once where nothing is synced */
		if (memcmp(buf, journal_magic, sizeof(journal_magic)) != 0 && !all_zero(buf, HEADER_COUNT))
			return false;
		return memcmp(buf + 20, sizes, sizeof(sizes)) == 0 &&
		       all_zero(buf + HEADER_USED, SECTOR - HEADER_USED);
	case HEADER_COUNT:
		return memcmp(buf, journal_magic, sizeof(journal_magic)) == 0;
	case HEADER_USED: /* journal_mode=PERSIST ends a transaction so */
		return off == 0 && all_zero(buf, HEADER_USED);
	case 1: /* the next header of an older transaction is made invalid */
		return buf[0] == 0;
	default:
		return false;
	}
}

/* One of the three pieces of a record. > 0: it is none. */
static int write_piece(struct vfs_file *f, const uint8_t *buf, int amt, int64_t off)
{
	struct vfs_journal_state *j = &f->journal;
	int64_t at = j->pending;

	if (at < 0 && amt == 4) {
		memcpy(j->plain, buf, 4);
		j->pending = off;
		j->parts = 1;
		return SQLITE_OK;
	}
	if (at >= 0 && j->parts == 1 && amt == PAGE_SIZE && off == at + RECORD_PAGE_AT) {
		memcpy(j->plain + RECORD_PAGE_AT, buf, PAGE_SIZE);
		j->parts = 2;
		return SQLITE_OK;
	}
	if (at >= 0 && j->parts == 2 && amt == 4 && off == at + RECORD_SUM_AT) {
		memcpy(j->plain + RECORD_SUM_AT, buf, 4);
		j->pending = -1;
		if (record_seal(f->keys, (uint64_t)at, j->plain, j->sealed) < 0)
			return vfs_refuse(f, "content of a record", RECORD_SIZE, at);
		return vfs_lower_write(f, j->sealed, RECORD_SIZE, at);
	}
	return -1;
}

static int journal_write(struct vfs_file *f, const void *buf, int amt, int64_t off)
{
	int rc;

	if (off < 0)
		return vfs_refuse(f, "write", amt, off);
	f->journal.opened = -1;
	rc = write_piece(f, buf, amt, off);
	if (rc >= 0)
		return rc;
	rc = journal_settle(f);
	if (rc != SQLITE_OK)
		return rc;
	if (!is_header(buf, amt, off))
		return vfs_refuse(f, "write", amt, off);
	return vfs_lower_write(f, buf, amt, off);
}

static int journal_truncate(struct vfs_file *f, int64_t size)
{
	int rc = journal_settle(f);

	f->journal.opened = -1;
	return rc == SQLITE_OK ? vfs_lower_truncate(f, size) : rc;
}

static int journal_size(struct vfs_file *f, int64_t *ret)
{
	int rc = journal_settle(f);

	return rc == SQLITE_OK ? vfs_lower_size(f, ret) : rc;
}

const struct vfs_kind vfs_journal = { "journal",        journal_read, journal_write,
				      journal_truncate, journal_size, journal_settle };
