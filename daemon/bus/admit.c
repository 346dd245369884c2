#include "bus/admit.h"

#include <string.h>

#include "bus/errors.h"
#include "bus/tree.h"
#include "sync/hub-send.h"

int admit_by_state(struct hub *hub, sd_bus_message *call, sd_bus_error *error)
{
	return hub_state(hub) == HUB_READY || !tree_needs_archive(call) ? 0 : error_from_state(error, hub);
}

/* What no role may call is not there: a misspelt name is no question of permission. */
static int refuse_unknown(sd_bus_message *m, sd_bus_error *error)
{
	const char *interface = str_or_empty(sd_bus_message_get_interface(m));

	if (strncmp(interface, VARVE_BUS_NAME, strlen(VARVE_BUS_NAME)) != 0)
		return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_PROPERTY, "there is no such property");
	if (!role_has_interface(interface))
		return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_INTERFACE, "there is no such interface");
	return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_METHOD, "this interface has no such method");
}

int admit(const struct conn_config *who, sd_bus_message *call, size_t fds, sd_bus_error *error)
{
	enum role needed;
	int r;

	/* Also when it is refused here, before sd-bus looks into the vtable: wiped when it is freed. */
	if (tree_is_secret(call) && (r = sd_bus_message_sensitive(call)) < 0)
		return r;
	/* Else it would be kept open for as long as the call waits. */
	if (fds > 0 && !strchr(str_or_empty(sd_bus_message_get_signature(call, true)), SD_BUS_TYPE_UNIX_FD))
		return error_invalid(error, "this call takes no descriptor");
	needed = role_of_call(call);
	if (needed <= who->role) {
		if (tree_is_about_messages(call))
			hub_asked(who->hub);
		return admit_by_state(who->hub, call, error);
	}
	if (needed == ROLE_NOBODY)
		return refuse_unknown(call, error);
	return error_set(error, VARVE_ERROR_DENIED, "this connection has the role '%s', which may not call %s",
			 role_name(who->role), str_or_empty(sd_bus_message_get_member(call)));
}
