/*
 * kill -9 on real files: kill [SECONDS]
 *
 * A child writes to an archive of its own and says each COMMIT before and after, with the content; the parent kills it at
 * a moment of chance, opens the archive, and must find the last acknowledged content, or that with the one transaction
 * whose COMMIT had begun. Then the next child goes on. All through db_open() and the cipher VFS; SQLite's own files and
 * the page cache of the kernel are real. VARVE_SEED repeats the chance, though not the moments of the kills.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/db.h"
#include "work.h"

enum { CHILD_MS = 120 }; /* the longest life of a child after it is ready */

struct note {
	char what; /* 'r' the archive is open, 'c' COMMIT follows, 'a' it returned well, 'f' something failed */
	struct content content;
};

struct kills {
	char dir[64], path[80];
	struct page_keys keys;
	struct chance chance;
	struct work work;
	struct content acked, pending;
	bool in_doubt;
	uint64_t kills, commits, kept;
};

static bool open_db(struct kills *k, struct store *s)
{
	int64_t size = 0;
	const char *what = "";
	int fd = open(k->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), r;

	if (fd >= 0) {
		size = lseek(fd, 0, SEEK_END);
		close(fd);
	}
	*s = (struct store){ .path = k->path, .keys = &k->keys };
	r = fd < 0 ? -errno : db_open(s, size == 0, &what);
	if (r == 0)
		return true;
	fprintf(stderr, "it does not open: %d %s\n", r, what);
	db_close(s, true);
	return false;
}

static void say(int fd, char what, const struct content *c)
{
	struct note note = { .what = what, .content = *c };

	if (write(fd, &note, sizeof(note)) != (ssize_t)sizeof(note))
		_exit(3);
}

/* Writes until it is killed. */
static _Noreturn void child(struct kills *k, int fd)
{
	struct content c = k->acked;
	struct store s;
	char sql[64];

	if (!open_db(k, &s))
		_exit(2);
	snprintf(sql, sizeof(sql), "PRAGMA wal_autocheckpoint=%u", chance_between(&k->chance, 10, 200));
	(void)work_exec(s.db, sql);
	say(fd, 'r', &c);
	for (;;) {
		int code = work_exec(s.db, "BEGIN IMMEDIATE");

		if (code == SQLITE_OK)
			code = c.schema ? work_rows(&k->work, s.db, &c) : work_schema(&k->work, s.db, &c);
		if (code == SQLITE_OK) {
			say(fd, 'c', &c);
			code = work_exec(s.db, "COMMIT");
		}
		say(fd, code == SQLITE_OK ? 'a' : 'f', &c);
		if (code != SQLITE_OK)
			_exit(2);
		if (chance_percent(&k->chance, 5))
			(void)sqlite3_wal_checkpoint_v2(s.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	}
}

/* Take in what the child said. False at the end of it, or when it failed. */
static bool hear(struct kills *k, int fd, bool *ret_failed)
{
	struct note note;
	size_t got = 0;
	ssize_t n;

	while (got < sizeof(note) && (n = read(fd, (char *)&note + got, sizeof(note) - got)) > 0)
		got += (size_t)n;
	if (got < sizeof(note))
		return false;
	switch (note.what) {
	case 'c':
		k->pending = note.content;
		k->in_doubt = true;
		break;
	case 'a':
		k->acked = note.content;
		k->in_doubt = false;
		k->commits++;
		break;
	case 'f':
		*ret_failed = true;
		return false;
	default:
		break;
	}
	return true;
}

/* One child's life, killed some time after it opened the archive; or, now and then, while it does. */
static bool one_life(struct kills *k)
{
	int64_t until = INT64_MAX, now;
	bool failed = false, opening = k->acked.schema && chance_percent(&k->chance, 15);
	int fds[2], status;
	pid_t pid;

	if (pipe(fds) < 0)
		return false;
	pid = fork();
	if (pid < 0)
		return false;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		child(k, fds[1]);
	}
	close(fds[1]);
	if (opening)
		until = clock_boot_us() + chance_below(&k->chance, 20000);
	for (;;) {
		struct pollfd p = { .fd = fds[0], .events = POLLIN };

		now = clock_boot_us();
		if (now >= until)
			break;
		if (poll(&p, 1, until == INT64_MAX ? 10000 : (int)((until - now) / 1000) + 1) == 0 && until == INT64_MAX)
			break;
		if ((p.revents & (POLLIN | POLLHUP)) && !hear(k, fds[0], &failed))
			break;
		if (until == INT64_MAX)
			until = clock_boot_us() + chance_below(&k->chance, CHILD_MS * 1000);
	}
	kill(pid, SIGKILL);
	while (hear(k, fds[0], &failed))
		;
	close(fds[0]);
	waitpid(pid, &status, 0);
	k->kills++;
	if (!failed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	fprintf(stderr, "a child failed by itself: status 0x%x\n", (unsigned)status);
	return false;
}

static bool look(struct kills *k)
{
	struct content got;
	const char *why = NULL;
	struct store s;
	int code;

	if (!open_db(k, &s))
		return false;
	code = work_read(&k->work, s.db, k->kills % 8 == 0, &got, &why);
	db_close(&s, chance_percent(&k->chance, 70));
	if (code != SQLITE_OK) {
		fprintf(stderr, "kill %llu: %s (%d)\n", (unsigned long long)k->kills, why ? why : "unreadable", code);
		return false;
	}
	if (k->in_doubt && memcmp(&got, &k->pending, sizeof(got)) == 0) {
		k->acked = got;
		k->kept++;
	}
	k->in_doubt = false;
	if (memcmp(&got, &k->acked, sizeof(got)) == 0)
		return true;
	fprintf(stderr, "kill %llu: the content is neither the acknowledged one nor the last transaction's\n",
		(unsigned long long)k->kills);
	return false;
}

static void remove_dir(const char *dir)
{
	static const char *const names[] = { "archive.db", "archive.db-wal", "archive.db-journal" };
	char path[96];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

int main(int argc, char **argv)
{
	const char *seed = getenv("VARVE_SEED");
	int64_t seconds = argc > 1 ? strtoll(argv[1], NULL, 10) : 8, end;
	struct kills *k = xnew(struct kills);
	bool right = true;

	log_init("kill");
	signal(SIGPIPE, SIG_IGN);
	k->chance.state = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_boot_us();
	printf("VARVE_SEED=%llu\n", (unsigned long long)k->chance.state);
	k->work.fts = true;
	snprintf(k->dir, sizeof(k->dir), "/tmp/torture-kill-XXXXXX");
	if (!mkdtemp(k->dir))
		return 2;
	snprintf(k->path, sizeof(k->path), "%s/archive.db", k->dir);
	chance_fill(&k->chance, &k->keys, sizeof(k->keys));
	end = clock_boot_us() + seconds * 1000000;
	while (right && clock_boot_us() < end) {
		k->work.chance.state = chance_next(&k->chance);
		/* What died with a child may have used some. */
		k->work.last_version += 1000000;
		/* A child inherits this state; the parent's must not follow it. */
		chance_next(&k->chance);
		right = one_life(k) && look(k);
	}
	printf("%llu kills, %llu acknowledged commits, %llu kept that were not: %s (SQLite %s)\n",
	       (unsigned long long)k->kills, (unsigned long long)k->commits, (unsigned long long)k->kept,
	       right ? "right" : "WRONG", sqlite3_libversion());
	if (right)
		remove_dir(k->dir);
	else
		printf("the archive is in %s\n", k->dir);
	free(k);
	return !right;
}
