/*
 * The glue: which kind a file is of, which keys it takes, and everything that is the same for all of them.
 *
 * io_methods version 1: no shared memory, so SQLite refuses WAL without EXCLUSIVE locking, and no memory map
 * (facts/db.md section 1.6). That also keeps out SQLite's WAL-reset bug, which takes two connections.
 */
#include "vault/vfs.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "vault/secret.h"
#include "vault/vfs-priv.h"

/* An SQLite VFS is registered for the process, so this is the process's: no handle could carry it. */
static struct {
	sqlite3_vfs vfs;
	struct binding {
		char *path; /* as the caller gave it */
		const struct page_keys *keys;
		uint32_t damaged_page; /* the first one, for as long as it is bound */
	} bindings[VFS_BINDINGS_MAX];
	uint32_t damaged_page;
	int error; /* errno of the last access that failed */
} self;

static sqlite3_vfs *lower_vfs(const sqlite3_vfs *vfs)
{
	return vfs->pAppData;
}

static struct vfs_file *file_of(sqlite3_file *file)
{
	return (struct vfs_file *)file;
}

int vfs_lower_said(struct vfs_file *f, int rc)
{
	int error = 0;

	if (rc != SQLITE_OK && vfs_lower(f)->pMethods->xFileControl(vfs_lower(f), SQLITE_FCNTL_LAST_ERRNO, &error) == SQLITE_OK)
		self.error = error;
	return rc;
}

int vfs_lower_size(struct vfs_file *f, int64_t *ret)
{
	sqlite3_int64 size = 0;
	int rc = vfs_lower(f)->pMethods->xFileSize(vfs_lower(f), &size);

	*ret = size;
	return rc;
}

int vfs_refuse(const struct vfs_file *f, const char *what, int64_t amt, int64_t off)
{
	log_error(
		"SQLite %s uses the %s in a way that the encryption does not know (%s, %lld bytes at %lld): refused",
		sqlite3_libversion(), f->kind->name, what, (long long)amt, (long long)off);
	self.error = 0;
	return SQLITE_IOERR;
}

int vfs_damaged(const struct vfs_file *f, uint32_t pgno, int outcome)
{
	self.damaged_page = pgno;
	for (size_t i = 0; i < VFS_BINDINGS_MAX; i++)
		if (self.bindings[i].keys == f->keys && self.bindings[i].damaged_page == 0)
			self.bindings[i].damaged_page = pgno;
	log_error("page %u of the archive %s", pgno,
		  outcome == PAGE_E_FORMAT
			  ? "has a format that is not known"
			  : "does not authenticate: it is damaged, was moved, or belongs to another key");
	return pgno == 1 ? SQLITE_NOTADB : SQLITE_IOERR_DATA;
}

int vfs_error(void)
{
	return self.error;
}

uint32_t vfs_damaged_page(void)
{
	uint32_t pgno = self.damaged_page;

	self.damaged_page = 0;
	return pgno;
}

static int io_close(sqlite3_file *file)
{
	struct vfs_file *f = file_of(file);
	/* A temporary file is of no use to anybody any more: nothing is written back. */
	int rc = f->kind != &vfs_temp && f->kind->settle ? f->kind->settle(f) : SQLITE_OK;
	int closed = vfs_lower(f)->pMethods->xClose(vfs_lower(f));

	if (f->kind->trim)
		f->kind->trim(f);
	secret_wipe(f, sizeof(*f));
	return rc != SQLITE_OK ? rc : closed;
}

static int io_read(sqlite3_file *file, void *buf, int amt, sqlite3_int64 off)
{
	return file_of(file)->kind->read(file_of(file), buf, amt, off);
}

static int io_write(sqlite3_file *file, const void *buf, int amt, sqlite3_int64 off)
{
	return file_of(file)->kind->write(file_of(file), buf, amt, off);
}

static int io_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return file_of(file)->kind->truncate(file_of(file), size);
}

static int io_sync(sqlite3_file *file, int flags)
{
	struct vfs_file *f = file_of(file);
	int rc = f->kind->settle ? f->kind->settle(f) : SQLITE_OK;

	if (rc == SQLITE_OK && f->kind->sync_begins)
		rc = f->kind->sync_begins(f);
	if (rc == SQLITE_OK)
		rc = vfs_lower_said(f, vfs_lower(f)->pMethods->xSync(vfs_lower(f), flags));
	if (f->kind->sync_ended)
		f->kind->sync_ended(f, rc);
	return rc;
}

static int io_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	int64_t size = 0;
	int rc = file_of(file)->kind->size(file_of(file), &size);

	*ret = size;
	return rc;
}

static int io_lock(sqlite3_file *file, int level)
{
	sqlite3_file *lower = vfs_lower(file_of(file));

	return lower->pMethods->xLock(lower, level);
}

