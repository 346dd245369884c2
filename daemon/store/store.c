#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "store/db.h"
#include "store/disk.h"
#include "store/feed.h"
#include "store/ids.h"
#include "store/leftover.h"
#include "store/schema.h"
#include "store/search.h"
#include "store/takeover.h"
#include "store/why.h"
#include "vault/page.h"
#include "vault/vault.h"
#include "vault/vfs.h"

/*
 * pending_refs: 10,000 are some 5 MB; a contact who sends corrections of nothing pushes out his own.
 * tombstones: facts/ipc.md section 3.6. purge_rows: some 15 ms here.
 * log_frames: 800 kB to copy in one piece. log_long: 10 MB, of which a catch-up copies 4 to 8, for it writes most pages
 * again and again (decision 0026); a log is checked when a process was killed, 2.5 us a page.
 */
const struct store_limits store_limits_default = {
	.pending_refs = 10000, .tombstones = 100000, .purge_rows = 1000, .log_frames = 200, .log_long = 2500,
	.count_rows = 5000, .recount = 200,
};

/* A database that is not ours yet: a file of zero bytes, or one in which the first transaction never committed. */
static int is_fresh(struct store *s, int64_t size, bool *ret)
{
	int64_t version, pages;
	int r;

	*ret = size == 0;
	if (size == 0)
		return 0;
	r = db_pragma(s, "user_version", &version);
	if (r == 0)
		r = db_pragma(s, "schema_version", &pages);
	if (r < 0)
		return err_trace(r);
	*ret = version == 0 && pages == 0;
	return 0;
}

static int load_epoch(struct store *s)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_EPOCH);
	int r = db_row(&q);

	if (r < 0)
		return err_trace(r);
	if (r == 0)
		return STORE_E_DAMAGED;
	str_set(&s->epoch, col_t(&q, 0));
	return 0;
}

/* The file that the vault names: there if it must be, made if it may be. *ret_size: 0 for a new one. */
static int find_file(struct store *s, const struct vault *v, const char **ret_what, int64_t *ret_size)
{
	int64_t size;
	int r;

	r = disk_size(s->path, &size);
	if (r < 0)
		return err_trace(r);
	if (vault_is_ready(v) && size < 0) {
		*ret_what = VAULT_SIDECAR;
		return STORE_E_MISSING;
	}
	if (vault_is_ready(v) && size == 0) {
		*ret_what = "it is empty, but an archive was here before";
		return STORE_E_DAMAGED;
	}
	r = disk_make_file(s->path, ret_size);
	if (r < 0)
		return err_trace(r);
	/* Cut off while the first page was written: nothing was ever stored in it, and SQLite drops its log with it. */
	if (!vault_is_ready(v) && size > 0 && size <= PAGE_SIZE) {
		if (truncate(s->path, 0) < 0)
			return err_origin(-errno);
		*ret_size = 0;
	}
	return 0;
}

/* Outcomes as store_open(), without the sentence; *ret_what is its detail (a literal). */
static int bring_up(struct store *s, struct vault *v, const char **ret_what)
{
	int64_t size;
	bool fresh;
	int r;

	*ret_what = "its contents are not those of a varve archive";
	r = vault_is_ready(v) ? 0 : takeover_run(v, ret_what);
	if (r == 0)
		r = find_file(s, v, ret_what, &size);
	if (r == 0)
		r = db_open(s, size == 0, ret_what);
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	r = is_fresh(s, size, &fresh);
	if (r < 0)
		return err_trace(r);
	if (fresh && vault_is_ready(v)) {
		*ret_what = "it is empty, but an archive was here before";
		return STORE_E_DAMAGED;
	}
	r = schema_apply(s, fresh);
	if (r == 0)
		r = load_epoch(s);
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	/* The schema leaves the log before anything relies on it: a lost -wal file then is no lost archive. */
	if (!vault_is_ready(v)) {
		r = store_checkpoint(s);
		if (r == 0)
			r = vault_ready(v);
	}
	return r < 0 ? err_trace(r) : 0;
}

/* Frames that an earlier life left in the log, at most. */
static int frames_left(const struct store *s)
{
	_cleanup_(freep) char *wal = xasprintf("%s-wal", s->path);
	int64_t size;

	if (disk_size(wal, &size) < 0 || size < WAL_HEADER)
		return 0;
	return (int)((size - WAL_HEADER) / (FRAME_HEADER + PAGE_SIZE));
}

