/*
 * Killed after each durable effect of each change of a vault, the next start finds the old state or the new one, opens
 * it, and leaves both copies alike. A change runs in a program of its own (this one again), because step() reads its
 * environment once.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "fixture.h"
#include "base/log.h"
#include "vault/kdf.h"

/* What the other program does; 0: done. The vault in the fixture is loaded and unlocked but for the first two. */
enum action { CREATE, REPAIR, READY, ADD_KEYFILE, ADD_PASSPHRASE, PASSWD, DROP_KEYFILE, SWITCH, BACKUP, CATCH_UP };

static int act(struct fx *fx, enum action action)
{
	_cleanup_(vault_next_freep) struct vault_next *n = NULL;
	_cleanup_(freep) char *path = xasprintf("%s/extra", fx->base);
	uint32_t id;

	if (action == CREATE)
		return vault_create(fx->dir, fx->config, &fx->v, &fx->why);
	fx_open(fx);
	switch (action) {
	case CREATE:
	case REPAIR:
	case CATCH_UP:
		return 0;
	case READY:
		return vault_ready(fx->v);
	case ADD_KEYFILE:
		return vault_add_keyfile(fx->v, path, "", &id, &fx->why);
	case ADD_PASSPHRASE:
		fx_passphrase(fx, "new", 0);
		return 0;
	case PASSWD:
		fx_passphrase(fx, "new", vault_slot_at(fx->v, 1).id);
		return 0;
	case DROP_KEYFILE:
		return vault_remove_slot(fx->v, 1, &fx->why);
	case SWITCH:
		if (vault_next(fx->v, "archive-2.db", NULL, &n, &fx->why) != 0)
			return -1;
		return vault_switch(fx->v, n);
	case BACKUP:
		if (vault_next_at(fx->v, path, &n) != 0)
			return -1;
		return vault_next_write(n);
	}
	return -1;
}

static int run_other(int action, const char *base)
{
	struct fx fx = { 0 };
	int r;

	log_set_level(LOG_LEVEL_ERROR);
	kdf_set_for_tests(1, 8192);
	snprintf(fx.base, sizeof(fx.base), "%s", base);
	fx.dir = xasprintf("%s/data", base);
	fx.config = xasprintf("%s/config", base);
	r = act(&fx, (enum action)action);
	vault_free(fx.v);
	free(fx.dir);
	free(fx.config);
	free(fx.why);
	return r == 0 ? 0 : 1;
}

