/*
 * Sync.Verify: a job that compares what coverage claims with the server's archive (sync/engine.h). The engine walks; the job
 * watches, and ends it when nobody wants it any more.
 */
#pragma once

#include <systemd/sd-bus.h>

/* The method's handler; userdata is the struct conn. */
int verify_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
