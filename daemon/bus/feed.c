#define _GNU_SOURCE
#include "bus/feed.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "bus/batch.h"
#include "bus/job.h"
#include "bus/mailbox.h"
#include "bus/search.h"
#include "bus/session-bus.h"

/* The state of one account as it was last marked: a hash a property, so that only what differs is told. */
struct watch {
	int64_t account;
	uint64_t account_told[MAILBOX_ACCOUNT_PROPS];
	uint64_t sync_told[MAILBOX_SYNC_PROPS];
	int64_t sync_told_us; /* clock_boot_us() */
	bool sync_waits;
};

struct feed {
	sd_event *event;
	struct hub *hub;
	struct feed_listeners to;
	sd_event_source *timer;
	struct watch *watches;
	size_t n_watches;
};

static uint64_t hash_text(const char *a, const char *b)
{
	uint64_t h = HASH_BEGIN;

	h = hash_bytes(h, str_or_empty(a), strlen(str_or_empty(a)) + 1);
	return hash_bytes(h, str_or_empty(b), strlen(str_or_empty(b)) + 1);
}

/* In the order of the names in bus/mailbox.c, as is hash_sync(). */
static void hash_account(const struct account *a, const struct account_status *s, uint64_t *h)
{
	h[0] = a->enabled;
	h[1] = hash_text(s->state, "");
	h[2] = hash_text(s->reason_name, s->reason_text);
	h[3] = (uint64_t)s->next_retry_us;
	h[4] = hash_text(s->resource, "");
	h[5] = hash_text(s->features, "");
	h[6] = hash_text(a->nick, "");
}

static void hash_sync(const struct account_status *s, uint64_t *h)
{
	h[0] = hash_text(s->sync_state, "");
	h[1] = hash_text(s->sync_phase, "");
	h[2] = s->done * UINT64_C(0x9e3779b97f4a7c15) ^ s->total;
	h[3] = s->gaps;
	h[4] = s->lost;
	h[5] = s->messages;
	h[6] = s->caught_up;
	h[7] = (uint64_t)s->oldest_us;
	h[8] = (uint64_t)s->caught_up_us;
}

/* Bit i set: entry i differs; ${told} becomes ${now}. */
static uint32_t take_difference(uint64_t *told, const uint64_t *now, size_t n)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < n; i++)
		if (told[i] != now[i])
			bits |= UINT32_C(1) << i;
	memcpy(told, now, n * sizeof(*told));
	return bits;
}

static struct watch *find_watch(struct feed *f, int64_t account)
{
	for (size_t i = 0; i < f->n_watches; i++)
		if (f->watches[i].account == account)
			return &f->watches[i];
	return NULL;
}

static struct watch *add_watch(struct feed *f, int64_t account)
{
	struct watch *w = find_watch(f, account);
	const struct account *a = hub_account(f->hub, account);
	struct account_status s = { 0 };

	if (w)
		return w;
	f->watches = xrealloc(f->watches, f->n_watches + 1, sizeof(*f->watches));
	w = &f->watches[f->n_watches++];
	*w = (struct watch){ .account = account };
	if (a && hub_status(f->hub, account, &s) >= 0) {
		hash_account(a, &s, w->account_told);
		hash_sync(&s, w->sync_told);
	}
	return w;
}

static void remove_watch(struct feed *f, int64_t account)
{
	struct watch *w = find_watch(f, account);

	if (w)
		*w = f->watches[--f->n_watches];
}

static void look_at_account(struct feed *f, int64_t account)
{
	struct watch *w = add_watch(f, account);
	const struct account *a = hub_account(f->hub, account);
	struct account_status s = { 0 };
	uint64_t now[MAILBOX_ACCOUNT_PROPS];

	if (!a || hub_status(f->hub, account, &s) != 0)
		return;
	hash_account(a, &s, now);
	mailboxes_mark(f->to.mailboxes, account, 0, take_difference(w->account_told, now, MAILBOX_ACCOUNT_PROPS), 0);
}

