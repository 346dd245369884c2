/*
 * Every limit that the wire puts on what a network peer can make it hold or do, in one place. Facts: what servers and
 * attackers really send was measured against Prosody 0.12.3 and ejabberd 23.01 (docs/decisions/0002).
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"

/* -- the XML stream (wire/xml.c) -- */

#define STANZA_MAX (256 * 1024) /* bytes; Prosody lets c2s send 256 kB, nothing that people write comes near */
#define IQ_RESULT_MAX (2 * 1024 * 1024) /* bytes; a roster of 10,000 contacts in groups has 1.5 MB */
#define STANZA_SKIP_MAX                                                                                              \
	(16 * 1024 * 1024) /* bytes; over STANZA_MAX is skipped without being kept, over this nobody
					      relays: the stream ends. The largest server limit seen is 10 MB */
#define TAG_MAX (16 * 1024) /* bytes of one start tag; a real one has 200 */
#define TOKEN_MAX                                                                                                    \
	(1024 * 1024) /* bytes that expat may hold back for one unfinished tag: it scans them again
					at each read of 16 kB, so 64 times at most */
#define DEPTH_MAX 64 /* nested elements; libstrophe recurses when it frees. PEP payloads reach 12 */
#define ATTRIBUTES_MAX 64 /* of one tag; a real one has 6 */
#define NODES_MAX 10000 /* elements and texts of one stanza; appending is O(n) in libstrophe: 0.1 s */
#define IQ_RESULT_NODES_MAX                                                                                          \
	40000 /* the same for an iq result of our own account; a roster of 10,000 contacts in
					one group each has 30,000. 2 s at worst, and only our own server can do it */
#define STREAM_NAME_MAX 256 /* bytes of the name of a dropped element kept in its marker */

/* -- the transport (wire/transport.c) -- */

#define READ_CHUNK (16 * 1024) /* bytes; a TLS record (RFC 8446 section 5.1) */
#define READ_BUDGET 32 /* chunks read before other event sources get their turn */
#define OUT_MAX (1024 * 1024) /* bytes unsent: the server does not read, so we do not read it either */
#define ADDRESSES_MAX 8 /* tried in turn before giving up; the keeper's deadline allows few anyway */
#define SRV_MAX 32 /* records of one SRV answer looked at; real ones have 1 to 4 */
#define CONNECT_TIMEOUT_US (5 * USEC_PER_SEC) /* for one address; a phone's handover loses SYNs for 3 s */
#define TCP_USER_TIMEOUT_MS 30000 /* unacknowledged data for so long: the path is dead (RFC 5482) */

/* -- stream management (wire/sm.c) -- */

#define ACK_EVERY 50 /* committed stanzas before an unasked <a/>: Prosody's queue holds 500 */
#define ACK_AFTER_US (5 * USEC_PER_SEC) /* or so long after the first unacknowledged commit */
#define REQUEST_EVERY 20 /* our own unacknowledged stanzas before we ask with <r/> */
#define UNCOMMITTED_MAX                                                                                              \
	2000 /* stanzas the keeper has not committed: we stop reading; core/ackline.h has room
					for twice that */
#define LINK_QUEUED_MAX 500 /* records the keeper has not read: we stop reading */
#define SENT_LOW 32 /* numbers left of the grant when we ask the keeper for more */
#define OUTBOX_MAX 1000 /* stanzas waiting for a grant; more answers than that to peers' iqs are dropped */

/* -- requests and queries (wire/iq.c, wire/mam.c) -- */

#define IQ_PENDING_MAX 256 /* our own open requests */
#define IQ_TIMEOUT_US (60 * USEC_PER_SEC) /* settling: the keeper's deadline is shorter */
#define QUERY_TIMEOUT_US (120 * USEC_PER_SEC) /* one archive page; Prosody's internal storage took 40 s at 100k */
#define QUERIES_MAX 64 /* open at once; the keeper uses 16 lanes at most */
#define PAGE_MAX 1000 /* messages asked for in one page: servers cap at 50 to 250 */

/* -- records (wire/record.c) -- */

#define REACTIONS_MAX 64 /* emoji of one XEP-0444 element looked at; the text has its own limit */

/* -- liveness (wire/live.c) -- */

#define IDLE_PROBE_US (300 * USEC_PER_SEC) /* without a byte from the server; NATs of mobile carriers forget later */
#define PROBE_ANSWER_US (20 * USEC_PER_SEC) /* for any byte after the probe */
#define CLOSE_WAIT_US (1 * USEC_PER_SEC) /* for the server's </stream:stream> */
