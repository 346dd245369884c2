/*
 * The vocabulary between keeper (varved) and wire (varve-wire): one table. Structs, writers, readers, names and
 * limits are made from it (link.c). Both ends enforce every limit; a record that breaks one ends the link.
 *
 * keeper -> wire                                         wire -> keeper
 *   START (once, first)                                    PHASE* then ONLINE, or FAILED
 *   RESUME        if START said to wait for it
 *   COMMITTED n   stanzas up to n are durable              MSG, FIN, META, QUERY_FAILED, ROSTER, ACKED, IDLE ...
 *   GRANT n       may send stanzas up to number n          STOPPED at the end (reason), then the link closes
 *   QUERY, META_QUERY
 *   SEND item     number this message, do not send it      NUMBERED item n, or UNSENDABLE item
 *   GO n          numbers up to n are durable: send        ACKED n
 *   WITHDRAW n    that item was cancelled before its GO
 *   REQUEST       roster, blocking, presence               RESULT
 *   PROBE         is it still there?                       ALIVE, or FAILED; SILENT without having been asked
 *   STOP          leave, resumable or not                  HEARD
 *
 * What the outbox sends is numbered before a byte of it leaves, and leaves only once the row that names the number is
 * durable (GO). So after any crash the server's h says of each item whether it got there: nothing is sent twice because
 * nobody knew (docs/decisions/0008). Whatever is sent after a numbered item waits behind it. SENDs come after ONLINE.
 * Without stream management (ONLINE.counted false) items alone are numbered, from 1 on each stream, and ACKED says that
 * a ping sent behind them was answered.
 *
 * MSGs that come up together travel together (link.c); the order of records is that of link_send() all the same.
 *
 * Every record made from a counted stanza carries its XEP-0198 number n. Numbers the keeper never sees named were
 * consumed by the wire without effect for the archive: a record with number n says so of everything before n, IDLE n
 * of everything up to n.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/message.h"

#define SECRET_MAX 1024		   /* bytes of a password; SCRAM names no limit, RFC 8265 suggests none */
#define CA_PEM_MAX (1024 * 1024)   /* the account's own trust anchors, PEM; the whole Debian store is 220 kB */
#define FEATURES_MAX (64 * 1024)   /* disco features, one a line; ejabberd's are 3 kB */
#define SM_ID_MAX 4096		   /* XEP-0198 section 5: SHOULD NOT exceed 4000 bytes */

#define LINK_I64_MAX (INT64_C(1) << 58) /* us, either way: the year 9999 is below; reckoning with more could overflow */
#define LINK_SENDS_MAX 100	   /* SENDs not yet ACKED or UNSENDABLE; a keeper that gives more ends the stream */
#define OFFER_MAX 256		   /* wire/offer.h: a few numbers */
#define FAST_TOKEN_MAX 2048	   /* bytes of a XEP-0484 token; Prosody's have 39 */
#define FAST_MECHANISM_MAX 32	   /* "HT-SHA-256-NONE"; SASL allows 20 */
#define TICKET_MAX (16 * 1024)	   /* base64 of a TLS session: with the server's certificate 2 to 6 kB */

#define LINK_FIRST_GRANT 1000	   /* outbound numbers free to use in a new session before the first GRANT */

