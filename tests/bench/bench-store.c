/*
 * What the store costs above plain SQLite: the same messages in the same batches into varve's tables and into the
 * simplest table that could hold them (same pragmas, one row a message, the index of a history page and the unique
 * archive id), in one run; then history pages of 50 from what is there.
 *
 *   bench-store [MESSAGES [BATCH]]     default 100000 100
 */
#define _GNU_SOURCE /* nftw */
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/account.h"
#include "store/archive.h"
#include "store/db.h"
#include "store/read.h"
#include "store/store.h"
#include "vault/vault.h"

#define OWN "alice@a.example"
#define CONTACTS 30
#define READS 2000
#define T0 INT64_C(1700000000000000)

static double now_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "bench-store: %s: %d\n", what, r);
	exit(1);
}

struct line {
	char id[40], aid[24], from[48], to[48], body[400];
};

/* Message ${k}: one of 30 contacts, in or out, 40 to 360 bytes of text, random ids: the worst case for indexes. */
static void make(struct line *l, struct message *m, long k)
{
	unsigned int seed = (unsigned int)k * 2654435761u;
	size_t len = 40 + seed % 320;
	bool out = seed % 3 == 0;

	snprintf(l->id, sizeof(l->id), "%08x-%08x-%lx", seed, seed * 48271u, k);
	snprintf(l->aid, sizeof(l->aid), "%08x%08lx", seed * 16807u, k);
	snprintf(out ? l->to : l->from, sizeof(l->from), "contact%ld@b.example%s", k % CONTACTS, out ? "" : "/phone");
	snprintf(out ? l->from : l->to, sizeof(l->to), "%s", out ? OWN "/desk" : OWN);
	for (size_t i = 0; i < len; i++)
		l->body[i] = i % 6 == 5 ? ' ' : (char)('a' + (seed >> (i % 24)) % 26);
	l->body[len] = '\0';
	message_init(m);
	m->payload = PAYLOAD_TEXT;
	m->via = VIA_ARCHIVE;
	m->type = "chat";
	m->from = l->from;
	m->to = l->to;
	m->id = m->origin_id = l->id;
	m->archive_id = l->aid;
	m->archive_us = T0 + k * 1000000;
	m->body = l->body;
}

struct bench {
	struct store *s;
	int64_t account, archive;
	long n, batch;
	struct line *lines;
	struct message *messages;
	const struct message **list;
	struct put_outcome *out;
};

/* Newest page first, as a first sync comes; each batch is a transaction with its coverage. */
static void ingest(struct bench *b)
{
	char above[24] = "", last[24] = "";
	struct cover c;

	for (long end = b->n; end > 0; end -= b->batch) {
		long first = end > b->batch ? end - b->batch : 0;

		for (long k = first; k < end; k++)
			make(&b->lines[k - first], &b->messages[k - first], k);
		check(store_begin(b->s), "begin");
		check(archive_put_page(b->s, b->account, b->archive, OWN, b->list, (size_t)(end - first), "", above,
				       false, T0, b->out), "put");
		if (!*last)
			snprintf(last, sizeof(last), "%s", b->lines[end - first - 1].aid);
		snprintf(above, sizeof(above), "%s", b->lines[0].aid);
		cover_init(&c);
		cover_load(&c, above, T0 + first * 1000000, last, T0 + b->n * 1000000, 0);
		check(cover_write(b->s, b->archive, &c), "cover");
		cover_deinit(&c);
		check(store_commit(b->s), "commit");
	}
}

static void ingest_plain(struct bench *b)
{
	sqlite3 *db = b->s->db;
	sqlite3_stmt *st;

	check(sqlite3_exec(db, "CREATE TABLE plain(id INTEGER PRIMARY KEY, conv INTEGER, key INTEGER, aid TEXT, sender"
			       " TEXT, body TEXT) STRICT; CREATE INDEX plain_page ON plain(conv, key);"
			       "CREATE UNIQUE INDEX plain_aid ON plain(aid);", NULL, NULL, NULL), "plain schema");
	check(sqlite3_prepare_v2(db, "INSERT INTO plain(conv, key, aid, sender, body) VALUES(?,?,?,?,?)", -1, &st,
				 NULL), "plain insert");
	for (long end = b->n; end > 0; end -= b->batch) {
		long first = end > b->batch ? end - b->batch : 0;

		check(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), "begin");
		for (long k = first; k < end; k++) {
			struct line *l = &b->lines[0];
			struct message *m = &b->messages[0];

			make(l, m, k);
			sqlite3_bind_int64(st, 1, k % CONTACTS);
			sqlite3_bind_int64(st, 2, m->archive_us);
			sqlite3_bind_text(st, 3, m->archive_id, -1, SQLITE_STATIC);
			sqlite3_bind_text(st, 4, m->from, -1, SQLITE_STATIC);
			sqlite3_bind_text(st, 5, m->body, -1, SQLITE_STATIC);
			check(sqlite3_step(st) == SQLITE_DONE ? 0 : -EIO, "plain insert");
			sqlite3_reset(st);
		}
		check(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), "commit");
	}
	sqlite3_finalize(st);
}

