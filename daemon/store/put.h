/*
 * One call of archive_put_live() or archive_put() (put.c), and one message in it (item.c, put-item.c): what row.c, identity.c,
 * refs.c and conv.c need to know while they store it. Private to store/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/message.h"
#include "store/archive.h"
#include "store/db.h"

struct aid; /* store/aid.h */

struct put {
	struct store *s;
	int64_t account;
	int64_t archive;
	const char *own_bare;
	int64_t now_us;
	bool pending;	/* the account has references that wait for their target */
	bool outbox;	/* the account has an outbox, or what is left of one */
	int64_t ahead_us; /* see archive_page */
	bool part;	/* a page of one conversation: what lies between its messages is not known */
	bool late;	/* some of the page have one name: what waits for it is applied when all are here */
	bool compare;	/* say in put_outcome how what is known differs */
	bool keeps;	/* what it learns of conversations is left to the next call like it (store/known.h) */
	bool new_rows;	/* a message row was made */
	struct newest {
		int64_t conv, msg, time_us;
	} newest;	/* message of ours that now stands above all others, nothing in its conversation is unread; conv 0: none */
	bool gone;	/* the account has messages that were deleted here, and may come again */
	bool fresh;	/* what the page's messages were found to be before the first of them was stored still holds */
	struct known **known; /* store/known.h; owned */
	size_t n_known;
	struct dirty {
		int64_t conv;
		int64_t came; /* new rows that are unread, as far as they themselves say */
		bool other;   /* something else happened to it, too */
	} *dirty; /* conversations to settle; owned */
	size_t n_dirty;
};

/* Where a display time comes from; stored (schema.c, msg.clock). A higher one replaces a lower one. */
enum put_clock { CLOCK_OURS = 0, CLOCK_DELAY = 1, CLOCK_ARCHIVE = 2 };

struct item {
	const struct message *m;
	char *conv_jid;	   /* owned: the other side, bare */
	char *author;	   /* owned: who may correct it: bare JID, in rooms the full one */
	bool out;	   /* sent by this account */
	bool self;	   /* from the account to itself */
	bool room;
	bool queued;	   /* of our outbox: it has not been sent yet */
	int64_t corrected; /* what refs_put() learns: see put_outcome */
	int64_t reply_to;  /* queued: the row that it answers, 0 = none */
	int64_t conv;	   /* row, 0 = there is none yet */
	struct known *known; /* of that conversation (store/known.h); NULL = not asked */
	bool unseen;	   /* nothing that is stored is another copy of it */
	int64_t key;
	int64_t time_us;
	enum put_clock clock;
	int64_t off_us;	   /* stamps of our clock may be off by so much more than is usual */
	uint64_t hash;	   /* of content and author */
};

/*
 * Bracket of a call that writes messages. put_begin() needs an open transaction. put_end() settles what changed, frees
 * what ${p} holds also after a failure ${r}, and returns ${r} or its own; what was done by half cannot be committed.
 */
int put_begin(struct put *p);
int put_end(struct put *p, int r);
/*
 * What an account has mostly none of. That it has none is remembered, until a row is added or store_forget(): whoever
 * adds one says so with put_has().
 */
enum put_none { NONE_PENDING = 1, NONE_GONE = 2, NONE_OUTBOX = 4 };
/* ${any} (SELECT 1 ... LIMIT 1 by account) has a row, as far as it must be asked. */
int put_any(struct put *p, enum put_none what, enum sql any, bool *ret);
void put_has(struct put *p, enum put_none what);
/* The sort key of what comes in now: after everything. */
int put_natural_key(struct put *p, int64_t *ret);

/*
 * Store ${it}, whose archive id is known as ${aid}: it is another copy of what is here, a new row, or acts on another message.
 * ${final}: it->key is its place in the archive. *ret is overwritten: result, msg and aid_is_new.
 */
int put_item(struct put *p, struct item *it, const struct aid *aid, bool final, struct put_outcome *ret);

/* Who, where, when: everything but conv and key. item_deinit() afterwards. */
void item_init(struct item *it, const struct put *p, const struct message *m);
void item_deinit(struct item *it);
/* Does its payload make, or find, a row of its own? */
bool item_has_row(const struct message *m);
/* Sent by a room or from one, to all or to us alone: it says so, or messages of that room are here. After conv_find(). */
bool item_is_of_room(const struct item *it);
/* The archive's stamp of ${m} as far as it makes sense; else the time that is used for display. */
int64_t item_stamp(const struct put *p, const struct message *m);
/* ${sender} (full JID as stored) is ${author} (as struct item has it). */
bool author_is(const char *sender, const char *author, bool room);
