/*
 * sandbox.c, landlock.c: after them a wire can read what TLS and DNS need, and neither the user's files nor start a
 * program. Each test forks, because there is no way back.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/landlock.h"
#include "wire/sandbox.h"
#include "wire/seccomp.h"

/* The exit code of ${fn} in a child; 200 + if it was killed. */
static int in_child(int (*fn)(const char *arg), const char *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

static int probe(_unused_ const char *arg)
{
	int r;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = landlock_enter();
	return r < 0 ? 99 : r;
}

/* A kernel without it, or the sanitizers, which need the file system. */
static bool no_landlock(void)
{
#ifdef __SANITIZE_ADDRESS__
	const bool sanitized = true;
#else
	const bool sanitized = false;
#endif
	return sanitized || in_child(probe, NULL) == LANDLOCK_E_MISSING;
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int reads(const char *path)
{
	return sandbox_enter() < 0 ? 99 : try_open(path, O_RDONLY);
}

static int creates(const char *path)
{
	return sandbox_enter() < 0 ? 99 : try_open(path, O_WRONLY | O_CREAT | O_EXCL);
}

static int removes(const char *path)
{
	if (sandbox_enter() < 0)
		return 99;
	return unlink(path) < 0 ? errno : 0;
}

static int executes(const char *path)
{
	char *const argv[] = { (char *)(uintptr_t)path, NULL };

	if (sandbox_enter() < 0)
		return 99;
	execv(path, argv);
	return errno;
}

static int resolves(const char *name)
{
	struct addrinfo *list;
	int r;

	if (sandbox_enter() < 0)
		return 99;
	r = getaddrinfo(name, NULL, NULL, &list);
	return r == 0 ? 0 : 98;
}

static void the_archive_cannot_be_opened(_unused_ void **state)
{
	char path[] = "/tmp/varve-sandbox-XXXXXX", other[64];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	snprintf(other, sizeof(other), "%s.new", path);
	assert_int_equal(try_open(path, O_RDONLY), 0);
	if (!no_landlock()) {
		assert_int_equal(in_child(reads, path), EACCES);
		assert_int_equal(in_child(creates, other), EACCES);
		assert_int_equal(in_child(removes, path), EACCES);
		assert_int_equal(in_child(reads, getenv("HOME") ? getenv("HOME") : "/root"), EACCES);
	}
	assert_int_equal(unlink(path), 0);
}

static int probe_seccomp(_unused_ const char *arg)
{
	int r;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = seccomp_enter();
	return r < 0 ? 99 : r;
}

static bool no_seccomp(void)
{
#ifdef __SANITIZE_ADDRESS__
	return true;
#else
	return in_child(probe_seccomp, NULL) == SECCOMP_E_MISSING;
#endif
}

static void no_program_can_be_started(_unused_ void **state)
{
	if (!no_landlock() || !no_seccomp())
		assert_int_equal(in_child(executes, "/bin/true"), EACCES);
}

/* Each in a child behind the filter alone: an errno, 0 when it was let. */
static int filtered_writes(const char *path)
{
	return probe_seccomp(NULL) ? 99 : try_open(path, O_WRONLY);
}

static int filtered_makes(const char *path)
{
	return probe_seccomp(NULL) ? 99 : try_open(path, O_RDONLY | O_CREAT);
}

static int filtered_reads(const char *path)
{
	return probe_seccomp(NULL) ? 99 : try_open(path, O_RDONLY);
}

static int filtered_removes(const char *path)
{
	if (probe_seccomp(NULL))
		return 99;
	return unlink(path) < 0 ? errno : 0;
}

static int filtered_executes(const char *path)
{
	char *const argv[] = { (char *)(uintptr_t)path, NULL };

	if (probe_seccomp(NULL))
		return 99;
	execv(path, argv);
	return errno;
}

static int filtered_forks(_unused_ const char *arg)
{
	pid_t pid;

	if (probe_seccomp(NULL))
		return 99;
	pid = fork();
	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int filtered_kills(_unused_ const char *arg)
{
	if (probe_seccomp(NULL))
		return 99;
	return kill(getppid(), 0) < 0 ? errno : 0;
}

static int filtered_packets(_unused_ const char *arg)
{
	if (probe_seccomp(NULL))
		return 99;
	return socket(AF_PACKET, SOCK_RAW, 0) < 0 ? errno : 0;
}

static int filtered_types(_unused_ const char *arg)
{
	char c = 'x';

	if (probe_seccomp(NULL))
		return 99;
	return ioctl(0, TIOCSTI, &c) < 0 ? errno : 0; /* into the terminal's input */
}

static int filtered_aborts(_unused_ const char *arg)
{
	if (probe_seccomp(NULL))
		return 99;
	abort();
}

static int filtered_resolves(const char *name)
{
	struct addrinfo *list;

	return probe_seccomp(NULL) ? 99 : getaddrinfo(name, NULL, NULL, &list) == 0 ? 0 : 98;
}

static void what_a_wire_never_does_it_cannot_do(_unused_ void **state)
{
	char path[] = "/tmp/varve-sandbox-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	if (!no_seccomp()) {
		assert_int_equal(in_child(filtered_reads, path), 0);
		assert_int_equal(in_child(filtered_writes, path), EACCES);
		assert_int_equal(in_child(filtered_makes, path), EACCES);
		assert_int_equal(in_child(filtered_removes, path), EACCES);
		assert_int_equal(in_child(filtered_executes, "/bin/true"), EACCES);
		assert_int_equal(in_child(filtered_forks, NULL), ENOSYS);
		assert_int_equal(in_child(filtered_kills, NULL), ENOSYS);
		assert_int_equal(in_child(filtered_packets, NULL), EACCES);
		assert_int_equal(in_child(filtered_types, NULL), EACCES);
		assert_int_equal(in_child(filtered_aborts, NULL), 200 + SIGABRT);
		assert_int_equal(in_child(filtered_resolves, "localhost"), 0);
		assert_int_equal(in_child(resolves, "localhost"), 0);
	}
	assert_int_equal(unlink(path), 0);
}

static void what_tls_and_dns_need_is_there(_unused_ void **state)
{
	assert_int_equal(in_child(reads, "/etc/nsswitch.conf"), 0);
	assert_int_equal(in_child(reads, "/etc/ssl"), 0);
	assert_int_equal(in_child(reads, "/dev/urandom"), 0);
	assert_int_equal(in_child(resolves, "localhost"), 0);
}

/* Trust anchors of the user's own choice. */
static void a_certificate_file_of_the_environment_is_there(_unused_ void **state)
{
	char path[] = "/tmp/varve-sandbox-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	setenv("SSL_CERT_FILE", path, 1);
	assert_int_equal(in_child(reads, path), 0);
	unsetenv("SSL_CERT_FILE");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_archive_cannot_be_opened),
		cmocka_unit_test(no_program_can_be_started),
		cmocka_unit_test(what_a_wire_never_does_it_cannot_do),
		cmocka_unit_test(what_tls_and_dns_need_is_there),
		cmocka_unit_test(a_certificate_file_of_the_environment_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
