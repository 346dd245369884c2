/*
 * The bus: D-Bus peer to peer on a private socket (design.md section 7, facts/ipc.md sections 1 to 4). Contract:
 * ipc/org.varve.Varve1.xml. Everything it serves comes from the hub and its store, on the hub's event loop.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/mem.h"
#include "sync/hub.h"

struct server;

/* Outcomes of server_new(). */
enum {
	SERVER_E_BUSY = 1, /* another daemon answers on the socket */
	SERVER_E_UNUSABLE, /* the runtime directory or the path cannot be used */
};

/*
 * Listen on ${dir}/bus and ${dir}/bus-ro, or on what systemd passed; ${dir} is $XDG_RUNTIME_DIR/varve.
 * Becomes the hub's observer. ${event} and ${hub} must outlive the server. For outcomes > 0 *ret_why is a sentence
 * for the user, which the caller frees.
 */
int server_new(sd_event *event, struct hub *hub, const char *dir, struct server **ret, char **ret_why);
/* Drops all connections and removes the sockets. */
struct server *server_free(struct server *s);
DEFINE_CLEANUP(struct server *, server_free);
