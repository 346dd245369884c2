/*
 * The outbox on its way: what waits is offered to the wire, numbered by it, stored with its numbers, and only then let go
 * (docs/decisions/0008). core/flight.h decides how much at a time and when doubt is over, store/outbox.h keeps what
 * became of each item; here the two meet the wire.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "link/link.h"
#include "store/outbox.h"
#include "sync/engine-priv.h"

#define ITEM_BYTES 500 /* of a stanza beside its text */
#define END_PATIENCE_US (3 * USEC_PER_SEC) /* for the archive's end: two round trips of a bad mobile link */
#define HOLD_ANSWER_US (5 * USEC_PER_SEC) /* before a suspect goes the stream is asked, and has a second less to answer */
/* A wire numbers what it is offered as it reads it, whatever the network does: one that has not by then hangs. */
#define NUMBER_DEADLINE_US (30 * USEC_PER_SEC)
#define PROVE_IDLE_US (20 * USEC_PER_SEC) /* after the last message we sent, its archive id is asked for: one page for all */

struct unsendable {
	int64_t item;
	char *condition, *text;
};

/* ---- offering ---- */

/*
 * A new session's first question, where the archive ends, goes before anything that moves this end: what comes live
 * meanwhile is then above the answer (core/cover.h, cover_newest()), and the anchor of what is numbered is near. It
 * takes one or two round trips after a bind and none after a resume; an archive that is in trouble or slow holds nobody
 * up. How long to wait for it, 0 = not.
 */
static int64_t end_wait(const struct engine *e)
{
	int64_t waited = e->io->boot_us(e->userdata) - e->end_unknown_us;

	if (e->session.archive == ARCHIVE_NONE || cover_is_live(&e->cover) || e->sync_error || e->paused)
		return 0;
	return waited < END_PATIENCE_US ? END_PATIENCE_US - waited : 0;
}

static bool may_offer(const struct engine *e)
{
	return e->wire && e->ready && !e->stopping && e->state == ENGINE_ONLINE && !e->store_failing &&
	       flight_idle(&e->flight);
}

void sending_kick(struct engine *e)
{
	if (e->look && may_offer(e))
		engine_arm(e, TIMER_SEND, end_wait(e));
}

void engine_send(struct engine *e)
{
	e->look = true;
	sending_kick(e);
}

static void note_unsendable(struct engine *e, int64_t item, const char *condition, const char *text)
{
	struct unsendable *u;

	e->unsendable = xrealloc(e->unsendable, e->n_unsendable + 1, sizeof(*e->unsendable));
	u = &e->unsendable[e->n_unsendable++];
	*u = (struct unsendable){ item, xstrdup(condition), xstrdup(text) };
}

#define HELD_MAX (FLIGHT_VAIN_MAX + 1) /* conversations: of what is late, and of the suspect of an experiment */

struct offer {
	struct engine *e;
	int64_t now_us;
	size_t seen;	  /* rows of this reading */
	int64_t last_seq; /* of the last of them, */
	bool last_owed;	  /* which is a receipt or the like */
	bool full;	  /* what comes now waits: order is kept */
	bool any, offered;
	int64_t hold_us;  /* for the first that is kept back; 0 = none is */
	char *held[HELD_MAX]; /* their conversations, which wait with them */
	size_t n_held;
};

static bool is_held(struct offer *o, const struct out_item *item)
{
	int64_t hold_us;

	/* Receipts and the like are in no order with what is written. */
	for (size_t i = 0; i < o->n_held && item->kind <= OUT_REACTION; i++)
		if (strcmp(o->held[i], item->to) == 0)
			return true;
	hold_us = flight_hold(&o->e->flight, item->id, o->e->io->boot_us(o->e->userdata));
	if (!hold_us || o->n_held == HELD_MAX)
		return false;
	if (!o->hold_us || hold_us < o->hold_us)
		o->hold_us = hold_us;
	o->held[o->n_held++] = xstrdup(item->to);
	return true;
}

