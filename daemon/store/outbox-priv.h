/*
 * The outbox from inside of store/: what archive.c tells it of copies and errors that come in, and what its
 * files share: outbox.c (states), outbox-row.c (rows), outbox-met.c (news of items), outbox-put.c (requests of users),
 * outbox-retry.c, outbox-owe.c (receipts, markers, reading states).
 */
#pragma once

#include "store/outbox.h"
#include "store/put.h"

/* Items that wait, beyond which no receipt is owed: whoever makes us owe without end takes half of the outbox at most. */
#define OWED_WAITING_MAX (OUTBOX_WAITING_MAX / 2)
#define OWED_ROWS_MAX 256 /* rows looked at for one that asks for a marker: of who asks for none, no reading is told */

/* How sure it is that an item which was sent before did not get there; outbox.again. */
enum out_again {
	AGAIN_NOT = 0,	  /* it never left */
	AGAIN_BY_H = 1,	  /* the server said that it has it not */
	AGAIN_UNSURE = 2, /* nobody said so */
};

/* One row, without its strings. */
struct out_entry {
	int64_t id, conv, msg;
	enum out_kind kind;
	enum out_state state;
	enum out_again again;
	int64_t bounced;
	uint64_t hash;
	uint32_t strikes;
	int64_t seq;
};

/* Texts and what is about them are a conversation's order, are counted, and may be in doubt; receipts and the like may
 * as well be sent twice, and are forgotten once they are sent. */
bool outbox_is_content(enum out_kind kind);

/* Does the account have one? Sets p->outbox; without, what comes in costs nothing. Part of put_begin(). */
int outbox_begin(struct put *p);
/* ${it} was stored: if it is a copy of what we sent, whatever waited under its id is DONE. */
int outbox_met(struct put *p, struct item *it);
/* It has, beyond doubt, arrived: there is a receipt. As outbox_met(). */
int outbox_arrived(struct put *p, int64_t conv, const char *client_id);
/* It came back as an error: FAILED. */
int outbox_bounced(struct put *p, int64_t conv, const char *client_id);
/* 1 if an item with that id waits which was never sent: nobody else can know anything of it. */
int outbox_never_left(struct put *p, int64_t conv, const char *client_id);
/* It waits, and may have been sent before. One that is being written has no item yet, and has not left either. */
int outbox_may_have_left(struct put *p, int64_t conv, const char *client_id);
/* 1 if ${client_id} is an item of ours and a later one of its kind is about the same message: what it says is old,
 * wherever the copy stands in the archive. */
int outbox_superseded(struct put *p, const char *client_id);
/* Message row ${msg} is about to be deleted: what never left of it never will. */
int outbox_forget(struct put *p, int64_t msg);

/* The one function that changes a state, with the message row. ${again} may only grow. */
int outbox_enter(struct put *p, const struct out_entry *e, enum out_state to, enum out_again again, const char *error,
		 const char *error_text);
/* A receipt or the like that nobody needs any more; outbox_enter() does it for those that are sent. */
int outbox_delete(struct put *p, int64_t id);
/* Its words go; the record of its client id stays. */
int outbox_empty(struct put *p, int64_t id);
/* The entry: 1, 0 if there is none. */
int outbox_by_client(struct put *p, const char *client_id, struct out_entry *ret);
int outbox_by_id(struct put *p, int64_t item, struct out_entry *ret);
/* All rows of ${q}, so that the statement is free before one of them is changed; *ret is freed by the caller. */
int outbox_collect(struct stmt *q, struct out_entry **ret, size_t *ret_n);
int outbox_in_state(struct put *p, enum out_state state, struct out_entry **ret, size_t *ret_n);
/* Entries of row ${msg}, its own first; *ret is freed by the caller. */
int outbox_of_msg(struct put *p, int64_t msg, struct out_entry **ret, size_t *ret_n);
/* The next place in the order of sending. */
int outbox_next_seq(struct put *p, int64_t *ret);
/*
 * What waits is not in the index of states, so that a Send has one page less to write; it is looked for by row id, from
 * here on. Found in the file and kept in memory: outbox_enter() and outbox_add() take it down again, a rollback and
 * another file forget it.
 */
int outbox_low(struct store *s, int64_t account, int64_t *ret);
/* Item ${id} waits, or is about to. */
void outbox_waits(struct store *s, int64_t account, int64_t id);
/* 1 if ${max} items wait. */
int outbox_full(struct put *p, int64_t max);

/* What was done since the last call is known to be done by ${now_us}: acks have no time of their own. */
int outbox_note_done(struct store *s, int64_t now_us);
/* outbox_expire() has something to do; a step of it in a transaction of its own: 1. */
bool outbox_expire_due(struct store *s, int64_t now_us);
int outbox_expire_step(struct store *s, int64_t now_us, size_t max);

/* A new item. Strings are the caller's, "" = none; to "" = the conversation; client_id "" = made. */
struct out_new {
	enum out_kind kind;
	enum out_state state;
	int64_t conv, msg;
	int64_t seq; /* a feed position that is taken already, 0 = take one */
	const char *client_id, *to, *body, *target_id, *text, *reply_id, *reply_jid;
	uint64_t hash;
};
int outbox_add(struct put *p, const struct out_new *n);
