#include "bus/roles.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/names.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

struct entry {
	const char *interface;
	const char *member;
	enum role role;
	bool property;
};

/* Properties say states and counts, never content: role status, so that introspecting tools work in every role. */
static const struct entry table[] = {
	{ VARVE_IFACE_MANAGER, "AddAccount", ROLE_ADMIN },
	{ VARVE_IFACE_MANAGER, "RemoveAccount", ROLE_ADMIN },
	{ VARVE_IFACE_MANAGER, "FindAccount", ROLE_STATUS },
	{ VARVE_IFACE_MANAGER, "GetStatus", ROLE_STATUS },
	{ VARVE_IFACE_MANAGER, "Diagnose", ROLE_STATUS },
	{ VARVE_IFACE_MANAGER, "Backup", ROLE_ADMIN },
	{ VARVE_IFACE_MANAGER, "SetInterest", ROLE_READ },
	{ VARVE_IFACE_MANAGER, "GetAddress", ROLE_STATUS },
	{ VARVE_IFACE_MANAGER, "Version", ROLE_STATUS, true },
	{ VARVE_IFACE_MANAGER, "ApiRevision", ROLE_STATUS, true },
	{ VARVE_IFACE_MANAGER, "Features", ROLE_STATUS, true },
	{ VARVE_IFACE_MANAGER, "Role", ROLE_STATUS, true },
	{ VARVE_IFACE_MANAGER, "State", ROLE_STATUS, true },
	{ VARVE_IFACE_MANAGER, "StateReason", ROLE_STATUS, true },
	{ VARVE_IFACE_MANAGER, "Network", ROLE_STATUS, true },

	{ VARVE_IFACE_KEYRING, "Unlock", ROLE_ADMIN },
	{ VARVE_IFACE_KEYRING, "Lock", ROLE_ADMIN },
	{ VARVE_IFACE_KEYRING, "ListSlots", ROLE_ADMIN },
	{ VARVE_IFACE_KEYRING, "AddSlot", ROLE_ADMIN },
	{ VARVE_IFACE_KEYRING, "RemoveSlot", ROLE_ADMIN },
	{ VARVE_IFACE_KEYRING, "ChangeSecret", ROLE_ADMIN },
	{ VARVE_IFACE_KEYRING, "Rotate", ROLE_ADMIN },
	{ VARVE_IFACE_KEYRING, "Locked", ROLE_STATUS, true },
	{ VARVE_IFACE_KEYRING, "Provider", ROLE_STATUS, true },
	{ VARVE_IFACE_KEYRING, "RetryAfterUSec", ROLE_STATUS, true },
	{ VARVE_IFACE_KEYRING, "AutoLockUSec", ROLE_STATUS, true },

	{ VARVE_IFACE_ACCOUNT, "Connect", ROLE_ADMIN },
	{ VARVE_IFACE_ACCOUNT, "Disconnect", ROLE_ADMIN },
	{ VARVE_IFACE_ACCOUNT, "SetPassword", ROLE_ADMIN },
	{ VARVE_IFACE_ACCOUNT, "Configure", ROLE_ADMIN },
	{ VARVE_IFACE_ACCOUNT, "GetConfig", ROLE_ADMIN },
	{ VARVE_IFACE_ACCOUNT, "SetPresence", ROLE_WRITE },
	{ VARVE_IFACE_ACCOUNT, "Jid", ROLE_STATUS, true },
	{ VARVE_IFACE_ACCOUNT, "Id", ROLE_STATUS, true },
	{ VARVE_IFACE_ACCOUNT, "Enabled", ROLE_STATUS, true },
	{ VARVE_IFACE_ACCOUNT, "State", ROLE_STATUS, true },
	{ VARVE_IFACE_ACCOUNT, "StateReason", ROLE_STATUS, true },
	{ VARVE_IFACE_ACCOUNT, "NextRetry", ROLE_STATUS, true },
	{ VARVE_IFACE_ACCOUNT, "Resource", ROLE_STATUS, true },
	{ VARVE_IFACE_ACCOUNT, "ServerFeatures", ROLE_STATUS, true },
	{ VARVE_IFACE_ACCOUNT, "DisplayName", ROLE_STATUS, true },

	{ VARVE_IFACE_SYNC, "SyncNow", ROLE_WRITE },
	{ VARVE_IFACE_SYNC, "Pause", ROLE_WRITE },
	{ VARVE_IFACE_SYNC, "Resume", ROLE_WRITE },
	{ VARVE_IFACE_SYNC, "ListGaps", ROLE_READ },
	{ VARVE_IFACE_SYNC, "GetCoverage", ROLE_READ },
	{ VARVE_IFACE_SYNC, "Fetch", ROLE_WRITE },
	{ VARVE_IFACE_SYNC, "Verify", ROLE_WRITE },
	{ VARVE_IFACE_SYNC, "State", ROLE_STATUS, true },
	{ VARVE_IFACE_SYNC, "Phase", ROLE_STATUS, true },
	{ VARVE_IFACE_SYNC, "Progress", ROLE_STATUS, true },
	{ VARVE_IFACE_SYNC, "GapCount", ROLE_STATUS, true },
	{ VARVE_IFACE_SYNC, "LostCount", ROLE_STATUS, true },
	{ VARVE_IFACE_SYNC, "MessageCount", ROLE_STATUS, true },
	{ VARVE_IFACE_SYNC, "CaughtUp", ROLE_STATUS, true },
	{ VARVE_IFACE_SYNC, "OldestTime", ROLE_STATUS, true },
	{ VARVE_IFACE_SYNC, "CaughtUpTime", ROLE_STATUS, true },

	{ VARVE_IFACE_ARCHIVE, "GetHistory", ROLE_READ },
	{ VARVE_IFACE_ARCHIVE, "GetMessages", ROLE_READ },
	{ VARVE_IFACE_ARCHIVE, "FindMessage", ROLE_READ },
	{ VARVE_IFACE_ARCHIVE, "Changes", ROLE_READ },
	{ VARVE_IFACE_ARCHIVE, "Search", ROLE_READ },
	{ VARVE_IFACE_ARCHIVE, "Send", ROLE_WRITE },
	{ VARVE_IFACE_ARCHIVE, "Edit", ROLE_WRITE },
	{ VARVE_IFACE_ARCHIVE, "Retract", ROLE_WRITE },
	{ VARVE_IFACE_ARCHIVE, "React", ROLE_WRITE },
	{ VARVE_IFACE_ARCHIVE, "Retry", ROLE_WRITE },
	{ VARVE_IFACE_ARCHIVE, "Cancel", ROLE_WRITE },
	{ VARVE_IFACE_ARCHIVE, "DeleteLocal", ROLE_ADMIN },
	{ VARVE_IFACE_ARCHIVE, "Export", ROLE_ADMIN },
	{ VARVE_IFACE_ARCHIVE, "Epoch", ROLE_STATUS, true },
	{ VARVE_IFACE_ARCHIVE, "Seq", ROLE_STATUS, true },
	{ VARVE_IFACE_ARCHIVE, "OldestSeq", ROLE_STATUS, true },
	{ VARVE_IFACE_ARCHIVE, "LastId", ROLE_STATUS, true },

	{ VARVE_IFACE_CONVERSATIONS, "List", ROLE_READ },
	{ VARVE_IFACE_CONVERSATIONS, "Get", ROLE_READ },
	{ VARVE_IFACE_CONVERSATIONS, "GetUnreadTotal", ROLE_READ },
	{ VARVE_IFACE_CONVERSATIONS, "Open", ROLE_WRITE },
	{ VARVE_IFACE_CONVERSATIONS, "Set", ROLE_WRITE },
	{ VARVE_IFACE_CONVERSATIONS, "MarkRead", ROLE_WRITE },
	{ VARVE_IFACE_CONVERSATIONS, "Delete", ROLE_ADMIN },
	{ VARVE_IFACE_CONVERSATIONS, "SetTyping", ROLE_WRITE },
	{ VARVE_IFACE_CONVERSATIONS, "GetTyping", ROLE_READ },

	{ VARVE_IFACE_ROSTER, "List", ROLE_READ },
	{ VARVE_IFACE_ROSTER, "Set", ROLE_WRITE },
	{ VARVE_IFACE_ROSTER, "Remove", ROLE_WRITE },
	{ VARVE_IFACE_ROSTER, "Authorize", ROLE_WRITE },
	{ VARVE_IFACE_ROSTER, "SetBlocked", ROLE_WRITE },
	{ VARVE_IFACE_ROSTER, "GetPresence", ROLE_READ },

	{ VARVE_IFACE_JOB, "Cancel", ROLE_WRITE },
	{ VARVE_IFACE_JOB, "Kind", ROLE_STATUS, true },
	{ VARVE_IFACE_JOB, "State", ROLE_STATUS, true },
	{ VARVE_IFACE_JOB, "Progress", ROLE_STATUS, true },
	{ VARVE_IFACE_JOB, "Error", ROLE_STATUS, true },
	{ VARVE_IFACE_JOB, "Result", ROLE_STATUS, true },
};

