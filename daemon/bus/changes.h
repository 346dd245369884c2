/*
 * Archive.Changes: the pull side of the feed (facts/ipc.md section 3.6).
 */
#pragma once

#include <systemd/sd-bus.h>

/* The method's handler; userdata is the struct conn. */
int changes_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