/* Run ${action} and die at step ${n}: whether it came so far. */
static bool killed_at(const struct fx *fx, enum action action, int n)
{
	char kill_at[16], number[16];
	pid_t pid;
	int status;

	snprintf(kill_at, sizeof(kill_at), "%d", n);
	snprintf(number, sizeof(number), "%d", (int)action);
	pid = fork();
	if (pid == 0) {
		setenv("VARVE_STEP_KILL", kill_at, 1);
		execl("/proc/self/exe", "test-vault-crash", number, fx->base, NULL);
		_exit(98);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_int_equal(status, 0);
	return false;
}

/* After an unlock sidecar and copy are alike, and nothing half-made is left. */
static void assert_tidy(const struct fx *fx)
{
	_cleanup_(freep) char *a = fx_path(fx, "archive.keys"), *b = fx_path(fx, "archive.keys.bak");
	_cleanup_(freep) char *c = fx_path(fx, "archive.keys.tmp"), *d = fx_path(fx, "archive.keys.bak.tmp");
	_cleanup_(freep) char *main_text = file_text(a, NULL), *bak_text = file_text(b, NULL);

	assert_string_equal(main_text, bak_text);
	assert_false(file_is(c));
	assert_false(file_is(d));
}

/* A directory as it is before the action; the passphrase "old" is slot 2 where it matters. */
static void prepare(struct fx *fx, bool passphrase)
{
	fx->v = vault_free(fx->v);
	remove_tree(fx->dir);
	remove_tree(fx->config);
	fx_create(fx);
	if (passphrase)
		fx_passphrase(fx, "old", 0);
	fx->v = vault_free(fx->v);
}

TEST(killed_while_a_vault_is_made)
{
	struct fx *fx = *state;
	int n;

	for (n = 1; n < 30; n++) {
		bool killed;
		int r;

		fx->v = vault_free(fx->v);
		remove_tree(fx->dir);
		remove_tree(fx->config);
		killed = killed_at(fx, CREATE, n);
		r = fx_load(fx);
		if (r == VAULT_E_NONE) {
			assert_true(killed);
			fx_create(fx);
		}
		fx_open(fx);
		assert_false(vault_is_ready(fx->v));
		assert_tidy(fx);
		if (!killed)
			break;
	}
	/* Two directories, key file, two new files, two names. */
	assert_int_equal(n, 8);
}

TEST(killed_while_it_becomes_ready)
{
	struct fx *fx = *state;
	int n, ready = 0;
	bool killed = true;

	for (n = 1; killed; n++) {
		prepare(fx, false);
		killed = killed_at(fx, READY, n);
		fx_open(fx);
		ready += vault_is_ready(fx->v);
		assert_tidy(fx);
	}
	assert_int_equal(n - 2, 4);
	/* Old before the name of the sidecar changed, new from then on. */
	assert_int_equal(ready, 3);
}

TEST(killed_while_a_damaged_sidecar_is_repaired)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *sidecar = fx_path(fx, "archive.keys");
	bool killed = true;
	int n;

	for (n = 1; killed; n++) {
		prepare(fx, true);
		file_put(sidecar, "varve", 5);
		killed = killed_at(fx, REPAIR, n);
		fx_open(fx);
		assert_int_equal(vault_slot_count(fx->v), 2);
		assert_tidy(fx);
	}
	/* The new file, the damaged one aside, the name. */
	assert_int_equal(n - 2, 3);
}

TEST(killed_while_the_copy_catches_up)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *bak = fx_path(fx, "archive.keys.bak");
	bool killed = true;
	int n;

	for (n = 1; killed; n++) {
		prepare(fx, true);
		unlink(bak);
		killed = killed_at(fx, CATCH_UP, n);
		fx_open(fx);
		assert_tidy(fx);
	}
	assert_int_equal(n - 2, 2);
}

TEST(killed_while_a_slot_is_added)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *extra = xasprintf("%s/extra", fx->base);
	_cleanup_(freep) char *key = NULL;
	bool killed = true;
	int n, added = 0;

	for (n = 1; killed; n++) {
		unlink(extra);
		prepare(fx, false);
		killed = killed_at(fx, ADD_KEYFILE, n);
		fx_open(fx);
		free(TAKE_PTR(key));
		key = fx_keyfile(fx);
		/* A slot that is there has its file. */
		if (vault_slot_count(fx->v) == 2) {
			added++;
			unlink(key);
			fx_open(fx);
		}
		assert_tidy(fx);
	}
	assert_int_equal(n - 2, 5);
	assert_int_equal(added, 3);

	added = 0;
	for (n = 1, killed = true; killed; n++) {
		prepare(fx, false);
		killed = killed_at(fx, ADD_PASSPHRASE, n);
		assert_int_equal(fx_load(fx), 0);
		added += fx_unlock(fx, "new") == 0;
		fx_open(fx);
		assert_tidy(fx);
	}
	assert_int_equal(n - 2, 4);
	assert_int_equal(added, 3);
}

