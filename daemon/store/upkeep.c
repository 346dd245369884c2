/* What waits for an idle daemon, in slices. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "store/count.h"
#include "store/db.h"
#include "store/gone.h"
#include "store/index.h"
#include "store/outbox-priv.h"
#include "store/purge.h"
#include "store/search.h"
#include "vault/vfs.h"

/* Rows in a transaction: before anything was measured, and at least, so that it ends. */
enum { UPKEEP_ROWS_MIN = 10, EXPIRE_ROWS = 100 };

enum { UPKEEP_LOG_MAX = 1000 }; /* pages: some 20 ms to bring into the database where the disk is quick */

/* Pages that this connection wrote to the log since the checkpoint that upkeep made; more than are in it if SQLite's
 * own checkpoint (wal_autocheckpoint) came between. */
static int log_frames(struct store *s)
{
	int written = 0, highest = 0;

	if (sqlite3_db_status(s->db, SQLITE_DBSTATUS_CACHE_WRITE, &written, &highest, 0) != SQLITE_OK)
		return 0;
	return written - s->log_seen;
}

static bool log_due(struct store *s)
{
	return log_frames(s) > (int)s->limits.log_frames;
}

/* All of the log at once: SQLite has no smaller step. */
static int checkpoint(struct store *s)
{
	int code;

	search_let_go(s);
	code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code != SQLITE_OK)
		return err_origin(db_errno(code));
	s->log_seen += log_frames(s);
	return 0;
}

/* It is short because this is done often. */
static int checkpoint_idle(struct store *s)
{
	int r = checkpoint(s);

	if (r < 0)
		return err_trace(r);
	vfs_trim(s->db);
	step("store.checkpoint-idle");
	return 0;
}

bool store_log_is_long(struct store *s)
{
	return !s->frozen && log_frames(s) > (int)s->limits.log_long;
}

int store_shorten_log(struct store *s)
{
	int r = checkpoint(s);

	if (r < 0)
		return err_trace(r);
	step("store.checkpoint-long");
	return 0;
}

/* ${rows} took ${took_us}: how many take half of ${budget_us}, because rows differ in size. */
static void adapt(struct store *s, int64_t rows, int64_t took_us, int64_t budget_us)
{
	int64_t fit = took_us > 0 ? rows * budget_us / took_us / 2 : rows * 2;

	/* One fast step, all from the cache, says little about the next. */
	s->upkeep_rows = fit > rows * 2 ? rows * 2 : fit;
}

/*
 * ${fn} until ${end_us}: 1 more, 0 nothing is left. How many rows fit is remembered: in a large archive each of them reads
 * pages that nobody has read lately, and is a hundred times as dear as in a small one.
 */
static int in_steps(struct store *s, int64_t end_us, int (*fn)(struct store *s, uint32_t rows))
{
	int64_t now = clock_boot_us(), budget = end_us - now, most = s->limits.purge_rows, took;
	int r;

	do {
		int64_t rows = s->upkeep_rows > UPKEEP_ROWS_MIN ? s->upkeep_rows : UPKEEP_ROWS_MIN;

		rows = rows < most ? rows : most;
		took = -now;
		r = fn(s, (uint32_t)rows);
		now = clock_boot_us();
		took += now;
		if (r > 0)
			adapt(s, rows, took, budget);
		/* Another one like this must fit. */
	} while (r > 0 && now + took < end_us);
	return r < 0 ? err_trace(r) : r;
}

static int gone_rows(struct store *s, uint32_t rows)
{
	return gone_step(s, rows, clock_real_us());
}

/* Messages of deleted conversations, client ids of long ago: 1 if there were any. */
static int forget(struct store *s, int64_t end_us)
{
	int64_t now_us = clock_real_us();
	int r;

	r = in_steps(s, end_us, gone_rows);
	if (r == 0 && outbox_expire_due(s, now_us))
		r = outbox_expire_step(s, now_us, EXPIRE_ROWS);
	return r < 0 ? err_trace(r) : r;
}

int store_upkeep(struct store *s, int64_t budget_us)
{
	int64_t end = clock_boot_us() + budget_us;
	int r;

	if (s->in_tx) {
		log_error("upkeep inside of a transaction");
		abort();
	}
	if (s->frozen)
		return 0;
	/* To delete much writes much: the log goes in turns of its own, while it is short. */
	if (log_frames(s) > UPKEEP_LOG_MAX && (purge_due(s) || gone_due(s))) {
		r = checkpoint_idle(s);
		return r < 0 ? err_trace(r) : 1;
	}
	r = in_steps(s, end, purge_step);
	if (r == 0)
		r = forget(s, end);
	if (r == 0)
		r = index_step(s, budget_us);
	if (r == 0)
		r = count_step(s);
	if (r != 0)
		return r < 0 ? err_trace(r) : 1;
	if (!log_due(s))
		return 0;
	r = checkpoint_idle(s);
	return r < 0 ? err_trace(r) : 0;
}

bool store_upkeep_due(struct store *s)
{
	return !s->frozen && (purge_due(s) || gone_due(s) || outbox_expire_due(s, clock_real_us()) || index_due(s) ||
	       count_due(s) || log_due(s));
}
