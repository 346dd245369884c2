#define _GNU_SOURCE
#include "bus/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "bus/batch.h"
#include "bus/conn.h"
#include "bus/ephemeral.h"
#include "bus/feed.h"
#include "bus/job.h"
#include "bus/lease.h"
#include "bus/listen.h"
#include "bus/mailbox.h"
#include "bus/search.h"
#include "bus/session-bus.h"
#include "ipc/names.h"
#include "sync/hub-send.h"

/*
 * Connections. facts/ipc.md section 2.1 no. 3 has 64; a hundred subscribers are to be served (issue 6), an idle one takes
 * about 15 kB. The last ones are for processes that have few, so that one that leaks them does not lock the others out.
 */
#define CONNS_MAX 160
#define CONNS_FREE_FOR_ALL 128
#define CONNS_FEW 4
#define CONNS_READERS 96 /* that change nothing (bus-ro): whoever was given that socket alone does not lock out the others */
#define CONNS_OTHERS 16 /* of other users, who see states and counts at most: they do not lock out whose daemon it is */
#define REFUSED_LOG_US (60 * INT64_C(1000000)) /* between two lines about refused connections */
/* So many at a time: an accept() that fails for want of memory leaves the connection waiting, and would be tried without end. */
#define ACCEPT_EVERY_US (UINT64_C(100) * 1000)
#define ACCEPT_MANY 500 /* five thousand a second: more than any client connects, and 1 % of the time of a core */
#define TICK_US (5 * UINT64_C(1000000))		/* how exactly deadlines of connections are kept */
#define TICK_ACCURACY_US (1 * UINT64_C(1000000))