static int count_row(void *userdata, const struct message_row *row)
{
	*(size_t *)userdata += strlen(row->body) > 0;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void read_pages(struct bench *b)
{
	_cleanup_(freep) double *ms = xnewn(double, READS);
	size_t rows = 0;

	for (int i = 0; i < READS; i++) {
		char conv[48];
		struct history_query q = {
			.account = b->account, .conversation = conv, .anchor = ANCHOR_TIME, .before = 49,
			.value = T0 + (int64_t)(((unsigned long)i * 7919 + 50 * CONTACTS) % (unsigned long)b->n) * 1000000,
		};
		double t = now_s(CLOCK_MONOTONIC);
		uint32_t edges;
		uint64_t seq;

		snprintf(conv, sizeof(conv), "contact%d@b.example", i % CONTACTS);
		check(read_history(b->s, &q, count_row, &rows, &edges, &seq), "history");
		ms[i] = (now_s(CLOCK_MONOTONIC) - t) * 1000;
	}
	qsort(ms, READS, sizeof(*ms), by_value);
	printf("history page of 50: p50 %.3f ms, p99 %.3f ms, %.1f rows a page\n", ms[READS / 2], ms[READS * 99 / 100],
	       (double)rows / READS);
}

static double timed(struct bench *b, void (*fn)(struct bench *), const char *name)
{
	double wall = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);

	fn(b);
	wall = now_s(CLOCK_MONOTONIC) - wall;
	cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("%-6s %8.0f messages/s, %6.2f s wall, %6.2f s CPU\n", name, (double)b->n / wall, wall, cpu);
	return wall;
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/varve-bench-store-XXXXXX", jid[] = OWN;
	struct account a = { .jid = jid };
	struct bench b = { .n = argc > 1 ? atol(argv[1]) : 100000, .batch = argc > 2 ? atol(argv[2]) : 100 };
	_cleanup_(freep) char *why = NULL;
	struct vault *v;
	struct rusage usage;
	double ours, plain;

	if (b.n < 1 || b.batch < 1 || b.batch > ARCHIVE_PAGE_MAX || !mkdtemp(dir)) {
		fprintf(stderr, "usage: bench-store [MESSAGES [BATCH (1..%d)]]\n", ARCHIVE_PAGE_MAX);
		return 2;
	}
	check(store_find(dir, dir, &v, &why), "find");
	check(store_open(v, &b.s, &why), "open");
	check(store_begin(b.s), "begin");
	check(account_add(b.s, &a), "account");
	check(archive_id(b.s, a.id, "", &b.archive), "archive");
	check(store_commit(b.s), "commit");
	b.account = a.id;
	b.lines = xnewn(struct line, (size_t)b.batch);
	b.messages = xnewn(struct message, (size_t)b.batch);
	b.list = xnewn(const struct message *, (size_t)b.batch);
	b.out = xnewn(struct put_outcome, (size_t)b.batch);
	for (long i = 0; i < b.batch; i++)
		b.list[i] = &b.messages[i];
	printf("%ld messages in batches of %ld, SQLite %s\n", b.n, b.batch, sqlite3_libversion());
	ours = timed(&b, ingest, "varve");
	printf("file %.1f MB, %.0f bytes a message\n", (double)store_size(b.s) / 1e6, (double)store_size(b.s) / (double)b.n);
	read_pages(&b);
	plain = timed(&b, ingest_plain, "plain");
	getrusage(RUSAGE_SELF, &usage);
	printf("ratio %.2f, peak RSS %ld kB\n", ours / plain, usage.ru_maxrss);
	store_free(b.s);
	free(b.lines);
	free(b.messages);
	free(b.list);
	free(b.out);
	vault_free(v);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
