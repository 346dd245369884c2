/*
 * What a call that writes messages has learnt of the conversations it met: asked once for each of them, not once for each
 * message, and kept right by whoever changes it. Lives as long as struct put.
 */
#pragma once

#include "store/put.h"

struct known {
	char *jid;	  /* owned */
	int64_t id;	  /* row, 0 = there is none yet */
	bool room;
	int64_t read_key; /* all up to this key is read, at least; INT64_MIN = nothing is */
	int64_t floor, floor_us; /* conv.floor (schema.c); INT64_MIN = there is none */
	bool replies;	  /* some row answers another one (msg_reply) */
	bool origins;	  /* some row has another origin-id than id (msg_origin) */
};

/* Conversation ${jid}; it may not be there. Belongs to ${p}. */
int known_get(struct put *p, const char *jid, struct known **ret);
/* By its row; NULL: nothing is known of it, which must then be asked. */
struct known *known_by_row(const struct put *p, int64_t conv);
/* A row with these ids was stored in it. */
void known_row(struct known *k, const struct message *m);
/* What is read in it may be less than was thought: the row up to which all was read has moved. */
void known_unread(const struct put *p, int64_t conv);
/* All keys of the account from ${from} on moved up by ${by}. */
void known_shift(struct put *p, int64_t from, int64_t by);
void known_forget(struct put *p);
