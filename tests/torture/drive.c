#include "drive.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"

struct drive {
	sqlite3_vfs vfs;
	struct disk disk;
	uint64_t ops, fail_at; /* 0: never */
	uint64_t injected;
	uint32_t error_percent;
	bool error_reads;
	bool off;
};

struct file {
	sqlite3_file base;
	struct drive *d;
	struct inode *i;
};

void drive_power_on(struct drive *d, int survival)
{
	static const uint8_t survivals[] = { 0, 3, 10, 50, 90, 97, 100 };
	uint32_t p = survivals[chance_below(&d->disk.chance, ARRAY_SIZE(survivals))];

	if (survival >= 0)
		p = (uint32_t)survival;
	disk_lose(&d->disk, p);
	d->off = false;
	d->fail_at = 0;
}

void drive_power_off(struct drive *d)
{
	d->off = true;
}

bool drive_is_off(const struct drive *d)
{
	return d->off;
}

void drive_fail_after(struct drive *d, uint32_t ops)
{
	d->fail_at = ops ? d->ops + ops : 0;
}

void drive_errors(struct drive *d, uint32_t percent, bool reads)
{
	d->error_percent = percent;
	d->error_reads = reads;
}

uint64_t drive_injected(const struct drive *d)
{
	return d->injected;
}

/* Count one operation: true if it is the one at which the power goes. */
static bool op_counts(struct drive *d)
{
	d->ops++;
	if (d->fail_at == 0 || d->ops < d->fail_at)
		return false;
	d->off = true;
	return true;
}

static bool op_fails(struct drive *d)
{
	if (d->error_percent == 0 || !chance_percent(&d->disk.chance, d->error_percent))
		return false;
	d->injected++;
	return true;
}

static int f_close(sqlite3_file *file)
{
	struct file *f = (struct file *)file;

	f->i->opens--;
	disk_sweep(&f->d->disk);
	return SQLITE_OK;
}

static int f_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
	struct file *f = (struct file *)file;
	int64_t n = f->i->size - at;

	if (f->d->off)
		return SQLITE_IOERR_READ;
	if (f->d->error_reads && op_fails(f->d))
		return SQLITE_IOERR_READ;
	if (n >= len) {
		memcpy(to, f->i->now + at, (size_t)len);
		return SQLITE_OK;
	}
	memset(to, 0, (size_t)len);
	if (n > 0)
		memcpy(to, f->i->now + at, (size_t)n);
	return SQLITE_IOERR_SHORT_READ;
}

static int f_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
	struct file *f = (struct file *)file;

	if (f->d->off)
		return SQLITE_IOERR_WRITE;
	if (op_fails(f->d)) {
		/* Half of it is written; what fails is told in either way. */
		inode_write(&f->d->disk, f->i, at, data, chance_below(&f->d->disk.chance, (uint32_t)len));
		return chance_percent(&f->d->disk.chance, 50) ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	}
	inode_write(&f->d->disk, f->i, at, data, (size_t)len);
	return op_counts(f->d) ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int f_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct file *f = (struct file *)file;

	if (f->d->off || op_fails(f->d))
		return SQLITE_IOERR_TRUNCATE;
	inode_truncate(f->i, size);
	return op_counts(f->d) ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

static int f_sync(sqlite3_file *file, int flags)
{
	struct file *f = (struct file *)file;

	(void)flags;
	if (f->d->off)
		return SQLITE_IOERR_FSYNC;
	if (op_fails(f->d)) {
		if (chance_percent(&f->d->disk.chance, 50))
			inode_sync_badly(&f->d->disk, f->i);
		return SQLITE_IOERR_FSYNC;
	}
	if (op_counts(f->d))
		return SQLITE_IOERR_FSYNC;
	inode_sync(&f->d->disk, f->i);
	return SQLITE_OK;
}

static int f_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	*ret = ((struct file *)file)->i->size;
	return SQLITE_OK;
}

static int f_lock(sqlite3_file *file, int level)
{
	(void)file;
	(void)level;
	return SQLITE_OK;
}

static int f_reserved(sqlite3_file *file, int *ret)
{
	(void)file;
	*ret = 0;
	return SQLITE_OK;
}

static int f_control(sqlite3_file *file, int op, void *arg)
{
	(void)file;
	if (op != SQLITE_FCNTL_MMAP_SIZE)
		return SQLITE_NOTFOUND;
	/* None: db_open() reads the pragma back. */
	*(sqlite3_int64 *)arg = 0;
	return SQLITE_OK;
}

static int f_sector(sqlite3_file *file)
{
	(void)file;
	return DRIVE_SECTOR;
}

