/* org.varve.Varve1.Keyring: secrets arrive, slots are listed; what takes time is in keyring-call.c. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/keyring-call.h"
#include "bus/mailbox.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "bus/tree.h"
#include "ipc/names.h"

static const char *const slot_names[] = { [KEYRING_KEYFILE] = "keyfile", [KEYRING_PASSPHRASE] = "passphrase",
					  [KEYRING_CREDENTIAL] = "credential", [KEYRING_RECOVERY] = "recovery" };

/* Bytes of a secret, into the message, which is wiped when it goes. */
static int read_secret(sd_bus_message *m, const void **ret, size_t *ret_len)
{
	int r = sd_bus_message_read_array(m, 'y', ret, ret_len);

	return r < 0 ? err_trace(r) : 0;
}

static int unlock(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct keyring_call *call;
	const void *secret;
	size_t len;
	int r;

	r = read_secret(m, &secret, &len);
	if (r < 0)
		return r;
	if ((r = options_read_none(m, error)) < 0 ||
	    (r = keyring_call_new(userdata, m, NULL, &call, error)) < 0)
		return r;
	r = keyring_unlock(conn_hub(userdata), secret, len, keyring_call_done, call, keyring_call_why(call));
	return keyring_call_started(call, r, error);
}

static int lock(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	bool force = false;
	const struct option known[] = { { "force", OPTION_BOOL, &force } };
	struct keyring_call *call;
	int r;

	if ((r = options_read(m, known, ARRAY_SIZE(known), error)) < 0 ||
	    (r = keyring_call_new(userdata, m, NULL, &call, error)) < 0)
		return r;
	r = keyring_lock(conn_hub(userdata), force, keyring_call_done, call, keyring_call_why(call));
	return keyring_call_started(call, r, error);
}

static int append_slot(void *userdata, const struct keyring_slot_row *slot)
{
	sd_bus_message *m = userdata;
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', VARVE_SIG_SLOT_FIELDS)) < 0 ||
	    (r = sd_bus_message_append(m, "us", slot->id, slot_names[slot->type])) < 0 ||
	    (r = rows_text(m, slot->label)) < 0 ||
	    (r = sd_bus_message_append(m, "x", slot->created_us)) < 0 ||
	    (r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
	    (r = rows_entry_text(m, "path", slot->path)) < 0 ||
	    (r = rows_entry_text(m, "problem", slot->problem)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

static int list_slots(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(freep) char *why = NULL;
	int r;

	r = options_read_none(m, error);
	if (r < 0)
		return r;
	if ((r = sd_bus_message_new_method_return(m, &reply)) < 0 ||
	    (r = sd_bus_message_open_container(reply, 'a', VARVE_SIG_SLOT)) < 0)
		return err_trace(r);
	r = keyring_slots(conn_hub(userdata), append_slot, reply, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	if ((r = sd_bus_message_close_container(reply)) < 0 || (r = sd_bus_send(NULL, reply, NULL)) < 0)
		return err_trace(r);
	return 1;
}

static int added(sd_bus_message *reply, const struct keyring_answer *a)
{
	return sd_bus_message_append(reply, "us", a->id, str_or_empty(a->code));
}

/* Each type takes its own arguments; one too many is a misunderstanding that must not pass silently. */
static int check_new_slot(const struct keyring_new_slot *slot, const char *path, const char *name, sd_bus_error *error)
{
	if (slot->type != KEYRING_PASSPHRASE && slot->len > 0)
		return error_invalid(error, "a secret is given with type 'passphrase' only");
	if (slot->type == KEYRING_PASSPHRASE && slot->len == 0)
		return error_invalid(error, "the passphrase is empty");
	if (path && slot->type != KEYRING_KEYFILE)
		return error_invalid(error, "option 'path' is for type 'keyfile'");
	if (name && slot->type != KEYRING_CREDENTIAL)
		return error_invalid(error, "option 'name' is for type 'credential'");
	if (slot->type == KEYRING_KEYFILE && (!path || *path != '/'))
		return error_invalid(error, "type 'keyfile' needs option 'path', an absolute one");
	if (slot->type == KEYRING_CREDENTIAL && (!name || !*name || strchr(name, '/')))
		return error_invalid(error, "type 'credential' needs option 'name', the name of a credential of varved's unit");
	return 0;
}

static int add_slot(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct keyring_new_slot slot = { .label = "" };
	const char *type, *path = NULL, *name = NULL;
	const struct option known[] = {
		{ "label", OPTION_TEXT, &slot.label },
		{ "path", OPTION_TEXT, &path },
		{ "name", OPTION_TEXT, &name },
	};
	struct keyring_call *call;
	size_t i = 0;
	int r;

	r = sd_bus_message_read(m, "s", &type);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = read_secret(m, &slot.secret, &slot.len)) < 0 ||
	    (r = options_read(m, known, ARRAY_SIZE(known), error)) < 0)
		return r;
	while (i < ARRAY_SIZE(slot_names) && strcmp(slot_names[i], type) != 0)
		i++;
	if (i == ARRAY_SIZE(slot_names))
		return error_invalid(error, "there is no type '%s': it is one of keyfile, passphrase, credential, recovery", type);
	slot.type = (enum keyring_slot)i;
	slot.path = path ? path : name;
	if ((r = check_new_slot(&slot, path, name, error)) < 0 ||
	    (r = keyring_call_new(userdata, m, added, &call, error)) < 0)
		return r;
	r = keyring_add(conn_hub(userdata), &slot, keyring_call_done, call, keyring_call_why(call));
	return keyring_call_started(call, r, error);
}

static int remove_slot(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct keyring_call *call;
	uint32_t id;
	int r;

	r = sd_bus_message_read(m, "u", &id);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read_none(m, error)) < 0 ||
	    (r = keyring_call_new(userdata, m, NULL, &call, error)) < 0)
		return r;
	r = keyring_remove(conn_hub(userdata), id, keyring_call_done, call, keyring_call_why(call));
	return keyring_call_started(call, r, error);
}

