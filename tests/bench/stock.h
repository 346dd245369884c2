/*
 * The other floor of Send: a message made durable by SQLite as any program uses it. A process of its own, so that nothing
 * that varved tells SQLite is told here (no SINGLETHREAD, no exclusive locking, no cipher, no page cache of our size): its
 * defaults, but for journal_mode=WAL and synchronous=FULL, which make a commit one fdatasync, as ours is. One row with what a
 * Send says, in one table with one index, the one that knows a message that is sent twice.
 */
#pragma once

#include <sys/types.h>

struct stock {
	pid_t pid;
	int fd;
};

/* Before the caller's first use of SQLite, whose settings the process would inherit. The file lies in ${dir}. */
void stock_start(struct stock *s, const char *dir);
/* BEGIN IMMEDIATE, INSERT, COMMIT: ms by its own clock. */
double stock_send(struct stock *s, const char *conversation, const char *client_id, const char *body);
void stock_end(struct stock *s);
