#include "ipc/ctl/show.h"

#include <stdarg.h>
#include <string.h>

#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"
#include "ipc/ctl/util.h"

#define BAR_MIN 4 /* columns; shorter says nothing */
#define BAR_MAX 30 /* columns; longer says no more */

char *show_count(int64_t n)
{
	char digits[24], *out = xcalloc(32, 1), *p = out;
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)n);

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
			*p++ = ',';
		*p++ = digits[i];
	}
	return out;
}

enum color show_state_color(const char *state)
{
	if (strcmp(state, "online") == 0)
		return COLOR_GREEN;
	if (strcmp(state, "auth-failed") == 0)
		return COLOR_RED;
	return strcmp(state, "disabled") == 0 ? COLOR_DIM : COLOR_YELLOW;
}

const struct value *show_find(const struct value *status, const char *jid)
{
	const struct value *accounts = value_get(status, "accounts");

	for (size_t i = 0; i < value_count(accounts); i++)
		if (strcmp(value_str(value_at(accounts, i), "jid"), jid) == 0)
			return value_at(accounts, i);
	return NULL;
}

void rate_add(struct rate *r, const struct value *account, int64_t mono_us)
{
	const struct value *sync = value_get(account, "sync");

	if (r->n > 0 && mono_us - r->sample[r->n - 1].mono_us < USEC_PER_SEC)
		return;
	if (r->n == RATE_SAMPLES)
		memmove(r->sample, r->sample + 1, --r->n * sizeof(r->sample[0]));
	r->sample[r->n].mono_us = mono_us;
	r->sample[r->n].messages = value_int(sync, "messages");
	r->sample[r->n++].done = value_int(sync, "done");
}

double rate_messages(const struct rate *r)
{
	if (r->n < 2)
		return 0;
	return (double)(r->sample[r->n - 1].messages - r->sample[0].messages) * (double)USEC_PER_SEC /
	       (double)(r->sample[r->n - 1].mono_us - r->sample[0].mono_us);
}

int64_t rate_eta(const struct rate *r, const struct value *account)
{
	const struct value *sync = value_get(account, "sync");
	int64_t total = value_int(sync, "total"), done = value_int(sync, "done"), moved;

	if (r->n < 2 || total <= 0 || done >= total)
		return -1;
	moved = r->sample[r->n - 1].done - r->sample[0].done;
	if (moved <= 0)
		return -1;
	return (int64_t)((double)(total - done) / (double)moved *
			 (double)(r->sample[r->n - 1].mono_us - r->sample[0].mono_us));
}

char *show_progress(const struct value *account, const struct rate *r, size_t columns)
{
	const struct value *sync = value_get(account, "sync");
	int64_t done = value_int(sync, "done"), total = value_int(sync, "total"), eta = r ? rate_eta(r, account) : -1;
	_cleanup_(freep) char *count = show_count(value_int(sync, "messages"));
	_cleanup_(freep) char *speed = NULL, *left = NULL, *percent = NULL, *tail = NULL;
	char span[TIME_HUMAN_SIZE], bar[BAR_MAX * 4 + 1];
	size_t bar_columns;

	/* 100 % is what is done, not what is nearly so. */
	percent = total > 0 ? xasprintf("%3d%%", done >= total ? 100 : (int)((double)done * 100 / (double)total))
			    : xstrdup("   ?");
	if (r && rate_messages(r) >= 1)
		speed = xasprintf("  %.0f/s", rate_messages(r));
	if (eta >= 0)
		left = xasprintf("  %s left", time_span(eta, span));
	/* Where there is no room for all of it: how far it is, how long it takes, how many, how fast, in this order. */
	for (unsigned parts = 3;; parts--) {
		free(tail);
		tail = xasprintf("%s%s%s%s%s%s", percent, parts >= 2 ? "  " : "", parts >= 2 ? count : "",
				 parts >= 2 ? " messages" : "", parts >= 3 && speed ? speed : "", parts >= 1 && left ? left : "");
		if (parts == 0 || strlen(tail) + 3 + BAR_MIN <= columns)
			break;
	}
	if (strlen(tail) + 3 + BAR_MIN > columns)
		return xstrdup(percent);
	bar_columns = columns - strlen(tail) - 3;
	bar_columns = bar_columns > BAR_MAX ? BAR_MAX : bar_columns;
	term_bar((uint64_t)done, (uint64_t)total, bar_columns, bar);
	return xasprintf("[%s] %s", bar, tail);
}

