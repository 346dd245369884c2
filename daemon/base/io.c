#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/mem.h"

ssize_t io_read(int fd, void *data, size_t size)
{
	char *p = data;
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, p + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int io_write(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOSPC;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_sync_parent(const char *path)
{
	_cleanup_(freep) char *dir = xstrdup(path);
	_cleanup_(closep) int fd = -1;
	char *slash = strrchr(dir, '/');

	if (slash == dir)
		slash++;
	if (slash)
		*slash = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_origin(-errno);
	return 0;
}

int io_make_dirs(const char *path)
{
	_cleanup_(freep) char *part = xstrdup(path);

	for (char *p = part + strspn(part, "/");; p++) {
		bool last;
		int r;

		p += strcspn(p, "/");
		last = *p == '\0';
		*p = '\0';
		r = mkdir(part, 0700);
		if (r < 0 && errno != EEXIST)
			return err_origin(-errno);
		if (last)
			return r == 0;
		*p = '/';
	}
}