static int offer(void *userdata, const struct out_item *item)
{
	struct offer *o = userdata;
	struct engine *e = o->e;
	size_t bytes = strlen(item->body) + strlen(item->text) + ITEM_BYTES;
	struct link_record rec;
	int r;

	o->any = true;
	o->seen++;
	o->last_seq = item->seq;
	o->last_owed = item->kind > OUT_REACTION;
	if (is_held(o, item))
		return 0;
	o->full = o->full || !flight_may(&e->flight, bytes, item->again, item->strikes);
	if (o->full)
		return 0;
	link_record_init(&rec, LINK_SEND);
	rec.send = (struct link_send){
		.item = (uint64_t)item->id,
		.kind = item->kind,
		.to = item->to,
		.id = item->client_id,
		.body = item->body,
		.target_id = item->target_id,
		.text = item->text,
		.reply_id = item->reply_id,
		.reply_jid = item->reply_jid,
		.delay_us = flight_delay(item->again, item->written_us, o->now_us),
	};
	r = e->io->send(e->userdata, &rec);
	if (r == -EMSGSIZE || r == -EBADMSG) {
		note_unsendable(e, item->id, "not-acceptable", "it is too long, or has characters that cannot be sent");
		commit_soon(e);
		return 0;
	}
	/* A link that is gone is told by engine_wire_gone(). */
	if (r < 0)
		return r;
	flight_offer(&e->flight, item->id, item->seq, bytes, item->again, item->strikes);
	o->offered = true;
	return 0;
}

/* What waits, as far as there is room; what waits behind a whole window of a conversation that is kept back goes too. */
static int offer_all(struct offer *o, size_t room)
{
	int64_t after_seq = INT64_MIN;
	int r;

	do {
		o->seen = 0;
		r = outbox_next(o->e->store, o->e->account.id, after_seq, room, offer, o);
		after_seq = o->last_seq;
	} while (r >= 0 && o->seen == room && !o->offered && !o->full && !o->last_owed);
	for (size_t i = 0; i < o->n_held; i++)
		free(o->held[i]);
	return r;
}

/* Nothing waits, nothing is in doubt: whoever was suspected of ending a stream has passed. */
static void look_for_calm(struct engine *e)
{
	if (e->flight.careful && e->flight.n == 0 && !e->doubt)
		flight_calm(&e->flight);
}

/*
 * A message is kept back to see whether the stream stands without it (core/flight.h). Before it goes, the stream has to
 * answer: a NAT that has forgotten us in the silence would reset it, and that must not be held against the message.
 */
static void wait_held(struct engine *e, int64_t hold_us)
{
	if (hold_us > HOLD_ANSWER_US) {
		engine_arm(e, TIMER_SEND, hold_us - HOLD_ANSWER_US);
		return;
	}
	if (!e->probed)
		e->probed = second_probe(e, (uint32_t)(HOLD_ANSWER_US / 1000) - 1000) >= 0;
	engine_arm(e, TIMER_SEND, hold_us);
}

void sending_go(struct engine *e)
{
	struct offer o = { .e = e, .now_us = e->io->real_us(e->userdata) };
	size_t room = FLIGHT_ITEMS_MAX - e->flight.n;
	int r;

	if (!e->look || !may_offer(e) || room == 0)
		return;
	if (end_wait(e)) {
		sending_kick(e);
		return;
	}
	e->look = false;
	r = offer_all(&o, room);
	if (o.offered) {
		e->probed = false;
		e->number_due_us = e->io->boot_us(e->userdata) + NUMBER_DEADLINE_US;
		engine_arm(e, TIMER_NUMBER, NUMBER_DEADLINE_US);
	}
	if (o.hold_us)
		wait_held(e, o.hold_us);
	if (r < 0) {
		log_warning("%s: the outbox cannot be read: %s", LOG_JID(e->account.jid), strerror(-r));
		return;
	}
	e->look = o.any;
	if (!o.any)
		look_for_calm(e);
}

/* ---- what the wire answers ---- */

static void out_of_turn(struct engine *e, const char *what)
{
	log_warning("%s: the wire says %s out of turn", LOG_JID(e->account.jid), what);
	engine_drop_wire(e);
}

/* All of the burst is answered: store it now, for whatever is sent meanwhile waits behind it. */
static void look_whole(struct engine *e)
{
	if (flight_whole(&e->flight) || flight_idle(&e->flight))
		engine_arm(e, TIMER_NUMBER, -1);
	if (flight_whole(&e->flight) || (flight_idle(&e->flight) && e->n_unsendable))
		commit_now(e);
}

