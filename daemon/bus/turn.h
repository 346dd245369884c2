/*
 * Coming back in a later round of the loop, after the others have had their turn. A defer source that is armed again and
 * again does not do that: sd-event serves what has been pending longest first, and such a source stays pending since it
 * was first armed (systemd 252, source_set_pending()), so it goes before everybody else for ever. Hence a new one each
 * time.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

typedef void (*turn_fn)(void *userdata);

struct turn {
	sd_event *event;
	int64_t priority; /* SD_EVENT_PRIORITY_x */
	turn_fn fn;	  /* may free what holds the turn */
	void *userdata;
	sd_event_source *source;
	bool armed;
};

void turn_init(struct turn *t, sd_event *event, int64_t priority, turn_fn fn, void *userdata);
/* Call it once in a later round; armed already is fine. What cannot be armed is logged, and lost. */
void turn_arm(struct turn *t);
/* Also of one that is all zero. */
void turn_deinit(struct turn *t);
