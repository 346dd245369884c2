/*
 * Whether there is a network, and when it becomes another one: routes and local addresses as rtnetlink(7) tells them.
 * A change is reported within half a second; while it flaps, ever more rarely, down to once in eight seconds.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/mem.h"

struct netwatch;

/* From the loop: routes or addresses are not those of the last call. ${route}: one leads out of this machine. ${first}: it is
 * what there is at first. */
typedef void (*netwatch_fn)(void *userdata, bool route, bool first);

/* 0 or -errno: then nothing is known of the network. */
int netwatch_new(sd_event *event, netwatch_fn fn, void *userdata, struct netwatch **ret);
struct netwatch *netwatch_free(struct netwatch *w);
DEFINE_CLEANUP(struct netwatch *, netwatch_free);
/* True also while it is not known yet. */
bool netwatch_has_route(const struct netwatch *w);
bool netwatch_is_known(const struct netwatch *w);
/* A fingerprint of this network: its routes and our addresses. 0 while it is not known. */
uint64_t netwatch_print(const struct netwatch *w);
