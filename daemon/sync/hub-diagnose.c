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
#include "core/recheck.h"
#include "core/stamp.h"
#include "store/search.h"
#include "sync/diagnosis.h"
#include "vault/vault.h"

#define DISK_WARN_BYTES (INT64_C(200) * 1024 * 1024) /* a phone's day of photos; varve itself needs 1 kB a message */
#define BUILD_EPOCH_S 1763769600 /* 2025-11-22: a clock before the software was written is wrong */

void diagnosis_say(struct diagnosis *p, const char *name, const char *result, const char *hint, const char *fmt, ...)
{
	char text[1024];
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
		diagnosis_say(p, "data-directory", "warn", "chmod 700 that directory", "%s can be read by others", h->data_dir);
	else
		diagnosis_say(p, "data-directory", "ok", "", "%s is yours alone", h->data_dir);
	if (statvfs(h->data_dir, &fs) == 0) {
		int64_t left = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;

		if (left < DISK_WARN_BYTES)
			diagnosis_say(p, "disk", "warn", "free some space: varve keeps messages unacknowledged when the disk is full",
			    "only %lld MB left", (long long)(left / 1000000));
		else
			diagnosis_say(p, "disk", "ok", "", "%lld MB left", (long long)(left / 1000000));
	}
}

static void check_push(const char *jid, const struct account_status *s, struct diagnosis *p)
{
	char name[JID_MAX + 16];

	snprintf(name, sizeof(name), "push %s", jid);
	if (!s->push_service)
		return;
	if (strcmp(s->push_state, "enabled") == 0)
		diagnosis_say(p, name, "ok", "", "the server keeps the session of a long sleep");
	else if (strcmp(s->push_state, "refused") == 0)
		diagnosis_say(p, name, "warn", "another address may do: varvectl account set push-service=JID",
			      "the server refuses the push service: %s", s->push_reason);
	else if (strcmp(s->push_state, "unsupported") == 0)
		diagnosis_say(p, name, "warn", "nothing can be done here: varvectl account set push-service= says no more of it",
			      "the server knows nothing of push services (XEP-0357), or cannot resume: a session ends as soon as "
			      "without");
	else if (*s->push_reason)
		diagnosis_say(p, name, "warn", "it is asked again with the next connection",
			      "the server has not enabled the push service yet: %s", s->push_reason);
	else
		diagnosis_say(p, name, "skip", "", "the server has not answered yet about the push service");
}

/* May the server's archive be believed? */
static void check_settled(const char *jid, const struct account_status *s, struct diagnosis *p)
{
	char name[JID_MAX + 16], since[STAMP_SIZE] = "its beginning";

	snprintf(name, sizeof(name), "settled %s", jid);
	if (s->contradicts) {
		diagnosis_say(p, name, "warn", "varvectl sync verify compares and stores what is missing; its operator should look into "
			      "it", "the server gives ids of messages that are stored here to other messages, again and again: "
			      "nothing that is stored was lost by it, but what it has is certain only after a comparison");
		return;
	}
	if (!s->unsettled_us)
		return;
	if (s->unsettled_us != RECHECK_ALL)
		stamp_format(s->unsettled_us, since);
	diagnosis_say(p, name, "warn", "nothing: while online it is asked again by itself, after ten minutes at first, at least once a "
		      "day; varvectl sync verify compares now", "the server says that its archive from %s on is not settled yet "
		      "(a cluster, say): messages may be missing here, or stand elsewhere", since);
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
		diagnosis_say(p, name, "skip", "", "the account is disabled");
	else if (strcmp(s.state, "online") == 0)
		diagnosis_say(p, name, "ok", "", "online at %s, %s, %s", s.address, s.mechanism,
		    s.resumable ? "resumable" : "not resumable: the server has no stream management");
	else if (strcmp(s.state, "auth-failed") == 0)
		diagnosis_say(p, name, "fail", "varvectl account password asks for another and connects", "stopped: %s",
		    s.reason_text);
	else
		diagnosis_say(p, name, "warn", "varvectl account connect tries at once", "%s%s%s", s.state,
		    *s.reason_text ? ": " : "", s.reason_text);
	snprintf(name, sizeof(name), "archive %s", a->jid);
	if (strcmp(s.reason_name, "Storage") == 0)
		diagnosis_say(p, name, "fail", "nothing else: it is tried again every few seconds", "%s", s.reason_text);
	else if (strcmp(s.sync_state, "error") == 0)
		diagnosis_say(p, name, "warn", "varvectl sync now asks again", "the sync has stopped: %s", s.reason_text);
	else if (s.gaps && strcmp(s.sync_state, "paused") == 0)
		diagnosis_say(p, name, "warn", "varvectl sync resume", "the sync is paused; %u gap%s not filled", s.gaps,
		    s.gaps == 1 ? "" : "s");
	else if (s.gaps)
		diagnosis_say(p, name, "warn", "varvectl sync gaps lists them; they are filled while the account is online",
		    "%llu messages, %u gap%s not filled yet", (unsigned long long)s.messages, s.gaps,
		    s.gaps == 1 ? "" : "s");
	else if (s.lost)
		diagnosis_say(p, name, "warn", "nothing can be done: the server has dropped these messages",
		    "%llu messages, no open gap, %u gaps that can never be filled", (unsigned long long)s.messages, s.lost);
	else
		diagnosis_say(p, name, "ok", "", "%llu messages, no gap", (unsigned long long)s.messages);
	check_settled(a->jid, &s, p);
	check_push(a->jid, &s, p);
}

