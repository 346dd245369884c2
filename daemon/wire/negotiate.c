/* wire/stream-private.h: from the stream header to a session, resumed or bound. */
#include <string.h>

#include "core/jid.h"
#include "wire/element.h"
#include "wire/ns.h"
#include "wire/stream-private.h"

void negotiate_header(struct stream *s)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };
	bool secure = transport_is_secure(s->transport);

	buf_adds(&b, "<?xml version='1.0'?><stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM
		     "' version='1.0' xml:lang='en' to='");
	buf_add_xml(&b, s->domain);
	/* Who we are is nobody's business in clear (RFC 6120 section 4.7.1). */
	if (secure) {
		buf_adds(&b, "' from='");
		buf_add_xml(&b, s->bare);
	}
	buf_adds(&b, "'>");
	/* With the header: one flight less. Safe with Prosody and ejabberd, and refused features are seen anyway. */
	if (!secure)
		buf_adds(&b, "<starttls xmlns='" NS_TLS "'/>");
	stream_write(s, b.data);
	if (secure && s->state == STREAM_FEATURES)
		login_guess(s);
}

void negotiate_write_resume(const struct stream *s, struct buf *b)
{
	buf_addf(b, "<resume xmlns='" NS_SM "' h='%u' previd='", s->start.sm_in);
	buf_add_xml(b, s->start.sm_id);
	buf_adds(b, "'/>");
}

static void write_resume(struct stream *s)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	negotiate_write_resume(s, &b);
	s->login.asked_resume = true;
	stream_write(s, b.data);
}

static void write_bind(struct stream *s)
{
	_cleanup_(buf_deinit) struct buf b = { 0 };

	free(s->bind_id);
	s->bind_id = iq_new_id(s->iqs);
	buf_addf(&b, "<iq type='set' id='%s'><bind xmlns='" NS_BIND "'>", s->bind_id);
	if (*s->start.resource) {
		buf_adds(&b, "<resource>");
		buf_add_xml(&b, s->start.resource);
		buf_adds(&b, "</resource>");
	}
	buf_adds(&b, "</bind></iq>");
	stream_write(s, b.data);
	/* In the same flight: servers take one after the other. */
	session_open(s);
}

static void on_features(struct stream *s, xmpp_stanza_t *features)
{
	if (transport_is_secure(s->transport)) {
		login_features(s, features);
		return;
	}
	if (!element_child(features, "starttls", NS_TLS)) {
		stream_fail(s, FAILURE_NO_TLS, "no-starttls",
			    "the server offers no encryption (or somebody on the way removed the offer): "
			    "the password was not sent");
		return;
	}
	stream_enter(s, STREAM_STARTTLS);
}

static void on_proceed(struct stream *s)
{
	/* Whatever stands behind <proceed/> in clear is forgotten with the parser. */
	xml_restart(s->xml);
	stream_enter(s, STREAM_TLS);
	if (transport_secure(s->transport, s->domain, s->start.ca_pem, s->start.ticket, false) < 0)
		stream_fail(s, FAILURE_TLS, "", "TLS does not start");
}

void negotiate_restart(struct stream *s)
{
	xml_restart(s->xml);
	stream_enter(s, STREAM_RESTARTED);
	negotiate_header(s);
	/* With the header, when the server had stream management the last time. One flight less. */
	if (!s->login.may_guess || !s->login.guess.sm)
		return;
	s->login.guessed = true;
	s->offers_sm = true;
	if (*s->start.sm_id) {
		write_resume(s);
	} else {
		s->login.asked_bind = true;
		write_bind(s);
	}
}

void negotiate_await_features(struct stream *s)
{
	s->login.asked_bind = false;
}

void negotiate_refused(struct stream *s, xmpp_stanza_t *failed)
{
	struct link_record r;
	const char *condition = element_condition(failed, NS_STANZAS_ERROR);

	link_record_init(&r, LINK_RESUME_REFUSED);
	r.resume_refused.condition = strlen(condition) <= 64 ? condition : "undefined-condition";
	r.resume_refused.has_h = element_u32(failed, "h", &r.resume_refused.h);
	stream_emit(s, &r);
}

bool negotiate_take_jid(struct stream *s, const char *jid)
{
	if (!jid_is_valid(jid) || !strchr(jid, '/')) {
		stream_fail(s, FAILURE_PROTOCOL, "invalid-jid", "the server bound a resource that is no JID");
		return false;
	}
	str_set(&s->full, jid);
	return true;
}

