/*
 * Bytes from the server -> what a wire does until its session stands and after: offers, SASL, SASL2 with Bind2 and tokens,
 * resumption. Whatever comes in:
 *
 *   - nothing of a login leaves in clear, no password and no token leaves as it is (but a password by PLAIN, where allowed)
 *   - no mechanism weaker than the pin, none that needs a binding which the channel does not have, no token by another
 *     mechanism than its own
 *   - nobody is believed, for a session, a token, or what is to be remembered, who has not proved that he knows the secret
 *   - a wire that is held back says nothing of a login before it is told to
 *   - a login is three tries of two messages at most, and its bytes are bounded
 *   - records keep the limits of the link, FAILED is the last one
 *
 * Input: two bytes of circumstances (see begin()), then what arrives. Some bytes that XML has no use for stand for what
 * depends on what the client said (see piece()); '\0' ends one read.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "core/text.h"
#include "fuzz.h"
#include "link/link.h"
#include "login-server.h"
#include "records.h"
#include "wire/choice.h"
#include "wire/stream.h"
#include "wire/tls.h"
#include "wire/transport.h"

#define HEADER                                                                                               \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " \
	"version='1.0' from='chat.test' id='1'>"
#define SM_ID "sm-1"
#define TRIES_MAX 3	     /* a wrong guess, a refused token, the password */
#define LOGIN_BYTES_MAX 16384 /* two headers, three tries, bind, settling: 4 kB with these secrets */

static const char *const guesses[] = {
	"",
	"1 4 0 0 0 00001",    /* SASL1, SCRAM-SHA-256, stream management */
	"1 4 4 0 1 11111",    /* SASL2 with everything, tokens without binding */
	"1 64 64 3 7 11111",  /* the same, all bindings */
	"1 1 1 0 0 00000",    /* PLAIN alone */
	"1 0 4 0 2 01000",    /* no SASL1, no resumption */
	"1 2e 2e 1 4 10110",
	"1 ff ff 7 7 11111",
};

/* The transport, in memory; what is written is judged at once. */
struct transport {
	const struct transport_ops *ops;
	void *userdata;
	bool shaking, secure; /* TLS is under way, is up */
	uint32_t bindings; /* CB_* that this channel has */
};

static struct run {
	struct transport transport;
	struct link_start start;
	struct login_server server;
	char bind_id[64];
	int tries, responses;
	size_t written;
	bool proved; /* the server could say what only one who knows the secret can; or the client wanted no proof */
	bool online, failed;
	bool held; /* it may only secure the connection: the session is another wire's */
	struct stream *stream;
} run;

static const char channel[] = "what both ends of this channel have in common";

int transport_new(_unused_ sd_event *event, const struct transport_ops *ops, void *userdata, struct transport **ret)
{
	run.transport.ops = ops;
	run.transport.userdata = userdata;
	*ret = &run.transport;
	return 0;
}

struct transport *transport_free(_unused_ struct transport *t)
{
	return NULL;
}

void transport_connect(_unused_ struct transport *t, _unused_ const struct endpoint *e, _unused_ size_t n, _unused_ bool complete)
{
}

int transport_secure(_unused_ struct transport *t, const char *domain, _unused_ const char *ca_pem, _unused_ const char *ticket,
		     _unused_ bool direct)
{
	must(strcmp(domain, "chat.test") == 0, "TLS for another domain");
	must(!run.transport.secure && !run.transport.shaking, "TLS twice");
	run.transport.shaking = true;
	return 0;
}

bool transport_is_secure(const struct transport *t)
{
	return t->secure;
}

static size_t binding_of(uint32_t type, unsigned char *ret)
{
	if (!(run.transport.bindings & type))
		return 0;
	memcpy(ret, channel, 32);
	ret[0] = (unsigned char)type;
	return 32;
}

size_t transport_binding(const struct transport *t, unsigned int type, unsigned char *ret)
{
	return t->secure ? binding_of(type, ret) : 0;
}

bool transport_has_address(_unused_ const struct transport *t)
{
	return true;
}

size_t transport_queued(_unused_ const struct transport *t)
{
	return 0;
}

size_t transport_under_way(_unused_ const struct transport *t, int64_t *ret_acked_us)
{
	*ret_acked_us = 0;
	return 0;
}

void transport_pause(_unused_ struct transport *t, _unused_ bool pause)
{
}

void transport_set_quickack(_unused_ struct transport *t, _unused_ bool quick)
{
}

unsigned int transport_flights(_unused_ const struct transport *t)
{
	return 1;
}

uint32_t transport_round_trip_us(_unused_ const struct transport *t)
{
	return 1;
}

void transport_finish(_unused_ struct transport *t, _unused_ int64_t timeout_us)
{
}

