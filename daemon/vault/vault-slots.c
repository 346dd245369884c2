/* vault/vault.h: slots are added, replaced and removed, one write of the sidecar each. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/step.h"
#include "vault/recovery.h"
#include "vault/secret.h"
#include "vault/slot.h"
#include "vault/vault-file.h"
#include "vault/vault-priv.h"

static int label_check(const char *label, char **ret_why)
{
	if (sidecar_text_ok(str_or_empty(label), SIDECAR_LABEL_MAX))
		return 0;
	*ret_why = xasprintf("a label is UTF-8 without control characters, at most %d bytes", SIDECAR_LABEL_MAX);
	return VAULT_E_LIMIT;
}

/* What a new slot is made of. */
struct new_slot {
	enum slot_type type;
	const char *label, *path;
	uint64_t ops, mem;
	const uint8_t *salt; /* NULL: a fresh one */
	const uint8_t *ikm;
	uint32_t replace; /* 0: none */
};

static bool slot_opens(const struct vault *v, const struct sidecar_slot *slot, char **ret_why)
{
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));
	_cleanup_(freep) char *part = NULL, *path = NULL;
	int r;

	if (slot->type == SLOT_PASSPHRASE || slot->type == SLOT_RECOVERY)
		return true;
	r = slot_read(slot, v->config_dir, x->ikm, &part);
	if (r == 0 && slot_open(slot, v->sc.vault_id, x->ikm, x->master))
		return true;
	path = slot->type == SLOT_KEYFILE ? slot_path(v->config_dir, slot->path) : xstrdup(slot->path);
	*ret_why = xasprintf("the %s %s %s", slot->type == SLOT_KEYFILE ? "key file" : "credential", path,
			     r == 0 ? "does not open it" : part);
	return false;
}

bool vault_slot_opens(const struct vault *v, size_t i, char **ret_why)
{
	return slot_opens(v, &v->sc.slots[i], ret_why);
}

/* Whether the user could still open the archive with what is in ${sc}. */
static bool usable(const struct vault *v, const struct sidecar *sc)
{
	for (size_t i = 0; i < sc->n_slots; i++) {
		_cleanup_(freep) char *why = NULL;

		if (slot_opens(v, &sc->slots[i], &why))
			return true;
	}
	return false;
}

/* ${old}: the sidecar before slot ${id} went. A relative path is one that varve chose. */
static void drop_keyfile(const struct vault *v, const struct sidecar *old, uint32_t id)
{
	const struct sidecar_slot *gone = NULL;
	_cleanup_(freep) char *path = NULL;
	int r;

	for (size_t i = 0; i < old->n_slots; i++)
		if (old->slots[i].id == id)
			gone = &old->slots[i];
	if (!gone || gone->type != SLOT_KEYFILE || *gone->path == '/')
		return;
	for (size_t i = 0; i < v->sc.n_slots; i++)
		if (v->sc.slots[i].type == SLOT_KEYFILE && strcmp(v->sc.slots[i].path, gone->path) == 0)
			return;
	path = slot_path(v->config_dir, gone->path);
	r = file_unlink(path);
	if (r < 0) {
		log_warning("%s is of no use any more, but cannot be removed (%s)", path, strerror(-r));
		return;
	}
	step("vault.key-file-gone");
	log_info("%s was removed: backups that only it opens cannot be read any more", path);
}

/* Write ${next}, which lacks slot ${gone} (0: it lacks none). */
static int commit(struct vault *v, struct sidecar *next, uint32_t gone)
{
	bool bak = false;
	int r = vault_commit(v, next, &bak);

	if (r < 0)
		return err_trace(r);
	if (gone)
		file_forget_damaged(v->dir);
	if (gone && bak)
		drop_keyfile(v, next, gone);
	return 0;
}

