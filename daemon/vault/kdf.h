/*
 * From a secret to the key that wraps the master key in one slot (docs/store.md, "Keys"):
 *
 *   ikm = BLAKE2b-256(secret)                key file, credential, recovery code
 *   ikm = Argon2id(secret, salt, ops, mem)   passphrase; takes about a second: in a child (base/child.h)
 *   KEK = BLAKE2b-256(key = ikm, "varve slot 1 TYPE" 00 vault-id salt)
 *
 * so that the same secret gives another key in every slot, slot type and vault. Private to vault/.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vault/vault.h"

enum {
	KDF_KEY = 32,
	KDF_SALT = 16,
	VAULT_ID = 16,
	KDF_OPS_MIN = 1,
	/* A sidecar's parameters are used before its MAC can be checked: what an altered one can make us spend. */
	KDF_OPS_MAX = 32,
};
#define KDF_MEM_MIN UINT64_C(8192)	 /* bytes: libsodium's minimum */
#define KDF_MEM_MAX (UINT64_C(128) << 20) /* bytes: what varve itself asks for at most; a sidecar is read before its MAC */

/* Name of a slot type, as in the sidecar. */
const char *kdf_type_name(enum slot_type type);

void kdf_direct(const void *secret, size_t len, uint8_t ret_ikm[KDF_KEY]);
/* -ENOMEM: ${mem} bytes are not to be had. */
int kdf_argon2id(const void *secret, size_t len, const uint8_t salt[KDF_SALT], uint64_t ops, uint64_t mem,
		 uint8_t ret_ikm[KDF_KEY]);
/*
 * Parameters that take about a second here: 64 MiB and as many passes as fit, at least two; 128 MiB and half the
 * passes where that would be more than 32. More memory than that wakes the OOM killer on a phone of 2 GB. Measures: in
 * a child.
 */
int kdf_calibrate(uint64_t *ret_ops, uint64_t *ret_mem);
/* Tests only: kdf_calibrate() gives these at once. 0, 0: measure again. */
void kdf_set_for_tests(uint64_t ops, uint64_t mem);

void kdf_kek(enum slot_type type, const uint8_t vault_id[VAULT_ID], const uint8_t salt[KDF_SALT],
	     const uint8_t ikm[KDF_KEY], uint8_t ret_kek[KDF_KEY]);
/* The key of the sidecar's MAC: crypto_kdf of the master key, context "varvemac", 1. */
void kdf_mac_key(const uint8_t master[KDF_KEY], uint8_t ret_key[KDF_KEY]);
