/*
 * Jobs: work that takes longer than a call may, as objects /org/varve/Varve1/job/K (ipc/org.varve.Varve1.xml, Job).
 *
 *     job_begin() --> running --+-- job_done() ----> done      --+
 *                             +-- job_fail() ----> failed    --+-- JOB_KEPT_US --> gone
 *                             +-- Cancel, or the owner went -> cancelled
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/mem.h"
#include "ipc/names.h"

struct conn;
struct job;
struct jobs;
struct mailboxes;
struct users;

#define JOBS_CONN_MAX 16			/* running, of one connection; facts/ipc.md section 2.1 no. 3 */
#define JOBS_MAX 64				/* running, in all: those with detach outlive their connections */
#define JOBS_KEPT_MAX 64			/* ended and still shown */
#define JOB_KEPT_US (60 * INT64_C(1000000))	/* how long one that has ended is shown */
#define JOB_PROGRESS_US (250 * INT64_C(1000))	/* between two signals of progress */
#define JOB_RESULTS_MAX 8

struct job_result {
	const char *key; /* static */
	uint64_t value;	 /* t */
};

/* What does the work; userdata is job_begin()'s. */
struct job_ops {
	const char *kind; /* "export" ... */
	/* Stop and free: the last call. Also after job_done() and job_fail(), from inside them. */
	void (*free)(void *userdata);
	/* Sync or state of this account changed, the archive closed or the account went (hub_event). May end the job. May be NULL. */
	void (*look)(void *userdata, int64_t account);
};

int jobs_new(sd_event *event, struct mailboxes *mailboxes, struct users *users, struct jobs **ret);
/* After all connections. */
struct jobs *jobs_free(struct jobs *j);
DEFINE_CLEANUP(struct jobs *, jobs_free);
/* Something that jobs may wait for changed; ${account} 0: of all. */
void jobs_look(struct jobs *j, int64_t account);
/* The connection with this number ended: what it began ends, unless detached. */
void jobs_owner_gone(struct jobs *j, uint64_t owner);

/*
 * A running job of ${c}, or negative with ${error} set (LimitExceeded); ${userdata} then stays the caller's.
 * ${detach}: it outlives the connection.
 */
int job_begin(struct conn *c, bool detach, const struct job_ops *ops, void *userdata, struct job **ret,
	    sd_bus_error *error);
/* Answer the method that began it with its path. */
int job_reply(struct job *job, sd_bus_message *call);
void job_progress(struct job *job, uint64_t done, uint64_t total);
/* The end; ${job} must not be used afterwards. */
void job_done(struct job *job, const struct job_result *results, size_t n);
void job_fail(struct job *job, enum varve_error e, const char *fmt, ...) _printf_(3, 4);
/* With what errors.h made of it. */
void job_fail_error(struct job *job, const sd_bus_error *error);

/* For tree.c and mailbox.c: jobs by number; 0 is none. */
uint64_t job_number(const char *path);
char *job_path(uint64_t number); /* the caller frees */
bool jobs_has(const struct jobs *j, uint64_t number);
/* All paths, NULL-terminated; the caller frees both. */
char **jobs_paths(const struct jobs *j);
