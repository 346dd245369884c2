#include "sync/keyring.h"

#include "base/mem.h"

/* The archive of this version is not encrypted, and says so. */
static int no_keys(char **ret_why)
{
	*ret_why = xstrdup("this archive has no keys: it is not encrypted");
	return HUB_E_UNSUPPORTED;
}

int keyring_unlock(_unused_ struct hub *h, _unused_ const void *secret, _unused_ size_t len,
		   _unused_ keyring_done_fn fn, _unused_ void *userdata, char **ret_why)
{
	return no_keys(ret_why);
}

int keyring_lock(_unused_ struct hub *h, _unused_ keyring_done_fn fn, _unused_ void *userdata, char **ret_why)
{
	return no_keys(ret_why);
}

int keyring_slots(_unused_ struct hub *h, _unused_ keyring_slot_fn fn, _unused_ void *userdata, char **ret_why)
{
	return no_keys(ret_why);
}

int keyring_add(_unused_ struct hub *h, _unused_ const struct keyring_new_slot *slot, _unused_ keyring_done_fn fn,
		_unused_ void *userdata, char **ret_why)
{
	return no_keys(ret_why);
}

int keyring_remove(_unused_ struct hub *h, _unused_ uint32_t id, _unused_ keyring_done_fn fn, _unused_ void *userdata,
		   char **ret_why)
{
	return no_keys(ret_why);
}

int keyring_passwd(_unused_ struct hub *h, _unused_ const void *old, _unused_ size_t old_len,
		   _unused_ const void *secret, _unused_ size_t len, _unused_ bool drop_keyfile,
		   _unused_ keyring_done_fn fn, _unused_ void *userdata, char **ret_why)
{
	return no_keys(ret_why);
}

int keyring_rotate(_unused_ struct hub *h, _unused_ const void *passphrase, _unused_ size_t len,
		   _unused_ keyring_done_fn fn, _unused_ void *userdata, char **ret_why)
{
	return no_keys(ret_why);
}

int keyring_backup(_unused_ struct hub *h, _unused_ const char *path, _unused_ keyring_done_fn fn,
		   _unused_ void *userdata, char **ret_why)
{
	return no_keys(ret_why);
}

void keyring_abandon(_unused_ struct hub *h, _unused_ const void *userdata)
{
}

int64_t keyring_retry_after_us(_unused_ const struct hub *h)
{
	return 0;
}
