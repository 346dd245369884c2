/*
 * A call whose answer comes later: Unlock, Backup, Search ... Each belongs to its connection, counts against it, and ends
 * with it.
 */
#pragma once

#include <stddef.h>
#include <systemd/sd-bus.h>

#include "base/mem.h"

struct conn;
struct later;

/* Calls of one connection in work at a time; facts/ipc.md section 2.1 no. 2. */
#define LATER_MAX 16

/* The connection goes: stop the work, free what belongs to it. The struct later is freed by the caller. */
typedef void (*later_gone_fn)(void *userdata);

/* Keep ${call}. 0 and *ret, or negative with ${error} set (LimitExceeded). ${userdata} is gone()'s. */
int later_new(struct conn *c, sd_bus_message *call, later_gone_fn gone, void *userdata, struct later **ret,
	      sd_bus_error *error);
/* Without an answer: the handler returns an error itself. NULL is fine. */
struct later *later_free(struct later *l);
DEFINE_CLEANUP(struct later *, later_free);

sd_bus_message *later_call(struct later *l);
/* Answer, and free ${l}. ${reply} is made from later_call() and weighs about ${bytes}; it stays the caller's. */
void later_reply(struct later *l, sd_bus_message *reply, size_t bytes);
/* Answer with ${error}, or with ${r} (negative) if it is not set. Frees ${l}, not the error. */
void later_fail(struct later *l, int r, const sd_bus_error *error);

/* How many calls of ${c} are in work with this gone(), its own or (NULL) of all kinds. */
size_t later_count(struct conn *c, later_gone_fn gone);
/* conn_free(): gone() for each. */
void later_drop_all(struct conn *c);
