#include "bus/turn.h"

#include "base/log.h"
#include "base/mem.h"

void turn_init(struct turn *t, sd_event *event, int64_t priority, turn_fn fn, void *userdata)
{
	*t = (struct turn){ .event = event, .priority = priority, .fn = fn, .userdata = userdata };
}

static int on_turn(_unused_ sd_event_source *s, void *userdata)
{
	struct turn *t = userdata;

	t->armed = false;
	t->source = sd_event_source_disable_unref(t->source);
	t->fn(t->userdata);
	return 0;
}

void turn_arm(struct turn *t)
{
	int r;

	if (t->armed)
		return;
	if ((r = sd_event_add_defer(t->event, &t->source, on_turn, t)) < 0 ||
	    (r = sd_event_source_set_priority(t->source, t->priority)) < 0) {
		log_error("bus: the event loop takes nothing more: %d", r);
		return;
	}
	t->armed = true;
}

void turn_deinit(struct turn *t)
{
	t->source = sd_event_source_disable_unref(t->source);
	t->armed = false;
}
