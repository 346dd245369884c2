/*
 * varvectl wait-idle: for hooks that put the machine to sleep.
 */
#include <string.h>
#include <time.h>

#include "ipc/ctl/ctl.h"
#include "ipc/ctl/value.h"

#define WAIT_TICK_US ((uint64_t)USEC_PER_SEC) /* look again even if nothing rang */
#define WAIT_PAUSE_US 100000 /* while signals come in a row: ten looks a second are enough */

/* What this account is still doing; NULL: nothing that time alone will bring to an end. */
static const char *busy(const struct value *a)
{
	const struct value *sync = value_get(a, "sync"), *outbox = value_get(a, "outbox");
	const char *state = value_str(a, "state"), *syncing = value_str(sync, "state");

	if (strcmp(state, "connecting") == 0 || strcmp(state, "authenticating") == 0)
		return "connecting";
	/* Whatever waits for a connection may wait for long: it is stored, and the machine may sleep. */
	if (strcmp(state, "online") != 0)
		return NULL;
	if (value_int(outbox, "queued") > 0 || value_int(outbox, "sending") > 0 ||
	    value_int(value_get(a, "session"), "unacked") > 0)
		return "sending";
	if (strcmp(syncing, "paused") == 0 || strcmp(syncing, "error") == 0)
		return NULL;
	/* Not caught up: also in the moment between "online" and the first question to the archive. */
	return strcmp(syncing, "idle") == 0 && value_true(sync, "caught_up") ? NULL : "fetching";
}

/* True when nothing is under way; or when *ret_code is a failure, which has been told. Else *ret_busy (caller frees). */
static bool look(struct ctl *c, char **ret_busy, int *ret_code)
{
	_cleanup_(value_freep) struct value *status = NULL;
	const char *only = ctl_opt(c, ACCOUNT);
	_cleanup_(freep) char *folded = only ? str_fold(only) : NULL;
	const struct value *accounts;
	bool seen = false;

	*ret_code = value_status(c, &status);
	if (*ret_code != EXIT_OK)
		return true;
	accounts = value_get(status, "accounts");
	for (size_t i = 0; i < value_count(accounts); i++) {
		const struct value *a = value_at(accounts, i);
		const char *what;

		if (folded && strcmp(value_str(a, "jid"), folded) != 0)
			continue;
		seen = true;
		what = busy(a);
		if (what) {
			*ret_busy = xasprintf("%s is %s", value_str(a, "jid"), what);
			return false;
		}
	}
	/* A locked archive has no accounts to show, and does nothing. */
	if (only && !seen)
		*ret_code = ctl_opened(c, status);
	if (only && !seen && *ret_code == EXIT_OK)
		*ret_code = ctl_fail(c, EXIT_NOT_FOUND, "varvectl account list", "there is no account %s", only);
	return true;
}

int cmd_wait_idle(struct ctl *c)
{
	_cleanup_(freep) char *what = NULL;
	int64_t deadline;
	int r = ctl_connect(c);

	if (r != EXIT_OK)
		return r;
	deadline = c->timeout_us ? now_mono() + (int64_t)c->timeout_us : 0;
	while (!look(c, &what, &r)) {
		int64_t left = deadline ? deadline - now_mono() : INT64_MAX;
		struct timespec pause = { 0, WAIT_PAUSE_US * 1000 };

		if (left <= 0)
			return ctl_fail(c, EXIT_TIMEOUT, NULL, "not idle in time: %s", what);
		free(what);
		what = NULL;
		if (varve_wait(c->varve, (uint64_t)left < WAIT_TICK_US ? (uint64_t)left : WAIT_TICK_US) > 0)
			nanosleep(&pause, NULL);
	}
	return r;
}
