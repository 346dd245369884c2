#define _GNU_SOURCE
#include "bus/mailbox.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "bus/job.h"
#include "bus/lease.h"
#include "bus/tree.h"
#include "ipc/names.h"
#include "store/read.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

/* In the order of the hashes in bus/feed.c. */
static const char *const account_props[MAILBOX_ACCOUNT_PROPS] = { "Enabled",  "State",		"StateReason", "NextRetry",
								  "Resource", "ServerFeatures", "DisplayName" };
static const char *const sync_props[MAILBOX_SYNC_PROPS] = { "State",	    "Phase",	"Progress",   "GapCount",    "LostCount",
							    "MessageCount", "CaughtUp", "OldestTime", "CaughtUpTime" };

struct mark {
	int64_t account;
	uint32_t bits; /* enum mark_bit */
	uint32_t account_changed, sync_changed; /* bit i: property i of the lists above */
};

struct job_mark_of {
	uint64_t number;
	uint32_t bits; /* enum job_mark */
};

struct mailbox {
	struct mailboxes *all;
	struct mailbox *next;
	const struct interest *interest;
	struct mark *marks;
	size_t n, cap;
	struct job_mark_of *jobs; /* at most as many as there are jobs */
	size_t n_jobs;
	int64_t rung_us; /* the last doorbell, boot clock */
	uint32_t root; /* enum root_mark */
};

/* How far the feed of an account was when it last grew. */
struct bell {
	int64_t account;
	uint64_t seq;
	uint64_t looked; /* up to here it is known whom it concerned */
};

struct mailboxes {
	sd_event *event;
	struct hub *hub;
	const struct jobs *jobs;
	sd_event_source *timer; /* wakes the loop, which then delivers */
	int64_t timer_us;	/* 0: off */
	struct mailbox *first;
	size_t n;
	struct bell *bells;
	size_t n_bells;
};

/* ---- marks ---- */

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

void mailboxes_mark(struct mailboxes *ms, int64_t account, uint32_t bits, uint32_t account_changed, uint32_t sync_changed)
{
	for (struct mailbox *m = ms->first; m && (bits || account_changed || sync_changed); m = m->next) {
		struct mark *k = mailbox_mark(m, account);

		k->bits |= bits;
		k->account_changed |= account_changed;
		k->sync_changed |= sync_changed;
	}
}

static struct bell *bell_of(struct mailboxes *ms, int64_t account)
{
	for (size_t i = 0; i < ms->n_bells; i++)
		if (ms->bells[i].account == account)
			return &ms->bells[i];
	ms->bells = xrealloc(ms->bells, ms->n_bells + 1, sizeof(*ms->bells));
	ms->bells[ms->n_bells] = (struct bell){ .account = account };
	return &ms->bells[ms->n_bells++];
}

/* Mailboxes with a narrow interest are marked only if it is met. True for each that is not narrow. */
static void ring_narrow(struct mailboxes *ms, struct store *s, struct bell *b)
{
	_cleanup_(freep) const struct interest **of = xnewn(const struct interest *, ms->n + 1);
	_cleanup_(freep) struct mailbox **who = xnewn(struct mailbox *, ms->n + 1);
	_cleanup_(freep) bool *hit = xnewn(bool, ms->n + 1);
	size_t n = 0;

	for (struct mailbox *m = ms->first; m; m = m->next)
		if (interest_is_narrow(m->interest)) {
			of[n] = m->interest;
			who[n++] = m;
		}
	if (n == 0) {
		b->looked = b->seq;
		return;
	}
	interest_look(s, b->account, &b->looked, of, n, hit);
	for (size_t i = 0; i < n; i++)
		if (hit[i])
			mailbox_mark(who[i], b->account)->bits |= MARK_FEED;
}

void mailboxes_mark_feed(struct mailboxes *ms, int64_t account)
{
	struct store *s = hub_store(ms->hub);
	struct bell *b = bell_of(ms, account);
	uint64_t seq = 0;

	/* Gone meanwhile. */
	if (!s || !hub_account(ms->hub, account) || read_seq(s, account, &seq, NULL) != 0)
		return;
	b->seq = seq;
	ring_narrow(ms, s, b);
	for (struct mailbox *m = ms->first; m; m = m->next)
		if (!interest_is_narrow(m->interest))
			mailbox_mark(m, account)->bits |= MARK_FEED;
}

