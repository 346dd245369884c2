/*
 * Copies of the whole archive: a backup, and the successor that a rotation of the keys makes. Both are read back and
 * verified before they count.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/log.h"
#include "sync/keyring-priv.h"

/* Keys of a backup that did not become one. */
static void remove_keys(struct job *j)
{
	_cleanup_(freep) char *keys = xasprintf("%s.keys", vault_next_path(j->next));

	if (unlink(keys) < 0)
		log_warning("%s is left over and of no use: %s", keys, strerror(errno));
	j->keys_written = false;
}

void keyring_copy_undo(struct job *j)
{
	struct hub *h = j->hub;

	if (j->copy && j->keys_written)
		remove_keys(j);
	j->copy = copy_free(j->copy);
	j->next = vault_next_free(j->next);
	if (!j->rotates)
		return;
	j->rotates = h->rotating = false;
	hub_unpark(h);
}

static void end_copy(struct job *j, int r)
{
	_cleanup_(freep) char *why = NULL;

	switch (r) {
	case -EBUSY:
		job_end(j, HUB_E_BUSY, "the archive is being copied for varvectl doctor: wait until that has ended");
		return;
	case -EEXIST:
		why = xasprintf("%s exists already: nothing is replaced, give another name", vault_next_path(j->next));
		job_end(j, HUB_E_EXISTS, why);
		return;
	case -ENOENT:
	case -ENOTDIR:
		why = xasprintf("there is no directory for %s", vault_next_path(j->next));
		job_end(j, HUB_E_INVALID, why);
		return;
	case -EBADMSG:
		job_end(j, HUB_E_STORAGE, "a page of the archive is damaged, so it cannot be copied whole: varvectl doctor "
			"names it, varve-salvage saves what can be read");
		return;
	default:
		why = xasprintf("the copy %s could not be written: %s; nothing was changed", vault_next_path(j->next),
				strerror(-r));
		job_end(j, HUB_E_STORAGE, why);
	}
}

/* Make the file of j->next and begin to copy: slices follow as ${step}. What a kill leaves of it the next start removes:
 * store/copy.h. */
static void begin_copy(struct job *j, enum copy_kind kind, job_step_fn step)
{
	int r;

	r = copy_new(j->hub->store, kind, vault_next_path(j->next), vault_next_keys(j->next), &j->copy);
	if (r < 0)
		end_copy(j, r);
	else
		job_idle(j, step);
}

/* A slice; ${verified} runs when the copy was read back. */
static void copy_slice(struct job *j, job_step_fn self, job_step_fn verified)
{
	struct child *child;
	int r;

	r = copy_step(j->copy, SLICE_US);
	if (r > 0) {
		job_idle(j, self);
		return;
	}
	if (r == 0)
		r = copy_verify_start(j->copy, &child);
	if (r < 0)
		end_copy(j, r);
	else
		job_child(j, child, verified);
}

/* True if the copy is good; else the job has ended. */
static bool verified(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	char text[CHILD_ANSWER_MAX + 1];
	size_t len = 0;
	int r;

	r = child_finish(j->child, text, sizeof(text) - 1, &len);
	if (r < 0) {
		end_copy(j, r);
		return false;
	}
	if (len == 0)
		return true;
	text[len] = '\0';
	why = xasprintf("the copy was read back and is not sound: %s; it was removed, the archive is as it was", text);
	job_end(j, HUB_E_STORAGE, why);
	return false;
}

/* ---- backup ---- */

static void backup_verified(struct job *j)
{
	struct stat st;
	int r;

	if (!verified(j))
		return;
	r = vault_next_write(j->next);
	if (r == 0) {
		j->keys_written = true;
		r = copy_keep(j->copy);
	}
	if (r < 0) {
		end_copy(j, r);
		return;
	}
	j->keys_written = false;
	j->answer.bytes = stat(vault_next_path(j->next), &st) == 0 ? (uint64_t)st.st_size : 0;
	job_end(j, 0, NULL);
}

static void backup_slice(struct job *j)
{
	copy_slice(j, backup_slice, backup_verified);
}

static void backup_step(struct job *j)
{
	int r;

	r = vault_next_at(j->hub->vault, j->path, &j->next);
	if (r == -EINVAL)
		job_end(j, HUB_E_INVALID, "a backup needs a file name that does not begin with a dot or with " VAULT_SIDECAR " and "
			"has no control characters");
	else if (r < 0)
		job_end_vault(j, r, NULL);
	else
		begin_copy(j, COPY_BACKUP, backup_slice);
}

