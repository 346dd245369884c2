#define _GNU_SOURCE /* sync_file_range */
#include "store/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/step.h"
#include "core/cover.h"
#include "store/copy-priv.h"
#include "store/db.h"
#include "store/disk.h"
#include "store/leftover.h"
#include "store/outbox-priv.h"
#include "store/push.h"
#include "store/read.h"
#include "vault/vfs.h"

/*
 * COPY_FLUSH_PAGES: this many pages further, the kernel is told to begin writing, so that the fsync at the end finds
 * little left (8 MB: a fraction of a second on eMMC). COPY_SLICE_*: pages in one call of SQLite: the first slice,
 * before anything was measured, and the largest.
 */
enum { COPY_FLUSH_PAGES = 2048, COPY_SLICE_FIRST = 16, COPY_SLICE_MAX = 4096 };

enum stage { COPYING, FORGETTING, COMPLETE, FAILED };

struct copy {
	struct store *s;
	enum copy_kind kind;
	enum stage stage;
	char *path;    /* the name that it will have */
	char *partial; /* the one that it has; the same for a successor */
	const struct page_keys *keys;
	sqlite3 *db;
	sqlite3_backup *backup;
	int fd;	       /* for the kernel's write-back only; closed after ${db}: see store/disk.h */
	int slice;     /* pages a call */
	int flushed;   /* pages that the kernel was told to write */
	unsigned int percent;
	int64_t newest; /* id of the newest message when the last page was copied */
	bool counted;  /* as the one copy of the store */
	bool kept;
};

static int db_failed(struct copy *c, int code, const char *what)
{
	log_debug("copy: %s: sqlite: %d: %s", what, code, sqlite3_errmsg(c->db));
	return err_origin(db_errno(code));
}

static int absent(const char *path)
{
	struct stat st;

	/* Not opened: it may be the archive itself, whose locks would go with the descriptor (store/disk.h). */
	if (lstat(path, &st) == 0)
		return err_origin(-EEXIST);
	return errno == ENOENT ? 0 : err_origin(-errno);
}

/*
 * The copy's own connection. Nobody else knows the file, so its rollback journal is memory: it stays empty, because no
 * page of it was there before. Dirty pages spill into the file as the cache fills up, which bounds the memory; the
 * loss of data that cache_spill=OFF prevents (facts/db.md section 2.3) needs a WAL.
 */
static int open_copy(struct copy *c)
{
	int reserve = PAGE_RESERVE, code;

	code = sqlite3_open_v2(c->partial, &c->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			       VAULT_VFS);
	if (code == SQLITE_OK)
		code = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
	if (code == SQLITE_OK)
		code = sqlite3_exec(c->db, "PRAGMA page_size=4096; PRAGMA locking_mode=EXCLUSIVE;"
					   "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA secure_delete=ON;"
					   "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=FULL;"
					   "PRAGMA cache_size=-1000; PRAGMA trusted_schema=OFF",
				    NULL, NULL, NULL);
	if (code != SQLITE_OK)
		return db_failed(c, code, "open");
	c->backup = sqlite3_backup_init(c->db, "main", c->s->db, "main");
	return c->backup ? 0 : db_failed(c, sqlite3_extended_errcode(c->db), "begin");
}

