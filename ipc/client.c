#include "ipc/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct client {
	sd_bus *bus;
	bool rang; /* a signal arrived that nobody asked about yet */
};

char *client_socket_path(const char *address)
{
	const char *dir;
	char *path;

	if (address)
		return strdup(strncmp(address, "unix:path=", 10) == 0 ? address + 10 : address);
	dir = getenv("XDG_RUNTIME_DIR");
	if (dir && *dir == '/')
		return asprintf(&path, "%s/%s/%s", dir, VARVE_SOCKET_DIR, VARVE_SOCKET_NAME) < 0 ? NULL : path;
	return asprintf(&path, "/run/user/%u/%s/%s", (unsigned)getuid(), VARVE_SOCKET_DIR, VARVE_SOCKET_NAME) < 0
		       ? NULL
		       : path;
}

/* A connected socket, or -errno. Done by hand and not by address, so that the caller learns the true errno. */
static int dial(const char *path, uint64_t timeout_us)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	/* connect(2) on AF_UNIX waits while the backlog is full, for as long as SO_SNDTIMEO says. */
	struct timeval tv = { (time_t)(timeout_us / 1000000), (suseconds_t)(timeout_us % 1000000) };
	int fd, r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* Sees every message first; matches are not needed, for a peer-to-peer server sends us only its own signals. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct client *c = userdata;
	uint8_t type;

	(void)error;
	if (sd_bus_message_get_type(m, &type) >= 0 && type == SD_BUS_MESSAGE_SIGNAL)
		c->rang = true;
	return 0;
}

static uint64_t mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/*
 * Authentication to its end. sd_bus_call() would do it too, but waits 90 s for a peer that accepts and says nothing
 * (BUS_AUTH_TIMEOUT of sd-bus), whatever the timeout of the call.
 */
