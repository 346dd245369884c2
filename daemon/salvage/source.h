/*
 * What is to be salvaged: a database, its log and its sidecar, opened for reading only. The sidecar is copied to a
 * private directory first, because vault_load() mends a damaged one where it finds it; it holds nothing in clear.
 */
#pragma once

#include <stddef.h>

#include "base/mem.h"
#include "vault/page.h"

struct source;

/* Outcomes; *ret_why is then a sentence for the user. */
enum {
	SOURCE_E_IN_USE = 1, /* varved has the archive */
	SOURCE_E_NO_KEYS,    /* no sidecar that can be read */
	SOURCE_E_LOCKED,     /* a secret is needed */
	SOURCE_E_WRONG,	     /* the secret is not right */
	SOURCE_E_NO_DATABASE,
};

/*
 * ${dir}: a data directory, with ${db} and ${keys} NULL; else these two files (a backup and its .keys) and ${dir} NULL.
 * Holds the lock of the directory, so that varved does not start meanwhile. IN_USE, NO_KEYS.
 */
int source_new(const char *dir, const char *db, const char *keys, const char *config_dir, struct source **ret,
	       char **ret_why);
/* Key file and credential slots: 0, LOCKED, NO_KEYS (forged). */
int source_unlock_auto(struct source *s, char **ret_why);
/* A passphrase or recovery code; takes as long as Argon2id does. 0, WRONG, NO_KEYS. */
int source_unlock(struct source *s, const void *secret, size_t len, char **ret_why);
/* The content of a key file. 0, WRONG, NO_KEYS. */
int source_unlock_key(struct source *s, const void *key, size_t len, char **ret_why);
/* Open database and log, after one of the above: 0, NO_DATABASE. */
int source_open(struct source *s, char **ret_why);

const struct page_keys *source_keys(const struct source *s);
const char *source_path(const struct source *s);
/* Descriptors stay the source's; the log is -1 when there is none. */
int source_db(const struct source *s);
int source_log(const struct source *s);
struct source *source_free(struct source *s);
DEFINE_CLEANUP(struct source *, source_free);
