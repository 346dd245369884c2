#include "base/clock.h"
#include "base/log.h"
#include "wire/limits.h"
#include "wire/ns.h"
#include "wire/stream-private.h"

void stream_send(struct stream *s, const char *xml)
{
	struct waiting *w;

	if (!s->waiting && sm_may_send(&s->sm)) {
		sm_sent(&s->sm);
		stream_write(s, xml);
		return;
	}
	if (s->n_waiting >= OUTBOX_MAX) {
		log_warning("%d stanzas wait for a grant: one more is dropped", OUTBOX_MAX);
		return;
	}
	w = xnew(struct waiting);
	w->xml = xstrdup(xml);
	*s->last_waiting = w;
	s->last_waiting = &w->next;
	s->n_waiting++;
}

static void send_waiting(struct stream *s)
{
	while (s->waiting && sm_may_send(&s->sm)) {
		struct waiting *w = s->waiting;

		s->waiting = w->next;
		if (!s->waiting)
			s->last_waiting = &s->waiting;
		s->n_waiting--;
		sm_sent(&s->sm);
		stream_write(s, w->xml);
		free(w->xml);
		free(w);
	}
}

/* What stream management owes the server: our count when enough was committed, a question when enough was sent. */
static void turn_acks(struct stream *s, int64_t now_us)
{
	if (sm_ack_owed(&s->sm) && !s->ack_owed_us)
		s->ack_owed_us = now_us;
	if (sm_ack_due(&s->sm) || (s->ack_owed_us && now_us >= s->ack_owed_us + ACK_AFTER_US && sm_ack_owed(&s->sm)))
		stream_writef(s, "<a xmlns='" NS_SM "' h='%u'/>", sm_tell(&s->sm));
	if (!sm_ack_owed(&s->sm))
		s->ack_owed_us = 0;
	if (sm_request_due(&s->sm)) {
		sm_requested(&s->sm);
		stream_write(s, "<r xmlns='" NS_SM "'/>");
	}
}

static void turn_records(struct stream *s)
{
	struct link_record r;

	if (s->sm.counts_in && s->sm.in != s->named) {
		link_record_init(&r, LINK_IDLE);
		r.idle.n = s->named = s->sm.in;
		stream_emit(s, &r);
	}
	if (sm_grant_low(&s->sm) && s->sm.out != s->sent_told) {
		link_record_init(&r, LINK_SENT);
		r.sent.n = s->sent_told = s->sm.out;
		stream_emit(s, &r);
	}
}

void stream_gate(struct stream *s)
{
	transport_pause(s->transport, sm_full(&s->sm) || link_queued(s->link) > LINK_QUEUED_MAX ||
					      transport_queued(s->transport) > OUT_MAX);
}

/* A byte in answer is all we want to know. */
static void probe(struct stream *s, int64_t now_us)
{
	_cleanup_(freep) char *id = NULL;

	s->probed_us = now_us;
	if (s->sm.counts_out) {
		sm_requested(&s->sm);
		stream_write(s, "<r xmlns='" NS_SM "'/>");
		return;
	}
	id = iq_new_id(s->iqs);
	stream_writef(s, "<iq type='get' id='%s'><ping xmlns='" NS_PING "'/></iq>", id);
}

static void turn_liveness(struct stream *s, int64_t now_us)
{
	if (s->probed_us && now_us >= s->probed_us + PROBE_ANSWER_US)
		stream_fail(s, FAILURE_LOST, "", "the server stopped answering");
	else if (!s->probed_us && now_us >= s->heard_us + IDLE_PROBE_US)
		probe(s, now_us);
}

static void sooner(int64_t *at, int64_t other)
{
	if (other && (!*at || other < *at))
		*at = other;
}

static void turn_timer(struct stream *s, int64_t iq_us)
{
	int64_t at = s->probed_us ? s->probed_us + PROBE_ANSWER_US : s->heard_us + IDLE_PROBE_US;

	sooner(&at, iq_us);
	sooner(&at, s->ack_owed_us ? s->ack_owed_us + ACK_AFTER_US : 0);
	/* Hearing something puts the probe off; the timer may then come early and is set again. */
	if (s->timer_us && s->timer_us <= at)
		return;
	s->timer_us = at;
	sd_event_source_set_time(s->timer, (uint64_t)at);
	sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

void stream_turn(struct stream *s)
{
	int64_t now_us = clock_boot_us(), iq_us;

	if (!stream_is_online(s))
		return;
	send_waiting(s);
	iq_us = iq_expire(s->iqs, now_us);
	turn_acks(s, now_us);
	turn_records(s);
	turn_liveness(s, now_us);
	if (stream_is_over(s))
		return;
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

void stream_forget_waiting(struct stream *s)
{
	struct waiting *next;

	for (struct waiting *w = s->waiting; w; w = next) {
		next = w->next;
		free(w->xml);
		free(w);
	}
	s->waiting = NULL;
	s->last_waiting = &s->waiting;
	s->n_waiting = 0;
}
