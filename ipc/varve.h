/*
 * libvarve: the client side of varved, the keeper of a user's XMPP archive. Over sd-bus; no threads of its own.
 *
 *     struct varve *v;
 *     struct varve_account *a;
 *     struct varve_messages *page;
 *
 *     if (varve_open(NULL, 0, &v) < 0 || varve_account_find(v, NULL, &a) < 0 ||
 *         varve_history(a, &(struct varve_history_query){ .conversation = "bob@example.org", .before = 50 }, &page) < 0)
 *             errx(1, "%s", varve_errmsg(v));
 *
 * Results. Every function that can fail returns 0 (or more, where it says so) or a negative errno; which one stands for
 * which error of the bus is told at varve_errname(), which says more.
 *
 * Ownership. What a ret_ argument receives is the caller's, and has a function named after it to give it back; all of
 * these take NULL. It is written only on success. Views (struct varve_message ...) belong to the set that they came
 * from, or to the callback that they were given to: their strings are never NULL, "" is absent. New members are added
 * at the end of views: do not allocate them yourself.
 *
 * Time. Points in time are microseconds since the epoch, UTC; 0 is unknown. Spans are microseconds.
 *
 * The main loop. Synchronous calls work without one. For the rest watch varve_get_fd() for reading and call
 * varve_process(): callbacks run from there and from nowhere else, and may make synchronous calls. One thread at a time
 * for a struct varve and what was made of it; different ones are independent.
 *
 * varved may be restarted at any time. A call that finds the connection gone gives -ENOTCONN; the next one connects
 * anew. What a lost answer would have said is not known: Send with the same client id again, nothing is doubled.
 */
#ifndef VARVE_VARVE_H
#define VARVE_VARVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VARVE_PUBLIC __attribute__((visibility("default")))

struct sd_event;
struct sd_bus_message;

struct varve;	      /* a client of varved */
struct varve_account; /* one of its accounts */
struct varve_slot;    /* a question that waits for its answer */
struct varve_follow;  /* a reader of the change feed */

/* ---- Connection ---------------------------------------------------------------------------------------------- */

#define VARVE_TIMEOUT_USEC (25 * UINT64_C(1000000)) /* of a call; the same as other D-Bus libraries use */

/*
 * Connect to varved. ${address}: a path, also with "unix:path=" before it; NULL for $XDG_RUNTIME_DIR/varve/bus.
 * ${timeout_usec} bounds the connecting and each later call, 0 means VARVE_TIMEOUT_USEC. -ENOENT, -ECONNREFUSED: it is
 * not running; -EACCES: not for us; -ENOTCONN: it hung up; -ETIMEDOUT: it says nothing.
 */
VARVE_PUBLIC int varve_open(const char *address, uint64_t timeout_usec, struct varve **ret);
/* End it; also from inside a callback. Nothing that was made of it may be used after, but sets of rows. */
VARVE_PUBLIC struct varve *varve_close(struct varve *v);
/* The path that ${address} means, as above. The caller frees; NULL without memory. */
VARVE_PUBLIC char *varve_socket_path(const char *address);

/*
 * What the last failure was: name of the D-Bus error ("org.varve.Varve1.Error.Locked") and a sentence. Inside the
 * callback of an asynchronous call, its failure. Never NULL; valid until the next call.
 *
 *     -ENOTCONN               varved is gone                       -ETIMEDOUT      no answer in time
 *     -EINVAL                 InvalidArgs                          -ENOENT         NotFound, NoSuchConversation
 *     -ENOKEY                 Locked                               -EKEYREJECTED   WrongSecret, AuthFailed
 *     -EACCES                 Denied                               -ENETUNREACH    Offline
 *     -EEXIST                 Conflict                             -ESTALE         EpochChanged, ChangesTooOld
 *     -EBUSY                  Busy                                 -EDQUOT         LimitExceeded
 *     -EREMOTEIO              Remote: the server refused           -EOPNOTSUPP     Unsupported; another version
 *     -EIO                    Storage, and what is not here        -ECANCELED      Cancelled
 *     -EBADMSG                an answer that cannot be read: another version
 */
VARVE_PUBLIC const char *varve_errname(const struct varve *v);
VARVE_PUBLIC const char *varve_errmsg(const struct varve *v);
/* The negative errno of this table for the name of a D-Bus error. */
VARVE_PUBLIC int varve_errno_of(const char *errname);

