#define _GNU_SOURCE
#include "wire/sandbox.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/landlock.h"
#include "wire/seccomp.h"

/*
 * Private writable memory, bytes. 10 MB are resident after 20,000 archive results; the rest is for large rosters, a full
 * link, and the names that expat interns. Past it malloc() fails, which is our end and not the machine's.
 */
#define MEMORY_MAX (256ul * 1024 * 1024)
#define FILES_MAX 64 /* link, socket, epoll, timers: 10; DNS opens a few more for a moment */

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0 /* its shadow counts as data, its leak check wants ptrace: neither is forbidden then */
#endif

/* OpenSSL's store, the resolver's switches, messages' language, our own log; nothing else says anything to a wire. */
static const char *const kept[] = {
	"SSL_CERT_FILE",  "SSL_CERT_DIR", "OPENSSL_CONF",  "RES_OPTIONS", "LOCALDOMAIN",
	"LANG",           "LANGUAGE",     "LC_ALL",        "LC_MESSAGES", "VARVE_LOG",
	"JOURNAL_STREAM", "ASAN_OPTIONS", "UBSAN_OPTIONS",
};

static int clear_environment(void)
{
	char *values[ARRAY_SIZE(kept)];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		values[i] = xstrdup(getenv(kept[i]));
	if (clearenv() != 0)
		r = -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		if (values[i] && setenv(kept[i], values[i], 1) < 0)
			r = -errno;
		free(values[i]);
	}
	return r;
}

static int limit(__rlimit_resource_t what, rlim_t max)
{
	struct rlimit l;

	if (getrlimit(what, &l) < 0)
		return -errno;
	if (l.rlim_max == RLIM_INFINITY || l.rlim_max > max)
		l.rlim_max = max;
	l.rlim_cur = l.rlim_max;
	return setrlimit(what, &l) < 0 ? -errno : 0;
}

int sandbox_enter(void)
{
	int r;

	if (close_range(4, ~0u, 0) < 0 && errno != ENOSYS)
		return err_origin(-errno);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_origin(-errno);
	if (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_origin(-errno);
	r = limit(RLIMIT_CORE, 0);
	if (r == 0)
		r = limit(RLIMIT_NOFILE, FILES_MAX);
	if (r == 0 && !SANITIZED)
		r = limit(RLIMIT_DATA, MEMORY_MAX);
	if (r == 0)
		r = clear_environment();
	if (r < 0)
		return err_origin(r);
	/* The sanitizers read and start things of their own. */
	r = SANITIZED ? 0 : landlock_enter();
	if (r == LANDLOCK_E_MISSING)
		log_debug("no Landlock here: the wire sees the files of its user");
	if (r >= 0)
		r = SANITIZED ? 0 : seccomp_enter();
	return r < 0 ? err_trace(r) : 0;
}
