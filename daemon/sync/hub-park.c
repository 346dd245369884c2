/*
 * Parking: all streams are left as at exit, but the loop goes on meanwhile. For locking and for rotating the keys.
 */
#include <string.h>

#include "base/err.h"
#include "sync/hub-priv.h"

#define PARK_US (INT64_C(500) * 1000) /* as at exit: wires say their last <a/>; the session survives without it too */

static int on_park(_unused_ sd_event_source *s, void *userdata)
{
	struct hub *h = userdata;
	void (*fn)(void *) = h->parked;

	for (size_t i = 0; i < h->n_seats; i++)
		if (h->seats[i]->peer)
			return 0;
	hub_park_free(h);
	if (fn)
		fn(h->parked_data);
	return 0;
}

static int on_park_timer(_unused_ sd_event_source *s, _unused_ uint64_t us, void *userdata)
{
	struct hub *h = userdata;

	for (size_t i = 0; i < h->n_seats; i++)
		h->seats[i]->peer = peer_free(h->seats[i]->peer);
	hub_park_look(h);
	return 0;
}

bool hub_is_off(const struct account_status *st)
{
	/* Who is offline and has an attempt planned is not off. */
	return (strcmp(st->state, "offline") == 0 && !st->next_retry_us) || strcmp(st->state, "auth-failed") == 0;
}

static void leave(struct seat *seat)
{
	struct account_status st;

	engine_status(seat->engine, &st);
	seat->stays_off = hub_is_off(&st); /* an attempt that is planned is given up below */
	engine_suspend(seat->engine);
	/* Nothing of the past may start it again; with a wire its timers are still needed. */
	for (int i = 0; !seat->peer && i < ENGINE_TIMERS; i++)
		sd_event_source_set_enabled(seat->timers[i], SD_EVENT_OFF);
}

int hub_park(struct hub *h, void (*fn)(void *userdata), void *userdata)
{
	int r;

	h->parked = fn;
	h->parked_data = userdata;
	if (h->park)
		return 0;
	r = sd_event_add_defer(h->event, &h->park, on_park, h);
	if (r >= 0)
		r = sd_event_add_time_relative(h->event, &h->park_timer, CLOCK_MONOTONIC, (uint64_t)PARK_US, 0, on_park_timer,
					       h);
	if (r < 0)
		return err_origin(r);
	for (size_t i = 0; i < h->n_seats; i++)
		leave(h->seats[i]);
	return 0;
}

void hub_park_look(struct hub *h)
{
	if (h->park)
		sd_event_source_set_enabled(h->park, SD_EVENT_ONESHOT);
}

void hub_park_free(struct hub *h)
{
	h->park = sd_event_source_disable_unref(h->park);
	h->park_timer = sd_event_source_disable_unref(h->park_timer);
	h->parked = NULL;
}

void hub_unpark(struct hub *h)
{
	hub_park_free(h);
	/* Whoever locks or leaves parks them again at once. */
	for (size_t i = 0; h->started && !h->locking && i < hub_account_count(h); i++)
		if (!h->seats[i]->stays_off)
			engine_connect(h->seats[i]->engine);
}

int hub_reset_seats(struct hub *h)
{
	for (size_t i = 0; i < h->n_seats; i++) {
		int r = hub_seat_reset(h->seats[i]);

		if (r < 0)
			return err_trace(r);
	}
	return 0;
}