#define LINK_START_FIELDS(F)                                                                              \
	F(STR, jid, JID_MAX)	      /* bare */                                                          \
	F(STR, password, SECRET_MAX)                                                                      \
	F(STR, resource, 1023)	      /* wanted; "" = the server chooses */                               \
	F(STR, host, 255)	      /* "" = SRV lookup of the JID's domain */                           \
	F(U32, port, 0)		      /* with host; 0 = 5222 or 5223 by tls */                            \
	F(U32, tls, 0)		      /* enum link_tls_mode */                                            \
	F(STR, ca_pem, CA_PEM_MAX)    /* more trust anchors for this account alone */                     \
	F(BOOL, allow_plain, 0)	      /* SASL PLAIN over verified TLS allowed */                          \
	F(STR, sm_id, SM_ID_MAX)      /* "" = nothing to resume */                                        \
	F(STR, sm_location, 1024)     /* XEP-0198 location, host[:port] */                                \
	F(U32, sm_in, 0)	      /* committed inbound count */                                       \
	F(U32, sm_out, 0)	      /* outbound stanzas that the server has acknowledged */             \
	F(U32, grant, 0)	      /* may send up to this outbound number before asking for more */    \
	F(STR, features, FEATURES_MAX) /* READY's of the session to resume, one a line */                 \
	F(U32, archive, 0)	      /* READY's of the session to resume */                              \
	F(BOOL, stanza_ids, 0)	      /* READY's of the session to resume */                              \
	/* What was learned from earlier streams; all of it may be "" or 0, or wrong. */                  \
	F(STR, user_agent, 36)	      /* XEP-0388: UUID v4; "" = no tokens */                             \
	F(STR, offer, OFFER_MAX)      /* LOGIN's */                                                       \
	F(U32, pin, 0)		      /* LOGIN's: enum strength; a weaker login is refused */             \
	F(STR, address, 300)	      /* LOGIN's */                                                       \
	F(STR, token, FAST_TOKEN_MAX) F(STR, token_mechanism, FAST_MECHANISM_MAX) /* TOKEN's */               \
	F(U32, avoid, 0)	      /* TOKEN's: mechanisms to ask no token for */                       \
	F(STR, ticket, TICKET_MAX)    /* TICKET's */                                                      \
	F(BOOL, hold, 0)	      /* secure the connection, say PHASE_HELD, and wait for RESUME */

/*
 * The session is yours: go on, with these numbers instead of START's. The wire that had it is dead. May come before
 * PHASE_HELD, which then need not come (docs/decisions/0013).
 */
#define LINK_RESUME_FIELDS(F) F(U32, sm_in, 0) F(U32, sm_out, 0) F(U32, grant, 0)

#define LINK_COMMITTED_FIELDS(F) F(U32, n, 0)
#define LINK_GRANT_FIELDS(F) F(U32, n, 0)

/* One archive page (XEP-0313 with XEP-0059). */
#define LINK_QUERY_FIELDS(F)                                                                            \
	F(U32, query, 0)	    /* the keeper's number, never reused on a link */                   \
	F(STR, archive, JID_MAX)    /* "" = own account */                                              \
	F(BOOL, backward, 0)	    /* RSM <before>: pages from the newer end */                        \
	F(STR, cursor, ID_MAX)	    /* id in <before> or <after>; "" = from that end */                 \
	F(I64, start_us, 0)	    /* form field start, inclusive; 0 = none */                         \
	F(I64, end_us, 0)	    /* form field end, inclusive; 0 = none */                           \
	F(STR, with, JID_MAX)	    /* form field with: one conversation; "" = all */                   \
	F(U32, max, 0)

#define LINK_META_QUERY_FIELDS(F) F(U32, query, 0) F(STR, archive, JID_MAX)
/* final: send </stream:stream> and give the session up (the user disconnected); else leave it resumable. */
#define LINK_STOP_FIELDS(F) F(BOOL, final, 0)

/*
 * One item of the outbox. The wire answers NUMBERED, in the order of SENDs, or UNSENDABLE. By kind:
 *   OUT_TEXT        body; reply_id, reply_jid: what it answers (XEP-0461). Asks for a receipt and may be marked.
 *   OUT_CORRECTION  body, target_id (XEP-0308)
 *   OUT_RETRACTION  target_id (XEP-0424, with its fallback body)
 *   OUT_REACTION    target_id, text: emoji separated by '\n', "" = all taken back (XEP-0444)
 *   OUT_RECEIPT     target_id (XEP-0184)
 *   OUT_MARKER      target_id (XEP-0333 displayed)
 *   OUT_READ        to: the conversation, target_id: stanza-id by our own archive (XEP-0490): an iq, not a message
 */
