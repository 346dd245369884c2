/*
 * A function run in a forked child, its answer read from a pipe: for what takes a second and cannot be cut into slices
 * (Argon2id, an integrity check), because the loop never waits and there are no threads. The child inherits the memory
 * of its parent, computes, writes one answer and is gone by _exit(2): it must not touch sd-event, sd-bus or any open
 * database. It starts with every signal at its default, no descriptor but 0 to 2, its own pipe and what it is given,
 * and no core dump; memory that was locked in the parent is not locked in it (mlock(2)).
 *
 * SIGCHLD may be blocked and read by sd-event: only this process id is waited for, by child_free().
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/mem.h"

enum { CHILD_ANSWER_MAX = 4096 }; /* bytes: fits one pipe buffer, so the child never waits for a reader */

/* In the child: fill ${answer} (CHILD_ANSWER_MAX bytes) and *ret_len. 0 or -errno. What ${userdata} points to is a
 * copy: the parent may free it as soon as child_start() has returned. */
typedef int (*child_fn)(void *userdata, void *answer, size_t *ret_len);

struct child;
/* Fork. The child dies with its parent (PR_SET_PDEATHSIG). */
int child_start(child_fn fn, void *userdata, struct child **ret);
/* The same, for a child that works on descriptors: it finds ${fds} as CHILD_FD, CHILD_FD + 1 ... They stay the caller's. */
enum { CHILD_FD = 4, CHILD_FDS_MAX = 4 };
int child_start_with(child_fn fn, void *userdata, const int *fds, size_t n, struct child **ret);
/* Readable when the answer is there or the child is gone; watch it for EPOLLIN. Stays the child's. */
int child_fd(const struct child *c);
/*
 * The answer, when child_fd() is readable (waits otherwise): 0 and up to ${size} bytes in ${buf}, what fn returned if
 * it was negative, -EPIPE if the child died without an answer (killed for want of memory, say), -EPROTO if the answer
 * does not fit. Once.
 */
int child_finish(struct child *c, void *buf, size_t size, size_t *ret_len);
/* Kill, if it still runs, and reap. */
struct child *child_free(struct child *c);
DEFINE_CLEANUP(struct child *, child_free);

/*
 * Close ${fd}. If it may be the last of a large file without a name, a process of its own closes it last, for which nobody
 * waits: to free the blocks takes 0.4 ms a MB. Nothing of the file may be locked by this process (fcntl(2)).
 */
void child_let_go(int fd);
