/* vault/vault.h: from a secret to the master key, at once or in a child process. */
#include <sodium.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "vault/recovery.h"
#include "vault/secret.h"
#include "vault/slot.h"
#include "vault/vault-file.h"
#include "vault/vault-priv.h"

struct vault_secrets *vault_secrets_new(const uint8_t master[PAGE_KEY], const struct sidecar *sc)
{
	struct vault_secrets *s = secret_alloc(sizeof(*s));

	memcpy(s->master, master, PAGE_KEY);
	kdf_mac_key(master, s->mac_key);
	page_keys_derive(&s->keys, master, sc->file_id, sc->epoch);
	secret_wipe_stack();
	return s;
}

/*
 * Whatever happened before, from now on the copy is what the sidecar is: it must not keep a slot alive that was
 * removed, nor name the file before a rotation. Only now, because only a MAC that is right tells which of two is good.
 */
static void update_bak(struct vault *v)
{
	_cleanup_(freep) char *path = xasprintf("%s/" VAULT_SIDECAR ".bak", v->dir);
	_cleanup_(freep) char *text = NULL, *have = NULL, *why = NULL;
	size_t len = 0;
	int r;

	file_tidy(v->dir);
	text = sidecar_print(&v->sc, v->secrets->mac_key);
	if (file_read(path, &have, &len, &why) == 0 && len == strlen(text) && memcmp(have, text, len) == 0)
		return;
	r = file_replace_bak(v->dir, text);
	if (r < 0)
		log_warning("%s could not be brought up to date (%s)", path, strerror(-r));
	else
		log_info("%s was brought up to date", path);
}

static int forged(const struct vault *v, const uint8_t mac_key[KDF_KEY], char **ret_why)
{
	_cleanup_(freep) char *path = xasprintf("%s/" VAULT_SIDECAR ".bak", v->dir);
	_cleanup_(freep) char *text = NULL, *why = NULL;
	struct sidecar bak = { 0 };
	bool good = false;
	size_t len = 0;

	if (file_read(path, &text, &len, &why) == 0 && sidecar_parse(text, len, &bak, &why) == 0)
		good = sidecar_authentic(&bak, mac_key);
	sidecar_deinit(&bak);
	*ret_why = xasprintf("the key store in %s was altered by somebody who did not have its key: %s", v->dir,
			     good ? "its copy " VAULT_SIDECAR ".bak was not; stop varved and put that in its place" :
				    "bring " VAULT_SIDECAR " back from a copy");
	return VAULT_E_FORGED;
}

/* A slot of ${type} gave ${master}: check the MAC, unlock, bring the .bak up to date. 0, VAULT_E_FORGED, VAULT_E_WRONG (already
 * unlocked, and not by this key). */
static int vault_accept(struct vault *v, enum slot_type type, const uint8_t master[PAGE_KEY], char **ret_why)
{
	_cleanup_(secret_freep) struct vault_secrets *s = NULL;

	if (v->secrets) {
		if (sodium_memcmp(v->secrets->master, master, PAGE_KEY) == 0)
			return 0;
		*ret_why = xstrdup("this is not the key of the archive that is open");
		return VAULT_E_WRONG;
	}
	s = vault_secrets_new(master, &v->sc);
	if (!sidecar_authentic(&v->sc, s->mac_key))
		return forged(v, s->mac_key, ret_why);
	v->secrets = TAKE_PTR(s);
	v->opener = type;
	if (!v->read_only)
		update_bak(v);
	return 0;
}

static bool has_type(const struct vault *v, enum slot_type type)
{
	for (size_t i = 0; i < v->sc.n_slots; i++)
		if (v->sc.slots[i].type == type)
			return true;
	return false;
}

int vault_unlock_auto(struct vault *v, char **ret_why)
{
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));
	_cleanup_(buf_deinit) struct buf tried = { 0 };

	if (v->secrets)
		return 0;
	for (size_t i = 0; i < v->sc.n_slots; i++) {
		const struct sidecar_slot *slot = &v->sc.slots[i];
		_cleanup_(freep) char *part = NULL, *path = NULL;
		int r;

		if (slot->type != SLOT_KEYFILE && slot->type != SLOT_CREDENTIAL)
			continue;
		r = slot_read(slot, v->config_dir, x->ikm, &part);
		if (r == 0 && slot_open(slot, v->sc.vault_id, x->ikm, x->master))
			return vault_accept(v, slot->type, x->master, ret_why);
		path = slot->type == SLOT_KEYFILE ? slot_path(v->config_dir, slot->path) : xstrdup(slot->path);
		buf_addf(&tried, "%sthe %s %s %s", tried.len ? ", " : "",
			 slot->type == SLOT_KEYFILE ? "key file" : "credential", path,
			 r == 0 ? "does not open it" : part);
	}
	*ret_why = xasprintf("%s%s%s", buf_str(&tried), tried.len ? "; " : "",
			     has_type(v, SLOT_PASSPHRASE) || has_type(v, SLOT_RECOVERY) ?
				     "unlock it with \"varvectl unlock\"" :
				     "there is no passphrase and no recovery code: bring that back and try again");
	return VAULT_E_LOCKED;
}