void sending_numbered(struct engine *e, const struct link_numbered *m)
{
	if (!flight_numbered(&e->flight, (int64_t)m->item, m->n))
		out_of_turn(e, "numbered");
	else
		look_whole(e);
}

void sending_unnumbered(struct engine *e)
{
	int64_t late = e->io->boot_us(e->userdata) - e->number_due_us;

	if (!e->wire || flight_whole(&e->flight) || flight_idle(&e->flight))
		return;
	/* It waits for numbers, which the disk has no room for; or all of us slept. */
	if (e->store_failing || late > NUMBER_DEADLINE_US / 2) {
		e->number_due_us += late + NUMBER_DEADLINE_US;
		engine_arm(e, TIMER_NUMBER, NUMBER_DEADLINE_US);
		return;
	}
	log_warning("%s: varve-wire does not answer: it is started anew", LOG_JID(e->account.jid));
	engine_set_reason(e, "Offline", "varve-wire did not answer, and is started anew");
	engine_drop_wire(e);
}

void sending_unsendable(struct engine *e, const struct link_unsendable *u)
{
	if (!flight_unsendable(&e->flight, (int64_t)u->item)) {
		out_of_turn(e, "unsendable");
		return;
	}
	log_info("%s: a message cannot be sent: %s", LOG_JID(e->account.jid), u->condition);
	note_unsendable(e, (int64_t)u->item, u->condition, u->text);
	e->dirty = true;
	look_whole(e);
}

void sending_acked(struct engine *e, uint32_t n)
{
	size_t done;

	/* Never back, and never beyond what may have been sent: the wire is not believed more than that. */
	if (e->counted && ((int32_t)(n - e->session.h_out) < 0 || (int32_t)(e->session.grant - n) < 0))
		return;
	e->session.h_out = n;
	e->dirty = true;
	done = flight_acked(&e->flight, n);
	if (!done)
		return;
	e->ack_due = true;
	/* Perhaps that was the last suspect. */
	e->look = e->look || e->flight.careful;
	/* Their archive ids and places: a page for many, at once only when they are many. */
	e->unproven += (unsigned int)done;
	engine_arm(e, TIMER_PROVE, PROVE_IDLE_US);
	commit_soon(e);
	sending_kick(e);
}

void sending_ready(struct engine *e)
{
	/* A new session asks the archive anyway. For one that never gets an id (nobody archives it) it is asked once. */
	if (e->resumed && outbox_unproven(e->store, e->account.id, &e->unproven_item) == 0 && e->unproven_item &&
	    e->unproven_item != e->proven_item) {
		e->unproven++;
		engine_arm(e, TIMER_PROVE, PROVE_IDLE_US);
	}
	sending_kick(e);
}

void sending_prove(struct engine *e)
{
	if (!e->wire || !e->ready || e->unproven == 0 || e->session.archive == ARCHIVE_NONE)
		return;
	if (e->asked || e->whole || e->paused || e->sync_error || e->store_failing)
		engine_arm(e, TIMER_PROVE, PROVE_IDLE_US);
	else
		catchup_prove(e);
}

/* ---- what becomes durable ---- */

bool sending_due(const struct engine *e)
{
	return flight_whole(&e->flight) || e->n_unsendable || e->ack_due;
}

static int put_numbered(struct engine *e)
{
	const char *anchor = doubt_anchor(&e->cover);
	int r;

	for (size_t i = 0; i < e->flight.n; i++) {
		struct flight_item *item = &e->flight.items[i];

		if (item->state != FLIGHT_NUMBERED)
			continue;
		r = outbox_numbered(e->store, e->account.id, item->id, item->seq, item->n, anchor);
		if (r < 0)
			return err_trace(r);
		item->withdrawn = r == 0;
	}
	return 0;
}

