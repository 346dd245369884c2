/*
 * vault-unlock.c: what each kind of secret opens, and what is said when it does not.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fixture.h"
#include "vault/kdf.h"
#include "vault/secret.h"

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
		T(why_the_key_file_did_not_open_it),
		T(a_passphrase_opens_and_another_does_not),
		T(a_recovery_code_opens_and_its_typing_error_is_named),
		T(a_credential_opens_while_systemd_gives_it),
		T(a_key_file_of_the_user),
		T(the_passphrase_costs_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
