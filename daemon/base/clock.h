/*
 * The real clocks. What decides (core/, the engine) gets the time passed in; who reads a clock is the edge, or works in
 * slices of so many microseconds (store/upkeep.c, search, copies).
 */
#pragma once

#include <stdint.h>

#define USEC_PER_SEC INT64_C(1000000)
#define USEC_PER_MSEC INT64_C(1000)

/* Microseconds since the epoch (CLOCK_REALTIME): for stamps that people see. */
int64_t clock_real_us(void);
/* Microseconds that also pass while suspended (CLOCK_BOOTTIME): for deadlines. */
int64_t clock_boot_us(void);
