/*
 * The keyring's inside: one job at a time, shared by keyring-job.c, keyring.c (wrong secrets, unlock, lock),
 * keyring-slots.c and keyring-copy.c. Nobody else includes this.
 *
 * A job is a chain of steps. Each step runs from the loop and ends by one of: job_idle() (run this next, but let all
 * others go first), job_child() (run this when the child has answered), hub_park(), or job_end().
 */
#pragma once

#include "store/copy.h"
#include "sync/hub-priv.h"
#include "sync/keyring.h"
#include "vault/secret.h"
#include "vault/vault.h"

#define SLICE_US (INT64_C(5) * 1000) /* how long a slice of a copy may hold the loop: promise 8 */

struct job;
typedef void (*job_step_fn)(struct job *j);

/* A secret while a job needs it, in locked memory. */
struct secret {
	size_t len;
	uint8_t bytes[VAULT_SECRET_MAX];
};

struct job {
	struct hub *hub;
	const char *name; /* for Busy: "a backup" */
	keyring_done_fn fn; /* NULL: nobody waits any more */
	void *userdata;
	bool ends_with_caller; /* keyring_abandon() ends it: nothing has changed yet */

	job_step_fn step, then;
	sd_event_source *turn;
	struct child *child;
	sd_event_source *child_source;

	/* What the steps leave for each other. */
	struct secret *old, *secret; /* locked memory, or NULL */
	enum keyring_slot type;
	uint32_t id;
	char *label, *path;
	char *code; /* locked memory, or NULL */
	bool drop_keyfile;
	struct vault_next *next;
	struct copy *copy;
	bool keys_written; /* of a backup */
	bool rotates;  /* streams are parked for it */

	struct keyring_answer answer;
};

/* HUB_E_BUSY with words when another is at work. ${first} runs from the loop, when the caller has filled the rest. */
int job_new(struct hub *h, const char *name, keyring_done_fn fn, void *userdata, job_step_fn first, struct job **ret,
	    char **ret_why);
/* The same without asking who is at work, and without being it: for a lock. */
int job_make(struct hub *h, const char *name, keyring_done_fn fn, void *userdata, job_step_fn first, struct job **ret);
/* Run this next, when nothing else is to be done. */
void job_idle(struct job *j, job_step_fn step);
/* Takes the child. */
void job_child(struct job *j, struct child *child, job_step_fn step);
/* It is over: undo what is half done, tell. ${why} may be NULL. Frees ${j}. */
void job_end(struct job *j, int r, const char *why);
/* The same for outcomes of vault/vault.h and negative errnos of it. */
void job_end_vault(struct job *j, int r, const char *why);

/* keyring.c */
struct secret *secret_keep(const void *data, size_t len);
/* Whether a change would write over files that are not the archive's any more: 0, or HUB_E_STORAGE with words. */
int keyring_check_files(const struct hub *h, char **ret_why);
/* The keys are at hand, and not over somebody else's: 0, HUB_E_LOCKED or HUB_E_STORAGE with words. */
int keyring_check_open(const struct hub *h, char **ret_why);
/* HUB_E_BUSY while wrong secrets have to wait. */
int keyring_check_wait(const struct hub *h, char **ret_why);
/* Check j->old against the passphrase slots in a child; ${then} follows if it is right, else the job ends. */
void keyring_check_passphrase(struct job *j, job_step_fn then);

/* keyring-copy.c: drop copy and next keys; connect again what was parked. */
void keyring_copy_undo(struct job *j);
