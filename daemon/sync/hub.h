/*
 * All accounts of this user: the one object behind the bus. Owns the store and its keys (sync/keyring.h), the engines,
 * the back-off timers and the lock of the data directory. Everything here returns at once; what takes time is seen
 * through the observer.
 *
 *               keys and database open                     keyring_lock()
 *      (start) ------------------------> READY ------------------------------> LOCKED
 *         |                                ^                                     |
 *         | no slot opens by itself        +-------- keyring_unlock() -----------+
 *         +-----> LOCKED                   |                                     | does not open
 *         | anything else                  |                                     v
 *         +-----> FAILED ------------------+----------------------------------> FAILED
 *
 * Accounts are there in READY only. Nothing that fails here ends the daemon: who looks must be told why.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/mem.h"
#include "core/cover.h"
#include "core/verify.h"
#include "store/account.h"
#include "store/store.h"
#include "sync/errand.h"

struct hub;

/* What changed; the observer re-reads what it wants. Called after the commit, never from inside a hub_ call. */
enum hub_event {
	HUB_ACCOUNT_ADDED,
	HUB_ACCOUNT_REMOVED,
	HUB_ACCOUNT_STATE, /* State, StateReason, NextRetry, Resource ... */
	HUB_SYNC,	   /* sync state, progress, gaps; many a second while catching up: coalesce */
	HUB_FEED,	   /* the feed grew: ring the doorbell */
	HUB_STORE,	   /* hub_archive(): its state changed; account 0 */
	HUB_NETWORK,	   /* hub_network(); account 0 */
	/* The connection behind hub_store() is about to be closed or replaced: before the observer returns, everything
	 * that was made from it is given back. hub_state() says whether to go on afterwards. account 0. */
	HUB_STORE_CLOSES,
};
typedef void (*hub_observer_fn)(void *userdata, enum hub_event event, int64_t account);

/*
 * Take the directory; the archive is not touched before hub_start(). HUB_E_IN_USE: another varved holds the directory,
 * *ret_why names its pid; HUB_E_UNUSABLE: it cannot be made or written; HUB_E_INVALID: the configuration.
 */
enum { HUB_E_IN_USE = 100, HUB_E_UNUSABLE };
int hub_new(sd_event *event, const char *data_dir, const char *config_dir, struct hub **ret, char **ret_why);
/* Leaves sessions resumable: never closes a stream. */
struct hub *hub_free(struct hub *h);
DEFINE_CLEANUP(struct hub *, hub_free);
/*
 * Open the archive if that needs no secret, load the accounts and begin to connect those that are enabled. When all
 * else that a start needs is there: a first start makes an archive. One that is locked or does not open is a state, not
 * a failure.
 */
int hub_start(struct hub *h);
void hub_observe(struct hub *h, hub_observer_fn fn, void *userdata);
/* NULL unless READY. The same until HUB_STORE_CLOSES. */
struct store *hub_store(struct hub *h);

enum hub_state { HUB_READY, HUB_LOCKED, HUB_FAILED };
enum hub_state hub_state(const struct hub *h);
struct hub_archive {
	enum hub_state state;
	const char *why; /* a sentence with the next step, "" when READY; valid until control returns to the loop */
	/* When READY, else 0: */
	uint64_t bytes;
	uint32_t epoch_key;	    /* raised by every rotation */
	uint64_t indexed, to_index; /* messages that the search index holds, and that wait for it */
};
void hub_archive(const struct hub *h, struct hub_archive *ret);

/* Of this machine, as its routes and NetworkManager tell it; of no server. */
enum hub_network {
	HUB_NETWORK_UNKNOWN, /* nobody says */
	HUB_NETWORK_NONE,    /* no route leads out of it */
	HUB_NETWORK_UP,
	HUB_NETWORK_METERED, /* up, and paid for by what goes over it */
};
enum hub_network hub_network(const struct hub *h);

/*
 * How long the archive stays open with nobody there who may write; then it locks itself. 0: for ever. Kept in the archive;
 * while that is not open, as it was when it was. ${us}: 0, or AUTO_LOCK_MIN_US to AUTO_LOCK_MAX_US, else HUB_E_INVALID.
 */
