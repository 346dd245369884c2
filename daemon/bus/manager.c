#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/conn.h"
#include "bus/diagnose.h"
#include "bus/errors.h"
#include "bus/keyring-call.h"
#include "bus/lease.h"
#include "bus/manager.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "bus/settings.h"
#include "bus/status.h"
#include "bus/tree.h"
#include "core/jid.h"
#include "ipc/names.h"
#include "varve-build.h"

static int check_jid(const char *jid, sd_bus_error *error)
{
	if (jid_is_bare_user(jid))
		return 0;
	if (strchr(jid, '/') && jid_is_valid(jid))
		return error_invalid(error, "'%s' has a resource: give the account without it, as user@domain", jid);
	return error_invalid(error, "'%s' is not a JID of an account: write it as user@domain", jid);
}

static int add_account(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(settings_deinit) struct account a = { .enabled = true };
	_cleanup_(freep) char *why = NULL, *path = NULL;
	const struct account empty = { .enabled = true };
	const char *jid;
	int64_t id;
	int r;

	r = sd_bus_message_read(m, "s", &jid);
	if (r < 0)
		return error_from_read(error, r);
	r = check_jid(jid, error);
	if (r < 0)
		return r;
	settings_copy(&a, &empty);
	free(a.jid);
	a.jid = jid_bare(jid);
	r = settings_read(m, &a, true, error);
	if (r < 0)
		return r;
	r = hub_account_add(conn_hub(userdata), &a, &id, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	path = tree_path(id);
	return sd_bus_reply_method_return(m, "o", path);
}

static int remove_account(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	const char *path;
	int r;

	r = sd_bus_message_read(m, "o", &path);
	if (r < 0)
		return error_from_read(error, r);
	r = options_read_none(m, error);
	if (r < 0)
		return r;
	if (tree_account(path) == 0)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "'%s' is not the path of an account", path);
	r = hub_account_remove(conn_hub(userdata), tree_account(path), &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}

static int find_account(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *bare = NULL;
	struct hub *hub = conn_hub(userdata);
	const char *jid;
	int r;

	r = sd_bus_message_read(m, "s", &jid);
	if (r < 0)
		return error_from_read(error, r);
	r = check_jid(jid, error);
	if (r < 0)
		return r;
	if (hub_state(hub) != HUB_READY)
		return error_from_state(error, hub);
	bare = jid_bare(jid);
	for (size_t i = 0; i < hub_account_count(hub); i++) {
		int64_t id = hub_account_id(hub, i);
		const struct account *a = hub_account(hub, id);
		_cleanup_(freep) char *path = NULL;

		if (!a || strcmp(a->jid, bare) != 0)
			continue;
		path = tree_path(id);
		return sd_bus_reply_method_return(m, "o", path);
	}
	return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no account %s: varvectl account list shows all", bare);
}

static int get_status(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	r = options_read_none(m, error);
	if (r < 0)
		return r;
	if ((r = sd_bus_message_new_method_return(m, &reply)) < 0 ||
	    (r = status_append(reply, conn_hub(userdata))) < 0)
		return err_trace(r);
	r = sd_bus_send(NULL, reply, NULL);
	return r < 0 ? err_trace(r) : 1;
}

static int backed_up(sd_bus_message *reply, const struct keyring_answer *a)
{
	return sd_bus_message_append(reply, "t", a->bytes);
}

static int backup(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct keyring_call *call;
	const char *path;
	int r;

	r = sd_bus_message_read(m, "s", &path);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read_none(m, error)) < 0 ||
	    (r = keyring_call_new(userdata, m, backed_up, &call, error)) < 0)
		return r;
	r = keyring_backup(conn_hub(userdata), path, keyring_call_done, call, keyring_call_why(call));
	return keyring_call_started(call, r, error);
}

static int get_address(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	return sd_bus_reply_method_return(m, "s", conn_config(userdata)->address);
}

int manager_property(struct hub *hub, enum role role, const char *property, sd_bus_message *m)
{
	struct hub_archive a;

	if (strcmp(property, "Version") == 0)
		return sd_bus_message_append(m, "s", VARVE_VERSION);
	if (strcmp(property, "ApiRevision") == 0)
		return sd_bus_message_append(m, "u", VARVE_API_REVISION);
	if (strcmp(property, "Features") == 0)
		return sd_bus_message_append(m, "as", 18, "history", "feed", "coverage", "keyring", "backup", "search",
					     "send", "conversations", "roster", "presence", "interest", "jobs", "export",
					     "fetch", "verify", "push", "network", "auto-lock");
	if (strcmp(property, "Network") == 0)
		return sd_bus_message_append(m, "s", status_network_name(hub_network(hub)));
	if (strcmp(property, "Role") == 0)
		return sd_bus_message_append(m, "s", role_name(role));
	hub_archive(hub, &a);
	if (strcmp(property, "State") == 0)
		return sd_bus_message_append(m, "s", status_state_name(a.state));
	return rows_text(m, a.why);
}

static int get_property(_unused_ sd_bus *bus, _unused_ const char *path, _unused_ const char *interface,
			const char *property, sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	return manager_property(conn_hub(userdata), conn_config(userdata)->role, property, m);
}

#define U SD_BUS_VTABLE_UNPRIVILEGED /* roles.c decides, not sd-bus's idea of privilege */
#define CONST SD_BUS_VTABLE_PROPERTY_CONST
const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("AddAccount", SD_BUS_ARGS("s", jid, "a{sv}", options), SD_BUS_RESULT("o", account),
				add_account, U | SD_BUS_VTABLE_SENSITIVE),
	SD_BUS_METHOD_WITH_ARGS("RemoveAccount", SD_BUS_ARGS("o", account, "a{sv}", options), SD_BUS_NO_RESULT,
				remove_account, U),
	SD_BUS_METHOD_WITH_ARGS("FindAccount", SD_BUS_ARGS("s", jid), SD_BUS_RESULT("o", account), find_account, U),
	SD_BUS_METHOD_WITH_ARGS("GetStatus", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", status), get_status, U),
	SD_BUS_METHOD_WITH_ARGS("Diagnose", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a(ssssa{sv})", checks),
				diagnose_handle, U),
	SD_BUS_METHOD_WITH_ARGS("Backup", SD_BUS_ARGS("s", path, "a{sv}", options), SD_BUS_RESULT("t", bytes), backup, U),
	SD_BUS_METHOD_WITH_ARGS("SetInterest", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, lease_set_interest, U),
	SD_BUS_METHOD_WITH_ARGS("GetAddress", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", address), get_address, U),
	SD_BUS_PROPERTY("Version", "s", get_property, 0, CONST),
	SD_BUS_PROPERTY("ApiRevision", "u", get_property, 0, CONST),
	SD_BUS_PROPERTY("Features", "as", get_property, 0, CONST),
	SD_BUS_PROPERTY("Role", "s", get_property, 0, CONST),
	SD_BUS_PROPERTY("State", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("StateReason", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Network", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_VTABLE_END,
};
