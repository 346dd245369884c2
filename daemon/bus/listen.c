#define _GNU_SOURCE
#include "bus/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/names.h"

#define BACKLOG 64 /* connections that wait for accept(); as many as we take at all */
#define BIRTH ".new" /* what a socket is called before it listens */

static const struct {
	const char *fdname;
	const char *file; /* NULL: only when it is passed */
	enum role role;
	bool others;
} kinds[LISTENERS_MAX] = {
	{ VARVE_FDNAME_FULL, VARVE_SOCKET_NAME, ROLE_ADMIN, false },
	{ VARVE_FDNAME_READONLY, VARVE_SOCKET_RO_NAME, ROLE_READ, false },
	{ VARVE_FDNAME_STATUS, NULL, ROLE_STATUS, true },
};

static void free_strv(char ***strv)
{
	for (char **p = *strv; p && *p; p++)
		free(*p);
	free(*strv);
}

static bool has_role(const struct listeners *l, enum role role)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->of[i].role == role)
			return true;
	return false;
}

static int take_inherited(struct listeners *l)
{
	_cleanup_(free_strv) char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	if (n < 0)
		return err_origin(n);
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		size_t k = 0;

		while (k < LISTENERS_MAX && strcmp(kinds[k].fdname, names[i]) != 0)
			k++;
		if (k == LISTENERS_MAX || has_role(l, kinds[k].role) || sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
			log_warning("systemd passed a socket '%s' that is not ours (expected: full, readonly, status): closed",
				    names[i]);
			close(fd);
			continue;
		}
		if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
			return err_origin(-errno);
		l->of[l->n++] = (struct listener){ .fd = fd, .role = kinds[k].role, .others = kinds[k].others };
	}
	return 0;
}

/* Ours alone. Only the last component is made: the rest is the system's to set up. */
static int make_dir(const char *dir, char **ret_why)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		*ret_why = xasprintf("the socket directory %s cannot be made: %s; set XDG_RUNTIME_DIR to a directory "
				     "that you may write to", dir, strerror(errno));
		return LISTEN_E_UNUSABLE;
	}
	if (lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
		*ret_why = xasprintf("%s is not a directory of this user: move it away or set XDG_RUNTIME_DIR", dir);
		return LISTEN_E_UNUSABLE;
	}
	if ((st.st_mode & 077) && chmod(dir, 0700) < 0) {
		*ret_why = xasprintf("%s is open to other users and that cannot be changed: %s", dir, strerror(errno));
		return LISTEN_E_UNUSABLE;
	}
	return 0;
}

/* Somebody listens there: their pid, else 0. */
static pid_t who_answers(const struct sockaddr_un *addr)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return 0;
	/* EAGAIN: alive, and its backlog is full. */
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return errno == EAGAIN ? 1 : 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
		return 1;
	return peer.pid;
}

static int clear_path(const struct sockaddr_un *addr, char **ret_why)
{
	struct stat st;
	pid_t pid;

	if (lstat(addr->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		*ret_why = xasprintf("%s is in the way and not a socket: remove it", addr->sun_path);
		return LISTEN_E_UNUSABLE;
	}
	pid = who_answers(addr);
	if (pid > 0) {
		*ret_why = xasprintf("another daemon (pid %d) answers on %s: stop it first", (int)pid, addr->sun_path);
		return LISTEN_E_BUSY;
	}
	if (unlink(addr->sun_path) < 0 && errno != ENOENT) {
		*ret_why = xasprintf("the old socket %s cannot be removed: %s", addr->sun_path, strerror(errno));
		return LISTEN_E_UNUSABLE;
	}
	return 0;
}

/*
 * Bound and listening under another name first: whoever finds the socket at ${path} is answered. Else a client in the moment
 * between bind() and listen() is refused, and another daemon takes it for one that was left behind.
 */
static int bind_ready(int fd, const char *path, const char *birth)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t old;
	int r;

	memcpy(addr.sun_path, birth, strlen(birth));
	unlink(birth);
	/* So that there is no moment with a wider mode. */
	old = umask(0177);
	r = bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
	umask(old);
	if (r < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	/* Not rename(): what came there meanwhile is somebody else's. */
	r = link(birth, path) < 0 ? -errno : 0;
	unlink(birth);
	return r;
}

static int open_one(struct listeners *l, const char *dir, size_t kind, char **ret_why)
{
	_cleanup_(closep) int fd = -1;
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, kinds[kind].file), *birth = xasprintf("%s" BIRTH, path);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int r;

	if (strlen(birth) >= sizeof(addr.sun_path)) {
		*ret_why = xasprintf("the socket path %s is longer than %zu bytes: set XDG_RUNTIME_DIR to a shorter one", path,
				     sizeof(addr.sun_path) - sizeof(BIRTH));
		return LISTEN_E_UNUSABLE;
	}
	memcpy(addr.sun_path, path, strlen(path));
	r = clear_path(&addr, ret_why);
	if (r != 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_origin(-errno);
	r = bind_ready(fd, path, birth);
	if (r < 0 || stat(path, &st) < 0) {
		*ret_why = xasprintf("the socket %s cannot be made: %s", path, strerror(r < 0 ? -r : errno));
		return LISTEN_E_UNUSABLE;
	}
	l->of[l->n++] = (struct listener){ TAKE_FD(fd), kinds[kind].role, kinds[kind].others, TAKE_PTR(path), st.st_dev,
					     st.st_ino };
	return 0;
}

int listeners_open(struct listeners *l, const char *dir, char **ret_why)
{
	int r;

	*l = (struct listeners){ 0 };
	r = take_inherited(l);
	if (r < 0 || l->n > 0)
		return r;
	r = make_dir(dir, ret_why);
	for (size_t i = 0; i < LISTENERS_MAX && r == 0; i++)
		r = kinds[i].file ? open_one(l, dir, i, ret_why) : 0;
	if (r != 0)
		listeners_close(l);
	return r;
}

char *listeners_path(const struct listeners *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct sockaddr_un addr = { 0 };
		socklen_t len = sizeof(addr);

		/* What it was bound to is not where it is. */
		if (l->of[i].role == ROLE_ADMIN && l->of[i].path)
			return xstrdup(l->of[i].path);
		/* Abstract ones and unnamed ones are never ours. */
		if (l->of[i].role == ROLE_ADMIN && getsockname(l->of[i].fd, (struct sockaddr *)&addr, &len) == 0 &&
		    addr.sun_family == AF_UNIX && addr.sun_path[0] == '/')
			return xstrndup(addr.sun_path, sizeof(addr.sun_path));
	}
	return xstrdup("");
}

void listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct listener *one = &l->of[i];
		struct stat st;

		close(one->fd);
		/* A successor may have put its own there. */
		if (one->path && stat(one->path, &st) == 0 && st.st_dev == one->dev && st.st_ino == one->ino)
			unlink(one->path);
		free(one->path);
	}
	l->n = 0;
}
