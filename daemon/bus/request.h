/*
 * Calls that the server answers (hub_request()): each waits in its connection's list of later answers.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

struct conn;

/* Ask; ${kind} is enum link_request_kind. What the handler returns: 1, or negative with ${error} set. */
int request_start(struct conn *c, sd_bus_message *call, uint32_t kind, const char *jid, const char *name,
		  const char *text, sd_bus_error *error);
