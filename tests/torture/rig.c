#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "chance.h"

#include <sodium.h>

#include "vault/vfs.h"

/* Nonces that repeat with the seed, so that a failure does. Never outside of this program. */
static struct chance nonces;

static const char *nonce_name(void)
{
	return "torture";
}

static uint32_t nonce_u32(void)
{
	return (uint32_t)chance_next(&nonces);
}

static void nonce_fill(void *const buf, const size_t size)
{
	chance_fill(&nonces, buf, size);
}

static struct randombytes_implementation nonce_source = {
	.implementation_name = nonce_name,
	.random = nonce_u32,
	.buf = nonce_fill,
};

static void cipher_init(struct rig *rig)
{
	uint8_t master[PAGE_KEY], id[FILE_ID];
	struct chance c = { .state = rig->seed };

	nonces.state = ~rig->seed;
	chance_fill(&c, master, sizeof(master));
	chance_fill(&c, id, sizeof(id));
	page_keys_derive(&rig->keys, master, id, 1);
	if (vfs_register(DRIVE_VFS) < 0)
		abort();
}

uint64_t rig_seeds(uint64_t n)
{
	const char *v = getenv("VARVE_SEEDS");
	uint64_t most = v ? strtoull(v, NULL, 10) : n;

	return most < n ? most : n;
}

void rig_init(struct rig *rig, struct rig_mode mode, uint64_t seed)
{
	static bool once;

	if (!once && (randombytes_set_implementation(&nonce_source) != 0 || sodium_init() < 0))
		abort();
	once = true;
	*rig = (struct rig){ .mode = mode, .seed = seed };
	/* db_open() takes the default VFS for a plain file, and SQLite the seed of its own chance. */
	rig->drive = drive_new(DRIVE_VFS, true, seed);
	if (!mode.plain)
		cipher_init(rig);
	/* So that its chance begins anew too. */
	sqlite3_randomness(0, NULL);
}

void rig_deinit(struct rig *rig)
{
	rig_close(rig, true);
	rig->drive = drive_free(rig->drive);
}

/* What differs from the archive's pragmas, for tests only. */
static int set_mode(struct rig *rig)
{
	static const char *const modes[] = { "DELETE", "TRUNCATE", "PERSIST" };
	char sql[160] = "";
	size_t at = 0;

	if (rig->mode.cache > 0)
		at += (size_t)snprintf(sql + at, sizeof(sql) - at, "PRAGMA cache_size=%d;", rig->mode.cache);
	if (rig->mode.spill)
		at += (size_t)snprintf(sql + at, sizeof(sql) - at, "PRAGMA cache_spill=ON;");
	if (rig->mode.journal)
		at += (size_t)snprintf(sql + at, sizeof(sql) - at, "PRAGMA journal_mode=%s;", modes[rig->seed % 3]);
	return sqlite3_exec(rig->s.db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

int rig_open(struct rig *rig, const char **ret_what)
{
	int64_t size = drive_size(rig->drive, RIG_DB);
	static char path[] = RIG_DB;
	int r;

	*ret_what = "";
	if (size < 0)
		drive_make(rig->drive, RIG_DB);
	rig->s = (struct store){ .path = path, .keys = &rig->keys, .plain = rig->mode.plain };
	r = db_open(&rig->s, size <= 0, ret_what);
	if (r == 0) {
		*ret_what = "a pragma of the test";
		r = set_mode(rig);
	}
	if (r != 0)
		rig_close(rig, true);
	return r;
}

void rig_close(struct rig *rig, bool keep_log)
{
	if (rig->s.db)
		db_close(&rig->s, keep_log);
}
