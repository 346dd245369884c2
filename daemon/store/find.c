/* Which keys belong to the archive of a directory, and whether a new archive may begin there. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>

#include "base/err.h"
#include "store/disk.h"
#include "store/store.h"
#include "store/takeover.h"
#include "store/why.h"
#include "vault/vault.h"

/* A database in ${dir} that is not empty: archive.db, what a rotation made of it, or a restored backup. */
static int find_database(const char *dir, char **ret)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int64_t size;
	int r = 0;

	if (!d)
		return err_origin(-errno);
	*ret = NULL;
	while (r == 0 && !*ret && (e = readdir(d))) {
		_cleanup_(freep) char *path = NULL;

		path = xasprintf("%s/%s", dir, e->d_name);
		if (fnmatch("archive*.db", e->d_name, 0) != 0) {
			if (disk_is_sealed(path))
				*ret = TAKE_PTR(path);
			continue;
		}
		r = disk_size(path, &size);
		if (r == 0 && size > 0)
			*ret = TAKE_PTR(path);
	}
	closedir(d);
	return r < 0 ? err_trace(r) : 0;
}

/* No sidecar: a new directory, one of varve 0.1, or an archive whose keys are lost. */
static int begin(const char *dir, const char *config_dir, struct vault **ret, char **ret_why)
{
	_cleanup_(freep) char *old = xasprintf("%s/" TAKEOVER_MARKER, dir), *plain = xasprintf("%s/archive.db", dir);
	_cleanup_(freep) char *database = NULL, *home = NULL, *why = NULL;
	enum disk_kind kind, marker;
	int r;

	r = find_database(dir, &database);
	if (r == 0)
		r = disk_kind(plain, &kind);
	if (r == 0)
		r = disk_kind(old, &marker);
	if (r < 0)
		return why_errno(r, dir, ret_why);
	if (kind == DISK_FOREIGN)
		return why_outcome(STORE_E_DAMAGED, plain, "its contents are not those of a varve archive", ret_why);
	if (marker != DISK_NONE && kind == DISK_NONE)
		return why_outcome(STORE_E_MISSING, plain, TAKEOVER_MARKER, ret_why);
	if (marker != DISK_NONE && kind == DISK_EMPTY)
		return why_outcome(STORE_E_DAMAGED, plain, "it is empty, but an archive was here before", ret_why);
	if (database && kind != DISK_PLAIN)
		return why_outcome(STORE_E_NO_KEYS, database, NULL, ret_why);
	home = kind == DISK_PLAIN ? NULL : store_home(dir, config_dir);
	if (home) {
		*ret_why = xasprintf("There is no archive in %s, but there was one: is a file system not mounted? Nothing "
				     "was made. To start anew, remove %s and start varved again.", dir,
				     store_home_away(dir, config_dir) ? home : "that directory");
		return STORE_E_MISSING;
	}
	r = vault_create(dir, config_dir, ret, &why);
	if (r > 0) {
		*ret_why = TAKE_PTR(why);
		return r == VAULT_E_NEWER ? STORE_E_NEWER : STORE_E_UNWRITABLE;
	}
	return r < 0 ? why_errno(r, dir, ret_why) : 0;
}

int store_find(const char *dir, const char *config_dir, struct vault **ret, char **ret_why)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	*ret = NULL;
	*ret_why = NULL;
	r = disk_make_dir(dir);
	if (r < 0)
		return why_errno(r, dir, ret_why);
	r = vault_load(dir, config_dir, ret, &why);
	if (r == VAULT_E_NONE)
		return begin(dir, config_dir, ret, ret_why);
	if (r < 0)
		return why_errno(r, dir, ret_why);
	*ret_why = TAKE_PTR(why);
	switch (r) {
	case 0:
		return 0;
	case VAULT_E_NEWER:
		return STORE_E_NEWER;
	case VAULT_E_UNREADABLE:
		return STORE_E_UNWRITABLE;
	default:
		return STORE_E_DAMAGED;
	}
}
