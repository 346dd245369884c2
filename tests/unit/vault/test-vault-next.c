/*
 * vault-next.c: rotation and backup.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fixture.h"
#include "vault/secret.h"
#include "vault/vault-priv.h"

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(rotation_switches_and_drops_what_is_not_at_hand),
		T(rotation_without_a_secret_at_hand_is_refused),
		T(a_backup_opens_with_the_same_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