/* A client id for Send: a fresh UUID (RFC 9562, version 4). 0 or -errno: no randomness. */
#define VARVE_ID_SIZE 37
VARVE_PUBLIC int varve_new_id(char ret[VARVE_ID_SIZE]);

/* ---- Main loops ---------------------------------------------------------------------------------------------- */

/*
 * A file descriptor that is readable when there is something to do, also when a time limit is over: no time need be
 * asked for, and it stays the same across reconnects. For poll(2), g_unix_fd_add(), QSocketNotifier ...; not to be read,
 * nor closed.
 */
VARVE_PUBLIC int varve_get_fd(const struct varve *v);
/*
 * Do what there is to do, without waiting: run callbacks, read, write, reconnect. 1 if something happened, 0 if there
 * was nothing; -EBUSY from inside a callback. The connection being lost is no error here.
 */
VARVE_PUBLIC int varve_process(struct varve *v);
/* The same, and wait for it at most ${timeout_usec} (UINT64_MAX: without end). -EINTR: a signal. For programs without a loop. */
VARVE_PUBLIC int varve_wait(struct varve *v, uint64_t timeout_usec);
/* Do so from ${event} (sd-event(3)) from now on, with its ${priority}; NULL ends it. */
VARVE_PUBLIC int varve_attach_event(struct varve *v, struct sd_event *event, int64_t priority);

/*
 * Be told when the connection is lost (false) and there again (true), and keep looking for it: at 0.1 s and up to 2 s
 * between attempts. Without this and without a follower, a lost connection is only made anew by the next call.
 */
typedef void (*varve_connection_fn)(void *userdata, bool connected);
VARVE_PUBLIC void varve_on_connection(struct varve *v, varve_connection_fn fn, void *userdata);

/*
 * Be told of every signal, in the order of arrival, as it is: for what has no function here. The message is the
 * library's.
 */
typedef void (*varve_signal_fn)(void *userdata, struct sd_bus_message *m);
VARVE_PUBLIC void varve_on_signal(struct varve *v, varve_signal_fn fn, void *userdata);

/* ---- Status and accounts ------------------------------------------------------------------------------------- */

struct varve_account_status {
	const char *id, *jid;
	const char *state;	  /* "disabled" "offline" ... "online", as Account.State */
	const char *state_error;  /* name of an error, or "" */
	const char *state_reason; /* a sentence with the next step, or "" */
	bool enabled, caught_up;
	uint32_t gaps;
	uint32_t queued, sending, failed; /* of the outbox */
};
struct varve_status;
/* What varved says of itself and its accounts: no content. Works while locked. */
VARVE_PUBLIC int varve_get_status(struct varve *v, struct varve_status **ret);
VARVE_PUBLIC struct varve_status *varve_status_free(struct varve_status *s);
VARVE_PUBLIC const char *varve_status_version(const struct varve_status *s);
VARVE_PUBLIC const char *varve_status_state(const struct varve_status *s);  /* "ready" "locked" "failed" */
VARVE_PUBLIC const char *varve_status_reason(const struct varve_status *s); /* why it is not ready */
VARVE_PUBLIC const char *varve_status_network(const struct varve_status *s); /* of this machine: "none" "up" "metered" "unknown" */
VARVE_PUBLIC size_t varve_status_count(const struct varve_status *s);
VARVE_PUBLIC const struct varve_account_status *varve_status_get(const struct varve_status *s, size_t i);

/*
 * The account with the bare JID ${jid}; NULL: the only one (-ENOENT: there is none; -ENOTUNIQ: there are several). It
 * stays good across restarts of varved and while the archive is locked.
 */
VARVE_PUBLIC int varve_account_find(struct varve *v, const char *jid, struct varve_account **ret);
VARVE_PUBLIC struct varve_account *varve_account_free(struct varve_account *a);
VARVE_PUBLIC const char *varve_account_jid(const struct varve_account *a);
VARVE_PUBLIC const char *varve_account_path(const struct varve_account *a); /* of its D-Bus object */

/* ---- Rows ---------------------------------------------------------------------------------------------------- */

enum varve_state { /* struct varve_message, state */
	VARVE_RECEIVED = 0,
	VARVE_READ = 1,
	VARVE_QUEUED = 10, /* own messages from here on */
	VARVE_SENDING = 11,
	VARVE_SENT = 12, /* the server has it */
	VARVE_DELIVERED = 13,
	VARVE_DISPLAYED = 14,
	VARVE_FAILED = 20, /* error says why; varve_retry() */
	VARVE_CANCELLED = 21,
};
/* "received" "queued" ...; "unknown" for another number. Static. */
VARVE_PUBLIC const char *varve_state_name(uint8_t state);

