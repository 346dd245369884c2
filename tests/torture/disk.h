/*
 * Names and bytes of the drive (drive.h) as a reader sees them now and as they would be after a power loss: what a sync
 * makes durable, and what the loss makes of the rest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chance.h"

enum { DRIVE_SECTOR = 512 };

struct note;

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
	struct note **notes; /* of each sector: what is not durable yet of it; NULL = it is as on the disk */
	size_t *dirty;	   /* sectors with a note */
	size_t n_dirty;
};

struct disk {
	struct chance chance;
	struct inode *inodes;
};

/* The file that ${name} leads to now, NULL if there is none. */
struct inode *disk_find(const struct disk *d, const char *name);
/* A new empty file, not durable yet, nor its name; ${name} NULL: a temporary one. */
struct inode *disk_create(struct disk *d, const char *name);
/* Forget what nothing leads to, neither now nor after a loss. */
void disk_sweep(struct disk *d);
/* The power was lost: ${survival} percent of what was not synced is there. No file may be open. */
void disk_lose(struct disk *d, uint32_t survival);
/* Forget all of it. No file may be open. */
void disk_deinit(struct disk *d);

void inode_write(struct disk *d, struct inode *i, int64_t at, const uint8_t *data, size_t len);
void inode_truncate(struct inode *i, int64_t size);
void inode_sync(struct disk *d, struct inode *i);
/* What a failed fsync(2) leaves: some sectors made it, all count as clean, and no later sync tries again. */
void inode_sync_badly(struct disk *d, struct inode *i);
