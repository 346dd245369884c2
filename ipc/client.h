/*
 * A client of varved: one private peer-to-peer D-Bus connection over a UNIX socket, blocking calls with a deadline,
 * and one question about signals: did anything ring? (Content never travels in signals: facts/ipc.md section 3.6.)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "ipc/names.h"

/* Exit codes of varvectl; scripts rely on them (varvectl(1)). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAIL = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3, /* the daemon is not running, or went away */
	EXIT_NOT_FOUND = 4,
	EXIT_SECRET = 5, /* locked, or a wrong secret */
	EXIT_OFFLINE = 6,
	EXIT_TIMEOUT = 7,
	EXIT_REMOTE = 8, /* refused by the server or the other party */
	EXIT_DENIED = 9,
	EXIT_PROBLEMS = 10, /* a check found some */
	EXIT_VERSION = 11, /* the two sides do not speak the same version */
};

struct client;

#define CLIENT_TIMEOUT_US (25 * UINT64_C(1000000)) /* a call; the same as D-Bus libraries use */

/*
 * The path of the socket: ${address} without a "unix:path=" in front, or $XDG_RUNTIME_DIR/varve/bus when it is NULL
 * (/run/user/UID instead of an XDG_RUNTIME_DIR that is not set, as varved does). The caller frees; NULL without memory.
 */
char *client_socket_path(const char *address);

/*
 * Connect to the socket at ${path}. ${timeout_us} bounds the connecting and each later call. Returns 0; -errno when
 * nobody listens (-ENOENT, -ECONNREFUSED), we may not (-EACCES), the daemon hangs up (-ECONNRESET) or says nothing
 * (-ETIMEDOUT).
 */
int client_open(const char *path, uint64_t timeout_us, struct client **ret);
struct client *client_free(struct client *c);
static inline void client_freep(struct client **c)
{
	client_free(*c);
}

/*
 * Call a method and wait for the answer. ${types} and the rest as in sd_bus_message_append(3). *ret_reply (may be
 * NULL) is the caller's to unref. Returns 0, or -errno with ${error} set.
 */
int client_call(struct client *c, const char *path, const char *interface, const char *member, sd_bus_error *error,
		sd_bus_message **ret_reply, const char *types, ...);

/* The same in two steps, for arguments that need containers. */
int client_message(struct client *c, const char *path, const char *interface, const char *member,
		   sd_bus_message **ret);
int client_send(struct client *c, sd_bus_message *m, sd_bus_error *error, sd_bus_message **ret_reply);

/*
 * The same for a call that may take minutes: ${timeout_us} is its own (0: none), and ${tick} is called with ${userdata}
 * about four times a second until the answer is there (NULL: none); it may make calls of its own.
 */
typedef void (*client_tick_fn)(void *userdata);
int client_send_long(struct client *c, sd_bus_message *m, uint64_t timeout_us, client_tick_fn tick, void *userdata,
		     sd_bus_error *error, sd_bus_message **ret_reply);

/* One property that is a string (the caller frees) or an unsigned number of 64 bits. */
int client_property_string(struct client *c, const char *path, const char *interface, const char *name,
			   sd_bus_error *error, char **ret);
int client_property_u64(struct client *c, const char *path, const char *interface, const char *name,
			sd_bus_error *error, uint64_t *ret);

/*
 * Wait until a signal came (also one that came since the last time), at most ${timeout_us}. Returns 1 if one did,
 * 0 if not, -errno when the connection is gone. Several signals may be one answer.
 */
int client_wait(struct client *c, uint64_t timeout_us);

/* What a script should see for ${error} (which may be unset: then by ${r}, a negative errno). */
enum exit_code client_exit_code(const sd_bus_error *error, int r);

/* The error name that stands for ${code} when varvectl itself finds the fault. */
const char *client_error_name(enum exit_code code);
