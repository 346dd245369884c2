/*
 * The inside of struct stream, shared by stream.c (life and death), network.c (what the network says), keeper.c (what
 * the keeper says), negotiate.c (until the session stands), login.c and sasl2.c (authentication), session.c (stanzas)
 * and turn.c (what is due after each batch). Nobody else includes this.
 */
#pragma once

#include <strophe.h>

#include "base/buf.h"
#include "wire/choice.h"
#include "wire/iq.h"
#include "wire/mam.h"
#include "wire/mds.h"
#include "wire/outgoing.h"
#include "wire/pool.h"
#include "wire/record.h"
#include "wire/request.h"
#include "wire/sasl.h"
#include "wire/settle.h"
#include "wire/sm.h"
#include "wire/stream.h"
#include "wire/transport.h"
#include "wire/xml.h"

enum stream_state {
	STREAM_NEW,
	STREAM_RESOLVE,
	STREAM_CONNECT,
	STREAM_FEATURES, /* header sent; in clear if STARTTLS is to follow */
	STREAM_STARTTLS, /* waiting for <proceed/> */
	STREAM_TLS,
	STREAM_HELD, /* secured: waiting for RESUME */
	STREAM_AUTH,
	STREAM_RESTARTED, /* logged in, second header sent */
	STREAM_RESUME,
	STREAM_BIND,
	STREAM_ENABLE,
	STREAM_SETTLE, /* online: stanzas count */
	STREAM_READY,
	STREAM_STOPPED,
	STREAM_FAILED,
};

/* Authentication: login.c. */
struct login_state {
	struct offer guess;   /* START's: what the server offered last time */
	bool may_guess;	      /* there is one */
	bool guessed;	      /* something went out on the strength of it, and is not settled */
	bool wrong;	      /* it did not hold; the keeper was told */
	struct offer offer;   /* this stream's */
	struct choice choice; /* what was sent */
	struct choice next;   /* after the refusal that a wrong guess gets */
	bool has_next;
	bool refused_before;  /* on this stream: a second refusal proves nothing about the password */
	bool asked_resume;    /* inline */
	bool asked_bind;      /* with the second header, or inline */
	char address[72];     /* that this stream is connected to, as endpoint_text() */
	bool told;	      /* what the keeper remembers is not START's any more */
	sd_event_source *patience; /* for the answer to a token */
};

struct stream {
	sd_event *event;
	struct link *link;
	struct link_start start; /* strings owned */
	enum stream_state state; /* set by stream_enter() alone */
	int phase; /* the last PHASE sent, -1 before */
	sd_event_source *timer;
	sd_event_source *post;

	struct transport *transport;
	struct pool *pool; /* of ${ctx} */
	xmpp_ctx_t *ctx;
	struct xml *xml;
	struct sasl *sasl;
	struct login_state login;
	char *domain;
	char *user;
	char *bare;
	char address[64];
	bool direct;
	bool by_memory; /* connected to START's address */
	char *dns_why; /* DNS failed while an address was being tried */
	bool offers_sm;
	const char *mechanism;
	char *bind_id;

	struct record_context context; /* points to ${bare} and ${domain} */
	struct iq_table *iqs;
	struct mam *mam;
	struct settle *settle;
	struct mds *mds;
	struct requests *requests;
	bool told_active, active; /* by the keeper: somebody looks at a screen */
	char *full; /* as bound, NULL when resumed */

	struct sm sm;
	uint32_t named; /* the last inbound number that a record told the keeper */
	uint32_t sent_told; /* the last number of a SENT */
	struct outgoing *outgoing;
	bool deaf; /* nothing is read from the network at the moment */

	int64_t heard_us; /* CLOCK_BOOTTIME of the last byte from the server, or when we began to listen again */
	int64_t read_us;  /* of the last byte */
	int64_t told_us;  /* of the last record to the keeper */
	int64_t probed_us; /* of the unanswered probe, 0 without */
	int64_t silence_us; /* before it; 0 = something else has happened to the network meanwhile, or it is told already */
	int64_t ping_us;    /* such a silence ends with a probe */
	bool ping_tell;
	int64_t alive_us; /* the answer to the keeper's probe is due, 0 without one: nothing else counts as a sign of life */
	uint32_t probe;	  /* the number of the keeper's last */
	bool asked_before; /* the open question is older than it */
	int64_t silent_us; /* since then the keeper knows that an answer is owed; 0: it is not, or was given */
	int64_t asked_us; /* when we last asked for the server's count */
	int64_t item_us; /* since when an item waits for it, or it last moved; 0: none does */
	int64_t moved_us; /* when the other end's TCP last took some of much that was under way */
	bool moving; /* much was, when we last looked */
	enum { RESENT_SAID, RESENT_TO_ASK, RESENT_ASKED } resent; /* RESENT: there is nothing to say, or how far it is */
	int64_t ack_owed_us; /* since when a commit is untold, 0 if none */
	int64_t timer_us; /* what the timer is set to, 0 off */
	bool timer_urgent; /* it is not for the next probe */
};

/* network.c: what transport_new() is told */
extern const struct transport_ops stream_network;

/* stream.c */
#define LAST_WORDS_US (1 * USEC_PER_SEC) /* for the keeper to take FAILED; it reads all the time */

