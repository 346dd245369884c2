#include "bus/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/intake.h"
#include "base/log.h"
#include "bus/admit.h"
#include "bus/changes.h"
#include "bus/errors.h"
#include "bus/held.h"
#include "bus/job.h"
#include "bus/later.h"
#include "bus/lease.h"
#include "bus/mailbox.h"
#include "bus/match.h"
#include "bus/stall.h"
#include "bus/tree.h"
#include "bus/turn.h"

struct deferred {
	sd_bus_message *call;
	sd_bus_message_handler_t handler;
	size_t bytes;
};

struct conn {
	struct conn_config config;
	sd_bus *bus;
	char *name;
	int fd; /* the bus's, under a number of our own */
	int bus_fd;
	sd_event_source *io;
	struct turn more; /* there may be more to process */
	struct matches *matches;
	struct mailbox *mailbox;
	bool spoke; /* has called something */
	bool said_hello;
	bool uses; /* counted in users */
	bool wrote; /* in this round */
	const char *doomed; /* why it is about to be closed; static */

	struct deferred deferred[CONN_DEFERRED_MAX]; /* ring */
	size_t deferred_at, n_deferred;
	bool running_deferred;
	size_t queued_bytes;
	struct held held;
	size_t call_bytes; /* of the call that is being handled */
	struct later *laters;
	struct changes_runs runs;
	struct lease *lease;

	struct stall stall;
};

sd_bus *conn_bus(struct conn *c)
{
	return c->bus;
}

struct hub *conn_hub(struct conn *c)
{
	return c->config.hub;
}

const struct conn_config *conn_config(const struct conn *c)
{
	return &c->config;
}

const char *conn_name(const struct conn *c)
{
	return c->name;
}

struct matches *conn_matches(struct conn *c)
{
	return c->matches;
}

struct changes_runs *conn_runs(struct conn *c)
{
	return &c->runs;
}

struct later **conn_laters(struct conn *c)
{
	return &c->laters;
}

struct lease *conn_lease(struct conn *c)
{
	return c->lease;
}

bool conn_hello(struct conn *c)
{
	bool first = !c->said_hello;

	c->said_hello = true;
	return first;
}

static void forget_bytes(struct conn *c)
{
	*c->config.queued_bytes -= c->queued_bytes;
	c->queued_bytes = 0;
}

static uint64_t queued(struct conn *c)
{
	uint64_t n = 0;

	if (sd_bus_get_n_queued_write(c->bus, &n) < 0)
		return 0;
	if (n == 0)
		forget_bytes(c);
	return n;
}

static bool congested(struct conn *c)
{
	return queued(c) > CONN_QUEUE_STOP || c->queued_bytes > CONN_BYTES_STOP ||
	       (c->queued_bytes > 0 && *c->config.queued_bytes > CONN_TOTAL_STOP);
}

static void doom(struct conn *c, const char *why)
{
	if (!c->doomed)
		c->doomed = why;
	turn_arm(&c->more);
}

int conn_keep(struct conn *c, size_t *ret_bytes, sd_bus_error *error)
{
	if (!held_keep(&c->held, c->call_bytes))
		return error_set(error, VARVE_ERROR_LIMIT_EXCEEDED, "too much is held for clients already: ask again, or with a "
				 "shorter call");
	*ret_bytes = c->call_bytes;
	return 0;
}

void conn_drop(struct conn *c, size_t bytes)
{
	held_drop(&c->held, bytes);
}

static bool refuse_defer(sd_bus_message *call, sd_bus_error *error)
{
	sd_bus_reply_method_error(call, error);
	return true;
}

