/*
 * Sync.Fetch: a job that has ended when the archive is here without a gap down to some point. The engine fetches by
 * itself, newest gaps first; so the job begins that at once and watches what is still missing.
 */
#pragma once

#include <systemd/sd-bus.h>

/* The method's handler; userdata is the struct conn. */
int fetch_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
