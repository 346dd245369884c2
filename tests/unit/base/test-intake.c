/* base/intake: what libsystemd reads with is ours, and has an end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/intake.h"
#include "base/mem.h"

struct pair {
	int a, b, other[2];
};

static int setup(void **state)
{
	static struct pair p;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p.other) < 0)
		return -1;
	p.a = fds[0];
	p.b = fds[1];
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	close(p->a);
	close(p->b);
	close(p->other[0]);
	close(p->other[1]);
	return 0;
}

/* Read as sd-bus does: much room for bytes, much for descriptors, which are closed. */
static ssize_t take(int fd, int *ret_flags)
{
	char data[100];
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(253 * sizeof(int))];
	} control;
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	assert_ptr_equal(m.msg_iov, &iov);
	*ret_flags = m.msg_flags;
	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			close(got);
		}
	return n;
}

static void give(int fd, size_t bytes, size_t n_fds)
{
	static char data[100];
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(253 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { data, bytes };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(&control.align) + i * sizeof(int), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(fd, &m, 0), bytes);
}

static void an_allowance_is_all_there_is(void **state)
{
	struct pair *p = *state;
	struct intake got;
	int flags;

	give(p->a, 100, 0);
	intake_begin(p->b, 70);
	assert_int_equal(take(p->b, &flags), 70);
	assert_int_equal(take(p->b, &flags), -1);
	assert_int_equal(errno, EAGAIN);
	got = intake_taken();
	assert_int_equal(got.bytes, 70);
	assert_int_equal(got.fds, 0);
	assert_int_equal(intake_end().bytes, 0);
	assert_int_equal(take(p->b, &flags), 30);
	assert_int_equal(intake_taken().bytes, 0);
}

static void other_descriptors_are_not_concerned(void **state)
{
	struct pair *p = *state;
	int flags;

	give(p->other[0], 100, 0);
	intake_begin(p->b, 10);
	assert_int_equal(take(p->other[1], &flags), 100);
	assert_int_equal(intake_end().bytes, 0);
}

static void descriptors_are_counted_and_too_many_are_cut_off(void **state)
{
	struct pair *p = *state;
	int flags;

	give(p->a, 1, INTAKE_FDS);
	give(p->a, 1, INTAKE_FDS + 1);
	intake_begin(p->b, 100);
	assert_int_equal(take(p->b, &flags), 1);
	assert_false(flags & MSG_CTRUNC);
	assert_int_equal(intake_taken().fds, INTAKE_FDS);
	assert_int_equal(take(p->b, &flags), 1);
	assert_true(flags & MSG_CTRUNC);
	assert_int_equal(intake_end().fds, INTAKE_FDS);
}

/* What a library looks for under that name. */
static void it_is_the_recvmsg_of_the_process(_unused_ void **state)
{
	Dl_info info;

	assert_true(dladdr(dlsym(RTLD_DEFAULT, "recvmsg"), &info) != 0);
	assert_null(strstr(info.dli_fname, "libc.so"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_allowance_is_all_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(other_descriptors_are_not_concerned, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_are_counted_and_too_many_are_cut_off, setup, teardown),
		cmocka_unit_test(it_is_the_recvmsg_of_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
