/*
 * The caller's turn: what came, and what went with a connection, is told. From here alone: no callback runs inside
 * another call.
 */
#include "ipc/libvarve/client.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#define PROCESS_MAX 256 /* events in one varve_process(): a UI wants to draw in between */

int varve_get_fd(const struct varve *v)
{
	return sd_event_get_fd(v->event);
}

/* What went with its connection. */
static void tell_failed(struct varve *v)
{
	struct varve_slot *s;

	while (!v->closed && (s = v->failed)) {
		v->failed = s->next;
		varve__call_done(s, varve__fail_bus(v, NULL, -ENOTCONN), NULL);
	}
}

static void look_after(struct varve *v)
{
	if (v->bus && sd_bus_is_open(v->bus) <= 0)
		varve__client_drop(v);
	tell_failed(v);
	if (v->closed || !v->gone)
		return;
	v->gone = false;
	v->told_ready = false;
	v->news++;
	if (v->on_connection)
		v->on_connection(v->connection_userdata, false);
}

/* After look_after(): it may be there again already, by a call. */
static void look_ready(struct varve *v)
{
	if (v->closed || v->told_ready || !v->ready)
		return;
	v->told_ready = true;
	v->news++;
	if (v->on_connection)
		v->on_connection(v->connection_userdata, true);
}

int varve_process(struct varve *v)
{
	uint64_t before = v->news;
	int n = 0, r = 1;

	if (v->processing)
		return -EBUSY;
	v->processing = true;
	v->refs++; /* a callback may close it */
	look_after(v);
	look_ready(v);
	while (!v->closed && r > 0 && n++ < PROCESS_MAX) {
		r = sd_event_run(v->event, 0);
		look_after(v);
		look_ready(v);
	}
	if (!v->closed && n > PROCESS_MAX)
		varve__client_kick(v);
	r = r < 0 ? r : v->news != before;
	v->processing = false;
	varve__client_unref(v);
	return r;
}

static int wait_readable(const struct varve *v, uint64_t us)
{
	struct pollfd p = { .fd = varve_get_fd(v), .events = POLLIN };
	struct timespec ts = { (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };

	return ppoll(&p, 1, us == UINT64_MAX ? NULL : &ts, NULL) < 0 ? -errno : 0;
}

int varve_wait(struct varve *v, uint64_t timeout_usec)
{
	uint64_t start = varve__client_now_us(), spent;
	int r;

	v->refs++;
	for (;;) {
		r = varve_process(v);
		if (r != 0 || v->closed)
			break;
		spent = varve__client_now_us() - start;
		if (spent >= timeout_usec)
			break;
		r = wait_readable(v, timeout_usec == UINT64_MAX ? UINT64_MAX : timeout_usec - spent);
		if (r < 0)
			break;
	}
	varve__client_unref(v);
	return r;
}

static int on_outer(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
	int r = varve_process(userdata);

	(void)s;
	(void)fd;
	(void)events;
	return r == -EBUSY || r > 0 ? 0 : r;
}

int varve_attach_event(struct varve *v, struct sd_event *event, int64_t priority)
{
	int r = 0;

	if (v->outer_io)
		sd_event_source_disable_unref(v->outer_io);
	v->outer_io = NULL;
	v->outer = sd_event_unref(v->outer);
	if (!event)
		return 0;
	r = sd_event_add_io(event, &v->outer_io, varve_get_fd(v), EPOLLIN, on_outer, v);
	if (r >= 0)
		r = sd_event_source_set_priority(v->outer_io, priority);
	if (r < 0)
		return varve__fail_bus(v, NULL, r);
	v->outer = sd_event_ref(event);
	varve__client_kick(v);
	return 0;
}
