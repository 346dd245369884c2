#include "sync/clockwatch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

struct clockwatch {
	clockwatch_fn fn;
	void *userdata;
	int timer_fd;
	sd_event_source *io;
	int64_t ahead_us; /* wall clock minus boot clock, which a sleep does not change */
};

static int64_t ahead_us(void)
{
	return clock_real_us() - clock_boot_us();
}

static int arm(struct clockwatch *w)
{
	/* Far away: it never expires, it is cancelled. */
	const struct itimerspec far = { .it_value.tv_sec = (time_t)1 << 40 };

	return timerfd_settime(w->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) < 0 ?
		       err_origin(-errno) : 0;
}

static int on_cancelled(_unused_ sd_event_source *s, int fd, _unused_ uint32_t events, void *userdata)
{
	struct clockwatch *w = userdata;
	uint64_t expired;
	int64_t by_us;

	if (read(fd, &expired, sizeof(expired)) >= 0 || errno != ECANCELED)
		return 0;
	arm(w);
	by_us = ahead_us() - w->ahead_us;
	/* The end of a sleep cancels too. */
	if (by_us > -USEC_PER_SEC && by_us < USEC_PER_SEC)
		return 0;
	w->ahead_us += by_us;
	log_debug("clock: set by %lld s", (long long)(by_us / USEC_PER_SEC));
	w->fn(w->userdata, by_us);
	return 0;
}

int clockwatch_new(sd_event *event, clockwatch_fn fn, void *userdata, struct clockwatch **ret)
{
	_cleanup_(clockwatch_freep) struct clockwatch *w = xnew(struct clockwatch);
	int r;

	*w = (struct clockwatch){ .fn = fn, .userdata = userdata, .ahead_us = ahead_us() };
	w->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->timer_fd < 0)
		return err_origin(-errno);
	r = sd_event_add_io(event, &w->io, w->timer_fd, EPOLLIN, on_cancelled, w);
	if (r < 0)
		return err_origin(r);
	r = arm(w);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(w);
	return 0;
}

struct clockwatch *clockwatch_free(struct clockwatch *w)
{
	if (!w)
		return NULL;
	sd_event_source_disable_unref(w->io);
	if (w->timer_fd >= 0)
		close(w->timer_fd);
	free(w);
	return NULL;
}
