/*
 * What a Send costs until it is durable: outbox_put() and its commit in an encrypted archive, against the least that
 * SQLite can do for a message: one row into one table with one index, in a plain file with the same pragmas, so with
 * the same fsync; and against one by SQLite as any program has it (stock.h). In turn, one of each, while a part of what was
 * sent is numbered and acknowledged as it is in life.
 *
 * What the disk does meanwhile hits both, so the ratio is one of medians. CPU time is beside it: what is ours to mend, and
 * the same whether an fsync takes 0.1 or 4 ms.
 *
 *   bench-send [SENDS [MESSAGES]]     default 2000 sends into an archive of 20000 messages
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "load.h"
#include "stock.h"
#include "store/outbox.h"

enum { ACK_EVERY = 20 };

static const char body[] = "It will be about this long, as most of what people send to each other from a phone is.";

/* One operation. */
struct took {
	double wall, cpu; /* ms */
};

static struct took now(void)
{
	return (struct took){ now_s(CLOCK_MONOTONIC) * 1000, now_s(CLOCK_PROCESS_CPUTIME_ID) * 1000 };
}

static struct took since(struct took t)
{
	struct took n = now();

	return (struct took){ n.wall - t.wall, n.cpu - t.cpu };
}

static struct took send_one(struct load *b, long i)
{
	char id[40], to[48];
	struct outgoing o = { .kind = OUT_TEXT, .conversation = to, .client_id = id, .body = body, .emojis = "" };
	struct took t = now();
	int64_t msg;
	bool existing;

	snprintf(id, sizeof(id), "%08lx-bench-send-%ld", (unsigned long)i * 2654435761ul, i);
	snprintf(to, sizeof(to), "contact%ld@b.example", i % LOAD_CONTACTS);
	check(store_begin(b->s), "begin");
	check(outbox_put(b->s, b->account, LOAD_OWN, &o, LOAD_T0 + (b->n + i) * 1000000, &msg, &existing), "send");
	check(store_commit(b->s), "commit");
	return since(t);
}

struct batch {
	int64_t ids[ACK_EVERY];
	size_t n;
};

static int note(void *userdata, const struct out_item *item)
{
	struct batch *batch = userdata;

	batch->ids[batch->n++] = item->id;
	return 0;
}

/* The engine's part: what waits is numbered in one transaction, and acknowledged in another. */
static void deliver(struct load *b)
{
	struct batch batch = { .n = 0 };
	size_t done;

	check(outbox_next(b->s, b->account, 0, ACK_EVERY, note, &batch), "next");
	check(store_begin(b->s), "begin");
	for (size_t i = 0; i < batch.n; i++)
		check(outbox_numbered(b->s, b->account, batch.ids[i], 0, (uint32_t)i + 1, "") != 1, "number");
	check(store_commit(b->s), "commit");
	check(store_begin(b->s), "begin");
	check(outbox_acked(b->s, b->account, (uint32_t)batch.n, &done), "ack");
	check(store_commit(b->s), "commit");
	check(done != batch.n, "all acknowledged");
}

static sqlite3_stmt *prepare_bare(struct load *b)
{
	sqlite3_stmt *st;

	/* As often as stock SQLite: a log that still grows is slower. */
	check(sqlite3_exec(b->s->db, "PRAGMA wal_autocheckpoint=1000;"
				     "CREATE TABLE bare(id INTEGER PRIMARY KEY, conv TEXT, key INTEGER, body TEXT) STRICT;"
				     "CREATE INDEX bare_page ON bare(conv, key);", NULL, NULL, NULL), "bare schema");
	check(sqlite3_prepare_v2(b->s->db, "INSERT INTO bare(conv, key, body) VALUES(?,?,?)", -1, &st, NULL), "bare");
	return st;
}

static struct took insert_one(struct load *b, sqlite3_stmt *st, long i)
{
	struct took t = now();
	char to[48];

