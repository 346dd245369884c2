/*
 * What encryption costs: the same store code, schema, pragmas and batches on plain SQLite and on the cipher VFS, in the
 * same run and interleaved batch by batch, so that what else the machine does hits both. One line a bar: name, value,
 * bar, ok or over. Times are of the wall clock; CPU time stands beside the ingest.
 *
 *   bench-cipher [MESSAGES [ROUNDS [KEEPER-MESSAGES]]]     default 20000 3 50000; the bars are for 200000 3 500000
 */
#define _GNU_SOURCE /* posix_fadvise */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "store/copy.h"

enum { PLAIN, CIPHER, ENGINES };
enum { BATCH = 100, WARM_READS = 3000, COLD_READS = 60, OPENS = 20, ROUNDS_MAX = 9 };

static const char *const names[] = { "plain", "cipher" };
static int over;

static void bar(const char *name, double value, double limit, const char *unit)
{
	bool ok = value <= limit;

	over += !ok;
	printf("%-34s %8.2f%s  bar %.2f%s  %s\n", name, value, unit, limit, unit, ok ? "ok" : "over");
	fflush(stdout);
}

static void use_cache(struct load *b, int kib)
{
	char sql[48];

	snprintf(sql, sizeof(sql), "PRAGMA cache_size=-%d", kib);
	check(db_exec(b->s, sql), "cache");
}

struct ingest {
	double wall, cpu, p99;
};

/* Batches alternate, and so does who is first. */
static void ingest(struct load b[ENGINES], struct ingest ret[ENGINES])
{
	size_t n = 0, max = (size_t)(b[0].n / BATCH + 2);
	double *ms[ENGINES] = { xnewn(double, max), xnewn(double, max) };

	memset(ret, 0, ENGINES * sizeof(*ret));
	for (; b[PLAIN].end > 0; n++) {
		for (size_t i = 0; i < ENGINES; i++) {
			size_t e = (i + n) % ENGINES;
			double wall = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);

			ms[e][n] = load_batch(&b[e]);
			ret[e].wall += now_s(CLOCK_MONOTONIC) - wall;
			ret[e].cpu += now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		}
	}
	for (size_t e = 0; e < ENGINES; e++) {
		printf("  %-6s %7.0f messages/s, %5.2f s wall, %5.2f s CPU, commit p50 %.2f p99 %.2f max %.1f ms, %.1f MB\n",
		       names[e], (double)b[e].n / ret[e].wall, ret[e].wall, ret[e].cpu, quantile(ms[e], n, 0.5),
		       quantile(ms[e], n, 0.99), quantile(ms[e], n, 1), (double)store_size(b[e].s) / 1e6);
		ret[e].p99 = quantile(ms[e], n, 0.99);
		free(ms[e]);
	}
}

/* Pages that somebody looks at again: in the keeper's own cache. */
static double read_warm(struct load b[ENGINES])
{
	double *ms[ENGINES] = { xnewn(double, WARM_READS), xnewn(double, WARM_READS) }, ratio;

	for (int i = -LOAD_CONTACTS; i < WARM_READS; i++) {
		for (int k = 0; k < ENGINES; k++) {
			int e = (i + LOAD_CONTACTS + k) % ENGINES;
			double t = now_s(CLOCK_MONOTONIC);

			(void)load_page(&b[e], (i + LOAD_CONTACTS) % LOAD_CONTACTS, b[e].n);
			if (i >= 0)
				ms[e][i] = (now_s(CLOCK_MONOTONIC) - t) * 1000;
		}
	}
	ratio = quantile(ms[CIPHER], WARM_READS, 0.5) / quantile(ms[PLAIN], WARM_READS, 0.5);
	printf("  warm page: plain p50 %.3f ms, cipher p50 %.3f ms\n", quantile(ms[PLAIN], WARM_READS, 0.5),
	       quantile(ms[CIPHER], WARM_READS, 0.5));
	for (int e = 0; e < ENGINES; e++)
		free(ms[e]);
	return ratio;
}

static void evict(const char *dir)
{
	_cleanup_(freep) char *path = xasprintf("%s/archive.db", dir);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	check(fd < 0 || fsync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0, "evict");
}