/* The only way to change the state: checks the move, logs it, tells the keeper the phase. */
void stream_enter(struct stream *s, enum stream_state state);
bool stream_is_over(const struct stream *s);
bool stream_is_online(const struct stream *s);
/* HEARD, of a stream that was online. */
void stream_say_heard(struct stream *s);
/* The process has done its work: STREAM_STOPPED or STREAM_FAILED, and the end of the event loop. */
void stream_finish(struct stream *s, enum stream_state state);
/* The end: FAILED to the keeper, then the process. Strings are cut as needed. */
void stream_fail(struct stream *s, enum link_failure failure, const char *condition, const char *text);
/* The same, after telling the server by a stream error ${condition} (and ${detail}, XML inside it, or ""). */
void stream_reject(struct stream *s, enum link_failure failure, const char *condition, const char *detail,
		   const char *text);
/* To the keeper; what the link refuses is sent again as PAYLOAD_DROPPED. */
void stream_emit(struct stream *s, const struct link_record *r);
/* To the server, as it is, uncounted. */
void stream_write(struct stream *s, const char *xml);
void stream_writef(struct stream *s, const char *fmt, ...) _printf_(2, 3);

/* turn.c */

/* A stanza to the server: counted, and held back until the grant reaches it and nothing waits before it. */
void stream_send(struct stream *s, const char *xml);
/* An item of the outbox: NUMBERED or UNSENDABLE to the keeper. */
void stream_send_item(struct stream *s, const struct link_send *send);
void stream_withdraw(struct stream *s, uint32_t n);
/* What does the server have? Any answer also says that it is alive. */
void stream_ask(struct stream *s, int64_t now_us);
/* PROBE: acknowledge; then, unless ${answer_ms} is 0, be answered within it or end the stream. */
void stream_probe(struct stream *s, const struct link_probe *p);
/* RESUME: the session's numbers; go on, now or as soon as the connection is secure. */
void stream_resume(struct stream *s, const struct link_resume *r);
/* PING of link/vocab.h, bounded. */
void stream_ping(struct stream *s, uint32_t after_s, bool tell);
/* The silence that ended with a probe was survived, or not: PINGED. Without such a probe nothing happens. */
void stream_pinged(struct stream *s, bool alive);
/* After each batch of input of any kind: what waited, acks, IDLE, SENT, liveness, gate, timer. */
void stream_turn(struct stream *s);
/* Read the network, or stop while somebody behind us does not keep up. */
void stream_gate(struct stream *s);
/* ${userdata} is the stream. */
int stream_on_timer(sd_event_source *source, uint64_t usec, void *userdata);

/* login.c */

/* Right behind the header: authenticate on the strength of what was offered last time, if anything was. */
void login_guess(struct stream *s);
/* The features before the login. */
void login_features(struct stream *s, xmpp_stanza_t *features);
/* An element while authenticating. */
void login_element(struct stream *s, xmpp_stanza_t *el);
/* The guess did not hold: have the keeper forget it. Nothing without a guess. */
void login_guess_wrong(struct stream *s);
/* The address is somebody else's: have the keeper forget it. */
void login_forget_address(struct stream *s);
/* The session stands: tell the keeper what to remember. */
void login_remember(struct stream *s);
void login_deinit(struct login_state *l);

/* sasl2.c */

/* <authenticate/> with everything that goes with it, for ${choice}. */
void sasl2_write(struct stream *s, const char *initial);
/* <success/>, proved. */
void sasl2_success(struct stream *s, xmpp_stanza_t *success);

/* negotiate.c */

/* The login is done, a new stream begins: header and what may go with it. */
void negotiate_restart(struct stream *s);
/* The login is done on the same stream, and neither resumed nor bound: the features decide. */
void negotiate_await_features(struct stream *s);
/* <resume/> */
void negotiate_write_resume(const struct stream *s, struct buf *b);
/* <failed/>: tell the keeper. */
void negotiate_refused(struct stream *s, xmpp_stanza_t *failed);
/* The full JID ${jid} that the server bound. False: it is none, the stream has failed. */
bool negotiate_take_jid(struct stream *s, const char *jid);
/* The server said what has no place there. */
void negotiate_unexpected(struct stream *s, xmpp_stanza_t *el);

/* Open the stream: TCP is up (and TLS, when secure). */
void negotiate_header(struct stream *s);
/* An element before the session stands. */
void negotiate_element(struct stream *s, xmpp_stanza_t *el);

/* session.c */

/* The session stands: ONLINE, then settle or READY. */
void session_bound(struct stream *s, xmpp_stanza_t *enabled);
void session_resumed(struct stream *s, xmpp_stanza_t *resumed);
/* <enable/> and the stanzas of settling: in one flight with the bind. */
void session_open(struct stream *s);
/* The resource is bound. */
void session_start(struct stream *s);
/* The features of a stream that is logged in. */
void session_features(struct stream *s, xmpp_stanza_t *features);
/* The keeper says whether somebody looks (XEP-0352); told to the server now and at the beginning of each stream. */
void session_active(struct stream *s, bool active);
/* The server has our stanzas up to ${h}; not ${counted}: a ping behind number ${h} was answered. */
void stream_on_count(struct stream *s, uint32_t h, bool counted);
/* Bound and enabled in one answer (XEP-0386): ${enabled} as for session_bound(). */
void session_inline(struct stream *s, xmpp_stanza_t *enabled);
/* An element of a session that stands. */
void session_element(struct stream *s, xmpp_stanza_t *el, const char *dropped);
