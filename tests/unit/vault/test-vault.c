/*
 * vault.c and its halves: one vault from creation over slots to rotation and backup, every outcome by name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sodium.h>

#include "fixture.h"
#include "residue.h"
#include "vault/kdf.h"
#include "vault/recovery.h"
#include "vault/secret.h"
#include "vault/slot.h"
#include "vault/vault-priv.h"

#define assert_says(why, text) assert_non_null(strstr(str_or_empty(why), text))

TEST(a_new_vault_opens_again_by_its_key_file)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *sidecar = fx_path(fx, "archive.keys"), *bak = fx_path(fx, "archive.keys.bak");
	_cleanup_(freep) char *database = fx_path(fx, "archive.db"), *key = NULL, *a = NULL, *b = NULL;
	struct page_keys keys, again;
	struct stat st;

	fx_create(fx);
	keys = fx_keys(fx);
	assert_false(vault_locked(fx->v));
	assert_false(vault_is_ready(fx->v));
	assert_string_equal(vault_path(fx->v), database);
	key = fx_keyfile(fx);
	assert_int_equal(stat(sidecar, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(fx->config, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	a = file_text(sidecar, NULL);
	b = file_text(bak, NULL);
	assert_string_equal(a, b);

	assert_int_equal(fx_load(fx), 0);
	assert_true(vault_locked(fx->v));
	assert_null(vault_keys(fx->v));
	assert_int_equal(vault_ready(fx->v), -ENOKEY);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);
	again = fx_keys(fx);
	assert_memory_equal(&keys, &again, sizeof(keys));
	assert_int_equal(keys.epoch, 1);

	assert_int_equal(vault_ready(fx->v), 0);
	fx_open(fx);
	assert_true(vault_is_ready(fx->v));
	vault_lock(fx->v);
	assert_true(vault_locked(fx->v));
	assert_null(vault_keys(fx->v));
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);
}

TEST(it_locks_and_unlocks_after_each_change)
{
	struct fx *fx = *state;
	struct vault_next *n = NULL;

	fx_create(fx);
	vault_lock(fx->v);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);
	assert_int_equal(vault_ready(fx->v), 0);
	vault_lock(fx->v);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);
	fx_passphrase(fx, "p", 0);
	vault_lock(fx->v);
	assert_int_equal(fx_unlock(fx, "p"), 0);
	assert_int_equal(vault_next(fx->v, "archive-2.db", NULL, &n, &fx->why), 0);
	assert_int_equal(vault_switch(fx->v, n), 0);
	vault_next_free(n);
	vault_lock(fx->v);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);
	assert_int_equal(vault_keys(fx->v)->epoch, 2);
}

TEST(two_vaults_share_no_key)
{
	struct fx *fx = *state;
	struct page_keys a, b;
	struct vault *other;
	_cleanup_(freep) char *dir = xasprintf("%s/other", fx->base);

	fx_create(fx);
	assert_int_equal(vault_create(dir, fx->config, &other, &fx->why), 0);
	a = fx_keys(fx);
	b = *vault_keys(other);
	assert_memory_not_equal(a.db, b.db, sizeof(a.db));
	assert_memory_not_equal(a.file_id, b.file_id, sizeof(a.file_id));
	vault_free(other);
}

TEST(creation_replaces_nothing)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *sidecar = fx_path(fx, "archive.keys"), *before = NULL, *after = NULL;
	struct vault *other = NULL;

	fx_create(fx);
	before = file_text(sidecar, NULL);
	assert_int_equal(vault_create(fx->dir, fx->config, &other, &fx->why), -EEXIST);
	after = file_text(sidecar, NULL);
	assert_string_equal(before, after);
	/* Nor does the copy alone count as nothing. */
	unlink(sidecar);
	assert_int_equal(vault_create(fx->dir, fx->config, &other, &fx->why), -EEXIST);
	assert_false(file_is(sidecar));
}

TEST(nothing_there_is_no_damage)
{
	struct fx *fx = *state;

	assert_int_equal(fx_load(fx), VAULT_E_NONE);
	assert_says(fx->why, "there is no key store");
	assert_int_equal(mkdir(fx->dir, 0700), 0);
	assert_int_equal(fx_load(fx), VAULT_E_NONE);
}

/* What stands in archive.keys and in its .bak, and what vault_load() makes of the two. */
enum content { GOOD, GONE, EMPTY, TORN, GARBAGE, NEWER, OTHERS_WRITE, FOLDER, LINK, HUGE_FILE };

static void put_content(struct fx *fx, const char *name, enum content c, const char *good)
{
	_cleanup_(freep) char *path = fx_path(fx, name), *target = fx_path(fx, "elsewhere");
	static char huge[70000];
	/* Format 2 with a check that is right (made by Python's hashlib.blake2b). */
	static const char newer[] = "varve archive keys, format 2\nx\ncheck 325c94521ddc8e7e61c763bd2e9eba04\n";

	unlink(path);
	rmdir(path);
	if (c == GOOD || c == OTHERS_WRITE)
		file_put(path, good, strlen(good));
	if (c == OTHERS_WRITE)
		assert_int_equal(chmod(path, 0620), 0);
	if (c == EMPTY)
		file_put(path, "", 0);
	if (c == TORN)
		file_put(path, good, strlen(good) / 2);
	if (c == GARBAGE)
		file_put(path, "\0\377garbage\n", 10);
	if (c == NEWER)
		file_put(path, newer, strlen(newer));
	if (c == FOLDER)
		assert_int_equal(mkdir(path, 0700), 0);
	if (c == LINK) {
		file_put(target, good, strlen(good));
		assert_int_equal(symlink(target, path), 0);
	}
	if (c == HUGE_FILE)
		file_put(path, huge, sizeof(huge));
}

