/*
 * Who may call what: each member of the contract needs a role, a connection has one. One table beside the vtables; a
 * test compares the two, and a member without a role is refused to everybody.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

enum role {
	ROLE_STATUS, /* states and counts, no content: what an administrator may see */
	ROLE_READ,   /* content; the socket bus-ro */
	ROLE_WRITE,  /* what a chat application does */
	ROLE_ADMIN,  /* accounts and secrets; the socket bus */
	ROLE_NOBODY, /* not in the table */
};

/* "status" ...; static. */
const char *role_name(enum role role);

/* The role that ${member} (method or property) of ${interface} needs; ROLE_NOBODY if the table does not know it. */
enum role role_of(const char *interface, const char *member);

/* Whether the table knows any member of this interface. */
bool role_has_interface(const char *interface);

/* The role that this method call needs; properties included. ${call} is left rewound. */
enum role role_of_call(sd_bus_message *call);
