#include "store/why.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

#include "base/err.h"
#include "store/store.h"
#include "vault/vault.h"

int why_outcome(int what, const char *path, const char *detail, char **ret_why)
{
	free(*ret_why);
	switch (what) {
	case STORE_E_NEWER:
		*ret_why = xasprintf("%s was written by a newer version of varve: install that version again, or "
				     "point varve at another data directory.", path);
		break;
	case STORE_E_DAMAGED:
		*ret_why = xasprintf("%s is damaged (%s). Nothing was changed. Copy the directory away, then restore "
				     "a backup, or run varve-salvage on the copy to get out what is still readable.",
				     path, detail);
		break;
	case STORE_E_UNWRITABLE:
		*ret_why = xasprintf("%s cannot be written (%s): check its owner, its permissions and whether its file "
				     "system is mounted read-only.", path, detail);
		break;
	case STORE_E_FULL:
		*ret_why = xasprintf("There is no space left to open %s (%s): free some space on its file system.", path, detail);
		break;
	case STORE_E_MISSING:
		*ret_why = xasprintf("%s is missing, but %s in the same directory says that an archive was here: is a "
				     "file system not mounted? To start anew, move %s away.", path, detail,
				     strcmp(detail, VAULT_SIDECAR) == 0 ? VAULT_SIDECAR " and " VAULT_SIDECAR ".bak" : detail);
		break;
	case STORE_E_NO_KEYS:
		*ret_why = xasprintf("%s is an encrypted archive, but its keys, %s and %s.bak in the same directory, are "
				     "gone; nobody can read it without them. Put them back from a backup, or move %s "
				     "away to start anew.", path, VAULT_SIDECAR, VAULT_SIDECAR, path);
		break;
	case STORE_E_LOCKED:
		*ret_why = xasprintf("%s is locked: %s", path, detail);
		break;
	default:
		*ret_why = xasprintf("The SQLite library %s did not accept the setting %s, which varve depends on: "
				     "install the libsqlite3 of your distribution.", sqlite3_libversion(), detail);
		break;
	}
	return what;
}

static const struct trouble {
	int error;
	const char *what, *remedy;
} troubles[] = {
	{ ENOSPC, "the disk is full", "free some space and varve goes on" },
	{ EDQUOT, "your share of the disk (quota) is used up", "free some space and varve goes on" },
	{ EROFS, "its file system is mounted read-only", "make it writable again and varve goes on; \"dmesg\" may say why it is" },
	{ EBADMSG, "a page of it is damaged", "\"varvectl doctor\" says which and what to do" },
	{ EIO, "the disk reports an error", "varve goes on if the disk does; \"varvectl backup FILE\" to another one saves all of it" },
};

static const struct trouble *trouble_of(int r)
{
	for (size_t i = 0; i < ARRAY_SIZE(troubles); i++)
		if (troubles[i].error == -r)
			return &troubles[i];
	return NULL;
}

const char *store_trouble(int r)
{
	return trouble_of(r) ? trouble_of(r)->what : strerror(-r);
}

const char *store_remedy(int r)
{
	return trouble_of(r) ? trouble_of(r)->remedy : "varve tries again by itself";
}

int why_errno(int r, const char *path, char **ret_why)
{
	switch (r) {
	case -EBADMSG:
		return why_outcome(STORE_E_DAMAGED, path, "pages that are needed to open it do not authenticate", ret_why);
	case -EACCES:
	case -EPERM:
	case -EROFS:
	case -ELOOP:
	case -ENOTDIR:
	case -EISDIR:
		return why_outcome(STORE_E_UNWRITABLE, path, strerror(-r), ret_why);
	case -EBUSY:
		return why_outcome(STORE_E_UNWRITABLE, path, "another program has it open", ret_why);
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return why_outcome(STORE_E_FULL, path, strerror(-r), ret_why);
	default:
		return err_trace(r);
	}
}