TEST(the_sidecar_and_its_copy_in_every_state)
{
	struct fx *fx = *state;
	static const struct {
		enum content main, bak;
		int want;
		const char *says;
		const char *why;
	} rows[] = {
		{ GOOD, GOOD, 0, "", "the usual" },
		{ GOOD, GONE, 0, "", "the copy is made again at the unlock" },
		{ GOOD, TORN, 0, "", "the same" },
		{ GOOD, NEWER, 0, "", "the sidecar counts" },
		{ GONE, GOOD, 0, "", "repaired" },
		{ EMPTY, GOOD, 0, "", "repaired" },
		{ TORN, GOOD, 0, "", "repaired" },
		{ GARBAGE, GOOD, 0, "", "repaired" },
		{ HUGE_FILE, GOOD, 0, "", "repaired" },
		{ GONE, GONE, VAULT_E_NONE, "no key store", "nothing there" },
		{ TORN, GONE, VAULT_E_DAMAGED, "does not exist", "no copy to repair from" },
		{ TORN, TORN, VAULT_E_DAMAGED, "is damaged (line", "both" },
		{ EMPTY, GARBAGE, VAULT_E_DAMAGED, "bring one of the two back", "both" },
		{ GONE, TORN, VAULT_E_DAMAGED, "archive.keys.bak is damaged", "never a new vault beside a damaged copy" },
		{ HUGE_FILE, GONE, VAULT_E_DAMAGED, "larger than", "bounded" },
		{ NEWER, GOOD, VAULT_E_NEWER, "newer varve (it has format 2)", "an old copy is not the state" },
		{ GONE, NEWER, VAULT_E_NEWER, "newer varve", "the copy tells" },
		{ TORN, NEWER, VAULT_E_NEWER, "newer varve", "the copy tells" },
		{ OTHERS_WRITE, GOOD, VAULT_E_UNREADABLE, "chmod 600", "somebody else may have written it" },
		{ FOLDER, GOOD, VAULT_E_UNREADABLE, "not a regular file", "no file" },
		{ LINK, GOOD, VAULT_E_UNREADABLE, "symbolic link", "not followed" },
		{ TORN, OTHERS_WRITE, VAULT_E_UNREADABLE, "chmod 600", "the copy is trusted no more than the sidecar" },
	};
	_cleanup_(freep) char *sidecar = fx_path(fx, "archive.keys"), *bak = fx_path(fx, "archive.keys.bak");
	_cleanup_(freep) char *damaged = fx_path(fx, "archive.keys.damaged"), *good = NULL;

	fx_create(fx);
	good = file_text(sidecar, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *a = NULL, *b = NULL;
		int r;

		unlink(damaged);
		put_content(fx, "archive.keys", rows[i].main, good);
		put_content(fx, "archive.keys.bak", rows[i].bak, good);
		r = fx_load(fx);
		if (r != rows[i].want || (r > 0 && !strstr(fx->why, rows[i].says)))
			fail_msg("row %zu (%s): %d, %s", i, rows[i].why, r, str_or_empty(fx->why));
		if (r != 0)
			continue;
		/* Whatever it was before: both are good from the unlock on, and what was damaged is kept. */
		assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);
		a = file_text(sidecar, NULL);
		b = file_text(bak, NULL);
		assert_string_equal(a, good);
		assert_string_equal(b, good);
		assert_int_equal(file_is(damaged), rows[i].main != GOOD && rows[i].main != GONE);
	}
}

TEST(why_the_key_file_did_not_open_it)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *key = NULL, *away = NULL, *text = NULL;
	size_t len;

	fx_create(fx);
	key = fx_keyfile(fx);
	away = xasprintf("%s/away", fx->base);
	text = file_text(key, &len);
	assert_int_equal(rename(key, away), 0);
	assert_int_equal(fx_load(fx), 0);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), VAULT_E_LOCKED);
	assert_says(fx->why, key);
	assert_says(fx->why, "does not exist");
	assert_says(fx->why, "no passphrase and no recovery code");

	assert_int_equal(symlink(away, key), 0);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), VAULT_E_LOCKED);
	assert_says(fx->why, "symbolic link");

	unlink(key);
	file_put(key, text, len);
	assert_int_equal(chmod(key, 0640), 0);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), VAULT_E_LOCKED);
	assert_says(fx->why, "chmod 600");

	file_put(key, text, 16);
	assert_int_equal(chmod(key, 0600), 0);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), VAULT_E_LOCKED);
	assert_says(fx->why, "bytes long");

	text[len - 2] ^= 1;
	file_put(key, text, len);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), VAULT_E_LOCKED);
	assert_says(fx->why, "does not open it");

	text[len - 2] ^= 1;
	file_put(key, text, len);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);

	/* Its content opens it too, from wherever it comes. */
	vault_lock(fx->v);
	assert_int_equal(vault_unlock_direct(fx->v, text, len, &fx->why), 0);
}

