/*
 * Stanza -> record: what a message stanza means for the archive. Pure: a stanza and a context in, a struct message
 * out. All the checks that decide whose word is believed are here (facts: sync.md I1, I2, I5, I6, C11, C15, A7, A9).
 */
#pragma once

#include <stdbool.h>
#include <strophe.h>

#include "base/mem.h"
#include "core/message.h"

struct record_context {
	const char *bare; /* our own bare JID, as the server writes it */
	const char *domain; /* its domain */
	bool stanza_ids; /* the account announces urn:xmpp:sid:0: it removes forged <stanza-id/>s (XEP-0359) */
	bool foreign; /* the archive asked is not our own: the rules about our own addresses do not hold */
};

/* ${message} points into ${keep}; n, via and query are the caller's to set but for VIA_CARBON. */
struct record {
	struct message message;
	char *keep[24];
	unsigned int n_keep;
};

/* Nothing in the stanza is for the archive, or it lies about where it comes from: drop it. */
#define RECORD_E_NOTHING 1

/*
 * A <message/> that came on the stream and is no archive result: addressed to us, or a carbon (XEP-0280).
 * ${dropped}: NULL, or which limit of the reader it broke. 0 or RECORD_E_NOTHING. Initialises ${ret} always; the
 * caller calls record_deinit().
 */
int record_live(const struct record_context *c, xmpp_stanza_t *stanza, const char *dropped, struct record *ret);
/*
 * A <result xmlns='urn:xmpp:mam:2'/> of a query that is open (wire/mam.c has checked that). A result that has no
 * message, or one which says nothing, is a record with PAYLOAD_NONE: its id is a valid cursor (A6).
 * 0, or RECORD_E_NOTHING for a message that cannot be from this archive (I6).
 */
int record_archived(const struct record_context *c, xmpp_stanza_t *result, const char *dropped, struct record *ret);

void record_deinit(struct record *r);
