/*
 * Sort keys: the order of messages is archive order, never the local clock (F1, F2, F6). A key is a 64-bit number
 * that looks like a stamp in microseconds and mostly is one: the archive's stamp, moved just enough to keep archive
 * order where stamps tie (Prosody: one second) or run backwards, and to stay between its neighbours. Pages come
 * newest first, so there must be room below (F8): a second has a million keys.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys left free between a page and older messages that it does not touch, when clocks leave no natural room. */
#define ORDER_ROOM INT64_C(1000000000)

/*
 * Keys for a run of ${n} messages with stamps ${us}, oldest first, strictly between ${lo} and ${hi} (exclusive;
 * INT64_MIN/INT64_MAX = open). ${touches_lo}: the run directly follows ${lo}, nothing will ever come between.
 * Fills ${keys}, strictly ascending. False if there is no room: the caller moves everything from ${hi} on up.
 */
bool order_place(const int64_t *us, size_t n, int64_t lo, int64_t hi, bool touches_lo, int64_t *keys);
