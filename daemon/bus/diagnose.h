/*
 * Manager.Diagnose: the checks of sync/hub.h, collected while they come in.
 */
#pragma once

#include <systemd/sd-bus.h>

/* The method's handler; userdata is the struct conn. */
int diagnose_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
