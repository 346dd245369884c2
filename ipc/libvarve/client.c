/*
 * The connection: made in the foreground or in the background, lost, and made anew.
 */
#include "ipc/libvarve/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MIN_US 100000
#define RETRY_MAX_US 2000000		     /* a daemon that starts is found within this time */
#define PING_US (5 * UINT64_C(1000000))	     /* of the background: a daemon that takes longer is as good as away */

uint64_t varve__client_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

char *varve_socket_path(const char *address)
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

int varve_new_id(char ret[VARVE_ID_SIZE])
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return -errno;
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0, at = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[at++] = '-';
		at += (size_t)snprintf(ret + at, VARVE_ID_SIZE - at, "%02x", b[i]);
	}
	return 0;
}

/*
 * A connected socket, or -errno. Done by hand and not by address, so that the caller learns the true errno.
 * ${timeout_us}: connect(2) on AF_UNIX waits while the backlog is full; 0: do not wait at all.
 */
static int dial(const char *path, uint64_t timeout_us)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval tv = { (time_t)(timeout_us / 1000000), (suseconds_t)(timeout_us % 1000000) };
	int fd, r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (timeout_us ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return -errno;
	if ((timeout_us && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0) ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return r;
	}
	return fd;
}

void varve__client_kick(struct varve *v)
{
	uint64_t one = 1;

	/* It fails only when it is kicked already. */
	if (write(v->kick_fd, &one, sizeof(one)) < 0)
		return;
}

static int on_kick(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
	uint64_t n;

	(void)s;
	(void)events;
	(void)userdata;
	if (read(fd, &n, sizeof(n)) < 0)
		return 0;
	return 0;
}

void varve__client_drop(struct varve *v)
{
	struct varve_slot **last = &v->failed;

	v->ping = sd_bus_slot_unref(v->ping);
	while (*last)
		last = &(*last)->next;
	*last = v->slots;
	v->slots = NULL;
	for (struct varve_slot *s = v->failed; s; s = s->next)
		s->bus_slot = sd_bus_slot_unref(s->bus_slot);
	sd_bus_detach_event(v->bus);
	sd_bus_close_unref(v->bus);
	v->bus = NULL;
	v->ready = false;
	v->gone = true;
	if (v->closed)
		return;
	varve__client_kick(v);
	varve__client_seek(v);
}

/* Sees every message first. A peer-to-peer server sends us only its own signals: no match is needed. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct varve *v = userdata;
	uint8_t type;

	(void)error;
	if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_SIGNAL)
		return 0;
	v->news++;
	/* What came before it was ready is found by the followers' first look. */
	if (!v->ready || sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected"))
		return 0;
	if (v->on_signal)
		v->on_signal(v->signal_userdata, m);
	if (!v->closed)
		varve__follow_signal(v, m);
	return 0;
}

/* A bus on the socket ${fd}, which is taken. */
static int make_bus(struct varve *v, int fd)
{
	sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_fd(bus, fd, fd);
	if (r < 0)
		close(fd);
	if (r >= 0)
		r = sd_bus_set_description(bus, "varved");
	if (r >= 0)
		r = sd_bus_negotiate_fds(bus, true);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus, v->timeout_us);
	if (r >= 0)
		r = sd_bus_add_filter(bus, NULL, on_message, v);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		r = sd_bus_attach_event(bus, v->event, 0);
	if (r < 0) {
		sd_bus_close_unref(bus);
		return r;
	}
	v->bus = bus;
	v->ready = false;
	return 0;
}

static int ping_new(struct varve *v, sd_bus_message **ret)
{
	return sd_bus_message_new_method_call(v->bus, ret, NULL, VARVE_PATH, "org.freedesktop.DBus.Peer", "Ping");
}

static void now_ready(struct varve *v)
{
	v->ready = true;
	v->retry_us = RETRY_MIN_US;
	sd_event_source_set_enabled(v->retry, SD_EVENT_OFF);
	varve__follow_connected(v);
	varve__client_kick(v);
}

static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct varve *v = userdata;

	(void)error;
	v->ping = sd_bus_slot_unref(v->ping);
	if (sd_bus_message_is_method_error(m, NULL))
		return 0; /* it closes by itself, or is closed by the timer */
	now_ready(v);
	return 0;
}

static void seek_at(struct varve *v, uint64_t in_us)
{
	sd_event_source_set_time(v->retry, varve__client_now_us() + in_us);
	sd_event_source_set_enabled(v->retry, SD_EVENT_ONESHOT);
	varve__client_kick(v); /* for the timer to be armed */
}

/* Does anybody wait for the connection to come back? */
static bool client_wanted(const struct varve *v)
{
	return v->follows || v->on_connection;
}

void varve__client_seek(struct varve *v)
{
	if (v->bus || !client_wanted(v))
		return;
	seek_at(v, v->retry_us);
	v->retry_us = v->retry_us * 2 < RETRY_MAX_US ? v->retry_us * 2 : RETRY_MAX_US;
}

