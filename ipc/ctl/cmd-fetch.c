/*
 * varvectl sync fetch: older messages of a conversation, and how far it is.
 */
#include <string.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/show.h"
#include "ipc/ctl/term.h"
#include "ipc/ctl/text.h"
#include "ipc/ctl/time.h"

#define LOOK_US 500000 /* between looks at the job; it is told of at most four times a second */
#define BAR_COLUMNS 30

static void progress(struct ctl *c, const struct varve_job_status *s)
{
	char bar[BAR_COLUMNS * 4 + 1], span[TIME_HUMAN_SIZE];
	_cleanup_(freep) char *line = NULL;

	if (c->quiet || c->json != JSON_OFF)
		return;
	if (s->total == 0) {
		term_progress("fetching");
		return;
	}
	term_bar(s->done, s->total, BAR_COLUMNS, bar);
	time_span((int64_t)(s->total - (s->done < s->total ? s->done : s->total)) * USEC_PER_SEC, span);
	line = xasprintf("[%s] %3d%%  %s of messages to go", bar,
			 s->done >= s->total ? 100 : (int)((double)s->done * 100 / (double)s->total), span);
	term_progress(line);
}

/* Until the job has ended. EXIT_OK, or why not. */
static int follow(struct ctl *c, struct varve_job *job)
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
								      "the fetching was cancelled");
		progress(c, &s);
		if (now_mono() >= deadline)
			return ctl_fail(c, EXIT_TIMEOUT, "it goes on: varvectl sync wait", "not everything is here yet");
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
	r = wait ? follow(c, job) : EXIT_OK;
	term_progress(NULL);
	varve_job_free(job);
	if (r == EXIT_OK)
		ctl_done(c, conversation, wait ? "fetched" : "fetching (varvectl sync wait)");
	return r;
}
