#define _GNU_SOURCE
#include "wire/stream.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/jid.h"
#include "core/ping.h"
#include "core/text.h"
#include "wire/limits.h"
#include "wire/ns.h"
#include "wire/stream-private.h"
#include "wire/tls.h"

#define BIT(state) (1u << (state))
#define NO_PHASE -1

static const struct {
	const char *name;
	int phase;
	uint32_t next; /* besides STOPPED and FAILED, which are always allowed */
} states[] = {
	[STREAM_NEW] = { "new", NO_PHASE, BIT(STREAM_RESOLVE) },
	[STREAM_RESOLVE] = { "resolve", PHASE_RESOLVE, BIT(STREAM_CONNECT) },
	[STREAM_CONNECT] = { "connect", PHASE_CONNECT, BIT(STREAM_RESOLVE) | BIT(STREAM_CONNECT) | BIT(STREAM_FEATURES) |
								     BIT(STREAM_TLS) },
	[STREAM_FEATURES] = { "features", PHASE_FEATURES, BIT(STREAM_STARTTLS) | BIT(STREAM_AUTH) },
	[STREAM_STARTTLS] = { "starttls", PHASE_TLS, BIT(STREAM_TLS) },
	[STREAM_TLS] = { "tls", PHASE_TLS, BIT(STREAM_HELD) | BIT(STREAM_FEATURES) },
	[STREAM_HELD] = { "held", PHASE_HELD, BIT(STREAM_FEATURES) },
	[STREAM_AUTH] = { "auth", PHASE_AUTH, BIT(STREAM_RESTARTED) },
	[STREAM_RESTARTED] = { "restarted", PHASE_BIND, BIT(STREAM_RESUME) | BIT(STREAM_BIND) },
	[STREAM_RESUME] = { "resume", PHASE_BIND, BIT(STREAM_BIND) | BIT(STREAM_SETTLE) },
	[STREAM_BIND] = { "bind", PHASE_BIND, BIT(STREAM_ENABLE) | BIT(STREAM_SETTLE) },
	[STREAM_ENABLE] = { "enable", PHASE_BIND, BIT(STREAM_SETTLE) },
	[STREAM_SETTLE] = { "settle", PHASE_SETTLE, BIT(STREAM_READY) },
	[STREAM_READY] = { "ready", NO_PHASE, 0 },
	[STREAM_STOPPED] = { "stopped", NO_PHASE, 0 },
	[STREAM_FAILED] = { "failed", NO_PHASE, 0 },
};

void stream_enter(struct stream *s, enum stream_state state)
{
	int phase = states[state].phase;
	struct link_record r;

	if (!((states[s->state].next | BIT(STREAM_STOPPED) | BIT(STREAM_FAILED)) & BIT(state))) {
		log_error("stream: %s -> %s is no move", states[s->state].name, states[state].name);
		abort();
	}
	log_debug("stream: %s -> %s", states[s->state].name, states[state].name);
	/* The next address gets its own deadline. */
	if (phase != NO_PHASE && (phase != s->phase || state == STREAM_CONNECT)) {
		s->phase = phase;
		link_record_init(&r, LINK_PHASE);
		r.phase.phase = (uint32_t)phase;
		stream_emit(s, &r);
	}
	s->state = state;
}

bool stream_is_over(const struct stream *s)
{
	return s->state == STREAM_STOPPED || s->state == STREAM_FAILED;
}

bool stream_has_failed(const struct stream *s)
{
	return s->state == STREAM_FAILED;
}

bool stream_is_online(const struct stream *s)
{
	return s->state == STREAM_SETTLE || s->state == STREAM_READY;
}

static uint32_t number_of(const struct link_record *r)
{
	switch (r->kind) {
	case LINK_MSG:
		return r->msg.n;
	case LINK_FIN:
		return r->fin.n;
	case LINK_META:
		return r->meta.n;
	case LINK_QUERY_FAILED:
		return r->query_failed.n;
	case LINK_ROSTER:
		return r->roster.n;
	case LINK_RESULT:
		return r->result.n;
	case LINK_PRESENCE:
		return r->presence.n;
	case LINK_TYPING:
		return r->typing.n;
	case LINK_BLOCKED:
		return r->blocked.n;
	case LINK_READ:
		return r->read.n;
	case LINK_IDLE:
		return r->idle.n;
	default:
		return 0;
	}
}

