/*
 * varvectl sync fetch and verify: older messages of a conversation, or what is held compared with the server; and how far
 * it is.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/show.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/time.h"

#define LOOK_US 500000 /* between looks at the job; it is told of at most four times a second */
#define BAR_COLUMNS 30

static void progress(struct ctl *c, const struct varve_job_status *s, const char *what)
{
	char bar[BAR_COLUMNS * 4 + 1], span[TIME_HUMAN_SIZE];
	_cleanup_(freep) char *line = NULL;

	if (c->quiet || c->json != JSON_OFF)
		return;
	if (s->total == 0) {
		term_progress(what);
		return;
	}
	term_bar(s->done, s->total, BAR_COLUMNS, bar);
	time_span((int64_t)(s->total - (s->done < s->total ? s->done : s->total)) * USEC_PER_SEC, span);
	line = xasprintf("[%s] %3d%%  %s of messages to go", bar,
			 s->done >= s->total ? 100 : (int)((double)s->done * 100 / (double)s->total), span);
	term_progress(line);
}

/* Until the job (${what}: "fetching") has ended. EXIT_OK, or why not; ${hint}: what to do when time is over. */
static int follow(struct ctl *c, struct varve_job *job, const char *what, const char *hint)
{
	int64_t deadline = c->timeout_us ? now_mono() + (int64_t)c->timeout_us : INT64_MAX;
	struct varve_job_status s;

	for (;;) {
		int r = varve_job_get(job, &s);

		if (r < 0)
			return ctl_fail_call(c, r);
		if (strcmp(s.state, "done") == 0)
			return EXIT_OK;
		if (strcmp(s.state, "running") != 0)
			return *varve_errname(c->varve) ? ctl_fail_call(c, varve_errno_of(varve_errname(c->varve)))
							: ctl_fail_as(c, EXIT_FAIL, VARVE_ERROR_CANCELLED, NULL,
								      "the %s was cancelled", what);
		progress(c, &s, what);
		if (now_mono() >= deadline)
			return ctl_fail(c, EXIT_TIMEOUT, hint, "the %s has not ended yet", what);
		varve_wait(c->varve, LOOK_US);
	}
}

int cmd_sync_fetch(struct ctl *c)
{
	_cleanup_(freep) char *conversation = str_fold(c->opts.args[0]);
	bool all = ctl_opt(c, ALL), wait = ctl_opt(c, WAIT);
	struct varve_job *job;
	int64_t since;
	int r = ctl_time(c, "since", ctl_opt(c, SINCE), &since);

	if (r == EXIT_OK && all && since)
		r = ctl_fail(c, EXIT_USAGE, NULL, "--since and --all do not go together");
	if (r == EXIT_OK)
		r = ctl_account(c, NULL);
	if (r != EXIT_OK)
		return r;
	r = varve_fetch(c->account, conversation, since, (all ? VARVE_FETCH_ALL : 0) | VARVE_JOB_DETACH, &job);
	if (r < 0)
		return ctl_fail_call(c, r);
	r = wait ? follow(c, job, "fetching", "it goes on: varvectl sync wait") : EXIT_OK;
	term_progress(NULL);
	varve_job_free(job);
	if (r == EXIT_OK)
		ctl_done(c, conversation, wait ? "fetched" : "fetching (varvectl sync wait)");
	return r;
}

struct report {
	uint64_t pages, messages, missing, different, gone, moved;
};

static int get_report(struct ctl *c, struct varve_job *job, struct report *ret)
{
	const struct {
		const char *key;
		uint64_t *n;
	} keys[] = {
		{ "pages", &ret->pages },	  { "messages", &ret->messages }, { "missing", &ret->missing },
		{ "different", &ret->different }, { "gone", &ret->gone },	  { "moved", &ret->moved },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		int r = varve_job_result(job, keys[i].key, keys[i].n);

		if (r < 0)
			return ctl_fail_call(c, r);
	}
	return EXIT_OK;
}

static void line(uint64_t n, const char *one, const char *many)
{
	_cleanup_(freep) char *count = show_count((int64_t)n);

	if (n)
		printf("  %s %s\n", count, n == 1 ? one : many);
}

static void show_report(struct ctl *c, const char *what, const struct report *x)
{
	_cleanup_(freep) char *n = NULL;

	if (c->json != JSON_OFF) {
		_cleanup_(json_freep) struct json *j = json_new(stdout, c->json);

		json_object(j, NULL);
		json_string_or_null(j, "conversation", what);
		json_uint(j, "pages", x->pages);
		json_uint(j, "messages", x->messages);
		json_uint(j, "missing", x->missing);
		json_uint(j, "different", x->different);
		json_uint(j, "gone", x->gone);
		json_uint(j, "moved", x->moved);
		json_object_end(j);
		return;
	}
	if (c->quiet)
		return;
	n = show_count((int64_t)x->messages);
	printf("%s: %s archived message%s, receipts and the like compared with the server%s\n", *what ? what : c->account_jid, n,
	       x->messages == 1 ? "" : "s", x->missing + x->different + x->moved ? ":" : "; nothing is missing");
	line(x->missing, "was missing, and is here now", "were missing, and are here now");
	line(x->moved, "stood in a wrong place, and is in the server's order now",
	     "stood in a wrong place, and are in the server's order now");
	line(x->different, "has another text there than when it was received, which is kept",
	     "have another text there than when they were received, which is kept");
	line(x->gone, "is not on the server any more, and is kept here", "are not on the server any more, and are kept here");
}

int cmd_sync_verify(struct ctl *c)
{
	_cleanup_(freep) char *conversation = c->opts.args[0] ? str_fold(c->opts.args[0]) : xstrdup("");
	struct report report = { 0 };
	struct varve_job *job;
	int64_t since;
	int r = ctl_time(c, "since", ctl_opt(c, SINCE), &since);

	if (r == EXIT_OK && !*conversation == !ctl_opt(c, ALL))
		r = ctl_fail(c, EXIT_USAGE, NULL, *conversation ? "a conversation and --all do not go together" :
								  "say which conversation, or --all");
	if (r == EXIT_OK)
		r = ctl_account(c, NULL);
	if (r != EXIT_OK)
		return r;
	r = varve_verify(c->account, conversation, since, 0, &job);
	if (r < 0)
		return ctl_fail_call(c, r);
	r = follow(c, job, "verifying", "it ended with varvectl");
	if (r == EXIT_OK)
		r = get_report(c, job, &report);
	term_progress(NULL);
	varve_job_free(job);
	if (r != EXIT_OK)
		return r;
	show_report(c, conversation, &report);
	return report.missing + report.different + report.moved ? EXIT_PROBLEMS : EXIT_OK;
}
