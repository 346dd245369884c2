/* wire/stream-private.h: what leaves, and after each batch what is due: answers, questions, records, pings. */
#include "base/clock.h"
#include "base/log.h"
#include "core/ping.h"
#include "wire/compose.h"
#include "wire/limits.h"
#include "wire/ns.h"
#include "wire/stream-private.h"

void stream_send(struct stream *s, const char *xml)
{
	if (outgoing_stanza(s->outgoing, xml) != 0)
		log_warning("%d stanzas wait to be sent: one more is dropped", WAITING_MAX);
}

static void say_unsendable(struct stream *s, uint64_t item, const char *condition, const char *text)
{
	struct link_record r;

	link_record_init(&r, LINK_UNSENDABLE);
	r.unsendable.item = item;
	r.unsendable.condition = condition;
	r.unsendable.text = text;
	stream_emit(s, &r);
}

void stream_send_item(struct stream *s, const struct link_send *send)
{
	_cleanup_(freep) char *xml = NULL;
	const char *condition, *text;

	bool read = send->kind == OUT_READ;

	if (compose_send(send, s->bare, mds_is_configured(s->mds), &xml, &condition, &text) != 0) {
		say_unsendable(s, send->item, condition, text);
		return;
	}
	/* Without publish-options the node would be open to whoever asks (XEP-0490 section 7). */
	if (read && !settle_has(s->settle, NS_PUBLISH_OPTIONS)) {
		say_unsendable(s, send->item, "feature-not-implemented", "the server cannot keep it private");
		return;
	}
	if (outgoing_item(s->outgoing, send->item, xml) != 0)
		stream_fail(s, FAILURE_PROTOCOL, "", "the keeper gives more to send than it said it would");
	else if (read)
		mds_published(s->mds, send);
}

static char *new_ping(struct stream *s, char **ret_id)
{
	*ret_id = iq_new_id(s->iqs);
	return xasprintf("<iq type='get' id='%s'><ping xmlns='" NS_PING "'/></iq>", *ret_id);
}

