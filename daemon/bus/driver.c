#include "bus/driver.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/conn.h"
#include "bus/match.h"
#include "ipc/names.h"

#define DRIVER_NAME "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"
#define MONITORING "org.freedesktop.DBus.Monitoring"
#define START_REPLY_ALREADY_RUNNING 2

/* xdg-dbus-proxy ignores answers of the driver that do not say from whom and for whom they are. */
static int new_reply(sd_bus_message *call, struct conn *c, sd_bus_message **ret)
{
	int r;

	if ((r = sd_bus_message_new_method_return(call, ret)) < 0 ||
	    (r = sd_bus_message_set_sender(*ret, DRIVER_NAME)) < 0 ||
	    (r = sd_bus_message_set_destination(*ret, conn_name(c))) < 0)
		return err_origin(r);
	return 0;
}

static int reply(sd_bus_message *call, struct conn *c, const char *types, ...)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	va_list ap;
	int r;

	r = new_reply(call, c, &m);
	if (r < 0)
		return r;
	if (types) {
		va_start(ap, types);
		r = sd_bus_message_appendv(m, types, ap);
		va_end(ap);
		if (r < 0)
			return err_origin(r);
	}
	r = sd_bus_send(NULL, m, NULL);
	return r < 0 ? err_trace(r) : 1;
}

static bool is_ours(const char *name)
{
	return strcmp(name, VARVE_BUS_NAME) == 0 || strcmp(name, VARVE_UNIQUE_NAME) == 0 || strcmp(name, DRIVER_NAME) == 0;
}

/* The unique name that owns ${name} as this client sees the bus, or NULL. */
static const char *owner(struct conn *c, const char *name)
{
	if (strcmp(name, VARVE_BUS_NAME) == 0 || strcmp(name, VARVE_UNIQUE_NAME) == 0)
		return VARVE_UNIQUE_NAME;
	if (strcmp(name, DRIVER_NAME) == 0)
		return DRIVER_NAME;
	return strcmp(name, conn_name(c)) == 0 ? conn_name(c) : NULL;
}

static int no_owner(sd_bus_error *error, const char *name)
{
	return sd_bus_error_setf(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
				 "there is nobody called '%s' here; the daemon is " VARVE_BUS_NAME, name);
}

static int on_hello(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct conn *c = userdata;

	if (!conn_hello(c))
		return sd_bus_error_set(error, SD_BUS_ERROR_FAILED, "Hello was said already");
	return reply(m, c, "s", conn_name(c));
}

static int on_add_match(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct conn *c = userdata;
	const char *rule;
	int r;

	r = sd_bus_message_read(m, "s", &rule);
	if (r < 0)
		return err_trace(r);
	r = matches_add(conn_matches(c), rule);
	if (r == MATCHES_E_LIMIT)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "at most %d rules of %d bytes", MATCHES_MAX,
					 MATCH_RULE_MAX);
	if (r == MATCHES_E_MALFORMED)
		return sd_bus_error_set(error, SD_BUS_ERROR_MATCH_RULE_INVALID, "the match rule does not parse");
	return reply(m, c, NULL);
}

static int on_remove_match(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct conn *c = userdata;
	const char *rule;
	int r;

	r = sd_bus_message_read(m, "s", &rule);
	if (r < 0)
		return err_trace(r);
	if (matches_remove(conn_matches(c), rule) != 0)
		return sd_bus_error_set(error, SD_BUS_ERROR_MATCH_RULE_NOT_FOUND, "there is no such match rule");
	return reply(m, c, NULL);
}

static int on_get_name_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct conn *c = userdata;
	const char *name;
	int r;

	r = sd_bus_message_read(m, "s", &name);
	if (r < 0)
		return err_trace(r);
	if (!owner(c, name))
		return no_owner(error, name);
	return reply(m, c, "s", owner(c, name));
}

static int on_name_has_owner(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct conn *c = userdata;
	const char *name;
	int r;

	r = sd_bus_message_read(m, "s", &name);
	if (r < 0)
		return err_trace(r);
	return reply(m, c, "b", owner(c, name) != NULL);
}

static int on_start_service(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct conn *c = userdata;
	const char *name;
	uint32_t flags;
	int r;

	r = sd_bus_message_read(m, "su", &name, &flags);
	if (r < 0)
		return err_trace(r);
	if (!is_ours(name))
		return sd_bus_error_setf(error, SD_BUS_ERROR_SERVICE_UNKNOWN, "there is no '%s' here", name);
	return reply(m, c, "u", START_REPLY_ALREADY_RUNNING);
}

static int on_list_names(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct conn *c = userdata;

	return reply(m, c, "as", 4, DRIVER_NAME, VARVE_BUS_NAME, VARVE_UNIQUE_NAME, conn_name(c));
}

static int on_list_activatable(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	return reply(m, userdata, "as", 1, VARVE_BUS_NAME);
}

static int on_get_id(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct conn *c = userdata;
	char id[SD_ID128_STRING_MAX];

	return reply(m, c, "s", sd_id128_to_string(conn_config(c)->server_id, id));
}