/* By somebody who knows the format and has no key: the label is another, the check sum right. */
static char *forge(const char *text)
{
	const char *at = strstr(text, "label \"\"");
	_cleanup_(freep) char *s = NULL;
	uint8_t sum[16];
	char hex[33];

	assert_non_null(at);
	s = xasprintf("%.*slabel \"trust me\"%s", (int)(at - text), text, at + strlen("label \"\""));
	crypto_generichash(sum, sizeof(sum), (const uint8_t *)s, strlen(s) - 39, NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
	return xasprintf("%.*scheck %s\n", (int)(strlen(s) - 39), s, hex);
}

TEST(an_altered_sidecar_is_told_from_a_damaged_one)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *sidecar = fx_path(fx, "archive.keys"), *bak = fx_path(fx, "archive.keys.bak");
	_cleanup_(freep) char *good = NULL, *forged = NULL, *after = NULL, *key = NULL;

	fx_create(fx);
	key = fx_keyfile(fx);
	fx_passphrase(fx, "p", 0);
	good = file_text(sidecar, NULL);
	forged = forge(good);
	file_put(sidecar, forged, strlen(forged));
	assert_int_equal(fx_load(fx), 0);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), VAULT_E_FORGED);
	assert_true(vault_locked(fx->v));
	assert_null(vault_keys(fx->v));
	assert_says(fx->why, "its copy archive.keys.bak was not");
	assert_int_equal(fx_unlock(fx, "p"), VAULT_E_FORGED);
	str_set(&fx->why, NULL);
	free(TAKE_PTR(good));
	good = file_text(key, NULL);
	assert_int_equal(vault_unlock_direct(fx->v, good, strlen(good), &fx->why), VAULT_E_FORGED);
	/* The copy is not touched by that; and when it is altered too, it is not recommended. */
	after = file_text(bak, NULL);
	assert_null(strstr(after, "trust me"));
	file_put(bak, forged, strlen(forged));
	str_set(&fx->why, NULL);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), VAULT_E_FORGED);
	assert_says(fx->why, "bring archive.keys back");
}

TEST(a_passphrase_opens_and_another_does_not)
{
	struct fx *fx = *state;
	struct page_keys keys, again;
	struct vault_slot slot;
	uint32_t id;

	fx_create(fx);
	keys = fx_keys(fx);
	assert_int_equal(fx_unlock(fx, "tide"), VAULT_E_WRONG);
	id = fx_passphrase(fx, "tide", 0);
	slot = vault_slot_at(fx->v, 1);
	assert_int_equal(slot.id, id);
	assert_int_equal(slot.type, SLOT_PASSPHRASE);
	assert_string_equal(slot.label, "mine");
	assert_string_equal(slot.path, "");
	assert_true(slot.created_us > 0);

	assert_int_equal(fx_load(fx), 0);
	assert_int_equal(fx_unlock(fx, "Tide"), VAULT_E_WRONG);
	assert_says(fx->why, "passphrase is wrong");
	assert_true(vault_locked(fx->v));
	assert_int_equal(fx_unlock(fx, "tide"), 0);
	again = fx_keys(fx);
	assert_memory_equal(&keys, &again, sizeof(keys));
	/* On an unlocked vault it is a check. */
	assert_int_equal(fx_unlock(fx, "Tide"), VAULT_E_WRONG);
	assert_int_equal(fx_unlock(fx, "tide"), 0);
	assert_false(vault_locked(fx->v));
}

TEST(a_passphrase_change_leaves_no_copy_of_the_old_one)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *sidecar = fx_path(fx, "archive.keys"), *bak = fx_path(fx, "archive.keys.bak");
	_cleanup_(freep) char *damaged = fx_path(fx, "archive.keys.damaged"), *text = NULL;
	uint32_t first, second;
	size_t len;

	fx_create(fx);
	first = fx_passphrase(fx, "old", 0);
	text = file_text(sidecar, &len);
	file_put(damaged, text, len);
	second = fx_passphrase(fx, "new", first);
	assert_true(second > first);
	assert_int_equal(vault_slot_count(fx->v), 2);
	assert_false(file_is(damaged));
	for (int copy = 0; copy < 2; copy++) {
		if (copy == 1)
			assert_int_equal(rename(bak, sidecar), 0);
		assert_int_equal(fx_load(fx), 0);
		assert_int_equal(fx_unlock(fx, "old"), VAULT_E_WRONG);
		/* Copy 0: the unlock must not be what brings the .bak up to date. */
		if (copy == 1)
			assert_int_equal(fx_unlock(fx, "new"), 0);
	}
}