#define AUTO_LOCK_MIN_US (10 * INT64_C(1000000)) /* who has just unlocked it starts an app, or turns this off */
#define AUTO_LOCK_MAX_US (366 * 86400 * INT64_C(1000000))
int64_t hub_auto_lock_us(const struct hub *h);
int hub_set_auto_lock(struct hub *h, int64_t us, char **ret_why);
/* Whether somebody who may write is there, or something works for them. Nobody is, at first. */
void hub_set_used(struct hub *h, bool used);

/*
 * What is wrong with an archive that is READY and would end in a loss: calls ${fn} for each with the name of its check,
 * a sentence and the next step. Cheap: some stat(2), and the key files are read. ${fn} may return a negative errno,
 * which ends it.
 */
typedef int (*hub_problem_fn)(void *userdata, const char *name, const char *text, const char *hint);
int hub_problems(const struct hub *h, hub_problem_fn fn, void *userdata);

/* Text outcomes: r > 0 is one of these, *ret_why (caller frees) a sentence for the user. */
enum {
	HUB_E_INVALID = 200, /* malformed JID, port, CA file ... */
	HUB_E_EXISTS,
	HUB_E_NOT_FOUND,
	HUB_E_LIMIT,
	HUB_E_OFFLINE,	     /* asks for a connection that is not there */
	HUB_E_STORAGE,	     /* the store refused: full, read-only, damaged */
	HUB_E_LOCKED,	     /* the archive is locked */
	HUB_E_WRONG,	     /* this secret opens nothing */
	HUB_E_BUSY,	     /* something else has to end first */
	HUB_E_CANCELLED,
	HUB_E_PAUSED,	     /* the sync is, by its user */
};

/* ${a}: jid, password and options filled by the caller, who keeps its strings; *ret_id is the new account. */
int hub_account_add(struct hub *h, const struct account *a, int64_t *ret_id, char **ret_why);
int hub_account_remove(struct hub *h, int64_t id, char **ret_why);
/* Store changed configuration or secret; reconnects when it matters. Keeps a->id, a->jid. */
int hub_account_update(struct hub *h, const struct account *a, char **ret_why);
/* connect: try now, also after auth-failed; forgets the back-off. disconnect: closes the session for good. */
int hub_account_connect(struct hub *h, int64_t id, char **ret_why);
int hub_account_disconnect(struct hub *h, int64_t id, char **ret_why);
int hub_sync_now(struct hub *h, int64_t id, char **ret_why);
int hub_sync_pause(struct hub *h, int64_t id, bool pause, char **ret_why);

/*
 * Compare what coverage claims of ${conversation} ("" = of the whole archive) with the server, down to ${since_us}; see
 * engine_verify(). HUB_E_BUSY: one is at work; HUB_E_OFFLINE: not connected; HUB_E_PAUSED.
 */
int hub_verify(struct hub *h, int64_t id, const char *conversation, int64_t since_us, char **ret_why);
void hub_verify_end(struct hub *h, int64_t id);
/* How far it is, or its report; NULL: none was asked for. A view, until control returns to the loop. */
const struct verify *hub_verifying(const struct hub *h, int64_t id);

/* engine_errand(), engine_errand_state(), engine_errand_end(), engine_deepen(). 0: there is no such account. */
uint32_t hub_errand(struct hub *h, int64_t id, const struct errand_wish *wish);
enum errand_state hub_errand_state(const struct hub *h, int64_t id, uint32_t errand, int64_t *ret_us, const char **ret_why);
void hub_errand_end(struct hub *h, int64_t id, uint32_t errand);
void hub_deepen(struct hub *h, int64_t id, int64_t us);

size_t hub_account_count(const struct hub *h);
/* Account ids in the order they were added. */
int64_t hub_account_id(const struct hub *h, size_t i);
/* The configuration; stays the hub's, valid until the next hub_ call. NULL if there is no such account. */
const struct account *hub_account(const struct hub *h, int64_t id);

