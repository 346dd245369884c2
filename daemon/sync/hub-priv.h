/* The hub's inside, shared by hub.c, hub-accounts.c and hub-diagnose.c. Nobody else includes this. */
#pragma once

#include "core/config.h"
#include "sync/engine.h"
#include "sync/hub.h"
#include "sync/peer.h"

/* One account's place: its engine, its wire if it has one, its timers. */
struct seat {
	struct hub *hub;
	struct engine *engine;
	struct peer *peer;
	sd_event_source *timers[ENGINE_TIMERS];
	unsigned int events; /* bits of enum hub_event not told yet */
};

struct hub {
	sd_event *event;
	struct store *store;
	struct config config;
	int lock_fd;
	char *wire_path, *data_dir;
	struct seat **seats; /* owned; in the order the accounts were added */
	size_t n_seats;
	int64_t *removed;    /* account ids not told yet */
	size_t n_removed;
	sd_event_source *defer, *checkpoint;
	hub_observer_fn observer;
	void *observer_data;
};

struct seat *hub_seat(const struct hub *h, int64_t id);
int hub_seat_add(struct hub *h, const struct account *a, struct seat **ret);
void hub_seat_remove(struct hub *h, struct seat *seat);
void hub_note(struct hub *h, struct seat *seat, enum hub_event event);
