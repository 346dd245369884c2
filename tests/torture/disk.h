/*
 * A disk in memory that loses its power: an SQLite VFS which goes below the cipher VFS (vfs_register(DISK_VFS)), or
 * takes part as VAULT_VFS itself, so that plain SQLite runs under the same failures as a control.
 *
 * What a power loss does (facts/db.md section 2.1): every 512-byte sector that was written since its file was last
 * synced survives with p percent, p drawn for the loss from {0, 3, 10, 50, 90, 97, 100}; of the lost ones 30 percent
 * hold garbage in the bytes that were written, else what was there before, or some version in between. There is no
 * order between writes of one file, or of two, but by a sync. A size that changed, a name that was made or removed may
 * each have reached the disk or not. Bytes of a sector that nobody wrote are never harmed: that is what
 * SQLITE_IOCAP_POWERSAFE_OVERWRITE promises, which the shim reports and real devices keep.
 *
 * One thread; several disks may live one after the other. Locks are not kept: every connection is alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "chance.h"

#define DISK_VFS "torture-disk"
enum { DISK_SECTOR = 512 };

struct disk;

/* A new empty disk, registered with SQLite as ${name}; ${as_default}: also its default VFS. All chance from ${seed}. */
struct disk *disk_new(const char *name, bool as_default, uint64_t seed);
/* All files must be closed. */
struct disk *disk_free(struct disk *d);
DEFINE_CLEANUP(struct disk *, disk_free);

/* A durable empty file, as open(2) and fsync(2) before SQLite would make it. Replaces one of that name. */
void disk_make(struct disk *d, const char *name);
/* Its present size, -1 if there is none. */
int64_t disk_size(const struct disk *d, const char *name);
/* All bytes of the file ${name} as they are now, for looking into them. NULL if there is none. */
const uint8_t *disk_bytes(const struct disk *d, const char *name, int64_t *ret_size);

/*
 * Lose the power at the ${ops}-th write, sync, truncate, create or unlink from now (1 = the next); 0: never. That
 * operation still reaches the cache of the disk. From then on everything fails with SQLITE_IOERR until
 * disk_power_on(), which decides what survived; no file may be open then.
 */
void disk_fail_after(struct disk *d, uint32_t ops);
/* Lose it now. */
void disk_power_off(struct disk *d);
bool disk_is_off(const struct disk *d);
/* ${survival}: percent of un-synced sectors that survive; -1: drawn. */
void disk_power_on(struct disk *d, int survival);

/*
 * From now on ${percent} of all writes, syncs, truncates, unlinks and creations fail: ENOSPC or EIO, a write after some
 * of its bytes; ${reads}: reads too. A failed sync may have reached the disk or not, and a later good one does not
 * make up for it (what Linux does with pages whose writeback failed).
 */
void disk_errors(struct disk *d, uint32_t percent, bool reads);
/* Failures injected so far. */
uint64_t disk_injected(const struct disk *d);
/* Operations counted so far, for drawing the moment of the next loss. */
uint64_t disk_ops(const struct disk *d);
