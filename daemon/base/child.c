#define _GNU_SOURCE
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"

/* Descriptors that are closed one by one where Linux has no close_range(2): a limit of a million would take a second. */
#define CLOSE_MAX 65536
#define LET_GO_BYTES (INT64_C(8) << 20) /* of a file; less is freed in a few ms */

struct child {
	pid_t pid;
	int fd;
};

/* What stands before the answer in the pipe. */
struct head {
	int32_t r;
	uint32_t len;
};

struct answer {
	struct head head;
	uint8_t bytes[CHILD_ANSWER_MAX];
};

/* Handlers of the parent would run its code on its copied state. Ignored signals are reset too. */
static void reset_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		sigaction(sig, &sa, NULL); /* fails for SIGKILL, SIGSTOP and what libc keeps: nothing to reset there */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * All descriptors but 0 to 2, the answer's, which becomes 3, and ${keep}, which become CHILD_FD and on. A client whose
 * connection the keeper closes must see it closed, and a lock on the directory must end with the keeper, although this
 * process goes on for a second.
 */
static int close_others(int fd, const int *keep, size_t n)
{
	int first = CHILD_FD + (int)n, high[CHILD_FDS_MAX];

	/* First out of the way of each other. */
	fd = fcntl(fd, F_DUPFD, first);
	for (size_t i = 0; i < n; i++)
		if ((high[i] = fcntl(keep[i], F_DUPFD, first)) < 0)
			return -1;
	if (fd < 0 || dup2(fd, 3) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (dup2(high[i], CHILD_FD + (int)i) < 0)
			return -1;
	if (close_range((unsigned int)first, ~0U, 0) < 0) {
		/* Linux before 5.9. */
		long max = sysconf(_SC_OPEN_MAX);

		for (int i = first; i < (max > 0 && max < CLOSE_MAX ? max : CLOSE_MAX); i++)
			close(i);
	}
	return 3;
}

static _Noreturn void child_main(child_fn fn, void *userdata, int fd, const int *keep, size_t n, pid_t parent)
{
	struct answer a = { 0 };
	size_t len = 0;
	int r;

	reset_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0); /* it may hold keys; a core of it is of no use */
	if (getppid() != parent)
		_exit(1);
	fd = close_others(fd, keep, n);
	if (fd < 0)
		_exit(1);
	r = fn(userdata, a.bytes, &len);
	if (r > 0 || len > sizeof(a.bytes))
		r = -EPROTO;
	if (r < 0)
		len = 0;
	a.head.r = r;
	a.head.len = (uint32_t)len;
	(void)io_write(fd, &a, sizeof(a.head) + len); /* or nobody reads any more */
	explicit_bzero(&a, sizeof(a));
	_exit(0);
}

int child_start(child_fn fn, void *userdata, struct child **ret)
{
	return child_start_with(fn, userdata, NULL, 0, ret);
}

int child_start_with(child_fn fn, void *userdata, const int *keep, size_t n, struct child **ret)
{
	pid_t parent = getpid(), pid;
	sigset_t all, before;
	struct child *c;
	int fds[2], error;

	if (n > CHILD_FDS_MAX)
		return err_origin(-EINVAL);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_origin(-errno);
	/* No handler of the parent may run in the child before they are reset. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		child_main(fn, userdata, fds[1], keep, n, parent);
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_origin(-error);
	}
	c = xnew(struct child);
	c->pid = pid;
	c->fd = fds[0];
	*ret = c;
	return 0;
}

int child_fd(const struct child *c)
{
	return c->fd;
}

int child_finish(struct child *c, void *buf, size_t size, size_t *ret_len)
{
	struct answer a;
	ssize_t n = io_read(c->fd, &a, sizeof(a));
	int r = 0;

	if (n < 0)
		r = err_origin((int)n);
	else if ((size_t)n < sizeof(a.head) || (size_t)n != sizeof(a.head) + a.head.len)
		r = err_origin(-EPIPE);
	else if (a.head.r < 0)
		r = err_origin(a.head.r);
	else if (a.head.len > size)
		r = err_origin(-EPROTO);
	if (r == 0) {
		memcpy(buf, a.bytes, a.head.len);
		*ret_len = a.head.len;
	}
	explicit_bzero(&a, sizeof(a)); /* it may be a key */
	return r;
}

struct child *child_free(struct child *c)
{
	pid_t done;

	if (!c)
		return NULL;
	close(c->fd);
	/* Only while it is ours to wait for is the id surely its own (ECHILD: somebody ignores SIGCHLD). */
	done = waitpid(c->pid, NULL, WNOHANG);
	if (done == 0) {
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(c);
	return NULL;
}

/* In the child: leave a process behind that holds CHILD_FD until the other end of CHILD_FD + 1 is closed. */
static int leave_holder(_unused_ void *userdata, _unused_ void *answer, size_t *ret_len)
{
	pid_t pid = fork();
	char byte;

	*ret_len = 0;
	if (pid != 0)
		return pid < 0 ? -errno : 0;
	close(3); /* or who waits for the answer waits for this process */
	while (read(CHILD_FD + 1, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/* False: nobody holds it. */
static bool hand_over(int fd, int gate)
{
	_cleanup_(child_freep) struct child *c = NULL;
	const int fds[] = { fd, gate };
	uint8_t none[1];
	size_t len;

	return child_start_with(leave_holder, NULL, fds, ARRAY_SIZE(fds), &c) == 0 && child_finish(c, none, sizeof(none), &len) == 0;
}

void child_let_go(int fd)
{
	int gate[2] = { -1, -1 };
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_nlink == 0 && (int64_t)st.st_blocks * 512 > LET_GO_BYTES && pipe2(gate, O_CLOEXEC) == 0 &&
	    !hand_over(fd, gate[0]))
		log_debug("a large file is closed here, which may take a while");
	close(fd);
	for (int i = 0; i < 2 && gate[i] >= 0; i++)
		close(gate[i]);
}
