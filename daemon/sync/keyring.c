#include "sync/keyring.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sync/keyring-priv.h"

/* ---- the job ---- */

static void forget_child(struct job *j)
{
	j->child_source = sd_event_source_disable_unref(j->child_source);
	j->child = child_free(j->child);
}

static struct job *job_free(struct job *j)
{
	if (!j)
		return NULL;
	forget_child(j);
	sd_event_source_disable_unref(j->turn);
	secret_free(j->old);
	secret_free(j->secret);
	secret_free(j->code);
	free(j->label);
	free(j->path);
	free(j);
	return NULL;
}

static int on_turn(_unused_ sd_event_source *s, void *userdata)
{
	struct job *j = userdata;

	j->step(j);
	return 0;
}

void job_idle(struct job *j, job_step_fn step)
{
	j->step = step;
	sd_event_source_set_priority(j->turn, SD_EVENT_PRIORITY_IDLE);
	/* One shot, armed anew: an idle source that stays pending would starve the other idle ones. */
	sd_event_source_set_enabled(j->turn, SD_EVENT_ONESHOT);
}

static int on_child(_unused_ sd_event_source *s, _unused_ int fd, _unused_ uint32_t revents, void *userdata)
{
	struct job *j = userdata;

	sd_event_source_set_enabled(j->child_source, SD_EVENT_OFF);
	j->step(j);
	return 0;
}

void job_child(struct job *j, struct child *child, job_step_fn step)
{
	int r;

	forget_child(j);
	j->child = child;
	j->step = step;
	r = sd_event_add_io(j->hub->event, &j->child_source, child_fd(child), EPOLLIN, on_child, j);
	if (r < 0)
		job_end(j, err_origin(r), NULL);
}

static int make_job(struct hub *h, const char *name, keyring_done_fn fn, void *userdata, job_step_fn first,
		    struct job **ret)
{
	struct job *j = xnew(struct job);
	int r;

	*j = (struct job){ .hub = h, .name = name, .fn = fn, .userdata = userdata, .step = first };
	r = sd_event_add_defer(h->event, &j->turn, on_turn, j);
	if (r < 0) {
		job_free(j);
		return err_origin(r);
	}
	*ret = j;
	return 0;
}

int job_new(struct hub *h, const char *name, keyring_done_fn fn, void *userdata, job_step_fn first, struct job **ret,
	    char **ret_why)
{
	int r;

	if (h->job || h->locking) {
		*ret_why = xasprintf("%s is at work: wait until it has ended", h->job ? h->job->name : "locking");
		return HUB_E_BUSY;
	}
	r = make_job(h, name, fn, userdata, first, ret);
	if (r < 0)
		return err_trace(r);
	h->job = *ret;
	return 0;
}

void job_end(struct job *j, int r, const char *why)
{
	struct hub *h = j->hub;

	/* Goodbye first: whoever is told may ask for the next. */
	if (h->job == j)
		h->job = NULL;
	if (h->locking == j)
		h->locking = NULL;
	keyring_copy_undo(j);
	if (r < 0)
		log_debug("%s failed: %s", j->name, strerror(-r));
	if (j->fn)
		j->fn(j->userdata, r, why, &j->answer);
	job_free(j);
}

static int vault_outcome(int r)
{
	switch (r) {
	case VAULT_E_WRONG:
		return HUB_E_WRONG;
	case VAULT_E_LOCKED:
		return HUB_E_LOCKED;
	case VAULT_E_LIMIT:
		return HUB_E_LIMIT;
	case VAULT_E_LAST_SLOT:
		return HUB_E_EXISTS;
	case VAULT_E_UNREADABLE:
		return HUB_E_INVALID;
	case VAULT_E_NO_SLOT:
	case -ENOENT:
		return HUB_E_NOT_FOUND;
	case -EEXIST:
		return HUB_E_EXISTS;
	default:
		return HUB_E_STORAGE;
	}
}

void job_end_vault(struct job *j, int r, const char *why)
{
	_cleanup_(freep) char *text = NULL;

	if (r != 0 && !why)
		why = text = xasprintf("the keys could not be changed: %s", r < 0 ? strerror(-r) : "refused");
	job_end(j, r == 0 ? 0 : vault_outcome(r), why);
}