struct varve_reaction {
	const char *sender;
	const char *const *emoji; /* NULL-terminated */
};

struct varve_message {
	uint64_t id;		  /* in this account's archive; never changes, never used again */
	uint64_t mod;		  /* position in the feed of its latest change */
	const char *conversation; /* bare JID of the other party or room */
	const char *sender;
	int64_t time_usec;
	uint8_t direction; /* 0 in, 1 out: also what other devices of the account sent */
	uint8_t state;	   /* enum varve_state */
	const char *kind;  /* "text" "file" "retracted" "error" ..., as in org.varve.Varve1(5) */
	const char *body;
	const char *stanza_id, *origin_id, *xmpp_id, *nick, *encryption;
	const char *error, *error_text; /* condition and text of a stanza error */
	int64_t edited_usec;		/* last correction, 0: none */
	uint64_t reply_to;		/* id, 0: none */
	const struct varve_reaction *reactions;
	size_t n_reactions;
	const char *client_id; /* that varve_send() was given, by whichever app of this machine; "": not sent from here */
};

struct varve_conversation {
	const char *id;
	uint64_t mod;
	const char *kind; /* "direct" "room" "room-private" */
	const char *title;
	int64_t activity_usec;
	const struct varve_message *last; /* NULL: none */
	uint32_t unread, mentions;
	uint64_t first_unread; /* id, 0: none */
	uint32_t flags;	       /* VARVE_CONVERSATION_PINNED ... (names.h) */
	const char *draft;
	int64_t muted_until_usec; /* 0: not muted, INT64_MAX: for good */
	uint64_t peer_displayed;  /* id of the newest message of ours that the other side has displayed, 0: not known */
};

struct varve_contact {
	const char *jid;
	uint64_t mod;
	const char *name, *subscription; /* "none" "to" "from" "both" */
	uint32_t flags;			 /* VARVE_CONTACT_ASKED ... (names.h); of ASKING: varve_authorize() */
	const char *const *groups;	 /* NULL-terminated */
};

/* A set of rows: what an answer held. Referenced, so that a callback can keep what it is given. */
struct varve_messages;
VARVE_PUBLIC struct varve_messages *varve_messages_ref(struct varve_messages *s);
VARVE_PUBLIC struct varve_messages *varve_messages_unref(struct varve_messages *s);
VARVE_PUBLIC size_t varve_messages_count(const struct varve_messages *s);
VARVE_PUBLIC const struct varve_message *varve_messages_get(const struct varve_messages *s, size_t i);
VARVE_PUBLIC uint32_t varve_messages_edges(const struct varve_messages *s); /* of history: enum varve_edge */
VARVE_PUBLIC uint64_t varve_messages_seq(const struct varve_messages *s);   /* of history: position in the feed */
VARVE_PUBLIC const char *varve_messages_next(const struct varve_messages *s); /* of a search: cursor, "" at the end */
/* Of a search: where the words stand in the body of row ${i}, in Unicode code points; *ret_n of them, or NULL. */
struct varve_mark {
	uint32_t start, length;
};
VARVE_PUBLIC const struct varve_mark *varve_messages_marks(const struct varve_messages *s, size_t i, size_t *ret_n);

struct varve_conversations;
VARVE_PUBLIC struct varve_conversations *varve_conversations_unref(struct varve_conversations *s);
VARVE_PUBLIC size_t varve_conversations_count(const struct varve_conversations *s);
VARVE_PUBLIC const struct varve_conversation *varve_conversations_get(const struct varve_conversations *s, size_t i);
VARVE_PUBLIC const char *varve_conversations_next(const struct varve_conversations *s); /* cursor, "" at the end */

struct varve_contacts;
VARVE_PUBLIC struct varve_contacts *varve_contacts_unref(struct varve_contacts *s);
VARVE_PUBLIC size_t varve_contacts_count(const struct varve_contacts *s);
VARVE_PUBLIC const struct varve_contact *varve_contacts_get(const struct varve_contacts *s, size_t i);
VARVE_PUBLIC const char *varve_contacts_next(const struct varve_contacts *s);

/* ---- Reading ------------------------------------------------------------------------------------------------- */

