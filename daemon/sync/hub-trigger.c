/* What happens outside and concerns every stream: another network, a sleep. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/link.h"
#include "sync/hub-priv.h"

static struct ping *ping_here(struct hub *h)
{
	return ping_of(&h->pings, h->network ? netwatch_print(h->network) : 0, clock_boot_us());
}

void hub_ping(struct seat *seat)
{
	const struct ping *p = ping_here(seat->hub);
	struct link_record r;

	if (!seat->peer || !seat->streaming)
		return;
	link_record_init(&r, LINK_PING);
	r.ping.after_s = (uint32_t)(p->interval_us / USEC_PER_SEC);
	r.ping.tell = p->interval_us < PING_MAX_US;
	peer_send(seat->peer, &r);
	engine_set_ping(seat->engine, p->interval_us);
}

static void ping_all(struct hub *h)
{
	for (size_t i = 0; i < h->n_seats; i++)
		hub_ping(h->seats[i]);
}

void hub_pinged(struct seat *seat, const struct link_pinged *a)
{
	struct hub *h = seat->hub;
	struct ping *p = ping_here(h);
	int64_t silence_us = (int64_t)a->silence_s * USEC_PER_SEC, now_us = clock_boot_us();

	if (a->alive ? !ping_survived(p, silence_us, now_us) : !ping_died(p, silence_us, now_us))
		return;
	log_debug("network: silent streams are asked after %d s", (int)(p->interval_us / USEC_PER_SEC));
	ping_all(h);
}

enum hub_network hub_network(const struct hub *h)
{
	if (h->network && netwatch_is_known(h->network) && !netwatch_has_route(h->network))
		return HUB_NETWORK_NONE;
	if (h->metered && meterwatch_is_metered(h->metered))
		return HUB_NETWORK_METERED;
	return h->network && netwatch_is_known(h->network) ? HUB_NETWORK_UP : HUB_NETWORK_UNKNOWN;
}

static void on_network(void *userdata, bool route, bool first)
{
	struct hub *h = userdata;

	hub_tell_soon(h);
	/* Nobody dialled over another one. */
	if (first && route)
		return;
	hub_reopen_now(h);
	for (size_t i = 0; i < h->n_seats; i++)
		engine_network(h->seats[i]->engine, route);
	ping_all(h);
}

static void on_sleep(void *userdata, enum sleep_event what)
{
	struct hub *h = userdata;
	bool route = !h->network || netwatch_has_route(h->network);

	h->asleep = what == SLEEP_BEGINS;
	if (!h->asleep)
		hub_reopen_now(h);
	for (size_t i = 0; i < h->n_seats; i++) {
		hub_note(h, h->seats[i], HUB_ACCOUNT_STATE);
		if (what == SLEEP_BEGINS)
			engine_before_sleep(h->seats[i]->engine);
		else
			engine_network(h->seats[i]->engine, route);
	}
}

static void on_clock(void *userdata, int64_t us)
{
	struct hub *h = userdata;

	if (h->store)
		store_clock_was_off(h->store, us);
	for (size_t i = 0; i < h->n_seats; i++)
		engine_clock_set(h->seats[i]->engine, us);
}

static void on_metered(void *userdata, bool metered)
{
	struct hub *h = userdata;

	hub_tell_soon(h);
	for (size_t i = 0; i < h->n_seats; i++)
		engine_set_metered(h->seats[i]->engine, metered);
}

void hub_trigger_init(struct hub *h)
{
	int r;

	r = meterwatch_new(h->event, on_metered, h, &h->metered);
	if (r < 0)
		log_debug("network: nobody says whether it is metered: %s", strerror(-r));

	r = netwatch_new(h->event, on_network, h, &h->network);
	if (r < 0)
		log_warning("changes of the network are not seen: %s", strerror(-r));
	r = sleepwatch_new(h->event, on_sleep, h, &h->sleep);
	if (r < 0)
		log_warning("sleeps are not seen: %s", strerror(-r));
	r = clockwatch_new(h->event, on_clock, h, &h->clock);
	if (r < 0)
		log_warning("that the clock is set is not seen: %s", strerror(-r));
}

void hub_trigger_free(struct hub *h)
{
	h->network = netwatch_free(h->network);
	h->sleep = sleepwatch_free(h->sleep);
	h->clock = clockwatch_free(h->clock);
	h->metered = meterwatch_free(h->metered);
}
