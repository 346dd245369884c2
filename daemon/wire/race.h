/*
 * TCP connections to several addresses, begun one after the other and without waiting for each (RFC 8305): the first
 * that stands wins, the others are closed. A dead IPv6 path costs a quarter of a second, not a timeout.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "base/mem.h"
#include "wire/resolve.h"

struct race;

/* The race must not be freed from inside any of these. */
struct race_ops {
	void (*trying)(void *userdata, const struct endpoint *e);
	/* The addresses are used up, or slow, and there may be more: call race_add(), now or later. Once. */
	void (*more)(void *userdata);
	/* ${fd} is the caller's from now on. */
	void (*won)(void *userdata, int fd, const struct endpoint *e);
	/* Nobody answered; ${error} is what ${last} died of. */
	void (*lost)(void *userdata, int error, const struct endpoint *last);
};

/* ${ops} is static. 0 or -errno. */
int race_new(sd_event *event, const struct race_ops *ops, void *userdata, struct race **ret);
struct race *race_free(struct race *r);
DEFINE_CLEANUP(struct race *, race_free);

/* ${n} further addresses, best first; those without room are left out. ${complete}: there are no more than these. */
void race_add(struct race *r, const struct endpoint *e, size_t n, bool complete);
