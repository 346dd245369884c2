#define _GNU_SOURCE
#include "bus/job.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/lease.h"
#include "bus/mailbox.h"
#include "bus/rows.h"
#include "bus/tree.h"

#define JOB_PREFIX VARVE_PATH_JOBS "/"

enum job_state { JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };

struct job {
	struct jobs *all;
	struct job *next;
	uint64_t number, owner; /* owner 0: detached */
	uint64_t starter;	/* the connection that counts it */
	const struct job_ops *ops;
	const char *kind;
	void *userdata;
	enum job_state state;
	uint64_t done, total;
	char *error_name, *error_text;
	struct job_result results[JOB_RESULTS_MAX];
	size_t n_results;
	int64_t told_us, ended_us; /* clock_boot_us() */
	bool progress_waits;
};

struct jobs {
	struct mailboxes *mailboxes;
	struct users *users;
	sd_event_source *timer;
	struct job *first; /* oldest first */
	uint64_t last;
};

/* ---- the list ---- */

static struct job *find(const struct jobs *j, uint64_t number)
{
	for (struct job *job = j->first; job; job = job->next)
		if (job->number == number)
			return job;
	return NULL;
}

static void job_remove(struct job *job)
{
	struct job **at = &job->all->first;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	free(job->error_name);
	free(job->error_text);
	free(job);
}

static size_t count_kept(const struct jobs *j)
{
	size_t n = 0;

	for (const struct job *job = j->first; job; job = job->next)
		n += job->state != JOB_RUNNING;
	return n;
}

static void arm(struct jobs *j)
{
	int64_t due = count_kept(j) > JOBS_KEPT_MAX ? 0 : INT64_MAX;

	for (struct job *job = j->first; job; job = job->next) {
		int64_t at = job->state != JOB_RUNNING ? job->ended_us + JOB_KEPT_US :
			     job->progress_waits      ? job->told_us + JOB_PROGRESS_US :
							INT64_MAX;

		due = at < due ? at : due;
	}
	sd_event_source_set_enabled(j->timer, due == INT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
	if (due != INT64_MAX)
		sd_event_source_set_time(j->timer, (uint64_t)due);
}

static void tell(struct job *job, uint32_t bits)
{
	mailboxes_mark_job(job->all->mailboxes, job->number, bits);
}

static void drop(struct job *job)
{
	tell(job, MARK_JOB_REMOVED);
	job_remove(job);
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t us, void *userdata)
{
	struct jobs *j = userdata;
	int64_t now_us = clock_boot_us();
	size_t kept = count_kept(j);

	for (struct job *job = j->first, *next; job; job = next) {
		next = job->next;
		if (job->state != JOB_RUNNING && (kept > JOBS_KEPT_MAX || now_us - job->ended_us >= JOB_KEPT_US)) {
			kept--;
			drop(job);
		} else if (job->progress_waits && now_us - job->told_us >= JOB_PROGRESS_US) {
			job->progress_waits = false;
			job->told_us = now_us;
			tell(job, MARK_JOB_PROGRESS);
		}
	}
	arm(j);
	return 0;
}

int jobs_new(sd_event *event, struct mailboxes *mailboxes, struct users *users, struct jobs **ret)
{
	_cleanup_(jobs_freep) struct jobs *j = xnew(struct jobs);
	int r;

	j->mailboxes = mailboxes;
	j->users = users;
	r = sd_event_add_time(event, &j->timer, CLOCK_BOOTTIME, 0, 10 * 1000, on_timer, j);
	if (r < 0 || (r = sd_event_source_set_enabled(j->timer, SD_EVENT_OFF)) < 0)
		return err_origin(r);
	*ret = TAKE_PTR(j);
	return 0;
}

struct jobs *jobs_free(struct jobs *j)
{
	if (!j)
		return NULL;
	while (j->first) {
		if (j->first->state == JOB_RUNNING)
			j->first->ops->free(j->first->userdata);
		job_remove(j->first);
	}
	sd_event_source_disable_unref(j->timer);
	free(j);
	return NULL;
}

/* ---- one job ---- */

static void end(struct job *job, enum job_state state, const char *name, const char *text)
{
	if (job->state != JOB_RUNNING)
		return;
	job->state = state;
	job->error_name = xstrdup(name);
	job->error_text = xstrdup(text);
	job->ended_us = clock_boot_us();
	job->progress_waits = false;
	job->ops->free(job->userdata);
	job->userdata = NULL;
	if (!job->owner)
		users_go(job->all->users);
	tell(job, MARK_JOB_ENDED);
	/* Never removed here: somebody may walk the list. */
	arm(job->all);
}

static void cancel(struct job *job, const char *why)
{
	end(job, JOB_CANCELLED, varve_error_name(VARVE_ERROR_CANCELLED), why);
}

static int check_limits(const struct jobs *j, uint64_t starter, sd_bus_error *error)
{
	size_t all = 0, own = 0;

	for (const struct job *job = j->first; job; job = job->next)
		if (job->state == JOB_RUNNING) {
			all++;
			own += job->starter == starter;
		}
	if (own >= JOBS_CONN_MAX)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "%d jobs of this connection are running: wait for one, or "
				 "cancel it", JOBS_CONN_MAX);
	if (all >= JOBS_MAX)
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "%d jobs are running already", JOBS_MAX);
	return 0;
}

