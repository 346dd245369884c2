/*
 * io.c: what a short count, an interruption or a missing parent would break.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"

#define TEST(name) static void name(void **state _unused_)

enum { BIG = 1 << 20 }; /* bytes: more than any pipe holds */

static char dir[] = "/tmp/varve-io-XXXXXX";

static int make_dir(void **state _unused_)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state _unused_)
{
	_cleanup_(freep) char *command = xasprintf("rm -rf '%s'", dir);

	return system(command);
}

static char *below(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

/* A pipe's other end, written by a child a few bytes at a time. */
static pid_t drip(int *ret_fd, const char *text, size_t step)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (size_t len = strlen(text), at = 0; at < len; at += step)
			if (write(fds[1], text + at, len - at < step ? len - at : step) < 0)
				_exit(1);
		_exit(0);
	}
	close(fds[1]);
	*ret_fd = fds[0];
	return pid;
}

TEST(what_comes_in_pieces_is_read_whole)
{
	char got[32] = "";
	int fd, status;
	pid_t pid = drip(&fd, "one two three", 3);

	assert_int_equal(io_read(fd, got, sizeof(got)), 13);
	assert_string_equal(got, "one two three");
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

TEST(no_more_is_read_than_asked_for)
{
	char got[4] = "";
	int fd, status;
	pid_t pid = drip(&fd, "one two three", 2);

	assert_int_equal(io_read(fd, got, 3), 3);
	assert_string_equal(got, "one");
	assert_int_equal(io_read(fd, got, 0), 0);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

TEST(a_directory_cannot_be_read)
{
	int fd = open(dir, O_RDONLY | O_CLOEXEC);
	char c;

	assert_true(fd >= 0);
	assert_int_equal(io_read(fd, &c, 1), -EISDIR);
	close(fd);
}

static void on_alarm(int sig _unused_)
{
}

/* More than the pipe takes, with signals in between: the reader is slow, nothing is lost, nothing comes twice. */
TEST(what_goes_out_in_pieces_is_written_whole)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	uint8_t *data = xnewn(uint8_t, BIG);
	int fds[2], status;
	pid_t pid;

	for (size_t i = 0; i < BIG; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	sigaction(SIGALRM, &sa, NULL); /* without SA_RESTART: write(2) is interrupted */
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		uint8_t *got = xnewn(uint8_t, BIG + 1);
		pid_t parent = getppid();
		size_t len = 0;
		ssize_t n;

		close(fds[1]);
		while ((n = read(fds[0], got + len, 10000)) > 0) {
			len += (size_t)n;
			kill(parent, SIGALRM);
		}
		_exit(len == BIG && memcmp(got, data, BIG) == 0 ? 0 : 1);
	}
	close(fds[0]);
	assert_int_equal(io_write(fds[1], data, BIG), 0);
	close(fds[1]);
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	signal(SIGALRM, SIG_DFL);
	free(data);
}

TEST(a_full_disk_is_told_although_some_was_written)
{
	_cleanup_(freep) char *path = below("full");
	const struct rlimit small = { 10, RLIM_INFINITY };
	struct rlimit before;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), r;

	assert_true(fd >= 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = io_write(fd, "more than ten bytes", 19);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_END), 10);
	close(fd);
}

TEST(directories_are_made_with_their_parents)
{
	_cleanup_(freep) char *path = below("a/b//c");
	struct stat st;

	assert_int_equal(io_make_dirs(path), 1);
	assert_int_equal(io_make_dirs(path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(io_make_dirs("/"), 0);
	assert_int_equal(io_make_dirs(""), -ENOENT);
}

TEST(a_file_in_the_way_is_told)
{
	_cleanup_(freep) char *file = below("file"), *path = below("file/d/e");

	close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(io_make_dirs(path), -ENOTDIR);
}

TEST(the_parent_of_any_path_is_synced)
{
	_cleanup_(freep) char *path = below("whatever"), *missing = below("none/x");

	assert_int_equal(io_sync_parent(path), 0); /* it need not be there itself: an unlink is synced like this */
	assert_int_equal(io_sync_parent("/x"), 0);
	assert_int_equal(io_sync_parent("x"), 0);
	assert_int_equal(io_sync_parent(missing), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_in_pieces_is_read_whole),
		cmocka_unit_test(no_more_is_read_than_asked_for),
		cmocka_unit_test(a_directory_cannot_be_read),
		cmocka_unit_test(what_goes_out_in_pieces_is_written_whole),
		cmocka_unit_test(a_full_disk_is_told_although_some_was_written),
		cmocka_unit_test(directories_are_made_with_their_parents),
		cmocka_unit_test(a_file_in_the_way_is_told),
		cmocka_unit_test(the_parent_of_any_path_is_synced),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