TEST(a_recovery_code_opens_and_its_typing_error_is_named)
{
	struct fx *fx = *state;
	char *code = NULL;
	char typed[64];
	uint32_t id;

	fx_create(fx);
	assert_int_equal(vault_add_recovery(fx->v, "paper", &id, &code, &fx->why), 0);
	assert_int_equal(strlen(code), 34);
	assert_int_equal(fx_load(fx), 0);
	assert_true(vault_is_recovery_code(code, strlen(code)));
	snprintf(typed, sizeof(typed), "%s", code);
	for (char *p = typed; *p; p++)
		*p = *p == '-' ? ' ' : *p >= 'A' ? (char)(*p | 0x20) : *p;
	assert_int_equal(vault_unlock_direct(fx->v, typed, strlen(typed), &fx->why), 0);
	vault_lock(fx->v);
	typed[0] = typed[0] == '7' ? '8' : '7';
	assert_int_equal(vault_unlock_direct(fx->v, typed, strlen(typed), &fx->why), VAULT_E_WRONG);
	assert_says(fx->why, "typing error");
	assert_true(vault_is_recovery_code(typed, strlen(typed)));
	/* A code of another archive has no typing error. */
	str_set(&fx->why, NULL);
	assert_int_equal(vault_unlock_direct(fx->v, "0000-0000-0000-0000-0000-0000-0000", 34, &fx->why), VAULT_E_WRONG);
	assert_says(fx->why, "typing error");
	str_set(&fx->why, NULL);
	assert_int_equal(vault_unlock_direct(fx->v, "hello", 5, &fx->why), VAULT_E_WRONG);
	assert_says(fx->why, "neither a recovery code nor");
	assert_false(vault_is_recovery_code("hello", 5));
	code = secret_free(code);
}

TEST(a_credential_opens_while_systemd_gives_it)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *dir = xasprintf("%s/cred", fx->base), *path = xasprintf("%s/cred/varve", fx->base);
	_cleanup_(freep) char *key = NULL;
	uint32_t id;

	fx_create(fx);
	key = fx_keyfile(fx);
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(vault_add_credential(fx->v, "varve", "", &id, &fx->why), VAULT_E_UNREADABLE);
	assert_says(fx->why, "CREDENTIALS_DIRECTORY");
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_int_equal(mkdir(dir, 0700), 0);
	file_put(path, "0123456789abcdef0123456789abcde", 31);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_add_credential(fx->v, "varve", "", &id, &fx->why), VAULT_E_LIMIT);
	file_put(path, "0123456789abcdef0123456789abcdef", 32);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_add_credential(fx->v, "../cred/varve", "", &id, &fx->why), VAULT_E_LIMIT);
	str_set(&fx->why, NULL);
	/* As systemd makes it: 0400. */
	assert_int_equal(chmod(path, 0440), 0);
	assert_int_equal(vault_add_credential(fx->v, "varve", "", &id, &fx->why), 0);
	unlink(key);
	fx_open(fx);
	unsetenv("CREDENTIALS_DIRECTORY");
	vault_lock(fx->v);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), VAULT_E_LOCKED);
	assert_says(fx->why, "the credential varve was not given");
}

TEST(a_key_file_of_the_user)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *mine = xasprintf("%s/mine.key", fx->base), *none = xasprintf("%s/no/x.key", fx->base);
	_cleanup_(freep) char *made = NULL;
	uint32_t id;

	fx_create(fx);
	made = fx_keyfile(fx);
	/* One that is not there is made. */
	assert_int_equal(vault_add_keyfile(fx->v, mine, "stick", &id, &fx->why), 0);
	assert_true(file_is(mine));
	assert_int_equal(vault_add_keyfile(fx->v, none, "", &id, &fx->why), VAULT_E_UNREADABLE);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_add_keyfile(fx->v, "relative.key", "", &id, &fx->why), VAULT_E_LIMIT);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_add_keyfile(fx->v, mine, "new\nline", &id, &fx->why), VAULT_E_LIMIT);
	str_set(&fx->why, NULL);

	/* The one that varve made goes with its slot; the user's stays. */
	assert_int_equal(vault_remove_slot(fx->v, 1, &fx->why), 0);
	assert_false(file_is(made));
	fx_open(fx);
	fx_passphrase(fx, "p", 0);
	assert_int_equal(vault_remove_slot(fx->v, id, &fx->why), 0);
	assert_true(file_is(mine));
	assert_int_equal(fx_load(fx), 0);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), VAULT_E_LOCKED);
	assert_says(fx->why, "varvectl unlock");
	assert_int_equal(fx_unlock(fx, "p"), 0);
}

