/*
 * Reading the archive for the bus: history pages, the conversation list, the change feed. Rows are handed to a
 * callback; strings in them die when it returns. A callback must not call the store; a negative value from it ends the
 * call, which returns it. No transaction needed: one connection, so each call sees one state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define READ_ROWS_MAX 500	     /* rows a call; facts/ipc.md section 2.1 */
#define READ_BYTES_MAX (1024 * 1024) /* of strings a call; then the page is cut and says so */

enum direction { DIRECTION_IN = 0, DIRECTION_OUT = 1 };
enum message_state { /* facts/ipc.md section 3.3 */
	STATE_RECEIVED = 0,
	STATE_READ = 1,
	STATE_QUEUED = 10,
	STATE_SENDING = 11,
	STATE_SENT = 12,
	STATE_DELIVERED = 13,
	STATE_DISPLAYED = 14,
	STATE_FAILED = 20,
	STATE_CANCELLED = 21,
};

struct message_row {
	int64_t id;
	uint64_t mod;
	const char *conversation, *sender;
	int64_t time_us; /* display time: the archive's stamp, else the best known */
	uint32_t direction, state;
	const char *kind; /* text file event call retracted undecryptable error dropped */
	const char *body;
	const char *stanza_id, *origin_id, *xmpp_id; /* "" = none */
	const char *client_id;			     /* of what was sent from here; "" = none */
	const char *encryption, *error, *error_text;
	const char *reactions; /* a line for each sender, each ended by '\n': "sender\temoji\temoji\n" */
	int64_t edited_us;     /* 0 = never */
	int64_t reply_to;      /* row id, 0 = none or not here */
	int64_t key;	       /* sort key */
	int64_t delay_us;      /* the sender's own stamp (XEP-0203), display data; 0 = none (F3) */
};

enum conversation_flag { /* facts/ipc.md section 3.3; joined and encrypted are of rooms and later */
	CONV_PINNED = 1,
	CONV_MUTED = 2, /* never here: it depends on the time; see mute_until_us */
	CONV_ARCHIVED = 4,
	CONV_BLOCKED = 32,
	CONV_HAS_GAP = 64,	   /* a hole of the archive lies above its oldest message; follows with some delay */
	CONV_TYPING_ALLOWED = 128, /* the other side may know that we are here: roster_trusts() */
};

struct conversation_row {
	const char *id, *kind, *title;
	uint64_t mod;
	int64_t activity_us;
	uint32_t unread, flags; /* enum conversation_flag */
	int64_t first_unread;
	const char *draft;	/* "" = none */
	int64_t mute_until_us;	/* INT64_MAX: for good; 0: not */
	int64_t peer_displayed; /* newest message of ours that the other side has displayed, 0 = none known */
	bool has_last;
	struct message_row last;
};

struct contact_row {
	const char *jid, *name, *subscription, *groups;
	uint64_t mod;
	bool ask;     /* we have asked to see theirs */
	bool asking;  /* they ask to see our presence, not answered yet */
	bool blocked; /* he, or all of his domain */
	bool listed;  /* in the server's roster; else here because he is blocked or asks */
};

typedef int (*message_row_fn)(void *userdata, const struct message_row *row);
typedef int (*conversation_row_fn)(void *userdata, const struct conversation_row *row);
typedef int (*contact_row_fn)(void *userdata, const struct contact_row *row);
typedef int (*removed_row_fn)(void *userdata, const char *kind, const char *key);

enum history_edge { /* facts/ipc.md section 3.5 */
	EDGE_OLDEST = 1,
	EDGE_NEWEST = 2,
	EDGE_GAP_OLDER = 4,
	EDGE_GAP_NEWER = 8,
	EDGE_START = 16,
	EDGE_FETCHING = 32, /* set by the bus, which knows */
	EDGE_CUT = 64,
};

enum history_anchor { ANCHOR_NEWEST, ANCHOR_OLDEST, ANCHOR_UNREAD, ANCHOR_MESSAGE, ANCHOR_TIME };
enum { READ_E_NO_CONVERSATION = 1, READ_E_NO_MESSAGE, READ_E_NO_CONTACT = 4, READ_E_CURSOR };

struct history_query {
	int64_t account;
	const char *conversation; /* "" = every conversation of the account, in archive order */
	enum history_anchor anchor;
	int64_t value;		  /* message id or time (us): the first message that sorts at or after it */
	uint32_t before, after;   /* rows; the anchor message itself is counted in neither */
	bool across_gaps;	  /* a page normally stops at a gap of the account's archive */
};

