/* The hub's inside, shared by hub.c, hub-*.c and keyring*.c, with a section for each. Nobody else includes this. */
#pragma once

#include "core/config.h"
#include "core/ping.h"
#include "sync/crowd.h"
#include "sync/engine.h"
#include "sync/hub-send.h"
#include "sync/hub.h"
#include "sync/meterwatch.h"
#include "sync/netwatch.h"
#include "sync/peer.h"
#include "sync/sleepwatch.h"
#include "sync/clockwatch.h"
#include "vault/vault.h"

#define TYPED_MAX 64 /* conversations in which we said a chat state on this stream; of the 65th the oldest is said once more */

/* What we said last of our typing. */
struct typed {
	char *to;
	uint32_t state;
};

/* One account's place: its engine, its wire if it has one, its timers. */
struct seat {
	struct hub *hub;
	struct engine *engine;
	struct peer *peer;
	struct peer *second; /* gets ready to take its place, or NULL */
	sd_event_source *timers[ENGINE_TIMERS];
	unsigned int events; /* bits of enum hub_event not told yet */
	bool stays_off;	     /* parked: its user had disconnected it, or the server refuses the password */

	/* hub-request.c, hub-presence.c */
	struct request *requests; /* unanswered, or not told yet */
	struct crowd crowd;
	sd_event_source *typing_timer;
	struct typed typed[TYPED_MAX]; /* newest last */
	size_t n_typed;
	int64_t typed_us;	  /* boot clock: as far as chat states that were told have used up time */
	bool streaming;		  /* requests may be made; what the crowd says is true */
	bool new_session;	  /* our presence has to be told again */
	bool going;		  /* it is being removed: nothing passing is told any more */
	char *show, *status;	  /* as the user set them; NULL: never */
};

struct hub {
	sd_event *event;
	struct vault *vault; /* NULL: there is no readable sidecar: FAILED */
	struct store *store; /* open: READY, or on its way from there to LOCKED */
	enum hub_state state;
	char *why; /* it is not READY; "" when it is */
	bool state_changed; /* not told yet */
	bool started;	    /* hub_start(): accounts that come later connect by themselves */
	struct config config;
	int lock_fd;
	struct peer_program wire;
	char *data_dir, *config_dir;
	struct seat **seats; /* owned; in the order the accounts were added */
	size_t n_seats;
	int64_t *removed;    /* account ids not told yet */
	size_t n_removed;
	sd_event_source *defer;
	struct netwatch *network; /* NULL: nothing is known of it */
	struct meterwatch *metered; /* NULL: nobody says */
	struct sleepwatch *sleep;
	bool asleep;		  /* it is about to sleep, or has not said yet that it is awake */
	enum hub_network network_told;
	struct clockwatch *clock;
	struct ping_book pings;	  /* of each network, as long as the daemon runs */
	/* hub-upkeep.c; times of the boot clock */
	sd_event_source *upkeep, *upkeep_timer; /* a slice of work, when the loop is idle; what puts it off */
	bool look_upkeep;	  /* something was written since it was looked what there is to do */
	int64_t upkeep_looked_us; /* when something was last found, 0 = never */
	int64_t upkeep_wrote_us;  /* the last commit after which there is something to do */
	int64_t upkeep_due_us;	  /* since then it waits for commits to end */
	int64_t upkeep_at_us;	  /* what the timer is set to */

	/* keyring.c */
	struct job *job, *locking; /* at work, or NULL; a lock ends whatever else is */
	bool rotating;		   /* streams are parked; nothing may be written */
	unsigned int wrong_tries;
	int64_t retry_us; /* boot clock: no secret before */

	/* hub-reopen.c */
	sd_event_source *reopen, *mounts; /* the archive is tried again: then, and when something is mounted */
	unsigned int reopen_tries;

	/* hub-autolock.c */
	sd_event_source *auto_lock;
	int64_t auto_lock_us;	   /* 0 = never */
	int64_t used_us;	   /* boot clock: since then nobody uses it */
	bool used;

	/* hub_park() */
	sd_event_source *park, *park_timer;
	void (*parked)(void *userdata);
	void *parked_data;

	struct request *orphans; /* answered by the end of their account, not told yet */
	const struct hub_ephemeral *ephemeral;
	void *ephemeral_data;
	bool inactive;		 /* nobody looks at a screen */
	int64_t asked_us;	 /* boot clock: an app asked for messages; 0 = never */

	char *problems;		     /* as they were logged last, one a line */
	struct diagnosis *diagnosis; /* at work, or NULL */
	hub_observer_fn observer;
	void *observer_data;
};

/* hub-seat.c */
/* NULL also while the archive is not READY. */
struct seat *hub_seat(const struct hub *h, int64_t id);
int hub_seat_add(struct hub *h, const struct account *a, struct seat **ret);
/* A fresh engine, from what is stored; the wire must be gone. */
int hub_seat_reset(struct seat *seat);
void hub_seat_remove(struct hub *h, struct seat *seat);
struct seat *seat_free(struct seat *seat);
DEFINE_CLEANUP(struct seat *, seat_free);

/* hub.c */
void hub_note(struct hub *h, struct seat *seat, enum hub_event event);
void hub_note_removed(struct hub *h, int64_t account);
/* Have the loop call hub_tell(): an observer may call anything. */
void hub_tell_soon(struct hub *h);
/* Tell the observer now what was noted. From the loop only. */
void hub_tell(struct hub *h);

