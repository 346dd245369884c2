/*
 * The store's own tables and search index on a failing device: index [--seed=S | --seeds=N]
 *
 * Messages, corrections and retractions through archive_put_live(), index steps in between, while some percent of all
 * writes, syncs and reads fail. Afterwards, over the same connection and after reopening: every acknowledged message
 * is there with its text, none that failed is, and FTS5's own check finds the index equal to the messages. An FTS5
 * that keeps words of a rolled back transaction (work_forget_index()) fails here.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "core/message.h"
#include "rig.h"
#include "store/account.h"
#include "store/archive.h"
#include "store/index.h"
#include "store/schema.h"

#define OWN "alice@a.example"
#define NOW INT64_C(1700000000000000)

enum { MESSAGES = 400, ROUNDS = 12 };

struct run {
	struct rig rig;
	struct chance chance;
	int64_t account, archive;
	uint32_t next;			/* number of the next new message */
	uint32_t version[MESSAGES + 1]; /* 0: none, else its text is of this version; UINT32_MAX: retracted */
	char wrong[160];
	uint64_t failed;
};

static bool wrong(struct run *run, const char *what, int code)
{
	if (run->wrong[0] == '\0')
		snprintf(run->wrong, sizeof(run->wrong), "%s (%d)", what, code);
	return false;
}

static void text_of(uint32_t number, uint32_t version, char *body, size_t size)
{
	struct chance c = { .state = ((uint64_t)number << 32) ^ version };
	uint32_t words = chance_percent(&c, 5) ? 600 : chance_between(&c, 1, 30);
	size_t at = 0;

	for (; words > 0 && at + 8 < size; words--)
		at += (size_t)snprintf(body + at, size - at, "%sw%x", at ? " " : "", chance_below(&c, 4096));
}

/* Version 1 is the message, UINT32_MAX its retraction, any other a correction. */
static int put(struct run *run, uint32_t number, uint32_t version)
{
	char id[32], target[32], body[8192] = "";
	struct put_outcome out;
	struct message m;
	int r;

	message_init(&m);
	m.payload = version == UINT32_MAX ? PAYLOAD_RETRACTION : PAYLOAD_TEXT;
	m.from = "bob@b.example/phone";
	m.to = OWN;
	m.type = "chat";
	snprintf(target, sizeof(target), "m%u", number);
	snprintf(id, sizeof(id), "c%u-%u", number, version);
	m.id = version == 1 ? target : id;
	if (version == UINT32_MAX)
		m.target_id = target;
	else if (version > 1)
		m.replace_id = target;
	if (version != UINT32_MAX)
		text_of(number, version, body, sizeof(body));
	m.body = body;
	r = archive_put_live(&run->rig.s, run->account, run->archive, OWN, &m, NOW, false, &out);
	return r < 0 ? r : 0;
}

/* One to six changes in a transaction. The model follows only if it commits. */
static int transaction(struct run *run)
{
	struct run *after = xnew(struct run);
	int r = store_begin(&run->rig.s);

	memcpy(after, run, sizeof(*after));
	for (uint32_t n = chance_between(&run->chance, 1, 6); r == 0 && n > 0; n--) {
		uint32_t number = after->next > 1 ? chance_between(&run->chance, 1, after->next - 1) : 0;

		if (number == 0 || (after->next <= MESSAGES && chance_percent(&run->chance, 60))) {
			r = put(run, after->next, 1);
			after->version[after->next++] = 1;
		} else if (after->version[number] == UINT32_MAX) {
			continue;
		} else if (chance_percent(&run->chance, 30)) {
			r = put(run, number, UINT32_MAX);
			after->version[number] = UINT32_MAX;
		} else {
			after->version[number] = 2 + (uint32_t)(chance_next(&run->chance) % 1000000);
			r = put(run, number, after->version[number]);
		}
	}
	if (r == 0)
		r = store_commit(&run->rig.s);
	else if (run->rig.s.in_tx)
		store_rollback(&run->rig.s);
	if (r == 0) {
		run->next = after->next;
		memcpy(run->version, after->version, sizeof(run->version));
	}
	free(after);
	return r;
}

