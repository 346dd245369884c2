/*
 * One connection of a client: an sd_bus in server mode, its role, its quotas.
 *
 * sd-bus is not attached to the event loop by itself but pumped here, for two reasons. After BEGIN it forgets bytes
 * that came with it (facts/ipc.md section 1.2 no. 1); and attached, it reads calls for as long as they come, however
 * long the queue of answers is. Here reading stops while a client does not take its answers, so what it pipelines
 * waits in its own socket.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/mem.h"
#include "bus/roles.h"
#include "sync/hub.h"

struct conn;
struct changes_runs;

/* What a connection may hold of us (facts/ipc.md section 2.1). */
#define CONN_QUEUE_STOP 64		     /* queued messages: stop reading and answering above */
#define CONN_QUEUE_CLOSE 256		     /* queued messages: close above; only signals and refusals get there */
#define CONN_BYTES_STOP (8 * 1024 * 1024)    /* bytes of queued pages: stop answering above */
#define CONN_TOTAL_STOP (32 * 1024 * 1024)   /* bytes of queued pages of all connections: who has some is not answered */
#define CONN_DEFERRED_MAX 512		     /* calls put off, about 1 kB each; beyond them LimitExceeded */
#define CONN_BATCH 16			     /* calls in one go, then the other connections have their turn */
#define CONN_SLICE_US (4 * INT64_C(1000))    /* and no longer than that: a page of history takes a millisecond or two */
#define CONN_READ (64 * 1024)		     /* bytes read in one step: more than one call of a kind that is common */
#define CONN_LINE 256			     /* the same of authentication: a line, or so much of it */
#define CONN_SNDBUF (128 * 1024)	     /* bytes; sd_bus_start() makes it 8 to 16 MiB, which only hides stuck clients */

/* The connection ended; conn_free() it. Called from the event loop, never from inside another conn_ function. */
typedef void (*conn_gone_fn)(void *userdata, struct conn *c);

struct conn_config {
	sd_event *event;
	struct hub *hub;
	struct mailboxes *mailboxes;
	struct searches *searches;
	struct batches *batches;
	struct actives *actives;
	struct users *users;
	struct jobs *jobs;
	const char *address; /* of the socket that serves everything; lives as long as the server */
	size_t *queued_bytes; /* of all connections together */
	size_t *held_bytes;   /* the same of calls: bus/held.h */
	sd_id128_t server_id; /* the same for all connections of one start */
	uint64_t number;      /* makes the unique name */
	enum role role;
	uid_t uid; /* of the peer, by SO_PEERCRED */
	pid_t pid;
	conn_gone_fn gone;
	void *userdata;
};

/* Take over ${fd}, also on failure. */
int conn_new(const struct conn_config *config, int fd, struct conn **ret);
struct conn *conn_free(struct conn *c);
DEFINE_CLEANUP(struct conn *, conn_free);

sd_bus *conn_bus(struct conn *c);
struct hub *conn_hub(struct conn *c);
const struct conn_config *conn_config(const struct conn *c);
/* ":1.7" */
const char *conn_name(const struct conn *c);

/* Driver shim: the client said Hello: it wants signals by match rules only. False if it had said so before. */
bool conn_hello(struct conn *c);
struct matches *conn_matches(struct conn *c);
struct lease *conn_lease(struct conn *c);
/*
 * It wants this ephemeral signal now: subscribed, interested (${conversation} NULL: of none), and nothing is queued:
 * who is slow does not get it at all (facts/ipc.md section 2.1 no. 1).
 */
bool conn_wants_ephemeral(struct conn *c, int64_t account, const char *interface, const char *member,
			  const char *conversation);
/*
 * The call that is being handled will be kept: *ret_bytes, to be given to conn_drop() when it goes. 0, or negative with
 * ${error} set: there is no room.
 */
int conn_keep(struct conn *c, size_t *ret_bytes, sd_bus_error *error);
void conn_drop(struct conn *c, size_t bytes);
/* Head of the list that bus/later.c keeps. */
struct later **conn_laters(struct conn *c);
/* For bus/changes.c. */
struct changes_runs *conn_runs(struct conn *c);

/*
 * To be called first by every handler whose answer may be big: true if the connection has to take its queue first;
 * then ${handler} runs later with the same message, in order, and the caller returns 1.
 */
bool conn_defer(struct conn *c, sd_bus_message *call, sd_bus_message_handler_t handler);
/* Send a big answer which weighs about ${bytes}. */
int conn_reply(struct conn *c, sd_bus_message *reply, size_t bytes);

/*
 * A call that waited for the disk: the others have their turn before the next one of this connection, so that a
 * pipeline of Sends costs them one commit a round.
 */
void conn_wrote(struct conn *c);

/* There is reason to look at deadlines: authentication or a queue is under way. */
bool conn_needs_tick(struct conn *c);
/* Look at the deadlines; ${now_us} is clock_boot_us(). Ends the connection through gone(), later. */
void conn_tick(struct conn *c, int64_t now_us);
