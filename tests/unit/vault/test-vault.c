/*
 * vault.c: one vault from creation on, every state of its two files and every outcome by name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sodium.h>

#include "fixture.h"
#include "vault/secret.h"
#include "vault/vault-priv.h"

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
		T(an_altered_sidecar_is_told_from_a_damaged_one),
		T(a_full_disk_or_a_directory_that_is_closed_changes_nothing),
		T(a_place_that_cannot_be_written_is_named),
		T(format_1_opens_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
