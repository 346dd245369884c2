/*
 * What a call that writes messages has learnt of the conversations it met: asked once for each of them, not once for each
 * message, and kept right by whoever changes it. Lives as long as struct put; the next page of the same transaction takes it over
 * if nothing else was written in between.
 */
#pragma once

#include "store/put.h"

struct known {
	char *jid;	  /* owned */
	int64_t id;	  /* row, 0 = there is none yet */
	bool room;
	int64_t read_key; /* all up to this key is read, at least; INT64_MIN = nothing is */
	int64_t floor, floor_us; /* conv.floor (schema.c); INT64_MIN = there is none */
	int64_t last_key; /* some row stands here or above; INT64_MIN = none is known to */
	bool replies;	  /* some row answers another one (msg_reply) */
	bool origins;	  /* some row has another origin-id than id (msg_origin) */
};

/* Conversation ${jid}; it may not be there. Belongs to ${p}. */
int known_get(struct put *p, const char *jid, struct known **ret);
/* By its row; NULL: nothing is known of it, which must then be asked. */
struct known *known_by_row(const struct put *p, int64_t conv);
/* A row for ${m} was stored in it, at ${key}. */
void known_row(struct known *k, const struct message *m, int64_t key);
/* One of its rows has moved: it may be the one up to which all was read, or the newest. */
void known_moved(const struct put *p, int64_t conv);
/* All keys of the account from ${from} on moved up by ${by}. */
void known_shift(struct put *p, int64_t from, int64_t by);
void known_forget(struct put *p);

/* put_begin(): what the last call of this transaction knew, if it still holds. */
void known_take(struct put *p);
/* put_end(): for the next call. */
void known_leave(struct put *p);
/* The transaction ends. */
void known_drop(struct store *s);