const char *role_name(enum role role)
{
	switch (role) {
	case ROLE_STATUS:
		return "status";
	case ROLE_READ:
		return "read";
	case ROLE_WRITE:
		return "write";
	case ROLE_ADMIN:
		return "admin";
	case ROLE_NOBODY:
		break;
	}
	return "nobody";
}

enum role role_of(const char *interface, const char *member)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].interface, interface) == 0 && strcmp(table[i].member, member) == 0)
			return table[i].role;
	return ROLE_NOBODY;
}

bool role_has_interface(const char *interface)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].interface, interface) == 0)
			return true;
	return false;
}

/* All properties of ${interface}, "" for every interface. */
static enum role role_of_properties(const char *interface)
{
	enum role role = ROLE_STATUS;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].property && (!*interface || strcmp(table[i].interface, interface) == 0) &&
		    table[i].role > role)
			role = table[i].role;
	return role;
}

/* A call without an interface (legal peer to peer) reaches whatever has such a member. */
static enum role role_of_bare_member(const char *member)
{
	enum role role = ROLE_STATUS;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].member, member) == 0 && table[i].role > role)
			role = table[i].role;
	if (strcmp(member, "Set") == 0)
		return ROLE_ADMIN;
	if (strcmp(member, "GetManagedObjects") == 0 || strcmp(member, "GetAll") == 0 || strcmp(member, "Get") == 0)
		role = role_of_properties("") > role ? role_of_properties("") : role;
	return role;
}