/* What earlier lives left behind: nothing of it is needed, and failing to remove it is no reason not to start. */
static void tidy(struct store *s, struct vault *v)
{
	int r = takeover_finish(v);

	if (r == 0)
		r = leftover_clean(s);
	if (r < 0)
		log_warning("archive: what a copy left behind could not be removed: %s", strerror(-r));
}

int store_open(struct vault *v, struct store **ret, char **ret_why)
{
	_cleanup_(store_freep) struct store *s = xnew(struct store);
	_cleanup_(freep) char *why = NULL;
	const char *what = "";
	int r;

	*ret_why = NULL;
	s->path = xstrdup(vault_path(v));
	s->limits = store_limits_default;
	r = vault_locked(v) ? vault_unlock_auto(v, &why) : 0;
	if (r < 0)
		return why_errno(r, s->path, ret_why);
	if (r > 0) {
		*ret_why = TAKE_PTR(why);
		return r == VAULT_E_LOCKED ? STORE_E_LOCKED : STORE_E_DAMAGED;
	}
	s->keys = vault_keys(v);
	r = bring_up(s, v, &what);
	if (r == 0 && sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL) != SQLITE_OK) {
		what = "no_ckpt_on_close";
		r = STORE_E_ENGINE;
	}
	if (r != 0) {
		db_close(s, true);
		return r < 0 ? why_errno(r, s->path, ret_why) : why_outcome(r, s->path, what, ret_why);
	}
	if (clock_off_load(s) < 0)
		log_warning("archive: by how much the clock was off cannot be read");
	s->log_seen = -frames_left(s);
	db_note_files(s);
	tidy(s, v);
	*ret = TAKE_PTR(s);
	return 0;
}

/* Ids and positions taken in advance. If it fails they are skipped: that is all. */
static void give_back(struct store *s)
{
	int r;

	if (s->frozen || !(ids_taken(s) || feed_taken(s)) || store_begin(s) < 0)
		return;
	r = ids_leave(s);
	if (r == 0)
		r = feed_leave(s);
	if (r == 0)
		r = store_commit(s);
	else
		store_rollback(s);
	if (r < 0)
		log_debug("ids taken in advance are skipped");
}

struct store *store_free(struct store *s)
{
	if (!s)
		return NULL;
	if (s->in_tx)
		store_rollback(s);
	if (s->db) {
		give_back(s);
		db_close(s, false);
	}
	free(s->path);
	free(s->epoch);
	free(s);
	return NULL;
}

int store_checkpoint(struct store *s)
{
	int code;

	search_let_go(s);
	code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (code != SQLITE_OK)
		return err_origin(db_errno(code));
	step("store.checkpoint");
	return 0;
}

int store_note_get(struct store *s, const char *name, int64_t *ret)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_META_GET);
	int r;

	put_t(&q, name);
	r = db_row(&q);
	if (r < 0)
		return err_trace(r);
	*ret = r > 0 ? strtoll(col_t(&q, 0), NULL, 10) : 0;
	return 0;
}

int store_note_put(struct store *s, const char *name, int64_t value)
{
	_cleanup_(stmt_done) struct stmt q = db_use(s, SQL_META_PUT);
	_cleanup_(freep) char *text = xasprintf("%" PRId64, value);

	put_t(&q, name);
	put_t(&q, text);
	return db_run(&q);
}

const char *store_epoch(const struct store *s)
{
	return s->epoch;
}

int64_t store_size(const struct store *s)
{
	struct stat st;

	return stat(s->path, &st) == 0 ? (int64_t)st.st_size : 0;
}

enum store_files store_files(const struct store *s)
{
	_cleanup_(freep) char *log = xasprintf("%s-wal", s->path);
	struct disk_id file = disk_id(s->path), wal = disk_id(log);

	if (file.dev != s->file.dev || file.ino != s->file.ino)
		return STORE_FILES_NO_DATABASE;
	return wal.dev != s->log.dev || wal.ino != s->log.ino ? STORE_FILES_NO_LOG : STORE_FILES_THERE;
}

uint32_t store_damaged_page(const struct store *s)
{
	return vfs_damaged_ever(s->path);
}
