/* What the network says: addresses, a connection and its end, and what the server sends on it. */
#include <string.h>

#include "base/clock.h"
#include "wire/element.h"
#include "wire/limits.h"
#include "wire/ns.h"
#include "wire/stream-private.h"

static void on_server_error(struct stream *s, xmpp_stanza_t *error)
{
	const char *condition = element_condition(error, NS_STREAMS_ERROR);
	_cleanup_(freep) char *said = element_child_text(error, "text", NS_STREAMS_ERROR);
	_cleanup_(freep) char *text =
		xasprintf("the server ended the stream: %.64s%s%s", condition, *said ? ": " : "", said);

	/* In clear anybody may say that another client took our place, or that the session is void: it means nothing. */
	if (transport_is_secure(s->transport))
		stream_fail(s, FAILURE_STREAM, condition, text);
	else
		stream_fail(s, FAILURE_PROTOCOL, "", text);
}

/* Half an offer, half a <success/>: nothing to decide by. */
static void on_too_large(struct stream *s, const struct xml_event *ev)
{
	_cleanup_(freep) char *text =
		xasprintf("the server's <%.64s/> is too large (%s)", element_name(ev->element), ev->dropped);

	stream_reject(s, FAILURE_PROTOCOL, "policy-violation", "", text);
}

static void on_event(struct stream *s, const struct xml_event *ev)
{
	switch (ev->kind) {
	case XML_NOTHING:
		return;
	case XML_OPENED:
		if (!element_is(ev->element, "stream", NS_STREAM))
			stream_fail(s, FAILURE_PROTOCOL, "invalid-namespace", "what answers there is no XMPP server");
		return;
	case XML_STANZA:
		if (element_is(ev->element, "error", NS_STREAM))
			on_server_error(s, ev->element);
		else if (stream_is_online(s))
			session_element(s, ev->element, ev->dropped);
		else if (ev->dropped && strcmp(element_ns(ev->element), NS_CLIENT) != 0)
			on_too_large(s, ev);
		else
			negotiate_element(s, ev->element);
		return;
	case XML_CLOSED:
		stream_fail(s, FAILURE_LOST, "closed", "the server closed the stream");
		return;
	case XML_BROKEN: {
		_cleanup_(freep) char *text = xasprintf("the server sent what is no XMPP: %s", ev->text);

		stream_reject(s, FAILURE_PROTOCOL, ev->condition, "", text);
		return;
	}
	}
}

static void on_received(void *userdata, const char *data, size_t len)
{
	struct stream *s = userdata;
	struct xml_event ev;

	s->heard_us = s->read_us = clock_boot_us();
	if (!s->alive_us) {
		stream_pinged(s, true);
		s->probed_us = 0;
	}
	xml_feed(s->xml, data, len);
	while (!stream_is_over(s) && xml_next(s->xml, &ev) != XML_NOTHING) {
		_cleanup_(element_releasep) _unused_ xmpp_stanza_t *element = ev.element;

		on_event(s, &ev);
	}
	stream_turn(s);
}

static void on_connecting(void *userdata)
{
	stream_enter(userdata, STREAM_CONNECT);
}

static void on_connected(void *userdata, const struct endpoint *e)
{
	struct stream *s = userdata;
	int r;

	endpoint_name(e, s->address);
	endpoint_text(e, s->login.address);
	s->by_memory = strcmp(s->login.address, s->start.address) == 0;
	s->direct = e->direct;
	if (!e->direct) {
		stream_enter(s, STREAM_FEATURES);
		negotiate_header(s);
		return;
	}
	stream_enter(s, STREAM_TLS);
	r = transport_secure(s->transport, s->domain, s->start.ca_pem, s->start.ticket, true);
	if (r < 0)
		stream_fail(s, FAILURE_TLS, "", "TLS does not start");
}

static void on_secured(void *userdata)
{
	struct stream *s = userdata;

	if (s->start.hold) {
		stream_enter(s, STREAM_HELD);
		return;
	}
	stream_enter(s, STREAM_FEATURES);
	negotiate_header(s);
}

void stream_resume(struct stream *s, const struct link_resume *r)
{
	if (!s->start.hold)
		return;
	s->start.hold = false;
	s->start.sm_in = r->sm_in;
	s->start.sm_out = r->sm_out;
	s->start.grant = r->grant;
	if (s->state == STREAM_HELD)
		on_secured(s);
}

static void on_gone(void *userdata, enum link_failure failure, const char *condition, const char *text)
{
	struct stream *s = userdata;

	if (failure == FAILURE_CONNECT && s->dns_why)
		stream_fail(s, FAILURE_DNS, "", s->dns_why);
	else
		stream_fail(userdata, failure, condition, text);
}

/* What the address of last time may be for, DNS says for certain. Blocks; what is under way goes on in the kernel. */
static void on_more(void *userdata)
{
	struct stream *s = userdata;
	struct endpoint endpoints[ADDRESSES_MAX];
	size_t n = 0;

	if (s->state != STREAM_RESOLVE)
		stream_enter(s, STREAM_RESOLVE);
	link_flush(s->link, LAST_WORDS_US);
	if (resolve(&s->start, s->domain, endpoints, &n, &s->dns_why) != 0)
		n = 0;
	stream_enter(s, STREAM_CONNECT);
	transport_connect(s->transport, endpoints, n, true);
}

static void on_ticket(void *userdata, const char *ticket)
{
	struct link_record r;

	if (strlen(ticket) > TICKET_MAX)
		return;
	link_record_init(&r, LINK_TICKET);
	r.ticket.ticket = ticket;
	stream_emit(userdata, &r);
}

const struct transport_ops stream_network = {
	.connecting = on_connecting,
	.more = on_more,
	.connected = on_connected,
	.secured = on_secured,
	.ticket = on_ticket,
	.received = on_received,
	.gone = on_gone,
};