/* A page after a start, with nothing in any cache but what opening read. */
static double read_cold(struct load b[ENGINES], char *const dirs[ENGINES])
{
	double ms[ENGINES][COLD_READS], ratio;

	for (int i = 0; i < COLD_READS; i++) {
		for (int k = 0; k < ENGINES; k++) {
			int e = (i + k) % ENGINES;
			double t;

			load_close(&b[e]);
			evict(dirs[e]);
			load_open(&b[e], dirs[e], e == PLAIN);
			t = now_s(CLOCK_MONOTONIC);
			(void)load_page(&b[e], i % LOAD_CONTACTS, b[e].n * (i + 1) / (COLD_READS + 1));
			ms[e][i] = (now_s(CLOCK_MONOTONIC) - t) * 1000;
		}
	}
	ratio = quantile(ms[CIPHER], COLD_READS, 0.5) / quantile(ms[PLAIN], COLD_READS, 0.5);
	printf("  cold page: plain p50 %.3f ms, cipher p50 %.3f ms\n", quantile(ms[PLAIN], COLD_READS, 0.5),
	       quantile(ms[CIPHER], COLD_READS, 0.5));
	return ratio;
}

/* Sidecar, key file, database: all of a start but a passphrase. */
static double time_open(struct load *b, const char *dir)
{
	double ms[OPENS];

	for (int i = 0; i < OPENS; i++) {
		double t;

		load_close(b);
		t = now_s(CLOCK_MONOTONIC);
		load_open(b, dir, false);
		ms[i] = (now_s(CLOCK_MONOTONIC) - t) * 1000;
	}
	return quantile(ms, OPENS, 0.5);
}

/* Slices of a backup while nothing else happens: how long they hold the loop. */
static void time_copy(struct load *b, const char *dir, double budget_ms)
{
	_cleanup_(freep) char *path = xasprintf("%s/backup", dir);
	double *ms = xnewn(double, 200000), t, cpu = now_s(CLOCK_PROCESS_CPUTIME_ID), whole = now_s(CLOCK_MONOTONIC);
	struct vault_next *next;
	struct copy *c;
	size_t n = 0;
	int r;

	check(vault_next_at(b->v, path, &next), "backup");
	check(copy_new(b->s, COPY_BACKUP, path, vault_next_keys(next), &c), "backup");
	do {
		t = now_s(CLOCK_MONOTONIC);
		r = copy_step(c, (int64_t)(budget_ms * 1000));
		ms[n++] = (now_s(CLOCK_MONOTONIC) - t) * 1000;
	} while (r > 0 && n < 200000);
	check(r, "backup");
	printf("  backup: %.1f MB, %.2f s CPU, %.2f s wall, %zu slices of %.0f ms: p50 %.2f p99 %.2f max %.1f ms\n",
	       (double)store_size(b->s) / 1e6, now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu, now_s(CLOCK_MONOTONIC) - whole, n,
	       budget_ms, quantile(ms, n, 0.5), quantile(ms, n, 0.99), quantile(ms, n, 1));
	copy_free(c);
	vault_next_free(next);
	free(ms);
}

static double peak_mb(void)
{
	char line[128];
	double kb = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %lf", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb / 1000;
}

/* The keeper's memory: a program of its own, which fills an archive with the default cache and lives on. */
static int keeper(const char *dir, long n)
{
	struct load b;
	double worst = 0, t, before;
	int64_t slices = 0;
	int r;

	load_init(&b, n, BATCH);
	load_open(&b, dir, false);
	while (load_batch(&b) >= 0)
		;
	before = peak_mb();
	do {
		t = now_s(CLOCK_MONOTONIC);
		r = store_upkeep(b.s, 5000);
		t = (now_s(CLOCK_MONOTONIC) - t) * 1000;
		worst = t > worst ? t : worst;
		slices++;
	} while (r > 0);
	printf("  upkeep: %lld slices of 5 ms, longest %.1f ms; %.1f MB file, peak %.1f MB before, %.1f MB after\n",
	       (long long)slices, worst, (double)store_size(b.s) / 1e6, before, peak_mb());
	for (int i = 0; i < 300; i++)
		(void)load_page(&b, i % LOAD_CONTACTS, n * (i + 1) / 301);
	before = peak_mb();
	time_copy(&b, dir, 5);
	printf("  peak before the backup %.1f MB, after %.1f MB\n", before, peak_mb());
	bar("peak RSS of the keeper", before, 40, " MB");
	load_close(&b);
	load_deinit(&b);
	return over;
}

