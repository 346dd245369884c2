#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "store/db.h"
#include "store/marker.h"
#include "store/purge.h"
#include "store/schema.h"

#define DB_NAME "archive.db"

/*
 * pending_refs: 10,000 are some 5 MB; a contact who sends corrections of nothing pushes out others' at worst.
 * tombstones: facts/ipc.md section 3.6. purge_rows: about 0.3 s here, and some 10 MB of dirty pages.
 */
static const struct store_limits default_limits = { .pending_refs = 10000, .tombstones = 100000, .purge_rows = 20000 };

/* What the user is told. ${path} is the database or its directory. */
static int outcome(int what, const char *path, const char *detail, char **ret_why)
{
	free(*ret_why);
	switch (what) {
	case STORE_E_NEWER:
		*ret_why = xasprintf("%s was written by a newer version of varve: install that version again, or "
				     "point varve at another data directory.", path);
		break;
	case STORE_E_DAMAGED:
		*ret_why = xasprintf("%s is damaged (%s). Nothing was changed. Copy the directory away, then restore "
				     "a backup, or move it aside to start anew from the server's archive.", path, detail);
		break;
	case STORE_E_UNWRITABLE:
		*ret_why = xasprintf("%s cannot be written (%s): check its owner, its permissions and whether its file "
				     "system is mounted read-only.", path, detail);
		break;
	case STORE_E_FULL:
		*ret_why = xasprintf("There is no space left to open %s (%s): free some space on its file system and "
				     "start varve again.", path, detail);
		break;
	case STORE_E_MISSING:
		*ret_why = xasprintf("%s is missing, but an archive was here before: is a file system not mounted? To "
				     "start anew, remove archive.state from the same directory.", path);
		break;
	default:
		*ret_why = xasprintf("The SQLite library %s did not accept the setting %s, which varve depends on: "
				     "install the libsqlite3 of your distribution.", sqlite3_libversion(), detail);
		break;
	}
	return what;
}

/* A negative errno of opening as an outcome where the user can do something; itself otherwise. */
static int judge(int r, const char *path, char **ret_why)
{
	switch (r) {
	case -EBADMSG:
		return outcome(STORE_E_DAMAGED, path, "it is not a database, or its pages do not check", ret_why);
	case -EACCES:
	case -EPERM:
	case -EROFS:
	case -ELOOP:
	case -ENOTDIR:
	case -EISDIR:
		return outcome(STORE_E_UNWRITABLE, path, strerror(-r), ret_why);
	case -EBUSY:
		return outcome(STORE_E_UNWRITABLE, path, "another program has it open", ret_why);
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return outcome(STORE_E_FULL, path, strerror(-r), ret_why);
	default:
		return err_trace(r);
	}
}

static int make_dir(const char *dir)
{
	_cleanup_(freep) char *path = xstrdup(dir);

	/* Missing parents too: $XDG_DATA_HOME need not exist (XDG base directory specification). */
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return err_origin(-errno);
		*p = '/';
	}
	if (mkdir(path, 0700) == 0)
		step("store.mkdir");
	else if (errno != EEXIST)
		return err_origin(-errno);
	/* SQLite must be able to make its -wal file, and rename(2) the marker: say no before anything is tried. */
	if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0)
		return err_origin(-errno);
	return 0;
}

/*
 * Make sure that the file is there and that only its owner can read it, also under a lax umask: SQLite gives -wal the
 * mode of the database. *ret_size: its size; 0 for a new one.
 */
static int make_file(const char *path, int64_t *ret_size)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0)
		return err_origin(-errno);
	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	if (!S_ISREG(st.st_mode))
		return err_origin(-EACCES);
	if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
		return err_origin(-errno);
	*ret_size = st.st_size;
	return 0;
}

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
	s->epoch = xstrdup(col_t(&q, 0));
	return 0;
}

/* Everything after the file exists. Outcomes as store_open(), without the sentence; *ret_what for STORE_E_ENGINE. */
static int bring_up(struct store *s, const char *dir, int64_t size, bool marked, const char **ret_what)
{
	bool fresh;
	int r;

	*ret_what = "its contents are not those of a varve archive";
	r = db_open(s, size == 0, ret_what);
	if (r < 0)
		return err_trace(r);
	if (r > 0)
		return r;
	r = is_fresh(s, size, &fresh);
	if (r < 0)
		return err_trace(r);
	if (fresh && marked) {
		*ret_what = "it is empty, but an archive was here before";
		return STORE_E_DAMAGED;
	}
	r = schema_apply(s, fresh);
	if (r == 0)
		r = load_epoch(s);
	if (r != 0)
		return r < 0 ? err_trace(r) : r;
	if (marked)
		return 0;
	/* The schema leaves the log before anything relies on it: a lost -wal file then is no lost archive. */
	r = store_checkpoint(s, true);
	if (r == 0)
		r = marker_write(dir);
	return r < 0 ? err_trace(r) : 0;
}

int store_open(const char *dir, struct store **ret, char **ret_why)
{
	_cleanup_(store_freep) struct store *s = xnew(struct store);
	const char *what = "";
	int64_t size = 0;
	bool marked;
	int r;

	*ret_why = NULL;
	s->path = xasprintf("%s/" DB_NAME, dir);
	s->limits = default_limits;
	r = make_dir(dir);
	if (r == 0)
		r = marker_exists(dir, &marked);
	if (r < 0)
		return judge(r, dir, ret_why);
	if (marked && access(s->path, F_OK) < 0 && errno == ENOENT)
		return outcome(STORE_E_MISSING, s->path, NULL, ret_why);
	r = make_file(s->path, &size);
	if (r == 0)
		r = marked && size == 0 ? STORE_E_DAMAGED : bring_up(s, dir, size, marked, &what);
	if (r != 0) {
		db_close(s, true);
		if (r == STORE_E_DAMAGED && size == 0)
			what = "it is empty, but an archive was here before";
		return r < 0 ? judge(r, s->path, ret_why) : outcome(r, s->path, what, ret_why);
	}
	if (sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL) != SQLITE_OK)
		return outcome(STORE_E_ENGINE, s->path, "no_ckpt_on_close", ret_why);
	*ret = TAKE_PTR(s);
	return 0;
}

struct store *store_free(struct store *s)
{
	if (!s)
		return NULL;
	if (s->in_tx)
		store_rollback(s);
	db_close(s, false);
	free(s->path);
	free(s->epoch);
	free(s);
	return NULL;
}

int store_checkpoint(struct store *s, bool truncate)
{
	int code, r;

	r = purge_step(s);
	if (r < 0)
		return err_trace(r);
	code = sqlite3_wal_checkpoint_v2(s->db, NULL,
					 truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code != SQLITE_OK)
		return err_origin(db_errno(code));
	step("store.checkpoint");
	return 0;
}

int store_check(struct store *s, char **ret_why)
{
	sqlite3_stmt *st = NULL;
	int code;

	*ret_why = NULL;
	code = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &st, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	if (code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
		(void)outcome(STORE_E_DAMAGED, s->path, (const char *)sqlite3_column_text(st, 0), ret_why);
	sqlite3_finalize(st);
	if (*ret_why)
		return STORE_E_DAMAGED;
	if (code == SQLITE_ROW)
		return 0;
	return judge(db_errno(code), s->path, ret_why);
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
