/*
 * A database on the disk that loses its power: opened by the archive's own db_open() with its own pragmas, through the
 * cipher VFS or, as a control, plain. The path of each file is bound to keys that follow from the seed.
 */
#pragma once

#include <sqlite3.h>

#include "drive.h"
#include "store/db.h"
#include "vault/page.h"

#define RIG_DB "/torture/archive.db"

struct rig_mode {
	bool plain;	     /* no cipher: what SQLite itself survives */
	bool journal;	     /* journal_mode DELETE, TRUNCATE or PERSIST by the seed in place of WAL */
	int cache;	     /* pages, 0: as the archive has it */
	bool spill;	     /* cache_spill ON: what the archive never does */
};

struct rig {
	struct rig_mode mode;
	struct drive *drive;
	struct store s;
	struct page_keys keys;
	uint64_t seed;
};

/* So many histories, or VARVE_SEEDS if that is fewer. */
uint64_t rig_seeds(uint64_t n);
void rig_init(struct rig *rig, struct rig_mode mode, uint64_t seed);
void rig_deinit(struct rig *rig);
/* Open RIG_DB, made empty if it is not there, and set the pragmas. 0, or what db_open() returned with *ret_what set. */
int rig_open(struct rig *rig, const char **ret_what);
/* ${keep_log}: as after a loss, no checkpoint. Does nothing if it is not open. */
void rig_close(struct rig *rig, bool keep_log);
