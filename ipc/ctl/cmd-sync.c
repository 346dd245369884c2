/*
 * varvectl sync ...: what is missing, and waiting until nothing is.
 */
#include <string.h>
#include <time.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/gaps.h"
#include "ipc/ctl/hint.h"
#include "ipc/ctl/show.h"
#include "ipc/ctl/table.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/value.h"

#define WAIT_TICK_US (1 * (uint64_t)USEC_PER_SEC) /* look again even if nothing rang */
#define WAIT_PAUSE_US 100000 /* while signals come in a row: ten looks a second are enough */
/*
 * An account that is offline with no attempt planned and no reason is only just starting: then it connects within this
 * time. With a reason it was disconnected by hand.
 */
#define WAIT_OFFLINE_US (5 * USEC_PER_SEC)

struct waiting {
	int64_t deadline; /* monotonic us; 0 = none */
	int64_t offline_since;
	struct rate rate;
	char *stuck_on; /* what the last look found undone, for the timeout's message */
};

/* Is this account done? 1 yes, 0 not yet; otherwise *ret_code says how it ends and the reason has been told. */
static int look_at(struct ctl *c, struct waiting *w, const struct value *a, int *ret_code)
{
	const struct value *sync = value_get(a, "sync");
	const char *state = value_str(a, "state"), *reason = value_str(a, "state_reason"), *jid = value_str(a, "jid");
	const char *what;
	size_t used;
	_cleanup_(freep) char *progress = NULL, *line = NULL;

	*ret_code = EXIT_OK;
	if (strcmp(state, "auth-failed") == 0)
		*ret_code = ctl_fail(c, EXIT_SECRET, "varvectl account password", "%s: %s", jid,
				     *reason ? reason : "the server refused the password");
	else if (strcmp(value_str(sync, "state"), "paused") == 0)
		*ret_code = ctl_fail(c, EXIT_FAIL, "varvectl sync resume", "%s: the sync is paused", jid);
	else if (value_true(sync, "metered"))
		*ret_code = ctl_fail(c, EXIT_FAIL, "varvectl status", "%s: older history waits for a link that is not metered", jid);
	else if (strcmp(value_str(sync, "state"), "error") == 0)
		*ret_code = ctl_fail(c, EXIT_FAIL, "varvectl doctor", "%s: the archive cannot be synchronised%s%s",
				     jid, *reason ? ": " : "", reason);
	if (*ret_code != EXIT_OK)
		return 0;
	if (strcmp(state, "offline") == 0 && value_int(a, "next_retry_usec") == 0) {
		if (w->offline_since == 0)
			w->offline_since = now_mono();
		if (*reason || now_mono() - w->offline_since > WAIT_OFFLINE_US) {
			*ret_code = ctl_fail(c, EXIT_OFFLINE, "varvectl account connect", "%s is offline%s%s", jid,
					     *reason ? ": " : "", reason);
			return 0;
		}
	} else {
		w->offline_since = 0;
	}
	/* caught_up covers the moment between "online" and the first question to the archive, when all looks idle. */
	if (strcmp(state, "online") == 0 && strcmp(value_str(sync, "state"), "idle") == 0 &&
	    value_int(sync, "gaps") == 0 && value_true(sync, "caught_up"))
		return 1;
	rate_add(&w->rate, a, now_mono());
	what = strcmp(state, "online") == 0 ? value_str(sync, "state") : state;
	/* term_progress() leaves three columns free. */
	used = text_width(jid) + strlen(what) + 3 + 3;
	progress = show_progress(a, &w->rate, term_columns() > used ? term_columns() - used : 0);
	/* While it is not online, how far it is says nothing; why it is not, does. */
	line = strcmp(state, "online") == 0 ? xasprintf("%s  %s %s", jid, what, progress)
					    : xasprintf("%s  %s%s%s", jid, what, *reason ? ": " : "", reason);
	free(w->stuck_on);
	w->stuck_on = xasprintf("%s is %s, sync %s, %lld gap%s%s%s", jid, state, value_str(sync, "state"),
				(long long)value_int(sync, "gaps"), value_int(sync, "gaps") == 1 ? "" : "s",
				*reason ? ": " : "", reason);
	if (!c->quiet) {
		_cleanup_(freep) char *clean = text_clean(line, false);

		term_progress(clean);
	}
	return 0;
}

