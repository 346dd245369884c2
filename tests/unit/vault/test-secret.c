/*
 * secret.c: memory that the kernel locked, zero at first; one warning where it did not.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault/secret.h"

/* VmLck of this process in kB. */
static long locked_kb(void)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmLck: %ld", &kb);
	fclose(f);
	return kb;
}

static void test_locked_and_zero(void **state)
{
	static const uint8_t zero[64];
	long before = locked_kb();
	uint8_t *p = secret_alloc(64);

	(void)state;
	assert_memory_equal(p, zero, 64);
#ifndef __SANITIZE_ADDRESS__ /* which makes mlock(2) do nothing */
	assert_true(locked_kb() > before);
#endif
	p = secret_free(p);
	assert_int_equal(locked_kb(), before);
	assert_null(secret_free(NULL));
}

/* In a child that may lock nothing: three keys, and what it says of them. */
static void say_it(int fd)
{
	const struct rlimit none = { 0, 0 };

	/* Root's CAP_IPC_LOCK makes the limit void. */
	if (dup2(fd, STDERR_FILENO) < 0 || setrlimit(RLIMIT_MEMLOCK, &none) < 0 ||
	    (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0))
		_exit(1);
	for (int i = 0; i < 3; i++) {
		uint8_t *p = secret_alloc(64);

		memset(p, i, 64);
		if (i)
			secret_free(p);
	}
	_exit(0);
}

static void test_a_failed_lock_is_said_once(void **state)
{
	char text[1024] = "";
	size_t len = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* its mlock(2) does nothing, and cannot fail */
#endif
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0)
		say_it(fds[1]);
	close(fds[1]);
	while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_non_null(strstr(text, "RLIMIT_MEMLOCK"));
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locked_and_zero),
		cmocka_unit_test(test_a_failed_lock_is_said_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