static int change_secret(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	bool drop_keyfile = false, check = false;
	const struct option known[] = {
		{ "drop-keyfile", OPTION_BOOL, &drop_keyfile },
		{ "check", OPTION_BOOL, &check },
	};
	const void *old, *secret;
	struct keyring_call *call;
	size_t old_len, len;
	int r;

	if ((r = read_secret(m, &old, &old_len)) < 0 ||
	    (r = read_secret(m, &secret, &len)) < 0 ||
	    (r = options_read(m, known, ARRAY_SIZE(known), error)) < 0)
		return r;
	if (check && (len > 0 || drop_keyfile))
		return error_invalid(error, "with option 'check' nothing is changed: the new passphrase is to be empty");
	if (!check && len == 0)
		return error_invalid(error, "the new passphrase is empty");
	r = keyring_call_new(userdata, m, NULL, &call, error);
	if (r < 0)
		return r;
	if (check)
		r = keyring_check_secret(conn_hub(userdata), old, old_len, keyring_call_done, call, keyring_call_why(call));
	else
		r = keyring_passwd(conn_hub(userdata), old, old_len, secret, len, drop_keyfile, keyring_call_done, call,
				   keyring_call_why(call));
	return keyring_call_started(call, r, error);
}

static int rotated(sd_bus_message *reply, const struct keyring_answer *a)
{
	return sd_bus_message_append(reply, "u", a->dropped);
}

static int rotate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct keyring_call *call;
	const void *passphrase;
	size_t len;
	int r;

	if ((r = read_secret(m, &passphrase, &len)) < 0 ||
	    (r = options_read_none(m, error)) < 0 ||
	    (r = keyring_call_new(userdata, m, rotated, &call, error)) < 0)
		return r;
	r = keyring_rotate(conn_hub(userdata), passphrase, len, keyring_call_done, call, keyring_call_why(call));
	return keyring_call_started(call, r, error);
}

static int get_property(_unused_ sd_bus *bus, _unused_ const char *path, _unused_ const char *interface,
			const char *property, sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct hub *hub = conn_hub(userdata);
	enum keyring_slot by;

	if (strcmp(property, "Locked") == 0)
		return sd_bus_message_append(m, "b", hub_state(hub) == HUB_LOCKED);
	if (strcmp(property, "Provider") == 0)
		return rows_text(m, keyring_provider(hub, &by) ? slot_names[by] : "");
	if (strcmp(property, "AutoLockUSec") == 0)
		return sd_bus_message_append(m, "t", (uint64_t)hub_auto_lock_us(hub));
	return sd_bus_message_append(m, "t", (uint64_t)keyring_retry_after_us(hub));
}

static int set_auto_lock(_unused_ sd_bus *bus, _unused_ const char *path, _unused_ const char *interface,
			 _unused_ const char *property, sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	struct conn *c = userdata;
	uint64_t us;
	int r;

	r = sd_bus_message_read(m, "t", &us);
	if (r < 0)
		return error_from_read(error, r);
	r = hub_set_auto_lock(conn_hub(c), us > INT64_MAX ? INT64_MAX : (int64_t)us, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	mailboxes_mark_root(conn_config(c)->mailboxes, MARK_AUTO_LOCK);
	return 0;
}

/* roles.c decides, not sd-bus's idea of privilege; what carries secrets is wiped. */
#define S (SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE)
const sd_bus_vtable keyring_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Unlock", SD_BUS_ARGS("ay", secret, "a{sv}", options), SD_BUS_NO_RESULT, unlock, S),
	SD_BUS_METHOD_WITH_ARGS("Lock", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, lock, S),
	SD_BUS_METHOD_WITH_ARGS("ListSlots", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a" VARVE_SIG_SLOT, slots),
				list_slots, S),
	SD_BUS_METHOD_WITH_ARGS("AddSlot", SD_BUS_ARGS("s", type, "ay", secret, "a{sv}", options),
				SD_BUS_RESULT("u", id, "s", code), add_slot, S),
	SD_BUS_METHOD_WITH_ARGS("RemoveSlot", SD_BUS_ARGS("u", id, "a{sv}", options), SD_BUS_NO_RESULT, remove_slot, S),
	SD_BUS_METHOD_WITH_ARGS("ChangeSecret", SD_BUS_ARGS("ay", old, "ay", new, "a{sv}", options), SD_BUS_NO_RESULT,
				change_secret, S),
	SD_BUS_METHOD_WITH_ARGS("Rotate", SD_BUS_ARGS("ay", passphrase, "a{sv}", options), SD_BUS_RESULT("u", dropped),
				rotate, S),
	SD_BUS_PROPERTY("Locked", "b", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Provider", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("RetryAfterUSec", "t", get_property, 0, 0),
	SD_BUS_WRITABLE_PROPERTY("AutoLockUSec", "t", get_property, set_auto_lock, 0,
				 SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE | SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};