static int io_unlock(sqlite3_file *file, int level)
{
	sqlite3_file *lower = vfs_lower(file_of(file));

	return lower->pMethods->xUnlock(lower, level);
}

static int io_check_reserved(sqlite3_file *file, int *ret)
{
	sqlite3_file *lower = vfs_lower(file_of(file));

	return lower->pMethods->xCheckReservedLock(lower, ret);
}

static int io_control(sqlite3_file *file, int op, void *arg)
{
	sqlite3_file *lower = vfs_lower(file_of(file));

	switch (op) {
	case SQLITE_FCNTL_MMAP_SIZE:
		*(sqlite3_int64 *)arg = 0;
		return SQLITE_OK;
	case SQLITE_FCNTL_VFSNAME:
		*(char **)arg = sqlite3_mprintf("%s", VAULT_VFS);
		return SQLITE_OK;
	case SQLITE_FCNTL_LOCKSTATE:
	case SQLITE_FCNTL_LAST_ERRNO:
	case SQLITE_FCNTL_HAS_MOVED:
	case SQLITE_FCNTL_PERSIST_WAL:
		return lower->pMethods->xFileControl(lower, op, arg);
	default: /* no batch-atomic writes, no chunks, no size hints in bytes that are not ours */
		return SQLITE_NOTFOUND;
	}
}

static int io_sector(_unused_ sqlite3_file *file)
{
	return 512;
}

/* Powersafe overwrite always: without it SQLite pads the log to a sector and writes parts of pages around the sync. */
static int io_caps(sqlite3_file *file)
{
	sqlite3_file *lower = vfs_lower(file_of(file));
	int caps = lower->pMethods->xDeviceCharacteristics(lower);

	return (caps & SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN) | SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods io_methods = {
	.iVersion = 1,
	.xClose = io_close,
	.xRead = io_read,
	.xWrite = io_write,
	.xTruncate = io_truncate,
	.xSync = io_sync,
	.xFileSize = io_size,
	.xLock = io_lock,
	.xUnlock = io_unlock,
	.xCheckReservedLock = io_check_reserved,
	.xFileControl = io_control,
	.xSectorSize = io_sector,
	.xDeviceCharacteristics = io_caps,
};

/* Whether the binding's path is ${name} (of ${len} bytes), which SQLite made absolute and free of symlinks. */
static bool names(const struct binding *b, sqlite3_vfs *lower, const char *name, size_t len)
{
	_cleanup_(freep) char *full = NULL;

	if (strlen(b->path) == len && memcmp(b->path, name, len) == 0)
		return true;
	full = xcalloc(1, (size_t)lower->mxPathname + 1);
	if ((lower->xFullPathname(lower, b->path, lower->mxPathname + 1, full) & 0xff) != SQLITE_OK)
		return false;
	return strlen(full) == len && memcmp(full, name, len) == 0;
}

static const struct page_keys *keys_of(sqlite3_vfs *lower, const char *name, const char *suffix)
{
	size_t len = name ? strlen(name) : 0, cut = strlen(suffix);

	if (len <= cut || strcmp(name + len - cut, suffix) != 0)
		return NULL;
	for (size_t i = 0; i < VFS_BINDINGS_MAX; i++) {
		const struct binding *b = &self.bindings[i];

		if (b->path && names(b, lower, name, len - cut))
			return b->keys;
	}
	return NULL;
}

/* What the file is and which keys it takes. NULL: nothing of ours (a super-journal, an unbound path). */
static const struct vfs_kind *kind_of(sqlite3_vfs *lower, const char *name, int flags,
				      const struct page_keys **ret_keys)
{
	static const struct {
		int type;
		const struct vfs_kind *kind;
		const char *suffix;
	} named[] = {
		{ SQLITE_OPEN_MAIN_DB, &vfs_db, "" },
		{ SQLITE_OPEN_WAL, &vfs_wal, "-wal" },
		{ SQLITE_OPEN_MAIN_JOURNAL, &vfs_journal, "-journal" },
	};

	*ret_keys = NULL;
	if (flags &
	    (SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL))
		return &vfs_temp;
	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		if (!(flags & named[i].type))
			continue;
		*ret_keys = keys_of(lower, name, named[i].suffix);
		return *ret_keys ? named[i].kind : NULL;
	}
	return NULL;
}

static int begin(struct vfs_file *f)
{
	int64_t size;
	int rc;

	if (f->kind == &vfs_journal)
		f->journal.pending = f->journal.opened = -1;
	if (f->kind != &vfs_temp)
		return SQLITE_OK;
	rc = vfs_lower_size(f, &size);
	/* The key of whatever is in there is gone. */
	if (rc == SQLITE_OK && size != 0)
		return vfs_refuse(f, "a temporary file that is not new", size, 0);
	randombytes_buf(f->temp.key, sizeof(f->temp.key));
	return rc;
}