void stream_emit(struct stream *s, const struct link_record *r)
{
	struct link_record marker;
	uint32_t n = number_of(r);
	int e = link_send(s->link, r);

	s->told_us = clock_boot_us();
	if ((e == -EMSGSIZE || e == -EBADMSG) && r->kind == LINK_MSG) {
		/* wire/record.c keeps every limit, so this is a mistake of ours; the number must be told all the same. */
		log_warning("a message did not fit the link");
		link_record_init(&marker, LINK_MSG);
		marker.msg.n = r->msg.n;
		marker.msg.via = r->msg.via;
		marker.msg.query = r->msg.query;
		marker.msg.payload = PAYLOAD_DROPPED;
		marker.msg.from = marker.msg.to = s->bare;
		marker.msg.type = "normal";
		marker.msg.error_text = "does not fit the link";
		e = link_send(s->link, &marker);
	}
	if (e < 0)
		log_debug("record %s not sent: %s", link_kind_name(r->kind), strerror(-e));
	else if (n)
		s->named = n;
}

void stream_say_heard(struct stream *s)
{
	struct link_record r;

	if (!stream_is_online(s))
		return;
	link_record_init(&r, LINK_HEARD);
	r.heard.silence_s = (uint32_t)((clock_boot_us() - s->read_us + USEC_PER_SEC - 1) / USEC_PER_SEC);
	stream_emit(s, &r);
}

void stream_finish(struct stream *s, enum stream_state state)
{
	stream_enter(s, state);
	link_flush(s->link, LAST_WORDS_US);
	sd_event_exit(s->event, 0);
}

void stream_fail(struct stream *s, enum link_failure failure, const char *condition, const char *text)
{
	_cleanup_(freep) char *cut_condition = xstrndup(condition, text_prefix(condition, 64));
	_cleanup_(freep) char *cut_text = xstrndup(text, text_prefix(text, SHORT_TEXT_MAX));
	_cleanup_(freep) char *clean = text_clean(cut_text);
	struct link_record r;

	if (stream_is_over(s))
		return;
	/* What ends a stream on which we ran ahead may be our own haste: the next one does not. */
	if (s->login.guessed &&
	    (failure == FAILURE_STREAM || failure == FAILURE_PROTOCOL || failure == FAILURE_LOST)) {
		login_guess_wrong(s);
		failure = FAILURE_GUESS;
	}
	/* Somebody else may live there by now. */
	if (s->by_memory && s->state < STREAM_AUTH &&
	    (failure == FAILURE_CERT || failure == FAILURE_TLS || failure == FAILURE_NO_TLS || failure == FAILURE_PROTOCOL)) {
		login_forget_address(s);
		failure = FAILURE_GUESS;
	}
	/* A NAT that has forgotten us says nothing, or resets what it does not know. */
	if (failure == FAILURE_LOST)
		stream_pinged(s, false);
	stream_say_heard(s);
	link_record_init(&r, LINK_FAILED);
	r.failed.failure = failure;
	r.failed.condition = cut_condition;
	r.failed.text = strlen(clean) <= SHORT_TEXT_MAX ? clean : "";
	stream_emit(s, &r);
	stream_finish(s, STREAM_FAILED);
}

void stream_reject(struct stream *s, enum link_failure failure, const char *condition, const char *detail,
		   const char *text)
{
	/* An application's condition stands beside undefined-condition (RFC 6120 section 4.9.4). */
	const char *wire_condition = *detail ? "undefined-condition" : condition;

	if (stream_is_over(s))
		return;
	stream_writef(s, "<stream:error><%s xmlns='" NS_STREAMS_ERROR "'/>%s</stream:error></stream:stream>",
		      wire_condition, detail);
	stream_fail(s, failure, condition, text);
	transport_finish(s->transport, CLOSE_WAIT_US);
}

void stream_write(struct stream *s, const char *xml)
{
	transport_write(s->transport, xml, strlen(xml));
}

void stream_writef(struct stream *s, const char *fmt, ...)
{
	_cleanup_(freep) char *xml = NULL;
	va_list ap;

	va_start(ap, fmt);
	xml = xvasprintf(fmt, ap);
	va_end(ap);
	stream_write(s, xml);
}

/* After any dispatch: the keeper may have read, so that the network may be read again. */
static int on_post(_unused_ sd_event_source *source, void *userdata)
{
	struct stream *s = userdata;

	if (stream_is_online(s))
		stream_gate(s);
	return 0;
}

static void op_send(void *userdata, const char *xml)
{
	stream_send(userdata, xml);
}

static void op_write(void *userdata, const char *xml)
{
	stream_write(userdata, xml);
}

static void op_ask(void *userdata)
{
	stream_ask(userdata, clock_boot_us());
}

static void op_numbered(void *userdata, uint64_t item, uint32_t n)
{
	struct link_record r;

	link_record_init(&r, LINK_NUMBERED);
	r.numbered.item = item;
	r.numbered.n = n;
	stream_emit(userdata, &r);
}

static void op_emit(void *userdata, const struct link_record *r)
{
	stream_emit(userdata, r);
}

static int64_t op_now(_unused_ void *userdata)
{
	return clock_boot_us();
}

