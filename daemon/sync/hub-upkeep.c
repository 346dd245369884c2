/*
 * The store's upkeep in idle time: a slice a turn of the loop, after everything else; no timer when nothing is due.
 */
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "store/search.h"
#include "sync/hub-priv.h"

#define UPKEEP_SLICE_US (5 * USEC_PER_MSEC) /* of one turn of the loop: a call of an app waits no longer */
#define UPKEEP_AFTER_US (1 * USEC_PER_SEC)  /* after the last commit: not between the stanzas of one burst */
#define UPKEEP_LATEST_US (60 * USEC_PER_SEC) /* but then: somebody who writes every second puts nothing off for ever */
#define UPKEEP_BEHIND 5000		    /* messages that wait for the index: a long catch-up is no reason to wait longer */
#define UPKEEP_ACCURACY_US (100 * USEC_PER_MSEC) /* of the timer: it wakes together with others */
#define UPKEEP_RETRY_US (60 * USEC_PER_SEC) /* after an error: a full disk is looked at again */

/* A slice as soon as the loop has nothing else to do. */
static void work(struct hub *h)
{
	sd_event_source_set_enabled(h->upkeep, SD_EVENT_ONESHOT);
}

/* Work in ${us}, if nothing was written meanwhile (on_timer()). */
static void arm(struct hub *h, int64_t us)
{
	h->upkeep_at_us = clock_boot_us() + us;
	sd_event_source_set_time_relative(h->upkeep_timer, (uint64_t)us);
	sd_event_source_set_enabled(h->upkeep_timer, SD_EVENT_ONESHOT);
}

/* Something was written at ${now_us}. A timer that is set finds out by itself that it came too early (on_timer()). */
static void arm_after(struct hub *h, int64_t now_us)
{
	int enabled = SD_EVENT_OFF;

	h->upkeep_wrote_us = now_us;
	sd_event_source_get_enabled(h->upkeep_timer, &enabled);
	if (enabled == SD_EVENT_OFF)
		h->upkeep_due_us = now_us;
	if (enabled == SD_EVENT_OFF || h->upkeep_at_us > now_us + UPKEEP_AFTER_US)
		arm(h, UPKEEP_AFTER_US);
}

static int on_idle(_unused_ sd_event_source *s, void *userdata)
{
	struct hub *h = userdata;
	int r;

	/* A copy would have to follow every page that is merged. */
	if (h->state != HUB_READY || h->rotating)
		return 0;
	r = store_upkeep(h->store, UPKEEP_SLICE_US);
	if (r > 0)
		work(h);
	else
		hub_problems_log(h);
	if (r >= 0)
		return 0;
	log_debug("upkeep of the archive: %s", strerror(-r));
	arm(h, UPKEEP_RETRY_US);
	return 0;
}

static int on_timer(_unused_ sd_event_source *s, _unused_ uint64_t us, void *userdata)
{
	struct hub *h = userdata;
	int64_t now_us = clock_boot_us(), left_us = h->upkeep_wrote_us + UPKEEP_AFTER_US - now_us;

	if (left_us > 0 && now_us - h->upkeep_due_us < UPKEEP_LATEST_US)
		arm(h, left_us);
	else
		work(h);
	return 0;
}

/*
 * Looking costs a dozen queries, and after a commit there is nearly always something to find: within a burst the timer
 * is set without a look, and when it has run out store_upkeep() sees for itself. A look a second is for a burst that does
 * not end.
 */
void hub_upkeep_look(struct hub *h)
{
	int64_t now_us = clock_boot_us();
	uint64_t behind = 0;

	if (!h->store)
		return;
	if (h->upkeep_looked_us && now_us - h->upkeep_looked_us < UPKEEP_AFTER_US) {
		arm_after(h, now_us);
		return;
	}
	if (!store_upkeep_due(h->store))
		return;
	h->upkeep_looked_us = now_us;
	if (search_behind(h->store, &behind) == 0 && behind > UPKEEP_BEHIND)
		work(h);
	else
		arm_after(h, now_us);
}

int hub_upkeep_init(struct hub *h)
{
	int r;

	if ((r = sd_event_add_defer(h->event, &h->upkeep, on_idle, h)) < 0 ||
	    (r = sd_event_source_set_enabled(h->upkeep, SD_EVENT_OFF)) < 0 ||
	    (r = sd_event_source_set_priority(h->upkeep, SD_EVENT_PRIORITY_IDLE)) < 0 ||
	    (r = sd_event_add_time(h->event, &h->upkeep_timer, CLOCK_MONOTONIC, 0, UPKEEP_ACCURACY_US, on_timer, h)) < 0 ||
	    (r = sd_event_source_set_enabled(h->upkeep_timer, SD_EVENT_OFF)) < 0)
		return err_origin(r);
	return 0;
}

void hub_upkeep_free(struct hub *h)
{
	h->upkeep = sd_event_source_disable_unref(h->upkeep);
	h->upkeep_timer = sd_event_source_disable_unref(h->upkeep_timer);
}
