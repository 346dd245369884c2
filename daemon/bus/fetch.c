#include "bus/fetch.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "bus/account-job.h"
#include "bus/check.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/job.h"
#include "bus/options.h"
#include "bus/tree.h"
#include "ipc/names.h"
#include "store/read.h"

struct fetch {
	struct hub *hub;
	struct job *job;
	int64_t account;
	/* What is wanted: no open gap between these two. from 0: from the beginning; until INT64_MAX: to now. */
	int64_t from_us, until_us;
	bool as_kept;	  /* what varve.conf does not want is not wanted here either */
	uint64_t begun_s; /* seconds missing when it began */
	/* One conversation across the gaps (sync/errand.h); 0 = the whole archive is waited for. */
	uint32_t errand;
	int64_t errand_from_us;
};

static void on_free(void *userdata)
{
	struct fetch *f = userdata;

	if (f->errand)
		hub_errand_end(f->hub, f->account, f->errand);
	free(f);
}

/* ---- what is missing ---- */

/* Seconds of the gap inside what is wanted; at least 1 if it touches it at all. 0: it does not. */
static uint64_t overlap(const struct fetch *f, const struct gap *g, int64_t start_us, int64_t end_us)
{
	int64_t low = g->after_us > start_us ? g->after_us : start_us;
	int64_t high = g->before_us > 0 ? g->before_us : end_us;

	if (g->before_us > 0 && g->before_us <= f->from_us)
		return 0;
	if (g->after_us >= f->until_us)
		return 0;
	low = low > f->from_us ? low : f->from_us;
	high = high < f->until_us ? high : f->until_us;
	/* How far back the server's archive reaches is not known yet. */
	if (low == 0)
		return 1;
	return high > low ? 1 + (uint64_t)(high - low) / USEC_PER_SEC : 1;
}

/* Seconds of archive time that are missing and wanted; 0: nothing is. */
static uint64_t missing(const struct fetch *f)
{
	int64_t archive, start_us, end_us;
	const struct cover *c = hub_cover(f->hub, f->account, &archive);
	struct account_status s = { 0 };
	uint64_t sum = 0;
	struct gap g;

	hub_archive_ends(f->hub, f->account, &start_us, &end_us);
	/* Nothing was asked yet, not even where the archive ends. */
	if (!c || c->n == 0)
		return hub_status(f->hub, f->account, &s) == 0 && s.caught_up ? 0 : 1;
	for (size_t i = 0; i < c->n; i++)
		if (cover_gap(c, i, &g) && g.state != GAP_LOST)
			sum += overlap(f, &g, start_us, clock_real_us());
	if (cover_tail(c, &g))
		sum += overlap(f, &g, start_us, clock_real_us());
	return sum;
}

/* ---- watching ---- */

/* The gap below the message: what is wanted ends where it ends. False: there is none. */
static bool aim_below(struct fetch *f, int64_t message_us)
{
	int64_t archive;
	const struct cover *c = hub_cover(f->hub, f->account, &archive);
	struct gap g;

	for (size_t i = c ? c->n : 0; i-- > 0;)
		if (cover_gap(c, i, &g) && g.state != GAP_LOST && g.before_us <= message_us) {
			f->from_us = g.after_us;
			f->until_us = g.before_us;
			return true;
		}
	return false;
}

/* How far the errand is, in seconds of archive time. */
static void look_errand(struct fetch *f)
{
	int64_t us = 0;
	const char *why = "";
	uint64_t total = f->from_us && f->errand_from_us > f->from_us ?
				 (uint64_t)(f->errand_from_us - f->from_us) / USEC_PER_SEC : 0;

	switch (hub_errand_state(f->hub, f->account, f->errand, &us, &why)) {
	case ERRAND_DONE:
		job_progress(f->job, total, total);
		job_done(f->job, NULL, 0);
		return;
	case ERRAND_FAILED:
		job_fail(f->job, VARVE_ERROR_UNSUPPORTED, "%s", why);
		return;
	case ERRAND_NONE:
		job_fail(f->job, VARVE_ERROR_CANCELLED, "it was ended");
		return;
	case ERRAND_RUNNING:
		break;
	}
	if (us && us < f->errand_from_us)
		job_progress(f->job, (uint64_t)(f->errand_from_us - us) / USEC_PER_SEC, total);
	account_job_stopped(f->job, f->hub, f->account);
}

