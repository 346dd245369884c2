/*
 * child.c: one answer from a forked child, however it ends; nothing of the parent goes on in it, nothing of it stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/child.h"

#define TEST(name) static void name(void **state _unused_)

enum { DEADLINE_MS = 10000 };

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

/* This process has no child any more, running or dead. */
static void assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static int echo(void *userdata, void *answer, size_t *ret_len)
{
	*ret_len = strlen(userdata);
	memcpy(answer, userdata, *ret_len);
	return 0;
}

TEST(an_answer_comes_back)
{
	char text[] = "forty-two", buf[16] = "";
	struct child *c;
	size_t len;

	assert_int_equal(child_start(echo, text, &c), 0);
	text[0] = 'F'; /* it has its own copy */
	assert_true(readable(child_fd(c), DEADLINE_MS));
	assert_int_equal(child_finish(c, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 9);
	assert_memory_equal(buf, "forty-two", 9);
	assert_int_equal(child_finish(c, buf, sizeof(buf), &len), -EPIPE);
	child_free(c);
	assert_no_child();
}

static int fill(void *userdata, void *answer, size_t *ret_len)
{
	memset(answer, 'x', CHILD_ANSWER_MAX);
	*ret_len = *(size_t *)userdata;
	return 0;
}

TEST(the_greatest_answer_fits_and_one_byte_more_does_not)
{
	static char buf[CHILD_ANSWER_MAX];
	size_t want = CHILD_ANSWER_MAX, len;
	struct child *c;

	assert_int_equal(child_start(fill, &want, &c), 0);
	assert_int_equal(child_finish(c, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, CHILD_ANSWER_MAX);
	assert_int_equal(buf[CHILD_ANSWER_MAX - 1], 'x');
	child_free(c);

	assert_int_equal(child_start(fill, &want, &c), 0);
	assert_int_equal(child_finish(c, buf, sizeof(buf) - 1, &len), -EPROTO);
	child_free(c);

	want++;
	assert_int_equal(child_start(fill, &want, &c), 0);
	assert_int_equal(child_finish(c, buf, sizeof(buf), &len), -EPROTO);
	child_free(c);
	assert_no_child();
}

static int give_up(void *userdata _unused_, void *answer _unused_, size_t *ret_len)
{
	*ret_len = 7;
	return -ENOMEM;
}

static int die(void *userdata _unused_, void *answer _unused_, size_t *ret_len _unused_)
{
	raise(SIGKILL);
	return 0;
}

TEST(failure_and_death_are_told_apart)
{
	struct child *c;
	char buf[8];
	size_t len = 99;

	assert_int_equal(child_start(give_up, NULL, &c), 0);
	assert_int_equal(child_finish(c, buf, sizeof(buf), &len), -ENOMEM);
	child_free(c);
	assert_int_equal(child_start(die, NULL, &c), 0);
	assert_true(readable(child_fd(c), DEADLINE_MS));
	assert_int_equal(child_finish(c, buf, sizeof(buf), &len), -EPIPE);
	child_free(c);
	assert_int_equal(len, 99);
	assert_no_child();
}

static int hang(void *userdata _unused_, void *answer _unused_, size_t *ret_len _unused_)
{
	for (;;)
		pause();
	return 0;
}

TEST(free_kills_and_reaps_only_its_own)
{
	struct child *a, *b;
	pid_t other = fork();

	if (other == 0)
		hang(NULL, NULL, NULL);
	assert_int_equal(child_start(hang, NULL, &a), 0);
	assert_int_equal(child_start(hang, NULL, &b), 0);
	assert_false(readable(child_fd(a), 0));
	child_free(a);
	child_free(b);
	child_free(NULL);
	/* The other child is still there to be waited for. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
	kill(other, SIGKILL);
	assert_int_equal(waitpid(other, NULL, 0), other);
	assert_no_child();
}

static volatile sig_atomic_t ran;

static void on_signal(int sig _unused_)
{
	ran = 1;
}

struct seen {
	bool blocked, handled, dumpable;
	int fds, pdeathsig;
};

static int look(void *userdata _unused_, void *answer, size_t *ret_len)
{
	struct seen s = { .dumpable = prctl(PR_GET_DUMPABLE) == 1 };
	struct sigaction sa;
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	s.blocked = sigismember(&mask, SIGCHLD) || sigismember(&mask, SIGTERM);
	sigaction(SIGUSR1, NULL, &sa);
	s.handled = sa.sa_handler != SIG_DFL;
	prctl(PR_GET_PDEATHSIG, &s.pdeathsig);
	for (int fd = 3; fd < 256; fd++)
		s.fds += fcntl(fd, F_GETFD) >= 0;
	memcpy(answer, &s, sizeof(s));
	*ret_len = sizeof(s);
	return 0;
}

TEST(the_child_starts_clean)
{
	struct sigaction sa = { .sa_handler = on_signal }, old;
	sigset_t block, before, after;
	struct child *c;
	struct seen s;
	int fds[2];
	size_t len;

	assert_int_equal(pipe(fds), 0);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, &before);
	sigaction(SIGUSR1, &sa, &old);
	assert_int_equal(child_start(look, NULL, &c), 0);
	assert_int_equal(child_finish(c, &s, sizeof(s), &len), 0);
	child_free(c);
	assert_int_equal(len, sizeof(s));
	assert_false(s.blocked);
	assert_false(s.handled);
	assert_false(s.dumpable);
	assert_int_equal(s.fds, 1);
	assert_int_equal(s.pdeathsig, SIGKILL);
	/* The parent's mask is as it was, and the dead child is reaped although SIGCHLD is blocked. */
	sigprocmask(SIG_SETMASK, &before, &after);
	assert_int_equal(sigismember(&after, SIGCHLD), 1);
	assert_int_equal(sigismember(&after, SIGTERM), 0);
	sigaction(SIGUSR1, &old, NULL);
	close(fds[0]);
	close(fds[1]);
	assert_no_child();
}

/* The pid of a child whose parent is killed: gone, and its end of the pipe with it. */
TEST(the_child_dies_with_its_parent)
{
	int fds[2];
	pid_t parent;
	char byte;

	assert_int_equal(pipe(fds), 0);
	parent = fork();
	if (parent == 0) {
		struct child *c;

		/* The grandchild keeps fds[1] as its standard output: closed when it is gone. */
		if (dup2(fds[1], STDOUT_FILENO) < 0 || child_start(hang, NULL, &c) < 0)
			_exit(1);
		close(fds[1]);
		if (write(STDOUT_FILENO, "x", 1) < 0)
			_exit(1);
		hang(NULL, NULL, NULL);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	assert_true(readable(fds[0], DEADLINE_MS));
	assert_int_equal(read(fds[0], &byte, 1), 0);
	close(fds[0]);
}

static int descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

TEST(nothing_leaks_in_hundreds)
{
	int before = descriptors();

	for (int i = 0; i < 300; i++) {
		struct child *c;

		assert_int_equal(child_start(i % 2 ? hang : die, NULL, &c), 0);
		child_free(c);
	}
	assert_int_equal(descriptors(), before);
	assert_no_child();
}

/* A file of so many MB without a name, and what says that it is freed. */
static int nameless(int mb, int *ret_watch)
{
	static const char block[1 << 20];
	char path[] = "/tmp/varve-child-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	for (int i = 0; i < mb; i++)
		assert_int_equal(pwrite(fd, block, sizeof(block), (off_t)i * (off_t)sizeof(block)), sizeof(block));
	assert_int_equal(fsync(fd), 0);
	*ret_watch = inotify_init1(IN_CLOEXEC);
	assert_true(inotify_add_watch(*ret_watch, path, IN_DELETE_SELF) >= 0);
	assert_int_equal(unlink(path), 0);
	return fd;
}

static long children_so_far(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_CHILDREN, &u), 0);
	return u.ru_minflt;
}

TEST(a_large_file_without_a_name_is_closed_last_by_another_process)
{
	long before = children_so_far();
	int watch, fd = nameless(1, &watch);

	child_let_go(fd);
	assert_true(readable(watch, 0));
	assert_int_equal(children_so_far(), before);
	close(watch);

	fd = nameless(9, &watch);
	child_let_go(fd);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_true(children_so_far() > before);
	assert_no_child();
	assert_true(readable(watch, DEADLINE_MS));
	close(watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_file_without_a_name_is_closed_last_by_another_process),
		cmocka_unit_test(an_answer_comes_back),
		cmocka_unit_test(the_greatest_answer_fits_and_one_byte_more_does_not),
		cmocka_unit_test(failure_and_death_are_told_apart),
		cmocka_unit_test(free_kills_and_reaps_only_its_own),
		cmocka_unit_test(the_child_starts_clean),
		cmocka_unit_test(the_child_dies_with_its_parent),
		cmocka_unit_test(nothing_leaks_in_hundreds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