/* Who may open the archive, and who could by mistake. */
static void check_slots(struct hub *h, struct diagnosis *p)
{
	size_t others = 0, n = 0;

	for (size_t i = 0; i < vault_slot_count(h->vault); i++) {
		_cleanup_(freep) char *why = NULL;

		if (!vault_slot_opens(h->vault, i, &why))
			continue;
		n++;
		others += vault_slot_at(h->vault, i).type != SLOT_KEYFILE;
	}
	if (n == 0) {
		_cleanup_(freep) char *why = hub_no_way_in(h);

		/* While it is open the problem "keys" says so, with what to do. */
		if (h->state != HUB_READY)
			diagnosis_say(p, "keys", "fail", "bring one of them back, from a copy of the configuration say", "%s",
				      why);
		return;
	}
	if (others == 0)
		diagnosis_say(p, "keys", "warn", "varvectl keys add recovery prints a code to keep on paper; varvectl passwd "
			      "sets a passphrase", "only %s open%s the archive: without %s nobody can read it",
			      n == 1 ? "a key file" : "key files", n == 1 ? "s" : "", n == 1 ? "it" : "them");
	else if (n == 1)
		diagnosis_say(p, "keys", "warn", "varvectl keys add recovery prints a code to keep on paper",
			      "there is one way to open the archive: without it nobody can read it");
	else
		diagnosis_say(p, "keys", "ok", "", "%zu ways to open the archive", n);
}

static void check_private(struct diagnosis *p, const char *what, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		diagnosis_say(p, what, "warn", "bring it back; if it is lost for good, \"varvectl keys list\" and \"varvectl "
			      "keys remove\" forget it", "%s: %s", path, strerror(errno));
	else if (st.st_mode & 077 || st.st_uid != geteuid())
		diagnosis_say(p, what, "warn", "make it yours alone: chmod 600", "%s can be read or changed by others", path);
	else
		diagnosis_say(p, what, "ok", "", "%s is yours alone", path);
}

