/*
 * The keys of the archive in one directory: the sidecar archive.keys, its slots, and the master key while unlocked.
 *
 *   slots --(secret)--> master key --(file id, epoch)--> page keys
 *
 * The sidecar is a versioned text (vault/sidecar.h) with a MAC, replaced as a whole, always beside its predecessor
 * archive.keys.bak. It names the database file, so replacing it is the commit point of creation and of rotation.
 * Whoever has the sidecar and one secret has the archive; whoever lost either has nothing: nothing here ever deletes or
 * overwrites a key on a failure.
 *
 * Nothing here waits: Argon2id runs in a child (vault_derive_start).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/child.h"
#include "base/mem.h"
#include "vault/page.h"

#define VAULT_SIDECAR "archive.keys"
#define VAULT_DATABASE "archive.db" /* the first one; a rotation's caller names the next */

enum {
	VAULT_SLOTS_MAX = 16,	   /* people have a passphrase, a recovery code, a key file; room for more */
	VAULT_SECRET_MAX = 1024,   /* bytes of a passphrase or of a key file's content */
	VAULT_PASSPHRASE_MIN = 1,  /* what is too weak is the user's choice; varvectl warns */
	VAULT_CREDENTIAL_MIN = 32, /* bytes of a credential or a key file: used without Argon2id */
};

enum slot_type { SLOT_KEYFILE, SLOT_PASSPHRASE, SLOT_CREDENTIAL, SLOT_RECOVERY };

/* Outcomes > 0; *ret_why is then a sentence for the user: cause and next step. */
enum {
	VAULT_E_NONE = 1,   /* no sidecar and no .bak: a new directory, or a lost key store */
	VAULT_E_DAMAGED,    /* neither the sidecar nor its .bak parses */
	VAULT_E_NEWER,	    /* written by a newer version */
	VAULT_E_UNREADABLE, /* permissions, not a regular file */
	VAULT_E_LOCKED,	    /* no automatic slot opened: a secret is needed; why says which ones were tried */
	VAULT_E_WRONG,	    /* the secret opens no slot */
	VAULT_E_FORGED,	    /* the master key is right, the MAC is not: the sidecar was altered */
	VAULT_E_LAST_SLOT,  /* would remove the last slot, or the last one that can be used without the lost thing */
	VAULT_E_LIMIT,	    /* VAULT_SLOTS_MAX, VAULT_SECRET_MAX, VAULT_PASSPHRASE_MIN, VAULT_CREDENTIAL_MIN */
	VAULT_E_NO_SLOT,    /* there is no such slot */
	VAULT_E_SAME_SLOT,  /* a slot has this file or credential already */
};

struct vault;

/* What is known without any secret. Strings are the vault's, valid until its next change. */
struct vault_slot {
	uint32_t id;	      /* stable, never used again in this sidecar */
	enum slot_type type;
	const char *label;    /* user's name for it, may be "" */
	const char *path;     /* SLOT_KEYFILE: as stored: relative means to ${config_dir}; SLOT_CREDENTIAL: its name */
	int64_t created_us;
};

/*
 * Read the sidecar of ${dir}. ${config_dir}: where relative key files are. Outcomes: NONE, DAMAGED, NEWER, UNREADABLE.
 * A torn or missing sidecar with a good .bak is repaired from it and logged (the torn one is kept, as .damaged).
 */
int vault_load(const char *dir, const char *config_dir, struct vault **ret, char **ret_why);
/* Read the sidecar at ${path}, a backup's say, for reading only: nothing on the disk changes, ever; what would write
 * gives -EROFS. Its database is beside it. The same outcomes. */
int vault_load_file(const char *path, const char *config_dir, struct vault **ret, char **ret_why);
/*
 * A new vault for a new archive: master key, file id, a key file of its own in ${config_dir} (O_EXCL, 0600,
 * archive-ID.key), sidecar in state "creating", all durable. Unlocked. Both directories are made (0700) if missing.
 * UNREADABLE: a directory cannot be written. -EEXIST: there is a sidecar or a .bak.
 */
int vault_create(const char *dir, const char *config_dir, struct vault **ret, char **ret_why);
/* The database exists from now on: state "ready". Before that a missing database is a creation that was cut off; after
 * it, STORE_E_MISSING. Needs unlocked. */
int vault_ready(struct vault *v);
bool vault_is_ready(const struct vault *v);
struct vault *vault_free(struct vault *v);
DEFINE_CLEANUP(struct vault *, vault_free);

bool vault_locked(const struct vault *v);
/* The kind of slot that gave the master key; of a new archive its key file. Means something only while unlocked. */
enum slot_type vault_opener(const struct vault *v);
/* Absolute path of the database that the sidecar names. */
const char *vault_path(const struct vault *v);
/* Page keys for vfs_bind(), in locked memory; NULL while locked. Invalid after vault_lock(). */
const struct page_keys *vault_keys(const struct vault *v);
/* Wipe the master key and all that was derived. The database must be closed and unbound. */
void vault_lock(struct vault *v);

/*
 * Unlocking. Once the master key is known the .bak is made the same as the sidecar, should a crash have left it behind.
 * On a vault that is unlocked already, all but vault_unlock_auto() check the secret and change nothing.
 */
/* Try key file and credential slots: 0, VAULT_E_LOCKED (with why), VAULT_E_FORGED. */
int vault_unlock_auto(struct vault *v, char **ret_why);
/* A recovery code (as printed, spaces and case do not matter), or the content of a key file: at once, no Argon2id.
 * 0, VAULT_E_WRONG, VAULT_E_FORGED. */