TEST(killed_while_the_passphrase_changes)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *sidecar = fx_path(fx, "archive.keys"), *bak = fx_path(fx, "archive.keys.bak");
	bool killed = true;
	int n, changed = 0;

	for (n = 1; killed; n++) {
		bool old, new;

		prepare(fx, true);
		killed = killed_at(fx, PASSWD, n);
		assert_int_equal(fx_load(fx), 0);
		old = fx_unlock(fx, "old") == 0;
		vault_lock(fx->v);
		new = fx_unlock(fx, "new") == 0;
		assert_true(old != new);
		changed += new;
		/* From then on the copy says the same. */
		assert_tidy(fx);
		assert_int_equal(rename(bak, sidecar), 0);
		assert_int_equal(fx_load(fx), 0);
		assert_int_equal(fx_unlock(fx, old ? "new" : "old"), VAULT_E_WRONG);
		assert_int_equal(fx_unlock(fx, old ? "old" : "new"), 0);
	}
	assert_int_equal(n - 2, 4);
	assert_int_equal(changed, 3);
}

TEST(killed_while_the_key_file_goes)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *key = NULL, *sidecar = fx_path(fx, "archive.keys"), *bak = fx_path(fx, "archive.keys.bak");
	bool killed = true;
	int n, gone = 0;

	for (n = 1; killed; n++) {
		prepare(fx, true);
		assert_int_equal(fx_load(fx), 0);
		free(TAKE_PTR(key));
		key = fx_keyfile(fx);
		killed = killed_at(fx, DROP_KEYFILE, n);
		/* What either copy names is there. */
		for (int copy = 0; copy < 2; copy++) {
			_cleanup_(freep) char *saved = file_text(sidecar, NULL), *other = file_text(bak, NULL);

			if (copy == 1)
				file_put(sidecar, other, strlen(other));
			assert_int_equal(fx_load(fx), 0);
			assert_true(vault_slot_count(fx->v) == 1 || file_is(key));
			if (copy == 1)
				file_put(sidecar, saved, strlen(saved));
		}
		assert_int_equal(fx_load(fx), 0);
		assert_int_equal(fx_unlock(fx, "old"), 0);
		gone += !file_is(key);
		assert_tidy(fx);
	}
	assert_int_equal(n - 2, 5);
	assert_int_equal(gone, 2);
}

TEST(killed_while_a_rotation_switches)
{
	struct fx *fx = *state;
	bool killed = true;
	int n, next = 0;

	for (n = 1; killed; n++) {
		bool is_next;

		prepare(fx, false);
		killed = killed_at(fx, SWITCH, n);
		fx_open(fx);
		is_next = strstr(vault_path(fx->v), "/archive-2.db") != NULL;
		assert_true(is_next || strstr(vault_path(fx->v), "/archive.db") != NULL);
		assert_int_equal(vault_keys(fx->v)->epoch, is_next ? 2 : 1);
		next += is_next;
		assert_tidy(fx);
	}
	assert_int_equal(n - 2, 4);
	assert_int_equal(next, 3);
}

TEST(killed_while_a_backup_gets_its_sidecar)
{
	struct fx *fx = *state;
	_cleanup_(freep) char *path = xasprintf("%s/extra.keys", fx->base);
	bool killed = true;
	int n;

	for (n = 1; killed; n++) {
		struct vault *b = NULL;

		unlink(path);
		prepare(fx, false);
		killed = killed_at(fx, BACKUP, n);
		assert_int_equal(vault_load_file(path, fx->config, &b, &fx->why), 0);
		assert_int_equal(vault_unlock_auto(b, &fx->why), 0);
		vault_free(b);
		fx_open(fx);
		assert_tidy(fx);
	}
	assert_int_equal(n - 2, 1);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(killed_while_a_vault_is_made),
		T(killed_while_it_becomes_ready),
		T(killed_while_a_damaged_sidecar_is_repaired),
		T(killed_while_the_copy_catches_up),
		T(killed_while_a_slot_is_added),
		T(killed_while_the_passphrase_changes),
		T(killed_while_the_key_file_goes),
		T(killed_while_a_rotation_switches),
		T(killed_while_a_backup_gets_its_sidecar),
	};

	if (argc == 3)
		return run_other(atoi(argv[1]), argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
