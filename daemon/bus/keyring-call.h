/*
 * One call of sync/keyring.h that came over the bus and is answered when it is done.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "sync/keyring.h"

struct conn;
struct keyring_call;

/* Append what the answer has; NULL for nothing. */
typedef int (*keyring_append_fn)(sd_bus_message *reply, const struct keyring_answer *a);

/* 0, or negative with ${error} set. */
int keyring_call_new(struct conn *c, sd_bus_message *m, keyring_append_fn append, struct keyring_call **ret,
		     sd_bus_error *error);
/* For *ret_why of the keyring_ function. */
char **keyring_call_why(struct keyring_call *call);
/* ${r}: what the keyring_ function returned, which was given keyring_call_done() and ${call}. The handler returns what
 * this returns. */
int keyring_call_started(struct keyring_call *call, int r, sd_bus_error *error);
void keyring_call_done(void *userdata, int r, const char *why, const struct keyring_answer *a);
