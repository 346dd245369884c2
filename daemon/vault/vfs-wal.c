/*
 * The write-ahead log. SQLite writes a frame as header and page; both are sealed and written as one, so a header waits
 * here for its page. Shapes: facts/db.md section 1.3, from SQLite's wal.c.
 *
 * What is bound are the salts of the log's own header: walEncodeFrame() writes zero salts and checksums into frames
 * while it owes checksums (iReCksum), and patches them at commit. The frame's own first 16 bytes are bound as they are
 * on the disk; patching them seals the frame anew.
 *
 * The frames of a transaction are collected and written by one system call, with the commit frame, or when there are
 * WAL_BATCH_FRAMES of them: until then SQLite has no use for them, and after a power cut they are nothing either. They
 * are on their way before anything else happens to the file, so who reads it, and what a killed process leaves, is the
 * same as if each had been written by itself; but a write that fails is told with a later frame of the transaction.
 *
 * All of this assumes that one handle writes the log, and nobody else meanwhile: the connection is the only one
 * (locking_mode=EXCLUSIVE, db-open.c), and its process the only one in the directory (HUB_E_IN_USE, hub.h). What is kept
 * between two calls, the batch, how far the log authenticates, the cache, rests on that: the frames of a second writer
 * would not be what this handle remembers.
 *
 * Pages that this handle wrote stay in memory for the checkpoint (vault/wal-cache.h). Only reads of a page are served
 * from there: whole frames are read by recovery, and recovery is about what is on the disk.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vault/vfs-priv.h"

static const uint8_t wal_magic[3] = { 0x37, 0x7f, 0x06 }; /* then 0x82 or 0x83: the checksum's byte order */

/* 2^31 frames; SQLite counts them in 32 bits. */
#define WAL_MAX (WAL_HEADER + (INT64_C(1) << 31) * FRAME_SIZE)

static int64_t frame_at(uint32_t frame)
{
	return WAL_HEADER + (int64_t)(frame - 1) * FRAME_SIZE;
}

/* The frame that byte ${off} is in; 0: the log's header. */
static uint32_t frame_of(int64_t off)
{
	return off < WAL_HEADER ? 0 : (uint32_t)((off - WAL_HEADER) / FRAME_SIZE) + 1;
}

/* What is on the disk from ${frame} on is no longer what it was. */
static void forget_from(struct vfs_wal_state *w, uint32_t frame)
{
	wal_cache_forget_from(w->cache, frame);
	if (w->good >= frame)
		w->good = frame - 1;
}

/* ${frame} authenticates. */
static void remember(struct vfs_wal_state *w, uint32_t frame)
{
	if (w->good < frame)
		w->good = frame;
}

/* Write the frames that are collected. */
static int flush(struct vfs_file *f)
{
	struct vfs_wal_state *w = &f->wal;
	uint32_t n = w->batch_n;
	int rc;

	if (n == 0)
		return SQLITE_OK;
	w->batch_n = 0;
	rc = vfs_lower_write(f, w->batch, (int)n * FRAME_SIZE, frame_at(w->batch_first));
	/* After a failed write anything may be there: no promise about what follows. */
	if (rc != SQLITE_OK) {
		forget_from(w, w->batch_first);
		return rc;
	}
	if (w->unsynced == 0 || w->unsynced > w->batch_first)
		w->unsynced = w->batch_first;
	w->written = w->batch_first + n - 1;
	return SQLITE_OK;
}

/* A header that no page followed. SQLite has no such shape: every other access comes after the page. */
static int settle_header(struct vfs_file *f)
{
	uint32_t pending = f->wal.pending;

	if (!pending)
		return SQLITE_OK;
	f->wal.pending = 0;
	return vfs_refuse(f, "frame header without page", FRAME_HEADER, frame_at(pending));
}

/* Nothing of ours may be left in memory. */
static int wal_settle(struct vfs_file *f)
{
	int rc = flush(f);

	return rc == SQLITE_OK ? settle_header(f) : rc;
}