/* Ends the job if there is nothing to wait for. */
static void look(struct fetch *f)
{
	struct account_status s = { 0 };
	uint64_t left;

	if (f->errand) {
		look_errand(f);
		return;
	}
	left = missing(f);
	if (left == 0) {
		job_progress(f->job, f->begun_s, f->begun_s);
		job_done(f->job, NULL, 0);
		return;
	}
	f->begun_s = left > f->begun_s ? left : f->begun_s;
	job_progress(f->job, f->begun_s - left, f->begun_s);
	if (account_job_stopped(f->job, f->hub, f->account) || hub_status(f->hub, f->account, &s) != 0)
		return;
	/* The engine has all that it wants. */
	if (s.caught_up && f->as_kept) {
		job_done(f->job, NULL, 0);
		return;
	}
	if (s.caught_up || (strcmp(str_or_empty(s.state), "online") == 0 && strcmp(str_or_empty(s.sync_state), "error") == 0))
		job_fail(f->job, VARVE_ERROR_UNSUPPORTED,
			 s.caught_up ? "the rest lies further back than the history that varve.conf keeps in sync" :
				       "the server does not serve this part of its archive");
}

static void on_look(void *userdata, int64_t account)
{
	struct fetch *f = userdata;

	if (!account_job_over(f->job, f->hub, f->account) && account == f->account)
		look(f);
}

/* ---- the call ---- */

#define PAGES_BEFORE 2 /* of some 50 messages: what somebody scrolls up in one go */

struct anchor {
	int64_t us;
	char *stanza_id; /* owned */
};

static int read_anchor(void *userdata, const struct message_row *row)
{
	struct anchor *a = userdata;

	a->us = row->time_us;
	str_set(&a->stanza_id, row->stanza_id);
	return 0;
}

struct wish {
	const char *conversation;
	int64_t before, since_us;
	bool given_before, given_since, all, detach;
};

static int find_anchor(struct fetch *f, int64_t id, struct anchor *ret, sd_bus_error *error)
{
	int r = read_messages(hub_store(f->hub), f->account, &id, 1, read_anchor, ret);

	if (r < 0)
		return error_from_store(error, r);
	return ret->stanza_id ? 0 : error_set(error, VARVE_ERROR_NOT_FOUND, "there is no message %lld", (long long)id);
}

