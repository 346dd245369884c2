#define _GNU_SOURCE
#include "vault/vault-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/step.h"
#include "vault/sidecar.h"
#include "vault/vault.h"

#define BAK VAULT_SIDECAR ".bak"

static char *in_dir(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static int unreadable(const char *path, const char *what, char **ret_why)
{
	*ret_why = xasprintf("%s %s", path, what);
	return VAULT_E_UNREADABLE;
}

static int cannot_open(const char *path, int error, char **ret_why)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		*ret_why = xasprintf("%s does not exist", path);
		return VAULT_E_NONE;
	case ELOOP:
		return unreadable(path, "is a symbolic link; varve wants the file itself", ret_why);
	case ENXIO:
		return unreadable(path, "is not a regular file", ret_why);
	case EACCES:
	case EPERM:
		return unreadable(path, "cannot be opened: check its owner and mode", ret_why);
	case EIO:
		*ret_why = xasprintf("%s cannot be read (%s)", path, strerror(error));
		return VAULT_E_DAMAGED;
	default:
		return err_origin(-error);
	}
}

static int read_open(int fd, const char *path, char **ret_text, size_t *ret_len, char **ret_why)
{
	_cleanup_(freep) char *text = xnewn(char, SIDECAR_MAX + 2);
	ssize_t n = io_read(fd, text, SIDECAR_MAX + 1);

	if (n < 0) {
		*ret_why = xasprintf("%s cannot be read (%s)", path, strerror((int)-n));
		return VAULT_E_DAMAGED;
	}
	if (n > SIDECAR_MAX) {
		*ret_why = xasprintf("%s is larger than %d bytes", path, SIDECAR_MAX);
		return VAULT_E_DAMAGED;
	}
	*ret_text = TAKE_PTR(text);
	*ret_len = (size_t)n;
	return 0;
}

int file_read(const char *path, char **ret_text, size_t *ret_len, char **ret_why)
{
	/* NONBLOCK: opening a FIFO that somebody put there must not wait. */
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return cannot_open(path, errno, ret_why);
	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	if (!S_ISREG(st.st_mode))
		return unreadable(path, "is not a regular file", ret_why);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return unreadable(path, "belongs to another user: chown it to yourself if it is yours", ret_why);
	if ((st.st_mode & 022) != 0)
		return unreadable(path, "can be written by other users: chmod 600 it", ret_why);
	return read_open(fd, path, ret_text, ret_len, ret_why);
}

/* A new file with ${text}, on the disk; its name is not. -errno; nothing is left of it then. */
static int write_new(const char *path, const char *text)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return err_origin(-errno);
	/* Whatever the umask took away. */
	r = fchmod(fd, 0600) < 0 ? -errno : io_write(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0) {
		unlink(path);
		return err_origin(r);
	}
	return 0;
}

/* ${name}.tmp in ${dir} with ${text}, in place of what a crash left there. */
static int write_tmp(const char *dir, const char *name, const char *text)
{
	_cleanup_(freep) char *tmp = xasprintf("%s/%s.tmp", dir, name);
	int r;

	if (unlink(tmp) < 0 && errno != ENOENT)
		return err_origin(-errno);
	r = write_new(tmp, text);
	if (r < 0)
		return err_trace(r);
	step("vault.tmp");
	return 0;
}

/* ${name}.tmp becomes ${name}. */
static int rename_tmp(const char *dir, const char *name, const char *step_name)
{
	_cleanup_(freep) char *tmp = xasprintf("%s/%s.tmp", dir, name);
	_cleanup_(freep) char *path = in_dir(dir, name);
	int r;

	if (rename(tmp, path) < 0)
		return err_origin(-errno);
	r = io_sync_parent(path);
	if (r < 0)
		return err_trace(r);
	step(step_name);
	return 0;
}

int file_replace_bak(const char *dir, const char *text)
{
	int r = write_tmp(dir, BAK, text);

	if (r == 0)
		r = rename_tmp(dir, BAK, "vault.bak");
	return r < 0 ? err_trace(r) : 0;
}

