/*
 * What the store costs above plain SQLite: the same messages in the same batches into varve's tables and into the
 * simplest table that could hold them (same pragmas, one row a message, the index of a history page and the unique
 * archive id), in one run; then history pages of 50 from what is there.
 *
 *   bench-store [MESSAGES [BATCH]]     default 100000 100
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "load.h"

enum { READS = 2000 };

static void ingest(struct load *b)
{
	while (load_batch(b) >= 0)
		;
}

static void ingest_plain(struct load *b)
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
			struct load_line *l = &b->lines[0];
			struct message *m = &b->messages[0];

			load_message(l, m, k);
			sqlite3_bind_int64(st, 1, k % LOAD_CONTACTS);
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

static void read_pages(struct load *b)
{
	_cleanup_(freep) double *ms = xnewn(double, READS);
	size_t rows = 0;

	for (int i = 0; i < READS; i++) {
		long k = (long)(((unsigned long)i * 7919 + 50 * LOAD_CONTACTS) % (unsigned long)b->n);
		double t = now_s(CLOCK_MONOTONIC);

		rows += load_page(b, i % LOAD_CONTACTS, k);
		ms[i] = (now_s(CLOCK_MONOTONIC) - t) * 1000;
	}
	printf("history page of 50: p50 %.3f ms, p99 %.3f ms, %.1f rows a page\n", quantile(ms, READS, 0.5),
	       quantile(ms, READS, 0.99), (double)rows / READS);
}

static double timed(struct load *b, void (*fn)(struct load *), const char *name)
{
	double wall = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);

	fn(b);
	wall = now_s(CLOCK_MONOTONIC) - wall;
	cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("%-6s %8.0f messages/s, %6.2f s wall, %6.2f s CPU\n", name, (double)b->n / wall, wall, cpu);
	return wall;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/varve-bench-store-XXXXXX";
	long n = argc > 1 ? atol(argv[1]) : 100000, batch = argc > 2 ? atol(argv[2]) : 100;
	struct rusage usage;
	double ours, plain;
	struct load b;

	if (n < 1 || batch < 1 || batch > ARCHIVE_PAGE_MAX || !mkdtemp(dir)) {
		fprintf(stderr, "usage: bench-store [MESSAGES [BATCH (1..%d)]]\n", ARCHIVE_PAGE_MAX);
		return 2;
	}
	load_init(&b, n, batch);
	load_open(&b, dir, false);
	printf("%ld messages in batches of %ld, SQLite %s\n", n, batch, sqlite3_libversion());
	ours = timed(&b, ingest, "varve");
	printf("file %.1f MB, %.0f bytes a message\n", (double)store_size(b.s) / 1e6, (double)store_size(b.s) / (double)n);
	read_pages(&b);
	plain = timed(&b, ingest_plain, "floor");
	getrusage(RUSAGE_SELF, &usage);
	printf("ratio %.2f, peak RSS %ld kB\n", ours / plain, usage.ru_maxrss);
	load_close(&b);
	load_deinit(&b);
	load_remove(dir);
	return 0;
}
