/*
 * A disk that takes its time: LD_PRELOAD, and each fdatasync() and fsync() of the program takes SLOW_SYNC_US (2500: an eMMC)
 * at least. So the benches say what a phone's user waits for, on a machine whose disk answers at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int slowly(long number, int fd)
{
	const char *us = getenv("SLOW_SYNC_US");
	long ns = (us ? atol(us) : 2500) * 1000;
	struct timespec end;
	long r;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (end.tv_nsec + ns) / 1000000000;
	end.tv_nsec = (end.tv_nsec + ns) % 1000000000;
	r = syscall(number, fd);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
		;
	return (int)r;
}

int fdatasync(int fd)
{
	return slowly(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return slowly(SYS_fsync, fd);
}
