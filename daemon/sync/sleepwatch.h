/*
 * When the machine goes to sleep, and when it has slept. Before: logind says so and waits for us (a delay inhibitor of
 * org.freedesktop.login1). After: logind again, and the kernel, which cancels a timer on the wall clock when it resumes
 * (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET): that works without logind, and without a periodic look at the clocks.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/mem.h"

#define SLEEP_AWAKE_US (INT64_C(60) * 1000000) /* awake for so long after BEGINS: whoever had to say OVER does not (logind has 5 s) */
#define SLEEP_WAIT_US (INT64_C(300) * 1000) /* logind's patience is 5 s; a phone's user waits with a dark screen */

enum sleep_event {
	SLEEP_BEGINS, /* in SLEEP_WAIT_US: say what has to be said, leave nothing unsaved */
	SLEEP_OVER,   /* may come twice for one sleep; always follows SLEEP_BEGINS */
};

struct sleepwatch;

/* From the loop. */
typedef void (*sleepwatch_fn)(void *userdata, enum sleep_event what);

/* Without logind, or without a system bus: sleeps are seen when they are over. 0 or -errno. */
int sleepwatch_new(sd_event *event, sleepwatch_fn fn, void *userdata, struct sleepwatch **ret);
struct sleepwatch *sleepwatch_free(struct sleepwatch *w);
DEFINE_CLEANUP(struct sleepwatch *, sleepwatch_free);
