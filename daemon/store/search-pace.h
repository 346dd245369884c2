/*
 * How large the windows of a search are (search-window.c). To begin one costs the same whatever its size (FTS5 looks up every
 * word in every segment: 0.5 ms on a quiet desktop, 5 on a phone), so small windows are no way to short slices: only what a
 * window costs beyond that is bounded by its size. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pace {
	int64_t ids;	  /* of the next window */
	int64_t begin_us; /* what the beginning takes, as far as it is known */
	int same;	  /* windows of that size so far */
};

void pace_init(struct pace *p);
/* A window of ${ids} was read to its end in ${took_us}, in slices of ${budget_us}. */
void pace_done(struct pace *p, int64_t took_us, int64_t budget_us);
/* It had rows for more than a slice, and is held: what it costs to begin is better paid for more. */
void pace_held(struct pace *p);
/* It was ended unfinished, and what it did is lost. False: it was the smallest. */
bool pace_too_long(struct pace *p);
bool pace_is_least(const struct pace *p);