void stream_withdraw(struct stream *s, uint32_t n)
{
	_cleanup_(freep) char *id = NULL, *ping = new_ping(s, &id);

	if (!outgoing_withdraw(s->outgoing, n, ping))
		log_warning("nothing that waits is number %u", n);
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* What stream management owes the server: our count when enough was committed. */
static void turn_acks(struct stream *s, int64_t now_us)
{
	if (sm_ack_owed(&s->sm) && !s->ack_owed_us)
		s->ack_owed_us = now_us;
	if (sm_ack_due(&s->sm) || (s->ack_owed_us && now_us >= s->ack_owed_us + ACK_AFTER_US && sm_ack_owed(&s->sm)))
		stream_writef(s, "<a xmlns='" NS_SM "' h='%u'/>", sm_tell(&s->sm));
	if (!sm_ack_owed(&s->sm))
		s->ack_owed_us = 0;
}

/* Whatever the server answers, it has read everything before the question (RFC 6120 section 10.1). */
static void on_pong(void *userdata, uint32_t n, const struct iq_answer *a)
{
	struct stream *s = userdata;

	if (a->iq)
		stream_on_count(s, n, false);
}

void stream_ask(struct stream *s, int64_t now_us)
{
	_cleanup_(freep) char *id = NULL, *ping = NULL;

	s->asked_us = now_us;
	if (s->sm.counts_out) {
		sm_requested(&s->sm);
		stream_write(s, "<r xmlns='" NS_SM "'/>");
		return;
	}
	ping = new_ping(s, &id);
	/* Too many questions are open: again later. */
	if (!iq_expect(s->iqs, id, "", now_us + IQ_TIMEOUT_US, on_pong, s, s->sm.out))
		return;
	sm_requested(&s->sm);
	stream_write(s, ping);
}

/* On a slow link the other end's TCP takes our bytes, one by one, long before its server says anything. */
static void note_moving(struct stream *s)
{
	int64_t acked_us;
	bool much = transport_under_way(s->transport, &acked_us) > SLOW_BYTES;

	/* Also when they have arrived since the last look. */
	if (much || s->moving)
		s->moved_us = acked_us;
	s->moving = much;
}

/* Until when an item may wait for the server's count. */
static int64_t patience_us(const struct stream *s)
{
	int64_t life = later(later(s->item_us, s->heard_us), s->moved_us) + ACK_ANSWER_US, last = s->item_us + ACK_PROGRESS_US;

	return life < last ? life : last;
}

/* An item is acknowledged within seconds, or nobody is there any more (J4). */
static void turn_items(struct stream *s, int64_t now_us)
{
	if (sm_request_due(&s->sm))
		stream_ask(s, now_us);
	else if (s->sm.item_waits && !s->sm.asking && now_us >= s->asked_us + ACK_AGAIN_US)
		stream_ask(s, now_us);
	if (!s->sm.item_waits) {
		s->item_us = 0;
		return;
	}
	if (!s->item_us)
		s->item_us = now_us;
	/* Nothing is heard while nothing is read. */
	if (s->deaf)
		return;
	note_moving(s);
	if (now_us >= patience_us(s))
		stream_fail(s, FAILURE_LOST, "",
			    now_us >= s->item_us + ACK_PROGRESS_US ? "the server does not acknowledge what we send" :
								     "the server stopped answering");
}

/* In the moment in which the server woke us up anyway. */
static void turn_word(struct stream *s)
{
	struct link_record r;

	if (s->read_us - s->told_us < s->ping_us / PING_TOLD_PART)
		return;
	link_record_init(&r, LINK_HEARD);
	stream_emit(s, &r);
}

/*
 * A resumed session: the server repeats what it had kept at once, and answers the next question behind it. Not asked before
 * all that came with <resumed/> is read: no count in there is the answer. A server that does not give one is not there.
 */
static void turn_resent(struct stream *s, int64_t now_us)
{
	if (s->resent != RESENT_TO_ASK)
		return;
	if (!s->sm.asking)
		stream_ask(s, now_us);
	s->probed_us = now_us;
	s->resent = RESENT_ASKED;
}

static void turn_records(struct stream *s)
{
	struct link_record r;

	if (s->sm.counts_in && s->sm.in != s->named) {
		link_record_init(&r, LINK_IDLE);
		r.idle.n = s->named = s->sm.in;
		stream_emit(s, &r);
	}
	if (sm_grant_low(&s->sm) && s->sm.numbered != s->sent_told) {
		link_record_init(&r, LINK_SENT);
		r.sent.n = s->sent_told = s->sm.numbered;
		stream_emit(s, &r);
	}
}

void stream_gate(struct stream *s)
{
	bool deaf = sm_full(&s->sm) || link_queued(s->link) > LINK_QUEUED_MAX ||
		    transport_queued(s->transport) > OUT_MAX;

	/* What the server said meanwhile is still to be read. */
	if (s->deaf && !deaf)
		s->heard_us = clock_boot_us();
	s->deaf = deaf;
	transport_pause(s->transport, deaf);
}

void stream_ping(struct stream *s, uint32_t after_s, bool tell)
{
	int64_t us = (int64_t)after_s * USEC_PER_SEC;

	s->ping_us = us < PING_MIN_US ? PING_MIN_US : us > PING_MAX_US ? PING_MAX_US : us;
	s->ping_tell = tell;
	/* Also later than the timer is set to. */
	s->timer_us = 0;
}

void stream_pinged(struct stream *s, bool alive)
{
	struct link_record r;

	if (!s->silence_us)
		return;
	if (!alive || (s->ping_tell && ping_would_grow(s->ping_us, s->silence_us))) {
		link_record_init(&r, LINK_PINGED);
		r.pinged.alive = alive;
		r.pinged.silence_s = (uint32_t)((s->silence_us + USEC_PER_SEC / 2) / USEC_PER_SEC);
		stream_emit(s, &r);
	}
	s->silence_us = 0;
}

void stream_probe(struct stream *s, const struct link_probe *p)
{
	int64_t now_us = clock_boot_us();

	s->probe = p->probe;
	if (stream_is_online(s) && sm_ack_owed(&s->sm))
		stream_writef(s, "<a xmlns='" NS_SM "' h='%u'/>", sm_tell(&s->sm));
	if (!p->answer_ms)
		return;
	s->silence_us = 0;
	if (!transport_has_address(s->transport)) {
		stream_fail(s, FAILURE_LOST, "", "the network is another one");
		return;
	}
	if (!stream_is_online(s))
		return;
	/* Bytes that lay in our own buffers prove nothing: only the answer does. Asked twice, it has no more time. */
	if (!s->alive_us || s->alive_us > now_us + (int64_t)p->answer_ms * 1000)
		s->alive_us = now_us + (int64_t)p->answer_ms * 1000;
	/* An answer that is under way may lie in our socket since before: it is followed by a question of its own. */
	s->asked_before = s->sm.asking;
	if (!s->sm.asking)
		stream_ask(s, now_us);
}

static void say_alive(struct stream *s)
{
	struct link_record r;

	s->silent_us = 0;
	link_record_init(&r, LINK_ALIVE);
	r.alive.probe = s->probe;
	stream_emit(s, &r);
}

/* Since when the server owes an answer: to an item, or to a ping. 0: it does not, or we would not hear it. */
static int64_t owed_us(const struct stream *s)
{
	if (s->deaf)
		return 0;
	return s->item_us ? s->item_us : s->probed_us;
}

static int64_t silent_at_us(const struct stream *s)
{
	return later(later(owed_us(s), s->heard_us), s->moved_us) + SILENT_AFTER_US;
}

/* Long before the stream is given up the keeper hears of it: it gets another one ready. */
static void turn_silence(struct stream *s, int64_t now_us)
{
	struct link_record r;

	/* The keeper's own probe is under way: its answer alone counts. */
	if (s->alive_us)
		return;
	if (s->silent_us && (!owed_us(s) || later(s->heard_us, s->moved_us) > s->silent_us))
		say_alive(s);
	if (s->silent_us || !owed_us(s) || now_us < silent_at_us(s))
		return;
	s->silent_us = now_us;
	link_record_init(&r, LINK_SILENT);
	r.silent.answer_ms = (uint32_t)(((s->item_us ? ACK_ANSWER_US : PROBE_ANSWER_US) - SILENT_AFTER_US) / 1000);
	stream_emit(s, &r);
}

static void turn_liveness(struct stream *s, int64_t now_us)
{
	if (!s->sm.asking && s->alive_us && s->asked_before) {
		stream_ask(s, now_us);
		s->asked_before = !s->sm.asking;
	} else if (!s->sm.asking && s->alive_us) {
		s->alive_us = s->probed_us = 0;
		say_alive(s);
	}
	if (s->alive_us && now_us >= s->alive_us)
		stream_fail(s, FAILURE_LOST, "", "the server does not answer any more");
	else if (s->probed_us && now_us >= s->probed_us + PROBE_ANSWER_US)
		stream_fail(s, FAILURE_LOST, "", "the server stopped answering");
	else if (!s->probed_us && now_us >= ping_due(s->heard_us, s->ping_us)) {
		s->silence_us = now_us - s->heard_us;
		stream_ask(s, s->probed_us = now_us);
	}
}

static void sooner(int64_t *at, int64_t other)
{
	if (other && (!*at || other < *at))
		*at = other;
}

static void turn_timer(struct stream *s, int64_t iq_us)
{
	int64_t idle = ping_due(s->heard_us, s->ping_us), at = s->probed_us ? s->probed_us + PROBE_ANSWER_US : idle;

	sooner(&at, iq_us);
	sooner(&at, s->alive_us);
	sooner(&at, s->silent_us || s->alive_us || !owed_us(s) ? 0 : silent_at_us(s));
	sooner(&at, s->ack_owed_us ? s->ack_owed_us + ACK_AFTER_US : 0);
	if (s->item_us) {
		sooner(&at, patience_us(s));
		sooner(&at, s->sm.asking ? 0 : s->asked_us + ACK_AGAIN_US);
	}
	/*
	 * Hearing something puts the probe off; the timer may then come early, once, and is set again. What was waited for
	 * and has come wakes nobody up.
	 */
	if (s->timer_us && s->timer_us <= at && !(s->timer_urgent && at == idle))
		return;
	s->timer_us = at;
	s->timer_urgent = at != idle;
	/* Nobody waits for a ping: systemd lets those of all programs that may be late wake up in the same moment. */
	sd_event_source_set_time_accuracy(s->timer, at == idle ? (uint64_t)s->ping_us / PING_LATE : USEC_PER_SEC / 4);
	sd_event_source_set_time(s->timer, (uint64_t)at);
	sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

void stream_turn(struct stream *s)
{
	int64_t now_us = clock_boot_us(), iq_us;

	if (!stream_is_online(s))
		return;
	outgoing_run(s->outgoing);
	iq_us = iq_expire(s->iqs, now_us);
	turn_acks(s, now_us);
	turn_items(s, now_us);
	turn_resent(s, now_us);
	turn_records(s);
	turn_liveness(s, now_us);
	if (stream_is_over(s))
		return;
	turn_silence(s, now_us);
	turn_word(s);
	stream_gate(s);
	turn_timer(s, iq_us);
}

int stream_on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata)
{
	struct stream *s = userdata;

	s->timer_us = 0;
	stream_turn(s);
	return 0;
}
