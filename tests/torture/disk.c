#include "disk.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* What is not durable yet of one sector. */
struct note {
	uint8_t written[DRIVE_SECTOR]; /* 1: this byte was written since the last sync */
	uint8_t mid[DRIVE_SECTOR];     /* an earlier version that was never synced either */
	bool has_mid;
};

struct inode *disk_create(struct disk *d, const char *name)
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

struct inode *disk_find(const struct disk *d, const char *name)
{
	for (struct inode *i = d->inodes; i; i = i->next)
		if (i->linked && strcmp(i->name, name) == 0)
			return i;
	return NULL;
}

void disk_sweep(struct disk *d)
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

void inode_write(struct disk *d, struct inode *i, int64_t at, const uint8_t *data, size_t len)
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

void inode_truncate(struct inode *i, int64_t size)
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

void inode_sync(struct disk *d, struct inode *i)
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
static void lose_sector(struct disk *d, struct inode *i, size_t sector, uint32_t survival)
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

static void lose_inode(struct disk *d, struct inode *i, uint32_t survival)
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
static void lose_names(struct disk *d, uint32_t survival)
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

void disk_lose(struct disk *d, uint32_t survival)
{
	lose_names(d, survival);
	for (struct inode *i = d->inodes; i; i = i->next) {
		assert(i->opens == 0);
		lose_inode(d, i, survival);
	}
	disk_sweep(d);
}

void inode_sync_badly(struct disk *d, struct inode *i)
{
	for (size_t n = 0; n < i->n_dirty; n++)
		lose_sector(d, i, i->dirty[n], 50);
	notes_clear(i);
}

void disk_deinit(struct disk *d)
{
	for (struct inode *i = d->inodes; i; i = i->next) {
		assert(i->opens == 0);
		i->linked = i->linked_disk = false;
	}
	disk_sweep(d);
}