/* 1 when every account is done, 0 not yet; else *ret_code. */
static int look(struct ctl *c, struct waiting *w, int *ret_code)
{
	_cleanup_(value_freep) struct value *status = NULL;
	const char *only = ctl_opt(c, ACCOUNT);
	_cleanup_(freep) char *folded = only ? str_fold(only) : NULL;
	const struct value *accounts;
	size_t seen = 0, enabled = 0;

	*ret_code = value_status(c, &status);
	if (*ret_code == EXIT_OK)
		*ret_code = ctl_opened(c, status);
	if (*ret_code != EXIT_OK)
		return 0;
	accounts = value_get(status, "accounts");
	for (size_t i = 0; i < value_count(accounts); i++) {
		const struct value *a = value_at(accounts, i);
		bool disabled = strcmp(value_str(a, "state"), "disabled") == 0;

		if (folded && strcmp(value_str(a, "jid"), folded) != 0)
			continue;
		seen++;
		if (disabled && folded) {
			*ret_code = ctl_fail(c, EXIT_OFFLINE, "varvectl account enable", "%s is disabled", only);
			return 0;
		}
		if (!disabled && !look_at(c, w, a, ret_code))
			return 0;
		enabled += !disabled;
	}
	if (seen > 0 && enabled == 0) {
		const char *jid = value_str(value_at(accounts, 0), "jid");

		*ret_code = seen == 1 ? ctl_fail(c, EXIT_OFFLINE, "varvectl account enable", "%s is disabled", jid)
				      : ctl_fail(c, EXIT_OFFLINE, "varvectl account enable JID", "all accounts are disabled");
		return 0;
	}
	if (seen > 0)
		return 1;
	*ret_code = only ? ctl_fail(c, EXIT_NOT_FOUND, "varvectl account list", "there is no account %s", only)
			 : ctl_fail(c, EXIT_NOT_FOUND, "varvectl account add JID", "there is no account yet");
	return 0;
}

int cmd_sync_wait(struct ctl *c)
{
	struct waiting w = { 0 };
	int r = ctl_connect(c);

	if (r != EXIT_OK)
		return r;
	if (c->timeout_us)
		w.deadline = now_mono() + (int64_t)c->timeout_us;
	while (!look(c, &w, &r) && r == EXIT_OK) {
		uint64_t tick = WAIT_TICK_US;
		int64_t left = w.deadline - now_mono();
		struct timespec pause = { 0, WAIT_PAUSE_US * 1000 };

		if (w.deadline && left <= 0) {
			r = ctl_fail(c, EXIT_TIMEOUT, NULL, "not synchronised in time: %s",
				     w.stuck_on ? w.stuck_on : "");
			break;
		}
		if (w.deadline && (uint64_t)left < tick)
			tick = (uint64_t)left;
		if (varve_wait(c->varve, tick) > 0)
			nanosleep(&pause, NULL);
	}
	term_progress(NULL);
	free(w.stuck_on);
	return r;
}

#define CLOCK_FROM 60 /* columns: days alone fit where there are less */

static const char *stamp(int64_t us, char buf[static TIME_HUMAN_SIZE])
{
	return time_local(us, term_columns() < CLOCK_FROM ? "%Y-%m-%d" : "%Y-%m-%d %H:%M", buf);
}

int cmd_sync_gaps(struct ctl *c)
{
	static const char *const heads[] = { "ARCHIVE", "AFTER", "BEFORE", "STATE", NULL };
	_cleanup_(table_freep) struct table *t = table_new(heads);
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(gaps_deinit) struct gaps gaps = { 0 };
	_cleanup_(freep) char *conversation = c->opts.args[0] ? str_fold(c->opts.args[0]) : xstrdup("");
	bool known = true;
	int r;

	r = ctl_account(c, NULL);
	if (r == EXIT_OK && *conversation)
		r = ctl_knows(c, conversation, &known);
	if (r == EXIT_OK && !known) { /* the daemon has no gap for a name that it never saw, and neither has a typing error */
		_cleanup_(freep) char *hint = hint_conversation(c);

		r = ctl_fail_as(c, EXIT_NOT_FOUND, VARVE_ERROR_NO_SUCH_CONVERSATION, hint, "no message of %s is stored",
				conversation);
	}
	if (r == EXIT_OK)
		r = gaps_get(c, conversation, &gaps);
	if (r != EXIT_OK)
		return r;
	j = c->json != JSON_OFF ? json_new(stdout, c->json) : NULL;
	for (size_t i = 0; i < gaps.n; i++) {
		const struct gap *g = &gaps.gap[i];
		char a[TIME_HUMAN_SIZE], b[TIME_HUMAN_SIZE];

		if (j) {
			json_object(j, NULL);
			gap_json(j, g, c->account_jid);
			json_object_end(j);
			continue;
		}
		table_cell(t, *g->conversation ? g->conversation : c->account_jid);
		table_cell(t, g->after_us ? stamp(g->after_us, a) : "the beginning");
		table_cell(t, g->before_us ? stamp(g->before_us, b) : "now");
		table_cell_color(t, strcmp(g->state, "lost") == 0 ? COLOR_RED : COLOR_OFF, g->state);
	}
	if (!j && gaps.n == 0 && !c->quiet)
		puts("no gap");
	table_limit(t, 0, 32);
	table_print(t, stdout);
	return EXIT_OK;
}

static int simple(struct ctl *c, const char *member, const char *what)
{
	int r = ctl_account(c, NULL);

	if (r == EXIT_OK)
		r = ctl_call(c, VARVE_IFACE_SYNC, member, NULL, "a{sv}", 0);
	if (r == EXIT_OK)
		ctl_done(c, c->account_jid, what);
	return r;
}

int cmd_sync_now(struct ctl *c)
{
	return simple(c, "SyncNow", "looking for missing messages (varvectl sync wait)");
}

int cmd_sync_pause(struct ctl *c)
{
	return simple(c, "Pause", "paused");
}

int cmd_sync_resume(struct ctl *c)
{
	return simple(c, "Resume", "going on");
}
