/*
 * Sync.Fetch: a job that has ended when the archive is here without a gap down to some point. The engine fetches by
 * itself, newest gaps first; so the job begins that at once, also below the horizon, and watches what is still missing.
 * Of one conversation more than varve.conf keeps is fetched alone (sync/errand.h).
 */
#pragma once

#include <systemd/sd-bus.h>

/* The method's handler; userdata is the struct conn. */
int fetch_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
