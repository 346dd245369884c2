#define _GNU_SOURCE /* memmem */
#include "spy.h"

enum { NEEDLES = 64, NEEDLE_MAX = 64 };

struct spy_file {
	sqlite3_file base;
	enum spy_kind kind;
};

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *below;
	struct spy seen;
	struct {
		uint8_t bytes[NEEDLE_MAX];
		size_t size;
	} needles[NEEDLES];
	size_t count;
	unsigned fail;
} self;

static sqlite3_file *below(sqlite3_file *f)
{
	return (sqlite3_file *)((struct spy_file *)f + 1);
}

static int spy_close(sqlite3_file *f)
{
	return below(f)->pMethods->xClose(below(f));
}

static int spy_read(sqlite3_file *f, void *buf, int amt, sqlite3_int64 off)
{
	self.seen.reads[((struct spy_file *)f)->kind]++;
	return below(f)->pMethods->xRead(below(f), buf, amt, off);
}

static int spy_write(sqlite3_file *f, const void *buf, int amt, sqlite3_int64 off)
{
	enum spy_kind kind = ((struct spy_file *)f)->kind;
	bool leak = false;

	for (size_t i = 0; i < self.count; i++)
		leak = leak || memmem(buf, (size_t)amt, self.needles[i].bytes, self.needles[i].size);
	self.seen.writes[kind]++;
	self.seen.bytes[kind] += (uint64_t)amt;
	self.seen.leaks[kind] += leak;
	if (self.fail && --self.fail == 0) {
		below(f)->pMethods->xWrite(below(f), buf, amt / 2, off);
		return SQLITE_FULL;
	}
	return below(f)->pMethods->xWrite(below(f), buf, amt, off);
}

static int spy_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return below(f)->pMethods->xTruncate(below(f), size);
}

static int spy_sync(_unused_ sqlite3_file *f, _unused_ int flags)
{
	return SQLITE_OK;
}

static int spy_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return below(f)->pMethods->xFileSize(below(f), ret);
}

static int spy_lock(sqlite3_file *f, int level)
{
	return below(f)->pMethods->xLock(below(f), level);
}

static int spy_unlock(sqlite3_file *f, int level)
{
	return below(f)->pMethods->xUnlock(below(f), level);
}

static int spy_reserved(sqlite3_file *f, int *ret)
{
	return below(f)->pMethods->xCheckReservedLock(below(f), ret);
}

static int spy_control(sqlite3_file *f, int op, void *arg)
{
	return below(f)->pMethods->xFileControl(below(f), op, arg);
}

static int spy_sector(sqlite3_file *f)
{
	return below(f)->pMethods->xSectorSize(below(f));
}

/* A disk that promises a lot: none of it may come through. */
static int spy_caps(_unused_ sqlite3_file *f)
{
	return SQLITE_IOCAP_ATOMIC | SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_BATCH_ATOMIC |
	       SQLITE_IOCAP_ATOMIC4K;
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = spy_close,
	.xRead = spy_read,
	.xWrite = spy_write,
	.xTruncate = spy_truncate,
	.xSync = spy_sync,
	.xFileSize = spy_size,
	.xLock = spy_lock,
	.xUnlock = spy_unlock,
	.xCheckReservedLock = spy_reserved,
	.xFileControl = spy_control,
	.xSectorSize = spy_sector,
	.xDeviceCharacteristics = spy_caps,
};

static int spy_open(_unused_ sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct spy_file *f = (struct spy_file *)file;
	int rc = self.below->xOpen(self.below, name, below(file), flags, ret_flags);

	f->base.pMethods = below(file)->pMethods ? &methods : NULL;
	f->kind = flags & SQLITE_OPEN_MAIN_DB        ? SPY_DB
		  : flags & SQLITE_OPEN_WAL          ? SPY_WAL
		  : flags & SQLITE_OPEN_MAIN_JOURNAL ? SPY_JOURNAL
		  : flags & SQLITE_OPEN_TEMP_DB      ? SPY_TEMP_DB
		  : flags & SQLITE_OPEN_TRANSIENT_DB ? SPY_TRANSIENT
		  : flags & SQLITE_OPEN_TEMP_JOURNAL ? SPY_TEMP_JOURNAL
						     : SPY_STATEMENT;
	return rc;
}

/* These take their VFS only to find what is theirs: the default one's must be asked with itself. */
static int spy_delete(_unused_ sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	return self.below->xDelete(self.below, name, sync_dir);
}

static int spy_access(_unused_ sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
	return self.below->xAccess(self.below, name, flags, ret);
}

static int spy_full(_unused_ sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	return self.below->xFullPathname(self.below, name, size, out);
}

void spy_install(void)
{
	self.below = sqlite3_vfs_find("unix");
	self.vfs = *self.below;
	self.vfs.iVersion = 1;
	self.vfs.pNext = NULL;
	self.vfs.zName = "spy";
	self.vfs.szOsFile = self.below->szOsFile + (int)sizeof(struct spy_file);
	self.vfs.xOpen = spy_open;
	self.vfs.xDelete = spy_delete;
	self.vfs.xAccess = spy_access;
	self.vfs.xFullPathname = spy_full;
	assert_int_equal(sqlite3_vfs_register(&self.vfs, 0), SQLITE_OK);
	assert_int_equal(vfs_register("spy"), 0);
	spy_needle(MARKER, sizeof(MARKER) - 1);
	spy_take();
}

void spy_remove(void)
{
	assert_int_equal(vfs_register(NULL), 0);
	sqlite3_vfs_unregister(&self.vfs);
	self.count = 0;
	self.fail = 0;
}

struct spy spy_take(void)
{
	struct spy seen = self.seen;

	memset(&self.seen, 0, sizeof(self.seen));
	return seen;
}

void spy_needle(const void *needle, size_t size)
{
	assert_true(self.count < NEEDLES && size <= NEEDLE_MAX);
	memcpy(self.needles[self.count].bytes, needle, size);
	self.needles[self.count++].size = size;
}

void spy_fail_write(unsigned n)
{
	self.fail = n;
}

int spy_setup(void **state)
{
	int r = place_setup(state);

	spy_install();
	return r;
}

int spy_teardown(void **state)
{
	spy_remove();
	return place_teardown(state);
}