/*
 * A page of history, oldest first: exactly the rows asked for where they exist, unless edges say VARVE_EDGE_CUT. With
 * no anchor, the newest ${before} ones.
 */
struct varve_history_query {
	const char *conversation; /* NULL or "": all of the account, in the order of the archive */
	const char *anchor;	  /* "newest" (NULL) "oldest" "unread" "message" (value: id) "time" (value: when) */
	uint64_t value;
	uint32_t before, after; /* rows on both sides of the anchor, which is counted in neither; 500 in all */
	bool across_gaps;	/* do not end the page where messages are missing */
};
VARVE_PUBLIC int varve_history(struct varve_account *a, const struct varve_history_query *q,
			       struct varve_messages **ret);
/* Messages by their ids, at most 500; those that do not exist are left out. */
VARVE_PUBLIC int varve_get_messages(struct varve_account *a, const uint64_t *ids, size_t n,
				    struct varve_messages **ret);
/* Messages with all words of ${query}, newest first (org.varve.Varve1(5), Search). NULL, 0: any. */
struct varve_search_query {
	const char *query;
	const char *cursor; /* NULL to begin; then varve_messages_next() */
	uint32_t limit;	    /* 0: as many as the daemon likes */
	const char *conversation, *sender;
	int64_t since_usec, until_usec; /* since <= time < until */
};
VARVE_PUBLIC int varve_search(struct varve_account *a, const struct varve_search_query *q, struct varve_messages **ret);

/* Conversations, newest activity first: ${cursor} NULL to begin. ${unread}: only those with unread messages. */
VARVE_PUBLIC int varve_list_conversations(struct varve_account *a, const char *cursor, uint32_t limit, bool unread,
					  struct varve_conversations **ret);
/* The roster, likewise. */
VARVE_PUBLIC int varve_list_contacts(struct varve_account *a, const char *cursor, uint32_t limit,
				     struct varve_contacts **ret);

/* ---- Writing ------------------------------------------------------------------------------------------------- */

/*
 * Send a text. It is durable when this returns 0, whether online or not, and goes out exactly once under
 * ${client_id}, 1 to 128 bytes (varve_new_id()): the same id with the same content is the same message, also after a
 * restart of either side (*ret_existing), with other content it is -EEXIST. So: make the id, store it with the draft,
 * and after -ENOTCONN, -ETIMEDOUT and the like send it again. ${body}: 1 to VARVE_BODY_MAX bytes. ${reply_to}: id of the
 * message that it answers, or 0. What becomes of it comes through the feed. ret_id and ret_existing may be NULL.
 */
VARVE_PUBLIC int varve_send(struct varve_account *a, const char *conversation, const char *client_id, const char *body,
			    uint64_t reply_to, uint64_t *ret_id, bool *ret_existing);
/* Replace the text of an own message; take it back. Client ids as with varve_send(). */
VARVE_PUBLIC int varve_edit(struct varve_account *a, uint64_t id, const char *client_id, const char *body);
VARVE_PUBLIC int varve_retract(struct varve_account *a, uint64_t id, const char *client_id);
/* All our reactions to a message; ${n} 0 takes them back. */
VARVE_PUBLIC int varve_react(struct varve_account *a, uint64_t id, const char *const *emoji, size_t n);
/* A failed or cancelled message again; a queued one not at all. */
VARVE_PUBLIC int varve_retry(struct varve_account *a, uint64_t id);
VARVE_PUBLIC int varve_cancel(struct varve_account *a, uint64_t id);
/* Forget messages of a conversation on this machine; the server's archive stays, and they do not come back. */
VARVE_PUBLIC int varve_delete_local(struct varve_account *a, const uint64_t *ids, size_t n);

/* Read up to ${up_to} (0: all); never back. The other side is told if it asked and the user allows. */
VARVE_PUBLIC int varve_mark_read(struct varve_account *a, const char *conversation, uint64_t up_to);
/* "active" "composing" "paused" "inactive" "gone"; not kept, nothing happens while offline. */
VARVE_PUBLIC int varve_set_typing(struct varve_account *a, const char *conversation, const char *state);

/* Somebody looks at this app: the servers send all at once. Ends with the connection; say it again after a new one. */
VARVE_PUBLIC int varve_set_active(struct varve *v, bool active);

/* Name (NULL: as it is) and groups (NULL: as they are; NULL-terminated) of a contact, which is added if need be. */
VARVE_PUBLIC int varve_set_contact(struct varve_account *a, const char *jid, const char *name,
				   const char *const *groups);
