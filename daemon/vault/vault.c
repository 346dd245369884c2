#include "vault/vault.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "vault/secret.h"
#include "vault/slot.h"
#include "vault/vault-file.h"
#include "vault/vault-priv.h"

/* A sidecar or its copy, as it was found. */
struct found {
	int r; /* 0: ${sc} is valid; else an outcome */
	char *text, *why;
	struct sidecar sc;
};

static void found_deinit(struct found *f)
{
	free(f->text);
	free(f->why);
	sidecar_deinit(&f->sc);
}

static int find(const char *path, struct found *f)
{
	_cleanup_(freep) char *part = NULL;
	size_t len = 0;

	f->r = file_read(path, &f->text, &len, &f->why);
	if (f->r < 0)
		return err_trace(f->r);
	if (f->r > 0)
		return 0;
	f->r = sidecar_parse(f->text, len, &f->sc, &part);
	if (f->r == SIDECAR_E_NEWER) {
		f->r = VAULT_E_NEWER;
		f->why = xasprintf("%s was written by a newer varve (%s): install that again", path, part);
	} else if (f->r == SIDECAR_E_DAMAGED) {
		f->r = VAULT_E_DAMAGED;
		f->why = xasprintf("%s is damaged (%s)", path, part);
	}
	return 0;
}

static struct vault *vault_alloc(const char *dir, const char *config_dir, struct sidecar *sc)
{
	struct vault *v = xnew(struct vault);

	v->dir = xstrdup(dir);
	v->config_dir = xstrdup(config_dir);
	v->sc = *sc;
	*sc = (struct sidecar){ 0 };
	v->path = xasprintf("%s/%s", dir, v->sc.database);
	return v;
}

/* Neither can be used: the outcome that helps the user most, with its sentence. */
static int none_usable(const char *dir, const struct found *f, const struct found *bak, char **ret_why)
{
	if (f->r == VAULT_E_NONE && bak->r == VAULT_E_NONE) {
		*ret_why = xasprintf("there is no key store (" VAULT_SIDECAR
				     ") in %s: if there was an archive, bring it back from a copy, because without it"
				     " nobody can read the archive",
				     dir);
		return VAULT_E_NONE;
	}
	if (bak->r == VAULT_E_NEWER || bak->r == VAULT_E_UNREADABLE) {
		*ret_why = xasprintf("%s; %s", f->why, bak->why);
		return bak->r;
	}
	*ret_why = xasprintf("%s; %s: bring one of the two back from a copy. Nothing was changed", f->why, bak->why);
	return VAULT_E_DAMAGED;
}

int vault_load(const char *dir, const char *config_dir, struct vault **ret, char **ret_why)
{
	_cleanup_(freep) char *path = xasprintf("%s/" VAULT_SIDECAR, dir);
	_cleanup_(freep) char *bak_path = xasprintf("%s/" VAULT_SIDECAR ".bak", dir);
	_cleanup_(found_deinit) struct found f = { 0 }, bak = { 0 };
	int r;

	if (sodium_init() < 0)
		abort();
	r = find(path, &f);
	if (r == 0)
		r = find(bak_path, &bak);
	if (r < 0)
		return err_trace(r);
	if (f.r == VAULT_E_NEWER || f.r == VAULT_E_UNREADABLE) {
		*ret_why = TAKE_PTR(f.why);
		return f.r;
	}
	if (f.r == 0) {
		*ret = vault_alloc(dir, config_dir, &f.sc);
		return 0;
	}
	if (bak.r != 0)
		return none_usable(dir, &f, &bak, ret_why);
	r = file_restore(dir, bak.text);
	if (r < 0)
		log_warning("%s; the copy is used, but could not be put in its place (%s)", f.why, strerror(-r));
	else
		log_warning("%s; it was repaired from its copy " VAULT_SIDECAR ".bak%s", f.why,
			    f.r == VAULT_E_DAMAGED ? ", and is kept as " VAULT_SIDECAR ".damaged" : "");
	*ret = vault_alloc(dir, config_dir, &bak.sc);
	return 0;
}

int vault_load_file(const char *path, const char *config_dir, struct vault **ret, char **ret_why)
{
	_cleanup_(found_deinit) struct found f = { 0 };
	_cleanup_(freep) char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	int r;

	if (sodium_init() < 0)
		abort();
	r = find(path, &f);
	if (r < 0)
		return err_trace(r);
	if (f.r > 0) {
		*ret_why = TAKE_PTR(f.why);
		return f.r;
	}
	if (slash)
		*slash = '\0';
	*ret = vault_alloc(slash ? dir : ".", config_dir, &f.sc);
	(*ret)->read_only = true;
	return 0;
}

/* A key file of its own in ${config_dir}, durable before anything refers to it, wrapping ${master} in slot 1. */
static int first_slot(struct sidecar *sc, const char *config_dir, struct vault_scratch *x, char **ret_path,
		      char **ret_why)
{
	_cleanup_(freep) char *name = NULL, *path = NULL, *why = NULL;
	struct sidecar_slot *slot;
	char id[9];
	int r;

	sodium_bin2hex(id, sizeof(id), sc->file_id, 4);
	name = xasprintf("archive-%s.key", id);
	path = slot_path(config_dir, name);
	r = slot_make_keyfile(path, id, ret_why);
	if (r < 0)
		return err_trace(r);
	if (r > 0)
		return r;
	*ret_path = TAKE_PTR(path);
	r = slot_read_keyfile(config_dir, name, x->ikm, &why);
	if (r > 0) {
		*ret_why = xasprintf("%s was made just now and %s", *ret_path, why);
		return VAULT_E_UNREADABLE;
	}
	slot = sidecar_add(sc, SLOT_KEYFILE, "", name, clock_real_us());
	slot_salt(slot);
	slot_seal(slot, sc->vault_id, x->ikm, x->master);
	return 0;
}

