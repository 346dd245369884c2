#include "drive.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* What is not durable yet of one sector. */
struct note {
	uint8_t written[DRIVE_SECTOR]; /* 1: this byte was written since the last sync */
	uint8_t mid[DRIVE_SECTOR];     /* an earlier version that was never synced either */
	bool has_mid;
};

struct inode {
	struct inode *next;
	char *name;	   /* NULL: temporary, gone when closed */
	uint32_t opens;
	bool linked;	   /* the name leads here */
	bool linked_disk;  /* and would after losing the directory's changes */
	uint8_t *now;	   /* what a reader sees */
	uint8_t *disk;	   /* what is surely durable */
	size_t sectors;	   /* allocated */
	int64_t size, size_disk;
	int64_t size_min;  /* the smallest since the last sync: a truncate in between */
	struct note **notes;
	size_t *dirty;	   /* sectors with a note */
	size_t n_dirty;
};

struct drive {
	sqlite3_vfs vfs;
	struct chance chance;
	struct inode *inodes;
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

static struct inode *inode_new(struct drive *d, const char *name)
{
	struct inode *i = xnew(struct inode);

	i->name = xstrdup(name);
	i->linked = name != NULL;
	i->next = d->inodes;
	d->inodes = i;
	return i;
}

static void notes_clear(struct inode *i)
{
	for (size_t n = 0; n < i->n_dirty; n++) {
		free(i->notes[i->dirty[n]]);
		i->notes[i->dirty[n]] = NULL;
	}
	i->n_dirty = 0;
}

static void inode_free(struct inode *i)
{
	notes_clear(i);
	free(i->name);
	free(i->now);
	free(i->disk);
	free(i->notes);
	free(i->dirty);
	free(i);
}

static struct inode *inode_find(const struct drive *d, const char *name)
{
	for (struct inode *i = d->inodes; i; i = i->next)
		if (i->linked && strcmp(i->name, name) == 0)
			return i;
	return NULL;
}

/* Forget inodes that nothing leads to, neither now nor after a loss. */
static void inodes_sweep(struct drive *d)
{
	struct inode **at = &d->inodes;

	while (*at) {
		struct inode *i = *at;

		if (i->opens > 0 || i->linked || i->linked_disk) {
			at = &i->next;
			continue;
		}
		*at = i->next;
		inode_free(i);
	}
}

static void reserve(struct inode *i, int64_t size)
{
	size_t want = ((size_t)size + DRIVE_SECTOR - 1) / DRIVE_SECTOR, n = i->sectors;

	if (want <= n)
		return;
	want = want * 2;
	i->now = xrealloc(i->now, want, DRIVE_SECTOR);
	i->disk = xrealloc(i->disk, want, DRIVE_SECTOR);
	i->notes = xrealloc(i->notes, want, sizeof(*i->notes));
	i->dirty = xrealloc(i->dirty, want, sizeof(*i->dirty));
	memset(i->now + n * DRIVE_SECTOR, 0, (want - n) * DRIVE_SECTOR);
	memset(i->disk + n * DRIVE_SECTOR, 0, (want - n) * DRIVE_SECTOR);
	memset(i->notes + n, 0, (want - n) * sizeof(*i->notes));
	i->sectors = want;
}

static void inode_write(struct drive *d, struct inode *i, int64_t at, const uint8_t *data, size_t len)
{
	reserve(i, at + (int64_t)len);
	while (len > 0) {
		size_t sector = (size_t)at / DRIVE_SECTOR, from = (size_t)at % DRIVE_SECTOR;
		size_t n = len < DRIVE_SECTOR - from ? len : DRIVE_SECTOR - from;
		struct note *note = i->notes[sector];

		if (!note) {
			note = i->notes[sector] = xnew(struct note);
			i->dirty[i->n_dirty++] = sector;
		} else if (chance_percent(&d->chance, 50)) {
			memcpy(note->mid, i->now + sector * DRIVE_SECTOR, DRIVE_SECTOR);
			note->has_mid = true;
		}
		memset(note->written + from, 1, n);
		memcpy(i->now + at, data, n);
		at += (int64_t)n;
		data += n;
		len -= n;
	}
	if (at > i->size)
		i->size = at;
}

static void inode_truncate(struct inode *i, int64_t size)
{
	size_t kept = 0;

	if (size >= i->size)
		return;
	memset(i->now + size, 0, (size_t)(i->size - size));
	for (size_t n = 0; n < i->n_dirty; n++) {
		size_t sector = i->dirty[n];

		if ((int64_t)(sector * DRIVE_SECTOR) < size) {
			i->dirty[kept++] = sector;
			continue;
		}
		free(i->notes[sector]);
		i->notes[sector] = NULL;
	}
	i->n_dirty = kept;
	i->size = size;
	if (size < i->size_min)
		i->size_min = size;
}

/* The truncates since the last sync take effect on the durable side. */
static void cut_disk(struct inode *i)
{
	if (i->size_min >= i->size_disk)
		return;
	memset(i->disk + i->size_min, 0, (size_t)(i->size_disk - i->size_min));
	i->size_disk = i->size_min;
}

static void inode_sync(struct drive *d, struct inode *i)
{
	cut_disk(i);
	for (size_t n = 0; n < i->n_dirty; n++) {
		size_t at = i->dirty[n] * DRIVE_SECTOR;

		memcpy(i->disk + at, i->now + at, DRIVE_SECTOR);
	}
	notes_clear(i);
	i->size_disk = i->size_min = i->size;
	/* fsync(2) of a new file makes its name durable too (ext4, btrfs, f2fs; SQLite syncs the directory besides). */
	if (!i->linked || i->linked_disk)
		return;
	for (struct inode *old = d->inodes; old; old = old->next)
		if (old != i && old->name && strcmp(old->name, i->name) == 0)
			old->linked_disk = false;
	i->linked_disk = true;
}

/* One un-synced sector meets the power loss. */
static void lose_sector(struct drive *d, struct inode *i, size_t sector, uint32_t survival)
{
	const struct note *note = i->notes[sector];
	uint8_t *disk = i->disk + sector * DRIVE_SECTOR;

	if (chance_percent(&d->chance, survival)) {
		memcpy(disk, i->now + sector * DRIVE_SECTOR, DRIVE_SECTOR);
		return;
	}
	if (chance_percent(&d->chance, 30)) {
		for (size_t n = 0; n < DRIVE_SECTOR; n++)
			if (note->written[n])
				disk[n] = (uint8_t)chance_next(&d->chance);
		return;
	}
	if (note->has_mid && survival > 0 && chance_percent(&d->chance, 50))
		memcpy(disk, note->mid, DRIVE_SECTOR);
}

static void lose_inode(struct drive *d, struct inode *i, uint32_t survival)
{
	bool shrunk = i->size_min < i->size_disk;
	int64_t size;

	if (shrunk && (survival == 100 || (survival > 0 && chance_percent(&d->chance, 50))))
		cut_disk(i);
	size = i->size_disk;
	for (size_t n = 0; n < i->n_dirty; n++)
		lose_sector(d, i, i->dirty[n], survival);
	if (i->size > size && survival > 0) {
		uint32_t how = survival == 100 ? 0 : chance_below(&d->chance, 3);

		if (how == 0)
			size = i->size;
		else if (how == 1)
			size += chance_below(&d->chance, (uint32_t)((i->size - size) / DRIVE_SECTOR) + 1) * DRIVE_SECTOR;
	}
	notes_clear(i);
	if (i->sectors > 0) {
		memset(i->disk + size, 0, i->sectors * DRIVE_SECTOR - (size_t)size);
		memcpy(i->now, i->disk, i->sectors * DRIVE_SECTOR);
	}
	i->size = i->size_disk = i->size_min = size;
}

/* Names that were made or removed without a sync: either of the two states. */
static void lose_names(struct drive *d, uint32_t survival)
{
	for (struct inode *i = d->inodes; i; i = i->next) {
		bool took = survival == 100 || (survival > 0 && chance_percent(&d->chance, 50));

		if (i->name && i->linked != i->linked_disk && !took)
			i->linked = i->linked_disk;
	}
	/* A removed file came back beside its successor, or both went: the durable one wins, as one name is one file. */
	for (struct inode *i = d->inodes; i; i = i->next)
		for (struct inode *o = i->next; i->linked && o; o = o->next)
			if (o->linked && strcmp(o->name, i->name) == 0) {
				struct inode *loser = i->linked_disk ? o : i;

				loser->linked = false;
			}
	for (struct inode *i = d->inodes; i; i = i->next)
		i->linked_disk = i->linked;
}

void drive_power_on(struct drive *d, int survival)
{
	static const uint8_t survivals[] = { 0, 3, 10, 50, 90, 97, 100 };
	uint32_t p = survivals[chance_below(&d->chance, ARRAY_SIZE(survivals))];

	if (survival >= 0)
		p = (uint32_t)survival;
	lose_names(d, p);
	for (struct inode *i = d->inodes; i; i = i->next) {
		assert(i->opens == 0);
		lose_inode(d, i, p);
	}
	inodes_sweep(d);
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
	if (d->error_percent == 0 || !chance_percent(&d->chance, d->error_percent))
		return false;
	d->injected++;
	return true;
}

static int f_close(sqlite3_file *file)
{
	struct file *f = (struct file *)file;

	f->i->opens--;
	inodes_sweep(f->d);
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
		inode_write(f->d, f->i, at, data, chance_below(&f->d->chance, (uint32_t)len));
		return chance_percent(&f->d->chance, 50) ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	}
	inode_write(f->d, f->i, at, data, (size_t)len);
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

/* What a failed fsync(2) leaves: some sectors made it, all count as clean, and no later sync tries again. */
static void sync_badly(struct drive *d, struct inode *i)
{
	for (size_t n = 0; n < i->n_dirty; n++)
		lose_sector(d, i, i->dirty[n], 50);
	notes_clear(i);
}

static int f_sync(sqlite3_file *file, int flags)
{
	struct file *f = (struct file *)file;

	(void)flags;
	if (f->d->off)
		return SQLITE_IOERR_FSYNC;
	if (op_fails(f->d)) {
		if (chance_percent(&f->d->chance, 50))
			sync_badly(f->d, f->i);
		return SQLITE_IOERR_FSYNC;
	}
	if (op_counts(f->d))
		return SQLITE_IOERR_FSYNC;
	inode_sync(f->d, f->i);
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
	struct inode *i = name ? inode_find(d, name) : NULL;

	f->base.pMethods = NULL;
	if (d->off)
		return SQLITE_CANTOPEN;
	if (!i && !(flags & SQLITE_OPEN_CREATE) && name)
		return SQLITE_CANTOPEN;
	if (!i) {
		if (op_fails(d))
			return chance_percent(&d->chance, 50) ? SQLITE_FULL : SQLITE_CANTOPEN;
		i = inode_new(d, name);
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
	struct inode *i = inode_find(d, name);

	if (d->off || op_fails(d))
		return SQLITE_IOERR_DELETE;
	if (!i)
		return SQLITE_IOERR_DELETE_NOENT;
	i->linked = false;
	if (op_counts(d))
		return SQLITE_IOERR_DELETE;
	if (sync_dir)
		for (struct inode *at = d->inodes; at; at = at->next)
			at->linked_disk = at->linked;
	inodes_sweep(d);
	return SQLITE_OK;
}

static int v_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
	struct drive *d = vfs->pAppData;
	const struct inode *i = inode_find(d, name);

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

	chance_fill(&d->chance, ret, (size_t)size);
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

	d->chance.state = seed;
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
	for (struct inode *i = d->inodes; i; i = i->next) {
		assert(i->opens == 0);
		i->linked = i->linked_disk = false;
	}
	inodes_sweep(d);
	free(d);
	return NULL;
}

void drive_make(struct drive *d, const char *name)
{
	struct inode *old = inode_find(d, name);

	if (old)
		old->linked = old->linked_disk = false;
	inode_sync(d, inode_new(d, name));
	inodes_sweep(d);
}

int64_t drive_size(const struct drive *d, const char *name)
{
	const struct inode *i = inode_find(d, name);

	return i ? i->size : -1;
}

const uint8_t *drive_bytes(const struct drive *d, const char *name, int64_t *ret_size)
{
	const struct inode *i = inode_find(d, name);

	if (!i)
		return NULL;
	*ret_size = i->size;
	return i->now;
}
