/*
 * What the files of the cipher VFS share: a file of ours in front of the lower VFS's, and one vfs_kind for each of the
 * four layouts. Only vfs*.c include this.
 */
#pragma once

#include <stdbool.h>

#include "vault/vfs.h"
#include "vault/wal-cache.h"

struct vfs_file;

/* How one kind of file is laid out. Every function gives an SQLite code; (amt, off) are SQLite's, before any layout. */
struct vfs_kind {
	const char *name;
	int (*read)(struct vfs_file *f, void *buf, int amt, int64_t off);
	int (*write)(struct vfs_file *f, const void *buf, int amt, int64_t off);
	int (*truncate)(struct vfs_file *f, int64_t size);
	int (*size)(struct vfs_file *f, int64_t *ret);
	/* Before a sync: nothing of ours may be left in memory. NULL: nothing ever is. */
	int (*settle)(struct vfs_file *f);
	/* Around a sync: before it, then with its code. NULL: SQLite writes anew whatever it has asked for in vain. */
	int (*sync_begins)(struct vfs_file *f);
	void (*sync_ended)(struct vfs_file *f, int rc);
	/* Give back memory that holds no more than the file does. NULL: there is none. */
	void (*trim)(struct vfs_file *f);
};

extern const struct vfs_kind vfs_db, vfs_wal, vfs_journal, vfs_temp;

/* Frames that are written at once, at most: what a message costs has some twelve. */
enum { WAL_BATCH_FRAMES = 16 };

struct vfs_wal_state {
	uint8_t salts[WAL_SALTS]; /* of the WAL's header, while salts_known */
	bool salts_known;
	uint32_t good; /* frames up to here are known to authenticate in this generation */
	struct wal_cache *cache; /* of this generation, what this handle wrote; NULL: nothing */
	uint32_t pending; /* frame whose header waits for its page; 0: none */
	uint8_t header[FRAME_HEADER]; /* the pending one */
	uint8_t *batch; /* sealed frames that are not written yet, owned; NULL until there are some */
	uint32_t batch_first, batch_n; /* which, and how many */
	uint32_t unsynced, written; /* from the first frame that no sync was good for to the last one that was written; 0: none */
	bool doubtful; /* a sync failed: of these nobody knows whether they are on the disk */
	uint8_t sealed[FRAME_SIZE];
	uint8_t plain[FRAME_SIZE];
};

struct vfs_journal_state {
	int64_t pending; /* offset of the record that is being put together; -1: none */
	int parts; /* of it so far: 1 page number, 2 page */
	int64_t opened; /* offset of the record that plain holds; -1: none */
	uint8_t plain[RECORD_SIZE];
	uint8_t sealed[RECORD_SIZE];
};

struct vfs_temp_state {
	uint8_t key[PAGE_KEY];
	int64_t size; /* as SQLite sees it */
	uint64_t blocks; /* sealed ones in the file: all below are there */
	uint64_t index; /* of the block in plain, while cached */
	bool cached, dirty;
	uint8_t plain[BLOCK_SIZE];
	uint8_t sealed[BLOCK_SEALED];
};

struct vfs_file {
	sqlite3_file base;
	const struct vfs_kind *kind;
	const struct page_keys *keys; /* of the binding; NULL for temporary files */
	union {
		struct {
			uint8_t sealed[PAGE_SIZE], plain[PAGE_SIZE];
		} db;
		struct vfs_wal_state wal;
		struct vfs_journal_state journal;
		struct vfs_temp_state temp;
	};
	/* The lower VFS's file follows: vfs_lower(). */
};

static inline sqlite3_file *vfs_lower(struct vfs_file *f)
{
	return (sqlite3_file *)(f + 1);
}

/* ${rc} is what the lower file answered, and is given back: vfs_error() is about the last that was none. */
int vfs_lower_said(struct vfs_file *f, int rc);

static inline int vfs_lower_read(struct vfs_file *f, void *buf, int amt, int64_t off)
{
	int rc = vfs_lower_said(f, vfs_lower(f)->pMethods->xRead(vfs_lower(f), buf, amt, off));

	/* An EIO, which SQLite would tell as a damaged database: whether it is, the tag says when the disk answers. */
	return rc == SQLITE_IOERR_CORRUPTFS ? SQLITE_IOERR_READ : rc;
}

static inline int vfs_lower_write(struct vfs_file *f, const void *buf, int amt, int64_t off)
{
	return vfs_lower_said(f, vfs_lower(f)->pMethods->xWrite(vfs_lower(f), buf, amt, off));
}

static inline int vfs_lower_truncate(struct vfs_file *f, int64_t size)
{
	return vfs_lower_said(f, vfs_lower(f)->pMethods->xTruncate(vfs_lower(f), size));
}

int vfs_lower_size(struct vfs_file *f, int64_t *ret);

/* An access of a shape that this VFS does not know: one error line, SQLITE_IOERR. Nothing was written. */
int vfs_refuse(const struct vfs_file *f, const char *what, int64_t amt, int64_t off);
/* Page ${pgno} of the main database does not authenticate: noted for vfs_damaged_page() and vfs_damaged_ever(), logged;
 * the code to return. */
int vfs_damaged(const struct vfs_file *f, uint32_t pgno, int outcome);
