#define _GNU_SOURCE
#include "base/intake.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* Of the process: who calls recvmsg() carries no handle of ours. */
static struct {
	int fd;
	size_t left;
	struct intake taken;
} self = { .fd = -1 };

void intake_begin(int fd, size_t bytes)
{
	self.fd = fd;
	self.left = bytes;
	self.taken = (struct intake){ 0 };
}

/* Of links, two an account at most: a list is short enough. */
static struct guard {
	int fd;
	size_t max, got;
} *guards;
static size_t n_guards;

static struct guard *guard_of(int fd)
{
	for (size_t i = 0; i < n_guards; i++)
		if (guards[i].fd == fd)
			return &guards[i];
	return NULL;
}

void intake_guard(int fd, size_t max)
{
	guards = xrealloc(guards, n_guards + 1, sizeof(*guards));
	guards[n_guards++] = (struct guard){ .fd = fd, .max = max };
}

void intake_guard_whole(int fd)
{
	struct guard *g = guard_of(fd);

	if (g)
		g->got = 0;
}

void intake_guard_end(int fd)
{
	struct guard *g = guard_of(fd);

	if (g)
		*g = guards[--n_guards];
	if (n_guards == 0) {
		free(guards);
		guards = NULL;
	}
}

struct intake intake_taken(void)
{
	struct intake taken = self.taken;

	self.taken = (struct intake){ 0 };
	return taken;
}

struct intake intake_end(void)
{
	self.fd = -1;
	return intake_taken();
}

static size_t count_fds(struct msghdr *m)
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			n += (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	return n;
}

/* Found by libsystemd too: that is what it is for. */
__attribute__((visibility("default"))) ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	struct guard *g = guard_of(fd);
	struct msghdr part = *m;
	struct iovec first;
	ssize_t n;

	if (g && g->got > g->max) {
		errno = ECONNRESET;
		return -1;
	}
	if (g) {
		n = syscall(SYS_recvmsg, fd, m, flags);
		g->got += n > 0 ? (size_t)n : 0;
		return n;
	}
	if (fd != self.fd || m->msg_iovlen != 1 || flags & MSG_PEEK)
		return syscall(SYS_recvmsg, fd, m, flags);
	if (self.left == 0) {
		errno = EAGAIN;
		return -1;
	}
	first = m->msg_iov[0];
	if (first.iov_len > self.left)
		first.iov_len = self.left;
	part.msg_iov = &first;
	if (part.msg_controllen > CMSG_SPACE(INTAKE_FDS * sizeof(int)))
		part.msg_controllen = CMSG_SPACE(INTAKE_FDS * sizeof(int));
	n = syscall(SYS_recvmsg, fd, &part, flags);
	part.msg_iov = m->msg_iov;
	*m = part;
	if (n > 0) {
		self.left -= (size_t)n;
		self.taken.bytes += (size_t)n;
		self.taken.fds += count_fds(m);
	}
	return n;
}