static void on_bound(struct stream *s, xmpp_stanza_t *iq)
{
	_cleanup_(freep) char *jid = element_child_text(element_child(iq, "bind", NS_BIND), "jid", NS_BIND);

	if (strcmp(element_attr(iq, "type"), "result") != 0) {
		const char *condition = element_condition(element_child(iq, "error", NS_CLIENT), NS_STANZAS_ERROR);

		stream_fail(s, FAILURE_STREAM, condition, "the server refused to bind a resource");
		return;
	}
	if (negotiate_take_jid(s, jid))
		session_start(s);
}

void negotiate_unexpected(struct stream *s, xmpp_stanza_t *el)
{
	_cleanup_(freep) char *text =
		xasprintf("the server sent <%.64s/> where RFC 6120 has no place for it", element_name(el));

	stream_reject(s, FAILURE_PROTOCOL, "unsupported-stanza-type", "", text);
}

/* SASL2 has them behind <success/>, when the next may be said already. */
static bool is_features(xmpp_stanza_t *el)
{
	return element_is(el, "features", NS_STREAM);
}

static bool is_stanza(xmpp_stanza_t *el)
{
	return strcmp(element_ns(el), NS_CLIENT) == 0;
}

/* Features after the login. Resume or bind went with the header already, or go now. */
static void element_restarted(struct stream *s, xmpp_stanza_t *el)
{
	bool sm;

	if (!element_is(el, "features", NS_STREAM)) {
		negotiate_unexpected(s, el);
		return;
	}
	sm = element_child(el, "sm", NS_SM) != NULL;
	session_features(s, el);
	if (s->offers_sm && !sm)
		login_guess_wrong(s);
	s->login.offer.sm = sm;
	if (s->login.asked_resume && s->offers_sm) {
		stream_enter(s, STREAM_RESUME);
		return;
	}
	if (s->login.asked_bind) {
		stream_enter(s, STREAM_BIND);
		return;
	}
	s->offers_sm = sm;
	/* One that was refused inline is not asked for again. */
	if (*s->start.sm_id && sm && !s->login.asked_resume) {
		write_resume(s);
		stream_enter(s, STREAM_RESUME);
		return;
	}
	stream_enter(s, STREAM_BIND);
	write_bind(s);
}

static void after_refusal(struct stream *s, xmpp_stanza_t *failed)
{
	negotiate_refused(s, failed);
	stream_enter(s, STREAM_BIND);
	write_bind(s);
}

void negotiate_element(struct stream *s, xmpp_stanza_t *el)
{
	switch (s->state) {
	case STREAM_FEATURES:
		if (element_is(el, "features", NS_STREAM))
			on_features(s, el);
		else
			negotiate_unexpected(s, el);
		return;
	case STREAM_STARTTLS:
		if (element_is(el, "proceed", NS_TLS))
			on_proceed(s);
		else if (element_is(el, "failure", NS_TLS))
			stream_fail(s, FAILURE_NO_TLS, "failure", "the server offers encryption and then refuses it");
		else
			negotiate_unexpected(s, el);
		return;
	case STREAM_AUTH:
		login_element(s, el);
		return;
	case STREAM_RESTARTED:
		element_restarted(s, el);
		return;
	case STREAM_RESUME:
		if (element_is(el, "resumed", NS_SM))
			session_resumed(s, el);
		else if (element_is(el, "failed", NS_SM))
			after_refusal(s, el);
		else
			negotiate_unexpected(s, el);
		return;
	case STREAM_BIND:
		if (element_is(el, "iq", NS_CLIENT) && strcmp(element_attr(el, "id"), s->bind_id) == 0)
			on_bound(s, el);
		else if (is_features(el))
			session_features(s, el);
		else if (!is_stanza(el))
			negotiate_unexpected(s, el);
		return;
	case STREAM_ENABLE:
		if (element_is(el, "enabled", NS_SM) || element_is(el, "failed", NS_SM))
			session_bound(s, el);
		/* Nothing addressed to this resource is kept before it counts: the archive has it. */
		else if (is_features(el))
			session_features(s, el);
		else if (!is_stanza(el))
			negotiate_unexpected(s, el);
		return;
	default:
		negotiate_unexpected(s, el);
	}
}