int job_begin(struct conn *c, bool detach, const struct job_ops *ops, void *userdata, struct job **ret,
	    sd_bus_error *error)
{
	struct jobs *j = conn_config(c)->jobs;
	uint64_t starter = conn_config(c)->number;
	struct job *job, **at = &j->first;
	int r;

	r = check_limits(j, starter, error);
	if (r < 0)
		return r;
	job = xnew(struct job);
	job->all = j;
	job->number = ++j->last;
	job->owner = detach ? 0 : starter;
	job->starter = starter;
	job->ops = ops;
	job->kind = ops->kind;
	job->userdata = userdata;
	while (*at)
		at = &(*at)->next;
	*at = job;
	if (detach)
		users_come(j->users);
	tell(job, MARK_JOB_ADDED);
	*ret = job;
	return 0;
}

int job_reply(struct job *job, sd_bus_message *call)
{
	_cleanup_(freep) char *path = job_path(job->number);

	return sd_bus_reply_method_return(call, "o", path);
}

void job_progress(struct job *job, uint64_t done, uint64_t total)
{
	int64_t now_us = clock_boot_us();

	if (done == job->done && total == job->total)
		return;
	job->done = done;
	job->total = total;
	if (now_us - job->told_us < JOB_PROGRESS_US) {
		if (!job->progress_waits) {
			job->progress_waits = true;
			arm(job->all);
		}
		return;
	}
	job->told_us = now_us;
	tell(job, MARK_JOB_PROGRESS);
}

void job_done(struct job *job, const struct job_result *results, size_t n)
{
	for (size_t i = 0; i < n && i < JOB_RESULTS_MAX; i++)
		job->results[job->n_results++] = results[i];
	end(job, JOB_DONE, "", "");
}

void job_fail_error(struct job *job, const sd_bus_error *error)
{
	const char *cancelled = varve_error_name(VARVE_ERROR_CANCELLED);

	end(job, strcmp(str_or_empty(error->name), cancelled) == 0 ? JOB_CANCELLED : JOB_FAILED,
	    str_or_empty(error->name), str_or_empty(error->message));
}

void job_fail(struct job *job, enum varve_error e, const char *fmt, ...)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	error_set(&error, e, "%s", text);
	job_fail_error(job, &error);
}

void jobs_look(struct jobs *j, int64_t account)
{
	for (struct job *job = j->first, *next; job; job = next) {
		next = job->next;
		if (job->state == JOB_RUNNING && job->ops->look)
			job->ops->look(job->userdata, account);
	}
}

void jobs_owner_gone(struct jobs *j, uint64_t owner)
{
	for (struct job *job = j->first, *next; job; job = next) {
		next = job->next;
		if (job->owner == owner && job->state == JOB_RUNNING)
			cancel(job, "the connection that began it ended");
	}
}

/* ---- the bus ---- */

char *job_path(uint64_t number)
{
	return xasprintf(JOB_PREFIX "%" PRIu64, number);
}

uint64_t job_number(const char *path)
{
	return tree_number(path, JOB_PREFIX);
}

bool jobs_has(const struct jobs *j, uint64_t number)
{
	return find(j, number) != NULL;
}

char **jobs_paths(const struct jobs *j)
{
	size_t n = 0;
	char **paths;

	for (const struct job *job = j->first; job; job = job->next)
		n++;
	paths = xnewn(char *, n + 1);
	n = 0;
	for (const struct job *job = j->first; job; job = job->next)
		paths[n++] = job_path(job->number);
	return paths;
}

static int on_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct job *job = find(conn_config(userdata)->jobs, job_number(str_or_empty(sd_bus_message_get_path(m))));

	if (!job)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no such job any more");
	cancel(job, "it was cancelled");
	return sd_bus_reply_method_return(m, NULL);
}

static const char *state_name(enum job_state state)
{
	switch (state) {
	case JOB_RUNNING:
		return "running";
	case JOB_DONE:
		return "done";
	case JOB_FAILED:
		return "failed";
	case JOB_CANCELLED:
		break;
	}
	return "cancelled";
}

static int append_result(sd_bus_message *m, const struct job *job)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{sv}");
	for (size_t i = 0; r >= 0 && i < job->n_results; i++)
		r = rows_entry(m, job->results[i].key, "t", job->results[i].value);
	return r < 0 ? err_trace(r) : sd_bus_message_close_container(m);
}

static int append_error(sd_bus_message *m, const struct job *job)
{
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', "ss")) < 0 ||
	    (r = rows_text(m, job->error_name)) < 0 ||
	    (r = rows_text(m, job->error_text)) < 0)
		return err_trace(r);
	return sd_bus_message_close_container(m);
}

static int get_property(_unused_ sd_bus *bus, const char *path, _unused_ const char *interface, const char *property,
			sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const struct job *job = find(conn_config(userdata)->jobs, job_number(path));

	if (!job)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no such job any more");
	if (strcmp(property, "Kind") == 0)
		return sd_bus_message_append(m, "s", job->kind);
	if (strcmp(property, "State") == 0)
		return sd_bus_message_append(m, "s", state_name(job->state));
	if (strcmp(property, "Progress") == 0)
		return sd_bus_message_append(m, "(tt)", job->done, job->total);
	return strcmp(property, "Error") == 0 ? append_error(m, job) : append_result(m, job);
}

#define U SD_BUS_VTABLE_UNPRIVILEGED /* roles.c decides, not sd-bus's idea of privilege */
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
const sd_bus_vtable job_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_cancel, U),
	SD_BUS_PROPERTY("Kind", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("State", "s", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("Progress", "(tt)", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("Error", "(ss)", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("Result", "a{sv}", get_property, 0, CHANGES),
	SD_BUS_VTABLE_END,
};
