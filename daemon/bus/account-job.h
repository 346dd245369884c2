/*
 * What all jobs on the archive of an account have in common: what ends them from outside.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bus/job.h"
#include "sync/hub.h"

/* True: the archive was closed or the account removed, and the job has failed: it must not be used afterwards. */
bool account_job_over(struct job *job, const struct hub *hub, int64_t account);
/*
 * True: nothing will come from the server until somebody acts, so the job has ended: it must not be used afterwards.
 * Cancelled when the sync was paused, Offline when the account was disabled, disconnected or its password refused. A
 * connection that comes and goes is waited for.
 */
bool account_job_stopped(struct job *job, const struct hub *hub, int64_t account);
