#include "store/takeover.h"

#include <errno.h>
#include <libgen.h>
#include <sqlite3.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/step.h"
#include "store/copy-priv.h"
#include "store/db.h"
#include "store/disk.h"
#include "store/schema.h"
#include "vault/vfs.h"

struct names {
	char *db, *wal; /* the archive, plain or encrypted */
	char *made;	/* the encrypted copy while it is made */
	char *old;	/* the plain file on its way out: a name that nobody else gives */
	char *marker;
};

static void names_deinit(struct names *n)
{
	free(n->db);
	free(n->wal);
	free(n->made);
	free(n->old);
	free(n->marker);
}

static struct names names_of(struct vault *v)
{
	_cleanup_(freep) char *dir = xstrdup(vault_path(v));
	const char *db = vault_path(v), *parent = dirname(dir);

	return (struct names){
		.db = xstrdup(db),
		.wal = xasprintf("%s-wal", db),
		.made = xasprintf("%s.new", db),
		/* Of that name also after a rotation, should it still be there. */
		.old = xasprintf("%s/" VAULT_DATABASE ".plain-0.1", parent),
		.marker = xasprintf("%s/" TAKEOVER_MARKER, parent),
	};
}

static int plain_fail(sqlite3 *db, int code)
{
	log_debug("takeover: sqlite: %d: %s", code, sqlite3_errmsg(db));
	return err_origin(db_errno(code));
}

static int plain_exec(sqlite3 *db, const char *sql)
{
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : plain_fail(db, code);
}

/* ${path} as an SQLite URI that opens through the cipher VFS. */
static char *uri_of(const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-";
	struct buf b = { 0 };

	buf_adds(&b, "file:");
	for (const char *p = path; *p; p++) {
		if (strchr(plain, *p))
			buf_add(&b, p, 1);
		else
			buf_addf(&b, "%%%02x", (unsigned int)(unsigned char)*p);
	}
	buf_adds(&b, "?vfs=" VAULT_VFS);
	return buf_steal(&b);
}

/*
 * The whole log into the database, but the log kept as it is: it is wiped later, and a log that SQLite truncates leaves
 * its blocks on the disk with what was in them.
 */
static int checkpoint(sqlite3 *db)
{
	int frames = 0, done = 0, code;

	code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &done);
	if (code != SQLITE_OK)
		return plain_fail(db, code);
	return frames == done ? 0 : err_origin(-EBUSY);
}

/* VACUUM INTO, because SQLite's backup API copies pages as they are, and these have no room for nonce and tag. */
static int vacuum_into(sqlite3 *db, const char *path)
{
	_cleanup_(freep) char *uri = uri_of(path);
	char *sql = sqlite3_mprintf("VACUUM INTO %Q", uri);
	int reserve = PAGE_RESERVE, r;

	if (!sql)
		return err_origin(-ENOMEM);
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve) != SQLITE_OK)
		r = err_origin(-EIO);
	else
		r = plain_exec(db, sql);
	sqlite3_free(sql);
	return r;
}

/* Copy, and see that the copy has every message. ${db} is open, exclusive and as it stays. */
static int copy_plain(sqlite3 *db, const struct names *n, const struct page_keys *keys, const char **ret_what)
{
	_cleanup_(freep) char *bad = NULL;
	int64_t messages, newest;
	int r;

	r = db_number(db, "SELECT count(*) FROM msg", &messages);
	if (r == 0)
		r = db_number(db, COPY_NEWEST, &newest);
	if (r == 0)
		r = disk_remove_db(n->made);
	if (r == 0)
		r = disk_make_new(n->made);
	if (r == 0)
		r = db_bind(n->made, keys);
	if (r < 0)
		return err_trace(r);
	r = vacuum_into(db, n->made);
	vfs_unbind(n->made);
	if (r == 0)
		r = disk_sync(n->made);
	if (r == 0)
		r = io_sync_parent(n->made);
	if (r < 0)
		return err_trace(r);
	step("store.takeover-copy");
	r = copy_check(n->made, keys, messages, newest, &bad);
	if (r < 0)
		return err_trace(r);
	if (bad) {
		log_error("takeover: the encrypted copy is not right: %s", bad);
		*ret_what = "the encrypted copy of the plain archive could not be verified; the plain one was kept";
		return STORE_E_DAMAGED;
	}
	return 0;
}

