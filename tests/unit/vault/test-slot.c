/*
 * slot.c, kdf.c: what one secret opens, and which files are taken for a secret.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sodium.h>

#include "fixture.h"
#include "residue.h"
#include "vault/recovery.h"
#include "vault/secret.h"
#include "vault/slot.h"

static const uint8_t vault_id[VAULT_ID] = { 7 }, master[PAGE_KEY] = { 1, 2, 3 }, ikm[KDF_KEY] = { 9, 8, 7 };

static struct sidecar_slot sealed(enum slot_type type)
{
	struct sidecar_slot s = { .id = 5, .type = type };

	slot_salt(&s);
	slot_seal(&s, vault_id, ikm, master);
	return s;
}

static bool opens(const struct sidecar_slot *s, const uint8_t id[VAULT_ID], const uint8_t key[KDF_KEY])
{
	uint8_t out[PAGE_KEY] = { 0 }, zero[PAGE_KEY] = { 0 };
	bool ok = slot_open(s, id, key, out);

	assert_memory_equal(out, ok ? master : zero, PAGE_KEY);
	return ok;
}

TEST(a_slot_opens_by_its_key_in_its_place_alone)
{
	static const enum slot_type types[] = { SLOT_KEYFILE, SLOT_PASSPHRASE, SLOT_CREDENTIAL, SLOT_RECOVERY };
	uint8_t other[32] = { 9, 8, 7, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct sidecar_slot s = sealed(types[i]);

		assert_true(opens(&s, vault_id, ikm));
		assert_false(opens(&s, vault_id, other));
		assert_false(opens(&s, other, ikm));
		s.id++;
		assert_false(opens(&s, vault_id, ikm));
		s.id--;
		for (size_t k = 0; k < ARRAY_SIZE(types); k++) {
			s.type = types[k];
			assert_int_equal(opens(&s, vault_id, ikm), k == i);
		}
	}
}

TEST(no_flipped_bit_opens)
{
	struct sidecar_slot s = sealed(SLOT_RECOVERY);
	struct {
		uint8_t *p;
		size_t len;
	} parts[] = { { s.salt, sizeof(s.salt) }, { s.nonce, sizeof(s.nonce) }, { s.wrapped, sizeof(s.wrapped) } };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		for (size_t bit = 0; bit < parts[i].len * 8; bit++) {
			parts[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(opens(&s, vault_id, ikm));
			parts[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	assert_true(opens(&s, vault_id, ikm));
}

TEST(the_same_key_is_wrapped_differently_each_time)
{
	struct sidecar_slot a = sealed(SLOT_KEYFILE), b = sealed(SLOT_KEYFILE);

	assert_memory_not_equal(a.salt, b.salt, sizeof(a.salt));
	assert_memory_not_equal(a.nonce, b.nonce, sizeof(a.nonce));
	assert_memory_not_equal(a.wrapped, b.wrapped, sizeof(a.wrapped));
}

/* Python: blake2b(key=ikm, "varve slot 1 TYPE\0" + vault id + salt), blake2b(secret), blake2b(key=master, salt=1,
 * person). */