static int load_salts(struct vfs_file *f)
{
	uint8_t header[WAL_HEADER];
	int rc;

	if (f->wal.salts_known)
		return SQLITE_OK;
	rc = vfs_lower_read(f, header, WAL_HEADER, 0);
	/* Not a short read, which SQLite may take for zeros. */
	if (rc != SQLITE_OK)
		return rc == SQLITE_IOERR_SHORT_READ ? SQLITE_IOERR_DATA : rc;
	memcpy(f->wal.salts, header + 16, WAL_SALTS);
	f->wal.salts_known = true;
	return SQLITE_OK;
}

/* Frame ${frame} in clear in ${out}. SQLITE_IOERR_DATA: it does not authenticate, or is not there whole. */
static int open_frame(struct vfs_file *f, uint32_t frame, uint8_t out[FRAME_SIZE])
{
	int rc = load_salts(f);

	if (rc == SQLITE_OK)
		rc = vfs_lower_read(f, f->wal.sealed, FRAME_SIZE, frame_at(frame));
	if (rc == SQLITE_IOERR_SHORT_READ)
		return SQLITE_IOERR_DATA;
	if (rc != SQLITE_OK)
		return rc;
	return frame_open(f->keys, f->wal.salts, frame, f->wal.sealed, out) == 0 ? SQLITE_OK : SQLITE_IOERR_DATA;
}

/* Bytes 4 to 7 of a header: the size of the database after a commit, 0 in all other frames. */
static bool commits(const uint8_t *header)
{
	static const uint8_t no[4];

	return memcmp(header + 4, no, sizeof(no)) != 0;
}

/* ${more}: a frame after it will come, unless it is the last one of its transaction. */
static int seal_frame(struct vfs_file *f, uint32_t frame, const uint8_t *header, const uint8_t *page, bool more)
{
	struct vfs_wal_state *w = &f->wal;
	int rc = load_salts(f);

	if (rc == SQLITE_OK && w->batch_n && frame != w->batch_first + w->batch_n)
		rc = flush(f);
	if (rc != SQLITE_OK)
		return rc;
	if (!w->batch)
		w->batch = xcalloc(WAL_BATCH_FRAMES, FRAME_SIZE);
	if (frame_seal(f->keys, w->salts, frame, header, page, w->batch + (size_t)w->batch_n * FRAME_SIZE) < 0)
		return vfs_refuse(f, "content of a frame", FRAME_SIZE, frame_at(frame));
	if (w->batch_n++ == 0)
		w->batch_first = frame;
	remember(w, frame);
	wal_cache_put(&w->cache, frame, page);
	return !more || commits(header) || w->batch_n == WAL_BATCH_FRAMES ? flush(f) : SQLITE_OK;
}

/*
 * What a sync could not write Linux takes for clean: no later sync writes it, or fails again. SQLite writes the transaction
 * anew for which it wanted the sync, but not the relaxed ones before it (store_begin_relaxed()), and the hole that they
 * leave would end the log after a power cut, with all that was acknowledged behind it. So they are written anew here, from
 * the page cache; what is not there any more must not be taken for good.
 */
static int wal_sync_begins(struct vfs_file *f)
{
	struct vfs_wal_state *w = &f->wal;
	int rc = SQLITE_OK;

	for (uint32_t i = w->unsynced; w->doubtful && i > 0 && i <= w->written && rc == SQLITE_OK; i++) {
		rc = open_frame(f, i, w->plain);
		if (rc == SQLITE_OK)
			rc = vfs_lower_write(f, w->sealed, FRAME_SIZE, frame_at(i));
		if (rc == SQLITE_IOERR_DATA) {
			log_error("frame %u of the archive's log is not what was written: the disk failed, and forgot it", i);
			rc = SQLITE_IOERR_FSYNC;
		}
	}
	return rc;
}