TEST(the_last_way_in_stays)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *lost = xasprintf("%s/lost.key", fx->base), *key = NULL;
	uint32_t id, pass;

	fx_create(fx);
	key = fx_keyfile(fx);
	assert_int_equal(vault_remove_slot(fx->v, 1, &fx->why), VAULT_E_LAST_SLOT);
	assert_true(file_is(key));
	str_set(&fx->why, NULL);
	assert_int_equal(vault_remove_slot(fx->v, 9, &fx->why), VAULT_E_NO_SLOT);
	/* A key file that is lost is no way in. */
	assert_int_equal(vault_add_keyfile(fx->v, lost, "", &id, &fx->why), 0);
	unlink(lost);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_remove_slot(fx->v, 1, &fx->why), VAULT_E_LAST_SLOT);
	pass = fx_passphrase(fx, "p", 0);
	assert_int_equal(vault_remove_slot(fx->v, 1, &fx->why), 0);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_remove_slot(fx->v, pass, &fx->why), VAULT_E_LAST_SLOT);
	assert_int_equal(vault_remove_slot(fx->v, id, &fx->why), 0);
	assert_int_equal(vault_slot_count(fx->v), 1);
	/* Numbers are never used again. */
	assert_true(fx_passphrase(fx, "q", 0) > pass);
}

TEST(there_is_a_limit)
{
	struct fx *fx = *state;
	_cleanup_(child_freep) struct child *c = NULL;
	static char big[VAULT_SECRET_MAX + 1];
	char *code = NULL;
	uint32_t id;

	fx_create(fx);
	for (int i = 1; i < VAULT_SLOTS_MAX; i++) {
		assert_int_equal(vault_add_recovery(fx->v, "", &id, &code, &fx->why), 0);
		code = secret_free(code);
	}
	assert_int_equal(vault_add_recovery(fx->v, "", &id, &code, &fx->why), VAULT_E_LIMIT);
	assert_null(code);
	assert_says(fx->why, "16 keys");
	str_set(&fx->why, NULL);
	/* Replacing takes no more room. */
	fx_passphrase(fx, "p", id);
	fx_open(fx);
	assert_int_equal(vault_passphrase_start(fx->v, "", 0, &c, &fx->why), VAULT_E_LIMIT);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_passphrase_start(fx->v, big, sizeof(big), &c, &fx->why), VAULT_E_LIMIT);
	str_set(&fx->why, NULL);
	assert_int_equal(vault_passphrase_start(fx->v, "x", 1, &c, &fx->why), 0);
	assert_int_equal(vault_passphrase_finish(fx->v, c, "", 999, &id, &fx->why), VAULT_E_NO_SLOT);
}

TEST(a_slot_that_went_while_the_child_computed)
{
	struct fx *fx = *state;
	_cleanup_(child_freep) struct child *c = NULL;
	uint32_t id;

	fx_create(fx);
	id = fx_passphrase(fx, "p", 0);
	assert_int_equal(vault_derive_start(fx->v, "p", 1, &c), 0);
	assert_int_equal(vault_remove_slot(fx->v, id, &fx->why), 0);
	assert_int_equal(vault_unlock_derived(fx->v, c, &fx->why), VAULT_E_WRONG);
}

TEST(rotation_switches_and_drops_what_is_not_at_hand)
{
	struct fx *fx = *state;
	_cleanup_(vault_next_freep) struct vault_next *n = NULL;
	_cleanup_(child_freep) struct child *c = NULL;
	_cleanup_(freep) char *next_path = fx_path(fx, "archive-2.db"), *old = NULL, *sidecar = NULL, *bak = NULL;
	_cleanup_(freep) char *text = NULL, *copy = NULL;
	const struct page_keys *address;
	struct page_keys before, after;
	uint8_t master[PAGE_KEY];
	char *code = NULL;
	uint32_t id;

	fx_create(fx);
	assert_int_equal(vault_ready(fx->v), 0);
	fx_passphrase(fx, "p", 0);
	assert_int_equal(vault_add_recovery(fx->v, "", &id, &code, &fx->why), 0);
	sidecar = fx_path(fx, "archive.keys");
	bak = fx_path(fx, "archive.keys.bak");
	old = file_text(sidecar, NULL);
	before = fx_keys(fx);

	assert_int_equal(vault_next(fx->v, "archive.db", NULL, &n, &fx->why), -EINVAL);
	assert_int_equal(vault_next(fx->v, "../x.db", NULL, &n, &fx->why), -EINVAL);
	assert_int_equal(vault_next(fx->v, "archive.keys.bak", NULL, &n, &fx->why), -EINVAL);
	assert_int_equal(vault_passphrase_start(fx->v, "p", 1, &c, &fx->why), 0);
	assert_int_equal(vault_next(fx->v, "archive-2.db", c, &n, &fx->why), 0);
	assert_int_equal(vault_next_dropped(n), 1);
	assert_string_equal(vault_next_path(n), next_path);
	/* Nothing is written yet. */
	text = file_text(sidecar, NULL);
	assert_string_equal(text, old);
	address = vault_next_keys(n);
	memcpy(master, fx->v->secrets->master, sizeof(master));
	assert_int_equal(address->epoch, 2);
	assert_memory_not_equal(address->db, before.db, sizeof(before.db));
	assert_memory_not_equal(address->file_id, before.file_id, FILE_ID);

	assert_int_equal(vault_switch(fx->v, n), 0);
	assert_ptr_equal(vault_keys(fx->v), address);
	assert_memory_not_equal(fx->v->secrets->master, master, sizeof(master));
	assert_memory_equal(vault_next_keys(n), &before, sizeof(before));
	assert_string_equal(vault_path(fx->v), next_path);
	assert_true(vault_is_ready(fx->v));
	free(TAKE_PTR(text));
	text = file_text(sidecar, NULL);
	copy = file_text(bak, NULL);
	assert_string_equal(text, copy);

	after = fx_keys(fx);
	fx_open(fx);
	assert_memory_equal(vault_keys(fx->v), &after, sizeof(after));
	assert_string_equal(vault_path(fx->v), next_path);
	assert_int_equal(vault_slot_count(fx->v), 2);
	assert_int_equal(fx_load(fx), 0);
	assert_int_equal(vault_unlock_direct(fx->v, code, strlen(code), &fx->why), VAULT_E_WRONG);
	assert_int_equal(fx_unlock(fx, "p"), 0);
	code = secret_free(code);
}