TEST(derivations_are_those_of_the_document)
{
	static const struct {
		enum slot_type type;
		const char *hex;
	} rows[] = {
		{ SLOT_KEYFILE, "98b2e3499350247c79c880a31899e1b1d4710d27f81f370d9644f46f740d0be1" },
		{ SLOT_PASSPHRASE, "b2c662bccdfe4f4d5e9434e09c427ffc7edceea427bda9b25d52016bb63d195e" },
		{ SLOT_CREDENTIAL, "dffe3b5cfafa6c332de51e97c0f8ffa40cecd93e6a0f15758d5f3c61884e8684" },
		{ SLOT_RECOVERY, "d21f9d833a8e770d3f5acc38c565e4975aba682680927e03d5823dfdbab4c156" },
	};
	static const uint8_t salt[KDF_SALT] = { 4 };
	uint8_t out[KDF_KEY];
	char hex[65];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		kdf_kek(rows[i].type, vault_id, salt, ikm, out);
		sodium_bin2hex(hex, sizeof(hex), out, sizeof(out));
		assert_string_equal(hex, rows[i].hex);
	}
	kdf_direct("secret", 6, out);
	sodium_bin2hex(hex, sizeof(hex), out, sizeof(out));
	assert_string_equal(hex, "ae4aafb3c7d8616b739f05a30d06b4e2236fdea712168159f346e8a3efd57d9e");
	kdf_mac_key(master, out);
	sodium_bin2hex(hex, sizeof(hex), out, sizeof(out));
	assert_string_equal(hex, "3018f8b29a369af08b743ef9b306bbc75a33fedd5bd75e14d00d91a906d09fc9");
	/* Argon2id version 19, one lane (from the reference library libargon2). */
	assert_int_equal(kdf_argon2id("secret", 6, salt, 2, 65536, out), 0);
	sodium_bin2hex(hex, sizeof(hex), out, sizeof(out));
	assert_string_equal(hex, "618364564798b7a6ba0dcf6af72b806c001a82b28279e78ac08f273cfbb69720");
}

TEST(parameters_of_a_stranger_are_bounded)
{
	static const uint8_t salt[KDF_SALT];
	uint8_t out[KDF_KEY];

	assert_true(kdf_argon2id("x", 1, salt, KDF_OPS_MAX + 1, 8192, out) < 0);
	assert_true(kdf_argon2id("x", 1, salt, 0, 8192, out) < 0);
	assert_true(kdf_argon2id("x", 1, salt, 1, KDF_MEM_MAX + 1, out) < 0);
	assert_true(kdf_argon2id("x", 1, salt, 1, KDF_MEM_MIN - 1, out) < 0);
	assert_int_equal(kdf_argon2id("x", 1, salt, 1, KDF_MEM_MIN, out), 0);
}

static int read_key(struct fx *fx, const char *path)
{
	uint8_t out[KDF_KEY];
	int r;

	str_set(&fx->why, NULL);
	r = slot_read_keyfile(fx->base, path, out, &fx->why);
	assert_int_equal(r > 0, fx->why != NULL);
	return r;
}

TEST(which_files_are_a_key)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = xasprintf("%s/k", fx->base), *link_path = xasprintf("%s/l", fx->base);
	_cleanup_(freep) char *fifo = xasprintf("%s/f", fx->base);
	static char text[VAULT_SECRET_MAX + 1];

	assert_int_equal(read_key(fx, path), SLOT_E_MISSING);
	assert_int_equal(read_key(fx, fx->base), SLOT_E_UNREADABLE);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(read_key(fx, fifo), SLOT_E_UNREADABLE);
	file_put(path, text, VAULT_CREDENTIAL_MIN - 1);
	assert_int_equal(read_key(fx, path), SLOT_E_SIZE);
	file_put(path, text, VAULT_SECRET_MAX + 1);
	assert_int_equal(read_key(fx, path), SLOT_E_SIZE);
	file_put(path, text, VAULT_SECRET_MAX);
	assert_int_equal(read_key(fx, path), 0);
	file_put(path, text, VAULT_CREDENTIAL_MIN);
	assert_int_equal(read_key(fx, path), 0);
	assert_int_equal(read_key(fx, "k"), 0);
	assert_int_equal(symlink(path, link_path), 0);
	assert_int_equal(read_key(fx, link_path), SLOT_E_UNREADABLE);
	for (int bit = 0; bit < 6; bit++) {
		assert_int_equal(chmod(path, 0600 | 1u << bit), 0);
		assert_int_equal(read_key(fx, path), SLOT_E_EXPOSED);
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(read_key(fx, path), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 0), 0);
		assert_int_equal(read_key(fx, path), SLOT_E_EXPOSED);
		assert_non_null(strstr(fx->why, "another user"));
	}
}

