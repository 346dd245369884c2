/*
 * A disk in memory that loses its power: an SQLite VFS which goes below the cipher VFS (vfs_register(DRIVE_VFS)), or
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

#define DRIVE_VFS "torture-drive"

struct drive;

/* A new empty disk, registered with SQLite as ${name}; ${as_default}: also its default VFS. All chance from ${seed}. */
struct drive *drive_new(const char *name, bool as_default, uint64_t seed);
/* All files must be closed. */
struct drive *drive_free(struct drive *d);
DEFINE_CLEANUP(struct drive *, drive_free);

/* A durable empty file, as open(2) and fsync(2) before SQLite would make it. Replaces one of that name. */
void drive_make(struct drive *d, const char *name);
/* Its present size, -1 if there is none. */
int64_t drive_size(const struct drive *d, const char *name);
/* All bytes of the file ${name} as they are now, for looking into them. NULL if there is none. */
const uint8_t *drive_bytes(const struct drive *d, const char *name, int64_t *ret_size);

/*
 * Lose the power at the ${ops}-th write, sync, truncate, create or unlink from now (1 = the next); 0: never. That
 * operation still reaches the cache of the disk. From then on everything fails with SQLITE_IOERR until
 * drive_power_on(), which decides what survived; no file may be open then.
 */
void drive_fail_after(struct drive *d, uint32_t ops);
/* Lose it now. */
void drive_power_off(struct drive *d);
bool drive_is_off(const struct drive *d);
/* ${survival}: percent of un-synced sectors that survive; -1: drawn. */
void drive_power_on(struct drive *d, int survival);

/*
 * From now on ${percent} of all writes, syncs, truncates, unlinks and creations fail: ENOSPC or EIO, a write after some
 * of its bytes; ${reads}: reads too. A failed sync may have reached the disk or not, and a later good one does not
 * make up for it (what Linux does with pages whose writeback failed).
 */
void drive_errors(struct drive *d, uint32_t percent, bool reads);
/* Failures injected so far. */
uint64_t drive_injected(const struct drive *d);