#define LINK_SEND_FIELDS(F)                                                                             \
	F(U64, item, 0)		    /* the keeper's */                                                  \
	F(U32, kind, 0)		    /* enum out_kind */                                                 \
	F(STR, to, JID_MAX)                                                                             \
	F(STR, id, ID_MAX)	    /* the stanza's id, and its origin-id */                            \
	F(STR, body, BODY_MAX)                                                                          \
	F(STR, target_id, ID_MAX)                                                                       \
	F(STR, text, SHORT_TEXT_MAX)                                                                    \
	F(STR, reply_id, ID_MAX)                                                                        \
	F(STR, reply_jid, JID_MAX)                                                                      \
	F(I64, delay_us, 0)	    /* when it was written (XEP-0203), 0 = just now */

#define LINK_GO_FIELDS(F) F(U32, n, 0)
/* Number n is not to be sent as that item; before a GO that covers it. Something harmless uses the number up. */
#define LINK_WITHDRAW_FIELDS(F) F(U32, n, 0)

/* Chat state (XEP-0085) to somebody; not kept, lost without notice. state: enum link_chat_state_id. */
#define LINK_CHAT_STATE_FIELDS(F) F(STR, to, JID_MAX) F(U32, state, 0)

/*
 * A question to the server that the user asked for, while online. Answered by RESULT; one that the stream did not
 * outlive has none. By kind:
 *   REQUEST_ROSTER_SET     jid, name, text: groups, one a line (RFC 6121 section 2.3)
 *   REQUEST_ROSTER_REMOVE  jid
 *   REQUEST_BLOCK, REQUEST_UNBLOCK  jid (XEP-0191)
 *   REQUEST_SUBSCRIPTION   jid, name: subscribe subscribed unsubscribe unsubscribed: RESULT as soon as it is sent
 *   REQUEST_PUSH_ENABLE, REQUEST_PUSH_DISABLE  jid: of the service, name: node (XEP-0357)
 *   REQUEST_PRESENCE       name: show ("" away chat dnd xa), text: status: to everybody; RESULT as soon as it is sent
 */
#define LINK_REQUEST_FIELDS(F)                                                                          \
	F(U32, request, 0)	    /* the keeper's number, never reused on a link */                   \
	F(U32, kind, 0)		    /* enum link_request_kind */                                        \
	F(STR, jid, JID_MAX) F(STR, name, SHORT_TEXT_MAX) F(STR, text, 8192)

/* Whether somebody looks at a screen (XEP-0352). The wire tells the server again after each resume by itself. */
#define LINK_ACTIVE_FIELDS(F) F(BOOL, active, 0)

/*
 * Tell the server now what is committed; then it has to show within ${answer_ms} that it is there, which ALIVE says, or
 * the stream is over: at once if our end's address is gone, also before ONLINE. 0: only tell.
 */
#define LINK_PROBE_FIELDS(F) F(U32, answer_ms, 0) F(U32, probe, 0)
/* The server has answered; ${probe}: that of the last PROBE, 0 without any. */
#define LINK_ALIVE_FIELDS(F) F(U32, probe, 0)
/* The server owes an answer for some seconds: ALIVE follows, or FAILED, mostly within ${answer_ms}. */
#define LINK_SILENT_FIELDS(F) F(U32, answer_ms, 0)

/* A silent stream is asked after so long whether it is there (core/ping.h); 300 s unless told. tell: by PINGED. */
#define LINK_PING_FIELDS(F) F(U32, after_s, 0) F(BOOL, tell, 0)

/*
 * So long nothing was heard, then we asked. alive: an answer came, so a longer silence may be tried; told only if that
 * would be longer than PING's. Else there was none, and FAILED follows.
 */
#define LINK_PINGED_FIELDS(F) F(BOOL, alive, 0) F(U32, silence_s, 0)

