/* What happens outside and concerns every stream: another network, a sleep. */
#include <string.h>

#include "base/log.h"
#include "sync/hub-priv.h"

static void on_network(void *userdata, bool route)
{
	struct hub *h = userdata;

	for (size_t i = 0; i < h->n_seats; i++)
		engine_network(h->seats[i]->engine, route);
}

static void on_sleep(void *userdata, enum sleep_event what)
{
	struct hub *h = userdata;
	bool route = !h->network || netwatch_has_route(h->network);

	for (size_t i = 0; i < h->n_seats; i++) {
		if (what == SLEEP_BEGINS)
			engine_before_sleep(h->seats[i]->engine);
		else
			engine_network(h->seats[i]->engine, route);
	}
}

void hub_trigger_init(struct hub *h)
{
	int r;

	r = netwatch_new(h->event, on_network, h, &h->network);
	if (r < 0)
		log_warning("changes of the network are not seen: %s", strerror(-r));
	r = sleepwatch_new(h->event, on_sleep, h, &h->sleep);
	if (r < 0)
		log_warning("sleeps are not seen: %s", strerror(-r));
}

void hub_trigger_free(struct hub *h)
{
	h->network = netwatch_free(h->network);
	h->sleep = sleepwatch_free(h->sleep);
}