/* Look for it once; if it is there, the Ping says when it is ready. */
static int on_retry(sd_event_source *s, uint64_t now, void *userdata)
{
	struct varve *v = userdata;
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int fd;

	(void)s;
	(void)now;
	if (v->bus && !v->ready) { /* it said nothing for PING_US */
		varve__client_drop(v);
		return 0;
	}
	if (v->bus || !client_wanted(v))
		return 0;
	fd = dial(v->path, 0);
	if (fd < 0 || make_bus(v, fd) < 0) {
		varve__client_seek(v);
		return 0;
	}
	if (ping_new(v, &m) < 0 || sd_bus_call_async(v->bus, &v->ping, m, on_pong, v, PING_US) < 0)
		varve__client_drop(v);
	else
		seek_at(v, PING_US);
	return 0;
}

/*
 * Authentication to its end. sd_bus_call() would do it too, but waits 90 s for a peer that accepts and says nothing
 * (BUS_AUTH_TIMEOUT of sd-bus), whatever the timeout of the call.
 */
static int authenticate(struct varve *v)
{
	uint64_t start = varve__client_now_us(), spent = 0;
	int r;

	while ((r = sd_bus_is_ready(v->bus)) == 0) {
		r = sd_bus_process(v->bus, NULL);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		spent = varve__client_now_us() - start;
		if (spent >= v->timeout_us)
			return -ETIMEDOUT;
		r = sd_bus_wait(v->bus, v->timeout_us - spent);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return r < 0 ? r : 0;
}

static int connect_now(struct varve *v)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(unref_message) sd_bus_message *m = NULL;
	int fd = dial(v->path, v->timeout_us), r;

	r = fd < 0 ? fd : make_bus(v, fd);
	if (r < 0)
		return varve__fail_bus(v, NULL, r);
	r = authenticate(v);
	if (r >= 0)
		r = ping_new(v, &m);
	if (r >= 0)
		r = sd_bus_call(v->bus, m, 0, &error, NULL);
	if (r < 0) {
		r = varve__fail_bus(v, NULL, r);
		varve__client_drop(v);
		return r;
	}
	now_ready(v);
	return 0;
}

int varve__client_ready(struct varve *v)
{
	int r;

	if (v->bus && v->ready && sd_bus_is_open(v->bus) > 0)
		return 0;
	if (v->bus)
		varve__client_drop(v);
	r = connect_now(v);
	if (r == -ENOENT || r == -ECONNREFUSED) /* for a call these would mean something else */
		return varve__fail(v, -ENOTCONN, SD_BUS_ERROR_DISCONNECTED,
				   "varved is not running: nobody listens on %s", v->path);
	return r;
}

static void destroy(struct varve *v)
{
	sd_event_source_disable_unref(v->kick);
	sd_event_source_disable_unref(v->retry);
	sd_event_unref(v->event);
	if (v->kick_fd >= 0)
		close(v->kick_fd);
}

void varve__client_unref(struct varve *v)
{
	if (--v->refs > 0)
		return;
	destroy(v);
	free(v->path);
	free(v->errname);
	free(v->errmsg);
	free(v);
}

int varve_open(const char *address, uint64_t timeout_usec, struct varve **ret)
{
	struct varve *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->refs = 1;
	v->timeout_us = timeout_usec ? timeout_usec : VARVE_TIMEOUT_USEC;
	v->retry_us = RETRY_MIN_US;
	v->path = varve_socket_path(address);
	v->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = !v->path ? -ENOMEM : v->kick_fd < 0 ? -errno : sd_event_new(&v->event);
	if (r >= 0)
		r = sd_event_add_io(v->event, &v->kick, v->kick_fd, EPOLLIN, on_kick, v);
	if (r >= 0)
		r = sd_event_add_time(v->event, &v->retry, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_retry, v);
	if (r >= 0)
		r = sd_event_source_set_enabled(v->retry, SD_EVENT_OFF);
	if (r >= 0)
		r = connect_now(v);
	v->told_ready = true; /* whoever asks later knows */
	if (r < 0) {
		varve_close(v);
		return r;
	}
	*ret = v;
	return 0;
}

/* Slots that the caller has stay, done; the others go. */
static void forget(struct varve_slot *list)
{
	while (list) {
		struct varve_slot *s = list;

		list = s->next;
		s->bus_slot = sd_bus_slot_unref(s->bus_slot);
		s->varve = NULL;
		s->next = NULL;
		if (!s->owned)
			free(s);
	}
}

struct varve *varve_close(struct varve *v)
{
	if (!v)
		return NULL;
	v->closed = true;
	v->on_connection = NULL;
	while (v->follows)
		varve_follow_free(v->follows);
	forget(v->slots);
	forget(v->failed);
	v->slots = v->failed = NULL;
	if (v->bus)
		varve__client_drop(v);
	varve_attach_event(v, NULL, 0);
	varve__client_unref(v);
	return NULL;
}

void varve_on_connection(struct varve *v, varve_connection_fn fn, void *userdata)
{
	v->on_connection = fn;
	v->connection_userdata = userdata;
	varve__client_seek(v);
}

void varve_on_signal(struct varve *v, varve_signal_fn fn, void *userdata)
{
	v->on_signal = fn;
	v->signal_userdata = userdata;
}
