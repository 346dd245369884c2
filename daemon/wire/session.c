/* wire/stream-private.h: the session begins, and each element of it that arrives. */
#include <string.h>

#include "base/log.h"
#include "varve-build.h"
#include "wire/caps.h"
#include "wire/element.h"
#include "wire/notice.h"
#include "wire/ns.h"
#include "wire/stream-private.h"

static void emit_online(struct stream *s, const struct link_online *fields)
{
	struct link_record r;

	link_record_init(&r, LINK_ONLINE);
	r.online = *fields;
	r.online.counted = s->sm.counts_in;
	r.online.sm_in = s->sm.in;
	r.online.sm_out = s->sm.acked;
	r.online.flights = transport_flights(s->transport);
	r.online.round_trip_us = transport_round_trip_us(s->transport);
	r.online.mechanism = s->mechanism;
	r.online.address = s->address;
	login_remember(s);
	s->named = s->sm.in;
	s->sent_told = s->sm.numbered;
	stream_emit(s, &r);
}

/* Our own addresses as the server writes them, once they are known for good. */
static void know_self(struct stream *s)
{
	xml_set_own(s->xml, s->bare);
	s->context = (struct record_context){ .bare = s->bare, .domain = s->domain };
}

static void take_bound_jid(struct stream *s)
{
	_cleanup_(freep) char *bare = xstrndup(s->full, strcspn(s->full, "/"));

	if (strcmp(bare, s->bare) != 0) {
		log_debug("bound as %s", LOG_JID(s->full));
		str_set(&s->bare, bare);
		iq_table_set_own(s->iqs, s->bare);
		mds_set_own(s->mds, s->bare);
	}
}

void session_open(struct stream *s)
{
	if (s->offers_sm) {
		stream_write(s, "<enable xmlns='" NS_SM "' resume='true'/>");
		/* START's grant was for the session that it hoped to resume. */
		sm_enable(&s->sm, LINK_FIRST_GRANT);
	}
	settle_begin(s->settle);
}

void session_start(struct stream *s)
{
	take_bound_jid(s);
	know_self(s);
	if (s->offers_sm)
		stream_enter(s, STREAM_ENABLE);
	else
		session_bound(s, NULL);
}

void session_inline(struct stream *s, xmpp_stanza_t *enabled)
{
	take_bound_jid(s);
	know_self(s);
	sm_enable(&s->sm, LINK_FIRST_GRANT);
	session_bound(s, enabled);
	settle_begin(s->settle);
}

static void tell_active(struct stream *s)
{
	if (settle_has(s->settle, NS_CSI))
		stream_write(s, s->active ? "<active xmlns='" NS_CSI "'/>" : "<inactive xmlns='" NS_CSI "'/>");
}

void session_active(struct stream *s, bool active)
{
	bool news = !s->told_active || s->active != active;

	s->told_active = true;
	s->active = active;
	if (news && stream_is_online(s))
		tell_active(s);
}

/* A stream begins active, also when it resumes (D24). */
static void begin_active(struct stream *s)
{
	if (s->told_active && !s->active)
		tell_active(s);
}

void session_features(struct stream *s, xmpp_stanza_t *features)
{
	bool known = settle_has(s->settle, NS_CSI);

	if (!element_child(features, "csi", NS_CSI))
		return;
	settle_csi(s->settle);
	/* Behind <success/> of SASL2 they come when the session stands already. */
	if (!known && stream_is_online(s))
		begin_active(s);
}

