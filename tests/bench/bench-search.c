/*
 * What search costs: indexing a message, the size of the index, the longest transaction of indexing, and for each kind
 * of query how long it takes and the longest slice, which is how long another call of the daemon may wait.
 *
 *   bench-search [MESSAGES]     default 100000
 *
 * Messages are 8 to 40 words of 30,000, the frequent ones first (rank ^ -1, as in languages), a tenth is Chinese; each
 * has the word "always", one in 1,000 "seldom". Exit 1 if a slice took more than SLICE_MAX budgets of CPU.
 */
#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/account.h"
#include "store/db.h"
#include "store/index.h"
#include "store/search.h"
#include "store/store.h"
#include "vault/vault.h"

#define BUDGET 5000 /* us */
#define SLICE_MAX 3
#define WORDS 30000
#define ROUNDS 5

static void check(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "bench-search: %s: %d\n", what, r);
	exit(1);
}

/* CPU time: a shared machine takes this process off its core for longer than a slice. */
static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static unsigned int rnd(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x >> 1;
}

/* Word ${k} of the vocabulary: letters only, the same for the same number. */
static size_t word(char *to, unsigned int k)
{
	size_t n = 0;

	for (k += 27; k; k /= 26, n++)
		to[n] = (char)('a' + (k * 7 + n) % 26);
	to[n] = '\0';
	return n;
}

static void body(char *to, long k)
{
	unsigned int n = 8 + rnd() % 32;

	if (k % 10 == 9) {
		for (unsigned int i = 0; i < n; i++) {
			unsigned int c = 0x4e00 + (unsigned int)(pow(2000, (double)(rnd() % 1000) / 1000.0));

			to += sprintf(to, "%c%c%c", (char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)),
				      (char)(0x80 | (c & 0x3f)));
		}
		*to++ = ' ';
	}
	to += sprintf(to, "always %s", k % 1000 == 0 ? "seldom " : "");
	for (unsigned int i = 0; i < n && k % 10 != 9; i++) {
		to += word(to, (unsigned int)pow(WORDS, (double)(rnd() % 10000) / 10000.0));
		*to++ = ' ';
	}
	*to = '\0';
}

static int64_t fill(struct store *s, long n, int64_t account)
{
	int64_t text = 0;
	sqlite3_stmt *st;
	char buf[1024];

	check(store_begin(s), "begin");
	for (int i = 1; i <= 30; i++) {
		snprintf(buf, sizeof(buf), "INSERT INTO conv(id, account, jid, kind, mod) VALUES(%d, %" PRId64
			 ", 'c%d@x.example', 'direct', 0)", i, account, i);
		check(db_exec(s, buf), "conv");
	}
	check(sqlite3_prepare_v2(s->db, "INSERT INTO msg(account, conv, key, mod, time_us, clock, delay_us, direction,"
				 " state, kind, sender, hash, body) VALUES(?1, ?2, ?3, ?4, ?3, 2, 0, 0, 1, 0, ?5, 0, ?6)",
				 -1, &st, NULL), "insert");
	for (long k = 0; k < n; k++) {
		/* Newest page first, as a first sync comes. */
		int64_t key = (n / 100 - k / 100) * 100 + k % 100;

		body(buf, k);
		text += (int64_t)strlen(buf);
		sqlite3_bind_int64(st, 1, account);
		sqlite3_bind_int64(st, 2, 1 + k % 30);
		sqlite3_bind_int64(st, 3, key * 1000000);
		sqlite3_bind_int64(st, 4, k);
		sqlite3_bind_text(st, 5, k % 7 ? "c1@x.example/phone" : "c2@x.example/phone", -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 6, buf, -1, SQLITE_STATIC);
		if (sqlite3_step(st) != SQLITE_DONE)
			check(1, "step");
		sqlite3_reset(st);
		if (k % 1000 == 999) {
			check(store_commit(s), "commit");
			check(store_begin(s), "begin");
		}
	}
	sqlite3_finalize(st);
	check(store_commit(s), "commit");
	check(store_checkpoint(s), "checkpoint");
	return text;
}

static void index_everything(struct store *s, long n, int64_t text)
{
	int64_t before = store_size(s), began = clock_boot_us(), cpu = cpu_us(), us, longest = 0, steps = 0;
	int r;

	do {
		int64_t at = clock_boot_us();

		r = index_step(s, BUDGET);
		at = clock_boot_us() - at;
		if (at > longest)
			longest = at;
		steps++;
	} while (r > 0);
	check(r, "index");
	us = clock_boot_us() - began;
	cpu = cpu_us() - cpu;
	check(store_checkpoint(s), "checkpoint");
	printf("index: %.1f us/message (CPU %.1f), longest transaction %.1f ms (CPU %.1f), longest step %.1f ms of %" PRId64
	       ", %.0f%% of the text (%.0f bytes a message)\n",
	       (double)us / (double)n, (double)cpu / (double)n, (double)s->index.worst_us / 1e3,
	       (double)s->index.worst_cpu_us / 1e3, (double)longest / 1e3, steps,
	       100.0 * (double)(store_size(s) - before) / (double)text,
	       (double)(store_size(s) - before) / (double)n);
}

