/*
 * A client of the bus for the benches: sd-bus, peer to peer, blocking.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#define BENCH_ACCOUNT "/org/varve/Varve1/account/1"
#define BENCH_IFACE "org.varve.Varve1."

/* Connect to the socket at ${path}: 0 or -errno (nobody listens there yet). */
int client_connect(const char *path, sd_bus **ret);
/* Peer.Ping; ends the program on failure, as all below. Times in ms. */
double client_ping(sd_bus *bus);
/* GetHistory(${conversation}, time ${us}, 49 before): *ret_rows. */
double client_history(sd_bus *bus, const char *conversation, int64_t us, unsigned int *ret_rows);
double client_send(sd_bus *bus, const char *conversation, const char *client_id, const char *body);
/* The whole first page of a search; its cursor is not followed. */
double client_search(sd_bus *bus, const char *query);