struct server {
	sd_event *event;
	struct hub *hub;
	struct mailboxes *mailboxes;
	struct jobs *jobs;
	struct searches *searches;
	struct batches *batches;
	struct feed *feed;
	struct actives actives;
	struct users users;
	size_t queued_bytes, held_bytes;
	uint64_t refused;
	int64_t refused_us; /* when that was logged last */
	char *address;
	struct session_bus *session_bus;
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

/*
 * What a peer may do: its own user everything the socket allows, root a look at states, others nothing but what a socket
 * for them allows.
 */
static bool grant(uid_t uid, const struct listener *l, enum role *ret)
{
	if (uid == geteuid()) {
		*ret = l->role;
		return true;
	}
	*ret = ROLE_STATUS;
	return uid == 0 || l->others;
}

static bool has_place(const struct server *s, uid_t uid, pid_t pid, enum role role)
{
	size_t own = 0, others = 0, readers = 0;

	for (size_t i = 0; i < s->n_conns; i++) {
		own += conn_config(s->conns[i])->pid == pid;
		others += conn_config(s->conns[i])->uid != geteuid();
		readers += conn_config(s->conns[i])->role <= ROLE_READ;
	}
	if (role <= ROLE_READ && readers >= CONNS_READERS)
		return false;
	if (uid != geteuid() && others >= CONNS_OTHERS)
		return false;
	return s->n_conns < CONNS_FREE_FOR_ALL || (s->n_conns < CONNS_MAX && own < CONNS_FEW);
}

/* A client that tries again and again must not fill the log. */
static void say_refused(struct server *s, pid_t pid)
{
	int64_t now_us = clock_boot_us();

	s->refused++;
	if (s->refused_us && now_us - s->refused_us < REFUSED_LOG_US)
		return;
	log_warning("bus: refused pid %d: there are %zu connections already (%llu refused so far)", (int)pid, s->n_conns,
		    (unsigned long long)s->refused);
	s->refused_us = now_us;
}

static int adopt(struct server *s, const struct listener *l, int fd)
{
	struct conn_config config = {
		.event = s->event,
		.hub = s->hub,
		.mailboxes = s->mailboxes,
		.searches = s->searches,
		.batches = s->batches,
		.jobs = s->jobs,
		.actives = &s->actives,
		.users = &s->users,
		.address = s->address,
		.queued_bytes = &s->queued_bytes,
		.held_bytes = &s->held_bytes,
		.server_id = s->id,
		.gone = on_gone,
		.userdata = s,
	};
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int r;

	/* sd-bus authorises nobody: the kernel's word counts, here. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || !grant(peer.uid, l, &config.role)) {
		log_warning("bus: a process of another user was refused");
		close(fd);
		return 0;
	}
	if (!has_place(s, peer.uid, peer.pid, config.role)) {
		say_refused(s, peer.pid);
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
		if ((r = sd_event_add_io(s->event, &s->accepts[i], s->listeners.of[i].fd, EPOLLIN, on_accept, s)) < 0 ||
		    (r = sd_event_source_set_ratelimit(s->accepts[i], ACCEPT_EVERY_US, ACCEPT_MANY)) < 0)
			return err_origin(r);
	if ((r = sd_event_add_time(s->event, &s->tick, CLOCK_MONOTONIC, 0, TICK_ACCURACY_US, on_tick, s)) < 0 ||
	    (r = sd_event_source_set_enabled(s->tick, SD_EVENT_OFF)) < 0 ||
	    (r = sd_event_add_post(s->event, &s->post, on_post, s)) < 0)
		return err_origin(r);
	return 0;
}

/* ---- ephemeral news ---- */

static void on_typing(void *userdata, int64_t account, const char *conversation, const char *sender, uint32_t chat_state)
{
	struct server *s = userdata;
	struct ephemeral e = { .account = account };

	for (size_t i = 0; i < s->n_conns; i++)
		if (conn_wants_ephemeral(s->conns[i], account, VARVE_IFACE_CONVERSATIONS, "Typing", conversation))
			ephemeral_typing(&e, conn_bus(s->conns[i]), conversation, sender, chat_state);
	ephemeral_deinit(&e);
}

static void on_presence(void *userdata, int64_t account, const struct presence_row *row)
{
	struct server *s = userdata;
	struct ephemeral e = { .account = account };

	for (size_t i = 0; i < s->n_conns; i++)
		if (conn_wants_ephemeral(s->conns[i], account, VARVE_IFACE_ROSTER, "Presence", NULL))
			ephemeral_presence(&e, conn_bus(s->conns[i]), row);
	ephemeral_deinit(&e);
}

static const struct hub_ephemeral ephemeral = { .typing = on_typing, .presence = on_presence };

/* ---- the server ---- */

/* "unix:path=..." with what is special there escaped (D-Bus specification, "Server Addresses"); "" without a path. */
static char *address_of(const struct listeners *l)
{
	_cleanup_(freep) char *path = listeners_path(l);
	_cleanup_(buf_deinit) struct buf b = { 0 };

	if (!*path)
		return xstrdup("");
	buf_adds(&b, "unix:path=");
	for (const char *p = path; *p; p++)
		if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || strchr("-_/.*", *p))
			buf_add(&b, p, 1);
		else
			buf_addf(&b, "%%%02x", (unsigned char)*p);
	return buf_steal(&b);
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
	s->address = address_of(&s->listeners);
	s->actives.hub = s->users.hub = hub;
	s->batches = batches_new();
	if ((r = searches_new(event, hub, &s->searches)) < 0 ||
	    (r = mailboxes_new(event, hub, &s->mailboxes)) < 0 ||
	    (r = jobs_new(event, s->mailboxes, &s->users, &s->jobs)) < 0)
		return err_trace(r);
	mailboxes_set_jobs(s->mailboxes, s->jobs);
	/* Nothing depends on it, and there may be none. */
	r = session_bus_new(event, hub, s->address, &s->session_bus);
	if (r < 0)
		log_debug("bus: no session bus: %s", strerror(-r));
	r = feed_new(event, hub, &(struct feed_listeners){ s->mailboxes, s->searches, s->jobs, s->batches, s->session_bus }, &s->feed);
	if (r < 0)
		return err_trace(r);
	hub_observe_ephemeral(hub, &ephemeral, s);
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
	if (s->hub)
		hub_observe_ephemeral(s->hub, NULL, NULL);
	feed_free(s->feed);
	session_bus_free(s->session_bus);
	jobs_free(s->jobs);
	mailboxes_free(s->mailboxes);
	searches_free(s->searches);
	batches_free(s->batches);
	free(s->address);
	listeners_close(&s->listeners);
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	free(s);
	return NULL;
}