/*
 * So long ago the last byte of the server was read: before FAILED, and after STOP. What was sent since then may be lost.
 * And 0, when something was read while nothing was told for a quarter of PING's time: the keeper knows by that that the wire is
 * alive (core/ping.h).
 */
#define LINK_HEARD_FIELDS(F) F(U32, silence_s, 0)

/* The stream got this far (enum link_phase_id); the keeper re-arms the phase's deadline. */
#define LINK_PHASE_FIELDS(F) F(U32, phase, 0)

#define LINK_ONLINE_FIELDS(F)                                                                           \
	F(BOOL, resumed, 0)                                                                             \
	F(STR, jid, JID_MAX)	    /* full JID as bound; "" when resumed */                            \
	F(STR, sm_id, SM_ID_MAX)    /* "" = no stream management: every break is a new session */       \
	F(BOOL, counted, 0)	    /* stanzas have numbers; also without resumption (sm_id "") */      \
	F(STR, sm_location, 1024)                                                                       \
	F(U32, sm_max, 0)	    /* seconds the server keeps it; 0 = not said */                     \
	F(U32, sm_in, 0)	    /* inbound count now: 0 after a bind, START's after a resume */     \
	F(U32, sm_out, 0)	    /* outbound acknowledged: 0 after a bind, the server's h after a resume */ \
	F(U32, flights, 0)	    /* client flights from TCP connect to here */                       \
	F(U32, round_trip_us, 0)    /* what one of them took, as far as TLS shows; 0 = not known */         \
	F(STR, mechanism, 64)                                                                           \
	F(STR, address, 300)	    /* what answered: "203.0.113.9:5223" */

/*
 * What to remember for the next START; sent when it differs from this one's. An offer is told with ONLINE, so only
 * once the server has proved that it knows the secret; or "", as soon as what START said turns out wrong.
 */
#define LINK_LOGIN_FIELDS(F) F(STR, offer, OFFER_MAX) F(U32, pin, 0) F(STR, address, 300)

/* The server gave a token (XEP-0484): store it, then forget the old one. "": the one in START is no good. */
#define LINK_TOKEN_FIELDS(F)                                                                            \
	F(STR, token, FAST_TOKEN_MAX) F(STR, mechanism, FAST_MECHANISM_MAX) F(I64, expiry_us, 0)            \
	F(U32, avoid, 0)	    /* START's, and one more if that is why */

/* A TLS session that this connection could be followed by (RFC 8446 section 4.6.1), for one START. Never with early data. */
#define LINK_TICKET_FIELDS(F) F(STR, ticket, TICKET_MAX)

/* <failed/>: the old session is gone, the wire goes on to bind; or <resumed/> that cannot be right, and the wire fails. */
#define LINK_RESUME_REFUSED_FIELDS(F) F(STR, condition, 64) F(BOOL, has_h, 0) F(U32, h, 0)

/* Disco of server and account is known; archive: enum link_archive_kind. Queries may be asked from here on. */
#define LINK_READY_FIELDS(F)                                                                            \
	F(U32, archive, 0) F(BOOL, stanza_ids, 0) F(STR, features, FEATURES_MAX)                        \
	F(BOOL, untold, 0)	    /* the account's answer was none: what it alone has is not in features */

/* A resumed session: all that the server had kept for it has come, up to number n. What it says from here on is of now. */
#define LINK_RESENT_FIELDS(F) F(U32, n, 0)

#define LINK_FIN_FIELDS(F)                                                                              \
	F(U32, n, 0) F(U32, query, 0) F(BOOL, complete, 0) F(BOOL, stable, 0)                           \
	F(STR, first, ID_MAX) F(STR, last, ID_MAX)

#define LINK_META_FIELDS(F)                                                                             \
	F(U32, n, 0) F(U32, query, 0) F(BOOL, empty, 0)                                                 \
	F(STR, start_id, ID_MAX) F(I64, start_us, 0) F(STR, end_id, ID_MAX) F(I64, end_us, 0)