int file_replace_pair(const char *dir, const char *text, bool *ret_bak)
{
	int r = write_tmp(dir, VAULT_SIDECAR, text);

	if (r == 0)
		r = write_tmp(dir, BAK, text);
	if (r == 0)
		r = rename_tmp(dir, VAULT_SIDECAR, "vault.sidecar");
	if (r < 0) {
		file_tidy(dir);
		return err_trace(r);
	}
	r = rename_tmp(dir, BAK, "vault.bak");
	*ret_bak = r == 0;
	if (r < 0)
		log_warning("%s/" BAK " could not be replaced (%s): it still has the slots of before; varve tries again"
			    " at the next unlock",
			    dir, strerror(-r));
	return 0;
}

int file_restore(const char *dir, const char *text)
{
	_cleanup_(freep) char *path = in_dir(dir, VAULT_SIDECAR);
	_cleanup_(freep) char *damaged = in_dir(dir, VAULT_SIDECAR ".damaged");
	int r = write_tmp(dir, VAULT_SIDECAR, text);

	if (r < 0)
		return err_trace(r);
	if (rename(path, damaged) == 0)
		step("vault.damaged");
	else if (errno != ENOENT)
		return err_origin(-errno);
	r = rename_tmp(dir, VAULT_SIDECAR, "vault.sidecar");
	return r < 0 ? err_trace(r) : 0;
}

void file_tidy(const char *dir)
{
	static const char *const names[] = { VAULT_SIDECAR ".tmp", BAK ".tmp" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(freep) char *path = in_dir(dir, names[i]);

		if (unlink(path) < 0 && errno != ENOENT)
			log_warning("%s cannot be removed (%s); it may hold a slot that was removed since", path,
				    strerror(errno));
	}
}

void file_forget_damaged(const char *dir)
{
	_cleanup_(freep) char *path = in_dir(dir, VAULT_SIDECAR ".damaged");

	if (unlink(path) < 0 && errno != ENOENT)
		log_warning("%s cannot be removed (%s); it may hold a slot that was removed since", path,
			    strerror(errno));
}

static bool is_denial(int error)
{
	return error == EACCES || error == EPERM || error == EROFS || error == ENOTDIR || error == ENOENT ||
	       error == ELOOP;
}

int file_create(const char *path, const char *text, const char *name, char **ret_why)
{
	int r = file_write(path, text, name);

	if (r < 0 && is_denial(-r)) {
		*ret_why = xasprintf("%s cannot be made (%s): check the directory's owner and mode", path,
				     strerror(-r));
		return VAULT_E_UNREADABLE;
	}
	return r < 0 ? err_trace(r) : 0;
}

int file_write(const char *path, const char *text, const char *name)
{
	int r = write_new(path, text);

	if (r < 0)
		return err_trace(r);
	r = io_sync_parent(path);
	if (r < 0) {
		unlink(path);
		return err_trace(r);
	}
	step(name);
	return 0;
}

int file_mkdir(const char *path, char **ret_why)
{
	_cleanup_(freep) char *p = xstrdup(path);

	for (char *slash = p + 1;; slash++) {
		slash += strcspn(slash, "/");
		bool last = !*slash;

		*slash = '\0';
		if (mkdir(p, 0700) == 0) {
			int r = io_sync_parent(p);

			if (r < 0)
				return err_trace(r);
			step("vault.mkdir");
		} else if (errno != EEXIST && (is_denial(errno))) {
			*ret_why = xasprintf("%s cannot be made (%s): check its parent's owner and mode", p,
					     strerror(errno));
			return VAULT_E_UNREADABLE;
		} else if (errno != EEXIST) {
			return err_origin(-errno);
		}
		if (last)
			return 0;
		*slash = '/';
	}
}

int file_unlink(const char *path)
{
	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : err_origin(-errno);
	return io_sync_parent(path);
}
