/* bus/listen: the sockets and what may be in their way. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "bus/listen.h"

static char *make_root(void)
{
	char *root = xstrdup("/tmp/bus-test-XXXXXX");

	assert_non_null(mkdtemp(root));
	return root;
}

static void remove_root(char **root)
{
	_cleanup_(freep) char *cmd = xasprintf("rm -rf '%s'", *root);

	assert_int_equal(system(cmd), 0);
	free(*root);
}

static void sockets_are_private_and_leave_with_us(_unused_ void **state)
{
	_cleanup_(remove_root) char *root = make_root();
	_cleanup_(freep) char *dir = xasprintf("%s/varve", root), *path = xasprintf("%s/bus", dir);
	struct listeners l;
	struct stat st;
	char *why = NULL;

	assert_int_equal(listeners_open(&l, dir, &why), 0);
	assert_int_equal(l.n, 2);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(l.of[0].role, ROLE_ADMIN);
	assert_int_equal(l.of[1].role, ROLE_READ);
	listeners_close(&l);
	assert_true(stat(path, &st) < 0);
}

static void a_living_daemon_is_not_replaced(_unused_ void **state)
{
	_cleanup_(remove_root) char *root = make_root();
	_cleanup_(freep) char *dir = xasprintf("%s/varve", root), *why = NULL, *pid = xasprintf("pid %d", (int)getpid());
	struct listeners l, second;

	assert_int_equal(listeners_open(&l, dir, &why), 0);
	assert_int_equal(listeners_open(&second, dir, &why), LISTEN_E_BUSY);
	assert_non_null(strstr(why, pid));
	listeners_close(&l);
}

static void a_dead_socket_is_replaced(_unused_ void **state)
{
	_cleanup_(remove_root) char *root = make_root();
	_cleanup_(freep) char *dir = xasprintf("%s/varve", root), *why = NULL;
	struct listeners l, again;

	/* As after kill -9: the files stay, nobody listens. */
	assert_int_equal(listeners_open(&l, dir, &why), 0);
	for (size_t i = 0; i < l.n; i++)
		close(l.of[i].fd);
	assert_int_equal(listeners_open(&again, dir, &why), 0);
	listeners_close(&again);
	for (size_t i = 0; i < l.n; i++)
		free(l.of[i].path);
}

/* Connects as soon as there is something to connect to. Its exit status: 0, or the errno. */
static pid_t knock(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	memcpy(addr.sun_path, path, strlen(path));
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
			_exit(0);
		if (errno != ENOENT)
			_exit(errno);
		close(fd);
	}
}

static void a_socket_that_is_there_is_answered(_unused_ void **state)
{
	for (int i = 0; i < 50; i++) {
		_cleanup_(remove_root) char *root = make_root();
		_cleanup_(freep) char *dir = xasprintf("%s/varve", root), *path = xasprintf("%s/bus", dir), *why = NULL;
		_cleanup_(freep) char *birth = xasprintf("%s.new", path);
		struct listeners l;
		int status = -1;
		pid_t pid;

		/* One that died in the middle left it. */
		assert_int_equal(mkdir(dir, 0700), 0);
		close(open(birth, O_CREAT | O_WRONLY, 0600));
		pid = knock(path);
		assert_true(pid > 0);
		assert_int_equal(listeners_open(&l, dir, &why), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(access(birth, F_OK), -1);
		listeners_close(&l);
	}
}

static void a_successor_s_socket_is_left_alone(_unused_ void **state)
{
	_cleanup_(remove_root) char *root = make_root();
	_cleanup_(freep) char *dir = xasprintf("%s/varve", root), *path = xasprintf("%s/bus", dir), *why = NULL;
	struct listeners l, next;
	struct stat st;

	assert_int_equal(listeners_open(&l, dir, &why), 0);
	assert_int_equal(unlink(l.of[0].path) | unlink(l.of[1].path), 0);
	assert_int_equal(listeners_open(&next, dir, &why), 0);
	listeners_close(&l);
	assert_int_equal(stat(path, &st), 0);
	listeners_close(&next);
}

static void what_is_in_the_way_is_named(_unused_ void **state)
{
	_cleanup_(remove_root) char *root = make_root();
	_cleanup_(freep) char *dir = xasprintf("%s/varve", root), *path = xasprintf("%s/bus", dir);
	_cleanup_(freep) char *missing = xasprintf("%s/no/varve", root), *longest = NULL;
	_cleanup_(freep) char *why1 = NULL, *why2 = NULL, *why3 = NULL;
	struct listeners l;
	struct stat st;
	int fd;

	assert_int_equal(listeners_open(&l, missing, &why1), LISTEN_E_UNUSABLE);
	assert_non_null(strstr(why1, "XDG_RUNTIME_DIR"));

	assert_int_equal(mkdir(dir, 0755), 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(listeners_open(&l, dir, &why2), LISTEN_E_UNUSABLE);
	assert_non_null(strstr(why2, "not a socket"));
	assert_int_equal(stat(path, &st), 0);
	/* A directory of ours that was too open is closed first. */
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);

	longest = xasprintf("%s/%0100d", root, 1);
	assert_int_equal(listeners_open(&l, longest, &why3), LISTEN_E_UNUSABLE);
	assert_non_null(strstr(why3, "longer"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_are_private_and_leave_with_us),
		cmocka_unit_test(a_living_daemon_is_not_replaced),
		cmocka_unit_test(a_dead_socket_is_replaced),
		cmocka_unit_test(a_socket_that_is_there_is_answered),
		cmocka_unit_test(a_successor_s_socket_is_left_alone),
		cmocka_unit_test(what_is_in_the_way_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
