/*
 * After each thing that a vault does with secrets, no copy of one is in this process's memory.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "residue.h"
#include "vault/kdf.h"
#include "vault/recovery.h"
#include "vault/secret.h"
#include "vault/vault-priv.h"

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(no_copy_of_a_key_stays_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
