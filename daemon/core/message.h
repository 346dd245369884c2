/*
 * The record of one message-like stanza: what the wire made of it, what the engine stores. Plain data, no behaviour
 * but copying and hashing. The field list is one table, so that the link can carry it without a second description
 * (link/vocab.h) and a new field is one line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits of what a peer can send, in bytes of UTF-8. Longer values never reach a record: the wire drops or cuts. */
#define JID_MAX 3071	      /* RFC 7622 section 3.1: 1023 octets a part, and two separators */
#define ID_MAX 1024	      /* stanza, origin and archive ids; XEPs name no limit, servers use 16 to 64 */
#define BODY_MAX (256 * 1024) /* equals the stanza limit of daemon/wire/limits.h: a body cannot be longer */
#define SHORT_TEXT_MAX 1024   /* error texts, emoji lists, namespaces */

/* How the stanza reached us. */
enum message_via {
	VIA_LIVE,	      /* addressed to us, on the stream */
	VIA_CARBON,	      /* XEP-0280 copy, from our own bare JID */
	VIA_ARCHIVE,	      /* XEP-0313 result of an open query */
};

/* What the stanza says; more than one payload in one stanza: the first in this list that applies. */
enum message_payload {
	PAYLOAD_TEXT,	      /* a body (may also be a correction: ${replace_id}) */
	PAYLOAD_RETRACTION,   /* XEP-0424; ${target_id} */
	PAYLOAD_REACTION,     /* XEP-0444; ${target_id}, ${text} = emoji separated by '\n' */
	PAYLOAD_RECEIPT,      /* XEP-0184 received; ${target_id} */
	PAYLOAD_MARKER,	      /* XEP-0333 displayed; ${target_id} */
	PAYLOAD_ERROR,	      /* type='error'; ${error}, ${error_text} */
	PAYLOAD_DROPPED,      /* over a limit of the wire: kept as a marker, ${error_text} says which */
	PAYLOAD_NONE,	      /* nothing we keep (chat state, empty): a valid cursor, no row (A6) */
};

/* Bits of ${asks}. */
enum message_asks {
	ASKS_RECEIPT = 1, /* XEP-0184 <request/> */
	ASKS_MARKER = 2,  /* XEP-0333 <markable/> */
};

/* What the outbox sends; a number in the archive file, and on the link (link/vocab.h, SEND, says what each carries). */
enum out_kind { OUT_TEXT, OUT_CORRECTION, OUT_RETRACTION, OUT_REACTION, OUT_RECEIPT, OUT_MARKER, OUT_READ, OUT_KINDS };

/*
 * F(type, name, max): types U32 U64 I64 BOOL STR; max in bytes for STR, else 0. Strings are never NULL, "" is
 * absent. Times are microseconds since the epoch, 0 is unknown.
 */
#define MESSAGE_FIELDS(F)                                                                                          \
	F(U32, n, 0)		    /* XEP-0198 inbound number of the stanza; 0 without stream management */       \
	F(U32, via, 0)		    /* enum message_via */                                                         \
	F(U32, payload, 0)	    /* enum message_payload */                                                     \
	F(U32, query, 0)	    /* VIA_ARCHIVE: the query that asked */                                        \
	F(STR, archive_id, ID_MAX)  /* verified: <result id> or <stanza-id> with the right by; "" = none */        \
	F(I64, archive_us, 0)	    /* VIA_ARCHIVE: the archive's stamp */                                         \
	F(I64, delay_us, 0)	    /* XEP-0203 stamp inside the stanza */                                         \
	F(BOOL, delay_trusted, 0)   /* that stamp is by our own server: offline storage, CSI, a resend */          \
	F(STR, from, JID_MAX)	    /* full JID; never absent: own bare JID when the stanza had none */            \
	F(STR, to, JID_MAX)                                                                                        \
	F(STR, type, 16)	    /* chat normal groupchat headline error */                                         \
	F(BOOL, occupant, 0)	    /* it says that it is a room's private message: ${from} is somebody's nick */  \
	F(STR, id, ID_MAX)                                                                                         \
	F(STR, origin_id, ID_MAX)                                                                                  \
	F(STR, body, BODY_MAX)                                                                                     \
	F(STR, replace_id, ID_MAX)  /* XEP-0308 */                                                                 \
	F(STR, reply_id, ID_MAX)    /* XEP-0461 */                                                                 \
	F(STR, target_id, ID_MAX)                                                                                  \
	F(STR, text, SHORT_TEXT_MAX)                                                                               \
	F(STR, encryption, 256)	    /* XEP-0380 or known namespace of an encrypted payload; "" = clear */          \
	F(U32, asks, 0)		    /* enum message_asks: what the sender wants to hear */                         \
	F(STR, error, 64)	    /* RFC 6120 section 8.3.3 condition */                                         \
	F(STR, error_text, SHORT_TEXT_MAX)

#define FIELD_DECL_U32(name) uint32_t name;
#define FIELD_DECL_U64(name) uint64_t name;
#define FIELD_DECL_I64(name) int64_t name;
#define FIELD_DECL_BOOL(name) bool name;
#define FIELD_DECL_STR(name) const char *name;
#define FIELD_DECL(type, name, max) FIELD_DECL_##type(name)

struct message {
	MESSAGE_FIELDS(FIELD_DECL)
};

/* All strings "". */
void message_init(struct message *m);

/* A deep copy in one allocation: free() releases it whole. Never NULL. */
struct message *message_copy(const struct message *m);

/* Bytes that a copy takes. */
size_t message_size(const struct message *m);

/*
 * A 64-bit hash of what the sender said (payload kind, body, targets, text, encryption), without ids, addresses and
 * times. Two deliveries of one stanza have the same; used only together with sender and id, never alone (C3).
 */
uint64_t message_hash(const struct message *m);
/* The same with its sender and what he calls it: for telling two messages apart that the archive does not tell apart. */
uint64_t message_hash_whole(const struct message *m);