static void wal_sync_ended(struct vfs_file *f, int rc)
{
	struct vfs_wal_state *w = &f->wal;

	w->doubtful = rc != SQLITE_OK;
	if (rc == SQLITE_OK)
		w->unsynced = 0;
}

/*
 * All of a frame: recovery, which looks for the end of the log. A frame that does not authenticate is where a power
 * cut or an older generation of the log begins: zeros, so that SQLite finds a bad checksum and stops there
 * (section 1.5 rule 1). But not if it was good before.
 */
static int read_whole(struct vfs_file *f, uint32_t frame, uint8_t *buf)
{
	int rc = open_frame(f, frame, buf);

	if (rc == SQLITE_OK)
		remember(&f->wal, frame);
	if (rc != SQLITE_IOERR_DATA)
		return rc;
	memset(buf, 0, FRAME_SIZE);
	if (frame > f->wal.good) {
		log_debug("the log ends at frame %u: the next one was never finished, or is an old one", frame - 1);
		return SQLITE_OK;
	}
	log_error("frame %u of the archive's log does not authenticate any more: it was changed or is damaged",
		  frame);
	return SQLITE_IOERR_DATA;
}

static int wal_read(struct vfs_file *f, void *buf, int amt, int64_t off)
{
	uint32_t frame = frame_of(off);
	const uint8_t *page;
	int64_t at;
	int rc = wal_settle(f);

	if (rc != SQLITE_OK)
		return rc;
	if (amt <= 0 || off < 0 || off > WAL_MAX)
		return vfs_refuse(f, "read", amt, off);
	if (frame == 0) {
		if (off + amt > WAL_HEADER)
			return vfs_refuse(f, "read", amt, off);
		return vfs_lower_read(f, buf, amt, off);
	}
	at = off - frame_at(frame);
	if (at + amt > FRAME_SIZE)
		return vfs_refuse(f, "read", amt, off);
	if (amt == FRAME_SIZE)
		return read_whole(f, frame, buf);
	page = at == FRAME_HEADER && amt == PAGE_SIZE ? wal_cache_get(f->wal.cache, frame) : NULL;
	if (page) {
		memcpy(buf, page, PAGE_SIZE);
		return SQLITE_OK;
	}
	rc = open_frame(f, frame, f->wal.plain);
	if (rc == SQLITE_IOERR_DATA)
		log_error("frame %u of the archive's log does not authenticate", frame);
	if (rc == SQLITE_OK)
		memcpy(buf, f->wal.plain + at, (size_t)amt);
	else
		memset(buf, 0, (size_t)amt);
	return rc;
}

/* The log begins anew: other salts, so all frames behind are of an older generation. */
static int write_header(struct vfs_file *f, const uint8_t *buf)
{
	static const uint8_t page_size[4] = { 0, 0, PAGE_SIZE >> 8, PAGE_SIZE & 0xff };
	int rc;

	if (memcmp(buf, wal_magic, sizeof(wal_magic)) != 0 || memcmp(buf + 8, page_size, sizeof(page_size)) != 0)
		return vfs_refuse(f, "content of the header", WAL_HEADER, 0);
	forget_from(&f->wal, 1);
	f->wal.unsynced = 0;
	f->wal.salts_known = false;
	rc = vfs_lower_write(f, buf, WAL_HEADER, 0);
	if (rc != SQLITE_OK)
		return rc;
	memcpy(f->wal.salts, buf + 16, WAL_SALTS);
	f->wal.salts_known = true;
	return SQLITE_OK;
}

/*
 * A header over a frame that is there: SQLite pays the checksums that it owes after a spill (walRewriteChecksums). Or
 * a new frame in the place of one that was rolled back: then the page comes next, and for a moment the new header
 * stands before the old page, as it would in a plain log. Written at once, because nothing else may ever come to
 * flush it (synchronous=NORMAL).
 */