VARVE_PUBLIC int varve_remove_contact(struct varve_account *a, const char *jid);
/*
 * Who sees whose presence: "request" to see theirs, "unsubscribe" from it; "approve", "deny" or "revoke" that they see ours.
 */
VARVE_PUBLIC int varve_authorize(struct varve_account *a, const char *jid, const char *action);
VARVE_PUBLIC int varve_set_blocked(struct varve_account *a, const char *jid, bool blocked);

/* ---- Following ----------------------------------------------------------------------------------------------- */

/*
 * The change feed without gap or repetition (org.varve.Varve1(5), Changes): rows in their latest state, in the order of
 * mod, across reconnects. How a UI does it:
 *
 *     varve_position()                   where the feed is now; BEFORE anything is read
 *     varve_list_conversations() ...     what is shown
 *     varve_follow() from the position   what changes; a row whose mod is not higher than that of the shown one is old
 *     VARVE_EVENT_RESET                  drop everything, and read again before the callback returns or soon after
 *
 * A bot stores the epoch and seq of VARVE_EVENT_POSITION together with its own work, and begins there next time: then
 * it handles each change exactly once.
 */
VARVE_PUBLIC int varve_position(struct varve_account *a, char **ret_epoch, uint64_t *ret_seq);

enum varve_event_kind {
	VARVE_EVENT_MESSAGE,
	VARVE_EVENT_CONVERSATION,
	VARVE_EVENT_CONTACT,
	VARVE_EVENT_REMOVED,  /* removed_kind and removed_key: "message" and its id, "conversation" and its id ... */
	VARVE_EVENT_POSITION, /* epoch and seq: all until here has been told; more: further changes follow at once */
	VARVE_EVENT_RESET,    /* epoch and seq from which it goes on: what was told before is not the whole truth. name: why */
	VARVE_EVENT_TROUBLE,  /* r, name, text: nothing comes until that is over (the archive is locked, say) */
	VARVE_EVENT_TYPING,   /* with VARVE_FOLLOW_EPHEMERAL: jid in conversation is "composing" "paused" "active" ... */
	VARVE_EVENT_PRESENCE, /* likewise: jid is state ("" online, "away" ... "offline"), text */
};

struct varve_event {
	enum varve_event_kind kind;
	const struct varve_message *message;
	const struct varve_conversation *conversation;
	const struct varve_contact *contact;
	const char *removed_kind, *removed_key;
	const char *epoch;
	uint64_t seq; /* position of this change; of REMOVED that of the answer that told it */
	bool more;
	int r;
	const char *name, *text;
	const char *typing_conversation, *jid, *state;
};

#define VARVE_FOLLOW_EPHEMERAL 1u /* typing and presence too: as they come, and lossy */

/*
 * Strings and rows die when it returns. It may make calls, and free the follower. A negative value ends the following:
 * nothing more is told, not even the position.
 */
typedef int (*varve_event_fn)(void *userdata, const struct varve_event *e);
/*
 * Tell all changes after ${since} of the archive ${epoch}; NULL: from now on; never "" (-EINVAL). Returns at once; while varved is away it
 * is looked for.
 */
VARVE_PUBLIC int varve_follow(struct varve_account *a, const char *epoch, uint64_t since, unsigned flags,
			      varve_event_fn fn, void *userdata, struct varve_follow **ret);
VARVE_PUBLIC struct varve_follow *varve_follow_free(struct varve_follow *f);

/* ---- Jobs ---------------------------------------------------------------------------------------------------- */

struct varve_job; /* work of varved that takes long; ends with the connection unless detached */

/*
 * Write messages into ${fd} (a file, pipe or socket; the caller keeps its own), oldest first, as "jsonl" (the keys of
 * "varvectl history -j") or "text". ${conversations}: only these, NULL-terminated; NULL: all. Times: 0 is no bound.
 */
VARVE_PUBLIC int varve_export(struct varve_account *a, int fd, const char *format, const char *const *conversations,
			      int64_t since_usec, int64_t until_usec, struct varve_job **ret);
#define VARVE_FETCH_ALL 1u  /* everything that the server has */
#define VARVE_JOB_DETACH 2u /* it goes on when the connection ends */
/*
 * Fetch what is missing of a conversation ("": of the account): since then, or all, or with neither (0) as far back as
 * varve.conf says.
 */
