/*
 * A byte string that grows. It has no limit of its own: who fills it from outside has one. All zero is an empty one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct buf {
	char *data; /* owned; NUL-terminated when not NULL */
	size_t len;
	size_t cap;
};

/* Append; never fails. ${data} need not be NUL-terminated. */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
/* Append ${s} escaped for XML text and attribute values. */
void buf_add_xml(struct buf *b, const char *s);
/* Drop ${n} bytes at the front, or all that are there. */
void buf_eat(struct buf *b, size_t n);
/* Empty again; keeps its memory, or gives it back. */
void buf_reset(struct buf *b);
void buf_deinit(struct buf *b);
/* The string, "" when empty; stays the buffer's. */
const char *buf_str(const struct buf *b);
/* Give the string to the caller, who frees it; the buffer is empty afterwards. Never NULL. */
char *buf_steal(struct buf *b);