/* The server refused; condition as in RFC 6120 section 8.3.3 ("item-not-found": the cursor is unknown). */
#define LINK_QUERY_FAILED_FIELDS(F) F(U32, n, 0) F(U32, query, 0) F(STR, condition, 64) F(STR, text, SHORT_TEXT_MAX)

#define LINK_ROSTER_FIELDS(F)                                                                           \
	F(U32, n, 0) F(STR, jid, JID_MAX) F(STR, name, SHORT_TEXT_MAX)                                  \
	F(STR, subscription, 16)    /* none to from both remove */                                      \
	F(BOOL, ask, 0) F(STR, groups, 8192) /* one a line */                                           \
	F(BOOL, reset, 0)	    /* first item of a full roster: what is not named again is gone */  \
	F(BOOL, last, 0)

#define LINK_ACKED_FIELDS(F) F(U32, n, 0)    /* the server has our stanzas up to n */
#define LINK_SENT_FIELDS(F) F(U32, n, 0)     /* we have sent up to n: time to GRANT more */
#define LINK_IDLE_FIELDS(F) F(U32, n, 0)

#define LINK_NUMBERED_FIELDS(F) F(U64, item, 0) F(U32, n, 0)
/* It can never be sent as it is (too long for a stanza, say); nothing else is hurt. */
#define LINK_UNSENDABLE_FIELDS(F) F(U64, item, 0) F(STR, condition, 64) F(STR, text, SHORT_TEXT_MAX)
#define LINK_RESULT_FIELDS(F)                                                                           \
	F(U32, n, 0) F(U32, request, 0) F(BOOL, ok, 0)                                                  \
	F(STR, condition, 64) F(STR, text, SHORT_TEXT_MAX) /* RFC 6120 section 8.3.3 */

/* Presence of somebody (RFC 6121 section 4): type "" (available) unavailable subscribe subscribed unsubscribe
 * unsubscribed error. */
#define LINK_PRESENCE_FIELDS(F)                                                                         \
	F(U32, n, 0) F(STR, from, JID_MAX) F(STR, type, 16)                                             \
	F(STR, show, 8)		    /* "" away chat dnd xa */                                           \
	F(STR, status, SHORT_TEXT_MAX)                                                                  \
	F(I64, priority, 0)

/* Somebody's chat state, live; n is 0 when the same stanza also made a MSG. */
#define LINK_TYPING_FIELDS(F) F(U32, n, 0) F(STR, from, JID_MAX) F(U32, state, 0)

/* The block list (XEP-0191): of a full one, or one push. */
#define LINK_BLOCKED_FIELDS(F)                                                                          \
	F(U32, n, 0) F(STR, jid, JID_MAX)                                                               \
	F(BOOL, blocked, 0)	    /* false: unblocked; with jid "": all are */                        \
	F(BOOL, reset, 0)	    /* first of a full list: what is not named again is not blocked */  \
	F(BOOL, last, 0)

/* Another device of ours has read up to here (XEP-0490); all of them are told once after a bind. */
#define LINK_READ_FIELDS(F) F(U32, n, 0) F(STR, jid, JID_MAX) F(STR, stanza_id, ID_MAX)

/* What the stream died of; the keeper decides what to do. enum link_failure. Last record but for the close. */
#define LINK_FAILED_FIELDS(F) F(U32, failure, 0) F(STR, condition, 64) F(STR, text, SHORT_TEXT_MAX)