static int add_slot(struct vault *v, const struct new_slot *new, uint32_t *ret_id, char **ret_why)
{
	_cleanup_(sidecar_deinit) struct sidecar next = { 0 };
	struct sidecar_slot *slot;
	uint32_t id;
	int r = vault_may_write(v);

	if (r < 0)
		return err_trace(r);
	r = label_check(new->label, ret_why);
	if (r > 0)
		return r;
	sidecar_copy(&next, &v->sc);
	if (new->replace) {
		if (!sidecar_find(&next, new->replace)) {
			*ret_why = xasprintf("there is no key %u", new->replace);
			return VAULT_E_NO_SLOT;
		}
		sidecar_remove(&next, new->replace);
	}
	slot = sidecar_add(&next, new->type, new->label, new->path, clock_real_us());
	if (!slot) {
		*ret_why = xasprintf("there are %d keys already: remove one first", VAULT_SLOTS_MAX);
		return VAULT_E_LIMIT;
	}
	slot->ops = new->ops;
	slot->mem = new->mem;
	if (new->salt)
		memcpy(slot->salt, new->salt, sizeof(slot->salt));
	else
		slot_salt(slot);
	slot_seal(slot, next.vault_id, new->ikm, v->secrets->master);
	id = slot->id;
	r = commit(v, &next, new->replace);
	if (r < 0)
		return err_trace(r);
	*ret_id = id;
	return 0;
}

static int keyfile_outcome(int r, const char *path, const char *part, char **ret_why)
{
	*ret_why = xasprintf("%s %s", path, part);
	return r == SLOT_E_SIZE ? VAULT_E_LIMIT : VAULT_E_UNREADABLE;
}

/* One file in two slots would look like two ways in. */
static int same_slot(const struct vault *v, enum slot_type type, const char *path, char **ret_why)
{
	for (size_t i = 0; i < v->sc.n_slots; i++) {
		const struct sidecar_slot *s = &v->sc.slots[i];
		_cleanup_(freep) char *have = type == SLOT_KEYFILE ? slot_path(v->config_dir, s->path) : xstrdup(s->path);

		if (s->type != type || strcmp(have, path) != 0)
			continue;
		*ret_why = xasprintf("%s is key %u already", path, s->id);
		return VAULT_E_SAME_SLOT;
	}
	return 0;
}

int vault_add_keyfile(struct vault *v, const char *path, const char *label, uint32_t *ret_id, char **ret_why)
{
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));
	struct new_slot new = { .type = SLOT_KEYFILE, .label = label, .path = path, .ikm = x->ikm };
	_cleanup_(freep) char *part = NULL;
	bool made = false;
	char id[9];
	int r = vault_may_write(v);

	if (r < 0)
		return err_trace(r);
	if (*path != '/' || !sidecar_text_ok(path, SIDECAR_PATH_MAX)) {
		*ret_why = xasprintf("the path of a key file is absolute, UTF-8 without control characters, and at most"
				     " %d bytes long",
				     SIDECAR_PATH_MAX);
		return VAULT_E_LIMIT;
	}
	r = label_check(label, ret_why);
	if (r == 0)
		r = same_slot(v, SLOT_KEYFILE, path, ret_why);
	if (r > 0)
		return r;
	r = slot_read_keyfile(v->config_dir, path, x->ikm, &part);
	if (r == SLOT_E_MISSING) {
		sodium_bin2hex(id, sizeof(id), v->sc.file_id, 4);
		r = slot_make_keyfile(path, id, ret_why);
		if (r < 0)
			return err_trace(r);
		if (r > 0)
			return VAULT_E_UNREADABLE;
		made = true;
		free(TAKE_PTR(part));
		r = slot_read_keyfile(v->config_dir, path, x->ikm, &part);
	}
	if (r > 0)
		return keyfile_outcome(r, path, part, ret_why);
	r = add_slot(v, &new, ret_id, ret_why);
	/* An outcome comes before anything was written; after an error the sidecar on the disk may name the file. */
	if (r > 0 && made)
		(void)file_unlink(path);
	return r < 0 ? err_trace(r) : r;
}

int vault_add_credential(struct vault *v, const char *name, const char *label, uint32_t *ret_id, char **ret_why)
{
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));
	struct new_slot new = { .type = SLOT_CREDENTIAL, .label = label, .path = name, .ikm = x->ikm };
	_cleanup_(freep) char *part = NULL, *what = xasprintf("the credential %s", name);
	int r = vault_may_write(v);

	if (r < 0)
		return err_trace(r);
	if (!sidecar_name_ok(name)) {
		*ret_why = xstrdup("the name of a credential is a plain file name");
		return VAULT_E_LIMIT;
	}
	r = same_slot(v, SLOT_CREDENTIAL, name, ret_why);
	if (r > 0)
		return r;
	r = slot_read_credential(name, x->ikm, &part);
	if (r > 0)
		return keyfile_outcome(r, what, part, ret_why);
	r = add_slot(v, &new, ret_id, ret_why);
	return r < 0 ? err_trace(r) : r;
}

