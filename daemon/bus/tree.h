/*
 * The object tree of ipc/org.varve.Varve1.xml: registers every vtable on one connection, maps accounts to paths.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

struct conn;

/* Which objects have an interface. */
enum tree_object { TREE_ROOT, TREE_ACCOUNT, TREE_JOB };

/* One interface of ours; tests walk the list. */
struct tree_interface {
	const char *name;
	const sd_bus_vtable *vtable;
	enum tree_object object;
};
/* Ends with a NULL name. */
extern const struct tree_interface tree_interfaces[];

/* The tables themselves, one file each; userdata of every handler is the struct conn. */
extern const sd_bus_vtable manager_vtable[];
extern const sd_bus_vtable keyring_vtable[];
extern const sd_bus_vtable account_vtable[];
extern const sd_bus_vtable sync_vtable[];
extern const sd_bus_vtable archive_vtable[];
extern const sd_bus_vtable conversations_vtable[];
extern const sd_bus_vtable roster_vtable[];
extern const sd_bus_vtable job_vtable[];

/* Register everything, the driver shim included. */
int tree_register(sd_bus *bus, struct conn *c);

/* The path of an account's object; the caller frees. */
char *tree_path(int64_t account);
/* The number behind ${prefix} in ${path}, in its one spelling; 0 if there is none. */
uint64_t tree_number(const char *path, const char *prefix);
/* The account that ${path} names, existing or not; 0 if it names none. */
int64_t tree_account(const char *path);
/* The call reads or writes messages or conversations: somebody waits for it in front of a screen, as a rule. */
bool tree_is_about_messages(sd_bus_message *call);
/* The call is for an account's object or interface, which are there only while the archive is open. */
bool tree_needs_archive(sd_bus_message *call);
/* The call carries a secret. */
bool tree_is_secret(sd_bus_message *call);
/* The account that a call is about; it existed when the call was dispatched. */
int64_t tree_call_account(sd_bus_message *call);
/* InterfacesRemoved for an account, or a job, that is gone already. */
int tree_emit_removed(sd_bus *bus, const char *path);
int tree_emit_job_removed(sd_bus *bus, const char *path);
