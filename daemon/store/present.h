/*
 * One message row as it stands, with strings of its own: for who is about to change it, delete it or send something about
 * it. What many rows are read for has statements of its own (row.h, read.h).
 */
#pragma once

#include "store/put.h"
#include "store/row.h"

struct present {
	int64_t conv, key, time_us, clock, hash, state;
	enum row_kind kind;
	bool out, ours, room, encrypted;
	bool archived; /* it has an archive id */
	char *jid;     /* of its conversation; this and all that follows: owned, "" = none */
	char *xmpp_id, *origin_id, *sender, *body;
	char *reply_id, *reply_jid; /* what it answers, and who wrote that, if it is here */
};

/* Row ${msg} of the account: 1, 0 if there is none. */
int present_read(struct put *p, int64_t msg, struct present *ret);
void present_deinit(struct present *m);
/* The id by which the outbox has it. */
const char *present_client_id(const struct present *m);