/* Something that somebody put in the place of a file: opening a FIFO would wait for ever. */
static bool is_special(const char *name)
{
	struct stat st;

	return name && lstat(name, &st) == 0 && !S_ISREG(st.st_mode);
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	sqlite3_vfs *lower = lower_vfs(vfs);
	struct vfs_file *f = file_of(file);
	int rc;

	memset(f, 0, sizeof(*f));
	f->kind = kind_of(lower, name, flags, &f->keys);
	if (!f->kind) {
		log_error("SQLite opens a file that no key is bound to (%s, flags 0x%x): refused",
			  name ? name : "without a name", (unsigned)flags);
		return SQLITE_CANTOPEN;
	}
	if (is_special(name)) {
		log_error("%s is not a regular file: refused", name);
		return SQLITE_CANTOPEN;
	}
	rc = lower->xOpen(lower, name, vfs_lower(f), flags, ret_flags);
	if (rc == SQLITE_OK)
		rc = begin(f);
	if (rc == SQLITE_OK) {
		f->base.pMethods = &io_methods;
		return SQLITE_OK;
	}
	/* Closed here, whatever failed: not every caller in SQLite closes a file that did not open. */
	if (vfs_lower(f)->pMethods)
		vfs_lower(f)->pMethods->xClose(vfs_lower(f));
	return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	return lower_vfs(vfs)->xDelete(lower_vfs(vfs), name, sync_dir);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
	return lower_vfs(vfs)->xAccess(lower_vfs(vfs), name, flags, ret);
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	return lower_vfs(vfs)->xFullPathname(lower_vfs(vfs), name, size, out);
}

static void *vfs_dlopen(_unused_ sqlite3_vfs *vfs, _unused_ const char *name)
{
	return NULL;
}

static void vfs_dlerror(_unused_ sqlite3_vfs *vfs, int size, char *out)
{
	sqlite3_snprintf(size, out, "no extensions beside an encrypted archive");
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *out)
{
	return lower_vfs(vfs)->xRandomness(lower_vfs(vfs), size, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
	return lower_vfs(vfs)->xSleep(lower_vfs(vfs), us);
}

static int vfs_time(sqlite3_vfs *vfs, double *ret)
{
	return lower_vfs(vfs)->xCurrentTime(lower_vfs(vfs), ret);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *out)
{
	return lower_vfs(vfs)->xGetLastError ? lower_vfs(vfs)->xGetLastError(lower_vfs(vfs), size, out) : 0;
}

int vfs_register(const char *lower)
{
	sqlite3_vfs *found;

	if (sodium_init() < 0)
		return err_origin(-ENOMEM);
	found = sqlite3_vfs_find(lower);
	if (!found || found == &self.vfs)
		return err_origin(-ENODEV);
	if (sqlite3_vfs_find(VAULT_VFS) && self.vfs.pAppData == found)
		return 0;
	self.vfs = (sqlite3_vfs){
		.iVersion = 1,
		.szOsFile = (int)sizeof(struct vfs_file) + found->szOsFile,
		.mxPathname = found->mxPathname,
		.zName = VAULT_VFS,
		.pAppData = found,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_pathname,
		.xDlOpen = vfs_dlopen,
		.xDlError = vfs_dlerror,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_time,
		.xGetLastError = vfs_last_error,
	};
	return sqlite3_vfs_register(&self.vfs, 0) == SQLITE_OK ? 0 : err_origin(-ENOMEM);
}

void vfs_trim(sqlite3 *db)
{
	sqlite3_file *file = NULL;
	int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);

	/* No log, or none of ours: a plain database. */
	if (rc != SQLITE_OK || !file || file->pMethods != &io_methods)
		return;
	if (file_of(file)->kind->trim)
		file_of(file)->kind->trim(file_of(file));
}

static struct binding *find(const char *path)
{
	for (size_t i = 0; i < VFS_BINDINGS_MAX; i++)
		if (path ? self.bindings[i].path && strcmp(self.bindings[i].path, path) == 0 : !self.bindings[i].path)
			return &self.bindings[i];
	return NULL;
}

int vfs_bind(const char *path, const struct page_keys *keys)
{
	struct binding *b = find(path);

	if (!b)
		b = find(NULL);
	if (!b)
		return err_origin(-ENOSPC);
	str_set(&b->path, path);
	b->keys = keys;
	b->damaged_page = 0;
	return 0;
}

void vfs_unbind(const char *path)
{
	struct binding *b = find(path);

	if (!b)
		return;
	str_set(&b->path, NULL);
	b->keys = NULL;
}

uint32_t vfs_damaged_ever(const char *path)
{
	const struct binding *b = find(path);

	return b ? b->damaged_page : 0;
}
