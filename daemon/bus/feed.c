#define _GNU_SOURCE
#include "bus/feed.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "bus/search.h"
#include "bus/tree.h"
#include "ipc/names.h"
#include "store/read.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

/* What changes, in the order of the hashes below. */
static const char *const account_props[] = { "Enabled",	 "State",    "StateReason",    "NextRetry",
					     "Resource", "ServerFeatures", "DisplayName" };
static const char *const sync_props[] = { "State",	  "Phase",    "Progress",   "GapCount",	   "LostCount",
					  "MessageCount", "CaughtUp", "OldestTime", "CaughtUpTime" };
#define N_ACCOUNT_PROPS ARRAY_SIZE(account_props)
#define N_SYNC_PROPS ARRAY_SIZE(sync_props)

/* The state of one account as it was last marked: a hash a property, so that only what differs is told. */
struct watch {
	int64_t account;
	uint64_t account_told[N_ACCOUNT_PROPS];
	uint64_t sync_told[N_SYNC_PROPS];
	int64_t sync_told_us; /* clock_boot_us() */
	bool sync_waits;
};

enum mark_bit { MARK_ADDED = 1, MARK_REMOVED = 2, MARK_FEED = 4 };

struct mark {
	int64_t account;
	uint32_t bits; /* enum mark_bit */
	uint32_t account_changed, sync_changed; /* bit i: property i of the lists above */
};

struct mailbox {
	struct feed *feed;
	struct mailbox *next;
	struct mark *marks;
	size_t n, cap;
	bool store; /* State, StateReason, Locked: told before all else */
};

struct feed {
	sd_event *event;
	struct hub *hub;
	struct searches *searches;
	sd_event_source *timer;
	struct mailbox *mailboxes;
	struct watch *watches;
	size_t n_watches;
};

static uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}

static uint64_t hash_text(const char *a, const char *b)
{
	uint64_t h = UINT64_C(14695981039346656037);

	h = hash_bytes(h, str_or_empty(a), strlen(str_or_empty(a)) + 1);
	return hash_bytes(h, str_or_empty(b), strlen(str_or_empty(b)) + 1);
}

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

static struct mark *mailbox_mark(struct mailbox *m, int64_t account)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->marks[i].account == account)
			return &m->marks[i];
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 4;
		m->marks = xrealloc(m->marks, m->cap, sizeof(*m->marks));
	}
	m->marks[m->n] = (struct mark){ .account = account };
	return &m->marks[m->n++];
}

static void mark_all(struct feed *f, int64_t account, uint32_t bits, uint32_t account_changed, uint32_t sync_changed)
{
	for (struct mailbox *m = f->mailboxes; m && (bits || account_changed || sync_changed); m = m->next) {
		struct mark *k = mailbox_mark(m, account);

		k->bits |= bits;
		k->account_changed |= account_changed;
		k->sync_changed |= sync_changed;
	}
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
	uint64_t now[N_ACCOUNT_PROPS];

	if (!a || hub_status(f->hub, account, &s) != 0)
		return;
	hash_account(a, &s, now);
	mark_all(f, account, 0, take_difference(w->account_told, now, N_ACCOUNT_PROPS), 0);
}

static void look_at_sync(struct feed *f, struct watch *w, int64_t now_us)
{
	struct account_status s = { 0 };
	uint64_t now[N_SYNC_PROPS];

	w->sync_waits = false;
	w->sync_told_us = now_us;
	if (hub_status(f->hub, w->account, &s) != 0)
		return;
	hash_sync(&s, now);
	mark_all(f, w->account, 0, 0, take_difference(w->sync_told, now, N_SYNC_PROPS));
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
		mark_all(f, account, MARK_ADDED, 0, 0);
		return;
	case HUB_ACCOUNT_REMOVED:
		remove_watch(f, account);
		mark_all(f, account, MARK_REMOVED, 0, 0);
		return;
	case HUB_ACCOUNT_STATE:
		look_at_account(f, account);
		/* CaughtUp follows the connection. */
		sync_changed(f, account);
		return;
	case HUB_SYNC:
		sync_changed(f, account);
		return;
	case HUB_FEED:
		mark_all(f, account, MARK_FEED, 0, 0);
		return;
	case HUB_STORE:
		for (struct mailbox *m = f->mailboxes; m; m = m->next)
			m->store = true;
		return;
	case HUB_STORE_CLOSES:
		searches_close(f->searches);
		return;
	}
}

