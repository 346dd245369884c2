/*
 * Whether what goes over the link is paid for, as NetworkManager knows or guesses it (property Metered of
 * org.freedesktop.NetworkManager on the system bus). Without it nothing is metered.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/mem.h"

struct meterwatch;

/* From the loop, when it changes. */
typedef void (*meterwatch_fn)(void *userdata, bool metered);

/* -errno: there is no system bus. */
int meterwatch_new(sd_event *event, meterwatch_fn fn, void *userdata, struct meterwatch **ret);
struct meterwatch *meterwatch_free(struct meterwatch *w);
DEFINE_CLEANUP(struct meterwatch *, meterwatch_free);
bool meterwatch_is_metered(const struct meterwatch *w);
