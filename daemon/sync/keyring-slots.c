/*
 * Slots: who may open the archive. Every change rewraps the master key and writes the sidecar; no message is touched.
 */
#include <string.h>

#include "sync/keyring-priv.h"

static enum keyring_slot slot_kind(enum slot_type t)
{
	switch (t) {
	case SLOT_KEYFILE:
		return KEYRING_KEYFILE;
	case SLOT_PASSPHRASE:
		return KEYRING_PASSPHRASE;
	case SLOT_CREDENTIAL:
		return KEYRING_CREDENTIAL;
	case SLOT_RECOVERY:
		break;
	}
	return KEYRING_RECOVERY;
}

bool keyring_provider(const struct hub *h, enum keyring_slot *ret)
{
	if (h->state != HUB_READY)
		return false;
	*ret = slot_kind(vault_opener(h->vault));
	return true;
}

int keyring_slots(struct hub *h, keyring_slot_fn fn, void *userdata, char **ret_why)
{
	if (!h->vault) {
		*ret_why = xasprintf("the archive is not open: %s", h->why);
		return HUB_E_STORAGE;
	}
	for (size_t i = 0; i < vault_slot_count(h->vault); i++) {
		struct vault_slot s = vault_slot_at(h->vault, i);
		struct keyring_slot_row row = {
			.id = s.id,
			.type = slot_kind(s.type),
			.label = str_or_empty(s.label),
			.path = str_or_empty(s.path),
			.created_us = s.created_us,
		};
		_cleanup_(freep) char *why = NULL;
		int r;

		vault_slot_opens(h->vault, i, &why);
		row.problem = str_or_empty(why);
		r = fn(userdata, &row);
		if (r != 0)
			return r;
	}
	return 0;
}

/* ---- add ---- */

static void add_derived(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	r = vault_passphrase_finish(j->hub->vault, j->child, j->label, 0, &j->answer.id, &why);
	job_end_vault(j, r, why);
}

static void add_step(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	struct vault *v = j->hub->vault;
	struct child *child;
	int r = 0;

	switch (j->type) {
	case KEYRING_KEYFILE:
		r = vault_add_keyfile(v, j->path, j->label, &j->answer.id, &why);
		break;
	case KEYRING_CREDENTIAL:
		r = vault_add_credential(v, j->path, j->label, &j->answer.id, &why);
		break;
	case KEYRING_RECOVERY:
		r = vault_add_recovery(v, j->label, &j->answer.id, &j->code, &why);
		j->answer.code = j->code;
		break;
	case KEYRING_PASSPHRASE:
		r = vault_passphrase_start(v, j->secret->bytes, j->secret->len, &child, &why);
		if (r == 0) {
			job_child(j, child, add_derived);
			return;
		}
		break;
	}
	job_end_vault(j, r, why);
}

static int check_passphrase(size_t len, char **ret_why)
{
	if (len >= VAULT_PASSPHRASE_MIN && len <= VAULT_SECRET_MAX)
		return 0;
	*ret_why = xasprintf("the passphrase is empty or longer than %d bytes", VAULT_SECRET_MAX);
	return HUB_E_INVALID;
}

int keyring_add(struct hub *h, const struct keyring_new_slot *slot, keyring_done_fn fn, void *userdata, char **ret_why)
{
	struct job *j;
	int r;

	r = keyring_check_open(h, ret_why);
	if (r == 0 && slot->type == KEYRING_PASSPHRASE)
		r = check_passphrase(slot->len, ret_why);
	if (r == 0)
		r = job_new(h, "adding a key", fn, userdata, add_step, &j, ret_why);
	if (r != 0)
		return r;
	j->type = slot->type;
	j->secret = secret_keep(slot->secret, slot->len);
	j->label = xstrdup(str_or_empty(slot->label));
	j->path = xstrdup(str_or_empty(slot->path));
	return 0;
}

/* ---- remove ---- */

static void remove_step(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	int r = vault_remove_slot(j->hub->vault, j->id, &why);

	job_end_vault(j, r, why);
}

int keyring_remove(struct hub *h, uint32_t id, keyring_done_fn fn, void *userdata, char **ret_why)
{
	struct job *j;
	int r;

	r = keyring_check_open(h, ret_why);
	if (r == 0)
		r = job_new(h, "removing a key", fn, userdata, remove_step, &j, ret_why);
	if (r != 0)
		return r;
	j->id = id;
	return 0;
}

/* ---- passphrase ---- */

/* The passphrase is durable by now, so that none of these is the last slot. */
static int drop_keyfiles(struct vault *v, char **ret_why)
{
	size_t i = 0;
	int r;

	while (i < vault_slot_count(v)) {
		struct vault_slot s = vault_slot_at(v, i);

		if (s.type != SLOT_KEYFILE) {
			i++;
			continue;
		}
		r = vault_remove_slot(v, s.id, ret_why);
		if (r != 0)
			return r;
	}
	return 0;
}

/* A changed passphrase keeps its name. */
static char *slot_label(const struct vault *v, uint32_t id)
{
	for (size_t i = 0; i < vault_slot_count(v); i++)
		if (vault_slot_at(v, i).id == id)
			return xstrdup(vault_slot_at(v, i).label);
	return xstrdup("");
}

static void passwd_derived(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	struct vault *v = j->hub->vault;
	int r;

	/* Of several passphrases the one that was given as the old one. */
	r = vault_passphrase_finish(v, j->child, j->label, j->id, &j->answer.id, &why);
	if (r == 0 && j->drop_keyfile)
		r = drop_keyfiles(v, &why);
	job_end_vault(j, r, why);
}

static void passwd_checked(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	struct child *child;
	int r;

	j->id = j->old ? vault_derived_slot(j->hub->vault) : 0;
	j->label = slot_label(j->hub->vault, j->id);
	r = vault_passphrase_start(j->hub->vault, j->secret->bytes, j->secret->len, &child, &why);
	if (r == 0)
		job_child(j, child, passwd_derived);
	else
		job_end_vault(j, r, why);
}

static void passwd_step(struct job *j)
{
	keyring_check_passphrase(j, passwd_checked);
}

int keyring_passwd(struct hub *h, const void *old, size_t old_len, const void *secret, size_t len, bool drop_keyfile,
		   keyring_done_fn fn, void *userdata, char **ret_why)
{
	struct job *j;
	int r;

	r = keyring_check_open(h, ret_why);
	if (r == 0)
		r = keyring_check_wait(h, ret_why);
	if (r == 0)
		r = check_passphrase(len, ret_why);
	if (r == 0)
		r = job_new(h, "changing the passphrase", fn, userdata, passwd_step, &j, ret_why);
	if (r != 0)
		return r;
	j->old = secret_keep(old, old_len);
	j->secret = secret_keep(secret, len);
	j->drop_keyfile = drop_keyfile;
	return 0;
}

static void checked(struct job *j)
{
	job_end(j, 0, NULL);
}

static void check_step(struct job *j)
{
	keyring_check_passphrase(j, checked);
}

int keyring_check_secret(struct hub *h, const void *old, size_t old_len, keyring_done_fn fn, void *userdata, char **ret_why)
{
	struct job *j;
	int r;

	r = keyring_check_open(h, ret_why);
	if (r == 0)
		r = keyring_check_wait(h, ret_why);
	if (r == 0)
		r = job_new(h, "checking the passphrase", fn, userdata, check_step, &j, ret_why);
	if (r != 0)
		return r;
	j->old = secret_keep(old, old_len);
	return 0;
}