int keyring_backup(struct hub *h, const char *path, keyring_done_fn fn, void *userdata, char **ret_why)
{
	struct job *j;
	size_t n = strlen(path);
	int r;

	r = hub_check_ready(h, ret_why);
	if (r == 0 && (*path != '/' || path[n - 1] == '/' || strchr(path, '\n'))) {
		*ret_why = xasprintf("'%s' is not the absolute path of a file", path);
		r = HUB_E_INVALID;
	}
	if (r == 0)
		r = job_new(h, "a backup", fn, userdata, backup_step, &j, ret_why);
	if (r != 0)
		return r;
	j->path = xstrdup(path);
	j->ends_with_caller = true;
	return 0;
}

/* ---- rotation ---- */

/* Nobody but the disk knows which of the two the sidecar names: everything is closed and read anew. hub_open() also
 * removes the other one. */
static void rotate_reopen(struct job *j)
{
	struct hub *h = j->hub;

	j->rotates = h->rotating = false;
	hub_close(h);
	h->vault = vault_free(h->vault);
	hub_open(h);
	if (h->state == HUB_READY && strcmp(vault_path(h->vault), j->path) == 0)
		job_end(j, 0, NULL);
	else
		job_end(j, HUB_E_STORAGE, h->state == HUB_READY ? "the keys could not be written: nothing was changed" : h->why);
}

/* The commit point is the sidecar: vault_switch(). If that fails both files stay, until it is known which one counts. */
static void rotate_verified(struct job *j)
{
	struct hub *h = j->hub;
	int r, kept;

	if (!verified(j))
		return;
	j->ends_with_caller = false;
	j->answer.dropped = (uint32_t)vault_next_dropped(j->next);
	if (h->observer)
		h->observer(h->observer_data, HUB_STORE_CLOSES, 0);
	hub_diagnose_close(h);
	r = vault_switch(h->vault, j->next);
	kept = copy_keep(j->copy);
	if (r == 0)
		r = kept;
	if (r == 0)
		r = store_adopt(h->store, vault_path(h->vault), vault_keys(h->vault));
	j->copy = copy_free(j->copy);
	if (r < 0) {
		log_error("rotating the keys: %s; the archive is opened anew", strerror(-r));
		rotate_reopen(j);
		return;
	}
	log_info("the archive is encrypted under new keys, epoch %u", vault_keys(h->vault)->epoch);
	job_end(j, 0, NULL);
}

static void rotate_slice(struct job *j)
{
	copy_slice(j, rotate_slice, rotate_verified);
}

static void rotate_parked(void *userdata)
{
	struct job *j = userdata;
	int r;

	/* Fresh engines do not dial by themselves. */
	r = hub_reset_seats(j->hub);
	if (r < 0)
		end_copy(j, r);
	else
		begin_copy(j, COPY_SUCCESSOR, rotate_slice);
}

static char *successor_name(const struct hub *h)
{
	uint32_t random = 0;

	/* Only so that no name comes twice; -EEXIST is found anyway. */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		log_debug("no randomness for a name");
	return xasprintf("archive-%" PRIu32 "-%08" PRIx32 ".db", vault_keys(h->vault)->epoch + 1, random);
}

static void rotate_next(struct job *j)
{
	_cleanup_(freep) char *why = NULL, *name = successor_name(j->hub);
	struct hub *h = j->hub;
	int r;

	r = vault_next(h->vault, name, j->child, &j->next, &why);
	if (r != 0) {
		job_end_vault(j, r, why);
		return;
	}
	j->path = xstrdup(vault_next_path(j->next));
	j->rotates = h->rotating = true;
	hub_park(h, rotate_parked, j);
}

static void rotate_checked(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	struct child *child;
	int r;

	if (!j->old) {
		rotate_next(j);
		return;
	}
	r = vault_passphrase_start(j->hub->vault, j->old->bytes, j->old->len, &child, &why);
	if (r == 0)
		job_child(j, child, rotate_next);
	else
		job_end_vault(j, r, why);
}

static void rotate_step(struct job *j)
{
	keyring_check_passphrase(j, rotate_checked);
}

int keyring_rotate(struct hub *h, const void *passphrase, size_t len, keyring_done_fn fn, void *userdata,
		   char **ret_why)
{
	struct job *j;
	int r;

	r = hub_check_ready(h, ret_why);
	if (r == 0)
		r = keyring_check_files(h, ret_why);
	if (r == 0)
		r = keyring_check_wait(h, ret_why);
	if (r == 0 && len > VAULT_SECRET_MAX) {
		*ret_why = xasprintf("the passphrase is longer than %d bytes", VAULT_SECRET_MAX);
		r = HUB_E_INVALID;
	}
	if (r == 0)
		r = job_new(h, "a rotation of the keys", fn, userdata, rotate_step, &j, ret_why);
	if (r != 0)
		return r;
	j->old = secret_keep(passphrase, len);
	j->ends_with_caller = true;
	return 0;
}
