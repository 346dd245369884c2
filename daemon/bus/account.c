/* org.varve.Varve1.Account: connect, configure, presence, and the properties of one account. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/check.h"
#include "bus/conn.h"
#include "bus/errors.h"
#include "bus/options.h"
#include "bus/rows.h"
#include "bus/settings.h"
#include "bus/tree.h"
#include "core/message.h"
#include "ipc/names.h"
#include "sync/hub-send.h"

typedef int (*account_fn)(struct hub *h, int64_t id, char **ret_why);

static int simple(sd_bus_message *m, void *userdata, account_fn fn, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	r = options_read_none(m, error);
	if (r < 0)
		return r;
	r = fn(conn_hub(userdata), tree_call_account(m), &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}

static int on_connect(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return simple(m, userdata, hub_account_connect, error);
}

static int on_disconnect(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return simple(m, userdata, hub_account_disconnect, error);
}

/* A copy to change; the hub compares it with what it has. */
static int copy_account(sd_bus_message *m, void *userdata, struct account *ret, sd_bus_error *error)
{
	const struct account *a = hub_account(conn_hub(userdata), tree_call_account(m));

	if (!a)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no such account");
	settings_copy(ret, a);
	return 0;
}

static int update(sd_bus_message *m, void *userdata, const struct account *a, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	r = hub_account_update(conn_hub(userdata), a, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}

static int set_password(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(settings_deinit) struct account a = { 0 };
	const char *password;
	int r;

	r = sd_bus_message_read(m, "s", &password);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read_none(m, error)) < 0 ||
	    (r = settings_check_password(password, error)) < 0 ||
	    (r = copy_account(m, userdata, &a, error)) < 0)
		return r;
	explicit_bzero(a.password, strlen(a.password));
	str_set(&a.password, password);
	return update(m, userdata, &a, error);
}

static int configure(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(settings_deinit) struct account a = { 0 };
	int r;

	if ((r = copy_account(m, userdata, &a, error)) < 0 ||
	    (r = settings_read(m, &a, false, error)) < 0)
		return r;
	return update(m, userdata, &a, error);
}

static int get_config(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const struct account *a = hub_account(conn_hub(userdata), tree_call_account(m));
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	if (!a)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no such account");
	if ((r = sd_bus_message_new_method_return(m, &reply)) < 0 ||
	    (r = settings_append(reply, a)) < 0 ||
	    (r = sd_bus_send(NULL, reply, NULL)) < 0)
		return err_trace(r);
	return 1;
}

static int set_presence(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	static const char *const shows[] = { "", "away", "chat", "dnd", "xa" };
	_cleanup_(freep) char *why = NULL;
	const char *show, *status;
	size_t i = 0;
	int r;

	r = sd_bus_message_read(m, "ss", &show, &status);
	if (r < 0)
		return error_from_read(error, r);
	if ((r = options_read_none(m, error)) < 0 ||
	    (r = check_text("status", status, SHORT_TEXT_MAX, true, error)) < 0)
		return r;
	while (i < ARRAY_SIZE(shows) && strcmp(shows[i], show) != 0)
		i++;
	if (i == ARRAY_SIZE(shows))
		return error_invalid(error, "there is no show '%s': it is \"\" or one of away, chat, dnd, xa", show);
	r = hub_set_presence(conn_hub(userdata), tree_call_account(m), show, status, &why);
	if (r != 0)
		return error_from_hub(error, r, why);
	return sd_bus_reply_method_return(m, NULL);
}

static int append_reason(sd_bus_message *m, const struct account_status *s)
{
	_cleanup_(freep) char *name = error_full_name(s->reason_name);
	int r;

	if ((r = sd_bus_message_open_container(m, 'r', "ss")) < 0 ||
	    (r = rows_text(m, name)) < 0 ||
	    (r = rows_text(m, s->reason_text)) < 0)
		return err_trace(r);
	return sd_bus_message_close_container(m);
}

static int get_property(_unused_ sd_bus *bus, const char *path, _unused_ const char *interface, const char *property,
			sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct hub *hub = conn_hub(userdata);
	int64_t id = tree_account(path);
	const struct account *a = hub_account(hub, id);
	struct account_status s = { 0 };
	char number[24];

	if (!a || hub_status(hub, id, &s) != 0)
		return error_set(error, VARVE_ERROR_NOT_FOUND, "there is no such account");
	if (strcmp(property, "Jid") == 0)
		return rows_text(m, a->jid);
	if (strcmp(property, "Id") == 0) {
		snprintf(number, sizeof(number), "%" PRId64, id);
		return sd_bus_message_append(m, "s", number);
	}
	if (strcmp(property, "Enabled") == 0)
		return sd_bus_message_append(m, "b", a->enabled);
	if (strcmp(property, "State") == 0)
		return rows_text(m, s.state);
	if (strcmp(property, "StateReason") == 0)
		return append_reason(m, &s);
	if (strcmp(property, "NextRetry") == 0)
		return sd_bus_message_append(m, "t", (uint64_t)(s.next_retry_us > 0 ? s.next_retry_us : 0));
	if (strcmp(property, "Resource") == 0)
		return rows_text(m, s.resource);
	if (strcmp(property, "ServerFeatures") == 0)
		return rows_lines(m, s.features);
	return rows_text(m, *str_or_empty(a->nick) ? a->nick : a->jid);
}

#define U SD_BUS_VTABLE_UNPRIVILEGED /* roles.c decides, not sd-bus's idea of privilege */
#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
const sd_bus_vtable account_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Connect", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, on_connect, U),
	SD_BUS_METHOD_WITH_ARGS("Disconnect", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, on_disconnect, U),
	SD_BUS_METHOD_WITH_ARGS("SetPassword", SD_BUS_ARGS("s", password, "a{sv}", options), SD_BUS_NO_RESULT,
				set_password, U | SD_BUS_VTABLE_SENSITIVE),
	SD_BUS_METHOD_WITH_ARGS("Configure", SD_BUS_ARGS("a{sv}", changes), SD_BUS_NO_RESULT, configure, U),
	SD_BUS_METHOD_WITH_ARGS("GetConfig", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", config), get_config, U),
	SD_BUS_METHOD_WITH_ARGS("SetPresence", SD_BUS_ARGS("s", show, "s", status, "a{sv}", options), SD_BUS_NO_RESULT,
				set_presence, U),
	SD_BUS_PROPERTY("Jid", "s", get_property, 0, CONST),
	SD_BUS_PROPERTY("Id", "s", get_property, 0, CONST),
	SD_BUS_PROPERTY("Enabled", "b", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("State", "s", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("StateReason", "(ss)", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("NextRetry", "t", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("Resource", "s", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("ServerFeatures", "as", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("DisplayName", "s", get_property, 0, CHANGES),
	SD_BUS_VTABLE_END,
};
