/*
 * When to try again: exponential with jitter, capped, reset by a trigger. Pure: chance is passed in.
 */
#pragma once

#include <stdint.h>

#define BACKOFF_FIRST_US (INT64_C(1) * 1000000)	  /* a flaky cell is often back at once */
#define BACKOFF_CAP_US (INT64_C(300) * 1000000)	  /* as Conversations: a server that is down for an hour sees some 23 tries */
#define BACKOFF_SLOW_US (INT64_C(60) * 1000000)	  /* first wait when a person has to act (certificate, conflict) */

struct backoff {
	unsigned int tries;
};

/* The wait before the next try, in us; counts it. ${random} is uniform: waits are spread over [1/2, 1] of the step. */
int64_t backoff_next(struct backoff *b, uint32_t random);
void backoff_reset(struct backoff *b);