bool conn_defer(struct conn *c, sd_bus_message *call, sd_bus_message_handler_t handler)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct deferred *d;
	size_t bytes;

	if (c->running_deferred || (c->n_deferred == 0 && !congested(c)))
		return false;
	if (c->n_deferred == CONN_DEFERRED_MAX) {
		error_set(&error, VARVE_ERROR_LIMIT_EXCEEDED,
			  "too many calls are waiting: take the answers before asking for more");
		return refuse_defer(call, &error);
	}
	if (conn_keep(c, &bytes, &error) < 0)
		return refuse_defer(call, &error);
	d = &c->deferred[(c->deferred_at + c->n_deferred++) % CONN_DEFERRED_MAX];
	*d = (struct deferred){ sd_bus_message_ref(call), handler, bytes };
	return true;
}

int conn_reply(struct conn *c, sd_bus_message *reply, size_t bytes)
{
	int r = sd_bus_send(NULL, reply, NULL);

	if (r < 0)
		return err_trace(r);
	/* Written at once: it is the kernel's, and bounded there. */
	if (queued(c) > 0) {
		c->queued_bytes += bytes;
		*c->config.queued_bytes += bytes;
	}
	return 1;
}

void conn_wrote(struct conn *c)
{
	c->wrote = true;
}

/* The round is over for this connection. */
static bool had_its_turn(const struct conn *c, int64_t begun_us)
{
	return c->wrote || clock_boot_us() - begun_us > CONN_SLICE_US;
}

/* What sd-bus does after a vtable handler, for those that run later. */
static void run_deferred(struct conn *c, int64_t begun_us)
{
	for (int i = 0; i < CONN_BATCH && c->n_deferred > 0 && !congested(c) && !(i > 0 && had_its_turn(c, begun_us)); i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		struct deferred d = c->deferred[c->deferred_at];
		int r;

		c->deferred_at = (c->deferred_at + 1) % CONN_DEFERRED_MAX;
		c->n_deferred--;
		held_drop(&c->held, d.bytes);
		c->call_bytes = d.bytes;
		c->running_deferred = true;
		r = admit_by_state(c->config.hub, d.call, &error);
		if (r >= 0)
			r = d.handler(d.call, c, &error);
		c->running_deferred = false;
		if (sd_bus_error_is_set(&error))
			sd_bus_reply_method_error(d.call, &error);
		else if (r < 0)
			sd_bus_reply_method_errno(d.call, r, NULL);
		sd_bus_message_unref(d.call);
	}
}

/* Who only looks at states is no user: something may look every minute. */
static void note_use(struct conn *c, sd_bus_message *call)
{
	enum role needed;

	if (c->uses || c->config.role < ROLE_WRITE)
		return;
	needed = role_of_call(call);
	if (needed == ROLE_STATUS || needed > c->config.role)
		return;
	c->uses = true;
	users_come(c->config.users);
}

/* Runs before sd-bus looks at a message (facts/ipc.md section 1.1). */
static int on_any_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct conn *c = userdata;
	struct intake whole;
	uint8_t type;
	int r;

	whole = held_whole(&c->held, intake_taken());
	c->call_bytes = whole.bytes;
	r = sd_bus_message_get_type(m, &type);
	if (r < 0)
		return r;
	/* Clients have nothing to tell but calls; we call nobody. */
	if (type != SD_BUS_MESSAGE_METHOD_CALL)
		return 1;
	c->spoke = true;
	note_use(c, m);
	return admit(&c->config, m, whole.fds, error);
}

/* How much sd-bus may read now. Of authentication one line: then nothing of the first call comes with it uncounted. */
static size_t allowance(const struct conn *c)
{
	char text[CONN_LINE];
	const char *end;
	ssize_t n;

	if (sd_bus_is_ready(c->bus) > 0)
		return CONN_READ;
	n = recv(c->fd, text, sizeof(text), MSG_PEEK | MSG_DONTWAIT);
	/* Nothing more than what was seen here; the end and errors are sd-bus's to see. */
	if (n < 0 && errno == EAGAIN)
		return 0;
	end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;
	return end ? (size_t)(end - text) + 1 : n > 0 ? (size_t)n : sizeof(text);
}