void mailboxes_mark_root(struct mailboxes *ms, uint32_t bits)
{
	for (struct mailbox *m = ms->first; m; m = m->next)
		m->root |= bits;
}

void mailboxes_mark_store(struct mailboxes *ms)
{
	mailboxes_mark_root(ms, MARK_STORE);
	/* What is opened next may be another archive. */
	ms->n_bells = 0;
}

static void mark_job(struct mailbox *m, uint64_t number, uint32_t bits)
{
	size_t i = 0;

	while (i < m->n_jobs && m->jobs[i].number != number)
		i++;
	if (i == m->n_jobs) {
		m->jobs = xrealloc(m->jobs, m->n_jobs + 1, sizeof(*m->jobs));
		m->jobs[m->n_jobs++] = (struct job_mark_of){ .number = number };
	}
	/* Came and went unseen. */
	if (bits & MARK_JOB_REMOVED && m->jobs[i].bits & MARK_JOB_ADDED)
		m->jobs[i] = m->jobs[--m->n_jobs];
	else
		m->jobs[i].bits |= bits;
}

void mailboxes_mark_job(struct mailboxes *ms, uint64_t number, uint32_t bits)
{
	for (struct mailbox *m = ms->first; m; m = m->next)
		mark_job(m, number, bits);
}

/* ---- mailboxes ---- */

static int on_timer(_unused_ sd_event_source *s, _unused_ uint64_t us, void *userdata)
{
	struct mailboxes *ms = userdata;

	/* Awake: connections look into their mailboxes before the loop sleeps again. */
	ms->timer_us = 0;
	return 0;
}

int mailboxes_new(sd_event *event, struct hub *hub, struct mailboxes **ret)
{
	_cleanup_(mailboxes_freep) struct mailboxes *ms = xnew(struct mailboxes);
	int r;

	ms->event = event;
	ms->hub = hub;
	r = sd_event_add_time(event, &ms->timer, CLOCK_BOOTTIME, 0, 5 * 1000, on_timer, ms);
	if (r < 0 || (r = sd_event_source_set_enabled(ms->timer, SD_EVENT_OFF)) < 0)
		return err_origin(r);
	*ret = TAKE_PTR(ms);
	return 0;
}

struct mailboxes *mailboxes_free(struct mailboxes *ms)
{
	if (!ms)
		return NULL;
	sd_event_source_disable_unref(ms->timer);
	free(ms->bells);
	free(ms);
	return NULL;
}

void mailboxes_set_jobs(struct mailboxes *ms, const struct jobs *jobs)
{
	ms->jobs = jobs;
}

struct mailbox *mailbox_new(struct mailboxes *ms, const struct interest *interest)
{
	struct mailbox *m = xnew(struct mailbox);

	m->all = ms;
	m->interest = interest;
	m->next = ms->first;
	ms->first = m;
	ms->n++;
	return m;
}

struct mailbox *mailbox_free(struct mailbox *m)
{
	struct mailbox **at;

	if (!m)
		return NULL;
	for (at = &m->all->first; *at != m; at = &(*at)->next)
		;
	*at = m->next;
	m->all->n--;
	free(m->marks);
	free(m->jobs);
	free(m);
	return NULL;
}

/* ---- delivery ---- */