static int begin(struct copy *c)
{
	_cleanup_(freep) char *sidecar = leftover_sidecar(c->path);
	int r;

	if (c->s->copying)
		return err_origin(-EBUSY);
	c->s->copying = c->counted = true;
	/* Of a backup that was cut off, also if it is this one's name. */
	r = leftover_clean(c->s);
	if (r == 0)
		r = absent(c->path);
	if (r == 0 && c->kind == COPY_BACKUP)
		r = absent(sidecar);
	if (r == 0 && c->kind == COPY_BACKUP)
		r = absent(c->partial);
	if (r == 0)
		r = c->kind == COPY_BACKUP ? leftover_note_backup(c->s, c->path) :
					     leftover_note_successor(c->s, c->path);
	if (r == 0)
		r = disk_make_new(c->partial);
	if (r < 0)
		return err_trace(r);
	c->stage = COPYING;
	c->fd = open(c->partial, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (c->fd < 0)
		return err_origin(-errno);
	r = db_bind(c->partial, c->keys);
	if (r == 0)
		r = open_copy(c);
	return r < 0 ? err_trace(r) : 0;
}

int copy_new(struct store *s, enum copy_kind kind, const char *path, const struct page_keys *keys, struct copy **ret)
{
	_cleanup_(copy_freep) struct copy *c = xnew(struct copy);
	int r;

	c->s = s;
	c->kind = kind;
	c->stage = FAILED; /* nothing to remove yet */
	c->path = xstrdup(path);
	c->partial = kind == COPY_BACKUP ? leftover_partial(path) : xstrdup(path);
	c->keys = keys;
	c->fd = -1;
	c->slice = COPY_SLICE_FIRST;
	r = begin(c);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(c);
	return 0;
}

static void flush(struct copy *c, int pages, bool all)
{
	if (pages - c->flushed < COPY_FLUSH_PAGES && !all)
		return;
	/* A hint: what fails here fails again, and is seen, at the fsync. */
	(void)sync_file_range(c->fd, (off_t)c->flushed * PAGE_SIZE, (off_t)(pages - c->flushed) * PAGE_SIZE,
			      SYNC_FILE_RANGE_WRITE);
	c->flushed = pages;
}

/* ${took_us} for c->slice pages: the next call takes about a quarter of the budget. */
static void adapt(struct copy *c, int64_t took_us, int64_t budget_us)
{
	int64_t fit = took_us > 0 ? c->slice * budget_us / took_us / 4 : c->slice * 2;

	/* Never more than twice as many: one fast slice, all from the cache, says little about the next. */
	if (fit > c->slice * 2)
		fit = c->slice * 2;
	c->slice = fit < 1 ? 1 : fit > COPY_SLICE_MAX ? COPY_SLICE_MAX : (int)fit;
}

static int copy_pages(struct copy *c, int64_t budget_us)
{
	int64_t now = clock_boot_us(), end = now + budget_us, took;
	int code, total, left;

	do {
		took = -now;
		code = sqlite3_backup_step(c->backup, c->slice);
		total = sqlite3_backup_pagecount(c->backup);
		left = sqlite3_backup_remaining(c->backup);
		c->percent = total ? (unsigned int)((int64_t)(total - left) * 99 / total) : 0;
		flush(c, total - left, code == SQLITE_DONE);
		now = clock_boot_us();
		took += now;
		adapt(c, took, budget_us);
		/* Another one like this must fit. */
	} while (code == SQLITE_OK && now + took < end);
	if (code == SQLITE_OK)
		return 1;
	if (code != SQLITE_DONE)
		return db_failed(c, code, "pages");
	code = sqlite3_backup_finish(c->backup);
	c->backup = NULL;
	if (code != SQLITE_OK)
		return db_failed(c, code, "finish");
	return db_number(c->s->db, COPY_NEWEST, &c->newest);
}

/*
 * A backup is another archive's beginning: no session is resumable from it, so no run counts as held (core/cover.h:
 * what cover_session_lost() does), and its feed is not the one that a client read. And what waits to be sent here will
 * long have been sent when the backup is opened: it is in doubt (store/outbox.h), and the server's archive is asked
 * first. Nothing of this is in the log of the archive itself.
 */
static const char forget_backup[] =
	"BEGIN IMMEDIATE;"
	"DELETE FROM session;"
	"DELETE FROM login;" /* a token belongs to one installation, and in no backup (XEP-0484 section 4.1) */
	/* The node is that installation's: where two have one, what one takes back ends the other's. */
	"DELETE FROM push WHERE state = 3;"
	"UPDATE push SET state = 0, reason = NULL, node = lower(hex(randomblob(16)));"
	"DELETE FROM span WHERE flags & 16;"
	"UPDATE span SET flags = flags & ~2 WHERE flags & 2;"
	"UPDATE msg SET state = 11 WHERE state = 10 AND id IN (SELECT msg FROM outbox WHERE kind = 0 AND state = 0);"
	"UPDATE outbox SET state = 2, again = 2, n = NULL, anchor = coalesce(anchor, (SELECT p.last_id FROM archive v"
	" JOIN span p ON p.archive = v.id WHERE v.account = outbox.account AND v.jid = '' ORDER BY p.seq DESC LIMIT 1))"
	" WHERE state IN (0, 1) AND kind <= 3;"
	"UPDATE meta SET value = lower(hex(randomblob(8))) WHERE name = 'epoch';"
	"DELETE FROM meta WHERE name IN ('successor', 'predecessor', 'backup');"
	"COMMIT;"
	"PRAGMA wal_checkpoint(TRUNCATE)";

_Static_assert(PUSH_WANTED == 0 && PUSH_GOING == 3, "numbers of push services in forget_backup and sql.h");
_Static_assert(SPAN_RUN == 16 && SPAN_LIVE == 2, "numbers of the format in forget_backup");
_Static_assert(OUT_QUEUED == 0 && OUT_SENDING == 1 && OUT_DOUBT == 2 && OUT_TEXT == 0 && OUT_REACTION == 3 &&
		       AGAIN_UNSURE == 2 && STATE_QUEUED == 10 && STATE_SENDING == 11,
	       "numbers of the outbox in forget_backup");

static int complete(struct copy *c)
{
	int code, r;

	code = c->kind == COPY_BACKUP ? sqlite3_exec(c->db, forget_backup, NULL, NULL, NULL) : SQLITE_OK;
	if (code != SQLITE_OK)
		return db_failed(c, code, "forget");
	code = sqlite3_close(c->db);
	if (code != SQLITE_OK)
		return db_failed(c, code, "close");
	c->db = NULL;
	vfs_unbind(c->partial);
	if (fsync(c->fd) < 0)
		return err_origin(-errno);
	r = io_sync_parent(c->partial);
	if (r < 0)
		return err_trace(r);
	step("store.copy");
	return 0;
}

/* Close and remove; with what is noted in the archive nothing has to be done: it is about a file that is gone. */
static void drop(struct copy *c)
{
	if (c->backup)
		sqlite3_backup_finish(c->backup);
	c->backup = NULL;
	if (c->db) {
		sqlite3_close(c->db);
		vfs_unbind(c->partial);
	}
	c->db = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (c->stage != FAILED && !c->kept && disk_remove_db(c->partial) < 0)
		log_warning("archive: a copy that was given up could not be removed");
	c->stage = FAILED;
}

int copy_step(struct copy *c, int64_t budget_us)
{
	int r;

	if (c->stage == FAILED)
		return err_origin(-EBADF);
	if (c->stage == COMPLETE)
		return 0;
	r = c->stage == COPYING ? copy_pages(c, budget_us) : complete(c);
	if (r > 0)
		return 1;
	if (r < 0) {
		drop(c);
		return err_trace(r);
	}
	c->stage = c->stage == COPYING ? FORGETTING : COMPLETE;
	/* From the last page on: a write now would not reach the copy. */
	if (c->kind == COPY_SUCCESSOR)
		c->s->frozen = true;
	if (c->stage == FORGETTING)
		return 1;
	c->percent = 100;
	return 0;
}

unsigned int copy_percent(const struct copy *c)
{
	return c->percent;
}

static int verify(void *userdata, void *answer, size_t *ret_len)
{
	struct copy *c = userdata;
	_cleanup_(freep) char *bad = NULL;
	int r;

	*ret_len = 0;
	r = copy_check(c->partial, c->keys, -1, c->newest, &bad);
	if (r < 0)
		return err_trace(r);
	if (bad) {
		*ret_len = strnlen(bad, CHILD_ANSWER_MAX - 1);
		memcpy(answer, bad, *ret_len);
	}
	return 0;
}

int copy_verify_start(const struct copy *c, struct child **ret)
{
	int r;

	if (c->stage != COMPLETE)
		return err_origin(-EBUSY);
	r = child_start(verify, (void *)(uintptr_t)c, ret);
	return r < 0 ? err_trace(r) : 0;
}

int copy_keep(struct copy *c)
{
	int r;

	if (c->stage != COMPLETE)
		return err_origin(-EBUSY);
	r = c->kind == COPY_BACKUP ? disk_rename(c->partial, c->path, false) : 0;
	if (r < 0)
		return err_trace(r);
	c->kept = true;
	return 0;
}

struct copy *copy_free(struct copy *c)
{
	if (!c)
		return NULL;
	if (c->kind == COPY_SUCCESSOR && !c->kept)
		c->s->frozen = false;
	if (c->counted)
		c->s->copying = false;
	drop(c);
	free(c->path);
	free(c->partial);
	free(c);
	return NULL;
}
