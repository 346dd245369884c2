#include "sync/sleepwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/timerfd.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#define LOGIND "org.freedesktop.login1"
#define LOGIND_PATH "/org/freedesktop/login1"
#define LOGIND_MANAGER "org.freedesktop.login1.Manager"
#define SLEPT_US (INT64_C(1) * 1000000) /* the boot clock ahead of the monotonic one by so much more: a sleep */

struct sleepwatch {
	sleepwatch_fn fn;
	void *userdata;
	sd_event *event;
	int timer_fd;
	sd_event_source *timer_io;
	int64_t ahead_us; /* boot clock minus monotonic clock: time slept since boot */
	sd_bus *bus;	  /* the system's; NULL without one */
	int inhibitor;	  /* fd, -1 = none */
	sd_event_source *release;
	sd_event_source *awake; /* on while SLEEP_OVER is owed; of the clock that stands still in a sleep */
};

static int64_t slept_us(void)
{
	struct timespec mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	return clock_boot_us() - ((int64_t)mono.tv_sec * 1000000 + mono.tv_nsec / 1000);
}

static void over(struct sleepwatch *w, const char *who)
{
	log_debug("sleep: over, says %s", who);
	sd_event_source_set_enabled(w->awake, SD_EVENT_OFF);
	w->fn(w->userdata, SLEEP_OVER);
}

static int on_awake(_unused_ sd_event_source *s, _unused_ uint64_t us, void *userdata)
{
	over(userdata, "nobody");
	return 0;
}

/* ---- the kernel ---- */

static int arm(struct sleepwatch *w)
{
	/* Far away: it never expires, it is cancelled. */
	const struct itimerspec far = { .it_value.tv_sec = (time_t)1 << 40 };

	return timerfd_settime(w->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) < 0 ?
		       err_origin(-errno) : 0;
}

static int on_clock(_unused_ sd_event_source *s, int fd, _unused_ uint32_t events, void *userdata)
{
	struct sleepwatch *w = userdata;
	int64_t ahead = slept_us();
	uint64_t expired;

	if (read(fd, &expired, sizeof(expired)) >= 0 || errno != ECANCELED)
		return 0;
	arm(w);
	/* Setting the clock cancels too, and is no sleep. */
	if (ahead - w->ahead_us < SLEPT_US)
		return 0;
	w->ahead_us = ahead;
	over(w, "the clock");
	return 0;
}

static int watch_clock(struct sleepwatch *w)
{
	int r;

	w->ahead_us = slept_us();
	w->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->timer_fd < 0)
		return err_origin(-errno);
	r = sd_event_add_io(w->event, &w->timer_io, w->timer_fd, EPOLLIN, on_clock, w);
	return r < 0 ? err_origin(r) : arm(w);
}

/* ---- logind ---- */

static void release(struct sleepwatch *w)
{
	if (w->inhibitor >= 0)
		close(w->inhibitor);
	w->inhibitor = -1;
	sd_event_source_set_enabled(w->release, SD_EVENT_OFF);
}

static int on_release(_unused_ sd_event_source *s, _unused_ uint64_t us, void *userdata)
{
	release(userdata);
	return 0;
}

static int on_inhibited(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct sleepwatch *w = userdata;
	int fd;

	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "h", &fd) < 0) {
		log_debug("sleep: logind does not wait for us: %s",
			  sd_bus_message_get_error(m) ? sd_bus_message_get_error(m)->message : "no fd");
		return 0;
	}
	release(w);
	w->inhibitor = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return 0;
}

static void inhibit(struct sleepwatch *w)
{
	int r = sd_bus_call_method_async(w->bus, NULL, LOGIND, LOGIND_PATH, LOGIND_MANAGER, "Inhibit", on_inhibited, w,
					 "ssss", "sleep", "varve", "Leave XMPP sessions so that they can be resumed",
					 "delay");

	if (r < 0)
		log_debug("sleep: logind cannot be asked: %s", strerror(-r));
}

static int on_sleep(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct sleepwatch *w = userdata;
	int begins;

	if (sd_bus_message_read(m, "b", &begins) < 0)
		return 0;
	if (!begins) {
		w->ahead_us = slept_us();
		over(w, "logind");
		inhibit(w);
		return 0;
	}
	log_debug("sleep: begins, says logind");
	w->fn(w->userdata, SLEEP_BEGINS);
	if (sd_event_source_set_time_relative(w->release, (uint64_t)SLEEP_WAIT_US) < 0 ||
	    sd_event_source_set_enabled(w->release, SD_EVENT_ONESHOT) < 0)
		release(w);
	if (sd_event_source_set_time_relative(w->awake, (uint64_t)SLEEP_AWAKE_US) < 0 ||
	    sd_event_source_set_enabled(w->awake, SD_EVENT_ONESHOT) < 0)
		over(w, "nobody");
	return 0;
}

static int on_bus_gone(_unused_ sd_bus_message *m, void *userdata, _unused_ sd_bus_error *error)
{
	struct sleepwatch *w = userdata;

	/* The clock still tells. Another connection would need a reason to think that it lasts longer. */
	log_debug("sleep: the system bus is gone");
	release(w);
	return 0;
}

static void watch_logind(struct sleepwatch *w)
{
	int r;

	r = sd_bus_open_system(&w->bus);
	if (r >= 0)
		r = sd_bus_match_signal(w->bus, NULL, NULL, NULL, "org.freedesktop.DBus.Local", "Disconnected",
					on_bus_gone, w);
	if (r >= 0)
		r = sd_bus_match_signal_async(w->bus, NULL, LOGIND, LOGIND_PATH, LOGIND_MANAGER, "PrepareForSleep",
					      on_sleep, NULL, w);
	if (r >= 0)
		r = sd_bus_attach_event(w->bus, w->event, SD_EVENT_PRIORITY_NORMAL);
	if (r < 0) {
		log_debug("sleep: no system bus: %s", strerror(-r));
		w->bus = sd_bus_close_unref(w->bus);
		return;
	}
	inhibit(w);
}

int sleepwatch_new(sd_event *event, sleepwatch_fn fn, void *userdata, struct sleepwatch **ret)
{
	_cleanup_(sleepwatch_freep) struct sleepwatch *w = xnew(struct sleepwatch);
	int r;

	w->fn = fn;
	w->userdata = userdata;
	w->event = sd_event_ref(event);
	w->inhibitor = w->timer_fd = -1;
	r = sd_event_add_time(event, &w->release, CLOCK_MONOTONIC, 0, 0, on_release, w);
	if (r < 0)
		return err_origin(r);
	sd_event_source_set_enabled(w->release, SD_EVENT_OFF);
	r = sd_event_add_time(event, &w->awake, CLOCK_MONOTONIC, 0, 0, on_awake, w);
	if (r < 0)
		return err_origin(r);
	sd_event_source_set_enabled(w->awake, SD_EVENT_OFF);
	r = watch_clock(w);
	if (r < 0)
		return err_trace(r);
	watch_logind(w);
	*ret = TAKE_PTR(w);
	return 0;
}

struct sleepwatch *sleepwatch_free(struct sleepwatch *w)
{
	if (!w)
		return NULL;
	if (w->bus) {
		sd_bus_detach_event(w->bus);
		sd_bus_close_unref(w->bus);
	}
	if (w->inhibitor >= 0)
		close(w->inhibitor);
	sd_event_source_disable_unref(w->release);
	sd_event_source_disable_unref(w->awake);
	sd_event_source_disable_unref(w->timer_io);
	if (w->timer_fd >= 0)
		close(w->timer_fd);
	sd_event_unref(w->event);
	free(w);
	return NULL;
}