/*
 * The anchor of "newest" and "oldest" is the end itself and no message; "unread" without an unread message and "time"
 * without a later message are "newest".
 * Exactly min(before, available) + anchor + min(after, available) rows, oldest first; READ_ROWS_MAX and
 * READ_BYTES_MAX cut the far end and set EDGE_CUT. *ret_edges: enum history_edge. *ret_seq: feed position.
 */
int read_history(struct store *s, const struct history_query *q, message_row_fn fn, void *userdata,
		 uint32_t *ret_edges, uint64_t *ret_seq);
/* Rows in the order of ${ids}; ids that do not exist are left out. */
/*
 * How far a history page of ${conversation} could reach from message ${from} (0 = the newest) towards older ones: *ret_id, the
 * oldest message before the next gap, and *ret_gap, whether there is one. READ_E_NO_CONVERSATION, READ_E_NO_MESSAGE.
 */
int read_reach(struct store *s, int64_t account, const char *conversation, int64_t from, int64_t *ret_id, bool *ret_gap);
int read_messages(struct store *s, int64_t account, const int64_t *ids, size_t n, message_row_fn fn, void *userdata);

/* The message that ${kind} ("stanza-id", "origin-id", "id") names in a conversation: READ_E_NO_MESSAGE or 0. */
int read_find(struct store *s, int64_t account, const char *conversation, const char *kind, const char *value,
	      int64_t *ret_id);

struct conversation_query {
	int64_t account;
	const char *cursor; /* NULL or "" = from the beginning */
	uint32_t limit;	    /* 0 = READ_ROWS_MAX */
	bool unread;	    /* only with unread messages */
	enum { ARCHIVED_ANY, ARCHIVED_NOT, ARCHIVED_ONLY } archived;
	const char *kind;  /* NULL or "" = any */
	const char *query; /* NULL or "" = any: part of JID or title, ASCII letters in either case */
};
/*
 * Pinned ones first, then newest activity first. *ret_next (caller frees) is "" at the end. A conversation that moves
 * while somebody pages may show twice; one that does not is never skipped. Of a cursor that is not ours: READ_E_CURSOR.
 */
int read_conversations(struct store *s, const struct conversation_query *q, conversation_row_fn fn, void *userdata,
		       char **ret_next, uint64_t *ret_seq);
/* Contacts by JID; *ret_next is the cursor of the next page, "" at the end. */
int read_contacts(struct store *s, int64_t account, const char *cursor, uint32_t limit, contact_row_fn fn,
		  void *userdata, char **ret_next, uint64_t *ret_seq);
/* One: READ_E_NO_CONTACT or what fn returns. */
int read_contact(struct store *s, int64_t account, const char *jid, contact_row_fn fn, void *userdata);
int read_conversation(struct store *s, int64_t account, const char *id, conversation_row_fn fn, void *userdata);

struct changes_fns {
	message_row_fn message;
	conversation_row_fn conversation;
	contact_row_fn contact;
	removed_row_fn removed;
};
enum { READ_E_TOO_OLD = 3 };
/*
 * Rows with mod > since, in mod order, at most ${limit} (0 = READ_ROWS_MAX, which is also the most) and some
 * READ_BYTES_MAX; each once, in its latest state. *ret_next: go on from there; *ret_more: there is more now.
 * ${since} 0 is always answered: who has nothing needs no tombstones. The same goes for who goes on from there: ${begun}
 * is the feed's end when its reading from 0 began (0 = it did not), and only what was removed since then matters to it.
 * READ_E_TOO_OLD: tombstones since then are gone, or ${since} is not of this epoch.
 */
int read_changes(struct store *s, int64_t account, uint64_t since, uint64_t begun, uint32_t limit,
		 const struct changes_fns *fns, void *userdata, uint64_t *ret_next, bool *ret_more);
/* Where the feed ends, and since when it can be answered; ${ret_oldest} NULL: nobody asks, and mostly nothing is read. */
int read_seq(struct store *s, int64_t account, uint64_t *ret_seq, uint64_t *ret_oldest);
/* The highest id that a stored message of any account has: what is stored from now on has a higher one. 0: there is none. */
int read_last_id(struct store *s, int64_t *ret);

/* Display stamps of the messages with these archive ids, 0 if unknown: for showing gaps. */
int read_aid_time(struct store *s, int64_t archive, const char *aid, int64_t *ret_us, int64_t *ret_msg);