static uint32_t strength_of(const char *mechanism)
{
	bool plus = strstr(mechanism, "-PLUS") != NULL;

	if (strcmp(mechanism, "PLAIN") == 0)
		return STRENGTH_PLAIN;
	if (strncmp(mechanism, "SCRAM-SHA-1", 11) == 0)
		return plus ? STRENGTH_SHA1_PLUS : STRENGTH_SHA1;
	return plus ? STRENGTH_SHA2_PLUS : STRENGTH_SHA2;
}

static uint32_t binding_named(const char *name)
{
	return strstr(name, "EXPR") || strstr(name, "tls-exporter") ? CB_EXPR :
	       strstr(name, "ENDP") || strstr(name, "end-point")    ? CB_ENDP :
								      0;
}

/* "p=tls-exporter,,n=...": what stands behind the comma is a nonce, in which any letters may follow each other. */
static uint32_t binding_of_gs2(const char *initial)
{
	char name[32];

	if (strncmp(initial, "p=", 2) != 0)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(initial, ","), initial);
	return binding_named(name);
}

static void judge_try(const char *xml)
{
	struct login_server *s = &run.server;
	const char *mechanism = strstr(xml, "mechanism='"), *initial = strchr(xml, '>');
	uint32_t needs;

	must(run.transport.secure, "a login in clear");
	must(++run.tries <= TRIES_MAX, "too many tries");
	run.responses = 0;
	run.proved = false;
	login_server_deinit(s);
	must(mechanism && initial, "a login without a mechanism");
	snprintf(s->mechanism, sizeof(s->mechanism), "%.*s", (int)strcspn(mechanism + 11, "'"), mechanism + 11);
	if (strncmp(xml, "<authenticate", 13) == 0)
		initial = strchr(initial + 1, '>');
	s->initial = login_decode(initial + 1, &s->initial_len);
	must(s->initial != NULL, "an initial response that is no base64");
	needs = strncmp(s->mechanism, "HT-", 3) == 0 ? binding_named(s->mechanism) : binding_of_gs2(s->initial);
	must(!(needs & ~run.transport.bindings), "a binding that this channel does not have");
	if (strncmp(s->mechanism, "HT-", 3) == 0) {
		must(strcmp(s->mechanism, run.start.token_mechanism) == 0, "a token by another mechanism");
		must(strstr(xml, "<fast ") != NULL, "a token without <fast/>");
		return;
	}
	must(strength_of(s->mechanism) >= run.start.pin, "weaker than the pin");
	must(!!strstr(s->mechanism, "-PLUS") == (s->initial[0] == 'p'), "-PLUS, and no binding, or the other way round");
	if (strcmp(s->mechanism, "PLAIN") == 0) {
		must(run.start.allow_plain, "PLAIN, which is not allowed");
		run.proved = true;
	}
}

static void judge_response(const char *xml)
{
	size_t len;

	must(run.tries > 0 && ++run.responses <= 2, "too many responses");
	free(run.server.response);
	run.server.response = login_decode(strchr(xml, '>') + 1, &len);
	must(run.server.response != NULL, "a response that is no base64");
	if (run.responses == 2)
		must(!*run.server.response, "a second proof");
}

static bool has(const char *data, size_t len, const char *what)
{
	return memmem(data, len, what, strlen(what)) != NULL;
}

void transport_write(_unused_ struct transport *t, const char *data, size_t len)
{
	_cleanup_(freep) char *xml = xstrndup(data, len);
	const char *id = strstr(xml, "<iq type='set' id='");

	must(text_is_utf8(xml) && strlen(xml) == len, "wrote what is no text");
	must(!has(data, len, LOGIN_PASSWORD) && !has(data, len, LOGIN_TOKEN), "a secret in clear");
	must(run.transport.secure || !has(data, len, LOGIN_USER), "a name in clear");
	must(run.proved || !has(data, len, "<bind xmlns='urn:ietf"), "a bind without a login");
	must(!run.held || !(has(data, len, "<auth") || has(data, len, "<resume ")), "a login while another wire has the session");
	run.written += len;
	must(run.online || run.written <= LOGIN_BYTES_MAX, "a login without an end");
	if (strncmp(xml, "<auth", 5) == 0)
		judge_try(xml);
	if (strncmp(xml, "<response ", 10) == 0)
		judge_response(xml);
	if (id && strstr(xml, "xmpp-bind"))
		snprintf(run.bind_id, sizeof(run.bind_id), "%.*s", (int)strcspn(id + 19, "'"), id + 19);
}

/* The keeper's end. */
int __wrap_link_send(struct link *l, const struct link_record *r);
size_t __wrap_link_queued(struct link *l);
int __wrap_link_flush(struct link *l, int64_t timeout_us);