void keyring_abandon(struct hub *h, const void *userdata)
{
	struct job *both[] = { h->job, h->locking };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		struct job *j = both[i];

		if (!j || !j->fn || j->userdata != userdata)
			continue;
		j->fn = NULL;
		if (j->ends_with_caller)
			job_end(j, HUB_E_CANCELLED, NULL);
	}
}

void keyring_free(struct hub *h)
{
	struct job *both[] = { h->locking, h->job };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		if (both[i]) {
			both[i]->fn = NULL;
			job_end(both[i], HUB_E_CANCELLED, NULL);
		}
}

/* ---- secrets, and wrong ones ---- */

struct secret *secret_keep(const void *data, size_t len)
{
	struct secret *s;

	if (len == 0 || len > VAULT_SECRET_MAX)
		return NULL;
	s = secret_alloc(sizeof(*s));
	s->len = len;
	memcpy(s->bytes, data, len);
	return s;
}

int64_t keyring_retry_after_us(const struct hub *h)
{
	int64_t left = h->retry_us ? h->retry_us - clock_boot_us() : 0;

	return left > 0 ? left : 0;
}

int keyring_check_wait(const struct hub *h, char **ret_why)
{
	int64_t left = keyring_retry_after_us(h);

	if (left == 0)
		return 0;
	*ret_why = xasprintf("%u wrong secrets were given: the next may be tried in %lld s", h->wrong_tries,
			     (long long)((left + USEC_PER_SEC - 1) / USEC_PER_SEC));
	return HUB_E_BUSY;
}

void keyring_note_try(struct hub *h, bool right)
{
	int64_t wait;

	if (right) {
		h->wrong_tries = 0;
		h->retry_us = 0;
		return;
	}
	h->wrong_tries++;
	log_warning("a wrong secret was given for the archive");
	if (h->wrong_tries < KEYRING_TRIES_FREE)
		return;
	wait = h->wrong_tries - KEYRING_TRIES_FREE < 6 ? USEC_PER_SEC << (h->wrong_tries - KEYRING_TRIES_FREE) :
							 KEYRING_WAIT_MAX_US;
	h->retry_us = clock_boot_us() + (wait > KEYRING_WAIT_MAX_US ? KEYRING_WAIT_MAX_US : wait);
}

int keyring_check_open(const struct hub *h, char **ret_why)
{
	if (h->vault && !vault_locked(h->vault))
		return 0;
	if (h->vault) {
		*ret_why = xstrdup("the archive is locked: varvectl unlock");
		return HUB_E_LOCKED;
	}
	*ret_why = xasprintf("the archive is not open: %s", h->why);
	return HUB_E_STORAGE;
}

bool keyring_has_passphrase(const struct hub *h)
{
	for (size_t i = 0; i < vault_slot_count(h->vault); i++)
		if (vault_slot_at(h->vault, i).type == SLOT_PASSPHRASE)
			return true;
	return false;
}

static void passphrase_checked(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	int r = vault_unlock_derived(j->hub->vault, j->child, &why);

	if (r == 0 || r == VAULT_E_WRONG)
		keyring_note_try(j->hub, r == 0);
	if (r != 0) {
		job_end_vault(j, r, why);
		return;
	}
	j->then(j);
}

void keyring_check_passphrase(struct job *j, job_step_fn then)
{
	struct child *child;
	int r;

	j->then = then;
	if (!keyring_has_passphrase(j->hub)) {
		j->old = secret_free(j->old); /* what is no slot's is not made one by the way */
		then(j);
		return;
	}
	if (!j->old) {
		job_end(j, HUB_E_WRONG, "the archive has a passphrase: it is needed for this");
		return;
	}
	r = vault_derive_start(j->hub->vault, j->old->bytes, j->old->len, &child);
	if (r == 0)
		job_child(j, child, passphrase_checked);
	else
		job_end_vault(j, r, NULL);
}

/* ---- unlock ---- */