/* M(NAME, name, struct tag, fields, direction). MSG stands apart only because core/message.h declares its struct. */
#define LINK_VOCABULARY_OWN(M)                                                                         \
	M(START, start, link_start, LINK_START_FIELDS, TO_WIRE)                                        \
	M(COMMITTED, committed, link_committed, LINK_COMMITTED_FIELDS, TO_WIRE)                        \
	M(GRANT, grant, link_grant, LINK_GRANT_FIELDS, TO_WIRE)                                        \
	M(QUERY, query, link_query, LINK_QUERY_FIELDS, TO_WIRE)                                        \
	M(META_QUERY, meta_query, link_meta_query, LINK_META_QUERY_FIELDS, TO_WIRE)                    \
	M(SEND, send, link_send, LINK_SEND_FIELDS, TO_WIRE)                                            \
	M(GO, go, link_go, LINK_GO_FIELDS, TO_WIRE)                                                    \
	M(WITHDRAW, withdraw, link_withdraw, LINK_WITHDRAW_FIELDS, TO_WIRE)                            \
	M(CHAT_STATE, chat_state, link_chat_state, LINK_CHAT_STATE_FIELDS, TO_WIRE)                    \
	M(REQUEST, request, link_request, LINK_REQUEST_FIELDS, TO_WIRE)                                \
	M(ACTIVE, active, link_active, LINK_ACTIVE_FIELDS, TO_WIRE)                                    \
	M(PROBE, probe, link_probe, LINK_PROBE_FIELDS, TO_WIRE)                                        \
	M(PING, ping, link_ping, LINK_PING_FIELDS, TO_WIRE)                                            \
	M(STOP, stop, link_stop, LINK_STOP_FIELDS, TO_WIRE)                                            \
	M(RESUME, resume, link_resume, LINK_RESUME_FIELDS, TO_WIRE)                                    \
	M(PHASE, phase, link_phase, LINK_PHASE_FIELDS, TO_KEEPER)                                      \
	M(ONLINE, online, link_online, LINK_ONLINE_FIELDS, TO_KEEPER)                                  \
	M(RESUME_REFUSED, resume_refused, link_resume_refused, LINK_RESUME_REFUSED_FIELDS, TO_KEEPER)  \
	M(LOGIN, login, link_login, LINK_LOGIN_FIELDS, TO_KEEPER)                                      \
	M(TOKEN, token, link_token, LINK_TOKEN_FIELDS, TO_KEEPER)                                      \
	M(TICKET, ticket, link_ticket, LINK_TICKET_FIELDS, TO_KEEPER)                                  \
	M(READY, ready, link_ready, LINK_READY_FIELDS, TO_KEEPER)                                      \
	M(RESENT, resent, link_resent, LINK_RESENT_FIELDS, TO_KEEPER)                                  \
	M(FIN, fin, link_fin, LINK_FIN_FIELDS, TO_KEEPER)                                              \
	M(META, meta, link_meta, LINK_META_FIELDS, TO_KEEPER)                                          \
	M(QUERY_FAILED, query_failed, link_query_failed, LINK_QUERY_FAILED_FIELDS, TO_KEEPER)          \
	M(ROSTER, roster, link_roster, LINK_ROSTER_FIELDS, TO_KEEPER)                                  \
	M(ACKED, acked, link_acked, LINK_ACKED_FIELDS, TO_KEEPER)                                      \
	M(SENT, sent, link_sent, LINK_SENT_FIELDS, TO_KEEPER)                                          \
	M(NUMBERED, numbered, link_numbered, LINK_NUMBERED_FIELDS, TO_KEEPER)                          \
	M(UNSENDABLE, unsendable, link_unsendable, LINK_UNSENDABLE_FIELDS, TO_KEEPER)                  \
	M(RESULT, result, link_result, LINK_RESULT_FIELDS, TO_KEEPER)                                  \
	M(PRESENCE, presence, link_presence, LINK_PRESENCE_FIELDS, TO_KEEPER)                          \
	M(TYPING, typing, link_typing, LINK_TYPING_FIELDS, TO_KEEPER)                                  \
	M(BLOCKED, blocked, link_blocked, LINK_BLOCKED_FIELDS, TO_KEEPER)                              \
	M(READ, read, link_read, LINK_READ_FIELDS, TO_KEEPER)                                          \
	M(PINGED, pinged, link_pinged, LINK_PINGED_FIELDS, TO_KEEPER)                                  \
	M(IDLE, idle, link_idle, LINK_IDLE_FIELDS, TO_KEEPER)                                          \
	M(HEARD, heard, link_heard, LINK_HEARD_FIELDS, TO_KEEPER)                                      \
	M(ALIVE, alive, link_alive, LINK_ALIVE_FIELDS, TO_KEEPER)                                      \
	M(SILENT, silent, link_silent, LINK_SILENT_FIELDS, TO_KEEPER)                                  \
	M(FAILED, failed, link_failed, LINK_FAILED_FIELDS, TO_KEEPER)
