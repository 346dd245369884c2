/*
 * What changed, told to every connection once and late rather than often: the doorbell Archive.Changed, the property
 * changes of Account and Sync, accounts that come and go (facts/ipc.md sections 2.1 and 3.6).
 *
 * The feed listens to the hub, keeps the last told state of each account, and marks what differs in the mailboxes
 * (bus/mailbox.h).
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/mem.h"
#include "sync/hub.h"

#define FEED_SYNC_US (1000 * INT64_C(1000)) /* PropertiesChanged of Sync: at most one each, facts/ipc.md section 3.4 */

struct batches;
struct feed;
struct jobs;
struct mailboxes;
struct searches;
struct session_bus;

/* What is told: the mailboxes by marks, searches when the store closes, jobs of whatever they may wait for. */
struct feed_listeners {
	struct mailboxes *mailboxes;
	struct searches *searches;
	struct jobs *jobs;
	struct batches *batches; /* dropped when the store closes */
	struct session_bus *session_bus; /* may be NULL */
};

/* Becomes the hub's observer. The listeners outlive it. */
int feed_new(sd_event *event, struct hub *hub, const struct feed_listeners *listeners, struct feed **ret);
struct feed *feed_free(struct feed *f);
DEFINE_CLEANUP(struct feed *, feed_free);
