/* vault/vault.h: the keys after a rotation, and those of a copy. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "vault/secret.h"
#include "vault/slot.h"
#include "vault/vault-file.h"
#include "vault/vault-priv.h"

struct vault_next {
	char *path; /* of the second file */
	size_t dropped;
	struct sidecar sc;
	struct vault_secrets *secrets; /* locked memory */
};

struct vault_next *vault_next_free(struct vault_next *n)
{
	if (!n)
		return NULL;
	secret_free(n->secrets);
	sidecar_deinit(&n->sc);
	free(n->path);
	free(n);
	return NULL;
}

/* A slot whose secret can be read now and opens the old master key: x->ikm. */
static bool at_hand(const struct vault *v, const struct sidecar_slot *slot, struct vault_scratch *x)
{
	_cleanup_(freep) char *why = NULL;

	if (slot->type != SLOT_KEYFILE && slot->type != SLOT_CREDENTIAL)
		return false;
	return slot_read(slot, v->config_dir, x->ikm, &why) == 0 &&
	       slot_open(slot, v->sc.vault_id, x->ikm, x->master);
}

/* Wrap ${master} in those slots of n->sc whose secrets are at hand; the others go. The passphrase, if there is one, is
 * that of the first passphrase slot, or of a new one. */
static void rewrap(const struct vault *v, struct vault_next *n, const uint8_t master[PAGE_KEY],
		   const struct vault_passphrase *pass)
{
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));

	for (size_t i = 0; i < n->sc.n_slots;) {
		struct sidecar_slot *slot = &n->sc.slots[i];

		if (pass && slot->type == SLOT_PASSPHRASE) {
			slot->ops = pass->ops;
			slot->mem = pass->mem;
			memcpy(slot->salt, pass->salt, sizeof(slot->salt));
			slot_seal(slot, n->sc.vault_id, pass->ikm, master);
			pass = NULL;
			i++;
		} else if (at_hand(v, slot, x)) {
			slot_salt(slot);
			slot_seal(slot, n->sc.vault_id, x->ikm, master);
			i++;
		} else {
			n->dropped++;
			sidecar_remove(&n->sc, slot->id);
		}
	}
	if (pass) {
		struct sidecar_slot *slot = sidecar_add(&n->sc, SLOT_PASSPHRASE, "", "", clock_real_us());

		if (!slot)
			return; /* sixteen key files; one of them opens it */
		slot->ops = pass->ops;
		slot->mem = pass->mem;
		memcpy(slot->salt, pass->salt, sizeof(slot->salt));
		slot_seal(slot, n->sc.vault_id, pass->ikm, master);
	}
}

int vault_next(const struct vault *v, const char *name, struct child *passphrase, struct vault_next **ret,
	       char **ret_why)
{
	_cleanup_(secret_freep) struct vault_passphrase *pass = NULL;
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));
	_cleanup_(vault_next_freep) struct vault_next *n = xnew(struct vault_next);
	int r = vault_may_write(v);

	if (r < 0)
		return err_trace(r);
	if (!sidecar_name_ok(name) || strcmp(name, v->sc.database) == 0 ||
	    strncmp(name, VAULT_SIDECAR, strlen(VAULT_SIDECAR)) == 0 || v->sc.epoch == UINT32_MAX)
		return err_origin(-EINVAL);
	if (passphrase) {
		pass = secret_alloc(sizeof(*pass));
		r = vault_passphrase_answer(passphrase, pass);
		if (r < 0)
			return err_trace(r);
	}
	sidecar_copy(&n->sc, &v->sc);
	str_set(&n->sc.database, name);
	n->sc.epoch++;
	n->sc.ready = true;
	randombytes_buf(n->sc.file_id, sizeof(n->sc.file_id));
	randombytes_buf(x->master, sizeof(x->master));
	rewrap(v, n, x->master, pass);
	if (n->sc.n_slots == 0) {
		*ret_why = xstrdup("no slot could go on to the new key: give the passphrase, or bring a key file back");
		return VAULT_E_LAST_SLOT;
	}
	n->secrets = vault_secrets_new(x->master, &n->sc);
	n->path = xasprintf("%s/%s", v->dir, name);
	*ret = TAKE_PTR(n);
	return 0;
}

size_t vault_next_dropped(const struct vault_next *n)
{
	return n->dropped;
}

int vault_switch(struct vault *v, struct vault_next *n)
{
	_cleanup_(freep) char *text = sidecar_print(&n->sc, n->secrets->mac_key);
	struct vault_secrets *secrets = v->secrets;
	struct sidecar sc = v->sc;
	char *path = v->path;
	bool bak = false;
	int r = vault_may_write(v);

	if (r == 0)
		r = file_replace_pair(v->dir, text, &bak);
	if (r < 0)
		return err_trace(r);
	file_forget_damaged(v->dir);
	v->secrets = n->secrets;
	v->sc = n->sc;
	v->path = n->path;
	n->secrets = secrets;
	n->sc = sc;
	n->path = path;
	return 0;
}

int vault_next_at(const struct vault *v, const char *path, struct vault_next **ret)
{
	_cleanup_(vault_next_freep) struct vault_next *n = xnew(struct vault_next);
	const char *slash = strrchr(path, '/');

	if (!v->secrets)
		return err_origin(-ENOKEY);
	/* As for a rotation: in the directory of an archive such names are the vault's, which removes some of them. */
	if (*path != '/' || !sidecar_name_ok(slash + 1) ||
	    strncmp(slash + 1, VAULT_SIDECAR, strlen(VAULT_SIDECAR)) == 0)
		return err_origin(-EINVAL);
	sidecar_copy(&n->sc, &v->sc);
	str_set(&n->sc.database, slash + 1);
	n->sc.ready = true;
	randombytes_buf(n->sc.file_id, sizeof(n->sc.file_id));
	n->secrets = vault_secrets_new(v->secrets->master, &n->sc);
	n->path = xstrdup(path);
	*ret = TAKE_PTR(n);
	return 0;
}

int vault_next_write(struct vault_next *n)
{
	_cleanup_(freep) char *text = sidecar_print(&n->sc, n->secrets->mac_key);
	_cleanup_(freep) char *path = xasprintf("%s.keys", n->path);
	int r = file_write(path, text, "vault.backup");

	return r < 0 ? err_trace(r) : 0;
}

const char *vault_next_path(const struct vault_next *n)
{
	return n->path;
}

const struct page_keys *vault_next_keys(const struct vault_next *n)
{
	return &n->secrets->keys;
}