/* "  name      text" with the text wrapped beside its name. */
static void put_line(FILE *f, const char *name, const char *fmt, ...) _printf_(3, 4);

static void put_line(FILE *f, const char *name, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL, *clean = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	clean = text_clean(text, false);
	fprintf(f, "  %-*s", SHOW_INDENT - 2, name);
	term_put(f, COLOR_OFF, clean, SHOW_INDENT, SHOW_INDENT);
}

static void put_session(FILE *f, const struct value *account)
{
	const struct value *s = value_get(account, "session");
	const char *resource = value_str(account, "resource");
	int64_t when = value_int(s, "last_resume_usec");
	char ago[TIME_HUMAN_SIZE] = "";
	bool resumed = value_true(s, "resumed");

	if (strcmp(value_str(account, "state"), "online") != 0) {
		if (value_true(s, "resumable"))
			put_line(f, "session", "kept by the server, to be resumed");
		return;
	}
	if (resumed && when)
		time_relative(when, now_real(), ago);
	put_line(f, "session", "%s%s%s%s%s%s", resumed ? "resumed" : "new", *ago ? " " : "", ago,
		 *resource ? ", resource " : "", resource, value_true(s, "resumable") ? "" : ", cannot be resumed");
}

static void put_sync(FILE *f, const struct value *account, const struct rate *r)
{
	const struct value *sync = value_get(account, "sync");
	_cleanup_(freep) char *count = show_count(value_int(sync, "messages")), *progress = NULL;
	const char *state = value_str(sync, "state");
	int64_t caught = value_int(sync, "caught_up_usec"), gaps = value_int(sync, "gaps"),
		lost = value_int(sync, "lost");
	bool busy = strcmp(state, "catching-up") == 0 || strcmp(state, "backfilling") == 0;
	char ago[TIME_HUMAN_SIZE];

	if (strcmp(value_str(account, "state"), "online") != 0) {
		/* What its sync would be doing says nothing, and that it is up to date would be a lie. */
		put_line(f, "sync", "%s%s%s, %s messages", strcmp(state, "paused") == 0 ? "paused, " : "",
			 caught ? "complete until " : "not complete yet", caught ? time_relative(caught, now_real(), ago) : "",
			 count);
	} else if (busy) {
		size_t used = SHOW_INDENT + strlen(state) + 1;

		progress = show_progress(account, r, term_columns() > used ? term_columns() - used : 0);
		put_line(f, "sync", "%s %s", state, progress);
	} else if (strcmp(state, "idle") == 0 && gaps == 0 && caught) {
		put_line(f, "sync", "up to date, %s messages", count);
	} else {
		put_line(f, "sync", "%s, %s messages%s%s", *state ? state : "unknown", count,
			 caught ? ", complete until " : ", not complete yet",
			 caught ? time_relative(caught, now_real(), ago) : "");
	}
	if (gaps && value_true(sync, "metered"))
		put_line(f, "missing", "older history waits: this link is metered (varve.conf, [sync] metered)");
	else if (gaps)
		put_line(f, "missing", "%lld gap%s to close (varvectl sync coverage)", (long long)gaps,
			 gaps == 1 ? "" : "s");
	if (lost)
		put_line(f, "lost", "%lld gap%s that the server cannot fill any more", (long long)lost,
			 lost == 1 ? "" : "s");
	if (value_true(sync, "contradicts"))
		put_line(f, "unsure", "the server gives ids of stored messages to others (varvectl doctor)");
	else if (value_true(sync, "unsettled"))
		put_line(f, "unsure", "the server says that its archive is not settled yet (varvectl doctor)");
}

