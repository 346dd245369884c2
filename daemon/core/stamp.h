/*
 * XEP-0082 stamps <-> microseconds since the epoch.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define STAMP_SIZE 32 /* "2026-11-22T17:09:00.123456Z" and a NUL, with room */

/* Parse a DateTime with any fraction and any zone (XEP-0082 section 3.2). False if it is not one. */
bool stamp_parse(const char *s, int64_t *ret_us);
/* UTC, with six digits of fraction when ${us} has one; ${buf} is at least STAMP_SIZE. Returns ${buf}. */
char *stamp_format(int64_t us, char *buf);