/* One step of sd-bus: one message, or a part of one. */
static int process(struct conn *c)
{
	bool calls = sd_bus_is_ready(c->bus) > 0; /* else it is authentication, which has limits of its own */
	struct intake part;
	const char *why;
	int r;

	intake_begin(c->bus_fd, allowance(c));
	r = sd_bus_process(c->bus, NULL);
	part = intake_end();
	why = calls ? held_read(&c->held, part) : NULL;
	if (why)
		doom(c, why);
	return r;
}

/*
 * Process what is there: first what was put off, so that it does not grow while it can shrink. While some of that is left,
 * or the connection is congested, only one step: it writes, and at most lets one call through.
 */
static int pump(struct conn *c)
{
	int64_t begun_us = clock_boot_us();
	int r = 1;

	c->wrote = false;
	run_deferred(c, begun_us);
	if (c->n_deferred > 0 && queued(c) == 0) {
		turn_arm(&c->more);
		return 0;
	}
	for (int n = 0; n < CONN_BATCH && r > 0 && !c->doomed; n++) {
		if (n > 0 && (c->n_deferred > 0 || congested(c) || had_its_turn(c, begun_us)))
			break;
		r = process(c);
	}
	if (r < 0)
		return r;
	if (queued(c) > CONN_QUEUE_CLOSE)
		doom(c, "does not take its answers");
	if (!congested(c) && (r > 0 || c->n_deferred > 0))
		turn_arm(&c->more);
	return 0;
}

static int on_ready(struct conn *c)
{
	int r = c->doomed ? -ECONNABORTED : pump(c);

	if (r >= 0)
		return 0;
	log_debug("bus: %s (pid %d) is gone%s%s", c->name, (int)c->config.pid, c->doomed ? ": " : "",
		  str_or_empty(c->doomed));
	c->config.gone(c->config.userdata, c);
	return 0;
}

static int on_io(_unused_ sd_event_source *s, _unused_ int fd, _unused_ uint32_t revents, void *userdata)
{
	return on_ready(userdata);
}

static void on_more(void *userdata)
{
	(void)on_ready(userdata);
}

static bool wants(void *userdata, const char *path, const char *interface, const char *member)
{
	struct conn *c = userdata;

	/* Before its first call nobody knows whether it is a bus client, whom a signal before the answer to Hello
	 * confuses (sd-bus drops the connection). */
	if (!c->spoke || sd_bus_is_ready(c->bus) <= 0)
		return false;
	return !c->said_hello || matches_want(c->matches, path, interface, member);
}

bool conn_wants_ephemeral(struct conn *c, int64_t account, const char *interface, const char *member,
			  const char *conversation)
{
	const struct interest *i = lease_interest(c->lease);
	_cleanup_(freep) char *path = NULL;

	/* They say who talks to whom: content. */
	if (c->doomed || c->config.role < ROLE_READ || !i->ephemeral || queued(c) > 0 ||
	    (conversation && !interest_has_conversation(i, conversation)))
		return false;
	path = tree_path(account);
	return wants(c, path, interface, member);
}

/* Before the loop sleeps: ring what is due, then listen for what makes sense. */
static int on_prepare(_unused_ sd_event_source *s, void *userdata)
{
	struct conn *c = userdata;
	int events;

	if (c->doomed)
		return 0;
	/* One pending doorbell: while something is queued, news collect in the mailbox. */
	if (queued(c) == 0)
		mailbox_deliver(c->mailbox, c->bus, wants, c);
	events = sd_bus_get_events(c->bus);
	if (events < 0) {
		doom(c, "closed");
		return 0;
	}
	if (congested(c) || c->n_deferred > 0)
		events &= ~EPOLLIN;
	sd_event_source_set_io_events(c->io, (uint32_t)events);
	return 0;
}

bool conn_needs_tick(struct conn *c)
{
	return sd_bus_is_ready(c->bus) <= 0 || queued(c) > 0 || c->held.coming.bytes > 0;
}

