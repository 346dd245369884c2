/*
 * vault-slots.c: changes of slots.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "vault/secret.h"

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_passphrase_change_leaves_no_copy_of_the_old_one),
		T(the_last_way_in_stays),
		T(there_is_a_limit),
		T(a_slot_that_went_while_the_child_computed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