int feed_new(sd_event *event, struct hub *hub, struct searches *searches, struct feed **ret)
{
	_cleanup_(feed_freep) struct feed *f = xnew(struct feed);
	int r;

	f->event = event;
	f->hub = hub;
	f->searches = searches;
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

struct mailbox *mailbox_new(struct feed *f)
{
	struct mailbox *m = xnew(struct mailbox);

	m->feed = f;
	m->next = f->mailboxes;
	f->mailboxes = m;
	return m;
}

struct mailbox *mailbox_free(struct mailbox *m)
{
	struct mailbox **at;

	if (!m)
		return NULL;
	for (at = &m->feed->mailboxes; *at != m; at = &(*at)->next)
		;
	*at = m->next;
	free(m->marks);
	free(m);
	return NULL;
}

static int emit_properties(sd_bus *bus, const char *path, const char *interface, const char *const *names, uint32_t bits)
{
	char *changed[N_ACCOUNT_PROPS + N_SYNC_PROPS + 1] = { 0 };
	size_t n = 0;
	int r;

	for (size_t i = 0; bits >> i; i++)
		if (bits >> i & 1)
			changed[n++] = xstrdup(names[i]);
	r = sd_bus_emit_properties_changed_strv(bus, path, interface, changed);
	for (size_t i = 0; i < n; i++)
		free(changed[i]);
	return r;
}

static int emit_changed(struct feed *f, sd_bus *bus, const char *path, int64_t account)
{
	struct store *s = hub_store(f->hub);
	uint64_t seq, oldest;
	int r;

	r = read_seq(s, account, &seq, &oldest);
	if (r != 0)
		return r;
	return sd_bus_emit_signal(bus, path, VARVE_IFACE_ARCHIVE, "Changed", "st", store_epoch(s), seq);
}

static int deliver_mark(struct mailbox *m, const struct mark *k, sd_bus *bus, feed_wants_fn wants, void *userdata)
{
	_cleanup_(freep) char *path = tree_path(k->account);
	bool exists = hub_account(m->feed->hub, k->account) != NULL;
	int r = 0;

	if (k->bits & MARK_REMOVED && wants(userdata, VARVE_PATH, OBJECT_MANAGER, "InterfacesRemoved"))
		r = tree_emit_removed(bus, path);
	/* It may be there again: locked and unlocked. */
	if (!exists)
		return r;
	if (r >= 0 && k->bits & MARK_ADDED && wants(userdata, VARVE_PATH, OBJECT_MANAGER, "InterfacesAdded"))
		r = sd_bus_emit_object_added(bus, path);
	if (r >= 0 && k->account_changed && wants(userdata, path, PROPERTIES, "PropertiesChanged"))
		r = emit_properties(bus, path, VARVE_IFACE_ACCOUNT, account_props, k->account_changed);
	if (r >= 0 && k->sync_changed && wants(userdata, path, PROPERTIES, "PropertiesChanged"))
		r = emit_properties(bus, path, VARVE_IFACE_SYNC, sync_props, k->sync_changed);
	if (r >= 0 && k->bits & MARK_FEED && wants(userdata, path, VARVE_IFACE_ARCHIVE, "Changed"))
		r = emit_changed(m->feed, bus, path, k->account);
	return r;
}

static int deliver_store(sd_bus *bus, feed_wants_fn wants, void *userdata)
{
	int r;

	if (!wants(userdata, VARVE_PATH, PROPERTIES, "PropertiesChanged"))
		return 0;
	r = sd_bus_emit_properties_changed(bus, VARVE_PATH, VARVE_IFACE_MANAGER, "State", "StateReason", NULL);
	return r < 0 ? r : sd_bus_emit_properties_changed(bus, VARVE_PATH, VARVE_IFACE_KEYRING, "Locked", NULL);
}

void mailbox_deliver(struct mailbox *m, sd_bus *bus, feed_wants_fn wants, void *userdata)
{
	size_t n = m->n;

	m->n = 0;
	if (m->store && deliver_store(bus, wants, userdata) < 0)
		log_debug("bus: a change of state could not be told");
	m->store = false;
	for (size_t i = 0; i < n; i++) {
		struct mark k = m->marks[i];
		int r = deliver_mark(m, &k, bus, wants, userdata);

		if (r < 0)
			log_debug("bus: a signal could not be sent: %s", strerror(-r));
	}
}