static bool texts_right(struct run *run)
{
	char body[8192];
	sqlite3_stmt *st = NULL;
	uint32_t rows = 0, want = 0;
	int code = sqlite3_prepare_v2(run->rig.s.db, "SELECT xmpp_id, body FROM msg", -1, &st, NULL);

	if (code != SQLITE_OK)
		return wrong(run, sqlite3_errmsg(run->rig.s.db), code);
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(st, 0);
		uint32_t number = id && *id == 'm' ? (uint32_t)strtoul(id + 1, NULL, 10) : 0;

		if (number == 0 || number > MESSAGES || run->version[number] == 0) {
			wrong(run, "a message that was never acknowledged", (int)number);
			break;
		}
		if (run->version[number] != UINT32_MAX)
			text_of(number, run->version[number], body, sizeof(body));
		else
			body[0] = '\0';
		if (strcmp(str_or_empty((const char *)sqlite3_column_text(st, 1)), body) != 0)
			wrong(run, "a message with a wrong text", (int)number);
		rows++;
	}
	code = sqlite3_finalize(st);
	if (code != SQLITE_OK)
		return wrong(run, "the messages cannot be read", code);
	for (uint32_t n = 1; n < run->next; n++)
		want += run->version[n] != 0;
	if (rows != want)
		wrong(run, "an acknowledged message is missing", (int)(want - rows));
	return run->wrong[0] == '\0';
}

static bool check(struct run *run)
{
	int r;

	if (!texts_right(run))
		return false;
	r = index_check(&run->rig.s);
	return r == 0 || wrong(run, "the search index differs from the messages", r);
}

static bool fresh(struct run *run)
{
	char jid[] = OWN;
	struct account a = { .jid = jid, .enabled = true };
	const char *what;
	int r = rig_open(&run->rig, &what);

	if (r == 0)
		r = schema_apply(&run->rig.s, true);
	if (r == 0)
		r = store_begin(&run->rig.s);
	if (r == 0)
		r = account_add(&run->rig.s, &a);
	if (r == 0)
		r = archive_id(&run->rig.s, a.id, "", &run->archive);
	if (r == 0)
		r = store_commit(&run->rig.s);
	run->account = a.id;
	return r == 0 || wrong(run, "it cannot be made", r);
}

static bool again(struct run *run)
{
	const char *what;
	int r;

	rig_close(&run->rig, false);
	r = rig_open(&run->rig, &what);
	if (r == 0)
		r = schema_apply(&run->rig.s, false);
	return r == 0 || wrong(run, "it does not open again", r);
}

static bool history(struct run *run)
{
	if (!fresh(run))
		return false;
	run->rig.s.limits = store_limits_default;
	run->next = 1;
	for (int round = 0; round < ROUNDS; round++) {
		drive_errors(run->rig.drive, chance_between(&run->chance, 1, 3), chance_percent(&run->chance, 30));
		for (uint32_t n = chance_between(&run->chance, 5, 25); n > 0; n--) {
			int r = chance_percent(&run->chance, 70) ? transaction(run) : index_step(&run->rig.s, 500);

			run->failed += r < 0;
		}
		drive_errors(run->rig.drive, 0, false);
		if (!check(run))
			return false;
		if (transaction(run) != 0)
			return wrong(run, "the next transaction fails after the errors", 0);
		if (chance_percent(&run->chance, 25) && (!again(run) || !check(run)))
			return false;
		run->rig.s.limits = store_limits_default;
	}
	while (index_step(&run->rig.s, 100000) > 0)
		;
	return check(run) && again(run) && check(run);
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, seeds = 60, bad = 0, failed = 0, injected = 0;

	log_init("index");
	if (!getenv("VARVE_LOG"))
		log_set_level((enum log_level)0);
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--seeds=", 8) == 0) {
			seeds = rig_seeds(strtoull(argv[i] + 8, NULL, 10));
		} else if (strncmp(argv[i], "--seed=", 7) == 0) {
			seed = strtoull(argv[i] + 7, NULL, 10);
			seeds = 1;
		} else {
			fprintf(stderr, "usage: see the top of tests/torture/index.c\n");
			return 2;
		}
	}
	for (uint64_t s = seed; s < seed + seeds; s++) {
		struct run *run = xnew(struct run);

		run->chance.state = s * 7 + 3;
		rig_init(&run->rig, (struct rig_mode){ .plain = s % 4 == 0 }, s);
		if (!history(run)) {
			printf("seed %llu: %s\nagain: %s --seed=%llu\n", (unsigned long long)s, run->wrong, argv[0],
			       (unsigned long long)s);
			bad++;
		}
		failed += run->failed;
		injected += drive_injected(run->rig.drive);
		rig_deinit(&run->rig);
		free(run);
	}
	printf("%llu runs, %llu transactions failed, %llu errors injected: %llu wrong (SQLite %s)\n",
	       (unsigned long long)seeds, (unsigned long long)failed, (unsigned long long)injected,
	       (unsigned long long)bad, sqlite3_libversion());
	return bad > 0;
}