static int emit_properties(sd_bus *bus, const char *path, const char *interface, const char *const *names, uint32_t bits)
{
	char *changed[MAILBOX_ACCOUNT_PROPS + MAILBOX_SYNC_PROPS + 1] = { 0 };
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

static int emit_changed(struct mailbox *m, sd_bus *bus, const char *path, int64_t account)
{
	struct store *s = hub_store(m->all->hub);
	struct bell *b = bell_of(m->all, account);
	int r;

	/* Locked and unlocked since it was marked. */
	if (b->seq == 0 && (r = read_seq(s, account, &b->seq, NULL)) != 0)
		return r;
	return sd_bus_emit_signal(bus, path, VARVE_IFACE_ARCHIVE, "Changed", "st", store_epoch(s), b->seq);
}

static int deliver_mark(struct mailbox *m, const struct mark *k, sd_bus *bus, mailbox_wants_fn wants, void *userdata)
{
	_cleanup_(freep) char *path = tree_path(k->account);
	bool exists = hub_account(m->all->hub, k->account) != NULL;
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
		r = emit_changed(m, bus, path, k->account);
	return r;
}

static int deliver_root(uint32_t bits, sd_bus *bus, mailbox_wants_fn wants, void *userdata)
{
	int r = 0;

	if (!bits || !wants(userdata, VARVE_PATH, PROPERTIES, "PropertiesChanged"))
		return 0;
	if (bits & MARK_STORE)
		r = sd_bus_emit_properties_changed(bus, VARVE_PATH, VARVE_IFACE_MANAGER, "State", "StateReason", NULL);
	/* What the archive says of itself may be another one's now. */
	if (r >= 0 && bits & MARK_STORE)
		r = sd_bus_emit_properties_changed(bus, VARVE_PATH, VARVE_IFACE_KEYRING, "Locked", "Provider", "AutoLockUSec", NULL);
	else if (r >= 0 && bits & MARK_AUTO_LOCK)
		r = sd_bus_emit_properties_changed(bus, VARVE_PATH, VARVE_IFACE_KEYRING, "AutoLockUSec", NULL);
	if (r >= 0 && bits & MARK_NETWORK)
		r = sd_bus_emit_properties_changed(bus, VARVE_PATH, VARVE_IFACE_MANAGER, "Network", NULL);
	return r;
}

static int deliver_job(struct mailbox *m, const struct job_mark_of *k, sd_bus *bus, mailbox_wants_fn wants, void *userdata)
{
	_cleanup_(freep) char *path = job_path(k->number);

	if (k->bits & MARK_JOB_REMOVED)
		return wants(userdata, VARVE_PATH, OBJECT_MANAGER, "InterfacesRemoved") ? tree_emit_job_removed(bus, path) : 0;
	if (!jobs_has(m->all->jobs, k->number))
		return 0;
	if (k->bits & MARK_JOB_ADDED)
		return wants(userdata, VARVE_PATH, OBJECT_MANAGER, "InterfacesAdded") ? sd_bus_emit_object_added(bus, path) : 0;
	if (!wants(userdata, path, PROPERTIES, "PropertiesChanged"))
		return 0;
	if (k->bits & MARK_JOB_ENDED)
		return sd_bus_emit_properties_changed(bus, path, VARVE_IFACE_JOB, "State", "Progress", "Error", "Result", NULL);
	return sd_bus_emit_properties_changed(bus, path, VARVE_IFACE_JOB, "Progress", NULL);
}

static void report(int r)
{
	if (r < 0)
		log_debug("bus: a signal could not be sent: %s", strerror(-r));
}

static void wake_at(struct mailboxes *ms, int64_t us)
{
	if (ms->timer_us && ms->timer_us <= us)
		return;
	ms->timer_us = us;
	sd_event_source_set_time(ms->timer, (uint64_t)us);
	sd_event_source_set_enabled(ms->timer, SD_EVENT_ONESHOT);
}

/* True if doorbells may ring; else the loop is woken when they may. */
static bool bell_is_due(struct mailbox *m, int64_t now_us)
{
	if (now_us - m->rung_us >= DOORBELL_US)
		return true;
	wake_at(m->all, m->rung_us + DOORBELL_US);
	return false;
}

static void deliver_marks(struct mailbox *m, sd_bus *bus, mailbox_wants_fn wants, void *userdata)
{
	size_t n = m->n, waiting = 0;
	uint64_t now = 0;
	bool due;

	sd_event_now(m->all->event, CLOCK_BOOTTIME, &now);
	due = bell_is_due(m, (int64_t)now);
	for (size_t i = 0; i < n; i++) {
		struct mark k = m->marks[i];
		uint32_t later = due ? 0 : k.bits & MARK_FEED;

		k.bits &= ~later;
		if (k.bits & MARK_FEED)
			m->rung_us = (int64_t)now;
		report(deliver_mark(m, &k, bus, wants, userdata));
		if (later)
			m->marks[waiting++] = (struct mark){ .account = k.account, .bits = later };
	}
	m->n = waiting;
}

void mailbox_deliver(struct mailbox *m, sd_bus *bus, mailbox_wants_fn wants, void *userdata)
{
	size_t n_jobs = m->n_jobs;

	report(deliver_root(m->root, bus, wants, userdata));
	m->root = 0;
	if (m->n > 0)
		deliver_marks(m, bus, wants, userdata);
	m->n_jobs = 0;
	for (size_t i = 0; i < n_jobs; i++)
		report(deliver_job(m, &m->jobs[i], bus, wants, userdata));
}