TEST(rotation_without_a_secret_at_hand_is_refused)
{
	struct fx *fx = *state;
	struct vault_next *n = NULL;
	_cleanup_(freep) char *key = NULL;

	fx_create(fx);
	key = fx_keyfile(fx);
	fx_passphrase(fx, "p", 0);
	unlink(key);
	assert_int_equal(vault_next(fx->v, "archive-2.db", NULL, &n, &fx->why), VAULT_E_LAST_SLOT);
	assert_null(n);
}

TEST(a_backup_opens_with_the_same_secrets)
{
	struct fx *fx = *state;
	_cleanup_(vault_next_freep) struct vault_next *n = NULL;
	_cleanup_(freep) char *path = xasprintf("%s/back up.db", fx->base), *keys_path = NULL;
	_cleanup_(freep) char *before = NULL, *after = NULL;
	struct vault *b = NULL;
	char *code = NULL;
	struct stat st;
	uint32_t id;

	fx_create(fx);
	fx_passphrase(fx, "p", 0);
	vault_lock(fx->v);
	assert_int_equal(fx_unlock(fx, "p"), 0);
	keys_path = xasprintf("%s.keys", path);
	assert_int_equal(vault_next_at(fx->v, "relative.db", &n), -EINVAL);
	assert_int_equal(vault_next_at(fx->v, "/tmp/", &n), -EINVAL);
	assert_int_equal(vault_next_at(fx->v, path, &n), 0);
	assert_false(file_is(keys_path));
	assert_int_equal(vault_next_write(n), 0);
	assert_int_equal(vault_next_write(n), -EEXIST);
	assert_int_equal(stat(keys_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	before = file_text(keys_path, NULL);
	assert_int_equal(vault_load_file(keys_path, fx->config, &b, &fx->why), 0);
	assert_string_equal(vault_path(b), path);
	assert_true(vault_is_ready(b));
	assert_int_equal(vault_unlock_auto(b, &fx->why), 0);
	assert_memory_equal(vault_keys(b), vault_next_keys(n), sizeof(struct page_keys));
	assert_memory_not_equal(vault_keys(b)->db, vault_keys(fx->v)->db, PAGE_KEY);
	assert_memory_not_equal(vault_keys(b)->file_id, vault_keys(fx->v)->file_id, FILE_ID);
	/* For reading only. */
	assert_int_equal(vault_remove_slot(b, 1, &fx->why), -EROFS);
	assert_int_equal(vault_add_recovery(b, "", &id, &code, &fx->why), -EROFS);
	after = file_text(keys_path, NULL);
	assert_string_equal(before, after);
	vault_free(b);
	/* Put in the place of an archive it is one. */
	assert_int_equal(vault_load_file("/nonexistent/x.keys", fx->config, &b, &fx->why), VAULT_E_NONE);
}

TEST(a_full_disk_or_a_directory_that_is_closed_changes_nothing)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *sidecar = fx_path(fx, "archive.keys"), *tmp = fx_path(fx, "archive.keys.bak.tmp");
	_cleanup_(freep) char *inside = fx_path(fx, "archive.keys.bak.tmp/x"), *before = NULL, *after = NULL;
	char *code = NULL;
	uint32_t id;

	fx_create(fx);
	before = file_text(sidecar, NULL);
	/* A directory where the copy's new file belongs: it cannot be written. */
	assert_int_equal(mkdir(tmp, 0700), 0);
	file_put(inside, "", 0);
	assert_true(vault_add_recovery(fx->v, "", &id, &code, &fx->why) < 0);
	assert_null(code);
	after = file_text(sidecar, NULL);
	assert_string_equal(before, after);
	assert_int_equal(vault_slot_count(fx->v), 1);
	remove_tree(tmp);
	assert_int_equal(vault_add_recovery(fx->v, "", &id, &code, &fx->why), 0);
	code = secret_free(code);
}

TEST(a_place_that_cannot_be_written_is_named)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *file = xasprintf("%s/file", fx->base), *under = xasprintf("%s/file/data", fx->base);

	file_put(file, "x", 1);
	assert_int_equal(vault_create(under, fx->config, &fx->v, &fx->why), VAULT_E_UNREADABLE);
	assert_says(fx->why, "cannot be made");
	str_set(&fx->why, NULL);
	assert_int_equal(vault_create(fx->dir, under, &fx->v, &fx->why), VAULT_E_UNREADABLE);
}

/* The steps of the next test; each runs on a stack of its own. */
static char *code_text;

