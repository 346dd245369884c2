/*
 * sandbox.c, landlock.c, seccomp.c: after them a wire can read what TLS and DNS need, and neither the user's files nor start
 * a program nor reach the user's other processes. Each test forks, because there is no way back.
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
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

static const struct socket_case {
	const char *why;
	int family, type, protocol;
	bool allowed;
} sockets[] = {
	{ "the server", AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, true },
	{ "the server", AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP, true },
	{ "DNS", AF_INET, SOCK_DGRAM, IPPROTO_UDP, true },
	{ "our own addresses, for getaddrinfo()", AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0, true },
	{ "varved's bus, the session bus", AF_UNIX, SOCK_STREAM, 0, false },
	{ "journal and service manager", AF_UNIX, SOCK_DGRAM, 0, false },
	{ "AF_UNIX too", AF_UNIX, SOCK_SEQPACKET, 0, false },
	{ "what is on the cable", AF_PACKET, SOCK_RAW, 0, false },
	{ "forged packets", AF_INET, SOCK_RAW, IPPROTO_TCP, false },
	{ "a ping, and a part of the kernel of its own", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, false },
	{ "a module to be loaded", AF_INET, SOCK_STREAM, 132 /* SCTP */, false },
	{ "whose sockets there are", AF_NETLINK, SOCK_RAW, 4 /* NETLINK_SOCK_DIAG */, false },
	{ "the firewall", AF_NETLINK, SOCK_RAW, 12 /* NETLINK_NETFILTER */, false },
	{ "crypto of the kernel", 38 /* AF_ALG */, SOCK_SEQPACKET, 0, false },
};

static int filtered_sockets(_unused_ const char *arg)
{
	if (probe_seccomp(NULL))
		return 99;
	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
		const struct socket_case *c = &sockets[i];
		int fd = socket(c->family, c->type, c->protocol);

		/* A machine without IPv6 says so by another error. */
		if (c->allowed ? fd < 0 && errno != EAFNOSUPPORT : fd >= 0 || errno != EACCES) {
			fprintf(stderr, "socket %zu (%s): %d, %s\n", i, c->why, fd, strerror(errno));
			return 1;
		}
	}
	return 0;
}

/* The user's buses are such sockets: ${path} has somebody who listens. */
static int connects(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, pair[2];

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	if (sandbox_enter() < 0)
		return 99;
	/* A pair of datagram sockets could be turned elsewhere. */
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0)
		return 98;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
}

/* System calls by which an attacker would get at other processes, or at the kernel. */
static const struct call_case {
	const char *why;
	long number;
	long args[3];
	int error;
} calls[] = {
	{ "another's memory", SYS_process_vm_readv, { 1 }, ENOSYS },
	{ "another's memory", SYS_process_vm_writev, { 1 }, ENOSYS },
	{ "another's memory", SYS_ptrace, { 16 /* PTRACE_ATTACH */, 1 }, EACCES },
	{ "another's memory", SYS_pidfd_open, { 1 }, ENOSYS },
	{ "a signal", SYS_kill, { 1, 0 }, ENOSYS },
	{ "a signal", SYS_tkill, { 1, 0 }, ENOSYS },
	{ "a signal", SYS_tgkill, { 1, 1, 0 }, EACCES },
	{ "a signal", SYS_rt_sigqueueinfo, { 1, 0 }, ENOSYS },
	{ "a signal when something can be read", SYS_fcntl, { 0, F_SETOWN, 1 }, EACCES },
	{ "which signal", SYS_fcntl, { 0, 10 /* F_SETSIG */, SIGKILL }, EACCES },
	{ "a lot of memory in a pipe", SYS_fcntl, { 0, 1031 /* F_SETPIPE_SZ */, 1 << 20 }, EACCES },
	{ "a process", SYS_clone, { SIGCHLD }, ENOSYS },
	{ "a thread", SYS_clone3, { 0 }, ENOSYS },
	{ "a server", SYS_listen, { 0, 1 }, ENOSYS },
	{ "a file without a name", SYS_memfd_create, { 0 }, ENOSYS },
	{ "a namespace", SYS_unshare, { 0x10000000 /* CLONE_NEWUSER */ }, ENOSYS },
	{ "a root directory", SYS_chroot, { 0 }, ENOSYS },
	{ "system calls by another way", SYS_io_uring_setup, { 1 }, ENOSYS },
	{ "programs of the kernel", SYS_bpf, { 0 }, ENOSYS },
	{ "counters of the kernel", SYS_perf_event_open, { 0 }, ENOSYS },
	{ "time to win a race", SYS_userfaultfd, { 0 }, ENOSYS },
	{ "the user's keys", SYS_keyctl, { 0 }, ENOSYS },
	{ "more than our share", SYS_setpriority, { 0, 0, -5 }, ENOSYS },
	{ "another's limits", SYS_prlimit64, { 1, 0, 0 }, EACCES },
};

static int filtered_calls(_unused_ const char *arg)
{
	if (probe_seccomp(NULL))
		return 99;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct call_case *c = &calls[i];

		errno = 0;
		if (syscall(c->number, c->args[0], c->args[1], c->args[2], 0L, 0L, 0L) != -1 || errno != c->error) {
			fprintf(stderr, "call %zu (%s): %s\n", i, c->why, strerror(errno));
			return 1;
		}
	}
	return 0;
}

/* Memory that is shared with nobody counts for no limit. */
static int takes_memory(const char *how)
{
	const size_t size = 64 << 20;
	const int flags = MAP_ANONYMOUS | (*how == 's' ? MAP_SHARED : MAP_PRIVATE);
	int pieces = 0;

	if (sandbox_enter() < 0)
		return 99;
	while (pieces < 90 && mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED)
		pieces++;
	return pieces;
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
		assert_int_equal(in_child(filtered_sockets, NULL), 0);
		assert_int_equal(in_child(filtered_calls, NULL), 0);
		assert_in_range(in_child(takes_memory, "private"), 1, 4);
		assert_int_equal(in_child(takes_memory, "shared"), 0);
		assert_int_equal(in_child(filtered_types, NULL), EACCES);
		assert_int_equal(in_child(filtered_aborts, NULL), 200 + SIGABRT);
		assert_int_equal(in_child(filtered_resolves, "localhost"), 0);
		assert_int_equal(in_child(resolves, "localhost"), 0);
	}
	assert_int_equal(unlink(path), 0);
}

/* Behind them are all messages (varved's own) and programs to be started (the session's). */
static void no_bus_of_the_user_can_be_reached(_unused_ void **state)
{
	char dir[] = "/tmp/varve-sandbox-XXXXXX";
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_non_null(mkdtemp(dir));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/bus", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	if (!no_seccomp())
		assert_int_equal(in_child(connects, a.sun_path), EACCES);
	close(fd);
	unlink(a.sun_path);
	rmdir(dir);
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
		cmocka_unit_test(no_bus_of_the_user_can_be_reached),
		cmocka_unit_test(what_tls_and_dns_need_is_there),
		cmocka_unit_test(a_certificate_file_of_the_environment_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
