#define _GNU_SOURCE
#include "wire/race.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/err.h"
#include "base/log.h"
#include "wire/limits.h"

#define RUNNERS_MAX (ADDRESSES_MAX + 1) /* and the one that answered last time */
#define LAST_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10) /* a connection that stands comes before the next try */

struct runner {
	struct race *race;
	struct endpoint endpoint;
	int fd;
	sd_event_source *io;
	sd_event_source *timeout;
};

struct race {
	sd_event *event;
	const struct race_ops *ops;
	void *userdata;
	struct runner runners[RUNNERS_MAX];
	size_t n, next, open;
	sd_event_source *timer;
	bool complete;
	bool asked;
	bool over;
	int error; /* what ${last} died of */
	size_t last;
};

static void stop(struct runner *r)
{
	r->io = sd_event_source_disable_unref(r->io);
	r->timeout = sd_event_source_disable_unref(r->timeout);
	if (r->fd >= 0)
		close(TAKE_FD(r->fd));
}

static void stop_all(struct race *r)
{
	for (size_t i = 0; i < r->n; i++)
		stop(&r->runners[i]);
	r->open = 0;
	sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
}

static void arm(struct race *r, uint64_t delay_us)
{
	sd_event_source_set_time_relative(r->timer, delay_us);
	sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

static void arm_next(struct race *r)
{
	if (r->next < r->n && r->runners[r->next].endpoint.group == r->runners[r->next - 1].endpoint.group)
		arm(r, RACE_SAME_US);
	else if (r->next < r->n || !r->complete)
		arm(r, RACE_OTHER_US);
	else
		sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
}

static void note_failure(struct race *r, struct runner *who, int error)
{
	char name[64];

	log_debug("connect to %s: %s", endpoint_name(&who->endpoint, name), strerror(error));
	stop(who);
	r->error = error;
	r->last = (size_t)(who - r->runners);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata);
static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata);

/* 0 or an errno. */
static int start(struct runner *r)
{
	const struct endpoint *e = &r->endpoint;
	int n;

	r->fd = socket(e->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (r->fd < 0)
		return errno;
	if (connect(r->fd, (const struct sockaddr *)(const void *)&e->address, e->len) < 0 && errno != EINPROGRESS)
		return errno;
	n = sd_event_add_io(r->race->event, &r->io, r->fd, EPOLLOUT, on_io, r);
	if (n >= 0)
		n = sd_event_add_time_relative(r->race->event, &r->timeout, CLOCK_BOOTTIME, CONNECT_TIMEOUT_US, 0,
					       on_timeout, r);
	return n < 0 ? -n : 0;
}

/* Begin the next, or see that there is none. */
static void advance(struct race *r)
{
	while (!r->over && r->next < r->n) {
		struct runner *next = &r->runners[r->next++];
		int error;

		r->ops->trying(r->userdata, &next->endpoint);
		error = start(next);
		if (!error) {
			r->open++;
			arm_next(r);
			return;
		}
		note_failure(r, next, error);
	}
	if (r->over)
		return;
	sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
	if (!r->complete && !r->asked) {
		r->asked = true;
		r->ops->more(r->userdata);
		return;
	}
	if (r->complete && r->open == 0) {
		r->over = true;
		r->ops->lost(r->userdata, r->error, &r->runners[r->last].endpoint);
	}
}

static void failed(struct runner *who, int error)
{
	note_failure(who->race, who, error);
	who->race->open--;
	advance(who->race);
}

static int on_timeout(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata)
{
	failed(userdata, ETIMEDOUT);
	return 0;
}

static int on_io(_unused_ sd_event_source *source, _unused_ int fd, _unused_ uint32_t revents, void *userdata)
{
	struct runner *who = userdata;
	struct race *r = who->race;
	socklen_t len = sizeof(int);
	int error = 0, won;

	if (getsockopt(who->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		failed(who, error);
		return 0;
	}
	sd_event_source_set_enabled(who->io, SD_EVENT_OFF);
	/* Out of epoll before the transport puts it in again. */
	who->io = sd_event_source_disable_unref(who->io);
	won = TAKE_FD(who->fd);
	r->over = true;
	stop_all(r);
	r->ops->won(r->userdata, won, &who->endpoint);
	return 0;
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata)
{
	advance(userdata);
	return 0;
}

int race_new(sd_event *event, const struct race_ops *ops, void *userdata, struct race **ret)
{
	_cleanup_(race_freep) struct race *r = xnew(struct race);
	int e;

	r->event = sd_event_ref(event);
	r->ops = ops;
	r->userdata = userdata;
	e = sd_event_add_time(event, &r->timer, CLOCK_BOOTTIME, 0, 0, on_timer, r);
	if (e >= 0)
		e = sd_event_source_set_priority(r->timer, LAST_PRIORITY);
	if (e < 0)
		return err_origin(e);
	sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
	*ret = TAKE_PTR(r);
	return 0;
}

struct race *race_free(struct race *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < r->n; i++)
		stop(&r->runners[i]);
	sd_event_source_disable_unref(r->timer);
	sd_event_unref(r->event);
	free(r);
	return NULL;
}

static bool known(const struct race *r, const struct endpoint *e)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->runners[i].endpoint.len == e->len && r->runners[i].endpoint.direct == e->direct &&
		    memcmp(&r->runners[i].endpoint.address, &e->address, e->len) == 0)
			return true;
	return false;
}

void race_add(struct race *r, const struct endpoint *e, size_t n, bool complete)
{
	if (r->over)
		return;
	for (size_t i = 0; i < n && r->n < RUNNERS_MAX; i++) {
		if (known(r, &e[i]))
			continue;
		r->runners[r->n++] = (struct runner){ .race = r, .endpoint = e[i], .fd = -1 };
	}
	r->complete = complete;
	if (r->open == 0)
		advance(r);
	else
		arm(r, 0);
}