static void run_keeper(const char *self, const char *dir, const char *n)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execl(self, self, "--keeper", dir, n, NULL);
		_exit(98);
	}
	check(waitpid(pid, &status, 0) != pid || !WIFEXITED(status), "keeper");
	over += WEXITSTATUS(status);
}

struct ratios {
	double wall[ROUNDS_MAX], cpu[ROUNDS_MAX], p99[ROUNDS_MAX], warm[ROUNDS_MAX], cold[ROUNDS_MAX], open[ROUNDS_MAX];
};

static void run_round(const char *top, long n, int round, struct ratios *ret)
{
	char *dirs[ENGINES] = { xasprintf("%s/plain", top), xasprintf("%s/cipher", top) };
	struct ingest in[ENGINES];
	struct load b[ENGINES];

	for (int e = 0; e < ENGINES; e++) {
		load_init(&b[e], n, BATCH);
		load_open(&b[e], dirs[e], e == PLAIN);
		use_cache(&b[e], 16000);
	}
	printf("round %d\n", round + 1);
	ingest(b, in);
	ret->wall[round] = in[CIPHER].wall / in[PLAIN].wall;
	ret->cpu[round] = in[CIPHER].cpu / in[PLAIN].cpu;
	ret->p99[round] = in[CIPHER].p99 / in[PLAIN].p99;
	ret->warm[round] = read_warm(b);
	ret->cold[round] = read_cold(b, dirs);
	ret->open[round] = time_open(&b[CIPHER], dirs[CIPHER]);
	for (int e = 0; e < ENGINES; e++) {
		load_close(&b[e]);
		load_deinit(&b[e]);
		load_remove(dirs[e]);
		free(dirs[e]);
	}
}

int main(int argc, char **argv)
{
	char top[] = "/tmp/varve-bench-cipher-XXXXXX", *dir;
	long n = argc > 1 ? atol(argv[1]) : 20000;
	int rounds = argc > 2 ? atoi(argv[2]) : 3;
	struct ratios r;

	if (argc == 4 && strcmp(argv[1], "--keeper") == 0)
		return keeper(argv[2], atol(argv[3]));
	if (n < BATCH || rounds < 1 || rounds > ROUNDS_MAX || !mkdtemp(top)) {
		fprintf(stderr, "usage: bench-cipher [MESSAGES [ROUNDS (1..%d) [KEEPER-MESSAGES]]]\n", ROUNDS_MAX);
		return 2;
	}
	printf("%ld messages in batches of %d, SQLite %s; cipher / plain, median of %d rounds\n", n, BATCH,
	       sqlite3_libversion(), rounds);
	for (int i = 0; i < rounds; i++)
		run_round(top, n, i, &r);
	dir = xasprintf("%s/keeper", top);
	run_keeper("/proc/self/exe", dir, argc > 3 ? argv[3] : "50000");
	load_remove(top);
	free(dir);
	bar("ingest, 16 MB cache, wall", quantile(r.wall, (size_t)rounds, 0.5), 1.30, "");
	printf("%-34s %8.2f\n", "ingest, CPU (no bar)", quantile(r.cpu, (size_t)rounds, 0.5));
	bar("history page of 50, warm", quantile(r.warm, (size_t)rounds, 0.5), 1.15, "");
	bar("history page of 50, cold", quantile(r.cold, (size_t)rounds, 0.5), 1.60, "");
	bar("commit p99", quantile(r.p99, (size_t)rounds, 0.5), 1.50, "");
	bar("open without KDF", quantile(r.open, (size_t)rounds, 0.5), 5, " ms");
	/* Over is a figure to look at, on a machine that is shared, and no failure of the suite. */
	return 0;
}