static void step_auto(void *userdata)
{
	struct fx *fx = userdata;
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);
}

static void step_passphrase(void *userdata)
{
	struct fx *fx = userdata;
	assert_int_equal(fx_unlock(fx, "tide"), 0);
}

static void step_code(void *userdata)
{
	struct fx *fx = userdata;
	assert_int_equal(vault_unlock_direct(fx->v, code_text, strlen(code_text), &fx->why), 0);
}

static void step_wrong(void *userdata)
{
	struct fx *fx = userdata;
	assert_int_equal(fx_unlock(fx, "ebb"), VAULT_E_WRONG);
}

static void step_slots(void *userdata)
{
	struct fx *fx = userdata;
	_cleanup_(freep) char *path = xasprintf("%s/x.key", fx->base);
	char *code = NULL;
	uint32_t id;

	fx_passphrase(fx, "neap", 0);
	assert_int_equal(vault_add_keyfile(fx->v, path, "", &id, &fx->why), 0);
	assert_int_equal(vault_remove_slot(fx->v, id, &fx->why), 0);
	assert_int_equal(vault_add_recovery(fx->v, "", &id, &code, &fx->why), 0);
	secret_free(code);
}

static void step_next(void *userdata)
{
	struct fx *fx = userdata;
	struct vault_next *n = NULL;

	assert_int_equal(vault_next(fx->v, "archive-2.db", NULL, &n, &fx->why), 0);
	vault_next_free(n);
	assert_int_equal(vault_next_at(fx->v, "/x/y.db", &n), 0);
	vault_next_free(n);
}

/* The needles of the next test; those up to DB_KEY are in memory, once, while unlocked. */
enum needle {
	MASTER, MAC_KEY, DB_KEY, FILE_TEXT, FILE_IKM, FILE_KEK, CODE, CODE_IKM, CODE_KEK, PASS_IKM, PASS_KEK, N_NEEDLES
};

static void collect_slot(struct fx *fx, uint32_t id, const uint8_t ikm[KDF_KEY], uint8_t ret_ikm[32],
			 uint8_t ret_kek[32])
{
	const struct sidecar_slot *slot = sidecar_find(&fx->v->sc, id);
	uint8_t kek[KDF_KEY];

	kdf_kek(slot->type, fx->v->sc.vault_id, slot->salt, ikm, kek);
	residue_mask(ret_ikm, ikm, KDF_KEY);
	residue_mask(ret_kek, kek, KDF_KEY);
	secret_wipe(kek, sizeof(kek));
}

static void collect(struct fx *fx, uint8_t needles[N_NEEDLES][32])
{
	_cleanup_(freep) char *key = fx_keyfile(fx), *text = file_text(key, NULL);
	const struct sidecar_slot *slot;
	uint8_t ikm[KDF_KEY], secret[RECOVERY_SECRET];
	char *code = NULL;
	uint32_t id;

	residue_mask(needles[MASTER], fx->v->secrets->master, 32);
	residue_mask(needles[MAC_KEY], fx->v->secrets->mac_key, 32);
	residue_mask(needles[DB_KEY], fx->v->secrets->keys.db, 32);
	residue_mask(needles[FILE_TEXT], text + strlen(text) - 33, 32);
	kdf_direct(text, strlen(text), ikm);
	collect_slot(fx, 1, ikm, needles[FILE_IKM], needles[FILE_KEK]);
	secret_wipe(text, strlen(text));
	id = fx_passphrase(fx, "tide", 0);
	slot = sidecar_find(&fx->v->sc, id);
	assert_int_equal(kdf_argon2id("tide", 4, slot->salt, slot->ops, slot->mem, ikm), 0);
	collect_slot(fx, id, ikm, needles[PASS_IKM], needles[PASS_KEK]);
	assert_int_equal(vault_add_recovery(fx->v, "", &id, &code, &fx->why), 0);
	assert_int_equal(recovery_parse(code, strlen(code), secret), 0);
	kdf_direct(secret, sizeof(secret), ikm);
	collect_slot(fx, id, ikm, needles[CODE_IKM], needles[CODE_KEK]);
	residue_mask(needles[CODE], secret, sizeof(secret));
	secret_wipe(secret, sizeof(secret));
	secret_wipe(ikm, sizeof(ikm));
	code_text = code;
}

static void assert_copies(uint8_t needles[N_NEEDLES][32], const char *when, bool unlocked)
{
	static const char *const names[] = { "master",	 "mac key",  "db key",	     "key file",  "key file's hash",
					     "its KEK",	 "code",     "code's hash",  "its KEK",	  "passphrase's hash",
					     "its KEK" };

	for (int i = 0; i < N_NEEDLES; i++) {
		int have = residue_count(needles[i], i == CODE ? RECOVERY_SECRET : 32);

		if (have != (unlocked && i <= DB_KEY))
			fail_msg("%s, %s: %d", when, names[i], have);
	}
}

