/*
 * A data directory and a configuration directory for tests of vault/, and what they have in common.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "vault/vault.h"

/* ${text} stands in the sentence ${why}. */
#define assert_says(why, text) assert_non_null(strstr(str_or_empty(why), text))
#define TEST(name) static void name(void **state _unused_)

struct fx {
	char base[64];
	char *dir, *config;
	struct vault *v;
	char *why;
};

/* Setup and teardown of cmocka; *state is a struct fx. Argon2id is made cheap. */
int fx_setup(void **state);
int fx_teardown(void **state);
/* ${base} and all in it. */
void remove_tree(const char *path);

/* vault_load() into fx->v (the old one freed); its outcome, fx->why. */
int fx_load(struct fx *fx);
/* vault_create() that must succeed. */
void fx_create(struct fx *fx);
/* Load and unlock with the automatic slots; both must succeed. */
void fx_open(struct fx *fx);
char *fx_path(const struct fx *fx, const char *name);

char *file_text(const char *path, size_t *ret_len);
void file_put(const char *path, const void *text, size_t len);
bool file_is(const char *path);
/* Path of the key file of slot 1. */
char *fx_keyfile(const struct fx *fx);

/* Unlock, check, add, replace by passphrase: start, wait, finish; the outcome. */
int fx_unlock(struct fx *fx, const char *passphrase);
uint32_t fx_passphrase(struct fx *fx, const char *passphrase, uint32_t replace);
/* A copy of the page keys' bytes, to compare over a lock. */
struct page_keys fx_keys(const struct fx *fx);