/* hub-store.c */
int hub_take_directory(struct hub *h, char **ret_why);
/* Read the sidecar anew: 0, or FAILED with the reason, which is returned as HUB_E_STORAGE. The archive must be closed. */
int hub_load_keys(struct hub *h);
/* Open the archive and make the seats: READY, LOCKED or FAILED. Connects them if the hub was started. */
void hub_open(struct hub *h);
/* Free the seats, close the archive, once the observer has given back what it made of it. The state stays as it is. */
void hub_close(struct hub *h);
/* The only place that assigns h->state. ${why} is copied; "" for READY. */
void hub_enter(struct hub *h, enum hub_state state, const char *why);
/* 0 when READY and to be changed; else HUB_E_LOCKED, HUB_E_STORAGE or HUB_E_BUSY (rotating) with words. */
int hub_check_ready(const struct hub *h, char **ret_why);

/* hub-accounts.c */
/* 0 and the seat, or an outcome with words. */
int hub_find_seat(struct hub *h, int64_t id, struct seat **ret, char **ret_why);
/* A reason that the store gave, as an outcome with words. */
int hub_storage(int r, char **ret_why);
/* Run ${fn} in a transaction of its own. What it returns comes through; all but 0 rolls back. */
int hub_transaction(struct store *s, int (*fn)(struct store *s, void *arg), void *arg);

/* hub-send.c */
/* A bare JID, also of a server or a room; *ret (caller frees): as it is stored. */
int hub_check_conversation(const char *jid, char **ret, char **ret_why);
/* The archive of this account changed, and perhaps its outbox. */
void hub_changed(struct hub *h, struct seat *seat);
/* ${what} for the user: at most ${max} bytes of UTF-8 that XML can say. */
int hub_check_text(const char *s, size_t max, const char *what, char **ret_why);

/* hub-request.c */
void hub_request_result(struct seat *seat, const struct link_result *a);
void hub_request_stream_over(struct seat *seat);
/* Tell who asked; from the loop. */
void hub_request_tell(struct hub *h);
/* Nobody answers them any more: they are told so from the loop. */
void hub_request_seat_goes(struct seat *seat);
void hub_request_free(struct hub *h);
bool hub_is_show(const char *show);

/* hub-presence.c */
void hub_passing(struct seat *seat, const struct link_record *r);
void hub_stream(struct seat *seat, enum engine_stream what);
void hub_presence_free(struct seat *seat);
/* A text to ${to} (bare) leaves: it says itself that we are active. */
void hub_typed_text(struct seat *seat, const char *to);

/* hub-park.c */
/* Nothing would connect it: its user disconnected it, or the server refuses the password. */
bool hub_is_off(const struct account_status *st);
/*
 * Leave every stream, sessions resumable, without waiting: ${fn} runs from the loop when no wire is left; those which
 * take longer than at exit are killed. Until then seats and store stay. A second call replaces the first.
 */
int hub_park(struct hub *h, void (*fn)(void *userdata), void *userdata);
/* Instead of fn, or after it: connect what was connected. */
void hub_unpark(struct hub *h);
/* Parked seats get engines that know nothing of the past: they do not dial by themselves. */
int hub_reset_seats(struct hub *h);
/* A wire has ended. */
void hub_park_look(struct hub *h);
void hub_park_free(struct hub *h);

/* hub-trigger.c */
void hub_trigger_init(struct hub *h);
void hub_trigger_free(struct hub *h);
/* A stream has begun: how often to ask whether it is there. */
void hub_ping(struct seat *seat);
/* What it says of the network, for all its streams. */
void hub_pinged(struct seat *seat, const struct link_pinged *p);

/* hub-reopen.c */
int hub_reopen_init(struct hub *h);
void hub_reopen_free(struct hub *h);
/* Whether what store_find() or store_open() said may pass by itself. */
bool hub_reopen_passes(const struct hub *h, int r);
/* The archive did not open: it is tried again later, if ${passes}; and if it is to be already, when that was to be. */
void hub_reopen_later(struct hub *h, bool passes);
/* It is open, or closed by its user. */
void hub_reopen_end(struct hub *h);
/* Something has happened: if it is to be tried again, then now. */
void hub_reopen_now(struct hub *h);

/* hub-autolock.c */
int hub_auto_lock_init(struct hub *h);
void hub_auto_lock_free(struct hub *h);
/* The archive was opened: whatever it says from now on counts, and from now on. */
void hub_auto_lock_opened(struct hub *h);

/* hub-upkeep.c */
int hub_upkeep_init(struct hub *h);
void hub_upkeep_free(struct hub *h);
/* Something was committed, or the archive opened: work for idle time may be due. */
void hub_upkeep_look(struct hub *h);

/* hub-problems.c */
/* Log the problems if they are not those of the last time. */
void hub_problems_log(struct hub *h);
/* Whether no slot of the vault could open the archive: a sentence without an end, which the caller frees; else NULL. */
char *hub_no_way_in(const struct hub *h);

/* hub-diagnose.c */
/* The store closes: what reads it ends, and says so. */
void hub_diagnose_close(struct hub *h);
void hub_diagnose_free(struct hub *h);

/* keyring-job.c */
void keyring_free(struct hub *h);
