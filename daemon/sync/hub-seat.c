#define _GNU_SOURCE
/* An account's place in the hub: its engine, its wires, its timers, and what the engine does to the world. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/err.h"
#include "sync/engine.h"
#include "sync/hub-priv.h"
#include "sync/peer.h"

static void wire_gone(void *userdata, const char *why);

/* ---- what an engine does to the world (engine.h: struct engine_io) ---- */

static void wire_record(void *userdata, const struct link_record *r)
{
	struct seat *seat = userdata;

	if (r->kind == LINK_PINGED)
		hub_pinged(seat, &r->pinged);
	else
		engine_record(seat->engine, r);
}

static int io_spawn(void *userdata)
{
	struct seat *seat = userdata;

	seat->peer = peer_free(seat->peer);
	return peer_new(seat->hub->event, &seat->hub->wire, wire_record, wire_gone, seat, &seat->peer);
}

static void io_kill(void *userdata)
{
	struct seat *seat = userdata;

	seat->peer = peer_free(seat->peer);
}

static void wire_gone(void *userdata, const char *why)
{
	struct seat *seat = userdata;

	io_kill(seat);
	engine_wire_gone(seat->engine, why);
	hub_park_look(seat->hub);
}

static int io_send(void *userdata, const struct link_record *r)
{
	struct seat *seat = userdata;

	return seat->peer ? peer_send(seat->peer, r) : -ENOTCONN;
}

static void second_record(void *userdata, const struct link_record *r)
{
	struct seat *seat = userdata;

	engine_second_record(seat->engine, r);
}

static void io_second_kill(void *userdata)
{
	struct seat *seat = userdata;

	seat->second = peer_free(seat->second);
}

static void second_gone(void *userdata, const char *why)
{
	struct seat *seat = userdata;

	io_second_kill(seat);
	engine_second_gone(seat->engine, why);
}

static int io_second_spawn(void *userdata, const struct link_record *start)
{
	struct seat *seat = userdata;
	int r;

	io_second_kill(seat);
	r = peer_new(seat->hub->event, &seat->hub->wire, second_record, second_gone, seat, &seat->second);
	if (r < 0)
		return err_trace(r);
	r = peer_send(seat->second, start);
	if (r < 0)
		io_second_kill(seat);
	return r;
}

static void io_second_promote(void *userdata)
{
	struct seat *seat = userdata;

	io_kill(seat);
	seat->peer = TAKE_PTR(seat->second);
	peer_aim(seat->peer, wire_record, wire_gone);
}

static int on_timer(sd_event_source *s, _unused_ uint64_t usec, void *userdata)
{
	struct seat *seat = userdata;

	for (int i = 0; i < ENGINE_TIMERS; i++)
		if (seat->timers[i] == s)
			engine_timer(seat->engine, (enum engine_timer)i);
	return 0;
}

static void io_timer(void *userdata, enum engine_timer which, int64_t at_us)
{
	struct seat *seat = userdata;
	sd_event_source *s = seat->timers[which];

	if (at_us) {
		sd_event_source_set_time(s, (uint64_t)at_us);
		sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	} else {
		sd_event_source_set_enabled(s, SD_EVENT_OFF);
	}
}

static int64_t io_boot_us(_unused_ void *userdata)
{
	return clock_boot_us();
}

static int64_t io_real_us(_unused_ void *userdata)
{
	return clock_real_us();
}

static uint32_t io_random(_unused_ void *userdata)
{
	uint32_t v = 0;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		v = (uint32_t)clock_boot_us();
	return v;
}

static void io_event(void *userdata, enum hub_event event)
{
	struct seat *seat = userdata;

	hub_note(seat->hub, seat, event);
}

static int64_t io_asked_us(void *userdata)
{
	return ((struct seat *)userdata)->hub->asked_us;
}

static void io_passing(void *userdata, const struct link_record *r)
{
	hub_passing(userdata, r);
}

static void io_stream(void *userdata, enum engine_stream what)
{
	hub_stream(userdata, what);
}

static const struct engine_io hub_io = {
	.spawn = io_spawn,
	.kill = io_kill,
	.send = io_send,
	.second_spawn = io_second_spawn,
	.second_kill = io_second_kill,
	.second_promote = io_second_promote,
	.timer = io_timer,
	.boot_us = io_boot_us,
	.real_us = io_real_us,
	.random = io_random,
	.event = io_event,
	.asked_us = io_asked_us,
	.passing = io_passing,
	.stream = io_stream,
};

