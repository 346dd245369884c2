/*
 * Manager.GetStatus: what monitoring wants of all accounts in one dictionary, with the keys of varvectl status --json.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "sync/hub.h"

/* Append a{sv}; the XML lists the keys. Values that are not there leave their key out. */
int status_append(sd_bus_message *m, struct hub *hub);

/* "ready" "locked" "failed"; static. */
const char *status_state_name(enum hub_state state);
const char *status_network_name(enum hub_network network);