int __wrap_link_send(_unused_ struct link *l, const struct link_record *r)
{
	must(!run.failed, "a record behind FAILED");
	must_fit(r);
	run.failed = r->kind == LINK_FAILED;
	if (r->kind == LINK_ONLINE) {
		must(run.proved && !run.online, "online without a proof");
		must(!r->online.resumed || *run.start.sm_id, "resumed without a session");
		run.online = true;
	}
	if (r->kind == LINK_RESUME_REFUSED)
		must(run.proved && *run.start.sm_id, "a session is given up for somebody who has proved nothing");
	if (r->kind == LINK_TOKEN && *r->token.token)
		must(run.proved && *run.start.user_agent, "a token of somebody who has proved nothing");
	if (r->kind == LINK_LOGIN) {
		must(r->login.pin >= run.start.pin, "the pin is lowered");
		must(!*r->login.offer || run.proved, "an offer of somebody who has proved nothing");
	}
	return 0;
}

size_t __wrap_link_queued(_unused_ struct link *l)
{
	return 0;
}

int __wrap_link_flush(_unused_ struct link *l, _unused_ int64_t timeout_us)
{
	return 0;
}

/* Circumstances: what START says, and what the channel can do. */
static void begin(uint8_t a, uint8_t b)
{
	static const char *const tokens[] = { "", "HT-SHA-256-NONE", "HT-SHA-256-ENDP", "HT-SHA-256-EXPR" };
	struct link_record r;

	run = (struct run){ .transport = { .bindings = b & 3 } };
	link_record_init(&r, LINK_START);
	run.start = r.start;
	run.start.jid = LOGIN_USER "@chat.test";
	run.start.password = LOGIN_PASSWORD;
	run.start.token_mechanism = tokens[a & 3];
	run.start.token = a & 3 ? LOGIN_TOKEN : "";
	run.start.sm_id = a & 4 ? SM_ID : "";
	run.start.grant = 1000;
	run.start.allow_plain = a & 8;
	run.start.user_agent = a & 16 ? "0d3e52c8-5a8b-4d54-9d0b-5b5c5f2a8f11" : "";
	run.start.hold = run.held = a & 128;
	run.start.features = a & 32 ? "urn:xmpp:mam:2" : "";
	run.start.offer = guesses[(b >> 5) & 7];
	run.start.pin = ((b >> 2) & 7) % (STRENGTH_SHA2_PLUS + 1);
}

static void add_text(struct buf *out, char *text)
{
	buf_adds(out, text);
	free(text);
}

/* The other wire is dead. */
static void give_session(void)
{
	struct link_record r;

	if (!run.held)
		return;
	run.held = false;
	link_record_init(&r, LINK_RESUME);
	r.resume.grant = 1000;
	stream_record(run.stream, &r);
}

/* What one byte of input stands for. */
static void piece(struct buf *out, uint8_t byte)
{
	unsigned char binding[TLS_BINDING_MAX];
	struct login_server *s = &run.server;
	size_t len = 0;
	uint32_t type;
	char *proof;

	switch (byte) {
	case 1:
		add_text(out, login_challenge(s));
		return;
	case 2:
		type = binding_named(s->mechanism);
		len = type ? binding_of(type, binding) : 0;
		proof = login_proof(s, binding, len);
		run.proved |= *proof != '\0';
		add_text(out, proof);
		return;
	case 3:
		buf_adds(out, run.bind_id);
		return;
	case 4:
		buf_adds(out, HEADER);
		return;
	case 6:
		give_session();
		return;
	case 5:
		for (int i = 0; i < 4000; i++)
			buf_adds(out, "<x/>");
		return;
	default:
		buf_add(out, &byte, 1);
	}
}

void fuzz_one(const uint8_t *data, size_t size)
{
	const struct transport *t = &run.transport;
	struct stream *s = NULL;
	struct endpoint e = { .direct = false };
	sd_event *event = NULL;

	if (size < 3)
		return;
	begin(data[0], data[1]);
	must(sd_event_new(&event) >= 0 && stream_new(event, NULL, &run.start, &s) == 0, "no stream");
	run.stream = s;
	e.direct = data[0] & 64;
	e.address.ss_family = AF_INET;
	e.len = sizeof(struct sockaddr_in);
	t->ops->connecting(t->userdata);
	t->ops->connected(t->userdata, &e);
	for (size_t i = 2; i < size && !run.failed; i++) {
		_cleanup_(buf_deinit) struct buf in = { 0 };

		if (run.transport.shaking) {
			run.transport.shaking = false;
			run.transport.secure = true;
			t->ops->secured(t->userdata);
		}
		while (i < size && !run.failed && data[i] != '\0')
			piece(&in, data[i++]);
		if (in.len && !run.failed)
			t->ops->received(t->userdata, in.data, in.len);
	}
	if (!run.failed)
		t->ops->gone(t->userdata, FAILURE_LOST, "", "closed");
	must(run.failed, "an end without FAILED");
	stream_free(s);
	sd_event_unref(event);
	login_server_deinit(&run.server);
}