static bool is_true(const char *value)
{
	return strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

void session_bound(struct stream *s, xmpp_stanza_t *enabled)
{
	struct link_record blank;
	struct link_online *o = &blank.online;
	const char *id, *location;

	link_record_init(&blank, LINK_ONLINE);
	o->jid = s->full;
	if (element_is(enabled, "enabled", NS_SM)) {
		sm_enabled(&s->sm);
		id = element_attr(enabled, "id");
		location = element_attr(enabled, "location");
		if (is_true(element_attr(enabled, "resume")) && strlen(id) <= SM_ID_MAX) {
			o->sm_id = id;
			o->sm_location = strlen(location) <= 1024 ? location : "";
			element_u32(enabled, "max", &o->sm_max);
		}
	} else {
		sm_refused(&s->sm);
	}
	emit_online(s, o);
	stream_enter(s, STREAM_SETTLE);
	begin_active(s);
}

static void become_ready(struct stream *s)
{
	struct link_record r;

	link_record_init(&r, LINK_READY);
	settle_fill_ready(s->settle, &r.ready);
	s->context.stanza_ids = r.ready.stanza_ids;
	mam_set_extended(s->mam, r.ready.archive == ARCHIVE_EXTENDED);
	stream_enter(s, STREAM_READY);
	stream_emit(s, &r);
}

static void reject_count(struct stream *s, uint32_t h)
{
	_cleanup_(freep) char *detail =
		xasprintf("<handled-count-too-high xmlns='" NS_SM "' h='%u' send-count='%u'/>", h, s->sm.out);
	_cleanup_(freep) char *text = xasprintf(
		"the server acknowledges %u stanzas, but only %u were sent: the session is given up", h, s->sm.out);

	stream_reject(s, FAILURE_STREAM, "handled-count-too-high", detail, text);
}

/* A word that is taken for 0 would have everything sent again. */
#define NO_COUNT "the server does not say how many stanzas it has"

/*
 * What says that the session is resumed cannot be right, and would be said again at each try: the session is given up. But for
 * one that was asked for by guess: without that the server may answer better.
 */
static void reject_resumed(struct stream *s, const char *condition, const char *text)
{
	struct link_record r;

	if (!s->login.guessed) {
		link_record_init(&r, LINK_RESUME_REFUSED);
		r.resume_refused.condition = condition;
		stream_emit(s, &r);
	}
	stream_reject(s, FAILURE_PROTOCOL, condition, "", text);
}

void session_resumed(struct stream *s, xmpp_stanza_t *resumed)
{
	struct link_record blank;
	uint32_t h = 0;

	if (strcmp(element_attr(resumed, "previd"), s->start.sm_id) != 0) {
		reject_resumed(s, "undefined-condition", "the server resumed another session");
		return;
	}
	if (!element_u32(resumed, "h", &h)) {
		reject_resumed(s, "bad-format", NO_COUNT);
		return;
	}
	know_self(s);
	if (sm_resumed(&s->sm, s->start.sm_in, s->start.sm_out, s->start.grant, h) != 0) {
		s->sm.out = s->start.grant;
		reject_count(s, h);
		return;
	}
	link_record_init(&blank, LINK_ONLINE);
	blank.online.resumed = true;
	blank.online.sm_id = s->start.sm_id;
	blank.online.sm_location = s->start.sm_location;
	emit_online(s, &blank.online);
	stream_enter(s, STREAM_SETTLE);
	s->resent = RESENT_TO_ASK;
	/* Not settled before it broke, or not all of it got there: the session is a new one in all but its number. */
	if (!*s->start.features || h < settle_stanzas(&s->start)) {
		settle_begin(s->settle);
		begin_active(s);
		return;
	}
	settle_resumed(s->settle, &s->start);
	begin_active(s);
	become_ready(s);
}

/* Answered in the order it was asked: behind what the server repeats (XEP-0198 section 5). */
static void say_resent(struct stream *s)
{
	struct link_record r;

	s->resent = RESENT_SAID;
	link_record_init(&r, LINK_RESENT);
	r.resent.n = s->sm.in;
	stream_emit(s, &r);
}

void stream_on_count(struct stream *s, uint32_t h, bool counted)
{
	uint32_t before = s->sm.acked;
	struct link_record r;

	if (!counted) {
		sm_pong(&s->sm, h);
	} else if (sm_acked(&s->sm, h) != 0) {
		reject_count(s, h);
		return;
	}
	if (s->resent == RESENT_ASKED)
		say_resent(s);
	if (s->sm.acked == before)
		return;
	s->item_us = 0;
	link_record_init(&r, LINK_ACKED);
	r.acked.n = s->sm.acked;
	stream_emit(s, &r);
}

static void sink_emit(void *userdata, const struct link_record *r)
{
	stream_emit(userdata, r);
}

static struct notice_sink stream_sink(struct stream *s)
{
	return (struct notice_sink){ .emit = sink_emit, .userdata = s };
}

static void on_message(struct stream *s, xmpp_stanza_t *el, const char *dropped, uint32_t n)
{
	const struct notice_sink to = stream_sink(s);
	struct record rec;
	struct link_record r;
	bool named = false;

	if (mam_take(s->mam, el, dropped, n) || notice_event(&s->context, el, dropped, n, &to))
		return;
	if (record_live(&s->context, el, dropped, &rec) == 0) {
		link_record_init(&r, LINK_MSG);
		r.msg = rec.message;
		r.msg.n = n;
		stream_emit(s, &r);
		named = true;
	}
	record_deinit(&rec);
	notice_typing(&s->context, el, dropped, named ? 0 : n, &to);
}

/* <iq type='result' .../> or an error with ${condition}, back to whoever asked. */
static void answer(struct stream *s, xmpp_stanza_t *iq, const char *condition, const char *payload)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	const char *from = element_attr(iq, "from");

	buf_addf(&b, "<iq type='%s' id='", condition ? "error" : "result");
	buf_add_xml(&b, element_attr(iq, "id"));
	if (*from) {
		buf_adds(&b, "' to='");
		buf_add_xml(&b, from);
	}
	buf_adds(&b, "'>");
	if (condition)
		buf_addf(&b, "<error type='cancel'><%s xmlns='" NS_STANZAS_ERROR "'/></error>", condition);
	buf_addf(&b, "%s</iq>", payload);
	stream_send(s, b.data);
}