static int f_device(sqlite3_file *file)
{
	(void)file;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = f_close,
	.xRead = f_read,
	.xWrite = f_write,
	.xTruncate = f_truncate,
	.xSync = f_sync,
	.xFileSize = f_size,
	.xLock = f_lock,
	.xUnlock = f_lock,
	.xCheckReservedLock = f_reserved,
	.xFileControl = f_control,
	.xSectorSize = f_sector,
	.xDeviceCharacteristics = f_device,
};

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct drive *d = vfs->pAppData;
	struct file *f = (struct file *)file;
	struct inode *i = name ? disk_find(&d->disk, name) : NULL;

	f->base.pMethods = NULL;
	if (d->off)
		return SQLITE_CANTOPEN;
	if (!i && !(flags & SQLITE_OPEN_CREATE) && name)
		return SQLITE_CANTOPEN;
	if (!i) {
		if (op_fails(d))
			return chance_percent(&d->disk.chance, 50) ? SQLITE_FULL : SQLITE_CANTOPEN;
		i = disk_create(&d->disk, name);
		if (op_counts(d))
			return SQLITE_CANTOPEN;
	}
	i->opens++;
	f->base.pMethods = &methods;
	f->d = d;
	f->i = i;
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int v_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	struct drive *d = vfs->pAppData;
	struct inode *i = disk_find(&d->disk, name);

	if (d->off || op_fails(d))
		return SQLITE_IOERR_DELETE;
	if (!i)
		return SQLITE_IOERR_DELETE_NOENT;
	i->linked = false;
	if (op_counts(d))
		return SQLITE_IOERR_DELETE;
	if (sync_dir)
		for (struct inode *at = d->disk.inodes; at; at = at->next)
			at->linked_disk = at->linked;
	disk_sweep(&d->disk);
	return SQLITE_OK;
}

static int v_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
	struct drive *d = vfs->pAppData;
	const struct inode *i = disk_find(&d->disk, name);

	if (d->off)
		return SQLITE_IOERR_ACCESS;
	/* As the unix VFS: an empty file does not exist for this question. */
	*ret = i && (flags != SQLITE_ACCESS_EXISTS || i->size > 0);
	return SQLITE_OK;
}

static int v_full(sqlite3_vfs *vfs, const char *name, int size, char *ret)
{
	(void)vfs;
	snprintf(ret, (size_t)size, "%s", name);
	return SQLITE_OK;
}

static int v_random(sqlite3_vfs *vfs, int size, char *ret)
{
	struct drive *d = vfs->pAppData;

	chance_fill(&d->disk.chance, ret, (size_t)size);
	return size;
}

static int v_sleep(sqlite3_vfs *vfs, int us)
{
	(void)vfs;
	return us;
}

static int v_time(sqlite3_vfs *vfs, double *ret)
{
	(void)vfs;
	*ret = 2460000.5;
	return SQLITE_OK;
}

static int v_error(sqlite3_vfs *vfs, int size, char *ret)
{
	(void)vfs;
	(void)size;
	(void)ret;
	return 0;
}

struct drive *drive_new(const char *name, bool as_default, uint64_t seed)
{
	struct drive *d = xnew(struct drive);

	d->disk.chance.state = seed;
	d->vfs = (sqlite3_vfs){
		.iVersion = 1,
		.szOsFile = (int)sizeof(struct file),
		.mxPathname = 512,
		.zName = name,
		.pAppData = d,
		.xOpen = v_open,
		.xDelete = v_delete,
		.xAccess = v_access,
		.xFullPathname = v_full,
		.xRandomness = v_random,
		.xSleep = v_sleep,
		.xCurrentTime = v_time,
		.xGetLastError = v_error,
	};
	if (sqlite3_vfs_register(&d->vfs, as_default) != SQLITE_OK)
		abort();
	return d;
}

struct drive *drive_free(struct drive *d)
{
	if (!d)
		return NULL;
	sqlite3_vfs_unregister(&d->vfs);
	disk_deinit(&d->disk);
	free(d);
	return NULL;
}

void drive_make(struct drive *d, const char *name)
{
	struct inode *old = disk_find(&d->disk, name);

	if (old)
		old->linked = old->linked_disk = false;
	inode_sync(&d->disk, disk_create(&d->disk, name));
	disk_sweep(&d->disk);
}

int64_t drive_size(const struct drive *d, const char *name)
{
	const struct inode *i = disk_find(&d->disk, name);

	return i ? i->size : -1;
}

const uint8_t *drive_bytes(const struct drive *d, const char *name, int64_t *ret_size)
{
	const struct inode *i = disk_find(&d->disk, name);

	if (!i)
		return NULL;
	*ret_size = i->size;
	return i->now;
}
