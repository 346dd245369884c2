/*
 * What an app waits for: the real varved over an archive of a million messages, its floor beside it in the same run.
 *
 *   bench-bus [MESSAGES [PART]]        default 1000000; VARVED names the program. PART: start, call, history or send alone
 *
 * The archive takes minutes to make: with VARVE_BENCH_CACHE=DIRECTORY it is kept there and used again.
 *
 * Calls and sends are measured with everybody on one core: this program, its floor and varved. Else an idle machine puts
 * one server on the caller's core (15 us a call) and the other beside it (80 us: a halted core has to be woken, which on a
 * virtual one takes an interrupt from outside), and the figure says which was where. GetHistory beside a search, and the
 * start, have the cores that there are.
 *
 * Send has two floors, in turn with it: a row in a plain file with varved's pragmas, in this process, where SQLite runs without
 * locks as in varved; and one by SQLite as any program has it (stock.h).
 *
 * Prints one line a bar, with what it must keep; the exit status is 1 if one is missed.
 */
#define _GNU_SOURCE /* accept4, sched_setaffinity */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/mem.h"
#include "client.h"
#include "load.h"
#include "stock.h"
#include "store/schema.h"

#define UPKEEP_US 50000

enum { CALLS = 10000, BLOCK = 250, PAGES = 4000, ROUND = 500, SENDS = 1000, STARTS = 7 };

/* Sends that are not measured: after a thousand pages both logs begin anew, and no commit makes a file longer any more. */
enum { SENDS_BEFORE = 500 };

struct bench {
	char dir[64];
	char *home;   /* of varved: data and configuration */
	char *socket;
	long n;
	pid_t varved, echo;
	struct stock stock;
	cpu_set_t cores; /* that this program may use */
	bool missed;
};

static void bar(struct bench *b, const char *what, double have, double most, const char *unit)
{
	printf("%-58s %8.3f %-5s bar %5.1f %s\n", what, have, unit, most, have <= most ? "kept" : "MISSED");
	b->missed = b->missed || have > most;
}

/* ---- the floor: a bare sd-bus server ---- */

static int on_echo_connection(_unused_ sd_event_source *s, int fd, _unused_ uint32_t revents, void *userdata)
{
	static const sd_bus_vtable none[] = { SD_BUS_VTABLE_START(0), SD_BUS_VTABLE_END };
	sd_id128_t id = SD_ID128_MAKE(1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f, 0);
	int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	sd_bus *bus = NULL;

	check(sd_bus_new(&bus), "bus");
	check(sd_bus_set_fd(bus, c, c), "fd");
	check(sd_bus_set_server(bus, 1, id), "server");
	check(sd_bus_add_object_vtable(bus, NULL, "/org/varve/Varve1", "x.y", none, NULL) < 0, "vtable");
	check(sd_bus_start(bus) < 0, "start");
	check(sd_bus_attach_event(bus, userdata, 0) < 0, "attach");
	return 0;
}

static void echo_server(int fd)
{
	sd_event *event = NULL;

	check(sd_event_new(&event) < 0, "event");
	check(sd_event_add_io(event, NULL, fd, EPOLLIN, on_echo_connection, event) < 0, "io");
	sd_event_loop(event);
	_exit(1);
}

/* ---- varved ---- */