	snprintf(to, sizeof(to), "contact%ld@b.example", i % LOAD_CONTACTS);
	check(sqlite3_exec(b->s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL), "begin");
	sqlite3_bind_text(st, 1, to, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, LOAD_T0 + i);
	sqlite3_bind_text(st, 3, body, -1, SQLITE_STATIC);
	check(sqlite3_step(st) == SQLITE_DONE ? 0 : -EIO, "bare insert");
	sqlite3_reset(st);
	check(sqlite3_exec(b->s->db, "COMMIT", NULL, NULL, NULL), "commit");
	return since(t);
}

/* CPU time is the other process's, and not known here. */
static struct took stock_one(struct stock *s, long i)
{
	char to[48], id[40];

	snprintf(id, sizeof(id), "%08lx-bench-send-%ld", (unsigned long)i * 2654435761ul, i);
	snprintf(to, sizeof(to), "contact%ld@b.example", i % LOAD_CONTACTS);
	return (struct took){ .wall = stock_send(s, to, id, body) };
}

static void print_ratio(const char *name, double ratio)
{
	printf("%-28s %.2f (bar 1.50)%s\n", name, ratio, ratio > 1.5 ? " OVER" : "");
}

/* Returns the median of the wall clock. */
static double print(const char *name, const struct took *t, size_t n)
{
	_cleanup_(freep) double *wall = xnewn(double, n), *cpu = xnewn(double, n);
	double p50;

	for (size_t i = 0; i < n; i++) {
		wall[i] = t[i].wall;
		cpu[i] = t[i].cpu;
	}
	p50 = quantile(wall, n, 0.5);
	printf("%-28s p50 %.3f ms, p99 %.3f ms; CPU p50 %.3f ms\n", name, p50, quantile(wall, n, 0.99),
	       quantile(cpu, n, 0.5));
	return p50;
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 2000, messages = argc > 2 ? atol(argv[2]) : 20000;
	char top[] = "/tmp/varve-bench-send-XXXXXX";
	_cleanup_(freep) struct took *ours = NULL, *bare = NULL, *stocks = NULL;
	char *dirs[2];
	struct load b, floor;
	struct stock stock;
	sqlite3_stmt *st;
	double floor_ms, stock_ms, send_ms;

	if (n < 1 || messages < 100 || !mkdtemp(top)) {
		fprintf(stderr, "usage: bench-send [SENDS [MESSAGES (100..)]]\n");
		return 2;
	}
	dirs[0] = xasprintf("%s/varve", top);
	dirs[1] = xasprintf("%s/bare", top);
	stock_start(&stock, top);
	load_init(&b, messages, 100);
	load_open(&b, dirs[0], false);
	while (load_batch(&b) >= 0)
		;
	load_init(&floor, 1, 1);
	load_open(&floor, dirs[1], true);
	st = prepare_bare(&floor);
	ours = xnewn(struct took, (size_t)n);
	bare = xnewn(struct took, (size_t)n);
	stocks = xnewn(struct took, (size_t)n);
	for (long i = 0; i < n; i++) {
		bare[i] = insert_one(&floor, st, i);
		stocks[i] = stock_one(&stock, i);
		ours[i] = send_one(&b, i);
		if (i % ACK_EVERY == ACK_EVERY - 1)
			deliver(&b);
	}
	printf("%ld sends into %ld messages, SQLite %s\n", n, messages, sqlite3_libversion());
	floor_ms = print("bare commit, our settings", bare, (size_t)n);
	stock_ms = print("bare commit, stock SQLite", stocks, (size_t)n);
	send_ms = print("Send to durable", ours, (size_t)n);
	print_ratio("p50 against our settings", send_ms / floor_ms);
	print_ratio("p50 against stock SQLite", send_ms / stock_ms);
	sqlite3_finalize(st);
	for (int i = 0; i < 2; i++) {
		struct load *l = i ? &floor : &b;

		load_close(l);
		load_deinit(l);
		free(dirs[i]);
	}
	stock_end(&stock);
	load_remove(top);
	/* Over is a figure to look at, on a machine that is shared, and no failure of the suite. */
	return 0;
}
