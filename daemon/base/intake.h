/*
 * How much one call of sd_bus_process() reads. libsystemd has no limit of its own below 128 MB a message, and reads for as
 * long as bytes come: a message that does not parse is dropped inside of that loop (sd-bus 252, dispatch_rqueue()), so who
 * sends such without a pause would keep the whole daemon there. And it keeps every descriptor that comes with a message until
 * that is whole. It has no setting for any of this (decisions/0032).
 *
 * So what it reads with is ours: recvmsg() of intake.c is also the one that libsystemd calls, because a program's symbol
 * goes before that of a library, and says EAGAIN when the allowance is used up.
 */
#pragma once

#include <stddef.h>

#define INTAKE_FDS 4 /* descriptors in one read: with more it fails (MSG_CTRUNC), which ends an sd_bus; ours take one a call */

struct intake {
	size_t bytes, fds;
};

/* From now on recvmsg() reads ${bytes} from ${fd} and no more; other descriptors are not concerned. */
void intake_begin(int fd, size_t bytes);
/* What came from there since intake_begin() or the last intake_taken(). */
struct intake intake_taken(void);
/* The same, and the limit ends. */
struct intake intake_end(void);

/*
 * For an sd_bus that the event loop runs: once more than ${max} bytes came from ${fd} since the last message that came whole,
 * reading fails with ECONNRESET, which ends it. Until intake_guard_end(), which is called before anybody else can get the number.
 */
void intake_guard(int fd, size_t max);
void intake_guard_whole(int fd);
void intake_guard_end(int fd);
