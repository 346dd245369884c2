#include "hub-double-keyring.h"

#include "hub-double.h"
#include "sync/keyring.h"

/* One daemon has one hub: this is all there is. */
static struct {
	keyring_done_fn done; /* NULL: nothing is at work */
	void *userdata;
} at_work;

static int keyring_work(struct hub *h, const char *name, keyring_done_fn fn, void *userdata, char **ret_why)
{
	if (at_work.done) {
		*ret_why = xstrdup("something else is at work");
		return HUB_E_BUSY;
	}
	hub_double_called(h, name);
	at_work.done = fn;
	at_work.userdata = userdata;
	return 0;
}

bool hub_double_finish(int r, const char *why)
{
	const struct keyring_answer answer = { .id = 7, .code = "the-code", .bytes = 4096, .dropped = 1 };
	keyring_done_fn fn = at_work.done;

	at_work.done = NULL;
	if (fn)
		fn(at_work.userdata, r, why, &answer);
	return fn;
}

int keyring_unlock(struct hub *h, _unused_ const void *secret, _unused_ size_t len, keyring_done_fn fn, void *userdata,
		   char **ret_why)
{
	return keyring_work(h, "unlock", fn, userdata, ret_why);
}

int keyring_lock(struct hub *h, _unused_ bool force, keyring_done_fn fn, void *userdata, char **ret_why)
{
	return keyring_work(h, "lock", fn, userdata, ret_why);
}

bool keyring_provider(struct hub const *h, enum keyring_slot *ret)
{
	*ret = KEYRING_KEYFILE;
	return hub_state(h) == HUB_READY;
}

int keyring_check_secret(struct hub *h, _unused_ const void *old, _unused_ size_t old_len, keyring_done_fn fn, void *userdata,
			 char **ret_why)
{
	return keyring_work(h, "check", fn, userdata, ret_why);
}

int keyring_slots(_unused_ struct hub *h, keyring_slot_fn fn, void *userdata, _unused_ char **ret_why)
{
	const struct keyring_slot_row rows[] = {
		{ .id = 1, .type = KEYRING_KEYFILE, .label = "", .path = "/k", .created_us = 1, .problem = "" },
		{ .id = 3, .type = KEYRING_PASSPHRASE, .label = "mine", .path = "", .created_us = 2, .problem = "" },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && r == 0; i++)
		r = fn(userdata, &rows[i]);
	return r;
}

int keyring_add(struct hub *h, _unused_ const struct keyring_new_slot *slot, keyring_done_fn fn, void *userdata,
		char **ret_why)
{
	return keyring_work(h, "add", fn, userdata, ret_why);
}

int keyring_remove(struct hub *h, _unused_ uint32_t id, keyring_done_fn fn, void *userdata, char **ret_why)
{
	return keyring_work(h, "remove", fn, userdata, ret_why);
}

int keyring_passwd(struct hub *h, _unused_ const void *old, _unused_ size_t old_len, _unused_ const void *secret,
		   _unused_ size_t len, _unused_ bool drop_keyfile, keyring_done_fn fn, void *userdata, char **ret_why)
{
	return keyring_work(h, "passwd", fn, userdata, ret_why);
}

int keyring_rotate(struct hub *h, _unused_ const void *passphrase, _unused_ size_t len, keyring_done_fn fn,
		   void *userdata, char **ret_why)
{
	return keyring_work(h, "rotate", fn, userdata, ret_why);
}

int keyring_backup(struct hub *h, _unused_ const char *path, keyring_done_fn fn, void *userdata, char **ret_why)
{
	return keyring_work(h, "backup", fn, userdata, ret_why);
}

void keyring_abandon(_unused_ struct hub *h, const void *userdata)
{
	if (at_work.userdata == userdata)
		at_work.done = NULL;
}

int64_t keyring_retry_after_us(_unused_ const struct hub *h)
{
	return 1500000;
}
