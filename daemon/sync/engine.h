/*
 * One account: decides when to connect, what is durable, what to ask the archive. It sees typed records and timers,
 * and acts through a small vtable, so that a simulator can run it in simulated time without a socket.
 *
 *              enabled / connect                 PHASE_AUTH          PHASE_BIND            ONLINE
 *      OFF ------------------> DIAL ------------------> AUTH -------------> BIND ------------> ONLINE
 *       ^                     ^  |                       |                   |                   |
 *       | disconnect          |  | wire gone, failed     |                   |                   |
 *       |               timer |  v                       v                   v                   v
 *       +---------------------- WAIT <----------------------------------------------------------+
 *                               |  refused password, unusable configuration
 *                               +------------------------------------------------> REFUSED (until the user acts)
 *
 * Every network trouble is one event, engine_wire_gone(), with one answer: keep what is committed, back off, start
 * again, resume or fill the gap.
 *
 * While ONLINE a second wire may get ready to take the session over (core/duel.h): it speaks through
 * engine_second_record() and engine_second_gone() until it is the wire.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/verify.h"
#include "link/vocab.h"
#include "store/account.h"
#include "sync/errand.h"
#include "sync/hub.h"

struct engine;

enum engine_timer {
	TIMER_RETRY,	/* back-off before the next connect */
	TIMER_DEADLINE, /* the wire must have reached the next phase by then, or it is killed */
	TIMER_COMMIT,	/* group commit of live messages */
	TIMER_QUERY,	/* an archive answer is due */
	TIMER_ASK,	/* the next question of several lanes: lanes_wait() */
	TIMER_STORE,	/* store the next slice of a page: at once, but after whatever else waits in the loop */
	TIMER_SYNC,	/* try the archive, or the store, again after an error */
	TIMER_SEND,	/* offer to the wire what waits in the outbox: at once, but many together */
	TIMER_NUMBER,	/* the wire has to have numbered what was offered, or it is killed */
	TIMER_DOUBT,	/* the old session's stanzas have had their time: ask the archive about them */
	TIMER_PROVE,	/* ask for the archive ids of what we sent */
	TIMER_DUEL,	/* which of two wires carries the session? */
	TIMER_WORD,	/* the wire has said nothing for so long that it may hang */
	TIMER_RECHECK,	/* look again at what was not settled in the archive */
	ENGINE_TIMERS
};

enum engine_stream {
	STREAM_NEW_SESSION, /* what the server told of others before is void */
	STREAM_READY,	    /* resumed or new: requests may be made */
	STREAM_OVER,	    /* requests have no answer any more */
};

/* What an engine does to the world. No call may re-enter the engine. */
struct engine_io {
	/* Start a wire. Its records come to engine_record(), its end to engine_wire_gone(). */
	int (*spawn)(void *userdata);
	/* Kill the wire, at once, whatever it does. No engine_wire_gone() follows. */
	void (*kill)(void *userdata);
	/* Send to the wire: 0 or -errno; a broken link is also told by engine_wire_gone(). */
	int (*send)(void *userdata, const struct link_record *r);
	/* Start a second wire with ${start}: engine_second_record(), engine_second_gone(). */
	int (*second_spawn)(void *userdata, const struct link_record *start);
	/* Kill it, at once. No engine_second_gone() follows. */
	void (*second_kill)(void *userdata);
	/* It is the wire from here on; the first is gone or killed. */
	void (*second_promote)(void *userdata);
	/* Call engine_timer() at ${at_us} on the boot clock; 0 = never. */
	void (*timer)(void *userdata, enum engine_timer which, int64_t at_us);
	int64_t (*boot_us)(void *userdata);
	int64_t (*real_us)(void *userdata);
	uint32_t (*random)(void *userdata);
	/* Something that the bus shows has changed. */
	void (*event)(void *userdata, enum hub_event event);
	/* When an app last asked for messages, on the boot clock. NULL: just now. */
	int64_t (*asked_us)(void *userdata);
	/* Something that is not kept: PRESENCE, TYPING, RESULT, live MSG. NULL: nobody cares. */
	void (*passing)(void *userdata, const struct link_record *r);
	/* The stream has come so far, or is over. NULL: nobody cares. */
	void (*stream)(void *userdata, enum engine_stream what);
};

struct engine_policy {
	int64_t horizon_us; /* how far back in time history is kept in sync, as a length; 0 = all */
	int64_t metered_us; /* the same, while the link is metered; 0 = no less then */
	uint32_t page_max;  /* messages to ask for in a page */
	unsigned int lanes;  /* pages to ask for at a time, at most; 0 = LANES_MAX */
	uint32_t slice;	     /* messages to store at a time, at most; 0 = as many as SLICE_US allows */
	uint32_t screens_gap; /* messages of a gap that first screens go before; 0 = SCREENS_GAP */
	int64_t deadline_us; /* for each step of a connect: TCP, TLS, features, authentication ... */
	bool no_receipts;    /* tell nobody that messages arrived */
};

/*
 * ${a} is copied. The session is read from the store. Does not connect. 0 or -errno.
 */
