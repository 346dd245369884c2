/*
 * That an archive was here, noted where it stays when the directory goes: in the configuration. An empty directory is a
 * first start, or a file system that is not mounted; who made a new archive then would receive into the wrong one. A
 * mount point stays as an empty directory, and takes what was below it away with its parent; so a directory that is gone
 * from a parent that is there was removed by somebody who wants to start anew. Unless the parent is the mount point
 * ($XDG_DATA_HOME on a card): the note says so, and then it must be one to be believed.
 */
#define _GNU_SOURCE /* statx */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "store/disk.h"
#include "store/store.h"

enum { HOME_MAX = 8192 }; /* bytes: PATH_MAX and the comment */

/* Its name is that of the directory, hashed (FNV-1a): several may share one configuration. */
static char *home_path(const char *dir, const char *config_dir)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (const char *p = dir; *p; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	return xasprintf("%s/archive-%016" PRIx64 ".home", config_dir, hash);
}

static char *home_text(const char *dir, bool mounted)
{
	return xasprintf("# varve: an archive is in the directory below. If it is not found there, varved makes no new one,\n"
			 "# unless the directory itself was removed.\n%s%s\n",
			 mounted ? "# A file system is mounted right above it.\n" : "", dir);
}

/* The directory that ${dir} is in is where a file system is mounted. */
static bool is_mounted(const char *dir)
{
	_cleanup_(freep) char *copy = xstrdup(dir), *up = NULL;
	const char *parent = dirname(copy);
	struct stat own, above;
	struct statx x = { 0 };

	if (statx(AT_FDCWD, parent, AT_NO_AUTOMOUNT, 0, &x) == 0 && x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
		return x.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	/* Before Linux 5.8, which does not tell of a bind mount. */
	up = xasprintf("%s/..", parent);
	return stat(parent, &own) == 0 && stat(up, &above) == 0 && own.st_dev != above.st_dev;
}

static bool is_noted(const char *path, const char *text)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	_cleanup_(freep) char *have = xcalloc(1, HOME_MAX);
	ssize_t n = fd < 0 ? -1 : read(fd, have, HOME_MAX - 1);

	return n >= 0 && strcmp(have, text) == 0;
}

char *store_home(const char *dir, const char *config_dir)
{
	_cleanup_(freep) char *path = home_path(dir, config_dir);

	for (int mounted = 0; mounted < 2; mounted++) {
		_cleanup_(freep) char *text = home_text(dir, mounted);

		if (is_noted(path, text))
			return TAKE_PTR(path);
	}
	return NULL;
}

bool store_home_away(const char *dir, const char *config_dir)
{
	_cleanup_(freep) char *path = home_path(dir, config_dir), *text = home_text(dir, true);

	return is_noted(path, text) && !is_mounted(dir);
}

static int write_file(const char *path, const char *text)
{
	_cleanup_(closep) int fd = -1;
	int r;

	/* What a crash left, or somebody put there: a FIFO would be waited for. */
	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_origin(-errno);
	r = io_write(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? err_origin(r) : 0;
}

int store_forget_home(const char *dir, const char *config_dir)
{
	_cleanup_(freep) char *path = home_path(dir, config_dir);

	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : err_origin(-errno);
	log_warning("%s was removed: a new archive begins", dir);
	return 0;
}

int store_note_home(const char *dir, const char *config_dir)
{
	_cleanup_(freep) char *path = home_path(dir, config_dir), *text = home_text(dir, is_mounted(dir));
	_cleanup_(freep) char *part = xasprintf("%s.tmp", path);
	int r;

	if (is_noted(path, text))
		return 0;
	/* A restored backup comes without the configuration. */
	r = io_make_dirs(config_dir);
	if (r >= 0)
		r = write_file(part, text);
	if (r == 0)
		r = disk_rename(part, path, true);
	if (r < 0)
		(void)unlink(part);
	return r < 0 ? err_trace(r) : 0;
}
