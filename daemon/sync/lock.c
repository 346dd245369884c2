#include "sync/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/err.h"
#include "base/mem.h"

int lock_take(const char *dir, int *ret_fd, pid_t *ret_pid)
{
	_cleanup_(freep) char *path = xasprintf("%s/lock", dir);
	_cleanup_(closep) int fd = -1;
	char text[32] = "";
	ssize_t n;

	*ret_pid = 0;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_origin(-errno);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_origin(-errno);
		n = read(fd, text, sizeof(text) - 1);
		if (n > 0)
			*ret_pid = (pid_t)strtol(text, NULL, 10);
		return LOCK_E_HELD;
	}
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	/* Informative only: a disk too full for five bytes must not keep varve from starting. */
	if (ftruncate(fd, 0) == 0 && write(fd, text, strlen(text)) < 0)
		(void)err_origin(-errno);
	*ret_fd = TAKE_FD(fd);
	return 0;
}
