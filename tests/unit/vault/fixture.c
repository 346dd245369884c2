#define _GNU_SOURCE
#include "fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/log.h"
#include "vault/kdf.h"

int fx_setup(void **state)
{
	struct fx *fx = xnew(struct fx);

	log_set_level(LOG_LEVEL_ERROR);
	kdf_set_for_tests(1, 8192);
	snprintf(fx->base, sizeof(fx->base), "/dev/shm/keys-test-XXXXXX");
	assert_non_null(mkdtemp(fx->base));
	fx->dir = xasprintf("%s/data", fx->base);
	fx->config = xasprintf("%s/config", fx->base);
	*state = fx;
	return 0;
}

static int remove_one(const char *path, const struct stat *st _unused_, int flag _unused_, struct FTW *ftw _unused_)
{
	return remove(path);
}

void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int fx_teardown(void **state)
{
	struct fx *fx = *state;

	vault_free(fx->v);
	remove_tree(fx->base);
	free(fx->dir);
	free(fx->config);
	free(fx->why);
	free(fx);
	return 0;
}

int fx_load(struct fx *fx)
{
	fx->v = vault_free(fx->v);
	str_set(&fx->why, NULL);
	return vault_load(fx->dir, fx->config, &fx->v, &fx->why);
}

void fx_create(struct fx *fx)
{
	assert_int_equal(vault_create(fx->dir, fx->config, &fx->v, &fx->why), 0);
}

void fx_open(struct fx *fx)
{
	assert_int_equal(fx_load(fx), 0);
	assert_int_equal(vault_unlock_auto(fx->v, &fx->why), 0);
}

char *fx_path(const struct fx *fx, const char *name)
{
	return xasprintf("%s/%s", fx->dir, name);
}

char *file_text(const char *path, size_t *ret_len)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = xnewn(char, 70000);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, 69999);
	assert_true(n >= 0);
	if (ret_len)
		*ret_len = (size_t)n;
	return text;
}

void file_put(const char *path, const void *text, size_t len)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
}

bool file_is(const char *path)
{
	return access(path, F_OK) == 0;
}

char *fx_keyfile(const struct fx *fx)
{
	struct vault_slot slot = vault_slot_at(fx->v, 0);

	assert_int_equal(slot.type, SLOT_KEYFILE);
	return xasprintf("%s/%s", fx->config, slot.path);
}

int fx_unlock(struct fx *fx, const char *passphrase)
{
	_cleanup_(child_freep) struct child *c = NULL;
	int r = vault_derive_start(fx->v, passphrase, strlen(passphrase), &c);

	str_set(&fx->why, NULL);
	return r ? r : vault_unlock_derived(fx->v, c, &fx->why);
}

uint32_t fx_passphrase(struct fx *fx, const char *passphrase, uint32_t replace)
{
	_cleanup_(child_freep) struct child *c = NULL;
	uint32_t id = 0;

	assert_int_equal(vault_passphrase_start(fx->v, passphrase, strlen(passphrase), &c, &fx->why), 0);
	assert_int_equal(vault_passphrase_finish(fx->v, c, "mine", replace, &id, &fx->why), 0);
	return id;
}

struct page_keys fx_keys(const struct fx *fx)
{
	assert_non_null(vault_keys(fx->v));
	return *vault_keys(fx->v);
}
