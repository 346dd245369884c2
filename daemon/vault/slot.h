/*
 * One slot: the master key wrapped under the key that a secret gives (vault/kdf.h), and where the secrets of automatic
 * slots are read. XChaCha20-Poly1305; associated data "varve slot 1 TYPE" 00, slot id (u32 little-endian), vault id: a
 * wrapped key moved to another slot, type or vault does not open. Private to vault/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/sidecar.h"

/* Wrap ${master} under ${ikm} (vault/kdf.h); makes a fresh nonce. slot->salt was used for ${ikm} where that matters. */
void slot_seal(struct sidecar_slot *slot, const uint8_t vault_id[VAULT_ID], const uint8_t ikm[KDF_KEY],
	       const uint8_t master[PAGE_KEY]);
/* Whether ${ikm} opens it; ${ret_master} is written only then. */
bool slot_open(const struct sidecar_slot *slot, const uint8_t vault_id[VAULT_ID], const uint8_t ikm[KDF_KEY],
	       uint8_t ret_master[PAGE_KEY]);
/* A fresh salt. */
void slot_salt(struct sidecar_slot *slot);

enum {
	SLOT_E_MISSING = 1, /* no such file; no $CREDENTIALS_DIRECTORY */
	SLOT_E_UNREADABLE,  /* no permission, not a regular file, an I/O error */
	SLOT_E_EXPOSED,	    /* somebody else may read or write it, or owns it: its secret is none */
	SLOT_E_SIZE,	    /* under VAULT_CREDENTIAL_MIN or over VAULT_SECRET_MAX bytes */
};
/*
 * The content of a key file (absolute ${path}, or relative to ${config_dir}) or of a systemd credential, hashed to
 * ${ret_ikm}. The content itself is wiped. ${ret_why}: part of a sentence that begins with the file, set for > 0.
 */
int slot_read_keyfile(const char *config_dir, const char *path, uint8_t ret_ikm[KDF_KEY], char **ret_why);
int slot_read_credential(const char *name, uint8_t ret_ikm[KDF_KEY], char **ret_why);
/* What ${slot} names, by its type. */
int slot_read(const struct sidecar_slot *slot, const char *config_dir, uint8_t ret_ikm[KDF_KEY], char **ret_why);
/* The absolute path of a key file. The caller frees. */
char *slot_path(const char *config_dir, const char *path);
/* A new key file with 32 random bytes in hexadecimal, durable, 0600. ${archive}: what its comment calls the archive.
 * 0, VAULT_E_UNREADABLE with a sentence; -EEXIST. */
int slot_make_keyfile(const char *path, const char *archive, char **ret_why);
