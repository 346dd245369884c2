/*
 * The archive's database under power losses and failing writes.
 *
 *   power [--plain] [--journal] [--cache=N] [--spill] [--errors] [--seed=S | --seeds=N] [--must-fail]
 *
 * Each seed is one history: transactions of all sizes, checkpoints, reopening, and three power losses at moments of
 * chance, also inside of recovery. After each the database must open, check, and hold exactly the last acknowledged
 * content, or that and the one transaction whose COMMIT had not returned. With --errors no power is lost but at the
 * end; instead some percent of all writes, syncs, truncates and reads fail: no wrong content, and what fails is told.
 *
 * --seed repeats one history; --must-fail turns the result round, for mutants: exit 0 if some seed finds a defect.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "rig.h"
#include "work.h"

enum { LOSSES = 3, ERROR_ROUNDS = 8, OLDER_MAX = 4 };

struct totals {
	uint64_t runs, losses, commits, in_doubt_kept, failed, injected, redone;
};

struct run {
	struct rig rig;
	struct work work;
	struct chance chance;
	struct content acked;	/* what must be there */
	struct content pending; /* what may be there instead: COMMIT was called and did not return well */
	bool in_doubt;
	struct content older[OLDER_MAX]; /* what a power loss may take us back to: relaxed transactions came after it */
	size_t n_older;
	bool took_back; /* the power was lost since */
	bool relaxes;	      /* some transactions are relaxed */
	bool created;	      /* creation was acknowledged: from here on nothing may be lost */
	struct totals *totals;
	char wrong[200];      /* the first defect */
	int code;
};

static bool wrong(struct run *run, const char *what, int code)
{
	if (run->wrong[0] == '\0')
		snprintf(run->wrong, sizeof(run->wrong), "%s (%d: %s)", what, code, sqlite3_errstr(code));
	return false;
}

static bool is_off(const struct run *run)
{
	return drive_is_off(run->rig.drive);
}

/* Compare with what may be there. True if right, or if the power went away before it was known. */
static bool check(struct run *run, bool deep)
{
	struct content got;
	const char *why;
	int code = work_read(&run->work, run->rig.s.db, deep, &got, &why);

	if (code != SQLITE_OK && is_off(run))
		return true;
	if (code != SQLITE_OK)
		return wrong(run, why ? why : "the content cannot be read", code);
	for (size_t i = 0; run->took_back && i < run->n_older; i++)
		if (memcmp(&got, &run->older[i], sizeof(got)) == 0)
			run->acked = got;
	run->took_back = false;
	if (memcmp(&got, &run->acked, sizeof(got)) == 0) {
		run->in_doubt = false;
		return true;
	}
	if (!run->in_doubt || memcmp(&got, &run->pending, sizeof(got)) != 0)
		return wrong(run, "the content is neither the acknowledged one nor the last transaction's", code);
	run->acked = run->pending;
	run->in_doubt = false;
	run->totals->in_doubt_kept++;
	return true;
}

/* Begin, change, and commit or roll back. An SQLite code: what failed. */
static int change(struct run *run)
{
	sqlite3 *db = run->rig.s.db;
	int code = work_exec(db, "BEGIN IMMEDIATE");

	run->pending = run->acked;
	if (code == SQLITE_OK)
		code = run->acked.schema ? work_rows(&run->work, db, &run->pending) :
					   work_schema(&run->work, db, &run->pending);
	if (code != SQLITE_OK)
		return code;
	if (run->acked.schema && chance_percent(&run->chance, 8))
		return work_exec(db, "ROLLBACK");
	run->in_doubt = true;
	code = work_exec(db, "COMMIT");
	if (code != SQLITE_OK)
		return code;
	run->in_doubt = false;
	run->acked = run->pending;
	run->totals->commits++;
	return SQLITE_OK;
}

/* Some are relaxed, as store_begin_relaxed(): a power loss may take them back, but nothing that was acknowledged after them. */
static int transaction(struct run *run)
{
	struct content before = run->acked;
	uint64_t commits = run->totals->commits;
	bool relaxed = run->relaxes && run->n_older < OLDER_MAX && chance_percent(&run->chance, 30);
	int code = relaxed ? work_exec(run->rig.s.db, "PRAGMA synchronous=NORMAL") : SQLITE_OK, full;

	if (code == SQLITE_OK)
		code = change(run);
	full = relaxed ? work_exec(run->rig.s.db, "PRAGMA synchronous=FULL") : SQLITE_OK;
	if (run->totals->commits != commits && relaxed)
		run->older[run->n_older++] = before;
	else if (run->totals->commits != commits)
		run->n_older = 0;
	return code == SQLITE_OK ? full : code;
}

