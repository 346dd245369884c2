#define _GNU_SOURCE
#include "stock.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "load.h"

struct job {
	char conversation[64], client_id[64], body[256];
};

static sqlite3 *open_file(const char *dir)
{
	_cleanup_(freep) char *path = xasprintf("%s/stock.db", dir);
	sqlite3 *db = NULL;

	check(sqlite3_open(path, &db), "stock file");
	check(sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			       "CREATE TABLE message(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, conversation TEXT NOT NULL,"
			       " client_id TEXT NOT NULL, body TEXT NOT NULL, time INTEGER NOT NULL, state INTEGER NOT NULL,"
			       " UNIQUE(account, client_id))", NULL, NULL, NULL), "stock schema");
	return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;

	check(sqlite3_prepare_v2(db, sql, -1, &st, NULL), sql);
	return st;
}

static void run(sqlite3_stmt *st)
{
	check(sqlite3_step(st) == SQLITE_DONE ? 0 : -EIO, sqlite3_sql(st));
	sqlite3_reset(st);
}

static void serve(const char *dir, int fd)
{
	sqlite3 *db = open_file(dir);
	sqlite3_stmt *begin = prepare(db, "BEGIN IMMEDIATE"), *commit = prepare(db, "COMMIT");
	sqlite3_stmt *insert = prepare(db, "INSERT INTO message(account, conversation, client_id, body, time, state)"
					   " VALUES(1,?1,?2,?3,?4,0)");
	struct job job;

	while (recv(fd, &job, sizeof(job), MSG_WAITALL) == (ssize_t)sizeof(job)) {
		double t = now_s(CLOCK_MONOTONIC);

		run(begin);
		sqlite3_bind_text(insert, 1, job.conversation, -1, SQLITE_STATIC);
		sqlite3_bind_text(insert, 2, job.client_id, -1, SQLITE_STATIC);
		sqlite3_bind_text(insert, 3, job.body, -1, SQLITE_STATIC);
		sqlite3_bind_int64(insert, 4, (sqlite3_int64)(now_s(CLOCK_REALTIME) * 1e6));
		run(insert);
		run(commit);
		t = (now_s(CLOCK_MONOTONIC) - t) * 1000;
		check(send(fd, &t, sizeof(t), 0) == (ssize_t)sizeof(t) ? 0 : -errno, "stock answer");
	}
	_exit(0);
}

void stock_start(struct stock *s, const char *dir)
{
	int fds[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0 ? -errno : 0, "stock socket");
	fflush(stdout);
	s->pid = fork();
	check(s->pid < 0 ? -errno : 0, "fork");
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		serve(dir, fds[1]);
	}
	close(fds[1]);
	s->fd = fds[0];
}

double stock_send(struct stock *s, const char *conversation, const char *client_id, const char *body)
{
	struct job job = { 0 };
	double ms = 0;

	snprintf(job.conversation, sizeof(job.conversation), "%s", conversation);
	snprintf(job.client_id, sizeof(job.client_id), "%s", client_id);
	snprintf(job.body, sizeof(job.body), "%s", body);
	check(send(s->fd, &job, sizeof(job), 0) == (ssize_t)sizeof(job) ? 0 : -errno, "stock question");
	check(recv(s->fd, &ms, sizeof(ms), MSG_WAITALL) == (ssize_t)sizeof(ms) ? 0 : -errno, "stock answer");
	return ms;
}

void stock_end(struct stock *s)
{
	close(s->fd);
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
