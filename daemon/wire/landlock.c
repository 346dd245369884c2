#define _GNU_SOURCE
#include "wire/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

/* Of later kernels than the header that we are built with may be (landlock(7), ABI 2 and 3). */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* The thirteen of ABI 1: executing, reading, writing, making and removing. */
#define ABI_1 ((1ull << 13) - 1)

/* What is read at run time; a place that is not there is none. */
static const char *const places[] = {
	"/etc",			/* resolv.conf, hosts, nsswitch.conf, ssl/certs, gai.conf */
	"/usr",			/* name service modules, gconv, zoneinfo, ca-certificates */
	"/lib",		  "/lib64",
	"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/connman", /* where resolv.conf points to */
	"/nix/store",		/* where there is no /usr */
	"/dev/urandom",	  "/dev/null",
};

static int allow(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = READ };
	_cleanup_(closep) int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	/* A file takes no rights of a directory. */
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access = READ_FILE;
	rule.parent_fd = fd;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_origin(-errno);
	return 0;
}

int landlock_enter(void)
{
	const char *const own[] = { getenv("SSL_CERT_FILE"), getenv("SSL_CERT_DIR"), getenv("OPENSSL_CONF") };
	struct landlock_ruleset_attr attr = { .handled_access_fs = ABI_1 };
	_cleanup_(closep) int ruleset = -1;
	long abi;
	int r = 0;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return LANDLOCK_E_MISSING;
	if (abi >= 2)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return err_origin(-errno);
	for (size_t i = 0; i < ARRAY_SIZE(places) && r == 0; i++)
		r = allow(ruleset, places[i]);
	for (size_t i = 0; i < ARRAY_SIZE(own) && r == 0; i++)
		if (own[i])
			r = allow(ruleset, own[i]);
	if (r < 0)
		return err_trace(r);
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_origin(-errno);
	return 0;
}
