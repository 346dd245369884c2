#define _GNU_SOURCE
#include "bus/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "bus/conn.h"
#include "bus/driver.h"
#include "bus/job.h"
#include "ipc/names.h"

#define ACCOUNT_PREFIX VARVE_PATH_ACCOUNTS "/"

const struct tree_interface tree_interfaces[] = {
	{ VARVE_IFACE_MANAGER, manager_vtable, TREE_ROOT },
	{ VARVE_IFACE_KEYRING, keyring_vtable, TREE_ROOT },
	{ VARVE_IFACE_ACCOUNT, account_vtable, TREE_ACCOUNT },
	{ VARVE_IFACE_SYNC, sync_vtable, TREE_ACCOUNT },
	{ VARVE_IFACE_ARCHIVE, archive_vtable, TREE_ACCOUNT },
	{ VARVE_IFACE_CONVERSATIONS, conversations_vtable, TREE_ACCOUNT },
	{ VARVE_IFACE_ROSTER, roster_vtable, TREE_ACCOUNT },
	{ VARVE_IFACE_JOB, job_vtable, TREE_JOB },
	{ NULL },
};

char *tree_path(int64_t account)
{
	return xasprintf(ACCOUNT_PREFIX "%" PRId64, account);
}

uint64_t tree_number(const char *path, const char *prefix)
{
	uint64_t n = 0;
	const char *p;

	if (strncmp(path, prefix, strlen(prefix)) != 0)
		return 0;
	p = path + strlen(prefix);
	/* One spelling a number: no leading zero. And what has 18 digits fits. */
	if (*p == '0' || strlen(p) > 18)
		return 0;
	for (; *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (uint64_t)(*p - '0');
	return *p ? 0 : n;
}

int64_t tree_account(const char *path)
{
	return (int64_t)tree_number(path, ACCOUNT_PREFIX);
}

bool tree_needs_archive(sd_bus_message *call)
{
	const char *path = str_or_empty(sd_bus_message_get_path(call));
	const char *interface = str_or_empty(sd_bus_message_get_interface(call));

	if (strcmp(interface, "org.freedesktop.DBus.Peer") == 0)
		return false;
	for (const struct tree_interface *i = tree_interfaces; i->name; i++)
		if (i->object == TREE_ACCOUNT && strcmp(i->name, interface) == 0)
			return true;
	return strncmp(path, ACCOUNT_PREFIX, strlen(ACCOUNT_PREFIX)) == 0;
}

bool tree_is_about_messages(sd_bus_message *call)
{
	const char *interface = str_or_empty(sd_bus_message_get_interface(call));

	return strcmp(interface, VARVE_IFACE_ARCHIVE) == 0 || strcmp(interface, VARVE_IFACE_CONVERSATIONS) == 0;
}

bool tree_is_secret(sd_bus_message *call)
{
	const char *interface = str_or_empty(sd_bus_message_get_interface(call));
	const char *member = str_or_empty(sd_bus_message_get_member(call));

	/* Without an interface (legal peer to peer) the member alone decides: better one too many. */
	for (const struct tree_interface *i = tree_interfaces; i->name; i++)
		for (const sd_bus_vtable *v = i->vtable; v->type != _SD_BUS_VTABLE_END; v++)
			if (v->type == _SD_BUS_VTABLE_METHOD && v->flags & SD_BUS_VTABLE_SENSITIVE &&
			    strcmp(v->x.method.member, member) == 0 && (!*interface || strcmp(i->name, interface) == 0))
				return true;
	return false;
}

int64_t tree_call_account(sd_bus_message *call)
{
	return tree_account(str_or_empty(sd_bus_message_get_path(call)));
}

static int find_account(_unused_ sd_bus *bus, const char *path, _unused_ const char *interface, void *userdata,
			void **ret_found, _unused_ sd_bus_error *error)
{
	struct conn *c = userdata;
	int64_t id = tree_account(path);

	if (id == 0 || !hub_account(conn_hub(c), id))
		return 0;
	*ret_found = c;
	return 1;
}

static int list_accounts(_unused_ sd_bus *bus, _unused_ const char *prefix, void *userdata, char ***ret_nodes,
			 _unused_ sd_bus_error *error)
{
	struct hub *hub = conn_hub(userdata);
	size_t n = hub_account_count(hub);
	char **nodes = xnewn(char *, n + 1);

	for (size_t i = 0; i < n; i++)
		nodes[i] = tree_path(hub_account_id(hub, i));
	*ret_nodes = nodes;
	return 0;
}

static int find_job(_unused_ sd_bus *bus, const char *path, _unused_ const char *interface, void *userdata,
		    void **ret_found, _unused_ sd_bus_error *error)
{
	if (!jobs_has(conn_config(userdata)->jobs, job_number(path)))
		return 0;
	*ret_found = userdata;
	return 1;
}

static int list_jobs(_unused_ sd_bus *bus, _unused_ const char *prefix, void *userdata, char ***ret_nodes,
		     _unused_ sd_bus_error *error)
{
	*ret_nodes = jobs_paths(conn_config(userdata)->jobs);
	return 0;
}

static int register_one(sd_bus *bus, struct conn *c, const struct tree_interface *i)
{
	switch (i->object) {
	case TREE_ROOT:
		return sd_bus_add_object_vtable(bus, NULL, VARVE_PATH, i->name, i->vtable, c);
	case TREE_ACCOUNT:
		return sd_bus_add_fallback_vtable(bus, NULL, VARVE_PATH_ACCOUNTS, i->name, i->vtable, find_account, c);
	case TREE_JOB:
		return sd_bus_add_fallback_vtable(bus, NULL, VARVE_PATH_JOBS, i->name, i->vtable, find_job, c);
	}
	return -EINVAL;
}

int tree_register(sd_bus *bus, struct conn *c)
{
	int r;

	/* A NULL handler with arguments makes a whole table fail: every result is looked at. */
	for (const struct tree_interface *i = tree_interfaces; i->name; i++) {
		r = register_one(bus, c, i);
		if (r < 0)
			return err_origin(r);
	}
	if ((r = sd_bus_add_node_enumerator(bus, NULL, VARVE_PATH_ACCOUNTS, list_accounts, c)) < 0 ||
	    (r = sd_bus_add_node_enumerator(bus, NULL, VARVE_PATH_JOBS, list_jobs, c)) < 0 ||
	    (r = sd_bus_add_object_manager(bus, NULL, VARVE_PATH)) < 0)
		return err_origin(r);
	return driver_register(bus, c);
}

int tree_emit_removed(sd_bus *bus, const char *path)
{
	/* sd_bus_emit_object_removed() asks for the object, which is gone; so name what InterfacesAdded names. */
	return sd_bus_emit_interfaces_removed(bus, path, "org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable",
					      "org.freedesktop.DBus.Properties", VARVE_IFACE_ACCOUNT, VARVE_IFACE_SYNC,
					      VARVE_IFACE_ARCHIVE, VARVE_IFACE_CONVERSATIONS, VARVE_IFACE_ROSTER, NULL);
}

int tree_emit_job_removed(sd_bus *bus, const char *path)
{
	return sd_bus_emit_interfaces_removed(bus, path, "org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable",
					      "org.freedesktop.DBus.Properties", VARVE_IFACE_JOB, NULL);
}