static enum role role_of_property_call(sd_bus_message *call, const char *member)
{
	const char *interface, *property;
	enum role role = ROLE_STATUS;
	int r;

	if (strcmp(member, "Get") == 0) {
		r = sd_bus_message_read(call, "ss", &interface, &property);
		/* Of another interface than ours: sd-bus answers that there is no such property. */
		if (r > 0 && strncmp(interface, VARVE_BUS_NAME, strlen(VARVE_BUS_NAME)) == 0)
			role = role_of(interface, property);
	} else if (strcmp(member, "GetAll") == 0) {
		r = sd_bus_message_read(call, "s", &interface);
		if (r > 0)
			role = role_of_properties(interface);
	} else {
		role = ROLE_ADMIN; /* Set */
	}
	sd_bus_message_rewind(call, true);
	return role;
}

enum role role_of_call(sd_bus_message *call)
{
	const char *interface = sd_bus_message_get_interface(call);
	const char *member = str_or_empty(sd_bus_message_get_member(call));

	if (!interface)
		return role_of_bare_member(member);
	if (strcmp(interface, PROPERTIES) == 0)
		return role_of_property_call(call, member);
	if (strcmp(interface, OBJECT_MANAGER) == 0)
		return role_of_properties("");
	if (strncmp(interface, VARVE_BUS_NAME, strlen(VARVE_BUS_NAME)) == 0)
		return role_of(interface, member);
	/* Peer, Introspectable and the driver shim say nothing about content. */
	return ROLE_STATUS;
}
