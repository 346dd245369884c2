/*
 * When the wall clock is set: by the network's time after a boot in 1970 or in last week, by its user. The kernel cancels a timer
 * then (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET), so it costs nothing until it happens.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/mem.h"

struct clockwatch;

/* From the loop: the clock was set forward by ${us}, or back; by less than a second it is not told. */
typedef void (*clockwatch_fn)(void *userdata, int64_t us);

int clockwatch_new(sd_event *event, clockwatch_fn fn, void *userdata, struct clockwatch **ret);
struct clockwatch *clockwatch_free(struct clockwatch *w);
DEFINE_CLEANUP(struct clockwatch *, clockwatch_free);
