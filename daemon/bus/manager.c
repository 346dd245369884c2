#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/conn.h"
#include "bus/errors.h"
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
		return err_trace(r);
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
		return err_trace(r);
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
		return err_trace(r);
	r = check_jid(jid, error);
	if (r < 0)
		return r;
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

static int append_check(void *userdata, const char *name, const char *result, const char *text, const char *hint)
{
	sd_bus_message *m = userdata;
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', "ssssa{sv}")) < 0 ||
	    (r = rows_text(m, name)) < 0 ||
	    (r = rows_text(m, result)) < 0 ||
	    (r = rows_text(m, text)) < 0 ||
	    (r = rows_text(m, hint)) < 0 ||
	    (r = sd_bus_message_append(m, "a{sv}", 0)) < 0 ||
	    (r = sd_bus_message_close_container(m)) < 0)
		return err_trace(r);
	return 0;
}

static int diagnose(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(freep) char *text = NULL;
	struct conn *c = userdata;
	int r;

	r = options_read_none(m, error);
	if (r < 0)
		return r;
	text = xasprintf("varved " VARVE_VERSION ", API revision %d, this connection has the role '%s'",
			 VARVE_API_REVISION, role_name(conn_config(c)->role));
	if ((r = sd_bus_message_new_method_return(m, &reply)) < 0 ||
	    (r = sd_bus_message_open_container(reply, 'a', "(ssssa{sv})")) < 0 ||
	    (r = append_check(reply, "daemon", "ok", text, "")) < 0)
		return err_trace(r);
	r = hub_diagnose(conn_hub(c), append_check, reply);
	if (r != 0)
		return error_from_hub(error, r, NULL);
	if ((r = sd_bus_message_close_container(reply)) < 0 || (r = sd_bus_send(NULL, reply, NULL)) < 0)
		return err_trace(r);
	return 1;
}

static int get_property(_unused_ sd_bus *bus, _unused_ const char *path, _unused_ const char *interface,
			const char *property, sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	if (strcmp(property, "Version") == 0)
		return sd_bus_message_append(m, "s", VARVE_VERSION);
	if (strcmp(property, "ApiRevision") == 0)
		return sd_bus_message_append(m, "u", VARVE_API_REVISION);
	if (strcmp(property, "Features") == 0)
		return sd_bus_message_append(m, "as", 3, "history", "feed", "coverage");
	if (strcmp(property, "Role") == 0)
		return sd_bus_message_append(m, "s", role_name(conn_config(userdata)->role));
	return sd_bus_message_append(m, "s", "ready");
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
				diagnose, U),
	SD_BUS_PROPERTY("Version", "s", get_property, 0, CONST),
	SD_BUS_PROPERTY("ApiRevision", "u", get_property, 0, CONST),
	SD_BUS_PROPERTY("Features", "as", get_property, 0, CONST),
	SD_BUS_PROPERTY("Role", "s", get_property, 0, CONST),
	SD_BUS_PROPERTY("State", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_VTABLE_END,
};