/* Only what somebody would want to know: it works without a word. */
static void put_push(FILE *f, const struct value *account)
{
	const struct value *push = value_get(account, "push");
	const char *state = value_str(push, "state"), *reason = value_str(push, "reason");

	if (strcmp(state, "refused") == 0)
		put_line(f, "push", "refused by the server (%s): a long sleep ends the session (varvectl doctor)", reason);
	else if (strcmp(state, "unsupported") == 0)
		put_line(f, "push", "the server has no push: a long sleep ends the session");
	else if (*reason)
		put_line(f, "push", "not enabled yet (%s): a long sleep ends the session", reason);
}

static void put_outbox(FILE *f, const struct value *outbox)
{
	static const char *const states[] = { "queued", "sending", "failed" };
	char text[sizeof("9223372036854775807 sending, ") * ARRAY_SIZE(states)] = "", *end = text;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (value_int(outbox, states[i]))
			end += sprintf(end, "%s%lld %s", *text ? ", " : "", (long long)value_int(outbox, states[i]), states[i]);
	if (*text)
		put_line(f, "outbox", "%s", text);
}

void show_account(FILE *f, const struct value *account, const struct rate *r)
{
	_cleanup_(freep) char *jid = text_clean(value_str(account, "jid"), false), *problem = show_problem(account);
	const char *state = value_str(account, "state");
	int64_t retry = value_int(account, "next_retry_usec");
	char in[TIME_HUMAN_SIZE];

	fprintf(f, "%s%s%s  %s%s%s\n", term_color(COLOR_BOLD), jid, term_color(COLOR_OFF),
		term_color(show_state_color(state)), state, term_color(COLOR_OFF));
	/* That it is not online is said already; what matters is why, or what else is wrong. */
	if (problem && (*value_str(account, "state_reason") || strcmp(state, "online") == 0 ||
			strcmp(state, "auth-failed") == 0)) {
		_cleanup_(freep) char *clean = text_clean(problem, false);

		fprintf(f, "  %s%-*s", term_color(COLOR_RED), SHOW_INDENT - 2, "problem");
		term_put(f, COLOR_OFF, clean, SHOW_INDENT, SHOW_INDENT);
		fputs(term_color(COLOR_OFF), f);
	}
	if (retry)
		fprintf(f, "  retry     %s\n",
			retry > now_real() + 2 * USEC_PER_SEC ? time_relative(retry, now_real(), in) : "now");
	put_session(f, account);
	put_sync(f, account, r);
	put_outbox(f, value_get(account, "outbox"));
	put_push(f, account);
}

char *show_problem(const struct value *account)
{
	const struct value *sync = value_get(account, "sync");
	const char *state = value_str(account, "state"), *reason = value_str(account, "state_reason");
	int64_t failed = value_int(value_get(account, "outbox"), "failed");

	if (strcmp(state, "disabled") == 0)
		return NULL;
	if (strcmp(state, "auth-failed") == 0)
		return xasprintf("%s (varvectl account password)",
				 *reason ? reason : "the server refused the password");
	/* Never yet connected, and hung up on: a port for TLS at once hangs up on who begins without. */
	if (strncmp(reason, "the connection broke", strlen("the connection broke")) == 0 &&
	    value_int(value_get(account, "session"), "binds") == 0 && value_int(sync, "messages") == 0)
		return xasprintf("%s; if that port wants TLS at once: varvectl account set tls=direct", reason);
	if (strcmp(state, "offline") == 0 && value_int(account, "next_retry_usec") == 0 && *reason)
		return xasprintf("%s (varvectl account connect)", reason); /* nothing else connects it */
	if (strcmp(state, "online") != 0)
		return *reason ? xstrdup(reason) : xasprintf("not online: %s", state);
	if (strcmp(value_str(sync, "state"), "error") == 0)
		return xasprintf("the archive cannot be synchronised%s%s", *reason ? ": " : "", reason);
	if (strcmp(value_str(sync, "state"), "paused") == 0)
		return xstrdup("the sync is paused (varvectl sync resume)");
	if (failed)
		return xasprintf("%lld message%s could not be sent (varvectl ls --failed)", (long long)failed,
				 failed == 1 ? "" : "s");
	return NULL;
}
