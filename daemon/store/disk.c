#define _GNU_SOURCE /* renameat2 */
#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/step.h"
#include "store/schema.h"

int disk_make_dir(const char *dir)
{
	/* Missing parents too: $XDG_DATA_HOME need not exist (XDG base directory specification). */
	int r = io_make_dirs(dir);

	if (r < 0)
		return err_trace(r);
	if (r > 0)
		step("store.mkdir");
	/* SQLite must be able to make its -wal file, and the sidecar is replaced: say no before anything is tried. */
	if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0)
		return err_origin(-errno);
	return 0;
}

int disk_make_file(const char *path, int64_t *ret_size)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0)
		return err_origin(-errno);
	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	if (!S_ISREG(st.st_mode))
		return err_origin(-EACCES);
	if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
		return err_origin(-errno);
	*ret_size = st.st_size;
	return 0;
}

int disk_make_new(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_origin(-errno);
	if (fchmod(fd, 0600) < 0)
		return err_origin(-errno);
	return 0;
}

int disk_size(const char *path, int64_t *ret)
{
	struct stat st;

	if (stat(path, &st) == 0) {
		*ret = st.st_size;
		return 0;
	}
	if (errno != ENOENT)
		return err_origin(-errno);
	*ret = -1;
	return 0;
}

int disk_kind(const char *path, enum disk_kind *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint8_t head[100] = { 0 };
	ssize_t n;

	*ret = DISK_NONE;
	if (fd < 0)
		return errno == ENOENT ? 0 : err_origin(-errno);
	n = read(fd, head, sizeof(head));
	if (n < 0)
		return err_origin(-errno);
	/* https://www.sqlite.org/fileformat2.html section 1.3: magic, application id at 68, big-endian. */
	if (n == 0)
		*ret = DISK_EMPTY;
	else if (n < (ssize_t)sizeof(head) || memcmp(head, "SQLite format 3", 16) != 0)
		*ret = DISK_OTHER;
	else if (((uint32_t)head[68] << 24 | (uint32_t)head[69] << 16 | (uint32_t)head[70] << 8 | head[71]) ==
		 SCHEMA_APPLICATION_ID)
		*ret = DISK_PLAIN;
	else
		*ret = DISK_FOREIGN;
	return 0;
}

bool disk_is_sealed(const char *path)
{
	static const uint8_t magic[8] = "varve\0\0\1"; /* docs/store.md, Layouts */
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	uint8_t head[sizeof(magic)];

	return fd >= 0 && read(fd, head, sizeof(head)) == sizeof(head) && memcmp(head, magic, sizeof(magic)) == 0;
}

int disk_sync(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fsync(fd) < 0)
		return err_origin(-errno);
	return 0;
}

int disk_rename(const char *from, const char *to, bool replace)
{
	int r;

	r = renameat2(AT_FDCWD, from, AT_FDCWD, to, replace ? 0 : RENAME_NOREPLACE);
	/* A file system that does not know the flag (vfat before Linux 6): look, then rename. */
	if (r < 0 && errno == EINVAL && !replace)
		r = access(to, F_OK) == 0 ? (errno = EEXIST, -1) : rename(from, to);
	if (r < 0)
		return err_origin(-errno);
	r = io_sync_parent(to);
	if (r < 0)
		return err_trace(r);
	step("store.rename");
	return 0;
}

int disk_remove(const char *path)
{
	int r;

	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : err_origin(-errno);
	r = io_sync_parent(path);
	if (r < 0)
		return err_trace(r);
	step("store.remove");
	return 0;
}

/* A large file keeps its blocks until a process of its own has closed it. */
static int remove_large(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r = disk_remove(path);

	if (fd >= 0)
		child_let_go(fd);
	return r < 0 ? err_trace(r) : 0;
}

int disk_remove_db(const char *path)
{
	_cleanup_(freep) char *wal = xasprintf("%s-wal", path), *journal = xasprintf("%s-journal", path);
	int r;

	/* The log last: a database without it would look whole. */
	r = remove_large(path);
	if (r == 0)
		r = disk_remove(wal);
	if (r == 0)
		r = disk_remove(journal);
	return r < 0 ? err_trace(r) : 0;
}

static int write_zeros(int fd, int64_t size)
{
	static const char zeros[65536];

	for (int64_t at = 0; at < size;) {
		size_t n = size - at > (int64_t)sizeof(zeros) ? sizeof(zeros) : (size_t)(size - at);
		ssize_t done = pwrite(fd, zeros, n, at);

		if (done < 0)
			return err_origin(-errno);
		at += done;
		/* The head of the file durably before the rest: a log is then over as a whole, never in part. */
		if (at == done && fdatasync(fd) < 0)
			return err_origin(-errno);
	}
	return fsync(fd) < 0 ? err_origin(-errno) : 0;
}

int disk_wipe(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_origin(-errno);
	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	/* A backup made with hard links (cp -l, rsync --link-dest) is the same file: not ours to destroy. */
	if (st.st_nlink > 1)
		log_warning("%s is in clear and has other names (hard links), which keep its content: only this one is removed",
			    path);
	r = st.st_nlink > 1 ? 0 : write_zeros(fd, st.st_size);
	if (r == 0)
		r = disk_remove(path);
	return r < 0 ? err_trace(r) : 0;
}

struct disk_id disk_id(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (struct disk_id){ 0 };
	return (struct disk_id){ .dev = st.st_dev, .ino = st.st_ino };
}
