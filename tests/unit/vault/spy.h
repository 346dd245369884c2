/*
 * A VFS below the cipher VFS that looks at everything which is written: what reaches the disk, of temporary files too,
 * which nobody can open afterwards. It counts reads.
 */
#pragma once

#include "vfs-fixture.h"

enum spy_kind {
	SPY_DB,
	SPY_WAL,
	SPY_JOURNAL,
	SPY_TEMP_DB,
	SPY_TRANSIENT,
	SPY_TEMP_JOURNAL,
	SPY_STATEMENT,
	SPY_KINDS
};

struct spy {
	unsigned reads[SPY_KINDS], writes[SPY_KINDS];
	uint64_t bytes[SPY_KINDS];
	unsigned leaks[SPY_KINDS]; /* writes that held one of the needles */
};

/* Put it below VAULT_VFS, or by itself under its own name "spy". */
void spy_install(void);
void spy_remove(void);
/* cmocka's setup and teardown: a place with the spy below it. */
int spy_setup(void **state);
int spy_teardown(void **state);
/* Counts since the last call. */
struct spy spy_take(void);
/* From now on ${size} bytes at ${needle} are looked for too (copied; at most 64 needles; spy_remove() forgets them). */
void spy_needle(const void *needle, size_t size);
/* Fail the ${n}-th write from now on (1 = next), after half of it was written; 0: none. */
void spy_fail_write(unsigned n);