int vault_unlock_direct(struct vault *v, const void *secret, size_t len, char **ret_why);
/* Passphrase, in two steps: try it on every passphrase slot in a child (a second each), then open. ${secret} is not
 * needed after vault_derive_start(), which gives VAULT_E_WRONG at once if there is no passphrase slot. ${done} stays
 * the caller's. -ENOMEM: the memory that the slot asks for is not to be had; -EPIPE: the child was killed, likely for
 * it. */
int vault_derive_start(const struct vault *v, const void *secret, size_t len, struct child **ret);
int vault_unlock_derived(struct vault *v, struct child *done, char **ret_why);
/* The passphrase slot that the last vault_unlock_derived() opened, 0 if it opened none: the one that a change of this
 * passphrase replaces. */
uint32_t vault_derived_slot(const struct vault *v);
/* Whether ${secret} has the form of a recovery code, with or without a typing error: then vault_unlock_direct() is
 * tried first, and the passphrase after it if that is WRONG (a passphrase may look like one). */
bool vault_is_recovery_code(const void *secret, size_t len);

/*
 * Slots. Every change rewraps only. When it returns 0 it is durable, in the sidecar and in the .bak, so that a secret
 * that was removed opens neither; should the second name be what fails, a warning says so and the next unlock tries
 * again. After -errno the vault is as before. All but the list need unlocked (-ENOKEY).
 * Labels and paths are UTF-8 without control characters (VAULT_E_LIMIT).
 */
size_t vault_slot_count(const struct vault *v);
struct vault_slot vault_slot_at(const struct vault *v, size_t i);
/* Whether slot ${i} can open the archive now: a passphrase and a recovery code always, a key file and a credential if
 * it is there and the right one; else *ret_why is a part of a sentence. Also while locked. */
bool vault_slot_opens(const struct vault *v, size_t i, char **ret_why);
/* Whether the sidecar on the disk still is that of ${v}: 0, VAULT_E_NONE (it is gone), VAULT_E_FORGED (it is another,
 * or cannot be read). -errno. */
int vault_sidecar_check(const struct vault *v);
/* ${path}: absolute. A file that is there is used as it is (regular, 0600, this user's, VAULT_CREDENTIAL_MIN to
 * VAULT_SECRET_MAX bytes); one that is not is made. UNREADABLE, LIMIT, SAME_SLOT. */
int vault_add_keyfile(struct vault *v, const char *path, const char *label, uint32_t *ret_id, char **ret_why);
/* ${name}: in $CREDENTIALS_DIRECTORY, which must have it now. UNREADABLE, LIMIT, SAME_SLOT. */
int vault_add_credential(struct vault *v, const char *name, const char *label, uint32_t *ret_id, char **ret_why);
/* *ret_code: the printable code (caller frees with secret_free); shown once, kept nowhere. */
int vault_add_recovery(struct vault *v, const char *label, uint32_t *ret_id, char **ret_code, char **ret_why);
/* Passphrase: calibrate and derive in a child (about a second), then add. ${replace}: 0, or the id of the slot which
 * goes in the same write (passwd). ${done} stays the caller's. LIMIT, NO_SLOT; errors as vault_unlock_derived(). */
int vault_passphrase_start(const struct vault *v, const void *secret, size_t len, struct child **ret, char **ret_why);
int vault_passphrase_finish(struct vault *v, struct child *done, const char *label, uint32_t replace, uint32_t *ret_id,
			    char **ret_why);
/*
 * LAST_SLOT: no passphrase, recovery code, or key file or credential that opens the archive now would be left.
 * NO_SLOT. The key file that vault_create() made is unlinked after sidecar and .bak are durable, because with an older
 * copy of the sidecar it would still open the archive; so it does for a backup that was made before. A file at a path
 * which the user gave stays.
 */
int vault_remove_slot(struct vault *v, uint32_t id, char **ret_why);

/*
 * Rotation and backup: keys of a second file, nothing written until the copy is complete.
 *
 * vault_next(), rotation: a file ${name} in the directory of ${v} with a new master key, file id and epoch + 1. A slot
 * wraps the master key, so it goes on only where its secret is at hand: key files and credentials that can be read
 * now, and the passphrase in ${passphrase} (from vault_passphrase_start(), stays the caller's; NULL: none). The others
 * end with the old master key, which is what a rotation is for; vault_next_dropped() counts them, so that the user can
 * be told to make them anew. VAULT_E_LAST_SLOT: none would be left. A slot that was added between vault_next() and
 * vault_switch() is lost: the caller does one such job at a time.
 *
 * vault_switch(): the sidecar names the next file: the commit point. ${v} then has the next keys (at the same address
 * as vault_next_keys() gave), and ${n} has the old ones, which stay valid for the old file until vault_next_free().
 * The caller unlinks the old file. After -errno ${v} is as before, but what the disk says is known only at the next
 * vault_load(): the caller keeps BOTH files.
 *
 * vault_next_at(), backup: an absolute ${path} anywhere; the same master key and slots, another file id, so that the
 * same secrets open it. -EINVAL: not absolute, or its last part is no name that a sidecar can hold (starts with a dot,
 * control characters, not UTF-8, over 255 bytes) or begins with "archive.keys". vault_next_write(): its own sidecar
 * ${path}.keys (state ready); -EEXIST rather than replace.
 */
struct vault_next;
int vault_next(const struct vault *v, const char *name, struct child *passphrase, struct vault_next **ret,
	       char **ret_why);
size_t vault_next_dropped(const struct vault_next *n);
int vault_switch(struct vault *v, struct vault_next *n);
int vault_next_at(const struct vault *v, const char *path, struct vault_next **ret);
int vault_next_write(struct vault_next *n);
const char *vault_next_path(const struct vault_next *n);
const struct page_keys *vault_next_keys(const struct vault_next *n);
struct vault_next *vault_next_free(struct vault_next *n);
DEFINE_CLEANUP(struct vault_next *, vault_next_free);
