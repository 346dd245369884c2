/*
 * Where history pages stop: the holes in the account's own archive as places in sort key space. A wall stands directly
 * below a key: what sorts below it is older than the hole. Private to store/.
 */
#pragma once

#include "store/db.h"

struct walls {
	int64_t *keys; /* owned, ascending */
	int64_t *lows; /* owned: of the newest message that is older than that hole; INT64_MIN = none, or not asked for */
	size_t n;
	bool start;    /* the server has nothing older than the oldest span */
};

/* *ret, written on success, is to be freed by walls_deinit(). ${lows}: these too, which costs as much again. 0 or -errno. */
int walls_read(struct store *s, int64_t account, bool lows, struct walls *ret);
void walls_deinit(struct walls *w);
/* The highest wall that stands at or below a message at ${key}, that is, between it and older ones; false if none. */
bool walls_below(const struct walls *w, int64_t key, int64_t *ret);
/* The lowest wall between a message at ${key} and newer ones. */
bool walls_above(const struct walls *w, int64_t key, int64_t *ret);
