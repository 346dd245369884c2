/*
 * Bytes into a descriptor that somebody else gave us, and that may be anything: a pipe nobody reads, a file on a disk
 * that hangs, a socket. So a child process writes it, which may wait as long as it likes: the loop writes into a pipe to
 * that child, and learns from it what became of the bytes.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/mem.h"

#define POUR_BUFFER (256 * 1024) /* bytes that wait for the child: a hundred pages of a disk */

struct pour;
struct pour_ops {
	/* There is room again: pour_room() is not 0. */
	void (*room)(void *userdata);
	/* The end: 0 when all bytes were written, else -errno: -EPIPE when nobody reads. Not called from inside. */
	void (*done)(void *userdata, int r);
};

/* ${fd} stays the caller's, who may close it. */
int pour_new(sd_event *event, int fd, const struct pour_ops *ops, void *userdata, struct pour **ret);
/* Kills the child if it is still writing. */
struct pour *pour_free(struct pour *p);
DEFINE_CLEANUP(struct pour *, pour_free);

/* Bytes that may be added now; adding more is allowed and only means to be patient afterwards. */
size_t pour_room(const struct pour *p);
/* Where to add; then pour_added(). */
struct buf *pour_buf(struct pour *p);
void pour_added(struct pour *p);
/* Nothing more comes. */
void pour_end(struct pour *p);
