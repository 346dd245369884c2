/*
 * What waits to be sent, in order. An item of the outbox is numbered, told to the keeper, and held until the keeper
 * says that the number is durable (docs/decisions/0008); everything behind it waits with it, numbered or not. Nothing
 * is numbered beyond the keeper's grant. Of items no more is on its way than a slow link carries in some seconds: so
 * what the server says of the first is heard in time, and a dead link is told from a slow one.
 *
 * Pure: bytes and news leave through ${ops}.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "wire/sm.h"

struct outgoing;

struct outgoing_ops {
	/* To the server now. */
	void (*write)(void *userdata, const char *xml);
	/* Ask the server for its count now: sm_request_due_between(). */
	void (*ask)(void *userdata);
	/* Item ${item} will be number ${n}. */
	void (*numbered)(void *userdata, uint64_t item, uint32_t n);
	void *userdata;
};

/* ${sm} stays the caller's and outlives it; ${ops} is copied. */
struct outgoing *outgoing_new(struct sm *sm, const struct outgoing_ops *ops);
/* What waits is forgotten; NULL is fine. */
struct outgoing *outgoing_free(struct outgoing *o);
DEFINE_CLEANUP(struct outgoing *, outgoing_free);

/* No room: WAITING_MAX stanzas, or LINK_SENDS_MAX items. Nothing was queued. */
#define OUTGOING_E_FULL 1

/* A stanza that is no item: written now if nothing is in its way. 0 or OUTGOING_E_FULL. */
int outgoing_stanza(struct outgoing *o, const char *xml);
/* An item. 0 or OUTGOING_E_FULL. */
int outgoing_item(struct outgoing *o, uint64_t item, const char *xml);
/*
 * The item that is number ${n} must not be sent after all: ${instead} uses up its number, or, while nothing counts,
 * nothing. False if no held item has that number.
 */
bool outgoing_withdraw(struct outgoing *o, uint32_t n, const char *instead);
/* Number and write what may be: after a GRANT, a GO, an acknowledgement. */
void outgoing_run(struct outgoing *o);
