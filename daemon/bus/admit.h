/*
 * Which calls get to their handler: by the connection's role, by the descriptors they carry, and by the state of the archive.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "bus/conn.h"

/* Before sd-bus looks at ${call}, which came with ${fds} descriptors. 0, or negative with ${error} set. */
int admit(const struct conn_config *who, sd_bus_message *call, size_t fds, sd_bus_error *error);
/*
 * While the archive is not open: no call gets to what needs it. The root's own interfaces look for themselves; an
 * account's object does not exist then, and the answer to it must not be that it never did. As admit(), of which it is a part.
 */
int admit_by_state(struct hub *hub, sd_bus_message *call, sd_bus_error *error);