static void look_at_sync(struct feed *f, struct watch *w, int64_t now_us)
{
	struct account_status s = { 0 };
	uint64_t now[MAILBOX_SYNC_PROPS];

	w->sync_waits = false;
	w->sync_told_us = now_us;
	if (hub_status(f->hub, w->account, &s) != 0)
		return;
	hash_sync(&s, now);
	mailboxes_mark(f->to.mailboxes, w->account, 0, 0, take_difference(w->sync_told, now, MAILBOX_SYNC_PROPS));
}

static void arm_timer(struct feed *f)
{
	int64_t due = INT64_MAX;

	for (size_t i = 0; i < f->n_watches; i++)
		if (f->watches[i].sync_waits && f->watches[i].sync_told_us + FEED_SYNC_US < due)
			due = f->watches[i].sync_told_us + FEED_SYNC_US;
	if (due == INT64_MAX)
		return;
	sd_event_source_set_time(f->timer, (uint64_t)due);
	sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT);
}

static int on_timer(_unused_ sd_event_source *s, _unused_ uint64_t us, void *userdata)
{
	struct feed *f = userdata;
	int64_t now_us = clock_boot_us();

	for (size_t i = 0; i < f->n_watches; i++)
		if (f->watches[i].sync_waits && now_us - f->watches[i].sync_told_us >= FEED_SYNC_US)
			look_at_sync(f, &f->watches[i], now_us);
	arm_timer(f);
	return 0;
}

static void sync_changed(struct feed *f, int64_t account)
{
	struct watch *w = add_watch(f, account);
	int64_t now_us = clock_boot_us();

	if (now_us - w->sync_told_us >= FEED_SYNC_US) {
		look_at_sync(f, w, now_us);
		return;
	}
	w->sync_waits = true;
	arm_timer(f);
}

static void on_hub(void *userdata, enum hub_event event, int64_t account)
{
	struct feed *f = userdata;

	switch (event) {
	case HUB_ACCOUNT_ADDED:
		add_watch(f, account);
		mailboxes_mark(f->to.mailboxes, account, MARK_ADDED, 0, 0);
		return;
	case HUB_ACCOUNT_REMOVED:
		remove_watch(f, account);
		mailboxes_mark(f->to.mailboxes, account, MARK_REMOVED, 0, 0);
		jobs_look(f->to.jobs, account);
		return;
	case HUB_ACCOUNT_STATE:
		look_at_account(f, account);
		/* CaughtUp follows the connection. */
		sync_changed(f, account);
		jobs_look(f->to.jobs, account);
		return;
	case HUB_SYNC:
		sync_changed(f, account);
		jobs_look(f->to.jobs, account);
		return;
	case HUB_FEED:
		mailboxes_mark_feed(f->to.mailboxes, account);
		return;
	case HUB_STORE:
		mailboxes_mark_store(f->to.mailboxes);
		session_bus_tell(f->to.session_bus);
		jobs_look(f->to.jobs, 0);
		return;
	case HUB_NETWORK:
		mailboxes_mark_root(f->to.mailboxes, MARK_NETWORK);
		session_bus_tell(f->to.session_bus);
		return;
	case HUB_STORE_CLOSES:
		searches_close(f->to.searches);
		batches_drop(f->to.batches);
		return;
	}
}

int feed_new(sd_event *event, struct hub *hub, const struct feed_listeners *listeners, struct feed **ret)
{
	_cleanup_(feed_freep) struct feed *f = xnew(struct feed);
	int r;

	f->event = event;
	f->hub = hub;
	f->to = *listeners;
	r = sd_event_add_time(event, &f->timer, CLOCK_BOOTTIME, 0, 50 * 1000, on_timer, f);
	if (r < 0 || (r = sd_event_source_set_enabled(f->timer, SD_EVENT_OFF)) < 0)
		return err_origin(r);
	for (size_t i = 0; i < hub_account_count(hub); i++)
		add_watch(f, hub_account_id(hub, i));
	hub_observe(hub, on_hub, f);
	*ret = TAKE_PTR(f);
	return 0;
}

struct feed *feed_free(struct feed *f)
{
	if (!f)
		return NULL;
	hub_observe(f->hub, NULL, NULL);
	sd_event_source_disable_unref(f->timer);
	free(f->watches);
	free(f);
	return NULL;
}
