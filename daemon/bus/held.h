/*
 * What a connection makes us hold with its calls: one that has not come whole yet, and those that wait or are at work.
 * sd-bus says of no message how long it is and what it carries; what was read since the last one says it (base/intake.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/intake.h"

#define HELD_CALL_MAX (2 * 1024 * 1024) /* bytes of one call; the largest that makes sense has a CA file of 1 MiB */
#define HELD_ALL_MAX (32 * 1024 * 1024) /* of all connections: beyond it nobody gets more than HELD_FREE */
#define HELD_FREE (64 * 1024)		/* of one connection, whatever the others do: some dozens of common calls */

struct held {
	size_t *all; /* bytes of all connections together */
	struct intake coming;
	size_t kept;
};

/* ${part} of a call was read. NULL, or why the connection has to end; static. */
const char *held_read(struct held *h, struct intake part);
/* It is whole with ${part}: all that came of it. Nothing of it counts any more. */
struct intake held_whole(struct held *h, struct intake part);
/* A call of ${bytes} is kept until held_drop(). False: there is no room. */
bool held_keep(struct held *h, size_t bytes);
void held_drop(struct held *h, size_t bytes);
/* The connection goes. */
void held_forget(struct held *h);