static int exists_not(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);

	if (access(path, F_OK) == 0)
		return err_origin(-EEXIST);
	return errno == ENOENT ? 0 : err_origin(-errno);
}

int vault_create(const char *dir, const char *config_dir, struct vault **ret, char **ret_why)
{
	_cleanup_(secret_freep) struct vault_scratch *x = secret_alloc(sizeof(*x));
	_cleanup_(vault_freep) struct vault *v = NULL;
	_cleanup_(freep) char *key_path = NULL;
	struct sidecar sc = { .epoch = 1, .next_slot = 1 };
	bool bak;
	int r;

	r = file_mkdir(dir, ret_why);
	if (r == 0)
		r = file_mkdir(config_dir, ret_why);
	if (r != 0)
		return r < 0 ? err_trace(r) : VAULT_E_UNREADABLE;
	r = exists_not(dir, VAULT_SIDECAR);
	if (r == 0)
		r = exists_not(dir, VAULT_SIDECAR ".bak");
	if (r < 0)
		return err_trace(r);
	randombytes_buf(sc.vault_id, sizeof(sc.vault_id));
	randombytes_buf(sc.file_id, sizeof(sc.file_id));
	randombytes_buf(x->master, sizeof(x->master));
	sc.database = xstrdup(VAULT_DATABASE);
	v = vault_alloc(dir, config_dir, &sc);
	r = first_slot(&v->sc, config_dir, x, &key_path, ret_why);
	if (r == 0) {
		_cleanup_(freep) char *text = NULL;

		v->secrets = vault_secrets_new(x->master, &v->sc);
		v->opener = SLOT_KEYFILE;
		text = sidecar_print(&v->sc, v->secrets->mac_key);
		r = file_replace_pair(dir, text, &bak);
	}
	if (r == 0) {
		log_info("%s was made: it opens the archive in %s; keep a copy of it, or: varvectl keys add recovery",
			 key_path, dir);
		*ret = TAKE_PTR(v);
		return 0;
	}
	/* A key file that no sidecar names is rubbish; one that a sidecar may name is a treasure. */
	if (key_path && exists_not(dir, VAULT_SIDECAR) == 0)
		(void)file_unlink(key_path);
	return r < 0 ? err_trace(r) : VAULT_E_UNREADABLE;
}

int vault_ready(struct vault *v)
{
	_cleanup_(sidecar_deinit) struct sidecar next = { 0 };
	bool bak;
	int r = vault_may_write(v);

	if (r < 0)
		return err_trace(r);
	if (v->sc.ready)
		return 0;
	sidecar_copy(&next, &v->sc);
	next.ready = true;
	r = vault_commit(v, &next, &bak);
	return r < 0 ? err_trace(r) : 0;
}

bool vault_is_ready(const struct vault *v)
{
	return v->sc.ready;
}

struct vault *vault_free(struct vault *v)
{
	if (!v)
		return NULL;
	vault_lock(v);
	sidecar_deinit(&v->sc);
	free(v->dir);
	free(v->config_dir);
	free(v->path);
	free(v);
	return NULL;
}

bool vault_locked(const struct vault *v)
{
	return v->secrets == NULL;
}

const char *vault_path(const struct vault *v)
{
	return v->path;
}

enum slot_type vault_opener(const struct vault *v)
{
	return v->opener;
}

const struct page_keys *vault_keys(const struct vault *v)
{
	return v->secrets ? &v->secrets->keys : NULL;
}

void vault_lock(struct vault *v)
{
	v->secrets = secret_free(v->secrets);
}

int vault_sidecar_check(const struct vault *v)
{
	_cleanup_(freep) char *path = xasprintf("%s/" VAULT_SIDECAR, v->dir);
	_cleanup_(found_deinit) struct found f = { 0 };
	int r = find(path, &f);

	if (r < 0)
		return err_trace(r);
	if (f.r == VAULT_E_NONE)
		return VAULT_E_NONE;
	return f.r == 0 && memcmp(f.sc.mac, v->sc.mac, sizeof(f.sc.mac)) == 0 ? 0 : VAULT_E_FORGED;
}

int vault_may_write(const struct vault *v)
{
	if (v->read_only)
		return err_origin(-EROFS);
	return v->secrets ? 0 : err_origin(-ENOKEY);
}

int vault_commit(struct vault *v, struct sidecar *next, bool *ret_bak)
{
	_cleanup_(freep) char *text = sidecar_print(next, v->secrets->mac_key);
	struct sidecar old;
	int r = file_replace_pair(v->dir, text, ret_bak);

	if (r < 0)
		return err_trace(r);
	old = v->sc;
	v->sc = *next;
	*next = old;
	return 0;
}

size_t vault_slot_count(const struct vault *v)
{
	return v->sc.n_slots;
}

struct vault_slot vault_slot_at(const struct vault *v, size_t i)
{
	const struct sidecar_slot *s = &v->sc.slots[i];

	return (struct vault_slot){
		.id = s->id,
		.type = s->type,
		.label = s->label,
		.path = s->path,
		.created_us = s->created_us,
	};
}