#define LINK_VOCABULARY(M) LINK_VOCABULARY_OWN(M) M(MSG, msg, message, MESSAGE_FIELDS, TO_KEEPER)

enum link_tls_mode {
	TLS_AUTO,     /* with SRV: by record; with a host: direct on 5223, else STARTTLS */
	TLS_DIRECT,   /* XEP-0368 */
	TLS_STARTTLS,
};

enum link_phase_id { /* each has a deadline in sync/peer.c */
	PHASE_RESOLVE,
	PHASE_CONNECT,
	PHASE_TLS,
	PHASE_HELD, /* secured; waits for RESUME */
	PHASE_FEATURES,
	PHASE_AUTH,
	PHASE_BIND,
	PHASE_SETTLE, /* after ONLINE: carbons, disco, roster, until READY */
};

enum link_archive_kind {
	ARCHIVE_NONE,	  /* the account's server has no urn:xmpp:mam:2 */
	ARCHIVE_BASIC,
	ARCHIVE_EXTENDED, /* urn:xmpp:mam:2#extended */
};

enum link_chat_state_id { CHAT_ACTIVE, CHAT_COMPOSING, CHAT_PAUSED, CHAT_INACTIVE, CHAT_GONE, CHAT_STATES };

enum link_request_kind {
	REQUEST_ROSTER_SET,
	REQUEST_ROSTER_REMOVE,
	REQUEST_BLOCK,
	REQUEST_UNBLOCK,
	REQUEST_SUBSCRIPTION,
	REQUEST_PRESENCE,
	REQUEST_PUSH_ENABLE,
	REQUEST_PUSH_DISABLE,
	REQUEST_KINDS
};

enum link_failure {
	FAILURE_DNS,	    /* retry */
	FAILURE_CONNECT,    /* retry */
	FAILURE_TLS,	    /* handshake broke; retry */
	FAILURE_CERT,	    /* not trusted, expired, wrong host: retry slowly, say so */
	FAILURE_NO_TLS,	    /* the server offers none, or STARTTLS was stripped: retry slowly, say so */
	FAILURE_AUTH,	    /* refused: stop until the user acts */
	FAILURE_MECHANISM,  /* nothing acceptable offered: stop until the user acts */
	FAILURE_PROTOCOL,   /* unparsable or not as the RFC says; retry */
	FAILURE_STREAM,	    /* <stream:error/>; condition says which; retry, "conflict" slowly */
	FAILURE_LOST,	    /* connection reset or closed; condition "closed": by the other end; retry */
	FAILURE_GUESS,	    /* what START remembered did not hold, and is forgotten: retry at once, once */
	FAILURE_CONFIG,	    /* START itself is unusable (CA file does not parse): stop until the user acts */
};

enum link_kind {
#define LINK_ENUM(NAME, name, tag, fields, dir) LINK_##NAME,
	LINK_VOCABULARY(LINK_ENUM)
#undef LINK_ENUM
		LINK_KINDS
};

#define LINK_STRUCT(NAME, name, tag, fields, dir) \
	struct tag {                              \
		fields(FIELD_DECL)                \
	};
LINK_VOCABULARY_OWN(LINK_STRUCT)
#undef LINK_STRUCT

/* Any record. Strings belong to whoever filled it; from the reader they live until the callback returns. */
struct link_record {
	enum link_kind kind;
	union {
#define LINK_MEMBER(NAME, name, tag, fields, dir) struct tag name;
		LINK_VOCABULARY(LINK_MEMBER)
#undef LINK_MEMBER
	};
};