static bool from_self(const struct stream *s, xmpp_stanza_t *iq)
{
	const char *from = element_attr(iq, "from");

	return !*from || strcmp(from, s->bare) == 0;
}

/* What the server tells of our account, and nobody else may (I8; RFC 6121 section 2.1.6, CVE-2015-8688). */
static bool take_push(struct stream *s, xmpp_stanza_t *iq, uint32_t n)
{
	const struct notice_sink to = stream_sink(s);

	if (!from_self(s, iq))
		return false;
	if (!element_child(iq, "query", NS_ROSTER))
		return notice_block_push(iq, n, &to);
	settle_emit_roster(s->settle, iq, n, false);
	return true;
}

static void answer_disco(struct stream *s, xmpp_stanza_t *iq, xmpp_stanza_t *query)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	if (caps_answer(&b, element_attr(query, "node")))
		answer(s, iq, NULL, b.data);
	else
		answer(s, iq, "item-not-found", "");
}

/* RFC 6120 section 8.2.3: every get and set is answered. */
static void on_request(struct stream *s, xmpp_stanza_t *iq, const char *dropped, uint32_t n)
{
	static const char version[] =
		"<query xmlns='" NS_VERSION "'><name>varve</name><version>" VARVE_VERSION "</version></query>";
	bool get = strcmp(element_attr(iq, "type"), "get") == 0;
	xmpp_stanza_t *disco = element_child(iq, "query", NS_DISCO_INFO);

	if (dropped)
		answer(s, iq, "policy-violation", "");
	else if (get && element_child(iq, "ping", NS_PING))
		answer(s, iq, NULL, "");
	else if (get && element_child(iq, "query", NS_VERSION))
		answer(s, iq, NULL, version);
	else if (get && disco)
		answer_disco(s, iq, disco);
	else if (!get && take_push(s, iq, n))
		answer(s, iq, NULL, "");
	else
		answer(s, iq, "service-unavailable", "");
}

static void on_iq(struct stream *s, xmpp_stanza_t *iq, const char *dropped, uint32_t n)
{
	const char *type = element_attr(iq, "type");

	if (strcmp(type, "get") == 0 || strcmp(type, "set") == 0)
		on_request(s, iq, dropped, n);
	else if (!iq_settle(s->iqs, iq, dropped, n))
		log_debug("answer to nothing we asked, from %s", LOG_JID(element_attr(iq, "from")));
	if (s->state == STREAM_SETTLE && settle_is_done(s->settle))
		become_ready(s);
	transport_set_quickack(s->transport, mam_open(s->mam) > 0);
}

static void on_presence(struct stream *s, xmpp_stanza_t *el, const char *dropped, uint32_t n)
{
	const struct notice_sink to = stream_sink(s);

	notice_presence(&s->context, el, dropped, n, &to);
}

void session_element(struct stream *s, xmpp_stanza_t *el, const char *dropped)
{
	/* A reader that dropped a stanza kept its name. */
	bool message = element_is(el, "message", NS_CLIENT);
	bool iq = element_is(el, "iq", NS_CLIENT);

	if (message || iq || element_is(el, "presence", NS_CLIENT)) {
		uint32_t n = sm_received(&s->sm);

		if (message)
			on_message(s, el, dropped, n);
		else if (iq)
			on_iq(s, el, dropped, n);
		else
			on_presence(s, el, dropped, n);
		return;
	}
	if (element_is(el, "r", NS_SM)) {
		/* At once, with what is durable: XEP-0198 section 4 allows no other delay. */
		stream_writef(s, "<a xmlns='" NS_SM "' h='%u'/>", sm_tell(&s->sm));
		return;
	}
	if (element_is(el, "a", NS_SM)) {
		uint32_t h = 0;

		if (element_u32(el, "h", &h))
			stream_on_count(s, h, true);
		else
			stream_reject(s, FAILURE_PROTOCOL, "bad-format", "", NO_COUNT);
		return;
	}
	/* Behind <success/> of SASL2. */
	if (element_is(el, "features", NS_STREAM)) {
		session_features(s, el);
		return;
	}
	/* CSI hints, anything newer than us: not counted, no harm. */
	log_debug("ignored <%s xmlns='%s'/>", element_name(el), element_ns(el));
}