/* Not in a buffer, not on the stack, not in what was freed: a key is in its locked page or nowhere. */
TEST(no_copy_of_a_key_stays_in_memory)
{
	static const struct {
		void (*run)(void *userdata);
		const char *name;
		bool stays;
	} steps[] = {
		{ step_auto, "key file", false },   { step_passphrase, "passphrase", false },
		{ step_wrong, "wrong", false },	    { step_code, "code", true },
		{ step_slots, "slots", true },	    { step_next, "rotation and backup", true },
	};
	struct fx *fx = *state;
	uint8_t needles[N_NEEDLES][32];

	if (!RESIDUE_WORKS)
		skip();
	fx_create(fx);
	residue_run(step_next, fx); /* the stack below is used once before it is looked at */
	collect(fx, needles);
	vault_lock(fx->v);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		residue_run(steps[i].run, fx);
		assert_copies(needles, steps[i].name, !vault_locked(fx->v));
		if (!steps[i].stays)
			vault_lock(fx->v);
		if (!steps[i].stays)
			assert_copies(needles, "locked", false);
	}
	code_text = secret_free(code_text);
}

/* The same file and secrets as in tests/golden/read_keys1.py. */
TEST(format_1_opens_for_ever)
{
	static const uint8_t master[PAGE_KEY] = { 0x98, 0x11, 0xaf, 0x51, 0xff, 0xe6, 0xe4, 0x71, 0x0b, 0xc4, 0xd2,
						0x34, 0xb7, 0xe2, 0x50, 0x02, 0xc0, 0xe7, 0xdb, 0x66, 0x46, 0x68,
						0x25, 0x90, 0x40, 0x9c, 0x84, 0xed, 0xa3, 0x80, 0x2d, 0x9c };
	struct fx *fx = *state;
	const char *golden = getenv("VARVE_GOLDEN");
	_cleanup_(freep) char *from = NULL, *key_from = NULL, *text = NULL, *key_text = NULL;
	_cleanup_(freep) char *sidecar = fx_path(fx, "archive.keys"), *key = NULL, *cred = NULL;

	if (!golden)
		skip();
	from = xasprintf("%s/keys1/archive.keys", golden);
	key_from = xasprintf("%s/keys1/archive-c5d419a6.key", golden);
	text = file_text(from, NULL);
	key_text = file_text(key_from, NULL);
	assert_int_equal(mkdir(fx->dir, 0700), 0);
	assert_int_equal(mkdir(fx->config, 0700), 0);
	file_put(sidecar, text, strlen(text));
	key = xasprintf("%s/archive-c5d419a6.key", fx->config);
	file_put(key, key_text, strlen(key_text));
	fx_open(fx);
	assert_memory_equal(fx->v->secrets->master, master, sizeof(master));
	assert_int_equal(vault_slot_count(fx->v), 4);
	assert_string_equal(vault_slot_at(fx->v, 1).label, "Gezeiten \"low\"");
	vault_lock(fx->v);
	assert_int_equal(fx_unlock(fx, "low tide"), 0);
	vault_lock(fx->v);
	assert_int_equal(vault_unlock_direct(fx->v, "7j29 5tjv gy4d nb3a b8dx 6ir5 f2y7", 34, &fx->why), 0);
	vault_lock(fx->v);
	unlink(key);
	cred = xasprintf("%s/varve", fx->config);
	file_put(cred, "0123456789abcdef0123456789abcdef", 32);
	setenv("CREDENTIALS_DIRECTORY", fx->config, 1);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_memory_equal(fx->v->secrets->master, master, sizeof(master));
}

/* The real parameters: about a second of work, at least two passes over 64 MiB, at most 128 MiB. */
TEST(the_passphrase_costs_a_second)
{
	struct fx *fx = *state;
	uint64_t ops = 0, mem = 0;

	(void)fx;
	kdf_set_for_tests(0, 0);
	assert_int_equal(kdf_calibrate(&ops, &mem), 0);
	assert_in_range(ops, 2, 32);
	assert_in_range(mem, 64 << 20, 128 << 20);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_new_vault_opens_again_by_its_key_file),
		T(it_locks_and_unlocks_after_each_change),
		T(two_vaults_share_no_key),
		T(creation_replaces_nothing),
		T(nothing_there_is_no_damage),
		T(the_sidecar_and_its_copy_in_every_state),
		T(why_the_key_file_did_not_open_it),
		T(an_altered_sidecar_is_told_from_a_damaged_one),
		T(a_passphrase_opens_and_another_does_not),
		T(a_passphrase_change_leaves_no_copy_of_the_old_one),
		T(a_recovery_code_opens_and_its_typing_error_is_named),
		T(a_credential_opens_while_systemd_gives_it),
		T(a_key_file_of_the_user),
		T(the_last_way_in_stays),
		T(there_is_a_limit),
		T(a_slot_that_went_while_the_child_computed),
		T(rotation_switches_and_drops_what_is_not_at_hand),
		T(rotation_without_a_secret_at_hand_is_refused),
		T(a_backup_opens_with_the_same_secrets),
		T(a_full_disk_or_a_directory_that_is_closed_changes_nothing),
		T(a_place_that_cannot_be_written_is_named),
		T(format_1_opens_for_ever),
		T(no_copy_of_a_key_stays_in_memory),
		T(the_passphrase_costs_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