static int checkpoint(struct run *run)
{
	static const int modes[] = { SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_FULL, SQLITE_CHECKPOINT_RESTART,
				     SQLITE_CHECKPOINT_TRUNCATE };

	return sqlite3_wal_checkpoint_v2(run->rig.s.db, NULL, modes[chance_below(&run->chance, ARRAY_SIZE(modes))],
					 NULL, NULL);
}

/*
 * A new database goes from nothing to WAL without a journal (facts/db.md section 1.6). If the power goes there,
 * store_open() finds a key store that is not ready and at most one page, and begins again.
 */
static void begin_again(struct run *run)
{
	int64_t size = drive_size(run->rig.drive, RIG_DB);

	if (run->created || size <= 0 || size > PAGE_SIZE)
		return;
	drive_make(run->rig.drive, RIG_DB);
	memset(&run->acked, 0, sizeof(run->acked));
	run->in_doubt = false;
	run->totals->redone++;
}

/* Open; a small wal_autocheckpoint in half of the runs, because these runs never fill a thousand pages. */
static bool reopen(struct run *run)
{
	const char *what;
	char sql[64];
	int r;

	begin_again(run);
	r = rig_open(&run->rig, &what);
	if (r != 0 && !is_off(run))
		return wrong(run, *what ? what : "it does not open", r < 0 ? SQLITE_CANTOPEN : SQLITE_ERROR);
	if (r == 0 && run->rig.seed % 2 == 0) {
		snprintf(sql, sizeof(sql), "PRAGMA wal_autocheckpoint=%u", chance_between(&run->chance, 5, 60));
		(void)work_exec(run->rig.s.db, sql);
	}
	return true;
}

/* One thing that an archive does. False on a defect; the power may be off afterwards. */
static bool one_step(struct run *run)
{
	uint32_t what = chance_below(&run->chance, 100);
	int code;

	if (!run->created) {
		code = run->acked.schema ? SQLITE_OK : transaction(run);
		if (code == SQLITE_OK)
			code = sqlite3_wal_checkpoint_v2(run->rig.s.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
		run->created = code == SQLITE_OK;
	} else if (what < 85) {
		code = transaction(run);
	} else if (what < 94) {
		code = checkpoint(run);
	} else {
		rig_close(&run->rig, chance_percent(&run->chance, 50));
		return is_off(run) || (reopen(run) && (is_off(run) || check(run, false)));
	}
	return code == SQLITE_OK || is_off(run) || wrong(run, "an operation fails without a cause", code);
}

static uint32_t next_loss(struct run *run)
{
	/* Near and far alike, in disk operations. */
	static const uint32_t within[] = { 8, 100, 1200 };

	return chance_between(&run->chance, 1, within[chance_below(&run->chance, ARRAY_SIZE(within))]);
}

static bool until_loss(struct run *run)
{
	drive_fail_after(run->rig.drive, next_loss(run));
	if (!reopen(run))
		return false;
	if (!is_off(run) && !check(run, true))
		return false;
	while (!is_off(run))
		if (!one_step(run))
			return false;
	rig_close(&run->rig, true);
	drive_power_on(run->rig.drive, -1);
	run->totals->losses++;
	run->took_back = true;
	return true;
}

static bool last_look(struct run *run)
{
	drive_fail_after(run->rig.drive, 0);
	drive_errors(run->rig.drive, 0, false);
	for (int i = 0; i < 2; i++) {
		if (!reopen(run) || !check(run, true))
			return false;
		if (transaction(run) != SQLITE_OK)
			return wrong(run, "the next transaction fails", SQLITE_ERROR);
		rig_close(&run->rig, false);
	}
	return reopen(run) && check(run, true);
}

static bool losses(struct run *run)
{
	for (int i = 0; i < LOSSES; i++)
		if (!until_loss(run))
			return false;
	return last_look(run);
}

/* After a transaction that failed: what store_commit() does. */
static void give_up(struct run *run)
{
	sqlite3 *db = run->rig.s.db;

	run->totals->failed++;
	if (!sqlite3_get_autocommit(db))
		(void)work_exec(db, "ROLLBACK");
	while (work_forget_index(&run->work, db) != SQLITE_OK)
		;
}

/* The power is there, space and the device come and go. */
static bool error_round(struct run *run)
{
	uint64_t commits;
	int code;

	drive_errors(run->rig.drive, chance_between(&run->chance, 1, 3), chance_percent(&run->chance, 30));
	for (uint32_t n = chance_between(&run->chance, 4, 16); n > 0; n--) {
		code = chance_percent(&run->chance, 90) ? transaction(run) : checkpoint(run);
		if (code != SQLITE_OK)
			give_up(run);
		if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
			return wrong(run, "a failing device is told as damage", code);
		/* A journal whose header was zeroed before the error is a commit; with a WAL a failed commit is none. */
		if (run->in_doubt && run->rig.mode.journal)
			break;
		run->in_doubt = false;
	}
	drive_errors(run->rig.drive, 0, false);
	/* Errors are over: the same connection goes on, with the content of the last good commit and no other. */
	if (!check(run, true))
		return false;
	/* Durable, or a power loss could put the last one that failed in its place. */
	for (commits = run->totals->commits, code = SQLITE_OK; code == SQLITE_OK && commits == run->totals->commits;)
		code = change(run);
	run->n_older = 0;
	return code == SQLITE_OK || wrong(run, "the next transaction fails after the errors", code);
}

static bool errors(struct run *run)
{
	if (!reopen(run) || !one_step(run))
		return false;
	for (int i = 0; i < ERROR_ROUNDS; i++)
		if (!error_round(run))
			return false;
	if (chance_percent(&run->chance, 50)) {
		rig_close(&run->rig, chance_percent(&run->chance, 50));
	} else {
		drive_power_off(run->rig.drive);
		rig_close(&run->rig, true);
		drive_power_on(run->rig.drive, -1);
		run->totals->losses++;
		run->took_back = true;
	}
	return last_look(run);
}

struct options {
	struct rig_mode mode;
	bool errors, must_fail, one;
	uint64_t seed, seeds;
};

/* One history. True if all was right. */
static bool history(const struct options *o, uint64_t seed, struct totals *totals)
{
	struct run *run = xnew(struct run);
	bool right;

	run->totals = totals;
	/* Plain SQLite loses what was acknowledged after a relaxed transaction whose sync failed; a journal has none. */
	run->relaxes = !o->mode.plain && !o->mode.journal;
	run->chance.state = seed * 3 + 1;
	run->work = (struct work){ .chance = { .state = seed * 5 + 2 }, .fts = seed % 4 == 1 };
	rig_init(&run->rig, o->mode, seed);
	right = o->errors ? errors(run) : losses(run);
	if (!right)
		printf("seed %llu: %s\n", (unsigned long long)seed, run->wrong);
	totals->runs++;
	totals->injected += drive_injected(run->rig.drive);
	rig_deinit(&run->rig);
	free(run);
	return right;
}

static bool parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (strcmp(a, "--plain") == 0)
			o->mode.plain = true;
		else if (strcmp(a, "--journal") == 0)
			o->mode.journal = true;
		else if (strcmp(a, "--spill") == 0)
			o->mode.spill = true;
		else if (strcmp(a, "--errors") == 0)
			o->errors = true;
		else if (strcmp(a, "--must-fail") == 0)
			o->must_fail = true;
		else if (strncmp(a, "--cache=", 8) == 0)
			o->mode.cache = atoi(a + 8);
		else if (strncmp(a, "--seeds=", 8) == 0)
			o->seeds = rig_seeds(strtoull(a + 8, NULL, 10));
		else if (strncmp(a, "--seed=", 7) == 0)
			o->one = (o->seed = strtoull(a + 7, NULL, 10)) > 0;
		else
			return false;
	}
	return true;
}