/* A snapshot for GetStatus and the properties; strings are the hub's, valid until control returns to the loop. */
struct account_status {
	const char *state;	  /* cli.md: disabled offline waiting-network connecting authenticating online auth-failed suspended (of
				   * hub_status() only: the machine sleeps, or is about to) */
	const char *reason_name;  /* "" or org.varve.Varve1.Error.X */
	const char *reason_text;
	int64_t next_retry_us;	  /* realtime, 0 = none */
	const char *resource, *address, *mechanism, *features; /* features one a line */
	bool resumable, resumed;
	uint64_t resumes, binds;
	uint32_t flights;
	int64_t last_resume_us;
	uint32_t h_in, h_out, unacked; /* unacked: items of the outbox that the server has not acknowledged */
	const char *sync_state;	  /* idle catching-up backfilling paused error */
	const char *sync_phase;	  /* "" metadata newest gap past */
	uint64_t done, total;	  /* total 0 = unknown; see below */
	uint32_t gaps, lost;	  /* open (being fetched included), lost */
	uint64_t messages;
	int64_t oldest_us, caught_up_us;
	bool metered;		  /* what is missing waits for a link that is not metered */
	const char *push_service; /* NULL: none is wanted */
	const char *push_state;	  /* enabled waiting refused unsupported */
	const char *push_reason;  /* "" or what the server said */
	uint32_t push_going;	  /* services that the server has still to be told to forget */
	int64_t unsettled_us;	  /* the server says that what it answered down to here may still change; RECHECK_ALL; 0 = settled */
	bool contradicts;	  /* it gives ids of stored messages to others, again and again: decisions/0019 */
	bool caught_up;		  /* online, live end confirmed, no open gap, nothing in flight */
};
/* done/total: seconds of archive time covered and to cover, from the server's metadata: never a server-side count. */
int hub_status(const struct hub *h, int64_t id, struct account_status *ret);

#define STATUS_FAILED_MAX 50 /* ids; more than anybody looks at one by one, and GetStatus is asked for often */

struct outbox_status {
	uint32_t queued, sending, failed; /* sending: with those whose fate is in doubt */
	int64_t failed_ids[STATUS_FAILED_MAX]; /* rows of failed messages, oldest first */
	size_t n_failed_ids;
};
/*
 * Counted in the archive at each call, so that it is what is there: 0.6 ms here for the 10,000 that wait at most. Part
 * of no property, so a Send, which changes it, counts nothing. HUB_E_NOT_FOUND, or -errno.
 */
int hub_outbox(const struct hub *h, int64_t id, struct outbox_status *ret);

/* The cover of the account's own archive (a view) and its rowid. */
const struct cover *hub_cover(const struct hub *h, int64_t id, int64_t *ret_archive);
/* Whether the gap before span ${i} of that cover is being fetched. */
bool hub_fetching(const struct hub *h, int64_t id, size_t i);
/* Stamps of the server archive's ends as last told by it, 0 = unknown. */
void hub_archive_ends(const struct hub *h, int64_t id, int64_t *ret_start_us, int64_t *ret_end_us);

/*
 * Checks for Diagnose/doctor: calls ${fn} for each (name, "ok|warn|fail|skip", text, hint), some at once, the others
 * from the loop while every page is read in slices, then ${done} with 0, HUB_E_x or -errno; done is never called from
 * inside. ${fn} may return a negative errno, which ends it. ${deep}: also SQLite's integrity check of a copy.
 * HUB_E_BUSY: one is at work; nothing is called then.
 */
typedef int (*hub_check_fn)(void *userdata, const char *name, const char *result, const char *text, const char *hint);
typedef void (*hub_diagnosed_fn)(void *userdata, int r);
int hub_diagnose(struct hub *h, bool deep, hub_check_fn fn, hub_diagnosed_fn done, void *userdata, char **ret_why);
/* Nobody waits for it any more: no further call. */
void hub_diagnose_abandon(struct hub *h, const void *userdata);