static int read_plain(sqlite3 *db, const struct names *n, const struct page_keys *keys, const char **ret_what)
{
	int64_t app = 0, version = 0;
	int r;

	r = plain_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
			   "PRAGMA trusted_schema=OFF; PRAGMA cache_size=-8000; BEGIN IMMEDIATE; COMMIT");
	if (r == 0)
		r = db_number(db, "PRAGMA application_id", &app);
	if (r == 0)
		r = db_number(db, "PRAGMA user_version", &version);
	if (r < 0)
		return err_trace(r);
	if (app != SCHEMA_APPLICATION_ID || version < 1) {
		*ret_what = "its contents are not those of a varve archive";
		return STORE_E_DAMAGED;
	}
	if (version > SCHEMA_VERSION)
		return STORE_E_NEWER;
	r = checkpoint(db);
	return r < 0 ? err_trace(r) : copy_plain(db, n, keys, ret_what);
}

static int convert(const struct names *n, const struct page_keys *keys, const char **ret_what)
{
	sqlite3 *db = NULL;
	int code, r;

	code = sqlite3_open_v2(n->db, &db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI |
				       SQLITE_OPEN_EXRESCODE,
			       NULL);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	r = code == SQLITE_OK ? read_plain(db, n, keys, ret_what) : plain_fail(db, code);
	sqlite3_close(db);
	if (r != 0)
		(void)disk_remove_db(n->made);
	return r;
}

static int switch_files(const struct names *n)
{
	int r;

	/* Under its name the log would be taken for that of the encrypted file. All of it is in the database. */
	r = disk_wipe(n->wal);
	if (r == 0)
		r = disk_rename(n->db, n->old, false);
	if (r == 0)
		r = disk_rename(n->made, n->db, false);
	return r < 0 ? err_trace(r) : 0;
}

static int run(const struct names *n, const struct page_keys *keys, const char **ret_what)
{
	enum disk_kind now, old, marker;
	int r;

	r = disk_kind(n->db, &now);
	if (r == 0)
		r = disk_kind(n->old, &old);
	if (r == 0)
		r = disk_kind(n->marker, &marker);
	if (r < 0)
		return err_trace(r);
	/* Killed between the two renames: back, and once more. */
	if (now == DISK_NONE && old == DISK_PLAIN) {
		r = disk_rename(n->old, n->db, false);
		if (r < 0)
			return err_trace(r);
		now = DISK_PLAIN;
	}
	/* The sidecar was made for an archive that could not be taken over then (no space, say) and is not here now. */
	if (now == DISK_NONE && marker != DISK_NONE) {
		*ret_what = TAKEOVER_MARKER;
		return STORE_E_MISSING;
	}
	if (now == DISK_EMPTY && (marker != DISK_NONE || old != DISK_NONE)) {
		*ret_what = "it is empty, but an archive was here before";
		return STORE_E_DAMAGED;
	}
	if (now == DISK_FOREIGN) {
		*ret_what = "its contents are not those of a varve archive";
		return STORE_E_DAMAGED;
	}
	if (now != DISK_PLAIN)
		return 0;
	r = convert(n, keys, ret_what);
	if (r == 0)
		r = switch_files(n);
	if (r == 0)
		log_info("archive: the plain archive of an older varve is encrypted now");
	return r < 0 ? err_trace(r) : r;
}

int takeover_run(struct vault *v, const char **ret_what)
{
	_cleanup_(names_deinit) struct names n = names_of(v);

	return run(&n, vault_keys(v), ret_what);
}

int takeover_finish(struct vault *v)
{
	_cleanup_(names_deinit) struct names n = names_of(v);
	int r;

	/* A sealed one is a backup that somebody calls so. */
	r = disk_is_sealed(n.old) ? 0 : disk_wipe(n.old);
	if (r == 0)
		r = disk_remove(n.marker);
	return r < 0 ? err_trace(r) : 0;
}