int engine_new(struct store *s, const struct account *a, const struct engine_policy *policy,
	       const struct engine_io *io, void *userdata, struct engine **ret);
/* Commits what is pending; kills the wire. */
struct engine *engine_free(struct engine *e);
DEFINE_CLEANUP(struct engine *, engine_free);

/* Connect if the account is enabled and not connected; forgets the back-off. */
void engine_connect(struct engine *e);
/* The user disconnects: commit, close the session for good. No trigger takes it back, but engine_connect(). */
void engine_disconnect(struct engine *e);
/* The process ends: commit what is pending, ask the wire to leave the session resumable. */
void engine_suspend(struct engine *e);
/* New configuration or secret; reconnects if ${reconnect}. */
void engine_configure(struct engine *e, const struct account *a, bool reconnect);
/* Look whether anything is missing, now. HUB_E_OFFLINE: there is no stream; HUB_E_PAUSED. */
int engine_sync_now(struct engine *e);
void engine_sync_pause(struct engine *e, bool pause);

/*
 * Walk what coverage claims of one conversation (bare JID), or with "" of the whole archive, once more, newest first, down to
 * ${since_us} (0 = all), when nothing else is to be asked; survives the stream. What the server has and we have not is stored.
 * HUB_E_BUSY: one is at work; HUB_E_PAUSED.
 */
int engine_verify(struct engine *e, const char *with, int64_t since_us);
/* End it; forget the last one's report. */
void engine_verify_forget(struct engine *e);
/* The present or the last one; NULL: there was none. A view. */
const struct verify *engine_verifying(const struct engine *e);

/*
 * Fetch pages of one conversation before all else, whatever coverage says; they lie across gaps, and beyond the horizon if
 * that is asked for. Survives the stream; what is asked while paused waits.
 */
uint32_t engine_errand(struct engine *e, const struct errand_wish *wish);
/* *ret_us (may be NULL): it has come down to this stamp; *ret_why: of FAILED, a view. */
enum errand_state engine_errand_state(const struct engine *e, uint32_t errand, int64_t *ret_us, const char **ret_why);
/* Nobody waits for it any more. */
void engine_errand_end(struct engine *e, uint32_t errand);
/* History down to ${us} is wanted too, although the horizon lies above; while the engine lives. */
void engine_deepen(struct engine *e, int64_t us);

/* Something was put into the outbox, or may leave it now. */
void engine_send(struct engine *e);
/* Chat state to somebody; without a stream nothing happens. */
void engine_chat_state(struct engine *e, const char *to, uint32_t state);
/* Ask the server (REQUEST of link/vocab.h); *ret_request is the number that RESULT will have. HUB_E_OFFLINE, or 0. */
int engine_request(struct engine *e, const struct link_request *what, uint32_t *ret_request);
/* What ${jid} asked, to see our presence, was answered: stored when this returns, unless the store fails just now. */
void engine_answered(struct engine *e, const char *jid);
/* Somebody looks at a screen, or nobody does. Told again on each new stream. */
void engine_set_active(struct engine *e, bool active);

/* Whether the link is paid for by what goes over it: older history waits then (policy.metered_us). */
void engine_set_metered(struct engine *e, bool metered);
/* Whether a route leads out of this machine, as it is now; no trigger. */
void engine_set_route(struct engine *e, bool route);
/* A silent stream is asked after ${us} whether it is there (core/ping.h): by the wire, of which a word is due then. */
void engine_set_ping(struct engine *e, int64_t us);
/* The network is another one, or a sleep is over. ${route}: one leads out of this machine. */
void engine_network(struct engine *e, bool route);
/* The machine is about to sleep: commit, acknowledge. The stream stays as it is. */
void engine_before_sleep(struct engine *e);
/* The wall clock was set forward by ${us}, or back: what was reckoned with it before is another now. */
void engine_clock_set(struct engine *e, int64_t us);

/*
 * What happened: the wire, or the second one, said something or is gone however (a view, ${why} in words), a timer of
 * io->timer() ran out. Nothing comes of what a wire says that the engine has given up.
 */
void engine_record(struct engine *e, const struct link_record *r);
void engine_wire_gone(struct engine *e, const char *why);
void engine_second_record(struct engine *e, const struct link_record *r);
void engine_second_gone(struct engine *e, const char *why);
void engine_timer(struct engine *e, enum engine_timer which);

/* Messages of the account came or went that the engine did not store itself: one was sent, or some were deleted. */
void engine_sent_one(struct engine *e);
void engine_recount(struct engine *e);

/* As it looks from outside; views, valid until the next call that changes the engine. */
const struct account *engine_account(const struct engine *e);
void engine_status(const struct engine *e, struct account_status *ret);
/* hub_outbox(). */
int engine_outbox(const struct engine *e, struct outbox_status *ret);
const struct cover *engine_cover(const struct engine *e, int64_t *ret_archive);
/* Whether the gap before span ${i} is being fetched. */
bool engine_fetching(const struct engine *e, size_t i);
void engine_archive_ends(const struct engine *e, int64_t *ret_start_us, int64_t *ret_end_us);