/* ---- the seat itself ---- */

struct seat *seat_free(struct seat *seat)
{
	if (!seat)
		return NULL;
	engine_free(seat->engine);
	peer_free(seat->second);
	peer_free(seat->peer);
	if (seat->hub)
		hub_request_seat_goes(seat);
	hub_presence_free(seat);
	for (int i = 0; i < ENGINE_TIMERS; i++)
		sd_event_source_disable_unref(seat->timers[i]);
	free(seat);
	return NULL;
}

static int make_engine(struct seat *seat, const struct account *a, struct engine **ret)
{
	struct hub *h = seat->hub;
	struct engine_policy policy = {
		.horizon_us = h->config.history_us,
		.metered_us = h->config.metered_us,
		.page_max = h->config.page,
		.lanes = h->config.lanes,
		.deadline_us = h->config.deadline_us,
		.no_receipts = !h->config.receipts,
	};
	int r;

	r = engine_new(h->store, a, &policy, &hub_io, seat, ret);
	if (r < 0)
		return err_trace(r);
	engine_set_active(*ret, !h->inactive);
	engine_set_metered(*ret, h->metered && meterwatch_is_metered(h->metered));
	engine_set_route(*ret, !h->network || netwatch_has_route(h->network));
	return 0;
}

/*
 * How late a timer may be (us; 0 = sd-event's 250 ms, which lets wake-ups coincide). What somebody waits for is not put
 * off for that: it is armed only while there is work.
 */
static uint64_t lateness(enum engine_timer which)
{
	if (which == TIMER_SEND || which == TIMER_STORE || which == TIMER_ASK)
		return 1;
	if (which == TIMER_WORD)
		return 10 * USEC_PER_SEC;
	return which == TIMER_COMMIT || which == TIMER_DUEL ? 10000 : 0;
}

int hub_seat_add(struct hub *h, const struct account *a, struct seat **ret)
{
	_cleanup_(seat_freep) struct seat *seat = xnew(struct seat);
	int r;

	seat->hub = h;
	for (int i = 0; i < ENGINE_TIMERS; i++) {
		r = sd_event_add_time(h->event, &seat->timers[i], CLOCK_BOOTTIME, 0, lateness((enum engine_timer)i), on_timer,
				      seat);
		if (r < 0)
			return err_origin(r);
		sd_event_source_set_enabled(seat->timers[i], SD_EVENT_OFF);
		/* It runs out in a sleep too: what sees that a sleep is over goes first. */
		if (i == TIMER_WORD)
			sd_event_source_set_priority(seat->timers[i], SD_EVENT_PRIORITY_NORMAL + 1);
	}
	r = make_engine(seat, a, &seat->engine);
	if (r < 0)
		return err_trace(r);
	h->seats = xrealloc(h->seats, h->n_seats + 1, sizeof(*h->seats));
	h->seats[h->n_seats++] = seat;
	*ret = TAKE_PTR(seat);
	return 0;
}

int hub_seat_reset(struct seat *seat)
{
	struct engine *fresh;
	int r;

	r = make_engine(seat, engine_account(seat->engine), &fresh);
	if (r < 0)
		return err_trace(r);
	engine_free(seat->engine);
	seat->engine = fresh;
	for (int i = 0; i < ENGINE_TIMERS; i++)
		sd_event_source_set_enabled(seat->timers[i], SD_EVENT_OFF);
	return 0;
}

struct seat *hub_seat(const struct hub *h, int64_t id)
{
	for (size_t i = 0; i < hub_account_count(h); i++)
		if (engine_account(h->seats[i]->engine)->id == id)
			return h->seats[i];
	return NULL;
}

void hub_seat_remove(struct hub *h, struct seat *seat)
{
	int64_t id = engine_account(seat->engine)->id;

	for (size_t i = 0; i < h->n_seats; i++) {
		if (h->seats[i] != seat)
			continue;
		memmove(&h->seats[i], &h->seats[i + 1], (h->n_seats - i - 1) * sizeof(*h->seats));
		h->n_seats--;
		break;
	}
	seat_free(seat);
	hub_note_removed(h, id);
}
