/*
 * XEP-0388 on the wire: one request that logs in and resumes, or binds and enables what a session has (XEP-0386,
 * XEP-0198 section 9), and that asks for a token or uses one (XEP-0484); and its one answer.
 */
#include <string.h>

#include "base/log.h"
#include "core/stamp.h"
#include "wire/element.h"
#include "wire/ns.h"
#include "wire/stream-private.h"

static void add_session(struct stream *s, const struct offer *o, struct buf *b)
{
	s->login.asked_resume = o->resume && *s->start.sm_id;
	/* A bind ends the session that could only be resumed later. */
	s->login.asked_bind = o->bind && (s->login.asked_resume || !*s->start.sm_id);
	if (s->login.asked_resume)
		negotiate_write_resume(s, b);
	if (!s->login.asked_bind)
		return;
	/* Contacts see the tag in our address: nothing but our name. */
	buf_adds(b, "<bind xmlns='" NS_BIND2 "'><tag>varve</tag>");
	if (o->bind_carbons)
		buf_adds(b, "<enable xmlns='" NS_CARBONS "'/>");
	if (o->bind_sm)
		buf_adds(b, "<enable xmlns='" NS_SM "' resume='true'/>");
	buf_adds(b, "</bind>");
}

void sasl2_write(struct stream *s, const char *initial)
{
	/* Before the features are seen, what they were the last time. */
	const struct offer *o = s->login.offer.lists[SASL2] ? &s->login.offer : &s->login.guess;
	const struct choice *c = &s->login.choice;
	_cleanup_(buf_deinit) struct buf b = { 0 };

	buf_addf(&b, "<authenticate xmlns='" NS_SASL2 "' mechanism='%s'><initial-response>%s</initial-response>",
		 c->mechanism, initial);
	if (*s->start.user_agent) {
		buf_adds(&b, "<user-agent id='");
		buf_add_xml(&b, s->start.user_agent);
		buf_adds(&b, "'><software>varve</software></user-agent>");
	}
	add_session(s, o, &b);
	if (c->token)
		buf_adds(&b, "<fast xmlns='" NS_FAST "'/>");
	else if (c->request_token)
		buf_addf(&b, "<request-token xmlns='" NS_FAST "' mechanism='%s'/>", c->request_token);
	buf_adds(&b, "</authenticate>");
	stream_write(s, b.data);
	explicit_bzero(b.data, b.len);
}

/* The token, if one came and was to come: stored by the keeper before it is used. */
static void take_token(struct stream *s, xmpp_stanza_t *success)
{
	const struct choice *c = &s->login.choice;
	xmpp_stanza_t *el = element_child(success, "token", NS_FAST);
	const char *token = element_attr(el, "token");
	struct link_record r;

	if (!*token || strlen(token) > FAST_TOKEN_MAX)
		return;
	if (!c->token && !c->request_token) {
		log_debug("a token came that was not asked for");
		return;
	}
	link_record_init(&r, LINK_TOKEN);
	r.token.token = token;
	/* A token is good for the mechanism that it was asked for; one that replaces another, for that one's. */
	r.token.mechanism = c->token ? c->mechanism : c->request_token;
	if (!stamp_parse(element_attr(el, "expiry"), &r.token.expiry_us))
		r.token.expiry_us = 0;
	r.token.avoid = s->start.avoid;
	stream_emit(s, &r);
}

static void bound(struct stream *s, xmpp_stanza_t *success, xmpp_stanza_t *el)
{
	_cleanup_(freep) char *jid = element_child_text(success, "authorization-identifier", NS_SASL2);
	xmpp_stanza_t *enabled = element_child(el, "enabled", NS_SM);

	/* Refused is an answer too: not asked for twice on a stream (XEP-0198 section 3). */
	if (!enabled)
		enabled = element_child(el, "failed", NS_SM);
	if (!negotiate_take_jid(s, jid))
		return;
	stream_enter(s, STREAM_BIND);
	if (!enabled) {
		/* Not inline: as after the bind of RFC 6120. */
		s->offers_sm = s->login.offer.sm;
		session_open(s);
		session_start(s);
		return;
	}
	stream_enter(s, STREAM_ENABLE);
	session_inline(s, enabled);
}

void sasl2_success(struct stream *s, xmpp_stanza_t *success)
{
	xmpp_stanza_t *resumed = element_child(success, "resumed", NS_SM);
	xmpp_stanza_t *failed = element_child(success, "failed", NS_SM);
	xmpp_stanza_t *el = element_child(success, "bound", NS_BIND2);

	take_token(s, success);
	stream_enter(s, STREAM_RESTARTED);
	s->login.offer.sm = s->login.guess.sm || s->login.offer.resume || s->login.offer.bind_sm;
	if (resumed && s->login.asked_resume) {
		stream_enter(s, STREAM_RESUME);
		session_resumed(s, resumed);
		return;
	}
	if (failed && s->login.asked_resume)
		negotiate_refused(s, failed);
	else
		s->login.asked_resume = false; /* overlooked: to be asked for again */
	if (el && s->login.asked_bind)
		bound(s, success, el);
	else
		negotiate_await_features(s);
}
