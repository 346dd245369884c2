/*
 * What varvectl doctor shows: each check names what it looked at, what it found, and what to do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/err.h"
#include "sync/hub-priv.h"

#define DISK_WARN_BYTES (INT64_C(200) * 1024 * 1024) /* a phone's day of photos; varve itself needs 1 kB a message */
#define BUILD_EPOCH_S 1763769600 /* 2025-11-22: a clock before the software was written is wrong */

struct diagnosis {
	struct hub *hub;
	hub_check_fn fn;
	hub_diagnosed_fn done;
	void *userdata;
	int r;
	sd_event_source *source; /* idle: what takes time */
};

static void say(struct diagnosis *p, const char *name, const char *result, const char *hint, const char *fmt, ...)
	_printf_(5, 6);

static void say(struct diagnosis *p, const char *name, const char *result, const char *hint, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->r >= 0)
		p->r = p->fn(p->userdata, name, result, text, hint);
}

static void check_files(struct hub *h, struct diagnosis *p)
{
	struct statvfs fs;
	struct stat st;

	if (stat(h->data_dir, &st) == 0 && (st.st_mode & 077))
		say(p, "data-directory", "warn", "chmod 700 that directory", "%s can be read by others", h->data_dir);
	else
		say(p, "data-directory", "ok", "", "%s is yours alone", h->data_dir);
	if (statvfs(h->data_dir, &fs) == 0) {
		int64_t left = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;

		if (left < DISK_WARN_BYTES)
			say(p, "disk", "warn", "free some space: varve keeps messages unacknowledged when the disk is full",
			    "only %lld MB left", (long long)(left / 1000000));
		else
			say(p, "disk", "ok", "", "%lld MB left", (long long)(left / 1000000));
	}
}

static void check_account(struct hub *h, struct seat *seat, struct diagnosis *p)
{
	const struct account *a = engine_account(seat->engine);
	struct account_status s;
	char name[JID_MAX + 16];

	(void)h;
	engine_status(seat->engine, &s);
	snprintf(name, sizeof(name), "connection %s", a->jid);
	if (!a->enabled)
		say(p, name, "skip", "", "the account is disabled");
	else if (strcmp(s.state, "online") == 0)
		say(p, name, "ok", "", "online at %s, %s, %s", s.address, s.mechanism,
		    s.resumable ? "resumable" : "not resumable: the server has no stream management");
	else if (strcmp(s.state, "auth-failed") == 0)
		say(p, name, "fail", "varvectl account password asks for another and connects", "stopped: %s",
		    s.reason_text);
	else
		say(p, name, "warn", "varvectl account connect tries at once", "%s%s%s", s.state,
		    *s.reason_text ? ": " : "", s.reason_text);
	snprintf(name, sizeof(name), "archive %s", a->jid);
	if (strcmp(s.sync_state, "error") == 0)
		say(p, name, "warn", "varvectl sync now asks again", "the archive does not answer: %s", s.reason_text);
	else if (s.gaps && strcmp(s.sync_state, "paused") == 0)
		say(p, name, "warn", "varvectl sync resume", "the sync is paused; %u gap%s not filled", s.gaps,
		    s.gaps == 1 ? "" : "s");
	else if (s.gaps)
		say(p, name, "warn", "varvectl sync gaps lists them; they are filled while the account is online",
		    "%llu messages, %u gap%s not filled yet", (unsigned long long)s.messages, s.gaps,
		    s.gaps == 1 ? "" : "s");
	else if (s.lost)
		say(p, name, "warn", "nothing can be done: the server has dropped these messages",
		    "%llu messages, no open gap, %u gaps that can never be filled", (unsigned long long)s.messages, s.lost);
	else
		say(p, name, "ok", "", "%llu messages, no gap", (unsigned long long)s.messages);
}

static void check_archive(struct hub *h, struct diagnosis *p)
{
	_cleanup_(freep) char *why = NULL;

	if (h->state == HUB_LOCKED)
		say(p, "archive", "skip", "varvectl unlock", "locked: its pages cannot be checked");
	else if (h->state == HUB_FAILED)
		say(p, "archive", "fail", "keep a copy of the directory before anything else", "%s", h->why);
	else if (store_check(h->store, &why) == 0)
		say(p, "archive", "ok", "", "no damage found in %lld kB", (long long)(store_size(h->store) / 1024));
	else
		say(p, "archive", "fail", "keep a copy of the directory before anything else", "damaged: %s",
		    why ? why : "the check could not run");
}

static void check_rest(struct hub *h, struct diagnosis *p)
{
	if (clock_real_us() / USEC_PER_SEC < BUILD_EPOCH_S)
		say(p, "clock", "fail", "set the date: certificates cannot be checked", "the clock is years behind");
	else
		say(p, "clock", "ok", "", "plausible");
	if (access(h->wire_path, X_OK) == 0)
		say(p, "varve-wire", "ok", "", "%s", h->wire_path);
	else
		say(p, "varve-wire", "fail", "reinstall varve, or set VARVE_WIRE", "%s: %s", h->wire_path,
		    strerror(errno));
	if (h->state != HUB_READY)
		say(p, "accounts", "skip", "", "not known while the archive is not open");
	else if (h->n_seats == 0)
		say(p, "accounts", "warn", "varvectl account add JID", "there is no account yet");
	for (size_t i = 0; i < hub_account_count(h); i++)
		check_account(h, h->seats[i], p);
}

static struct diagnosis *diagnosis_free(struct diagnosis *p)
{
	if (!p)
		return NULL;
	sd_event_source_disable_unref(p->source);
	free(p);
	return NULL;
}

/* Say how it ended, and forget it. */
static void finish(struct hub *h)
{
	struct diagnosis p = *h->diagnosis;

	h->diagnosis->source = NULL;
	h->diagnosis = diagnosis_free(h->diagnosis);
	sd_event_source_disable_unref(p.source);
	p.done(p.userdata, p.r);
}

static int on_idle(_unused_ sd_event_source *s, void *userdata)
{
	struct hub *h = userdata;

	check_archive(h, h->diagnosis);
	finish(h);
	return 0;
}

int hub_diagnose(struct hub *h, _unused_ bool deep, hub_check_fn fn, hub_diagnosed_fn done, void *userdata,
		 char **ret_why)
{
	struct diagnosis *p;
	int r;

	if (h->diagnosis) {
		*ret_why = xstrdup("the archive is being checked already: wait for that");
		return HUB_E_BUSY;
	}
	p = h->diagnosis = xnew(struct diagnosis);
	*p = (struct diagnosis){ .hub = h, .fn = fn, .done = done, .userdata = userdata };
	r = sd_event_add_defer(h->event, &p->source, on_idle, h);
	if (r >= 0)
		r = sd_event_source_set_priority(p->source, SD_EVENT_PRIORITY_IDLE);
	if (r < 0) {
		h->diagnosis = diagnosis_free(p);
		return err_origin(r);
	}
	check_files(h, p);
	check_rest(h, p);
	return 0;
}

void hub_diagnose_abandon(struct hub *h, const void *userdata)
{
	if (h->diagnosis && h->diagnosis->userdata == userdata)
		h->diagnosis = diagnosis_free(h->diagnosis);
}

void hub_diagnose_free(struct hub *h)
{
	h->diagnosis = diagnosis_free(h->diagnosis);
}
