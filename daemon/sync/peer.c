#define _GNU_SOURCE
#include "sync/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "link/link.h"
#include "varve-build.h"

#define WIRE_FD 3

struct peer {
	pid_t pid;
	struct link *link;
	peer_record_fn on_record;
	peer_gone_fn on_gone;
	void *userdata;
	bool gone;
	bool draining, freed; /* peer_free() inside peer_drain() leaves the rest to it */
};

static void on_record(void *userdata, const struct link_record *r)
{
	struct peer *p = userdata;

	p->on_record(p->userdata, r);
}

static void on_gone(void *userdata, const char *why)
{
	struct peer *p = userdata;

	p->gone = true;
	p->on_gone(p->userdata, why);
}

static int on_exit_status(sd_event_source *s, const siginfo_t *si, _unused_ void *userdata)
{
	if (si->si_code == CLD_DUMPED || (si->si_code == CLD_KILLED && si->si_status != SIGKILL))
		log_warning("varve-wire %d died of signal %d; its stream starts again", (int)si->si_pid, si->si_status);
	/* The loop's reference was the last: this frees the source, and ${si} with it. */
	sd_event_source_set_floating(s, 0);
	return 0;
}

/* fd 3 for the child, no environment beyond what it needs, default signals. */
static int spawn(const struct peer_program *wire, int fd, pid_t *ret_pid)
{
	_cleanup_(freep) char *opened = wire->fd >= 0 ? xasprintf("/proc/self/fd/%d", wire->fd) : NULL;
	char *argv[] = { wire->path, NULL };
	char *env[8] = { NULL };
	static const char *const keep[] = { "VARVE_LOG=", "JOURNAL_STREAM=", "SSL_CERT_FILE=", "SSL_CERT_DIR=",
					    "ASAN_OPTIONS=", "UBSAN_OPTIONS=" };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	size_t n = 0;
	int r;

	for (char **v = environ; *v; v++)
		for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
			if (strncmp(*v, keep[i], strlen(keep[i])) == 0 && n < ARRAY_SIZE(env) - 1)
				env[n++] = *v;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	/* dup2 onto itself would keep close-on-exec: posix_spawn clears it in that case (POSIX 2024; glibc 2.29). */
	posix_spawn_file_actions_adddup2(&fa, fd, WIRE_FD);
	/* Not our terminal: what is typed there is none of its business. */
	posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(ret_pid, opened ? opened : wire->path, &fa, &attr, argv, env);
	/* Without /proc, in a bare container. */
	if (r == ENOENT && opened)
		r = posix_spawn(ret_pid, wire->path, &fa, &attr, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return r ? err_origin(-r) : 0;
}

int peer_new(sd_event *event, const struct peer_program *wire, peer_record_fn record_fn, peer_gone_fn gone_fn,
	     void *userdata, struct peer **ret)
{
	_cleanup_(peer_freep) struct peer *p = xnew(struct peer);
	_cleanup_(closep) int ours = -1, theirs = -1;
	sd_event_source *child = NULL;
	int fds[2], r;

	p->pid = -1;
	p->on_record = record_fn;
	p->on_gone = gone_fn;
	p->userdata = userdata;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return err_origin(-errno);
	ours = fds[0];
	theirs = fds[1];
	r = spawn(wire, theirs, &p->pid);
	if (r < 0) {
		p->pid = -1;
		return err_trace(r);
	}
	/* Floating: it outlives the peer and reaps the child whenever it goes. */
	r = sd_event_add_child(event, &child, p->pid, WEXITED, on_exit_status, NULL);
	if (r < 0)
		return err_origin(r);
	sd_event_source_set_floating(child, 1);
	sd_event_source_unref(child);
	r = link_new(event, TAKE_FD(ours), LINK_KEEPER, on_record, on_gone, p, &p->link);
	if (r < 0)
		return err_trace(r);
	*ret = TAKE_PTR(p);
	return 0;
}

struct peer *peer_free(struct peer *p)
{
	if (!p)
		return NULL;
	if (p->pid > 0)
		kill(p->pid, SIGKILL);
	p->link = link_free(p->link);
	p->freed = true;
	if (!p->draining)
		free(p);
	return NULL;
}

void peer_aim(struct peer *p, peer_record_fn record_fn, peer_gone_fn gone_fn)
{
	p->on_record = record_fn;
	p->on_gone = gone_fn;
}

int peer_send(struct peer *p, const struct link_record *r)
{
	return p->gone ? -ENOTCONN : link_send(p->link, r);
}

void peer_drain(struct peer *p, int64_t timeout_us)
{
	int64_t until = clock_boot_us() + timeout_us;
	siginfo_t si = { 0 };

	p->draining = true;
	link_flush(p->link, timeout_us);
	/* Not reaped here: the child source or our own end does that. */
	while (!p->freed && clock_boot_us() < until) {
		si.si_pid = 0;
		if (waitid(P_PID, (id_t)p->pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid)
			break;
		poll(NULL, 0, 5);
	}
	p->draining = false;
	if (p->freed)
		free(p);
}

static char *find_beside(void)
{
	char self[PATH_MAX];
	ssize_t n;
	char *slash, *path;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
		path = xasprintf("%s/varve-wire", self);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return xstrdup(VARVE_LIBEXECDIR "/varve-wire");
}

void peer_find_wire(struct peer_program *ret)
{
	const char *env = getenv("VARVE_WIRE");

	*ret = (struct peer_program){ .path = env && *env ? xstrdup(env) : find_beside(), .fd = -1 };
	/* What somebody names himself may be a script, whose interpreter needs the path. */
	if (!env || !*env)
		ret->fd = open(ret->path, O_PATH | O_CLOEXEC);
}

void peer_forget_wire(struct peer_program *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
	free(wire->path);
	*wire = (struct peer_program){ .fd = -1 };
}