static int read_who(sd_bus_message *m, struct conn *c, uint32_t *ret_uid, uint32_t *ret_pid, sd_bus_error *error)
{
	const char *name;
	int r;

	r = sd_bus_message_read(m, "s", &name);
	if (r < 0)
		return err_trace(r);
	if (!owner(c, name))
		return no_owner(error, name);
	*ret_uid = is_ours(name) ? geteuid() : conn_config(c)->uid;
	*ret_pid = (uint32_t)(is_ours(name) ? getpid() : conn_config(c)->pid);
	return 0;
}

static int on_get_user(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	uint32_t uid, pid;
	int r = read_who(m, userdata, &uid, &pid, error);

	return r < 0 ? r : reply(m, userdata, "u", uid);
}

static int on_get_pid(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	uint32_t uid, pid;
	int r = read_who(m, userdata, &uid, &pid, error);

	return r < 0 ? r : reply(m, userdata, "u", pid);
}

static int on_get_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	uint32_t uid, pid;
	int r = read_who(m, userdata, &uid, &pid, error);

	return r < 0 ? r : reply(m, userdata, "a{sv}", 2, "UnixUserID", "u", uid, "ProcessID", "u", pid);
}

static int on_request_name(_unused_ sd_bus_message *m, _unused_ void *userdata, sd_bus_error *error)
{
	return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "names cannot be owned on this socket");
}

static int on_become_monitor(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *lost = NULL;
	struct conn *c = userdata;
	int r;

	/* It hears the signals that everybody hears, never other clients' calls and answers: they are content. */
	r = matches_add(conn_matches(c), "");
	if (r != 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "at most %d rules", MATCHES_MAX);
	r = reply(m, c, NULL);
	if (r < 0)
		return r;
	if ((r = sd_bus_message_new_signal(conn_bus(c), &lost, DRIVER_PATH, DRIVER_NAME, "NameLost")) < 0 ||
	    (r = sd_bus_message_set_sender(lost, DRIVER_NAME)) < 0 ||
	    (r = sd_bus_message_set_destination(lost, conn_name(c))) < 0 ||
	    (r = sd_bus_message_append(lost, "s", conn_name(c))) < 0 ||
	    (r = sd_bus_send(NULL, lost, NULL)) < 0)
		return err_origin(r);
	return 1;
}

static int get_features(_unused_ sd_bus *bus, _unused_ const char *path, _unused_ const char *interface,
			_unused_ const char *property, sd_bus_message *m, _unused_ void *userdata,
			_unused_ sd_bus_error *error)
{
	return sd_bus_message_append(m, "as", 0);
}

static int get_interfaces(_unused_ sd_bus *bus, _unused_ const char *path, _unused_ const char *interface,
			  _unused_ const char *property, sd_bus_message *m, _unused_ void *userdata,
			  _unused_ sd_bus_error *error)
{
	return sd_bus_message_append(m, "as", 1, MONITORING);
}

#define U SD_BUS_VTABLE_UNPRIVILEGED
static const sd_bus_vtable driver_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Hello", NULL, "s", on_hello, U),
	SD_BUS_METHOD("AddMatch", "s", NULL, on_add_match, U),
	SD_BUS_METHOD("RemoveMatch", "s", NULL, on_remove_match, U),
	SD_BUS_METHOD("GetNameOwner", "s", "s", on_get_name_owner, U),
	SD_BUS_METHOD("NameHasOwner", "s", "b", on_name_has_owner, U),
	SD_BUS_METHOD("StartServiceByName", "su", "u", on_start_service, U),
	SD_BUS_METHOD("ListNames", NULL, "as", on_list_names, U),
	SD_BUS_METHOD("ListActivatableNames", NULL, "as", on_list_activatable, U),
	SD_BUS_METHOD("GetId", NULL, "s", on_get_id, U),
	SD_BUS_METHOD("GetConnectionUnixUser", "s", "u", on_get_user, U),
	SD_BUS_METHOD("GetConnectionUnixProcessID", "s", "u", on_get_pid, U),
	SD_BUS_METHOD("GetConnectionCredentials", "s", "a{sv}", on_get_credentials, U),
	SD_BUS_METHOD("RequestName", "su", "u", on_request_name, U),
	SD_BUS_PROPERTY("Features", "as", get_features, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Interfaces", "as", get_interfaces, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_SIGNAL("NameAcquired", "s", 0),
	SD_BUS_SIGNAL("NameLost", "s", 0),
	SD_BUS_SIGNAL("NameOwnerChanged", "sss", 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable monitoring_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("BecomeMonitor", "asu", NULL, on_become_monitor, U),
	SD_BUS_VTABLE_END,
};

int driver_register(sd_bus *bus, struct conn *c)
{
	static const char *const paths[] = { DRIVER_PATH, "/" };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if ((r = sd_bus_add_object_vtable(bus, NULL, paths[i], DRIVER_NAME, driver_vtable, c)) < 0 ||
		    (r = sd_bus_add_object_vtable(bus, NULL, paths[i], MONITORING, monitoring_vtable, c)) < 0)
			return err_origin(r);
	return 0;
}
