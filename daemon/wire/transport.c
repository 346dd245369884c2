#define _GNU_SOURCE
#include "wire/transport.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "wire/limits.h"
#include "wire/race.h"
#include "wire/tcp.h"
#include "wire/tls.h"

enum transport_state { TRANSPORT_NEW, TRANSPORT_CONNECTING, TRANSPORT_OPEN, TRANSPORT_HANDSHAKE, TRANSPORT_GONE };

struct transport {
	sd_event *event;
	const struct transport_ops *ops;
	void *userdata;
	enum transport_state state;
	int fd;
	sd_event_source *io;
	sd_event_source *turn; /* once, soon: write what is queued, read what TLS holds */
	struct race *race;
	struct tls *tls;
	struct buf out;
	bool want_out; /* the socket was full */
	bool paused;
	bool quick;
	bool heard; /* since the last write: the next one is a new flight */
	unsigned int flights;
	int64_t secure_us; /* boot clock: the TLS handshake began */
	uint32_t round_trip_us;
};

static void set_events(struct transport *t)
{
	uint32_t events = t->paused && t->state == TRANSPORT_OPEN ? 0 : EPOLLIN;

	if (t->want_out)
		events |= EPOLLOUT;
	sd_event_source_set_io_events(t->io, events);
	sd_event_source_set_enabled(t->io, SD_EVENT_ON);
}

static void close_socket(struct transport *t)
{
	t->io = sd_event_source_disable_unref(t->io);
	if (t->fd >= 0)
		close(TAKE_FD(t->fd));
}

static void gone(struct transport *t, enum link_failure failure, const char *condition, const char *text)
{
	if (t->state == TRANSPORT_GONE)
		return;
	t->state = TRANSPORT_GONE;
	close_socket(t);
	sd_event_source_set_enabled(t->turn, SD_EVENT_OFF);
	t->ops->gone(t->userdata, failure, condition, text);
}

static void lost(struct transport *t, int error)
{
	_cleanup_(freep) char *text = NULL;

	if (error == ETIMEDOUT)
		text = xstrdup("the server stopped answering");
	else if (error)
		text = xasprintf("the connection broke: %s", strerror(error));
	else
		text = xstrdup("the server closed the connection");
	/* For core/flight.h: the other end did it, and no timer or machine of ours. */
	gone(t, FAILURE_LOST, error == 0 || error == ECONNRESET || error == EPIPE ? "closed" : "", text);
}

static void soon(struct transport *t)
{
	if (t->state != TRANSPORT_GONE)
		sd_event_source_set_enabled(t->turn, SD_EVENT_ONESHOT);
}

/* What came of a read or write of TLS, as read_some() says it. ${error}: why the connection is closed, if it is. */
static int tls_came(struct transport *t, enum tls_result r, int error)
{
	switch (r) {
	case TLS_OK:
		return 1;
	case TLS_WANT_READ:
		return 0;
	case TLS_WANT_WRITE:
		t->want_out = true;
		return 0;
	case TLS_CLOSED:
		lost(t, error);
		return -1;
	case TLS_CERT:
	case TLS_BROKEN:
		break;
	}
	gone(t, FAILURE_TLS, "", tls_error(t->tls));
	return -1;
}

