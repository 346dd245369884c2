#include "bus/session-bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/err.h"
#include "base/log.h"
#include "bus/manager.h"
#include "bus/roles.h"
#include "ipc/names.h"

struct session_bus {
	struct hub *hub;
	const char *address;
	sd_bus *bus;
};

static int get_address(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct session_bus *s = userdata;

	return sd_bus_reply_method_return(m, "s", s->address);
}

static int get_property(_unused_ sd_bus *bus, _unused_ const char *path, _unused_ const char *interface,
			const char *property, sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct session_bus *s = userdata;

	return manager_property(s->hub, ROLE_STATUS, property, m);
}

#define U SD_BUS_VTABLE_UNPRIVILEGED
#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("GetAddress", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", address), get_address, U),
	SD_BUS_PROPERTY("Version", "s", get_property, 0, CONST),
	SD_BUS_PROPERTY("ApiRevision", "u", get_property, 0, CONST),
	SD_BUS_PROPERTY("Features", "as", get_property, 0, CONST),
	SD_BUS_PROPERTY("Role", "s", get_property, 0, CONST),
	SD_BUS_PROPERTY("State", "s", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("StateReason", "s", get_property, 0, CHANGES),
	SD_BUS_PROPERTY("Network", "s", get_property, 0, CHANGES),
	SD_BUS_VTABLE_END,
};

/* Another varved of this user may have it: then that one is found, and this one is reached by its socket alone. */
static int on_named(sd_bus_message *m, _unused_ void *userdata, _unused_ sd_bus_error *error)
{
	if (sd_bus_message_is_method_error(m, NULL))
		log_info("bus: no name on the session bus: %s", str_or_empty(sd_bus_message_get_error(m)->message));
	return 1;
}

/* The session ended; who comes next finds the socket by its path. */
static int on_gone(_unused_ sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct session_bus *s = userdata;

	log_debug("bus: the session bus is gone");
	sd_bus_detach_event(s->bus);
	return 1;
}

/*
 * Where the session bus is (D-Bus specification, "Well-known Message Bus Instances"); the caller frees. A local socket
 * alone: connecting to anything else may wait for a network.
 */
static char *find_address(void)
{
	const char *address = getenv("DBUS_SESSION_BUS_ADDRESS"), *dir = getenv("XDG_RUNTIME_DIR");

	if (address && *address)
		return strncmp(address, "unix:", strlen("unix:")) == 0 && !strchr(address, ';') ? xstrdup(address) : NULL;
	return dir && *dir == '/' ? xasprintf("unix:path=%s/bus", dir) : NULL;
}

static int open_bus(struct session_bus *s, sd_event *event)
{
	_cleanup_(freep) char *address = find_address();
	int r;

	if (!address)
		return -ENOENT;
	if ((r = sd_bus_new(&s->bus)) < 0 || (r = sd_bus_set_address(s->bus, address)) < 0 ||
	    (r = sd_bus_set_bus_client(s->bus, 1)) < 0 || (r = sd_bus_set_close_on_exit(s->bus, 0)) < 0)
		return err_origin(r);
	r = sd_bus_start(s->bus);
	if (r < 0)
		return r; /* nobody there: not worth a line */
	if (	    (r = sd_bus_add_object_vtable(s->bus, NULL, VARVE_PATH, VARVE_IFACE_MANAGER, vtable, s)) < 0 ||
	    (r = sd_bus_match_signal_async(s->bus, NULL, "org.freedesktop.DBus.Local", "/org/freedesktop/DBus/Local",
					   "org.freedesktop.DBus.Local", "Disconnected", on_gone, NULL, s)) < 0 ||
	    (r = sd_bus_request_name_async(s->bus, NULL, VARVE_BUS_NAME, 0, on_named, s)) < 0 ||
	    (r = sd_bus_attach_event(s->bus, event, SD_EVENT_PRIORITY_NORMAL)) < 0)
		return err_origin(r);
	return 0;
}

int session_bus_new(sd_event *event, struct hub *hub, const char *address, struct session_bus **ret)
{
	_cleanup_(session_bus_freep) struct session_bus *s = xnew(struct session_bus);
	int r;

	s->hub = hub;
	s->address = address;
	r = open_bus(s, event);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

struct session_bus *session_bus_free(struct session_bus *s)
{
	if (!s)
		return NULL;
	/* Not flushed: nobody is to wait for it. */
	sd_bus_close_unref(s->bus);
	free(s);
	return NULL;
}

void session_bus_tell(struct session_bus *s)
{
	if (s && sd_bus_is_ready(s->bus) > 0)
		sd_bus_emit_properties_changed(s->bus, VARVE_PATH, VARVE_IFACE_MANAGER, "State", "StateReason", "Network", NULL);
}
