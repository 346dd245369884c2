/*
 * The archive's keys at run time: unlock, lock, slots, passphrase, rotation, backup. One of these is at work at a time;
 * what takes a second (Argon2id, reading a copy back) runs in a child, what reads the whole archive in slices, so that
 * nothing else waits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/hub.h"

/* Wrong secrets: so many are free, then the next has to wait 1 s, 2 s, 4 s ... In memory only: who can restart varved
 * has the disk, and there the cost of Argon2id is what protects. */
#define KEYRING_TRIES_FREE 3
#define KEYRING_WAIT_MAX_US (60 * INT64_C(1000000))

/* What came of it; each call says which of these it fills. Strings are valid inside the callback only. */
struct keyring_answer {
	uint32_t id;	  /* of the new slot */
	const char *code; /* the recovery code, shown once; "" for the others */
	uint64_t bytes;	  /* of the backup */
	uint32_t dropped; /* slots that end with the old master key */
};

/* ${r}: 0, HUB_E_x with ${why} (may be NULL), or -errno. Called once, from the loop, never from inside the call. */
typedef void (*keyring_done_fn)(void *userdata, int r, const char *why, const struct keyring_answer *answer);

/*
 * All of these: 0 and ${fn} follows, or HUB_E_x with *ret_why (caller frees) and no call of ${fn}. Secrets are not kept
 * and not needed after the call. HUB_E_BUSY: another one is at work, or wrong secrets have to wait.
 */

/* The archive opens and accounts are there. ${len} 0: what needs no secret is tried again, and so is an archive that
 * failed to open. Done: HUB_E_WRONG, HUB_E_LOCKED (${len} 0), HUB_E_STORAGE. */
int keyring_unlock(struct hub *h, const void *secret, size_t len, keyring_done_fn fn, void *userdata, char **ret_why);
/* Ends whatever is at work; never Busy. HUB_E_EXISTS: no slot could open it again, and not ${force}. Done: 0 when the keys
 * are wiped. */
int keyring_lock(struct hub *h, bool force, keyring_done_fn fn, void *userdata, char **ret_why);
/* The same, because nobody uses it: ${why} is the sentence for who looks. HUB_E_BUSY also while something is at work. */
int keyring_lock_unused(struct hub *h, const char *why, char **ret_why);

enum keyring_slot { KEYRING_KEYFILE, KEYRING_PASSPHRASE, KEYRING_CREDENTIAL, KEYRING_RECOVERY };
/* What opened the archive that is READY; false while none is. */
bool keyring_provider(const struct hub *h, enum keyring_slot *ret);
struct keyring_slot_row {
	uint32_t id;
	enum keyring_slot type;
	const char *label, *path; /* path: or the name of the credential */
	int64_t created_us;
	const char *problem; /* why it does not open the archive now; "": it does */
};
/* Calls ${fn} for each slot, also while locked; stops when it returns non-zero (returned). HUB_E_STORAGE: no keys. */
typedef int (*keyring_slot_fn)(void *userdata, const struct keyring_slot_row *slot);
int keyring_slots(struct hub *h, keyring_slot_fn fn, void *userdata, char **ret_why);

struct keyring_new_slot {
	enum keyring_slot type;
	const void *secret; /* KEYRING_PASSPHRASE */
	size_t len;
	const char *label;
	const char *path; /* KEYRING_KEYFILE: absolute; KEYRING_CREDENTIAL: its name */
};
/* Answer: id, code. Done: HUB_E_INVALID, HUB_E_EXISTS, HUB_E_NOT_FOUND, HUB_E_LIMIT, HUB_E_STORAGE. */
int keyring_add(struct hub *h, const struct keyring_new_slot *slot, keyring_done_fn fn, void *userdata, char **ret_why);
/* Done: HUB_E_NOT_FOUND, HUB_E_EXISTS (it is the last one), HUB_E_STORAGE. */
int keyring_remove(struct hub *h, uint32_t id, keyring_done_fn fn, void *userdata, char **ret_why);
/* Set or replace the passphrase. ${old} is checked when there is one. Done: HUB_E_WRONG, HUB_E_INVALID, HUB_E_STORAGE. */
int keyring_passwd(struct hub *h, const void *old, size_t old_len, const void *secret, size_t len, bool drop_keyfile,
		   keyring_done_fn fn, void *userdata, char **ret_why);
/* Only look whether ${old} is the passphrase, or there is none. Done: HUB_E_WRONG, HUB_E_STORAGE. */
int keyring_check_secret(struct hub *h, const void *old, size_t old_len, keyring_done_fn fn, void *userdata, char **ret_why);
/* Answer: dropped. Done: HUB_E_WRONG, HUB_E_EXISTS (no slot would be left), HUB_E_STORAGE, HUB_E_CANCELLED. */
int keyring_rotate(struct hub *h, const void *passphrase, size_t len, keyring_done_fn fn, void *userdata,
		   char **ret_why);
/* Answer: bytes. Done: HUB_E_EXISTS, HUB_E_INVALID, HUB_E_STORAGE, HUB_E_CANCELLED. */
int keyring_backup(struct hub *h, const char *path, keyring_done_fn fn, void *userdata, char **ret_why);

/* Whoever asked with ${userdata} is gone: no callback any more. A backup, and a rotation before its last step, end and
 * leave nothing; the rest goes on. */
void keyring_abandon(struct hub *h, const void *userdata);

/* How long secrets are still refused; 0: not at all. */
int64_t keyring_retry_after_us(const struct hub *h);
