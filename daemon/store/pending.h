/*
 * References whose target is not here yet: pages come newest first, so a correction usually precedes its original
 * (H1). They survive restarts, and their number is bounded (store.c, limits.pending_refs): the oldest are dropped.
 */
#pragma once

#include "store/refs.h"

/* Does the account have any? Sets p->pending; without any, arrivals cost nothing. */
int pending_begin(struct put *p);
int pending_add(struct put *p, const struct ref *ref);
/* A newer reading state takes the place of one that waits (REF_OWN_READ). */
int pending_drop_read(struct put *p, int64_t conv);
/* ${id} now names a message in ${conv}: apply what waited for it, and what waited for that (H2). */
int pending_apply(struct put *p, int64_t conv, const char *id);