static pid_t spawn(struct bench *b)
{
	pid_t pid;

	unlink(b->socket);
	fflush(stdout);
	pid = fork();
	check(pid < 0, "fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("XDG_DATA_HOME", b->home, 1);
	setenv("XDG_CONFIG_HOME", b->home, 1);
	setenv("XDG_RUNTIME_DIR", b->dir, 1);
	setenv("VARVE_LOG", "error", 1);
	execl(getenv("VARVED"), "varved", NULL);
	_exit(127);
}

static void end(pid_t pid)
{
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Everybody on one core, the first that may be used, or wherever the kernel likes. Nobody has a second thread. */
static void pin(const struct bench *b, bool one)
{
	const pid_t all[] = { 0, b->varved, b->echo, b->stock.pid };
	cpu_set_t set = b->cores;

	for (int i = 0; one && i < CPU_SETSIZE && CPU_COUNT(&set) > 1; i++)
		CPU_CLR(CPU_SETSIZE - 1 - i, &set);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		check(sched_setaffinity(all[i], sizeof(set), &set) != 0 ? -errno : 0, "affinity");
}

static sd_bus *connect_to(const char *path)
{
	sd_bus *bus = NULL;

	/* The socket is there some ms after exec: nothing but trying tells. */
	for (int i = 0; client_connect(path, &bus) < 0; i++) {
		check(i > 100000, "no socket");
		usleep(200);
	}
	return bus;
}

/* From exec to the first row of the archive. */
static void starts(struct bench *b)
{
	double ms[STARTS];

	for (int i = 0; i < STARTS; i++) {
		double t = now_s(CLOCK_MONOTONIC);
		unsigned int rows;
		sd_bus *bus;

		b->varved = spawn(b);
		bus = connect_to(b->socket);
		client_history(bus, "contact3@b.example", 0, &rows);
		check(rows != 50, "rows");
		ms[i] = (now_s(CLOCK_MONOTONIC) - t) * 1000;
		sd_bus_flush_close_unref(bus);
		if (i < STARTS - 1)
			end(b->varved);
	}
	bar(b, "start to the first answered page, median", quantile(ms, STARTS, 0.5), 100, "ms");
}

static void empty_calls(struct bench *b, const char *echo_path)
{
	sd_bus *ours = connect_to(b->socket), *floor = connect_to(echo_path);
	double *x = xnewn(double, CALLS), *y = xnewn(double, CALLS), p;

	/* In turns: whatever else the machine does hits both. */
	for (int i = 0; i < CALLS; i += BLOCK)
		for (int k = i; k < i + BLOCK; k++)
			x[k] = client_ping(ours);
	for (int i = 0; i < CALLS; i += BLOCK) {
		for (int k = i; k < i + BLOCK; k++)
			y[k] = client_ping(floor);
		for (int k = i; k < i + BLOCK; k++)
			x[k] = client_ping(ours);
	}
	p = quantile(x, CALLS, 0.5);
	printf("empty call, all on one core: p50 %.1f us, p99 %.1f us; bare sd-bus server: p50 %.1f us, p99 %.1f us\n", p * 1000,
	       quantile(x, CALLS, 0.99) * 1000, quantile(y, CALLS, 0.5) * 1000, quantile(y, CALLS, 0.99) * 1000);
	bar(b, "empty call, p50 against a bare sd-bus server", p / quantile(y, CALLS, 0.5), 1.3, "x");
	sd_bus_flush_close_unref(ours);
	sd_bus_flush_close_unref(floor);
	free(x);
	free(y);
}

/* Pages ${from} to ${to}, of 50 messages, from everywhere in the archive. */
static void pages(struct bench *b, sd_bus *bus, double *ms, int from, int to)
{
	unsigned int rows;
	char contact[48];

	for (int i = from; i < to; i++) {
		long k = (long)(((unsigned long)i * 7919) % ((unsigned long)b->n * 9 / 10)) + b->n / 10;

		snprintf(contact, sizeof(contact), "contact%d@b.example", i % LOAD_CONTACTS);
		ms[i] = client_history(bus, contact, LOAD_T0 + k * 1000000, &rows);
		check(rows < 49, "rows");
	}
}

static pid_t searcher(struct bench *b)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	check(pid < 0, "fork");
	if (pid == 0) {
		static const char *const words[] = { "aaaaa", "no such words", "bacde", "a", "ba* -c" };
		sd_bus *bus = connect_to(b->socket);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (size_t i = 0;; i++)
			client_search(bus, words[i % ARRAY_SIZE(words)]);
	}
	return pid;
}

/* With and without a search in turns: what else the machine does hits both. */
static void histories(struct bench *b)
{
	_cleanup_(freep) double *alone = xnewn(double, PAGES), *beside = xnewn(double, PAGES);
	sd_bus *bus = connect_to(b->socket);

	pages(b, bus, alone, 0, PAGES);
	for (int i = 0; i < PAGES; i += ROUND) {
		pid_t pid;

		pages(b, bus, alone, i, i + ROUND);
		pid = searcher(b);
		pages(b, bus, beside, i, i + ROUND);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	printf("GetHistory: p50 %.3f ms, p99 %.3f ms; while another client searches: p50 %.3f ms, p99 %.3f ms\n",
	       quantile(alone, PAGES, 0.5), quantile(alone, PAGES, 0.99), quantile(beside, PAGES, 0.5),
	       quantile(beside, PAGES, 0.99));
	bar(b, "GetHistory(50) of so many, p50", quantile(alone, PAGES, 0.5), 1.0, "ms");
	bar(b, "GetHistory(50) while another client searches, p99", quantile(beside, PAGES, 0.99), 5.0, "ms");
	sd_bus_flush_close_unref(bus);
}

/* One row of a table that could hold the message, durable: the floor of Send. */
static sqlite3_stmt *plain_table(struct load *plain)
{
	sqlite3_stmt *st = NULL;

	/* It writes few pages: after SENDS_BEFORE its log, too, must have begun anew, and grow no more. */
	check(sqlite3_exec(plain->s->db, "PRAGMA wal_autocheckpoint=1000;"
			   "CREATE TABLE plain(id INTEGER PRIMARY KEY, conv TEXT, client_id TEXT UNIQUE, body TEXT)"
			   " STRICT", NULL, NULL, NULL), "plain schema");
	check(sqlite3_prepare_v2(plain->s->db, "INSERT INTO plain(conv, client_id, body) VALUES(?,?,?)", -1, &st, NULL),
	      "plain insert");
	return st;
}

static double plain_send(sqlite3_stmt *st, const char *conv, const char *id, const char *body)
{
	double t = now_s(CLOCK_MONOTONIC);

	sqlite3_bind_text(st, 1, conv, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, id, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, body, -1, SQLITE_STATIC);
	check(sqlite3_step(st) == SQLITE_DONE ? 0 : -EIO, "plain insert");
	sqlite3_reset(st);
	return (now_s(CLOCK_MONOTONIC) - t) * 1000;
}

static void sends(struct bench *b)
{
	_cleanup_(freep) char *dir = xasprintf("%s/plain", b->dir);
	double x[SENDS], y[SENDS], z[SENDS], p;
	sd_bus *bus = connect_to(b->socket);
	struct load plain;
	sqlite3_stmt *st;
	char id[64];

	load_init(&plain, 1, 1);
	load_open(&plain, dir, true);
	st = plain_table(&plain);
	for (int i = -SENDS_BEFORE; i < SENDS; i++) {
		static const char to[] = "contact3@b.example", body[] = "A sentence as people write it, not long, not short.";
		double plain_ms, stock_ms, ms;

		snprintf(id, sizeof(id), "%08lx-0000-4000-8000-%012d", (unsigned long)time(NULL), i + SENDS_BEFORE);
		plain_ms = plain_send(st, to, id, body);
		stock_ms = stock_send(&b->stock, to, id, body);
		ms = client_send(bus, to, id, body);
		if (i >= 0) {
			y[i] = plain_ms;
			z[i] = stock_ms;
			x[i] = ms;
		}
	}
	sqlite3_finalize(st);
	load_close(&plain);
	load_deinit(&plain);
	p = quantile(x, SENDS, 0.5);
	printf("Send, all on one core: p50 %.3f ms, p99 %.3f ms; bare commit with our settings: p50 %.3f ms, p99 %.3f ms; by stock"
	       " SQLite: p50 %.3f ms, p99 %.3f ms\n", p, quantile(x, SENDS, 0.99), quantile(y, SENDS, 0.5),
	       quantile(y, SENDS, 0.99), quantile(z, SENDS, 0.5), quantile(z, SENDS, 0.99));
	bar(b, "Send to durable, p50 against a bare commit, our settings", p / quantile(y, SENDS, 0.5), 1.5, "x");
	bar(b, "Send to durable, p50 against a bare commit, stock SQLite", p / quantile(z, SENDS, 0.5), 1.5, "x");
	sd_bus_flush_close_unref(bus);
}

/* Into ${dir}; as after a long time of idling: indexed, and nothing in the log. */
static void make_archive(struct bench *b, const char *dir)
{
	struct load l;
	double t = now_s(CLOCK_MONOTONIC);

	load_init(&l, b->n, ARCHIVE_PAGE_MAX);
	load_open(&l, dir, false);
	/* It only has to be there in the end: no waiting for the disk, and room for the indexes. */
	check(db_exec(l.s, "PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000"), "pragma");
	while (load_batch(&l) >= 0)
		check(l.end % 20000 ? 0 : store_checkpoint(l.s), "checkpoint");
	printf("%ld messages stored after %.0f s", b->n, now_s(CLOCK_MONOTONIC) - t);
	fflush(stdout);
	while (store_upkeep(l.s, UPKEEP_US) > 0)
		;
	check(store_checkpoint(l.s), "checkpoint");
	printf(", indexed after %.0f s\n", now_s(CLOCK_MONOTONIC) - t);
	load_close(&l);
	load_deinit(&l);
}

/* What the run before sent still waits to be sent. */
static void forget_sends(const char *dir)
{
	struct load l;

	load_init(&l, 1, 1);
	l.account = 1;
	load_open(&l, dir, false);
	check(store_begin(l.s), "begin");
	check(db_exec(l.s, "DELETE FROM outbox"), "outbox");
	check(store_commit(l.s), "commit");
	while (store_upkeep(l.s, UPKEEP_US) > 0)
		;
	printf("file %.0f MB\n", (double)store_size(l.s) / 1e6);
	load_close(&l);
	load_deinit(&l);
}

static void fill(struct bench *b)
{
	_cleanup_(freep) char *dir = xasprintf("%s/varve", b->home), *made = xasprintf("%s.made", b->home);
	FILE *f;

	if (access(made, F_OK) != 0) {
		load_remove(b->home);
		check(mkdir(b->home, 0700), "directory");
		make_archive(b, dir);
		f = fopen(made, "w");
		check(!f || fclose(f) != 0 ? -errno : 0, "mark");
	}
	forget_sends(dir);
}

static pid_t start_echo(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	check(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), "bind");
	check(listen(fd, 8), "listen");
	fflush(stdout);
	pid = fork();
	check(pid < 0, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		echo_server(fd);
	}
	close(fd);
	return pid;
}

static bool wanted(const char *part, const char *what)
{
	return !*part || strcmp(part, what) == 0;
}

int main(int argc, char **argv)
{
	struct bench b = { .dir = "/tmp/varve-bench-bus-XXXXXX", .n = argc > 1 ? atol(argv[1]) : 1000000 };
	_cleanup_(freep) char *echo = NULL;
	const char *part = argc > 2 ? argv[2] : "";
	double load[1] = { 0 };

	if (b.n < 10000 || !getenv("VARVED") || !mkdtemp(b.dir)) {
		fprintf(stderr, "usage: VARVED=PROGRAM bench-bus [MESSAGES (10000..) [start|call|history|send]]\n");
		return 2;
	}
	check(sched_getaffinity(0, sizeof(b.cores), &b.cores) != 0 ? -errno : 0, "affinity");
	/* XDG_DATA_HOME becomes a directory in it, and one that is relative is none (XDG Base Directory, "Basics"). */
	if (getenv("VARVE_BENCH_CACHE") && getenv("VARVE_BENCH_CACHE")[0] != '/') {
		fprintf(stderr, "bench-bus: VARVE_BENCH_CACHE must be an absolute path\n");
		return 2;
	}
	/* Another format is another archive. */
	b.home = getenv("VARVE_BENCH_CACHE") ? xasprintf("%s/bus-%ld-%d", getenv("VARVE_BENCH_CACHE"), b.n, SCHEMA_VERSION) :
					       xasprintf("%s/home", b.dir);
	b.socket = xasprintf("%s/varve/bus", b.dir);
	echo = xasprintf("%s/echo", b.dir);
	if (getenv("VARVE_BENCH_CACHE"))
		(void)mkdir(getenv("VARVE_BENCH_CACHE"), 0700);
	(void)getloadavg(load, 1);
	printf("load of the machine %.1f, %ld cores\n", load[0], sysconf(_SC_NPROCESSORS_ONLN));
	stock_start(&b.stock, b.dir);
	fill(&b);
	b.echo = start_echo(echo);
	if (wanted(part, "start"))
		starts(&b);
	else
		b.varved = spawn(&b);
	pin(&b, true);
	if (wanted(part, "call"))
		empty_calls(&b, echo);
	pin(&b, false);
	if (wanted(part, "history"))
		histories(&b);
	pin(&b, true);
	if (wanted(part, "send"))
		sends(&b);
	end(b.varved);
	end(b.echo);
	stock_end(&b.stock);
	load_remove(b.dir);
	free(b.home);
	free(b.socket);
	return b.missed;
}