/* Try ${ikm} on every slot of ${type}: true, and x->master. */
static bool open_any(const struct vault *v, enum slot_type type, struct vault_scratch *x)
{
	for (size_t i = 0; i < v->sc.n_slots; i++) {
		const struct sidecar_slot *slot = &v->sc.slots[i];

		if (slot->type == type && slot_open(slot, v->sc.vault_id, x->ikm, x->master))
			return true;
	}
	return false;
}

int vault_unlock_direct(struct vault *v, const void *secret, size_t len, char **ret_why)
{
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));
	uint8_t code[RECOVERY_SECRET];
	int form = recovery_parse(secret, len, code);

	if (form == 0) {
		kdf_direct(code, sizeof(code), x->ikm);
		secret_wipe(code, sizeof(code));
		if (open_any(v, SLOT_RECOVERY, x))
			return vault_accept(v, SLOT_RECOVERY, x->master, ret_why);
	}
	if (len >= VAULT_CREDENTIAL_MIN && len <= VAULT_SECRET_MAX) {
		kdf_direct(secret, len, x->ikm);
		if (open_any(v, SLOT_KEYFILE, x))
			return vault_accept(v, SLOT_KEYFILE, x->master, ret_why);
		if (open_any(v, SLOT_CREDENTIAL, x))
			return vault_accept(v, SLOT_CREDENTIAL, x->master, ret_why);
	}
	if (form == RECOVERY_E_TYPO)
		*ret_why = xstrdup("the recovery code has a typing error: compare it with what you wrote down");
	else if (form == 0)
		*ret_why = xstrdup("this is a recovery code, but none of this archive");
	else
		*ret_why = xstrdup("this is neither a recovery code nor the content of a key file of this archive");
	return VAULT_E_WRONG;
}

bool vault_is_recovery_code(const void *secret, size_t len)
{
	uint8_t code[RECOVERY_SECRET];
	int form = recovery_parse(secret, len, code);

	secret_wipe(code, sizeof(code));
	return form != RECOVERY_E_FORM;
}

/* What the child is given and what it answers. */
struct derive_job {
	const struct vault *v;
	const void *secret;
	size_t len;
};

struct derived {
	uint32_t slot;
	uint8_t ikm[KDF_KEY];
};

/* In the child: the slot that the passphrase opens, or no answer if none does. */
static int derive(void *userdata, void *answer, size_t *ret_len)
{
	const struct derive_job *job = userdata;
	const struct vault *v = job->v;
	struct derived *out = answer;
	uint8_t master[PAGE_KEY];
	int failure = 0;

	for (size_t i = 0; i < v->sc.n_slots; i++) {
		const struct sidecar_slot *slot = &v->sc.slots[i];
		int r;

		if (slot->type != SLOT_PASSPHRASE)
			continue;
		r = kdf_argon2id(job->secret, job->len, slot->salt, slot->ops, slot->mem, out->ikm);
		if (r < 0)
			failure = r;
		if (r == 0 && slot_open(slot, v->sc.vault_id, out->ikm, master)) {
			secret_wipe(master, sizeof(master));
			out->slot = slot->id;
			*ret_len = sizeof(*out);
			return 0;
		}
	}
	return failure < 0 ? err_trace(failure) : 0;
}

int vault_derive_start(const struct vault *v, const void *secret, size_t len, struct child **ret)
{
	struct derive_job job = { .v = v, .secret = secret, .len = len };
	int r;

	if (!has_type(v, SLOT_PASSPHRASE) || len > VAULT_SECRET_MAX)
		return VAULT_E_WRONG;
	r = child_start(derive, &job, ret);
	return r < 0 ? err_trace(r) : 0;
}

int vault_unlock_derived(struct vault *v, struct child *done, char **ret_why)
{
	_cleanup_(secret_freep) struct derived *d = secret_alloc(sizeof(*d));
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));
	struct sidecar_slot *slot;
	size_t len = 0;
	int r = child_finish(done, d, sizeof(*d), &len);

	v->derived = 0;
	if (r < 0)
		return err_trace(r);
	/* The slot may have gone while the child computed. */
	slot = len == sizeof(*d) ? sidecar_find(&v->sc, d->slot) : NULL;
	if (slot && slot->type == SLOT_PASSPHRASE && slot_open(slot, v->sc.vault_id, d->ikm, x->master)) {
		v->derived = slot->id;
		return vault_accept(v, SLOT_PASSPHRASE, x->master, ret_why);
	}
	*ret_why = xstrdup("the passphrase is wrong");
	return VAULT_E_WRONG;
}

uint32_t vault_derived_slot(const struct vault *v)
{
	return v->derived;
}
