/*
 * References whose target is not here yet: pages come newest first, so a correction usually precedes its original
 * (H1). They survive restarts, and their number is bounded (store.c, limits.pending_refs): of the conversation that has most
 * the oldest are dropped.
 */
#pragma once

#include "store/refs.h"

/*
 * That wait on when a message of the name came and was not it: whoever can have others wait for a name of his own must not
 * have each of his messages compared with thousands of them.
 */
#define PENDING_KEPT_MAX 16

/* Does the account have any? Sets p->pending; without any, arrivals cost nothing. */
int pending_begin(struct put *p);
int pending_add(struct put *p, const struct ref *ref);
/* A newer reading state takes the place of one that waits (REF_OWN_READ). */
int pending_drop_read(struct put *p, int64_t conv);
/* ${id} now names a message in ${conv}: apply what waited for it, and what waited for that (H2). */
int pending_apply(struct put *p, int64_t conv, const char *id);