VARVE_PUBLIC int varve_fetch(struct varve_account *a, const char *conversation, int64_t since_usec, unsigned flags,
			     struct varve_job **ret);

/*
 * Compare what is held of a conversation ("": of the account) with the server, since then (0: all), and store what is missing.
 * Its results: "pages", "messages" (compared), "missing", "different", "gone", "moved"; see Sync.Verify.
 */
VARVE_PUBLIC int varve_verify(struct varve_account *a, const char *conversation, int64_t since_usec, unsigned flags,
			      struct varve_job **ret);

struct varve_job_status {
	char state[16];	      /* "running" "done" "failed" "cancelled" */
	uint64_t done, total; /* messages of an export, else seconds of archive time; total 0: not known */
};
/*
 * How far it is. Look again after varve_wait() (it is told of at most four times a second). A job that failed gives 0
 * here, and why by varve_errname() and varve_errmsg(). -ENOENT: it is over for a minute, or the connection was lost.
 */
VARVE_PUBLIC int varve_job_get(struct varve_job *j, struct varve_job_status *ret);
/* A number of what a job that is done says; 0 if it says nothing of it. */
VARVE_PUBLIC int varve_job_result(struct varve_job *j, const char *key, uint64_t *ret);
VARVE_PUBLIC int varve_job_cancel(struct varve_job *j);
VARVE_PUBLIC struct varve_job *varve_job_free(struct varve_job *j);

/* ---- Asynchronous calls -------------------------------------------------------------------------------------- */

/*
 * As their synchronous sisters; ${fn} is called once, from varve_process(), with their result. With ret_slot, which may
 * be NULL, varve_slot_free() forgets the question: it is not called any more (what was asked for may happen all the
 * same). A slot is the caller's to free until then and after.
 */
VARVE_PUBLIC struct varve_slot *varve_slot_free(struct varve_slot *s);

/* The set is the library's: varve_messages_ref() to keep it. NULL on failure. */
typedef void (*varve_messages_fn)(void *userdata, int r, struct varve_messages *set);
VARVE_PUBLIC int varve_history_async(struct varve_account *a, const struct varve_history_query *q, varve_messages_fn fn,
				     void *userdata, struct varve_slot **ret_slot);
VARVE_PUBLIC int varve_search_async(struct varve_account *a, const struct varve_search_query *q, varve_messages_fn fn,
				    void *userdata, struct varve_slot **ret_slot);
typedef void (*varve_sent_fn)(void *userdata, int r, uint64_t id, bool existing);
VARVE_PUBLIC int varve_send_async(struct varve_account *a, const char *conversation, const char *client_id,
				  const char *body, uint64_t reply_to, varve_sent_fn fn, void *userdata,
				  struct varve_slot **ret_slot);

/* ---- Everything else of the contract ------------------------------------------------------------------------- */

/*
 * A call of any method, with sd_bus_message_append(3) for its arguments; org.varve.Varve1(5) has them all. ${path}: of an
 * object, NULL for the root. File descriptors may be passed: the library has made a call without one before
 * (sd-bus drops connections whose first message carries one).
 */
VARVE_PUBLIC int varve_call_new(struct varve *v, const char *path, const char *interface, const char *member,
				struct sd_bus_message **ret);
/* Send it and wait for the answer. ${timeout_usec}: 0 as varve_open() said, UINT64_MAX without end. ret_reply: or NULL. */
VARVE_PUBLIC int varve_call(struct varve *v, struct sd_bus_message *m, uint64_t timeout_usec,
			    struct sd_bus_message **ret_reply);
typedef void (*varve_reply_fn)(void *userdata, int r, struct sd_bus_message *reply);
VARVE_PUBLIC int varve_call_async(struct varve *v, struct sd_bus_message *m, uint64_t timeout_usec, varve_reply_fn fn,
				  void *userdata, struct varve_slot **ret_slot);

/*
 * Rows of such an answer: take the next one of the array of messages, conversations or contacts that ${m} is in, whole
 * (the array is not entered yet). The set keeps ${m}.
 */
VARVE_PUBLIC int varve_read_messages(struct sd_bus_message *m, struct varve_messages **ret);
VARVE_PUBLIC int varve_read_conversations(struct sd_bus_message *m, struct varve_conversations **ret);
VARVE_PUBLIC int varve_read_contacts(struct sd_bus_message *m, struct varve_contacts **ret);

#ifdef __cplusplus
}
#endif

#endif
