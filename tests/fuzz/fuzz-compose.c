/*
 * What the keeper wants said -> stanzas. Whatever the strings hold, it is refused or becomes one stanza that reads back
 * as it was meant: nothing in them ends an element or the stream.
 *
 * The bytes: kind, then strings that end with NUL: to, id, body, target_id, text, reply_id, reply_jid. A request of the same
 * bytes: kind, to, body for its name, text.
 */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "wire/compose.h"
#include "wire/element.h"
#include "wire/xml.h"

#define HEADER "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
#define FIELDS 7

static void check_read(const struct link_send *send, const char *name, xmpp_stanza_t *el)
{
	_cleanup_(freep) char *body = element_child_text(el, "body", "jabber:client");

	must(strcmp(element_name(el), name) == 0, "another element");
	must(strcmp(element_attr(el, "id"), send->id) == 0, "another id");
	if (send->kind == OUT_READ)
		return;
	must(strcmp(element_attr(el, "to"), send->to) == 0, "another address");
	must(send->kind > OUT_CORRECTION || strcmp(body, send->body) == 0, "another body");
}

/* The child of ${el} in ${ns} names the service and the node, and nothing else. */
static void check_push(const struct link_request *q, xmpp_stanza_t *el)
{
	xmpp_stanza_t *child = element_child(el, q->kind == REQUEST_PUSH_ENABLE ? "enable" : "disable", "urn:xmpp:push:0");

	must(child, "another payload");
	must(strcmp(element_attr(child, "jid"), q->jid) == 0, "another service");
	must(strcmp(element_attr(child, "node"), q->name) == 0, "another node");
}

static void check_request_read(const struct link_request *q, xmpp_stanza_t *el)
{
	bool presence = q->kind == REQUEST_PRESENCE || q->kind == REQUEST_SUBSCRIPTION;

	must(strcmp(element_name(el), presence ? "presence" : "iq") == 0, "another element");
	must(presence || strcmp(element_attr(el, "id"), "q1") == 0, "another id");
	if (q->kind == REQUEST_PUSH_ENABLE || q->kind == REQUEST_PUSH_DISABLE)
		check_push(q, el);
}

/* ${send} or ${q} */
static void check_xml(const struct link_send *send, const struct link_request *q, const char *text)
{
	xmpp_ctx_t *ctx = xmpp_ctx_new(NULL, NULL);
	struct xml *x = xml_new(ctx);
	struct xml_event ev;
	int stanzas = 0;

	/* What comes back is larger than what may be sent, and the reader's limits are not the matter here. */
	xml_feed(x, HEADER, strlen(HEADER));
	xml_feed(x, text, strlen(text));
	while (xml_next(x, &ev) != XML_NOTHING) {
		must(ev.kind == XML_OPENED || ev.kind == XML_STANZA, "it broke the stream");
		if (ev.kind == XML_STANZA && ++stanzas == 1 && !ev.dropped && q)
			check_request_read(q, ev.element);
		else if (ev.kind == XML_STANZA && stanzas == 1 && !ev.dropped)
			check_read(send, send->kind == OUT_READ ? "iq" : "message", ev.element);
		if (ev.element)
			xmpp_stanza_release(ev.element);
	}
	must(stanzas == 1, "not one stanza");
	xml_free(x);
	xmpp_ctx_free(ctx);
}

static void one_request(const struct link_request *q)
{
	_cleanup_(freep) char *xml = NULL;
	const char *condition = NULL, *text = NULL;

	if (compose_request(q, "q1", &xml, &condition, &text) == 0)
		check_xml(NULL, q, xml);
	else
		must(condition && *condition && text && *text, "refused without a reason");
}

void fuzz_one(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *copy = xcalloc(1, size + 1), *xml = NULL;
	const char *fields[FIELDS] = { "", "", "", "", "", "", "" };
	struct link_send send = { 0 };
	const char *condition = NULL, *text = NULL;
	size_t at = 1;

	if (size == 0)
		return;
	memcpy(copy, data, size);
	for (int i = 0; i < FIELDS && at < size; i++) {
		fields[i] = copy + at;
		at += strlen(fields[i]) + 1;
	}
	send.kind = data[0] % (OUT_KINDS + 1);
	send.to = fields[0];
	send.id = fields[1];
	send.body = fields[2];
	send.target_id = fields[3];
	send.text = fields[4];
	send.reply_id = fields[5];
	send.reply_jid = fields[6];
	send.delay_us = data[0] & 0x80 ? INT64_C(1795367340000000) : 0;
	if (compose_send(&send, "alice@chat.test", data[0] & 0x40, &xml, &condition, &text) == 0)
		check_xml(&send, NULL, xml);
	else
		must(condition && *condition && text && *text, "refused without a reason");
	one_request(&(struct link_request){
		.kind = data[0] % (REQUEST_KINDS + 1), .jid = fields[0], .name = fields[2], .text = fields[4] });
}
