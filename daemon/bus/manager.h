/*
 * Manager's properties, which the session bus has too.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "bus/roles.h"

struct hub;

/* Append the value of ${property} for a connection with this role. */
int manager_property(struct hub *hub, enum role role, const char *property, sd_bus_message *m);
