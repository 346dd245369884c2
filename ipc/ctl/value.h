/*
 * A D-Bus value as a tree: for GetStatus and GetConfig, whose keys may grow, so that what this version does not know
 * is still shown in JSON.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "ipc/ctl/json.h"

struct ctl;
struct value;

#define VALUE_DEPTH_MAX 16 /* levels; GetStatus has five, and the daemon is not to exhaust our stack */

/* Read the next value of ${m}, whatever its type. 0 or -errno. */
int value_read(sd_bus_message *m, struct value **ret);
struct value *value_free(struct value *v);
static inline void value_freep(struct value **v)
{
	value_free(*v);
}

/* All of these take NULL for "not there": the member of a dictionary, "" / 0 / false / NULL when absent. */
const struct value *value_get(const struct value *v, const char *key);
const char *value_str(const struct value *v, const char *key);
int64_t value_int(const struct value *v, const char *key);
bool value_true(const struct value *v, const char *key);
/* The text of ${v} itself, "" when it has none. */
const char *value_text(const struct value *v);
/* The number of ${v} itself, 0 when it is none. */
uint64_t value_number(const struct value *v);
/* Elements of an array or dictionary. */
size_t value_count(const struct value *v);
const struct value *value_at(const struct value *v, size_t i);

/*
 * Write it as JSON: '-' in keys becomes '_', "" becomes null, and "x_usec" gets its companion "x" (RFC 3339) unless there
 * is a key "x" of its own.
 * ${known}: keys written in this order whether present (or null) or not, before the others; NULL-terminated or NULL.
 */
void value_json(struct json *j, const char *key, const struct value *v, const char *const *known);
/* As it is on the bus: keys untouched, "" stays "". For raw access. */
void value_plain_json(struct json *j, const char *key, const struct value *v);
/* An account of GetStatus with the keys of cli.md, in its order. The members only: within an open object. */
void value_account_json(struct json *j, const struct value *account);

/* GetStatus. EXIT_OK, or the exit code after having said what is wrong. */
int value_status(struct ctl *c, struct value **ret);