static void command_line(int argc, char **argv, uint64_t seed)
{
	printf("again: %s", argv[0]);
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--seed", 6) != 0)
			printf(" %s", argv[i]);
	printf(" --seed=%llu\n", (unsigned long long)seed);
}

int main(int argc, char **argv)
{
	struct options o = { .seed = 1, .seeds = 300 };
	struct totals t = { .runs = 0 };
	uint64_t bad = 0;

	log_init("power");
	/* Damage is what this is about: SQLite's and the shim's lines about it only when somebody looks at one seed. */
	if (!getenv("VARVE_LOG"))
		log_set_level((enum log_level)0);
	if (!parse(argc, argv, &o)) {
		fprintf(stderr, "usage: see the top of tests/torture/power.c\n");
		return 2;
	}
	if (o.one)
		o.seeds = 1;
	for (uint64_t s = o.seed; s < o.seed + o.seeds; s++) {
		if (history(&o, s, &t))
			continue;
		bad++;
		command_line(argc, argv, s);
		if (o.must_fail)
			break;
	}
	printf("%llu runs, %llu power losses, %llu commits (%llu kept that were not acknowledged), %llu operations failed,"
	       " %llu errors injected, creation redone %llu times: %llu wrong (SQLite %s%s)\n",
	       (unsigned long long)t.runs, (unsigned long long)t.losses, (unsigned long long)t.commits,
	       (unsigned long long)t.in_doubt_kept, (unsigned long long)t.failed, (unsigned long long)t.injected,
	       (unsigned long long)t.redone, (unsigned long long)bad, sqlite3_libversion(), o.mode.plain ? ", plain" : "");
	return o.must_fail ? bad == 0 : bad > 0;
}
