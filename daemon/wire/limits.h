/*
 * Every limit that the wire puts on what a network peer can make it hold or do, in one place. What hostile input does
 * without them was measured: docs/decisions/0002.
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"

/* -- the XML stream (wire/xml.c) -- */

/* Bytes of one stanza. Prosody accepts 256 kB from a client; what people write is far below. */
#define STANZA_MAX (256 * 1024)
/* Bytes of an iq result of our own account: a roster of 10,000 contacts at 150 bytes each is 1.5 MB. */
#define IQ_RESULT_MAX (2 * 1024 * 1024)
/*
 * Bytes of a stanza that is only skipped, nothing of it kept: it is counted, so that a resume does not bring it again.
 * Costs no memory, and two seconds of parsing; servers are set to 10 MB at most. More ends the stream.
 */
#define STANZA_SKIP_MAX (256 * 1024 * 1024)
/* Bytes of one start tag. Addresses may have 3 kB each (RFC 7622), ordinary tags have some hundred bytes. */
#define TAG_MAX (16 * 1024)
/* Bytes that expat may hold back for an unfinished tag. It scans them again at each read: 64 times at most. */
#define TOKEN_MAX (1024 * 1024)
/* Elements inside each other: libstrophe recurses when it frees (SIGSEGV at 100,000). */
#define DEPTH_MAX 64
/* Attributes of one tag. */
#define ATTRIBUTES_MAX 64
/* Elements and texts of one stanza: appending is O(n) in libstrophe, 10,000 siblings take 0.1 s. */
#define NODES_MAX 10000
/* The same for an iq result of our own account: 10,000 contacts in a group each are 30,000. 2 s at worst. */
#define IQ_RESULT_NODES_MAX 40000
/* Bytes of an element's name: longer ones are cut, and then mean nothing to anybody. */
#define ELEMENT_NAME_MAX 256
/* <stanza-id/>s kept of a dropped stanza: one is by our archive, one by a room. */
#define MARKER_IDS_MAX 4

/* -- the transport (wire/transport.c) -- */

/* Bytes of one read: a TLS record (RFC 8446 section 5.1). */
#define READ_CHUNK (16 * 1024)
/* Reads in a row before other event sources get their turn: half a megabyte, some 10 ms of parsing. */
#define READ_BUDGET 32
/* Bytes unsent: a server that does not read is not read either. */
#define OUT_MAX (1024 * 1024)
/* Addresses of one lookup that are tried. */
#define ADDRESSES_MAX 8
/* Records of both SRV answers looked at. */
#define SRV_MAX 32
/* For one address to answer: two lost SYNs (1 + 2 s) still get through. */
#define CONNECT_TIMEOUT_US (5 * USEC_PER_SEC)
/* Before the next address of the same host is tried besides (RFC 8305 section 5). */
#define RACE_SAME_US (250 * USEC_PER_SEC / 1000)
/* Before another host is, or DNS is asked when the address of last time does not answer: a slow link is not a dead one. */
#define RACE_OTHER_US (500 * USEC_PER_SEC / 1000)
/* Sent data without an acknowledgement for so long: the path is dead (RFC 5482). */
#define TCP_USER_TIMEOUT_MS 30000

/* -- the login (wire/login.c) -- */

/* For an answer to a token after the server's features: some servers offer what they then never answer (Prosody's
 * mod_sasl2_fast of 2023 with tls-exporter). Less than the keeper's own deadline, which would blame nobody. */
#define TOKEN_ANSWER_US (8 * USEC_PER_SEC)

/* -- stream management (wire/sm.c) -- */

/* Committed stanzas before an unasked <a/>: Prosody's queue holds 500, and a session over it cannot be resumed. */
#define ACK_EVERY 50
/* Or so long after the first commit that the server was not told. */
#define ACK_AFTER_US (5 * USEC_PER_SEC)
/* Our own unacknowledged stanzas before we ask with <r/>. */
#define REQUEST_EVERY 20
/* Stanzas that the keeper has not committed before we stop reading; core/ackline.h has room for twice that. */
#define UNCOMMITTED_MAX 2000
/* Records that the keeper has not read before we stop reading. */
#define LINK_QUEUED_MAX 500
/* Numbers left of the grant when we tell the keeper. */
#define SENT_LOW 32
/* Stanzas that wait for a grant, or behind an item: peers can make us answer iqs. More are dropped. */
#define WAITING_MAX 1000

/*
 * Bytes of items on their way at once: 8 s of GPRS (2 kB/s up). With more the acknowledgement of the first would come
 * too late for the two below, and what is sent again over a new stream would never get there either. One item at least.
 */
#define ON_WAY_MAX (16 * 1024)
/* And how many: a short one has 400 bytes. */
#define ON_WAY_ITEMS_MAX 64
/* Items before one more question between them: a server that takes 300 ms for each is then heard before SILENT_AFTER_US. */
#define ASK_BETWEEN 8
/*
 * For the server to acknowledge an item: any byte puts it off, and the TCP of the other end while it takes more than
 * SLOW_BYTES ... (the bar is 10 s, the timer may be late by 0.25)
 */
#define ACK_ANSWER_US (9 * USEC_PER_SEC)
/* What any link carries in a second or two. */
#define SLOW_BYTES (4 * 1024)
/* So long after what is owed, or the last sign of life, the keeper is told: a second wire takes some round trips. */
#define SILENT_AFTER_US (3 * USEC_PER_SEC)
/* ... but not for ever: a server that talks and does not acknowledge. The longest item takes that at 2 kB/s. */
#define ACK_PROGRESS_US (120 * USEC_PER_SEC)
/* Before the same is asked again: the server answered with a lower count than was sent. */
#define ACK_AGAIN_US (2 * USEC_PER_SEC)
/*
 * Bytes of a message stanza of ours. Prosody and ejabberd end the stream of who sends more than 256 kB; the rest is for
 * what they add on the way (addresses, stanza-ids), as other servers measure that.
 */
#define SEND_MAX (240 * 1024)

/* -- requests and queries (wire/iq.c, wire/mam.c) -- */

/* Our own open requests. */
#define IQ_PENDING_MAX 256
/* For the requests of settling; the keeper's deadline for that phase is shorter. */
#define IQ_TIMEOUT_US (60 * USEC_PER_SEC)
/* For one archive page: long, as asking again costs the server the same work once more. */
#define QUERY_TIMEOUT_US (120 * USEC_PER_SEC)
/* Open at once: sixteen lanes and what a user asks for besides. */
#define QUERIES_MAX 64
/* Messages asked for in one page: servers cap at 50 to 250, and it must stay below UNCOMMITTED_MAX. */
#define PAGE_MAX 1000

/* -- settling (wire/settle.c) -- */

/*
 * Features of one disco answer that are looked at; servers have some 60. Each is looked for among those before it, up
 * to FEATURES_MAX bytes in 0.3 ms: 40,000 of them, as many as an answer may have, took 13 s.
 */
#define DISCO_FEATURES_MAX 1000

/* -- records (wire/record.c) -- */

/* Emoji of one XEP-0444 element that are looked at; the text has its own limit. */
#define REACTIONS_MAX 64

/* -- liveness (wire/turn.c) -- */

/* A ping may be late by this part of its interval: less than what ping_due() forgives. */
#define PING_LATE 20
/* For any byte in answer. */
#define PROBE_ANSWER_US (20 * USEC_PER_SEC)
/* For the server to close after us. */
#define CLOSE_WAIT_US (1 * USEC_PER_SEC)