static void unlock_open(struct job *j)
{
	struct hub *h = j->hub;

	hub_open(h);
	if (h->state == HUB_READY)
		job_end(j, 0, NULL);
	else
		job_end(j, h->state == HUB_LOCKED ? HUB_E_LOCKED : HUB_E_STORAGE, h->why);
}

static void unlock_tried(struct job *j, int r, const char *why)
{
	if (r == 0 || r == VAULT_E_WRONG)
		keyring_note_try(j->hub, r == 0);
	if (r == 0)
		unlock_open(j);
	else if (r == VAULT_E_WRONG)
		job_end(j, HUB_E_WRONG, why);
	else
		job_end_vault(j, r, why);
}

static void unlock_derived(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	int r = vault_unlock_derived(j->hub->vault, j->child, &why);

	unlock_tried(j, r, why);
}

/* No form of secret says what it is: what needs no Argon2id goes first. */
static void unlock_with_secret(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	struct vault *v = j->hub->vault;
	struct child *child;
	int r;

	r = vault_unlock_direct(v, j->secret->bytes, j->secret->len, &why);
	if (r != VAULT_E_WRONG) {
		unlock_tried(j, r, why);
		return;
	}
	r = vault_derive_start(v, j->secret->bytes, j->secret->len, &child);
	j->secret = secret_free(j->secret);
	if (r == 0)
		job_child(j, child, unlock_derived);
	else
		unlock_tried(j, r, why);
}

static void unlock_step(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	struct hub *h = j->hub;
	int r;

	if (h->state == HUB_READY) {
		job_end(j, 0, NULL);
		return;
	}
	/* The files may have been repaired, or restored, since. Keys that are here are kept if no secret comes. */
	if (!h->vault || vault_locked(h->vault) || j->secret) {
		r = hub_load_keys(h);
		if (r != 0) {
			job_end(j, HUB_E_STORAGE, h->why);
			return;
		}
	}
	if (!vault_locked(h->vault)) {
		unlock_open(j);
	} else if (j->secret) {
		unlock_with_secret(j);
	} else {
		r = vault_unlock_auto(h->vault, &why);
		if (r == VAULT_E_LOCKED)
			job_end_vault(j, r, why);
		else
			unlock_tried(j, r, why);
	}
}

int keyring_unlock(struct hub *h, const void *secret, size_t len, keyring_done_fn fn, void *userdata, char **ret_why)
{
	struct job *j;
	int r;

	if (len > VAULT_SECRET_MAX) {
		*ret_why = xasprintf("the secret is longer than %d bytes", VAULT_SECRET_MAX);
		return HUB_E_INVALID;
	}
	r = len ? keyring_check_wait(h, ret_why) : 0;
	if (r == 0)
		r = job_new(h, "unlocking", fn, userdata, unlock_step, &j, ret_why);
	if (r != 0)
		return r;
	j->secret = secret_keep(secret, len);
	return 0;
}

/* ---- lock ---- */

static void lock_parked(void *userdata)
{
	struct job *j = userdata;
	struct hub *h = j->hub;

	hub_close(h);
	if (h->vault)
		vault_lock(h->vault);
	log_info("the archive is locked");
	job_end(j, 0, NULL);
}

static void lock_step(struct job *j)
{
	struct hub *h = j->hub;

	if (h->job)
		job_end(h->job, HUB_E_LOCKED, "the archive was locked meanwhile");
	if (h->state == HUB_LOCKED || !h->vault) {
		job_end(j, 0, NULL);
		return;
	}
	for (size_t i = 0; i < h->n_seats; i++)
		hub_note_removed(h, engine_account(h->seats[i]->engine)->id);
	hub_enter(h, HUB_LOCKED, "It was locked by its user: varvectl unlock opens it.");
	hub_park(h, lock_parked, j);
}

int keyring_lock(struct hub *h, keyring_done_fn fn, void *userdata, char **ret_why)
{
	struct job *j;
	int r;

	if (h->locking) {
		*ret_why = xstrdup("it is being locked");
		return HUB_E_BUSY;
	}
	r = make_job(h, "locking", fn, userdata, lock_step, &j);
	if (r < 0)
		return err_trace(r);
	h->locking = j;
	return 0;
}
