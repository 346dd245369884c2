/*
 * Does a connection move? A client that authenticates for ever, stops in the middle of a call, or does not take its answers
 * would be kept for ever otherwise. Pure: what is seen is passed in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STALL_AUTH_US (10 * INT64_C(1000000)) /* from accept() to the end of authentication */
#define STALL_MAX_US (30 * INT64_C(1000000))  /* a call that does not come further, a queue that does not move */

struct stall {
	int64_t born_us, moved_us, came_us;
	size_t coming;
	uint64_t queued;
	int outq;
};

/* What a look at the connection shows. */
struct stall_look {
	bool ready;	 /* it has authenticated */
	size_t coming;	 /* bytes of a call that is not whole yet */
	uint64_t queued; /* messages for it */
	int outq;	 /* bytes of them that the kernel has: of a big one that leaves in pieces, only they move */
};

void stall_init(struct stall *s, int64_t now_us);
/* NULL, or why the connection has to end; static. */
const char *stall_check(struct stall *s, const struct stall_look *look, int64_t now_us);
