/*
 * varve-wire: one XMPP stream, for one account, for a keeper at the other end of fd 3. Everything else is in
 * wire/stream.h.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "link/link.h"
#include "wire/sandbox.h"
#include "wire/stream.h"

#define LINK_FD 3
#define EXIT_USAGE 2
#define LINGER_MS 2000 /* for the keeper to read our last records and close */

struct wire {
	sd_event *event;
	struct link *link;
	struct stream *stream;
	int code;
};

static void on_gone(void *userdata, const char *why)
{
	struct wire *w = userdata;

	/* The keeper is gone: the session stays resumable, as nothing is said to the server. */
	log_debug("the keeper is gone (%s)", why);
	sd_event_exit(w->event, w->code);
}

static void on_record(void *userdata, const struct link_record *r)
{
	struct wire *w = userdata;
	int e;

	if (w->stream) {
		stream_record(w->stream, r);
		return;
	}
	if (r->kind == LINK_STOP) {
		sd_event_exit(w->event, 0);
		return;
	}
	if (r->kind != LINK_START) {
		log_error("a record %s came before START", link_kind_name(r->kind));
		sd_event_exit(w->event, EXIT_FAILURE);
		return;
	}
	e = stream_new(w->event, w->link, &r->start, &w->stream);
	if (e < 0) {
		log_error("cannot start a stream: %s", strerror(-e));
		sd_event_exit(w->event, EXIT_FAILURE);
	}
}

static bool has_link(void)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(LINK_FD, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/*
 * Close our direction and wait until the keeper closes its own. If it still wrote to us after we were gone, its sd-bus
 * would meet EPIPE, close at once, and never read the FAILED that waits in its own buffer.
 */
static void linger(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char data[4096];

	shutdown(fd, SHUT_WR);
	while (poll(&p, 1, LINGER_MS) > 0)
		if (recv(fd, data, sizeof(data), MSG_DONTWAIT) <= 0)
			return;
}

int main(_unused_ int argc, char **argv)
{
	struct wire w = { .code = EXIT_SUCCESS };
	_cleanup_(closep) int held = -1;
	bool failed;
	int r;

	if (!has_link()) {
		fprintf(stderr,
			"%s: this program is started by varved, with a socket as descriptor 3.\n"
			"It does nothing by itself. To talk to the daemon, use varvectl(1).\n",
			argv[0] ? argv[0] : "varve-wire");
		return EXIT_USAGE;
	}
	/* It may have been started by a descriptor, and would be called after that. */
	prctl(PR_SET_NAME, "varve-wire");
	log_init("varve-wire");
	signal(SIGPIPE, SIG_IGN);
	r = sandbox_enter();
	/* sd-bus closes its own when the event loop ends; ours stays open for linger(). */
	if (r >= 0)
		held = fcntl(LINK_FD, F_DUPFD_CLOEXEC, LINK_FD + 1);
	if (r >= 0)
		r = sd_event_new(&w.event);
	if (r >= 0)
		r = link_new(w.event, LINK_FD, LINK_WIRE, on_record, on_gone, &w, &w.link);
	if (r >= 0)
		r = sd_event_loop(w.event);
	if (r < 0)
		log_error("cannot run: %s", strerror(-r));
	failed = w.stream && stream_has_failed(w.stream);
	stream_free(w.stream);
	link_free(w.link);
	/* Not after STOP: the keeper waits for our end, and reads no more. */
	if (failed)
		linger(held);
	sd_event_unref(w.event);
	return r < 0 ? EXIT_FAILURE : r;
}