int vault_add_recovery(struct vault *v, const char *label, uint32_t *ret_id, char **ret_code, char **ret_why)
{
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));
	_cleanup_(secret_freep) char *code = secret_alloc(RECOVERY_TEXT);
	struct new_slot new = { .type = SLOT_RECOVERY, .label = label, .ikm = x->ikm };
	uint8_t secret[RECOVERY_SECRET];
	int r;

	randombytes_buf(secret, sizeof(secret));
	recovery_print(secret, code);
	kdf_direct(secret, sizeof(secret), x->ikm);
	secret_wipe(secret, sizeof(secret));
	r = add_slot(v, &new, ret_id, ret_why);
	if (r < 0)
		return err_trace(r);
	if (r == 0)
		*ret_code = TAKE_PTR(code);
	return r;
}

struct passphrase_job {
	const void *secret;
	size_t len;
};

/* In the child. */
static int make_passphrase(void *userdata, void *answer, size_t *ret_len)
{
	const struct passphrase_job *job = userdata;
	struct vault_passphrase *out = answer;
	int r = kdf_calibrate(&out->ops, &out->mem);

	if (r < 0)
		return err_trace(r);
	randombytes_buf(out->salt, sizeof(out->salt));
	r = kdf_argon2id(job->secret, job->len, out->salt, out->ops, out->mem, out->ikm);
	if (r < 0)
		return err_trace(r);
	*ret_len = sizeof(*out);
	return 0;
}

int vault_passphrase_start(const struct vault *v, const void *secret, size_t len, struct child **ret, char **ret_why)
{
	struct passphrase_job job = { .secret = secret, .len = len };
	int r = vault_may_write(v);

	if (r < 0)
		return err_trace(r);
	if (len < VAULT_PASSPHRASE_MIN || len > VAULT_SECRET_MAX) {
		*ret_why = xasprintf("a passphrase has %d to %d bytes", VAULT_PASSPHRASE_MIN, VAULT_SECRET_MAX);
		return VAULT_E_LIMIT;
	}
	r = child_start(make_passphrase, &job, ret);
	return r < 0 ? err_trace(r) : 0;
}

int vault_passphrase_answer(struct child *done, struct vault_passphrase *ret)
{
	size_t len = 0;
	int r = child_finish(done, ret, sizeof(*ret), &len);

	if (r < 0)
		return err_trace(r);
	return len == sizeof(*ret) ? 0 : err_origin(-EPROTO);
}

int vault_passphrase_finish(struct vault *v, struct child *done, const char *label, uint32_t replace, uint32_t *ret_id,
			    char **ret_why)
{
	_cleanup_(secret_freep) struct vault_passphrase *p = secret_alloc(sizeof(*p));
	struct new_slot new = { .type = SLOT_PASSPHRASE, .label = label, .replace = replace };
	int r = vault_passphrase_answer(done, p);

	if (r < 0)
		return err_trace(r);
	new.ops = p->ops;
	new.mem = p->mem;
	new.salt = p->salt;
	new.ikm = p->ikm;
	r = add_slot(v, &new, ret_id, ret_why);
	return r < 0 ? err_trace(r) : r;
}

int vault_remove_slot(struct vault *v, uint32_t id, char **ret_why)
{
	_cleanup_(sidecar_deinit) struct sidecar next = { 0 };
	int r = vault_may_write(v);

	if (r < 0)
		return err_trace(r);
	sidecar_copy(&next, &v->sc);
	if (!sidecar_find(&next, id)) {
		*ret_why = xasprintf("there is no key %u", id);
		return VAULT_E_NO_SLOT;
	}
	sidecar_remove(&next, id);
	if (!usable(v, &next)) {
		*ret_why = xasprintf("key %u is the last that can open the archive: add a passphrase or a recovery code"
				     " first",
				     id);
		return VAULT_E_LAST_SLOT;
	}
	r = commit(v, &next, id);
	return r < 0 ? err_trace(r) : 0;
}
