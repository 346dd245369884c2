/*
 * Bad weather for a real daemon: LD_PRELOAD, and what the file $STORM says happens to it (varvetest/storm.py writes it). A
 * failing disk: writes, syncs or reads of files below $STORM_DIR fail with an errno, so many times or until it says otherwise;
 * accept() likewise. Another time: CLOCK_REALTIME is ahead by so much, and timers that wait for the clock to be set hear of it.
 */
#undef _FILE_OFFSET_BITS /* both names of pwrite() and its like are to be ours */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* As the struct in storm.py. */
enum storm_call { WRITE, SYNC, READ, ACCEPT, CALLS };

struct storm {
	int64_t ahead_us;
	int32_t error[CALLS]; /* errno; 0: all is well */
	int32_t left[CALLS];  /* so many more; -1: for ever */
	int32_t hits[CALLS];
};

static volatile struct storm calm, *storm = &calm;
static const char *dir;
enum { TIMERS = 4 };
static struct {
	int fd;
	int64_t told_us; /* storm->ahead_us when it was told last */
} timers[TIMERS];
static int n_timers;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("STORM");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(calm), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		storm = p;
	if (fd >= 0)
		close(fd);
	dir = getenv("STORM_DIR");
}

static int is_below(int fd)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = dir ? readlink(link, path, sizeof(path)) : 0;
	return n > 0 && (size_t)n > strlen(dir) && strncmp(path, dir, strlen(dir)) == 0;
}

/* The call on ${fd} fails, with errno set. */
static int fails(enum storm_call call, int fd)
{
	int error = storm->error[call];

	if (!error || !storm->left[call] || (call != ACCEPT && !is_below(fd)))
		return 0;
	if (storm->left[call] > 0)
		storm->left[call]--;
	storm->hits[call]++;
	errno = error;
	return 1;
}

/* ---- the disk ---- */

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	return fails(WRITE, fd) ? -1 : syscall(SYS_pwrite64, fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
	return pwrite(fd, data, n, at);
}

ssize_t write(int fd, const void *data, size_t n)
{
	return fails(WRITE, fd) ? -1 : syscall(SYS_write, fd, data, n);
}

int ftruncate(int fd, off_t size)
{
	return fails(WRITE, fd) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

int fdatasync(int fd)
{
	return fails(SYNC, fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return fails(SYNC, fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

ssize_t pread(int fd, void *data, size_t n, off_t at)
{
	return fails(READ, fd) ? -1 : syscall(SYS_pread64, fd, data, n, at);
}

ssize_t pread64(int fd, void *data, size_t n, off64_t at)
{
	return pread(fd, data, n, at);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	return fails(ACCEPT, fd) ? -1 : (int)syscall(SYS_accept4, fd, address, len, flags);
}

/* ---- the clock ---- */

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, id, ret);
	int64_t ns;

	if (r < 0 || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
		return r;
	ns = ret->tv_nsec + storm->ahead_us % 1000000 * 1000;
	ret->tv_sec += storm->ahead_us / 1000000 + (ns < 0 ? -1 : ns / 1000000000);
	ret->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
	return r;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	*ret = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}

/* A timer on the wall clock that is never due and hears of changes (TFD_TIMER_CANCEL_ON_SET): that of the file, here. */
int timerfd_create(int id, int flags)
{
	const char *path = getenv("STORM");
	int fd;

	if (id != CLOCK_REALTIME || !path || n_timers == TIMERS)
		return (int)syscall(SYS_timerfd_create, id, flags);
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	inotify_add_watch(fd, path, IN_MODIFY);
	timers[n_timers].fd = fd;
	timers[n_timers++].told_us = storm->ahead_us;
	return fd;
}

static int timer_of(int fd)
{
	int i = 0;

	while (i < n_timers && timers[i].fd != fd)
		i++;
	return i;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	return timer_of(fd) < n_timers ? 0 : (int)syscall(SYS_timerfd_settime, fd, flags, value, old);
}

ssize_t read(int fd, void *data, size_t n)
{
	int i = timer_of(fd);
	char event[4096];

	if (i == n_timers)
		return fails(READ, fd) ? -1 : syscall(SYS_read, fd, data, n);
	while (syscall(SYS_read, fd, event, sizeof(event)) > 0)
		;
	errno = storm->ahead_us == timers[i].told_us ? EAGAIN : ECANCELED;
	timers[i].told_us = storm->ahead_us;
	return -1;
}