static int count(void *userdata, const struct message_row *row, const struct search_range *ranges, size_t n)
{
	(void)row;
	(void)ranges;
	(void)n;
	++*(long *)userdata;
	return 0;
}

static int by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Run ${q} ROUNDS times; the longest slice in us of CPU. */
static int64_t run(struct store *s, struct search_query q, const char *what)
{
	int64_t total[ROUNDS], longest = 0, longest_cpu = 0, slices = 0;
	long hits = 0;

	for (int i = 0; i < ROUNDS; i++) {
		_cleanup_(search_freep) struct search *x = NULL;
		_cleanup_(freep) char *cursor = NULL;
		int64_t began = clock_boot_us();
		int r;

		check(search_new(s, &q, &x), "search");
		slices = 0;
		do {
			int64_t at = clock_boot_us(), at_cpu = cpu_us();

			r = search_step(x, BUDGET);
			at = clock_boot_us() - at;
			at_cpu = cpu_us() - at_cpu;
			if (at > longest)
				longest = at;
			if (at_cpu > longest_cpu)
				longest_cpu = at_cpu;
			slices++;
		} while (r > 0);
		check(r, "step");
		hits = 0;
		check(search_hits(x, count, &hits, &cursor), "hits");
		total[i] = clock_boot_us() - began;
	}
	qsort(total, ROUNDS, sizeof(total[0]), by_size);
	printf("%-44s %4ld hits, p50 %8.2f ms, %4" PRId64 " slices, longest %6.2f ms (CPU %5.2f)\n", what,
	       hits, (double)total[ROUNDS / 2] / 1e3, slices, (double)longest / 1e3, (double)longest_cpu / 1e3);
	return longest_cpu;
}

static int64_t queries(struct store *s, int64_t account)
{
	static const struct {
		struct search_query q;
		const char *what;
	} all[] = {
		{ { .text = "always" }, "in every message" },
		{ { .text = "always", .until_us = 1 }, "in every message, none in time" },
		{ { .text = "seldom" }, "one in 1,000" },
		{ { .text = "seldom always" }, "one in 1,000, and one in every" },
		{ { .text = "seldom", .conversation = "c1@x.example" }, "one in 1,000, one conversation" },
		{ { .text = "always", .sender = "nobody@x.example" }, "in every message, sender without any" },
		{ { .text = "a" }, "one letter" },
		{ { .text = "a", .until_us = 1 }, "one letter, none in time" },
		{ { .text = "a b c d e f g h", .until_us = 1 }, "eight letters, none in time" },
		{ { .text = "\"always seldom\"" }, "phrase" },
		{ { .text = "always -always" }, "all excluded" },
		{ { .text = "nosuchword" }, "no message" },
		{ { .text = "一丁" }, "two Chinese characters" },
		{ { .text = "龥" }, "one Chinese character, no message" },
	};
	int64_t longest = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct search_query q = all[i].q;
		int64_t us;

		q.account = account;
		q.limit = 50;
		us = run(s, q, all[i].what);
		if (us > longest)
			longest = us;
	}
	return longest;
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *f)
{
	return remove(path);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/varve-bench-search-XXXXXX", jid[] = "alice@a.example";
	struct account a = { .jid = jid };
	long n = argc > 1 ? atol(argv[1]) : 100000;
	_cleanup_(freep) char *why = NULL;
	int64_t text, longest, tail;
	struct store *s;
	struct vault *v;
	struct rusage usage;

	if (n < 1000 || !mkdtemp(dir)) {
		fprintf(stderr, "usage: bench-search [MESSAGES (1000..)]\n");
		return 2;
	}
	check(store_find(dir, dir, &v, &why), "find");
	check(store_open(v, &s, &why), "open");
	check(store_begin(s), "begin");
	check(account_add(s, &a), "account");
	check(store_commit(s), "commit");
	text = fill(s, n, a.id);
	printf("%ld messages, %.1f MB of text, file %.1f MB, SQLite %s, budget %d ms\nnot indexed:\n", n,
	       (double)text / 1e6, (double)store_size(s) / 1e6, sqlite3_libversion(), BUDGET / 1000);
	tail = queries(s, a.id);
	index_everything(s, n, text);
	longest = queries(s, a.id);
	getrusage(RUSAGE_SELF, &usage);
	printf("longest slice %.2f ms of CPU, peak RSS %ld kB\n", (double)(tail > longest ? tail : longest) / 1e3,
	       usage.ru_maxrss);
	store_free(s);
	vault_free(v);
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return tail > SLICE_MAX * BUDGET || longest > SLICE_MAX * BUDGET;
}