TEST(a_new_key_file_replaces_nothing)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = xasprintf("%s/k", fx->base), *before = NULL, *after = NULL;

	assert_int_equal(slot_make_keyfile(path, "01020304", &fx->why), 0);
	assert_int_equal(read_key(fx, path), 0);
	before = file_text(path, NULL);
	assert_non_null(strstr(before, "archive 01020304"));
	assert_true(slot_make_keyfile(path, "01020304", &fx->why) < 0);
	after = file_text(path, NULL);
	assert_string_equal(before, after);
}

/* What the functions of the next test are given and give; wiped before one looks. */
static struct {
	struct sidecar_slot slot;
	const char *path;
	uint8_t out[KDF_KEY];
	char code[RECOVERY_TEXT];
} work;

static void step_seal(void *userdata _unused_)
{
	slot_seal(&work.slot, vault_id, ikm, master);
}

static void step_open(void *userdata _unused_)
{
	slot_open(&work.slot, vault_id, ikm, work.out);
}

static void step_kek(void *userdata _unused_)
{
	kdf_kek(SLOT_KEYFILE, vault_id, work.slot.salt, ikm, work.out);
}

static void step_read(void *userdata)
{
	struct fx *fx = userdata;

	slot_read_keyfile("/", work.path, work.out, &fx->why);
}

static void step_parse(void *userdata _unused_)
{
	recovery_parse(work.code, strlen(work.code), work.out);
}

static void step_print(void *userdata _unused_)
{
	recovery_print(ikm, work.code);
}

/* On the stack of each by itself: together, one wipes by chance what another forgot. */
TEST(no_function_leaves_a_secret_behind)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = NULL, *text = NULL;
	/* IKM and MASTER are constants of this file, in memory that is not writable. */
	enum { IKM, KEK, MASTER, FILE_TEXT, FILE_IKM, N };
	uint8_t needles[N][32], kek[KDF_KEY];
	void (*const steps[])(void *userdata) = { step_seal, step_open, step_kek, step_read, step_print, step_parse };

	if (!RESIDUE_WORKS)
		skip();
	path = xasprintf("%s/k", fx->base);
	assert_int_equal(slot_make_keyfile(path, "01020304", &fx->why), 0);
	work.path = path;
	work.slot = (struct sidecar_slot){ .id = 1, .type = SLOT_KEYFILE };
	slot_salt(&work.slot);
	kdf_kek(SLOT_KEYFILE, vault_id, work.slot.salt, ikm, kek);
	residue_mask(needles[KEK], kek, 32);
	residue_mask(needles[IKM], ikm, 16); /* as much as a recovery code has */
	residue_mask(needles[MASTER], master, 32);
	text = file_text(path, NULL);
	residue_mask(needles[FILE_TEXT], text + strlen(text) - 33, 32);
	kdf_direct(text, strlen(text), kek);
	residue_mask(needles[FILE_IKM], kek, 32);
	secret_wipe(text, strlen(text));
	secret_wipe(kek, sizeof(kek));
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		residue_run(steps[i], fx);
		if (steps[i] != step_print)
			secret_wipe(work.code, sizeof(work.code));
		secret_wipe(work.out, sizeof(work.out));
		for (int n = 0; n < N; n++) {
			int have = residue_count(needles[n], n == IKM ? 16 : 32);

			if (have)
				fail_msg("step %zu, needle %d: %d", i, n, have);
		}
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_slot_opens_by_its_key_in_its_place_alone),
		T(no_flipped_bit_opens),
		T(the_same_key_is_wrapped_differently_each_time),
		T(derivations_are_those_of_the_document),
		T(parameters_of_a_stranger_are_bounded),
		T(which_files_are_a_key),
		T(a_new_key_file_replaces_nothing),
		T(no_function_leaves_a_secret_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
