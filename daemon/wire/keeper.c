/* What the keeper says, other than START. */
#include "base/log.h"
#include "wire/compose.h"
#include "wire/limits.h"
#include "wire/ns.h"
#include "wire/stream-private.h"

/* Leave. The session stays resumable unless ${final}: it ends only with </stream:stream> (D22). */
static void stop(struct stream *s, bool final)
{
	if (stream_is_over(s))
		return;
	/* XEP-0198 section 4 wants a last count; it saves the server from repeating what we have. */
	if (stream_is_online(s) && s->sm.counts_in)
		stream_writef(s, "<a xmlns='" NS_SM "' h='%u'/>", sm_tell(&s->sm));
	if (stream_is_online(s) && final)
		stream_write(s, "<presence type='unavailable'/></stream:stream>");
	if (stream_is_online(s))
		transport_finish(s->transport, CLOSE_WAIT_US);
	stream_say_heard(s);
	stream_finish(s, STREAM_STOPPED);
}

/* Not kept for later: it is of the moment. */
static void send_chat_state(struct stream *s, const struct link_chat_state *state)
{
	_cleanup_(freep) char *xml = NULL;
	const char *condition, *text;

	if (compose_chat_state(state, &xml, &condition, &text) == 0)
		stream_send(s, xml);
}

/* What needs a session that stands: numbers are a session's. */
static void record_to_send(struct stream *s, const struct link_record *r)
{
	if (!stream_is_online(s)) {
		stream_fail(s, FAILURE_PROTOCOL, "", "the keeper sends before there is a session");
		return;
	}
	if (r->kind == LINK_SEND)
		stream_send_item(s, &r->send);
	else if (r->kind == LINK_GO)
		sm_go(&s->sm, r->go.n);
	else if (r->kind == LINK_WITHDRAW)
		stream_withdraw(s, r->withdraw.n);
	else if (r->kind == LINK_CHAT_STATE)
		send_chat_state(s, &r->chat_state);
	else
		requests_take(s->requests, &r->request);
}

void stream_record(struct stream *s, const struct link_record *r)
{
	if (stream_is_over(s))
		return;
	switch (r->kind) {
	case LINK_COMMITTED:
		sm_committed(&s->sm, r->committed.n);
		break;
	case LINK_GRANT:
		sm_granted(&s->sm, r->grant.n);
		break;
	case LINK_SEND:
	case LINK_GO:
	case LINK_WITHDRAW:
	case LINK_CHAT_STATE:
	case LINK_REQUEST:
		record_to_send(s, r);
		break;
	case LINK_ACTIVE:
		session_active(s, r->active.active);
		break;
	case LINK_PROBE:
		stream_probe(s, &r->probe);
		break;
	case LINK_RESUME:
		stream_resume(s, &r->resume);
		break;
	case LINK_PING:
		stream_ping(s, r->ping.after_s, r->ping.tell);
		break;
	case LINK_QUERY:
		mam_query(s->mam, &r->query);
		transport_set_quickack(s->transport, true);
		break;
	case LINK_META_QUERY:
		mam_meta_query(s->mam, &r->meta_query);
		transport_set_quickack(s->transport, true);
		break;
	case LINK_STOP:
		stop(s, r->stop.final);
		return;
	default:
		log_debug("a record %s is of no use here", link_kind_name(r->kind));
	}
	stream_turn(s);
}