static int get_ready(struct client *c, uint64_t timeout_us)
{
	uint64_t start = mono_us(), spent = 0;
	int r;

	while ((r = sd_bus_is_ready(c->bus)) == 0) {
		r = sd_bus_process(c->bus, NULL);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		spent = mono_us() - start;
		if (spent >= timeout_us)
			return -ETIMEDOUT;
		r = sd_bus_wait(c->bus, timeout_us - spent);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return r < 0 ? r : 0;
}

int client_open(const char *path, uint64_t timeout_us, struct client **ret)
{
	struct client *c;
	int fd, r;

	fd = dial(path, timeout_us);
	if (fd < 0)
		return fd;
	c = calloc(1, sizeof(*c));
	r = c ? sd_bus_new(&c->bus) : -ENOMEM;
	if (r >= 0) {
		r = sd_bus_set_fd(c->bus, fd, fd);
		if (r >= 0)
			fd = -1; /* the bus has it now */
	}
	if (r >= 0)
		r = sd_bus_set_description(c->bus, "varved");
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(c->bus, timeout_us);
	if (r >= 0)
		r = sd_bus_add_filter(c->bus, NULL, on_message, c);
	if (r >= 0)
		r = sd_bus_start(c->bus);
	if (r >= 0)
		r = get_ready(c, timeout_us);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		client_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct client *client_free(struct client *c)
{
	if (c) {
		sd_bus_close_unref(c->bus);
		free(c);
	}
	return NULL;
}

int client_message(struct client *c, const char *path, const char *interface, const char *member,
		   sd_bus_message **ret)
{
	return sd_bus_message_new_method_call(c->bus, ret, NULL, path, interface, member);
}

int client_send(struct client *c, sd_bus_message *m, sd_bus_error *error, sd_bus_message **ret_reply)
{
	int r = sd_bus_call(c->bus, m, 0, error, ret_reply);

	return r < 0 ? r : 0;
}

struct pending {
	sd_bus_message *reply;
};

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct pending *p = userdata;

	(void)error;
	p->reply = sd_bus_message_ref(m);
	return 0;
}

#define TICK_US 250000

static int await(struct client *c, struct pending *p, uint64_t timeout_us, client_tick_fn tick, void *userdata)
{
	uint64_t start = mono_us(), spent;
	int r;

	for (;;) {
		r = sd_bus_process(c->bus, NULL);
		if (r < 0)
			return r;
		if (p->reply)
			return 0;
		if (r > 0)
			continue;
		spent = mono_us() - start;
		if (timeout_us && spent >= timeout_us)
			return -ETIMEDOUT;
		if (tick)
			tick(userdata);
		r = sd_bus_wait(c->bus, timeout_us && timeout_us - spent < TICK_US ? timeout_us - spent : TICK_US);
		if (r < 0 && r != -EINTR)
			return r;
	}
}

int client_send_long(struct client *c, sd_bus_message *m, uint64_t timeout_us, client_tick_fn tick, void *userdata,
		     sd_bus_error *error, sd_bus_message **ret_reply)
{
	struct pending p = { NULL };
	sd_bus_slot *slot = NULL;
	int r;

	r = sd_bus_call_async(c->bus, &slot, m, on_reply, &p, UINT64_MAX);
	if (r < 0)
		return r;
	r = await(c, &p, timeout_us, tick, userdata);
	sd_bus_slot_unref(slot);
	/* sd-bus makes up an answer when the connection ends: that is not the daemon's word. */
	if (r >= 0 && sd_bus_is_open(c->bus) <= 0)
		r = -ECONNRESET;
	if (r >= 0 && sd_bus_message_is_method_error(p.reply, NULL)) {
		sd_bus_error_copy(error, sd_bus_message_get_error(p.reply));
		r = -sd_bus_message_get_errno(p.reply);
	}
	if (r < 0 || !ret_reply) {
		sd_bus_message_unref(p.reply);
		return r < 0 ? r : 0;
	}
	*ret_reply = p.reply;
	return 0;
}

int client_call(struct client *c, const char *path, const char *interface, const char *member, sd_bus_error *error,
		sd_bus_message **ret_reply, const char *types, ...)
{
	sd_bus_message *m = NULL;
	va_list ap;
	int r;

	r = client_message(c, path, interface, member, &m);
	if (r >= 0 && *types) {
		va_start(ap, types);
		r = sd_bus_message_appendv(m, types, ap);
		va_end(ap);
	}
	if (r >= 0)
		r = client_send(c, m, error, ret_reply);
	sd_bus_message_unref(m);
	return r < 0 ? r : 0;
}

int client_property_string(struct client *c, const char *path, const char *interface, const char *name,
			   sd_bus_error *error, char **ret)
{
	return sd_bus_get_property_string(c->bus, NULL, path, interface, name, error, ret);
}

int client_property_u64(struct client *c, const char *path, const char *interface, const char *name,
			sd_bus_error *error, uint64_t *ret)
{
	return sd_bus_get_property_trivial(c->bus, NULL, path, interface, name, error, 't', ret);
}

int client_wait(struct client *c, uint64_t timeout_us)
{
	uint64_t start = mono_us(), spent = 0;
	int r;

	for (;;) {
		r = sd_bus_process(c->bus, NULL);
		if (r < 0)
			return r;
		if (r > 0)
			continue; /* take in all that is there: many signals are one reason to look */
		if (c->rang) {
			c->rang = false;
			return 1;
		}
		if (spent >= timeout_us)
			return 0;
		r = sd_bus_wait(c->bus, timeout_us - spent);
		if (r < 0 && r != -EINTR)
			return r;
		spent = mono_us() - start;
	}
}

/* The one place where error names become exit codes. What is not here is EXIT_FAIL. */
static const struct {
	const char *name;
	enum exit_code code;
} exits[] = {
	{ "org.freedesktop.DBus.Error.InvalidArgs", EXIT_USAGE },
	{ "org.freedesktop.DBus.Error.NoServer", EXIT_UNREACHABLE },
	{ "org.freedesktop.DBus.Error.Disconnected", EXIT_UNREACHABLE },
	{ "org.varve.Varve1.Error.NotFound", EXIT_NOT_FOUND },
	{ "org.varve.Varve1.Error.NoSuchConversation", EXIT_NOT_FOUND },
	{ "org.freedesktop.DBus.Error.UnknownObject", EXIT_NOT_FOUND },
	{ "org.varve.Varve1.Error.AuthFailed", EXIT_SECRET },
	{ "org.varve.Varve1.Error.Locked", EXIT_SECRET },
	{ "org.varve.Varve1.Error.WrongSecret", EXIT_SECRET },
	{ "org.varve.Varve1.Error.Offline", EXIT_OFFLINE },
	{ "org.freedesktop.DBus.Error.Timeout", EXIT_TIMEOUT },
	{ "org.freedesktop.DBus.Error.TimedOut", EXIT_TIMEOUT },
	{ "org.freedesktop.DBus.Error.NoReply", EXIT_TIMEOUT },
	{ "org.varve.Varve1.Error.Remote", EXIT_REMOTE },
	{ "org.freedesktop.DBus.Error.AccessDenied", EXIT_DENIED },
	{ "org.varve.Varve1.Error.Denied", EXIT_DENIED },
	{ "org.varve.Varve1.Error.Problems", EXIT_PROBLEMS },
	{ "org.freedesktop.DBus.Error.NotSupported", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.UnknownMethod", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.UnknownInterface", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.UnknownProperty", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.InvalidSignature", EXIT_VERSION },
	{ "org.freedesktop.DBus.Error.Failed", EXIT_FAIL },
};

enum exit_code client_exit_code(const sd_bus_error *error, int r)
{
	if (error && error->name)
		for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
			if (strcmp(exits[i].name, error->name) == 0)
				return exits[i].code;
	switch (-r) {
	case ECONNRESET:
	case ENOTCONN:
	case EPIPE:
	case ECONNREFUSED:
	case ENOENT:
		return error && error->name && strncmp(error->name, "System.", 7) != 0 ? EXIT_FAIL : EXIT_UNREACHABLE;
	case ETIMEDOUT:
		return EXIT_TIMEOUT;
	case EACCES:
	case EPERM:
		return EXIT_DENIED;
	}
	return EXIT_FAIL;
}

const char *client_error_name(enum exit_code code)
{
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		if (exits[i].code == code)
			return exits[i].name;
	return "org.freedesktop.DBus.Error.Failed";
}
