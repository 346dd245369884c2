/*
 * What changed, told to every connection once and late rather than often: the doorbell Archive.Changed, the property
 * changes of Account and Sync, accounts that come and go (facts/ipc.md sections 2.1 and 3.6).
 *
 * The feed listens to the hub and keeps the last told state of each account. Each connection has a mailbox: a set of
 * marks, not a queue. A mailbox is delivered when the connection's queue is empty, always with the newest values; so
 * a slow client costs a few bits, and a fast one loses nothing but steps in between.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/mem.h"
#include "sync/hub.h"

#define FEED_SYNC_US (1000 * INT64_C(1000)) /* PropertiesChanged of Sync: at most one each, facts/ipc.md section 3.4 */

struct feed;
struct mailbox;
struct searches;

/* Asks whether a connection has subscribed to this signal. */
typedef bool (*feed_wants_fn)(void *userdata, const char *path, const char *interface, const char *member);

/* Becomes the hub's observer. ${searches} are told when the store closes. */
int feed_new(sd_event *event, struct hub *hub, struct searches *searches, struct feed **ret);
/* After all mailboxes. */
struct feed *feed_free(struct feed *f);
DEFINE_CLEANUP(struct feed *, feed_free);

struct mailbox *mailbox_new(struct feed *f);
struct mailbox *mailbox_free(struct mailbox *m);
/* Send what is marked and wanted on ${bus}; afterwards no mark is left. At most a few signals an account. */
void mailbox_deliver(struct mailbox *m, sd_bus *bus, feed_wants_fn wants, void *userdata);