int sending_put(struct engine *e)
{
	size_t done;
	int r = 0;

	/* Before new numbers are given: those up to here are of the same session, but need not be compared with them. */
	if (e->ack_due)
		r = outbox_acked(e->store, e->account.id, e->session.h_out, &done);
	for (size_t i = 0; i < e->n_unsendable && r >= 0; i++)
		r = outbox_failed(e->store, e->account.id, e->unsendable[i].item, e->unsendable[i].condition,
				  e->unsendable[i].text);
	if (r >= 0 && flight_whole(&e->flight))
		r = put_numbered(e);
	return r < 0 ? err_trace(r) : 0;
}

static void drop_unsendable(struct engine *e)
{
	for (size_t i = 0; i < e->n_unsendable; i++) {
		free(e->unsendable[i].condition);
		free(e->unsendable[i].text);
	}
	e->n_unsendable = 0;
}

/* The numbers are durable: let them go, but for what was cancelled in the meantime. */
static void let_go(struct engine *e)
{
	struct link_record rec;

	for (size_t i = 0; i < e->flight.n; i++) {
		const struct flight_item *item = &e->flight.items[i];

		if (item->state != FLIGHT_NUMBERED || !item->withdrawn)
			continue;
		link_record_init(&rec, LINK_WITHDRAW);
		rec.withdraw.n = item->n;
		e->io->send(e->userdata, &rec);
	}
	link_record_init(&rec, LINK_GO);
	rec.go.n = flight_go(&e->flight, e->io->boot_us(e->userdata));
	e->io->send(e->userdata, &rec);
}

void sending_put_done(struct engine *e)
{
	e->ack_due = false;
	drop_unsendable(e);
	if (flight_whole(&e->flight)) {
		step("outbox.numbered");
		let_go(e);
	}
	e->io->event(e->userdata, HUB_FEED);
	e->io->event(e->userdata, HUB_ACCOUNT_STATE);
	sending_kick(e);
}

/* ---- streams and sessions ---- */

void sending_stream_begins(struct engine *e)
{
	flight_begin(&e->flight, e->io->boot_us(e->userdata));
	e->probed = false;
	e->look = true;
	doubt_stream_begins(e);
}

static bool stream_is_over(struct engine *e, const char *condition, bool closed)
{
	size_t late = flight_late(&e->flight);
	bool blamed = flight_over(&e->flight, condition, closed, e->io->boot_us(e->userdata));

	if (flight_late(&e->flight) > late)
		log_info("%s: %d streams ended over one message: other conversations go first",
			 LOG_JID(e->account.jid), FLIGHT_SOON_MAX);
	return blamed;
}

/* What was offered and is not durable has not left, and stays where it is: queued. */
void sending_stream_ends(struct engine *e)
{
	stream_is_over(e, "", false);
	engine_arm(e, TIMER_SEND, -1);
	engine_arm(e, TIMER_NUMBER, -1);
	engine_arm(e, TIMER_PROVE, -1);
	engine_arm(e, TIMER_DOUBT, -1);
}

void sending_items_changed(struct engine *e)
{
	e->look = true;
	e->io->event(e->userdata, HUB_FEED);
}

void sending_session_changed(struct engine *e)
{
	e->doubt = true;
	sending_items_changed(e);
}

static int put_strike(struct engine *e, const struct link_failed *f)
{
	int r;

	r = store_begin(e->store);
	if (r >= 0)
		r = outbox_strike(e->store, e->account.id, f->condition,
				  f->failure == FAILURE_LOST ? "the server closes the connection each time it gets this" :
				  *f->text		     ? f->text :
							       "the server ended the connection over it");
	if (r >= 0)
		r = commit_finish(e, &e->line, NULL);
	return r < 0 ? commit_failed(e, r) : 0;
}

void sending_blame(struct engine *e, const struct link_failed *f)
{
	/* What is acknowledged is no suspect. */
	bool stored = commit_now(e) >= 0, closed = f->failure == FAILURE_LOST && strcmp(f->condition, "closed") == 0;

	if (!stream_is_over(e, f->failure == FAILURE_STREAM ? f->condition : "", closed))
		return;
	log_warning("%s: the server ended the stream over what was sent (%s): one message at a time from here on",
		    LOG_JID(e->account.jid), f->condition);
	if (stored && put_strike(e, f) == 0)
		step("outbox.strike");
	sending_session_changed(e);
}

void sending_deinit(struct engine *e)
{
	drop_unsendable(e);
	free(e->unsendable);
}
