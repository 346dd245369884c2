#define _GNU_SOURCE
#include "bus/pour.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/child.h"
#include "base/err.h"

#define CHUNK (64 * 1024) /* bytes, a pipe's worth */

struct pour {
	const struct pour_ops *ops;
	void *userdata;
	struct buf buf;
	struct child *child;
	int fd; /* the pipe's end; -1: closed */
	sd_event_source *writable, *finished;
	bool ended;
};

/* ---- the child ---- */

/* io_write() for a descriptor that its owner may have made non-blocking. */
static int write_waiting(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		struct pollfd wait = { .fd = fd, .events = POLLOUT };
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN && (poll(&wait, 1, -1) >= 0 || errno == EINTR))
			continue;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int child_pour(_unused_ void *userdata, _unused_ void *answer, size_t *ret_len)
{
	static uint8_t chunk[CHUNK];

	signal(SIGPIPE, SIG_IGN);
	*ret_len = 0;
	for (;;) {
		ssize_t n = read(CHILD_FD, chunk, sizeof(chunk));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		r = write_waiting(CHILD_FD + 1, chunk, (size_t)n);
		if (r < 0)
			return r;
	}
}

/* ---- the loop ---- */

static void close_pipe(struct pour *p)
{
	p->writable = sd_event_source_disable_unref(p->writable);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static int on_writable(_unused_ sd_event_source *s, int fd, _unused_ uint32_t revents, void *userdata)
{
	struct pour *p = userdata;
	ssize_t n = p->buf.len > 0 ? write(fd, p->buf.data, p->buf.len < CHUNK ? p->buf.len : CHUNK) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* The child is gone, and says why. */
	if (n < 0) {
		buf_reset(&p->buf);
		close_pipe(p);
		return 0;
	}
	buf_eat(&p->buf, (size_t)n);
	if (p->buf.len == 0 && p->ended) {
		close_pipe(p);
		return 0;
	}
	if (p->buf.len == 0)
		sd_event_source_set_enabled(p->writable, SD_EVENT_OFF);
	if (!p->ended && pour_room(p) > 0)
		p->ops->room(p->userdata);
	return 0;
}

static int on_finished(_unused_ sd_event_source *s, _unused_ int fd, _unused_ uint32_t revents, void *userdata)
{
	struct pour *p = userdata;
	uint8_t nothing;
	size_t len;
	int r;

	sd_event_source_set_enabled(p->finished, SD_EVENT_OFF);
	r = child_finish(p->child, &nothing, sizeof(nothing), &len);
	/* It cannot have all bytes before it was told that there are no more. */
	if (r == 0 && p->fd >= 0)
		r = -EPIPE;
	p->ops->done(p->userdata, r);
	return 0;
}

int pour_new(sd_event *event, int fd, const struct pour_ops *ops, void *userdata, struct pour **ret)
{
	_cleanup_(pour_freep) struct pour *p = xnew(struct pour);
	int fds[2], r;

	p->ops = ops;
	p->userdata = userdata;
	p->fd = -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_origin(-errno);
	p->fd = fds[1];
	r = child_start_with(child_pour, NULL, (const int[]){ fds[0], fd }, 2, &p->child);
	close(fds[0]);
	if (r < 0)
		return err_trace(r);
	if (fcntl(p->fd, F_SETFL, O_NONBLOCK) < 0)
		return err_origin(-errno);
	if ((r = sd_event_add_io(event, &p->writable, p->fd, EPOLLOUT, on_writable, p)) < 0 ||
	    (r = sd_event_source_set_enabled(p->writable, SD_EVENT_OFF)) < 0 ||
	    (r = sd_event_add_io(event, &p->finished, child_fd(p->child), EPOLLIN, on_finished, p)) < 0)
		return err_origin(r);
	*ret = TAKE_PTR(p);
	return 0;
}

struct pour *pour_free(struct pour *p)
{
	if (!p)
		return NULL;
	close_pipe(p);
	sd_event_source_disable_unref(p->finished);
	child_free(p->child);
	buf_deinit(&p->buf);
	free(p);
	return NULL;
}

size_t pour_room(const struct pour *p)
{
	return p->buf.len < POUR_BUFFER ? POUR_BUFFER - p->buf.len : 0;
}

struct buf *pour_buf(struct pour *p)
{
	return &p->buf;
}

static void watch(struct pour *p)
{
	if (p->writable)
		sd_event_source_set_enabled(p->writable, SD_EVENT_ON);
}

void pour_added(struct pour *p)
{
	if (p->buf.len > 0)
		watch(p);
}

void pour_end(struct pour *p)
{
	p->ended = true;
	watch(p);
}
