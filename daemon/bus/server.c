#define _GNU_SOURCE
#include "bus/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "bus/conn.h"
#include "bus/feed.h"
#include "bus/listen.h"
#include "bus/search.h"

#define CONNS_MAX 64				/* connections; facts/ipc.md section 2.1 no. 3 */
#define TICK_US (5 * UINT64_C(1000000))		/* how exactly deadlines of connections are kept */
#define TICK_ACCURACY_US (1 * UINT64_C(1000000))

struct server {
	sd_event *event;
	struct hub *hub;
	struct feed *feed;
	struct searches *searches;
	struct listeners listeners;
	sd_event_source *accepts[LISTENERS_MAX];
	sd_event_source *tick, *post;
	sd_id128_t id;
	uint64_t last_number;
	struct conn *conns[CONNS_MAX];
	size_t n_conns;
	int spare_fd; /* given up for a moment to refuse somebody when there are no fds left */
};

static void on_gone(void *userdata, struct conn *c)
{
	struct server *s = userdata;

	for (size_t i = 0; i < s->n_conns; i++)
		if (s->conns[i] == c) {
			s->conns[i] = s->conns[--s->n_conns];
			conn_free(c);
			return;
		}
}

/* What a peer may do: its own user everything the socket allows, root a look at states, others nothing. */
static bool grant(uid_t uid, enum role of_socket, enum role *ret)
{
	if (uid == geteuid()) {
		*ret = of_socket;
		return true;
	}
	*ret = ROLE_STATUS;
	return uid == 0;
}

static int adopt(struct server *s, const struct listener *l, int fd)
{
	struct conn_config config = {
		.event = s->event,
		.hub = s->hub,
		.feed = s->feed,
		.searches = s->searches,
		.server_id = s->id,
		.gone = on_gone,
		.userdata = s,
	};
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int r;

	/* sd-bus authorises nobody: the kernel's word counts, here. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || !grant(peer.uid, l->role, &config.role)) {
		log_warning("bus: a process of another user was refused");
		close(fd);
		return 0;
	}
	if (s->n_conns == CONNS_MAX) {
		log_warning("bus: refused pid %d: there are %d connections already", (int)peer.pid, CONNS_MAX);
		close(fd);
		return 0;
	}
	config.uid = peer.uid;
	config.pid = peer.pid;
	config.number = ++s->last_number;
	r = conn_new(&config, fd, &s->conns[s->n_conns]);
	if (r < 0)
		return err_trace(r);
	s->n_conns++;
	log_debug("bus: pid %d connected, role %s", (int)peer.pid, role_name(config.role));
	return 0;
}

/* Out of fds: without this the loop would spin on a socket that stays readable. */
static void refuse_one(struct server *s, int listen_fd)
{
	if (s->spare_fd < 0)
		return;
	close(s->spare_fd);
	s->spare_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_warning("bus: a connection was refused: varved has no file descriptors left");
}

static int on_accept(_unused_ sd_event_source *source, int fd, _unused_ uint32_t revents, void *userdata)
{
	struct server *s = userdata;
	const struct listener *l = &s->listeners.of[0];
	int c, r;

	for (size_t i = 0; i < s->listeners.n; i++)
		if (s->listeners.of[i].fd == fd)
			l = &s->listeners.of[i];
	c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c < 0 && (errno == EMFILE || errno == ENFILE)) {
		refuse_one(s, fd);
		return 0;
	}
	if (c < 0)
		return 0;
	r = adopt(s, l, c);
	if (r < 0)
		log_debug("bus: a connection could not be set up: %s", strerror(-r));
	return 0;
}

static bool needs_tick(struct server *s)
{
	for (size_t i = 0; i < s->n_conns; i++)
		if (conn_needs_tick(s->conns[i]))
			return true;
	return false;
}

static int on_tick(_unused_ sd_event_source *source, _unused_ uint64_t us, void *userdata)
{
	struct server *s = userdata;

	for (size_t i = 0; i < s->n_conns; i++)
		conn_tick(s->conns[i], clock_boot_us());
	return 0;
}

/* After every round of the loop: the timer runs only while some connection has a deadline. */
static int on_post(_unused_ sd_event_source *source, void *userdata)
{
	struct server *s = userdata;
	int on = SD_EVENT_OFF;

	sd_event_source_get_enabled(s->tick, &on);
	if (on != SD_EVENT_OFF || !needs_tick(s))
		return 0;
	sd_event_source_set_time_relative(s->tick, TICK_US);
	sd_event_source_set_enabled(s->tick, SD_EVENT_ONESHOT);
	return 0;
}

static int watch(struct server *s)
{
	int r;

	for (size_t i = 0; i < s->listeners.n; i++)
		if ((r = sd_event_add_io(s->event, &s->accepts[i], s->listeners.of[i].fd, EPOLLIN, on_accept, s)) < 0)
			return err_origin(r);
	if ((r = sd_event_add_time(s->event, &s->tick, CLOCK_MONOTONIC, 0, TICK_ACCURACY_US, on_tick, s)) < 0 ||
	    (r = sd_event_source_set_enabled(s->tick, SD_EVENT_OFF)) < 0 ||
	    (r = sd_event_add_post(s->event, &s->post, on_post, s)) < 0)
		return err_origin(r);
	return 0;
}

int server_new(sd_event *event, struct hub *hub, const char *dir, struct server **ret, char **ret_why)
{
	_cleanup_(server_freep) struct server *s = xnew(struct server);
	int r;

	s->event = event;
	s->hub = hub;
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	r = sd_id128_randomize(&s->id);
	if (r < 0)
		return err_origin(r);
	r = listeners_open(&s->listeners, dir, ret_why);
	if (r < 0)
		return err_trace(r);
	if (r > 0)
		return r == LISTEN_E_BUSY ? SERVER_E_BUSY : SERVER_E_UNUSABLE;
	r = searches_new(event, hub, &s->searches);
	if (r < 0)
		return err_trace(r);
	r = feed_new(event, hub, s->searches, &s->feed);
	if (r < 0)
		return err_trace(r);
	r = watch(s);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		sd_event_source_disable_unref(s->accepts[i]);
	sd_event_source_disable_unref(s->tick);
	sd_event_source_disable_unref(s->post);
	for (size_t i = 0; i < s->n_conns; i++)
		conn_free(s->conns[i]);
	feed_free(s->feed);
	searches_free(s->searches);
	listeners_close(&s->listeners);
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	free(s);
	return NULL;
}
