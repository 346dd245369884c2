#include "bus/account-job.h"

#include <string.h>

#include "base/mem.h"
#include "bus/errors.h"

bool account_job_over(struct job *job, const struct hub *hub, int64_t account)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

	if (hub_state(hub) != HUB_READY) {
		error_from_state(&error, hub);
		job_fail_error(job, &error);
		return true;
	}
	if (!hub_account(hub, account)) {
		job_fail(job, VARVE_ERROR_NOT_FOUND, "the account was removed meanwhile");
		return true;
	}
	return false;
}

bool account_job_stopped(struct job *job, const struct hub *hub, int64_t account)
{
	struct account_status s = { 0 };
	const char *state;
	bool disconnected;

	if (hub_status(hub, account, &s) != 0)
		return false;
	if (strcmp(str_or_empty(s.sync_state), "paused") == 0) {
		job_fail(job, VARVE_ERROR_CANCELLED, "the sync was paused");
		return true;
	}
	state = str_or_empty(s.state);
	/* Offline with a reason and no next try: by its user. */
	disconnected = strcmp(state, "offline") == 0 && s.next_retry_us == 0 && *str_or_empty(s.reason_text);
	if (!disconnected && strcmp(state, "disabled") != 0 && strcmp(state, "auth-failed") != 0)
		return false;
	job_fail(job, VARVE_ERROR_OFFLINE, "the account is not connected: %s", *str_or_empty(s.reason_text) ? s.reason_text : state);
	return true;
}