/* The whole archive. True in *ret_done: there is no gap below that message. */
static int aim(struct fetch *f, const struct wish *w, bool *ret_done, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	struct anchor a = { 0 };
	int r;

	f->as_kept = !w->all && !w->given_since && !w->given_before;
	if (w->given_before) {
		r = find_anchor(f, w->before, &a, error);
		free(a.stanza_id);
		if (r < 0)
			return r;
		*ret_done = !aim_below(f, a.us);
	}
	if (*ret_done)
		return 0;
	/* Newest end confirmed, back-off forgotten: whatever is missing is asked for. */
	r = hub_sync_now(f->hub, f->account, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	if (!f->as_kept)
		hub_deepen(f->hub, f->account, f->from_us);
	return 0;
}

static int begin_errand(struct fetch *f, const struct wish *w, int64_t from_msg, sd_bus_error *error)
{
	struct errand_wish e = {
		.with = w->conversation, .before_id = "", .before_msg = from_msg, .since_us = f->from_us,
		.pages = w->given_before ? PAGES_BEFORE : 0,
	};
	struct anchor a = { 0 };
	int r = from_msg ? find_anchor(f, from_msg, &a, error) : 0;

	if (r == 0) {
		e.before_id = str_or_empty(a.stanza_id);
		e.before_us = a.us;
		f->errand_from_us = from_msg ? a.us : clock_real_us();
		f->errand = hub_errand(f->hub, f->account, &e);
	}
	free(a.stanza_id);
	return r;
}

/* One conversation, from where its history stops at a gap. *ret_done: it does not, down to what is wanted. */
static int aim_across(struct fetch *f, const struct wish *w, bool *ret_done, sd_bus_error *error)
{
	struct account_status s = { 0 };
	struct anchor a = { 0 };
	int64_t from = 0;
	bool gap = false;
	int r;

	r = w->given_before ? find_anchor(f, w->before, &a, error) : 0;
	free(a.stanza_id);
	if (r < 0)
		return r;
	r = read_reach(hub_store(f->hub), f->account, w->conversation, w->before, &from, &gap);
	if (r < 0)
		return error_from_store(error, r);
	if (r == READ_E_NO_MESSAGE)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no message %lld in that conversation", (long long)w->before);
	a = (struct anchor){ 0 };
	r = from ? find_anchor(f, from, &a, error) : 0;
	free(a.stanza_id);
	if (r < 0)
		return r;
	*ret_done = !gap || (from && f->from_us && a.us <= f->from_us);
	if (*ret_done)
		return 0;
	if (hub_status(f->hub, f->account, &s) != 0 || strcmp(str_or_empty(s.state), "online") != 0)
		return error_set(error, VARVE_ERROR_OFFLINE, "the account is not connected: the archive cannot be asked");
	if (strcmp(str_or_empty(s.sync_state), "paused") == 0)
		return error_from_hub(error, HUB_E_PAUSED, NULL);
	return begin_errand(f, w, from, error);
}

static int read_call(sd_bus_message *m, struct conn *c, struct wish *w, sd_bus_error *error)
{
	const struct option known[] = {
		{ "before", OPTION_ID, &w->before, &w->given_before },
		{ "since", OPTION_TIME, &w->since_us, &w->given_since },
		{ "all", OPTION_BOOL, &w->all },
		{ "detach", OPTION_BOOL, &w->detach },
	};
	int r;

	r = sd_bus_message_read(m, "s", &w->conversation);
	if (r < 0)
		return error_from_read(error, r);
	r = options_read(m, known, ARRAY_SIZE(known), error);
	if (r < 0)
		return r;
	if (w->given_before + w->given_since + w->all > 1)
		return error_invalid(error, "before, since and all exclude each other");
	if (w->since_us < 0)
		return error_invalid(error, "since is microseconds since 1970");
	if (!*w->conversation)
		return 0;
	return check_conversation(hub_store(conn_hub(c)), tree_call_account(m), w->conversation, error);
}

int fetch_handle(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	static const struct job_ops ops = { .kind = "fetch", .free = on_free, .look = on_look };
	struct fetch *f;
	struct conn *c = userdata;
	struct wish w = { 0 };
	bool done = false;
	struct job *job;
	int r;

	r = read_call(m, c, &w, error);
	if (r < 0)
		return r;
	f = xnew(struct fetch);
	f->hub = conn_hub(c);
	f->account = tree_call_account(m);
	f->until_us = INT64_MAX;
	f->from_us = w.given_since ? w.since_us : 0;
	r = *w.conversation && (w.given_before || w.given_since || w.all) ? aim_across(f, &w, &done, error)
									  : aim(f, &w, &done, error);
	if (r >= 0)
		r = job_begin(c, w.detach, &ops, f, &f->job, error);
	if (r < 0) {
		on_free(f);
		return r;
	}
	job = f->job;
	r = job_reply(job, m);
	if (done)
		job_done(job, NULL, 0);
	else
		look(f); /* f is the job's, or gone with it */
	return r;
}
