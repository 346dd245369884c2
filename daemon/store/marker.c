#include "store/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/step.h"

#define MARKER_NAME "archive.state"
#define MARKER_TEXT "format 1; must exist\n"

int marker_exists(const char *dir, bool *ret)
{
	_cleanup_(freep) char *path = xasprintf("%s/" MARKER_NAME, dir);
	struct stat st;

	if (lstat(path, &st) == 0) {
		*ret = true;
		return 0;
	}
	if (errno != ENOENT)
		return err_origin(-errno);
	*ret = false;
	return 0;
}

static int write_whole(const char *path, const char *text)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return err_origin(-errno);
	n = write(fd, text, len);
	if (n < 0)
		return err_origin(-errno);
	if ((size_t)n != len)
		return err_origin(-ENOSPC);
	if (fsync(fd) < 0)
		return err_origin(-errno);
	return 0;
}

int marker_write(const char *dir)
{
	_cleanup_(freep) char *path = xasprintf("%s/" MARKER_NAME, dir);
	_cleanup_(freep) char *tmp = xasprintf("%s/" MARKER_NAME ".tmp", dir);
	_cleanup_(closep) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir_fd < 0)
		return err_origin(-errno);
	r = write_whole(tmp, MARKER_TEXT);
	if (r < 0)
		return err_trace(r);
	if (rename(tmp, path) < 0)
		return err_origin(-errno);
	if (fsync(dir_fd) < 0)
		return err_origin(-errno);
	step("store.marker");
	return 0;
}
