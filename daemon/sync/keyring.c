#include "sync/keyring.h"

#include <malloc.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sync/keyring-priv.h"

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

static void keyring_note_try(struct hub *h, bool right)
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

int keyring_check_files(const struct hub *h, char **ret_why)
{
	if (h->store && store_files(h->store) == STORE_FILES_NO_DATABASE)
		*ret_why = xasprintf("%s is not the file that varved has open: nothing is written beside it; \"varvectl backup "
				     "FILE\" saves the archive", vault_path(h->vault));
	else if (vault_sidecar_check(h->vault) == VAULT_E_FORGED)
		*ret_why = xasprintf("%s/" VAULT_SIDECAR " is not that of the archive which is open: nothing is written over "
				     "it; \"varvectl backup FILE\" saves the archive", h->data_dir);
	else
		return 0;
	return HUB_E_STORAGE;
}

int keyring_check_open(const struct hub *h, char **ret_why)
{
	if (h->vault && !vault_locked(h->vault))
		return vault_sidecar_check(h->vault) == VAULT_E_FORGED ? keyring_check_files(h, ret_why) : 0;
	if (h->vault) {
		*ret_why = xstrdup("the archive is locked: varvectl unlock");
		return HUB_E_LOCKED;
	}
	*ret_why = xasprintf("the archive is not open: %s", h->why);
	return HUB_E_STORAGE;
}

static bool keyring_has_passphrase(const struct hub *h)
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
	_cleanup_(freep) char *why = NULL, *text = NULL;
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
		/* What failed before was repaired: from now on only a secret is missing, and who looks must see that. */
		if (h->state == HUB_FAILED && vault_locked(h->vault))
			hub_enter(h, HUB_LOCKED, "It can be read again, and needs a secret: varvectl unlock.");
	}
	if (!vault_locked(h->vault)) {
		unlock_open(j);
	} else if (j->secret) {
		unlock_with_secret(j);
	} else {
		r = vault_unlock_auto(h->vault, &why);
		if (r == VAULT_E_LOCKED) {
			text = xasprintf("the archive is locked: %s", why);
			job_end_vault(j, r, text);
		} else {
			unlock_tried(j, r, why);
		}
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

	/* Pages of the cache, texts, passwords: what is freed now is overwritten (mallopt(3)); all the time would cost. */
	mallopt(M_PERTURB, 0xa5);
	hub_close(h);
	mallopt(M_PERTURB, 0);
	if (h->vault)
		vault_lock(h->vault);
	log_info("the archive is locked");
	job_end(j, 0, NULL);
}

static void lock_step(struct job *j)
{
	struct hub *h = j->hub;

	hub_reopen_end(h);
	if (h->job)
		job_end(h->job, HUB_E_LOCKED, "the archive was locked meanwhile");
	if (h->state == HUB_LOCKED || !h->vault) {
		job_end(j, 0, NULL);
		return;
	}
	for (size_t i = 0; i < h->n_seats; i++)
		hub_note_removed(h, engine_account(h->seats[i]->engine)->id);
	hub_enter(h, HUB_LOCKED, j->label);
	hub_park(h, lock_parked, j);
}

/* ${why}: for who looks. */
static int lock_begin(struct hub *h, bool force, const char *why, keyring_done_fn fn, void *userdata, char **ret_why)
{
	_cleanup_(freep) char *none = h->state == HUB_READY && !force ? hub_no_way_in(h) : NULL;
	struct job *j;
	int r;

	if (none) {
		*ret_why = xasprintf("%s: once it is locked nobody could read it again; \"varvectl keys add recovery\" "
				     "prints a code that opens it", none);
		return HUB_E_EXISTS;
	}

	if (h->locking) {
		*ret_why = xstrdup("it is being locked");
		return HUB_E_BUSY;
	}
	r = job_make(h, "locking", fn, userdata, lock_step, &j);
	if (r < 0)
		return err_trace(r);
	j->label = xstrdup(why);
	h->locking = j;
	return 0;
}

int keyring_lock(struct hub *h, bool force, keyring_done_fn fn, void *userdata, char **ret_why)
{
	return lock_begin(h, force, "It was locked by its user: varvectl unlock opens it.", fn, userdata, ret_why);
}

int keyring_lock_unused(struct hub *h, const char *why, char **ret_why)
{
	if (h->job) {
		*ret_why = xasprintf("%s is at work", h->job->name);
		return HUB_E_BUSY;
	}
	return lock_begin(h, false, why, NULL, NULL, ret_why);
}