/* One read, plain or TLS, into ${data}. 1: *ret_n bytes; 0: nothing now; -1: it is over (gone was called). */
static int read_some(struct transport *t, char *data, size_t *ret_n)
{
	ssize_t n;

	if (t->tls) {
		enum tls_result r = tls_read(t->tls, data, READ_CHUNK, ret_n);

		return tls_came(t, r, *tls_error(t->tls) ? errno : 0);
	}
	n = recv(t->fd, data, READ_CHUNK, 0);
	if (n > 0) {
		*ret_n = (size_t)n;
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	lost(t, n < 0 ? errno : 0);
	return -1;
}

static void read_all(struct transport *t)
{
	char data[READ_CHUNK];
	size_t n;
	int r = 1;

	for (int i = 0; i < READ_BUDGET && !t->paused && t->state == TRANSPORT_OPEN; i++) {
		r = read_some(t, data, &n);
		if (r <= 0)
			break;
		t->heard = true;
		t->ops->received(t->userdata, data, n);
	}
	if (t->state != TRANSPORT_OPEN)
		return;
	if (t->quick)
		tcp_acknowledge(t->fd);
	/* Other sources first; the socket itself may stay silent about what TLS already decrypted. */
	if (r > 0 && !t->paused)
		soon(t);
}

/* One write. 1: *ret_n bytes; 0: not now; -1: it is over. */
static int write_some(struct transport *t, size_t *ret_n)
{
	ssize_t n;

	if (t->tls) {
		enum tls_result r = tls_write(t->tls, t->out.data, t->out.len, ret_n);

		return tls_came(t, r, errno);
	}
	n = send(t->fd, t->out.data, t->out.len, MSG_NOSIGNAL);
	if (n >= 0) {
		*ret_n = (size_t)n;
		return 1;
	}
	if (errno == EAGAIN || errno == EINTR) {
		t->want_out = true;
		return 0;
	}
	lost(t, errno);
	return -1;
}

static void write_all(struct transport *t)
{
	size_t n;

	if (t->state != TRANSPORT_OPEN)
		return;
	/* Also with nothing to write: a read of TLS may have wanted it (key update), and is tried again after this. */
	t->want_out = false;
	if (t->out.len == 0)
		return;
	if (t->heard) {
		t->flights++;
		t->heard = false;
	}
	while (t->out.len > 0) {
		if (write_some(t, &n) <= 0)
			return;
		buf_eat(&t->out, n);
	}
}

static void note_round_trip(struct transport *t)
{
	int64_t us = (clock_boot_us() - t->secure_us) / tls_round_trips(t->tls);

	t->round_trip_us = us < 1 ? 1 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void handshake(struct transport *t)
{
	t->want_out = false;
	switch (tls_handshake(t->tls)) {
	case TLS_OK:
		t->state = TRANSPORT_OPEN;
		t->flights += tls_round_trips(t->tls);
		note_round_trip(t);
		t->heard = true;
		t->ops->secured(t->userdata);
		soon(t);
		return;
	case TLS_WANT_READ:
		return;
	case TLS_WANT_WRITE:
		t->want_out = true;
		return;
	case TLS_CLOSED:
		gone(t, FAILURE_TLS, "", "the server closed the connection during the TLS handshake");
		return;
	case TLS_CERT:
		gone(t, FAILURE_CERT, tls_condition(t->tls), tls_error(t->tls));
		return;
	case TLS_BROKEN: {
		_cleanup_(freep) char *text = xasprintf("the TLS handshake failed: %s", tls_error(t->tls));

		gone(t, FAILURE_TLS, "", text);
		return;
	}
	}
}

static int on_io(_unused_ sd_event_source *s, _unused_ int fd, uint32_t revents, void *userdata)
{
	struct transport *t = userdata;

	if (t->state == TRANSPORT_HANDSHAKE) {
		handshake(t);
	} else if (t->state == TRANSPORT_OPEN && t->paused && (revents & (EPOLLHUP | EPOLLERR))) {
		/* epoll reports these unasked; what the peer sent before is read when we are let to. */
		sd_event_source_set_enabled(t->io, SD_EVENT_OFF);
		return 0;
	} else {
		if (revents & EPOLLOUT)
			write_all(t);
		read_all(t);
	}
	if (t->io && t->state != TRANSPORT_GONE)
		set_events(t);
	return 0;
}

static int on_turn(_unused_ sd_event_source *s, void *userdata)
{
	struct transport *t = userdata;

	if (t->state == TRANSPORT_OPEN && !t->paused)
		read_all(t);
	write_all(t);
	if (t->io && t->state != TRANSPORT_GONE)
		set_events(t);
	return 0;
}

static void on_trying(void *userdata, _unused_ const struct endpoint *e)
{
	struct transport *t = userdata;

	t->state = TRANSPORT_CONNECTING;
	t->ops->connecting(t->userdata);
}

static void on_more(void *userdata)
{
	struct transport *t = userdata;

	t->ops->more(t->userdata);
}

static void on_won(void *userdata, int fd, const struct endpoint *e)
{
	struct transport *t = userdata;
	int r;

	t->fd = fd;
	r = sd_event_add_io(t->event, &t->io, fd, EPOLLIN, on_io, t);
	if (r < 0) {
		gone(t, FAILURE_CONNECT, "", strerror(-r));
		return;
	}
	tcp_set_up(fd);
	t->state = TRANSPORT_OPEN;
	t->flights = 1;
	t->heard = true;
	t->ops->connected(t->userdata, e);
	if (t->io && t->state != TRANSPORT_GONE)
		set_events(t);
}

static void on_lost(void *userdata, int error, const struct endpoint *last)
{
	struct transport *t = userdata;
	char name[64];
	_cleanup_(freep) char *text =
		xasprintf("no server answers at %s: %s", endpoint_name(last, name), strerror(error));

	gone(t, FAILURE_CONNECT, tcp_is_unreachable(error) ? "unreachable" : "", text);
}

static const struct race_ops race_ops = {
	.trying = on_trying,
	.more = on_more,
	.won = on_won,
	.lost = on_lost,
};

int transport_new(sd_event *event, const struct transport_ops *ops, void *userdata, struct transport **ret)
{
	_cleanup_(transport_freep) struct transport *t = xnew(struct transport);
	int r;

	t->event = sd_event_ref(event);
	t->ops = ops;
	t->userdata = userdata;
	t->fd = -1;
	r = sd_event_add_defer(event, &t->turn, on_turn, t);
	if (r < 0)
		return err_origin(r);
	sd_event_source_set_enabled(t->turn, SD_EVENT_OFF);
	r = race_new(event, &race_ops, t, &t->race);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(t);
	return 0;
}

struct transport *transport_free(struct transport *t)
{
	if (!t)
		return NULL;
	close_socket(t);
	race_free(t->race);
	sd_event_source_disable_unref(t->turn);
	tls_free(t->tls);
	buf_deinit(&t->out);
	sd_event_unref(t->event);
	free(t);
	return NULL;
}

void transport_connect(struct transport *t, const struct endpoint *endpoints, size_t n, bool complete)
{
	race_add(t->race, endpoints, n, complete);
}

int transport_secure(struct transport *t, const char *domain, const char *ca_pem, const char *ticket, bool direct)
{
	int r = tls_new(domain, ca_pem, direct, &t->tls);

	if (r != 0)
		return r;
	tls_on_ticket(t->tls, t->ops->ticket, t->userdata);
	tls_use_ticket(t->tls, ticket);
	r = tls_attach(t->tls, t->fd);
	if (r < 0)
		return err_trace(r);
	/* Nothing queued in clear may follow inside TLS. */
	buf_reset(&t->out);
	t->state = TRANSPORT_HANDSHAKE;
	t->secure_us = clock_boot_us();
	handshake(t);
	if (t->io && t->state != TRANSPORT_GONE)
		set_events(t);
	return 0;
}

bool transport_is_secure(const struct transport *t)
{
	return t->tls && t->state == TRANSPORT_OPEN;
}

size_t transport_binding(const struct transport *t, unsigned int type, unsigned char *ret)
{
	return transport_is_secure(t) ? tls_binding(t->tls, type, ret) : 0;
}

void transport_write(struct transport *t, const char *data, size_t len)
{
	if (t->state == TRANSPORT_GONE)
		return;
	buf_add(&t->out, data, len);
	soon(t);
}

bool transport_has_address(const struct transport *t)
{
	return t->fd < 0 || tcp_has_address(t->fd);
}

size_t transport_queued(const struct transport *t)
{
	return t->out.len;
}

size_t transport_under_way(const struct transport *t, int64_t *ret_acked_us)
{
	size_t unacked = 0;

	*ret_acked_us = 0;
	if (t->fd >= 0)
		tcp_under_way(t->fd, &unacked, ret_acked_us);
	return transport_queued(t) + unacked;
}

void transport_pause(struct transport *t, bool pause)
{
	if (t->paused == pause)
		return;
	t->paused = pause;
	if (t->state != TRANSPORT_OPEN)
		return;
	set_events(t);
	if (!pause)
		soon(t);
}

void transport_set_quickack(struct transport *t, bool quick)
{
	t->quick = quick;
}

unsigned int transport_flights(const struct transport *t)
{
	return t->flights;
}

uint32_t transport_round_trip_us(const struct transport *t)
{
	return t->round_trip_us;
}

/* Wait for the socket until ${until_us}. False when the time is over. */
static bool wait_for(struct transport *t, short events, int64_t until_us)
{
	struct pollfd p = { .fd = t->fd, .events = events };
	int64_t left_us = until_us - clock_boot_us();

	return left_us > 0 && poll(&p, 1, (int)(left_us / 1000) + 1) > 0;
}

void transport_finish(struct transport *t, int64_t timeout_us)
{
	int64_t until_us = clock_boot_us() + timeout_us;
	char data[READ_CHUNK];

	while (t->state == TRANSPORT_OPEN && t->out.len > 0) {
		write_all(t);
		if (t->out.len > 0 && (t->state != TRANSPORT_OPEN || !wait_for(t, POLLOUT, until_us)))
			break;
	}
	if (t->state != TRANSPORT_OPEN)
		return;
	t->state = TRANSPORT_GONE;
	shutdown(t->fd, SHUT_WR);
	/* What comes now is not looked at: uncounted, the server repeats it after a resume. */
	while (wait_for(t, POLLIN, until_us))
		if (recv(t->fd, data, sizeof(data), MSG_DONTWAIT) <= 0)
			break;
	close_socket(t);
}