#define COPY_STR(name) dst->name = xstrdup(src->name);
#define COPY_U32(name) dst->name = src->name;
#define COPY_BOOL(name) dst->name = src->name;
#define COPY(type, name, max) COPY_##type(name)
static void start_copy(struct link_start *dst, const struct link_start *src)
{
	LINK_START_FIELDS(COPY)
}

/* Some are secrets. */
#define FREE_STR(name)                                                       \
	explicit_bzero((char *)(uintptr_t)start->name, strlen(start->name)); \
	free((char *)(uintptr_t)start->name);
#define FREE_U32(name)
#define FREE_BOOL(name)
#define FREE(type, name, max) FREE_##type(name)
static void start_free(struct link_start *start)
{
	LINK_START_FIELDS(FREE)
}

/* Anything wrong with START itself, before the network is touched. NULL if it is fine. */
static const char *start_problem(const struct stream *s, const char **ret_condition)
{
	struct tls *tls = NULL;

	*ret_condition = "jid";
	if (!jid_is_bare_user(s->start.jid))
		return "the account's address is not of the form name@domain";
	*ret_condition = "ca";
	if (tls_new(s->domain, s->start.ca_pem, false, &tls) != 0)
		return "the account's CA file holds no usable certificate in PEM form";
	tls_free(tls);
	return NULL;
}

static int begin(struct stream *s)
{
	const char *condition, *problem = start_problem(s, &condition);
	struct endpoint last;

	if (problem) {
		stream_fail(s, FAILURE_CONFIG, condition, problem);
		return 0;
	}
	stream_enter(s, STREAM_RESOLVE);
	/* Where the server wants to be resumed comes before where it answered. */
	if (!(*s->start.sm_id && *s->start.sm_location) && endpoint_parse(s->start.address, &last))
		transport_connect(s->transport, &last, 1, false);
	else
		transport_connect(s->transport, NULL, 0, false);
	return 0;
}

int stream_new(sd_event *event, struct link *link, const struct link_start *start, struct stream **ret)
{
	_cleanup_(stream_freep) struct stream *s = xnew(struct stream);
	const struct mam_ops ops = { .send = op_send, .emit = op_emit, .now = op_now, .userdata = s };
	const struct outgoing_ops waits = { .write = op_write, .ask = op_ask, .numbered = op_numbered, .userdata = s };
	int r;

	s->event = sd_event_ref(event);
	s->link = link;
	s->phase = NO_PHASE;
	s->outgoing = outgoing_new(&s->sm, &waits);
	start_copy(&s->start, start);
	s->bare = jid_bare(start->jid);
	s->domain = jid_domain(start->jid);
	s->user = xstrndup(s->bare, strcspn(s->bare, "@"));
	s->mechanism = "";
	s->login.may_guess = offer_parse(&s->login.guess, start->offer);
	s->heard_us = clock_boot_us();
	s->ping_us = PING_FIRST_US;
	s->pool = pool_new();
	s->ctx = xmpp_ctx_new(pool_mem(s->pool), NULL);
	pool_settle(s->pool);
	s->xml = xml_new(s->ctx);
	s->iqs = iq_table_new(s->bare);
	s->mam = mam_new(&s->context, s->iqs, &ops);
	s->settle = settle_new(s->domain, &s->context, s->iqs, &ops);
	settle_know(s->settle, start->archive);
	s->mds = mds_new(s->bare, s->iqs, &ops);
	s->requests = requests_new(s->iqs, &ops);
	r = transport_new(event, &stream_network, s, &s->transport);
	if (r < 0)
		return err_trace(r);
	/* One second early or late does not matter to anything here, and saves wake-ups. */
	r = sd_event_add_time(event, &s->timer, CLOCK_BOOTTIME, 0, USEC_PER_SEC / 4, stream_on_timer, s);
	if (r < 0)
		return err_origin(r);
	sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	r = sd_event_add_post(event, &s->post, on_post, s);
	if (r < 0)
		return err_origin(r);
	r = begin(s);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(s);
	return 0;
}

struct stream *stream_free(struct stream *s)
{
	if (!s)
		return NULL;
	outgoing_free(s->outgoing);
	transport_free(s->transport);
	requests_free(s->requests);
	mds_free(s->mds);
	settle_free(s->settle);
	mam_free(s->mam);
	iq_table_free(s->iqs);
	xml_free(s->xml);
	if (s->ctx)
		xmpp_ctx_free(s->ctx);
	pool_free(s->pool);
	sasl_free(s->sasl);
	login_deinit(&s->login);
	sd_event_source_disable_unref(s->timer);
	sd_event_source_disable_unref(s->post);
	sd_event_unref(s->event);
	start_free(&s->start);
	free(s->domain);
	free(s->user);
	free(s->bare);
	free(s->full);
	free(s->bind_id);
	free(s->dns_why);
	free(s);
	return NULL;
}
