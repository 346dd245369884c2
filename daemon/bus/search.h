/*
 * Archive.Search: searches at work, of all connections. Each has a slice of a few milliseconds in turn, when the loop
 * has nothing else to do: so a long one holds up nobody, and ends with its connection.
 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/mem.h"

struct hub;
struct searches;

#define SEARCHES_MAX 4			    /* at work in all: each reads the disk */
#define SEARCHES_READERS_MAX 2		    /* of these, of connections that change nothing: the others find a place beside them */
#define SEARCHES_CONN_MAX 1		    /* of one connection: the next page needs the cursor of this one */
#define SEARCH_SLICE_US (INT64_C(1) * 1000) /* how long another call may wait for a slice: facts/ipc.md section 2.1 no. 5 */

int searches_new(sd_event *event, struct hub *hub, struct searches **ret);
/* After all connections. */
struct searches *searches_free(struct searches *s);
DEFINE_CLEANUP(struct searches *, searches_free);
/* HUB_STORE_CLOSES: give back what is read from. What is still open in its next turn begins anew; else it ends with
 * Locked or Storage. */
void searches_close(struct searches *s);

/* The method's handler; userdata is the struct conn. */
int search_handle(sd_bus_message *call, void *userdata, sd_bus_error *error);
