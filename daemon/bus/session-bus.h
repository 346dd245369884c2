/*
 * The well-known name on the user's session bus: where an app that knows nothing finds the address of the private socket,
 * and what D-Bus activation waits for (facts/ipc.md section 4). Served there: Manager's properties and GetAddress(),
 * nothing else, because every process of the user may read along on a session bus. Never needed: without one, varved
 * works as well.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/mem.h"

struct hub;
struct session_bus;

/*
 * Connect in the background. Negative when there is no session bus to be found; what goes wrong later is logged and
 * otherwise without consequences. ${address} is what GetAddress answers and stays the caller's.
 */
int session_bus_new(sd_event *event, struct hub *hub, const char *address, struct session_bus **ret);
struct session_bus *session_bus_free(struct session_bus *s);
DEFINE_CLEANUP(struct session_bus *, session_bus_free);
/* hub_state() changed. NULL is fine. */
void session_bus_tell(struct session_bus *s);
