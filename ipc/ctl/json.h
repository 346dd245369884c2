/*
 * Writing JSON (RFC 8259). The writer keeps commas, nesting and indentation right, so that the callers only say what
 * there is; what it writes is always valid UTF-8 and safe on a terminal, whatever the strings hold.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum json_mode {
	JSON_OFF, /* people read */
	JSON_SHORT, /* one line a value */
	JSON_PRETTY, /* indented by two */
};

struct json;

/* Write to ${f}, which stays the caller's. ${mode} is not JSON_OFF. Nesting deeper than JSON_DEPTH_MAX aborts. */
#define JSON_DEPTH_MAX 32 /* levels; a D-Bus variant nests at most 64 containers, ours at most six */
struct json *json_new(FILE *f, enum json_mode mode);
struct json *json_free(struct json *j);
static inline void json_freep(struct json **j)
{
	json_free(*j);
}

/*
 * Begin and end containers; ${key} is NULL inside an array and at the top. When a value at the top is complete a line
 * end follows: that makes the streams of cli.md.
 */
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);

/* NULL is written as null. Controls are escaped, bytes that are not UTF-8 become U+FFFD. */
void json_string(struct json *j, const char *key, const char *value);
/* As json_string(), but "" is null too: the bus has no null, and says "" for absent. */
void json_string_or_null(struct json *j, const char *key, const char *value);
void json_int(struct json *j, const char *key, int64_t value);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_double(struct json *j, const char *key, double value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

/*
 * A time (us since the epoch, UTC; 0 = none) twice: "${key}" as RFC 3339 and "${key}_usec" as an integer, or both
 * null.
 */
void json_time(struct json *j, const char *key, int64_t us);