static int write_frame_header(struct vfs_file *f, uint32_t frame, const uint8_t *header)
{
	static const uint8_t owed[WAL_SALTS];
	struct vfs_wal_state *w = &f->wal;
	int rc = load_salts(f);

	if (rc != SQLITE_OK)
		return rc;
	if (memcmp(header + 8, w->salts, WAL_SALTS) != 0 && memcmp(header + 8, owed, WAL_SALTS) != 0)
		return vfs_refuse(f, "content of a frame header", FRAME_HEADER, frame_at(frame));
	if (frame <= w->good) {
		rc = flush(f);
		if (rc == SQLITE_OK)
			rc = open_frame(f, frame, w->plain);
		if (rc == SQLITE_OK)
			return seal_frame(f, frame, header, w->plain + FRAME_HEADER, false);
		if (rc != SQLITE_IOERR_DATA)
			return rc;
		forget_from(w, frame);
	}
	memcpy(w->header, header, FRAME_HEADER);
	w->pending = frame;
	return SQLITE_OK;
}

static int write_frame_page(struct vfs_file *f, uint32_t frame, const uint8_t *page)
{
	struct vfs_wal_state *w = &f->wal;
	int rc;

	if (w->pending == frame) {
		w->pending = 0;
		return seal_frame(f, frame, w->header, page, true);
	}
	rc = wal_settle(f);
	if (rc != SQLITE_OK)
		return rc;
	/* A spilled page that got dirty again, over itself: the header stays, its checksum is owed. */
	rc = open_frame(f, frame, w->plain);
	if (rc == SQLITE_IOERR_DATA)
		return vfs_refuse(f, "page without frame header", PAGE_SIZE, frame_at(frame) + FRAME_HEADER);
	if (rc != SQLITE_OK)
		return rc;
	return seal_frame(f, frame, w->plain, page, false);
}

static int wal_write(struct vfs_file *f, const void *buf, int amt, int64_t off)
{
	uint32_t frame = frame_of(off);
	int64_t at;
	int rc;

	if (off < 0 || off > WAL_MAX)
		return vfs_refuse(f, "write", amt, off);
	at = frame ? off - frame_at(frame) : off;
	if (frame && at == FRAME_HEADER && amt == PAGE_SIZE)
		return write_frame_page(f, frame, buf);
	if (frame && at == 0 && amt == FRAME_HEADER) {
		rc = settle_header(f);
		return rc == SQLITE_OK ? write_frame_header(f, frame, buf) : rc;
	}
	rc = wal_settle(f);
	if (rc != SQLITE_OK)
		return rc;
	if (!frame && at == 0 && amt == WAL_HEADER)
		return write_header(f, buf);
	return vfs_refuse(f, "write", amt, off);
}

/* Called on close too: nothing is collected then. */
static void wal_trim(struct vfs_file *f)
{
	f->wal.cache = wal_cache_free(f->wal.cache);
	if (f->wal.batch_n == 0) {
		free(f->wal.batch);
		f->wal.batch = NULL;
	}
}

static int wal_truncate(struct vfs_file *f, int64_t size)
{
	int rc = wal_settle(f);

	if (rc != SQLITE_OK)
		return rc;
	/* To any size: journal_size_limit knows of no frames. A frame that is cut ends the log as a torn one does. */
	if (size < WAL_HEADER)
		f->wal.salts_known = false;
	forget_from(&f->wal, size < WAL_HEADER ? 1 : frame_of(size));
	if (size == 0)
		wal_trim(f);
	return vfs_lower_truncate(f, size);
}

static int wal_size(struct vfs_file *f, int64_t *ret)
{
	int rc = wal_settle(f);

	return rc == SQLITE_OK ? vfs_lower_size(f, ret) : rc;
}

const struct vfs_kind vfs_wal = {
	"log", wal_read, wal_write, wal_truncate, wal_size, wal_settle, wal_sync_begins, wal_sync_ended, wal_trim,
};
