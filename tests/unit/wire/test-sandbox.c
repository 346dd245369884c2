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
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/landlock.h"
#include "wire/sandbox.h"

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

static void no_program_can_be_started(_unused_ void **state)
{
	if (!no_landlock())
		assert_int_equal(in_child(executes, "/bin/true"), EACCES);
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
		cmocka_unit_test(what_tls_and_dns_need_is_there),
		cmocka_unit_test(a_certificate_file_of_the_environment_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