/* What mlock(2) has locked in this process, in kB; -1 if it cannot be known. */
static long locked_kb(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kb = -1;

	if (!f)
		return -1;
	while (kb < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %ld kB", &kb) != 1)
			kb = -1;
	fclose(f);
	return kb;
}

static void check_keys(struct hub *h, struct diagnosis *p)
{
	_cleanup_(freep) char *sidecar = xasprintf("%s/" VAULT_SIDECAR, h->data_dir);

	if (!h->vault) {
		diagnosis_say(p, "keys", "fail", "keep a copy of the directory before anything else", "%s", h->why);
		return;
	}
	check_slots(h, p);
	check_private(p, "key-store", sidecar);
	for (size_t i = 0; i < vault_slot_count(h->vault); i++) {
		struct vault_slot s = vault_slot_at(h->vault, i);
		_cleanup_(freep) char *path = NULL;

		if (s.type != SLOT_KEYFILE)
			continue;
		path = *s.path == '/' ? xstrdup(s.path) : xasprintf("%s/%s", h->config_dir, s.path);
		check_private(p, "key-file", path);
	}
	if (!vault_locked(h->vault) && locked_kb() == 0)
		diagnosis_say(p, "memory-lock", "warn", "set LimitMEMLOCK=1M in varved.service, or ulimit -l 1024",
			      "keys could be written to swap: no memory can be locked");
	else
		diagnosis_say(p, "memory-lock", "ok", "", "keys stay in memory");
}

static void check_index(struct hub *h, struct diagnosis *p)
{
	const char *trouble = search_trouble(h->store);
	struct hub_archive a;

	hub_archive(h, &a);
	if (trouble)
		diagnosis_say(p, "search-index", "warn", "it is tried again by itself, after a minute at first, then less often; "
			      "until then searches are slower. If it stays: restore a backup", "%s", trouble);
	else if (a.to_index)
		diagnosis_say(p, "search-index", "ok", "", "%llu messages are indexed, %llu more are while varved is idle",
			      (unsigned long long)a.indexed, (unsigned long long)a.to_index);
	else
		diagnosis_say(p, "search-index", "ok", "", "every message is indexed");
}

static void check_rest(struct hub *h, struct diagnosis *p)
{
	if (clock_real_us() / USEC_PER_SEC < BUILD_EPOCH_S)
		diagnosis_say(p, "clock", "fail", "set the date: certificates cannot be checked", "the clock is years behind");
	else
		diagnosis_say(p, "clock", "ok", "", "plausible");
	if (access(h->wire.path, X_OK) == 0)
		diagnosis_say(p, "varve-wire", "ok", "", "%s", h->wire.path);
	else
		diagnosis_say(p, "varve-wire", "fail", "reinstall varve, or set VARVE_WIRE", "%s: %s", h->wire.path,
		    strerror(errno));
	if (h->state == HUB_READY)
		check_index(h, p);
	if (h->state != HUB_READY)
		diagnosis_say(p, "accounts", "skip", "", "not known while the archive is not open");
	else if (h->n_seats == 0)
		diagnosis_say(p, "accounts", "warn", "varvectl account add JID", "there is no account yet");
	for (size_t i = 0; i < hub_account_count(h); i++)
		check_account(h, h->seats[i], p);
}

static int say_problem(void *userdata, const char *name, const char *text, const char *hint)
{
	struct diagnosis *p = userdata;

	diagnosis_say(p, name, "fail", hint, "%s", text);
	return p->r;
}

static struct diagnosis *diagnosis_free(struct diagnosis *p)
{
	if (!p)
		return NULL;
	diagnosis_scan_deinit(p);
	free(p);
	return NULL;
}

void diagnosis_end(struct diagnosis *p)
{
	hub_diagnosed_fn done = p->done;
	void *userdata = p->userdata;
	int r = p->r;

	p->hub->diagnosis = NULL;
	diagnosis_free(p);
	done(userdata, r);
}

int hub_diagnose(struct hub *h, bool deep, hub_check_fn fn, hub_diagnosed_fn done, void *userdata, char **ret_why)
{
	struct diagnosis *p;
	int r;

	if (h->diagnosis) {
		*ret_why = xstrdup("the archive is being checked already: wait for that");
		return HUB_E_BUSY;
	}
	p = h->diagnosis = xnew(struct diagnosis);
	*p = (struct diagnosis){ .hub = h, .fn = fn, .done = done, .userdata = userdata, .deep = deep };
	r = diagnosis_scan(p);
	if (r < 0) {
		h->diagnosis = diagnosis_free(p);
		return err_trace(r);
	}
	check_files(h, p);
	hub_problems(h, say_problem, p);
	check_keys(h, p);
	check_rest(h, p);
	return 0;
}

void hub_diagnose_abandon(struct hub *h, const void *userdata)
{
	if (h->diagnosis && h->diagnosis->userdata == userdata)
		h->diagnosis = diagnosis_free(h->diagnosis);
}

void hub_diagnose_close(struct hub *h)
{
	if (!h->diagnosis)
		return;
	diagnosis_say(h->diagnosis, "archive", "skip", "ask again", "it was closed meanwhile");
	diagnosis_end(h->diagnosis);
}

void hub_diagnose_free(struct hub *h)
{
	h->diagnosis = diagnosis_free(h->diagnosis);
}
