/*
 * What vault.c and its other halves share: vault-unlock.c (secrets to master key), vault-slots.c (changes of slots),
 * vault-next.c (rotation and backup).
 */
#pragma once

#include "vault/sidecar.h"
#include "vault/vault.h"

/* In locked memory. */
struct vault_secrets {
	uint8_t master[PAGE_KEY];
	uint8_t mac_key[KDF_KEY];
	struct page_keys keys;
};

struct vault {
	char *dir, *config_dir;
	char *path;	/* of the database */
	bool read_only; /* vault_load_file() */
	struct sidecar sc;
	struct vault_secrets *secrets; /* NULL while locked */
	uint32_t derived; /* vault_derived_slot() */
	enum slot_type opener; /* vault_opener() */
};

/* Room for what an operation derives, in locked memory: secret_alloc(), _cleanup_(secret_freep). */
struct vault_scratch {
	uint8_t ikm[KDF_KEY];
	uint8_t master[PAGE_KEY];
};

/* What the child of vault_passphrase_start() answers. */
struct vault_passphrase {
	uint64_t ops, mem;
	uint8_t salt[KDF_SALT];
	uint8_t ikm[KDF_KEY];
};
int vault_passphrase_answer(struct child *done, struct vault_passphrase *ret);

/* The keys that follow from ${master} for the file of ${sc}. Freed with secret_free(). */
struct vault_secrets *vault_secrets_new(const uint8_t master[PAGE_KEY], const struct sidecar *sc);
/* -ENOKEY while locked, -EROFS if loaded for reading only. */
int vault_may_write(const struct vault *v);
/* Make ${next} the sidecar, on disk and then in memory; ${next} then holds the old one. *ret_bak: see
 * file_replace_pair(). */
int vault_commit(struct vault *v, struct sidecar *next, bool *ret_bak);