void conn_tick(struct conn *c, int64_t now_us)
{
	struct stall_look look = { .ready = sd_bus_is_ready(c->bus) > 0, .coming = c->held.coming.bytes, .queued = queued(c) };
	const char *why;

	if (ioctl(c->fd, SIOCOUTQ, &look.outq) < 0)
		look.outq = 0;
	why = stall_check(&c->stall, &look, now_us);
	if (why)
		doom(c, why);
}

static int start_bus(struct conn *c, int fd)
{
	int sndbuf = CONN_SNDBUF;
	int r;

	if ((r = sd_bus_new(&c->bus)) < 0)
		return err_origin(r);
	/* sd-bus owns the fd from here on. */
	c->bus_fd = fd;
	if ((r = sd_bus_set_fd(c->bus, fd, fd)) < 0) {
		close(fd);
		return err_origin(r);
	}
	/*
	 * sd-bus closes its fd by itself when the peer hangs up; the number may then belong to another socket while our
	 * event source still stands. So the source watches a number of our own.
	 */
	c->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (c->fd < 0)
		return err_origin(-errno);
	if ((r = sd_bus_set_description(c->bus, c->name)) < 0 ||
	    (r = sd_bus_set_server(c->bus, 1, c->config.server_id)) < 0 ||
	    (r = sd_bus_negotiate_fds(c->bus, 1)) < 0 ||
	    (r = sd_bus_set_sender(c->bus, VARVE_UNIQUE_NAME)) < 0 ||
	    (r = sd_bus_add_filter(c->bus, NULL, on_any_message, c)) < 0 ||
	    (r = tree_register(c->bus, c)) < 0 ||
	    (r = sd_bus_start(c->bus)) < 0)
		return err_origin(r);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf)) < 0)
		return err_origin(-errno);
	return 0;
}

int conn_new(const struct conn_config *config, int fd, struct conn **ret)
{
	_cleanup_(conn_freep) struct conn *c = xnew(struct conn);
	int r;

	c->config = *config;
	c->fd = -1;
	turn_init(&c->more, config->event, SD_EVENT_PRIORITY_NORMAL, on_more, c);
	c->name = xasprintf(":1.%llu", (unsigned long long)config->number);
	c->matches = matches_new();
	c->held.all = config->held_bytes;
	c->lease = lease_new(config->actives);
	c->mailbox = mailbox_new(config->mailboxes, lease_interest(c->lease));
	stall_init(&c->stall, clock_boot_us());
	r = start_bus(c, fd);
	if (r < 0)
		return r;
	if ((r = sd_event_add_io(config->event, &c->io, c->fd, EPOLLIN, on_io, c)) < 0 ||
	    (r = sd_event_source_set_prepare(c->io, on_prepare)) < 0)
		return err_origin(r);
	/* Bytes that came with BEGIN wait inside sd-bus. */
	turn_arm(&c->more);
	*ret = TAKE_PTR(c);
	return 0;
}

struct conn *conn_free(struct conn *c)
{
	if (!c)
		return NULL;
	sd_event_source_disable_unref(c->io);
	turn_deinit(&c->more);
	later_drop_all(c);
	jobs_owner_gone(c->config.jobs, c->config.number);
	forget_bytes(c);
	held_forget(&c->held);
	for (; c->n_deferred > 0; c->n_deferred--) {
		sd_bus_message_unref(c->deferred[c->deferred_at].call);
		c->deferred_at = (c->deferred_at + 1) % CONN_DEFERRED_MAX;
	}
	mailbox_free(c->mailbox);
	lease_free(c->lease);
	if (c->uses)
		users_go(c->config.users);
	/* Not flushed: that would wait for the client. */
	sd_bus_close_unref(c->bus);
	if (c->fd >= 0)
		close(c->fd);
	matches_free(c->matches);
	free(c->name);
	free(c);
	return NULL;
}
