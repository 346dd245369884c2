/*
 * The text of archive.keys, format 1 (docs/store.md, "Keys", describes each line). Pure: text in, struct out and back.
 * There is exactly one text for a struct: the parser accepts nothing that the printer would not have written.
 *
 * Two seals end it. "mac": BLAKE2b-256 of all before it under a key from the master key, against alteration, checked
 * once the master key is known. "check": BLAKE2b-128 of all before it without a key, so that damage is told from a
 * wrong passphrase before anybody types one. The first line and the last keep their form in every later format, so
 * that a newer file is told from a damaged one.
 *
 * Nothing in it is secret but for the wrapped keys, which are useless without a slot's secret. Private to vault/,
 * varve-salvage and the fuzzer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "vault/kdf.h"
#include "vault/page.h"
#include "vault/vault.h"

enum {
	SIDECAR_MAX = 65536,	    /* bytes of the text: 16 slots with the longest path and label, escaped, are 50 kB */
	SIDECAR_LABEL_MAX = 256,    /* bytes: a name that people read */
	SIDECAR_PATH_MAX = 1024,    /* bytes of a key file's path or a credential's name */
	SIDECAR_DATABASE_MAX = 255, /* bytes: NAME_MAX */
	SLOT_NONCE = 24,
	SLOT_WRAPPED = PAGE_KEY + 16,
	SIDECAR_MAC = 32,
};

struct sidecar_slot {
	uint32_t id;
	enum slot_type type;
	int64_t created_us;
	char *label, *path;   /* owned, never NULL */
	uint64_t ops, mem;    /* Argon2id; 0 where the type is not SLOT_PASSPHRASE */
	uint8_t salt[KDF_SALT], nonce[SLOT_NONCE], wrapped[SLOT_WRAPPED];
};

struct sidecar {
	uint8_t vault_id[VAULT_ID]; /* stays for the life of the vault; FILE_ID is of one database file */
	char *database;		    /* owned; a plain file name, beside the sidecar */
	uint8_t file_id[FILE_ID];
	uint32_t epoch;
	bool ready;
	uint32_t next_slot; /* id of the next slot: greater than all that were ever used */
	size_t n_slots;
	struct sidecar_slot slots[VAULT_SLOTS_MAX]; /* by id */
	uint8_t mac[SIDECAR_MAC];		    /* as read, or as printed last */
};

enum {
	SIDECAR_E_DAMAGED = 1, /* why: what, and in which line */
	SIDECAR_E_NEWER,       /* intact, of a format, cipher or slot type that this version does not know */
};
/* ${bytes}: any. *ret is the caller's to deinit after 0. ${ret_why} (not NULL) is owned by the caller after > 0; a part
 * of a sentence. */
int sidecar_parse(const void *bytes, size_t len, struct sidecar *ret, char **ret_why);
/* The text, NUL-terminated, with its MAC under ${mac_key}, which goes into s->mac. The caller frees. */
char *sidecar_print(struct sidecar *s, const uint8_t mac_key[KDF_KEY]);
/* Whether s->mac is that of its text. */
bool sidecar_authentic(const struct sidecar *s, const uint8_t mac_key[KDF_KEY]);

/* A deep copy. */
void sidecar_copy(struct sidecar *ret, const struct sidecar *s);
void sidecar_deinit(struct sidecar *s);
struct sidecar_slot *sidecar_find(struct sidecar *s, uint32_t id);
/* Append a slot with the next id; it has no key yet (vault/slot.h). NULL: there are VAULT_SLOTS_MAX. */
struct sidecar_slot *sidecar_add(struct sidecar *s, enum slot_type type, const char *label, const char *path,
				 int64_t now_us);
void sidecar_remove(struct sidecar *s, uint32_t id);

/* What a user may set: UTF-8 (RFC 3629) of at most ${max} bytes without control characters (C0, DEL, C1) and without
 * what turns a line's order or breaks it (U+2028, U+2029, U+202A to U+202E, U+2066 to U+2069). */
bool sidecar_text_ok(const char *s, size_t max);
/* A plain file name for a database: as above, not empty, no slash, no dot at the start. */
bool sidecar_name_ok(const char *s);
