/* The hub's inside, shared by hub.c, hub-store.c, hub-accounts.c, hub-diagnose.c and keyring.c. Nobody else includes this. */
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
	struct vault *vault; /* from the first hub_open() on, if the directory could be read */
	struct store *store; /* open: READY, or on its way from there to LOCKED */
	enum hub_state state;
	char *why; /* it is not READY; "" when it is */
	bool state_changed; /* not told yet */
	bool started;	    /* hub_start(): accounts that come later connect by themselves */
	struct config config;
	int lock_fd;
	char *wire_path, *data_dir, *config_dir;
	struct seat **seats; /* owned; in the order the accounts were added */
	size_t n_seats;
	int64_t *removed;    /* account ids not told yet */
	size_t n_removed;
	sd_event_source *defer, *checkpoint;
	struct diagnosis *diagnosis; /* at work, or NULL */
	hub_observer_fn observer;
	void *observer_data;
};

/* hub.c */
/* NULL also while the archive is not READY. */
struct seat *hub_seat(const struct hub *h, int64_t id);
int hub_seat_add(struct hub *h, const struct account *a, struct seat **ret);
void hub_seat_remove(struct hub *h, struct seat *seat);
struct seat *seat_free(struct seat *seat);
DEFINE_CLEANUP(struct seat *, seat_free);
void hub_note(struct hub *h, struct seat *seat, enum hub_event event);
void hub_note_removed(struct hub *h, int64_t account);
/* Tell the observer now what was noted. From the loop only. */
void hub_tell(struct hub *h);

/* hub-store.c */
int hub_take_directory(struct hub *h, char **ret_why);
/* Open the archive and make the seats: READY, LOCKED or FAILED. Connects them if the hub was started. */
void hub_open(struct hub *h);
/* Free the seats, close the archive. The state stays as it is. */
void hub_close(struct hub *h);
/* The only place that assigns h->state. ${why} is copied; "" for READY. */
void hub_enter(struct hub *h, enum hub_state state, const char *why);
/* 0 when READY; else HUB_E_LOCKED or HUB_E_STORAGE with words. */
int hub_check_ready(const struct hub *h, char **ret_why);

/* hub-diagnose.c */
void hub_diagnose_free(struct hub *h);
