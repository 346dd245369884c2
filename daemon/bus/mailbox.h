/*
 * What a connection has yet to be told: a set of marks, not a queue. Delivered when the connection's queue is empty,
 * always with the newest values; so a slow client costs a few bits, and a fast one loses nothing but steps in between.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/mem.h"
#include "sync/hub.h"

#define DOORBELL_US (50 * INT64_C(1000)) /* between two doorbells of a connection: a flood is read in pages, not in rows */

struct interest;
struct jobs;
struct mailbox;
struct mailboxes;

/* Asks whether a connection has subscribed to this signal. */
typedef bool (*mailbox_wants_fn)(void *userdata, const char *path, const char *interface, const char *member);

int mailboxes_new(sd_event *event, struct hub *hub, struct mailboxes **ret);
/* After all mailboxes. */
struct mailboxes *mailboxes_free(struct mailboxes *ms);
DEFINE_CLEANUP(struct mailboxes *, mailboxes_free);
/* Whose jobs are told. */
void mailboxes_set_jobs(struct mailboxes *ms, const struct jobs *jobs);

/* Properties of Account and Sync that change, in the order of the bits below. */
enum { MAILBOX_ACCOUNT_PROPS = 7, MAILBOX_SYNC_PROPS = 9 };
enum mark_bit { MARK_ADDED = 1, MARK_REMOVED = 2, MARK_FEED = 4 };
/* In all mailboxes. ${bits}: enum mark_bit but MARK_FEED; bit i of the others: property i changed. */
void mailboxes_mark(struct mailboxes *ms, int64_t account, uint32_t bits, uint32_t account_changed, uint32_t sync_changed);
/* The feed of ${account} grew: rings for those who are interested in what it grew by. */
void mailboxes_mark_feed(struct mailboxes *ms, int64_t account);
/* State, StateReason, and what the keyring says: told before all else. */
void mailboxes_mark_store(struct mailboxes *ms);
/* Further properties of the root. */
enum root_mark { MARK_STORE = 1, MARK_NETWORK = 2, MARK_AUTO_LOCK = 4 };
void mailboxes_mark_root(struct mailboxes *ms, uint32_t bits);
enum job_mark { MARK_JOB_ADDED = 1, MARK_JOB_PROGRESS = 2, MARK_JOB_ENDED = 4, MARK_JOB_REMOVED = 8 };
void mailboxes_mark_job(struct mailboxes *ms, uint64_t number, uint32_t bits);

/* ${interest}: what the connection looks at; stays the caller's, and may change. */
struct mailbox *mailbox_new(struct mailboxes *ms, const struct interest *interest);
struct mailbox *mailbox_free(struct mailbox *m);
/*
 * Send what is marked and due and wanted on ${bus}: at most a few signals an account and a job. Doorbells that come too
 * soon after the last one stay marked; the loop is woken when they are due.
 */
void mailbox_deliver(struct mailbox *m, sd_bus *bus, mailbox_wants_fn wants, void *userdata);
