/*
 * sync/sleepwatch.c without logind (P6): the kernel's part, played. What cancels the timer is an eventfd here, and the
 * monotonic clock stands still for as long as the test says that the machine has slept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "sync/sleepwatch.h"

static int timer = -1, over, begun;
static int64_t slept_s;

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
ssize_t __real_read(int fd, void *data, size_t len);
ssize_t __wrap_read(int fd, void *data, size_t len);
int __wrap_timerfd_create(int clock, int flags);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = __real_clock_gettime(clock, t);

	if (clock == CLOCK_MONOTONIC)
		t->tv_sec -= slept_s;
	return r;
}

int __wrap_timerfd_create(_unused_ int clock, _unused_ int flags)
{
	return timer = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int __wrap_timerfd_settime(_unused_ int fd, _unused_ int flags, _unused_ const struct itimerspec *new,
			   _unused_ struct itimerspec *old)
{
	return 0;
}

ssize_t __wrap_read(int fd, void *data, size_t len)
{
	ssize_t n = __real_read(fd, data, len);

	if (fd != timer || n < 0)
		return n;
	errno = ECANCELED;
	return -1;
}

static void on_sleep(_unused_ void *userdata, enum sleep_event what)
{
	*(what == SLEEP_OVER ? &over : &begun) += 1;
}

/* The wall clock was set, as the kernel sees it after a sleep too. */
static void set_clock(sd_event *event)
{
	uint64_t one = 1;

	assert_int_equal(write(timer, &one, sizeof(one)), sizeof(one));
	assert_true(sd_event_run(event, 0) >= 0);
}

static void P6_a_jump_of_the_clocks_is_a_sleep_that_is_over(_unused_ void **state)
{
	struct sleepwatch *w = NULL;
	sd_event *event = NULL;

	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(sleepwatch_new(event, on_sleep, NULL, &w), 0);
	slept_s = 60;
	set_clock(event);
	assert_int_equal(over, 1);
	/* Once. */
	set_clock(event);
	assert_int_equal(over, 1);
	slept_s += 7200;
	set_clock(event);
	assert_int_equal(over, 2);
	assert_int_equal(begun, 0);
	sleepwatch_free(w);
	sd_event_unref(event);
}

static void a_clock_that_is_set_is_no_sleep(_unused_ void **state)
{
	struct sleepwatch *w = NULL;
	sd_event *event = NULL;

	over = 0;
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(sleepwatch_new(event, on_sleep, NULL, &w), 0);
	for (int i = 0; i < 5; i++)
		set_clock(event);
	assert_int_equal(over, 0);
	sleepwatch_free(w);
	sd_event_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(P6_a_jump_of_the_clocks_is_a_sleep_that_is_over),
		cmocka_unit_test(a_clock_that_is_set_is_no_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
