#include "salvage/bytes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

int bytes_read(int fd, void *buf, size_t len, int64_t at)
{
	size_t done = 0;
	ssize_t n;

	memset(buf, 0, len);
	while (done < len) {
		n = pread(fd, (char *)buf + done, len - done, at + (int64_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EIO)
			return err_origin(-errno);
		if (n <= 0)
			return BYTES_E_SHORT;
		done += (size_t)n;
	}
	return 0;
}

int bytes_write(int fd, const void *buf, size_t len, int64_t at)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pwrite(fd, (const char *)buf + done, len - done, at + (int64_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_origin(-errno);
		done += (size_t)n;
	}
	return 0;
}
